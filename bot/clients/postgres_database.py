"""A PostgreSQL database that runbooks may ask. Implements `Database` of databases.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import asyncpg

from bot.clients.databases import LONGEST_CELL, MOST_COLUMNS, Answer, Value, bare, cell
from bot.errors import BadInput, TryLater

CONNECT_SECONDS = 10.0
CLOSE_SECONDS = 2.0
LOCK_SECONDS = 3.0
# https://www.postgresql.org/docs/current/errcodes-appendix.html: connections, resources, an administrator's doing, conflicts and locks
NOT_NOW = ("08", "53", "57", "40", "55P03")
CANCELLED = "57014"
READ_ONLY = "25006"
REFUSED_LOGIN = ("28", "3D000")
NUMBERS: dict[str, Callable[[str], Value]] = {
    "int2": int, "int4": int, "int8": int, "oid": int, "float4": float, "float8": float, "numeric": float, "bool": lambda text: text == "true",
}  # fmt: skip
READERS: dict[str, Callable[[Any], Any]] = {
    "int2": int, "int4": int, "int8": int, "float4": float, "float8": float, "numeric": lambda value: Decimal(str(value)),
    "text": str, "varchar": str, "bpchar": str, "name": str, "date": date.fromisoformat,
    "timestamptz": datetime.fromisoformat, "timestamp": datetime.fromisoformat,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Postgres:
    """`url` may hold a password: it is in no message. Each query has a connection of its own."""

    url: str

    async def ask(self, query: str, args: Sequence[Value], most_rows: int, seconds: float) -> Answer:
        try:
            async with asyncio.timeout(CONNECT_SECONDS + seconds + CLOSE_SECONDS):
                connection = await self._connect(seconds)
                try:
                    return await _asked(connection, bare(query), args, most_rows, seconds)
                finally:
                    await _closed(connection)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
            raise _refused(error, seconds) from error
        except TimeoutError as error:
            raise TryLater(f"the database did not answer within {CONNECT_SECONDS + seconds:g} s") from error
        except OSError as error:
            raise TryLater(f"the database cannot be reached: {error.strerror or type(error).__name__}") from error

    async def _connect(self, seconds: float) -> asyncpg.Connection:
        """Without a cache of statements, so that a pooler before the database does no harm."""
        kind, _, rest = self.url.partition("://")
        try:
            return await asyncpg.connect(
                f"{kind.partition('+')[0]}://{rest}",
                timeout=CONNECT_SECONDS,
                command_timeout=seconds + CLOSE_SECONDS,
                statement_cache_size=0,
            )
        except ValueError as error:
            raise BadInput("the database's address cannot be read") from error


async def _asked(
    connection: asyncpg.Connection, query: str, args: Sequence[Value], most_rows: int, seconds: float
) -> Answer:
    """In a read-only transaction that is rolled back. That it is one is asked of the server, not believed."""
    transaction = connection.transaction(readonly=True)
    await transaction.start()
    try:
        await connection.execute(f"set local statement_timeout = {round(seconds * 1000)}")
        await connection.execute(f"set local lock_timeout = {round(min(seconds, LOCK_SECONDS) * 1000)}")
        if await connection.fetchval("select current_setting('transaction_read_only')") != "on":
            raise BadInput("the database does not take a read-only transaction, so it is not asked")
        found = await connection.prepare(query)
        columns = found.get_attributes()
        if not columns:
            raise BadInput("this is no query: it gives no columns")
        if len(columns) > MOST_COLUMNS:
            raise BadInput(f"the query gives {len(columns)} columns; at most {MOST_COLUMNS} are possible")
        given = _bound(found.get_parameters(), args)
        names = ", ".join(f"c{number}" for number in range(len(columns)))
        cells = ", ".join(f"left(c{number}::text, {LONGEST_CELL + 1})" for number in range(len(columns)))
        # The text is the runbook's own, values are bound, and whatever it is may only read.
        whole = f"select {cells} from ({query}) as tocsin({names}) limit {most_rows + 1}"  # noqa: S608
        rows = await connection.fetch(whole, *given)
    finally:
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            await transaction.rollback()
    kinds = [column.type.name for column in columns]
    read = tuple(
        tuple(_cell(text, kind) for text, kind in zip(row.values(), kinds, strict=True)) for row in rows[:most_rows]
    )
    return Answer(tuple(column.name[:LONGEST_CELL] for column in columns), read, len(rows) > most_rows)


async def _closed(connection: asyncpg.Connection) -> None:
    """However it went; what is still running, the server cancels when its time is over."""
    try:
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            await connection.close(timeout=CLOSE_SECONDS)
    finally:
        connection.terminate()


def _bound(parameters: Sequence[Any], args: Sequence[Value]) -> list[Any]:
    """The values as the server's types want them: what a template gives is text."""
    if len(parameters) != len(args):
        raise BadInput(f"the query has {len(parameters)} placeholders ($1, …), and `args` has {len(args)} values")
    bound = []
    for number, (parameter, value) in enumerate(zip(parameters, args, strict=True), start=1):
        reader = READERS.get(parameter.name)
        try:
            bound.append(value if value is None or reader is None else reader(value))
        except (ValueError, ArithmeticError, TypeError) as error:
            raise BadInput(f"args: value {number} does not fit {parameter.name}") from error
    return bound


def _cell(text: str | None, kind: str) -> Value:
    if text is None or kind not in NUMBERS:
        return cell(text)
    return cell(NUMBERS[kind](text))


def _refused(error: Exception, seconds: float) -> Exception:
    state = getattr(error, "sqlstate", None) or ""
    if state == CANCELLED:
        return TryLater(f"the query took longer than {seconds:g} s")
    if state.startswith(REFUSED_LOGIN):
        return BadInput(f"the database lets nobody in with this address: {type(error).__name__}")
    if state.startswith(NOT_NOW) or isinstance(error, ConnectionError):
        return TryLater(f"the database cannot answer now: {error}")
    if state == READ_ONLY:
        return BadInput(f"the query does something else than read: {error}")
    return BadInput(f"the database refuses the query: {error}")
