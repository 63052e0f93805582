"""The store in memory, for tests and for trying things out: the same promises as the databases, kept by `tests/contracts/test_store.py`.

A commit replaces the whole state, so a read that has begun keeps its view, and a work that fails leaves nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from bot.domain.effects import Priority
from bot.domain.ports import CLOCK_SHIFTS, Backlog, Clock, Decide, Delivery, Tx
from bot.errors import TryLater
from bot.store import memory_outbox as outbox
from bot.store.failures import ATTEMPTS, Conflict, conflict
from bot.store.memory_tables import Tables
from bot.store.memory_transaction import MemoryTx
from bot.store.wake import Wake

T = TypeVar("T")


class MemoryStore:
    """A store that ends with the process. One write at a time; reads see the last commit and wait for nothing."""

    def __init__(self) -> None:
        self._tables = Tables()
        self._writing = asyncio.Lock()
        self._writer: asyncio.Task[Any] | None = None
        self._wake = Wake()
        self._known: int | None = None  # how many jumps the clock has followed
        self._closed = False

    async def write(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        return await self._write(work)

    async def _write(self, work: Callable[[MemoryTx], Awaitable[T]]) -> T:
        if self._closed:
            raise TryLater("database: the store is closed")
        if self._writer is asyncio.current_task():
            raise RuntimeError("a write inside a write would wait for itself")
        await asyncio.sleep(
            0
        )  # a database lets others run; a loop that claims must not keep everybody else from going on
        async with self._writing:
            self._writer = asyncio.current_task()
            try:
                return await self._committed(work)
            finally:
                self._writer = None

    async def _committed(self, work: Callable[[MemoryTx], Awaitable[T]]) -> T:
        for attempt in range(1, ATTEMPTS + 1):
            tx = MemoryTx(self._tables, writable=True)
            try:
                result = await work(tx)
            except Conflict as error:
                if attempt == ATTEMPTS:
                    raise conflict(error) from error
                continue
            self._tables = tx.over()
            if tx.woke:
                self._wake.now()
            return result
        raise AssertionError("the last attempt returns or raises")

    async def read(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        return await work(MemoryTx(self._tables, writable=False))

    async def claim(
        self,
        owner: str,
        now: datetime,
        lease_until: datetime,
        limit: int,
        priorities: Sequence[Priority] = tuple(Priority),
    ) -> list[Delivery]:
        known = self._known

        async def work(tx: MemoryTx) -> list[Delivery]:
            if not await _followed(tx, known):
                return []
            return outbox.claim(tx.draft("outbox"), owner, now, lease_until, limit, priorities)

        return await self._write(work)

    async def settle_timers(self, clock: Clock, limit: int, decide: Decide) -> int:
        async def work(tx: MemoryTx) -> int:
            now = clock()
            if not await _followed(tx, self._known):
                return 0
            due = outbox.due_timers(tx.draft("outbox"), now, limit)
            if due:
                await decide(tx, due)
                outbox.settle_timers(tx.draft("outbox"), due, now)
                tx.woke = True
            return len(due)

        return await self._write(work)

    async def clock(self) -> datetime | None:
        return None

    def follow(self, shifts: int | None) -> None:
        self._known = shifts

    async def shift(self, by: timedelta, keep: Collection[str], before: int, notes: Mapping[str, int]) -> int:
        async def work(tx: MemoryTx) -> int:
            counters = tx.draft("counters")
            if counters.get(CLOCK_SHIFTS, 0) == before:
                outbox.shift(tx.draft("outbox"), by, keep)
                counters.update(notes)
                counters[CLOCK_SHIFTS] = before + 1
                tx.woke = True
            return int(counters[CLOCK_SHIFTS])

        return await self._write(work)

    async def note(self, notes: Mapping[str, int]) -> None:
        async def work(tx: MemoryTx) -> None:
            tx.draft("counters").update(notes)

        await self._write(work)

    async def renew(self, deliveries: Sequence[Delivery], lease_until: datetime) -> set[int]:
        async def work(tx: MemoryTx) -> set[int]:
            return outbox.renew(tx.draft("outbox"), deliveries, lease_until)

        return await self._write(work)

    async def release(self, owner: str, now: datetime) -> int:
        async def work(tx: MemoryTx) -> int:
            released = outbox.release(tx.draft("outbox"), owner, now)
            tx.woke |= released > 0
            return released

        return await self._write(work)

    async def next_due(self, now: datetime, priorities: Sequence[Priority] = tuple(Priority)) -> datetime | None:
        return outbox.next_due(self._tables.outbox, now, priorities)

    async def backlog(self, now: datetime) -> tuple[Backlog, ...]:
        return outbox.backlog(self._tables.outbox, now)

    async def prune(self, before: datetime, limit: int = 1000) -> int:
        async def work(tx: MemoryTx) -> int:
            return tx.prune(before, limit)

        return await self._write(work)

    async def prune_log(self, before: datetime, limit: int = 1000) -> int:
        async def work(tx: MemoryTx) -> int:
            return tx.prune_log(before, limit)

        return await self._write(work)

    async def wait_for_work(self, seconds: float) -> None:
        await self._wake.wait(seconds)

    async def check(self) -> None:
        if self._closed:
            raise TryLater("database: the store is closed")

    async def close(self) -> None:
        async with self._writing:
            self._closed = True


async def _followed(tx: MemoryTx, known: int | None) -> bool:
    return known is None or await tx.counter(CLOCK_SHIFTS) == known
