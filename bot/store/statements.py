"""What both databases can do but SQLAlchemy spells twice: insert or replace. Used by the modules that hold the SQL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect, Table, TextClause, UpdateBase, bindparam, text
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T", int, str)
Statement = Callable[[str, Table], postgresql.Insert | sqlite.Insert]
FEW = 4  # rows
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
    """Insert or replace rows by primary key; no key twice."""
    run(conn, table, _upsert, rows)


def add(conn: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows."""
    run(conn, table, insert, rows)


def run(conn: Connection, table: Table, statement: Statement, rows: list[dict[str, Any]]) -> None:
    """Run an INSERT for rows with the same names, none of them twice. PostgreSQL takes several as one, which is a fraction of the work."""
    if not rows:
        return
    names, dialect = tuple(rows[0]), conn.dialect.name
    if dialect == "sqlite" or len(rows) < FEW:
        conn.execute(_one_by_one(dialect, table, statement, names), rows)
    else:
        conn.execute(_as_one(table, statement, names), {name: [row[name] for row in rows] for name in names})


@cache
def _one_by_one(dialect: str, table: Table, statement: Statement, names: tuple[str, ...]) -> TextClause:
    return spelt_out(dialect, statement(dialect, table), names)


@cache
def _as_one(table: Table, statement: Statement, names: tuple[str, ...]) -> TextClause:
    """The VALUES of one row replaced by a SELECT from arrays, one for each column."""
    one = spelt_out("postgresql", statement("postgresql", table), names)
    kind: Dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    types = {name: table.c[name].type.compile(dialect=kind).partition(" COLLATE")[0] for name in names}
    head, _, rest = one.text.partition(" VALUES (")
    values, _, tail = rest.partition(")")
    order = [value.strip().removeprefix(":") for value in values.split(",")]
    arrays = ", ".join(f"CAST(:{name} AS {types[name]}[])" for name in order)
    sql = f"{head} SELECT * FROM unnest({arrays}){tail}"  # noqa: S608  names of columns
    literals = [bind for name, bind in one._bindparams.items() if name not in names]
    return text(sql).bindparams(
        *literals, *(bindparam(name, type_=postgresql.ARRAY(table.c[name].type)) for name in order)
    )


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
