"""The JSON API: `/api/v1/oncall`, to see who is on call and when, to make and end overrides, and to page. Translates, calls the flows, replies."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from bot.domain import asking
from bot.domain.overriding import Wish
from bot.domain.people import Actor, Directory
from bot.domain.windows import Moment
from bot.entry.api import REF
from bot.entry.api_access import Access, Caller, members, read
from bot.entry.oncall_facts import (
    override_facts,
    overrides_facts,
    schedule_facts,
    shares_facts,
    standing_facts,
    turn_facts,
)
from bot.entry.problems import Refused
from bot.entry.silence_words import length
from bot.errors import BadInput
from bot.flow.incidents import Incidents, NoSuchIncident
from bot.flow.oncall import OnCall
from bot.flow.overrides import NoSuchOverride, Overrides

Handle = Callable[[web.Request, Caller], Awaitable[web.StreamResponse]]
M = TypeVar("M", bound=BaseModel)
BASE = "/api/v1/oncall"
USUAL_LOOK, USUAL_LOOK_BACK = timedelta(weeks=2), timedelta(weeks=4)
_NUMBER = re.compile(r"[1-9]\d{0,8}\Z")
_UNESCAPED_PLUS = re.compile(r"(T[\d:.]+) (\d\d:?\d\d)\Z")
log = structlog.get_logger(__name__)


class Query(BaseModel):
    """What may stand behind the `?` of an address."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OfSchedule(Query):
    schedule: str = Field(default="", max_length=200)


class Range(Query):
    """`from` and `until`, ISO 8601 with an offset."""

    from_: Moment | None = Field(default=None, alias="from")
    until: Moment | None = None


class RangeOfSchedule(Range):
    schedule: str = Field(default="", max_length=200)


class ByAuthor(Query):
    author: str = Field(default="", max_length=200)


class NewOverride(BaseModel):
    """Somebody else for a time: `from` (now, when not given) and either `until` or `for` (like 4h). `author`: for whom the tool acts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schedule: str = Field(max_length=200)
    person: str = Field(max_length=200)
    from_: Moment | None = Field(default=None, alias="from")
    until: Moment | None = None
    lasts: str = Field(default="", alias="for", max_length=40)
    why: str = Field(default="", max_length=10_000)
    author: str = Field(default="", max_length=200)

    def span(self, now: datetime) -> tuple[datetime, datetime]:
        if bool(self.lasts) == (self.until is not None):
            raise BadInput('body: expected exactly one of until and for, like {"for": "4h"}')
        starts = self.from_ or now
        return starts, self.until or starts + length(self.lasts)


class NewPage(BaseModel):
    """`target`: somebody, a schedule or a group (`ada`, `schedule:shop`), or `policy:shop`. Without an incident one is opened."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: str = Field(max_length=200)
    why: str = Field(max_length=10_000)
    incident: str | int | None = None
    severity: str = Field(default="", max_length=60)
    author: str = Field(default="", max_length=1000)

    def number(self) -> int | None:
        if self.incident is None or self.incident == "":
            return None
        found = REF.match(str(self.incident))
        if found is None:
            raise BadInput(f"body.incident: {str(self.incident)[:40]!r} does not name an incident; write it like INC-7")
        return int(found[1])


