"""What runs of runbooks cost, in one process over SQLite (synchronous=FULL), with an outside world that answers at once. Used by run.py.

The engine, the templates, the expressions, the store and the worker are the real ones; the action counts numbers, and Slack is not called.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from bench.figures import spread
from bot.clients.expressions import CelExpressions
from bot.clients.render import JinjaTemplates
from bot.domain import effects, lifecycle
from bot.domain.alert import Alert
from bot.domain.allowance import Allowance
from bot.domain.expand import begun
from bot.domain.incident import Incident
from bot.domain.lifecycle import Opening
from bot.domain.people import Actor, Directory, Person
from bot.domain.plan import Diff, Plan, Target, Undo
from bot.domain.policy import Policy
from bot.domain.ports import Delivery, Store
from bot.domain.routing import Route
from bot.domain.rules import Rules
from bot.domain.runbook import Runbook
from bot.domain.step import StepState
from bot.flow.advance import Advance
from bot.flow.decisions import Decisions
from bot.flow.seeing import Sight
from bot.flow.telling import saved, up_now
from bot.flow.worker import Worker
from bot.store import open_store

ADA = Actor(id="ada", name="Ada")
OPEN_RUNS = 1000
NO_SLACK = [kind for kind in effects.KINDS if kind != "advance_run"]


class Params(BaseModel):
    name: str
    to: int


class Count:
    """Sets a number in `world`, and notes when it did."""

    way: Literal["acts"] = "acts"
    writes = True
    observable = True
    risk: Literal["none", "low", "high"] = "low"

    def __init__(self) -> None:
        self.Params: type[BaseModel] = Params
        self.world: dict[str, int] = {}
        self.done: dict[str, float] = {}
        self.looked: set[str] = set()

    def repeatable(self, params: Params) -> bool:
        return True

    def target(self, params: Params) -> Target:
        return Target(action="bench.count", name=params.name)

    async def look(self, params: Params) -> dict[str, Any]:
        self.looked.add(params.name)
        return {"value": self.world.get(params.name, 0)}

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        if state["value"] == params.to:
            return Plan(target=params.name)
        diff = Diff(what="value", before=str(state["value"]), after=str(params.to))
        return Plan(target=params.name, diffs=(diff,))

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        self.world[params.name] = params.to
        self.done[params.name] = time.perf_counter()
        return {}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        return None if state["value"] == params.to else "not yet"

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Params) -> Undo | None:
        return None

    def facts(self, given: Mapping[str, Any], params: Params) -> dict[str, Any]:
        return {"value": 0}

    def after(self, state: Mapping[str, Any], plan: Plan, params: Params) -> dict[str, Any]:
        return {"value": params.to}


def book(steps: int) -> Runbook:
    step = {"action": "bench.count", "with": {"name": "{{ run.ref }}-{{ params.n }}", "to": "1"}}
    return Runbook.model_validate(
        {
            "name": "bench",
            "title": "Bench",
            "params": {"n": {"type": "integer", "default": 0}},
            "mitigates": False,
            "steps": [
                {"id": f"s{n}", "if": "params.n >= 0", **step, "with": {**step["with"], "to": str(n + 1)}}
                for n in range(steps)
            ],  # type: ignore[dict-item]
        }
    )


def now() -> datetime:
    return datetime.now(UTC)


async def nothing(delivery: Delivery) -> None:
    return None


class Engine:
    """The engine over one database."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.action = Count()
        people = {"ada": Person(key="ada", name="Ada")}
        allow = (Allowance(actions=("bench.*",), unattended=True),)
        rules = Rules(directory=Directory(people=people, roles={"responders": ("ada",)}), actions=Policy(allow=allow))
        self.decisions = Decisions(store, now, lambda: rules, str)
        sight = Sight({"bench.count": self.action}, JinjaTemplates(), CelExpressions(), lambda: rules)
        advance = Advance(store, now, lambda: rules, sight, str)
        handlers = {**dict.fromkeys(NO_SLACK, nothing), "show_run": self._shown, **advance.handlers()}
        self.waits: asyncio.Queue[tuple[int, str, str]] = asyncio.Queue()
        self.over: asyncio.Queue[int] = asyncio.Queue()
        self._asked: set[tuple[int, str]] = set()
        self.worker = Worker(store, handlers, now, "bench", _died)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(self.worker.run())
            try:
                yield
            finally:
                self.worker.stop()
                await running

    async def incident(self) -> Incident:
        alert = Alert("bench", "f", True, {"alertname": "Bench"}, {}, now(), None)
        change = lifecycle.opened(1, [alert], Opening("g", {}, "warning", (), Route()), now())
        await self.store.write(lambda tx: tx.save(change))
        return change.incident

    async def begin(self, count: int, steps: int) -> list[int]:
        """So many runs, saved in a few commits."""
        numbers: list[int] = []
        runbook = book(steps)

        async def work(tx: Any) -> list[int]:
            incident = await tx.incident(1)
            made = []
            for _ in range(min(count, 50)):
                run = begun(await tx.next_id("run"), incident, runbook, {"n": 0}, ADA, now())
                incident = await saved(tx, incident, run, now(), due=up_now(run, now()))
                made.append(run.id)
            return made

        while len(numbers) < count:
            numbers += await self.store.write(work)
        return numbers

    async def _shown(self, delivery: Delivery) -> None:
        """What people would see: a plan that waits for them, or the end."""
        run = await self.store.read(lambda tx: tx.run(delivery.effect.payload["run_id"]))
        assert run is not None
        if run.ended:
            self.over.put_nowait(run.id)
        step = run.current
        if step.state is StepState.WAITING and step.plan is not None and (run.id, step.id) not in self._asked:
            self._asked.add((run.id, step.id))
            self.waits.put_nowait((run.id, step.id, step.plan.digest))

    async def click_everything(self) -> None:
        """Approve whatever waits, as soon as it does."""
        while True:
            run_id, step, digest = await self.waits.get()
            await self.decisions.approve(run_id, step, digest, ADA)

    async def rested(self) -> None:
        """Until nothing is due any more."""
        while any(one.due for one in await self.store.backlog(now())):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _died(tx: Any, effect: Any, error: str, at: datetime) -> None:
    raise AssertionError(f"{effect.key}: {error}")


