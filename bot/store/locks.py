"""Names for PostgreSQL's advisory locks, which are numbers. Used by transaction, postgres and schema."""

from __future__ import annotations

from hashlib import blake2b

from sqlalchemy import Connection, func, select


def hold(conn: Connection, name: str) -> None:
    """Wait for the lock of that name; it is held until the transaction ends. SQLite has one writer and needs none."""
    if conn.dialect.name == "postgresql":
        conn.execute(select(func.pg_advisory_xact_lock(_number(name))))


def try_hold(conn: Connection, name: str) -> bool:
    """Whether nobody else holds it; then it is held until the transaction ends."""
    return conn.dialect.name != "postgresql" or bool(
        conn.execute(select(func.pg_try_advisory_xact_lock(_number(name)))).scalar()
    )


def _number(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)
