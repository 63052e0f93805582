"""A house with rules for signal and noise, and how alerts come and go in it: what the tests of held, flapping and late alerts share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from bot.domain.alert import Alert, AlertState, Received
from bot.domain.inhibition import InhibitRule
from bot.domain.matching import matcher
from bot.domain.passing import Verdict
from bot.domain.ports import Tx
from bot.domain.routing import Route, Routing
from bot.domain.rules import Rules
from bot.domain.signal import Signal
from bot.domain.silence import Silence
from bot.domain.windows import Window
from bot.flow.judging import SILENCES
from bot.store import open_store
from tests.support.clock import HandClock
from tests.support.house import House, rules

NIGHT = Window.model_validate({"between": ["22:00", "08:00"], "zone": "Europe/Berlin"})
NODE = InhibitRule("node down", (matcher("alertname=NodeDown"),), (matcher("alertname=Broken"),), ("node",))


async def house_with(
    route: Route | None = None, clock: HandClock | None = None, given: Rules | None = None, **signal: Any
) -> House:
    """A house with this route and these rules for signal and noise."""
    made = Signal(Routing(route or Route(policy="shop")), **signal)
    return House(await open_store("memory://"), replace(given or rules(), signal=made), clock=clock)


async def silence(house: House, *matchers: str, minutes: float | None = 60, **more: Any) -> Silence:
    """One that begins now, saved as whoever makes one saves it."""
    now = house.clock()

    async def save(tx: Tx) -> Silence:
        known: dict[str, Any] = {
            "starts_at": now,
            "created_at": now,
            "ends_at": minutes and now + timedelta(minutes=minutes),
        }
        made = Silence(
            number=await tx.next_id("silence"), matchers=matchers or ("service=checkout",), **{**known, **more}
        )
        await tx.next_id(SILENCES)
        await tx.save_silence(made)
        return made

    return await house.store.write(save)


async def received(house: House, *alerts: Alert) -> list[str]:
    """The outcomes of one delivery, and all that is due delivered."""
    verdicts = await house.receive(*alerts)
    await house.settle()
    return outcomes(verdicts)


def outcomes(verdicts: Sequence[Verdict]) -> list[str]:
    return [verdict.outcome for verdict in verdicts]


def paged(house: House) -> list[str]:
    return [act[1] for act in house.room.said("page")]


async def state(house: House, fingerprint: str = "f1") -> AlertState:
    return (await house.store.read(lambda tx: tx.alert_states({f"test/{fingerprint}"})))[f"test/{fingerprint}"]


async def log(house: House, fingerprint: str = "f1") -> list[Received]:
    """Oldest first."""
    return list(reversed(await house.store.read(lambda tx: tx.alert_log(f"test/{fingerprint}"))))


async def count(house: House) -> int:
    return len(await house.store.read(lambda tx: tx.list_incidents(only_open=False)))


def over(house: House, one: Alert) -> Alert:
    """The same firing, resolved now."""
    return replace(one, firing=False, ends_at=house.clock())


def node_down(house: House) -> Alert:
    """A source of NODE."""
    return house.alert("NodeDown", fingerprint="node", node="n1", service="nodes")
