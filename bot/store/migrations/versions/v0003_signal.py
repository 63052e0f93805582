"""What holds alerts and when they are looked at again; what stands under which key; silences; what was changed in the world."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from bot.store.types import BigId, ShortKey, SortedKey, Utc, Words

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Columns are added and nothing is written to old rows, so that it is quick however long the log is."""
    _alerts()
    _alert_log()
    op.create_index("ix_incidents_opened_at", "incidents", ["opened_at"])
    op.create_table(
        "inhibitors",
        sa.Column("key", ShortKey(), nullable=False),
        sa.Column("alert_key", SortedKey(), nullable=False),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", "alert_key", name=op.f("pk_inhibitors")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_inhibitors_alert_key", "inhibitors", ["alert_key"])
    op.create_table(
        "silences",
        sa.Column("number", BigId, autoincrement=False, nullable=False),
        sa.Column("kind", Words(), nullable=False),
        sa.Column("starts_at", Utc(), nullable=False),
        sa.Column("ends_at", Utc(), nullable=True),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_silences")),
    )
    op.create_index(op.f("ix_silences_ends_at"), "silences", ["ends_at"])
    op.create_table(
        "events",
        sa.Column("id", BigId, nullable=False),
        sa.Column("source", ShortKey(), nullable=False),
        sa.Column("key", SortedKey(), nullable=False),
        sa.Column("at", Utc(), nullable=False),
        sa.Column("service", Words(), nullable=False),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("source", "key", name=op.f("uq_events_source_key")),
    )
    op.create_index(op.f("ix_events_at"), "events", ["at"])


def _alerts() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute('alter table alerts alter column key type text collate "C"')
    op.add_column("alerts", sa.Column("held_by", ShortKey(), nullable=True))
    op.add_column("alerts", sa.Column("again_at", Utc(), nullable=True))
    op.add_column("alerts", sa.Column("more", sa.Text(), nullable=True))
    firing: dict[str, Any] = {"sqlite_where": sa.text("firing = 1"), "postgresql_where": sa.text("firing")}
    op.create_index("ix_alerts_firing", "alerts", ["key"], **firing)
    op.create_index("ix_alerts_held_by", "alerts", ["held_by"], **_set("held_by"))
    op.create_index("ix_alerts_again_at", "alerts", ["again_at", "key"], **_set("again_at"))


def _alert_log() -> None:
    for name in ("severity", "route"):
        op.add_column("alert_log", sa.Column(name, Words(), server_default=sa.text("''"), nullable=False))
    op.add_column("alert_log", sa.Column("stage", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("alert_log", sa.Column("held_by", ShortKey(), nullable=True))
    op.add_column("alert_log", sa.Column("held_by_whole", sa.Text(), nullable=True))
    op.add_column("alert_log", sa.Column("again", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.create_index("ix_alert_log_at", "alert_log", ["at", "id"])
    op.create_index("ix_alert_log_held_by", "alert_log", ["held_by", "alert_key"], **_set("held_by"))


def _set(column: str) -> dict[str, Any]:
    where = sa.text(f"{column} is not null")
    return {"sqlite_where": where, "postgresql_where": where}
