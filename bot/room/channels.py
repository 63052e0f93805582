"""Channels: an incident's own, made once and found again; channels by name; direct messages. Used by room.py."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from bot.clients.slack import SlackError, SlackGateway
from bot.domain.effects import Priority
from bot.domain.incident import Incident
from bot.domain.naming import CHANNEL_NAME_LIMIT
from bot.errors import GaveUp
from bot.room import mrkdwn
from bot.room.posts import after_the_act, still_unknown

MOST_SUFFIXES = 9
MOST_REMEMBERED = 1000
CHANNEL_ID = re.compile(r"[CGD][A-Z0-9]{7,}")


class Channels:
    """Looks up through the gateway and remembers ids, which never change."""

    def __init__(self, gateway: SlackGateway) -> None:
        self._gateway = gateway
        self._by_name: dict[str, str] = {}
        self._direct: dict[str, str] = {}

    async def open(self, incident: Incident, again: bool) -> tuple[str, str]:
        """(id, name) of the incident's channel: its own from an earlier attempt, or a new one. Private stays private."""
        with still_unknown(again):
            return await self._open(incident, again)

    async def _open(self, incident: Incident, again: bool) -> tuple[str, str]:
        found = await self._own(incident) if again else None
        looked = again
        for number in range(1, MOST_SUFFIXES + 1):
            if found:
                return await self._made(incident, found)
            name = suffixed(incident.channel_name, number)
            try:
                answer = await self._gateway.call(
                    "conversations.create", priority=Priority.CHANNEL, name=name, is_private=incident.private
                )
            except SlackError as error:
                if error.error != "name_taken":
                    kind = "private " if incident.private else ""
                    raise GaveUp(f"{incident.ref} gets no {kind}channel: {error}") from error
                found = None if looked else await self._own(incident)
                looked = True
                continue
            return await self._made(incident, answer["channel"])
        if found:
            return await self._made(incident, found)
        raise GaveUp(
            f"{incident.ref} gets no channel: {incident.channel_name} and its {MOST_SUFFIXES - 1} variants are taken"
        )

    async def _made(self, incident: Incident, channel: dict[str, Any]) -> tuple[str, str]:
        """Mark it as ours, which is how it is found again; what fails from here on comes after the act."""
        if incident.private and not channel.get("is_private"):
            raise GaveUp(
                f"{incident.ref} gets no channel: Slack made {channel['name']} public although it must be private"
            )
        if mark_of(incident) not in _purpose(channel):
            # Without its purpose it is still found, by its name and creator.
            with after_the_act(), suppress(SlackError):
                await self._gateway.call(
                    "conversations.setPurpose",
                    channel=channel["id"],
                    priority=Priority.CHANNEL,
                    purpose=purpose(incident),
                )
        return str(channel["id"]), str(channel["name"])

    async def _own(self, incident: Incident) -> dict[str, Any] | None:
        """The channel that an earlier attempt made: by name, creator and purpose (empty when that attempt was cut short)."""
        names = {suffixed(incident.channel_name, number) for number in range(1, MOST_SUFFIXES + 1)}
        unmarked: dict[str, Any] | None = None
        try:
            me = await self._gateway.identity()
            async for channel in self._mine():
                if channel.get("name") not in names or bool(channel.get("is_private")) != incident.private:
                    continue
                if channel.get("creator") != me.user_id or channel.get("is_archived"):
                    continue
                if mark_of(incident) in _purpose(channel):
                    return channel
                if not _purpose(channel):
                    unmarked = unmarked or channel
        except GaveUp:  # no permission to look: a second channel is better than none
            return None
        return unmarked

    async def _mine(self) -> AsyncIterator[dict[str, Any]]:
        """Channels the bot is in: far fewer than all of the workspace."""
        asked: dict[str, Any] = {"types": "public_channel,private_channel", "exclude_archived": True}
        try:
            async for channel in self._gateway.pages("users.conversations", "channels", **asked):
                yield channel
        except GaveUp:
            async for channel in self._gateway.pages("conversations.list", "channels", **asked):
                yield channel

    async def by_name(self, wanted: str, priority: int = Priority.PAGE) -> str:
        """The id of a channel given by id or name; joined if need be. Looked up once."""
        name = wanted.strip().removeprefix("#")
        if CHANNEL_ID.fullmatch(name):
            return name
        if name not in self._by_name:
            channel = await self._find(name, priority)
            if channel is None:
                raise GaveUp(
                    f"there is no channel #{name} that the bot can see: create it, or invite the bot if it is private"
                )
            if not channel.get("is_member") and not channel.get("is_private"):
                await self._gateway.call("conversations.join", channel=channel["id"], priority=priority)
            self._by_name[name] = str(channel["id"])
        return self._by_name[name]

    async def _find(self, name: str, priority: int) -> dict[str, Any] | None:
        """Private channels too where the bot may see them; without that scope the public ones alone."""
        for types in ("public_channel,private_channel", "public_channel"):
            try:
                asked: dict[str, Any] = {"types": types, "exclude_archived": True, "priority": priority}
                async for channel in self._gateway.pages("conversations.list", "channels", **asked):
                    if channel.get("name") == name:
                        return channel
            except SlackError as error:
                if error.error != "missing_scope" or types == "public_channel":
                    raise
            else:
                return None
        return None

    async def direct(self, user: str) -> str:
        """The id of the direct messages with that user."""
        if user not in self._direct:
            answer = await self._gateway.call("conversations.open", priority=Priority.PAGE, users=user)
            if len(self._direct) >= MOST_REMEMBERED:
                self._direct.clear()
            self._direct[user] = str(answer["channel"]["id"])
        return self._direct[user]

    async def join(self, channel: str) -> None:
        await self._gateway.call("conversations.join", channel=channel, priority=Priority.CHANNEL)

    def forget(self, channel: str) -> None:
        """Slack refused this channel, or the direct messages of this user: look them up next time."""
        self._by_name = {name: known for name, known in self._by_name.items() if known != channel}
        self._direct = {user: known for user, known in self._direct.items() if channel not in (user, known)}


def suffixed(name: str, number: int) -> str:
    """The name, or (from 2 on) the name with that number at its end, within Slack's limit."""
    ending = f"-{number}" if number > 1 else ""
    return name[: CHANNEL_NAME_LIMIT - len(ending)].rstrip("-_") + ending


def mark_of(incident: Incident) -> str:
    return f"tocsin:{incident.ref}:{incident.mark}"


def purpose(incident: Incident) -> str:
    mark = mark_of(incident)
    return f"{mrkdwn.line(incident.title, mrkdwn.TOPIC - len(mark) - 1)}\n{mark}"


def _purpose(channel: dict[str, Any]) -> str:
    return str((channel.get("purpose") or {}).get("value") or "")
