"""State that outlives the process: one port (`bot.domain.ports.Store`), kept in memory, in SQLite or in PostgreSQL. Opened by app and cli."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError

from bot.domain.ports import Store
from bot.errors import BadInput
from bot.store import postgres, schema, sqlite
from bot.store.failures import understood
from bot.store.memory import MemoryStore

T = TypeVar("T")


async def open_store(url: str, *, create: bool = True) -> Store:
    """`memory://`, `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://…`; BadInput says what is wrong with it.

    SQLite upgrades its tables by itself; PostgreSQL wants `tocsin db upgrade` first. Without `create`, an SQLite file must exist.
    """
    where = _parsed(url)
    match where.get_backend_name():
        case "memory":
            return MemoryStore()
        case "sqlite":
            _must_have_a_place(Path(where.database or ""), create)
            await _with_sqlite(where, schema.upgrade)
            return sqlite.SqliteStore(where)
        case _:
            return await _open_postgres(where)


def _must_have_a_place(path: Path, create: bool) -> None:
    if not create and not path.exists():
        raise BadInput(f"database: there is no file {path} yet; `tocsin serve` with this configuration makes it")
    if not path.parent.is_dir():
        raise BadInput(f"database: there is no folder {path.parent} for {path.name}")


async def _open_postgres(where: URL) -> Store:
    engine = postgres.engine_of(where)
    try:
        async with _said(), engine.connect() as connection:
            await connection.run_sync(schema.must_be_current)
    except BaseException:
        await engine.dispose()
        raise
    return postgres.PostgresStore(engine)


async def upgrade(url: str) -> str:
    """Bring the tables to the version of this program; the version. Several at the same time wait for each other."""
    return await _once(_parsed(url), schema.upgrade)


async def current_revision(url: str) -> str | None:
    """The version of the tables; None when there are none."""
    return await _once(_parsed(url), schema.current)


async def _once(where: URL, fn: Callable[[Connection], T]) -> T:
    match where.get_backend_name():
        case "memory":
            raise BadInput("database: memory:// has no tables to upgrade")
        case "sqlite":
            return await _with_sqlite(where, fn)
    engine = postgres.engine_of(where)
    try:
        async with _said(), engine.begin() as connection:
            return await connection.run_sync(fn)
    finally:
        await engine.dispose()


async def _with_sqlite(where: URL, fn: Callable[[Connection], T]) -> T:
    def in_transaction(conn: Connection) -> T:
        with conn.begin():
            return fn(conn)

    seat = sqlite.Seat(sqlite.engine_of(where, writable=True), "tocsin-db-upgrade")
    try:
        async with _said():
            return await seat.hop(in_transaction)
    finally:
        await seat.close()


@asynccontextmanager
async def _said() -> AsyncIterator[None]:
    try:
        yield
    except Exception as error:
        known = understood(error)
        if known is error:
            raise
        raise known from error


def _parsed(url: str) -> URL:
    if url.removesuffix("//") == "memory:":
        return URL.create("memory")
    try:
        where = make_url(url)
    except ArgumentError:
        raise BadInput(
            "database: the URL cannot be read; wanted sqlite:///tocsin.db or postgresql://user@host/name"
        ) from None
    name = where.get_backend_name()
    if name not in ("sqlite", "postgresql"):
        raise BadInput(f"database: {name} is not supported; wanted sqlite:///tocsin.db or postgresql://user@host/name")
    if name == "sqlite" and where.database in (None, "", ":memory:"):
        raise BadInput("database: SQLite needs a file (sqlite:///tocsin.db); for nothing that lasts, memory://")
    return where.set(drivername=name)
