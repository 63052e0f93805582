"""Many escalations come due at once: all fire, once, whatever dies meanwhile. Real processes, real time; how late they are is measured by bench."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from bot.domain.effects import Priority
from bot.domain.ports import Store
from bot.store import open_store
from tests.support.escalating import now, paged, seed, seed_others
from tests.support.killing import ROOT
from tests.support.stores import make_url

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(600)]

COUNT = 10_000
ENOUGH_PAGES = {"sqlite": COUNT, "postgres": 2000}  # that have left; the others are looked for in the outbox
KILLED_COUNT = 2000
LONG_LEASE = timedelta(seconds=25)  # time enough for the other one to start
AFTERWARDS = 400.0  # s, on a busy machine


@asynccontextmanager
async def working(url: str, log: Path, owner: str = "tocsin") -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that delivers; killed at the end."""
    command = [sys.executable, "-m", "tests.support.escalating", url, str(log), owner]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


async def until(condition: Callable[[], bool], process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(AFTERWARDS):
        while not condition():
            assert process.returncode is None, "it ended by itself"
            await asyncio.sleep(0.02)


async def decisions(url: str, count: int) -> Counter[int]:
    """How often each incident's first level was decided to be paged."""
    store = await open_store(url)
    found: Counter[int] = Counter()
    try:
        for start in range(1, count + 1, 500):

            async def look(tx: object, start: int = start) -> None:
                for number in range(start, min(start + 500, count + 1)):
                    entries = await tx.timeline(number)  # type: ignore[attr-defined]
                    found[number] = sum(entry.kind == "paged" and entry.data["level"] == 1 for entry in entries)

            await store.read(look)
    finally:
        await store.close()
    return found


async def decided(store: Store, process: asyncio.subprocess.Process) -> None:
    """Until no escalation is due any more."""
    async with asyncio.timeout(AFTERWARDS):
        while any(one.due for one in await store.backlog(now()) if one.kind == "escalate"):
            assert process.returncode is None, "it ended by itself"
            await asyncio.sleep(0.2)


def first(log: Path) -> list[str]:
    """Pages of the first level. On a slow machine those of the second follow: what has not gone out in twenty seconds is paged elsewhere."""
    return [key for key in paged(log) if ":1:0:1:" in key]


def once_each(log: Path, count: int) -> None:
    assert len(set(first(log))) == count, "somebody was not paged"
    assert set(Counter(paged(log)).values()) == {1}, "somebody was paged twice"


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_ten_thousand_that_come_due_in_ten_seconds_all_fire_once(kind: str, folder: Path) -> None:
    url, log = await make_url(kind, folder), folder / "log"
    store = await open_store(url)
    await seed_others(store, 1000, now() + timedelta(days=1))
    begin = now() + timedelta(seconds=8)
    await seed(store, [begin + timedelta(milliseconds=number) for number in range(COUNT)])
    async with working(url, log) as process:
        await until(lambda: len(first(log)) >= ENOUGH_PAGES[kind], process)
        await decided(store, process)
        await asyncio.sleep(1.0)
    keys = {f"page:{number}:1:0:1:person:p0:slack" for number in range(1, COUNT + 1)}
    waiting = await store.read(lambda tx: tx.undelivered(keys))
    await store.close()
    assert waiting | set(first(log)) == keys, "somebody was not paged and will not be"
    assert set(Counter(paged(log)).values()) == {1}, "somebody was paged twice"
    assert set((await decisions(url, COUNT)).values()) == {1}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_killed_again_and_again_none_is_missed_and_none_comes_twice(kind: str, folder: Path) -> None:
    url, log = await make_url(kind, folder), folder / "log"
    store = await open_store(url)
    await seed(store, [now() + timedelta(milliseconds=number) for number in range(KILLED_COUNT)])
    await store.close()
    for share in (0.1, 0.4, 0.7):
        async with working(url, log) as process:
            await until(lambda share=share: len(first(log)) >= share * KILLED_COUNT, process)
    async with working(url, log) as process:
        await until(lambda: len(first(log)) >= KILLED_COUNT, process)
        await asyncio.sleep(1.0)
    once_each(log, KILLED_COUNT)
    assert set((await decisions(url, KILLED_COUNT)).values()) == {1}


async def test_when_one_of_two_replicas_is_killed_the_other_goes_on(folder: Path) -> None:
    url, log = await make_url("postgres", folder), folder / "log"
    store = await open_store(url)
    await seed(store, [now() + timedelta(milliseconds=number) for number in range(KILLED_COUNT)])
    await store.close()
    async with working(url, log, "two") as other:
        async with working(url, log, "one") as killed:
            await until(lambda: len(first(log)) >= KILLED_COUNT / 3, killed)
        await until(lambda: len(first(log)) >= KILLED_COUNT, other)
        await asyncio.sleep(1.0)
    once_each(log, KILLED_COUNT)
    assert set((await decisions(url, KILLED_COUNT)).values()) == {1}


async def test_what_a_dead_replica_had_taken_is_taken_over_when_its_lease_ends(folder: Path) -> None:
    """How soon is printed (pytest -s): the worker sleeps until just then, so it takes some hundredths of a second."""
    url, log = await make_url("postgres", folder), folder / "log"
    store = await open_store(url)
    taken = now()
    await seed(store, [taken - timedelta(seconds=1), taken + LONG_LEASE - timedelta(seconds=5)])
    held = await store.claim("dead", taken, taken + LONG_LEASE, 1, (Priority.TIMER,))
    assert len(held) == 1
    await store.close()
    async with working(url, log, "two") as process:
        await until(lambda: len(first(log)) >= 2, process)
    at = {line.split(":")[1]: float(line.split()[1]) for line in log.read_text().splitlines()}
    late = at["1"] - (taken + LONG_LEASE).timestamp()
    print(f"taken over {late:.3f} s after the end of the lease")
    once_each(log, 2)
    assert late >= 0
