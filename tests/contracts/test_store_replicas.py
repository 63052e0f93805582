"""The store's contract, fourth part: replicas. Two of them on one PostgreSQL race; memory and SQLite race with themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from bot.domain import lifecycle
from bot.domain.alert import Alert, AlertState
from bot.domain.effects import Effect, Priority
from bot.domain.lifecycle import Opening
from bot.domain.ports import Delivery, Settled, Store, Tx
from bot.domain.routing import Route
from bot.domain.timeline import first_broken
from bot.errors import TryLater
from bot.store import locks, open_store
from tests.support.stores import KINDS, make_url

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ALERT = Alert("alertmanager", "fp", True, {"alertname": "HighLatency"}, {}, NOW)

Replicas = tuple[Store, Store]


@pytest.fixture(params=KINDS)
async def replicas(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Replicas]:
    url = await make_url(request.param, tmp_path)
    one = await open_store(url)
    two = await open_store(url) if request.param == "postgres" else one
    yield one, two
    await one.close()
    await two.close()


@pytest.fixture
async def url(tmp_path: Path) -> str:
    return await make_url("postgres", tmp_path)


@pytest.fixture
async def postgres(url: str) -> AsyncIterator[Replicas]:
    one, two = await open_store(url), await open_store(url)
    yield one, two
    await one.close()
    await two.close()


def effect(key: str, lane: str, number: int = 0, *, latest: bool = False) -> Effect:
    return Effect(
        kind="say",
        key=key,
        lane=lane,
        priority=Priority.CARD,
        due=NOW,
        payload={"number": number},
        latest_wins=latest,
    )


async def test_nothing_is_delivered_twice_and_every_lane_keeps_its_order(replicas: Replicas) -> None:
    lanes, length = 12, 8
    for number in range(length):
        rows = [effect(f"say:{lane}:{number}", f"lane {lane}", number) for lane in range(lanes)]
        await replicas[0].write(lambda tx, rows=rows: tx.ask(rows))
    delivered: dict[str, list[int]] = {f"lane {lane}": [] for lane in range(lanes)}
    busy: set[str] = set()

    async def worker(store: Store, owner: str) -> None:
        while sum(map(len, delivered.values())) < lanes * length:
            for delivery in await store.claim(owner, NOW, NOW + MINUTE, 3):
                lane = delivery.effect.lane
                assert lane not in busy, "somebody else is delivering in this lane"
                assert delivery.attempts == 1
                busy.add(lane)
                await asyncio.sleep(0)
                busy.remove(lane)
                delivered[lane].append(delivery.effect.payload["number"])
                assert await store.write(lambda tx, delivery=delivery: tx.settle(delivery, Settled("done"), NOW))

    async with asyncio.timeout(40), asyncio.TaskGroup() as tasks:
        for number in range(6):
            tasks.create_task(worker(replicas[number % 2], f"worker {number}"))
    assert delivered == {f"lane {lane}": list(range(length)) for lane in range(lanes)}


async def test_a_hundred_openings_of_one_group_at_once_are_one_incident(replicas: Replicas) -> None:
    answers = await asyncio.gather(*(replicas[n % 2].write(_open_or_join) for n in range(100)))
    assert set(answers) == {1}
    (incident,) = await replicas[0].read(lambda tx: tx.list_incidents(only_open=False))
    entries = await replicas[1].read(lambda tx: tx.timeline(1))
    assert incident.seq == len(entries) == 100
    assert first_broken(entries) is None
    assert [one.pending for one in await replicas[0].backlog(NOW) if one.kind == "open_channel"] == [1]


async def _open_or_join(tx: Tx) -> int:
    found = await tx.incidents_of_groups(["group"])
    if "group" not in found:
        number = await tx.next_id("incident")
        change = lifecycle.opened(number, [ALERT], Opening("group", {}, "critical", (), Route()), NOW)
    else:
        number = found["group"].id
        change = lifecycle.alerts_received(found["group"], (ALERT,), (), 0, "critical", NOW)
    await tx.save(change)
    return number


async def test_of_many_who_see_a_key_at_once_one_is_the_first(replicas: Replicas) -> None:
    answers = await asyncio.gather(
        *(replicas[n % 2].write(lambda tx: tx.once("click", NOW + MINUTE, NOW)) for n in range(40))
    )
    assert sorted(answers) == [False] * 39 + [True]


async def test_no_number_is_given_twice(replicas: Replicas) -> None:
    numbers = await asyncio.gather(*(replicas[n % 2].write(lambda tx: tx.next_id("run")) for n in range(60)))
    assert sorted(numbers) == list(range(1, 61))


async def test_an_alert_that_two_replicas_see_for_the_first_time_counts_both_deliveries(replicas: Replicas) -> None:
    """Nothing is there to be locked, so whoever comes second finds out when it saves, and is run again."""

    async def receive(tx: Tx) -> None:
        known = (await tx.alert_states([ALERT.key])).get(ALERT.key)
        await asyncio.sleep(0)
        again = replace(known, deliveries=known.deliveries + 1) if known else AlertState(ALERT, NOW, NOW)
        await tx.save_alerts([again], [])

    await asyncio.gather(*(replicas[n % 2].write(receive) for n in range(20)))
    found = await replicas[0].read(lambda tx: tx.alert_states([ALERT.key]))
    assert found[ALERT.key].deliveries == 20


async def test_a_name_is_held_by_one_at_a_time(replicas: Replicas) -> None:
    holding = 0

    async def work(tx: Tx) -> None:
        nonlocal holding
        await tx.lock("deployment/checkout")
        holding += 1
        assert holding == 1
        await tx.postmortem(1)
        holding -= 1

    await asyncio.gather(*(replicas[n % 2].write(work) for n in range(20)))


async def test_a_request_that_meets_the_end_of_a_delivery_is_not_lost(replicas: Replicas) -> None:
    """A click that arrives while a run goes to sleep: whichever comes first, the run is advanced once more."""
    one, two = replicas
    keys = [f"advance_run:{number}" for number in range(60)]
    await one.write(lambda tx: tx.ask([effect(key, key, latest=True) for key in keys]))
    held = await one.claim("one", NOW, NOW + MINUTE, 100)
    assert len(held) == 60

    async def settle(number: int) -> None:
        assert await one.write(lambda tx: tx.settle(held[number], Settled("done"), NOW))

    async def click(number: int) -> None:
        await two.write(lambda tx: tx.ask([effect(held[number].effect.key, held[number].effect.key, 1, latest=True)]))

    await asyncio.gather(*(act(number) for number in range(60) for act in (settle, click)))
    again = await two.claim("two", NOW, NOW + MINUTE, 100)
    assert sorted(one.effect.key for one in again) == sorted(keys)
    assert {one.effect.payload["number"] for one in again} == {1}


async def test_of_two_who_settle_one_wins(replicas: Replicas) -> None:
    await replicas[0].write(lambda tx: tx.ask([effect("say:1", "lane")]))
    (first,) = await replicas[0].claim("one", NOW, NOW + MINUTE, 1)
    (second,) = await replicas[1].claim("two", NOW + MINUTE, NOW + 2 * MINUTE, 1)
    answers = await asyncio.gather(
        replicas[0].write(lambda tx: tx.settle(first, Settled("done"), NOW)),
        replicas[1].write(lambda tx: tx.settle(second, Settled("done"), NOW)),
    )
    assert answers == [False, True]


async def test_of_many_who_decide_timers_at_once_each_is_decided_once(replicas: Replicas) -> None:
    count = 60
    rows = [effect(f"say:{n}", f"lane {n}", n).model_copy(update={"priority": Priority.TIMER}) for n in range(count)]
    await replicas[0].write(lambda tx: tx.ask(rows))
    found: list[int] = []

    async def worker(store: Store) -> None:
        while len(found) < count:
            taken: list[int] = []

            async def decide(tx: Tx, deliveries: Sequence[Delivery], taken: list[int] = taken) -> None:
                taken[:] = [one.effect.payload["number"] for one in deliveries]

            await store.settle_timers(lambda: NOW, 7, decide)
            found.extend(taken)
            await asyncio.sleep(0)

    async with asyncio.timeout(40), asyncio.TaskGroup() as tasks:
        for number in range(4):
            tasks.create_task(worker(replicas[number % 2]))
    assert sorted(found) == list(range(count))


async def test_of_many_who_see_a_jump_of_the_clock_one_moves_the_timers(replicas: Replicas) -> None:
    await replicas[0].write(lambda tx: tx.ask([effect("say:1", "lane")]))
    counts = await asyncio.gather(*(replicas[n % 2].shift(MINUTE, set(), 0, {}) for n in range(8)))
    assert set(counts) == {1}
    assert await replicas[1].next_due(NOW) == NOW + MINUTE


# ------------------------------------------------------------------------------------------------ PostgreSQL alone


async def test_while_one_replica_decides_timers_another_waits_for_nothing(postgres: Replicas) -> None:
    one, two = postgres
    timer = effect("say:1", "lane").model_copy(update={"priority": Priority.TIMER})
    await one.write(lambda tx: tx.ask([timer]))

    async def decide(tx: Tx, deliveries: Sequence[Delivery]) -> None:
        async with asyncio.timeout(5):
            assert await two.settle_timers(lambda: NOW, 10, _must_not) == 0

    assert await one.settle_timers(lambda: NOW, 10, decide) == 1


async def _must_not(tx: Tx, deliveries: Sequence[Delivery]) -> None:
    raise AssertionError("somebody else has them")


async def test_the_clock_is_the_database_s(postgres: Replicas) -> None:
    first = await postgres[0].clock()
    second = await postgres[1].clock()
    assert first is not None
    assert second is not None
    assert timedelta(0) <= second - first < MINUTE


async def test_a_commit_on_one_replica_wakes_the_other(postgres: Replicas) -> None:
    one, two = postgres
    await two.wait_for_work(0)
    await two.wait_for_work(0)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(two.wait_for_work(60))
        await asyncio.sleep(0)
        await one.write(lambda tx: tx.ask([effect("say:1", "lane")]))
    assert waiting.done()


async def test_replicas_claim_one_after_the_other(postgres: Replicas) -> None:
    """Else one could take the head of a lane while the other takes what has just come before it."""
    one, two = postgres
    await one.write(lambda tx: tx.ask([effect("say:1", "lane")]))

    async def claiming(tx: Tx) -> asyncio.Task[object]:
        await tx.look(locks.hold, "claim")  # type: ignore[attr-defined]
        other = asyncio.ensure_future(two.claim("two", NOW, NOW + MINUTE, 1))
        await asyncio.wait([other], timeout=0.1)
        assert not other.done()
        return other

    assert len(await (await one.write(claiming))) == 1  # type: ignore[arg-type]


async def test_changes_that_need_each_other_s_rows_both_come_through(postgres: Replicas) -> None:
    """A deadlock: PostgreSQL ends one of the two, which is run again."""
    changes = [lifecycle.opened(n, [ALERT], Opening(f"group {n}", {}, "critical", (), Route()), NOW) for n in (1, 2)]
    await postgres[0].write(lambda tx: tx.save(*changes))
    both_have_one = asyncio.Barrier(2)
    runs = 0

    async def work(tx: Tx, first: int, second: int) -> None:
        nonlocal runs
        runs += 1
        await tx.incident(first)
        if runs <= 2:
            await both_have_one.wait()
        incident = await tx.incident(second)
        assert incident is not None
        await tx.save(lifecycle.noted(incident, f"{first} then {second}", lifecycle.TOCSIN, NOW))

    await asyncio.gather(
        postgres[0].write(lambda tx: work(tx, 1, 2)),
        postgres[1].write(lambda tx: work(tx, 2, 1)),
    )
    assert runs == 3
    for number in (1, 2):
        assert len(await postgres[0].read(lambda tx, number=number: tx.timeline(number))) == 2


async def test_the_store_goes_on_when_its_connections_are_cut(postgres: Replicas, url: str) -> None:
    one, two = postgres
    await asyncio.gather(*(one.write(lambda tx: tx.next_id("incident")) for _ in range(4)))
    await one.wait_for_work(0)
    await two.check()
    await _cut_all(url)
    assert await one.write(lambda tx: tx.next_id("incident")) == 5
    for _ in range(3):  # a read is not run again: it says so, and the next one has a new connection
        try:
            await two.check()
            break
        except TryLater:
            continue
    await two.check()
    await one.wait_for_work(0)
    await one.wait_for_work(0)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(one.wait_for_work(60))
        await asyncio.sleep(0)
        await two.write(lambda tx: tx.ask([effect("say:1", "lane")]))


async def _cut_all(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    )
    await connection.close()
