"""The tables and how a database comes to have them: migrations give exactly what the code expects, and a wrong database is explained."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.ext.asyncio import create_async_engine

from bot.domain.alert import Alert, AlertState, Held, Received
from bot.domain.effects import Priority
from bot.errors import BadInput, TryLater
from bot.store import (
    alerts,
    current_revision,
    events,
    held,
    incidents,
    inhibitors,
    open_store,
    pages,
    pruning,
    roster,
    upgrade,
)
from bot.store.claims import READY_SQL
from bot.store.schema import _config, head
from bot.store.schema import upgrade as upgrade_now
from bot.store.tables import metadata
from bot.store.timers import DUE_SQL
from bot.store.types import LONGEST_KEY, stored_key
from tests.support.stores import new_postgres

HOUR = timedelta(hours=1)


def differences(conn: Connection) -> list[object]:
    context = MigrationContext.configure(conn, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, metadata))


async def test_the_migrations_make_the_tables_of_the_code_on_sqlite(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    assert await upgrade(url) == head()
    engine = create_engine(url)
    with engine.connect() as conn:
        assert differences(conn) == []
        made = dict(conn.execute(text("select name, sql from sqlite_master where sql is not null")).tuples().all())
    engine.dispose()
    wanted = create_engine("sqlite://")
    with wanted.begin() as conn:
        metadata.create_all(conn)
        expected = dict(conn.execute(text("select name, sql from sqlite_master where sql is not null")).tuples().all())
    wanted.dispose()
    del made["alembic_version"]
    assert {name: _plain(sql) for name, sql in made.items()} == {name: _plain(sql) for name, sql in expected.items()}


def _plain(sql: str) -> list[str]:
    """Its parts in any order: columns that a migration adds stand behind the rest, a table that was made anew has its name quoted."""
    return sorted(re.findall(r"\w+|'[^']*'|[^\s\w,]", sql.replace(chr(34), "")))


OLD_STEP = {
    "params": {},
    "plan": None,
    "before": {},
    "result": {},
    "approvals": [],
    "expires_at": None,
    "check_until": None,
}
OLD_RUN = {
    "id": 7, "incident_id": 3, "epoch": 1, "params": {"name": "x"}, "state": "waiting", "step": 1, "message_ts": "1.2",
    "requested_by": {"id": "ada", "name": "Ada"}, "created_at": "2026-03-01T12:00:00Z", "ended_at": None,
    "runbook": {
        "name": "fix", "title": "Fix", "description": "", "match": [], "start": "manual", "params": {}, "mitigates": True,
        "approve": {"role": "responders", "people": 1, "expires": "PT30M", "not_requester": False},
        "steps": [
            {"id": "look", "title": "", "action": "prometheus.query", "with_": {"query": "up"}, "timeout": "PT30S",
             "verify": {"every": "PT5S", "within": "PT5M"}},
            {"id": "act", "title": "Act", "action": "k8s.scale", "with_": {"replicas": 3}, "timeout": "PT30S",
             "verify": {"every": "PT5S", "within": "PT5M"}},
        ],
    },
    "steps": [
        {**OLD_STEP, "state": "done", "message": "verified", "drifted": False, "changed": False, "started_at": None, "ended_at": None},
        {**OLD_STEP, "state": "waiting", "message": "", "drifted": False, "changed": False, "started_at": None, "ended_at": None},
    ],
}  # fmt: skip


async def test_a_run_that_was_begun_before_an_upgrade_goes_on_after_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    engine = create_engine(url)
    with engine.begin() as conn:
        command.upgrade(_config(conn), "0001")
        values = {"doc": json.dumps(OLD_RUN), "at": "2026-03-01 12:00:00.000000"}
        conn.execute(
            text(
                "insert into runs (id, incident_id, runbook, state, requested_by, created_at, doc) "
                "values (7, 3, 'fix', 'waiting', 'ada', :at, :doc)"
            ),
            values,
        )
    engine.dispose()
    store = await open_store(url)
    try:
        run = await store.read(lambda tx: tx.run(7))
    finally:
        await store.close()
    assert run is not None
    assert [(step.id, step.seq, step.state, step.spec.action) for step in run.steps] == [
        ("look", 0, "done", "prometheus.query"),
        ("act", 1, "waiting", "k8s.scale"),
    ]
    assert run.current.title == "Act"
    assert (run.key(run.current), run.approval(run.current).role, run.params) == (
        "tocsin-run-7-act",
        "responders",
        {"name": "x"},
    )


OLD_ALERT = {
    "source": "prometheus", "fingerprint": "abc", "firing": True, "labels": {"alertname": "DiskFull"}, "annotations": {},
    "starts_at": "2026-03-01T12:00:00+00:00", "ends_at": None, "url": "",
}  # fmt: skip
OLD_INCIDENT = {
    "id": 3, "title": "Disk full", "group_key": "root{}", "opened_at": "2026-03-01T12:00:00Z", "channel_name": "inc-3",
}  # fmt: skip
THEN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _as_it_was(conn: Connection) -> None:
    """A database of version 0002 with an alert, a line of its log and their incident."""
    command.upgrade(_config(conn), "0002")
    at = THEN if conn.dialect.name == "postgresql" else "2026-03-01 12:00:00.000000"
    values = {"at": at, "alert": json.dumps(OLD_ALERT), "incident": json.dumps(OLD_INCIDENT)}
    for statement in (
        "insert into alerts (key, incident_id, firing, first_seen, last_seen, deliveries, doc) "
        "values ('prometheus/abc', 3, true, :at, :at, 4, :alert)",
        "insert into alert_log (id, alert_key, at, outcome, reason, trail, incident_id, doc) "
        "values (1, 'prometheus/abc', :at, 'opened', 'new', '[\"routed\"]', 3, :alert)",
        "insert into incidents (id, group_key, state, severity, service, channel_id, opened_at, doc) "
        "values (3, 'root{}', 'triggered', 'warning', '', '', :at, :incident)",
    ):
        conn.execute(text(statement), values)


async def _old_sqlite(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'old.db'}"
    engine = create_engine(url)
    with engine.begin() as conn:
        _as_it_was(conn)
    engine.dispose()
    return url


async def _old_postgres(_: Path) -> str:
    url = await new_postgres()
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))
    async with engine.begin() as connection:
        await connection.run_sync(_as_it_was)
    await engine.dispose()
    await upgrade(url)
    return url


@pytest.mark.parametrize("old", [_old_sqlite, _old_postgres])
async def test_alerts_and_incidents_of_the_version_before_are_read_and_go_on(
    tmp_path: Path, old: Callable[[Path], Awaitable[str]]
) -> None:
    store = await open_store(await old(tmp_path))
    alert = Alert("prometheus", "abc", True, {"alertname": "DiskFull"}, {}, THEN)
    state = AlertState(alert, THEN, THEN, 4, 3)
    try:
        assert await store.read(lambda tx: tx.alert_states([alert.key])) == {alert.key: state}
        assert await store.read(lambda tx: tx.firing_alerts()) == (state,)
        assert await store.read(lambda tx: tx.alerts_called("ab")) == (state,)
        assert await store.read(lambda tx: tx.held_alerts()) == await store.read(lambda tx: tx.due_again(THEN)) == ()
        line = Received(THEN, alert, "opened", "new", ("routed",), 3)
        assert await store.read(lambda tx: tx.log_between(THEN, THEN + HOUR)) == ((1, line),)
        assert await store.read(lambda tx: tx.opened_since(THEN)) == (("root{}", THEN),)
        (incident,) = await store.read(lambda tx: tx.incidents_between(THEN, THEN + HOUR))
        assert (incident.id, incident.media, incident.storm_at) == (3, (), None)
        silenced = replace(state, held=Held("silenced", "silence:1", THEN), fired=(THEN,))
        await store.write(lambda tx: tx.save_alerts([silenced], [replace(line, held_by="silence:1")]))
        assert await store.read(lambda tx: tx.due_again(THEN)) == (silenced,)
        assert await store.read(lambda tx: tx.hidden_by(["silence:1"])) == {"silence:1": (1, 1)}
    finally:
        await store.close()


async def test_the_migrations_make_the_tables_of_the_code_on_postgres() -> None:
    url = await new_postgres()
    assert await current_revision(url) is None
    assert await upgrade(url) == head()
    assert await current_revision(url) == head()
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"))
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        indexes = set(
            (await connection.execute(text("select indexname from pg_indexes where schemaname = 'public'"))).scalars()
        )
    await engine.dispose()
    assert {index.name for table in metadata.sorted_tables for index in table.indexes} <= indexes


async def test_sqlite_makes_its_tables_when_it_is_opened(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    store = await open_store(url)
    await store.close()
    assert await current_revision(url) == head()


async def test_sqlite_writes_ahead_and_waits_for_the_disk(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path / 'new.db'}")

    def pragmas(conn: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        return [conn.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert await store.write(lambda tx: tx.look(pragmas)) == ["wal", 2, 1, 10_000]  # type: ignore[attr-defined]
    await store.close()


async def test_postgres_without_tables_says_what_to_do() -> None:
    url = await new_postgres()
    with pytest.raises(BadInput, match="tocsin db upgrade"):
        await open_store(url)
    await upgrade(url)
    await (await open_store(url)).close()


async def test_several_upgrades_at_once_are_one() -> None:
    url = await new_postgres()
    assert await asyncio.gather(*(upgrade(url) for _ in range(4))) == [head()] * 4
    await (await open_store(url)).close()


async def test_several_openings_of_a_new_sqlite_file_at_once_make_its_tables_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    for store in await asyncio.gather(*(open_store(url) for _ in range(4))):
        await store.check()
        await store.close()


async def test_a_database_of_a_newer_tocsin_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    await upgrade(f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    connection.execute("update alembic_version set version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(BadInput, match="9999"):
        await open_store(f"sqlite:///{path}")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://host/name", "mysql is not supported"),
        ("nonsense", "cannot be read"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("sqlite:////no/such/folder/tocsin.db", "no folder /no/such/folder"),
    ],
)
async def test_a_url_that_cannot_be_used_is_explained(url: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        await open_store(url)


async def test_a_missing_file_is_not_made_when_it_must_exist(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no file"):
        await open_store(f"sqlite:///{tmp_path / 'missing.db'}", create=False)
    with pytest.raises(BadInput, match="no file"):
        await open_store(f"sqlite:///{tmp_path / 'missing.db'}", create=False)


async def test_a_postgres_that_is_away_is_for_later(tmp_path: Path) -> None:
    with pytest.raises(TryLater, match="database"):
        await open_store(f"postgresql://postgres@/tocsin?host={tmp_path}")


async def test_what_can_be_claimed_is_found_by_index(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    await upgrade(f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    plan = connection.execute(f"explain query plan {READY_SQL}", {"now": "2026-01-01", "wanted": 10}).fetchall()
    connection.close()
    steps = [step for *_, step in plan]
    assert not [step for step in steps if step.startswith("SCAN") and "outbox" in step]
    assert sum("ix_outbox_ready (priority=? AND due<?)" in step for step in steps) == len(Priority)
    assert sum("ix_outbox_lane (lane=?)" in step for step in steps) >= 6
    assert any("ix_outbox_leased (lease_until<?)" in step for step in steps)


async def test_timers_that_are_due_are_found_by_index(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    await upgrade(f"sqlite:///{path}")
    connection = sqlite3.connect(path)
    plan = connection.execute(f"explain query plan {DUE_SQL}", {"now": "2026-01-01", "wanted": 10}).fetchall()
    connection.close()
    steps = [step for *_, step in plan]
    assert not [step for step in steps if step.startswith("SCAN") and "outbox" in step]
    assert any("ix_outbox_ready (priority=? AND due<?)" in step for step in steps)


ASKED: dict[str, tuple[Callable[[Connection], Any], set[str]]] = {
    "due again": (lambda conn: held.due_again(conn, THEN, 10), {"ix_alerts_again_at"}),
    "look again": (lambda conn: held.look_again(conn, ["silence:1", "silence:2"], THEN), {"ix_alerts_held_by"}),
    "look again at all": (lambda conn: held.look_again(conn, None, THEN), {"ix_alerts_held_by"}),
    "held": (lambda conn: held.held_alerts(conn, 10), {"ix_alerts_held_by"}),
    "hidden": (
        lambda conn: held.hidden_by(conn, ["a", "b"]),
        {"ix_alerts_held_by", "COVERING INDEX ix_alert_log_held_by"},
    ),
    "inhibitors": (lambda conn: inhibitors.inhibitors(conn, ["a", "b"]), {"PRIMARY KEY"}),
    "stand under": (
        lambda conn: inhibitors.stand_under(conn, {"a": ("A", ()), "b": ("B", ())}),
        {"ix_inhibitors_alert_key"},
    ),
    "firing": (lambda conn: alerts.firing_alerts(conn, "a", 10), {"ix_alerts_firing (key>?)"}),
    "log": (lambda conn: alerts.log_between(conn, THEN, THEN + HOUR, 0, 10), {"ix_alert_log_at (at>? AND at<?)"}),
    "called": (lambda conn: alerts.alerts_called(conn, "a", 10), {"sqlite_autoindex_alerts_1"}),
    "opened": (lambda conn: incidents.opened_since(conn, THEN, 10), {"ix_incidents_opened_at"}),
    "between": (lambda conn: incidents.incidents_between(conn, THEN, THEN + HOUR, 10), {"ix_incidents_opened_at"}),
    "events": (lambda conn: events.events_between(conn, THEN, THEN + HOUR, 10), {"ix_events_at"}),
    "pages": (lambda conn: pages.pages_by_key(conn, ["a", "b"], False), {"sqlite_autoindex_pages_1"}),
    "pages of": (lambda conn: pages.pages_of(conn, 1, 10), {"ix_pages_incident_id (incident_id=?)"}),
    "pages to": (
        lambda conn: pages.pages_to(conn, "sms", "+491", THEN, 10),
        {"ix_pages_address (medium=? AND address=? AND begun_at>?)"},
    ),
    "pages by": (
        lambda conn: pages.pages_by(conn, "sms", THEN),
        {"ix_pages_live (medium=? AND begun_at>?)"},
    ),
    "page by id": (
        lambda conn: pages.page_named(conn, "sms", "SM1"),
        {"ix_pages_provider_id (medium=? AND provider_id=?)"},
    ),
    "pages between": (
        lambda conn: pages.pages_between(conn, THEN, THEN + HOUR, 10),
        {"ix_pages_begun_at (begun_at>? AND begun_at<?)"},
    ),
    "undelivered": (lambda conn: pages.undelivered(conn, ["a", "b"]), {"sqlite_autoindex_outbox_1"}),
    "overrides": (
        lambda conn: roster.overrides_between(conn, THEN, THEN + HOUR, "shop"),
        {"ix_overrides_ends (ends>?)"},
    ),
    "swaps": (lambda conn: roster.swaps_asked(conn, THEN), {"ix_swaps_ends (ends>?)"}),
    "methods": (lambda conn: roster.methods_of(conn, "ada", False), {"sqlite_autoindex_own_methods_1 (person=?)"}),
    "prune": (
        lambda conn: pruning.prune_log(conn, THEN, 10),
        {
            "ix_alert_log_at",
            "ix_events_at",
            "ix_outbox_settled",
            "ix_silences_ends_at",
            "ix_pages_begun_at",
            "ix_overrides_ends",
            "ix_overrides_ended_at",
            "ix_swaps_ends",
            "ix_own_methods_removed_at",
        },
    ),
}


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Callable[[Connection], Any]], list[str]]]:
    """How SQLite finds what a function asks for."""
    engine = create_engine(f"sqlite:///{tmp_path_factory.mktemp('plans') / 'new.db'}")
    asked: list[tuple[str, Any]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_: Any, __: Any, statement: str, values: Any, ___: Any, many: bool) -> None:
        asked.append((statement, values[0] if many else values))

    with engine.connect() as conn:
        upgrade_now(conn)

        def plan(ask: Callable[[Connection], Any]) -> list[str]:
            asked.clear()
            ask(conn)
            statements = tuple(asked)
            rows = [conn.exec_driver_sql(f"explain query plan {one}", values).all() for one, values in statements]
            return [row.detail for found in rows for row in found]

        yield plan
    engine.dispose()


@pytest.mark.parametrize("name", ASKED)
def test_what_is_asked_of_alerts_and_records_is_found_by_index(
    name: str, planned: Callable[[Callable[[Connection], Any]], list[str]]
) -> None:
    ask, wanted = ASKED[name]
    steps = planned(ask)
    tables = {table.name for table in metadata.sorted_tables}
    scanned = [step for step in steps if step.startswith("SCAN") and step.split()[1] in tables and "USING" not in step]
    assert scanned == []
    assert {one for one in wanted if not any(one in step for step in steps)} == set()


def test_a_long_key_keeps_its_beginning_and_stays_itself() -> None:
    long = "x" * (LONGEST_KEY + 1)
    assert len(stored_key(long)) == LONGEST_KEY
    assert stored_key(stored_key(long)) == stored_key(long)
    assert stored_key(long) != stored_key(long + "x")
    assert stored_key("x" * LONGEST_KEY) == "x" * LONGEST_KEY
