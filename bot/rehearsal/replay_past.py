"""What the database remembers, for a replay: what came in, who acknowledged when, and the silences of then. Called by `tocsin replay --since`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from bot.domain.alert import Alert, Received
from bot.domain.ports import Store, Tx
from bot.domain.silence import Silence
from bot.rehearsal.replay import AFTER, Acknowledging, Arrival

PAGE = 2000
MOST_INCIDENTS = 5000
BEGAN = ("opened", "joined", "reopened")


@dataclass(frozen=True, slots=True)
class Past:
    """A time of the database's, `until` not included; every function only reads."""

    store: Store
    since: datetime
    until: datetime

    async def arrivals(self) -> AsyncIterator[Arrival]:
        """What was delivered then, what came in at the same time together. Tests are left out."""
        at: datetime | None = None
        together: list[Alert] = []
        async for line in self.deliveries():
            if at is not None and line.at != at:
                yield at, together
                together = []
            at = line.at
            together.append(line.alert)
        if at is not None:
            yield at, together

    async def deliveries(self) -> AsyncIterator[Received]:
        """The lines of the log that came in; what was only looked at again did not."""
        async for line in self._lines():
            if not line.again and not line.alert.test:
                yield line

    async def acknowledging(self, after: timedelta | None = AFTER) -> Acknowledging:
        """As it was then; `after` the first page where nobody did."""
        belonged: dict[str, list[tuple[datetime, int]]] = {}
        async for line in self._lines():
            if line.outcome in BEGAN and line.incident_id is not None:
                belonged.setdefault(line.alert.key, []).append((line.at, line.incident_id))
        numbers = {number for times in belonged.values() for _, number in times}
        at: dict[int, list[datetime]] = {}
        for number in sorted(numbers)[:MOST_INCIDENTS]:
            entries = await self.store.read(partial(_timeline, number=number))
            if entries:
                at[number] = entries
        return Acknowledging(after, belonged, at)

    async def silences(self) -> list[Silence]:
        """Those that were in force at some time of it."""
        every = await self.store.read(lambda tx: tx.silences(self.until, over=True))
        found = [one for one in every if one.starts_at < self.until and not one.over(self.since)]
        return sorted(found, key=lambda one: one.number)

    async def _lines(self) -> AsyncIterator[Received]:
        """In pages: the log of a week may be long, and no transaction should be."""
        after = 0
        while True:
            page = await self.store.read(partial(self._page, after=after))
            for _, line in page:
                yield line
            if len(page) < PAGE:
                return
            after = page[-1][0]

    async def _page(self, tx: Tx, after: int) -> tuple[tuple[int, Received], ...]:
        return await tx.log_between(self.since, self.until, after, PAGE)


async def _timeline(tx: Tx, number: int) -> list[datetime]:
    return [entry.at for entry in await tx.timeline(number) if entry.kind == "acknowledged"]
