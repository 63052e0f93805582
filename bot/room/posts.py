"""Messages and files with a key: posted once, found again by that key, brought up to date in place. Used by room.py.

The key travels in the message's metadata, so after an uncertain attempt the channel itself says whether it was posted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bot.clients.slack import SlackError, SlackGateway
from bot.domain.effects import Priority
from bot.errors import GaveUp, TryLater
from bot.room.blocks import Message

EVENT_TYPE = "tocsin"
LOOKED_AT = 200  # messages a page of history
LOOK_PAGES = 3
# A message that cannot be brought up to date is posted anew: deleted, somebody else's (the token changed), or in another channel.
GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
# A thread whose first message was deleted: what belongs in it goes into the channel.
NO_THREAD = frozenset({"invalid_thread_ts", "thread_not_found", "message_not_found"})


@dataclass(frozen=True, slots=True)
class Key:
    """What a message is, and of which incident. `owner` tells incidents of an earlier database, with the same numbers, apart."""

    name: str
    owner: str = ""

    @property
    def metadata(self) -> dict[str, Any]:
        return {"event_type": EVENT_TYPE, "event_payload": {"key": self.name, "owner": self.owner}}

    def marks(self, message: dict[str, Any]) -> bool:
        metadata = message.get("metadata") or {}
        return metadata.get("event_type") == EVENT_TYPE and metadata.get("event_payload") == {
            "key": self.name,
            "owner": self.owner,
        }

    def file_name(self, stem: str, ending: str) -> str:
        """A file's name carries the key, because files have no metadata."""
        mark = hashlib.sha256(f"{self.name}|{self.owner}".encode()).hexdigest()[:8]
        return f"{stem}-{mark}.{ending}"


@dataclass(frozen=True, slots=True)
class File:
    name: str
    title: str
    content: bytes


@contextmanager
def after_the_act() -> Iterator[None]:
    """What fails in here comes after something that has happened: whoever tries again must look first."""
    try:
        yield
    except TryLater as later:
        raise TryLater(str(later), later.delay, uncertain=True) from later


@contextmanager
def still_unknown(again: bool) -> Iterator[None]:
    """A look that could not be finished leaves the earlier attempt as uncertain as it was."""
    try:
        yield
    except TryLater as later:
        raise TryLater(str(later), later.delay, uncertain=later.uncertain or again) from later


class Posts:
    """Posting, finding and updating through the gateway."""

    def __init__(self, gateway: SlackGateway) -> None:
        self._gateway = gateway

    async def once(self, channel: str, message: Message, key: Key, *, again: bool, priority: int) -> str:
        """Post a message that never changes, unless (`again`) it is there already. Its ts."""
        with still_unknown(again):
            found = await self.find(channel, key, priority) if again else ""
            return found or await self._post(channel, message, key, priority)

    async def put(
        self, channel: str, message: Message, key: Key, *, again: bool, priority: int = Priority.CARD, ts: str = ""
    ) -> str:
        """Bring the message at `ts` up to date, or post it unless (`again`) it is there already. Its ts."""
        with still_unknown(again):
            if ts:
                try:
                    await self._update(channel, ts, message, priority)
                    return ts
                except SlackError as error:
                    if error.error not in GONE:
                        raise
                again = True
            found = await self.find(channel, key, priority) if again else ""
            if not found or found == ts:
                return await self._post(channel, message, key, priority)
            await self._update(channel, found, message, priority)
            return found

    async def find(self, channel: str, key: Key, priority: int = Priority.CARD) -> str:
        """The ts of the newest message with that key; empty when there is none, or when the history may not be read."""
        for message in await self._history(channel, priority):
            if key.marks(message):
                return str(message["ts"])
        return ""

    async def attach(
        self, channel: str, files: Sequence[File], comment: str, *, look: bool, priority: int, thread: str = ""
    ) -> None:
        """Upload files into one message of the channel, or of the thread under a message there.

        With `look`, those that are there already are left out.
        """
        with still_unknown(look):
            await self._attach(channel, files, comment, thread, look=look, priority=priority)

    async def _attach(
        self, channel: str, files: Sequence[File], comment: str, thread: str, *, look: bool, priority: int
    ) -> None:
        if look:
            there = await self._file_names(channel, thread, priority)
            files = [file for file in files if file.name not in there]
        if not files:
            return
        listed = []
        for file in files:
            place = await self._gateway.call(
                "files.getUploadURLExternal", priority=priority, filename=file.name, length=len(file.content)
            )
            await self._gateway.upload(place["upload_url"], file.content)
            listed.append({"id": place["file_id"], "title": file.title})
        shared: dict[str, Any] = {"files": listed, "channel_id": channel, "initial_comment": comment}
        try:
            await self._gateway.call(
                "files.completeUploadExternal", priority=priority, thread_ts=thread or None, **shared
            )
        except SlackError as error:
            if not thread or error.error not in NO_THREAD:
                raise
            await self._gateway.call("files.completeUploadExternal", priority=priority, **shared)

    async def _post(self, channel: str, message: Message, key: Key, priority: int) -> str:
        answer = await self._gateway.call(
            "chat.postMessage",
            channel=channel,
            priority=priority,
            text=message.text,
            blocks=list(message.blocks) or None,
            metadata=key.metadata,
            unfurl_links=False,
            unfurl_media=False,
        )
        return str(answer["ts"])

    async def _update(self, channel: str, ts: str, message: Message, priority: int) -> None:
        await self._gateway.call(
            "chat.update",
            channel=channel,
            priority=priority,
            ts=ts,
            text=message.text,
            blocks=list(message.blocks),
        )

    async def _history(self, channel: str, priority: int, thread: str = "") -> list[dict[str, Any]]:
        """The newest messages, newest first (of a thread: the oldest first).

        A history that may not be read is no reason to lose a message: then it may come twice.
        """
        found: list[dict[str, Any]] = []
        cursor = ""
        for _ in range(LOOK_PAGES):
            try:
                answer = await self._gateway.call(
                    "conversations.replies" if thread else "conversations.history",
                    channel=channel,
                    priority=priority,
                    ts=thread or None,
                    limit=LOOKED_AT,
                    cursor=cursor or None,
                    include_all_metadata=True,
                )
            except GaveUp:
                return found
            found += answer.get("messages") or ()
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                break
        return found

    async def _file_names(self, channel: str, thread: str, priority: int) -> set[str]:
        """Those in the thread, and in the channel itself, where a file goes whose thread is gone."""
        messages = await self._history(channel, priority)
        if thread:
            messages += await self._history(channel, priority, thread)
        return {str(file.get("name")) for message in messages for file in message.get("files") or ()}
