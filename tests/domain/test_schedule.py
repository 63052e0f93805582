"""Who is on call when: turns, hours, holidays, layers, overrides, calendars, and what the clocks do to them."""

from __future__ import annotations

import time as stopwatch
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from bot.domain.wall_clock import first, last, zone_of
from bot.errors import BadInput

DAY, WEEK, HOUR, SECOND = timedelta(days=1), timedelta(weeks=1), timedelta(hours=1), timedelta(seconds=1)
THREE = (("ada",), ("bob",), ("chen",))


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def rota(starts: str, every: timedelta = WEEK, turns: tuple[tuple[str, ...], ...] = THREE, **more: Any) -> Layer:
    return Layer(name=more.pop("name", "rota"), turns=turns, starts=wall(starts), every=every, **more)


def schedule(*layers: Layer, zone: str = "Europe/Berlin", **more: Any) -> Schedule:
    return Schedule(key="shop", zone=zone, layers=layers, **more)


def told(found: tuple[Shift, ...]) -> list[str]:
    return [f"{one.person} {one.starts:%d.%H:%M} {one.ends:%d.%H:%M}" for one in found]


def override(number: int, person: str, starts: str, ends: str, **more: Any) -> Override:
    begin = utc(starts)
    return Override(number=number, schedule="shop", person=person, starts=begin, ends=utc(ends), made_at=begin, **more)


# What the clocks do


def test_a_hand_over_keeps_its_time_of_day_when_the_clocks_change_and_leaves_no_gap() -> None:
    """Complaint 5 (grafana/oncall 3261 and 5247): 08:30 became 07:30, and the hour of the change belonged to nobody or to two."""
    daily = schedule(rota("2025-10-20T08:30", DAY), zone="Europe/London")
    final = shifts(daily, utc("2025-10-24T12:00"), utc("2025-10-29T12:00"))
    assert [f"{one.starts:%d %H:%M}" for one in final[1:]] == [
        "25 07:30",
        "26 08:30",
        "27 08:30",
        "28 08:30",
        "29 08:30",
    ]
    assert [one.ends for one in final[:-1]] == [one.starts for one in final[1:]]
    long_after = shifts(daily, utc("2026-06-01T12:00"), utc("2026-06-03T12:00"))
    assert [f"{one.starts:%H:%M}" for one in long_after[1:]] == ["07:30", "07:30"]


