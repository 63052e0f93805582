"""The store on SQLite: one file, one process, one writer that commits in groups, readers that wait for nobody. Opened by `open_store`.

Plain connections, each in a thread of its own: a hop to a thread costs less than an asynchronous driver's, and is needed once per Tx method.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, text

from bot.domain.effects import Priority
from bot.domain.ports import Backlog, Clock, Decide, Delivery, Tx
from bot.errors import TryLater
from bot.store import claims, pruning, timers
from bot.store.failures import understood
from bot.store.groupcommit import GroupCommit
from bot.store.transaction import SqlTx
from bot.store.wake import Wake

T = TypeVar("T")
P = ParamSpec("P")

READERS = 3
BUSY = 10_000  # ms to wait for another process that writes (`tocsin` on the command line)
ANSWER = 5.0  # s in which `check` wants an answer


def engine_of(url: URL, *, writable: bool) -> Engine:
    """Transactions begin when we say so: at once with the right to write, or (a reader) with a view of what is committed."""
    engine = create_engine(url, poolclass=NullPool)
    begin = "BEGIN IMMEDIATE" if writable else "BEGIN"

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGINs come too late
        # FULL: an acknowledged write survives a power cut (P1).
        for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY}", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")
        if not writable:
            connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


class Seat:
    """One connection and the thread that it lives in. What is sent there runs in order, also when who sent it no longer waits."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._engine = engine
        self._connection: Connection | None = None

    async def hop(self, fn: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: fn(self._open(), *args, **kwargs))

    def _open(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def leave(self) -> None:
        """End whatever transaction is open, after what is still running; nobody waits for it."""
        self._thread.submit(lambda: self._open().rollback())

    async def close(self) -> None:
        def close() -> None:
            if self._connection is not None:
                self._connection.close()

        await asyncio.get_running_loop().run_in_executor(self._thread, close)
        self._thread.shutdown(wait=False)


class WriterTransaction:
    """The group's transaction on the writer's seat. Marks are savepoints. What needs no answer goes along with the next hop: a hop to the
    thread and back costs as much as a small query."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._mark_wanted = False
        self._marked = False

    def tx(self) -> SqlTx:
        return SqlTx(self._hop, writable=True, alone=True)

    async def _hop(self, fn: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        def marked(conn: Connection) -> T:
            self._set_mark(conn)
            return fn(conn, *args, **kwargs)

        return await self._seat.hop(marked)

    def _set_mark(self, conn: Connection) -> None:
        if self._mark_wanted:
            if self._marked:
                conn.exec_driver_sql("RELEASE work")
            conn.exec_driver_sql("SAVEPOINT work")
            self._mark_wanted, self._marked = False, True

    async def begin(self) -> None:
        self._mark_wanted = self._marked = False
        await self._seat.hop(lambda conn: conn.begin())

    async def mark(self) -> None:
        self._mark_wanted = True

    async def undo(self) -> None:
        if not self._mark_wanted:
            await self._seat.hop(lambda conn: conn.exec_driver_sql("ROLLBACK TO work"))

    async def commit(self) -> None:
        await self._seat.hop(_commit)

    async def rollback(self) -> None:
        await self._seat.hop(lambda conn: conn.rollback())


def _commit(conn: Connection) -> None:
    """A full disk can end the transaction; when a work swallowed that error, the driver's commit would do nothing and say nothing."""
    driver: Any = conn.connection.driver_connection
    if not driver.in_transaction:
        raise TryLater("database: the transaction was ended by an earlier failure")
    conn.commit()


class SqliteStore:
    """Call `open_store`, which brings the tables up to date first."""

    def __init__(self, url: URL) -> None:
        self._wake = Wake()
        self._writer = Seat(engine_of(url, writable=True), "tocsin-db-writer")
        self._group = GroupCommit(WriterTransaction(self._writer), self._wake.now)
        reading = engine_of(url, writable=False)
        self._seats = [Seat(reading, f"tocsin-db-reader-{number}") for number in range(READERS)]
        self._readers: asyncio.LifoQueue[Seat] = asyncio.LifoQueue()
        for seat in self._seats:
            self._readers.put_nowait(seat)
        self._known: int | None = None  # how many jumps the clock has followed
        self._closed = False

    async def write(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        return await self._group.submit(work)

    async def read(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        async with self._reading() as tx:
            return await work(tx)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[SqlTx]:
        if self._closed:
            raise TryLater("database: the store is closed")
        seat = await self._readers.get()
        tx = SqlTx(seat.hop, writable=False, alone=True)  # its first query begins the transaction
        try:
            yield tx
        except Exception as error:
            known = understood(error)
            if known is error:
                raise
            raise known from error
        finally:
            tx.over()
            seat.leave()
            self._readers.put_nowait(seat)

    async def claim(
        self,
        owner: str,
        now: datetime,
        lease_until: datetime,
        limit: int,
        priorities: Sequence[Priority] = claims.EVERY,
    ) -> list[Delivery]:
        known = self._known
        return await self._group.submit(
            lambda tx: tx.change(timers.claim, known, owner, now, lease_until, limit, priorities)
        )

    async def settle_timers(self, clock: Clock, limit: int, decide: Decide) -> int:
        return await self._group.submit(lambda tx: timers.settle_due(tx, clock(), limit, self._known, decide))

    def follow(self, shifts: int | None) -> None:
        self._known = shifts

    async def clock(self) -> datetime | None:
        return None

    async def shift(self, by: timedelta, keep: Collection[str], before: int, notes: Mapping[str, int]) -> int:
        async def work(tx: SqlTx) -> int:
            tx.woke = True
            return await tx.change(timers.shift_once, by, keep, before, notes)

        return await self._group.submit(work)

    async def note(self, notes: Mapping[str, int]) -> None:
        await self._group.submit(lambda tx: tx.change(timers.note, notes))

    async def renew(self, deliveries: Sequence[Delivery], lease_until: datetime) -> set[int]:
        return await self._group.submit(lambda tx: tx.change(claims.renew, deliveries, lease_until))

    async def release(self, owner: str, now: datetime) -> int:
        async def work(tx: SqlTx) -> int:
            tx.woke = True
            return await tx.change(claims.release, owner, now)

        return await self._group.submit(work)

    async def next_due(self, now: datetime, priorities: Sequence[Priority] = claims.EVERY) -> datetime | None:
        async with self._reading() as tx:
            return await tx.look(timers.next_due, now, priorities)

    async def backlog(self, now: datetime) -> tuple[Backlog, ...]:
        async with self._reading() as tx:
            return await tx.look(claims.backlog, now)

    async def prune(self, before: datetime, limit: int = 1000) -> int:
        return await self._group.submit(lambda tx: tx.change(pruning.prune, before, limit))

    async def prune_log(self, before: datetime, limit: int = 1000) -> int:
        return await self._group.submit(lambda tx: tx.change(pruning.prune_log, before, limit))

    async def wait_for_work(self, seconds: float) -> None:
        await self._wake.wait(seconds)

    async def check(self) -> None:
        try:
            async with asyncio.timeout(ANSWER), self._reading() as tx:
                await tx.look(lambda conn: conn.execute(text("select 1 from outbox limit 1")))
        except TimeoutError:
            raise TryLater(f"database: no answer in {ANSWER:g} s") from None

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        await self._group.close()
        for seat in (*self._seats, self._writer):
            await seat.close()
