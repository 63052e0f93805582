"""The store of a replay: the one in memory, changed in place and with an index for what is asked all the time. Used by replay.

A replay has one writer, and ends when something fails: nothing has to be taken back, so nothing is copied. What only shows (cards, messages) is not
kept to be delivered; the alert log goes to whoever counts, and timelines are left out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import datetime
from heapq import heappop, heappush
from typing import Any, TypeVar

from bot.domain.alert import AlertState, Received
from bot.domain.effects import Effect, Priority
from bot.domain.incident import Change, Incident
from bot.domain.ports import Delivery, Settled, Tx
from bot.store import memory_alerts as alerts
from bot.store import memory_outbox as outbox
from bot.store.memory import MemoryStore
from bot.store.memory_tables import Tables
from bot.store.memory_transaction import MemoryTx

T = TypeVar("T")
DELIVERED = ("escalate", "page", "recheck", "alarm")
"""What decides something, or is counted."""


class ReplayTx(MemoryTx):
    """All transactions of a replay: what it writes is there at once. `heard` is told each line of the alert log."""

    def __init__(self, tables: Tables, heard: Callable[[Received], None]) -> None:
        super().__init__(tables, writable=True)
        self._heard = heard
        self._waiting: list[tuple[datetime, int, int, str]] = []  # rows of the outbox by due time
        self._again: list[tuple[datetime, str]] = []  # alerts by the time at which they are looked at again
        self._held: dict[str, set[str]] = {}  # what holds -> alert keys
        self._newest: dict[str, int] = {}  # group key -> its newest incident
        self._opened: list[tuple[datetime, str]] = []  # time and group key of every incident, oldest first

    def draft(self, name: str) -> Any:
        return getattr(self._tables, name)

    @property
    def every_incident(self) -> dict[int, Incident]:
        return self._tables.incidents

    # alerts
    async def save_alerts(self, states: Collection[AlertState], log: Collection[Received]) -> None:
        for state in states:
            self._put(state)
        for line in log:
            self._heard(line)

    def _put(self, state: AlertState) -> None:
        key = state.alert.key
        before = self._tables.alerts.get(key)
        if before is not None and before.held is not None:
            self._held[before.held.by].discard(key)
        if state.held is not None:
            self._held.setdefault(state.held.by, set()).add(key)
        if state.again_at is not None and (before is None or before.again_at != state.again_at):
            heappush(self._again, (state.again_at, key))
        self._tables.alerts[key] = state

    async def due_again(self, now: datetime, limit: int = 500) -> tuple[AlertState, ...]:
        due: dict[str, AlertState] = {}
        while self._again and self._again[0][0] <= now and len(due) < limit:
            at, key = heappop(self._again)
            if self._tables.alerts[key].again_at == at:
                due[key] = self._tables.alerts[key]
        for key, state in due.items():  # it is due until it has been looked at
            heappush(self._again, (state.again_at or now, key))
        return tuple(due.values())

    async def look_again(self, held_by: Collection[str] | None, now: datetime) -> int:
        by = self._held if held_by is None else held_by
        some = {key: self._tables.alerts[key] for one in sorted(by) for key in sorted(self._held.get(one, ()))}
        count = alerts.look_again(some, None, now)
        for state in some.values():
            self._put(state)
        return count

    # incidents
    async def incidents_of_groups(self, group_keys: Collection[str]) -> dict[str, Incident]:
        return {key: self._tables.incidents[self._newest[key]] for key in group_keys if key in self._newest}

    async def opened_since(self, since: datetime, limit: int = 1000) -> tuple[tuple[str, datetime], ...]:
        found: list[tuple[str, datetime]] = []
        for at, group_key in reversed(self._opened):
            if at < since or len(found) == limit:
                break
            found.append((group_key, at))
        return tuple(found)

    async def save(self, *changes: Change) -> None:
        for change in changes:
            one = change.incident
            if one.id not in self._tables.incidents:
                self._opened.append((one.opened_at, one.group_key))
                self._newest[one.group_key] = one.id
            self._tables.incidents[one.id] = one
        await self.ask(effect for change in changes for effect in change.effects)

    # outbox
    async def ask(self, effects: Iterable[Effect]) -> None:
        kept = [effect for effect in effects if effect.kind in DELIVERED]
        await super().ask(kept)
        for effect in kept:
            self._wait(effect.key)

    async def settle(self, delivery: Delivery, settled: Settled, now: datetime) -> bool:
        ours = await super().settle(delivery, settled, now)
        self._wait(delivery.effect.key)
        return ours

    def _wait(self, key: str) -> None:
        row = self._tables.outbox[key]
        if row.state == "pending":
            heappush(self._waiting, (row.due, row.effect.priority, row.id, key))

    def next_row(self) -> outbox.Row | None:
        """The one that is due first; of several the most urgent, then the oldest."""
        while self._waiting:
            due, _, number, key = self._waiting[0]
            row = self._tables.outbox[key]
            if row.state == "pending" and (row.due, row.id) == (due, number):
                return row
            heappop(self._waiting)
        return None

    def claim(self, owner: str, now: datetime, lease_until: datetime, limit: int) -> list[Delivery]:
        claimed: list[Delivery] = []
        while len(claimed) < limit and (row := self.next_row()) is not None and row.due <= now:
            one = {row.effect.key: row}
            claimed += outbox.claim(one, owner, now, lease_until, 1)
            self._tables.outbox.update(one)
        return claimed


class ReplayStore(MemoryStore):
    """One task writes at a time; whoever reads sees what is there."""

    def __init__(self, heard: Callable[[Received], None]) -> None:
        super().__init__()
        self.tx = ReplayTx(self._tables, heard)

    async def write(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        return await work(self.tx)

    async def read(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        return await work(self.tx)

    async def claim(
        self,
        owner: str,
        now: datetime,
        lease_until: datetime,
        limit: int,
        priorities: Sequence[Priority] = tuple(Priority),
    ) -> list[Delivery]:
        return self.tx.claim(owner, now, lease_until, limit)

    async def next_due(self, now: datetime, priorities: Sequence[Priority] = tuple(Priority)) -> datetime | None:
        row = self.tx.next_row()
        return row.due if row else None
