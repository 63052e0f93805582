"""Who is on call when: layers of rotations and calendars, restricted to hours and days, with overrides on top. Pure; correct across DST.

Rotations are counted on the wall clock of their zone, and only their borders become moments: a turn from 09:00 to 09:00 is an hour longer or shorter
when the clocks change. A border at a wall time that occurs twice begins a turn at the first and ends one at the second (so both are on call in
between); one that does not occur is the moment at which the clocks jump. The rules are those of GoAlert (target/goalert pull request 1252).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from bot.domain.holiday import EARLIEST, LATEST, is_holiday
from bot.domain.intervals import Interval, common, cut, united, without
from bot.domain.naming import length
from bot.domain.rotation import MOST_TURNS, Rotation
from bot.domain.wall_clock import around, day_window, last, zone_of
from bot.domain.windows import DAYS
from bot.errors import BadInput

LONGEST = timedelta(days=1100)  # that one answer may cover
FIRST_MONDAY = datetime.fromisoformat("1970-01-05")  # from when turns are counted that have no beginning of their own
FOREVER = timedelta(days=500 * 365)
DAY, MOMENT = timedelta(days=1), datetime.resolution


class Shift(BaseModel):
    """Somebody (a key of `people`) is on call from `starts` to `ends` (not included). `by`: the layer or override that says so, for people."""

    model_config = ConfigDict(frozen=True)

    person: str
    starts: datetime
    ends: datetime
    by: str = ""


class Hours(BaseModel):
    """When a layer counts: on these days of the week (none: all) between two wall-clock times (none: the whole day; may go past midnight, and then
    belongs to the day on which it begins)."""

    model_config = ConfigDict(frozen=True)

    days: tuple[str, ...] = ()
    between: tuple[time, time] | None = None


class Holidays(BaseModel):
    """Public holidays of a country and, when given, one of its parts (as the `holidays` package names them: DE, BY)."""

    model_config = ConfigDict(frozen=True)

    country: str
    subdivision: str = ""


class Layer(BaseModel):
    """One rotation, or one calendar (`feed`: its name). `turns`: who has the first turn, the second, …, and then the first again; each is one person
    or several at once. `starts`: wall clock of the first turn's beginning; `every`: wall-clock length of a turn. `until`: wall clock of the end.

    `hours`: it counts only then (any of them). `holidays`: `off`, not on these days; `only`, on nothing but these days.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    turns: tuple[tuple[str, ...], ...] = ()
    starts: datetime | None = None
    every: timedelta = timedelta(weeks=1)
    until: datetime | None = None
    hours: tuple[Hours, ...] = ()
    holidays: Holidays | None = None
    on_holidays: Literal["off", "only"] = "off"
    feed: str = ""


