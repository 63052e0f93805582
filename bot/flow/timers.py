"""Decides timers, many at once: those whose handlers only decide and record (`Priority.TIMER`). Run by the worker beside its deliveries.

What is due is decided and settled in one transaction, so that ten thousand escalations that come due together are not ten thousand commits.
One that fails must not hold up its neighbours: fewer are taken, until it stands alone, and then it is delivered as everything else is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import structlog

from bot.domain.effects import Priority
from bot.domain.ports import Clock, Delivery, Store, Tx
from bot.errors import GaveUp
from bot.flow.delivery import Handler
from bot.flow.gathered import Gathered

MOST = 200  # in one transaction: the first of them waits for the last
MANY = 20
TIMERS = (Priority.TIMER,)
SOON = 0.05  # s until somebody else's are looked for again


class Timers:
    """`busy`: so many come due that everything else should make room. `observe(kind, outcome)` counts."""

    def __init__(
        self,
        store: Store,
        handlers: Mapping[str, Handler],
        clock: Clock,
        observe: Callable[[str, str], None] | None = None,
    ) -> None:
        self.busy = False
        self._store = store
        self._handlers = handlers
        self._clock = clock
        self._observe = observe
        self._limit = MOST
        self._log = structlog.get_logger("timers")

    async def settle_due(self) -> bool:
        """Decide what is due, as far as one transaction goes. False: the first of them fails alone, and must be delivered like anything else."""
        limit, decided = self._limit, Counter[str]()

        async def decide(tx: Tx, deliveries: Sequence[Delivery]) -> None:
            decided.clear()
            await self._decide(tx, deliveries)
            decided.update(delivery.effect.kind for delivery in deliveries)

        try:
            count = await self._store.settle_timers(self._clock, limit, decide)
        except Exception as error:
            self._log.warning("timers cannot be decided together", error=str(error), at_once=limit)
            self._limit = max(1, limit // 4)
            return limit > 1
        self._limit = min(MOST, limit * 2)
        self.busy = count >= MANY
        if self._observe:
            for kind, times in decided.items():
                for _ in range(times):
                    self._observe(kind, "done")
        if count == 0:
            await asyncio.sleep(SOON)  # another replica is at it, or the clock is being set
        return True

    async def pause(self) -> float:
        """Seconds until the next one comes due, 0 when one is; a second at most."""
        now = self._clock()
        due = await self._store.next_due(now, TIMERS)
        wait = 1.0 if due is None else min(1.0, max(0.0, (due - now).total_seconds()))
        self.busy = self.busy and wait == 0
        return wait

    async def _decide(self, tx: Tx, deliveries: Sequence[Delivery]) -> None:
        gathered = await Gathered.of(tx, deliveries)
        for delivery in deliveries:
            handler = self._handlers.get(delivery.effect.kind)
            if handler is None:
                raise GaveUp(f"nothing delivers {delivery.effect.kind!r}")
            record = await handler(delivery)
            if record is not None:
                await record(cast(Tx, gathered))
        await gathered.flush()
