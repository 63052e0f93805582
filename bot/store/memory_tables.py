"""The tables of the memory store, and one transaction's draft of them. Used by memory and by what makes up its transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nsmallest
from typing import Any

from bot.domain.alert import AlertState
from bot.domain.context import Context
from bot.domain.incident import Incident
from bot.domain.incoming import ChangeEvent
from bot.domain.page import Page
from bot.domain.policy import Touch
from bot.domain.roster import Feed, OwnMethod, Preferences, Swap
from bot.domain.run import Run
from bot.domain.schedule import Override
from bot.domain.silence import Silence
from bot.domain.timeline import Entry
from bot.store.memory_alerts import Log, Standing
from bot.store.memory_outbox import Row


@dataclass
class Tables:
    """Everything that is stored. A committed one is never changed again: the values are frozen, and a write copies the dicts that it touches."""

    counters: dict[str, int] = field(default_factory=dict)
    once: dict[str, datetime] = field(default_factory=dict)
    alerts: dict[str, AlertState] = field(default_factory=dict)
    log: Log = field(default_factory=dict)
    standing: Standing = field(default_factory=dict)
    stood: dict[str, Collection[str]] = field(default_factory=dict)
    silences: dict[int, Silence] = field(default_factory=dict)
    events: dict[tuple[str, str], ChangeEvent] = field(default_factory=dict)
    incidents: dict[int, Incident] = field(default_factory=dict)
    timeline: dict[int, tuple[Entry, ...]] = field(default_factory=dict)
    runs: dict[int, Run] = field(default_factory=dict)
    holds: dict[str, int] = field(default_factory=dict)
    touches: dict[int, Touch] = field(default_factory=dict)
    contexts: dict[tuple[int, int], Context] = field(default_factory=dict)
    postmortems: dict[int, str] = field(default_factory=dict)
    pages: dict[str, Page] = field(default_factory=dict)
    overrides: dict[int, Override] = field(default_factory=dict)
    swaps: dict[int, Swap] = field(default_factory=dict)
    own_methods: dict[tuple[str, str], OwnMethod] = field(default_factory=dict)
    preferences: dict[str, Preferences] = field(default_factory=dict)
    feeds: dict[str, Feed] = field(default_factory=dict)
    outbox: dict[str, Row] = field(default_factory=dict)


class Draft:
    """The tables as one transaction sees and changes them."""

    def __init__(self, tables: Tables, *, writable: bool) -> None:
        self._tables = Tables(**vars(tables))
        self._writable = writable
        self._own: set[str] = set()
        self._over = False
        self.woke = False

    def over(self) -> Tables:
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

    async def counter(self, name: str) -> int:
        return self._tables.counters.get(name, 0)


def forget(table: dict[Any, Any], times: Mapping[Any, datetime], before: datetime, limit: int) -> int:
    """The oldest first. `times`: how old each row is."""
    oldest = nsmallest(limit, ((at, key) for key, at in times.items() if at < before))
    for _, key in oldest:
        del table[key]
    return len(oldest)
