"""What is wrong between the sections of oncall.yaml, and between it and the other files: names that lead nowhere above all. Used by load."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import holidays

from bot.config.channels import Media
from bot.config.marks import Document, Path
from bot.config.oncall import CalendarConfig, OncallFile, methods
from bot.config.oncall_people import OTHERS, SPOKEN, MethodEntry, PersonEntry, phone_number, rule
from bot.config.oncall_policies import LevelEntry
from bot.config.oncall_schedules import HolidaysEntry, LayerEntry, ScheduleEntry
from bot.config.patterns import EMAIL
from bot.config.problems import Problem, nearest, quoted, unknown
from bot.config.signal import channel_name
from bot.config.signal_checks import endless_hours
from bot.config.signal_severities import bad_severities
from bot.domain.contact import SLACK
from bot.domain.people import TOCSIN

KINDS = ("person", "schedule", "rotation", "group", "channel", "medium")


@dataclass(frozen=True, slots=True)
class Known:
    """What there is to refer to. `severities`: none, when they could not be read and nothing can be said about references to them.

    `media` None: tocsin.yaml could not be read, so neither about references to media.
    """

    people: Collection[str]
    schedules: Collection[str]
    groups: Collection[str]
    calendars: Collection[str]
    severities: Collection[str]
    media: Media | None

    @classmethod
    def of(cls, document: Document, severities: Collection[str], media: Media | None) -> Known:
        """`document`: oncall.yaml."""
        return cls(
            people=document.names("people"),
            schedules=list(dict.fromkeys([*document.names("rotations"), *document.names("schedules")])),
            groups=document.names("groups"),
            calendars=document.names("calendars"),
            severities=severities,
            media=media,
        )

    @property
    def named(self) -> Mapping[str, Collection[str]]:
        """By kind of target, without channels: those are Slack's."""
        media = self.media.kinds if self.media else ()
        return {
            "person": self.people,
            "schedule": self.schedules,
            "rotation": self.schedules,
            "group": self.groups,
            "medium": [name for name in media if name != SLACK],
        }


def checked(file: OncallFile, document: Document, known: Known) -> Iterator[Problem]:
    """What is wrong in a file that could be read."""
    if TOCSIN.id in known.people:
        yield document.problem(("people", TOCSIN.id), "is what the bot itself is called; use another key", key=True)
    slack_ids: dict[str, str] = {}
    for key, person in file.people.items():
        if person.slack and slack_ids.setdefault(person.slack, key) != key:
            words = f"{person.slack} is the Slack id of {slack_ids[person.slack]} already"
            yield document.problem(("people", key, "slack"), words)
        yield from _bad_person(key, person, document, known)
    for key, members in file.groups.items():
        yield from _bad_people(members, document, ("groups", key), known)
    for key, schedule in file.schedules.items():
        yield from _bad_schedule(key, schedule, document, known)
    for at, turns in file.turns.items():
        for number, one in enumerate(turns.people):
            here: Path = (*at, "people", number)
            if isinstance(one, str):
                yield from _bad_people((one,), document, here, known, alone=True)
            else:
                yield from _bad_people(one, document, here, known)
        if turns.holidays:
            yield from _bad_holidays(turns.holidays, document, (*at, "holidays"))
    for key, policy in file.policies.items():
        for number, level in enumerate(policy.levels):
            yield from _bad_level(level, document, ("policies", key, "levels", number), known)
    yield from _bad_targets(file.alarm, document, ("alarm",), known)


def _bad_people(
    members: Collection[str], document: Document, path: Path, known: Known, *, alone: bool = False
) -> Iterator[Problem]:
    """`alone`: the path is that of the one member, not of a list."""
    for number, person in enumerate(members):
        if person not in known.people:
            at = path if alone else (*path, number)
            yield document.problem(at, unknown("person", "people", person, known.people))


# ------------------------------------------------------------------------------------------------ people


def _bad_person(key: str, person: PersonEntry, document: Document, known: Known) -> Iterator[Problem]:
    path: Path = ("people", key)
    if person.quiet:
        at = (*path, "quiet")
        yield from bad_severities(person.quiet.severities, known.severities, document, (*at, "severities"))
        yield from endless_hours(person.quiet, document, at)
    for severity in person.notify:
        if known.severities and severity not in (*known.severities, OTHERS):
            words = unknown("severity", "severities", severity, (*known.severities, OTHERS))
            yield document.problem((*path, "notify", severity), words, key=True)
    if known.media is None:
        return
    for name, method in person.methods.items():
        yield from _bad_method(name, method, document, (*path, "methods", name), known.media)
    keys = [*([SLACK] if person.slack else ()), *(one.key for one in methods(person, known.media))]
    for severity, rules in person.notify.items():
        seen: list[str] = []
        for number, (name, _) in enumerate(map(rule, rules)):
            at = (*path, "notify", severity, number)
            if name not in keys:
                yield document.problem(at, unknown(f"method of {key}", "methods", name, keys))
            elif name in seen:
                yield document.problem(at, f"{quoted(name)} is there twice; each method is used once")
            seen.append(name)


