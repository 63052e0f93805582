"""What people do in the workspace: click, run a command, submit a modal, say something, react, edit, delete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bot.practice.workspace import chat, render, views
from bot.practice.workspace.blocks import check_view, elements
from bot.practice.workspace.calls import Json, SlackError
from bot.practice.workspace.desk import Desk
from bot.practice.workspace.events import VERIFICATION_TOKEN, Delivery, Reply
from bot.practice.workspace.inputs import action_of, values_of
from bot.practice.workspace.responses import Responses
from bot.practice.workspace.state import APP_ID, BOT_USER, SLACKBOT, TEAM_ID, Channel, Message, View


class CannotDo(Exception):
    """Something the user interface would not let this person do."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.error = error
        self.more = more


@dataclass
class Acts:
    """The acts of people; each returns once the app has acknowledged (or did not in time)."""

    desk: Desk
    delivery: Delivery
    responses: Responses
    commands: dict[str, str]  # the app's slash commands and their usage hints

    async def click(self, user: str, channel_id: str, ts: str, action_id: str, **chosen: Any) -> Json:
        """Press a button or choose from a menu in a message; refuses what is no longer there."""
        channel = self._visible(user, channel_id)
        message = channel.messages.get(ts) or channel.ephemerals.get(ts)
        if message is None or message.only_for not in ("", user):
            raise CannotDo("no_such_message")
        action = self._action(message.blocks, action_id, chosen)
        own = bool(message.only_for)
        payload = {
            **self._about(user, "block_actions"),
            "container": {"type": "message", "message_ts": ts, "channel_id": channel.id, "is_ephemeral": own},
            "channel": {"id": channel.id, "name": _shown_name(channel)},
            "message": render.message_json(self.desk.state, channel, message),
            "state": {"values": {}},
            "trigger_id": self.desk.state.new_trigger(user),
            "response_url": self.responses.new(channel.id, user, ts),
            "actions": [action],
        }
        if message.thread_ts:
            payload["container"]["thread_ts"] = message.thread_ts
        reply = await self.delivery.interactive(payload)
        if not reply.ok:
            self._tell(channel, user, f"Sorry, that didn't work. The app did not respond: `{reply.error}`")
        return _outcome(reply)

    async def click_in_view(self, user: str, view_id: str, action_id: str, **chosen: Any) -> Json:
        """Press a button or choose from a menu in a modal."""
        view = self._view(user, view_id)
        action = self._action(view.body["blocks"], action_id, chosen)
        trigger = self.desk.state.new_trigger(user)
        self.desk.state.triggers[trigger].view_id = view.id
        values = values_of(view.body["blocks"], chosen.get("values") or {})[0]
        payload = {
            **self._about(user, "block_actions"),
            "container": {"type": "view", "view_id": view.id},
            "view": render.view_json(view, values),
            "trigger_id": trigger,
            "actions": [action],
        }
        return _outcome(await self.delivery.interactive(payload))

    async def command(self, user: str, channel_id: str, command: str, text: str) -> Json:
        """Run a slash command; its immediate answer is shown and returned."""
        channel = self._visible(user, channel_id)
        if command not in self.commands:
            words = "In Slack, all messages that start with the “/” character are interpreted as commands."
            self._tell(channel, user, f"`{command}` is not a valid command. {words}")
            return {"ok": False, "error": "invalid_command"}
        person = self.desk.state.users[user]
        payload = {
            "token": VERIFICATION_TOKEN,
            "team_id": TEAM_ID,
            "team_domain": "practice",
            "channel_id": channel.id,
            "channel_name": _shown_name(channel),
            "user_id": user,
            "user_name": person.name,
            "command": command,
            "text": text,
            "api_app_id": APP_ID,
            "is_enterprise_install": "false",
            "response_url": self.responses.new(channel.id, user),
            "trigger_id": self.desk.state.new_trigger(user),
        }
        reply = await self.delivery.command(payload)
        if not reply.ok:
            self._tell(channel, user, f'{command} failed with the error "{reply.error}"')
            return _outcome(reply)
        # Over HTTP the answer may be bare text; over a socket it is JSON always.
        body = {"text": reply.body} if isinstance(reply.body, str) and reply.body else reply.body
        if isinstance(body, dict) and (body.get("text") or body.get("blocks")):
            self._show_answer(channel, user, body)
        view = self.desk.state.top_view(user)
        return {"ok": True, "response": body, **({"view_id": view.id} if view else {})}

    async def submit(self, user: str, view_id: str, values: Json) -> Json:
        """Press the submit button of a modal; `values` as {block_id: {action_id: value}} or {action_id: value}."""
        view = self._view(user, view_id)
        filled, missing = values_of(view.body["blocks"], values)
        if missing:
            raise CannotDo("required_fields_missing", missing=missing)
        payload = {
            **self._about(user, "view_submission"),
            "trigger_id": self.desk.state.new_trigger(user),
            "view": render.view_json(view, filled),
            "response_urls": [],
        }
        self.desk.state.triggers[payload["trigger_id"]].view_id = view.id
        reply = await self.delivery.interactive(payload)
        if not reply.ok:
            return {**_outcome(reply), "message": "We had some trouble connecting. Try again?"}
        return self._after_submit(view, reply)

    async def close(self, user: str, view_id: str) -> Json:
        """Close a modal by its X; the app hears of it when it asked to."""
        view = self._view(user, view_id)
        self.desk.state.drop_view(view)
        if view.body.get("notify_on_close"):
            about = self._about(user, "view_closed")
            await self.delivery.interactive({**about, "view": render.view_json(view), "is_cleared": False})
        return {"ok": True}

    def say(self, user: str, channel_id: str, text: str, thread_ts: str = "") -> Message:
        """Post a message as a person; joins a public channel on the way."""
        channel = self._visible(user, channel_id)
        if channel.archived:
            raise CannotDo("is_archived")
        if user not in channel.members:
            self.desk.join(channel, user)
        if thread_ts and thread_ts not in channel.messages:
            raise CannotDo("no_such_message")
        return self.desk.post(channel, user, text, thread_ts=thread_ts)

    def react(self, user: str, channel_id: str, ts: str, name: str, *, remove: bool = False) -> None:
        """Add or take back an emoji."""
        channel, message = self._message(user, channel_id, ts)
        act = chat.unreact_as if remove else chat.react_as
        try:
            act(self.desk, channel, message, user, name)
        except SlackError as refusal:
            raise CannotDo(refusal.error) from None

    def edit(self, user: str, channel_id: str, ts: str, text: str) -> None:
        """Change one's own message."""
        channel, message = self._message(user, channel_id, ts)
        if message.user != user:
            raise CannotDo("not_your_message")
        before = render.message_json(self.desk.state, channel, message)
        message.text = text
        message.edited = {"user": user, "ts": f"{int(self.desk.state.now())}.000000"}
        self.desk.edited(channel, message, before)

    def delete(self, user: str, channel_id: str, ts: str) -> None:
        """Delete one's own message."""
        channel, message = self._message(user, channel_id, ts)
        if message.user != user:
            raise CannotDo("not_your_message")
        self.desk.deleted(channel, message)

    def _after_submit(self, view: View, reply: Reply) -> Json:
        answer = reply.body if isinstance(reply.body, dict) else {}
        action = answer.get("response_action")
        if action == "errors":
            return {"ok": False, "error": "view_errors", "errors": answer.get("errors") or {}}
        try:
            if action == "update":
                views.updated(self.desk, view, check_view(answer.get("view")))
            elif action == "push":
                views.pushed(self.desk, view, check_view(answer.get("view")))
            elif view.id in self.desk.state.views:
                self.desk.state.drop_view(view, everything=action == "clear")
        except SlackError as refusal:
            return {**refusal.answer(), "message": "We had some trouble connecting. Try again?"}
        return _outcome(reply)

    def _show_answer(self, channel: Channel, user: str, body: Json) -> None:
        try:
            self.responses.answer(channel.id, user, "", body)
        except SlackError as refusal:
            self._tell(channel, user, f"The app's answer could not be shown: `{refusal.error}`")

    def _tell(self, channel: Channel, user: str, text: str) -> None:
        """A line from Slackbot that only this person sees."""
        self.desk.post(channel, SLACKBOT, text, only_for=user)

    def _about(self, user: str, kind: str) -> Json:
        return {
            "type": kind,
            "user": render.user_brief(self.desk.state, user),
            "api_app_id": APP_ID,
            "token": VERIFICATION_TOKEN,
            "team": {"id": TEAM_ID, "domain": "practice"},
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def _action(self, blocks: list[Json], action_id: str, chosen: Json) -> Json:
        for block in blocks:
            if chosen.get("block_id") not in (None, block.get("block_id")):
                continue
            for element in elements(block):
                if element.get("action_id") == action_id:
                    action = action_of(element, chosen)
                    if action is not None:
                        ts = f"{self.desk.state.now():.6f}"
                        return {**action, "block_id": block["block_id"], "action_ts": ts}
        raise CannotDo("no_such_button")

    def _visible(self, user: str, channel_id: str) -> Channel:
        if user not in self.desk.state.users or user == BOT_USER:
            raise CannotDo("no_such_user")
        try:
            return self.desk.state.channel_for(user, channel_id)
        except SlackError as refusal:
            raise CannotDo(refusal.error) from None

    def _message(self, user: str, channel_id: str, ts: str) -> tuple[Channel, Message]:
        channel = self._visible(user, channel_id)
        if ts not in channel.messages:
            raise CannotDo("no_such_message")
        return channel, channel.messages[ts]

    def _view(self, user: str, view_id: str) -> View:
        view = self.desk.state.views.get(view_id) if view_id else self.desk.state.top_view(user)
        if view is None or view.user != user:
            raise CannotDo("no_such_view")
        return view


def _shown_name(channel: Channel) -> str:
    """Slack does not tell an app a private channel's name in interactions."""
    return {"im": "directmessage", "group": "privategroup"}.get(channel.kind, channel.name)


def _outcome(reply: Reply) -> Json:
    return {"ok": True, "response": reply.body} if reply.ok else {"ok": False, "error": reply.error}
