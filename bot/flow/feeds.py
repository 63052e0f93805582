"""Calendars that say who is on call, read every few minutes. One that cannot be read leaves what was known, and is told of after an hour."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Protocol

import structlog

from bot.domain import duty_told, effects
from bot.domain.naming import clipped
from bot.domain.people import Person
from bot.domain.ports import CLOCK_SHIFTS, Clock, Redact, Store, Tx
from bot.domain.roster import Feed
from bot.domain.rules import CurrentRules
from bot.domain.schedule import Shift
from bot.errors import BadInput, GaveUp, TryLater

EVERY = timedelta(minutes=5)
TOLD_AFTER = timedelta(hours=1)
PATIENCE = 20.0
ERROR = 300
MOST_SHIFTS = 20_000
BACK, AHEAD = timedelta(days=62), timedelta(days=400)  # what is read; whole days, so that it is the same all day
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


class Reading(Protocol):
    """What a calendar says: its shifts, and in words what in it is no shift."""

    @property
    def shifts(self) -> tuple[Shift, ...]: ...
    @property
    def doubts(self) -> tuple[str, ...]: ...


Read = Callable[[str, Mapping[str, Person], str, tuple[datetime, datetime]], Awaitable[Reading]]
"""What a text says to these people, in that zone, in that time. BadInput when it cannot be understood, TryLater when it takes too long."""


class Feeds:
    """`refresh` is called by housekeeping every minute, on every replica; each calendar is read by one of them every five minutes."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rules: CurrentRules,
        calendars: Calendars,
        fetch: Fetch,
        read: Read,
        redact: Redact,
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
            if await self._store.write(partial(_turn, name=calendar.name, now=now)):
                await self._refresh(calendar, now)

    async def _refresh(self, calendar: Calendar, now: datetime) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                text = await self._fetch(calendar.address)
            today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
            span = (today - BACK, today + AHEAD)
            found = await self._read(text, self._rules().directory.people, calendar.zone, span)
            if await self._store.write(lambda tx: _kept(tx, calendar.name, found.shifts[:MOST_SHIFTS], now)):
                log.info("a calendar was read", calendar=calendar.name, shifts=len(found.shifts), doubts=found.doubts)
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


async def _turn(tx: Tx, name: str, now: datetime) -> bool:
    """Whether it is time to read it again, and this replica's turn."""
    shifts = await tx.counter(CLOCK_SHIFTS)  # when the clock was set back, nobody waits until it is then once more
    return await tx.once(f"feed:{shifts}:{name}", now + EVERY, now)


async def _kept(tx: Tx, name: str, found: tuple[Shift, ...], now: datetime) -> bool:
    """Saved only when it says something else than before: every save makes all replicas look again. Whether it was."""
    known = await _feed(tx, name, now)
    if known.read_at is not None and not known.error and known.shifts == found:
        return False
    await tx.save_feed(Feed(name=name, shifts=found, read_at=now))
    return True


async def _feed(tx: Tx, name: str, now: datetime) -> Feed:
    return (await tx.roster(now)).feeds.get(name) or Feed(name=name)
