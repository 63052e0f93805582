"""The conversations.* methods."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable

from bot.practice.workspace import render
from bot.practice.workspace.calls import Args, Json, SlackError, invalid
from bot.practice.workspace.desk import Desk, member_channel
from bot.practice.workspace.state import BOT_USER, Channel

NAME = re.compile(r"[a-z0-9_-]+")
TOPIC_CHARACTERS = 250


def check_name(desk: Desk, name: str, method: str) -> None:
    """Slack's rules for channel names, with its errors; a name is taken by an archived channel too."""
    if not name:
        raise SlackError("invalid_name_required")
    if len(name) > 80:
        raise SlackError("invalid_name_maxlength")
    if not NAME.fullmatch(name):
        raise SlackError("invalid_name_specials")
    if not any(letter.isalnum() for letter in name):
        raise SlackError("invalid_name_punctuation")
    # Slack documents names as unique, yet two calls at the same moment were seen to succeed both.
    if desk.state.by_name(name) and not desk.faults.take(method, "create_twins"):
        raise SlackError("name_taken")


def create(desk: Desk, args: Args) -> Json:
    """conversations.create"""
    name = args.text("name")
    check_name(desk, name, "conversations.create")
    channel = desk.state.add_channel(name, BOT_USER, is_private=args.flag("is_private"))
    desk.note(channel, BOT_USER, "channel_join", f"<@{BOT_USER}> has joined the channel")
    desk.tell({"type": "channel_created", "channel": {"id": channel.id, "name": name, "creator": BOT_USER}})
    return {"channel": render.channel_json(channel)}


def invite(desk: Desk, args: Args) -> Json:
    """conversations.invite: all or nothing, unless `force`."""
    channel = member_channel(desk, args.need("channel"))
    users = args.names("users")
    if not users:
        raise SlackError("no_user")
    errors: list[Json] = []
    for user in users:
        error = _cannot_invite(desk, channel, user)
        if error:
            errors.append({"user": user, "ok": False, "error": error})
    refused = {item["user"] for item in errors}
    if errors and (not args.flag("force") or len(refused) == len(set(users))):
        raise SlackError(errors[0]["error"], errors=errors)
    for user in dict.fromkeys(users):
        if user not in refused:
            desk.join(channel, user, inviter=BOT_USER)
    return {"channel": render.channel_json(channel), **({"errors": errors} if errors else {})}


def _cannot_invite(desk: Desk, channel: Channel, user: str) -> str:
    known = desk.state.users.get(user)
    if known is None:
        return "user_not_found"
    if user == BOT_USER:
        return "cant_invite_self"
    if known.deleted or known.is_bot:
        return "cant_invite"
    return "already_in_channel" if user in channel.members else ""


def join(desk: Desk, args: Args) -> Json:
    """conversations.join: public channels only."""
    channel = desk.state.channel_for(BOT_USER, args.need("channel"))
    if channel.kind != "channel":
        raise SlackError("method_not_supported_for_channel_type")
    if channel.archived:
        raise SlackError("is_archived")
    if BOT_USER in channel.members:
        warning = {"warnings": ["already_in_channel"]}
        return {"channel": render.channel_json(channel), "warning": "already_in_channel", "response_metadata": warning}
    desk.join(channel, BOT_USER)
    return {"channel": render.channel_json(channel)}


def leave(desk: Desk, args: Args) -> Json:
    """conversations.leave"""
    channel = desk.state.channel_for(BOT_USER, args.need("channel"))
    if BOT_USER not in channel.members:
        return {"not_in_channel": True}
    channel.members.remove(BOT_USER)
    desk.state.touched(channel)
    return {}


def set_topic(desk: Desk, args: Args) -> Json:
    """conversations.setTopic"""
    channel = member_channel(desk, args.need("channel"))
    topic = args.text("topic")
    if len(topic) > TOPIC_CHARACTERS:
        raise SlackError("too_long")
    if topic != channel.topic:
        channel.topic = topic
        desk.state.touched(channel)
        desk.note(channel, BOT_USER, "channel_topic", f"set the channel topic: {topic}")
    return {"channel": render.channel_json(channel)}


def set_purpose(desk: Desk, args: Args) -> Json:
    """conversations.setPurpose"""
    channel = member_channel(desk, args.need("channel"))
    purpose = args.text("purpose")
    if len(purpose) > TOPIC_CHARACTERS:
        raise SlackError("too_long")
    if purpose != channel.purpose:
        channel.purpose = purpose
        desk.state.touched(channel)
        desk.note(channel, BOT_USER, "channel_purpose", f"set the channel description: {purpose}")
    return {"purpose": purpose, "channel": render.channel_json(channel)}


def cursor_page(keys: list[str], args: Args, *, default: int = 100) -> tuple[list[str], str]:
    """One page of a list of keys, and the cursor of the next."""
    limit = args.number("limit", default)
    start = 0
    cursor = args.text("cursor")
    if cursor:
        try:
            after = base64.urlsafe_b64decode(cursor.encode()).decode().removeprefix("after:")
            start = keys.index(after) + 1
        except ValueError:
            raise SlackError("invalid_cursor") from None
    page = keys[start : start + limit]
    more = start + limit < len(keys)
    return page, base64.urlsafe_b64encode(f"after:{page[-1]}".encode()).decode() if more else ""


def list_all(desk: Desk, args: Args) -> Json:
    """conversations.list: what the app may see, one page."""
    return _listed(desk, args, lambda channel: channel.kind == "channel" or BOT_USER in channel.members)


def list_mine(desk: Desk, args: Args) -> Json:
    """users.conversations: what the app is a member of, one page."""
    return _listed(desk, args, lambda channel: BOT_USER in channel.members)


