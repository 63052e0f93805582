"""An acknowledgement with a deadline: a reminder, then it is nobody's any more and paging begins anew, unless somebody says that they are at it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.domain.incident import Change, State
from bot.domain.notice import Notice
from bot.domain.people import Actor
from bot.domain.ports import Tx
from tests.flow.paging_house import ADA_SMS, PHONE_ONLY, given, house, opened, shop, slack_pages
from tests.support.house import ADA, BOB, House

HALF, HOUR = timedelta(minutes=30), timedelta(hours=1)
DEADLINES = shop(("person:ada",), remind_after=HALF, expires_after=HOUR)


async def acknowledged(it: House) -> House:
    await opened(it)
    await it.incidents.acknowledge(1, ADA)
    await it.settle()
    return it


def reminded(it: House) -> list[str]:
    return [act[2] for act in it.room.said("notice") if act[1] == "reminder"]


async def test_who_has_it_is_asked_and_without_a_word_paging_begins_anew() -> None:
    it = await acknowledged(house(given(DEADLINES)))
    await it.wait(minutes=29)
    assert reminded(it) == []
    await it.wait(minutes=1)
    assert reminded(it) == ["person:ada"]
    assert (
        "Ada, are you still at it? You have had INC-1 for 30 minutes; without a word paging begins anew in 30 minutes"
        in await it.texts()
    )
    await it.wait(minutes=29)
    assert slack_pages(it) == ["person:ada"]
    await it.wait(minutes=1)
    incident = await it.incident()
    assert (incident.state, incident.acknowledged_by, incident.epoch) == (State.TRIGGERED, "", 2)
    assert slack_pages(it) == ["person:ada", "person:ada"]
    assert any("INC-1 is nobody's any more: Ada has not said for 1 hour" in text for text in await it.texts())


async def test_a_word_in_time_begins_the_deadline_anew() -> None:
    it = await acknowledged(house(given(DEADLINES)))
    for _ in range(4):
        await it.wait(minutes=40)
        assert await it.incidents.still_at_it(1, ADA) == "INC-1 is yours. You are asked again in 30 minutes."
        await it.settle()
    assert slack_pages(it) == ["person:ada"]
    assert len(reminded(it)) == 4
    await it.wait(minutes=60)
    assert (await it.incident()).state is State.TRIGGERED


async def test_an_acknowledgement_once_more_is_a_word_too() -> None:
    it = await acknowledged(house(given(DEADLINES)))
    await it.wait(minutes=50)
    await it.incidents.acknowledge(1, BOB)
    await it.wait(minutes=30)
    assert (await it.incident()).holder == "bob"
    assert reminded(it) == ["person:ada", "person:bob"]


@pytest.mark.parametrize("end", ["mitigate", "resolve"])
async def test_what_is_mitigated_or_resolved_has_no_deadline(end: str) -> None:
    it = await acknowledged(house(given(DEADLINES)))
    if end == "mitigate":
        await it.incidents.mitigate(1, ADA, "")
    else:
        await it.incidents.resolve(1, ADA)
    await it.wait(hours=3)
    assert slack_pages(it) == ["person:ada"]
    assert reminded(it) == []


async def test_the_smallest_time_of_its_policies_counts_and_none_is_none() -> None:
    it = await acknowledged(house(given(shop(("person:ada",)))))
    await it.wait(hours=48)
    assert (await it.incident()).state is State.ACKNOWLEDGED
    assert reminded(it) == []
    only_expiry = await acknowledged(house(given(shop(("person:ada",), expires_after=HOUR))))
    await only_expiry.wait(hours=1)
    assert (await only_expiry.incident()).state is State.TRIGGERED
    assert reminded(only_expiry) == []


async def test_the_reminder_comes_by_what_reaches_them_at_once() -> None:
    it = await acknowledged(house(given(DEADLINES, {"ada": PHONE_ONLY})))
    await it.wait(minutes=30)
    (told,) = it.media["sms"].told("reminder")
    assert told[0] == ADA_SMS


async def test_somebody_whom_only_slack_knows_is_asked_in_slack() -> None:
    it = house(given(DEADLINES))
    await opened(it)
    await it.incidents.acknowledge(1, Actor(id="slack:U0MAL", name="Mallory"))
    await it.wait(minutes=30)
    assert reminded(it) == ["slack:U0MAL"]


async def test_a_restart_keeps_the_deadline() -> None:
    it = await acknowledged(house(given(DEADLINES)))
    after = house(given(DEADLINES), store=it.store, clock=it.clock)
    await after.wait(hours=1)
    assert slack_pages(after) == ["person:ada"]


@pytest.mark.parametrize(
    ("state", "words"), [("triggered", "acknowledge it first"), ("resolved", "nobody asks for it")]
)
async def test_a_word_about_what_nobody_has_is_answered(state: str, words: str) -> None:
    it = house(given(DEADLINES))
    await opened(it)
    if state == "resolved":
        await it.incidents.resolve(1, ADA)
    assert words in await it.incidents.still_at_it(1, ADA)


@pytest.mark.parametrize(("actor", "told"), [(ADA, True), (Actor(id="slack:U0MAL", name="Mallory"), False)])
async def test_who_took_a_private_incident_without_being_one_of_the_people_is_not_told_what_it_is_about(
    actor: Actor, told: bool
) -> None:
    it = house(given(DEADLINES))
    await opened(it)

    async def hide(tx: Tx) -> None:
        incident = await tx.incident(1)
        assert incident is not None
        await tx.save(Change(incident.model_copy(update={"private": True})))

    await it.store.write(hide)
    await it.incidents.acknowledge(1, actor)
    await it.settle()
    reminders: list[Notice] = []

    async def notice(one: Notice, target: str, address: str, again: bool) -> str:
        reminders.append(one)
        return "ts"

    it.room.notice = notice  # type: ignore[method-assign]
    await it.wait(minutes=30)
    (reminder,) = [one for one in reminders if one.purpose == "reminder"]
    assert ("Broken checkout" in reminder.model_dump_json()) is told
    assert ("a private incident" in reminder.body) is not told
