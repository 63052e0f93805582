"""What was changed in the world (deployments, releases, failed workflows): kept as it comes in, and given to whoever looks for causes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.domain.incoming import ChangeEvent
from bot.domain.ports import Clock, Store


class Changes:
    """`keep` is called by entry for sources that tell of changes; `since` by the gatherer that shows them."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def keep(self, events: Sequence[ChangeEvent]) -> int:
        """How many of them were new, or newer than what was known."""
        return await self._store.write(lambda tx: tx.save_events(events)) if events else 0

    async def since(self, at: datetime, limit: int) -> Sequence[ChangeEvent]:
        """The newest first, until now."""
        return await self._store.read(lambda tx: tx.events(at, self._clock(), limit))
