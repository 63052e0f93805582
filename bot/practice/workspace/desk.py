"""What every method and every person's act works with, and the acts they share: posting, editing, system messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bot.practice.workspace import render
from bot.practice.workspace.blocks import check_message
from bot.practice.workspace.calls import Args, Json, SlackError
from bot.practice.workspace.faults import Faults
from bot.practice.workspace.state import BOT_USER, TEAM_ID, Channel, Message, State

TEXT_TRUNCATED = 40_000
TEXT_UPDATED = 4_000  # chat.update refuses what chat.postMessage takes (seratch/ChatGPT-in-Slack #102)
METADATA_BYTES = 16_384


@dataclass
class Desk:
    """The state, the faults and a way to tell the app of an event."""

    state: State
    faults: Faults
    tell: Callable[[Json], None]

    def post(self, channel: Channel, user: str, text: str, **more: Any) -> Message:
        """Put a message in a channel and tell the app of it."""
        is_app = user == BOT_USER
        message = Message(self.state.new_ts(channel), user, text, is_app=is_app, **more)
        self.state.add_message(channel, message)
        if not message.only_for:
            self._tell_message(channel, message)
        return message

    def note(self, channel: Channel, user: str, subtype: str, text: str) -> None:
        """A line that Slack itself writes: somebody joined, set the topic, archived."""
        self.post(channel, user, text, subtype=subtype)

    def edited(self, channel: Channel, message: Message, before: Json) -> None:
        """A message was changed: show it and tell the app."""
        self.state.changed(channel, message)
        if message.only_for:
            return
        self.message_event(
            channel,
            "message_changed",
            message=render.message_json(self.state, channel, message),
            previous_message=before,
        )

    def deleted(self, channel: Channel, message: Message) -> None:
        """A message was deleted: take it away and tell the app."""
        before = render.message_json(self.state, channel, message)
        self.state.remove(channel, message.ts)
        if not message.only_for:
            self.message_event(channel, "message_deleted", deleted_ts=message.ts, previous_message=before)

    def join(self, channel: Channel, user: str, inviter: str = "") -> None:
        """Bring somebody into a channel."""
        channel.members.append(user)
        self.state.touched(channel)
        self.note(channel, user, "channel_join", f"<@{user}> has joined the channel")
        event: Json = {"type": "member_joined_channel", "user": user, "channel": channel.id, "team": TEAM_ID}
        self.tell({**event, "channel_type": channel.id[0], **({"inviter": inviter} if inviter else {})})

    def message_event(self, channel: Channel, subtype: str, **more: Any) -> None:
        """A message event about another message (changed, deleted)."""
        ts = self.state.new_ts(channel)
        kind = channel.kind
        event = {"type": "message", "subtype": subtype, "channel": channel.id, "channel_type": kind, "ts": ts}
        if BOT_USER in channel.members:
            self.tell({**event, "hidden": True, "event_ts": ts, **more})

    def _tell_message(self, channel: Channel, message: Message) -> None:
        if BOT_USER not in channel.members:
            return
        body = render.message_json(self.state, channel, message, metadata=True)
        event = {**body, "channel": channel.id, "channel_type": channel.kind, "event_ts": message.ts}
        self.tell(event)
        if f"<@{BOT_USER}>" in message.text and not message.is_app and not channel.im_with:
            self.tell({**event, "type": "app_mention"})


def content_of(args: Args) -> tuple[str, list[Json], list[Json]]:
    """The text, blocks and attachments of a post, checked."""
    blocks = check_message(args.nested("blocks", "invalid_blocks_format"))
    attachments = args.nested("attachments", "invalid_attachments") or []
    text = args.text("text")
    if not text.strip() and not blocks and not attachments:
        raise SlackError("no_text")
    return text[:TEXT_TRUNCATED], blocks, attachments


def metadata_of(args: Args) -> Json | None:
    """The message metadata, checked; None when not given."""
    metadata = args.nested("metadata", "invalid_metadata_format")
    if metadata in (None, {}):
        return None
    right = isinstance(metadata, dict) and isinstance(metadata.get("event_payload"), dict)
    if not right or not isinstance(metadata.get("event_type"), str) or not metadata["event_type"]:
        raise SlackError("invalid_metadata_format")
    if len(str(metadata)) > METADATA_BYTES:
        raise SlackError("metadata_too_large")
    return {"event_type": metadata["event_type"], "event_payload": metadata["event_payload"]}


def member_channel(desk: Desk, channel_id: str, *, archived: bool = False) -> Channel:
    """A channel the app is in; `archived` says whether an archived one will do."""
    channel = desk.state.channel_for(BOT_USER, channel_id)
    if channel.archived and not archived:
        raise SlackError("is_archived")
    if BOT_USER not in channel.members:
        raise SlackError("not_in_channel")
    return channel
