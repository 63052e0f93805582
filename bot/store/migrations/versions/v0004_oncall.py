"""Who was paged by what; what people change about on-call by themselves: overrides, swaps, contact methods, preferences; calendars as last read."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from bot.store.types import BigId, Key, ShortKey, SortedKey, Utc, Words

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Tables are added; nothing that is there is touched."""
    _pages()
    _overrides_and_swaps()
    op.create_table(
        "own_methods",
        sa.Column("person", ShortKey(), nullable=False),
        sa.Column("key", ShortKey(), nullable=False),
        sa.Column("removed_at", Utc(), nullable=True),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("person", "key", name=op.f("pk_own_methods")),
    )
    op.create_index("ix_own_methods_removed_at", "own_methods", ["removed_at"], **_where("removed_at is not null"))
    for table, key in (("preferences", "person"), ("feeds", "name")):
        op.create_table(
            table,
            sa.Column(key, Key(), nullable=False),
            sa.Column("doc", sa.Text(), nullable=False),
            sa.PrimaryKeyConstraint(key, name=op.f(f"pk_{table}")),
        )


def _pages() -> None:
    op.create_table(
        "pages",
        sa.Column("key", SortedKey(), nullable=False),
        sa.Column("incident_id", BigId, nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("purpose", Words(), nullable=False),
        sa.Column("medium", ShortKey(), nullable=False),
        sa.Column("address", ShortKey(), nullable=False),
        sa.Column("state", Words(), nullable=False),
        sa.Column("begun_at", Utc(), nullable=False),
        sa.Column("provider_id", ShortKey(), nullable=True),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_pages")),
    )
    live = _where("state in ('sending', 'sent', 'delivered')")
    op.create_index(op.f("ix_pages_begun_at"), "pages", ["begun_at"])
    op.create_index("ix_pages_incident_id", "pages", ["incident_id", "begun_at"])
    op.create_index("ix_pages_address", "pages", ["medium", "address", "begun_at"])
    op.create_index("ix_pages_live", "pages", ["medium", "begun_at"], **live)
    op.create_index("ix_pages_provider_id", "pages", ["medium", "provider_id"], **_where("provider_id is not null"))


def _overrides_and_swaps() -> None:
    op.create_table(
        "overrides",
        sa.Column("number", BigId, autoincrement=False, nullable=False),
        sa.Column("schedule", ShortKey(), nullable=False),
        sa.Column("starts", Utc(), nullable=False),
        sa.Column("ends", Utc(), nullable=False),
        sa.Column("ended_at", Utc(), nullable=True),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_overrides")),
    )
    op.create_index(op.f("ix_overrides_ends"), "overrides", ["ends"])
    op.create_index("ix_overrides_ended_at", "overrides", ["ended_at"], **_where("ended_at is not null"))
    op.create_table(
        "swaps",
        sa.Column("number", BigId, autoincrement=False, nullable=False),
        sa.Column("state", Words(), nullable=False),
        sa.Column("ends", Utc(), nullable=False),
        sa.Column("doc", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_swaps")),
    )
    op.create_index(op.f("ix_swaps_ends"), "swaps", ["ends"])


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}
