"""The wall clock jumps, also twice and in the middle of everything: what is due after some time fires once, after that time; what is due at a time
of day fires at that time. Time is moved by hand; the store and what takes from it are the real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bot.clients.steady_clock import GROWN_UP, JUMP, SteadyClock
from bot.domain.effects import Effect, Priority
from bot.domain.ports import Delivery, Settled, Store, Tx
from bot.flow.timers import Timers
from bot.flow.worker import LEASE, Worker
from bot.store import open_store
from bot.store.postgres import PostgresStore
from tests.support.stores import KINDS, make_url, opened

pytestmark = pytest.mark.chaos

START = datetime(2026, 3, 2, 3, tzinfo=UTC)
STEP = 20.0  # s from one look to the next
DUE = 300.0
HOUR, DAY = 3600.0, 86400.0


class Nature:
    """What really passes (`seconds`, as CLOCK_BOOTTIME has it), and what clocks say."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.jumped = 0.0
        self.database_jumped = 0.0

    def wall(self) -> datetime:
        return START + timedelta(seconds=self.seconds + self.jumped)

    def database(self) -> datetime:
        return START + timedelta(seconds=self.seconds + self.database_jumped)

    def boottime(self) -> float:
        return self.seconds


class WithClock:
    """A store whose database has this clock."""

    def __init__(self, inner: Store, clock: Callable[[], datetime]) -> None:
        self._inner = inner
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def clock(self) -> datetime:
        return self._clock()


class Program:
    """One life of a program that delivers; `fired` has what was delivered and after how many seconds."""

    def __init__(
        self, store: Any, nature: Nature, name: str = "one", fired: list[tuple[str, float]] | None = None
    ) -> None:
        self.store = store
        self.nature = nature
        self.stood_still = 0.0
        self.fired: list[tuple[str, float]] = [] if fired is None else fired
        self.clock = SteadyClock(nature.wall, lambda: nature.seconds - self.stood_still, "this boot")
        handlers = dict.fromkeys(("escalate", "page", "digest", "say"), self.fire)
        self.worker = Worker(store, handlers, self.clock, name, _never_dead)
        self.timers = Timers(store, handlers, self.clock)

    async def fire(self, delivery: Delivery) -> None:
        self.fired.append((delivery.effect.key, self.nature.seconds))

    async def ask(self, kind: str, after: float = DUE, key: str = "") -> None:
        priority = Priority.TIMER if kind == "escalate" else Priority.PAGE
        name = key or kind
        due = self.clock() + timedelta(seconds=after)
        effect = Effect(kind=kind, key=name, lane=name, priority=priority, due=due)
        await self.store.write(lambda tx: tx.ask([effect]))

    async def deliver(self) -> None:
        while await self.timers.pause() == 0:
            before = len(self.fired)
            await self.timers.settle_due()
            if len(self.fired) == before:
                break
        await self.worker.drain()

    async def step(self, seconds: float = STEP) -> None:
        self.nature.seconds += seconds
        await self.deliver()  # what a worker does before anybody has noticed a jump
        await self.clock.check(self.store)
        await self.deliver()


async def _never_dead(tx: Tx, effect: Effect, error: str, now: datetime) -> None:
    raise AssertionError(error)


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Store]:
    async with opened(request.param, folder) as made:
        yield made


Jumps = tuple[tuple[float, float], ...]  # (after so many seconds, by so many)
CASES: dict[str, Jumps] = {
    "an hour forward at once": ((0, HOUR),),
    "an hour back at once": ((0, -HOUR),),
    "an hour forward half-way": ((140, HOUR),),
    "an hour back half-way": ((140, -HOUR),),
    "a day forward just before": ((280, DAY),),
    "a day back just before": ((280, -DAY),),
    "a little forward": ((140, 3),),
    "a little back": ((140, -3),),
    "forward twice": ((60, HOUR), (200, HOUR)),
    "back twice": ((60, -HOUR), (200, -DAY)),
    "forth and back": ((60, HOUR), (200, -HOUR)),
    "back and forth in one look": ((60, -HOUR), (60, HOUR)),
    "back and forth": ((60, -DAY), (80, DAY)),
    "each time": tuple((at, HOUR if at % 40 else -DAY) for at in range(0, 300, 20)),
}


async def run(program: Program, jumps: Jumps, until: float = DUE + 3 * STEP) -> float:
    begun = program.nature.seconds
    waiting = list(jumps)
    while program.nature.seconds - begun < until:
        while waiting and waiting[0][0] <= program.nature.seconds - begun:
            program.nature.jumped += waiting.pop(0)[1]
        await program.step()
    return begun


