"""The SQL of alerts and their log, and of the small things that intake needs beside them. Called by transaction.SqlTx."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from functools import cache

from sqlalchemy import Connection, TextClause, and_, bindparam, func, insert, or_, select

from bot.domain.alert import AlertState, Received
from bot.store.rows import (
    alert_doc,
    alert_state_of,
    alert_state_values,
    received_of,
    received_values,
)
from bot.store.statements import chunks, put, spelt_out
from bot.store.statements import insert as insert_into
from bot.store.tables import alert_log, alerts, counters, once_keys
from bot.store.types import LONGEST_KEY, Utc, stored_key


def next_id(conn: Connection, counter: str) -> int:
    return int(conn.execute(_next_id(conn.dialect.name), {"name": counter, "value": 1}).scalar_one())


@cache
def _next_id(dialect: str) -> TextClause:
    one_more = {"value": counters.c.value + 1}
    statement = insert_into(dialect, counters).on_conflict_do_update(index_elements=["name"], set_=one_more)
    return spelt_out(dialect, statement.returning(counters.c.value), ("name", "value"))


def counter(conn: Connection, name: str) -> int:
    return int(conn.execute(select(counters.c.value).where(counters.c.name == name)).scalar() or 0)


def once(conn: Connection, key: str, until: datetime, now: datetime) -> bool:
    statement = insert_into(conn.dialect.name, once_keys).values(key=key, until=until)
    renewing = statement.on_conflict_do_update(
        index_elements=["key"],
        set_={"until": statement.excluded.until},
        where=once_keys.c.until <= bindparam("now", now, Utc()),
    )
    return conn.execute(renewing.returning(once_keys.c.key)).first() is not None


def alert_states(conn: Connection, keys: Collection[str], lock: bool) -> dict[str, AlertState]:
    asked = {stored_key(key): key for key in keys}
    found = {}
    for chunk in chunks(asked):
        query = select(alerts).where(alerts.c.key.in_(chunk)).order_by(alerts.c.key)
        for row in conn.execute(query.with_for_update(key_share=True) if lock else query):
            found[asked[row.key]] = alert_state_of(row)
    return found


def save_alerts(
    conn: Connection, states: Collection[AlertState], log: Collection[Received], absent: Collection[str]
) -> None:
    """`absent`: keys that this transaction has looked for in vain. Who inserted one meanwhile wins, and this work is run again."""
    every = [*(state.alert for state in states), *(line.alert for line in log)]
    docs = {number: alert_doc(alert) for number, alert in {id(alert): alert for alert in every}.items()}
    rows = {state.alert.key: alert_state_values(state, docs[id(state.alert)]) for state in states}
    if new := [row for key, row in rows.items() if key in absent]:
        conn.execute(insert(alerts), new)
    put(conn, alerts, [rows[key] for key in sorted(rows) if key not in absent])
    if log:
        conn.execute(insert(alert_log), [received_values(line, docs[id(line.alert)]) for line in log])


def alerts_of(conn: Connection, incident_id: int, limit: int) -> tuple[AlertState, ...]:
    query = select(alerts).where(alerts.c.incident_id == incident_id)
    ordered = query.order_by(alerts.c.firing.desc(), alerts.c.last_seen.desc(), alerts.c.key)
    return tuple(map(alert_state_of, conn.execute(ordered.limit(limit))))


def log_of(conn: Connection, alert_key: str, limit: int, leave_out: Collection[str] = ()) -> tuple[Received, ...]:
    query = select(alert_log).where(alert_log.c.alert_key == alert_key)
    if leave_out:
        query = query.where(alert_log.c.outcome.not_in(leave_out))
    return tuple(map(received_of, conn.execute(query.order_by(alert_log.c.id.desc()).limit(limit))))


def log_between(
    conn: Connection, since: datetime, until: datetime, after: int, limit: int
) -> tuple[tuple[int, Received], ...]:
    """A line that is gone was pruned, and all that are older with it: then the page begins with the oldest that is left."""
    begin = conn.execute(select(alert_log.c.at).where(alert_log.c.id == after)).scalar() if after else None
    if begin is None or begin < since:
        begin, after = since, 0
    query = select(alert_log).where(alert_log.c.at >= begin, alert_log.c.at < until)
    rest = query.where(or_(alert_log.c.at > begin, alert_log.c.id > after)).order_by(alert_log.c.at, alert_log.c.id)
    return tuple((row.id, received_of(row)) for row in conn.execute(rest.limit(limit)))


def firing_alerts(conn: Connection, after: str, limit: int) -> tuple[AlertState, ...]:
    query = select(alerts).where(alerts.c.firing, alerts.c.key > after).order_by(alerts.c.key)
    return tuple(map(alert_state_of, conn.execute(query.limit(limit))))


def alerts_called(conn: Connection, called: str, limit: int) -> tuple[AlertState, ...]:
    """By index: a key is `source/fingerprint`, so each source has one range of keys that begin with the text."""
    if not called:
        return ()
    fitting = [alerts.c.key == called]
    for source in _sources(conn):
        key = f"{source}/{called}"
        fitting.append(alerts.c.key == key)
        if len(key) < LONGEST_KEY:
            fitting.append(and_(alerts.c.key > key, alerts.c.key < key + LAST))
    query = select(alerts).where(or_(*fitting)).order_by(alerts.c.last_seen.desc(), alerts.c.key)
    return tuple(map(alert_state_of, conn.execute(query.limit(limit))))


LAST = "\U0010ffff"  # sorts after whatever a key may go on with


def _sources(conn: Connection) -> Iterator[str]:
    """The sources that alerts have come from: a look at the index for each."""
    key = conn.execute(select(func.min(alerts.c.key))).scalar()
    while key is not None:
        source = key.partition("/")[0]
        yield source
        key = conn.execute(select(func.min(alerts.c.key)).where(alerts.c.key > f"{source}/{LAST}")).scalar()
