"""Intake: what one delivery costs another, and what makes a delivery good once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.domain.alert import OnceOnly
from bot.domain.incoming import Acknowledged
from bot.domain.inhibition import Inhibition, InhibitRule
from bot.domain.matching import matcher
from bot.domain.routing import Route, Routing
from bot.domain.signal import Signal
from bot.errors import Overloaded, Replayed
from bot.flow.intake import MOST_AT_A_LOOK, Intake
from tests.support.house import House, rules
from tests.support.stores import opened


@pytest.fixture(params=["memory", "sqlite"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    async with opened(request.param, tmp_path) as store:
        one = House(store)
        running = asyncio.create_task(one.intake.run())
        yield one
        running.cancel()


async def test_a_signed_delivery_is_taken_once_and_its_neighbours_in_the_same_commit_are_kept(house: House) -> None:
    signed = OnceOnly("signature:1", house.clock() + timedelta(minutes=10))
    first, again, other = await asyncio.gather(
        house.intake.accept([house.alert()], signed),
        house.intake.accept([house.alert()], signed),
        house.intake.accept([house.alert(name="Other", fingerprint="f2")]),
        return_exceptions=True,
    )
    assert isinstance(again, Replayed)
    assert not isinstance(first, BaseException)
    assert not isinstance(other, BaseException)
    assert [verdict.outcome for verdict in (*first, *other)] == ["opened", "opened"]
    with pytest.raises(Replayed):
        await house.intake.accept([house.alert(firing=False)], signed)
    assert (await house.incident(1)).is_open


async def test_a_signature_is_not_used_up_when_its_alerts_could_not_be_kept(house: House) -> None:
    signed = OnceOnly("signature:1", house.clock() + timedelta(minutes=10))
    poisoned = house.alert(name="Broken")
    object.__setattr__(poisoned, "labels", None)
    (failed,) = await asyncio.gather(house.intake.accept([poisoned], signed), return_exceptions=True)
    assert isinstance(failed, AttributeError)
    (verdict,) = await house.intake.accept([house.alert()], signed)
    assert verdict.outcome == "opened"


async def test_a_poisoned_delivery_costs_nobody_else(house: House) -> None:
    poisoned = house.alert(fingerprint="f2")
    object.__setattr__(poisoned, "labels", None)
    good, bad = await asyncio.gather(
        house.intake.accept([house.alert()]), house.intake.accept([poisoned]), return_exceptions=True
    )
    assert isinstance(bad, Exception)
    assert not isinstance(good, BaseException)
    assert good[0].outcome == "opened"


async def test_a_full_queue_is_refused_at_once_and_nothing_of_it_is_kept(house: House) -> None:
    small = Intake(house.store, house.clock, lambda: house.rules, limit=2)
    waiting = [asyncio.create_task(small.accept([house.alert(fingerprint=f"f{n}")])) for n in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await small.accept([house.alert(fingerprint="f9")])
    running = asyncio.create_task(small.run())
    await asyncio.gather(*waiting)
    small.stop()
    await running
    states = await house.store.read(lambda tx: tx.alert_states({"test/f0", "test/f1", "test/f9"}))
    assert sorted(states) == ["test/f0", "test/f1"]


async def test_deliveries_of_one_commit_see_what_the_ones_before_them_have_opened(house: House) -> None:
    deliveries = [house.intake.accept([house.alert(fingerprint=f"f{n}", pod=str(n))]) for n in range(3)]
    answers = await asyncio.gather(*deliveries, house.intake.accept([house.alert(fingerprint="f0", pod="0")]))
    assert [verdict.outcome for (verdict,) in answers] == ["opened", "joined", "joined", "repeated"]
    assert {verdict.incident_id for (verdict,) in answers} == {1}
    assert (await house.incident()).firing == 3


async def test_however_many_are_held_all_are_looked_at_again(house: House) -> None:
    many = MOST_AT_A_LOOK + 3
    house.rules = rules(signal=Signal(Routing(Route(policy="shop", wait=timedelta(minutes=1)))))
    await house.intake.accept([house.alert(fingerprint=f"f{n}", pod=str(n)) for n in range(many)])
    await house.wait(minutes=1)
    assert (await house.incident()).firing == many
    assert await house.store.read(lambda tx: tx.due_again(house.clock())) == ()


async def test_an_acknowledgement_of_several_alerts_of_one_incident_is_one(house: House) -> None:
    await house.intake.accept([house.alert(), house.alert(fingerprint="f2", pod="b")])
    assert await house.intake.acknowledged("test", [Acknowledged("f1", "Ada"), Acknowledged("f2", "Ada")]) == 1
    assert (await house.kinds()).count("acknowledged") == 1
    assert await house.intake.acknowledged("other", [Acknowledged("f1", "Ada")]) == 0, "another source's alert"


async def test_every_source_that_fires_stands_anew_after_a_reload_however_many_there_are(house: House) -> None:
    sources = [
        house.alert("NodeDown", fingerprint=f"n{n:04}", node=f"n{n}", severity="info")
        for n in range(MOST_AT_A_LOOK + 3)
    ]
    await house.intake.accept(sources)
    rule = InhibitRule("node", (matcher("alertname=NodeDown"),), (matcher("alertname=Broken"),), ("node",))
    house.rules = rules(signal=Signal(house.rules.signal.routing, inhibition=Inhibition([rule])))
    await house.intake.look_again_at_everything()
    targets = [house.alert(fingerprint=node, node=node) for node in ("n0", f"n{MOST_AT_A_LOOK + 2}", "n9999")]
    assert [verdict.outcome for verdict in await house.intake.accept(targets)] == ["inhibited", "inhibited", "opened"]
