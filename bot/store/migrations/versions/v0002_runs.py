"""What runs hold and have touched; steps that know what they are, so that they can be called, repeated for a list, and under way together."""

from __future__ import annotations

import json
from typing import Any, Literal

import sqlalchemy as sa
from alembic import op

from bot.store.types import BigId, Key, Utc, Words

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_runs = sa.table("runs", sa.column("id", BigId), sa.column("doc", sa.Text()))
_incidents = sa.table("incidents", sa.column("id", BigId), sa.column("group_key", sa.Text()))


def upgrade() -> None:
    op.create_table(
        "holds",
        sa.Column("lock", Key(), nullable=False),
        sa.Column("run_id", BigId, nullable=False),
        sa.Column("since", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("lock", name=op.f("pk_holds")),
    )
    op.create_index(op.f("ix_holds_run_id"), "holds", ["run_id"])
    op.create_table(
        "touches",
        sa.Column("id", BigId, nullable=False),
        sa.Column("lock", Key(), nullable=False),
        sa.Column("action", Words(), nullable=False),
        sa.Column("run_id", BigId, nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_touches")),
    )
    op.create_index(op.f("ix_touches_at"), "touches", ["at"])
    conn = op.get_bind()
    anew: Literal["always", "never"] = "always" if conn.dialect.name == "sqlite" else "never"
    with op.batch_alter_table("approvals", recreate=anew) as table:
        table.add_column(sa.Column("broke_glass", Words(), nullable=False, server_default=sa.text("''")))
        table.drop_constraint(op.f("pk_approvals"), type_="primary")
        table.create_primary_key(op.f("pk_approvals"), ["run_id", "number", "digest", "actor_id", "at"])
    _convert(conn)


def _convert(conn: sa.Connection) -> None:
    """Runs that were begun before go on: every step gets what it needs to stand alone."""
    groups = {row.id: row.group_key for row in conn.execute(sa.select(_incidents.c.id, _incidents.c.group_key))}
    for row in conn.execute(sa.select(_runs.c.id, _runs.c.doc)).all():
        run = json.loads(row.doc)
        if "scopes" in run:
            continue
        doc = json.dumps(_converted(run, groups.get(run["incident_id"], "")), separators=(",", ":"))
        conn.execute(sa.update(_runs).where(_runs.c.id == row.id).values(doc=doc))


def _converted(run: dict[str, Any], group_key: str) -> dict[str, Any]:
    book = run["runbook"]
    steps = [
        {**step, "id": spec["id"], "seq": number, "spec": spec}
        for number, (spec, step) in enumerate(zip(book["steps"], run["steps"], strict=True))
    ]
    message = steps[run.pop("step", 0)]["message"]
    return {
        **run,
        "runbook": book,
        "scopes": {"": {"runbook": book}},
        "steps": steps,
        "problem": group_key,
        "message": message,
    }
