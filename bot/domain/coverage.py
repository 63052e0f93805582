"""What is wrong with who is on call, found before it hurts: gaps, contradicting overrides and calendars, one person in two places. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from bot.domain.intervals import cut, united, without
from bot.domain.naming import english_list, length
from bot.domain.schedule import Override, Schedule, Shift, shifts
from bot.domain.wall_clock import clocks_go_back, shown, zone_of

MOST = 200  # findings of one kind; a calendar can hold thousands of shifts
Kind = Literal["gap", "overrides", "calendar", "clocks", "doubled"]


class Finding(BaseModel):
    """`words`: one line for people, in the time of the (first) schedule; people by their names when these were given. In UTC.

    gap: nobody is on call. overrides: two that contradict each other. calendar: two people at once. clocks: a hand-over at a time that occurs twice.
    doubled: one person in two schedules.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    schedules: tuple[str, ...]
    starts: datetime
    ends: datetime
    people: tuple[str, ...] = ()
    words: str


def gaps(schedule: Schedule, since: datetime, until: datetime) -> tuple[Finding, ...]:
    """When nobody is on call; nothing when `gaps_are_meant`. Raises BadInput as `shifts` does."""
    if schedule.gaps_are_meant:
        return ()
    zone = zone_of(schedule.zone)
    there = united((shift.starts, shift.ends) for shift in shifts(schedule, since, until))
    return tuple(
        Finding(
            kind="gap",
            schedules=(schedule.key,),
            starts=starts,
            ends=ends,
            words=f"nobody is on call {_when(starts, ends, zone)}",
        )
        for starts, ends in without([(since.astimezone(UTC), until.astimezone(UTC))], there)
    )


def overlaps(
    schedule: Schedule, since: datetime, until: datetime, names: Mapping[str, str] | None = None
) -> tuple[Finding, ...]:
    """Where it contradicts itself, or has two people for one turn, by start; not where a turn is meant for several. At most 200 of each kind.

    `names`: what people are called, by key. Raises BadInput as `shifts` does.
    """
    since, until = since.astimezone(UTC), until.astimezone(UTC)
    called = names or {}
    found: list[Finding] = []
    for kind in (_overrides, _calendars, _clocks):
        found.extend(one for one, _ in zip(kind(schedule, since, until, called), range(MOST), strict=False))
    return tuple(sorted(found, key=lambda one: (one.starts, one.ends, one.words)))


def doubled(
    schedules: Iterable[Schedule], since: datetime, until: datetime, names: Mapping[str, str] | None = None
) -> tuple[Finding, ...]:
    """Who is on call in two schedules at once, by start. Raises BadInput as `shifts` does."""
    called, found = names or {}, []
    theirs = [(schedule, _by_person(shifts(schedule, since, until))) for schedule in schedules]
    for (one, mine), (other, others) in combinations(theirs, 2):
        zone = zone_of(one.zone)
        for person in sorted(set(mine) & set(others)):
            name = called.get(person, person)
            for starts, ends in (part for shift in mine[person] for part in cut(shift, others[person])):
                words = f"{name} is on call in {one.key} and {other.key} at once {_when(starts, ends, zone)}"
                keys = (one.key, other.key)
                found.append(
                    Finding(kind="doubled", schedules=keys, starts=starts, ends=ends, people=(person,), words=words)
                )
    return tuple(sorted(found, key=lambda one: (one.starts, one.ends, one.words)))


def _by_person(final: Iterable[Shift]) -> dict[str, list[tuple[datetime, datetime]]]:
    found: dict[str, list[tuple[datetime, datetime]]] = {}
    for shift in final:
        found.setdefault(shift.person, []).append((shift.starts.astimezone(UTC), shift.ends.astimezone(UTC)))
    return {person: united(times) for person, times in found.items()}


