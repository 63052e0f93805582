"""oncall.yaml: people, rotations and escalation policies, checked against each other and made into the domain's. Used by load."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator, model_validator

from bot.config.marks import Document, Path
from bot.config.problems import Problem, nearest, quoted, unknown
from bot.config.server import Part
from bot.config.signal import OwnHoursEntry
from bot.config.signal_checks import endless_hours, quiet_for_the_worst
from bot.config.signal_made import own_hours
from bot.config.signal_severities import bad_severities
from bot.domain import escalation
from bot.domain.people import TOCSIN, Directory, Person
from bot.domain.schedule import Layer, Schedule

EARLIEST, LATEST = 1970, 2200
TARGETS = ("person", "rotation", "channel")


class PersonEntry(Part):
    """Somebody who can be paged."""

    name: str = Field(default="", description="as it is shown; the key when not set")
    slack: str = Field(
        default="", pattern=r"^([UW][A-Z0-9]{2,20})?$", description="Slack member id, from the profile's menu: U…"
    )
    email: str = Field(default="", pattern=r"^([^@\s]+@[^@\s]+)?$")
    quiet: OwnHoursEntry | None = Field(default=None, description="when they do not want to be paged, and for what")


class RotationEntry(Part):
    """People who take turns."""

    people: tuple[str, ...] = Field(min_length=1)
    every: timedelta = Field(ge=timedelta(minutes=1), description="how long a turn lasts: 1w, 1d, 12h")
    starts: str = Field(
        description="when the first turn begins: 2026-01-05T09:00:00+01:00, or without an offset and with `zone`"
    )
    zone: str = Field(default="", description="time zone of `starts`: Europe/Berlin")

    @field_validator("starts")
    @classmethod
    def _time(cls, text: str) -> str:
        try:
            datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"not a time: {text[:40]!r}; write it like 2026-01-05T09:00:00+01:00") from None
        return text

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if name and _zone(name) is None:
            raise ValueError(f"no time zone is called {quoted(name)}{nearest(name, available_timezones())}")
        return name

    @model_validator(mode="after")
    def _one_zone(self) -> Self:
        if not EARLIEST <= datetime.fromisoformat(self.starts).year <= LATEST:
            raise ValueError(f"starts is not between the years {EARLIEST} and {LATEST}")
        aware = datetime.fromisoformat(self.starts).tzinfo is not None
        if not aware and not self.zone:
            raise ValueError(
                "starts has no time zone: end it with Z or an offset like +01:00, or add zone: Europe/Berlin"
            )
        return self

    @property
    def start(self) -> datetime:
        """Aware, in UTC."""
        starts = datetime.fromisoformat(self.starts)
        return (starts if starts.tzinfo else starts.replace(tzinfo=ZoneInfo(self.zone))).astimezone(UTC)


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError
        return None
    except KeyError:
        return None


class LevelEntry(Part):
    """Everybody in `targets` is paged; without an acknowledgement within `timeout` the next level is."""

    targets: tuple[str, ...] = Field(default=(), description="person:ada, rotation:shop, channel:incidents")
    timeout: timedelta = Field(default=timedelta(minutes=5), ge=timedelta(seconds=1))


class PolicyEntry(Part):
    """Levels in order, all of them gone through `repeat` more times after the first."""

    levels: tuple[LevelEntry, ...] = Field(min_length=1)
    repeat: int = Field(default=0, ge=0, le=100)


class OncallFile(Part):
    """oncall.yaml"""

    people: Mapping[str, PersonEntry] = Field(default_factory=dict)
    rotations: Mapping[str, RotationEntry] = Field(default_factory=dict)
    policies: Mapping[str, PolicyEntry] = Field(default_factory=dict)


def names(document: Document, section: str) -> list[str]:
    """The names in a section of a file, also when some of its entries are wrong."""
    value = document.data.get(section) if isinstance(document.data, dict) else None
    return list(value) if isinstance(value, dict) else []


def checked(file: OncallFile, document: Document, severities: Collection[str]) -> Iterator[Problem]:
    """References to people, rotations and severities that do not exist; two people with one Slack id. No `severities`: they are not known."""
    people, rotations = names(document, "people"), names(document, "rotations")
    if TOCSIN.id in people:
        yield document.problem(("people", TOCSIN.id), "is what the bot itself is called; use another key", key=True)
    for key, rotation in file.rotations.items():
        for number, person in enumerate(rotation.people):
            if person not in people:
                at: Path = ("rotations", key, "people", number)
                yield document.problem(at, unknown("person", "people", person, people))
    for key, policy in file.policies.items():
        for number, level in enumerate(policy.levels):
            for index, target in enumerate(level.targets):
                wrong = _wrong_target(target, people, rotations)
                if wrong:
                    yield document.problem(("policies", key, "levels", number, "targets", index), wrong)
    seen: dict[str, str] = {}
    for key, person_entry in file.people.items():
        if person_entry.slack and seen.setdefault(person_entry.slack, key) != key:
            words = f"{person_entry.slack} is the Slack id of {seen[person_entry.slack]} already"
            yield document.problem(("people", key, "slack"), words)
        if person_entry.quiet:
            path: Path = ("people", key, "quiet")
            yield from bad_severities(person_entry.quiet.severities, severities, document, (*path, "severities"))
            yield from endless_hours(person_entry.quiet, document, path)


def _wrong_target(target: str, people: Collection[str], rotations: Collection[str]) -> str:
    kind, colon, name = target.partition(":")
    if not colon or not name or kind not in TARGETS:
        near = _nearest_target(target, people, rotations)
        return f"not a target: {quoted(target)}{near} (write person:NAME, rotation:NAME or channel:NAME)"
    if kind == "person" and name not in people:
        return unknown("person", "people", name, people)
    if kind == "rotation" and name not in rotations:
        return unknown("rotation", "rotations", name, rotations)
    if kind == "channel" and (name.startswith("#") or any(character.isspace() for character in name)):
        return f"not the name of a channel: {quoted(name)}; write it without #"
    return ""


def _nearest_target(target: str, people: Collection[str], rotations: Collection[str]) -> str:
    candidates = [*(f"rotation:{name}" for name in rotations), *(f"person:{name}" for name in people)]
    exact = [candidate for candidate in candidates if candidate.partition(":")[2] == target]
    return f"; did you mean {quoted(exact[0])}?" if exact else nearest(target, candidates)


def doubtful(
    file: OncallFile, document: Document, used: Collection[str], role_members: Collection[str], worst: str
) -> Iterator[Problem]:
    """People whom nobody can page, levels with nobody, policies and rotations that nothing uses. `worst`: the most severe severity."""
    targets = {target for policy in file.policies.values() for level in policy.levels for target in level.targets}
    turns = {person for rotation in file.rotations.values() for person in rotation.people}
    for key, person in file.people.items():
        if not person.slack and (key in turns or f"person:{key}" in targets or key in role_members):
            yield document.problem(
                ("people", key),
                "has no Slack id (slack: U…), so cannot be paged or approve anything in Slack",
                key=True,
            )
        if person.quiet:
            yield from quiet_for_the_worst(person.quiet, worst, document, ("people", key, "quiet"))
    for key in file.rotations:
        if f"rotation:{key}" not in targets:
            yield document.problem(("rotations", key), "no policy uses this rotation", key=True)
    for key, policy in file.policies.items():
        if key not in used:
            yield document.problem(("policies", key), "no route uses this policy", key=True)
        for number, level in enumerate(policy.levels):
            if not level.targets:
                yield document.problem(
                    ("policies", key, "levels", number), "has no targets: this level pages nobody", key=True
                )


def directory(file: OncallFile, roles: Mapping[str, tuple[str, ...]]) -> Directory:
    people = {
        key: Person(key=key, name=entry.name or key, slack=entry.slack, email=entry.email, quiet=own_hours(entry.quiet))
        for key, entry in file.people.items()
    }
    schedules = {
        key: Schedule(
            key=key,
            zone=entry.zone or "UTC",
            layers=(
                Layer(
                    name=key,
                    turns=tuple((person,) for person in entry.people),
                    starts=entry.start.astimezone(ZoneInfo(entry.zone or "UTC")).replace(tzinfo=None),
                    every=entry.every,
                ),
            ),
        )
        for key, entry in file.rotations.items()
    }
    return Directory(people=people, schedules=schedules, roles=dict(roles))


def policies(file: OncallFile) -> dict[str, escalation.Policy]:
    return {
        key: escalation.Policy(
            key=key,
            levels=tuple(escalation.Level(targets=level.targets, timeout=level.timeout) for level in entry.levels),
            repeat=entry.repeat,
        )
        for key, entry in file.policies.items()
    }
