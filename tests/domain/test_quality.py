"""How good each alert rule is: what counts as firing, paging and acting, and what is suggested for the noisy ones."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from bot.domain.alert import Received
from bot.domain.incident import State
from bot.domain.quality import Handled, RuleQuality, Tally, handled, noisy
from bot.domain.timeline import Entry
from tests.domain.alerts import NOW, ago, alert, incident

IS_HELD = ("repeated: it is held (silence:1), and is looked at again",)
FIRES_ON = ("repeated: it fires already, but has no incident",)
BY_DAY = lambda who, at: False  # noqa: E731


def line(outcome: str, incident_id: int | None = None, at: datetime = NOW, **more: Any) -> Received:
    labels = more.pop("labels", {})
    firing = more.pop("firing", True)
    return Received(at, alert(firing=firing, **labels), outcome, "r", incident_id=incident_id, **more)


def quality_of(*received: Received, done: dict[int, Handled] | None = None) -> RuleQuality:
    tally = Tally()
    for one in received:
        tally.add(one)
    (found,) = tally.result(done or {}, BY_DAY)
    return found


def did(number: int, **more: Any) -> Handled:
    return Handled(number, ago(60), **more)


PAGE = ((ago(59), "Ada"),)


@pytest.mark.parametrize(
    ("received", "fired"),
    [
        ([line("opened", 1), line("repeated", 1), line("resolved", 1, firing=False)], 1),
        ([line("silenced"), line("silenced", trail=IS_HELD), line("silenced", trail=IS_HELD)], 1),
        ([line("silenced"), line("opened", 1, again=True)], 1),
        ([line("silenced"), line("opened", 1, trail=IS_HELD)], 1),
        ([line("waiting"), line("opened", 1, again=True)], 1),
        ([line("logged"), line("logged", trail=FIRES_ON)], 1),
        ([line("opened", 1), line("flapping", 1, firing=False), line("flapping", 1)], 2),
        ([line("opened", 1), line("dropped"), line("ignored")], 1),
        ([line("joined", 1), line("reopened", 1), line("late", 1)], 3),
    ],
)
def test_a_firing_is_counted_once_however_often_it_is_sent_or_looked_at(received: list[Received], fired: int) -> None:
    assert quality_of(*received).fired == fired


def test_what_waits_for_its_group_is_not_counted_as_held() -> None:
    found = quality_of(line("waiting"), line("opened", 1, again=True), line("silenced"))
    assert found.held == {"silenced": 1}
    assert found.opened == 1


def test_tests_do_not_count() -> None:
    tally = Tally()
    tally.add(line("opened", 1, labels={"tocsin_test": "true"}))
    assert tally.result({}, BY_DAY) == ()
    assert tally.incidents == set()


def test_pages_are_those_of_the_rule_that_opened_the_incident() -> None:
    tally = Tally()
    tally.add(line("opened", 1))
    tally.add(line("joined", 1, labels={"alertname": "Other"}))
    opened, joined = tally.result({1: did(1, pages=PAGE, acknowledged_at=ago(58))}, BY_DAY)
    assert (opened.name, opened.paged, opened.pages, opened.acknowledged) == ("HighErrorRate", 1, 1, 1)
    assert (joined.name, joined.paged, joined.pages, joined.acknowledged) == ("Other", 0, 0, 1)
    assert (joined.incidents, joined.opened) == (1, 0)


def test_times_are_medians_over_the_incidents_in_which_it_happened() -> None:
    done = {
        number: did(number, pages=((ago(60 - to_page), "Ada"),), acknowledged_at=acknowledged, acted_at=None)
        for number, to_page, acknowledged in ((1, 1, ago(50)), (2, 2, ago(40)), (3, 9, None))
    }
    found = quality_of(*(line("opened", number) for number in done), done=done)
    assert (found.to_page, found.to_acknowledge, found.to_act) == (120.0, 900.0, None)


def test_an_incident_that_was_opened_again_is_measured_from_then() -> None:
    again = did(1, beginnings=(ago(60), ago(10)), acknowledged_at=ago(5), resolved_at=ago(8))
    found = quality_of(line("reopened", 1), done={1: again})
    assert found.to_acknowledge == 300.0
    assert found.brief == 1


def test_pages_at_night_are_asked_for_per_person() -> None:
    tally = Tally()
    tally.add(line("opened", 1))
    done = {1: did(1, pages=((ago(59), "Ada"), (ago(58), "Bob")))}
    (found,) = tally.result(done, lambda who, at: who == "Bob")
    assert (found.pages, found.night_pages) == (2, 1)


def test_only_the_pages_of_the_time_count() -> None:
    both = did(1, pages=((ago(90), "Ada"), (ago(30), "Ada")))
    assert both.between(ago(60), NOW).pages == ((ago(30), "Ada"),)


def test_acting_is_what_people_do_beside_acknowledging() -> None:
    entries = [
        Entry(at=ago(59), kind="opened", text=""),
        Entry(at=ago(58), kind="page_sent", text="", data={"to": "Ada"}),
        Entry(at=ago(57), kind="acknowledged", text="", actor="Ada"),
        Entry(at=ago(56), kind="run_started", text=""),
        Entry(at=ago(55), kind="severity", text=""),
        Entry(at=ago(50), kind="run_approved", text="", actor="Ada"),
        Entry(at=ago(40), kind="resolved", text=""),
    ]
    found = handled(incident(State.RESOLVED, ago(40)), entries)
    assert found.pages == ((ago(58), "Ada"),)
    assert (found.acknowledged_at, found.acted_at, found.resolved_at) == (ago(57), ago(50), ago(40))
    assert handled(incident(), entries[:5]).acted_at is None, "what the bot did by itself"


def several(count: int, **more: Any) -> tuple[list[Received], dict[int, Handled]]:
    return [line("opened", number) for number in range(count)], {number: did(number, **more) for number in range(count)}


FLAPS = ("flapping: it has begun to fire 4 times within 30m",)


@pytest.mark.parametrize(
    ("received", "done", "words"),
    [
        (*several(3, pages=PAGE), "paged for 3 incidents, and nobody did anything"),
        (*several(2, pages=PAGE), ""),
        (*several(3, pages=PAGE, acted_at=ago(10)), ""),
        (*several(5, resolved_at=ago(58)), "5 of 5 incidents were over by themselves within 5m"),
        (*several(5, resolved_at=ago(10)), ""),
        ([line("reopened", 1, trail=FLAPS)] * 3, {}, "flapped 3 times"),
        ([line("silenced")] * 5, {}, "5 of 5 firings were kept quiet"),
        ([line("waiting")] * 9, {}, ""),
        ([line("logged", trail=FIRES_ON)] * 9 + [line("opened", 1)], {}, ""),
    ],
)
def test_noise_has_a_suggestion_and_what_is_worth_it_has_none(
    received: list[Received], done: dict[int, Handled], words: str
) -> None:
    found = quality_of(*received, done=done)
    assert found.suggestion.startswith(words) if words else found.suggestion == ""
    assert noisy([found]) == ((found,) if words else ())


def test_night_pages_stand_in_the_suggestion_and_order_the_list() -> None:
    tally = Tally()
    for number in range(3):
        tally.add(line("opened", number))
    for _ in range(20):
        tally.add(line("silenced", labels={"alertname": "Loud"}))
    first, second = tally.result({number: did(number, pages=PAGE) for number in range(3)}, lambda who, at: True)
    assert "3 of the pages at night" in first.suggestion
    assert second.name == "Loud"
    assert second.fired == 20


def test_every_span_is_measured_from_the_opening_when_nothing_else_is_known() -> None:
    assert did(1).since_it_began(ago(50)) == timedelta(minutes=10)
