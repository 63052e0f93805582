"""The tables. Columns are what queries need; the whole of a model is its JSON in `doc`. Changed only together with a migration.

JSON is kept as text, not as jsonb: the timeline's hashes are over its exact values.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from bot.store.types import BigId, Key, ShortKey, SortedKey, Utc, Words

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

OPEN_INCIDENT = text("state in ('triggered', 'acknowledged', 'mitigated')")
PENDING = text("state = 'pending'")
UNDELIVERED = text("state in ('pending', 'leased')")
LEASED = text("state = 'leased'")
SETTLED = text("settled_at is not null")
FIRING_IN_SQLITE, FIRING = text("firing = 1"), text("firing")
HELD = text("held_by is not null")
AGAIN = text("again_at is not null")
LIVE_PAGE = text("state in ('sending', 'sent', 'delivered')")
NAMED = text("provider_id is not null")
ENDED = text("ended_at is not null")
REMOVED = text("removed_at is not null")

counters = Table(
    "counters",
    metadata,
    Column("name", Words, primary_key=True),
    Column("value", BigId, nullable=False),
)

once_keys = Table(
    "once_keys",
    metadata,
    Column("key", Key, primary_key=True),
    Column("until", Utc, nullable=False, index=True),
)

# `held_by`: by what it is held. `again_at`: when it is to be looked at again, because of that or because it flaps. `more` (JSON, null when there is
# nothing): the outcome `held`, `by` when the key in `held_by` is not the whole of it, `fired`, `calm_at` and `inhibits`.
alerts = Table(
    "alerts",
    metadata,
    Column("key", SortedKey, primary_key=True),
    Column("incident_id", BigId),
    Column("firing", Boolean, nullable=False),
    Column("first_seen", Utc, nullable=False),
    Column("last_seen", Utc, nullable=False),
    Column("deliveries", Integer, nullable=False),
    Column("doc", Text, nullable=False),
    Column("held_by", ShortKey),
    Column("again_at", Utc),
    Column("more", Text),
    Index("ix_alerts_incident_id", "incident_id", "firing", "last_seen"),
    Index("ix_alerts_firing", "key", sqlite_where=FIRING_IN_SQLITE, postgresql_where=FIRING),
    Index("ix_alerts_held_by", "held_by", sqlite_where=HELD, postgresql_where=HELD),
    Index("ix_alerts_again_at", "again_at", "key", sqlite_where=AGAIN, postgresql_where=AGAIN),
)

# `held_by` is null when nothing held it; `held_by_whole` only when the key in `held_by` is not the whole of it.
alert_log = Table(
    "alert_log",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("alert_key", Key, nullable=False),
    Column("at", Utc, nullable=False),
    Column("outcome", Words, nullable=False),
    Column("reason", Words, nullable=False),
    Column("trail", Text, nullable=False),
    Column("incident_id", BigId),
    Column("doc", Text, nullable=False),
    Column("severity", Words, nullable=False, server_default=text("''")),
    Column("route", Words, nullable=False, server_default=text("''")),
    Column("stage", Text, nullable=False, server_default=text("''")),
    Column("held_by", ShortKey),
    Column("held_by_whole", Text),
    Column("again", Boolean, nullable=False, server_default=text("false")),
    Index("ix_alert_log_alert_key", "alert_key", "id"),
    Index("ix_alert_log_at", "at", "id"),
    # Each alert that something held, without a look at the lines.
    Index("ix_alert_log_held_by", "held_by", "alert_key", sqlite_where=HELD, postgresql_where=HELD),
)

# The keys under which alerts that fire hold others. `doc` has the alert's whole key and what people call it.
inhibitors = Table(
    "inhibitors",
    metadata,
    Column("key", ShortKey, nullable=False),
    Column("alert_key", SortedKey, nullable=False),
    Column("doc", Text, nullable=False),
    PrimaryKeyConstraint("key", "alert_key"),
    Index("ix_inhibitors_alert_key", "alert_key"),
    sqlite_with_rowid=False,
)

silences = Table(
    "silences",
    metadata,
    Column("number", BigId, primary_key=True, autoincrement=False),
    Column("kind", Words, nullable=False),
    Column("starts_at", Utc, nullable=False),
    Column("ends_at", Utc, index=True),
    Column("doc", Text, nullable=False),
)

# What was changed in the world, as senders tell of it. `doc` has all of it but the time.
events = Table(
    "events",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("source", ShortKey, nullable=False),
    Column("key", SortedKey, nullable=False),
    Column("at", Utc, nullable=False, index=True),
    Column("service", Words, nullable=False),
    Column("doc", Text, nullable=False),
    UniqueConstraint("source", "key"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    Column("group_key", Key, nullable=False),
    Column("state", Words, nullable=False),
    Column("severity", Words, nullable=False),
    Column("service", Words, nullable=False),
    Column("channel_id", Words, nullable=False),
    Column("opened_at", Utc, nullable=False),
    Column("resolved_at", Utc),
    Column("doc", Text, nullable=False),
    Index("ix_incidents_group_key", "group_key", "id"),
    Index("ix_incidents_state", "state", "id"),
    Index("ix_incidents_channel_id", "channel_id"),
    Index("ix_incidents_opened_at", "opened_at"),
    # One problem is one incident (P2), whatever the replicas do at the same time.
    Index(
        "uq_incidents_open_group",
        "group_key",
        unique=True,
        sqlite_where=OPEN_INCIDENT,
        postgresql_where=OPEN_INCIDENT,
    ),
)

timeline = Table(
    "timeline",
    metadata,
    Column("incident_id", BigId, ForeignKey("incidents.id"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("at", Utc, nullable=False),
    Column("kind", Words, nullable=False),
    Column("hash", Words, nullable=False),
    Column("doc", Text, nullable=False),
    PrimaryKeyConstraint("incident_id", "seq"),
)

runs = Table(
    "runs",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    Column("incident_id", BigId, nullable=False, index=True),
    Column("runbook", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("requested_by", Words, nullable=False),
    Column("created_at", Utc, nullable=False),
    Column("ended_at", Utc),
    Column("doc", Text, nullable=False),
)

run_steps = Table(
    "run_steps",
    metadata,
    Column("run_id", BigId, ForeignKey("runs.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("step", Words, nullable=False),
    Column("action", Words, nullable=False),
    Column("state", Words, nullable=False),
    Column("digest", Words, nullable=False),
    Column("changed", Boolean, nullable=False),
    Column("message", Words, nullable=False),
    Column("started_at", Utc),
    Column("ended_at", Utc),
    PrimaryKeyConstraint("run_id", "number"),
)

# Append-only: an approval that drift made void is still on record.
approvals = Table(
    "approvals",
    metadata,
    Column("run_id", BigId, ForeignKey("runs.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("digest", Words, nullable=False),
    Column("actor_id", Words, nullable=False),
    Column("actor_name", Words, nullable=False),
    Column("at", Utc, nullable=False),
    Column("broke_glass", Words, nullable=False, server_default=text("''")),
    PrimaryKeyConstraint("run_id", "number", "digest", "actor_id", "at"),
)

# What a run is changing: nobody else changes it until the run has ended.
holds = Table(
    "holds",
    metadata,
    Column("lock", Key, primary_key=True),
    Column("run_id", BigId, nullable=False, index=True),
    Column("since", Utc, nullable=False),
)

# Which targets runs have changed, and when: for cooldowns and rates.
touches = Table(
    "touches",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("lock", Key, nullable=False),
    Column("action", Words, nullable=False),
    Column("run_id", BigId, nullable=False),
    Column("at", Utc, nullable=False, index=True),
)

contexts = Table(
    "contexts",
    metadata,
    Column("incident_id", BigId, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("gathered_at", Utc, nullable=False),
    Column("doc", Text, nullable=False),
    PrimaryKeyConstraint("incident_id", "epoch"),
)

postmortems = Table(
    "postmortems",
    metadata,
    Column("incident_id", BigId, primary_key=True, autoincrement=False),
    Column("at", Utc, nullable=False),
    Column("text", Words, nullable=False),
)

# `provider_id` is null when the provider has given none.
pages = Table(
    "pages",
    metadata,
    Column("key", SortedKey, primary_key=True),
    Column("incident_id", BigId),
    Column("epoch", Integer, nullable=False),
    Column("purpose", Words, nullable=False),
    Column("medium", ShortKey, nullable=False),
    Column("address", ShortKey, nullable=False),
    Column("state", Words, nullable=False),
    Column("begun_at", Utc, nullable=False, index=True),
    Column("provider_id", ShortKey),
    Column("doc", Text, nullable=False),
    Index("ix_pages_incident_id", "incident_id", "begun_at"),
    Index("ix_pages_address", "medium", "address", "begun_at"),
    Index("ix_pages_live", "medium", "begun_at", sqlite_where=LIVE_PAGE, postgresql_where=LIVE_PAGE),
    Index("ix_pages_provider_id", "medium", "provider_id", sqlite_where=NAMED, postgresql_where=NAMED),
)

overrides = Table(
    "overrides",
    metadata,
    Column("number", BigId, primary_key=True, autoincrement=False),
    Column("schedule", ShortKey, nullable=False),
    Column("starts", Utc, nullable=False),
    Column("ends", Utc, nullable=False, index=True),
    Column("ended_at", Utc),
    Column("doc", Text, nullable=False),
    Index("ix_overrides_ended_at", "ended_at", sqlite_where=ENDED, postgresql_where=ENDED),
)

swaps = Table(
    "swaps",
    metadata,
    Column("number", BigId, primary_key=True, autoincrement=False),
    Column("state", Words, nullable=False),
    Column("ends", Utc, nullable=False, index=True),
    Column("doc", Text, nullable=False),
)

# Contact methods that people entered. `doc` has the hash of the code that verifies one, never the code.
own_methods = Table(
    "own_methods",
    metadata,
    Column("person", ShortKey, nullable=False),
    Column("key", ShortKey, nullable=False),
    Column("removed_at", Utc),
    Column("doc", Text, nullable=False),
    PrimaryKeyConstraint("person", "key"),
    Index("ix_own_methods_removed_at", "removed_at", sqlite_where=REMOVED, postgresql_where=REMOVED),
)

preferences = Table(
    "preferences",
    metadata,
    Column("person", Key, primary_key=True),
    Column("doc", Text, nullable=False),
)

# Calendars as they were last read.
feeds = Table(
    "feeds",
    metadata,
    Column("name", Key, primary_key=True),
    Column("doc", Text, nullable=False),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("key", Key, nullable=False),
    Column("kind", Words, nullable=False),
    Column("lane", Key, nullable=False),
    Column("priority", SmallInteger, nullable=False),
    Column("latest_wins", Boolean, nullable=False),
    Column("asked_at", Utc, nullable=False),
    Column("due", Utc, nullable=False),
    Column("state", Words, nullable=False, server_default=text("'pending'")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("generation", Integer, nullable=False, server_default=text("1")),
    Column("unsure", Boolean, nullable=False, server_default=text("false")),
    Column("again", Boolean, nullable=False, server_default=text("false")),
    Column("owner", Words, nullable=False, server_default=text("''")),
    Column("lease_until", Utc),
    Column("settled_at", Utc),
    Column("error", Words, nullable=False, server_default=text("''")),
    Column("payload", Text, nullable=False),
    UniqueConstraint("key"),
    # What comes due next, per priority; and the line of each lane. Both leave out the delivered rows, which are the most.
    Index("ix_outbox_ready", "priority", "due", "id", sqlite_where=PENDING, postgresql_where=PENDING),
    Index("ix_outbox_lane", "lane", "priority", "id", sqlite_where=UNDELIVERED, postgresql_where=UNDELIVERED),
    Index("ix_outbox_leased", "lease_until", sqlite_where=LEASED, postgresql_where=LEASED),
    Index("ix_outbox_settled", "state", "settled_at", sqlite_where=SETTLED, postgresql_where=SETTLED),
    # A number is never given to another row, so an old delivery cannot be taken for a new one.
    sqlite_autoincrement=True,
)
