"""Microsoft Teams, by a webhook of the Workflows app: an Adaptive Card in a channel or chat.

*Set-up*: in Teams open the channel's *… > Workflows*, choose *Post to a channel when a webhook request is received* (in a chat: *Post to a chat
when …*), and give the address that it shows here as `url`. Make a second person an owner of the workflow: it ends with the account of its only
owner. Addresses of the older Office 365 connectors (`…webhook.office.com`, `outlook.office.com/webhook/…`) are refused: Microsoft has retired them.
*Permissions*: whoever has the address may post; keep it as a secret. In a private channel the workflow has to post as a user.
*Deduplication*: none. The workflow answers 202 as soon as it has started, and nobody can ask it what it posted: after an answer that was lost the
card may come twice, and the second one says so. "Sent" means that the workflow has started; whether it posted stands in its run history.
*Acknowledging*: by the card's button, which opens Tocsin's page (with `server.public_url` and `server.secret`).

At most 28 KB a message, and four requests a second.

https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
https://learn.microsoft.com/en-us/connectors/teams/#microsoft-teams-webhook
https://adaptivecards.io/explorer/TextRun.html (a text run knows no Markdown, so nothing in it can become a link or a mention)
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from bot.clients.desk import Desk
from bot.clients.media_http import Outlet, SecretUrl
from bot.clients.media_text import AMBER, BLUE, GREEN, GREY, RED, Said, clip_bytes, said
from bot.domain.notice import Notice, Receipt
from bot.errors import BadInput

KIND = "chat"
CALLS_BACK = False
BODY_BYTES = 10_000  # of 28 KB, which count what the card becomes as HTML too
MOST_LINES = 60
STYLES = {RED: "attention", AMBER: "warning", BLUE: "accent", GREEN: "good", GREY: "emphasis"}
RETIRED = ("webhook.office.com", "outlook.office.com", "outlook.office365.com")


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: SecretUrl = Field(description="the address that the workflow shows, by reference")

    @field_validator("url")
    @classmethod
    def _of_a_workflow(cls, url: SecretStr) -> SecretStr:
        host = urlsplit(url.get_secret_value()).hostname or ""
        if any(host == one or host.endswith(f".{one}") for one in RETIRED):
            raise ValueError(
                "is the address of an Office 365 connector, which Microsoft has retired; make a workflow "
                "(Post to a channel when a webhook request is received) and use its address"
            )
        return url


class Plugin:
    kind = KIND
    acknowledged = False

    def __init__(self, desk: Desk, params: Params) -> None:
        self._desk = desk
        self._url = params.url.get_secret_value()
        explain = f"check url of {desk.name} in tocsin.yaml, and that the workflow is turned on and has an owner"
        self._outlet = Outlet(desk, "Microsoft Teams", self._url, explain=explain)

    async def send(self, notice: Notice, address: str, again: bool) -> Receipt:
        if address:
            raise BadInput(
                "Microsoft Teams: a workflow posts to its own channel; leave the address out and set up one medium for each channel"
            )
        message = card(said(notice, self._desk.redact, again=again))
        answer = await self._outlet.send_json(self._url, message)
        run = self._outlet.shown(answer.headers.get("x-ms-workflow-run-id", ""), 100)
        return Receipt(provider_id=run, answer="the workflow has started")


def card(words: Said) -> dict[str, Any]:
    """The message as the workflow takes it: one Adaptive Card."""
    lines = clip_bytes(words.body, BODY_BYTES).split("\n")
    if len(lines) > MOST_LINES:
        lines = [*lines[: MOST_LINES - 1], "…"]
    subject = {"type": "TextRun", "text": words.subject, "weight": "Bolder", "size": "Medium"}
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": words.subject,
        "body": [
            {
                "type": "Container",
                "style": STYLES[words.colour],
                "bleed": True,
                "items": [{"type": "RichTextBlock", "inlines": [subject]}],
            },
            *(_line(one) for one in lines if one.strip()),
        ],
        "actions": [{"type": "Action.OpenUrl", "title": text, "url": url} for text, url in words.links],
        "msteams": {"width": "Full"},
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": content}
    return {"type": "message", "attachments": [attachment]}


def _line(text: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "spacing": "Small", "inlines": [{"type": "TextRun", "text": text}]}
