"""What providers tell back: an acknowledgement by a reply, a key or a link, and messages that arrived or did not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.incident import State
from bot.domain.media import MediumRules
from bot.domain.notice import Heard
from bot.domain.page import Page
from bot.flow.answers import Answers
from bot.flow.roster import Rosters
from tests.flow.paging_house import ADA_CALL, ADA_SMS, PHONE_ONLY, given, house, opened, pages, shop, states
from tests.support.house import ADA, House

STRANGER = "+4915199999999"


def texting(**media: MediumRules) -> House:
    return house(given(shop(("person:ada",)), {"ada": PHONE_ONLY}, media))


async def newest(it: House, number: int = 1) -> Page:
    return (await pages(it, number))[-1]


@pytest.mark.parametrize(
    "text",
    ["", "ack", "1", "INC-1", "inc-1 please", "ACK 1", "ok inc1"],
)
async def test_a_reply_acknowledges_as_the_person_whose_address_it_is(text: str) -> None:
    it = texting()
    await opened(it)
    said = await it.answers.acknowledged("sms", Heard(kind="acknowledged", address=ADA_SMS, text=text))
    assert said == "INC-1 is yours. Nobody else is paged for it."
    incident = await it.incident()
    assert (incident.state, incident.acknowledged_by, incident.holder) == (State.ACKNOWLEDGED, "Ada", "ada")
    assert (await newest(it)).answered_at == it.clock()


async def test_a_key_or_a_name_at_the_provider_says_which_page_is_meant() -> None:
    it = texting()
    await opened(it, service="one")
    await opened(it, service="two")
    first = (await pages(it, 1))[0]
    assert "INC-1 is yours" in await it.answers.acknowledged("sms", Heard(kind="acknowledged", key=first.key))
    second = (await pages(it, 2))[0]
    heard = Heard(kind="acknowledged", provider_id=second.provider_id, address=STRANGER)
    assert "INC-2 is yours" in await it.answers.acknowledged("sms", heard)


async def test_an_answer_that_is_told_of_twice_is_one_answer_also_at_another_replica() -> None:
    it = texting()
    for service in ("one", "two"):
        await opened(it, service=service)
        it.clock.forward(seconds=1)
    reply = Heard(kind="acknowledged", address=ADA_SMS, text="ack", provider_id="SM-in-1")
    assert "INC-2 is yours" in await it.answers.acknowledged("sms", reply)
    other = Answers(it.store, it.incidents, it.clock, lambda: it.rules, Rosters())
    assert "INC-2" in await other.acknowledged("sms", reply)
    assert (await it.incident(1)).state is State.TRIGGERED, "nobody has read of that one"
    assert "INC-1 is yours" in await other.acknowledged("sms", reply.model_copy(update={"provider_id": "SM-in-2"}))


async def test_without_a_number_the_newest_page_that_nobody_has_acknowledged_is_meant() -> None:
    it = texting()
    for service in ("one", "two"):
        await opened(it, service=service)
        it.clock.forward(seconds=1)
    reply = Heard(kind="acknowledged", address=ADA_SMS, text="ack")
    assert "INC-2 is yours" in await it.answers.acknowledged("sms", reply)
    assert "INC-1 is yours" in await it.answers.acknowledged("sms", reply)
    assert await it.answers.acknowledged("sms", reply) == "INC-2 is yours. Nobody else is paged for it.", (
        "once more is the same"
    )


async def test_a_number_names_one_for_which_this_address_was_paged() -> None:
    it = texting()
    await opened(it, service="one")
    await opened(it, service="two")
    named = Heard(kind="acknowledged", address=ADA_SMS, text="1")
    assert "INC-1 is yours" in await it.answers.acknowledged("sms", named)
    assert (await it.incident(2)).state is State.TRIGGERED
    other = Heard(kind="acknowledged", address=ADA_SMS, text="77")
    assert await it.answers.acknowledged("sms", other) == "There is no page about INC-77 to acknowledge here."


@pytest.mark.parametrize("heard", [Heard(kind="acknowledged", address=STRANGER, text="1"), Heard(kind="acknowledged")])
async def test_a_stranger_acknowledges_nothing(heard: Heard) -> None:
    it = texting()
    await opened(it)
    assert "There is no page" in await it.answers.acknowledged("sms", heard)
    assert (await it.incident()).state is State.TRIGGERED


async def test_the_key_of_a_page_by_another_medium_is_worth_nothing() -> None:
    it = texting()
    await opened(it)
    heard = Heard(kind="acknowledged", key=(await newest(it)).key)
    assert "There is no page" in await it.answers.acknowledged("voice", heard)


async def test_who_comes_second_is_told_who_has_it() -> None:
    it = house(given(shop(("group:all",)), {"ada": PHONE_ONLY}))
    await opened(it)
    await it.answers.acknowledged("mail", Heard(kind="acknowledged", address="cleo@example.com"))
    said = await it.answers.acknowledged("sms", Heard(kind="acknowledged", address=ADA_SMS, text="1"))
    assert said == "INC-1 is acknowledged already by Cleo: nobody is being paged."


async def test_an_answer_to_several_in_one_message_takes_all_of_them() -> None:
    it = texting(sms=MediumRules("sms", bundle=timedelta(seconds=60)))
    for service in ("one", "two", "three"):
        await opened(it, service=service)
    await it.wait(seconds=60)
    heard = Heard(kind="acknowledged", provider_id="sms-2", address=ADA_SMS)
    assert await it.answers.acknowledged("sms", heard) == "INC-2 and INC-3 are yours. Nobody else is paged for them."
    assert (await it.incident(1)).state is State.TRIGGERED


async def test_a_link_acknowledges_as_the_one_to_whom_it_was_sent() -> None:
    it = texting()
    await opened(it)
    page = await newest(it)
    assert "INC-1 is yours" in await it.answers.by_link(1, page.key, "person:ada")
    assert (await it.incident()).holder == "ada"


async def test_a_link_of_a_medium_for_many_says_through_what() -> None:
    it = house(given(shop(("medium:pd",))))
    await opened(it)
    await it.answers.by_link(1, (await newest(it)).key, "medium:pd")
    assert (await it.incident()).acknowledged_by == "Somebody through pd"


async def test_a_page_that_arrived_says_so() -> None:
    it = texting()
    await opened(it)
    await it.answers.told("sms", Heard(kind="delivered", provider_id="sms-1", text="delivered"))
    page = await newest(it)
    assert (page.state, page.answer) == ("delivered", "delivered")


async def test_a_page_that_did_not_arrive_after_all_is_replaced_at_once() -> None:
    it = texting()
    await opened(it)
    await it.answers.told("sms", Heard(kind="failed", provider_id="sms-1", text="30005 unknown handset"))
    await it.settle()
    assert it.media["voice"].addresses == [ADA_CALL]
    assert "Could not page Ada by sms: 30005 unknown handset. Paging by voice instead" in await it.texts()
    await it.answers.told("sms", Heard(kind="failed", provider_id="sms-1"))
    await it.settle()
    assert it.media["voice"].addresses == [ADA_CALL], "told twice is told once"


async def test_what_failed_after_the_acknowledgement_pages_nobody() -> None:
    it = texting()
    await opened(it)
    await it.incidents.acknowledge(1, ADA)
    await it.answers.told("sms", Heard(kind="failed", provider_id="sms-1"))
    await it.settle()
    assert it.media["voice"].sent == []
    assert await states(it) == [("sms", "failed")]


async def test_a_callback_that_comes_before_the_answer_of_the_provider_is_kept() -> None:
    it = texting()

    async def at_once() -> None:
        (page,) = await pages(it)
        await it.answers.told("sms", Heard(kind="delivered", key=page.key))

    it.media["sms"].before.append(at_once)
    await opened(it)
    assert await states(it) == [("sms", "delivered")]


async def test_what_was_never_sent_is_not_heard_of() -> None:
    it = texting()
    await opened(it)
    before = await states(it)
    for heard in (Heard(kind="failed", provider_id="x"), Heard(kind="delivered", key="y"), Heard(kind="failed")):
        await it.answers.told("sms", heard)
    assert await states(it) == before
    it.rules = replace(it.rules, last_resort=())
