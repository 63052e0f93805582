"""The JSON API: `/api/v1/silences`, to make, list, look at, move and end silences and maintenance windows. Translates, calls flow/silences, replies.

Every answer is JSON; refusals look as entry/problems says.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from bot.domain.silence import Silence
from bot.domain.silence_told import PHASES, Listed
from bot.domain.silencing import Kind, NoSuchSilence, Wish
from bot.domain.windows import Moment, Window
from bot.entry.api_access import Access, Caller, members, read
from bot.entry.problems import Refused
from bot.entry.silence_words import all_matchers, length, recurring
from bot.errors import BadInput
from bot.flow.silences import Silences

Handle = Callable[[web.Request, Caller], Awaitable[web.StreamResponse]]
SHOWN_ALERTS = 100
REF = re.compile(r"(?:INC-)?([1-9]\d{0,8})\Z", re.IGNORECASE)
_NUMBER = re.compile(r"[1-9]\d{0,8}\Z")


class Asked(BaseModel):
    """A new one. `matchers`: a list, or one text. `for` or `ends_at`. `every`: `sat,sun 02:00-04:00 Europe/Berlin`, or `windows` in full."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    matchers: tuple[str, ...] | str = ()
    reason: str = Field(default="", max_length=10_000)
    lasts: str = Field(default="", alias="for", max_length=40)
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    kind: Kind = "silence"
    every: str = Field(default="", max_length=200)
    windows: tuple[Window, ...] = Field(default=(), max_length=100)
    author: str = Field(default="", max_length=1000)
    incident: str | int | None = None

    def wish(self) -> Wish:
        given = all_matchers(self.matchers) if isinstance(self.matchers, str) else self.matchers
        return Wish(
            matchers=given,
            reason=self.reason,
            lasts=length(self.lasts) if self.lasts else None,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            kind=self.kind,
            windows=(*self.windows, *((recurring(self.every),) if self.every else ())),
            incident_id=_incident(self.incident),
        )


class Change(BaseModel):
    """Another end: as a time, or later (`extend`) or earlier (`shorten`) by a duration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ends_at: Moment | None = None
    extend: str = Field(default="", max_length=40)
    shorten: str = Field(default="", max_length=40)
    author: str = Field(default="", max_length=1000)


@dataclass(frozen=True, slots=True)
class SilenceApi:
    """The routes. `access` says who calls."""

    silences: Silences
    access: Access

    def routes(self) -> list[web.RouteDef]:
        base, one = "/api/v1/silences", "/api/v1/silences/{number}"
        return [
            web.get(base, self._for(self._list)),
            web.post(base, self._for(self._create)),
            web.get(one, self._for(self._show)),
            web.patch(one, self._for(self._change)),
            web.put(one, self._for(self._change)),
            web.delete(one, self._for(self._end)),
        ]

    def _for(self, handle: Handle) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Nothing of a stranger's request is read."""

        async def handler(request: web.Request) -> web.StreamResponse:
            caller = self.access.caller(request)
            try:
                return await handle(request, caller)
            except NoSuchSilence as error:
                raise Refused(404, str(error), "GET /api/v1/silences lists those that there are") from error

        return handler

    async def _list(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        state, kind = request.query.get("state", ""), request.query.get("kind", "")
        if state and state not in PHASES:
            raise Refused(400, f"state: there is no {state[:40]!r}", f"there are: {', '.join(PHASES)}")
        if kind not in ("", "silence", "maintenance"):
            raise Refused(400, f"kind: there is no {kind[:40]!r}", "there are: silence, maintenance")
        found = await self.silences.listing(state, kind)
        return web.json_response({"silences": [facts(one) for one in found]})

    async def _create(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        asked = read(Asked, await members(request, "an object with matchers, reason and for"))
        made = await self.silences.create(asked.wish(), caller.actor(asked.author))
        matching = made.matching
        body = {
            **await self._facts(made.silence),
            "message": made.words,
            "matches": {"alerts": matching.count, "incidents": [f"INC-{number}" for number in matching.incidents]},
        }
        place = {"Location": f"/api/v1/silences/{made.silence.number}"}
        return web.json_response(body, status=201, headers=place)

    async def _show(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        """With the alerts that it hides now; those of private incidents are only counted."""
        shown = await self.silences.show(numbered(request))
        alerts = [one.state.alert for one in shown.hidden if not one.private]
        seen = [
            {"alert": one.key, "name": one.name, "summary": one.summary, "since": one.starts_at.isoformat()}
            for one in alerts[:SHOWN_ALERTS]
        ]
        private = sum(one.private for one in shown.hidden)
        return web.json_response({**facts(shown.listed), "alerts": seen, "private_alerts": private})

    async def _change(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        number = numbered(request)
        asked = read(Change, await members(request, "an object with ends_at, extend or shorten"))
        if sum(map(bool, (asked.ends_at, asked.extend, asked.shorten))) != 1:
            raise BadInput('body: expected exactly one of ends_at, extend and shorten, like {"extend": "2h"}')
        actor = caller.actor(asked.author)
        if asked.ends_at is not None:
            moved = await self.silences.set_end(number, asked.ends_at, actor)
        else:
            by = length(asked.extend) if asked.extend else -length(asked.shorten)
            moved = await self.silences.extend(number, by, actor)
        return web.json_response({**await self._facts(moved.silence), "message": moved.words})

    async def _end(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        moved = await self.silences.end(numbered(request), caller.actor())
        return web.json_response({**await self._facts(moved.silence), "message": moved.words})

    async def _facts(self, silence: Silence) -> dict[str, Any]:
        return facts((await self.silences.show(silence.number)).listed)


def numbered(request: web.Request) -> int:
    """The number in the address."""
    text = request.match_info["number"]
    if not _NUMBER.match(text):
        raise NoSuchSilence(f"There is no silence {text[:40]!r}: they have numbers.")
    return int(text)


def facts(one: Listed) -> dict[str, Any]:
    """One as JSON values; times in ISO 8601, UTC. `name` is that of a window of the configuration, which has no number."""
    silence = one.silence
    return {
        "number": silence.number or None,
        "name": silence.name,
        "kind": silence.kind,
        "state": one.phase,
        "matchers": list(silence.matchers),
        "author": silence.author,
        "reason": silence.reason,
        "starts_at": _time(silence.starts_at),
        "ends_at": _time(silence.ends_at),
        "windows": [window.model_dump(mode="json", by_alias=True, exclude_defaults=True) for window in silence.windows],
        "created_at": _time(silence.created_at),
        "incident": f"INC-{silence.incident_id}" if silence.incident_id is not None else None,
        "imported_from": silence.imported_from,
        "hides": {"now": one.hides, "ever": one.hid},
    }


def _time(at: datetime | None) -> str | None:
    """A window of the configuration may have been there always: null, as for what has no end."""
    return at.isoformat() if at and at.timestamp() > 0 else None


def _incident(given: str | int | None) -> int | None:
    if given is None or given == "":
        return None
    found = REF.match(str(given))
    if found is None:
        raise BadInput(f"body.incident: {str(given)[:40]!r} does not name an incident; write it like INC-7")
    return int(found[1])
