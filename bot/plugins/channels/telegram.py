"""Telegram, by a bot: a message to a person, group or channel.

*Set-up*: talk to @BotFather, `/newbot`, and give the token here as `token`. Every person sends the bot `/start` once (a bot may not write first),
or it is added to the group; the chat's id (digits, with `-` before it for groups, or `@name` of a public channel) is the address. One way to see
it: open `https://api.telegram.org/bot<token>/getUpdates` after writing to the bot.
*Permissions*: none in private chats; in channels the bot is an administrator who may post.
*Deduplication*: none. The Bot API takes no key and a bot cannot search a chat: after an answer that was lost the message may come twice, and the
second one says so.
*Acknowledging*: by the link in the message, which opens Tocsin's page (with `server.public_url` and `server.secret`).

The token stands in every request's address; it is never shown. Texts are HTML with everything escaped that an alert says; no link is previewed
(nothing is fetched by Telegram).

https://core.telegram.org/bots/api#sendmessage
https://core.telegram.org/bots/api#html-style
https://core.telegram.org/bots/api#responseparameters
"""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bot.clients.desk import Desk
from bot.clients.media_http import Answer, BaseUrl, Outlet
from bot.clients.media_text import Said, clip_utf16, html, said
from bot.domain.notice import Notice, Receipt
from bot.errors import BadInput

KIND = "chat"
CALLS_BACK = False
BODY = 3400  # UTF-16 units; 4,096 hold the subject and the words of the links too
_CHAT = re.compile(r"-?\d{1,20}|@[A-Za-z][A-Za-z0-9_]{3,63}")
_TOKEN = re.compile(r"\d{1,20}:[A-Za-z0-9_-]{1,100}")


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    token: SecretStr = Field(description="the bot's token from @BotFather, by reference")
    chat: str = Field(
        default="",
        pattern=r"^(-?\d{1,20}|@[A-Za-z][A-Za-z0-9_]{3,63})?$",
        description="the chat for pages without an address",
    )
    url: BaseUrl = Field(
        default="https://api.telegram.org", description="the Bot API; another one for a server of your own"
    )


class Plugin:
    kind = KIND
    acknowledged = False

    def __init__(self, desk: Desk, params: Params) -> None:
        self._desk = desk
        self._params = params
        self._token = params.token.get_secret_value()
        explain = f"check token of {desk.name} in tocsin.yaml"
        self._outlet = Outlet(
            desk, "Telegram", params.url, secrets=[self._token, self._token.partition(":")[2]], explain=explain
        )

    async def send(self, notice: Notice, address: str, again: bool) -> Receipt:
        chat = address or self._params.chat
        if not _CHAT.fullmatch(chat):
            raise BadInput(
                "Telegram: there is no chat to write to; expected its id (digits) or @name as address or as chat"
            )
        if not _TOKEN.fullmatch(self._token):
            raise BadInput(
                f"Telegram: token of {self._desk.name} in tocsin.yaml is none; expected what @BotFather gave"
            )
        words = said(notice, self._desk.redact, again=again)
        body = {
            "chat_id": chat,
            "text": text(words),
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": True},
            "disable_notification": notice.purpose in ("recovery", "handover"),
        }
        answer = await self._outlet.send_json(f"{self._params.url}/bot{self._token}/sendMessage", body, hint=_hint)
        return Receipt(provider_id=self._outlet.id(answer, "result", "message_id"), answer="Telegram has posted it")


def text(words: Said) -> str:
    links = " · ".join(f'<a href="{html(url)}">{label}</a>' for label, url in words.links)
    parts = (f"<b>{html(words.subject)}</b>", html(clip_utf16(words.body, BODY)), links)
    return "\n".join(part for part in parts if part)


def _hint(answer: Answer) -> str:
    """What to do about a refusal that concerns one chat: https://core.telegram.org/bots/api#making-requests"""
    words = str(answer.fields.get("description", "")).lower()
    parameters: Any = answer.fields.get("parameters")
    moved = parameters.get("migrate_to_chat_id") if isinstance(parameters, dict) else None
    if isinstance(moved, int) and not isinstance(moved, bool):
        return f"the group has become a supergroup: its address is now {moved}"
    if "blocked" in words:
        return "that person has blocked the bot: they have to unblock it in Telegram, or take another method"
    if "chat not found" in words or "can't initiate" in words or "bots can't send messages to bots" in words:
        return "the bot has not met that chat: its person sends the bot /start once, or the group adds it"
    if "kicked" in words or "deactivated" in words or "not a member" in words:
        return "the bot is not in that chat any more: add it again, or take another method"
    if "not enough rights" in words:
        return "the bot may not write there: let it post messages"
    return ""
