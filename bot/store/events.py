"""The SQL of what was changed in the world: deployments, releases, failed workflows. Called by transaction.SqlTx."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from functools import cache

from sqlalchemy import Connection, TextClause, and_, or_, select

from bot.domain.incoming import ChangeEvent
from bot.store.rows import event_of, event_values
from bot.store.statements import insert, spelt_out
from bot.store.tables import events


def newest_events(told: Iterable[ChangeEvent]) -> list[ChangeEvent]:
    """One per source and key, in their order: the newest, and of equally new ones the last."""
    newest: dict[tuple[str, str], ChangeEvent] = {}
    for event in told:
        known = newest.get((event.source, event.key))
        if known is None or known.at <= event.at:
            newest[event.source, event.key] = event
    return [newest[one] for one in sorted(newest)]


def save_events(conn: Connection, told: Collection[ChangeEvent]) -> int:
    rows = [event_values(event) for event in newest_events(told)]
    return sum(conn.execute(_save(conn.dialect.name, tuple(row)), row).rowcount for row in rows)


@cache
def _save(dialect: str, names: tuple[str, ...]) -> TextClause:
    """In order of their keys, so that two that save the same ones do not wait for each other for ever."""
    statement = insert(dialect, events)
    wanted = statement.excluded
    news = or_(events.c.at < wanted.at, and_(events.c.at == wanted.at, events.c.doc != wanted.doc))
    replaced = {"at": wanted.at, "service": wanted.service, "doc": wanted.doc}
    upsert = statement.on_conflict_do_update(index_elements=["source", "key"], set_=replaced, where=news)
    return spelt_out(dialect, upsert, names)


def events_between(conn: Connection, since: datetime, until: datetime, limit: int) -> tuple[ChangeEvent, ...]:
    query = select(events.c.at, events.c.doc).where(events.c.at >= since, events.c.at <= until)
    newest_first = query.order_by(events.c.at.desc(), events.c.source, events.c.key)
    return tuple(map(event_of, conn.execute(newest_first.limit(limit))))
