"""A transaction in which many records are made one after another, as if each had its own: reads at once, writes at the end. Used by timers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Self

from bot.domain.effects import Effect
from bot.domain.incident import Change, Incident
from bot.domain.page import Page
from bot.domain.ports import Delivery, Tx
from bot.domain.roster import Roster
from bot.domain.timeline import Entry

# What neither sees nor changes what is held back here; before everything else that is written.
INDEPENDENT = frozenset(
    {
        "alert_states",
        "alerts_of",
        "lock",
        "once",
        "opened_since",
        "pages_by",
        "pages_of",
        "pages_to",
    }
)


class Gathered:
    """The port's `Tx` for the records of these deliveries. Each sees what those before it saved."""

    def __init__(self, tx: Tx, incidents: dict[int, Incident], pages: dict[str, Page], named: Collection[str]) -> None:
        self._tx = tx
        self._incidents = incidents
        self._pages = pages
        self._named = frozenset(named)
        self._waiting: dict[str, bool] = {}  # whether these effects are undelivered
        self._effects: list[Effect] = []  # before the changes
        self._changes: list[Change] = []
        self._roster: Roster | None = None
        self._counters: dict[str, int] = {}

    @classmethod
    async def of(cls, tx: Tx, deliveries: Sequence[Delivery]) -> Self:
        """The incidents (locked, in order) and pages that the deliveries name in `incident_id` and `page` are read once for all."""
        payloads = [delivery.effect.payload for delivery in deliveries]
        ids = {number for payload in payloads if isinstance(number := payload.get("incident_id"), int)}
        keys = {key for payload in payloads if isinstance(key := payload.get("page"), str)}
        gathered = cls(tx, await tx.incidents(ids), await tx.pages(keys) if keys else {}, keys)
        if not_begun := keys - gathered._pages.keys():
            waiting = await tx.undelivered(not_begun)
            gathered._waiting = {key: key in waiting for key in not_begun}
        return gathered

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._tx, name)
        if name in INDEPENDENT:
            return method

        async def after_all_before(*args: Any, **more: Any) -> Any:
            await self.flush()
            return await method(*args, **more)

        return after_all_before

    async def incident(self, incident_id: int) -> Incident | None:
        return (await self.incidents([incident_id])).get(incident_id)

    async def incidents(self, ids: Collection[int]) -> dict[int, Incident]:
        missing = [number for number in ids if number not in self._incidents]
        if missing:
            self._incidents |= await self._tx.incidents(missing)
        return {number: self._incidents[number] for number in sorted(ids) if number in self._incidents}

    async def save(self, *changes: Change) -> None:
        self._changes += changes
        self._incidents |= {change.incident.id: change.incident for change in changes}
        self._forget(effect for change in changes for effect in change.effects)

    async def ask(self, effects: Iterable[Effect]) -> None:
        asked = tuple(effects)
        if self._changes:
            self._changes[-1] = self._changes[-1].ask(*asked)
        else:
            self._effects += asked
        self._forget(asked)

    def _forget(self, asked: Iterable[Effect]) -> None:
        """Whether these are undelivered is for the database to say."""
        for effect in asked:
            self._waiting.pop(effect.key, None)

    async def undelivered(self, keys: Collection[str]) -> set[str]:
        if all(key in self._waiting for key in keys):
            return {key for key in keys if self._waiting[key]}
        await self.flush()
        return await self._tx.undelivered(keys)

    async def pages(self, keys: Collection[str]) -> dict[str, Page]:
        other = [key for key in keys if key not in self._named and key not in self._pages]
        found = await self._tx.pages(other) if other else {}
        return found | {key: self._pages[key] for key in keys if key in self._pages}

    async def save_pages(self, pages: Collection[Page]) -> None:
        await self._tx.save_pages(pages)
        self._pages |= {page.key: page for page in pages}

    async def roster(self, now: Any) -> Roster:
        if self._roster is None:
            self._roster = await self._tx.roster(now)
        return self._roster

    async def counter(self, name: str) -> int:
        if name not in self._counters:
            self._counters[name] = await self._tx.counter(name)
        return self._counters[name]

    async def next_id(self, counter: str) -> int:
        self._counters[counter] = await self._tx.next_id(counter)
        return self._counters[counter]

    async def timeline(self, incident_id: int) -> tuple[Entry, ...]:
        if any(change.incident.id == incident_id for change in self._changes):
            await self.flush()
        return await self._tx.timeline(incident_id)

    async def flush(self) -> None:
        """Write what is held back."""
        if self._effects:
            effects, self._effects = self._effects, []
            await self._tx.ask(effects)
        if self._changes:
            changes, self._changes = self._changes, []
            await self._tx.save(*changes)