DST: list[tuple[str, str, Layer, tuple[str, str], list[str]]] = [
    ("the night is an hour longer", "Europe/Berlin", rota("2026-10-24T09:00", DAY), ("2026-10-24T07:00", "2026-10-26T08:00"),
     ["ada 24.07:00 25.08:00", "bob 25.08:00 26.08:00"]),
    ("the night is an hour shorter", "Europe/Berlin", rota("2026-03-28T09:00", DAY), ("2026-03-28T08:00", "2026-03-30T07:00"),
     ["ada 28.08:00 29.07:00", "bob 29.07:00 30.07:00"]),
    ("a time that occurs twice hands over with an overlap", "Europe/Berlin", rota("2026-10-24T02:30", DAY),
     ("2026-10-24T00:30", "2026-10-26T01:30"), ["ada 24.00:30 25.01:30", "bob 25.00:30 26.01:30"]),
    ("a time that does not occur is the moment of the jump", "Europe/Berlin", rota("2026-03-28T02:30", DAY),
     ("2026-03-28T01:30", "2026-03-30T00:30"), ["ada 28.01:30 29.01:00", "bob 29.01:00 30.00:30"]),
    ("half an hour", "Australia/Lord_Howe", rota("2026-04-04T01:45", DAY), ("2026-04-03T14:45", "2026-04-05T15:15"),
     ["ada 03.14:45 04.15:15", "bob 04.14:45 05.15:15"]),
    ("half an hour that is skipped", "Australia/Lord_Howe", rota("2026-10-03T02:15", DAY), ("2026-10-02T15:45", "2026-10-04T15:15"),
     ["ada 02.15:45 03.15:30", "bob 03.15:30 04.15:15"]),
    ("winter time that is the special one", "Europe/Dublin", rota("2026-10-24T01:30", DAY), ("2026-10-24T00:30", "2026-10-26T01:30"),
     ["ada 24.00:30 25.01:30", "bob 25.00:30 26.01:30"]),
    ("midnight does not occur", "America/Sao_Paulo", rota("2018-11-03T00:00", DAY), ("2018-11-03T03:00", "2018-11-05T02:00"),
     ["ada 03.03:00 04.03:00", "bob 04.03:00 05.02:00"]),
    ("the hour before midnight occurs twice", "America/Sao_Paulo", rota("2019-02-15T23:30", DAY), ("2019-02-16T01:30", "2019-02-18T02:30"),
     ["ada 16.01:30 17.02:30", "bob 17.01:30 18.02:30"]),
    ("the hour after midnight occurs twice", "America/Havana", rota("2026-10-31T00:00", DAY), ("2026-10-31T04:00", "2026-11-02T05:00"),
     ["ada 31.04:00 01.05:00", "bob 01.04:00 02.05:00"]),
    ("midnight in Beirut", "Asia/Beirut", rota("2026-03-28T00:00", DAY), ("2026-03-27T22:00", "2026-03-29T21:00"),
     ["ada 27.22:00 28.22:00", "bob 28.22:00 29.21:00"]),
    ("midnight in Cairo", "Africa/Cairo", rota("2026-04-23T00:00", DAY), ("2026-04-22T22:00", "2026-04-24T21:00"),
     ["ada 22.22:00 23.22:00", "bob 23.22:00 24.21:00"]),
    ("a day that does not occur", "Pacific/Apia", rota("2011-12-28T09:00", DAY), ("2011-12-28T19:00", "2012-01-01T19:00"),
     ["ada 28.19:00 29.19:00", "bob 29.19:00 30.10:00", "chen 30.10:00 30.19:00", "ada 30.19:00 31.19:00", "bob 31.19:00 01.19:00"]),
    ("no change at all", "Asia/Kolkata", rota("2026-03-28T02:30", DAY), ("2026-03-27T21:00", "2026-03-29T21:00"),
     ["ada 27.21:00 28.21:00", "bob 28.21:00 29.21:00"]),
    ("hours of night", "Europe/Berlin", rota("2026-01-05T09:00", hours=(Hours(between=(time(22), time(6))),), turns=(("ada",),)),
     ("2026-10-24T12:00", "2026-10-26T12:00"), ["ada 24.20:00 25.05:00", "ada 25.21:00 26.05:00"]),
    ("hours that occur twice", "Europe/Berlin", rota("2026-01-05T09:00", hours=(Hours(between=(time(2), time(2, 30))),), turns=(("ada",),)),
     ("2026-10-24T12:00", "2026-10-25T12:00"), ["ada 25.00:00 25.01:30"]),
    ("hours that do not occur", "Europe/Berlin", rota("2026-01-05T09:00", hours=(Hours(between=(time(2), time(2, 30))),), turns=(("ada",),)),
     ("2026-03-28T12:00", "2026-03-29T12:00"), []),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "layer", "span", "expected"), [one[1:] for one in DST], ids=[one[0] for one in DST])
def test_borders_are_wall_clock_times_and_become_moments_only_then(
    zone: str, layer: Layer, span: tuple[str, str], expected: list[str]
) -> None:
    assert told(shifts(schedule(layer, zone=zone), utc(span[0]), utc(span[1]))) == expected


# Turns, hours, holidays


@pytest.mark.parametrize(
    ("at", "who"),
    [
        ("2026-01-05T07:59:59.999999", ()),
        ("2026-01-05T08:00", ("ada",)),
        ("2026-01-12T07:59:59.999999", ("ada",)),
        ("2026-01-12T08:00", ("bob",)),
        ("2026-01-19T08:00", ("chen",)),
        ("2026-01-26T08:00", ("ada",)),
        ("2189-03-14T12:00", ("ada",)),  # 8514 weeks later
    ],
)
def test_people_take_turns_from_the_start_on(at: str, who: tuple[str, ...]) -> None:
    assert on_call(schedule(rota("2026-01-05T09:00")), utc(at)) == who


def test_several_people_have_a_turn_together_in_the_order_that_is_written() -> None:
    pairs = schedule(rota("2026-01-05T09:00", turns=(("zoe", "bob"), ("ada",))))
    assert on_call(pairs, utc("2026-01-06T00:00")) == ("zoe", "bob")
    assert on_call(pairs, utc("2026-01-13T00:00")) == ("ada",)


