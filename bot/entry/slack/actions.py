"""Clicks: each button is one flow call. Translates the click, calls, replies; the card itself is brought up to date by the outbox."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.clients.slack import SlackError, SlackGateway
from bot.domain.effects import Priority
from bot.domain.people import Actor
from bot.entry.slack.asked import Reply, may_be_taken, must_be_seen_here, told
from bot.entry.slack.ports import Flows
from bot.entry.slack.replies import Person, Replies
from bot.entry.slack.run_actions import Act as Decide
from bot.entry.slack.run_actions import RunClicks
from bot.entry.slack.run_forms import runbook_form
from bot.entry.slack.silence_forms import silence_form
from bot.errors import BadInput, TryLater
from bot.room import blocks as kit
from bot.room import mrkdwn, views
from bot.room.run_buttons import NUMBER

Body = Mapping[str, Any]
Act = Callable[[Body, Actor], Awaitable[Reply]]


class Clicks:
    """Registers a handler per action id."""

    def __init__(self, gateway: SlackGateway, flows: Flows, replies: Replies) -> None:
        self._gateway = gateway
        self._flows = flows
        self._replies = replies

    def register(self, app: AsyncApp) -> None:
        acts: dict[str, Act] = {
            kit.ACK: self._acknowledge,
            kit.RESOLVE: self._resolve,
            kit.ESCALATE: self._escalate,
            kit.RUNBOOKS: self._runbooks,
            kit.SILENCE: self._silence,
            kit.STILL_AT_IT: self._still_at_it,
        }
        for action_id, act in acts.items():
            app.action(action_id)(self._handler(act))
        for pattern, decide in RunClicks(self._flows).acts().items():
            app.action(pattern)(self._handler(_deciding(decide)))
        app.action(kit.PAGE_ACK)(self._on_page_ack)
        app.action(kit.CHOOSE_RUNBOOK)(self._on_choose_runbook)
        app.action(re.compile(r".*"))(self._handler(self._unknown))

    def _handler(self, act: Act) -> Callable[[AsyncAck, dict[str, Any]], Awaitable[None]]:
        async def on_click(ack: AsyncAck, body: dict[str, Any]) -> None:
            await self._click(ack, body, act)

        return on_click

    async def _click(self, ack: AsyncAck, body: Body, act: Act) -> bool:
        """Do what the click asks for, tell the person, and say whether it was done."""
        actor = actor_of(body, self._flows)
        outcome, _ = await self._replies.within(click_key(body), lambda: act(body, actor), lambda _: ack())
        await self._replies.tell(person_of(body), outcome.reply)
        return outcome.ok

    async def _on_page_ack(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Acknowledged from the page itself: its button goes, so that nobody wonders whether it still pages."""
        if not await self._click(ack, body, self._acknowledge):
            return
        message = body.get("message") or {}
        kept = [block for block in message.get("blocks") or () if block.get("type") != "actions"]
        who = actor_of(body, self._flows)
        done = kit.context(f"✅ Acknowledged by {mrkdwn.line(who.name)}")
        channel = (body.get("channel") or {}).get("id")
        try:
            await self._gateway.call(
                "chat.update",
                channel=channel,
                priority=Priority.COSMETICS,
                ts=message.get("ts"),
                text=f"{message.get('text', '')} Acknowledged by {mrkdwn.line(who.name)}.",
                blocks=[*kept, done],
            )
        except (SlackError, TryLater):
            return  # a button too many; clicking it again explains itself

    async def _on_choose_runbook(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        """Show the picked runbook's parameters in the modal that is open."""
        await ack()
        view = body.get("view") or {}
        about = views.about(view)
        chosen = (action_of(body).get("selected_option") or {}).get("value", "")

        async def work() -> Reply:
            return Reply(view=await runbook_form(self._flows, {**about, "chosen": chosen}, chosen))

        outcome = await self._replies.outcome(click_key(body), work)
        if outcome.reply.view is None:
            await self._replies.tell(person_of(body, about.get("channel", "")), outcome.reply)
            return
        try:
            await self._gateway.call(
                "views.update",
                priority=Priority.PAGE,
                view_id=view.get("id"),
                hash=view.get("hash"),
                view=outcome.reply.view,
            )
        except (SlackError, TryLater):
            return  # closed meanwhile, or picked again: the newer pick shows itself

    async def _acknowledge(self, body: Body, actor: Actor) -> Reply:
        number = incident_id(body)
        await may_be_taken(self._flows, number, channel_of(body), actor, asked=True)
        return told(await self._flows.incidents.acknowledge(number, actor))

    async def _resolve(self, body: Body, actor: Actor) -> Reply:
        return told(await self._flows.incidents.resolve(incident_id(body), actor))

    async def _escalate(self, body: Body, actor: Actor) -> Reply:
        return told(await self._flows.incidents.escalate(incident_id(body), actor))

    async def _still_at_it(self, body: Body, actor: Actor) -> Reply:
        return told(await self._flows.incidents.still_at_it(incident_id(body), actor))

    async def _runbooks(self, body: Body, actor: Actor) -> Reply:
        about: dict[str, Any] = {"incident": incident_id(body), "channel": channel_of(body)}
        await must_be_seen_here(self._flows, about["incident"], about["channel"])
        return Reply(view=await runbook_form(self._flows, about))

    async def _silence(self, body: Body, actor: Actor) -> Reply:
        return Reply(view=await silence_form(self._flows, incident_id(body), channel_of(body), actor))

    async def _unknown(self, body: Body, actor: Actor) -> Reply:
        raise BadInput("This button is of an older version of Tocsin. Use the newest card, or `/incident help`.")


def action_of(body: Body) -> dict[str, Any]:
    actions = body.get("actions") or [{}]
    return dict(actions[0])


def click_key(body: Body) -> str:
    """What a click is about: the same for a second delivery of it, another one for a second click."""
    action = action_of(body)
    container = body.get("container") or {}
    where = container.get("channel_id") or container.get("view_id") or ""
    about = (action.get("action_id"), action.get("value"))  # several steps of a run may ask with the same buttons
    parts = (where, container.get("message_ts"), *about, user_of(body), action.get("action_ts"))
    return "click:" + ":".join(str(part or "") for part in parts)


def user_of(body: Body) -> str:
    return str((body.get("user") or {}).get("id") or body.get("user_id") or "")


def actor_of(body: Body, flows: Flows) -> Actor:
    user = body.get("user") or {}
    name = str(user.get("name") or user.get("username") or body.get("user_name") or "")
    return flows.directory().by_slack(user_of(body), name)


def channel_of(body: Body) -> str:
    return str((body.get("channel") or {}).get("id") or body.get("channel_id") or "")


def person_of(body: Body, channel: str = "") -> Person:
    return Person(
        user_of(body),
        channel or channel_of(body),
        str(body.get("response_url") or ""),
        str(body.get("trigger_id") or ""),
    )


def incident_id(body: Body) -> int:
    value = str(action_of(body).get("value") or "")
    if not NUMBER.fullmatch(value):
        raise BadInput("This button does not say which incident it is about. Use the newest card.")
    return int(value)


def _deciding(decide: Decide) -> Act:
    async def act(body: Body, actor: Actor) -> Reply:
        return await decide({**action_of(body), "channel": channel_of(body)}, actor)

    return act
