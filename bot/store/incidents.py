"""The SQL of incidents, timelines, contexts and post-mortems. Called by transaction.SqlTx; `lock` holds the rows until the commit."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, select

from bot.domain.context import Context
from bot.domain.incident import OPEN, Change, Incident, State
from bot.domain.timeline import Entry
from bot.store import rows
from bot.store.statements import add, chunks, put
from bot.store.tables import contexts, incidents, postmortems, timeline
from bot.store.types import LONGEST_KEY

IncidentQuery = Select[tuple[str]]


def _incidents(conn: Connection, query: IncidentQuery, lock: bool = False) -> list[Incident]:
    # Not FOR UPDATE: a timeline entry's foreign key must not wait for it.
    docs = conn.execute(query.with_for_update(key_share=True) if lock else query).scalars()
    return [Incident.model_validate_json(doc) for doc in docs]


def incidents_by_id(conn: Connection, ids: Collection[int], lock: bool) -> dict[int, Incident]:
    found: dict[int, Incident] = {}
    for chunk in chunks(ids):
        query = select(incidents.c.doc).where(incidents.c.id.in_(chunk)).order_by(incidents.c.id)
        found.update((incident.id, incident) for incident in _incidents(conn, query, lock))
    return found


def incidents_of_groups(conn: Connection, group_keys: Collection[str], lock: bool) -> dict[str, Incident]:
    newest: dict[str, Incident] = {}
    for chunk in chunks(group_keys):
        of_groups = select(incidents.c.doc).where(incidents.c.group_key.in_(chunk))
        query = of_groups.where(incidents.c.state != State.CLOSED.value).order_by(incidents.c.id)
        newest.update((incident.group_key, incident) for incident in _incidents(conn, query, lock))
    return newest


def incident_of_channel(conn: Connection, channel_id: str) -> Incident | None:
    if not channel_id:
        return None
    query = select(incidents.c.doc).where(incidents.c.channel_id == channel_id).order_by(incidents.c.id.desc())
    return next(iter(_incidents(conn, query.limit(1))), None)


def list_incidents(conn: Connection, only_open: bool, limit: int) -> tuple[Incident, ...]:
    query = select(incidents.c.doc).order_by(incidents.c.id.desc()).limit(limit)
    if only_open:
        query = query.where(incidents.c.state.in_([state.value for state in OPEN]))
    return tuple(_incidents(conn, query))


def open_incidents(conn: Connection, after: int, limit: int) -> tuple[Incident, ...]:
    """State by state, each by its index."""
    found: list[Incident] = []
    for state in OPEN:
        query = select(incidents.c.doc).where(incidents.c.state == state.value, incidents.c.id > after)
        found += _incidents(conn, query.order_by(incidents.c.id).limit(limit))
    return tuple(sorted(found, key=lambda incident: incident.id)[:limit])


def opened_since(conn: Connection, since: datetime, limit: int) -> tuple[tuple[str, datetime], ...]:
    query = select(incidents.c.id, incidents.c.group_key, incidents.c.opened_at).where(incidents.c.opened_at >= since)
    found = conn.execute(query.order_by(incidents.c.opened_at.desc(), incidents.c.id.desc()).limit(limit)).all()
    whole = incidents_by_id(conn, [row.id for row in found if len(row.group_key) >= LONGEST_KEY], lock=False)
    return tuple((whole[row.id].group_key if row.id in whole else row.group_key, row.opened_at) for row in found)


def incidents_between(conn: Connection, since: datetime, until: datetime, limit: int) -> tuple[Incident, ...]:
    opened = select(incidents.c.doc).where(incidents.c.opened_at >= since, incidents.c.opened_at < until)
    return tuple(_incidents(conn, opened.order_by(incidents.c.opened_at, incidents.c.id).limit(limit)))


def resolved_before(conn: Connection, at: datetime, limit: int) -> tuple[Incident, ...]:
    resolved = select(incidents.c.doc).where(incidents.c.state == State.RESOLVED.value)
    query = resolved.where(incidents.c.resolved_at < at).order_by(incidents.c.resolved_at, incidents.c.id)
    return tuple(_incidents(conn, query.limit(limit)))


def save_changes(conn: Connection, changes: Sequence[Change]) -> None:
    newest = {change.incident.id: change.incident for change in changes}
    put(conn, incidents, [rows.incident_values(incident) for _, incident in sorted(newest.items())])
    entries = [rows.entry_values(change.incident.id, entry) for change in changes for entry in change.entries]
    add(conn, timeline, entries)


def timeline_of(conn: Connection, incident_id: int) -> tuple[Entry, ...]:
    query = select(timeline.c.doc).where(timeline.c.incident_id == incident_id).order_by(timeline.c.seq)
    return tuple(map(rows.entry_of, conn.execute(query).scalars()))


def context(conn: Connection, incident_id: int, epoch: int) -> Context | None:
    query = select(contexts.c.doc).where(contexts.c.incident_id == incident_id, contexts.c.epoch == epoch)
    doc = conn.execute(query).scalar()
    return None if doc is None else Context.model_validate_json(doc)


def save_context(conn: Connection, saved: Context) -> None:
    values: dict[str, Any] = {
        "incident_id": saved.incident_id,
        "epoch": saved.epoch,
        "gathered_at": saved.gathered_at,
        "doc": saved.model_dump_json(),
    }
    put(conn, contexts, [values])


def postmortem(conn: Connection, incident_id: int) -> str | None:
    return conn.execute(select(postmortems.c.text).where(postmortems.c.incident_id == incident_id)).scalar()


def save_postmortem(conn: Connection, incident_id: int, text: str, at: datetime) -> None:
    put(conn, postmortems, [{"incident_id": incident_id, "at": at, "text": text}])
