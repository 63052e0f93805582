"""Calendars to subscribe to: `/calendars/schedule/shop.ics` and `/calendars/person/ada.ics`, as iCalendar, without a password.

The mark in the address is the permission: it is made by domain/links for that one calendar. Nothing is said in it but who is on call, when, and by
which layer or override. Revoked all at once by another `server.secret`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from aiohttp import ETag, web

from bot.clients.calendars import written
from bot.domain import schedule as schedules
from bot.domain.links import CALENDAR, Links
from bot.domain.people import Directory
from bot.domain.ports import Clock
from bot.domain.schedule import Schedule, Shift
from bot.entry.problems import Refused
from bot.errors import TryLater

BACK, AHEAD = timedelta(weeks=4), timedelta(weeks=12)
MOST_EVENTS = 3000
AT_ONCE = 2  # calendars that are worked out at the same time: everything else goes on beside them
PATIENCE = 20.0  # seconds until one of them begins
CACHED = 900  # seconds in which a calendar need not ask again
HEADERS = {
    "Cache-Control": f"private, max-age={CACHED}",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Referrer-Policy": "no-referrer",
}


class Looking(Protocol):
    """The part of flow/oncall that is used."""

    async def directory(self) -> Directory: ...
    async def final(self, name: str, since: datetime, until: datetime) -> tuple[Directory, Sequence[Schedule]]: ...


class CalendarSite:
    """The routes. `links` has made the addresses."""

    def __init__(self, looking: Looking, links: Links, clock: Clock, *, patience: float = PATIENCE) -> None:
        self._looking = looking
        self._links = links
        self._clock = clock
        self._patience = patience
        self._places = asyncio.Semaphore(AT_ONCE)

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/calendars/{kind}/{name}.ics", self._get)]  # with HEAD

    async def _get(self, request: web.Request) -> web.StreamResponse:
        """Calendar programs ask every few minutes: what has not changed is answered with 304 (RFC 9110, section 13.1.2)."""
        kind, name = request.match_info["kind"], request.match_info["name"]
        self._must_be_marked(f"{kind}/{name}", request.query.get("mark", ""))
        text = await self._in_turn(kind, name)
        etag = ETag(_digest(text), is_weak=True)
        known = request.if_none_match or ()
        if any(one.value in (etag.value, "*") for one in known):
            unchanged = web.Response(status=304, headers=HEADERS)
            unchanged.etag = etag
            return unchanged
        place = {"Content-Disposition": f'inline; filename="{_file_name(name)}.ics"'}
        answer = web.Response(text=text, content_type="text/calendar", charset="utf-8", headers={**HEADERS, **place})
        answer.etag = etag
        return answer

    def _must_be_marked(self, name: str, mark: str) -> None:
        """Before anything is looked up: a stranger does not learn which schedules there are."""
        signer = self._links.signer
        if not signer.able:
            hint = "set `server.public_url` and `server.secret` in tocsin.yaml, then ask for addresses anew"
            raise Refused(403, "calendars cannot be subscribed to here", hint)
        if not signer.right(CALENDAR, name, mark):
            words = "this address has no mark" if not mark else "the mark in this address is wrong"
            hint = "copy the whole address from `/oncall calendar`; when server.secret was changed, ask for it anew"
            raise Refused(403, words, hint)

    async def _in_turn(self, kind: str, name: str) -> str:
        """A thread cannot be stopped, so what bounds the work is how much `schedules.shifts` gives at most; only waiting for a place has an end."""
        try:
            async with asyncio.timeout(self._patience):
                await self._places.acquire()
        except TimeoutError:
            raise TryLater("calendars: too many are asked for at once", delay=60.0) from None
        try:
            return await self._calendar(kind, name)
        finally:
            self._places.release()

    async def _calendar(self, kind: str, name: str) -> str:
        directory, now = await self._looking.directory(), self._clock()
        if name not in (directory.schedules if kind == "schedule" else directory.people):
            hint = "take it out of your calendar; `/oncall calendar` gives the addresses that there are"
            raise Refused(404, f"there is no {kind} {name[:80]!r} any more", hint)
        since, until = window(now)
        directory, found = await self._looking.final(name if kind == "schedule" else "", since, until)
        if kind == "schedule":
            return await asyncio.to_thread(of_schedule, directory, found[0], (since, until), now)
        return await asyncio.to_thread(of_person, directory, name, found, (since, until), now)


def window(now: datetime) -> tuple[datetime, datetime]:
    """From a Monday about four weeks back until twelve weeks ahead, at midnight (UTC): the same all day, so that what is asked again is too."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - BACK - timedelta(days=midnight.weekday()), midnight + AHEAD + timedelta(days=1)


def of_schedule(directory: Directory, found: Schedule, span: tuple[datetime, datetime], now: datetime) -> str:
    """Who is on call in one schedule, as iCalendar. May take a second."""
    shifts = schedules.shifts(found, *span)[:MOST_EVENTS]
    names = {one.person: directory.name_of(f"person:{one.person}") for one in shifts}
    title = f"On call: {found.key}"
    return written(shifts, key=f"schedule/{found.key}", title=title, stamp=now, names=names)


def of_person(
    directory: Directory, key: str, every: Sequence[Schedule], span: tuple[datetime, datetime], now: datetime
) -> str:
    """The turns of one person in all schedules, as iCalendar: each is called by its schedule. May take a second."""
    own = [
        Shift(person=schedule.key, starts=one.starts, ends=one.ends, by=one.by)
        for schedule in every
        for one in schedules.shifts(schedule, *span)
        if one.person == key
    ]
    shifts = sorted(own, key=lambda one: (one.starts, one.person))[:MOST_EVENTS]
    names = {schedule.key: f"On call: {schedule.key}" for schedule in every}
    title = f"On call: {directory.name_of(f'person:{key}')}"
    return written(shifts, key=f"person/{key}", title=title, stamp=now, names=names)


def _digest(text: str) -> str:
    """Of all but when it was written."""
    lines = (line for line in text.splitlines() if not line.startswith("DTSTAMP"))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def _file_name(name: str) -> str:
    return "".join(char if char.isascii() and (char.isalnum() or char in "-_") else "-" for char in name)[:80]
