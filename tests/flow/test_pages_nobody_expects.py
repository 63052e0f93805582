"""Pages in situations that come together seldom: a refusal before a bundle, a clock that goes back, a storm, a severity that rises on the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.contact import Notify
from bot.domain.escalation import Level, Policy
from bot.domain.media import MediumRules
from bot.domain.severity import Taxonomy
from bot.domain.storm import Storm
from bot.errors import TryLater
from tests.flow.paging_house import (
    ADA_SMS,
    FIVE,
    PEOPLE,
    PHONE_ONLY,
    TWO,
    given,
    house,
    opened,
    pages,
    shop,
    slack_pages,
    states,
)
from tests.support.house import ADA, BOB, House

MINUTE = timedelta(minutes=1)


def texting(rules: MediumRules | None = None) -> House:
    media = {"sms": rules or MediumRules("sms", bundle=MINUTE)}
    return house(given(shop(("person:ada",)), {"ada": PHONE_ONLY}, media))


def stormy() -> House:
    """Many incidents at once: no storm of alerts makes one of them."""
    it = texting()
    it.rules = replace(it.rules, signal=replace(it.rules.signal, storm=Storm(more_than=0)))
    return it


async def over(it: House, service: str = "checkout") -> None:
    """Its alert has stopped, and all that is due is delivered."""
    alert = it.alert(f"Broken {service}", firing=False, fingerprint=service, severity="critical", service=service)
    await it.receive(alert)
    await it.settle()


def named(it: House, medium: str = "sms") -> set[int]:
    """The numbers of all incidents of which that medium has told in pages."""
    told = [one for one, _ in it.media[medium].sent if one.purpose in ("page", "bundle")]
    refs = " ".join([*(one.subject for one in told), *(one.body for one in told)])
    return {int(word.strip(":,").removeprefix("INC-")) for word in refs.split() if word.startswith("INC-")}


# ------------------------------------------------------------------------------------------------ what is held is not forgotten


async def test_a_page_that_was_refused_for_the_moment_and_is_then_held_goes_out_with_the_others() -> None:
    it = texting()
    it.media["sms"].failures = [TryLater("sms: 429", delay=3), TryLater("sms: 429", delay=5)]
    await opened(it, service="one")
    await opened(it, service="two")
    await it.wait(seconds=3)
    await it.wait(seconds=2)
    assert (await states(it, 1), await states(it, 2)) == ([("sms", "sent")], [("sms", "bundled")])
    await it.wait(seconds=60)
    assert named(it) == {1, 2}


async def test_a_page_that_found_no_room_and_is_then_held_goes_out_with_the_others() -> None:
    it = texting(MediumRules("sms", per_minute=1, bundle=timedelta(seconds=10)))
    await opened(it, service="one")
    await it.wait(seconds=15)
    await opened(it, service="two")
    await opened(it, service="three")
    for _ in range(6):
        await it.wait(seconds=15)
    assert named(it) == {1, 2, 3}


async def test_a_storm_to_one_address_is_two_messages_and_names_everything() -> None:
    it = stormy()
    for number in range(130):
        await it.receive(it.alert("Broken", fingerprint=f"f{number}", service=f"s{number}"))
    await it.settle()
    assert len(it.media["sms"].sent) == 1
    await it.wait(seconds=60)
    await it.wait(seconds=60)
    assert [one.facts.get("incidents", "").count("INC-") for one, _ in it.media["sms"].sent] == [0, 129]
    assert it.media["voice"].sent == []


@pytest.mark.slow
async def test_a_storm_of_more_than_one_message_holds_loses_none() -> None:
    it = stormy()
    for number in range(620):
        await it.receive(it.alert("Broken", fingerprint=f"f{number}", service=f"s{number}"))
    await it.settle()
    for _ in range(3):
        await it.wait(seconds=60)
    left = [one.id for one in await it.incidents.listing() if ("sms", "bundled") in await states(it, one.id)]
    unsaid = [one for one in left if not (await pages(it, one))[0].answer]
    assert unsaid == []
    assert it.media["voice"].sent == []


# ------------------------------------------------------------------------------------------------ the clock goes back


async def test_a_clock_that_goes_back_an_hour_holds_no_page_for_an_hour() -> None:
    it = texting()
    await opened(it, service="one")
    it.clock.now -= timedelta(hours=1)
    await opened(it, service="two")
    await it.wait(seconds=60)
    assert named(it) == {1, 2}


async def test_a_clock_that_goes_back_an_hour_fills_no_medium_for_an_hour() -> None:
    it = texting(MediumRules("sms", per_minute=1))
    await opened(it, service="one")
    it.clock.now -= timedelta(hours=1)
    await opened(it, service="two")
    await it.wait(seconds=60)
    assert named(it) == {1, 2}


# ------------------------------------------------------------------------------------------------ who hears that it is over


async def test_who_may_have_been_paged_hears_of_the_end_also_when_it_comes_before_the_next_attempt() -> None:
    it = house(given(people={"ada": PHONE_ONLY}))
    it.media["sms"].lose = 1
    await opened(it)
    await it.incidents.resolve(1, ADA)
    await it.settle()
    for _ in range(10):
        await it.wait(seconds=2)
    assert len(it.media["sms"].told("recovery")) == 1


async def test_a_pager_that_may_have_been_told_hears_of_the_end_also_when_it_comes_before_the_next_attempt() -> None:
    it = house(given(shop(("medium:pd",))))
    it.media["pd"].lose = 1
    await opened(it)
    await it.incidents.resolve(1, ADA)
    await it.settle()
    for _ in range(10):
        await it.wait(seconds=2)
    assert len(it.media["pd"].told("recovery")) == 1


async def test_who_was_paged_in_a_bundle_hears_that_it_is_over() -> None:
    it = texting(MediumRules("sms", bundle=timedelta(seconds=20)))
    for service in ("one", "two", "three"):
        await opened(it, service=service)
    await it.wait(seconds=20)
    assert await states(it, 2) == [("sms", "bundled")]
    await it.wait(minutes=1)
    await it.incidents.resolve(2, ADA)
    await it.settle()
    assert [subject for _, subject in it.media["sms"].told("recovery")] == ["INC-2 is resolved: two: Broken two"]


async def test_an_end_that_was_put_off_and_overtaken_is_told_all_the_same() -> None:
    it = texting()
    await opened(it)
    await over(it)
    assert len(it.media["sms"].told("recovery")) == 1
    await it.wait(minutes=2)
    await opened(it)
    await it.wait(seconds=5)
    await over(it)  # too soon after the last one: it waits
    await it.wait(seconds=5)
    await it.receive(it.alert("Broken checkout", fingerprint="checkout", severity="critical", service="checkout"))
    await over(it)  # it was paged for again, and is over again, before anything went out
    for _ in range(10):
        await it.wait(minutes=1)
    pages_sent = [one for one, _ in it.media["sms"].sent if one.purpose == "page"]
    last = [one.purpose for one, _ in it.media["sms"].sent][-1]
    assert (len(pages_sent) >= 2, last) == (True, "recovery")


# ------------------------------------------------------------------------------------------------ what changes while pages are on their way


async def test_a_severity_that_rises_while_somebody_is_paged_softly_pages_them_by_what_it_may_use_now() -> None:
    it = house(given(Policy(key="shop", levels=(Level(targets=("person:ada",), timeout=timedelta(minutes=30)),))))
    await opened(it, "warning")
    assert slack_pages(it) == ["person:ada"]
    await it.wait(seconds=30)
    await it.incidents.set_severity(1, "critical", BOB)
    await it.settle()
    await it.wait(minutes=3)
    assert it.media["sms"].addresses == [ADA_SMS]


async def test_somebodys_rules_for_a_worse_severity_count_when_it_becomes_worse() -> None:
    rules = {"critical": (Notify(method="call"),), "": (Notify(method="sms"),)}
    ada = PHONE_ONLY.model_copy(update={"notify": rules})
    made = given(shop(("person:ada",)), {"ada": ada})
    it = house(replace(made, signal=replace(made.signal, taxonomy=Taxonomy(media={}))))
    await opened(it, "warning")
    await it.incidents.set_severity(1, "critical", BOB)
    await it.settle()
    assert len(it.media["voice"].sent) == 1


async def test_asking_for_more_people_takes_nothing_from_those_who_are_being_paged() -> None:
    it = house(given(TWO))
    await opened(it)
    assert await it.incidents.escalate(1, BOB) == "The next level of INC-1 is being paged now."
    await it.incidents.escalate(1, BOB)
    await it.settle()
    assert slack_pages(it) == ["person:ada", "person:bob"]
    await it.wait(minutes=3)
    assert ADA_SMS in it.media["sms"].addresses


async def test_asking_for_more_people_while_slack_is_down_keeps_the_way_round_it() -> None:
    it = house(given(TWO))
    it.room.failures["page"] = [TryLater("slack is down", delay=60) for _ in range(50)]
    await opened(it)
    await it.wait(seconds=2)
    await it.incidents.escalate(1, BOB)
    await it.settle()
    await it.wait(seconds=20)
    assert ADA_SMS in it.media["sms"].addresses


_ = FIVE, PEOPLE
