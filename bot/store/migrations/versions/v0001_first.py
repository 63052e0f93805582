"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from bot.store.types import BigId, Key, Utc, Words

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alert_log",
        sa.Column("id", BigId, nullable=False),
        sa.Column("alert_key", Key(), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("outcome", Words(), nullable=False),
        sa.Column("reason", Words(), nullable=False),
        sa.Column("trail", sa.Text(), nullable=False),
        sa.Column("incident_id", BigId, nullable=True),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_log")),
    )
    op.create_index("ix_alert_log_alert_key", "alert_log", ["alert_key", "id"])
    op.create_table(
        "alerts",
        sa.Column("key", Key(), nullable=False),
        sa.Column("incident_id", BigId, nullable=True),
        sa.Column("firing", sa.Boolean(), nullable=False),
        sa.Column("first_seen", Utc(), nullable=False),
        sa.Column("last_seen", Utc(), nullable=False),
        sa.Column("deliveries", sa.Integer(), nullable=False),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_alerts")),
    )
    op.create_index("ix_alerts_incident_id", "alerts", ["incident_id", "firing", "last_seen"])
    op.create_table(
        "contexts",
        sa.Column("incident_id", BigId, nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("gathered_at", Utc(), nullable=False),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("incident_id", "epoch", name=op.f("pk_contexts")),
    )
    op.create_table(
        "counters",
        sa.Column("name", Words(), nullable=False),
        sa.Column("value", BigId, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_counters")),
    )
    op.create_table(
        "incidents",
        sa.Column("id", BigId, autoincrement=False, nullable=False),
        sa.Column("group_key", Key(), nullable=False),
        sa.Column("state", Words(), nullable=False),
        sa.Column("severity", Words(), nullable=False),
        sa.Column("service", Words(), nullable=False),
        sa.Column("channel_id", Words(), nullable=False),
        sa.Column("opened_at", Utc(), nullable=False),
        sa.Column("resolved_at", Utc(), nullable=True),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incidents")),
    )
    op.create_index("ix_incidents_channel_id", "incidents", ["channel_id"])
    op.create_index("ix_incidents_group_key", "incidents", ["group_key", "id"])
    op.create_index("ix_incidents_state", "incidents", ["state", "id"])
    op.create_index(
        "uq_incidents_open_group",
        "incidents",
        ["group_key"],
        unique=True,
        sqlite_where=sa.text("state in ('triggered', 'acknowledged', 'mitigated')"),
        postgresql_where=sa.text("state in ('triggered', 'acknowledged', 'mitigated')"),
    )
    op.create_table(
        "once_keys",
        sa.Column("key", Key(), nullable=False),
        sa.Column("until", Utc(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_once_keys")),
    )
    op.create_index(op.f("ix_once_keys_until"), "once_keys", ["until"])
    op.create_table(
        "outbox",
        sa.Column("id", BigId, nullable=False),
        sa.Column("key", Key(), nullable=False),
        sa.Column("kind", Words(), nullable=False),
        sa.Column("lane", Key(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("latest_wins", sa.Boolean(), nullable=False),
        sa.Column("asked_at", Utc(), nullable=False),
        sa.Column("due", Utc(), nullable=False),
        sa.Column("state", Words(), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("generation", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("unsure", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("again", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("owner", Words(), server_default=sa.text("''"), nullable=False),
        sa.Column("lease_until", Utc(), nullable=True),
        sa.Column("settled_at", Utc(), nullable=True),
        sa.Column("error", Words(), server_default=sa.text("''"), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("key", name=op.f("uq_outbox_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_outbox_lane",
        "outbox",
        ["lane", "priority", "id"],
        sqlite_where=sa.text("state in ('pending', 'leased')"),
        postgresql_where=sa.text("state in ('pending', 'leased')"),
    )
    op.create_index(
        "ix_outbox_leased",
        "outbox",
        ["lease_until"],
        sqlite_where=sa.text("state = 'leased'"),
        postgresql_where=sa.text("state = 'leased'"),
    )
    op.create_index(
        "ix_outbox_ready",
        "outbox",
        ["priority", "due", "id"],
        sqlite_where=sa.text("state = 'pending'"),
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_outbox_settled",
        "outbox",
        ["state", "settled_at"],
        sqlite_where=sa.text("settled_at is not null"),
        postgresql_where=sa.text("settled_at is not null"),
    )
    op.create_table(
        "postmortems",
        sa.Column("incident_id", BigId, autoincrement=False, nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("text", Words(), nullable=False),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_postmortems")),
    )
    op.create_table(
        "runs",
        sa.Column("id", BigId, autoincrement=False, nullable=False),
        sa.Column("incident_id", BigId, nullable=False),
        sa.Column("runbook", Words(), nullable=False),
        sa.Column("state", Words(), nullable=False),
        sa.Column("requested_by", Words(), nullable=False),
        sa.Column("created_at", Utc(), nullable=False),
        sa.Column("ended_at", Utc(), nullable=True),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_index(op.f("ix_runs_incident_id"), "runs", ["incident_id"])
    op.create_table(
        "approvals",
        sa.Column("run_id", BigId, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", Words(), nullable=False),
        sa.Column("actor_id", Words(), nullable=False),
        sa.Column("actor_name", Words(), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_approvals_run_id_runs")),
        sa.PrimaryKeyConstraint("run_id", "number", "digest", "actor_id", name=op.f("pk_approvals")),
    )
    op.create_table(
        "run_steps",
        sa.Column("run_id", BigId, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("step", Words(), nullable=False),
        sa.Column("action", Words(), nullable=False),
        sa.Column("state", Words(), nullable=False),
        sa.Column("digest", Words(), nullable=False),
        sa.Column("changed", sa.Boolean(), nullable=False),
        sa.Column("message", Words(), nullable=False),
        sa.Column("started_at", Utc(), nullable=True),
        sa.Column("ended_at", Utc(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name=op.f("fk_run_steps_run_id_runs")),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_run_steps")),
    )
    op.create_table(
        "timeline",
        sa.Column("incident_id", BigId, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("kind", Words(), nullable=False),
        sa.Column("hash", Words(), nullable=False),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.id"], name=op.f("fk_timeline_incident_id_incidents")),
        sa.PrimaryKeyConstraint("incident_id", "seq", name=op.f("pk_timeline")),
    )
