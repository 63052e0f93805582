"""ntfy: a message to a topic, with buttons, recognised by servers that know sequence ids."""

from __future__ import annotations

import pytest

from bot.errors import BadInput, GaveUp, TryLater
from tests.plugins.channels.set_up import PAGE, house
from tests.support.media_servers import Fault, Ntfy


async def test_a_page_is_a_message_with_buttons_that_rings_through() -> None:
    async with house("ntfy") as at:
        receipt = await at.send()
    sent = at.product.asked[0].json
    assert len(sent.pop("sequence_id")) == 32
    assert sent == {
        "topic": "pages-ada",
        "title": "INC-7 Checkout fails (critical)",
        "message": "Checkout answers 500 in eu-1.\nSince 03:00.",
        "priority": 5,
        "tags": ["rotating_light"],
        "click": "https://tocsin.example/acknowledge/abc.def",
        "actions": [
            {
                "action": "view",
                "label": "Acknowledge",
                "url": "https://tocsin.example/acknowledge/abc.def",
                "clear": True,
            },
            {"action": "view", "label": "Open", "url": "https://slack.example/INC-7", "clear": True},
        ],
    }
    assert receipt.provider_id == "id0"


@pytest.mark.parametrize(
    ("purpose", "severity", "priority", "tag"),
    [
        ("page", "critical", 5, "rotating_light"),
        ("page", "warning", 4, "rotating_light"),
        ("alarm", "", 5, "rotating_light"),
        ("recovery", "critical", 3, "white_check_mark"),
        ("test", "", 3, "speech_balloon"),
    ],
)
async def test_how_loud_it_is(purpose: str, severity: str, priority: int, tag: str) -> None:
    async with house("ntfy") as at:
        await at.send(PAGE.model_copy(update={"purpose": purpose, "severity": severity}))
    assert (at.product.asked[0].json["priority"], at.product.asked[0].json["tags"]) == (priority, [tag])


async def test_an_older_server_shows_it_twice_after_a_lost_answer() -> None:
    """As the documentation of the medium says."""
    async with house("ntfy", Ntfy(old=True)) as at:
        at.product.faults = [Fault(taken=True)]
        with pytest.raises(TryLater):
            await at.send()
        await at.send(again=True)
    assert len(at.product.kept) == 2


async def test_a_topic_of_its_own_is_used_without_an_address() -> None:
    async with house("ntfy", topic="ops") as at:
        await at.send(address="")
    assert at.product.asked[0].json["topic"] == "ops"


async def test_no_topic_is_said() -> None:
    async with house("ntfy") as at:
        with pytest.raises(BadInput, match="there is no topic to write to"):
            await at.send(address="")


async def test_a_topic_that_may_not_be_written_to_is_said() -> None:
    async with house("ntfy", token="tk_wrongwrongwrong") as at:
        with pytest.raises(GaveUp, match=r"403: forbidden; check url and token of my-ntfy in tocsin.yaml"):
            await at.send()
