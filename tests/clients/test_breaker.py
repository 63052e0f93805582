"""The circuit breaker: a dead destination costs nothing, one attempt shows that it is back, others are not touched."""

from __future__ import annotations

import pytest

from bot.clients.breaker import ANOTHER_TRIES, FAILURES, REST, Breaker
from bot.errors import BadInput, GaveUp, TryLater
from tests.support.clock import HandClock


def failing(breaker: Breaker, error: Exception) -> None:
    with pytest.raises(type(error)), breaker.attempt():
        raise error


def opened(clock: HandClock) -> Breaker:
    breaker = Breaker("Discord (discord.com)", clock)
    for _ in range(FAILURES):
        failing(breaker, TryLater("500"))
    return breaker


def test_it_opens_after_so_many_failures_in_a_row_and_says_when_to_come_again() -> None:
    clock = HandClock()
    breaker = opened(clock)
    assert breaker.open
    clock.forward(seconds=10)
    with (
        pytest.raises(
            TryLater, match=r"Discord \(discord.com\): not tried, because the last 5 attempts failed"
        ) as raised,
        breaker.attempt(),
    ):
        pytest.fail("the destination was tried")
    assert (raised.value.delay, raised.value.uncertain) == (REST.total_seconds() - 10, False)


@pytest.mark.parametrize("answer", [None, BadInput("400"), GaveUp("401")])
def test_an_answer_of_any_kind_shows_that_it_is_alive(answer: Exception | None) -> None:
    breaker = Breaker("x", HandClock())
    for _ in range(3):
        for _ in range(FAILURES - 1):
            failing(breaker, TryLater("500"))
        if answer:
            failing(breaker, answer)
        else:
            with breaker.attempt():
                pass
    assert not breaker.open


def test_after_its_rest_one_attempt_goes_through_and_the_others_wait_for_what_it_finds() -> None:
    clock = HandClock()
    breaker = opened(clock)
    clock.forward(seconds=REST.total_seconds())
    with breaker.attempt():
        with pytest.raises(TryLater) as raised, breaker.attempt():
            pytest.fail("two at once")
        assert raised.value.delay == ANOTHER_TRIES
    assert not breaker.open
    with breaker.attempt(), breaker.attempt():
        pass


def test_when_that_one_fails_it_rests_again() -> None:
    clock = HandClock()
    breaker = opened(clock)
    for _ in range(3):
        clock.forward(seconds=REST.total_seconds())
        failing(breaker, TryLater("still dead"))
        with pytest.raises(TryLater, match="not tried"), breaker.attempt():
            pytest.fail("tried")


def test_an_attempt_that_is_broken_off_says_nothing_and_lets_the_next_one_try() -> None:
    clock = HandClock()
    breaker = opened(clock)
    clock.forward(seconds=REST.total_seconds())
    with pytest.raises(KeyboardInterrupt), breaker.attempt():
        raise KeyboardInterrupt
    assert breaker.open
    with breaker.attempt():
        pass
    assert not breaker.open


def test_a_clock_that_was_set_back_does_not_keep_it_open_for_longer_than_its_rest_says() -> None:
    clock = HandClock()
    breaker = opened(clock)
    clock.forward(hours=-1)
    with pytest.raises(TryLater) as raised, breaker.attempt():
        pytest.fail("tried")
    assert raised.value.delay == REST.total_seconds()
    clock.forward(seconds=REST.total_seconds())
    with breaker.attempt():
        pass
