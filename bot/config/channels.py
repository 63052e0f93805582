"""`channels` of tocsin.yaml: the media beside Slack, each with a plugin's own parameters and how it is used. And `heartbeat`. Read by load."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import ModuleType
from typing import Any

from pydantic import BaseModel, Field, field_validator

from bot.config.marks import Document, Path
from bot.config.oncall_people import MessageTemplate
from bot.config.oncall_schedules import web_only
from bot.config.problems import Problem, quoted, unknown
from bot.config.secrets import SecretAddress
from bot.config.server import Part, Server
from bot.config.sources import Reading
from bot.config.validate import found, validate
from bot.domain.contact import SLACK
from bot.domain.media import SLACK_RULES, MediumRules
from bot.domain.severity import MEDIA

LOG = "log"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}\Z")


@dataclass(frozen=True, slots=True)
class ChannelFacts:
    """What the file of a medium says of itself: its kind (severity.MEDIA), whether its provider calls back, what it bundles when nothing is said.

    `doc` is its reference documentation.
    """

    kind: str = "webhook"
    calls_back: bool = False
    bundle: timedelta = timedelta(0)
    doc: str = ""

    @classmethod
    def of(cls, module: ModuleType) -> ChannelFacts:
        return cls(
            kind=module.KIND,
            calls_back=getattr(module, "CALLS_BACK", False),
            bundle=getattr(module, "BUNDLE", timedelta(0)),
            doc=module.__doc__ or "",
        )


class MediumEntry(Part):
    """How a medium is used, beside its own parameters."""

    per_minute: int = Field(
        default=0,
        ge=0,
        le=100_000,
        description="at most so many messages; 0 for any number. A first page is never held back",
    )
    bundle: timedelta | None = Field(
        default=None,
        ge=timedelta(0),
        le=timedelta(hours=1),
        description="further pages to the same address within this time go out together; 0 for never",
    )
    template: MessageTemplate = Field(
        default="", description="a Jinja2 template for pages by it; Tocsin's own words when not set"
    )


@dataclass(frozen=True, slots=True)
class MediumConfig:
    """One medium that is set up. `params` is the model of the plugin `type`. `rules` can change while it runs; the rest needs a restart."""

    name: str
    type: str
    params: BaseModel
    rules: MediumRules = field(compare=False)


@dataclass(frozen=True, slots=True)
class Media:
    """`made`: those that are right. `kinds`: name -> kind of all that are named, Slack too; empty for one that could not be read."""

    made: Mapping[str, MediumConfig]
    kinds: Mapping[str, str]

    def first(self, kind: str) -> str:
        """The name of the first medium of a kind; empty when there is none."""
        return next((name for name, one in self.kinds.items() if one == kind), "")

    def reach(self, named: Collection[str]) -> bool:
        """Whether any of these media, by name or by kind, is set up."""
        return any(one in self.kinds or one in self.kinds.values() for one in named)


NO_MEDIA = Media({}, {SLACK: SLACK_RULES.kind})


class Heartbeat(Part):
    """An address that is asked for again and again while all is well, so that somebody notices when it no longer is."""

    url: SecretAddress = Field(
        description="of a dead man's switch, by reference when it is secret: env:NAME or file:/path"
    )
    every: timedelta = Field(default=timedelta(minutes=1), ge=timedelta(minutes=1), le=timedelta(days=1))

    @field_validator("url")
    @classmethod
    def _web(cls, url: SecretAddress) -> SecretAddress:
        if url.resolved:
            web_only(url.reveal())
        return url


def media(reading: Reading, types: Mapping[str, type[BaseModel]], facts: Mapping[str, ChannelFacts]) -> Media:
    """Every medium that is right; the problems of the others are kept in `reading`. A medium `log` is there without being set up."""
    made: dict[str, MediumConfig] = {}
    kinds = {SLACK: SLACK_RULES.kind}
    for name, value in reading.entries(("channels",)).items():
        medium = _medium(name, value, reading, types, facts)
        kinds.setdefault(name, medium.rules.kind if medium else "")
        if medium:
            made[name] = medium
    if LOG not in kinds and LOG in types:
        params, problems = validate(types[LOG], reading.document, {}, ("channels", LOG), reading.secrets)
        if params is not None and not problems:
            made[LOG] = MediumConfig(LOG, LOG, params, MediumRules(facts.get(LOG, ChannelFacts(LOG)).kind))
            kinds[LOG] = made[LOG].rules.kind
    return Media(made, kinds)


def _medium(
    name: str,
    value: Any,
    reading: Reading,
    types: Mapping[str, type[BaseModel]],
    facts: Mapping[str, ChannelFacts],
) -> MediumConfig | None:
    path: Path = ("channels", name)
    before = len(reading.problems)
    value = {} if value is None else value
    if not isinstance(value, dict):
        reading.wrong(path, f"wanted a mapping (key: value), found {found(value)}")
        return None
    kind = value.get("type", name)
    wrong = _bad_name(name, kind)
    if wrong:
        reading.wrong(path, wrong, key=True)
        return None
    if not isinstance(kind, str) or kind not in types:
        reading.wrong((*path, "type"), unknown("type of channel", "types", str(kind), sorted(types)))
        return None
    about = facts.get(kind, ChannelFacts())
    reserved = tuple(MediumEntry.model_fields)
    own = {key: item for key, item in value.items() if key not in ("type", *reserved)}
    params = reading.params(types[kind], own, path, ("type", *reserved))
    if params is not None and name in MEDIA and name != _kind(about, params):
        words = (
            f"is what a kind of medium is called, and this one is of the kind {_kind(about, params)}; use another name"
        )
        reading.wrong(path, words, key=True)
    use = {key: item for key, item in value.items() if key in reserved}
    entry, problems = validate(MediumEntry, reading.document, use, path, reading.secrets)
    reading.problems += problems
    if params is None or entry is None or len(reading.problems) > before:
        return None
    bundle = about.bundle if entry.bundle is None else entry.bundle
    return MediumConfig(name, kind, params, MediumRules(_kind(about, params), entry.per_minute, bundle, entry.template))


def _kind(about: ChannelFacts, params: BaseModel) -> str:
    """A type that stands for media of different kinds lets its entry say which: `kind` among its own parameters."""
    return str(getattr(params, "kind", about.kind))


def _bad_name(name: str, kind: Any) -> str:
    if name == SLACK:
        return "Slack is always there as a medium, and set up in the section slack; use another name"
    if name == LOG and kind != LOG:
        return "is the name of the medium that only writes into the log; use another name"
    if not _NAME.match(name):
        return "the name of a medium is part of addresses: lower-case letters, digits, - and _"
    return ""


def doubtful(
    media: Media, facts: Mapping[str, ChannelFacts], server: Server, document: Document, used: Collection[str] | None
) -> Iterator[Problem]:
    """Media that nobody uses, or that lack what they need of the server. `used`: their names; None when that cannot be told."""
    linking = [name for name, one in media.made.items() if one.rules.kind != LOG]
    for name in linking:
        path: Path = ("channels", name)
        if used is not None and name not in used:
            words = "nobody in oncall.yaml uses this medium: no method of a person, no target of a policy"
            yield document.problem(path, words, key=True)
        if facts.get(media.made[name].type, ChannelFacts()).calls_back and server.public_url is None:
            words = f"its provider calls back, and cannot without server.public_url: nobody can acknowledge by {quoted(name)}"
            yield document.problem(path, words, key=True)
    lacks = [key for key in ("public_url", "secret") if getattr(server, key) is None]
    if linking and lacks:
        words = (
            f"messages have no link to acknowledge with; for that, set {' and '.join(f'server.{key}' for key in lacks)}"
        )
        yield document.problem(("channels",), words, key=True)
