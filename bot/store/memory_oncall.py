"""On-call's part of the memory store's transaction: pages, and what people change by themselves. As `pages.py` and `roster.py` say it in SQL."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from bot.domain.incident import State
from bot.domain.page import ARRIVED, Page, PageState
from bot.domain.roster import Feed, OwnMethod, Preferences, Roster, Swap
from bot.domain.schedule import Override
from bot.store.memory_tables import Draft, forget
from bot.store.roster import ROSTER, by_person

LIVE = (PageState.SENDING, *ARRIVED)


def _oldest_first(pages: Iterable[Page]) -> list[Page]:
    return sorted(pages, key=lambda page: (page.begun_at, page.key))


class MemoryOnCallTx(Draft):
    """Nothing is locked: one write runs at a time."""

    async def pages(self, keys: Collection[str]) -> dict[str, Page]:
        return {key: self._tables.pages[key] for key in keys if key in self._tables.pages}

    async def save_pages(self, pages: Collection[Page]) -> None:
        self.draft("pages").update({page.key: page for page in pages})

    async def pages_of(self, incident_id: int, limit: int = 500) -> tuple[Page, ...]:
        mine = (page for page in self._tables.pages.values() if page.incident_id == incident_id)
        return tuple(_oldest_first(mine)[::-1][:limit][::-1])

    async def pages_to(
        self, medium: str, address: str, since: datetime, limit: int = 100, *, going: bool = False
    ) -> tuple[Page, ...]:
        every = (page for page in self._tables.pages.values() if not going or page.state in LIVE)
        there = (page for page in every if (page.medium, page.address) == (medium, address))
        return tuple(_oldest_first(page for page in there if page.begun_at >= since)[::-1][:limit])

    async def pages_by(self, medium: str, since: datetime) -> int:
        mine = (page for page in self._tables.pages.values() if page.medium == medium and page.begun_at >= since)
        return sum(page.state in LIVE for page in mine)

    async def page_named(self, medium: str, provider_id: str) -> Page | None:
        every = self._tables.pages.values() if provider_id else ()
        named = (page for page in every if (page.medium, page.provider_id) == (medium, provider_id))
        return max(named, key=lambda page: (page.begun_at, page.key), default=None)

    async def pages_between(self, since: datetime, until: datetime, limit: int = 10_000) -> tuple[Page, ...]:
        begun = (page for page in self._tables.pages.values() if since <= page.begun_at < until)
        return tuple(_oldest_first(begun)[:limit])

    async def undelivered(self, keys: Collection[str]) -> set[str]:
        rows = self._tables.outbox
        return {key for key in keys if key in rows and rows[key].state in ("pending", "leased")}

    async def roster(self, now: datetime) -> Roster:
        every = self._tables.overrides
        return Roster(
            version=await self.counter(ROSTER),
            overrides=tuple(
                every[number] for number in sorted(every) if every[number].ends > now and not every[number].ended_at
            ),
            methods=by_person(one for one in self._tables.own_methods.values() if one.removed_at is None),
            preferences=dict(self._tables.preferences),
            feeds=dict(self._tables.feeds),
        )

    async def override(self, number: int) -> Override | None:
        return self._tables.overrides.get(number)

    async def overrides(self, since: datetime, until: datetime, schedule: str = "") -> tuple[Override, ...]:
        touching = (one for one in self._tables.overrides.values() if one.ends > since and one.starts < until)
        wanted = (one for one in touching if not schedule or one.schedule == schedule)
        return tuple(sorted(wanted, key=lambda one: one.number))

    async def save_override(self, override: Override) -> None:
        await self.next_id(ROSTER)
        self.draft("overrides")[override.number] = override

    async def swap(self, number: int) -> Swap | None:
        return self._tables.swaps.get(number)

    async def swaps(self, now: datetime) -> tuple[Swap, ...]:
        asked = (one for one in self._tables.swaps.values() if one.state == "asked" and one.ends > now)
        return tuple(sorted(asked, key=lambda one: one.number))

    async def save_swap(self, swap: Swap) -> None:
        await self.next_id(ROSTER)
        self.draft("swaps")[swap.number] = swap

    async def methods_of(self, person: str) -> tuple[OwnMethod, ...]:
        mine = (one for one in self._tables.own_methods.values() if one.person == person and one.removed_at is None)
        return by_person(mine).get(person, ())

    async def save_method(self, method: OwnMethod) -> None:
        await self.next_id(ROSTER)
        self.draft("own_methods")[method.person, method.method.key] = method

    async def save_preferences(self, preferences: Preferences) -> None:
        await self.next_id(ROSTER)
        self.draft("preferences")[preferences.person] = preferences

    async def save_feed(self, feed: Feed) -> None:
        await self.next_id(ROSTER)
        self.draft("feeds")[feed.name] = feed

    def forget_oncall(self, before: datetime, limit: int) -> int:
        """What `prune_log` deletes of it."""
        needed = {one.id for one in self._tables.incidents.values() if one.state is not State.CLOSED}
        begun = {page.key: page.begun_at for page in self._tables.pages.values() if page.incident_id not in needed}
        over = {one.number: one.ends for one in self._tables.overrides.values()}
        count = forget(self.draft("pages"), begun, before, limit)
        count += forget(self.draft("overrides"), over, before, limit)
        ended = {one.number: one.ended_at for one in self._tables.overrides.values() if one.ended_at}
        count += forget(self.draft("overrides"), ended, before, limit)
        count += forget(
            self.draft("swaps"), {one.number: one.ends for one in self._tables.swaps.values()}, before, limit
        )
        removed = {key: one.removed_at for key, one in self._tables.own_methods.items() if one.removed_at}
        return count + forget(self.draft("own_methods"), removed, before, limit)
