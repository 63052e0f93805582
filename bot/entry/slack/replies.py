"""How people are answered: the flow call within the three seconds that Slack waits, its failures in words, and the way back to the person."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from bot.clients.slack import SlackError, SlackGateway
from bot.domain.effects import Priority
from bot.entry.slack.asked import Reply
from bot.entry.slack.ports import Flows
from bot.errors import BadInput, GaveUp, TryLater
from bot.room import mrkdwn

log = structlog.get_logger(__name__)

PATIENCE = 2.0  # seconds; Slack shows an error after three
TAKEN = "This was taken already; nothing is done twice."
BROKEN = "Something went wrong inside Tocsin, and it is in its log. Look at the card before you try again."


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to tell, and whether the flow did what was asked."""

    reply: Reply
    ok: bool = True


@dataclass(frozen=True, slots=True)
class Person:
    """Where the answer goes. Any part may be empty except the user."""

    user_id: str
    channel_id: str = ""
    response_url: str = ""
    trigger_id: str = ""
    thread_ts: str = ""


Work = Callable[[], Awaitable[Reply]]


class Replies:
    """Runs what a handler asks for and brings the answer back."""

    def __init__(self, gateway: SlackGateway, flows: Flows, patience: float = PATIENCE) -> None:
        self._gateway = gateway
        self._flows = flows
        self._patience = patience

    async def outcome(self, key: str, work: Work) -> Outcome:
        """The work done once per key; whatever goes wrong comes back as words, never as a trace."""
        try:
            if not await self._flows.once(key):
                return Outcome(Reply(TAKEN), ok=False)
            return Outcome(await work())
        except BadInput as error:
            return Outcome(Reply(mrkdwn.escape(str(error))), ok=False)
        except TryLater as error:
            return Outcome(Reply(_later(error)), ok=False)
        except GaveUp as error:
            return Outcome(Reply(f"This cannot be done: {mrkdwn.escape(str(error))}"), ok=False)
        except Exception as error:
            log.error("a click or command failed", key=key.partition(":")[0], exc_info=error)
            return Outcome(Reply(BROKEN), ok=False)

    async def within(
        self, key: str, work: Work, first: Callable[[Outcome | None], Awaitable[object]]
    ) -> tuple[Outcome, bool]:
        """Acknowledge with the outcome when it comes in time, else with None and wait on: (outcome, whether it was in time)."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.outcome(key, work))
            await asyncio.wait({task}, timeout=self._patience)
            in_time = task.done()
            await first(task.result() if in_time else None)
        return task.result(), in_time

    async def tell(self, person: Person, reply: Reply) -> None:
        """Open the modal, or show the words to this person alone: by response_url, else in the channel, else by direct message."""
        try:
            if reply.view is not None:
                await self.open_view(person, reply.view)
                return
            if person.response_url:
                message = {"response_type": "ephemeral", "replace_original": False, **said(reply)}
                await self._gateway.respond(person.response_url, message)
                return
            await self._ephemeral(person, reply)
        except (SlackError, TryLater) as error:
            await self._otherwise(person, reply, error)

    async def open_view(self, person: Person, view: Mapping[str, Any]) -> None:
        await self._gateway.call("views.open", priority=Priority.PAGE, trigger_id=person.trigger_id, view=dict(view))

    async def _ephemeral(self, person: Person, reply: Reply) -> None:
        await self._gateway.call(
            "chat.postEphemeral",
            channel=person.channel_id,
            priority=Priority.APPROVAL,
            user=person.user_id,
            thread_ts=person.thread_ts or None,
            **said(reply),
        )

    async def _otherwise(self, person: Person, reply: Reply, error: Exception) -> None:
        """The second way, when the first failed. A reply that cannot be brought is logged; what it tells of has happened."""
        words = reply if reply.view is None else Reply("The form could not be opened in time. Please try again.")
        try:
            if person.channel_id and (person.response_url or reply.view is not None):
                await self._ephemeral(person, words)
                return
        except (SlackError, TryLater):
            pass
        try:
            opened = await self._gateway.call("conversations.open", priority=Priority.APPROVAL, users=person.user_id)
            channel = opened["channel"]["id"]
            await self._gateway.call(
                "chat.postMessage", channel=channel, priority=Priority.APPROVAL, unfurl_links=False, **said(words)
            )
        except (SlackError, TryLater):
            log.warning("a reply could not be shown", why=str(error))


def said(reply: Reply) -> dict[str, Any]:
    """A reply as arguments of a message."""
    return {"text": reply.text or "Done.", **({"blocks": list(reply.blocks)} if reply.blocks else {})}


def _later(error: TryLater) -> str:
    why = mrkdwn.line(str(error), 200)
    if error.uncertain:
        return f"It is not certain whether this took effect ({why}). Look at the card before you try again."
    return f"Nothing was done: {why}. Please try again in a moment."
