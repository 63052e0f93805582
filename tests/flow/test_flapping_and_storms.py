"""What comes and goes is held open and pages once; more new incidents than anybody can read become one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.alert import Alert
from bot.domain.flapping import Flapping
from bot.domain.incident import State
from bot.domain.storm import Storm
from tests.flow.signal_house import count, house_with, outcomes, over, paged, received, silence, state
from tests.support.house import ADA, House

# ------------------------------------------------------------------------------------------------ flapping

FLAPS = Flapping(fires=3, within=timedelta(minutes=30), calm=timedelta(minutes=15))


async def flap(house: House, times: int) -> None:
    """It fires and resolves so many times, a minute each; the last time it goes on firing."""
    for number in range(times):
        one = house.alert()
        await received(house, one)
        if number < times - 1:
            await house.wait(minutes=1)
            await received(house, over(house, one))
            await house.wait(minutes=1)


async def test_an_alert_that_flaps_is_held_open_and_nobody_is_paged_again() -> None:
    house = await house_with(flapping=FLAPS)
    await flap(house, 3)
    await house.incidents.acknowledge(1, ADA)
    pages = len(paged(house))
    assert (await house.incident()).flapping == ("Broken on checkout",)
    assert (
        "Broken on checkout flaps: it has begun to fire 3 times within 30m. INC-1 is held open, and nobody is paged for it again, "
        "until it has been calm for 15m" in await house.texts()
    )
    for _ in range(6):
        await house.wait(minutes=1)
        assert outcomes(await house.receive(house.alert(firing=False))) == ["flapping"]
        await house.wait(minutes=1)
        assert outcomes(await house.receive(house.alert())) == ["flapping"]
    assert (await house.incident()).state is State.ACKNOWLEDGED
    assert (await count(house), len(paged(house))) == (1, pages)


async def test_an_incident_that_was_acknowledged_stays_so_when_its_alert_begins_to_flap() -> None:
    house = await house_with(flapping=FLAPS)
    for number in range(3):
        one = house.alert()
        await received(house, one)
        if number < 2:
            await house.incidents.acknowledge(1, ADA)
            pages = len(paged(house))
            await house.wait(minutes=1)
            await received(house, over(house, one))
            await house.wait(minutes=1)
    incident = await house.incident()
    assert (incident.state, incident.acknowledged_by, incident.epoch) == (State.ACKNOWLEDGED, "Ada", 3)
    await house.wait(hours=2)
    assert len(paged(house)) == pages


async def test_a_flapping_alert_that_is_calm_and_over_resolves_its_incident() -> None:
    house = await house_with(flapping=FLAPS)
    await flap(house, 3)
    await house.wait(minutes=1)
    await house.receive(house.alert(firing=False))
    await house.wait(minutes=14, seconds=59)
    assert (await house.incident()).is_open
    await house.wait(seconds=1)
    assert (await house.incident()).state is State.RESOLVED
    assert (await house.incident()).flapping == ()
    assert "Broken on checkout does not flap any more: it has resolved" in await house.texts()


async def test_a_flapping_alert_that_is_calm_and_fires_keeps_its_incident_open() -> None:
    house = await house_with(flapping=FLAPS)
    await flap(house, 3)
    await house.wait(minutes=15)
    assert (await house.incident()).is_open
    assert "Broken on checkout does not flap any more: it fires without a break" in await house.texts()
    await received(house, replace((await state(house)).alert, firing=False, ends_at=house.clock()))
    assert (await house.incident()).state is State.RESOLVED


async def test_a_silence_does_not_leave_the_incident_of_a_flapping_alert_open_for_ever() -> None:
    house = await house_with(flapping=FLAPS)
    await flap(house, 3)
    await silence(house)
    await house.wait(minutes=1)
    await house.receive(house.alert(firing=False))
    await house.wait(minutes=1)
    assert outcomes(await house.receive(house.alert())) == ["flapping"]
    await house.wait(minutes=1)
    await house.receive(house.alert(firing=False))
    await house.wait(minutes=15)
    assert (await house.incident()).state is State.RESOLVED


@pytest.mark.parametrize("minutes", [1, 20])
async def test_a_person_may_resolve_the_incident_of_a_flapping_alert_and_its_end_still_counts(minutes: float) -> None:
    house = await house_with(flapping=FLAPS)
    await flap(house, 3)
    await house.wait(minutes=1)
    await house.receive(house.alert(firing=False))
    await house.incidents.resolve(1, ADA, "enough")
    await house.wait(minutes=minutes)
    assert await received(house, house.alert()) == ["reopened"]
    assert (await house.incident()).firing == 1
    await house.wait(minutes=1)
    await house.receive(house.alert(firing=False))
    await house.wait(minutes=15)
    assert ((await house.incident()).firing, (await house.incident()).state) == (0, State.RESOLVED)


# ------------------------------------------------------------------------------------------------ storms

STORM = Storm(more_than=3, within=timedelta(minutes=5))


def problems(house: House, *numbers: int) -> list[Alert]:
    return [house.alert(f"Problem{number}", fingerprint=f"p{number}") for number in numbers]


@pytest.mark.parametrize("together", [True, False])
async def test_more_new_incidents_than_anybody_can_read_become_one_and_people_are_paged_once(together: bool) -> None:
    house = await house_with(storm=STORM)
    if together:
        await received(house, *problems(house, *range(10)))
    else:
        for one in problems(house, *range(10)):
            await received(house, one)
            await house.wait(seconds=1)
    assert await count(house) == 4
    storm = await house.incident(4)
    assert storm.title == "Alert storm on root"
    assert storm.problems == tuple(f"checkout: Problem{number}" for number in range(3, 10))
    assert storm.firing == 7
    assert paged(house) == ["person:ada"] * 4


async def test_after_a_storm_is_calm_new_problems_have_incidents_of_their_own() -> None:
    house = await house_with(storm=STORM)
    await received(house, *problems(house, 0, 1, 2, 3))
    await house.wait(minutes=4)
    await received(house, *problems(house, 4))
    assert await count(house) == 4, "it takes in what comes while it goes on"
    await house.wait(minutes=5)
    await received(house, *problems(house, 5))
    assert (await house.incident(5)).title == "checkout: Problem5"


async def test_a_second_storm_joins_the_incident_of_the_first_while_that_is_open() -> None:
    house = await house_with(storm=STORM)
    await received(house, *problems(house, 0, 1, 2, 3))
    await house.wait(minutes=20)
    await received(house, *problems(house, 4, 5, 6, 7, 8))
    assert await count(house) == 7
    assert (await house.incident(4)).firing == 3


async def test_a_storm_that_is_over_is_resolved() -> None:
    house = await house_with(storm=STORM)
    batch = problems(house, *range(6))
    await received(house, *batch)
    await house.wait(minutes=10)
    await received(house, *(over(house, one) for one in batch))
    assert {(await house.incident(number)).state for number in range(1, 5)} == {State.RESOLVED}


async def test_problems_that_were_resolved_long_ago_and_come_back_together_are_a_storm_too() -> None:
    house = await house_with(storm=STORM)
    for one in problems(house, *range(6)):
        await received(house, one)
        await house.wait(minutes=6)
        await received(house, over(house, one))
    await house.wait(hours=3)
    for one in problems(house, *range(6)):
        await received(house, one)
    assert await count(house) == 6 + 4
    assert (await house.incident(10)).firing == 3