@pytest.mark.parametrize("case", CASES)
async def test_what_is_due_after_some_time_fires_once_after_that_time(store: Store, case: str) -> None:
    nature = Nature()
    program = Program(WithClock(store, nature.wall) if isinstance(store, PostgresStore) else store, nature)
    await program.clock.begin(program.store)
    for kind in ("escalate", "page"):
        await program.ask(kind)
    begun = await run(program, CASES[case])
    after = {key: seconds - begun for key, seconds in program.fired}
    assert sorted(key for key, _ in program.fired) == ["escalate", "page"], "each once"
    assert all(DUE <= seconds <= DUE + STEP for seconds in after.values()), after
    assert abs(program.clock() - nature.wall()) <= JUMP, "the program has followed"


async def test_what_is_due_at_a_time_of_day_stays_there(store: Store) -> None:
    nature = Nature()
    program = Program(store if not isinstance(store, PostgresStore) else WithClock(store, nature.wall), nature)
    await program.clock.begin(program.store)
    await program.ask("digest", after=2 * HOUR)
    due = nature.wall() + timedelta(hours=2)
    nature.jumped += HOUR
    for _ in range(10):
        await program.step(HOUR / 6)
        if program.fired:
            break
    assert [key for key, _ in program.fired] == ["digest"]
    assert due <= nature.wall() <= due + timedelta(seconds=HOUR / 6)


@pytest.mark.parametrize("jump", [HOUR, -HOUR, DAY, -DAY])
async def test_a_lease_lasts_as_long_as_it_would_have(store: Store, jump: float) -> None:
    """Somebody took it and died: it is taken over when the lease ends, neither at once nor in a day."""
    nature = Nature()
    program = Program(store if not isinstance(store, PostgresStore) else WithClock(store, nature.wall), nature)
    await program.clock.begin(program.store)
    await program.ask("page", after=0)
    now = program.clock()
    assert len(await program.store.claim("dead", now, now + LEASE, 1)) == 1
    begun = nature.seconds
    nature.jumped += jump
    while nature.seconds - begun < 15:
        await program.step(1.0)
    (fired,) = program.fired
    assert LEASE.total_seconds() <= fired[1] - begun <= LEASE.total_seconds() + 1


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_a_jump_between_taking_and_settling_repeats_nothing(store: Store, jump: float) -> None:
    nature = Nature()
    program = Program(store if not isinstance(store, PostgresStore) else WithClock(store, nature.wall), nature)
    await program.clock.begin(program.store)
    for key in ("page", "say"):
        await program.ask("page", after=0, key=key)
    now = program.clock()
    page, say = await program.store.claim("one", now, now + LEASE, 2)
    nature.jumped += jump
    await program.clock.check(program.store)
    again = program.clock() + timedelta(seconds=30)
    assert await program.store.write(lambda tx: tx.settle(page, Settled("done"), program.clock()))
    assert await program.store.write(lambda tx: tx.settle(say, Settled("later", again), program.clock()))
    begun = nature.seconds
    for _ in range(5):
        await program.step(10)
    assert [key for key, _ in program.fired] == ["say"]
    assert 30 <= program.fired[0][1] - begun <= 40


async def test_what_came_due_while_the_machine_slept_fires_at_once_and_once(store: Store) -> None:
    """CLOCK_BOOTTIME goes on during a suspension, and so does the wall clock."""
    nature = Nature()
    program = Program(store if not isinstance(store, PostgresStore) else WithClock(store, nature.wall), nature)
    await program.clock.begin(program.store)
    for kind in ("escalate", "page"):
        await program.ask(kind)
    await program.step(8 * HOUR)
    await program.step()
    assert sorted(key for key, _ in program.fired) == ["escalate", "page"]


@pytest.mark.parametrize("jump", [HOUR, -HOUR, DAY])
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_jump_while_nothing_runs_is_made_up_for_at_the_start(folder: Path, kind: str, jump: float) -> None:
    async with opened(kind, folder) as store:
        nature = Nature()
        first = Program(store, nature)
        await first.clock.begin(store)
        for name in ("escalate", "page"):
            await first.ask(name)
        begun = nature.seconds
        await first.step()
        nature.jumped += jump
        nature.seconds += 100
        second = Program(store, nature)
        await second.clock.begin(store)
        while nature.seconds - begun < DUE + 2 * STEP:
            await second.step()
        assert sorted(key for key, _ in second.fired) == ["escalate", "page"]
        assert all(DUE <= seconds - begun <= DUE + STEP for _, seconds in second.fired)


