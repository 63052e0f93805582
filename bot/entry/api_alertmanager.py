"""Alertmanager's own API for silences, `/api/v2`, with the same tokens: so that amtool and other clients of Alertmanager work with Tocsin's.

Format: api/v2/openapi.yaml of github.com/prometheus/alertmanager. An id is the silence's number as text. As there, posting one with the id of another
changes the end of that when nothing else differs, and replaces it otherwise; and refusals are a JSON text.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from bot.clients.alertmanager import Condition
from bot.domain.matching import Matcher, matcher
from bot.domain.silence import Silence
from bot.domain.silence_told import Listed, phase_of, when
from bot.domain.silencing import LONGEST, NoSuchSilence, Wish
from bot.domain.windows import Moment
from bot.entry import problems
from bot.entry.api import Handle, numbered
from bot.entry.api_access import Access, Caller, members, read
from bot.errors import BadInput
from bot.flow.silences import Silences

MOST_FILTERS = 50
MILLISECOND = timedelta(milliseconds=1)


class Postable(BaseModel):
    """postableSilence."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str = Field(default="", max_length=100)
    matchers: tuple[Condition, ...] = Field(max_length=1000)
    starts: Moment = Field(alias="startsAt")
    ends: Moment = Field(alias="endsAt")
    creator: str = Field(default="", alias="createdBy", max_length=1000)
    comment: str = Field(default="", max_length=10_000)


@dataclass(frozen=True, slots=True)
class AlertmanagerApi:
    silences: Silences
    access: Access

    def routes(self) -> list[web.RouteDef]:
        one = "/api/v2/silence/{number}"
        return [
            web.get("/api/v2/silences", self._for(self._list)),
            web.post("/api/v2/silences", self._for(self._post)),
            web.get(one, self._for(self._show)),
            web.delete(one, self._for(self._expire)),
        ]

    def _for(self, handle: Handle) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Refusals as Alertmanager writes them: its clients can show a JSON text and nothing else."""

        async def handler(request: web.Request) -> web.StreamResponse:
            try:
                return await handle(request, self.access.caller(request))
            except NoSuchSilence as error:
                return web.json_response(str(error), status=404)
            except Exception as error:
                refused = problems.refusal(error)
                if refused is None:
                    raise
                text = f"{refused.error} ({refused.hint})" if refused.hint else refused.error
                return web.json_response(text, status=refused.status, headers=refused.headers)

        return handler

    async def _list(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        """Those that people made (a window of the configuration has no id), also those that are over since lately."""
        filters = _filters(request.query.getall("filter", []))
        now = self.silences.now()
        found = [one for one in await self.silences.listing() if one.silence.number]
        return web.json_response([gettable(one, now) for one in found if _fits(one.silence, filters)])

    async def _show(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        shown = await self.silences.show(numbered(request))
        return web.json_response(gettable(shown.listed, self.silences.now()))

    async def _post(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        asked = read(
            Postable, await members(request, "a silence with matchers, startsAt, endsAt, createdBy and comment")
        )
        actor = caller.actor(asked.creator)
        wish = Wish(
            matchers=tuple(str(one.asked()) for one in asked.matchers),
            reason=asked.comment,
            starts_at=asked.starts,
            ends_at=asked.ends,
        )
        before = await self._before(asked.id)
        if before is not None and _only_its_end(before, wish, self.silences.now()):
            moved = await self.silences.set_end(before.number, asked.ends, actor)
            return web.json_response({"silenceID": str(moved.silence.number)})
        made = await self.silences.create(wish, actor)  # first: when it is refused, the old one still holds
        if before is not None and not before.over(self.silences.now()):
            await self.silences.end(before.number, actor)
        return web.json_response({"silenceID": str(made.silence.number)})

    async def _before(self, text: str) -> Silence | None:
        if not text:
            return None
        if not text.isascii() or not text.isdigit() or len(text) > 9:
            raise NoSuchSilence(f"There is no silence {text[:40]!r}.")
        return (await self.silences.show(int(text))).listed.silence

    async def _expire(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        await self.silences.end(numbered(request), caller.actor())
        return web.Response()


def gettable(one: Listed, now: datetime) -> dict[str, Any]:
    """gettableSilence. Between the times of a recurring one it is pending, and one without an end ends far ahead: this format knows neither."""
    silence = one.silence
    phase = "pending" if one.phase == "active" and not silence.covers(now) else one.phase
    recurs = f" ({when(silence.windows)})" if silence.windows else ""
    return {
        "id": str(silence.number),
        "status": {"state": phase},
        "matchers": [Condition.of(each).model_dump(by_alias=True) for each in silence.compiled],
        "startsAt": _rfc3339(silence.starts_at),
        "endsAt": _rfc3339(silence.ends_at or now + LONGEST),
        "updatedAt": _rfc3339(silence.created_at),
        "createdBy": silence.author,
        "comment": f"{silence.reason}{recurs}",
    }


def _only_its_end(before: Silence, wish: Wish, now: datetime) -> bool:
    """Whether the end can be changed in place (canUpdate of Alertmanager's silence/silence.go)."""
    if phase_of(before, now) == "expired" or before.windows or wish.starts_at is None or wish.ends_at is None:
        return False
    same = {str(one) for one in before.compiled} == {str(matcher(text)) for text in wish.matchers}
    return same and abs(before.starts_at - wish.starts_at) <= MILLISECOND and wish.ends_at > now


def _filters(texts: list[str]) -> list[Matcher]:
    if len(texts) > MOST_FILTERS:
        raise BadInput(f"filter: {len(texts)} are too many; at most {MOST_FILTERS}")
    try:
        return [matcher(text) for text in texts]
    except ValueError as error:
        raise BadInput(f"filter: {error}") from error


def _fits(silence: Silence, filters: list[Matcher]) -> bool:
    """As Alertmanager asks: against the matchers' values as they are written."""
    written = {one.name: one.value for one in silence.compiled}
    return all(one.matches(written) for one in filters)


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