def test_a_rotation_ends_when_it_is_said_to() -> None:
    layer = rota("2026-01-05T09:00", until=wall("2026-01-14T00:00"))
    assert told(shifts(schedule(layer), utc("2026-01-01T00:00"), utc("2026-03-01T00:00"))) == [
        "ada 05.08:00 12.08:00",
        "bob 12.08:00 13.23:00",
    ]


def test_people_without_a_beginning_are_always_there() -> None:
    always = schedule(Layer(name="all", turns=(("ada", "bob"),)))
    assert on_call(always, utc("2026-01-06T00:00")) == ("ada", "bob")
    assert next_change(always, utc("2026-01-06T00:00")) is None


def test_neighbouring_turns_of_one_person_are_one_shift() -> None:
    layer = rota("2026-01-05T09:00", turns=(("ada",), ("ada",), ("bob",)))
    assert told(shifts(schedule(layer), utc("2026-01-05T08:00"), utc("2026-01-26T08:00"))) == [
        "ada 05.08:00 19.08:00",
        "bob 19.08:00 26.08:00",
    ]


def test_a_window_past_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    friday = rota("2026-01-01T00:00", turns=(("ada",),), hours=(Hours(days=("fri",), between=(time(18), time(8))),))
    assert told(shifts(schedule(friday), utc("2026-01-05T00:00"), utc("2026-01-12T00:00"))) == ["ada 09.17:00 10.07:00"]


@pytest.mark.parametrize(
    ("on_holidays", "days"),
    [
        ("off", ["ada 02.17:00 03.07:00", "ada 05.17:00 06.07:00"]),
        ("only", ["ada 01.17:00 02.07:00", "ada 06.17:00 07.07:00"]),
    ],
)
def test_a_holiday_is_a_day_of_the_zone_and_its_night_goes_with_it(
    on_holidays: Literal["off", "only"], days: list[str]
) -> None:
    """New Year's Day and Epiphany in Bavaria, 2026: a Thursday and a Tuesday."""
    hours = (Hours(days=("mon", "tue", "thu", "fri"), between=(time(18), time(8))),)
    bavaria = Holidays(country="DE", subdivision="BY")
    layer = rota("2025-01-01T00:00", turns=(("ada",),), hours=hours, holidays=bavaria, on_holidays=on_holidays)
    assert told(shifts(schedule(layer), utc("2026-01-01T12:00"), utc("2026-01-07T12:00"))) == days


# Layers, overrides, calendars


def test_the_topmost_layer_that_has_somebody_counts() -> None:
    below = rota("2026-01-05T00:00", DAY, name="below")
    above = rota("2026-01-06T06:00", 12 * HOUR, (("dora",), ()), name="above", until=wall("2026-01-07T12:00"))
    final = shifts(schedule(below, above, zone="UTC"), utc("2026-01-06T00:00"), utc("2026-01-08T00:00"))
    assert told(final) == [
        "bob 06.00:00 06.06:00",
        "dora 06.06:00 06.18:00",
        "bob 06.18:00 07.00:00",
        "chen 07.00:00 07.06:00",
        "dora 07.06:00 07.12:00",
        "chen 07.12:00 08.00:00",
    ]
    assert {one.by for one in final if one.person == "dora"} == {"above"}


