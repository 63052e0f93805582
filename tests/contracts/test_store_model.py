"""The outbox of each database against the one in memory, whatever is done to it in whatever order (hypothesis)."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import delete

from bot.domain.effects import Effect, Priority
from bot.domain.ports import Delivery, Settled, Store
from bot.store import open_store
from bot.store.memory import MemoryStore
from bot.store.tables import metadata
from tests.support.stores import SQL_KINDS, make_url

T = TypeVar("T")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LEASE = 20 * SECOND

KEYS = {
    "card:1": "incident:1",
    "say:1": "incident:1",
    "topic:1": "incident:1",
    "card:2": "incident:2",
    "say:2": "incident:2",
    "run": "run",
}
LATEST = {"card:1", "topic:1", "card:2", "run"}
seconds = st.integers(-5, 40)
owners = st.sampled_from(["one", "two"])


def shown(delivery: Delivery) -> tuple[Any, ...]:
    """All but the number of the row, which the database gives."""
    return (delivery.effect, delivery.attempts, delivery.again, delivery.asked_at, delivery.generation, delivery.owner)


class Outbox(RuleBasedStateMachine):
    """`store` and `run` are set by the test: one database, emptied before each example."""

    store: Store
    run: Callable[[Coroutine[Any, Any, Any]], Any]

    @initialize()
    def empty(self) -> None:
        self.memory = MemoryStore()
        self.now = START
        self.pairs: list[tuple[Delivery, Delivery]] = []

        def wipe(conn: Any) -> None:
            for table in reversed(metadata.sorted_tables):
                conn.execute(delete(table))

        self.run(self.store.write(lambda tx: tx.look(wipe)))  # type: ignore[attr-defined]

    def both(self, act: Callable[[Store], Coroutine[Any, Any, T]]) -> tuple[T, T]:
        return self.run(act(self.memory)), self.run(act(self.store))

    def same(self, act: Callable[[Store], Coroutine[Any, Any, Any]]) -> None:
        expected, found = self.both(act)
        assert found == expected

    @rule(
        asked=st.lists(
            st.tuples(st.sampled_from(sorted(KEYS)), seconds, st.sampled_from(Priority), st.integers(0, 9)),
            min_size=1,
            max_size=5,
        )
    )
    def ask(self, asked: list[tuple[str, int, Priority, int]]) -> None:
        effects = [
            Effect(
                kind=key.partition(":")[0],
                key=key,
                lane=KEYS[key],
                priority=priority,
                due=self.now + after * SECOND,
                payload={"version": version},
                latest_wins=key in LATEST,
            )
            for key, after, priority, version in asked
        ]
        self.same(lambda store: store.write(lambda tx: tx.ask(effects)))

    @rule(owner=owners, limit=st.integers(1, 4))
    def claim(self, owner: str, limit: int) -> None:
        expected, found = self.both(lambda store: store.claim(owner, self.now, self.now + LEASE, limit))
        assert [shown(one) for one in found] == [shown(one) for one in expected]
        self.pairs += zip(expected, found, strict=True)

    @rule(data=st.data(), outcome=st.sampled_from(["done", "later", "dead"]), after=seconds, unsure=st.booleans())
    def settle(self, data: st.DataObject, outcome: Any, after: int, unsure: bool) -> None:
        """Any delivery that was ever made: also one that has lost its lease, or was settled before."""
        if not self.pairs:
            return
        expected, found = data.draw(st.sampled_from(self.pairs))
        due = self.now + after * SECOND if outcome == "later" else None
        settled = Settled(outcome, due, "why" if outcome != "done" else "", unsure)
        in_memory = self.run(self.memory.write(lambda tx: tx.settle(expected, settled, self.now)))
        in_database = self.run(self.store.write(lambda tx: tx.settle(found, settled, self.now)))
        assert in_database == in_memory

    @rule()
    def renew(self) -> None:
        until = self.now + LEASE
        in_memory = self.run(self.memory.renew([one for one, _ in self.pairs], until))
        in_database = self.run(self.store.renew([one for _, one in self.pairs], until))
        assert [two.id in in_database for _, two in self.pairs] == [one.id in in_memory for one, _ in self.pairs]

    @rule(owner=owners)
    def release(self, owner: str) -> None:
        self.same(lambda store: store.release(owner, self.now))

    @rule(after=st.integers(1, 30))
    def time_passes(self, after: int) -> None:
        self.now += after * SECOND

    @rule(ago=st.integers(0, 30), limit=st.integers(1, 3))
    def prune(self, ago: int, limit: int) -> None:
        self.same(lambda store: store.prune(self.now - ago * SECOND, limit))

    @rule(ago=st.integers(0, 30), limit=st.integers(1, 3))
    def prune_log(self, ago: int, limit: int) -> None:
        self.same(lambda store: store.prune_log(self.now - ago * SECOND, limit))

    @invariant()
    def looks_the_same(self) -> None:
        if hasattr(self, "memory"):
            self.same(lambda store: store.next_due(self.now))
            self.same(lambda store: store.backlog(self.now))
            self.same(lambda store: store.read(lambda tx: tx.dead()))


@pytest.fixture(params=SQL_KINDS)
def machine(request: pytest.FixtureRequest) -> Iterator[type[Outbox]]:
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:

        async def begin() -> Store:
            return await open_store(await make_url(request.param, Path(folder)))

        store = runner.run(begin())
        yield type("Outbox", (Outbox,), {"store": store, "run": staticmethod(runner.run)})
        runner.run(store.close())


def test_the_outbox_of_a_database_does_what_the_one_in_memory_does(machine: type[Outbox]) -> None:
    checked = settings(
        max_examples=25,
        stateful_step_count=30,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    run_state_machine_as_test(machine, settings=checked)
