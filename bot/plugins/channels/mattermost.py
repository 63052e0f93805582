"""Mattermost, by an incoming webhook, or by a bot's token (then direct messages work too, and nothing comes twice).

*Set-up* (webhook): *Product menu > Integrations > Incoming Webhooks > Add*, and give its address here as `url`. An address is another channel's
name (`ops`, `@ada` for a direct message), unless the webhook is locked to its channel.
*Set-up* (bot): *Integrations > Bot accounts > Add*, add the bot to the team and channel, and give `server`, `token` and `channel` (the channel's
id, from *View info*). An address is another channel's id.
*Permissions*: whoever has the webhook's address may post; keep it as a secret. The bot needs `create_post` in its channels, nothing else.
*Deduplication*: with a bot: yes, for the 30 seconds in which Mattermost remembers a `pending_post_id`. With a webhook: none; after an answer that
was lost the message may come twice, and the second one says so.
*Acknowledging*: by the link in the message, which opens Tocsin's page (with `server.public_url` and `server.secret`).

What an alert says is escaped; `@channel`, `<!channel>`, `#tag` and `~channel` in it stay words.

https://developers.mattermost.com/integrate/webhooks/incoming/
https://developers.mattermost.com/integrate/reference/message-attachments/
https://developers.mattermost.com/api-documentation/#/operations/CreatePost
https://docs.mattermost.com/collaborate/format-messages.html
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from bot.clients.desk import Desk
from bot.clients.media_http import Answer, BaseUrl, Outlet, SecretUrl
from bot.clients.media_text import Said, clip, markdown, said, unmentioned
from bot.domain.notice import Notice, Receipt
from bot.errors import BadInput

KIND = "chat"
CALLS_BACK = False
BODY = 6000  # characters before they are escaped; a post holds 16,383
PENDING = 40
_ID = re.compile(r"[a-z0-9]{26}")
_NAME = re.compile(r"@?[a-z0-9][a-z0-9._-]{0,63}")


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: SecretUrl | None = Field(default=None, description="the incoming webhook's address, by reference")
    server: BaseUrl | None = Field(default=None, description="the server's address, for a bot")
    token: SecretStr = Field(default=SecretStr(""), description="the bot's access token, by reference")
    channel: str = Field(
        default="", pattern=r"^([a-z0-9]{26})?$", description="the id of the channel that the bot posts to"
    )
    name: str = Field(
        default="", max_length=64, description="who a webhook's message is from, where the server allows it"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        own = {name for name in ("server", "token", "channel") if name in self.model_fields_set}
        if own if self.url is not None else not {"server", "token"} <= own:
            raise ValueError("expected either url (an incoming webhook), or server and token (a bot)")
        return self


class Plugin:
    kind = KIND
    acknowledged = False

    def __init__(self, desk: Desk, params: Params) -> None:
        self._desk = desk
        self._params = params
        token = params.token.get_secret_value()
        hook = params.url.get_secret_value() if params.url is not None else ""
        self._headers = {"Authorization": f"Bearer {token}"} if not hook else {}
        self._url = hook or f"{params.server}/api/v4/posts"
        explain = f"check {'url' if hook else 'token and channel'} of {desk.name} in tocsin.yaml"
        self._outlet = Outlet(desk, "Mattermost", self._url, secrets=[token], explain=explain)

    async def send(self, notice: Notice, address: str, again: bool) -> Receipt:
        if self._params.url is not None:
            answer = await self._by_webhook(said(notice, self._desk.redact, again=again), address)
        else:
            answer = await self._by_bot(notice, address)
        return Receipt(provider_id=self._outlet.id(answer, "id"), answer="Mattermost has posted it")

    async def _by_webhook(self, words: Said, channel: str) -> Answer:
        if channel and not _NAME.fullmatch(channel):
            raise BadInput(
                "Mattermost: the address is no channel; expected its name in lower case, or @user for a direct message"
            )
        body: dict[str, Any] = {"text": f"**{markdown(words.subject)}**", "attachments": [attachment(words)]}
        body |= {name: value for name, value in (("channel", channel), ("username", self._params.name)) if value}
        return await self._outlet.send_json(self._url, body)

    async def _by_bot(self, notice: Notice, address: str) -> Answer:
        channel = address or self._params.channel
        if not _ID.fullmatch(channel):
            raise BadInput(
                "Mattermost: there is no channel to post to; expected its id (26 letters and digits) as address or as channel"
            )
        words = said(notice, self._desk.redact)
        body = {
            "channel_id": channel,
            "message": f"**{markdown(words.subject)}**",
            "pending_post_id": hashlib.sha256(f"{notice.identity}\n{channel}".encode()).hexdigest()[:PENDING],
            "props": {"attachments": [attachment(words)]},
        }
        return await self._outlet.send_json(self._url, body, self._headers)


def attachment(words: Said) -> dict[str, Any]:
    links = " · ".join(f"[{text}]({url})" for text, url in words.links)
    return {
        "fallback": unmentioned(words.subject),
        "color": f"#{words.colour:06X}",
        "text": f"{markdown(clip(words.body, BODY))}\n\n{links}".strip(),
    }
