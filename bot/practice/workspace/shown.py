"""The workspace as the control API and the page show it: everything, for every person, as JSON."""

from __future__ import annotations

from typing import Any

from bot.practice.workspace import render
from bot.practice.workspace.calls import Json
from bot.practice.workspace.markdown import to_html
from bot.practice.workspace.state import Channel, Message, State


def channel_shown(channel: Channel) -> Json:
    """A channel without its messages."""
    return {
        "id": channel.id,
        "name": channel.name,
        "kind": channel.kind,
        "is_private": channel.is_private,
        "archived": channel.archived,
        "topic": channel.topic,
        "purpose": channel.purpose,
        "created": channel.created,
        "creator": channel.creator,
        "members": list(channel.members),
        "pins": list(channel.pins),
        "bookmarks": list(channel.bookmarks),
        "with": channel.im_with,
    }


def message_shown(state: State, channel: Channel, message: Message) -> Json:
    """A message with its metadata, who sees it, and its markdown blocks also as safe HTML."""
    body = render.message_json(state, channel, message, metadata=True)
    body["only_for"] = message.only_for
    if any(block["type"] == "markdown" for block in message.blocks):
        drawn = [{"html": to_html(block["text"])} if block["type"] == "markdown" else {} for block in message.blocks]
        body["blocks"] = [{**block, **html} for block, html in zip(message.blocks, drawn, strict=True)]
    return body


def channel_full(state: State, channel: Channel) -> Json:
    """A channel with its messages, ephemerals and files, oldest first."""
    files = [file for file in state.files.values() if channel.id in file.channels]
    return {
        **channel_shown(channel),
        "messages": [message_shown(state, channel, message) for message in channel.messages.values()],
        "ephemerals": [message_shown(state, channel, message) for message in channel.ephemerals.values()],
        "files": [render.file_json(state, file) for file in files],
    }


def state_shown(state: State, only: str = "") -> Json:
    """Everything; with `only` just one channel's messages."""
    chosen = [channel for channel in state.channels.values() if only in ("", channel.id, channel.name)]
    views: dict[str, list[Json]] = {}
    for view in state.views.values():
        views.setdefault(view.user, []).append(render.view_json(view))
    return {
        "now": state.now(),
        "team": state.team_name,
        "users": [user.to_json() for user in state.users.values()],
        "usergroups": state.usergroups,
        "channels": [channel_full(state, channel) for channel in chosen],
        "views": views,
    }


def change_shown(state: State, change: Json) -> Json:
    """A change as the event stream carries it: with the new content, so that nobody has to ask back."""
    more: dict[str, Any] = {}
    channel = state.channels.get(str(change.get("channel")))
    if channel is not None and change["type"] == "channel":
        more["data"] = channel_shown(channel)
    elif channel is not None and change["type"] == "message":
        message = channel.messages.get(change["ts"]) or channel.ephemerals.get(change["ts"])
        more["data"] = message_shown(state, channel, message) if message else None
    elif change["type"] == "view":
        more["data"] = [render.view_json(view) for view in state.views.values() if view.user == change["user"]]
    elif change["type"] == "users":
        more["data"] = [user.to_json() for user in state.users.values()]
    return {**change, **more}
