"""`people` of oncall.yaml as it is written: who they are, by what they can be reached, and in which order they want to be. Part of OncallFile."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator

from bot.clients.template_names import in_template
from bot.config.patterns import EMAIL, MEMBER
from bot.config.prepare import TextAsWritten
from bot.config.problems import nearest, quoted
from bot.config.server import Part
from bot.config.signal import OwnHoursEntry, ZoneName
from bot.domain.alerted import NAMES
from bot.domain.contact import SLACK
from bot.errors import BadInput

OTHERS = "default"  # in `notify`: for all severities that it does not name
LATEST_PAGE = timedelta(hours=24)
MOST_RULES = 20
SPOKEN = ("sms", "call")  # kinds of media whose addresses are phone numbers
LONGEST_TEMPLATE = 4000
_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}\Z")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}\Z")


def phone_number(text: str) -> str:
    """`+49 151 1234-5678` as `+4915112345678`. Raises ValueError.

    E.164: a plus, the country's code without zeros before it, at most 15 digits (https://www.itu.int/rec/T-REC-E.164).
    """
    number = re.sub(r"[ .-]", "", text)
    if not _PHONE.match(number):
        raise ValueError(
            f"not a phone number: {quoted(text)}; write it with the country's code and without its 0, like +4915112345678"
        )
    return number


def readable_template(text: str) -> str:
    """A template as it is. Raises ValueError when it cannot be parsed, or names what no message has: at night nobody wants to find that out."""
    try:
        names = [str(path[0]) for path in in_template(text)]
    except BadInput as error:
        raise ValueError(str(error)) from None
    wrong = next((name for name in names if name not in NAMES), None)
    if wrong is not None:
        raise ValueError(
            f"a template of messages is not given {quoted(wrong)}{nearest(wrong, NAMES)} (there are: {', '.join(NAMES)})"
        )
    return text


PhoneNumber = Annotated[
    str,
    AfterValidator(phone_number),
    WithJsonSchema({"type": ["string", "number"], "pattern": r"^\+[1-9][0-9 .-]{6,24}$"}),
]
MessageTemplate = Annotated[str, Field(max_length=LONGEST_TEMPLATE), AfterValidator(readable_template)]
Address = Annotated[TextAsWritten, Field(min_length=1, max_length=500)]
Later = Annotated[timedelta, Field(ge=timedelta(0), le=LATEST_PAGE)]


def _one_method(entry: Mapping[str, timedelta]) -> Mapping[str, timedelta]:
    if len(entry) != 1:
        raise ValueError("wanted one method and its time, like {sms: 3m}; further ones are further items of the list")
    return entry


Rule = TextAsWritten | Annotated[Mapping[str, Later], AfterValidator(_one_method)]


class MethodEntry(Part):
    """A contact method whose name is not that of its medium."""

    medium: str = Field(description="a name under channels in tocsin.yaml")
    address: Address = Field(description="what the medium needs: a phone number, an e-mail address, a chat id")


class PersonEntry(Part):
    """Somebody who can be paged."""

    name: str = Field(default="", description="as it is shown; the key when not set")
    slack: str = Field(default="", pattern=MEMBER, description="Slack member id, from the profile's menu: U…")
    email: str = Field(default="", pattern=EMAIL, description="also a contact method, by the first medium for e-mail")
    phone: PhoneNumber | None = Field(
        default=None, description="like +4915112345678; also contact methods, by the first media for SMS and for calls"
    )
    zone: ZoneName = Field(default="", description="in whose time they are told: Europe/Berlin")
    methods: Mapping[str, Address | MethodEntry] = Field(
        default_factory=dict,
        max_length=20,
        description="other contact methods: {telegram: address} or {name: {medium, address}}",
    )
    notify: Mapping[str, Annotated[tuple[Rule, ...], Field(min_length=1, max_length=MOST_RULES)]] = Field(
        default_factory=dict, description="severity (default: all others): [slack, {sms: 3m}, {call: 5m}]"
    )
    quiet: OwnHoursEntry | None = Field(default=None, description="when they do not want to be paged, and for what")
    recovery: bool = Field(default=True, description="tell them when what they were paged for is over")
    template: MessageTemplate = Field(default="", description="their own words for pages, as a Jinja2 template")

    @field_validator("methods")
    @classmethod
    def _named(cls, methods: Mapping[str, str | MethodEntry]) -> Mapping[str, str | MethodEntry]:
        for key in methods:
            if key == SLACK:
                raise ValueError("Slack is always a method of whoever has a Slack id: write slack: U… beside methods")
            if not _KEY.match(key):
                raise ValueError(f"not a name for a method: {quoted(key)}; use lower-case letters, digits, - and _")
        return methods


def rule(entry: str | Mapping[str, timedelta]) -> tuple[str, timedelta]:
    """A rule of `notify`: the method's key, and how long after the paging began."""
    if isinstance(entry, str):
        return entry, timedelta(0)
    [(method, after)] = entry.items()
    return method, after
