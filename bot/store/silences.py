"""The SQL of silences and of the maintenance windows that people make. Called by transaction.SqlTx."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, or_, select

from bot.domain.silence import Silence
from bot.store.rows import silence_values
from bot.store.statements import put
from bot.store.tables import silences


def silence(conn: Connection, number: int) -> Silence | None:
    doc = conn.execute(select(silences.c.doc).where(silences.c.number == number)).scalar()
    return None if doc is None else Silence.model_validate_json(doc)


def silences_at(conn: Connection, now: datetime, over: bool, limit: int) -> tuple[Silence, ...]:
    query = select(silences.c.doc).limit(limit)
    if over:
        query = query.order_by(silences.c.number.desc())
    else:
        lasting = or_(silences.c.ends_at.is_(None), silences.c.ends_at > now)
        query = query.where(lasting).order_by(silences.c.number)
    return tuple(map(Silence.model_validate_json, conn.execute(query).scalars()))


def save_silence(conn: Connection, saved: Silence) -> None:
    put(conn, silences, [silence_values(saved)])