@pytest.mark.parametrize(
    "month", [datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 10, 24, 23, tzinfo=UTC)], ids=["spring", "autumn"]
)
async def test_the_two_nights_on_which_clocks_are_put_forward_and_back_change_nothing(
    folder: Path, month: datetime
) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    async with opened("memory", folder) as store:
        nature = Nature()
        program = Program(store, nature)
        program.clock = clock = SteadyClock(
            lambda: (month + timedelta(seconds=nature.seconds)).astimezone(berlin), nature.boottime, "boot"
        )
        program.timers = Timers(store, {"escalate": program.fire}, clock)
        program.worker._clock = clock
        await clock.begin(store)
        begun, first = nature.seconds, clock()
        await program.ask("escalate", after=4 * HOUR)
        while nature.seconds - begun < 5 * HOUR:
            await program.step(HOUR / 4)
            assert clock() - first == timedelta(seconds=nature.seconds - begun)
        assert [(key, seconds - begun) for key, seconds in program.fired] == [("escalate", 4 * HOUR)]


async def test_small_differences_are_made_up_for_slowly_and_never_backwards(folder: Path) -> None:
    async with opened("memory", folder) as store:
        nature = Nature()
        clock = SteadyClock(nature.wall, nature.boottime, "boot")
        await clock.begin(store)
        for by in (1.5, -1.9):
            nature.jumped += by
            before = clock()
            for _ in range(120):
                nature.seconds += 1
                await clock.check(store)
                passed = (clock() - before).total_seconds()
                assert 0.97 <= passed <= 1.03
                before = clock()
            assert abs(clock() - nature.wall()) < timedelta(milliseconds=10)


# ------------------------------------------------------------------------------------------------ replicas


@pytest.fixture
async def replicas(folder: Path) -> AsyncIterator[tuple[Nature, Program, Program]]:
    url = await make_url("postgres", folder)
    nature = Nature()
    one, two = await open_store(url), await open_store(url)
    fired: list[tuple[str, float]] = []
    made = [Program(WithClock(store, nature.database), nature, name, fired) for store, name in ((one, "1"), (two, "2"))]
    for program in made:
        await program.clock.begin(program.store)
    yield nature, made[0], made[1]
    await one.close()
    await two.close()


@pytest.mark.parametrize("jump", [HOUR, -HOUR, DAY, -DAY])
async def test_when_the_database_s_clock_jumps_one_replica_moves_the_timers(
    replicas: tuple[Nature, Program, Program], jump: float
) -> None:
    nature, one, two = replicas
    begun = nature.seconds
    for kind in ("escalate", "page"):
        await one.ask(kind)
    nature.database_jumped += jump
    nature.jumped -= 7 * HOUR  # the machine's own clock does not matter
    while nature.seconds - begun < DUE + 2 * STEP:
        await one.step()
        await two.deliver()  # the second looks later, and takes nothing by the time of before
        await two.step(0)
    assert sorted(key for key, _ in one.fired) == ["escalate", "page"]
    assert all(DUE <= seconds - begun <= DUE + STEP for _, seconds in one.fired), one.fired
    for program in (one, two):
        assert abs(program.clock() - nature.database()) <= JUMP


async def test_a_replica_that_has_not_followed_a_jump_takes_nothing(replicas: tuple[Nature, Program, Program]) -> None:
    nature, one, two = replicas
    for kind in ("escalate", "page"):
        await one.ask(kind)
    nature.database_jumped -= HOUR
    await one.clock.check(one.store)
    await two.deliver()
    assert two.fired == [], "by its clock they are due"
    await two.clock.check(two.store)
    nature.seconds += DUE
    await two.deliver()
    assert sorted(key for key, _ in two.fired) == ["escalate", "page"]


async def test_a_machine_that_stood_still_moves_nobody_s_timers(replicas: tuple[Nature, Program, Program]) -> None:
    """Stopped whole by its host, so that not even CLOCK_BOOTTIME went on."""
    nature, one, two = replicas
    for _ in range(int(GROWN_UP / STEP) + 1):
        await one.step()
        await two.step(0)
    await one.ask("escalate", after=HOUR)
    asked = nature.seconds
    for _ in range(10):
        await one.step()
    two.stood_still = 10 * STEP
    await two.step(0)
    assert abs(two.clock() - nature.database()) <= JUMP
    await one.step(HOUR - (nature.seconds - asked))
    assert [(key, seconds - asked) for key, seconds in one.fired] == [("escalate", HOUR)]
