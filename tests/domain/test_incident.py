"""What may happen to an incident, in every state: its next state, the entry that tells of it, and what is asked of the world."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain import lifecycle, paging
from bot.domain.alert import Alert
from bot.domain.escalation import Level, Policy, Track, next_paging
from bot.domain.incident import Change, Incident, State
from bot.domain.lifecycle import Opening
from bot.domain.people import TOCSIN, Actor, Directory, Person
from bot.domain.timeline import first_broken
from tests.domain.alerts import NOW, alert, incident, route

ADA = Actor(id="ada", name="Ada")
SHOP = Policy(key="shop", levels=(Level(targets=("person:ada",)), Level(targets=("channel:ops",))), repeat=0)
DIRECTORY = Directory(people={"ada": Person(key="ada", name="Ada", slack="U0ADA")})
LATER = NOW + timedelta(minutes=10)
Act = Callable[[Incident], Change]

ACTS: dict[str, Act] = {
    "acknowledge": lambda one: lifecycle.acknowledged(one, ADA, LATER),
    "mitigate": lambda one: lifecycle.mitigated(one, ADA, "it is better", LATER),
    "resolve": lambda one: lifecycle.resolved(one, ADA, "", LATER),
    "all alerts resolve": lambda one: lifecycle.resolved_by_alerts(one, LATER),
    "close": lambda one: lifecycle.closed(one, TOCSIN, LATER),
    "note": lambda one: lifecycle.noted(one, "hm", ADA, LATER),
    "severity": lambda one: lifecycle.severity_set(one, "info", ADA, LATER),
    "escalate": lambda one: paging.escalated_by_hand(one, ADA, LATER),
    "reopen": lambda one: lifecycle.reopened(one, "it fires again", LATER),
}
T, A, M, R, C = State.TRIGGERED, State.ACKNOWLEDGED, State.MITIGATED, State.RESOLVED, State.CLOSED


def given_state(state: State) -> Incident:
    resolved = NOW if state in (R, C) else None
    return incident(state, resolved_at=resolved, tracks=(Track(policy=SHOP, step=1),))


@pytest.mark.parametrize(
    ("act", "before", "after"),
    [
        *(("acknowledge", state, A if state is T else None) for state in State),
        *(("mitigate", state, M if state in (T, A) else None) for state in State),
        *(("resolve", state, R if state in (T, A, M) else None) for state in State),
        *(("close", state, C if state is R else None) for state in State),
        *(("note", state, state) for state in State),
        *(("severity", state, state) for state in State),
        *(("escalate", state, T if state in (T, A, M) else None) for state in State),
    ],
)
def test_what_happens_in_which_state(act: str, before: State, after: State | None) -> None:
    """None: nothing changes, nothing is told, nothing is asked."""
    was = given_state(before)
    change = ACTS[act](was)
    if after is None:
        assert change == Change(was)
        return
    assert change.incident.state is after
    assert len(change.entries) == 1
    assert change.incident.seq == was.seq + 1
    assert change.incident.head == change.entries[0].hash


def kinds(change: Change) -> list[str]:
    return sorted(effect.kind for effect in change.effects)


def pod(name: str) -> Alert:
    return replace(alert(pod=name), fingerprint=name)


def opened(private: bool = False) -> Change:
    opening = Opening("group", {"service": "checkout"}, "critical", (SHOP,), route(private=private))
    return lifecycle.opened(7, [pod("a"), pod("b")], opening, NOW)


def test_a_new_incident_asks_for_people_a_channel_a_card_and_context() -> None:
    change = opened()
    assert (change.incident.ref, change.incident.firing, change.incident.alerts) == ("INC-7", 2, 2)
    assert change.incident.channel_name.startswith("inc-7-checkout-")
    assert kinds(change) == ["card", "escalate", "gather", "offer", "open_channel", "topic"]
    assert all(effect.due >= NOW for effect in change.effects)
    (page,) = [effect for effect in change.effects if effect.kind == "escalate"]
    assert (page.due, page.payload["step"]) == (NOW, 0)


def test_an_acknowledgement_asks_nobody_else() -> None:
    change = ACTS["acknowledge"](opened().incident)
    assert "page" not in kinds(change)
    assert "escalate" not in kinds(change)
    assert (change.incident.acknowledged_by, change.incident.acknowledged_at) == ("Ada", LATER)


@pytest.mark.parametrize(
    ("actor", "invited"),
    [("ada", True), ("slack:U0X", True), ("tocsin", True), ("pagerduty:Ada", False), ("am:", False)],
)
def test_whoever_acknowledges_is_invited_unless_only_a_sender_knows_them(actor: str, invited: bool) -> None:
    change = lifecycle.acknowledged(opened().incident, Actor(id=actor, name="Ada"), LATER)
    assert ("invite" in kinds(change)) is invited


def test_an_alert_that_fires_twice_in_one_delivery_is_one_alert() -> None:
    opening = Opening("group", {}, "critical", (SHOP,), route())
    change = lifecycle.opened(7, [pod("a"), pod("b"), pod("a")], opening, NOW)
    assert change.incident.alerts == 2


def test_a_resolve_asks_for_the_post_mortem_and_nothing_more_is_paged() -> None:
    assert kinds(ACTS["resolve"](opened().incident)) == ["card", "review", "say", "stand_down", "topic"]


def test_reopening_pages_from_the_start_under_a_new_epoch() -> None:
    was = ACTS["resolve"](ACTS["acknowledge"](opened().incident).incident).incident
    change = ACTS["reopen"](was)
    now = change.incident
    assert (now.state, now.epoch, now.acknowledged_by, now.resolved_at) == (T, 2, "", None)
    assert [track.step for track in now.tracks] == [0]
    old = {effect.key for effect in opened().effects if effect.kind == "escalate"}
    assert not old & {effect.key for effect in change.effects}, "its timers are new ones"


@pytest.mark.parametrize(
    ("minutes", "within", "again"), [(0, 30, True), (30, 30, True), (30.1, 30, False), (1, 0, False), (0, 0, True)]
)
def test_what_comes_back_in_time_belongs_to_it(minutes: float, within: float, again: bool) -> None:
    was = incident(R, resolved_at=NOW, reopen_within=timedelta(minutes=within))
    assert was.reopens(NOW + timedelta(minutes=minutes)) is again


@pytest.mark.parametrize("state", [T, A, M, C])
def test_only_what_is_resolved_reopens(state: State) -> None:
    assert not incident(state, resolved_at=NOW).reopens(NOW)


def test_alerts_of_an_open_incident_are_counted_and_never_below_nothing() -> None:
    was = opened().incident
    change = lifecycle.alerts_received(was, (pod("c"),), (pod("a"), pod("b")), 0, "critical", LATER)
    assert (change.incident.firing, change.incident.alerts) == (1, 3)
    assert [entry.kind for entry in change.entries] == ["alert_firing", "alert_resolved"]
    assert "say" not in kinds(change), "the card tells of it"
    fewer = lifecycle.alerts_received(
        change.incident, (), tuple(pod(str(number)) for number in range(9)), 0, "critical", LATER
    )
    assert fewer.incident.firing == 0


def test_a_severity_that_rises_is_told() -> None:
    change = lifecycle.alerts_received(opened().incident, (pod("a"),), (), 1, "error", LATER)
    assert (change.incident.severity, change.incident.alerts) == ("error", 2)
    assert [entry.kind for entry in change.entries] == ["alert_firing", "severity"]


@pytest.mark.parametrize("private", [True, False])
def test_when_nobody_is_left_it_is_said_loudly_and_a_private_title_is_kept(private: bool) -> None:
    was = opened(private).incident
    left = next_paging(Track(policy=SHOP, step=2), DIRECTORY, NOW)
    change = paging.paging_decided(was, 0, left, NOW)
    assert kinds(change) == ["alarm", "say"]
    (alarm,) = [effect for effect in change.effects if effect.kind == "alarm"]
    assert "NOBODY ACKNOWLEDGED INC-7" in alarm.payload["text"]
    assert (was.title in alarm.payload["text"]) is not private
    assert change.incident.tracks[0].exhausted


def test_a_level_is_paged_invited_and_followed_by_its_timer() -> None:
    was = opened().incident
    change = paging.paging_decided(was, 0, next_paging(was.tracks[0], DIRECTORY, NOW), NOW)
    assert kinds(change) == ["escalate", "fall_back", "invite", "page", "say"]
    assert change.incident.paged == ("ada",)
    (timer,) = [effect for effect in change.effects if effect.kind == "escalate"]
    assert timer.due == NOW + timedelta(minutes=5)
    assert timer.payload["step"] == change.incident.tracks[0].step == 1


@given(st.lists(st.sampled_from(sorted(ACTS)), max_size=25))
def test_whatever_happens_the_timeline_is_whole_and_the_state_follows_from_it(acts: list[str]) -> None:
    change = opened()
    entries = list(change.entries)
    for act in acts:
        if act == "reopen" and not change.incident.reopens(LATER):
            continue
        change = ACTS[act](change.incident)
        entries += change.entries
        if not change.incident.is_open:
            assert change.incident.resolved_at is not None
        for effect in change.effects:
            assert effect.kind not in ("page", "escalate") or change.incident.state is T
    assert first_broken(entries) is None
    assert change.incident.seq == len(entries)