BASE = rota("2026-01-05T00:00", DAY, (("ada", "bob"),), name="base")
OVERRIDES: list[tuple[str, tuple[Override, ...], list[str]]] = [
    ("none", (), ["ada 06.00:00 07.00:00", "bob 06.00:00 07.00:00"]),
    ("instead of everybody", (override(1, "eve", "2026-01-06T06:00", "2026-01-06T12:00"),),
     ["ada 06.00:00 06.06:00", "bob 06.00:00 06.06:00", "eve 06.06:00 06.12:00", "ada 06.12:00 07.00:00", "bob 06.12:00 07.00:00"]),
    ("a swap", (override(1, "eve", "2026-01-06T06:00", "2026-01-07T12:00", instead_of="ada"),),
     ["ada 06.00:00 06.06:00", "bob 06.00:00 07.00:00", "eve 06.06:00 07.00:00"]),
    ("a swap with somebody who is not on call", (override(1, "eve", "2026-01-06T06:00", "2026-01-07T12:00", instead_of="chen"),),
     ["ada 06.00:00 07.00:00", "bob 06.00:00 07.00:00"]),
    ("a swap with somebody who is there already", (override(1, "bob", "2026-01-06T06:00", "2026-01-07T12:00", instead_of="ada"),),
     ["ada 06.00:00 06.06:00", "bob 06.00:00 07.00:00"]),
    ("nobody", (override(1, "", "2026-01-06T06:00", "2026-01-06T12:00"),),
     ["ada 06.00:00 06.06:00", "bob 06.00:00 06.06:00", "ada 06.12:00 07.00:00", "bob 06.12:00 07.00:00"]),
    ("a later number wins", (override(7, "eve", "2026-01-06T00:00", "2026-01-07T00:00"), override(3, "dora", "2026-01-06T00:00", "2026-01-07T00:00")),
     ["eve 06.00:00 07.00:00"]),
    ("an override is swapped", (override(1, "eve", "2026-01-06T00:00", "2026-01-07T00:00"),
                                override(2, "dora", "2026-01-06T12:00", "2026-01-07T00:00", instead_of="eve")),
     ["eve 06.00:00 06.12:00", "dora 06.12:00 07.00:00"]),
    ("ended early", (override(1, "eve", "2026-01-06T00:00", "2026-01-07T00:00", ended_at=utc("2026-01-06T12:00")),),
     ["eve 06.00:00 06.12:00", "ada 06.12:00 07.00:00", "bob 06.12:00 07.00:00"]),
    ("ended before it began", (override(1, "eve", "2026-01-06T06:00", "2026-01-07T00:00", ended_at=utc("2026-01-05T12:00")),),
     ["ada 06.00:00 07.00:00", "bob 06.00:00 07.00:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("overrides", "expected"), [one[1:] for one in OVERRIDES], ids=[one[0] for one in OVERRIDES])
def test_overrides_stand_above_all_layers(overrides: tuple[Override, ...], expected: list[str]) -> None:
    given = schedule(BASE, zone="UTC", overrides=overrides)
    assert told(shifts(given, utc("2026-01-06T00:00"), utc("2026-01-07T00:00"))) == expected


def test_a_calendar_is_a_layer_and_a_calendar_that_was_never_read_has_nobody() -> None:
    feed = (Shift(person="eve", starts=utc("2026-01-06T06:00"), ends=utc("2026-01-06T18:00"), by="title"),)
    layers = (rota("2026-01-05T00:00", DAY), Layer(name="ics", feed="shop-ics"))
    read = schedule(*layers, zone="UTC", feeds={"shop-ics": feed})
    final = shifts(read, utc("2026-01-06T00:00"), utc("2026-01-07T00:00"))
    assert told(final) == ["bob 06.00:00 06.06:00", "eve 06.06:00 06.18:00", "bob 06.18:00 07.00:00"]
    assert final[1].by == "ics"
    assert on_call(schedule(*layers, zone="UTC"), utc("2026-01-06T12:00")) == ("bob",)


# Bounds


def test_a_year_of_hourly_turns_is_quick_and_who_is_on_call_is_known_at_once() -> None:
    hourly = schedule(rota("1990-01-01T00:00", HOUR))
    begun = stopwatch.process_time()
    turns = shifts(hourly, utc("2026-01-01T00:00"), utc("2027-02-05T00:00"))
    assert len(turns) == 400 * 24 - 1  # the turn that the clocks jump over
    assert stopwatch.process_time() - begun < 2
    begun = stopwatch.process_time()
    for number in range(200):
        on_call(hourly, utc("2026-01-01T00:00") + number * HOUR)
    assert stopwatch.process_time() - begun < 1


@pytest.mark.parametrize(
    ("layer", "span", "words"),
    [
        (rota("2026-01-05T00:00", SECOND), ("2026-01-05T00:00", "2026-02-05T00:00"), "turns of 1 s would change hands 2,678,400 times"),
        (rota("2026-01-05T00:00"), ("2026-01-05T00:00", "2056-02-05T00:00"), "too long a time for one answer: ask for at most 1100 d"),
        (rota("2026-01-05T00:00", timedelta()), ("2026-01-05T00:00", "2026-02-05T00:00"), "a turn must last longer than nothing"),
        (rota("2026-01-05T00:00"), ("1926-01-05T00:00", "1926-02-05T00:00"), "not between the years 1970 and 2200"),
        (rota("2026-01-05T00:00", holidays=Holidays(country="DEE")), ("2026-01-05T00:00", "2026-02-05T00:00"), "no holidays are known of 'DEE'"),
        (rota("2026-01-05T00:00", holidays=Holidays(country="DE", subdivision="BYY")), ("2026-01-05T00:00", "2026-02-05T00:00"),
         "DE has no part called 'BYY'; did you mean \"BY\"?"),
    ],
    ids=["a turn of a second", "thirty years", "a turn of nothing", "a hundred years ago", "no country", "no part of a country"],
)  # fmt: skip
def test_what_is_absurd_is_refused_in_words(layer: Layer, span: tuple[str, str], words: str) -> None:
    with pytest.raises(BadInput) as refused:
        shifts(schedule(layer), utc(span[0]), utc(span[1]))
    assert words in str(refused.value)


def test_a_zone_that_is_none_and_a_time_without_one_are_refused() -> None:
    with pytest.raises(BadInput, match="called 'Europe/Berlinn'; did you mean \"Europe/Berlin\""):
        on_call(schedule(BASE, zone="Europe/Berlinn"), utc("2026-01-06T00:00"))
    with pytest.raises(BadInput, match="has no time zone"):
        on_call(schedule(BASE), wall("2026-01-06T00:00"))


def test_the_next_change_of_turns_of_minutes_is_found_without_looking_at_all_of_them() -> None:
    minutes = schedule(rota("2026-01-05T00:00", timedelta(minutes=1)))
    after = utc("2026-05-01T00:00")
    assert next_change(minutes, after) == after + timedelta(minutes=1)
    covered = schedule(rota("2026-01-05T00:00", timedelta(minutes=1)), Layer(name="top", turns=(("eve",),)))
    assert next_change(covered, after) is None


def test_the_next_change_is_one_that_is_within_the_time() -> None:
    weekly = schedule(rota("2026-01-05T09:00"))
    turn = utc("2026-01-12T08:00")
    assert next_change(weekly, turn - DAY) == turn
    assert next_change(weekly, turn) == turn + WEEK
    assert next_change(weekly, turn - DAY, DAY) == turn
    assert next_change(weekly, turn - DAY, DAY - SECOND) is None
    assert list(hand_overs(weekly, turn, turn + WEEK)) == [turn]


# Properties


ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Beirut",
    "America/Havana",
    "Pacific/Apia",
)
PEOPLE = st.sampled_from(["ada", "bob", "chen", "dora"])
CHANGES = (
    "2011-12-30T10:00",
    "2026-03-29T01:00",
    "2026-10-25T01:00",
    "2026-11-01T05:00",
    "2026-04-04T15:00",
    "2026-07-01T00:00",
)
TIMES = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
HOURS = st.builds(
    Hours,
    days=st.lists(st.sampled_from(["mon", "sat", "sun", "thu"]), unique=True, max_size=3).map(tuple),
    between=st.none() | st.tuples(TIMES, TIMES),
)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Schedule, datetime, datetime]:
    middle = utc(draw(st.sampled_from(CHANGES)))
    since = middle - draw(st.integers(1, 100)) * HOUR
    until = middle + draw(st.integers(1, 100)) * HOUR
    layers = []
    for number in range(draw(st.integers(0, 3))):
        starts = middle.replace(tzinfo=None) - draw(st.integers(-50, 2000)) * timedelta(minutes=90)
        layers.append(
            Layer(
                name=f"layer {number}",
                turns=tuple(draw(st.lists(st.lists(PEOPLE, max_size=2).map(tuple), max_size=4))),
                starts=starts,
                every=draw(st.sampled_from([HOUR / 2, HOUR, 5 * HOUR, 12 * HOUR, DAY, 3 * DAY, WEEK])),
                until=draw(st.none() | st.just(middle.replace(tzinfo=None) + 7 * HOUR)),
                hours=tuple(draw(st.lists(HOURS, max_size=2))),
            )
        )
    overrides = []
    for number in range(draw(st.integers(0, 3))):
        begin = middle + draw(st.integers(-90, 90)) * HOUR
        overrides.append(
            Override(
                number=number,
                schedule="shop",
                person=draw(PEOPLE | st.just("")),
                instead_of=draw(PEOPLE | st.just("")),
                starts=begin,
                ends=begin + draw(st.integers(1, 40)) * HOUR,
                made_at=begin,
            )
        )
    zone = draw(st.sampled_from(ZONES))
    return schedule(*layers, zone=zone, overrides=tuple(overrides)), since, until


@settings(max_examples=50)
@given(situations())
def test_shifts_say_the_same_as_who_is_on_call_at_every_border(given: tuple[Schedule, datetime, datetime]) -> None:
    shop, since, until = given
    final = shifts(shop, since, until)
    borders = {moment for one in final for moment in (one.starts, one.ends)} | {since, until - SECOND}
    for moment in sorted(borders):
        for at in (moment - datetime.resolution, moment):
            if since <= at < until:
                there = {one.person for one in final if one.starts <= at < one.ends}
                assert there == set(on_call(shop, at)), at


@settings(max_examples=50)
@given(situations())
def test_nobody_has_two_shifts_at_once_and_they_are_in_order_and_inside(
    given: tuple[Schedule, datetime, datetime],
) -> None:
    shop, since, until = given
    final = shifts(shop, since, until)
    assert list(final) == sorted(final, key=lambda one: (one.starts, one.person))
    assert all(since <= one.starts < one.ends <= until for one in final)
    for person in {one.person for one in final}:
        own = [one for one in final if one.person == person]
        for one, other in pairwise(own):
            assert one.ends <= other.starts
            assert one.ends < other.starts or one.by != other.by


@settings(max_examples=50)
@given(situations())
def test_a_hand_over_is_where_the_people_change(given: tuple[Schedule, datetime, datetime]) -> None:
    shop, since, until = given
    found = hand_overs(shop, since, until)
    borders = {moment for one in shifts(shop, since, until) for moment in (one.starts, one.ends)} | {since}
    for at in borders:
        if at < until:
            changed = set(on_call(shop, at)) != set(on_call(shop, at - datetime.resolution))
            assert (at in found) is changed
    later = [at for at in found if at > since]
    assert next_change(shop, since, until - since - datetime.resolution) == (later[0] if later else None)


@settings(max_examples=50)
@given(situations(), st.integers(1, 99))
def test_a_part_of_the_time_is_cut_out_of_the_whole(given: tuple[Schedule, datetime, datetime], share: int) -> None:
    shop, since, until = given
    middle = since + (until - since) * share / 100
    whole = shifts(shop, since, until)
    for begin, end in ((since, middle), (middle, until)):
        expected = {
            (one.person, max(one.starts, begin), min(one.ends, end))
            for one in whole
            if one.starts < end and begin < one.ends
        }
        found = {(one.person, one.starts, one.ends) for one in shifts(shop, begin, end)}
        assert _joined(found) == _joined(expected)


def _joined(pieces: set[tuple[str, datetime, datetime]]) -> list[tuple[str, datetime, datetime]]:
    """Whoever goes on by another origin is one piece here."""
    result: list[tuple[str, datetime, datetime]] = []
    for person, begin, end in sorted(pieces):
        if result and result[-1][0] == person and result[-1][2] == begin:
            result[-1] = (person, result[-1][1], end)
        else:
            result.append((person, begin, end))
    return result


@given(
    st.datetimes(min_value=wall("2011-12-01"), max_value=wall("2027-12-31")).map(
        lambda at: at.replace(second=0, microsecond=0)
    ),
    st.sampled_from(ZONES),
)
def test_a_wall_clock_time_is_one_moment_or_two_or_a_jump(at: datetime, name: str) -> None:
    zone = zone_of(name)
    early, late = first(at, zone), last(at, zone)
    assert early <= late
    if early.astimezone(zone).replace(tzinfo=None, fold=0) == at:
        assert late.astimezone(zone).replace(tzinfo=None, fold=0) == at
    else:
        assert early == late
        before = (early - SECOND).astimezone(zone).replace(tzinfo=None)
        assert before < at < early.astimezone(zone).replace(tzinfo=None)
