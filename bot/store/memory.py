"""The store in memory, for tests and for trying things out: the same promises as the databases, kept by `tests/contracts/test_store.py`.

A commit replaces the whole state, so a read that has begun keeps its view, and a work that fails leaves nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from bot.domain.alert import AlertState, Received
from bot.domain.context import Context
from bot.domain.effects import Effect
from bot.domain.incident import Change, Incident, State
from bot.domain.policy import Touch
from bot.domain.ports import Backlog, Delivery, Settled, Tx
from bot.domain.run import Run
from bot.domain.timeline import Entry
from bot.errors import TryLater
from bot.store import memory_outbox as outbox
from bot.store.failures import ATTEMPTS, Conflict, conflict
from bot.store.memory_outbox import Row
from bot.store.rows import newest
from bot.store.wake import Wake

T = TypeVar("T")


@dataclass
class _Tables:
    """Everything that is stored. A committed one is never changed again: the values are frozen, and a write copies the dicts that it touches."""

    counters: dict[str, int] = field(default_factory=dict)
    once: dict[str, datetime] = field(default_factory=dict)
    alerts: dict[str, AlertState] = field(default_factory=dict)
    log: dict[str, tuple[Received, ...]] = field(default_factory=dict)
    incidents: dict[int, Incident] = field(default_factory=dict)
    timeline: dict[int, tuple[Entry, ...]] = field(default_factory=dict)
    runs: dict[int, Run] = field(default_factory=dict)
    holds: dict[str, int] = field(default_factory=dict)
    touches: dict[int, Touch] = field(default_factory=dict)
    contexts: dict[tuple[int, int], Context] = field(default_factory=dict)
    postmortems: dict[int, str] = field(default_factory=dict)
    outbox: dict[str, Row] = field(default_factory=dict)


class MemoryTx:
    """One transaction over a draft of the tables."""

    def __init__(self, tables: _Tables, *, writable: bool) -> None:
        self._tables = _Tables(**vars(tables))
        self._writable = writable
        self._own: set[str] = set()
        self._over = False
        self.woke = False

    def over(self) -> _Tables:
        """The tables as the work leaves them; from now on nothing is written to them."""
        self._over = True
        return self._tables

    def draft(self, name: str) -> Any:
        """A table to write to: copied the first time, so that what is committed stays as it is."""
        if self._over:
            raise RuntimeError("this transaction is over")
        if not self._writable:
            raise RuntimeError("nothing can be written in a read")
        if name not in self._own:
            self._own.add(name)
            setattr(self._tables, name, dict(getattr(self._tables, name)))
        return getattr(self._tables, name)

    async def lock(self, name: str) -> None:
        """Nothing to wait for: one write runs at a time."""

    async def next_id(self, counter: str) -> int:
        counters = self.draft("counters")
        counters[counter] = counters.get(counter, 0) + 1
        return int(counters[counter])

    async def once(self, key: str, until: datetime, now: datetime) -> bool:
        seen = self.draft("once")
        if key in seen and now < seen[key]:
            return False
        seen[key] = until
        return True

    async def alert_states(self, keys: Collection[str]) -> dict[str, AlertState]:
        return {key: self._tables.alerts[key] for key in keys if key in self._tables.alerts}

    async def save_alerts(self, states: Collection[AlertState], log: Collection[Received]) -> None:
        self.draft("alerts").update({state.alert.key: state for state in states})
        lines = self.draft("log")
        for received in log:
            lines[received.alert.key] = (*lines.get(received.alert.key, ()), received)

    async def alerts_of(self, incident_id: int, limit: int = 20) -> tuple[AlertState, ...]:
        mine = sorted(
            (state for state in self._tables.alerts.values() if state.incident_id == incident_id),
            key=lambda state: state.alert.key,
        )
        mine.sort(key=lambda state: (state.alert.firing, state.last_seen), reverse=True)
        return tuple(mine[:limit])

    async def alert_log(self, alert_key: str, limit: int = 50) -> tuple[Received, ...]:
        return self._tables.log.get(alert_key, ())[::-1][:limit]

    async def incident(self, incident_id: int) -> Incident | None:
        return self._tables.incidents.get(incident_id)

    async def incidents(self, ids: Collection[int]) -> dict[int, Incident]:
        return {number: self._tables.incidents[number] for number in sorted(ids) if number in self._tables.incidents}

    async def incidents_of_groups(self, group_keys: Collection[str]) -> dict[str, Incident]:
        wanted = set(group_keys)
        newest_last = sorted(self._tables.incidents.values(), key=lambda incident: incident.id)
        return {one.group_key: one for one in newest_last if one.group_key in wanted and one.state is not State.CLOSED}

    async def incident_of_channel(self, channel_id: str) -> Incident | None:
        if not channel_id:
            return None
        mine = [one for one in self._tables.incidents.values() if one.channel_id == channel_id]
        return max(mine, key=lambda incident: incident.id, default=None)

    async def list_incidents(self, *, only_open: bool, limit: int = 50) -> tuple[Incident, ...]:
        newest_first = sorted(self._tables.incidents.values(), key=lambda incident: incident.id, reverse=True)
        return tuple(one for one in newest_first if one.is_open or not only_open)[:limit]

    async def resolved_before(self, at: datetime, limit: int = 100) -> tuple[Incident, ...]:
        resolved = (one for one in self._tables.incidents.values() if one.state is State.RESOLVED)
        old = [(one.resolved_at, one.id, one) for one in resolved if one.resolved_at and one.resolved_at < at]
        return tuple(one for _, _, one in sorted(old, key=lambda found: found[:2])[:limit])

    async def save(self, *changes: Change) -> None:
        for change in changes:
            self._save_incident(change.incident)
            entries = self._tables.timeline.get(change.incident.id, ())
            taken = {entry.seq for entry in entries}
            for entry in change.entries:
                if entry.seq in taken:
                    raise Conflict(f"the timeline of {change.incident.ref} has an entry {entry.seq} already")
                taken.add(entry.seq)
            if change.entries:
                added = sorted((*entries, *change.entries), key=lambda entry: entry.seq)
                self.draft("timeline")[change.incident.id] = tuple(added)
        await self.ask(effect for change in changes for effect in change.effects)

    def _save_incident(self, incident: Incident) -> None:
        incidents = self.draft("incidents")
        for other in incidents.values():
            if other.id != incident.id and other.group_key == incident.group_key and other.is_open and incident.is_open:
                raise Conflict(f"{other.ref} is open for the group {incident.group_key} already")
        incidents[incident.id] = incident

    async def ask(self, effects: Iterable[Effect]) -> None:
        asked = newest(effects)
        if not asked:
            return
        rows, counters = self.draft("outbox"), self.draft("counters")
        for effect in asked:
            self.woke |= outbox.ask(rows, counters, effect)

    async def timeline(self, incident_id: int) -> tuple[Entry, ...]:
        return self._tables.timeline.get(incident_id, ())

    async def run(self, run_id: int) -> Run | None:
        return self._tables.runs.get(run_id)

    async def runs_of(self, incident_id: int) -> tuple[Run, ...]:
        mine = (run for run in self._tables.runs.values() if run.incident_id == incident_id)
        return tuple(sorted(mine, key=lambda run: run.id))

    async def recent_runs(self, since: datetime | None = None, runbook: str = "", limit: int = 50) -> tuple[Run, ...]:
        newest_first = sorted(self._tables.runs.values(), key=lambda run: run.id, reverse=True)
        fitting = (run for run in newest_first if since is None or run.created_at >= since)
        return tuple(run for run in fitting if not runbook or run.runbook.name == runbook)[:limit]

    async def hold(self, lock: str, run_id: int, now: datetime) -> int:
        return int(self.draft("holds").setdefault(lock, run_id))

    async def release_holds(self, run_id: int) -> None:
        held = self.draft("holds")
        for lock in [lock for lock, holder in held.items() if holder == run_id]:
            del held[lock]

    async def touch(self, touch: Touch) -> None:
        made = self.draft("touches")
        made[max(made, default=0) + 1] = touch

    async def touches(self, since: datetime, limit: int = 1000) -> tuple[Touch, ...]:
        made = self._tables.touches
        return tuple(made[number] for number in sorted(made, reverse=True) if made[number].at >= since)[:limit]

    async def save_run(self, run: Run) -> None:
        self.draft("runs")[run.id] = run

    async def context(self, incident_id: int, epoch: int) -> Context | None:
        return self._tables.contexts.get((incident_id, epoch))

    async def save_context(self, context: Context) -> None:
        self.draft("contexts")[context.incident_id, context.epoch] = context

    async def postmortem(self, incident_id: int) -> str | None:
        return self._tables.postmortems.get(incident_id)

    async def save_postmortem(self, incident_id: int, text: str, at: datetime) -> None:
        self.draft("postmortems")[incident_id] = text

    async def settle(self, delivery: Delivery, settled: Settled, now: datetime) -> bool:
        if not outbox.settle(self.draft("outbox"), self.draft("counters"), delivery, settled, now):
            return False
        self.woke = True
        return True

    async def dead(self, limit: int = 50) -> tuple[tuple[Effect, str], ...]:
        return outbox.dead(self._tables.outbox, limit)

    def prune_rest(self, before: datetime, limit: int) -> int:
        seen = self.draft("once")
        old = [key for key, until in seen.items() if until < before][:limit]
        for key in old:
            del seen[key]
        made = self.draft("touches")
        stale = [number for number, touch in made.items() if touch.at < before][:limit]
        for number in stale:
            del made[number]
        return len(old) + len(stale)


class MemoryStore:
    """A store that ends with the process. One write at a time; reads see the last commit and wait for nothing."""

    def __init__(self) -> None:
        self._tables = _Tables()
        self._writing = asyncio.Lock()
        self._writer: asyncio.Task[Any] | None = None
        self._wake = Wake()
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

    async def claim(self, owner: str, now: datetime, lease_until: datetime, limit: int) -> list[Delivery]:
        async def work(tx: MemoryTx) -> list[Delivery]:
            return outbox.claim(tx.draft("outbox"), owner, now, lease_until, limit)

        return await self._write(work)

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

    async def next_due(self, now: datetime) -> datetime | None:
        return outbox.next_due(self._tables.outbox, now)

    async def backlog(self, now: datetime) -> tuple[Backlog, ...]:
        return outbox.backlog(self._tables.outbox, now)

    async def prune(self, before: datetime, limit: int = 1000) -> int:
        async def work(tx: MemoryTx) -> int:
            return outbox.prune(tx.draft("outbox"), before, limit) + tx.prune_rest(before, limit)

        return await self._write(work)

    async def wait_for_work(self, seconds: float) -> None:
        await self._wake.wait(seconds)

    async def check(self) -> None:
        if self._closed:
            raise TryLater("database: the store is closed")

    async def close(self) -> None:
        async with self._writing:
            self._closed = True
