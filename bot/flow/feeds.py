"""Calendars that say who is on call, read every few minutes: what is new is kept, what cannot be read leaves what was known, and is told after an hour."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from bot.domain import duty_told, effects
from bot.domain.naming import clipped
from bot.domain.people import Directory
from bot.domain.ports import Clock, Redact, Store, Tx
from bot.domain.roster import Feed
from bot.domain.rules import CurrentRules
from bot.domain.schedule import Shift
from bot.errors import BadInput, GaveUp, TryLater

EVERY = timedelta(minutes=5)
TOLD_AFTER = timedelta(hours=1)
PATIENCE = 20.0
ERROR = 300
MOST_SHIFTS = 20_000
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Calendar:
    """One of `calendars` in oncall.yaml. `address`: where it is fetched; it may hold a secret. `zone`: of times that say none themselves."""

    name: str
    address: str = field(repr=False)
    zone: str = "UTC"


Calendars = Callable[[], Sequence[Calendar]]
Fetch = Callable[[str], Awaitable[str]]
"""The text at an address, bounded in size and time. TryLater, GaveUp or BadInput, never with the address in the words."""
Read = Callable[[str, Calendar, Directory, datetime], Sequence[Shift]]
"""The shifts that a calendar's text says. Pure, may take a second; BadInput when it cannot be understood."""


class Feeds:
    """`refresh` is called by housekeeping every minute, on every replica; each calendar is read by one of them every five minutes."""

    def __init__(
        self, store: Store, clock: Clock, rules: CurrentRules, calendars: Calendars, fetch: Fetch, read: Read, redact: Redact
    ) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._calendars = calendars
        self._fetch = fetch
        self._read = read
        self._redact = redact

    async def refresh(self) -> None:
        for calendar in self._calendars():
            now = self._clock()
            if await self._store.write(lambda tx, name=calendar.name, now=now: tx.once(f"feed:{name}", now + EVERY, now)):
                await self._refresh(calendar, now)

    async def _refresh(self, calendar: Calendar, now: datetime) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                text = await self._fetch(calendar.address)
            found = tuple(await asyncio.to_thread(self._read, text, calendar, self._rules().directory, now))[:MOST_SHIFTS]
            await self._store.write(lambda tx: _kept(tx, calendar.name, found, now))
        except (TryLater, GaveUp, BadInput, TimeoutError) as error:
            words = clipped(self._redact(str(error) or "no answer in time").replace(calendar.address, "…"), ERROR)
            log.warning("a calendar could not be read", calendar=calendar.name, why=words)
            await self._store.write(lambda tx: self._failed(tx, calendar.name, words, now))

    async def _failed(self, tx: Tx, name: str, error: str, now: datetime) -> None:
        known = await _feed(tx, name, now)
        since = known.failed_at or now
        if known.error != error or known.failed_at is None:
            await tx.save_feed(known.model_copy(update={"error": error, "failed_at": since}))
        if now - since >= TOLD_AFTER:
            users = [
                key
                for key, one in self._rules().directory.schedules.items()
                if any(layer.feed == name for layer in one.layers)
            ]
            text = duty_told.said_feed(name, users, error, since, now)
            await tx.ask([effects.alarm(f"feed:{name}:{int(since.timestamp())}", text, now)])


async def _kept(tx: Tx, name: str, found: tuple[Shift, ...], now: datetime) -> None:
    """Saved only when it says something else than before: every save makes all replicas look again."""
    known = await _feed(tx, name, now)
    if known.read_at is None or known.error or known.shifts != found:
        await tx.save_feed(Feed(name=name, shifts=found, read_at=now))


async def _feed(tx: Tx, name: str, now: datetime) -> Feed:
    return (await tx.roster(now)).feeds.get(name) or Feed(name=name)
