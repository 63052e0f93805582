"""Silences: what they cover, which of several counts, until when; recurring ones over both changes of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.silence import Silence, Silences
from bot.domain.windows import Window
from tests.domain.alerts import NOW, ago

LABELS = {"service": "checkout", "severity": "critical"}
SUN_TO_MON = {"between": ["22:00", "06:00"], "days": ["sun"], "zone": "Europe/Berlin"}


def silence(number: int = 1, *matchers: str, **more: Any) -> Silence:
    known = {"starts_at": ago(10), "created_at": ago(10), "ends_at": ago(-60)}
    if "windows" in more:
        more["windows"] = tuple(Window.model_validate(one) for one in more["windows"])
    return Silence(number=number, matchers=matchers or ("service=checkout",), **{**known, **more})


def found(*silences: Silence, now: datetime = NOW, **labels: str) -> int | None:
    covering = Silences(silences).covering({**LABELS, **labels}, now)
    return covering.number if covering else None


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


COVERING: list[tuple[str, list[Silence], int | None]] = [
    ("none", [], None),
    ("one", [silence(1)], 1),
    ("one of another service", [silence(1, "service=cart")], None),
    ("every matcher has to hold", [silence(1, "service=checkout", "severity=warning")], None),
    ("by what it is not", [silence(1, "service!=cart", 'severity!~"warn.*|info"')], 1),
    ("by a label that is missing", [silence(1, 'team=""')], 1),
    ("not begun", [silence(1, starts_at=ago(-1))], None),
    ("begun this moment", [silence(1, starts_at=NOW)], 1),
    ("over this moment", [silence(1, ends_at=NOW)], None),
    ("over in a moment", [silence(1, ends_at=NOW + timedelta(microseconds=1))], 1),
    ("the one that lasts longest", [silence(1, ends_at=ago(-5)), silence(2, ends_at=ago(-7)), silence(3, ends_at=ago(-6))], 2),
    ("without an end is longer than any", [silence(1, ends_at=NOW + timedelta(days=9000)), silence(2, ends_at=None)], 2),
    ("one in the future does not count", [silence(1), silence(2, starts_at=ago(-1), ends_at=ago(-900))], 1),
    ("a window that is not now", [silence(1, ends_at=None, windows=[{"between": ["22:00", "06:00"]}])], None),
    ("a window that is now", [silence(1, ends_at=None, windows=[{"between": ["11:00", "13:00"]}])], 1),
    ("one of its windows is now", [silence(1, windows=[{"between": ["22:00", "06:00"]}, {"between": ["11:00", "13:00"]}])], 1),
    ("a window that outlasts another silence", [silence(1, ends_at=ago(-30)),
                                                silence(2, ends_at=None, windows=[{"between": ["11:00", "13:00"]}])], 2),
    ("a window does not outlast its silence", [silence(1, ends_at=ago(-30)),
                                               silence(2, ends_at=ago(-20), windows=[{"between": ["11:00", "13:00"]}])], 1),
]  # fmt: skip


@pytest.mark.parametrize(("silences", "expected"), [case[1:] for case in COVERING], ids=[case[0] for case in COVERING])
def test_of_those_that_cover_an_alert_the_longest_counts(silences: list[Silence], expected: int | None) -> None:
    assert found(*silences) == expected
    assert found(*reversed(silences)) == expected


def test_those_that_match_are_told_whether_they_cover_this_time_or_not() -> None:
    all_of_them = [silence(1), silence(2, starts_at=ago(-1)), silence(3, "service=cart"), silence(4, ends_at=ago(1))]
    assert [one.number for one in Silences(all_of_them).matching(LABELS)] == [1, 2, 4]


UNTIL: list[tuple[str, Silence, datetime | None]] = [
    ("its end", silence(), ago(-60)),
    ("no end", silence(ends_at=None), None),
    ("the window's end", silence(ends_at=None, windows=[{"between": ["11:00", "13:00"]}]), ago(-60)),
    ("the silence ends first", silence(ends_at=ago(-5), windows=[{"between": ["11:00", "13:00"]}]), ago(-5)),
    ("the last of the windows", silence(ends_at=None, windows=[{"between": ["11:00", "12:10"]}, {"between": ["11:00", "12:20"]}]), ago(-20)),
    ("a window without an end", silence(ends_at=None, windows=[{}, {"between": ["11:00", "13:00"]}]), None),
    ("a window without an end in a silence with one", silence(ends_at=ago(-90), windows=[{"between": ["11:00", "13:00"]}, {}]), ago(-90)),
]  # fmt: skip


@pytest.mark.parametrize(("one", "until"), [case[1:] for case in UNTIL], ids=[case[0] for case in UNTIL])
def test_it_is_known_until_when_it_covers(one: Silence, until: datetime | None) -> None:
    assert one.covers(NOW)
    assert one.until(NOW) == until


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-03-22T21:00", "2026-03-23T05:00"),  # an ordinary night
        ("2026-03-29T20:00", "2026-03-30T04:00"),  # the night after the clocks went forward: 22:00 is 20:00 UTC now
        ("2026-10-25T21:00", "2026-10-26T05:00"),  # the night after they went back
    ],
)
def test_a_recurring_one_keeps_to_the_clocks_of_its_zone(now: str, until: str) -> None:
    nightly = silence(ends_at=None, starts_at=utc("2026-01-01T00:00"), windows=[SUN_TO_MON])
    assert not nightly.covers(utc(now) - timedelta(seconds=1))
    assert nightly.covers(utc(now))
    assert nightly.until(utc(now)) == utc(until)
    assert not nightly.covers(utc(until))


AUTUMN = [
    # Berlin, 25 October: 03:00 becomes 02:00 at 01:00 UTC
    ({"between": ["01:30", "02:30"], "zone": "Europe/Berlin"}, "2026-10-25T00:15", "2026-10-25T00:30"),
    ({"between": ["01:30", "02:30"], "zone": "Europe/Berlin"}, "2026-10-25T01:15", "2026-10-25T01:30"),
    ({"between": ["02:30", "04:00"], "zone": "Europe/Berlin"}, "2026-10-25T00:45", "2026-10-25T01:00"),
    ({"between": ["02:30", "04:00"], "zone": "Europe/Berlin"}, "2026-10-25T01:45", "2026-10-25T03:00"),
    ({"between": ["20:00", "03:00"], "zone": "Europe/Berlin"}, "2026-10-24T23:00", "2026-10-25T02:00"),
    # 29 March: 02:00 becomes 03:00 at 01:00 UTC
    ({"between": ["01:00", "02:30"], "zone": "Europe/Berlin"}, "2026-03-29T00:30", "2026-03-29T01:00"),
    ({"between": ["01:00", "03:30"], "zone": "Europe/Berlin"}, "2026-03-29T00:30", "2026-03-29T01:30"),
    # Cairo, 24 April: midnight becomes 01:00, so this Friday begins an hour late
    ({"days": ["thu"], "zone": "Africa/Cairo"}, "2026-04-23T12:00", "2026-04-23T22:00"),
    ({"days": ["fri"], "zone": "Africa/Cairo"}, "2026-04-23T22:00", "2026-04-24T21:00"),
]


@pytest.mark.parametrize(("window", "now", "ends"), AUTUMN)
def test_a_window_ends_when_it_no_longer_covers_whatever_the_clocks_do(
    window: dict[str, Any], now: str, ends: str
) -> None:
    one = Window.model_validate(window)
    assert one.covers(utc(now))
    found_end = one.ends(utc(now))
    assert found_end is not None
    assert found_end.astimezone(UTC) == utc(ends)


clock_times = st.times(timezones=st.none()).map(lambda at: f"{at:%H:%M}")
windows = st.builds(
    lambda between, days, zone: {"between": between, "days": days, "zone": zone},
    st.none() | st.lists(clock_times, min_size=2, max_size=2, unique=True),
    st.lists(st.sampled_from(("mon", "tue", "wed", "thu", "fri", "sat", "sun")), unique=True, max_size=4),
    st.sampled_from(
        ("UTC", "Europe/Berlin", "America/New_York", "Africa/Cairo", "Australia/Lord_Howe", "Asia/Kathmandu")
    ),
).filter(lambda one: one["between"] or one["days"])
moments = st.integers(0, 360 * 24 * 60).map(lambda minutes: utc("2026-01-01T00:00") + timedelta(minutes=minutes))
changing = st.builds(
    lambda day, minutes: day + timedelta(minutes=minutes),
    st.sampled_from([utc(f"2026-{day}T00:00") for day in ("03-28", "10-24", "03-08", "11-01", "04-23", "10-29", "04-04", "10-03")]),
    st.integers(0, 2 * 24 * 60),
)  # fmt: skip


@given(windows, moments | changing)
def test_between_now_and_its_end_a_window_covers_and_at_its_end_it_does_not(
    given_window: dict[str, Any], now: datetime
) -> None:
    window = Window.model_validate(given_window)
    if not window.covers(now):
        return
    ends = window.ends(now)
    assert ends is not None
    assert now < ends
    assert not window.covers(ends)
    assert window.covers(ends.astimezone(UTC) - timedelta(microseconds=1))
    steps = [now + (ends.astimezone(UTC) - now) * part / 50 for part in range(50)]
    assert all(window.covers(step) for step in steps)


WORDS = [
    (
        silence(42, author="Ada", reason="replacing disks"),
        "silence 42 of Ada until 2026-11-21 13:00 UTC: replacing disks",
    ),
    (silence(42, ends_at=None), "silence 42, which has no end"),
    (silence(0, name="nightly", kind="maintenance"), "maintenance 'nightly' until 2026-11-21 13:00 UTC"),
    (silence(7, name="move", kind="maintenance", author="Bob"), "maintenance 7 of Bob until 2026-11-21 13:00 UTC"),
    (
        silence(3, ends_at=None, windows=[{"between": ["12:00", "15:00"], "zone": "Europe/Berlin"}]),
        "silence 3 until 2026-11-21 15:00 CET",
    ),
]


@pytest.mark.parametrize(("one", "words"), WORDS)
def test_it_says_whose_it_is_until_when_and_why(one: Silence, words: str) -> None:
    assert one.why(NOW) == words


@pytest.mark.parametrize(
    ("one", "key"),
    [
        (silence(42), "silence:42"),
        (silence(7, kind="maintenance"), "maintenance:7"),
        (silence(0, name="nightly backup", kind="maintenance"), "maintenance:nightly backup"),
    ],
)
def test_its_key_names_it_in_what_it_holds(one: Silence, key: str) -> None:
    assert one.key == key