@dataclass(frozen=True, slots=True)
class OnCallApi:
    """The routes. `access` says who calls."""

    oncall: OnCall
    overrides: Overrides
    incidents: Incidents
    access: Access

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(BASE, self._for(self._standings)),
            web.get(BASE + "/schedules/{name}", self._for(self._schedule)),
            web.get(BASE + "/gaps", self._for(self._gaps)),
            web.get(BASE + "/fairness", self._for(self._fairness)),
            web.get(BASE + "/overrides", self._for(self._overrides)),
            web.post(BASE + "/overrides", self._for(self._create)),
            web.delete(BASE + "/overrides/{number}", self._for(self._end)),
            web.post(BASE + "/page", self._for(self._page)),
        ]

    def _for(self, handle: Handle) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Nothing of a stranger's request is read."""

        async def handler(request: web.Request) -> web.StreamResponse:
            caller = self.access.caller(request)
            try:
                return await handle(request, caller)
            except NoSuchOverride as error:
                raise Refused(404, str(error), f"GET {BASE}/overrides lists those that are not over") from error
            except NoSuchIncident as error:
                raise Refused(404, str(error), "GET /api/v1/incidents lists what is open") from error

        return handler

    # -------------------------------------------------------------------------------------------- looking

    async def _standings(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        found = await self.oncall.standings(asked(request, OfSchedule).schedule)
        return web.json_response({"schedules": [standing_facts(one) for one in found]})

    async def _schedule(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        since, until = self._range(asked(request, Range))
        try:
            name = asking.schedule(await self.oncall.directory(), request.match_info["name"]).key
        except BadInput as error:
            raise Refused(404, str(error), f"GET {BASE} lists the schedules that there are") from error
        directory, (found,) = await self.oncall.final(name, since, until)
        return web.json_response(await asyncio.to_thread(schedule_facts, directory, found, since, until))

    async def _gaps(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        """Over the next four weeks: when nobody is on call, and where a schedule contradicts itself."""
        found = await self.oncall.gaps(asked(request, OfSchedule).schedule)
        by_kind = {f"{kind}s": [turn_facts(one) for one in found if one.kind == kind] for kind in ("gap", "overlap")}
        return web.json_response(by_kind)

    async def _fairness(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        given = asked(request, RangeOfSchedule)
        since, until = self._range(given, back=True)
        return web.json_response(shares_facts(await self.oncall.fairness(given.schedule, since, until)))

    async def _overrides(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        found = await self.overrides.listing(asked(request, OfSchedule).schedule)
        return web.json_response(overrides_facts(*found))

    def _range(self, given: Range, *, back: bool = False) -> tuple[datetime, datetime]:
        """What is not given is two weeks from now; with `back`, the four weeks until now."""
        now = self.oncall.now()
        if back:
            until = given.until or now
            return given.from_ or until - USUAL_LOOK_BACK, until
        since = given.from_ or now
        return since, given.until or since + USUAL_LOOK

    # -------------------------------------------------------------------------------------------- acting

    async def _create(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        """On record for the author; the token's name is added to the reason."""
        given = read(NewOverride, await members(request, "an object with schedule, person, from, until and author"))
        starts, ends = given.span(self.oncall.now())
        directory = await self.oncall.directory()
        actor = acting(directory, given.author, caller, "body.author")
        wish = Wish(given.schedule, given.person, starts, ends, f"{given.why} (by the API token {caller.name})".strip())
        made = await self.overrides.create(wish, actor)
        body = {
            **override_facts(made.override, directory),
            "replaced": list(made.replaced),
            "goes_before": [one.number for one in made.over],
            "message": made.words,
        }
        place = {"Location": f"{BASE}/overrides/{made.override.number}"}
        return web.json_response(body, status=201, headers=place)

    async def _end(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        """`author` stands in the address: `?author=ada`."""
        text = request.match_info["number"]
        if not _NUMBER.match(text):
            raise NoSuchOverride(f"There is no override {text[:40]!r}: they have numbers.")
        actor = acting(await self.oncall.directory(), asked(request, ByAuthor).author, caller, "query.author")
        words = await self.overrides.end(int(text), actor)
        log.info("override ended through the API", number=int(text), token=caller.name, author=actor.id)
        return web.json_response({"number": int(text), "message": words})

    async def _page(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        given = read(NewPage, await members(request, "an object with target and why, and incident if you like"))
        actor = caller.actor(given.author)
        target = target_of(await self.oncall.directory(), given.target, actor)
        words = await self.incidents.page(given.number(), target, given.why, actor, given.severity)
        return web.json_response({"target": target, "message": words}, status=202)


def target_of(directory: Directory, text: str, actor: Actor) -> str:
    """Whom to page, as a target. Policies, channels and media are named whole (`policy:shop`); the flow knows those that there are."""
    kind, colon, _ = text.strip().partition(":")
    return text.strip() if colon and kind in ("policy", "channel", "medium") else asking.target(directory, text, actor)


def acting(directory: Directory, author: str, caller: Caller, where: str) -> Actor:
    """The person for whom a tool changes who is on call: a token is nobody whom others could ask. BadInput with the nearest."""
    if not author.strip():
        people = asking.listed(directory.people)
        raise BadInput(f"{where}: missing; expected somebody of oncall.yaml by key, who is on record for it: {people}")
    try:
        found = asking.person(directory, author)
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from error
    return Actor(id=found.key, name=f"{found.name} via {caller.name}")


def asked(request: web.Request, shape: type[M]) -> M:
    """What stands behind the `?`. A `+` that was not escaped, and so became a space, is taken for what it was."""
    given = {name: _UNESCAPED_PLUS.sub(r"\1+\2", value) for name, value in request.query.items()}
    try:
        return read(shape, given)
    except BadInput as error:
        raise BadInput(f"query{str(error).removeprefix('body')}") from error
