"""The SQL of runs, of what they hold and have touched. Called by transaction.SqlTx; `lock` holds the row until the commit."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from bot.domain.policy import Touch
from bot.domain.run import Run
from bot.store import rows
from bot.store.statements import insert as insert_into
from bot.store.statements import put
from bot.store.tables import approvals, holds, run_steps, runs, touches


def run(conn: Connection, run_id: int, lock: bool) -> Run | None:
    query = select(runs.c.doc).where(runs.c.id == run_id)
    doc = conn.execute(query.with_for_update(key_share=True) if lock else query).scalar()
    return None if doc is None else Run.model_validate_json(doc)


def runs_of(conn: Connection, incident_id: int) -> tuple[Run, ...]:
    query = select(runs.c.doc).where(runs.c.incident_id == incident_id).order_by(runs.c.id)
    return tuple(map(Run.model_validate_json, conn.execute(query).scalars()))


def recent_runs(conn: Connection, since: datetime | None, runbook: str, limit: int) -> tuple[Run, ...]:
    query = select(runs.c.doc).order_by(runs.c.id.desc()).limit(limit)
    query = query.where(runs.c.created_at >= since) if since else query
    query = query.where(runs.c.runbook == runbook) if runbook else query
    return tuple(map(Run.model_validate_json, conn.execute(query).scalars()))


def hold(conn: Connection, lock: str, run_id: int, now: datetime) -> int:
    """One statement, so that nobody gives it back between two looks; whoever has it cannot before this commit."""
    taking = insert_into(conn.dialect.name, holds)
    kept = taking.on_conflict_do_update(index_elements=["lock"], set_={"lock": taking.excluded.lock})
    values = {"lock": lock, "run_id": run_id, "since": now}
    return int(conn.execute(kept.returning(holds.c.run_id), values).scalar_one())


def release_holds(conn: Connection, run_id: int) -> None:
    conn.execute(delete(holds).where(holds.c.run_id == run_id))


def touch(conn: Connection, saved: Touch) -> None:
    conn.execute(insert(touches), saved.model_dump())


def touches_since(conn: Connection, since: datetime, limit: int) -> tuple[Touch, ...]:
    query = select(touches).where(touches.c.at >= since).order_by(touches.c.id.desc()).limit(limit)
    return tuple(Touch(lock=row.lock, action=row.action, run_id=row.run_id, at=row.at) for row in conn.execute(query))


def save_run(conn: Connection, saved: Run) -> None:
    put(conn, runs, [rows.run_values(saved)])
    put(conn, run_steps, rows.step_values(saved))
    if given := rows.approval_values(saved):
        conn.execute(insert_into(conn.dialect.name, approvals).on_conflict_do_nothing(), given)
