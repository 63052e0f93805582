"""Mattermost: by webhook, or by a bot whose posts are recognised."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bot.errors import BadInput, GaveUp
from bot.plugins.channels import mattermost
from tests.plugins.channels.set_up import PAGE, house
from tests.support.media_servers import Fault, MattermostBot

BODY = (
    "Checkout answers 500 in eu-1.\nSince 03:00.\n\n"
    "[Acknowledge](https://tocsin.example/acknowledge/abc.def) · [Open](https://slack.example/INC-7)"
)


async def test_a_page_by_webhook_is_a_message_with_an_attachment() -> None:
    async with house("mattermost", name="tocsin") as at:
        await at.send(address="@ada")
    assert at.product.asked[0].json == {
        "text": "**INC-7 Checkout fails (critical)**",
        "attachments": [{"fallback": "INC-7 Checkout fails (critical)", "color": "#D93025", "text": BODY}],
        "channel": "@ada",
        "username": "tocsin",
    }


async def test_a_page_by_bot_is_a_post_in_its_channel_or_in_the_addresss() -> None:
    async with house("mattermost-bot") as at:
        receipt = await at.send()
        await at.send(address="d" * 26)
    first, second = (one.json for one in at.product.asked)
    assert (first["channel_id"], second["channel_id"]) == ("c" * 26, "d" * 26)
    assert (first["message"], first["props"]["attachments"][0]["text"]) == ("**INC-7 Checkout fails (critical)**", BODY)
    assert first["pending_post_id"] != second["pending_post_id"]
    assert at.product.asked[0].headers["Authorization"] == f"Bearer {MattermostBot.TOKEN}"
    assert receipt.provider_id.startswith("post")


async def test_another_page_is_another_post() -> None:
    async with house("mattermost-bot") as at:
        await at.send()
        await at.send(PAGE.model_copy(update={"key": "page:7:2:ada:0"}))
    assert len(at.product.kept) == 2


async def test_a_bot_without_a_channel_says_so() -> None:
    async with house("mattermost-bot", channel="") as at:
        with pytest.raises(BadInput, match="there is no channel to post to"):
            await at.send()


async def test_a_webhook_that_is_gone_is_said_in_mattermosts_words() -> None:
    async with house("mattermost") as at:
        at.product.faults = [
            Fault(
                400,
                '{"id": "web.incoming_webhook.invalid.app_error", "message": "Invalid webhook.", "detailed_error": ""}',
            )
        ]
        with pytest.raises(BadInput, match=r"answered 400: Invalid webhook."):
            await at.send()


async def test_a_bot_that_may_not_post_is_said() -> None:
    async with house("mattermost-bot", token="another-token-of-nobody") as at:
        with pytest.raises(
            GaveUp,
            match=r"401: Invalid or expired session, please login again.; check token and channel of my-mattermost-bot",
        ):
            await at.send()


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"server": "https://mm.example"},
        {"token": "x"},
        {"url": "https://mm.example/hooks/x", "server": "https://mm.example", "token": "x"},
        {"url": "https://mm.example/hooks/x", "channel": "c" * 26},
    ],
)
def test_it_is_either_a_webhook_or_a_bot(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="expected either url"):
        mattermost.Params.model_validate(params)
