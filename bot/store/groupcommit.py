"""Group commit: writes that arrive while the database is committing share the next transaction, each answered after it. Used by sqlite.

One at a time they run in the order in which they came. A work that fails is undone alone, and its exception reaches its own caller only;
when the database itself fails, nothing of the group is kept and everybody in it is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy.exc import DBAPIError

from bot.errors import TryLater
from bot.store.failures import ATTEMPTS, conflict, is_race, understood
from bot.store.transaction import SqlTx

T = TypeVar("T")
MOST = 200  # works in one transaction: the first of them waits for the last


class Transaction(Protocol):
    """What the writer needs of its connection. Only `commit` makes anything last."""

    def tx(self) -> SqlTx: ...
    async def begin(self) -> None: ...
    async def mark(self) -> None:
        """What comes next can be undone alone."""

    async def undo(self) -> None:
        """Back to the last mark."""

    async def commit(self) -> None: ...
    async def rollback(self) -> None: ...


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[[SqlTx], Awaitable[Any]]
    answer: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None

    def tell(self) -> None:
        if self.answer.done():
            return  # its caller was cancelled
        if self.error is not None:
            self.answer.set_exception(self.error)
        else:
            self.answer.set_result(self.result)


class GroupCommit:
    """The only writer of a database. `woke` is called after a commit that may have given the workers something to do."""

    def __init__(self, transaction: Transaction, woke: Callable[[], None]) -> None:
        self._transaction = transaction
        self._woke = woke
        self._jobs: asyncio.Queue[_Job | None] = asyncio.Queue()
        self._closed = False
        # Not a task of its caller's: a caller that is cancelled must not take its neighbours' writes along. `close` waits for it.
        self._writer = asyncio.create_task(self._write(), name="store writer")  # noqa: TID251

    async def submit(self, work: Callable[[SqlTx], Awaitable[T]]) -> T:
        if self._closed or self._writer.done():
            raise TryLater("database: the store is closed")
        if asyncio.current_task() is self._writer:
            raise RuntimeError("a write inside a write would wait for itself")
        job = _Job(work, asyncio.get_running_loop().create_future())
        self._jobs.put_nowait(job)
        answer: T = await job.answer
        return answer

    async def close(self) -> None:
        """Commit what was handed in, refuse the rest."""
        if not self._closed:
            self._closed = True
            self._jobs.put_nowait(None)
        await asyncio.wait([self._writer])

    async def _write(self) -> None:
        while True:
            group = [await self._jobs.get()]
            while not self._jobs.empty() and len(group) < MOST:
                group.append(self._jobs.get_nowait())
            jobs = [job for job in group if job is not None]
            if jobs:
                await self._commit(jobs)
            if None in group:
                return

    async def _commit(self, jobs: list[_Job]) -> None:
        woke = False
        try:
            await self._transaction.begin()
            for job in jobs:
                if not job.answer.done():
                    woke |= await self._attempt(job)
            await self._transaction.commit()
        except BaseException as error:
            await self._give_up(jobs, error)
            if not isinstance(error, Exception):
                raise
        else:
            if woke:
                self._woke()
        for job in jobs:
            job.tell()

    async def _give_up(self, jobs: list[_Job], error: BaseException) -> None:
        """Nothing was committed: whoever was not refused for a reason of its own may come again."""
        for job in jobs:
            job.error = job.error or understood(
                error if isinstance(error, Exception) else TryLater("database: stopped")
            )
        try:
            await self._transaction.rollback()
        except Exception as second:
            error.add_note(f"and the rollback failed: {second}")
        finally:
            if not isinstance(error, Exception):
                for job in jobs:
                    job.tell()

    async def _attempt(self, job: _Job) -> bool:
        """Run one work until it succeeds, fails, or has lost too many races; whether it woke the workers."""
        for attempt in range(1, ATTEMPTS + 1):
            job.error = None
            await self._transaction.mark()
            tx = self._transaction.tx()
            try:
                job.result = await job.work(tx)
            except Exception as error:
                job.error = conflict(error) if is_race(error) else understood(error)
                await self._undo(error)
                if is_race(error) and attempt < ATTEMPTS:
                    continue
                return False
            finally:
                tx.over()
            return tx.woke
        raise AssertionError("the last attempt returns")

    async def _undo(self, error: Exception) -> None:
        """Some failures (a full disk) end the whole transaction: then there is nothing left to go back to, and the group has failed."""
        try:
            await self._transaction.undo()
        except Exception as gone:
            raise (error if isinstance(error, DBAPIError) else gone) from gone
