"""oncall.yaml as a whole, made into the domain's people, schedules and policies. Used by load; checked by oncall_checks and oncall_doubts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time, timedelta
from pathlib import Path

from pydantic import Field

from bot.config import marks
from bot.config.channels import Media
from bot.config.oncall_people import OTHERS, SPOKEN, PersonEntry, phone_number, rule
from bot.config.oncall_policies import LevelEntry, PolicyEntry
from bot.config.oncall_schedules import (
    CalendarEntry,
    HoursEntry,
    LayerEntry,
    RotationEntry,
    ScheduleEntry,
    Several,
    Turns,
    wall_clock,
)
from bot.config.secrets import SecretAddress
from bot.config.server import Part
from bot.config.signal_made import own_hours
from bot.domain import escalation
from bot.domain.contact import Method, Notify
from bot.domain.people import Directory, Person
from bot.domain.schedule import Holidays, Hours, Layer, Schedule


class OncallFile(Part):
    """oncall.yaml"""

    people: Mapping[str, PersonEntry] = Field(default_factory=dict)
    groups: Mapping[str, Several] = Field(default_factory=dict, description="name: people")
    rotations: Mapping[str, RotationEntry] = Field(
        default_factory=dict, description="people who take turns: a schedule with one layer"
    )
    calendars: Mapping[str, CalendarEntry] = Field(
        default_factory=dict, description="iCalendar feeds and files that layers of schedules use"
    )
    schedules: Mapping[str, ScheduleEntry] = Field(default_factory=dict)
    policies: Mapping[str, PolicyEntry] = Field(default_factory=dict)
    alarm: tuple[str, ...] = Field(
        default=(),
        max_length=50,
        description="who hears it when a page got lost or nobody is left, beside slack.fallback_channel: targets, as in policies",
    )

    @property
    def turns(self) -> Mapping[marks.Path, Turns]:
        """Every rotation and every layer, by where it stands."""
        found: dict[marks.Path, Turns] = {("rotations", key): entry for key, entry in self.rotations.items()}
        for key, entry in self.schedules.items():
            found |= {("schedules", key, "layers", number): layer for number, layer in enumerate(entry.layers)}
        return found


@dataclass(frozen=True, slots=True)
class CalendarConfig:
    """A calendar that says who is on call: at `url`, or in `file` (absolute). `zone`: of times that say none."""

    name: str
    url: SecretAddress | None
    file: Path | None
    zone: str


def directory(file: OncallFile, roles: Mapping[str, tuple[str, ...]], media: Media) -> Directory:
    people = {
        key: Person(
            key=key,
            name=entry.name or key,
            slack=entry.slack,
            email=entry.email,
            zone=entry.zone,
            quiet=own_hours(entry.quiet),
            methods=methods(entry, media),
            notify={"" if severity == OTHERS else severity: _rules(rules) for severity, rules in entry.notify.items()},
            template=entry.template,
            recovery=entry.recovery,
        )
        for key, entry in file.people.items()
    }
    schedules = {key: _rotation(key, entry) for key, entry in file.rotations.items()}
    schedules |= {key: _schedule(key, entry) for key, entry in file.schedules.items()}
    return Directory(
        people=people,
        schedules=schedules,
        groups=dict(file.groups),
        roles=dict(roles),
        media={name: kind for name, kind in media.kinds.items() if kind},
    )


def methods(entry: PersonEntry, media: Media) -> tuple[Method, ...]:
    """By what a person can be reached beside Slack: what stands under `methods`, and what follows from their e-mail address and phone."""
    named = {
        key: (key, one) if isinstance(one, str) else (one.medium, one.address) for key, one in entry.methods.items()
    }
    own = {
        key: Method(key=key, medium=medium, address=_dialled(media.kinds.get(medium, ""), address))
        for key, (medium, address) in named.items()
    }
    implicit = (("email", entry.email), ("sms", entry.phone), ("call", entry.phone))
    for kind, address in implicit:
        medium = media.first(kind)
        if address and medium:
            own.setdefault(medium, Method(key=medium, medium=medium, address=address))
    return tuple(own.values())


def _dialled(kind: str, address: str) -> str:
    """A phone number as providers write it, so that an answer from it is known to be this person's; one that is none is a problem of its own."""
    if kind not in SPOKEN:
        return address
    try:
        return phone_number(address)
    except ValueError:
        return address


