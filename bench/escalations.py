"""How late escalations are when thousands come due at once, in one process over a database with many other timers in it. Used by run.py.

The flow, the worker and the store are the real ones; who is paged is written down at once instead of being told through Slack. Lateness is from
the time at which an escalation is due to the time at which its decision is committed, and to the time at which its page reaches the medium.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.figures import spread
from bot.cli.common import keep_what_is_loaded
from bot.domain.ports import Clock, Decide, Delivery, Tx
from bot.store import open_store, upgrade
from tests.support.escalating import house, seed, seed_others
from tests.support.fakes import FakeRoom

COUNT, WITHIN, OTHERS = 10_000, 10.0, 100_000
QUICK = (1000, 1.0, 1000)
PATIENCE = 240.0


def now() -> datetime:
    return datetime.now(UTC)


class Watched:
    """The store, which notes when the decision of each timer is committed."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.decided: dict[str, float] = {}  # key -> s late
        self.batches: list[tuple[int, float]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def settle_timers(self, clock: Clock, limit: int, decide: Decide) -> int:
        taken: list[Delivery] = []

        async def noting(tx: Tx, deliveries: Sequence[Delivery]) -> None:
            taken[:] = deliveries
            await decide(tx, deliveries)

        begun = time.perf_counter()
        count: int = await self._inner.settle_timers(clock, limit, noting)
        at = now()
        for one in taken[:count]:
            self.decided[one.effect.key] = (at - one.effect.due).total_seconds()
        self.batches.append((count, time.perf_counter() - begun))
        return count


class Doorbell(FakeRoom):
    def __init__(self) -> None:
        super().__init__()
        self.rung: dict[int, list[datetime]] = {}

    async def page(self, incident: Any, target: str, level: int, key: str, again: bool, address: str = "") -> str:
        if level == 1:  # what takes longer than twenty seconds is paged elsewhere as well
            self.rung.setdefault(incident.id, []).append(now())
        return "ts"


async def measure(url: str, quick: bool) -> dict[str, Any]:
    count, within, others = QUICK if quick else (COUNT, WITHIN, OTHERS)
    await upgrade(url)
    store = Watched(await open_store(url))
    room = Doorbell()
    try:
        await seed_others(store, others, now() + timedelta(days=1))
        begin = now() + timedelta(seconds=2 + count / 1500)
        dues = [begin + timedelta(seconds=within * number / count) for number in range(count)]
        await seed(store, dues)
        ready = now() <= begin
        made = house(store, now, room.page)  # type: ignore[arg-type]
        keep_what_is_loaded()  # as `tocsin serve` does
        cpu = time.process_time()
        running = asyncio.ensure_future(made.worker.run())
        keys = {f"escalate:{number}:1:0:0" for number in range(1, count + 1)}
        deadline = time.monotonic() + PATIENCE
        decided_cpu = 0.0
        while time.monotonic() < deadline:
            await asyncio.sleep(0.25)
            if not decided_cpu and len(store.decided) >= count:
                decided_cpu = time.process_time() - cpu
                paged_by_then = len(room.rung)
            if len(room.rung) >= count:
                break
        whole = time.process_time() - cpu
        made.worker.stop()
        await running
        waits = [(room.rung[n][0] - dues[n - 1]).total_seconds() for n in room.rung]
        late = [store.decided[key] for key in keys if key in store.decided]
        sizes = [size for size, _ in store.batches if size]
        return {
            "database": url.partition(":")[0],
            "count": count,
            "within_s": within,
            "other_timers": others,
            "seeded_in_time": ready,
            "missed": count - len(late),
            "pages_twice": sum(len(times) > 1 for times in room.rung.values()),
            "pages_missed": count - len(room.rung),
            "decision": spread(late),
            "page": spread(waits),
            "batches": len(sizes),
            "largest_batch": max(sizes, default=0),
            "cpu_s_until_decided": round(decided_cpu, 2),
            "pages_by_then": paged_by_then if decided_cpu else 0,
            "cpu_s": round(whole, 2),
        }
    finally:
        await store.close()
