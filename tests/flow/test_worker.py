"""What an attempt makes of its row: done, later or dead; and how long it waits before the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bot.domain import effects
from bot.domain.effects import Effect, Priority
from bot.domain.incident import entered
from bot.domain.ports import Delivery, Tx
from bot.errors import BadInput, GaveUp, TryLater
from bot.flow.delivery import Record
from bot.flow.worker import (
    BUG_ATTEMPTS,
    FOR_PAGES,
    LONGEST_RETRY,
    LONGEST_RETRY_OF_A_PAGE,
    OLDEST,
    SLOTS,
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
    house.room.failures["page"] = [TryLater("slack is down") for _ in range(100)]
    house.room.failures["open_channel"] = [TryLater("slack is down") for _ in range(30)]
    await house.receive(house.alert())
    await house.settle()
    for _ in range(40):
        await house.wait(seconds=1)
    for _ in range(3):
        before, (waiting, _dead) = len(house.room.failures["page"]), await backlog(house, "page")
        await house.wait(seconds=LONGEST_RETRY_OF_A_PAGE)
        assert waiting >= 1
        assert len(house.room.failures["page"]) == before - waiting
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


# ------------------------------------------------------------------------------------------------ timers


def timer(number: int, house: House, kind: str = "timer") -> Effect:
    key = f"{kind}:{number}"
    return Effect(kind=kind, key=key, lane=key, priority=Priority.TIMER, due=house.clock(), payload={"number": number})


class Records:
    """A handler that only records: it asks for a row of its own, and fails for some numbers."""

    def __init__(self, house: House, *poisoned: int, error: Exception | None = None) -> None:
        self.house = house
        self.poisoned = poisoned
        self.error = error or ZeroDivisionError("a bug")
        self.seen: list[int] = []
        house.handlers["timer"] = self.handle
        house.handlers["asked"] = self.nothing

    async def handle(self, delivery: Delivery) -> Record:
        number = delivery.effect.payload["number"]

        async def record(tx: Tx) -> None:
            if number in self.poisoned:
                raise self.error
            self.seen.append(number)
            due = self.house.clock() + timedelta(days=1)
            await tx.ask([timer(number, self.house, "asked").model_copy(update={"due": due})])

        return record

    async def nothing(self, delivery: Delivery) -> None:
        return None

    async def asked(self) -> int:
        return (await backlog(self.house, "asked"))[0]


async def run_until(house: House, done: Callable[[], Awaitable[bool]]) -> None:
    """The worker as it runs in the program."""
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(house.worker.run())
        while not await done():
            await asyncio.sleep(0.005)
        house.worker.stop()


async def test_timers_that_are_due_are_decided_together(house: House) -> None:
    records, commits = Records(house), 0
    settle_timers = house.store.settle_timers

    async def counted(*words: Any) -> int:
        nonlocal commits
        commits += 1
        return await settle_timers(*words)

    house.store.settle_timers = counted  # type: ignore[method-assign]
    await ask(house, *(timer(number, house) for number in range(150)))

    async def done() -> bool:
        return await records.asked() == 150

    await run_until(house, done)
    assert sorted(records.seen) == list(range(150))
    assert commits <= 3
    assert await backlog(house, "timer") == (0, 0)


@pytest.mark.parametrize("poisoned", [(0,), (77,), (3, 4, 149)])
async def test_one_that_fails_does_not_hold_up_the_others(house: House, poisoned: tuple[int, ...]) -> None:
    records = Records(house, *poisoned, error=GaveUp("no such thing"))
    await ask(house, *(timer(number, house) for number in range(150)))

    async def done() -> bool:
        return (await backlog(house, "timer"))[0] == 0

    with capture_logs():
        await run_until(house, done)
    assert await records.asked() == 150 - len(poisoned)
    assert await backlog(house, "timer") == (0, len(poisoned))


async def test_a_bug_in_one_timer_is_tried_again_later_alone(house: House) -> None:
    records = Records(house, 5)
    await ask(house, *(timer(number, house) for number in range(10)))

    async def done() -> bool:
        return await records.asked() == 9

    with capture_logs():
        await run_until(house, done)
        assert await backlog(house, "timer") == (1, 0)
        records.poisoned = ()
        await house.wait(seconds=60)
    assert await records.asked() == 10


async def test_what_nobody_delivers_is_dead_also_as_a_timer(house: House) -> None:
    await ask(house, timer(1, house, "fax"))

    async def done() -> bool:
        return await backlog(house, "fax") == (0, 1)

    with capture_logs():
        await run_until(house, done)
    assert any("fax" in act[1] for act in house.room.said("alarm"))


async def test_slow_work_leaves_room_for_pages(house: House) -> None:
    answer = asyncio.Event()
    paged: list[str] = []

    async def slow(delivery: Delivery) -> None:
        await answer.wait()

    async def page(delivery: Delivery) -> None:
        paged.append(delivery.effect.key)

    house.handlers |= {"slow": slow, "quick": page}
    cards = [timer(number, house, "slow").model_copy(update={"priority": Priority.CARD}) for number in range(100)]
    await ask(house, *cards)

    async def busy() -> bool:
        if len(house.worker._running) >= SLOTS - FOR_PAGES and not paged:
            await ask(house, timer(1, house, "quick").model_copy(update={"priority": Priority.PAGE}))
        return bool(paged)

    async def done() -> bool:
        if await busy():
            answer.set()
        return bool(paged)

    await run_until(house, done)
    assert paged == ["quick:1"]


async def test_pages_that_hang_keep_no_slot_from_those_by_another_medium(house: House) -> None:
    house.worker._slow = 0.02
    answer = asyncio.Event()
    paged: list[str] = []

    async def hangs(delivery: Delivery) -> None:
        await answer.wait()

    async def page(delivery: Delivery) -> None:
        paged.append(delivery.effect.key)

    house.handlers |= {"hangs": hangs, "quick": page}
    wanted = [timer(number, house, "hangs") for number in range(100)] + [timer(1, house, "quick")]
    await ask(house, *(one.model_copy(update={"priority": Priority.PAGE}) for one in wanted))

    async def done() -> bool:
        if paged:
            answer.set()
        return bool(paged)

    await run_until(house, done)
    assert paged == ["quick:1"]


async def test_records_that_are_made_together_see_each_other(house: House) -> None:
    """Two tracks of one incident come due in one transaction: the second decides about what the first has made of it."""
    await house.receive(house.alert())
    await house.settle()
    incident = await house.incident()
    before = len(await house.kinds())

    async def note(delivery: Delivery) -> Record:
        async def record(tx: Tx) -> None:
            found = await tx.incident(incident.id)
            assert found is not None
            await tx.save(entered(found, "note", f"after {found.seq}", house.clock()))

        return record

    house.handlers["note"] = note
    both = [timer(number, house, "note").model_copy(update={"payload": {"incident_id": 1}}) for number in range(3)]
    await ask(house, *both)

    async def done() -> bool:
        return len(await house.kinds()) == before + 3

    await run_until(house, done)
    texts = (await house.texts())[-3:]
    assert texts == [f"after {incident.seq + number}" for number in range(3)]
