"""Changes in the world: kept as they come in, the newest state counts, and given to whoever looks for causes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.incoming import ChangeEvent
from bot.flow.changes import Changes
from bot.store import open_store
from tests.support.clock import HandClock

HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def changes(clock: HandClock) -> Changes:
    return Changes(await open_store("memory://"), clock)


def deployment(clock: HandClock, key: str = "42", minutes: float = 0, **more: str) -> ChangeEvent:
    at = clock() - timedelta(minutes=minutes)
    return replace(ChangeEvent("github", key, "deployment", f"Deploy {key}", at), **more)


async def test_nothing_is_nothing(changes: Changes, clock: HandClock) -> None:
    assert await changes.keep([]) == 0
    assert list(await changes.since(clock() - HOUR, 10)) == []


async def test_the_newest_come_first_and_only_so_many_of_the_time_asked_for(changes: Changes, clock: HandClock) -> None:
    told = [deployment(clock, str(minutes), minutes) for minutes in (5, 90, 1, 30)]
    assert await changes.keep(told) == 4
    assert [one.key for one in await changes.since(clock() - HOUR, 10)] == ["1", "5", "30"]
    assert [one.key for one in await changes.since(clock() - HOUR, 2)] == ["1", "5"]


async def test_the_same_change_told_again_is_one_with_its_newest_state(changes: Changes, clock: HandClock) -> None:
    begun, failed = deployment(clock, minutes=5, state="in_progress"), deployment(clock, minutes=2, state="failure")
    assert await changes.keep([begun]) == 1
    assert await changes.keep([failed]) == 1
    assert await changes.keep([begun]) == 0, "it comes late"
    (kept,) = await changes.since(clock() - HOUR, 10)
    assert kept.state == "failure"


async def test_the_same_key_of_another_source_is_another_change(changes: Changes, clock: HandClock) -> None:
    one = deployment(clock)
    assert await changes.keep([one, replace(one, source="gitlab")]) == 2


async def test_what_is_to_come_is_not_given_yet(changes: Changes, clock: HandClock) -> None:
    await changes.keep([deployment(clock, minutes=-10)])
    assert list(await changes.since(clock() - HOUR, 10)) == []
    clock.forward(minutes=11)
    assert [one.key for one in await changes.since(clock() - HOUR, 10)] == ["42"]
