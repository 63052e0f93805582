"""Gaps, contradictions and people in two places, found before they hurt and said in words."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.coverage import doubled, gaps, overlaps
from bot.domain.schedule import Hours, Layer, Override, Schedule, Shift, on_call

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WORKDAYS = ("mon", "tue", "wed", "thu", "fri")
NAMES = {"ada": "Ada", "bob": "Bob"}


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def rota(starts: str, every: timedelta, **more: Any) -> Layer:
    return Layer(name="rota", turns=(("ada",), ("bob",)), starts=datetime.fromisoformat(starts), every=every, **more)


def schedule(*layers: Layer, key: str = "shop", zone: str = "Europe/Berlin", **more: Any) -> Schedule:
    return Schedule(key=key, zone=zone, layers=layers, **more)


def override(number: int, person: str, starts: str, hours: float, **more: Any) -> Override:
    begin = utc(starts)
    ends = begin + hours * HOUR
    return Override(number=number, schedule="shop", person=person, starts=begin, ends=ends, made_at=begin, **more)


ALWAYS = Layer(name="all", turns=(("ada",),))


def test_a_gap_is_said_in_the_time_of_the_schedule() -> None:
    """A day of the weekend on which the clocks go forward: 15 hours on the wall, and 14 that pass."""
    until_six = Hours(days=("sat",), between=(time(9), time(18)))
    from_nine = Hours(days=("sun",), between=(time(9), time(18)))
    found = gaps(
        schedule(rota("2026-01-05T09:00", DAY, hours=(until_six, from_nine))),
        utc("2026-03-28T12:00"),
        utc("2026-03-29T10:00"),
    )
    assert [one.words for one in found] == [
        "nobody is on call from Sat 2026-03-28 18:00 to Sun 2026-03-29 09:00 (Europe/Berlin), 14 h"
    ]
    assert (found[0].kind, found[0].schedules, found[0].starts) == ("gap", ("shop",), utc("2026-03-28T17:00"))


def test_there_is_no_gap_where_somebody_is_always_there_and_none_where_it_is_meant() -> None:
    span = (utc("2026-03-20T00:00"), utc("2026-04-20T00:00"))
    assert gaps(schedule(rota("2026-01-05T02:30", DAY)), *span) == ()
    assert next(one.words for one in gaps(schedule(), *span)).endswith("31 d")
    assert gaps(schedule(gaps_are_meant=True), *span) == ()


def test_an_override_with_nobody_makes_a_gap() -> None:
    found = gaps(
        schedule(ALWAYS, overrides=(override(1, "", "2026-03-20T08:00", 2.5),)),
        utc("2026-03-20T00:00"),
        utc("2026-03-21T00:00"),
    )
    assert [one.words for one in found] == [
        "nobody is on call from Fri 2026-03-20 09:00 to Fri 2026-03-20 11:30 (Europe/Berlin), 2 h 30 min"
    ]


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 90), st.integers(1, 20), st.sampled_from(["ada", ""])), max_size=5))
def test_a_moment_is_in_a_gap_when_nobody_is_on_call(given: list[tuple[int, int, str]]) -> None:
    since = utc("2026-10-23T00:00")
    overrides = [
        override(number, person, f"{since + begin * HOUR:%Y-%m-%dT%H:%M}", hours)
        for number, (begin, hours, person) in enumerate(given)
    ]
    weekly = rota("2026-10-23T00:00", 7 * HOUR, hours=(Hours(days=WORKDAYS),))
    shop = schedule(weekly, overrides=tuple(overrides))
    found = gaps(shop, since, since + 96 * HOUR)
    for number in range(96 * 2):
        at = since + number * HOUR / 2
        assert any(one.starts <= at < one.ends for one in found) is (on_call(shop, at) == ()), at


OVERRIDES: list[tuple[str, tuple[Override, ...], list[str]]] = [
    ("apart", (override(1, "ada", "2026-03-20T08:00", 2), override(2, "bob", "2026-03-20T10:00", 2)), []),
    ("one inside the other", (override(1, "ada", "2026-03-20T08:00", 8), override(2, "bob", "2026-03-20T10:00", 2)),
     ["override 1 (Ada) and override 2 (Bob) overlap from Fri 2026-03-20 11:00 to Fri 2026-03-20 13:00 (Europe/Berlin), 2 h; 2 counts"]),
    ("two for one person", (override(1, "ada", "2026-03-20T08:00", 8, instead_of="chen"), override(2, "", "2026-03-20T10:00", 2, instead_of="chen")),
     ["override 1 (Ada instead of chen) and override 2 (nobody instead of chen) overlap from Fri 2026-03-20 11:00 to Fri 2026-03-20 13:00 "
      "(Europe/Berlin), 2 h; 2 counts"]),
    ("swaps of two people", (override(1, "ada", "2026-03-20T08:00", 8, instead_of="chen"),
                             override(2, "bob", "2026-03-20T10:00", 2, instead_of="dora")), []),
    ("the same twice", (override(1, "ada", "2026-03-20T08:00", 8), override(2, "ada", "2026-03-20T10:00", 2)), []),
    ("ended before", (override(1, "ada", "2026-03-20T08:00", 8, ended_at=utc("2026-03-20T10:00")), override(2, "bob", "2026-03-20T10:00", 2)), []),
]  # fmt: skip


@pytest.mark.parametrize(("overrides", "words"), [one[1:] for one in OVERRIDES], ids=[one[0] for one in OVERRIDES])
def test_two_overrides_for_one_time_are_told(overrides: tuple[Override, ...], words: list[str]) -> None:
    found = overlaps(schedule(ALWAYS, overrides=overrides), utc("2026-03-20T00:00"), utc("2026-03-21T00:00"), NAMES)
    assert [one.words for one in found] == words


def test_a_calendar_with_two_people_at_once_is_told() -> None:
    start = utc("2026-03-20T08:00")
    feed = (
        Shift(person="ada", starts=start, ends=start + 4 * HOUR),
        Shift(person="ada", starts=start + HOUR, ends=start + 3 * HOUR),
        Shift(person="bob", starts=start + 3 * HOUR, ends=start + 6 * HOUR),
    )
    shop = schedule(Layer(name="ics", feed="shop-ics"), feeds={"shop-ics": feed})
    found = overlaps(shop, start, start + DAY, NAMES)
    assert [one.words for one in found] == [
        "the calendar shop-ics has Ada and Bob at once from Fri 2026-03-20 12:00 to Fri 2026-03-20 13:00 (Europe/Berlin), 1 h"
    ]
    assert (found[0].kind, found[0].people) == ("calendar", ("ada", "bob"))


def test_a_hand_over_at_a_time_that_occurs_twice_is_told_as_such() -> None:
    found = overlaps(schedule(rota("2026-10-01T02:30", DAY)), utc("2026-10-01T00:00"), utc("2026-11-01T00:00"), NAMES)
    assert [one.words for one in found] == [
        "Bob and Ada are both on call from Sun 2026-10-25 02:30 CEST to Sun 2026-10-25 02:30 CET (Europe/Berlin), 1 h: "
        "the clocks go back, so the time of their hand-over occurs twice"
    ]
    assert overlaps(schedule(rota("2026-10-01T09:00", DAY)), utc("2026-10-01T00:00"), utc("2026-11-01T00:00")) == ()


def test_a_turn_of_two_people_is_no_overlap() -> None:
    pairs = Layer(
        name="pairs",
        turns=(("ada", "bob"), ("bob", "chen")),
        starts=datetime.fromisoformat("2026-10-01T09:00"),
        every=DAY,
    )
    assert overlaps(schedule(pairs), utc("2026-10-01T00:00"), utc("2026-11-01T00:00")) == ()


def test_one_person_in_two_schedules_at_once_is_told() -> None:
    shop = schedule(ALWAYS)
    search = schedule(rota("2026-03-20T09:00", DAY), key="search", zone="America/New_York")
    found = doubled((shop, search), utc("2026-03-20T00:00"), utc("2026-03-22T00:00"), NAMES)
    assert [one.words for one in found] == [
        "Ada is on call in shop and search at once from Fri 2026-03-20 14:00 to Sat 2026-03-21 14:00 (Europe/Berlin), 1 d"
    ]
    assert (found[0].schedules, found[0].people) == (("shop", "search"), ("ada",))
    assert doubled((shop,), utc("2026-03-20T00:00"), utc("2026-03-22T00:00")) == ()


def test_findings_are_bounded() -> None:
    start = utc("2026-03-20T08:00")
    feed = tuple(Shift(person=f"p{number}", starts=start, ends=start + HOUR) for number in range(100))
    shop = schedule(Layer(name="ics", feed="ics"), feeds={"ics": feed})
    assert len(overlaps(shop, start, start + DAY)) == 200
