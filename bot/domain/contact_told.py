"""What people are told of their own contact methods and preferences: the answers of flow/contacts as values, and the words. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.contact import SLACK, Method, Notify
from bot.domain.oncall_told import lasting
from bot.domain.people import Person
from bot.domain.windows import DAYS, Window

_PHONE = re.compile(r"\+[1-9][0-9]{6,14}\Z")
_EMAIL = re.compile(r"[^@\s<>,;\"']{1,64}@[^@\s<>,;\"']{1,190}\.[^@\s<>,;\"'.]{2,60}\Z")


@dataclass(frozen=True, slots=True)
class Profile:
    """What Slack says of somebody; any of it may be empty."""

    email: str = ""
    phone: str = ""
    zone: str = ""


@dataclass(frozen=True, slots=True)
class OwnWay:
    """One of somebody's methods as they are shown it. `state`: verified, or until when its code is good, or why it is not used."""

    key: str
    medium: str
    shown: str
    origin: str
    state: str


@dataclass(frozen=True, slots=True)
class Own:
    """Everything that is one person's own: methods, rules by severity (`` for all others), and the rest in words."""

    name: str
    ways: tuple[OwnWay, ...]
    rules: Mapping[str, tuple[Notify, ...]]
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tested:
    """What became of one test message: the provider's answer, or why it failed."""

    key: str
    medium: str
    shown: str
    ok: bool
    answer: str


def phone_number(text: str) -> str:
    """`+49 151 1234-5678` as `+4915112345678`; empty when it is none (E.164: https://www.itu.int/rec/T-REC-E.164)."""
    number = re.sub(r"[ ().\-/\u00a0]", "", text)
    return number if _PHONE.match(number) else ""


def email_address(text: str) -> str:
    """The address, without spaces around it; empty when it is none."""
    address = text.strip()
    return address if _EMAIL.match(address) else ""


def masked(medium_kind: str, address: str) -> str:
    """As much of an address as its owner needs to know it: `+49…5678`, `a…@example.com`."""
    if medium_kind == SLACK:
        return "direct message"
    if "@" in address:
        name, _, host = address.rpartition("@")
        return f"{name[:1]}…@{host[:60]}"
    if len(address) <= 6:
        return "…"
    return f"{address[:3]}…{address[-4:]}" if len(address) > 9 else f"…{address[-3:]}"


def said_way(one: OwnWay) -> str:
    """`sms +49…5678: verified`."""
    name = one.key if one.key == one.medium else f"{one.key} ({one.medium})"
    return f"{name} {one.shown}: {one.state}"


def said_rules(rules: Sequence[Notify]) -> str:
    """`slack at once, sms after 3 min`."""
    said = [f"{one.method} {'after ' + lasting(one.after) if one.after else 'at once'}" for one in rules]
    return ", ".join(said)


def said_tested(found: Sequence[Tested]) -> str:
    sent = sum(one.ok for one in found)
    return f"{sent} of {len(found)} tests were sent. What you do not receive within a minute or two does not work, whatever its provider says."


def said_code_sent(way: Method, kind: str, until: datetime, now: datetime) -> str:
    return (
        f"A code was sent to {masked(kind, way.address)} by {way.medium}. Write `/oncall contact verify 123456` with it within "
        f"{lasting(max(until - now, timedelta(minutes=1)))}; until then it is not used."
    )


def said_quiet(windows: Sequence[Window], severities: Sequence[str]) -> str:
    """`mon,tue 22:00 to 07:00 Europe/Berlin for warning and info`."""
    spans = []
    for one in windows:
        days = "every day" if set(one.days) in (set(), set(DAYS)) else ",".join(one.days)
        hours = f" {one.between[0]:%H:%M} to {one.between[1]:%H:%M}" if one.between else ""
        spans.append(f"{days}{hours} {one.zone}")
    return f"{' and '.join(spans)} for {', '.join(severities)}"


def left(person: Person, media: Mapping[str, str]) -> str:
    """What still reaches somebody, as a sentence."""
    names = list(dict.fromkeys(way.key for way in person.ways if way.verified and way.medium in media))
    if not names:
        return (
            "Nothing is left by which you can be paged: you would be skipped. Add something with `/oncall contact add`."
        )
    return f"You are reached by {', '.join(names)}."