def _bad_method(
    name: str, method: str | MethodEntry, document: Document, path: Path, media: Media
) -> Iterator[Problem]:
    medium, address, at = name, method, path
    if isinstance(method, MethodEntry):
        medium, address, at = method.medium, method.address, (*path, "address")
    if medium not in media.kinds:
        words = unknown("medium", "media", medium, list(media.kinds))
        if isinstance(method, MethodEntry):
            yield document.problem((*path, "medium"), words)
        else:
            yield document.problem(
                path, f"{words}; for a name of its own, write {{medium: NAME, address: …}}", key=True
            )
        return
    wrong = _bad_address(media.kinds[medium], str(address))
    if wrong:
        yield document.problem(at, wrong)


def _bad_address(kind: str, address: str) -> str:
    if kind == "email" and not re.match(EMAIL, address):
        return f"not an e-mail address: {quoted(address)}"
    if kind in SPOKEN:
        try:
            phone_number(address)
        except ValueError as error:
            return str(error)
    return ""


# ------------------------------------------------------------------------------------------------ schedules


def _bad_schedule(key: str, schedule: ScheduleEntry, document: Document, known: Known) -> Iterator[Problem]:
    path: Path = ("schedules", key)
    if key in document.names("rotations"):
        words = f"there is a rotation called {quoted(key)} as well, and both mean the same; use another name"
        yield document.problem(path, words, key=True)
    seen: list[str] = []
    for number, layer in enumerate(schedule.layers):
        at = (*path, "layers", number)
        if layer.name and layer.name in seen:
            yield document.problem((*at, "name"), f"{quoted(layer.name)} is there twice; give each layer its own")
        seen.append(layer.name)
        yield from _bad_calendar(layer, document, at, known)


def _bad_calendar(layer: LayerEntry, document: Document, path: Path, known: Known) -> Iterator[Problem]:
    if layer.calendar and layer.calendar not in known.calendars:
        words = unknown("calendar", "calendars", layer.calendar, known.calendars)
        yield document.problem((*path, "calendar"), words)


def _bad_holidays(entry: HolidaysEntry, document: Document, path: Path) -> Iterator[Problem]:
    countries = _countries()
    if entry.country not in countries:
        near = nearest(entry.country, countries)
        words = (
            f"no holidays are known of a country called {quoted(entry.country)}; write its ISO 3166 code, like DE{near}"
        )
        yield document.problem((*path, "country"), words)
    elif entry.subdivision and entry.subdivision not in countries[entry.country]:
        words = unknown(f"part of {entry.country}", "parts", entry.subdivision, countries[entry.country])
        yield document.problem((*path, "subdivision"), words)


@lru_cache(maxsize=1)
def _countries() -> Mapping[str, Collection[str]]:
    """Country -> its parts (https://holidays.readthedocs.io)."""
    return holidays.list_supported_countries()


def missing_files(calendars: Mapping[str, CalendarConfig], document: Document) -> Iterator[Problem]:
    """Calendars that are not there."""
    for name, calendar in calendars.items():
        if calendar.file and not os.path.isfile(calendar.file):
            yield document.problem(("calendars", name, "file"), f"there is no file {calendar.file}")


# ------------------------------------------------------------------------------------------------ policies


def _bad_level(level: LevelEntry, document: Document, path: Path, known: Known) -> Iterator[Problem]:
    if not level.targets:
        yield document.problem(path, "has no targets: this level pages nobody", key=True)
    yield from _bad_targets(level.targets, document, (*path, "targets"), known)
    if level.when:
        at = (*path, "when")
        yield from bad_severities(level.when.severities, known.severities, document, (*at, "severities"))
        for number, window in enumerate(level.when.hours):
            if window.endless and window.from_ is None:
                words = 'is all the time, so it is no condition; wanted days, between: ["08:00", "18:00"] or until'
                yield document.problem((*at, "hours", number), words)


def _bad_targets(targets: Collection[str], document: Document, path: Path, known: Known) -> Iterator[Problem]:
    for number, target in enumerate(targets):
        wrong = _bad_target(target, known)
        if wrong:
            yield document.problem((*path, number), wrong)


def _bad_target(target: str, known: Known) -> str:
    kind, colon, name = target.partition(":")
    if not colon or not name or kind not in KINDS:
        write = "(write person:NAME, schedule:NAME, group:NAME, channel:NAME or medium:NAME)"
        return f"not a target: {quoted(target)}{_nearest_target(target, known)} {write}"
    if kind == "channel":
        try:
            channel_name(name)
        except ValueError as error:
            return str(error)
        return ""
    if kind == "medium" and name == SLACK:
        return "in Slack, a target is a channel; write channel:NAME"
    if kind == "medium" and known.media is None:
        return ""
    if name in known.named[kind]:
        return ""
    plural = {"person": "people", "medium": "media"}.get(kind, f"{kind}s")
    return unknown(kind, plural, name, known.named[kind])


def _nearest_target(target: str, known: Known) -> str:
    candidates = [f"{kind}:{name}" for kind, names in known.named.items() if kind != "rotation" for name in names]
    exact = [candidate for candidate in candidates if candidate.partition(":")[2] == target]
    return f"; did you mean {quoted(exact[0])}?" if exact else nearest(target, candidates)
