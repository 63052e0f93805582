"""Whatever comes in, however it is held, flaps or storms: nothing that fires is forgotten, and when all is over nothing is left open or held."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.alert import Alert, AlertState
from bot.domain.flapping import Flapping
from bot.domain.incident import Incident
from bot.domain.inhibition import Dependencies, Inhibition, InhibitRule
from bot.domain.matching import matcher
from bot.domain.ports import Tx
from bot.domain.quiet import QuietHours
from bot.domain.relabel import Relabel, Relabelling
from bot.domain.routing import Route, Routing
from bot.domain.signal import Signal
from bot.domain.silence import Silence
from bot.domain.storm import Storm
from bot.domain.windows import Window
from bot.flow.judging import SILENCES
from bot.store import open_store
from tests.support.clock import HandClock
from tests.support.house import ADA, House, rules

MORNING = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)  # 07:00 in Berlin: its night is over in an hour
MINUTE = timedelta(minutes=1)
NIGHT = Window.model_validate({"between": ["22:00", "08:00"], "zone": "Europe/Berlin"})
ROOT = Route(
    policy="shop",
    reopen_within=10 * MINUTE,
    routes=(
        Route(path="root/0", key="root/0", matchers=(matcher("severity=warning"),), policy="shop", wait=2 * MINUTE),
        Route(path="root/1", key="root/1", matchers=(matcher("severity=error"),), policy="shop", group_by=("pod",)),
    ),
)
SIGNAL = Signal(
    Routing(ROOT),
    relabelling=Relabelling([Relabel("noise", (matcher("service=noise"),), drop=True)]),
    inhibition=Inhibition(
        [InhibitRule("worse", (matcher("severity=critical"),), (matcher('severity=~"warning|error"'),), ("service",))],
        Dependencies.of({"web": ["db"]}, ["critical"]),
    ),
    flapping=Flapping(fires=3, within=40 * MINUTE, calm=5 * MINUTE),
    quiet=(QuietHours("nights", (NIGHT,), frozenset({"warning"})),),
    storm=Storm(more_than=3, within=5 * MINUTE),
)
SERVICES = ("web", "db", "cart", "web", "cart", "search", "search", "noise")
SEVERITIES = ("critical", "error", "error", "huh", "warning", "error", "info")
PROBLEMS = 14


class Day:
    """A day of alerts that come and go, late, twice, together; people who silence and resolve; and what must hold all the time."""

    drops_come_and_go = False

    def __init__(self, chance: random.Random, house: House) -> None:
        self.chance, self.house = chance, house
        self.firing: dict[str, Alert] = {}
        self.late: list[Alert] = []

    async def step(self) -> None:
        chance, batch = self.chance, list[Alert]()
        late, self.late = self.late, []
        for _ in range(chance.choice((0, 1, 2, 3, 6))):
            number = chance.randrange(PROBLEMS)
            batch += self.fires(number) if f"f{number}" not in self.firing else self.goes_on(f"f{number}")
        for one in late:
            batch.insert(chance.randrange(len(batch) + 1), one)
        if batch:
            await self.house.receive(*batch)
        if chance.random() < 0.05:
            await self.silenced()
        if chance.random() < 0.1:
            await self.resolved_by_hand()
        await self.house.wait(seconds=chance.choice((1, 1, 5, 20, 60, 60, 240, 600)))
        await self.holds()

    def fires(self, number: int) -> list[Alert]:
        labels = {"service": SERVICES[number % len(SERVICES)], "severity": SEVERITIES[number % len(SEVERITIES)]}
        one = self.firing[f"f{number}"] = self.house.alert(
            f"Problem{number % 7}", fingerprint=f"f{number}", pod=str(number), **labels
        )
        if self.chance.random() < 0.1:
            self.late.append(one)
        return [] if one in self.late else [one] * self.chance.choice((1, 1, 2))

    def goes_on(self, fingerprint: str) -> list[Alert]:
        one = self.firing[fingerprint]
        if self.chance.random() < 0.4:
            return [one]
        self.house.clock.forward(seconds=1)  # nothing is over before it has begun
        del self.firing[fingerprint]
        over = replace(one, firing=False, ends_at=self.house.clock())
        return [over] * self.chance.choice((1, 1, 2))

    async def silenced(self) -> None:
        now, chance = self.house.clock(), self.chance

        async def save(tx: Tx) -> None:
            matchers = (chance.choice(("service=web", "severity=critical", 'service=~"db|cart"')),)
            ends = now + chance.choice((1, 7, 60)) * MINUTE
            number = await tx.next_id("silence")
            await tx.next_id(SILENCES)
            await tx.save_silence(
                Silence(number=number, matchers=matchers, starts_at=now, ends_at=ends, created_at=now)
            )

        await self.house.store.write(save)

    async def resolved_by_hand(self) -> None:
        if found := [one for one in await self.incidents() if one.is_open]:
            await self.house.incidents.resolve(self.chance.choice(found).id, ADA, "enough")

    async def incidents(self) -> tuple[Incident, ...]:
        return await self.house.store.read(lambda tx: tx.list_incidents(only_open=False, limit=1000))

    async def holds(self) -> None:
        """One open incident per group; what fires is in an incident, held, or only logged; nothing is due that was not looked at."""
        found = {one.id: one for one in await self.incidents()}
        groups = Counter(one.group_key for one in found.values() if one.is_open)
        assert not [group for group, number in groups.items() if number > 1]
        states = await self.house.store.read(lambda tx: tx.firing_alerts())
        for state in states:
            dropped = state.alert.labels["service"] == "cart" and self.drops_come_and_go
            if state.held is None and state.alert.labels["severity"] != "info" and not dropped:
                assert state.incident_id in found, state
        assert await self.house.store.read(lambda tx: tx.due_again(self.house.clock())) == ()
        assert await self.house.store.read(lambda tx: tx.dead()) == ()

    async def ends(self) -> None:
        """All that was sent late arrives, all resolves, the silences end, flaps become calm."""
        self.house.clock.forward(seconds=1)
        over = [replace(one, firing=False, ends_at=self.house.clock()) for one in self.firing.values()]
        await self.house.receive(*self.late, *over) if self.late or over else None
        for _ in range(30):
            await self.house.wait(minutes=10)
            await self.holds()
        assert [one.ref for one in await self.incidents() if one.is_open] == []
        assert await self.house.store.read(lambda tx: tx.held_alerts()) == ()
        assert await self.house.store.read(lambda tx: tx.firing_alerts()) == ()
        standing = {key for state in await self.states() for key in state.inhibits}
        assert standing == set()

    async def states(self) -> list[AlertState]:
        found = await self.house.store.read(
            lambda tx: tx.alert_states({f"test/f{number}" for number in range(PROBLEMS)})
        )
        return list(found.values())


@pytest.mark.parametrize("seed", [0, 1, 2, 54, 66, 1054])  # the last three found something once
async def test_nothing_is_forgotten_and_in_the_end_nothing_is_left(seed: int) -> None:
    day = Day(random.Random(seed), House(await open_store("memory://"), rules(signal=SIGNAL), clock=HandClock(MORNING)))
    for _ in range(40):
        await day.step()
    await day.ends()
    assert len(await day.incidents()) > 3, "there was something"


class RestlessDay(Day):
    """Alerts become worse while they fire, people acknowledge, incidents are closed, and a rule that drops comes and goes with a reload."""

    drops_come_and_go = True

    async def step(self) -> None:
        chance, house = self.chance, self.house
        if chance.random() < 0.2 and (found := [one for one in await self.incidents() if one.is_open]):
            await house.incidents.acknowledge(chance.choice(found).id, ADA)
        if chance.random() < 0.1:
            await self.reloaded(drops=len(house.rules.signal.relabelling.rules) == 1)
        await house.housekeeping.tidy()
        await super().step()

    def goes_on(self, fingerprint: str) -> list[Alert]:
        if self.chance.random() < 0.2:
            one = self.firing[fingerprint]
            severity = self.chance.choice(("error", "critical"))
            self.firing[fingerprint] = replace(one, labels={**one.labels, "severity": severity})
        return super().goes_on(fingerprint)

    async def reloaded(self, *, drops: bool) -> None:
        signal, rule = self.house.rules.signal, Relabel("cart", (matcher("service=cart"),), drop=True)
        relabelling = Relabelling([*SIGNAL.relabelling.rules, *([rule] if drops else [])])
        self.house.rules = replace(self.house.rules, signal=replace(signal, relabelling=relabelling))
        await self.house.intake.look_again_at_everything()
        await self.house.settle()

    async def holds(self) -> None:
        """Also: an incident counts the alerts that fire in it, and what flaps; it is open only while there are any."""
        await super().holds()
        counted = Counter(one.incident_id for one in await self.states() if one.alert.firing or one.calm_at)
        for incident in await self.incidents():
            if incident.is_open:
                assert incident.firing == counted[incident.id] > 0, incident.ref

    async def ends(self) -> None:
        await self.reloaded(drops=False)
        await super().ends()


@pytest.mark.parametrize("seed", range(4))
async def test_rules_that_change_and_alerts_that_become_worse_leave_nothing_either(seed: int) -> None:
    given = House(await open_store("memory://"), rules(signal=SIGNAL), clock=HandClock(MORNING))
    day = RestlessDay(random.Random(seed), given)
    for _ in range(30):
        await day.step()
    await day.ends()
