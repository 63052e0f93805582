"""Delivers what the outbox holds: the only retry loop in the program (DESIGN section 2, step 7).

Timers are decided together (timers.py). Everything else is a row that is leased, handed to the handler of its kind, and settled in the
transaction that holds what the handler wants recorded. Leases are renewed while a handler works; a lease that is lost stops the handler.
Whatever a handler raises becomes one of three outcomes: done, later, dead. Some slots are kept for pages, however slow everything else is.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from bot.domain.effects import Effect, Priority
from bot.domain.ports import Clock, Delivery, LostLease, Settled, Store, Tx
from bot.errors import BadInput, GaveUp, TryLater
from bot.flow.delivery import Handler, Record
from bot.flow.timers import TIMERS, Timers

LEASE = timedelta(seconds=10)
SLOTS = 32
FOR_PAGES = 8  # of the slots
FEWER_SLOTS = 3  # while many timers come due
SLOW = 1.0  # s: a page that takes longer waits for a medium that hangs, and keeps its slot from no other one
MOST_SLOW = 200
NOT_NOW = 0.2  # s
AT_LEAST = (
    4  # free slots before more is claimed, unless it has been a while: claiming costs a commit, however little there is
)
A_WHILE = 0.02  # s
EVERYTHING_ELSE = tuple(one for one in Priority if one not in TIMERS)
PAGES = (Priority.PAGE,)
FIRST_RETRY = 0.5
LONGEST_RETRY = 60.0
LONGEST_RETRY_OF_A_PAGE = 5.0  # when Slack is back, a page must not sit out a long pause
OLDEST = timedelta(hours=24)
BUG_ATTEMPTS = 20

OnDead = Callable[[Tx, Effect, str, datetime], Awaitable[None]]
Observe = Callable[[str, str], None]


def backoff(attempts: int, asked: float | None, spread: float, longest: float = LONGEST_RETRY) -> float:
    """Seconds until the next attempt: what the other side asked for, else exponential with full jitter (`spread` in 0..1)."""
    if asked is not None:
        return asked
    return max(0.05, spread * min(longest, FIRST_RETRY * 2.0 ** min(attempts - 1, 12)))


def _known(error: Exception) -> bool:
    return isinstance(error, TryLater)


async def _ring_or(bell: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await bell.wait()
    except TimeoutError:
        return


class Worker:
    """`on_dead` records what a dead row means, with its settling; `observe(kind, outcome)` counts."""

    def __init__(
        self,
        store: Store,
        handlers: Mapping[str, Handler],
        clock: Clock,
        owner: str,
        on_dead: OnDead,
        observe: Observe | None = None,
    ) -> None:
        self._store = store
        self._handlers = handlers
        self._clock = clock
        self._owner = owner
        self._on_dead = on_dead
        self._observe = observe
        self._running: dict[int, tuple[Delivery, asyncio.Task[None]]] = {}
        self._pages_since: dict[int, float] = {}  # by the loop's clock
        self._slow = SLOW
        self._bell = asyncio.Event()
        self._timer_bell = asyncio.Event()
        self._timers = Timers(store, handlers, clock, observe)
        self._stopping = False
        self._spread = random.random
        self._log = structlog.get_logger("worker")

    async def run(self) -> None:
        """Deliver until `stop`; then finish what is in hand and give the leases back."""
        async with asyncio.TaskGroup() as tasks:
            listener = tasks.create_task(self._listen())
            heart = tasks.create_task(self._renew())
            timing = tasks.create_task(self._keep_time(tasks))
            while not self._stopping:
                self._bell.clear()
                try:
                    await self._start_due(tasks)
                    pause = await self._pause()
                except TryLater as error:
                    self._log.warning("the outbox cannot be read", error=str(error))
                    pause = 1.0
                except Exception:
                    self._log.exception("the outbox cannot be read")
                    pause = 1.0
                await _ring_or(self._bell, pause)
            listener.cancel()
            await timing
            if self._running:
                await asyncio.wait([task for _, task in self._running.values()])
            heart.cancel()
        await self._store.release(self._owner, self._clock())

    async def take_back(self) -> None:
        """Free what an earlier process of this owner held when it died, instead of waiting for its leases to run out."""
        await self._store.release(self._owner, self._clock())

    def stop(self) -> None:
        """Claim nothing more; `run` ends when what is in hand is delivered."""
        self._stopping = True
        self._ring()

    async def drain(self, most: int = 10_000) -> int:
        """Deliver one after another until nothing is due (tests, and commands that work without a server); how many."""
        for count in range(most):
            now = self._clock()
            claimed = await self._store.claim(self._owner, now, now + LEASE, 1)
            if not claimed:
                return count
            await self._deliver(claimed[0])
        return most

    def _ring(self) -> None:
        self._bell.set()
        self._timer_bell.set()

    async def _keep_time(self, tasks: asyncio.TaskGroup) -> None:
        """Decide timers as they come due, whatever is being delivered."""
        while not self._stopping:
            self._timer_bell.clear()
            try:
                pause = await self._timers.pause()
                if pause <= 0 and not await self._timers.settle_due():
                    await self._start(tasks, TIMERS, 1)
            except Exception as error:
                self._log.warning("timers cannot be decided now", error=str(error), exc_info=not _known(error))
                pause = NOT_NOW
            if pause > 0:
                await _ring_or(self._timer_bell, pause)

    async def _start(self, tasks: asyncio.TaskGroup, priorities: Sequence[Priority], most: int) -> None:
        now = self._clock()
        for delivery in await self._store.claim(self._owner, now, now + LEASE, most, priorities):
            self._running[delivery.id] = (delivery, tasks.create_task(self._deliver_and_ring(delivery)))
            if delivery.effect.priority <= Priority.PAGE:
                self._pages_since[delivery.id] = asyncio.get_running_loop().time()

    async def _start_due(self, tasks: asyncio.TaskGroup) -> None:
        priorities, most = self._room()
        if 0 < most < AT_LEAST and self._running:
            await asyncio.sleep(A_WHILE)
            priorities, most = self._room()
        if most > 0:
            await self._start(tasks, priorities, most)

    def _room(self) -> tuple[Sequence[Priority], int]:
        """What may be claimed now, and how many."""
        slots, others = (FEWER_SLOTS, FEWER_SLOTS // 2) if self._timers.busy else (SLOTS, SLOTS - FOR_PAGES)
        pages, slow_since = len(self._pages_since), asyncio.get_running_loop().time() - self._slow
        slots += min(MOST_SLOW, sum(since < slow_since for since in self._pages_since.values()))
        room = min(slots - len(self._running), others - len(self._running) + pages)
        return (EVERYTHING_ELSE, room) if room > 0 else (PAGES, slots - others - pages)

    async def _pause(self) -> float:
        """Seconds to wait at most before looking again."""
        priorities, most = self._room()
        if most <= 0:
            return self._slow / 2
        due = await self._store.next_due(self._clock(), priorities)
        return 1.0 if due is None else min(1.0, max(0.01, (due - self._clock()).total_seconds()))

    async def _listen(self) -> None:
        while True:
            try:
                await self._store.wait_for_work(1.0)
            except Exception:
                self._log.exception("cannot wait for work; looking each second")
                await asyncio.sleep(1.0)
            self._ring()

    async def _renew(self) -> None:
        """Keep the leases of what is being delivered; stop what was taken over by another worker."""
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            held = [delivery for delivery, _ in self._running.values()]
            if not held:
                continue
            try:
                ours = await self._store.renew(held, self._clock() + LEASE)
            except Exception:
                self._log.exception("leases cannot be renewed")
                continue
            for delivery in held:
                if delivery.id not in ours and delivery.id in self._running:
                    self._running[delivery.id][1].cancel()

    async def _deliver_and_ring(self, delivery: Delivery) -> None:
        try:
            await self._deliver(delivery)
        except Exception:
            self._log.exception(
                "a delivery could not be settled; its lease will run out",
                kind=delivery.effect.kind,
                key=delivery.effect.key,
            )
        finally:
            self._running.pop(delivery.id, None)
            self._pages_since.pop(delivery.id, None)
            self._bell.set()

    async def _deliver(self, delivery: Delivery) -> None:
        """One attempt, and its outcome committed together with what the handler recorded."""
        with structlog.contextvars.bound_contextvars(
            kind=delivery.effect.kind, key=delivery.effect.key, incident=delivery.effect.payload.get("incident_id")
        ):
            await self._attempt(delivery)

    async def _attempt(self, delivery: Delivery) -> None:
        record: Record | None = None
        try:
            handler = self._handlers.get(delivery.effect.kind)
            if handler is None:
                raise GaveUp(f"nothing delivers {delivery.effect.kind!r}")
            record = await handler(delivery)
            settled = Settled("done")
        except Exception as error:
            settled = self._outcome(delivery, error)
        try:
            await self._settle(delivery, settled, record)
        except (BadInput, GaveUp) as error:
            settled = Settled("dead", error=str(error))
            await self._settle(delivery, settled, None)
        if self._observe:
            self._observe(delivery.effect.kind, settled.outcome)

    async def _settle(self, delivery: Delivery, settled: Settled, record: Record | None) -> None:
        async def work(tx: Tx) -> None:
            now = self._clock()
            if record is not None:
                await record(tx)
            if settled.outcome == "dead":
                await self._on_dead(tx, delivery.effect, settled.error, now)
            if not await tx.settle(delivery, settled, now):
                raise LostLease(delivery.effect.key)

        try:
            await self._store.write(work)
        except LostLease:
            self._log.warning("another worker took over")

    def _outcome(self, delivery: Delivery, error: Exception) -> Settled:
        """What an exception means for the row; anything unexpected is a bug: logged whole, and tried again a bounded number of times."""
        now = self._clock()
        if isinstance(error, BadInput | GaveUp):
            self._log.error("given up", error=str(error))
            return Settled("dead", error=str(error))
        known = isinstance(error, TryLater)
        if not known:
            self._log.error("a handler failed", exc_info=error)
        too_old = now - delivery.asked_at > OLDEST
        if too_old or (not known and delivery.attempts >= BUG_ATTEMPTS):
            return Settled("dead", error=f"{error} (after {delivery.attempts} attempts)")
        asked = error.delay if isinstance(error, TryLater) else None
        longest = LONGEST_RETRY_OF_A_PAGE if delivery.effect.priority <= Priority.PAGE else LONGEST_RETRY
        delay = backoff(delivery.attempts, asked, self._spread(), longest)
        unsure = error.uncertain if isinstance(error, TryLater) else True
        if known:
            self._log.info("later", error=str(error), seconds=round(delay, 2), attempts=delivery.attempts)
        return Settled(
            "later", due=now + timedelta(seconds=delay), error=f"{type(error).__name__}: {error}"[:1000], unsure=unsure
        )
