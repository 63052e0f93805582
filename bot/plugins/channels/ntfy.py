"""ntfy: a push to everybody who subscribes to a topic, by ntfy.sh or a server of your own.

*Set-up*: install the app, subscribe to a topic that nobody can guess (on ntfy.sh whoever knows its name can read it), and give the name as the
person's address or as `topic`. On a server of your own set `url`, and `token` when topics are protected (*Account > Access tokens*, or `ntfy token
add`).
*Permissions*: the token's user may write to the topics (`ntfy access tocsin 'pages-*' write-only`).
*Deduplication*: by servers from 2.16 on: each message has a `sequence_id` made of its key, so one that is sent again replaces the first on the
phone. Older servers ignore it; then a message may come twice after an answer that was lost.
*Acknowledging*: by the button *Acknowledge*, which opens Tocsin's page (with `server.public_url` and `server.secret`).

Critical pages have priority 5 (they ring through), other pages 4, the rest 3. A message holds 4,096 bytes.

https://docs.ntfy.sh/publish/#publish-as-json
https://docs.ntfy.sh/publish/#action-buttons
https://docs.ntfy.sh/publish/#updating-deleting-notifications
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bot.clients.desk import Desk
from bot.clients.media_http import BaseUrl, Outlet
from bot.clients.media_text import GREEN, GREY, clip, clip_bytes, said
from bot.domain.notice import Notice, Receipt
from bot.errors import BadInput

KIND = "push"
CALLS_BACK = False
MESSAGE_BYTES, TITLE = 3900, 200
_TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    topic: str = Field(
        default="", pattern=r"^[-_A-Za-z0-9]{0,64}$", description="the topic for pages without an address"
    )
    token: SecretStr = Field(default=SecretStr(""), description="an access token (tk_…), by reference")
    url: BaseUrl = Field(default="https://ntfy.sh", description="the server")


class Plugin:
    kind = KIND
    acknowledged = False

    def __init__(self, desk: Desk, params: Params) -> None:
        self._desk = desk
        self._params = params
        token = params.token.get_secret_value()
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        explain = f"check url and token of {desk.name} in tocsin.yaml, and that it may write to the topic"
        self._outlet = Outlet(desk, "ntfy", params.url, secrets=[token], explain=explain)

    async def send(self, notice: Notice, address: str, again: bool) -> Receipt:
        topic = address or self._params.topic
        if not _TOPIC.fullmatch(topic):
            raise BadInput(
                "ntfy: there is no topic to write to; expected letters, digits, - and _ (at most 64) as address or as topic"
            )
        answer = await self._outlet.send_json(
            self._params.url, {"topic": topic, **self._message(notice)}, self._headers
        )
        return Receipt(provider_id=self._outlet.id(answer, "id"), answer="ntfy has taken it")

    def _message(self, notice: Notice) -> dict[str, Any]:
        words = said(notice, self._desk.redact)
        actions = [{"action": "view", "label": text, "url": url, "clear": True} for text, url in words.links]
        tag = (
            "white_check_mark"
            if words.colour == GREEN
            else "speech_balloon"
            if words.colour == GREY
            else "rotating_light"
        )
        return {
            "title": clip(words.subject, TITLE),
            "message": clip_bytes(words.body or words.subject, MESSAGE_BYTES),
            "priority": 3 if not words.urgent else 5 if notice.severity in ("critical", "") else 4,
            "tags": [tag],
            "sequence_id": hashlib.sha256(notice.identity.encode()).hexdigest()[:32],
            **({"click": words.links[0][1]} if words.links else {}),
            **({"actions": actions} if actions else {}),
        }
