"""Times in which nothing is changed: zones, both changes of the clocks, windows past midnight, and what cannot be a freeze."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

import pytest
from pydantic import ValidationError

from bot.domain.freeze import Freeze


def freeze(**given: Any) -> Freeze:
    return Freeze.model_validate({"name": "Freeze", **given})


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


NIGHTS = {"between": ["18:00", "08:00"], "zone": "Europe/Berlin"}
OFFICE = {"between": ["09:00", "17:00"], "days": ["mon", "tue", "wed", "thu", "fri"], "zone": "America/New_York"}
FRIDAY_NIGHT = {"between": ["22:00", "06:00"], "days": ["fri"], "zone": "Europe/Berlin"}
WEEKEND = {"days": ["sat", "sun"], "zone": "Asia/Tokyo"}
SMALL_HOURS = {"between": ["01:30", "02:30"], "zone": "Europe/Berlin"}
CHRISTMAS = {"from": "2026-12-20T00:00:00+01:00", "until": "2026-12-27T00:00:00+01:00"}


@pytest.mark.parametrize(
    ("given", "now", "covers"),
    [
        ({}, "2026-01-01T00:00", True),
        # from, until: the beginning is in, the end is out, whatever the offset
        (CHRISTMAS, "2026-12-19T22:59:59", False),
        (CHRISTMAS, "2026-12-19T23:00:00", True),
        (CHRISTMAS, "2026-12-26T22:59:59", True),
        (CHRISTMAS, "2026-12-26T23:00:00", False),
        # past midnight, winter (+01:00) and summer (+02:00)
        (NIGHTS, "2026-01-15T16:59:59", False),
        (NIGHTS, "2026-01-15T17:00:00", True),
        (NIGHTS, "2026-01-15T23:00:00", True),
        (NIGHTS, "2026-01-16T06:59:59", True),
        (NIGHTS, "2026-01-16T07:00:00", False),
        (NIGHTS, "2026-07-15T15:59:59", False),
        (NIGHTS, "2026-07-15T16:00:00", True),
        (NIGHTS, "2026-07-16T06:00:00", False),
        # a window of the day, in a zone behind UTC
        (OFFICE, "2026-03-02T13:59:59", False),
        (OFFICE, "2026-03-02T14:00:00", True),
        (OFFICE, "2026-03-02T21:59:59", True),
        (OFFICE, "2026-03-02T22:00:00", False),
        (OFFICE, "2026-03-01T15:00:00", False),
        # New York changes its clocks two weeks before Europe does
        (OFFICE, "2026-03-09T13:00:00", True),
        (OFFICE, "2026-03-09T12:59:59", False),
        # the night belongs to the day on which it begins
        (FRIDAY_NIGHT, "2026-01-16T21:00:00", True),
        (FRIDAY_NIGHT, "2026-01-17T04:59:59", True),
        (FRIDAY_NIGHT, "2026-01-17T05:00:00", False),
        (FRIDAY_NIGHT, "2026-01-17T21:00:00", False),
        (FRIDAY_NIGHT, "2026-01-16T04:00:00", False),
        # whole days, in a zone ahead of UTC
        (WEEKEND, "2026-01-16T14:59:59", False),
        (WEEKEND, "2026-01-16T15:00:00", True),
        (WEEKEND, "2026-01-18T14:59:59", True),
        (WEEKEND, "2026-01-18T15:00:00", False),
        # spring: 02:00 becomes 03:00 at 01:00 UTC, so the second half of the window is not there
        (SMALL_HOURS, "2026-03-29T00:29:59", False),
        (SMALL_HOURS, "2026-03-29T00:30:00", True),
        (SMALL_HOURS, "2026-03-29T00:59:59", True),
        (SMALL_HOURS, "2026-03-29T01:00:00", False),
        # autumn: 03:00 becomes 02:00 at 01:00 UTC, so 02:00 to 02:30 is there twice
        (SMALL_HOURS, "2026-10-24T23:30:00", True),
        (SMALL_HOURS, "2026-10-25T00:29:59", True),
        (SMALL_HOURS, "2026-10-25T00:30:00", False),
        (SMALL_HOURS, "2026-10-25T01:00:00", True),
        (SMALL_HOURS, "2026-10-25T01:30:00", False),
        # a window only within a time
        ({**NIGHTS, **CHRISTMAS}, "2026-12-21T20:00:00", True),
        ({**NIGHTS, **CHRISTMAS}, "2026-12-21T12:00:00", False),
        ({**NIGHTS, **CHRISTMAS}, "2026-11-21T20:00:00", False),
    ],
)
def test_what_a_freeze_covers(given: dict[str, Any], now: str, covers: bool) -> None:
    assert freeze(**given).covers(utc(now)) is covers


@pytest.mark.parametrize(
    ("given", "now", "ends"),
    [
        ({}, "2026-01-01T00:00", None),
        ({"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}, "2026-01-01T00:00", None),
        (CHRISTMAS, "2026-12-21T00:00", "2026-12-26T23:00"),
        (NIGHTS, "2026-01-15T17:00:00", "2026-01-16T07:00"),
        (NIGHTS, "2026-01-16T06:00:00", "2026-01-16T07:00"),
        (NIGHTS, "2026-03-28T20:00:00", "2026-03-29T06:00"),
        (OFFICE, "2026-03-02T15:00:00", "2026-03-02T22:00"),
        (WEEKEND, "2026-01-16T15:00:00", "2026-01-18T15:00"),
        ({**NIGHTS, **CHRISTMAS}, "2026-12-26T20:00:00", "2026-12-26T23:00"),
        ({**WEEKEND, "until": "2026-01-17T00:00:00Z"}, "2026-01-16T16:00:00", "2026-01-17T00:00"),
    ],
)
def test_when_a_freeze_ends(given: dict[str, Any], now: str, ends: str | None) -> None:
    found = freeze(**given)
    assert found.covers(utc(now))
    assert found.ends(utc(now)) == (None if ends is None else utc(ends))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"zone": "Europe/Berln"}, "no time zone is called 'Europe/Berln'; did you mean \"Europe/Berlin\"?"),
        ({"zone": "../etc/passwd"}, "no time zone is called"),
        ({"zone": "/etc/localtime"}, "no time zone is called"),
        ({"zone": ""}, "no time zone is called"),
        ({"zone": "Europe"}, "no time zone is called"),
        ({"from": "2026-12-20T00:00:00"}, "has no time zone: end it with Z or an offset like"),
        ({"until": "2026-12-20"}, "has no time zone"),
        ({"until": "soon"}, "not a time: 'soon'"),
        ({"until": 1766188800}, "not a time: '1766188800'"),
        ({"until": "0001-01-01T00:00:00+23:00"}, "not between the years"),
        ({"from": "2026-12-20T00:00:00Z", "until": "2026-12-20T01:00:00+01:00"}, "before it begins"),
        ({"between": ["18:00"]}, "two different times of day"),
        ({"between": ["18:00", "18:00"]}, "two different times of day"),
        ({"between": ["18:00", "20:00", "21:00"]}, "two different times of day"),
        ({"between": [1080, 480]}, "not a time of day: '1080'; write it like \"18:00\", in quotes"),
        ({"between": ["22:00", "24:00"]}, "not a time of day: '24:00'; midnight is 00:00"),
        ({"between": ["18:00+01:00", "20:00"]}, "not a time of day"),
        ({"between": ["6pm", "20:00"]}, "not a time of day: '6pm'"),
        ({"days": ["monday"]}, "Input should be 'mon'"),
        ({"name": ""}, "at least 1 character"),
        ({"form": "2026-12-20T00:00:00Z"}, "Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_a_freeze_is_told(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        freeze(**given)
    assert said in str(caught.value)


def test_times_of_day_are_read_as_people_write_them() -> None:
    assert freeze(between=["8:05", time(18)]).between == (time(8, 5), time(18))


@pytest.mark.parametrize(
    ("given", "endless"),
    [
        ({}, True),
        ({"from": "2026-12-20T00:00:00Z"}, True),
        ({"days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}, True),
        (CHRISTMAS, False),
        (NIGHTS, False),
        (WEEKEND, False),
    ],
)
def test_a_freeze_that_never_ends_is_known(given: dict[str, Any], endless: bool) -> None:
    assert freeze(**given).endless is endless
