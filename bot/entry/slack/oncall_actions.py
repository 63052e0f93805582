"""The buttons of a swap: Accept and Decline, in the direct message to whoever is asked. Answered, they go, so that nobody wonders."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.clients.slack import SlackError, SlackGateway
from bot.domain.effects import Priority
from bot.domain.oncall_told import SwapMoved
from bot.domain.people import Actor
from bot.entry.slack.actions import Body, action_of, actor_of, click_key, person_of
from bot.entry.slack.asked import Reply, told
from bot.entry.slack.ports import Flows
from bot.entry.slack.replies import Replies
from bot.errors import BadInput, TryLater
from bot.room import blocks as kit
from bot.room import mrkdwn, oncall
from bot.room.run_buttons import NUMBER

Answer = Callable[[int, Actor], Awaitable[SwapMoved]]


class SwapClicks:
    """Registers both buttons."""

    def __init__(self, gateway: SlackGateway, flows: Flows, replies: Replies) -> None:
        self._gateway = gateway
        self._flows = flows
        self._replies = replies

    def register(self, app: AsyncApp) -> None:
        overrides = self._flows.oncall.overrides
        app.action(oncall.ACCEPT)(self._handler(overrides.accept))
        app.action(oncall.DECLINE)(self._handler(overrides.decline))

    def _handler(self, answer: Answer) -> Callable[[AsyncAck, dict[str, Any]], Awaitable[None]]:
        async def on_click(ack: AsyncAck, body: dict[str, Any]) -> None:
            actor = actor_of(body, self._flows)

            async def work() -> Reply:
                value = str(action_of(body).get("value") or "")
                if not NUMBER.fullmatch(value):
                    raise BadInput("This button does not say which swap it is about. `/oncall overrides` lists them.")
                return told((await answer(int(value), actor)).words)

            outcome, _ = await self._replies.within(click_key(body), work, lambda _: ack())
            await self._replies.tell(person_of(body), outcome.reply)
            if outcome.ok:
                await self._without_buttons(body, outcome.reply.text)

        return on_click

    async def _without_buttons(self, body: Body, words: str) -> None:
        message = body.get("message") or {}
        kept = [block for block in message.get("blocks") or () if block.get("type") != "actions"]
        try:
            await self._gateway.call(
                "chat.update",
                channel=(body.get("channel") or {}).get("id"),
                priority=Priority.COSMETICS,
                ts=message.get("ts"),
                text=mrkdwn.clip(f"{message.get('text', '')} {words}", mrkdwn.SECTION),
                blocks=[*kept, kit.context(words)],
            )
        except (SlackError, TryLater):
            return  # two buttons too many; clicking them again explains itself
