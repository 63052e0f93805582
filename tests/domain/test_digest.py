"""The daily digest: what counts as kept quiet, and when it is due, also when the clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from bot.domain.alert import Received
from bot.domain.digest import Counting, Still, at_night, day_before, digest_of, named, next_due, words_for
from bot.domain.digest_times import DigestTimes
from bot.domain.passing import HELD
from bot.domain.quality import RuleQuality
from tests.domain.alerts import NOW, ago, alert

IS_HELD = ("repeated: it is held (silence:1), and is looked at again",)
BERLIN = DigestTimes(time(9), "Europe/Berlin")
GAP = DigestTimes(time(2, 30), "Europe/Berlin")


def line(outcome: str, incident_id: int | None = None, by: str = "", **more: Any) -> Received:
    labels = more.pop("labels", {})
    firing = more.pop("firing", True)
    return Received(NOW, alert(firing=firing, **labels), outcome, "r", incident_id=incident_id, held_by=by, **more)


def counted(*received: Received) -> Counting:
    counting = Counting()
    for one in received:
        counting.add(one)
    return counting


# ------------------------------------------------------------------------------------------------ what is counted


def test_what_was_kept_quiet_is_told_per_reason_the_greatest_first() -> None:
    counting = counted(
        line("silenced", by="silence:1"),
        *(line("inhibited", by=f"key {number}", labels={"alertname": f"A{number % 2}"}) for number in range(3)),
        line("opened", 1),
        line("dropped"),
    )
    assert [(one.words, one.firings) for one in counting.quieted()] == [
        ("explained by another alert that fires", 3),
        ("dropped by a relabel rule", 1),
        ("silence 1", 1),
    ]
    assert counting.quieted()[0].rules == (("A0", 2), ("A1", 1))
    assert (counting.fired, counting.incidents) == (5, {1})


def test_what_is_sent_again_while_it_is_held_counts_once() -> None:
    counting = counted(line("silenced", by="silence:1"), *[line("silenced", by="silence:1", trail=IS_HELD)] * 20)
    assert counting.quieted()[0].firings == 1
    assert counting.fired == 1


def test_what_was_held_and_pages_later_is_an_incident_too() -> None:
    counting = counted(line("quiet", by="quiet:night"), line("opened", 7, again=True))
    assert (counting.fired, counting.incidents) == (1, {7})
    assert counting.quieted()[0].words == "quiet hours 'night'"


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ([line("opened", 1, again=True)], []),
        ([line("joined", 1)], []),
        ([], []),
        ([line("resolved", firing=False)], ["over before its group had waited long enough"]),
        ([line("silenced", by="silence:1", again=True)], ["silence 1"]),
    ],
)
def test_waiting_for_its_group_is_quiet_only_when_it_was_over_before(after: list[Received], words: list[str]) -> None:
    assert [one.words for one in counted(line("waiting"), *after).quieted()] == words


def test_tests_are_left_out_and_private_alerts_have_no_name() -> None:
    counting = counted(line("silenced", by="silence:1", labels={"tocsin_test": "true"}))
    counting.add(line("logged", labels={"alertname": "SecretThing"}), private=True)
    assert [one.rules for one in counting.quieted()] == [(("private alerts", 1),)]


def test_a_digest_is_bounded_and_says_how_much_more_there_is() -> None:
    counting = counted(*(line("silenced", by="silence:1", labels={"alertname": f"A{n}"}) for n in range(30)))
    found = digest_of(counting, (ago(60), NOW), 3, [Still("s", "b")] * 40, [RuleQuality("am", "A")] * 40)
    assert (len(found.quieted[0].rules), found.quieted[0].more) == (10, 20)
    assert (len(found.still), found.more_still, len(found.noisy)) == (15, 25, 10)
    assert not found.empty
    assert digest_of(Counting(), (ago(60), NOW), 3, (), ()).empty


def test_silences_are_told_by_what_is_known_of_them() -> None:
    found = digest_of(counted(line("silenced", by="silence:1")), (ago(60), NOW), 0, (), ())
    assert named(found, {("silenced", "silence:1"): "silence 1 of Ada: disks"}).quieted[0].words.endswith("Ada: disks")
    assert named(found, {}).quieted[0].words == "silence 1"
    assert words_for("silenced", "silence:1", {"silence:1": "Ada's"}) == "Ada's"


@pytest.mark.parametrize("outcome", [*HELD, "logged", "dropped"])
def test_every_reason_has_words(outcome: str) -> None:
    assert words_for(outcome, "maintenance:nightly") not in ("", outcome)


# ------------------------------------------------------------------------------------------------ when it is due


@pytest.mark.parametrize(
    ("times", "now", "day", "due"),
    [
        (DigestTimes(), "2026-11-21T08:59:59", "2026-11-21", "2026-11-21T09:00"),
        (DigestTimes(), "2026-11-21T09:00:00", "2026-11-22", "2026-11-22T09:00"),
        (BERLIN, "2026-11-21T07:00:00", "2026-11-21", "2026-11-21T08:00"),
        (BERLIN, "2026-11-21T23:30:00", "2026-11-22", "2026-11-22T08:00"),
        (BERLIN, "2026-03-28T09:00:00", "2026-03-29", "2026-03-29T07:00"),
        (BERLIN, "2026-10-24T09:00:00", "2026-10-25", "2026-10-25T08:00"),
        (GAP, "2026-03-28T12:00:00", "2026-03-29", "2026-03-29T01:30"),
        (GAP, "2026-03-29T01:30:00", "2026-03-30", "2026-03-30T00:30"),
        (GAP, "2026-10-24T12:00:00", "2026-10-25", "2026-10-25T00:30"),
        (GAP, "2026-10-25T00:45:00", "2026-10-26", "2026-10-26T01:30"),
        (DigestTimes(time(0), "Pacific/Kiritimati"), "2026-12-31T09:59", "2027-01-01", "2026-12-31T10:00"),
    ],
)
def test_it_is_due_once_a_day_at_its_local_time(times: DigestTimes, now: str, day: str, due: str) -> None:
    found = next_due(times, datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert found == (day, datetime.fromisoformat(due).replace(tzinfo=UTC))
    assert found[1].utcoffset() == timedelta(0)


@pytest.mark.parametrize("times", [DigestTimes(), BERLIN, GAP, DigestTimes(time(0), "America/Santiago")])
def test_over_a_year_every_moment_is_in_one_digest(times: DigestTimes) -> None:
    now, days = datetime(2026, 1, 1, tzinfo=UTC), []
    _, before = next_due(times, now - timedelta(days=1))
    for _ in range(365):
        day, due = next_due(times, before)
        assert day_before(times, due) == before
        days.append(day)
        before = due
    assert len(set(days)) == 365


def test_one_that_was_asked_for_at_another_time_tells_of_24_hours() -> None:
    assert day_before(DigestTimes(time(10)), NOW) == NOW - timedelta(days=1)


@pytest.mark.parametrize(
    ("hour", "zone", "night"),
    [
        (21, "UTC", False),
        (22, "UTC", True),
        (6, "UTC", True),
        (7, "UTC", False),
        (21, "Europe/Berlin", True),
        (6, "Europe/Berlin", False),
    ],
)
def test_night_is_between_ten_and_seven_there(hour: int, zone: str, night: bool) -> None:
    assert at_night(NOW.replace(hour=hour), zone) is night