def _rules(rules: Sequence[str | Mapping[str, timedelta]]) -> tuple[Notify, ...]:
    return tuple(Notify(method=method, after=after) for method, after in map(rule, rules))


def _rotation(key: str, entry: RotationEntry) -> Schedule:
    zone = entry.zone or "UTC"
    return Schedule(
        key=key,
        zone=zone,
        layers=(_layer(key, entry, zone),),
        slack_group=entry.slack_group,
        tell=entry.tell,
        gaps_are_meant=entry.gaps == "fine",
    )


def _schedule(key: str, entry: ScheduleEntry) -> Schedule:
    return Schedule(
        key=key,
        zone=entry.zone,
        layers=tuple(
            _layer(layer.name or f"layer {number}", layer, entry.zone)
            for number, layer in enumerate(entry.layers, start=1)
        ),
        slack_group=entry.slack_group,
        tell=entry.tell,
        gaps_are_meant=entry.gaps == "fine",
    )


def _layer(name: str, entry: Turns, zone: str) -> Layer:
    return Layer(
        name=name,
        turns=tuple((one,) if isinstance(one, str) else one for one in entry.people),
        starts=wall_clock(entry.starts, zone) if entry.starts else None,
        every=entry.every,
        until=wall_clock(entry.until, zone) if entry.until else None,
        hours=tuple(_hours(one) for one in entry.hours),
        holidays=Holidays(country=entry.holidays.country, subdivision=entry.holidays.subdivision)
        if entry.holidays
        else None,
        on_holidays=entry.on_holidays or "off",
        feed=entry.calendar if isinstance(entry, LayerEntry) else "",
    )


def _hours(entry: HoursEntry) -> Hours:
    between: tuple[time, time] | None = (entry.between[0], entry.between[1]) if entry.between else None
    return Hours(days=entry.days, between=between)


def policies(file: OncallFile) -> dict[str, escalation.Policy]:
    return {
        key: escalation.Policy(
            key=key,
            levels=tuple(_level(level) for level in entry.levels),
            repeat=entry.repeat,
            remind_after=entry.acknowledged.remind if entry.acknowledged else None,
            expires_after=entry.acknowledged.expires if entry.acknowledged else None,
        )
        for key, entry in file.policies.items()
    }


def _level(entry: LevelEntry) -> escalation.Level:
    when = entry.when
    condition = (
        escalation.Condition(
            hours=when.hours,
            severities=frozenset(when.severities),
            more_than=when.more_than or 0,
            within=when.within,
        )
        if when
        else escalation.Condition()
    )
    return escalation.Level(targets=entry.targets, timeout=entry.timeout, round_robin=entry.round_robin, when=condition)


def calendars(file: OncallFile, folder: Path) -> dict[str, CalendarConfig]:
    """`folder`: that of the configuration, absolute."""
    return {
        key: CalendarConfig(key, entry.url, folder / entry.file if entry.file else None, entry.zone)
        for key, entry in file.calendars.items()
    }


def media_used(file: OncallFile, media: Media) -> set[str]:
    """The names of the media that a person has a method for, or that are a target."""
    used = {method.medium for entry in file.people.values() for method in methods(entry, media)}
    return used | {target.removeprefix("medium:") for target in targets(file) if target.startswith("medium:")}


def targets(file: OncallFile) -> set[str]:
    """Everything that a policy or an alarm goes to."""
    return {target for policy in file.policies.values() for level in policy.levels for target in level.targets} | set(
        file.alarm
    )
