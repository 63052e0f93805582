"""The chat.*, pins.*, bookmarks.* and reactions.* methods."""

from __future__ import annotations

from bot.practice.workspace import render
from bot.practice.workspace.blocks import check_message
from bot.practice.workspace.calls import Args, Json, SlackError
from bot.practice.workspace.desk import TEXT_UPDATED, Desk, content_of, member_channel, metadata_of
from bot.practice.workspace.state import BOT_USER, TEAM_ID, Channel, Message

MOST_PINS = 100


def target(desk: Desk, name: str) -> Channel:
    """Where a post goes: a channel id, #name, or a person's id (their direct messages)."""
    if name in desk.state.users:
        return desk.state.direct(name)
    found = desk.state.by_name(name.removeprefix("#"))
    return desk.state.channel_for(BOT_USER, found.id if found else name)


def _thread(channel: Channel, ts: str) -> str:
    if not ts:
        return ""
    parent = channel.messages.get(ts)
    if parent is None:
        raise SlackError("thread_not_found")
    return parent.thread_ts if parent.is_reply else ts


def post_message(desk: Desk, args: Args) -> Json:
    """chat.postMessage"""
    channel = target(desk, args.need("channel"))
    if channel.archived:
        raise SlackError("is_archived")
    if BOT_USER not in channel.members:
        raise SlackError("not_in_channel")
    text, blocks, attachments = content_of(args)
    thread = _thread(channel, args.text("thread_ts"))
    message = desk.post(
        channel,
        BOT_USER,
        text,
        blocks=blocks,
        attachments=attachments,
        thread_ts=thread,
        metadata=metadata_of(args),
        subtype="thread_broadcast" if thread and args.flag("reply_broadcast") else "",
    )
    body = render.message_json(desk.state, channel, message, metadata=True)
    return {"channel": channel.id, "ts": message.ts, "message": body}


def _own_message(channel: Channel, ts: str, refusal: str) -> Message:
    message = channel.messages.get(ts)
    if message is None:
        raise SlackError("message_not_found")
    if not message.is_app or (message.subtype and message.subtype != "thread_broadcast"):
        raise SlackError(refusal)
    return message


def update(desk: Desk, args: Args) -> Json:
    """chat.update: blocks go when only text comes; metadata stays unless given; `edited` only for text, as in Slack."""
    channel = member_channel(desk, args.need("channel"))
    message = _own_message(channel, args.need("ts"), "cant_update_message")
    blocks = check_message(args.nested("blocks", "invalid_blocks_format"))
    given = args.has("text") or args.has("blocks") or args.has("attachments")
    if not given:
        raise SlackError("no_text")
    if len(args.text("text")) > TEXT_UPDATED and not blocks:
        raise SlackError("msg_too_long")
    metadata = metadata_of(args)
    before = render.message_json(desk.state, channel, message)
    if args.has("text") or blocks:
        message.text = args.text("text")
    if args.has("blocks") or args.has("text"):
        message.blocks = blocks
    if args.has("attachments"):
        message.attachments = args.nested("attachments", "invalid_attachments") or []
    if args.has("metadata"):
        message.metadata = metadata
    if not blocks:
        message.edited = {"user": BOT_USER, "ts": f"{int(desk.state.now())}.000000"}
    desk.edited(channel, message, before)
    body = render.message_json(desk.state, channel, message, metadata=True)
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": body}


def post_ephemeral(desk: Desk, args: Args) -> Json:
    """chat.postEphemeral"""
    channel = target(desk, args.need("channel"))
    user = args.need("user")
    if channel.archived:
        raise SlackError("is_archived")
    if BOT_USER not in channel.members:
        raise SlackError("not_in_channel")
    if user not in channel.members:
        raise SlackError("user_not_in_channel")
    text, blocks, attachments = content_of(args)
    thread = _thread(channel, args.text("thread_ts"))
    more = {"blocks": blocks, "attachments": attachments, "thread_ts": thread}
    message = desk.post(channel, BOT_USER, text, only_for=user, **more)
    return {"message_ts": message.ts}


def delete(desk: Desk, args: Args) -> Json:
    """chat.delete: the app's own messages only."""
    channel = member_channel(desk, args.need("channel"), archived=True)
    message = _own_message(channel, args.need("ts"), "cant_delete_message")
    desk.deleted(channel, message)
    return {"channel": channel.id, "ts": message.ts}


