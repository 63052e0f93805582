"""The SQL of asking and settling: how outbox rows come and go inside a flow's transaction. `memory_outbox` says the same in Python.

A row that was delivered and is asked for again gets a new number, so it goes to the end of its lane: a card that is asked for all the time
must not keep everything else waiting.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    insert,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from bot.domain.effects import Effect, Priority
from bot.domain.ports import Delivery, Settled
from bot.store.rows import effect_of, effect_values, newest
from bot.store.statements import chunks, run
from bot.store.tables import outbox


def ask(conn: Connection, effects: Iterable[Effect]) -> bool:
    """Whether anything was asked for."""
    asked = newest(effects)
    if not asked:
        return False
    if conn.dialect.name == "sqlite":
        _forget_settled(conn, [effect.key for effect in asked if effect.latest_wins])
    values = [effect_values(effect) for effect in asked]
    run(conn, outbox, _ask, values)
    return True


def _forget_settled(conn: Connection, keys: list[str]) -> None:
    """SQLite cannot give a row a new number while it replaces it, so what was settled goes first; with one writer, nobody comes between."""
    for some in chunks(keys):
        conn.execute(delete(outbox).where(outbox.c.key.in_(some), outbox.c.state.in_(["done", "dead"])))


def _ask(dialect: str, outbox: Table) -> sqlite.Insert | postgresql.Insert:
    """One statement, so that on PostgreSQL a row that is being settled at this moment is waited for and then revived, never missed."""
    statement = sqlite.insert(outbox) if dialect == "sqlite" else postgresql.insert(outbox)
    wanted = statement.excluded
    settled = outbox.c.state.in_([literal_column("'done'"), literal_column("'dead'")])
    # For a row in flight, `asked_at` is already that of the next delivery; a pending one stands for its oldest request.
    oldest = and_(outbox.c.state == "pending", outbox.c.asked_at < wanted.due)
    # Asking for a card again does not shorten its wait after a failure (a rate limit): a storm of alerts would be one of refused calls.
    patient = and_(outbox.c.priority > Priority.APPROVAL, wanted.priority > Priority.APPROVAL)
    snoozed = and_(outbox.c.state == "pending", outbox.c.attempts > 0, outbox.c.due > wanted.due, patient)
    replaced: dict[str, ColumnElement[Any]] = {
        "payload": wanted.payload,
        "due": case((snoozed, outbox.c.due), else_=wanted.due),
        "priority": wanted.priority,
        "asked_at": case((oldest, outbox.c.asked_at), else_=wanted.due),
        "generation": case((settled, 1), else_=outbox.c.generation + 1),
        "lease_until": case((settled, null()), else_=outbox.c.lease_until),
        "settled_at": null(),
    }
    afresh = {
        "id": wanted.id,
        "state": "pending",
        "attempts": 0,
        "unsure": false(),
        "again": false(),
        "owner": "",
        "error": "",
    }
    revived = {name: case((settled, value), else_=outbox.c[name]) for name, value in afresh.items()}
    return statement.on_conflict_do_update(index_elements=["key"], set_=replaced | revived, where=wanted.latest_wins)


def settle(conn: Connection, delivery: Delivery, settled: Settled, now: datetime) -> bool:
    values: dict[str, Any] = {
        "held_id": delivery.id,
        "held_owner": delivery.owner,
        "held_attempts": delivery.attempts,
        "held_generation": delivery.generation,
        "why": settled.error,
    }
    if settled.outcome == "later":
        values |= {"at": settled.due or now, "doubt": settled.unsure}
        return conn.execute(_SETTLE_LATER, values).rowcount == 1
    values |= {"outcome": settled.outcome, "at": now, "doubt": settled.outcome == "dead"}
    return conn.execute(_SETTLE, values).rowcount == 1 or _asked_again(conn, values)


_HELD = and_(
    outbox.c.id == bindparam("held_id"),
    outbox.c.state == "leased",
    outbox.c.owner == bindparam("held_owner"),
    outbox.c.attempts == bindparam("held_attempts"),
)
_SAME = outbox.c.generation == bindparam("held_generation")
_FREE: dict[str, Any] = {"owner": "", "lease_until": None, "again": False, "error": bindparam("why")}

_SETTLE = (
    update(outbox)
    .where(_HELD, _SAME)
    .values(**_FREE, state=bindparam("outcome"), settled_at=bindparam("at"), unsure=bindparam("doubt"))
)
_SETTLE_LATER = (
    update(outbox)
    .where(_HELD)
    .values(
        **_FREE,
        state="pending",
        due=case((_SAME, bindparam("at", type_=outbox.c.due.type)), else_=outbox.c.due),
        unsure=case((bindparam("doubt"), True), else_=outbox.c.again),
    )
)
_TAKE_BACK = delete(outbox).where(_HELD).returning(*outbox.c)


def _asked_again(conn: Connection, values: dict[str, Any]) -> bool:
    """The delivery is over, and what was asked for meanwhile begins a life of its own. False when the lease is lost."""
    row = conn.execute(_TAKE_BACK, {name: value for name, value in values.items() if name in _LEASE}).one_or_none()
    if row is None:
        return False
    effect = effect_of(row)
    conn.execute(insert(outbox), [{**effect_values(effect), "asked_at": row.asked_at}])
    return True


_LEASE = ("held_id", "held_owner", "held_attempts")


def dead(conn: Connection, limit: int) -> tuple[tuple[Effect, str], ...]:
    query = select(outbox).where(outbox.c.state == "dead", outbox.c.settled_at.is_not(None))
    newest = conn.execute(query.order_by(outbox.c.settled_at.desc(), outbox.c.id.desc()).limit(limit))
    return tuple((effect_of(row), row.error) for row in newest)


def notify(conn: Connection, channel: str) -> None:
    """PostgreSQL: wake the workers of all replicas when this transaction commits."""
    conn.execute(select(func.pg_notify(channel, "")))
