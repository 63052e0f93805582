"""Telegram: a message by bot; what to do when a chat cannot be written to."""

from __future__ import annotations

import pytest

from bot.errors import BadInput, GaveUp
from tests.plugins.channels.set_up import PAGE, house
from tests.support.media_servers import Fault


async def test_a_page_is_a_message_to_the_chat() -> None:
    async with house("telegram") as at:
        receipt = await at.send(PAGE.model_copy(update={"body": "5 < 6 & 7"}))
    assert at.product.asked[0].json == {
        "chat_id": "987654",
        "text": "<b>INC-7 Checkout fails (critical)</b>\n5 &lt; 6 &amp; 7\n"
        '<a href="https://tocsin.example/acknowledge/abc.def">Acknowledge</a> · <a href="https://slack.example/INC-7">Open</a>',
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
        "disable_notification": False,
    }
    assert receipt.provider_id == "1"


@pytest.mark.parametrize("address", ["-1001234567890", "@ops_channel", "42"])
async def test_groups_and_channels_are_chats_too(address: str) -> None:
    async with house("telegram") as at:
        await at.send(address=address)
    assert at.product.asked[0].json["chat_id"] == address


@pytest.mark.parametrize(
    ("status", "description", "more", "hint"),
    [
        (403, "Forbidden: bot was blocked by the user", "", "that person has blocked the bot: they have to unblock it"),
        (403, "Forbidden: bot can't initiate conversation with a user", "", "sends the bot /start once"),
        (400, "Bad Request: chat not found", "", "the bot has not met that chat"),
        (403, "Forbidden: bot was kicked from the group chat", "", "the bot is not in that chat any more"),
        (403, "Forbidden: user is deactivated", "", "take another method"),
        (400, "Bad Request: not enough rights to send text messages to the chat", "", "let it post messages"),
        (
            400,
            "Bad Request: group chat was upgraded",
            ', "parameters": {"migrate_to_chat_id": -100987}',
            "its address is now -100987",
        ),
    ],
)
async def test_a_chat_that_cannot_be_written_to_is_given_up_in_words(
    status: int, description: str, more: str, hint: str
) -> None:
    async with house("telegram") as at:
        at.product.faults = [
            Fault(status, f'{{"ok": false, "error_code": {status}, "description": "{description}"{more}}}')
        ]
        with pytest.raises(GaveUp) as raised:
            await at.send()
    assert description in str(raised.value)
    assert hint in str(raised.value)


async def test_one_who_blocked_the_bot_does_not_stop_the_others() -> None:
    async with house("telegram") as at:
        at.product.blocked.add("13")
        for _ in range(10):
            with pytest.raises(GaveUp):
                await at.send(address="13")
        await at.send()
    assert len(at.product.kept) == 1


async def test_a_wrong_token_is_said_without_showing_it() -> None:
    async with house("telegram", token="99:wrong-wrong-wrong") as at:
        with pytest.raises(GaveUp, match=r"401: Unauthorized; check token of my-telegram in tocsin.yaml") as raised:
            await at.send()
    assert "wrong-wrong" not in str(raised.value)


async def test_a_token_that_is_none_is_never_part_of_an_address() -> None:
    async with house("telegram", token="../../x?y#z") as at:
        with pytest.raises(BadInput, match="expected what @BotFather gave"):
            await at.send()
    assert at.product.asked == []
