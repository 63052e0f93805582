"""Discord, by a channel's webhook: a message with one embed.

*Set-up*: in Discord open *Edit channel > Integrations > Webhooks > New webhook*, *Copy webhook URL*, and give it here as `url`. For a thread (or a
forum's post) of that channel its id is the address.
*Permissions*: whoever has the address may post; keep it as a secret. Making one needs *Manage webhooks*.
*Deduplication*: none. A webhook takes no nonce and cannot read the channel: after an answer that was lost the message may come twice, and the
second one says so. `?wait=true` makes Discord answer only once the message is saved, so what was answered is there.
*Acknowledging*: by the link in the message, which opens Tocsin's page (with `server.public_url` and `server.secret`).

Nobody is mentioned, whatever an alert says (`allowed_mentions`). At most 2,000 characters of text and 4,096 in the embed.

https://docs.discord.com/developers/resources/webhook#execute-webhook
https://docs.discord.com/developers/resources/message#embed-object-embed-limits
https://docs.discord.com/developers/topics/rate-limits
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field

from bot.clients.desk import Desk
from bot.clients.media_http import Outlet, SecretUrl
from bot.clients.media_text import Said, clip_utf16, markdown, said
from bot.domain.notice import Notice, Receipt
from bot.errors import BadInput

KIND = "chat"
CALLS_BACK = False
CONTENT, DESCRIPTION = 2000, 4096
NAME = 80
_THREAD = re.compile(r"\d{5,25}")


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: SecretUrl = Field(description="the webhook's address, by reference")
    name: str = Field(
        default="", max_length=NAME, description="who the message is from; the webhook's own name when left out"
    )


class Plugin:
    kind = KIND
    acknowledged = False

    def __init__(self, desk: Desk, params: Params) -> None:
        self._desk = desk
        self._params = params
        self._url = params.url.get_secret_value()
        explain = f"check url of {desk.name} in tocsin.yaml: the webhook may have been deleted"
        self._outlet = Outlet(desk, "Discord", self._url, explain=explain)

    async def send(self, notice: Notice, address: str, again: bool) -> Receipt:
        if address and not _THREAD.fullmatch(address):
            raise BadInput(
                "Discord: the address is no thread; expected its id (digits), or none for the webhook's channel"
            )
        body = message(said(notice, self._desk.redact, again=again))
        if self._params.name:
            body["username"] = self._params.name
        answer = await self._outlet.send_json(_waiting(self._url, address), body)
        return Receipt(provider_id=self._outlet.id(answer, "id"), answer="Discord has posted it")


def message(words: Said) -> dict[str, Any]:
    """The subject as text (a phone shows it), the rest in an embed."""
    # Cut before it is escaped, so that no escape is cut in two: the links need room of their own.
    links = "\n".join(f"[{text}]({url})" for text, url in words.links)
    body = _fitting(words.body, DESCRIPTION - len(links) - 2)
    embed: dict[str, Any] = {"description": f"{body}\n\n{links}".strip(), "color": words.colour}
    return {
        "content": f"**{_fitting(words.subject, CONTENT - 4)}**",
        **({"embeds": [embed]} if embed["description"] else {}),
        "allowed_mentions": {"parse": []},
    }


def _fitting(text: str, most: int) -> str:
    """Escaped, at most so many UTF-16 units."""
    room = most
    while len((shown := markdown(clip_utf16(text, room))).encode("utf-16-le")) > 2 * most:
        room = room * 3 // 4
    return shown


def _waiting(url: str, thread: str) -> str:
    parts = urlsplit(url)
    query = {**dict(parse_qsl(parts.query)), "wait": "true", **({"thread_id": thread} if thread else {})}
    return urlunsplit(parts._replace(query=urlencode(query), fragment=""))
