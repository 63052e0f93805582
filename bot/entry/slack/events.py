"""Words that people write to the bot: its slash commands, and a mention of it in a channel."""

from __future__ import annotations

import html
import re
from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.clients.slack import SlackError, SlackGateway
from bot.domain.effects import Priority
from bot.domain.people import Actor
from bot.entry.slack.actions import actor_of, person_of
from bot.entry.slack.asked import Ask, Reply
from bot.entry.slack.commands import Commands
from bot.entry.slack.oncall_commands import OnCallCommands
from bot.entry.slack.ports import Flows
from bot.entry.slack.replies import Outcome, Person, Replies, said
from bot.errors import TryLater

COMMAND, ONCALL = "/incident", "/oncall"
Run = Callable[[Ask], Awaitable[Reply]]
_MENTION = re.compile(r"<@[A-Z0-9]+(?:\|[^>]*)?>")


class Words:
    """Registers the commands and the mention."""

    def __init__(self, gateway: SlackGateway, flows: Flows, replies: Replies) -> None:
        self._gateway = gateway
        self._flows = flows
        self._replies = replies
        self._commands = Commands(flows)

    def register(self, app: AsyncApp) -> None:
        app.command(COMMAND)(self._handler(self._commands.run))
        app.command(ONCALL)(self._handler(OnCallCommands(self._flows).run))
        app.event("app_mention")(self._on_mention)

    def _handler(self, run: Run) -> Callable[[AsyncAck, dict[str, Any]], Awaitable[None]]:
        async def on_command(ack: AsyncAck, body: dict[str, Any]) -> None:
            await self._on_command(ack, body, run)

        return on_command

    async def _on_command(self, ack: AsyncAck, body: dict[str, Any], run: Run) -> None:
        """The answer goes back with the acknowledgement when it is there in time; a modal has to be opened before that."""
        person = person_of(body)
        text = html.unescape(str(body.get("text") or ""))
        ask = Ask(text, actor_of(body, self._flows), person.channel_id, can_open_modal=bool(person.trigger_id))

        async def first(outcome: Outcome | None) -> object:
            if outcome is None or outcome.reply.view is not None:
                return await ack()
            return await ack(response_type="ephemeral", **said(outcome.reply))

        key = f"command:{person.trigger_id or person.response_url}"
        outcome, in_time = await self._replies.within(key, lambda: run(ask), first)
        if not in_time or outcome.reply.view is not None:
            await self._replies.tell(person, outcome.reply)

    async def _on_mention(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """`@Tocsin ack` is `/incident ack`. The same message under two event ids is one command."""
        await ack()
        event = body.get("event") or {}
        if event.get("bot_id") or not event.get("user"):
            return
        text = html.unescape(_MENTION.sub(" ", str(event.get("text") or ""), count=1)).strip()
        channel = str(event.get("channel") or "")
        person = Person(str(event["user"]), channel, thread_ts=str(event.get("thread_ts") or ""))
        key = f"mention:{channel}:{event.get('ts')}"

        async def work() -> Reply:
            return await self._commands.run(Ask(text, await self._actor(person.user_id), channel))

        outcome = await self._replies.outcome(key, work)
        await self._replies.tell(person, outcome.reply)

    async def _actor(self, user_id: str) -> Actor:
        """Unlike clicks and commands, a mention comes without the person's name."""
        actor = self._flows.directory().by_slack(user_id)
        if not actor.id.startswith("slack:"):
            return actor
        try:
            answer = await self._gateway.call("users.info", priority=Priority.APPROVAL, user=user_id)
        except (SlackError, TryLater):
            return actor
        return self._flows.directory().by_slack(user_id, str(answer["user"].get("name") or ""))
