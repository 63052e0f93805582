"""Schedules agree with a second opinion (tests/support/schedule_oracle.py) wherever the clocks change, in twelve time zones and three years."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from bot.domain.schedule import (
    Holidays,
    Hours,
    Layer,
    Override,
    Schedule,
    Shift,
    hand_overs,
    next_change,
    on_call,
    shifts,
)
from tests.support.schedule_oracle import Oracle, Piece, as_pieces, clocks

ZONES = (
    "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Europe/Dublin", "Asia/Kolkata", "Africa/Cairo",
    "Asia/Beirut", "America/Santiago", "Pacific/Auckland", "Atlantic/Azores", "America/Havana", "UTC",
)  # fmt: skip
YEARS = (2025, 2026, 2027)
SECOND = timedelta(seconds=1)
OFFICE = Hours(days=("mon", "tue", "wed", "thu", "fri"), between=(time(9), time(17)))
NIGHTS = Hours(between=(time(22), time(6)))
SUNDAYS = Hours(days=("sun",))
SMALL_HOURS = Hours(days=("fri", "sat", "sun"), between=(time(0, 30), time(2, 30)))
BAVARIA = Holidays(country="DE", subdivision="BY")
THREE = (("ada",), ("bob",), ("chen",))


def rota(
    name: str, every: timedelta, starts: datetime, turns: tuple[tuple[str, ...], ...] = THREE, **more: Any
) -> Layer:
    return Layer(name=name, turns=turns, starts=starts, every=every, **more)


def override(number: int, person: str, starts: datetime, hours: float, **more: Any) -> Override:
    ends = starts + timedelta(hours=hours)
    return Override(number=number, schedule="shop", person=person, starts=starts, ends=ends, made_at=starts, **more)


def shapes(middle: datetime, pick: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    """Schedules of every kind around a (naive) time in the middle of the range. `pick` chooses how long ago they began."""
    day = datetime.combine(middle, time())
    ago = day - timedelta(days=pick.randrange(8, 60))
    at = timedelta(hours=pick.randrange(24), minutes=pick.choice((0, 15, 30, 45)))
    week, one, hour = timedelta(weeks=1), timedelta(days=1), timedelta(hours=1)
    now = middle.replace(tzinfo=UTC)
    daily = rota("daily", one, ago + at)
    yield "weekly", {"layers": (rota("weekly", week, ago + at),)}
    yield "daily-in-the-small-hours", {"layers": (rota("daily", one, ago + hour * pick.choice((0.5, 1.5, 2.25, 2.5))),)}
    yield "daily-at-midnight", {"layers": (rota("daily", one, ago),)}
    yield "twelve-hours", {"layers": (rota("half", 12 * hour, ago + at),)}
    yield "hourly", {"layers": (rota("hourly", hour, day - 4 * one + timedelta(minutes=pick.choice((0, 30)))),)}
    yield "twenty-minutes", {"layers": (rota("short", hour / 3, middle - one, (("ada",), ("bob", "chen"))),)}
    yield "three-days-in-pairs", {"layers": (rota("pairs", 3 * one, ago + at, (("ada", "bob"), ("chen",), ("bob",))),)}
    yield "ends-in-the-middle", {"layers": (rota("all", week, ago), rota("top", one, ago, until=middle + at / 9))}
    yield "nights-over-days", {"layers": (daily, rota("nights", week, ago, (("dora",), ("eve",)), hours=(NIGHTS,)))}
    yield "office-and-sundays", {"layers": (rota("office", one, ago + at, hours=(OFFICE, SUNDAYS)),)}
    yield (
        "windows-that-change",
        {"layers": (daily, rota("odd", 5 * hour, ago, (("dora",), ("eve",)), hours=(SMALL_HOURS,)))},
    )
    yield (
        "off-on-holidays",
        {"layers": (daily, rota("off", week, ago, (("dora",), ("eve",)), holidays=BAVARIA, hours=(NIGHTS,)))},
    )
    yield (
        "only-on-holidays",
        {"layers": (daily, rota("only", one, ago, (("dora",), ("eve",)), holidays=BAVARIA, on_holidays="only"))},
    )
    yield "overrides", {
        "layers": (daily,),
        "overrides": (
            override(2, "eve", now - 20 * hour, 45, instead_of="ada"),
            override(1, "dora", now - 30 * hour, 20),
            override(5, "", now + 26 * hour, 3),
            override(4, "bob", now + 5 * hour, 30, instead_of="eve", ended_at=now + 20 * hour),
            override(3, "ada", now - 2 * hour, 9, ended_at=now - 4 * hour),
        ),
    }  # fmt: skip
    yield (
        "a-calendar-on-top",
        {
            "layers": (daily, Layer(name="feed", feed="ics", hours=(NIGHTS,))),
            "feeds": {
                "ics": tuple(
                    Shift(person=pick.choice(("dora", "eve")), starts=now + n * 7 * hour, ends=now + (n * 7 + 9) * hour)
                    for n in range(-6, 6)
                )
            },
        },
    )


def ranges(zone: str) -> list[tuple[datetime, datetime]]:
    """Six days around every change of the clocks; where they never change, around what is one elsewhere."""
    changes = [at for at, _ in clocks(zone).changes[1:] if at.year in YEARS]
    elsewhere = [datetime(year, month, 28, 1, tzinfo=UTC) for year in YEARS for month in (3, 10)]
    return [(at - timedelta(days=3), at + timedelta(days=3)) for at in changes or elsewhere]


def cases() -> list[Any]:
    found = []
    for zone in ZONES:
        for number, (since, until) in enumerate(ranges(zone)):
            pick = random.Random(f"{zone} {number}")
            middle = clocks(zone).wall(since + (until - since) / 2).replace(second=0, microsecond=0)
            for shape, fields in shapes(middle, pick):
                name = f"{zone}-{middle:%Y-%m-%d}-{shape}"
                found.append(pytest.param(Schedule(key="shop", zone=zone, **fields), since, until, id=name))
    return found


ALL = cases()
SOME = [case for number, case in enumerate(ALL) if number % 4 == 0]  # every zone and every shape: 15 shapes


def check(schedule: Schedule, since: datetime, until: datetime) -> None:
    oracle = Oracle(schedule, since, until)
    expected = oracle.pieces()
    found = shifts(schedule, since, until)
    assert as_pieces(found) == expected
    for border in sorted({moment for piece in expected for moment in piece[:2]}):
        for moment in (border - SECOND, border, border + SECOND):
            if since <= moment < until:
                assert set(on_call(schedule, moment)) == oracle.at(moment), moment
    changes = [border for border in oracle.borders() if oracle.at(border) != oracle.at(border - SECOND)]
    inside = [border for border in changes if since < border < until]
    assert [moment for moment in hand_overs(schedule, since, until) if moment > since] == inside
    assert next_change(schedule, since, until - since - SECOND) == (inside[0] if inside else None)


def test_there_are_cases_of_ten_zones_and_three_years() -> None:
    assert len(SOME) >= 200
    schedules = [(case.values[0], case.values[1]) for case in SOME]
    assert {schedule.zone for schedule, _ in schedules} == set(ZONES) and len(ZONES) >= 10
    assert {since.year for _, since in schedules} == set(YEARS)


@pytest.mark.parametrize(("schedule", "since", "until"), SOME)
def test_a_schedule_is_what_its_rules_say(schedule: Schedule, since: datetime, until: datetime) -> None:
    check(schedule, since, until)


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES)
def test_every_case_of_a_zone_is_what_its_rules_say(zone: str) -> None:
    for case in ALL:
        if case.values[0].zone == zone:
            check(*case.values)


@pytest.mark.slow
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("year", YEARS)
def test_a_whole_year_is_what_its_rules_say(zone: str, year: int) -> None:
    starts = max(datetime.fromisoformat("2025-01-01T02:30"), datetime.fromisoformat(f"{year - 1}-12-20T02:30"))
    monday = datetime.fromisoformat(f"{year}-01-05T09:00")
    layers = (
        rota("daily", timedelta(days=1), starts),
        rota("nights", timedelta(weeks=1), monday, (("dora",), ("eve", "finn")), hours=(NIGHTS,)),
    )
    schedule = Schedule(key="shop", zone=zone, layers=layers)
    since, until = datetime(year, 1, 10, tzinfo=UTC), datetime(year, 12, 20, tzinfo=UTC)
    expected: list[Piece] = Oracle(schedule, since, until).pieces()
    assert as_pieces(shifts(schedule, since, until)) == expected
