"""State to Slack's JSON: messages, channels, files and views as the Web API and the events show them."""

from __future__ import annotations

import mimetypes

from bot.practice.workspace.calls import Json
from bot.practice.workspace.state import APP_ID, BOT_ID, BOT_USER, TEAM_ID, Channel, File, Message, State, View


def message_json(state: State, channel: Channel, message: Message, *, metadata: bool = False) -> Json:
    """One message as conversations.history gives it; `metadata` in full only when asked for."""
    body: Json = {"type": "message", "user": message.user, "text": message.text, "ts": message.ts, "team": TEAM_ID}
    if message.is_app:
        body |= {"bot_id": BOT_ID, "app_id": APP_ID}
    optional: Json = {
        "subtype": message.subtype,
        "blocks": message.blocks,
        "attachments": message.attachments,
        "edited": message.edited,
        "thread_ts": message.thread_ts,
        "files": [file_json(state, state.files[name]) for name in message.files if name in state.files],
        "reactions": [{"name": name, "users": users, "count": len(users)} for name, users in message.reactions.items()],
        "pinned_to": [channel.id] if message.ts in channel.pins else [],
    }
    body |= {name: value for name, value in optional.items() if value}
    if message.metadata is not None and metadata:
        body["metadata"] = message.metadata
    replies = [] if message.is_reply else channel.replies(message.ts)
    if replies:
        users = list(dict.fromkeys(reply.user for reply in replies))
        body |= {
            "thread_ts": message.ts,
            "reply_count": len(replies),
            "reply_users_count": len(users),
            "reply_users": users,
            "latest_reply": replies[-1].ts,
            "is_locked": False,
            "subscribed": BOT_USER in users,
        }
    if message.is_reply and not message.only_for and message.thread_ts in channel.messages:
        body["parent_user_id"] = channel.messages[message.thread_ts].user
    return body


def channel_json(channel: Channel, viewer: str = BOT_USER) -> Json:
    """One conversation as conversations.info gives it."""
    if channel.im_with:
        return {
            "id": channel.id,
            "created": channel.created,
            "is_im": True,
            "is_org_shared": False,
            "user": channel.im_with,
            "is_user_deleted": False,
            "is_archived": channel.archived,
        }
    return {
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": not channel.is_private,
        "is_group": channel.is_private,
        "is_im": False,
        "is_mpim": False,
        "is_private": channel.is_private,
        "is_archived": channel.archived,
        "is_general": channel.name == "general",
        "is_shared": False,
        "is_org_shared": False,
        "is_ext_shared": False,
        "is_member": viewer in channel.members,
        "created": channel.created,
        "creator": channel.creator,
        "context_team_id": TEAM_ID,
        "topic": {"value": channel.topic, "creator": channel.creator, "last_set": channel.created},
        "purpose": {"value": channel.purpose, "creator": channel.creator, "last_set": channel.created},
        "previous_names": channel.previous_names,
        "num_members": len(channel.members),
        "unlinked": 0,
    }


def file_type(name: str) -> tuple[str, str]:
    """Slack's short type and the MIME type of a file name."""
    short = {"md": ("markdown", "text/markdown"), "txt": ("text", "text/plain"), "py": ("python", "text/plain")}
    ending = name.rsplit(".", 1)[-1].lower() if "." in name else ""
    if ending in short:
        return short[ending]
    mime = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return ending or "binary", mime


def file_json(state: State, file: File) -> Json:
    """One file as files.info gives it."""
    short, mime = file_type(file.name)
    private = [name for name in file.channels if state.channels[name].kind == "group"]
    public = [name for name in file.channels if state.channels[name].kind == "channel"]
    shares: Json = {}
    for kind, names in (("public", public), ("private", private)):
        if names:
            shares[kind] = {name: [{"ts": file.shares[name]}] for name in names if name in file.shares}
    return {
        "id": file.id,
        "created": file.created,
        "timestamp": file.created,
        "name": file.name,
        "title": file.title or file.name,
        "mimetype": mime,
        "filetype": short,
        "pretty_type": short.capitalize(),
        "user": file.user,
        "size": len(file.content),
        "mode": "hosted" if not mime.startswith("text/") else "snippet",
        "is_external": False,
        "is_public": bool(public),
        "url_private": f"{state.base_url}/files/{file.id}/{file.name}",
        "url_private_download": f"{state.base_url}/files/{file.id}/download/{file.name}",
        "permalink": f"{state.base_url}/files/{file.id}",
        "alt_txt": file.alt_text,
        "channels": public,
        "groups": private,
        "ims": [name for name in file.channels if state.channels[name].kind == "im"],
        "shares": shares,
    }


def view_json(view: View, values: Json | None = None) -> Json:
    """One modal as views.open answers it and as a submission carries it."""
    defaults: Json = {
        "private_metadata": "",
        "callback_id": "",
        "title": None,
        "submit": None,
        "close": None,
        "clear_on_close": False,
        "notify_on_close": False,
        "external_id": "",
    }
    return {
        **defaults,
        **view.body,
        "id": view.id,
        "team_id": TEAM_ID,
        "app_id": APP_ID,
        "app_installed_team_id": TEAM_ID,
        "bot_id": BOT_ID,
        "hash": view.hash,
        "root_view_id": view.root or view.id,
        "previous_view_id": view.previous or None,
        "state": {"values": values or {}},
    }


def user_brief(state: State, user_id: str) -> Json:
    """A person as interactions name them."""
    user = state.users[user_id]
    return {"id": user.id, "username": user.name, "name": user.name, "team_id": TEAM_ID}
