"""What both databases can do but SQLAlchemy spells twice: insert or replace. Used by the modules that hold the SQL."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T", int, str)
CHUNK = 500  # values of one IN: far below the parameters that a statement may have


def insert(conn: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    return _insert(conn.dialect.name, table)


@cache
def _insert(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


def upsert(conn: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Insert; a row with the same primary key is replaced."""
    return _upsert(conn.dialect.name, table)


@cache
def _upsert(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    statement = _insert(dialect, table)
    keys = [column.name for column in table.primary_key]
    replaced = {name: statement.excluded[name] for name in table.columns.keys() if name not in keys}  # noqa: SIM118
    return statement.on_conflict_do_update(index_elements=keys, set_=replaced)


def put(conn: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert or replace rows by primary key."""
    if rows:
        conn.execute(upsert(conn, table), rows)


def chunks(values: Collection[T]) -> Iterator[list[T]]:
    """The values in order, so that everybody locks rows in the same order, in lists that fit into a statement."""
    ordered = sorted(set(values))
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]
