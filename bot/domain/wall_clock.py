"""What a clock on the wall of a time zone shows, and when it shows it: also for times that occur twice or not at all. Used by schedules.

The rules of local times are those of PEP 495 (https://peps.python.org/pep-0495/); what a hand-over makes of them stands in `schedule`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from bot.domain.naming import nearest
from bot.domain.windows import DAYS
from bot.errors import BadInput

SECOND = timedelta(seconds=1)
LONGEST_CHANGE = timedelta(hours=25)  # Samoa skipped a whole day


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name (Europe/Berlin). Raises BadInput with the nearest one."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError
        near = nearest(name[:60], available_timezones())
        raise BadInput(f"zone: no time zone is called {name[:60]!r}{near}") from None


@lru_cache(maxsize=65536)
def first(wall: datetime, zone: ZoneInfo) -> datetime:
    """The moment, in UTC, at which the clock shows this (naive) time for the first time; at which it jumps over it, when it never does."""
    early, late = _read_both_ways(wall, zone)
    return early if early <= late else _jump(late, early, zone)


@lru_cache(maxsize=65536)
def last(wall: datetime, zone: ZoneInfo) -> datetime:
    """The moment, in UTC, at which the clock shows this (naive) time for the last time; at which it jumps over it, when it never does."""
    early, late = _read_both_ways(wall, zone)
    return late if early <= late else _jump(late, early, zone)


def around(moment: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The least and the greatest (naive) time that can matter at a moment: the same but near a change of the clocks."""
    offsets = [_offset(moment + away, zone) for away in (-LONGEST_CHANGE, timedelta(), LONGEST_CHANGE)]
    naive = moment.astimezone(UTC).replace(tzinfo=None)
    return naive + min(offsets), naive + max(offsets)


def day_window(day: date, between: tuple[time, time] | None, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The window that begins on a day, in UTC: the whole day, or between two times of day, past midnight when the second is not later."""
    begin, end = between or (time(), time())
    following = day + timedelta(days=1) if end <= begin else day
    return first(datetime.combine(day, begin), zone), last(datetime.combine(following, end), zone)


def clocks_go_back(since: datetime, until: datetime, zone: ZoneInfo) -> list[tuple[datetime, timedelta]]:
    """Every moment of [since, until) at which the clocks are put back, and by how much."""
    found, at, step = [], since.astimezone(UTC), timedelta(days=1)
    while at < until:
        then = min(at + step, until.astimezone(UTC))
        back = _offset(at, zone) - _offset(then, zone)
        if back > timedelta():
            found.append((_jump(at, then, zone), back))
        at = then
    return found


def shown(moment: datetime, zone: ZoneInfo) -> str:
    """`Sat 2026-03-28 18:00`; with the zone's letters behind it (`Sun 2026-10-25 02:30 CEST`) when that time occurs twice."""
    local = moment.astimezone(zone)
    wall = local.replace(tzinfo=None, fold=0)
    seconds = ":%S" if wall.second else ""
    letters = f" {local.tzname()}" if first(wall, zone) != last(wall, zone) else ""
    return f"{DAYS[wall.weekday()].title()} {wall:%Y-%m-%d %H:%M}{wall.strftime(seconds)}{letters}"


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta()


def _read_both_ways(wall: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """By the offset before a change of the clocks and by the one after it. The first is later than the second when the time does not occur."""
    return (
        wall.replace(tzinfo=zone, fold=0).astimezone(UTC),
        wall.replace(tzinfo=zone, fold=1).astimezone(UTC),
    )


def _jump(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The moment in (before, after] at which the clocks are changed; they are changed at whole seconds."""
    low, new = before.replace(microsecond=0), _offset(after, zone)
    least, most = 0, int((after - low) / SECOND) + 1
    while most - least > 1:
        middle = (least + most) // 2
        if _offset(low + middle * SECOND, zone) == new:
            most = middle
        else:
            least = middle
    return low + most * SECOND
