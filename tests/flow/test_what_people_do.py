"""What people do by command or click: answered in words, done once, and never with a secret in it."""

from __future__ import annotations

import asyncio

import pytest

from bot.domain.incident import State
from bot.errors import BadInput
from bot.flow.incidents import NOTE_LIMIT, Incidents
from bot.store import open_store
from tests.support.house import ADA, BOB, House


@pytest.fixture
async def house() -> House:
    made = House(await open_store("memory://"))
    await made.receive(made.alert())
    await made.settle()
    return made


async def test_a_second_acknowledgement_says_who_has_it(house: House) -> None:
    assert await house.incidents.acknowledge(1, ADA) == "INC-1 is yours. Nobody else is paged for it."
    assert "by Ada" in await house.incidents.acknowledge(1, BOB)
    assert (await house.kinds()).count("acknowledged") == 1


async def test_fifty_acknowledgements_at_once_are_one(house: House) -> None:
    answers = await asyncio.gather(*(house.incidents.acknowledge(1, ADA) for _ in range(50)))
    assert sum("is yours" in answer for answer in answers) == 1
    assert (await house.kinds()).count("acknowledged") == 1


async def test_a_mitigated_incident_is_not_paged_for_and_can_be_escalated_again(house: House) -> None:
    await house.incidents.mitigate(1, BOB, "")
    await house.wait(hours=1)
    assert len(house.room.said("page")) == 1
    await house.incidents.escalate(1, BOB)
    await house.settle()
    assert len(house.room.said("page")) == 3
    assert (await house.incident()).state is State.TRIGGERED


async def test_what_is_over_cannot_be_escalated_or_resolved_again(house: House) -> None:
    await house.incidents.resolve(1, BOB, "it is fine")
    assert "nothing to escalate" in await house.incidents.escalate(1, BOB)
    assert "is resolved already" in await house.incidents.resolve(1, BOB)
    await house.wait(hours=1)
    assert len(house.room.said("page")) == 1


@pytest.mark.parametrize("title", ["", "   ", "\n\t"])
async def test_an_incident_without_a_title_is_not_opened(house: House, title: str) -> None:
    with pytest.raises(BadInput, match="needs a title"):
        await house.incidents.declare(title, "critical", ADA)
    with pytest.raises(BadInput, match='did you mean "critical"'):
        await house.incidents.declare("it is slow", "kritical", ADA)


async def test_an_incident_opened_by_hand_pages_and_invites_its_opener(house: House) -> None:
    incident = await house.incidents.declare("  the shop\nis slow ", "", BOB)
    assert (incident.title, incident.severity) == ("the shop is slow", house.rules.signal.taxonomy.default)
    await house.settle()
    assert ("invite", "bob") in house.room.acts
    assert house.room.said("page")[-1] == ("page", "person:ada", "1")


async def test_what_people_write_is_bounded_and_without_secrets(house: House) -> None:
    def redact(text: str) -> str:
        return text.replace("hunter2", "[password]")

    incidents = Incidents(house.store, house.clock, lambda: house.rules, redact)
    await incidents.note(1, "x" * (NOTE_LIMIT - 5) + " the password is hunter2 " + "y" * 10_000, ADA)
    await incidents.mitigate(1, ADA, "hunter2 works again")
    await incidents.resolve(1, ADA, "hunter2")
    opened = await incidents.declare("hunter2 leaked", "", ADA)
    said = "\n".join(await house.texts()) + opened.title
    assert "hunter2" not in said
    assert "hunte" not in said, "cut after the redaction, not through the secret"
    assert "[password] works again" in said
    assert max(map(len, await house.texts())) <= NOTE_LIMIT
