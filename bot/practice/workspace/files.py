"""The files.* methods and the upload address: getUploadURLExternal, POST the bytes, completeUploadExternal."""

from __future__ import annotations

import secrets

from aiohttp import BodyPartReader, web

from bot.practice.workspace import render
from bot.practice.workspace.calls import Args, Json, SlackError, invalid
from bot.practice.workspace.desk import Desk, member_channel
from bot.practice.workspace.state import BOT_USER, File

MOST_BYTES = 64 * 1024 * 1024


def upload_url(desk: Desk, args: Args) -> Json:
    """files.getUploadURLExternal"""
    name = args.need("filename")
    try:
        length = int(args.need("length"))
    except ValueError:
        raise invalid("must be an integer: length") from None
    if not 0 < length <= MOST_BYTES:
        raise SlackError("file_upload_size_restricted" if length > 0 else "invalid_arguments")
    created = int(desk.state.now())
    file = File(desk.state.new_id("F"), name, length, BOT_USER, created, secrets.token_urlsafe(24))
    file.alt_text = args.text("alt_txt") or args.text("alt_text")
    desk.state.files[file.id] = file
    return {"upload_url": f"{desk.state.base_url}/upload/v1/{file.ticket}", "file_id": file.id}


async def receive(desk: Desk, request: web.Request) -> web.Response:
    """POST /upload/v1/TICKET: the bytes, raw or as the first part of a multipart form."""
    ticket = request.match_info["ticket"]
    file = next((item for item in desk.state.files.values() if item.ticket == ticket), None)
    if file is None or file.completed:
        return web.Response(status=404, text="not found")
    if request.content_type == "multipart/form-data":
        part = await (await request.multipart()).next()
        content = bytes(await part.read()) if isinstance(part, BodyPartReader) else b""
    else:
        content = await request.read()
    if len(content) != file.length:
        return web.Response(status=400, text=f"expected {file.length} bytes, got {len(content)}")
    file.content, file.uploaded = content, True
    return web.Response(text=f"OK - {len(content)}")


def complete(desk: Desk, args: Args) -> Json:
    """files.completeUploadExternal: with a channel the files appear in one message there."""
    listed = args.nested("files", "invalid_arguments")
    if not isinstance(listed, list) or not listed:
        raise invalid("missing required field: files")
    files: list[File] = []
    for item in listed:
        file = desk.state.files.get(str(item.get("id"))) if isinstance(item, dict) else None
        if file is None:
            raise SlackError("file_not_found")
        if not file.uploaded or file.completed:
            raise SlackError("file_update_failed")
        file.title = str(item.get("title") or file.name)
        files.append(file)
    targets = [args.text("channel_id")] if args.text("channel_id") else args.names("channels")
    channels = [member_channel(desk, name) for name in targets]
    thread = args.text("thread_ts")
    if thread and any(thread not in channel.messages for channel in channels):
        raise SlackError("invalid_thread_ts")
    for file in files:
        file.completed = True
    for channel in channels:
        for file in files:
            file.channels.append(channel.id)
        names = [file.id for file in files]
        message = desk.post(channel, BOT_USER, args.text("initial_comment"), files=names, thread_ts=thread)
        for file in files:
            file.shares[channel.id] = message.ts
    return {"files": [{"id": file.id, "title": file.title} for file in files]}


def _file(desk: Desk, args: Args) -> File:
    file = desk.state.files.get(args.need("file"))
    if file is None or not file.completed:
        raise SlackError("file_not_found")
    return file


def info(desk: Desk, args: Args) -> Json:
    """files.info"""
    body = {"file": render.file_json(desk.state, _file(desk, args))}
    return {**body, "comments": [], "response_metadata": {"next_cursor": ""}}


def delete(desk: Desk, args: Args) -> Json:
    """files.delete"""
    file = _file(desk, args)
    del desk.state.files[file.id]
    for name, ts in file.shares.items():
        channel = desk.state.channels[name]
        if ts in channel.messages:
            channel.messages[ts].files.remove(file.id)
            desk.state.changed(channel, channel.messages[ts])
    return {}


def list_files(desk: Desk, args: Args) -> Json:
    """files.list: newest first, paged by number."""
    channel = args.text("channel")
    chosen = [
        file
        for file in reversed(desk.state.files.values())
        if file.completed and (not channel or channel in file.channels)
    ]
    count, page = args.number("count", 100), args.number("page", 1)
    shown = chosen[(page - 1) * count : page * count]
    pages = max(1, -(-len(chosen) // count))
    paging = {"count": count, "total": len(chosen), "page": page, "pages": pages}
    return {"files": [render.file_json(desk.state, file) for file in shown], "paging": paging}
