"""The SQL of forgetting, in bounded pieces: what is done with after some days, and what is only a record after some months. Called by the stores."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, delete, select

from bot.store.tables import alert_log, events, once_keys, outbox, silences, touches


def prune(conn: Connection, before: datetime, limit: int) -> int:
    return (
        _forget(conn, outbox.c.id, outbox.c.settled_at, before, limit, outbox.c.state == "done")
        + _forget(conn, touches.c.id, touches.c.at, before, limit)
        + _forget(conn, once_keys.c.key, once_keys.c.until, before, limit)
    )


def prune_log(conn: Connection, before: datetime, limit: int) -> int:
    return (
        _forget(conn, alert_log.c.id, alert_log.c.at, before, limit)
        + _forget(conn, silences.c.number, silences.c.ends_at, before, limit)
        + _forget(conn, events.c.id, events.c.at, before, limit)
        + _forget(conn, outbox.c.id, outbox.c.settled_at, before, limit, outbox.c.state == "dead")
    )


def _forget(
    conn: Connection, key: Column[Any], at: Column[Any], before: datetime, limit: int, *which: ColumnElement[bool]
) -> int:
    """The oldest first: a page of the log that begins after a line which is gone begins with the oldest that is left."""
    table: Any = key.table
    oldest = select(key).where(at < before, *which).order_by(at, key).limit(limit)
    return conn.execute(delete(table).where(key.in_(oldest))).rowcount
