"""Names for PostgreSQL's advisory locks, which are numbers. Used by transaction, postgres and schema."""

from __future__ import annotations

from hashlib import blake2b

from sqlalchemy import Connection, func, select


def hold(conn: Connection, name: str) -> None:
    """Wait for the lock of that name; it is held until the transaction ends. SQLite has one writer and needs none."""
    if conn.dialect.name == "postgresql":
        number = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)
        conn.execute(select(func.pg_advisory_xact_lock(number)))
