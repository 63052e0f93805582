"""How on-call is shared out, in hours as they pass and in pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.fairness import Calendar, Share, fairness
from bot.domain.page import Page, PageState
from bot.domain.schedule import Holidays, Shift

BERLIN = Calendar(zone="Europe/Berlin", holidays=Holidays(country="DE", subdivision="BY"))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def shift(person: str, starts: str, ends: str) -> Shift:
    return Shift(person=person, starts=utc(starts), ends=utc(ends))


def page(person: str, at: str, incident: int | None, state: PageState = PageState.SENT, **more: object) -> Page:
    fields = {"key": f"{person} {at} {incident}", "name": person, "medium": "sms", "state": state, **more}
    return Page.model_validate(
        {"target": f"person:{person}", "incident_id": incident, "begun_at": utc(at), "state_at": utc(at), **fields}
    )


def only(shares: tuple[Share, ...]) -> Share:
    (share,) = shares
    return share


HOURS: list[tuple[str, str, str, tuple[float, float, float, float]]] = [
    ("a working day", "2026-03-04T08:00", "2026-03-04T16:00", (8, 0, 0, 0)),
    ("a night", "2026-03-04T17:00", "2026-03-05T08:00", (15, 8, 0, 0)),
    ("a weekend", "2026-03-06T23:00", "2026-03-08T23:00", (48, 16, 48, 0)),
    ("the night that is an hour longer", "2026-10-24T20:00", "2026-10-25T05:00", (9, 9, 9, 0)),
    ("the night that is an hour shorter", "2026-03-28T21:00", "2026-03-29T04:00", (7, 7, 7, 0)),
    ("a holiday", "2026-01-05T23:00", "2026-01-06T23:00", (24, 8, 0, 24)),
    ("a few minutes", "2026-03-04T20:45", "2026-03-04T21:15", (0.5, 0.25, 0, 0)),
]


@pytest.mark.parametrize(("starts", "ends", "hours"), [one[1:] for one in HOURS], ids=[one[0] for one in HOURS])
def test_hours_are_counted_as_they_pass(starts: str, ends: str, hours: tuple[float, float, float, float]) -> None:
    share = only(fairness([shift("ada", starts, ends)], [], BERLIN))
    assert (share.hours, share.night_hours, share.weekend_hours, share.holiday_hours) == hours


def test_a_night_is_that_of_the_person_when_they_live_elsewhere() -> None:
    night = shift("ada", "2026-03-04T21:00", "2026-03-05T05:00")
    assert only(fairness([night], [], BERLIN)).night_hours == 8
    away = BERLIN.model_copy(update={"zones": {"ada": "America/New_York"}})
    assert only(fairness([night], [page("ada", "2026-03-04T22:00", 1)], away)).night_hours == 2
    assert only(fairness([night], [page("ada", "2026-03-04T22:00", 1)], away)).night_pages == 0


def test_two_schedules_at_once_are_the_same_hours() -> None:
    shifts = [
        shift("ada", "2026-03-04T08:00", "2026-03-04T16:00"),
        shift("ada", "2026-03-04T12:00", "2026-03-04T20:00"),
    ]
    assert only(fairness(shifts, [], BERLIN)).hours == 12


PAGES: list[tuple[str, list[Page], tuple[int, int]]] = [
    ("none", [], (0, 0)),
    ("by several media for one incident", [page("ada", "2026-03-04T12:00", 1), page("ada", "2026-03-04T12:03", 1, medium="call")], (1, 0)),
    ("again when its paging began anew", [page("ada", "2026-03-04T12:00", 1), page("ada", "2026-03-04T14:00", 1, epoch=2)], (2, 0)),
    ("at night", [page("ada", "2026-03-04T21:00", 1), page("ada", "2026-03-05T04:59", 2), page("ada", "2026-03-05T05:00", 3)], (3, 2)),
    ("what did not arrive", [page("ada", "2026-03-04T12:00", 1, state) for state in
                             (PageState.FAILED, PageState.SKIPPED, PageState.SENDING, PageState.BUNDLED)], (0, 0)),
    ("what is no page", [page("ada", "2026-03-04T12:00", 1, purpose="recovery"), page("ada", "2026-03-04T12:00", 2, target="channel:ops")], (0, 0)),
    ("by hand, without an incident", [page("ada", "2026-03-04T12:00", None), page("ada", "2026-03-04T12:01", None)], (2, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("pages", "counted"), [one[1:] for one in PAGES], ids=[one[0] for one in PAGES])
def test_a_page_counts_once_and_only_when_it_arrived(pages: list[Page], counted: tuple[int, int]) -> None:
    share = only(fairness([shift("ada", "2026-03-04T08:00", "2026-03-05T08:00")], pages, BERLIN))
    assert (share.pages, share.night_pages) == counted


def test_everybody_is_told_in_a_sentence_most_hours_first() -> None:
    shifts = [
        shift("bob", "2026-03-09T08:00", "2026-03-09T16:00"),
        shift("ada", "2026-03-06T17:00", "2026-03-07T17:00"),
    ]
    pages = [
        page("ada", "2026-03-06T23:00", 1),
        page("ada", "2026-03-07T09:00", 2),
        page("bob", "2026-03-09T22:00", 3),
        page("eve", "2026-03-09T12:00", 4),
    ]
    found = fairness(shifts, pages, BERLIN, {"ada": "Ada", "bob": "Bob"})
    assert [share.words for share in found] == [
        "Ada: 24 h on call (75 %), of these 8 h at night and 18 h at the weekend; paged 2 times, 1 of them at night",
        "Bob: 8 h on call (25 %); paged once, at night",
        "eve: 0 h on call (0 %); paged once",
    ]
    assert [share.percent for share in found] == [75, 25, 0]


def test_nobody_is_a_share_of_nothing() -> None:
    assert fairness([], [], BERLIN) == ()


def test_a_year_of_many_shifts_is_quick_to_count() -> None:
    start = utc("2026-01-01T00:00")
    shifts = [
        Shift(person=f"p{number % 5}", starts=start + timedelta(hours=number), ends=start + timedelta(hours=number + 1))
        for number in range(24 * 365)
    ]
    shares = fairness(shifts, [], BERLIN)
    assert sum(share.hours for share in shares) == 24 * 365
    assert sum(share.night_hours for share in shares) == 8 * 365