def _listed(desk: Desk, args: Args, visible: Callable[[Channel], bool]) -> Json:
    kinds = {"public_channel": "channel", "private_channel": "group", "im": "im", "mpim": "mpim"}
    wanted = args.names("types") or ["public_channel"]
    if any(kind not in kinds for kind in wanted):
        raise SlackError("invalid_types")
    chosen = {kinds[kind] for kind in wanted}
    seen = [
        channel.id
        for channel in desk.state.channels.values()
        if channel.kind in chosen and visible(channel) and not (args.flag("exclude_archived") and channel.archived)
    ]
    page, cursor = cursor_page(seen, args)
    channels = [render.channel_json(desk.state.channels[name]) for name in page]
    return {"channels": channels, "response_metadata": {"next_cursor": cursor}}


def info(desk: Desk, args: Args) -> Json:
    """conversations.info"""
    channel = desk.state.channel_for(BOT_USER, args.need("channel"))
    body = render.channel_json(channel)
    if not args.flag("include_num_members"):
        body.pop("num_members", None)
    return {"channel": body}


def members(desk: Desk, args: Args) -> Json:
    """conversations.members"""
    channel = desk.state.channel_for(BOT_USER, args.need("channel"))
    page, cursor = cursor_page(channel.members, args)
    return {"members": page, "response_metadata": {"next_cursor": cursor}}


def _between(args: Args, ts: str) -> bool:
    oldest, latest, inclusive = args.text("oldest", "0"), args.text("latest"), args.flag("inclusive")
    try:
        low, high, at = float(oldest or 0), float(latest) if latest else float("inf"), float(ts)
    except ValueError:
        raise invalid("invalid timestamp: oldest or latest") from None
    # As text where possible: a float cannot hold all digits of a Slack timestamp exactly.
    if inclusive and ts in (oldest, latest):
        return True
    return (at > low and ts != oldest) and (at < high and ts != latest)


def history(desk: Desk, args: Args) -> Json:
    """conversations.history: newest first, without the replies in threads."""
    channel = member_channel(desk, args.need("channel"), archived=True)
    all_metadata = args.flag("include_all_metadata")
    shown = [
        message
        for message in reversed(channel.messages.values())
        if (not message.is_reply or message.subtype == "thread_broadcast") and _between(args, message.ts)
    ]
    page, cursor = cursor_page([message.ts for message in shown], args)
    found = [channel.messages[ts] for ts in page]
    return {
        "messages": [render.message_json(desk.state, channel, item, metadata=all_metadata) for item in found],
        "has_more": bool(cursor),
        "pin_count": len(channel.pins),
        "channel_actions_ts": None,
        "channel_actions_count": 0,
        **({"response_metadata": {"next_cursor": cursor}} if cursor else {}),
    }


def replies(desk: Desk, args: Args) -> Json:
    """conversations.replies: the parent first, then the answers, oldest first."""
    channel = member_channel(desk, args.need("channel"), archived=True)
    parent = channel.messages.get(args.need("ts"))
    if parent is None:
        raise SlackError("thread_not_found")
    root = channel.messages.get(parent.thread_ts, parent) if parent.is_reply else parent
    chosen = [root, *(reply for reply in channel.replies(root.ts) if _between(args, reply.ts))]
    page, cursor = cursor_page([message.ts for message in chosen], args, default=1000)
    full = args.flag("include_all_metadata")
    return {
        "messages": [render.message_json(desk.state, channel, channel.messages[ts], metadata=full) for ts in page],
        "has_more": bool(cursor),
        **({"response_metadata": {"next_cursor": cursor}} if cursor else {}),
    }


def archive(desk: Desk, args: Args) -> Json:
    """conversations.archive"""
    channel = desk.state.channel_for(BOT_USER, args.need("channel"))
    if channel.archived:
        raise SlackError("already_archived")
    if channel.name == "general":
        raise SlackError("cant_archive_general")
    if BOT_USER not in channel.members:
        raise SlackError("not_in_channel")
    desk.note(channel, BOT_USER, "channel_archive", "archived the channel")
    channel.archived = True
    desk.state.touched(channel)
    desk.tell({"type": "channel_archive", "channel": channel.id, "user": BOT_USER})
    return {}


def unarchive(desk: Desk, args: Args) -> Json:
    """conversations.unarchive"""
    channel = desk.state.channel_for(BOT_USER, args.need("channel"))
    if not channel.archived:
        raise SlackError("not_archived")
    channel.archived = False
    desk.note(channel, BOT_USER, "channel_unarchive", "un-archived the channel")
    desk.state.touched(channel)
    return {}


def rename(desk: Desk, args: Args) -> Json:
    """conversations.rename: only the creator may."""
    channel = member_channel(desk, args.need("channel"))
    if channel.creator != BOT_USER:
        raise SlackError("not_authorized")
    name = args.text("name")
    if name != channel.name:
        check_name(desk, name, "conversations.rename")
        channel.previous_names.append(channel.name)
        channel.name = name
        desk.note(channel, BOT_USER, "channel_name", f"has renamed the channel to “{name}”")
        desk.state.touched(channel)
        desk.tell({"type": "channel_rename", "channel": {"id": channel.id, "name": name}})
    return {"channel": render.channel_json(channel)}


def open_direct(desk: Desk, args: Args) -> Json:
    """conversations.open: a direct message with one person."""
    if args.has("channel"):
        channel = desk.state.channel_for(BOT_USER, args.need("channel"))
    else:
        users = args.names("users")
        if not users:
            raise SlackError("users_list_not_supplied")
        if len(users) > 1:
            raise SlackError("method_not_supported_for_channel_type")
        channel = desk.state.direct(users[0])
    return {"channel": render.channel_json(channel) if args.flag("return_im") else {"id": channel.id}}
