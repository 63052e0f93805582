"""Timers that are decided together: each sees what those before it did, and what many of them ask costs no more than what one does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, cast

from bot.domain import oncall_effects
from bot.domain.contact import Step
from bot.domain.effects import Effect
from bot.domain.oncall_effects import Rung
from bot.domain.ports import Delivery, Tx
from bot.flow.gathered import Gathered
from tests.flow.paging_house import PEOPLE, house
from tests.support.house import House

MANY = 9


class Counted:
    """A transaction that counts what it is asked, by method."""

    def __init__(self, tx: Tx, calls: Counter[str]) -> None:
        self._tx = tx
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        self._calls[name] += 1
        return getattr(self._tx, name)


def delivery(effect: Effect) -> Delivery:
    return Delivery(0, effect, attempts=1, again=False, asked_at=effect.due, generation=1, owner="house")


def page(it: House, number: int) -> Effect:
    return oncall_effects.page(Rung(number, 1, 0, 1), "person:ada", Step(method=PEOPLE["ada"].ways[0]), it.clock())


async def decided_together(it: House, effects: Sequence[Effect]) -> Counter[str]:
    """What was asked of the database meanwhile."""
    calls: Counter[str] = Counter()

    async def work(tx: Tx) -> None:
        gathered = await Gathered.of(cast(Tx, Counted(tx, calls)), [delivery(one) for one in effects])
        for effect in effects:
            record = await it.handlers[effect.kind](delivery(effect))
            assert record is not None
            await record(cast(Tx, gathered))
        await gathered.flush()

    await it.store.write(work)
    return calls


async def with_waiting_pages() -> House:
    """So many incidents, each with a page that nobody has come to yet."""
    it = house()
    for number in range(1, MANY + 1):
        await it.receive(it.alert("Broken", fingerprint=f"f{number}", service=f"s{number}"))

    async def work(tx: Tx) -> None:
        await tx.ask([page(it, number) for number in range(1, MANY + 1)])

    await it.store.write(work)
    return it


async def test_many_that_are_put_off_at_once_cost_as_few_queries_as_one() -> None:
    """Else the timers of a long queue of pages take all the time that the pages need."""
    it = await with_waiting_pages()
    late = [oncall_effects.fall_back(page(it, number), it.clock()) for number in range(1, MANY + 1)]
    calls = await decided_together(it, late)
    assert calls["undelivered"] == calls["ask"] == 1
    assert sum(calls.values()) < MANY, calls
    keys = {one.key for one in late}
    assert await it.store.read(lambda tx: tx.undelivered(keys)) == keys, "each is looked at again"


async def test_one_that_is_asked_for_by_a_neighbour_is_waiting_from_then_on() -> None:
    it = await with_waiting_pages()
    known, new = page(it, 1), page(it, 1).model_copy(update={"key": "page:1:1:0:9:person:ada:slack"})
    fall_back = oncall_effects.fall_back(new, it.clock() + timedelta(minutes=1))

    async def work(tx: Tx) -> tuple[set[str], set[str], set[str]]:
        both = Gathered.of(tx, [delivery(oncall_effects.fall_back(one, it.clock())) for one in (known, new)])
        gathered = cast(Tx, await both)
        before = await gathered.undelivered([known.key, new.key])
        await gathered.ask([new, fall_back])
        return before, await gathered.undelivered([known.key, new.key]), await gathered.undelivered([fall_back.key])

    assert await it.store.write(work) == ({known.key}, {known.key, new.key}, {fall_back.key})
