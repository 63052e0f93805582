"""Flapping, quiet hours and storms: when there is too much of something, and for how long."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.flapping import Flapping, shown
from bot.domain.storm import Storm, storm_key
from tests.domain.alerts import NOW, ago, route

RULE = Flapping(fires=3, within=timedelta(minutes=30), calm=timedelta(minutes=15))


def heard(rule: Flapping, times: list[datetime]) -> tuple[datetime, ...]:
    fired: tuple[datetime, ...] = ()
    for at in times:
        fired = rule.begun(fired, at)
    return fired


FLAPS = [
    ("once", RULE, [0], False),
    ("often enough", RULE, [0, 10, 20], True),
    ("often enough, at the very end", RULE, [0, 10, 30], True),
    ("a moment too slow", RULE, [0, 10, 30.1], False),
    ("the same firing told three times", RULE, [0, 0, 0], False),
    ("told in another order", RULE, [20, 0, 10], True),
    ("long ago", RULE, [0, 10, 50], False),
    ("long ago, and again", RULE, [0, 10, 50, 55, 60], True),
    ("never, when it is switched off", Flapping(fires=0), [0, 1, 2, 3, 4, 5], False),
    ("at once", Flapping(fires=1), [0], True),
]


@pytest.mark.parametrize(("rule", "minutes", "flaps"), [case[1:] for case in FLAPS], ids=[case[0] for case in FLAPS])
def test_an_alert_flaps_when_it_has_begun_to_fire_too_often(rule: Flapping, minutes: list[float], flaps: bool) -> None:
    assert rule.flaps(heard(rule, [ago(100 - at) for at in minutes])) is flaps


times = st.lists(st.integers(0, 90).map(ago), min_size=1, max_size=12)


@given(times, st.randoms(use_true_random=False), st.integers(0, 5))
def test_the_order_in_which_it_is_heard_of_does_not_matter(times: list[datetime], chance: object, fires: int) -> None:
    rule = Flapping(fires=fires, within=timedelta(minutes=30))
    shuffled = sorted(times, key=lambda at: chance.random())  # type: ignore[attr-defined]
    assert heard(rule, shuffled) == heard(rule, sorted(times))
    assert len(heard(rule, times)) <= max(fires, 1)


def test_it_says_what_too_often_is() -> None:
    assert RULE.said() == "it has begun to fire 3 times within 30m"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0s"), (1, "1s"), (90, "90s"), (60, "1m"), (5400, "90m"), (7200, "2h"), (259_200, "3d")]
)
def test_a_span_is_shown_in_the_largest_unit_that_fits(seconds: int, words: str) -> None:
    assert shown(timedelta(seconds=seconds)) == words


STORM = Storm(more_than=3, within=timedelta(minutes=5))
BLOWS = [
    ("nothing yet", STORM, [], False),
    ("one fewer", STORM, [1, 2], False),
    ("enough", STORM, [1, 2, 3], True),
    ("one of them too long ago", STORM, [1, 2, 5], False),
    ("one of them almost too long ago", STORM, [1, 2, 4.99], True),
    ("switched off", Storm(more_than=0), [0, 0, 0, 0], False),
]


@pytest.mark.parametrize(("rule", "minutes", "blows"), [case[1:] for case in BLOWS], ids=[case[0] for case in BLOWS])
def test_a_storm_is_more_new_incidents_than_anybody_can_read(rule: Storm, minutes: list[float], blows: bool) -> None:
    assert rule.blows([ago(at) for at in minutes], NOW) is blows


@pytest.mark.parametrize(("latest", "still"), [(None, False), (ago(0), True), (ago(4.99), True), (ago(5), False)])
def test_a_storm_goes_on_while_new_problems_come(latest: datetime | None, still: bool) -> None:
    assert STORM.still(latest, NOW) is still


def test_each_route_has_storms_of_its_own() -> None:
    assert storm_key(route("root/0")) != storm_key(route("root/1"))