class Override(BaseModel):
    """Somebody else, for a time. `instead_of` empty: instead of everybody who would be on call; else of that person alone (a swap).

    `person` empty: nobody (only by hand, with a warning). A later number wins over an earlier one.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    schedule: str
    person: str
    starts: datetime
    ends: datetime
    instead_of: str = ""
    by: str = ""
    why: str = ""
    made_at: datetime
    ended_at: datetime | None = None


class Schedule(BaseModel):
    """Layers from the bottom to the top: at any moment the topmost one that has somebody counts. `zone`: whose wall clock it goes by.

    `overrides` and `feeds` (calendars by name, as shifts) come from the database; the rest from oncall.yaml. `slack_group`: the id of a Slack user
    group (S…) that is kept equal to who is on call. `tell`: the Slack channel that hears of hand-overs and of gaps. `gaps_are_meant`: nobody is
    warned of them (a schedule of office hours).
    """

    model_config = ConfigDict(frozen=True)

    key: str
    zone: str = "UTC"
    layers: tuple[Layer, ...] = ()
    overrides: tuple[Override, ...] = ()
    feeds: Mapping[str, tuple[Shift, ...]] = {}
    slack_group: str = ""
    tell: str = ""
    gaps_are_meant: bool = False


class _Span(NamedTuple):
    person: str
    starts: datetime
    ends: datetime
    by: str


def on_call(schedule: Schedule, at: datetime) -> tuple[str, ...]:
    """The keys of those on call at a moment, each once, in a stable order; empty: nobody. Cost does not grow with how long ago the rotation began.

    Raises BadInput as `shifts` does.
    """
    return tuple(dict.fromkeys(span.person for span in _spans(schedule, at, at + MOMENT)))


def shifts(schedule: Schedule, since: datetime, until: datetime) -> tuple[Shift, ...]:
    """The final schedule of a time: who is on call from when to when, cut to it, neighbours of the same person and origin joined; ordered by start,
    then person. Agrees with `on_call` at every moment. In UTC.

    Raises BadInput for more than three years or 50,000 shifts at once, for years before 1970 or after 2200, and for an unknown zone or country.
    """
    spans = sorted(_each_once(_spans(schedule, since, until)), key=lambda span: (span.starts, span.person))
    return tuple(Shift(person=span.person, starts=span.starts, ends=span.ends, by=span.by) for span in spans)


def next_change(schedule: Schedule, after: datetime, within: timedelta = timedelta(days=62)) -> datetime | None:
    """The first moment later than `after` at which somebody else is on call; None: not within that time."""
    at, step, end = after.astimezone(UTC), timedelta(hours=6), after.astimezone(UTC) + within
    while at < end:
        until = min(at + step, end)
        changes = _changes(_spans(schedule, at, until + MOMENT), at, until + MOMENT)
        if changes:
            return changes[0]
        at, step = (
            until,
            min(step * 2, timedelta(days=7)),
        )  # short ones first: most turns of minutes are never looked at
    return None


def hand_overs(schedule: Schedule, since: datetime, until: datetime) -> Sequence[datetime]:
    """Every moment of [since, until) at which who is on call changes."""
    return _changes(_spans(schedule, since - MOMENT, until), since - MOMENT, until)


def _spans(schedule: Schedule, since: datetime, until: datetime) -> list[_Span]:
    """Who is on call in [since, until), in pieces: a person can be in two of them at once, by two origins."""
    since, until = _checked(since), _checked(until)
    if until - since > LONGEST:
        raise BadInput(
            f"{length((until - since).total_seconds())} is too long a time for one answer: ask for at most {length(LONGEST.total_seconds())}"
        )
    zone = zone_of(schedule.zone)
    spans: list[_Span] = []
    left = [(since, until)] if since < until else []
    for layer in reversed(schedule.layers):
        own = _of_layer(layer, schedule.feeds.get(layer.feed, ()), zone, left)
        spans.extend(own)
        left = without(left, united((span.starts, span.ends) for span in own)) if own else left
        if not left:
            break
    for override in sorted(schedule.overrides, key=lambda one: one.number):
        ends = override.ends if override.ended_at is None else min(override.ends, override.ended_at)
        during = (max(since, override.starts.astimezone(UTC)), min(until, ends.astimezone(UTC)))
        if during[0] < during[1]:
            spans = list(_overridden(spans, override, during))
    if len(spans) > 2 * MOST_TURNS:
        raise BadInput(f"{len(spans):,} shifts are too many for one answer: ask for a shorter time")
    return spans


def _checked(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise BadInput(f"{moment} has no time zone: end it with Z or an offset like +01:00")
    if not EARLIEST <= moment.year <= LATEST:
        raise BadInput(f"{moment:%Y-%m-%d} is not between the years {EARLIEST} and {LATEST}")
    return moment.astimezone(UTC)


def _of_layer(layer: Layer, feed: Iterable[Shift], zone: ZoneInfo, times: Sequence[Interval]) -> list[_Span]:
    """Whom one layer has in these times."""
    if times and (layer.hours or layer.holidays):
        times = common(times, _counting(layer, zone, times[0][0], times[-1][1]))
    if layer.feed:
        end = last(_wall(layer.until, zone), zone) if layer.until else None
        return [
            _Span(shift.person, begin, min(end or stop, stop), layer.name)
            for shift in feed
            if times and shift.starts < times[-1][1] and times[0][0] < shift.ends
            for begin, stop in cut((shift.starts.astimezone(UTC), shift.ends.astimezone(UTC)), times)
            if shift.person and (end is None or begin < end)
        ]
    if not layer.turns:
        return []
    turns = layer.turns if len(set(layer.turns)) > 1 else layer.turns[:1]
    rotation = Rotation(
        starts=_wall(layer.starts or FIRST_MONDAY, zone),
        every=layer.every if len(turns) > 1 else FOREVER,
        zone=zone,
        until=_wall(layer.until, zone) if layer.until else None,
    )
    return [
        _Span(person, begin, end, layer.name)
        for number, begin, end in rotation.turns(times)
        for person in turns[number % len(turns)]
        if person
    ]


def _wall(at: datetime, zone: ZoneInfo) -> datetime:
    return at if at.tzinfo is None else at.astimezone(zone).replace(tzinfo=None, fold=0)


def _counting(layer: Layer, zone: ZoneInfo, since: datetime, until: datetime) -> list[Interval]:
    """When the layer counts, by hours and holidays. What goes past midnight belongs to the day on which it begins."""
    begin = around(since, zone)[0].date() - 2 * DAY
    end = around(until, zone)[1].date()
    days = [begin + number * DAY for number in range((end - begin).days + 1)]
    days = [day for day in days if _wanted(layer, day)]
    return united(
        day_window(day, hours.between, zone)
        for hours in layer.hours or (Hours(),)
        for day in days
        if not hours.days or DAYS[day.weekday()] in hours.days
    )


def _wanted(layer: Layer, day: date) -> bool:
    if layer.holidays is None:
        return True
    return is_holiday(layer.holidays.country, layer.holidays.subdivision, day) is (layer.on_holidays == "only")


def _overridden(spans: Iterable[_Span], override: Override, during: Interval) -> Iterable[_Span]:
    """What an override leaves of them, and itself: at the end, or in the places of whom it replaces."""
    by = f"override {override.number}"
    for span in spans:
        begin, end = max(span.starts, during[0]), min(span.ends, during[1])
        if begin >= end or override.instead_of not in ("", span.person):
            yield span
            continue
        if span.starts < begin:
            yield span._replace(ends=begin)
        if override.instead_of and override.person:
            yield _Span(override.person, begin, end, by)
        if end < span.ends:
            yield span._replace(starts=end)
    if override.person and not override.instead_of:
        yield _Span(override.person, *during, by)


def _each_once(spans: Iterable[_Span]) -> list[_Span]:
    """The same with no person twice at once: the origin that was there first counts; pieces of one origin are joined."""
    result: list[_Span] = []
    latest: dict[str, int] = {}
    for span in sorted(spans, key=lambda one: one.starts):
        place = latest.get(span.person)
        before = result[place] if place is not None else None
        if before is not None and place is not None and span.starts <= before.ends and span.by == before.by:
            result[place] = before._replace(ends=max(before.ends, span.ends))
            continue
        starts = span.starts if before is None else max(span.starts, before.ends)
        if starts < span.ends:
            latest[span.person] = len(result)
            result.append(span._replace(starts=starts))
    return result


def _changes(spans: Iterable[_Span], since: datetime, until: datetime) -> list[datetime]:
    """Every moment in (since, until) at which the people are others than just before."""
    turned: dict[datetime, set[str]] = {}
    for span in _each_once(spans):
        for at in (span.starts, span.ends):
            turned.setdefault(at, set()).symmetric_difference_update((span.person,))
    return sorted(at for at, people in turned.items() if people and since < at < until)
