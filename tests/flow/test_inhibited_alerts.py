"""Alerts that another one explains wait while it fires, in whatever order the two come."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.domain.inhibition import Dependencies, Inhibition
from tests.flow.signal_house import NODE, count, house_with, log, node_down, over, paged, received, silence, state


async def test_an_inhibited_alert_pages_when_its_source_resolves() -> None:
    house = await house_with(inhibition=Inhibition([NODE]))
    source = node_down(house)
    await received(house, source)
    assert await received(house, house.alert(node="n1")) == ["inhibited"]
    assert (await log(house))[0].reason == "inhibition rule 'node down': held by NodeDown on checkout"
    await house.wait(hours=2)
    assert await count(house) == 1
    house.room.acts.clear()
    await received(house, over(house, source))
    await house.wait(seconds=1)
    assert (await house.incident(2)).title == "checkout: Broken"
    assert paged(house) == ["person:ada"]


async def test_an_inhibited_alert_that_resolves_with_its_source_never_pages() -> None:
    house = await house_with(inhibition=Inhibition([NODE]))
    source, target = node_down(house), house.alert(node="n1")
    await received(house, source)
    await received(house, target)
    await house.wait(minutes=1)
    assert await received(house, over(house, source), over(house, target)) == ["resolved", "resolved"]
    await house.wait(hours=1)
    assert await count(house) == 1


@pytest.mark.parametrize("target_first", [True, False])
async def test_source_and_target_in_one_delivery_count_in_either_order(target_first: bool) -> None:
    house = await house_with(inhibition=Inhibition([NODE]))
    batch = [node_down(house), house.alert(node="n1")]
    if target_first:
        assert await received(house, *reversed(batch)) == ["inhibited", "opened"]
    else:
        assert await received(house, *batch) == ["opened", "inhibited"]
    await house.wait(hours=1)
    assert await count(house) == 1


async def test_a_source_that_is_over_in_the_same_delivery_holds_nothing_for_long() -> None:
    house = await house_with(inhibition=Inhibition([NODE]))
    source, target = node_down(house), house.alert(node="n1")
    assert await received(house, target, source, over(house, source)) == ["inhibited", "opened", "resolved"]
    await house.wait(seconds=1)
    assert (await house.incident(2)).title == "checkout: Broken"


async def test_a_source_that_was_over_before_it_was_heard_of_holds_nothing() -> None:
    house = await house_with(inhibition=Inhibition([NODE]))
    source = node_down(house)
    house.clock.forward(minutes=1)
    assert await received(house, over(house, source)) == ["ignored"]
    assert await received(house, source, house.alert(node="n1")) == ["opened", "opened"]


async def test_another_source_goes_on_holding_it() -> None:
    house = await house_with(inhibition=Inhibition([NODE]))
    one, other = node_down(house), replace(node_down(house), fingerprint="node-2")
    await received(house, one, other)
    await received(house, house.alert(node="n1"))
    await received(house, over(house, one))
    await house.wait(minutes=10)
    assert (await state(house)).held is not None
    await received(house, over(house, other))
    await house.wait(seconds=1)
    assert (await state(house)).held is None


async def test_a_source_that_is_silenced_holds_all_the_same() -> None:
    house = await house_with(inhibition=Inhibition([NODE]))
    await silence(house, "alertname=NodeDown")
    assert await received(house, node_down(house), house.alert(node="n1")) == ["silenced", "inhibited"]


async def test_alerts_of_a_service_wait_while_what_it_needs_is_down() -> None:
    house = await house_with(inhibition=Inhibition((), Dependencies.of({"checkout": ["db"]}, ["critical"])))
    down = house.alert("Down", fingerprint="db", service="db")
    assert await received(house, house.alert(), down) == ["inhibited", "opened"]
    assert (await log(house))[0].reason == "checkout needs db, which is down: Down on checkout"
    await house.wait(minutes=1)
    await received(house, over(house, down))
    await house.wait(seconds=1)
    assert (await house.incident(2)).service == "checkout"


async def test_a_warning_of_what_it_needs_explains_nothing() -> None:
    house = await house_with(inhibition=Inhibition((), Dependencies.of({"checkout": ["db"]}, ["critical"])))
    slow = house.alert("Slow", fingerprint="db", service="db", severity="warning")
    assert await received(house, slow, house.alert()) == ["opened", "opened"]
