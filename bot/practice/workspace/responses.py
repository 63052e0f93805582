"""response_url: where an app answers a click or a command later, five times within half an hour."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from aiohttp import web

from bot.practice.workspace import render
from bot.practice.workspace.calls import Args, Json, SlackError
from bot.practice.workspace.desk import Desk, content_of
from bot.practice.workspace.state import BOT_USER, Channel, Message
from bot.practice.workspace.webapi import hang_up

MOST_USES = 5
SECONDS = 1800.0


@dataclass
class ResponseUrl:
    """One address: for whom, where, and the message it came from (none for a command)."""

    channel: str
    user: str
    message_ts: str
    expires: float
    uses: int = 0


class Responses:
    """All response URLs given out."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._given: dict[str, ResponseUrl] = {}

    def new(self, channel: str, user: str, message_ts: str = "") -> str:
        """A fresh address."""
        ticket = secrets.token_urlsafe(18)
        self._given[ticket] = ResponseUrl(channel, user, message_ts, self.desk.state.now() + SECONDS)
        return f"{self.desk.state.base_url}/response/{ticket}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """POST /response/TICKET with a message as JSON."""
        url = self._given.get(request.match_info["ticket"])
        if self.desk.faults.take("response_url", "down", "500", "lost", "timeout"):
            return hang_up(request)
        if url is None or self.desk.state.now() > url.expires:
            return web.json_response({"ok": False, "error": "expired_url"}, status=404)
        if url.uses >= MOST_USES:
            return web.json_response({"ok": False, "error": "used_url"}, status=404)
        url.uses += 1
        try:
            body = await request.json()
            self.answer(url.channel, url.user, url.message_ts, body)
        except SlackError as refusal:
            return web.json_response(refusal.answer(), status=400)
        except ValueError:
            return web.json_response({"ok": False, "error": "invalid_payload"}, status=400)
        return web.Response(text="ok")

    def answer(self, channel_id: str, user: str, message_ts: str, body: Json) -> Message | None:
        """Show an answer: replace or delete the original, else a new message, ephemeral unless in_channel."""
        channel = self.desk.state.channels[channel_id]
        args = Args(body)
        original = channel.messages.get(message_ts) or channel.ephemerals.get(message_ts)
        if args.flag("delete_original") and original is not None:
            self.desk.deleted(channel, original)
            return None
        text, blocks, attachments = content_of(args)
        if args.flag("replace_original") and original is not None:
            self._replace(channel, original, text, blocks)
            return original
        public = args.text("response_type") == "in_channel"
        more = {"blocks": blocks, "attachments": attachments, "thread_ts": args.text("thread_ts")}
        return self.desk.post(channel, BOT_USER, text, only_for="" if public else user, **more)

    def _replace(self, channel: Channel, original: Message, text: str, blocks: list[Json]) -> None:
        before = render.message_json(self.desk.state, channel, original)
        original.text, original.blocks = text, blocks
        self.desk.edited(channel, original, before)
