"""A second opinion on who is on call, written from the rules alone and on top of dateutil only; slow, simple, and sharing no code with bot/.

It knows a zone as a table of moments at which the clocks change, found by walking through UTC with dateutil.tz; it writes down every border of every
turn and window with dateutil.rrule; and it asks at each of those moments who is on call.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise

import holidays
from dateutil import rrule, tz

from bot.domain.schedule import Hours, Layer, Override, Schedule, Shift

FROM, TO = datetime(2024, 12, 1, tzinfo=UTC), datetime(2028, 2, 1, tzinfo=UTC)
# dateutil 2.9 is wrong for an hour a year in zones whose winter time counts as the special one; Dublin's clocks have been London's since 1972.
SAME_CLOCK = {"Europe/Dublin": "Europe/London"}
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Person = str
Piece = tuple[datetime, datetime, Person]


@dataclass(frozen=True)
class Clocks:
    """Offsets from UTC: each from one moment on."""

    changes: tuple[tuple[datetime, timedelta], ...]

    def wall(self, moment: datetime) -> datetime:
        offset = next(offset for at, offset in reversed(self.changes) if at <= moment)
        return moment.replace(tzinfo=None) + offset

    def moments(self, wall: datetime) -> list[datetime]:
        """When the clock shows this time: once, twice; or, never, the moment at which it jumps over it."""
        readings = {wall.replace(tzinfo=UTC) - offset for _, offset in self.changes}
        shown = sorted(moment for moment in readings if moment >= FROM and self.wall(moment) == wall)
        if shown:
            return shown
        for at, _ in self.changes[1:]:
            if self.wall(at - timedelta(seconds=1)) < wall < self.wall(at):
                return [at]
        raise AssertionError(f"{wall} is outside of the table")

    def first(self, wall: datetime) -> datetime:
        return self.moments(wall)[0]

    def last(self, wall: datetime) -> datetime:
        return self.moments(wall)[-1]


@lru_cache(maxsize=64)
def clocks(zone: str) -> Clocks:
    """By walking through UTC day by day, and minute by minute in the days in which the clocks change."""
    known = tz.gettz(SAME_CLOCK.get(zone, zone))

    def offset(moment: datetime) -> timedelta:
        return moment.astimezone(known).utcoffset() or timedelta()

    changes, at, day = [(FROM, offset(FROM))], FROM, timedelta(days=1)
    while at < TO:
        if offset(at + day) != offset(at):
            minutes = (at + timedelta(minutes=number) for number in range(1, 1441))
            moment = next(minute for minute in minutes if offset(minute) == offset(at + day))
            changes.append((moment, offset(moment)))
        at += day
    return Clocks(tuple(changes))


def borders_of_turns(layer: Layer, until: datetime) -> list[datetime]:
    """The naive beginnings of all turns up to a naive time, and the one after."""
    assert layer.starts is not None
    seconds = int(layer.every.total_seconds())
    units = ((604800, rrule.WEEKLY), (86400, rrule.DAILY), (3600, rrule.HOURLY), (60, rrule.MINUTELY))
    size, frequency = next(unit for unit in units if seconds % unit[0] == 0)
    until = until + layer.every
    return list(rrule.rrule(frequency, dtstart=layer.starts, interval=seconds // size, until=until))


def turns(layer: Layer, zone: Clocks, until: datetime) -> list[Piece]:
    if not layer.turns:
        return []
    borders = borders_of_turns(layer, zone.wall(until) + timedelta(days=2))
    found = []
    for number, (border, following) in enumerate(pairwise(borders)):
        if layer.until is not None and border >= layer.until:
            break
        ends = following if layer.until is None else min(following, layer.until)
        for person in layer.turns[number % len(layer.turns)]:
            found.append((zone.first(border), zone.last(ends), person))
    return found


@lru_cache(maxsize=16)
def of_country(country: str, subdivision: str) -> holidays.HolidayBase:
    return holidays.country_holidays(country, subdiv=subdivision or None)


def is_holiday(layer: Layer, day: date) -> bool:
    assert layer.holidays is not None
    return day in of_country(layer.holidays.country, layer.holidays.subdivision)


def windows(layer: Layer, zone: Clocks, since: datetime, until: datetime) -> list[tuple[datetime, datetime]] | None:
    """When the layer counts; None: always."""
    if not layer.hours and layer.holidays is None:
        return None
    first_day = zone.wall(since).replace(hour=0, minute=0, second=0) - timedelta(days=3)
    days = rrule.rrule(rrule.DAILY, dtstart=first_day, until=zone.wall(until) + timedelta(days=2))
    found = []
    for midnight in days:
        if layer.holidays is not None and is_holiday(layer, midnight.date()) != (layer.on_holidays == "only"):
            continue
        for hours in layer.hours or (Hours(),):
            if hours.days and WEEKDAYS[midnight.weekday()] not in hours.days:
                continue
            begin, end = midnight, midnight + timedelta(days=1)
            if hours.between is not None:
                begin = datetime.combine(midnight, hours.between[0])
                end = datetime.combine(midnight, hours.between[1])
                end += timedelta(days=1) if end <= begin else timedelta()
            found.append((zone.first(begin), zone.last(end)))
    return found


@dataclass
class Written:
    """One layer, written out."""

    people: list[Piece]
    counts: list[tuple[datetime, datetime]] | None

    def at(self, moment: datetime) -> set[Person]:
        if self.counts is not None and not any(begin <= moment < end for begin, end in self.counts):
            return set()
        return {person for begin, end, person in self.people if begin <= moment < end}

    def borders(self) -> Iterable[datetime]:
        for begin, end, _ in self.people:
            yield from (begin, end)
        for begin, end in self.counts or ():
            yield from (begin, end)


class Oracle:
    """Of one schedule, for one stretch of time within the years 2025 to 2027."""

    def __init__(self, schedule: Schedule, since: datetime, until: datetime) -> None:
        zone = clocks(schedule.zone)
        self.since, self.until, self.schedule = since, until, schedule
        self.layers = []
        for layer in schedule.layers:
            feed = [(shift.starts, shift.ends, shift.person) for shift in schedule.feeds.get(layer.feed, ())]
            people = [
                piece
                for piece in (feed if layer.feed else turns(layer, zone, until))
                if piece[1] > since - timedelta(days=1) and piece[0] < until + timedelta(days=1)
            ]
            self.layers.append(Written(people, windows(layer, zone, since, until)))

    def at(self, moment: datetime) -> set[Person]:
        people: set[Person] = set()
        for layer in self.layers:  # from the bottom to the top
            people = layer.at(moment) or people
        for override in sorted(self.schedule.overrides, key=lambda one: one.number):
            if not override.starts <= moment < self._end(override):
                continue
            if not override.instead_of:
                people = {override.person}
            elif override.instead_of in people:
                people = people - {override.instead_of} | {override.person}
        return people - {""}

    @staticmethod
    def _end(override: Override) -> datetime:
        return min(override.ends, override.ended_at or override.ends)

    def borders(self) -> list[datetime]:
        """Every moment of the time at which anything could change, and its beginning and end."""
        found = {self.since, self.until}
        for layer in self.layers:
            found.update(layer.borders())
        for override in self.schedule.overrides:
            found.update((override.starts, self._end(override)))
        return sorted(moment for moment in found if self.since <= moment <= self.until)

    def pieces(self) -> list[Piece]:
        """Who is on call from when to when; neighbouring pieces of one person joined."""
        borders = self.borders()
        return joined((begin, end, person) for begin, end in pairwise(borders) for person in self.at(begin))


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    result: dict[Person, list[Piece]] = {}
    for begin, end, person in sorted(pieces):
        own = result.setdefault(person, [])
        if own and own[-1][1] == begin:
            own[-1] = (own[-1][0], end, person)
        else:
            own.append((begin, end, person))
    return sorted(piece for own in result.values() for piece in own)


def as_pieces(shifts: Iterable[Shift]) -> list[Piece]:
    return joined((shift.starts, shift.ends, shift.person) for shift in shifts)
