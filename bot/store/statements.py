"""What both databases can do but SQLAlchemy spells twice: insert or replace. Used by the modules that hold the SQL."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Connection, Table, TextClause, UpdateBase, bindparam, text
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T", int, str)
CHUNK = 500  # values of one IN: far below the parameters that a statement may have


@cache
def insert(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


@cache
def _upsert(dialect: str, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Insert; a row with the same primary key is replaced."""
    statement = insert(dialect, table)
    keys = [column.name for column in table.primary_key]
    replaced = {name: statement.excluded[name] for name in table.columns.keys() if name not in keys}  # noqa: SIM118
    return statement.on_conflict_do_update(index_elements=keys, set_=replaced)


def put(conn: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert or replace rows by primary key."""
    if rows:
        conn.execute(_put(conn.dialect.name, table, tuple(rows[0])), rows)


@cache
def _put(dialect: str, table: Table, names: tuple[str, ...]) -> TextClause:
    return spelt_out(dialect, _upsert(dialect, table), names)


def spelt_out(dialect: str, statement: UpdateBase, names: Sequence[str]) -> TextClause:
    """The statement as text, for values of these names: SQLAlchemy compiles an INSERT … ON CONFLICT anew at each execution (its `inherit_cache` is
    off), which takes longer than running it."""
    kind = sqlite.dialect if dialect == "sqlite" else postgresql.dialect
    compiled: Any = statement.compile(dialect=kind(paramstyle="named"), column_keys=list(names))
    given = [
        bindparam(name, type_=bind.type) if name in names else bindparam(name, bind.value, bind.type)
        for bind, name in compiled.bind_names.items()
    ]
    return text(str(compiled)).bindparams(*given)


def chunks(values: Collection[T]) -> Iterator[list[T]]:
    """The values in order, so that everybody locks rows in the same order, in lists that fit into a statement."""
    ordered = sorted(set(values))
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]