def _overrides(schedule: Schedule, since: datetime, until: datetime, names: Mapping[str, str]) -> Iterator[Finding]:
    """Two for the same time: only the later one counts, which may surprise whoever made the other."""
    zone = zone_of(schedule.zone)
    inside = [one for one in schedule.overrides if one.starts < until and since < _end(one)]
    for one, other in combinations(sorted(inside, key=lambda override: override.number), 2):
        same_person = one.person == other.person and one.instead_of == other.instead_of
        apart = one.instead_of != other.instead_of and one.instead_of and other.instead_of
        starts = max(one.starts, other.starts, since).astimezone(UTC)
        ends = min(_end(one), _end(other), until).astimezone(UTC)
        if starts < ends and not same_person and not apart:
            words = f"{_named(one, names)} and {_named(other, names)} overlap {_when(starts, ends, zone)}; {other.number} counts"
            yield _finding("overrides", schedule, (starts, ends), (one.person, other.person), words)


def _end(override: Override) -> datetime:
    return override.ends if override.ended_at is None else min(override.ends, override.ended_at)


def _named(override: Override, names: Mapping[str, str]) -> str:
    who = names.get(override.person, override.person) or "nobody"
    instead = f" instead of {names.get(override.instead_of, override.instead_of)}" if override.instead_of else ""
    return f"override {override.number} ({who}{instead})"


def _calendars(schedule: Schedule, since: datetime, until: datetime, names: Mapping[str, str]) -> Iterator[Finding]:
    """One calendar with different people at once."""
    zone = zone_of(schedule.zone)
    for feed in dict.fromkeys(layer.feed for layer in schedule.layers if layer.feed):
        inside = [shift for shift in schedule.feeds.get(feed, ()) if shift.starts < until and since < shift.ends]
        own = [
            Shift(person=person, starts=max(starts, since), ends=min(ends, until))
            for person, times in _by_person(inside).items()
            for starts, ends in times
        ]
        for one, other, starts, ends in _at_once(sorted(own, key=lambda shift: (shift.starts, shift.person))):
            who = english_list(names.get(person, person) for person in (one.person, other.person))
            words = f"the calendar {feed} has {who} at once {_when(starts, ends, zone)}"
            yield _finding("calendar", schedule, (starts, ends), (one.person, other.person), words)


def _clocks(schedule: Schedule, since: datetime, until: datetime, names: Mapping[str, str]) -> Iterator[Finding]:
    """Hand-overs at a time that occurs twice: the next one begins at the first, the one before ends at the second."""
    zone = zone_of(schedule.zone)
    for change, back in clocks_go_back(since, until, zone):
        final = shifts(schedule, change - 3 * back, change + 3 * back)
        for one, other, starts, ends in _at_once(final):
            same_time = starts.astimezone(zone).replace(tzinfo=None) == ends.astimezone(zone).replace(tzinfo=None)
            if one.person != other.person and one.by == other.by and same_time and ends - starts == back:
                who = english_list(names.get(person, person) for person in (one.person, other.person))
                words = (
                    f"{who} are both on call {_when(starts, ends, zone)}: "
                    "the clocks go back, so the time of their hand-over occurs twice"
                )
                yield _finding("clocks", schedule, (starts, ends), (one.person, other.person), words)


def _at_once(ordered: Sequence[Shift]) -> Iterator[tuple[Shift, Shift, datetime, datetime]]:
    """Pairs that overlap, and from when to when. Ordered by start."""
    for number, one in enumerate(ordered):
        for other in ordered[number + 1 :]:
            if other.starts >= one.ends:
                break
            yield one, other, other.starts, min(one.ends, other.ends)


def _finding(
    kind: Kind, schedule: Schedule, time: tuple[datetime, datetime], people: tuple[str, ...], words: str
) -> Finding:
    starts, ends = time
    who = tuple(person for person in people if person)
    return Finding(kind=kind, schedules=(schedule.key,), starts=starts, ends=ends, people=who, words=words)


def _when(starts: datetime, ends: datetime, zone: ZoneInfo) -> str:
    return f"from {shown(starts, zone)} to {shown(ends, zone)} ({zone.key}), {length((ends - starts).total_seconds())}"
