"""Paging goes on until somebody acknowledges, and says so when nobody is left."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.domain.escalation import Level, Policy
from bot.domain.incident import State
from bot.errors import GaveUp, TryLater
from bot.store import open_store
from tests.support.house import ADA, House, rules


@pytest.fixture
async def house() -> House:
    return House(await open_store("memory://"))


async def test_the_next_level_is_paged_when_nobody_acknowledges_in_time(house: House) -> None:
    await house.receive(house.alert())
    await house.settle()
    await house.wait(minutes=4, seconds=59)
    assert house.room.said("page") == [("page", "person:ada", "1")]
    await house.wait(seconds=1)
    assert house.room.said("page")[1:] == [("page", "person:bob", "2"), ("page", "channel:ops", "2")]


async def test_paging_stops_at_the_acknowledgement(house: House) -> None:
    await house.receive(house.alert())
    await house.settle()
    await house.incidents.acknowledge(1, ADA)
    await house.wait(hours=2)
    assert len(house.room.said("page")) == 1
    assert (await house.incident()).acknowledged_by == "Ada"


async def test_a_page_that_waits_for_slack_is_not_sent_after_the_acknowledgement(house: House) -> None:
    house.room.failures["page"] = [TryLater("slack is down", delay=60)]
    await house.receive(house.alert())
    await house.settle()
    await house.incidents.acknowledge(1, ADA)
    await house.wait(minutes=2)
    assert house.room.said("page") == []
    assert "Ada was not paged: INC-1 is acknowledged" in await house.texts()


async def test_a_page_that_may_have_left_before_the_acknowledgement_is_in_the_timeline(house: House) -> None:
    house.room.failures["page"] = [TryLater("the answer was lost", delay=60, uncertain=True)]
    await house.receive(house.alert())
    await house.settle()
    await house.incidents.acknowledge(1, ADA)
    await house.wait(minutes=2)
    assert "Ada may have been paged, and is not paged again: INC-1 is acknowledged" in await house.texts()


async def test_when_nobody_is_left_it_says_so_in_the_channel_and_in_the_fallback_channel(house: House) -> None:
    await house.receive(house.alert())
    await house.settle()
    await house.wait(minutes=5)
    await house.wait(minutes=5)
    (alarm,) = house.room.said("alarm")
    assert "NOBODY ACKNOWLEDGED INC-1" in alarm[1]
    assert "exhausted" in await house.kinds()
    await house.wait(hours=5)
    assert len(house.room.said("alarm")) == 1


async def test_rounds_repeat_as_the_policy_says() -> None:
    policy = Policy(key="again", levels=(Level(targets=("person:ada",), timeout=timedelta(minutes=1)),), repeat=2)
    given = rules(escalations={"shop": policy})
    house = House(await open_store("memory://"), given)
    await house.receive(house.alert())
    await house.settle()
    for _ in range(5):
        await house.wait(minutes=1)
    assert len(house.room.said("page")) == 3
    assert len(house.room.said("alarm")) == 1


async def test_levels_with_nobody_to_page_are_skipped_at_once_and_loudly() -> None:
    policy = Policy(
        key="holes",
        levels=(Level(targets=("rotation:gone",)), Level(targets=("person:eve",)), Level(targets=("person:ada",))),
    )
    house = House(await open_store("memory://"), rules(escalations={"shop": policy}))
    await house.receive(house.alert())
    await house.settle()
    assert house.room.said("page") == [("page", "person:ada", "3")]
    warnings = [text for text in await house.texts() if "skipped" in text]
    assert warnings == [
        "Policy holes: skipped level 1: rotation:gone has nobody on call",
        "Policy holes: skipped level 2: person:eve has no way to be paged: Eve has no contact method",
    ]


async def test_a_page_that_slack_refuses_for_good_goes_on_to_the_next_level_at_once(house: House) -> None:
    house.room.failures["page"] = [GaveUp("user_not_found")]
    await house.receive(house.alert())
    await house.settle()
    assert house.room.said("page") == [("page", "person:bob", "2"), ("page", "channel:ops", "2")]
    assert any("Could not page Ada: user_not_found" in text for text in await house.texts())


async def test_escalating_by_hand_pages_the_next_level_now(house: House) -> None:
    await house.receive(house.alert())
    await house.settle()
    await house.incidents.acknowledge(1, ADA)
    answer = await house.incidents.escalate(1, ADA)
    assert answer == "The next level of INC-1 is being paged now."
    await house.settle()
    assert house.room.said("page")[1:] == [("page", "person:bob", "2"), ("page", "channel:ops", "2")]
    assert (await house.incident()).state is State.TRIGGERED


async def test_a_dead_effect_is_said_in_the_fallback_channel(house: House) -> None:
    house.room.failures["open_channel"] = [GaveUp("restricted_action")]
    await house.receive(house.alert())
    await house.settle()
    (alarm,) = house.room.said("alarm")
    assert "open channel: restricted_action" in alarm[1]
    assert house.room.said("page") == [("page", "person:ada", "1")]
    assert house.room.said("card") == [("card", "INC-1")]
