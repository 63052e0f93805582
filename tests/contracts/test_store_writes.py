"""The store's contract, third part: many writers at once. One that fails or is cancelled harms no other; nobody is answered before the commit."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from bot.domain import lifecycle
from bot.domain.alert import Alert, AlertState
from bot.domain.effects import Effect, Priority
from bot.domain.lifecycle import Opening
from bot.domain.ports import Store, Tx
from bot.domain.routing import Route
from bot.domain.timeline import first_broken
from bot.errors import BadInput, TryLater
from bot.store import open_store
from tests.support.stores import KINDS, make_url, opened

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALERT = Alert("alertmanager", "fp", True, {"alertname": "HighLatency"}, {}, NOW)


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(request.param, tmp_path) as fresh:
        yield fresh


@pytest.fixture
async def url(tmp_path: Path) -> str:
    return await make_url("sqlite", tmp_path)


@pytest.fixture
async def sqlite(url: str) -> AsyncIterator[Store]:
    fresh = await open_store(url)
    yield fresh
    await fresh.close()


async def note(tx: Tx, number: int) -> int:
    await tx.save_postmortem(number, f"written by {number}", NOW)
    return number


async def written(store: Store, numbers: range) -> list[int]:
    async def look(tx: Tx) -> list[int]:
        return [number for number in numbers if await tx.postmortem(number) is not None]

    return await store.read(look)


def effect(key: str) -> Effect:
    return Effect(kind="say", key=key, lane=key, priority=Priority.CARD, due=NOW)


async def test_every_writer_gets_its_own_answer(store: Store) -> None:
    answers = await asyncio.gather(*(store.write(lambda tx, n=n: note(tx, n)) for n in range(40)))
    assert answers == list(range(40))
    assert await written(store, range(40)) == list(range(40))


async def test_a_failing_neighbour_is_undone_alone_and_told_alone(store: Store) -> None:
    async def fails(tx: Tx, number: int) -> int:
        await note(tx, number)
        await tx.ask([effect(f"say:{number}")])
        if number % 3 == 0:
            raise BadInput(f"refused {number}")
        return number

    outcomes = await asyncio.gather(
        *(store.write(lambda tx, n=n: fails(tx, n)) for n in range(20)), return_exceptions=True
    )
    good = [n for n in range(20) if n % 3]
    assert [str(one) for one in outcomes] == [f"refused {n}" if n % 3 == 0 else str(n) for n in range(20)]
    assert await written(store, range(20)) == good
    claimed = await store.claim("one", NOW, NOW + timedelta(minutes=1), 50)
    assert {one.effect.key for one in claimed} == {f"say:{n}" for n in good}


async def test_a_neighbour_that_breaks_a_rule_of_the_database_is_told_alone(store: Store) -> None:
    change = lifecycle.opened(1, [ALERT], Opening("group", {}, "critical", (), Route()), NOW)
    await store.write(lambda tx: tx.save(change))
    outcomes = await asyncio.gather(
        store.write(lambda tx: note(tx, 1)),
        store.write(lambda tx: tx.save(change)),
        store.write(lambda tx: note(tx, 2)),
        return_exceptions=True,
    )
    assert outcomes[0] == 1
    assert isinstance(outcomes[1], TryLater)
    assert outcomes[2] == 2
    assert await written(store, range(4)) == [1, 2]
    assert await store.read(lambda tx: tx.timeline(1)) == change.entries


async def test_a_caller_that_is_cancelled_harms_no_other(store: Store) -> None:
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(store.write(lambda tx: note(tx, 1)))
        waiting = [tasks.create_task(store.write(lambda tx, n=n: note(tx, n))) for n in (2, 3, 4)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        first.cancel()
    assert waiting[0].result() == 2
    assert waiting[2].result() == 4
    assert {2, 4} <= set(await written(store, range(5)))
    assert await store.write(lambda tx: note(tx, 5)) == 5


async def test_a_caller_that_is_cancelled_in_the_middle_of_its_work_harms_no_other(store: Store) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(tx: Tx) -> int:
        await note(tx, 1)
        begun.set()
        await go_on.wait()
        return await note(tx, 2)

    async with asyncio.TaskGroup() as tasks:
        cancelled = tasks.create_task(store.write(slow))
        await begun.wait()
        neighbour = tasks.create_task(store.write(lambda tx: note(tx, 3)))
        cancelled.cancel()
        go_on.set()
    assert neighbour.result() == 3
    found = await written(store, range(4))
    assert found in ([3], [1, 2, 3]), "all of it or nothing of it"


async def test_a_read_that_is_cancelled_leaves_a_store_that_reads(store: Store) -> None:
    async def forever(tx: Tx) -> None:
        await tx.postmortem(1)
        await asyncio.Event().wait()

    for _ in range(40):
        reading = asyncio.ensure_future(store.read(forever))
        await asyncio.sleep(0.001)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    await store.write(lambda tx: note(tx, 1))
    assert await written(store, range(2)) == [1]


async def test_many_openings_of_one_group_at_once_are_one_incident(store: Store) -> None:
    answers = await asyncio.gather(*(store.write(_open_or_join) for _ in range(50)))
    assert set(answers) == {1}
    (incident,) = await store.read(lambda tx: tx.list_incidents(only_open=False))
    assert incident.seq == 50
    assert first_broken(await store.read(lambda tx: tx.timeline(1))) is None


async def _open_or_join(tx: Tx) -> int:
    found = await tx.incidents_of_groups(["group"])
    if "group" not in found:
        number = await tx.next_id("incident")
        labels = {"service": "checkout"}
        change = lifecycle.opened(number, [ALERT], Opening("group", labels, "critical", (), Route()), NOW)
    else:
        number = found["group"].id
        change = lifecycle.alerts_received(found["group"], (ALERT,), (), 0, "critical", NOW)
    await tx.save_alerts([AlertState(ALERT, NOW, NOW, incident_id=number)], [])
    await tx.save(change)
    return number


async def test_closing_finishes_what_was_handed_in_and_refuses_the_rest(sqlite: Store, url: str) -> None:
    writes = [asyncio.ensure_future(sqlite.write(lambda tx, n=n: note(tx, n))) for n in range(10)]
    await asyncio.sleep(0)
    await sqlite.close()
    assert await asyncio.gather(*writes) == list(range(10))
    for refused in (sqlite.write(lambda tx: note(tx, 11)), sqlite.read(lambda tx: tx.postmortem(1))):
        with pytest.raises(TryLater, match="closed"):
            await refused
    again = await open_store(url)
    assert await written(again, range(12)) == list(range(10))
    await again.close()


async def test_a_write_inside_a_write_is_refused_instead_of_waiting_for_itself(tmp_path: Path) -> None:
    for kind in ("memory", "sqlite"):
        async with opened(kind, tmp_path) as store:
            with pytest.raises(RuntimeError, match="inside a write"):
                await store.write(lambda _, store=store: store.write(lambda tx: note(tx, 1)))


async def test_a_transaction_cannot_be_used_after_its_work(store: Store) -> None:
    kept: list[Tx] = []

    async def keep(tx: Tx) -> None:
        kept.append(tx)

    await store.write(keep)
    with pytest.raises(RuntimeError, match="over"):
        await note(kept[0], 1)
    assert await written(store, range(2)) == []


async def test_writers_wait_for_another_process_that_writes(sqlite: Store, url: str) -> None:
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.ensure_future(sqlite.write(lambda tx: note(tx, 1)))
    assert await written(sqlite, range(2)) == [], "readers do not wait"
    await asyncio.sleep(0.05)
    assert not writing.done()
    other.execute("COMMIT")
    other.close()
    assert await writing == 1


async def test_nobody_is_answered_before_the_commit(sqlite: Store, url: str) -> None:
    """Seen from another connection: whatever was acknowledged is committed."""
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    seen = []

    async def write(number: int) -> None:
        await sqlite.write(lambda tx: note(tx, number))
        query = "select count(*) from postmortems where incident_id = ?"
        seen.append(other.execute(query, [number]).fetchone()[0])

    await asyncio.gather(*(write(number) for number in range(30)))
    other.close()
    assert seen == [1] * 30


async def test_concurrent_writes_share_commits(sqlite: Store, url: str) -> None:
    """The number of commits is far below the number of writes: that is what makes the intake fast."""
    begins = []
    original = sqlite._group._transaction.begin  # type: ignore[attr-defined]

    async def counted() -> None:
        begins.append(1)
        await original()

    sqlite._group._transaction.begin = counted  # type: ignore[attr-defined]
    await asyncio.gather(*(sqlite.write(lambda tx, n=n: note(tx, n)) for n in range(100)))
    assert len(begins) <= 3


async def test_a_database_that_fails_tells_everybody_and_keeps_nothing(sqlite: Store) -> None:
    """The disk is full at the commit: nobody may be told that all is well."""

    async def full() -> None:
        raise OperationalError("COMMIT", {}, sqlite3.OperationalError("database or disk is full"))

    transaction = sqlite._group._transaction  # type: ignore[attr-defined]
    commit, transaction.commit = transaction.commit, full

    async def refused(_: Tx) -> None:
        raise BadInput("refused")

    outcomes = await asyncio.gather(
        sqlite.write(lambda tx: note(tx, 1)),
        sqlite.write(refused),
        sqlite.write(lambda tx: note(tx, 2)),
        return_exceptions=True,
    )
    assert [type(one) for one in outcomes] == [TryLater, BadInput, TryLater]
    transaction.commit = commit
    assert await written(sqlite, range(3)) == []
    assert await sqlite.write(lambda tx: note(tx, 3)) == 3


def _pages(conn: Connection, most: int) -> None:
    conn.exec_driver_sql(f"PRAGMA max_page_count = {most}")


async def long(tx: Tx) -> None:
    await tx.save_postmortem(1, "x" * 2_000_000, NOW)


async def test_a_full_disk_is_for_later(sqlite: Store) -> None:
    await sqlite.write(lambda tx: note(tx, 7))
    await sqlite.write(lambda tx: tx.look(_pages, 1))  # type: ignore[attr-defined]
    outcomes = await asyncio.gather(
        sqlite.write(lambda tx: note(tx, 2)),
        sqlite.write(long),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], TryLater)
    assert "full" in str(outcomes[1])
    kept = [7] if isinstance(outcomes[0], TryLater) else [2, 7]
    assert await written(sqlite, range(9)) == kept
    await sqlite.write(lambda tx: tx.look(_pages, 1_000_000))  # type: ignore[attr-defined]
    await sqlite.write(long)
    assert await written(sqlite, range(9)) == [1, *kept]


async def test_nobody_is_told_that_all_is_well_when_a_neighbour_hides_that_the_disk_is_full(sqlite: Store) -> None:
    await sqlite.write(lambda tx: note(tx, 7))
    await sqlite.write(lambda tx: tx.look(_pages, 1))  # type: ignore[attr-defined]

    async def hides(tx: Tx) -> None:
        with suppress(OperationalError):
            await long(tx)

    outcomes = await asyncio.gather(
        sqlite.write(lambda tx: tx.postmortem(7)),
        sqlite.write(lambda tx: note(tx, 7)),
        sqlite.write(hides),
        return_exceptions=True,
    )
    assert [type(one) for one in outcomes] == [TryLater] * 3
    await sqlite.write(lambda tx: tx.look(_pages, 1_000_000))  # type: ignore[attr-defined]
    assert await sqlite.write(lambda tx: note(tx, 8)) == 8
