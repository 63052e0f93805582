"""The order and duplication of deliveries do not matter: any shuffle and repetition of a day ends in the same incidents as its in-order run.

A day is made up by hypothesis: alerts with episodes that do not overlap, each told of by a firing, repeats of it, and a resolve with its end; of some
only one of them is heard. `day.jsonl` is a recorded day, made by recorded_day.py. What shuffles are compared with is one delivery after the other,
in order, with a clock that moves. `reopen_within` is longer than the day, so that each group has one incident whenever its alerts are heard of; how
long a new group waits, and what an inhibition rule finds, is about arrival, so neither is there.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.config import SourceConfig
from bot.domain import effects, oncall_effects
from bot.domain.alert import Alert
from bot.domain.effects import Effect
from bot.domain.flapping import Flapping
from bot.domain.ports import Delivery, Store, Tx
from bot.domain.redaction import Redactor
from bot.domain.routing import Route, Routing
from bot.domain.rules import Rules
from bot.domain.signal import Signal
from bot.domain.silence import Silence
from bot.domain.storm import Storm
from bot.flow.delivery import Record
from bot.flow.intake import Intake
from bot.flow.judging import SILENCES
from bot.flow.worker import Worker
from bot.plugins.sources import alertmanager
from bot.rehearsal.replay_lines import Recording
from bot.store.memory import MemoryStore
from tests.flow.recorded_day import recorded_day
from tests.support.clock import START, HandClock
from tests.support.stores import opened

DAY = Path(__file__).with_name("day.jsonl")
MINUTE = timedelta(minutes=1)
LATEST = timedelta(minutes=10)  # that a delivery is late, or comes again: less than triage.REORDERED
OVER = timedelta(days=3)
NEVER = Flapping(fires=0)

Ending = tuple[dict[str, list[tuple[frozenset[str], bool]]], dict[str, bool]]
"""Per group the alerts of each of its incidents and whether it is open; per alert whether it fires."""


@dataclass(frozen=True)
class Day:
    """`told`: what is sent and when, in order. `silenced`: the alerts of this name are, until two hours after the last."""

    told: tuple[tuple[timedelta, Alert], ...]
    group_by: tuple[str, ...] = ("alertname",)
    silenced: str = ""
    flapping: Flapping = NEVER
    reopen_within: timedelta = timedelta(days=2)

    @property
    def alerts(self) -> list[Alert]:
        return [alert for _, alert in self.told]

    @property
    def ends(self) -> timedelta:
        return self.told[-1][0]

    def rules(self) -> Rules:
        route = Route(group_by=self.group_by, reopen_within=self.reopen_within)
        return Rules(signal=Signal(Routing(route), flapping=self.flapping, storm=Storm(more_than=0)))

    def silence(self) -> Silence:
        matchers, until = (f'alertname="{self.silenced}"',), START + self.ends + timedelta(hours=2)
        begins = START - MINUTE
        return Silence(number=1, matchers=matchers, starts_at=begins, ends_at=until, created_at=begins)


class Play:
    """The real intake over a store, and its timers."""

    def __init__(self, store: Store, day: Day, intakes: int = 1) -> None:
        self.store, self.day, self.clock = store, day, HandClock()
        rules = day.rules()
        self.intakes = [Intake(store, self.clock, lambda: rules) for _ in range(intakes)]
        handlers = {**dict.fromkeys((*effects.KINDS, *oncall_effects.KINDS), unseen), **self.intakes[0].handlers()}
        self.worker = Worker(store, handlers, self.clock, "play", died)

    async def silenced(self) -> None:
        if not self.day.silenced:
            return

        async def work(tx: Tx) -> None:
            await tx.next_id(SILENCES)
            await tx.save_silence(self.day.silence())

        await self.store.write(work)

    async def moved_to(self, at: timedelta) -> None:
        """Let time go by, and everything that comes due on the way."""
        until = START + at
        while (due := await self.store.next_due(self.clock())) is not None and due <= until:
            self.clock.now = max(self.clock.now, due)
            await self.worker.drain()
        self.clock.now = max(self.clock.now, until)

    async def played(self, batches: Iterable[tuple[timedelta, list[list[Alert]]]]) -> Ending:
        """`batches`: when, and what comes in together, each list of them a delivery of its own."""
        await self.silenced()
        async with asyncio.TaskGroup() as tasks:
            for intake in self.intakes:
                tasks.create_task(intake.run())
            for number, (at, together) in enumerate(batches):
                if START + at > self.clock.now:
                    await self.moved_to(at)
                ways = len(self.intakes)
                await asyncio.gather(
                    *(self.intakes[(number + i) % ways].accept(alerts) for i, alerts in enumerate(together))
                )
            await self.moved_to(self.day.ends + OVER)
            for intake in self.intakes:
                intake.stop()
        return await self.store.read(self._ending)

    async def _ending(self, tx: Tx) -> Ending:
        incidents: dict[str, list[tuple[frozenset[str], bool]]] = {}
        for one in await tx.list_incidents(only_open=False, limit=1000):
            keys = frozenset(state.alert.key for state in await tx.alerts_of(one.id, 1000))
            incidents.setdefault(one.group_key, []).append((keys, one.is_open))
        states = await tx.alert_states({alert.key for alert in self.day.alerts})
        return incidents, {key: states[key].alert.firing for key in sorted(states)}


async def unseen(delivery: Delivery) -> Record | None:
    return None


async def died(tx: Tx, effect: Effect, error: str, now: object) -> None:
    raise AssertionError(f"{effect.key}: {error}")


# ------------------------------------------------------------------------------------------------ how a day arrives

Batches = list[tuple[timedelta, list[list[Alert]]]]


def in_order(day: Day) -> Batches:
    return [(at, [[alert]]) for at, alert in day.told]


def in_any_order(day: Day, rng: random.Random) -> Batches:
    """Everything that was sent, most of it more than once, all in a heap after the day: in any order and any portions."""
    copies = [alert for alert in day.alerts for _ in range(rng.choice((1, 1, 2, 3)))]
    rng.shuffle(copies)
    return [(day.ends, together) for together in portions(copies, rng)]


def late(day: Day, rng: random.Random) -> Batches:
    """Every delivery takes its time to come in, and some come twice: the order is kept only as far as ten minutes reach."""
    copies = [(at, alert) for at, alert in day.told for _ in range(rng.choice((1, 1, 2)))]
    arrivals = sorted(((at + rng.random() * LATEST, alert) for at, alert in copies), key=lambda one: one[0])
    return [(at, [[alert]]) for at, alert in arrivals]


def portions(alerts: Sequence[Alert], rng: random.Random) -> list[list[list[Alert]]]:
    """Cut into deliveries of a few alerts, and these into what arrives at the same time."""
    return cut(cut(list(alerts), rng), rng)


def cut(things: list, rng: random.Random) -> list:  # type: ignore[type-arg]
    found, rest = [], things
    while rest:
        size = rng.randint(1, 4)
        found.append(rest[:size])
        rest = rest[size:]
    return found


async def ending(day: Day, batches: Batches, store: Store | None = None, intakes: int = 1) -> Ending:
    return await Play(store or MemoryStore(), day, intakes).played(batches)


# ------------------------------------------------------------------------------------------------ days


@st.composite
def episodes(draw: st.DrawFn, name: str, instance: str) -> list[tuple[timedelta, Alert]]:
    """What is sent of one alert: it fires, goes on firing, and is over; the last time perhaps not."""
    severity = draw(st.sampled_from(("critical", "warning", "info")))
    labels = {"alertname": name, "instance": instance, "severity": severity}
    told: list[tuple[timedelta, Alert]] = []
    begins = timedelta(0)
    spans = draw(st.lists(st.tuples(GAPS, st.integers(1, 60)), min_size=1, max_size=5))
    goes_on = draw(st.booleans())
    for number, (gap, length) in enumerate(spans):
        begins += gap * MINUTE
        over = begins + length * MINUTE
        alert = Alert("am", f"{name}-{instance}", True, labels, {"summary": f"{name} {number}"}, START + begins)
        heard = draw(HEARD)
        last = number == len(spans) - 1
        if heard != "its end" or (last and goes_on):
            told += [(begins + share * (over - begins), alert) for share in draw(SHARES)]
        if not goes_on if last else heard != "its beginning":
            told.append((over, replace(alert, firing=False, ends_at=START + over)))
        begins = over
    return told


GAPS = st.just(0) | st.integers(0, 40)
HEARD = st.sampled_from(("both", "both", "its end", "its beginning"))
SHARES = st.sampled_from(((0,), (0, 0.5), (0, 0.25, 0.75)))
FLAPPING = st.sampled_from(
    (NEVER, Flapping(fires=2, within=timedelta(hours=3)), Flapping(fires=3, calm=timedelta(hours=1)))
)


@st.composite
def days(draw: st.DrawFn) -> Day:
    names = draw(st.lists(st.sampled_from([(a, i) for a in "ABC" for i in "12"]), min_size=1, max_size=4, unique=True))
    told = [one for name, instance in names for one in draw(episodes(name, instance))]
    told.sort(key=lambda one: one[0])  # stable: of one alert, an end stays before a beginning at the same time
    group_by = draw(st.sampled_from((("alertname",), ("instance",), (), ("...",))))
    return Day(tuple(told), group_by, draw(st.sampled_from(("", "A"))), draw(FLAPPING))


SEEDS = st.integers(0, 2**32 - 1)


def told(*spans: tuple[int, int | None]) -> tuple[tuple[timedelta, Alert], ...]:
    """One alert that fires from one minute to the other (None: and goes on)."""
    sent: list[tuple[timedelta, Alert]] = []
    for begins, over in spans:
        alert = Alert("am", "f1", True, {"alertname": "A", "severity": "critical"}, {}, START + begins * MINUTE)
        sent.append((begins * MINUTE, alert))
        if over is not None:
            sent.append((over * MINUTE, replace(alert, firing=False, ends_at=START + over * MINUTE)))
    return tuple(sent)


@pytest.mark.parametrize("silenced", ["", "A"])
@pytest.mark.parametrize("flapping", [NEVER, Flapping(fires=2, within=timedelta(hours=3))], ids=["", "flapping"])
@pytest.mark.parametrize(
    "spans",
    [((0, 10), (10, None)), ((0, 10), (10, 20)), ((0, 10), (20, 30), (40, None))],
    ids=["fires again in the moment in which it was over", "and is over again", "comes back twice"],
)
async def test_every_order_of_what_one_alert_sends_ends_in_the_same(
    spans: tuple[tuple[int, int | None], ...], flapping: Flapping, silenced: str
) -> None:
    day = Day(told(*spans), silenced=silenced, flapping=flapping)
    expected = await ending(day, in_order(day))
    for order in permutations(day.alerts):
        batches = [(day.ends, [[alert]]) for alert in order]
        assert await ending(day, batches) == expected, [(one.firing, one.starts_at) for one in order]


async def test_a_late_copy_of_a_firing_that_was_heard_while_an_earlier_one_seemed_to_go_on_opens_nothing() -> None:
    (_, first), _, (_, second), (_, over) = told((0, 10), (20, 30))
    play = Play(MemoryStore(), Day(told((0, 30)), reopen_within=timedelta(0)))
    incidents, _ = await play.played(
        [(0 * MINUTE, [[first]]), (20 * MINUTE, [[second]]), (30 * MINUTE, [[over]]), (31 * MINUTE, [[second]])]
    )
    assert [len(found) for found in incidents.values()] == [1]


@settings(max_examples=50, deadline=None)
@given(days(), SEEDS, st.sampled_from((1, 2)))
def test_any_order_and_repetition_of_a_day_ends_in_the_same_incidents(day: Day, seed: int, intakes: int) -> None:
    async def work() -> None:
        expected = await ending(day, in_order(day))
        assert await ending(day, in_any_order(day, random.Random(seed)), intakes=intakes) == expected

    asyncio.run(work())


@settings(max_examples=30, deadline=None)
@given(days(), SEEDS)
def test_deliveries_that_are_late_by_some_minutes_or_come_twice_end_in_the_same_incidents(day: Day, seed: int) -> None:
    async def work() -> None:
        assert await ending(day, late(day, random.Random(seed))) == await ending(day, in_order(day))

    asyncio.run(work())


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(days(), SEEDS)
def test_two_replicas_that_share_a_database_make_the_same_of_any_order(day: Day, seed: int) -> None:
    async def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with opened("sqlite", Path(folder)) as store:
                found = await ending(day, in_any_order(day, random.Random(seed)), store, intakes=2)
        assert found == await ending(day, in_order(day))

    asyncio.run(work())


# ------------------------------------------------------------------------------------------------ a recorded day


async def recorded() -> Day:
    sources = {"alertmanager": SourceConfig("alertmanager", "alertmanager", None, alertmanager.Params())}
    recording = Recording(DAY, sources, Redactor())
    told = [(at - START, alert) async for at, alerts in recording.arrivals() for alert in alerts]
    assert not recording.said()
    return Day(tuple(told), ("alertname", "cluster"), flapping=Flapping(fires=3, within=timedelta(hours=2)))


def test_the_recorded_day_is_what_its_generator_makes() -> None:
    assert DAY.read_text(encoding="utf-8") == recorded_day()


async def test_the_recorded_day_ends_in_the_same_incidents_in_twenty_shuffles() -> None:
    day = await recorded()
    expected = await ending(day, in_order(day))
    incidents, firing = expected
    still_open = sum(is_open for found in incidents.values() for _, is_open in found)
    assert (len(incidents), still_open, sum(firing.values())) == (10, 3, 3)
    for seed in range(20):
        assert await ending(day, in_any_order(day, random.Random(seed)), intakes=2) == expected
