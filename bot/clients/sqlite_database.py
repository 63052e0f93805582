"""A SQLite file that runbooks may ask. Implements `Database` of databases.py."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import quote

from bot.clients.databases import LONGEST_CELL, MOST_COLUMNS, Answer, Value, bare, cell
from bot.errors import BadInput, TryLater

# Kept small: one value of a row may be this long while it is read, and there are at most 200 rows of 50 values.
LARGEST_VALUE = 16_000_000
LONGEST_STATEMENT = 60_000
STEPS_BETWEEN_LOOKS = 2_000
BUSY_SECONDS = 2.0
READING = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
NOT_NOW = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR)
FORBIDDEN = ("load_extension", "edit", "fts3_tokenizer")
LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: LARGEST_VALUE,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: LONGEST_STATEMENT,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1000,
}


@dataclass(frozen=True, slots=True)
class Sqlite:
    """`path` is opened anew for each query."""

    path: str

    async def ask(self, query: str, args: Sequence[Value], most_rows: int, seconds: float) -> Answer:
        """In a thread, which ends by itself when the time is over."""
        return await asyncio.to_thread(self._ask, bare(query), tuple(args), most_rows, seconds)

    def _ask(self, query: str, args: tuple[Value, ...], most_rows: int, seconds: float) -> Answer:
        late = time.monotonic() + seconds
        try:
            place = f"file:{quote(self.path)}?mode=ro"
            with closing(sqlite3.connect(place, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
                _bound(connection, late)
                columns = _columns(connection, query, args)
                names = ", ".join(f"c{number}" for number in range(len(columns)))
                cells = ", ".join(
                    f"case when typeof(c{number}) in ('text', 'blob') then substr(c{number}, 1, {LONGEST_CELL + 1}) else c{number} end"
                    for number in range(len(columns))
                )
                # The text is the runbook's own, values are bound, and whatever it is may only read.
                whole = f"with tocsin({names}) as ({query}) select {cells} from tocsin limit {most_rows + 1}"  # noqa: S608
                rows = connection.execute(whole, args).fetchall()
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise _refused(error, seconds) from error
        found = tuple(tuple(cell(value) for value in row) for row in rows[:most_rows])
        return Answer(columns, found, len(rows) > most_rows)


def _bound(connection: sqlite3.Connection, late: float) -> None:
    """Reading only, in bounded time and memory. Whatever else the query wants is refused when it is prepared."""
    connection.execute("pragma query_only = on")
    connection.execute("pragma trusted_schema = off")
    for limit, value in LIMITS.items():
        connection.setlimit(limit, value)
    connection.set_progress_handler(lambda: time.monotonic() > late, STEPS_BETWEEN_LOOKS)
    connection.set_authorizer(_allowed)


def _allowed(action: int, one: str | None, other: str | None, database: str | None, trigger: str | None) -> int:
    reads = action in READING and not (action == sqlite3.SQLITE_FUNCTION and other in FORBIDDEN)
    return sqlite3.SQLITE_OK if reads else sqlite3.SQLITE_DENY


def _columns(connection: sqlite3.Connection, query: str, args: tuple[Value, ...]) -> tuple[str, ...]:
    cursor = connection.execute(f"select * from ({query}) limit 0", args)  # noqa: S608
    columns = tuple(str(column[0])[:LONGEST_CELL] for column in cursor.description)
    if len(columns) > MOST_COLUMNS:
        raise BadInput(f"the query gives {len(columns)} columns; at most {MOST_COLUMNS} are possible")
    return columns


def _refused(error: sqlite3.Error | sqlite3.Warning, seconds: float) -> Exception:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_INTERRUPT:
        return TryLater(f"the query took longer than {seconds:g} s")
    if code in NOT_NOW:
        return TryLater(f"the database cannot answer now: {error}")
    if code == sqlite3.SQLITE_AUTH:
        return BadInput(f"the query does something else than read: {error}")
    if code == sqlite3.SQLITE_CANTOPEN:
        return BadInput("the database's file cannot be opened")
    return BadInput(f"the database refuses the query: {error}")
