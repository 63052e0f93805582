"""Intake: what one delivery costs another, and what makes a delivery good once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from bot.domain.alert import OnceOnly
from bot.errors import Overloaded, Replayed
from bot.flow.intake import Intake
from tests.support.house import House
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
