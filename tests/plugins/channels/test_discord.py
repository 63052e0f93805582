"""Discord: a message by webhook that is there once it is answered, in Discord's limits."""

from __future__ import annotations

import pytest

from bot.errors import GaveUp, TryLater
from tests.plugins.channels.set_up import PAGE, house
from tests.support.media_servers import Fault


async def test_a_page_is_a_message_with_an_embed_and_its_id_is_kept() -> None:
    async with house("discord", name="Tocsin") as at:
        receipt = await at.send()
    assert at.product.asked[0].query == {"wait": "true"}
    assert at.product.asked[0].json == {
        "content": "**INC-7 Checkout fails (critical)**",
        "embeds": [
            {
                "description": "Checkout answers 500 in eu-1.\nSince 03:00.\n\n"
                "[Acknowledge](https://tocsin.example/acknowledge/abc.def)\n[Open](https://slack.example/INC-7)",
                "color": 0xD93025,
            }
        ],
        "allowed_mentions": {"parse": []},
        "username": "Tocsin",
    }
    assert receipt.provider_id == "1000001"


async def test_an_address_is_a_thread() -> None:
    async with house("discord") as at:
        await at.send(address="1234567890")
    assert at.product.asked[0].query == {"wait": "true", "thread_id": "1234567890"}


@pytest.mark.parametrize("text", ["*" * 4000, "🏴" * 4000, "x" * 9000, "\\" * 3000])
async def test_the_links_are_there_however_long_the_text_is(text: str) -> None:
    async with house("discord") as at:
        await at.send(PAGE.model_copy(update={"body": text, "subject": text}))
    embed = at.product.asked[0].json["embeds"][0]
    assert embed["description"].endswith(
        "[Acknowledge](https://tocsin.example/acknowledge/abc.def)\n[Open](https://slack.example/INC-7)"
    )
    assert len(embed["description"]) > 1500


async def test_a_rate_limit_says_in_its_body_when_to_come_again() -> None:
    async with house("discord") as at:
        at.product.faults = [
            Fault(
                429,
                '{"message": "You are being rate limited.", "retry_after": 0.65, "global": false}',
                {"Retry-After": "1"},
            )
        ]
        with pytest.raises(TryLater, match="You are being rate limited") as raised:
            await at.send()
    assert raised.value.delay == 1.0


async def test_a_webhook_that_was_deleted_is_said() -> None:
    async with house("discord") as at:
        at.product.faults = [Fault(404, '{"message": "Unknown Webhook", "code": 10015}')]
        with pytest.raises(
            GaveUp,
            match=r"404: Unknown Webhook; check url of my-discord in tocsin.yaml: the webhook may have been deleted",
        ):
            await at.send()
