"""What an attempt makes of its row: done, later or dead; and how long it waits before the next."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bot.domain import effects
from bot.domain.effects import Effect
from bot.errors import BadInput, GaveUp, TryLater
from bot.flow.worker import (
    BUG_ATTEMPTS,
    LONGEST_RETRY,
    LONGEST_RETRY_OF_A_PAGE,
    OLDEST,
    backoff,
)
from bot.store import open_store
from tests.support.house import House


@pytest.fixture
async def house() -> House:
    made = House(await open_store("memory://"))
    made.worker._spread = lambda: 1.0
    return made


async def ask(house: House, *asked: Effect) -> None:
    await house.store.write(lambda tx: tx.ask(asked))


async def backlog(house: House, kind: str) -> tuple[int, int]:
    """Pending and dead rows of a kind."""
    found = [one for one in await house.store.backlog(house.clock()) if one.kind == kind]
    return (found[0].pending, found[0].dead) if found else (0, 0)


@pytest.mark.parametrize(
    ("attempts", "asked", "spread", "seconds"),
    [
        (1, None, 1.0, 0.5),
        (2, None, 1.0, 1.0),
        (5, None, 1.0, 8.0),
        (8, None, 1.0, 60.0),
        (10_000, None, 1.0, 60.0),
        (5, None, 0.5, 4.0),
        (5, None, 0.0, 0.05),
        (5, 120.0, 0.3, 120.0),
        (5, 0.0, 0.3, 0.0),
    ],
)
def test_the_pause_doubles_up_to_a_minute_unless_the_other_side_says(
    attempts: int, asked: float | None, spread: float, seconds: float
) -> None:
    assert backoff(attempts, asked, spread) == seconds


@given(st.integers(1, 10**9), st.floats(0, 1), st.floats(1, 100))
def test_no_pause_is_without_bound_or_nothing(attempts: int, spread: float, longest: float) -> None:
    assert 0.05 <= backoff(attempts, None, spread, longest) <= longest


async def test_a_page_is_tried_again_every_few_seconds_however_long_slack_is_away(house: House) -> None:
    house.room.failures["page"] = [TryLater("slack is down") for _ in range(30)]
    house.room.failures["open_channel"] = [TryLater("slack is down") for _ in range(30)]
    await house.receive(house.alert())
    await house.settle()
    for _ in range(40):
        await house.wait(seconds=1)
    for _ in range(3):
        before = len(house.room.failures["page"])
        await house.wait(seconds=LONGEST_RETRY_OF_A_PAGE)
        assert len(house.room.failures["page"]) == before - 1
    before = len(house.room.failures["open_channel"])
    await house.wait(seconds=LONGEST_RETRY)
    assert len(house.room.failures["open_channel"]) <= before - 1


@pytest.mark.parametrize("error", [GaveUp("no"), BadInput("wrong")])
async def test_what_can_never_be_done_is_said_in_the_fallback_channel(house: House, error: Exception) -> None:
    house.room.failures["topic"] = [error]
    await house.receive(house.alert())
    await house.settle()
    assert await backlog(house, "topic") == (0, 1)
    assert any("topic" in act[1] for act in house.room.said("alarm"))
    assert "warning" in await house.kinds()


async def test_an_alarm_that_cannot_be_given_raises_no_alarm(house: House) -> None:
    house.room.failures["alarm"] = [GaveUp("no such channel")] * 5
    await ask(house, effects.alarm("x", "something is broken", house.clock()))
    await house.settle()
    assert await backlog(house, "alarm") == (0, 1)
    assert len(house.room.failures["alarm"]) == 4


async def test_a_bug_is_tried_again_a_bounded_number_of_times_and_then_said(house: House) -> None:
    house.room.failures["topic"] = [ZeroDivisionError("a bug")] * 100
    await house.receive(house.alert())
    with capture_logs():  # each with its traceback, whose drawing takes long
        for _ in range(60):
            await house.wait(minutes=2)
    assert 100 - len(house.room.failures["topic"]) == BUG_ATTEMPTS
    assert await backlog(house, "topic") == (0, 1)


async def test_what_is_not_available_for_a_day_is_given_up_and_said(house: House) -> None:
    house.room.failures["say"] = [TryLater("slack is down", delay=3600)] * 100
    await house.receive(house.alert())
    await house.settle()
    hours = 0
    while (await backlog(house, "say"))[1] == 0:
        await house.wait(hours=1)
        hours += 1
        assert hours < 30
    assert timedelta(hours=hours) >= OLDEST


async def test_a_kind_that_nothing_delivers_is_dead_at_once(house: House) -> None:
    stranger = effects.card(1, house.clock()).model_copy(update={"kind": "fax", "key": "fax:1", "lane": "fax"})
    await ask(house, stranger)
    await house.settle()
    assert await backlog(house, "fax") == (0, 1)


async def test_an_uncertain_attempt_is_looked_for_and_a_certain_one_is_not(house: House) -> None:
    seen: list[bool] = []
    say = house.room.say

    async def recording(*words: object, again: bool = False, **more: object) -> str:
        seen.append(bool(words[-1]))
        return await say(*words)  # type: ignore[arg-type]

    house.room.say = recording  # type: ignore[method-assign]
    house.room.failures["say"] = [
        TryLater("refused"),
        TryLater("no answer", uncertain=True),
        ZeroDivisionError("a bug"),
    ]
    await house.receive(house.alert())
    await house.settle()
    for _ in range(4):
        await house.wait(seconds=5)
    assert seen[:4] == [False, False, True, True]


async def test_a_lane_waits_for_its_first_and_other_lanes_do_not(house: House) -> None:
    house.room.failures["open_channel"] = [TryLater("slack is slow", delay=30)]
    await house.receive(house.alert())
    await house.settle()
    assert house.room.said("card") == []
    assert len(house.room.said("page")) == 1
    await house.wait(seconds=31)
    acts = [act[0] for act in house.room.acts]
    assert acts.index("open_channel") < acts.index("card")
