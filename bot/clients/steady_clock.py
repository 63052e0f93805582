"""The program's clock: it goes on steadily when the wall clock jumps, and moves the timers along before it follows. Made and watched by app.

Time is a moment of the wall clock plus what CLOCK_BOOTTIME has counted since, which no one can set and which goes on while the machine is suspended
(clock_gettime(2), https://man7.org/linux/man-pages/man2/clock_gettime.2.html). Small differences are made up for slowly. A jump moves what is due
after some time (an escalation in five minutes) by as much, and leaves what is due at a time of day (a digest at nine). With several replicas it is
the database's clock that counts, and one of them moves the timers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from bot.domain.ports import CLOCK_SHIFTS, Clock, Store, Tx
from bot.errors import TryLater

JUMP = timedelta(seconds=2)  # what is less is made up for slowly
SLEW = 0.02  # s in a second
CHECK = 1.0  # s
SLOW = 0.5  # s: what takes longer to ask for is not exact enough
GROWN_UP = 60.0  # s that a replica has watched the database's clock before others rely on what it saw
NOTED = timedelta(seconds=0.5)
# Due at a time of the wall clock. Everything else is due some time after something.
BY_THE_WALL_CLOCK = frozenset({"coverage", "digest", "hand_over", "recheck", "silence_ends", "user_group"})
STEADY_UNTIL = "clock steady until"  # a counter: when a replica last found the database's clock to go on steadily
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class SteadyClock:
    """Call it for the time: aware, UTC, never less than before but for a jump back. `boottime`: in seconds; `boot`: the name of this run of the
    machine (/proc/sys/kernel/random/boot_id), by which a jump is seen that took place while the program did not run; empty: it is not looked for."""

    def __init__(self, wall: Clock, boottime: Callable[[], float], boot: str = "") -> None:
        self._wall = wall
        self._boottime = boottime
        self._offset_name = f"clock offset {boot}" if boot else ""
        self._noted = timedelta(0)
        self._anchor = self._latest = wall().astimezone(UTC)
        self._anchored = self._begun = self._checked = boottime()
        self._shifts = 0
        self._log = structlog.get_logger("clock")

    def __call__(self) -> datetime:
        self._latest = max(self._latest, self._steady())
        return self._latest

    def _steady(self) -> datetime:
        return self._anchor + timedelta(seconds=self._boottime() - self._anchored)

    async def watch(self, store: Store) -> None:
        """`begin`, then `check` all the time; until cancelled."""
        begun = False
        while True:
            try:
                await (self.check(store) if begun else self.begin(store))
                begun = True
            except TryLater as error:
                self._log.warning("the clock is looked at later", error=str(error))
            except Exception:
                self._log.exception("the clock could not be looked at")
            await asyncio.sleep(CHECK)

    async def begin(self, store: Store) -> None:
        """Before the first delivery: take over the time that counts, and make up for a jump while nothing ran."""
        truth = await store.clock()
        shifts = await store.read(lambda tx: tx.counter(CLOCK_SHIFTS))
        if truth is not None:
            self._set(truth)
        elif self._offset_name:
            offset, noted = self._offset(), await store.read(lambda tx: tx.counter(self._offset_name))
            jumped = offset - noted * MICROSECOND if noted else timedelta(0)
            if abs(jumped) > JUMP:
                self._log.warning("the clock has jumped while nothing ran", seconds=jumped.total_seconds())
                shifts = await store.shift(jumped, BY_THE_WALL_CLOCK, shifts, self._notes(offset))
            await store.note(self._notes(offset))
            self._set(self._wall())
        self._follow(store, shifts)

    async def check(self, store: Store) -> None:
        """One look: make up for a small difference, or follow a jump."""
        begun = self._boottime()
        truth = await store.clock()
        if truth is None:
            await self._judged(store, self._wall().astimezone(UTC) - self._steady())
        elif self._boottime() - begun <= SLOW:
            halfway = timedelta(seconds=(self._boottime() - begun) / 2)
            await self._judged_with_others(store, truth, truth + halfway - self._steady())

    async def _judged(self, store: Store, ahead: timedelta) -> None:
        """One process with a database of its own; `ahead`: how far the wall clock is ahead of this one."""
        if abs(ahead) > JUMP:
            await self._shift(store, ahead, self._notes(self._offset()) if self._offset_name else {})
            return
        self._make_up_for(ahead)
        if self._offset_name and abs(self._offset() - self._noted) > NOTED:
            await store.note(self._notes(self._offset()))

    async def _judged_with_others(self, store: Store, truth: datetime, ahead: timedelta) -> None:
        """`ahead`: how far the database's clock is ahead. That may be its jump, or this machine may have stood still."""

        async def look(tx: Tx) -> tuple[int, int]:
            return await tx.counter(CLOCK_SHIFTS), await tx.counter(STEADY_UNTIL)

        shifts, steady_until = await store.read(look)
        now = (truth - EPOCH) // MICROSECOND
        if abs(ahead) <= JUMP:
            self._make_up_for(ahead)
            self._follow(store, shifts)
            if self._boottime() - self._begun >= GROWN_UP and now > steady_until:
                await store.note({STEADY_UNTIL: now})
        elif shifts != self._shifts:
            self._log.warning("the database's clock has jumped; another replica moved the timers")
            self._set(truth)
            self._follow(store, shifts)
        elif steady_until * MICROSECOND + EPOCH > self._steady() + JUMP:
            self._log.warning(
                "this machine stood still; the database's clock did not jump", seconds=ahead.total_seconds()
            )
            self._set(truth)
        else:
            await self._shift(store, ahead, {STEADY_UNTIL: now})

    async def _shift(self, store: Store, by: timedelta, notes: dict[str, int]) -> None:
        """Timers first: what goes on meanwhile, goes on by the time of before, and takes nothing."""
        shifts = await store.shift(by, BY_THE_WALL_CLOCK, self._shifts, notes)
        self._log.warning("the clock has jumped; the timers have moved along", seconds=by.total_seconds())
        self._anchor += by
        self._latest = self._steady()
        self._follow(store, shifts)

    def _make_up_for(self, ahead: timedelta) -> None:
        at = self._boottime()
        most = timedelta(seconds=SLEW * max(0.0, at - self._checked))
        self._checked = at
        self._anchor += max(-most, min(most, ahead))

    def _set(self, at: datetime) -> None:
        self._anchor = self._latest = at.astimezone(UTC)
        self._anchored = self._checked = self._boottime()

    def _follow(self, store: Store, shifts: int) -> None:
        self._shifts = shifts
        store.follow(shifts)

    def _offset(self) -> timedelta:
        return self._wall().astimezone(UTC) - EPOCH - timedelta(seconds=self._boottime())

    def _notes(self, offset: timedelta) -> dict[str, int]:
        self._noted = offset
        return {self._offset_name: offset // MICROSECOND}