def get_permalink(desk: Desk, args: Args) -> Json:
    """chat.getPermalink"""
    channel = desk.state.channel_for(BOT_USER, args.need("channel"))
    ts = args.need("message_ts")
    if ts not in channel.messages:
        raise SlackError("message_not_found")
    link = f"{desk.state.base_url}/archives/{channel.id}/p{ts.replace('.', '')}"
    thread = channel.messages[ts].thread_ts
    return {"channel": channel.id, "permalink": f"{link}?thread_ts={thread}&cid={channel.id}" if thread else link}


def _message_at(desk: Desk, args: Args, name: str = "timestamp") -> tuple[Channel, Message]:
    channel = member_channel(desk, args.need("channel"))
    message = channel.messages.get(args.need(name))
    if message is None:
        raise SlackError("message_not_found")
    return channel, message


def pin(desk: Desk, args: Args) -> Json:
    """pins.add"""
    channel, message = _message_at(desk, args)
    if message.ts in channel.pins:
        raise SlackError("already_pinned")
    if len(channel.pins) >= MOST_PINS:
        raise SlackError("too_many_pins")
    channel.pins.append(message.ts)
    desk.state.touched(channel)
    desk.state.changed(channel, message)
    return {}


def unpin(desk: Desk, args: Args) -> Json:
    """pins.remove"""
    channel, message = _message_at(desk, args)
    if message.ts not in channel.pins:
        raise SlackError("no_pin")
    channel.pins.remove(message.ts)
    desk.state.touched(channel)
    desk.state.changed(channel, message)
    return {}


def list_pins(desk: Desk, args: Args) -> Json:
    """pins.list"""
    channel = member_channel(desk, args.need("channel"), archived=True)
    messages = [channel.messages[ts] for ts in reversed(channel.pins)]
    bodies = [render.message_json(desk.state, channel, message) for message in messages]
    about = {"type": "message", "channel": channel.id, "created": int(desk.state.now()), "created_by": BOT_USER}
    return {"items": [{**about, "message": body} for body in bodies]}


def add_bookmark(desk: Desk, args: Args) -> Json:
    """bookmarks.add"""
    channel = member_channel(desk, args.need("channel_id"))
    if args.need("type") != "link":
        raise SlackError("invalid_bookmark_type")
    link = args.text("link")
    if not link.startswith(("http://", "https://")):
        raise SlackError("invalid_link")
    bookmark = {
        "id": desk.state.new_id("Bk"),
        "channel_id": channel.id,
        "title": args.need("title"),
        "link": link,
        "emoji": args.text("emoji"),
        "icon_url": "",
        "type": "link",
        "entity_id": None,
        "date_created": int(desk.state.now()),
        "date_updated": 0,
        "rank": "n",
        "last_updated_by_user_id": BOT_USER,
        "last_updated_by_team_id": TEAM_ID,
    }
    channel.bookmarks.append(bookmark)
    desk.state.touched(channel)
    return {"bookmark": bookmark}


def list_bookmarks(desk: Desk, args: Args) -> Json:
    """bookmarks.list"""
    return {"bookmarks": member_channel(desk, args.need("channel_id"), archived=True).bookmarks}


def react(desk: Desk, args: Args) -> Json:
    """reactions.add"""
    channel, message = _message_at(desk, args)
    return react_as(desk, channel, message, BOT_USER, args.need("name"))


def react_as(desk: Desk, channel: Channel, message: Message, user: str, name: str) -> Json:
    """Somebody adds an emoji to a message; the app hears of it."""
    users = message.reactions.setdefault(name, [])
    if user in users:
        raise SlackError("already_reacted")
    users.append(user)
    desk.state.changed(channel, message)
    _tell_reaction(desk, "reaction_added", channel, message, user, name)
    return {}


def unreact(desk: Desk, args: Args) -> Json:
    """reactions.remove"""
    channel, message = _message_at(desk, args)
    return unreact_as(desk, channel, message, BOT_USER, args.need("name"))


def unreact_as(desk: Desk, channel: Channel, message: Message, user: str, name: str) -> Json:
    """Somebody takes an emoji back; the app hears of it."""
    users = message.reactions.get(name, [])
    if user not in users:
        raise SlackError("no_reaction")
    users.remove(user)
    if not users:
        del message.reactions[name]
    desk.state.changed(channel, message)
    _tell_reaction(desk, "reaction_removed", channel, message, user, name)
    return {}


def _tell_reaction(desk: Desk, kind: str, channel: Channel, message: Message, user: str, name: str) -> None:
    item = {"type": "message", "channel": channel.id, "ts": message.ts}
    ts = f"{desk.state.now():.6f}"
    event = {"type": kind, "user": user, "reaction": name, "item": item, "item_user": message.user, "event_ts": ts}
    if BOT_USER in channel.members:
        desk.tell(event)