async def measure(folder: Path, quick: bool) -> dict[str, Any]:
    """All figures about runs; times in milliseconds unless they say seconds."""
    count = 15 if quick else 200
    clicks, steps = await _clicks(folder / "clicks.db", 20 if quick else 100)
    return {
        "click_to_act": clicks,
        "step_ms": steps,
        "runs_per_second": await _throughput(folder / "many.db", count),
        "resume": await _resume(folder / "crash.db", OPEN_RUNS // 5 if quick else OPEN_RUNS),
    }


async def _clicks(file: Path, count: int) -> tuple[dict[str, float | None], float]:
    """From a click on Approve to the call of the outside world, one run at a time; and what one step costs from planning to verified."""
    store = await open_store(f"sqlite:///{file}")
    engine, waits, whole = Engine(store), [], []
    await engine.incident()
    async with engine.working():
        await engine.begin(count, 1)
        await engine.rested()
        for _ in range(count):
            run_id, step, digest = await engine.waits.get()
            started = time.perf_counter()
            await engine.decisions.approve(run_id, step, digest, ADA)
            await engine.over.get()
            waits.append(engine.action.done[f"RUN-{run_id}-0"] - started)
            whole.append(time.perf_counter() - started)
    await store.close()
    return spread(waits), round(sorted(whole)[len(whole) // 2] * 1000, 2)


async def _throughput(file: Path, count: int) -> float:
    """Runs of three steps a second, approved as soon as they ask, all at once."""
    store = await open_store(f"sqlite:///{file}")
    engine = Engine(store)
    await engine.incident()

    async with engine.working():
        await engine.begin(count, 3)
        started, ended = time.perf_counter(), 0
        async with asyncio.TaskGroup() as tasks:
            clicking = tasks.create_task(engine.click_everything())
            while ended < count:
                await engine.over.get()
                ended += 1
            clicking.cancel()
        taken = time.perf_counter() - started
    await store.close()
    return round(count / taken, 1)


async def _resume(file: Path, count: int) -> dict[str, float]:
    """After a crash with so many runs that were planning, all leased: how long a new process needs to have looked at each, and to be at rest."""
    store = await open_store(f"sqlite:///{file}")
    engine = Engine(store)
    await engine.incident()
    await engine.begin(count, 1)
    while await store.claim("bench", now(), now() + timedelta(hours=1), 200):
        pass
    await store.close()
    started = time.perf_counter()
    store = await open_store(f"sqlite:///{file}")
    engine = Engine(store)
    await engine.worker.take_back()
    async with engine.working():
        while len(engine.action.looked) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        looked = time.perf_counter() - started
        await engine.rested()
        rest = time.perf_counter() - started
    await store.close()
    return {"runs": count, "all_seen_s": round(looked, 2), "at_rest_s": round(rest, 2)}
