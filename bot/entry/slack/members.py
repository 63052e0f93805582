"""The members of a Slack user group or channel as people for oncall.yaml, for `tocsin oncall import-slack`. Reads only.

https://docs.slack.dev/reference/methods/usergroups.users.list, https://docs.slack.dev/reference/methods/conversations.members,
https://docs.slack.dev/reference/methods/users.info (`profile.email` only with the scope users:read.email).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import available_timezones

from bot.clients.slack import SlackGateway
from bot.domain.contact_told import email_address
from bot.domain.effects import Priority
from bot.domain.naming import nearest, slug
from bot.domain.people import Person
from bot.errors import BadInput, TryLater

MOST = 200
LONGEST_WAIT = 60.0  # seconds that Slack may ask to wait for one answer
TRIES = 5
LONGEST_NAME, LONGEST_KEY = 100, 40
_GROUP, _CHANNEL = re.compile(r"S[A-Z0-9]{2,20}\Z"), re.compile(r"[CG][A-Z0-9]{2,20}\Z")


@dataclass(frozen=True, slots=True)
class Member:
    """What Slack says of somebody; all but the id may be empty."""

    slack: str
    handle: str = ""
    name: str = ""
    email: str = ""
    zone: str = ""


class Members:
    """`sleep` waits where Slack asks for it."""

    def __init__(self, gateway: SlackGateway, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._gateway = gateway
        self._sleep = sleep

    async def of(self, text: str) -> tuple[tuple[Member, ...], int]:
        """The people of a group (`S0123`, `@shop-oncall`) or a channel (`C0123`, `#shop`), and how many were left out beyond 200; no bots, nobody who
        has left. BadInput with the nearest name."""
        ids = [one async for one in self._ids(text.strip())]
        found = [await self._member(one) for one in ids[:MOST]]
        return tuple(one for one in found if one is not None), len(ids[MOST:])

    async def _ids(self, text: str) -> AsyncIterator[str]:
        if _GROUP.match(text) or text.startswith("@"):
            group = text if _GROUP.match(text) else await self._group(text[1:])
            for one in (await self._call("usergroups.users.list", usergroup=group)).get("users") or ():
                yield str(one)
        elif _CHANNEL.match(text) or text.startswith("#"):
            channel = text if _CHANNEL.match(text) else await self._channel(text[1:])
            async for one in self._gateway.pages("conversations.members", "members", channel=channel):
                yield str(one)
        else:
            raise BadInput(
                f"{text[:60]!r} names no user group (@shop-oncall, or its id, S…) and no channel (#shop, or its id, C…)"
            )

    async def _group(self, handle: str) -> str:
        known = {str(one.get("handle")): str(one["id"]) for one in (await self._call("usergroups.list"))["usergroups"]}
        if handle not in known:
            raise BadInput(f"Slack has no user group @{handle[:60]}{nearest(handle, known) or '.'}")
        return known[handle]

    async def _channel(self, name: str) -> str:
        known = {}
        async for one in self._gateway.pages("conversations.list", "channels", exclude_archived=True):
            known[str(one.get("name"))] = str(one["id"])
        if name not in known:
            raise BadInput(f"There is no public channel #{name[:60]}{nearest(name, known) or '.'}")
        return known[name]

    async def _member(self, slack: str) -> Member | None:
        user: Mapping[str, Any] = (await self._call("users.info", user=slack)).get("user") or {}
        if user.get("is_bot") or user.get("deleted") or slack == "USLACKBOT":
            return None
        profile: Mapping[str, Any] = user.get("profile") or {}
        name = profile.get("real_name") or user.get("real_name") or profile.get("display_name") or user.get("name")
        zone = str(user.get("tz") or "")
        return Member(
            slack,
            handle=_line(user.get("name")),
            name=_line(name),
            email=email_address(str(profile.get("email") or "")),
            zone=zone if zone in available_timezones() else "",
        )

    async def _call(self, method: str, **args: Any) -> dict[str, Any]:
        for _ in range(TRIES):
            try:
                return await self._gateway.call(method, priority=Priority.CONTEXT, **args)
            except TryLater as error:
                if error.delay is None or error.delay > LONGEST_WAIT:
                    raise
                await self._sleep(error.delay)
        return await self._gateway.call(method, priority=Priority.CONTEXT, **args)


def people_block(members: Iterable[Member], known: Mapping[str, Person]) -> str:
    """A `people:` block for oncall.yaml, sorted by key. Whoever is known already, by Slack id or e-mail, is a comment."""
    by_slack = {one.slack: one.key for one in known.values() if one.slack}
    by_email = {one.email.casefold(): one.key for one in known.values() if one.email}
    taken, lines, there = set(known), [], []
    for one in sorted(members, key=lambda member: (member.handle or member.name, member.slack)):
        key = by_slack.get(one.slack) or by_email.get(one.email.casefold(), "")
        if key:
            there.append(f"  # {one.name or one.slack} ({one.slack}) is there already: {key}")
            continue
        key = _new_key(one, taken)
        taken.add(key)
        parts = [("name", _quoted(one.name)), ("slack", one.slack), ("email", _quoted(one.email)), ("zone", one.zone)]
        lines.append(f"  {key}: {{ {', '.join(f'{name}: {value}' for name, value in parts if value)} }}")
    return "\n".join(["people:" if lines else "# nobody is new", *lines, *there])


def _new_key(one: Member, taken: set[str]) -> str:
    """By which other files name somebody; one that nobody has yet."""
    wanted = (slug(one.handle) or slug(one.name) or one.slack.lower())[:LONGEST_KEY].strip("-")
    return next(key for number in range(1, MOST + 2 + len(taken)) if (key := _numbered(wanted, number)) not in taken)


def _numbered(key: str, number: int) -> str:
    return key if number == 1 else f"{key}-{number}"


def _quoted(text: str) -> str:
    """As a text in YAML, which takes JSON's (https://yaml.org/spec/1.2.2/#12-overview-of-yaml)."""
    return json.dumps(text, ensure_ascii=False) if text else ""


def _line(text: object) -> str:
    """On one line, without what no file should hold."""
    shown = "".join(char if char.isprintable() else " " for char in str(text or ""))
    return " ".join(shown.split())[:LONGEST_NAME]
