"""The SQL of alerts that wait: what holds them, and when they are looked at again. Called by transaction.SqlTx."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, case, func, select, update

from bot.domain.alert import AlertState
from bot.store.rows import alert_state_of
from bot.store.statements import chunks
from bot.store.tables import alert_log, alerts
from bot.store.types import short_key


def due_again(conn: Connection, now: datetime, limit: int) -> tuple[AlertState, ...]:
    query = select(alerts).where(alerts.c.again_at <= now).order_by(alerts.c.again_at, alerts.c.key)
    return tuple(map(alert_state_of, conn.execute(query.limit(limit))))


def look_again(conn: Connection, held_by: Collection[str] | None, now: datetime) -> int:
    """What was to be looked at before now keeps its turn: who asks all the time must not keep it from its own."""
    sooner = {"again_at": case((alerts.c.again_at < now, alerts.c.again_at), else_=now)}
    if held_by is None:
        return conn.execute(update(alerts).where(alerts.c.held_by.is_not(None)).values(sooner)).rowcount
    keys = {short_key(key) for key in held_by}
    return sum(
        conn.execute(update(alerts).where(alerts.c.held_by.in_(chunk)).values(sooner)).rowcount
        for chunk in chunks(keys)
    )


def held_alerts(conn: Connection, limit: int) -> tuple[AlertState, ...]:
    query = select(alerts).where(alerts.c.firing, alerts.c.held_by.is_not(None))
    newest_first = query.order_by(alerts.c.last_seen.desc(), alerts.c.key)
    return tuple(map(alert_state_of, conn.execute(newest_first.limit(limit))))


def hidden_by(conn: Connection, keys: Collection[str]) -> dict[str, tuple[int, int]]:
    asked = {short_key(key) for key in keys}
    now: dict[str, int] = {}
    ever: dict[str, int] = {}
    for chunk in chunks(asked):
        held = select(alerts.c.held_by, func.count()).where(alerts.c.held_by.in_(chunk), alerts.c.firing)
        now.update(conn.execute(held.group_by(alerts.c.held_by)).tuples().all())
        different = func.count(alert_log.c.alert_key.distinct())
        logged = select(alert_log.c.held_by, different).where(alert_log.c.held_by.in_(chunk))
        ever.update(conn.execute(logged.group_by(alert_log.c.held_by)).tuples().all())
    return {key: (now.get(short_key(key), 0), ever.get(short_key(key), 0)) for key in keys}
