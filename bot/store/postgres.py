"""The store on PostgreSQL: any number of replicas, each write a transaction of its own, the database the only judge. Opened by `open_store`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Connection, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bot.domain.effects import Priority
from bot.domain.ports import Backlog, Clock, Decide, Delivery, Tx
from bot.errors import TryLater
from bot.store import claims, locks, outbox, pruning, timers
from bot.store.failures import ATTEMPTS, conflict, is_race, pause, understood
from bot.store.transaction import Hop, SqlTx
from bot.store.wake import Wake

T = TypeVar("T")
P = ParamSpec("P")

CHANNEL = "tocsin_work"
CONNECTIONS = 16  # of one replica, the one that listens included
ANSWER = 5.0  # s in which `check` wants an answer
# While listening, look all the same now and then: a connection can be dead without saying so. Without listening, poll.
LISTENING, POLLING = 10.0, 1.0
# A replica that stops in the middle of a transaction (a frozen machine) must not hold its locks, and everybody else, for long.
FORGIVEN, FORGIVEN_CLAIMING = "30s", "5s"


def engine_of(url: URL) -> AsyncEngine:
    settings = {
        "application_name": "tocsin",
        "idle_in_transaction_session_timeout": FORGIVEN,
        "lock_timeout": "20s",
        "jit": "off",  # it costs more than these queries take
    }
    return create_async_engine(
        url.set(drivername="postgresql+asyncpg"),
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=20,
        connect_args={"server_settings": settings, "timeout": 10, "command_timeout": 60},
    )


class PostgresStore:
    """Call `open_store`, which makes sure that the tables are there."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._wake = Wake()
        self._listener: AsyncConnection | None = None
        self._hearing = False
        self._tuning = asyncio.Lock()
        self._known: int | None = None  # how many jumps the clock has followed
        self._closed = False

    async def write(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        return await self._write(work)

    async def _write(self, work: Callable[[SqlTx], Awaitable[T]]) -> T:
        """Run the work until it commits or fails. Losing a race runs it again; so does, once, a connection that had died in the pool."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._committed(work)
            except Exception as error:
                stale = attempt == 1 and isinstance(error, DBAPIError) and error.connection_invalidated
                if not is_race(error) and not stale:
                    known = understood(error)
                    if known is error:
                        raise
                    raise known from error
                if attempt == ATTEMPTS:
                    raise conflict(error) from error
            await asyncio.sleep(pause(attempt))
        raise AssertionError("the last attempt returns or raises")

    async def _committed(self, work: Callable[[SqlTx], Awaitable[T]]) -> T:
        self._must_be_open()
        async with self._engine.connect() as connection:
            await connection.begin()
            tx = SqlTx(_hop(connection), writable=True)
            try:
                result = await work(tx)
                if tx.asked:
                    await tx.change(outbox.notify, CHANNEL)
            finally:
                tx.over()
            await _commit(connection)
        if tx.woke:
            self._wake.now()
        return result

    async def read(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        async with self._reading() as tx:
            return await work(tx)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[SqlTx]:
        """One view for all of its queries. It is not run again: after a restart of the database, the first read says `TryLater`."""
        self._must_be_open()
        try:
            async with self._engine.connect() as connection:
                await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                tx = SqlTx(_hop(connection), writable=False)
                try:
                    yield tx
                finally:
                    tx.over()
        except Exception as error:
            known = understood(error)
            if known is error:
                raise
            raise known from error

    def _must_be_open(self) -> None:
        if self._closed:
            raise TryLater("database: the store is closed")

    async def claim(
        self,
        owner: str,
        now: datetime,
        lease_until: datetime,
        limit: int,
        priorities: Sequence[Priority] = claims.EVERY,
    ) -> list[Delivery]:
        known = self._known
        return await self._write(lambda tx: tx.change(_claim, known, owner, now, lease_until, limit, priorities))

    async def settle_timers(self, clock: Clock, limit: int, decide: Decide) -> int:
        async def work(tx: SqlTx) -> int:
            if not await tx.change(_alone_with_timers):
                return 0
            return await timers.settle_due(tx, clock(), limit, self._known, decide)

        return await self._write(work)

    def follow(self, shifts: int | None) -> None:
        self._known = shifts

    async def clock(self) -> datetime | None:
        async with self._reading() as tx:
            return await tx.look(timers.database_clock)

    async def shift(self, by: timedelta, keep: Collection[str], before: int, notes: Mapping[str, int]) -> int:
        async def work(tx: SqlTx) -> int:
            tx.woke = tx.asked = True
            return await tx.change(_shift, by, keep, before, notes)

        return await self._write(work)

    async def note(self, notes: Mapping[str, int]) -> None:
        await self._write(lambda tx: tx.change(timers.note, notes))

    async def renew(self, deliveries: Sequence[Delivery], lease_until: datetime) -> set[int]:
        return await self._write(lambda tx: tx.change(claims.renew, deliveries, lease_until))

    async def release(self, owner: str, now: datetime) -> int:
        async def work(tx: SqlTx) -> int:
            tx.woke = tx.asked = True
            return await tx.change(claims.release, owner, now)

        return await self._write(work)

    async def next_due(self, now: datetime, priorities: Sequence[Priority] = claims.EVERY) -> datetime | None:
        async with self._reading() as tx:
            return await tx.look(timers.next_due, now, priorities)

    async def backlog(self, now: datetime) -> tuple[Backlog, ...]:
        async with self._reading() as tx:
            return await tx.look(claims.backlog, now)

    async def prune(self, before: datetime, limit: int = 1000) -> int:
        return await self._write(lambda tx: tx.change(pruning.prune, before, limit))

    async def prune_log(self, before: datetime, limit: int = 1000) -> int:
        return await self._write(lambda tx: tx.change(pruning.prune_log, before, limit))

    async def wait_for_work(self, seconds: float) -> None:
        listening = await self._listen()
        await self._wake.wait(min(seconds, LISTENING if listening else POLLING))

    async def _listen(self) -> bool:
        """Whether commits of other replicas wake this one. Tried again each time somebody waits."""
        async with self._tuning:
            if self._hearing or self._closed:
                return self._hearing
            await self._hang_up()
            try:
                await self._begin_to_listen()
            except Exception as error:
                await self._hang_up()
                if understood(error) is error:
                    raise
                return False
        self._wake.now()  # what was committed while nobody listened
        return True

    async def _begin_to_listen(self) -> None:
        self._listener = await self._engine.connect()
        await self._listener.execution_options(isolation_level="AUTOCOMMIT")
        driver: Any = (await self._listener.get_raw_connection()).driver_connection
        await driver.add_listener(CHANNEL, lambda *_: self._wake.now())
        driver.add_termination_listener(self._cut_off)
        self._hearing = True

    def _cut_off(self, _: Any) -> None:
        self._hearing = False
        self._wake.now()

    async def _hang_up(self) -> None:
        if self._listener is not None:
            listener, self._listener, self._hearing = self._listener, None, False
            await listener.invalidate()
            await listener.close()

    async def check(self) -> None:
        try:
            async with asyncio.timeout(ANSWER), self._reading() as tx:
                await tx.look(lambda conn: conn.execute(text("select 1")))
        except TimeoutError:
            raise TryLater(f"database: no answer in {ANSWER:g} s") from None

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        async with self._tuning:
            await self._hang_up()
        await self._engine.dispose()


def _hop(connection: AsyncConnection) -> Hop:
    async def hop(fn: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await connection.run_sync(fn, *args, **kwargs)

    return hop


_CLAIMING = {
    "idle_in_transaction_session_timeout": FORGIVEN_CLAIMING,
    "plan_cache_mode": "force_generic_plan",  # planning takes longer than the query
    "enable_seqscan": "off",  # also before the first statistics
}
_CONFIGURE = select(*(func.set_config(name, value, True) for name, value in _CLAIMING.items()))


def _claim(
    conn: Connection,
    known: int | None,
    owner: str,
    now: datetime,
    lease_until: datetime,
    limit: int,
    priorities: Sequence[Priority],
) -> list[Delivery]:
    """One replica claims at a time, each seeing what the one before took: so no lane is given out twice."""
    conn.execute(_CONFIGURE)
    locks.hold(conn, "claim")
    return timers.claim(conn, known, owner, now, lease_until, limit, priorities)


def _alone_with_timers(conn: Connection) -> bool:
    """Whether no other replica decides timers now; else it has those that are due, and nobody waits for it."""
    conn.execute(_CONFIGURE)
    return locks.try_hold(conn, "timers")


def _shift(conn: Connection, by: timedelta, keep: Collection[str], before: int, notes: Mapping[str, int]) -> int:
    """Nobody claims or decides meanwhile: what they took for due would not be."""
    locks.hold(conn, "claim")
    locks.hold(conn, "timers")
    return timers.shift_once(conn, by, keep, before, notes)


async def _commit(connection: AsyncConnection) -> None:
    try:
        await connection.commit()
    except Exception as error:
        known = understood(error, uncertain=True)
        if known is error:
            raise
        raise known from error
