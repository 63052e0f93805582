"""The SQL of forgetting, in bounded pieces: what is done with after some days, and what is only a record after some months. Called by the stores."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, delete, exists, select, tuple_

from bot.domain.incident import State
from bot.store.tables import (
    alert_log,
    events,
    incidents,
    once_keys,
    outbox,
    overrides,
    own_methods,
    pages,
    silences,
    swaps,
    touches,
)

# Whose incident may still be worked on, or come back: who was reached is told when it is over.
NEEDED = exists().where(incidents.c.id == pages.c.incident_id, incidents.c.state != State.CLOSED.value)


def prune(conn: Connection, before: datetime, limit: int) -> int:
    return (
        _forget(conn, outbox.c.settled_at, before, limit, outbox.c.state == "done")
        + _forget(conn, touches.c.at, before, limit)
        + _forget(conn, once_keys.c.until, before, limit)
    )


def prune_log(conn: Connection, before: datetime, limit: int) -> int:
    return (
        _forget(conn, alert_log.c.at, before, limit)
        + _forget(conn, silences.c.ends_at, before, limit)
        + _forget(conn, events.c.at, before, limit)
        + _forget(conn, outbox.c.settled_at, before, limit, outbox.c.state == "dead")
        + _forget(conn, pages.c.begun_at, before, limit, ~NEEDED)
        + _forget(conn, overrides.c.ends, before, limit)
        + _forget(conn, overrides.c.ended_at, before, limit)
        + _forget(conn, swaps.c.ends, before, limit)
        + _forget(conn, own_methods.c.removed_at, before, limit)
    )


def _forget(conn: Connection, at: Column[Any], before: datetime, limit: int, *which: ColumnElement[bool]) -> int:
    """The oldest first: a page of the log that begins after a line which is gone begins with the oldest that is left.

    The time is asked for twice because a row may get a new one (a method that is entered again) while the delete waits for it.
    """
    table: Any = at.table
    keys = list(table.primary_key)
    key = tuple_(*keys) if len(keys) > 1 else keys[0]
    oldest = select(*keys).where(at < before, *which).order_by(at, *keys).limit(limit)
    return conn.execute(delete(table).where(at < before, key.in_(oldest))).rowcount
