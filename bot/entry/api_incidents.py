"""The JSON API: `/api/v1/incidents`, to open, list, see, acknowledge and resolve without Slack. Translates, calls flow/incidents, replies."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from bot.domain.naming import nearest
from bot.domain.people import Actor
from bot.entry.api_access import Access, Caller, members, read
from bot.entry.incident_words import incident_facts, shown_facts
from bot.entry.problems import Refused
from bot.flow.incidents import Incidents, NoSuchIncident

Handle = Callable[[web.Request, Caller], Awaitable[web.StreamResponse]]
BASE = "/api/v1/incidents"
STATES = ("open", "all")
_NUMBER = re.compile(r"(?:INC-)?([1-9]\d{0,8})\Z", re.IGNORECASE)


class Opening(BaseModel):
    """A new one, opened by hand."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(max_length=3000)
    severity: str = Field(default="", max_length=60)
    service: str = Field(default="", max_length=200)
    author: str = Field(default="", max_length=1000)


class Act(BaseModel):
    """What is done to one: `why` in words, where that says something; `severity` and `target` for the acts that need them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    why: str = Field(default="", max_length=10_000)
    severity: str = Field(default="", max_length=60)
    target: str = Field(default="", max_length=200)
    author: str = Field(default="", max_length=1000)


Doing = Callable[[int, Act, Actor], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class IncidentApi:
    """The routes. `access` says who calls."""

    incidents: Incidents
    access: Access

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(BASE, self._for(self._list)),
            web.post(BASE, self._for(self._open)),
            web.get(BASE + "/{incident}", self._for(self._show)),
            web.post(BASE + "/{incident}/{act}", self._for(self._act)),
        ]

    def acts(self) -> dict[str, Doing]:
        """What can be done to an incident, by the last part of its address."""
        flow = self.incidents
        return {
            "acknowledge": lambda number, asked, actor: flow.acknowledge(number, actor),
            "still_at_it": lambda number, asked, actor: flow.still_at_it(number, actor),
            "mitigate": lambda number, asked, actor: flow.mitigate(number, actor, asked.why),
            "resolve": lambda number, asked, actor: flow.resolve(number, actor, asked.why),
            "escalate": lambda number, asked, actor: flow.escalate(number, actor),
            "note": lambda number, asked, actor: flow.note(number, asked.why, actor),
            "severity": lambda number, asked, actor: flow.set_severity(number, asked.severity, actor),
            "page": lambda number, asked, actor: flow.page(number, asked.target, asked.why, actor),
        }

    def _for(self, handle: Handle) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Nothing of a stranger's request is read."""

        async def handler(request: web.Request) -> web.StreamResponse:
            caller = self.access.caller(request)
            try:
                return await handle(request, caller)
            except NoSuchIncident as error:
                raise Refused(404, str(error), f"GET {BASE} lists what is open") from error

        return handler

    async def _list(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        state = request.query.get("state", "open")
        if state not in STATES:
            raise Refused(400, f"state: there is no {state[:40]!r}", f"there are: {', '.join(STATES)}")
        found = await self.incidents.listing(only_open=state == "open")
        return web.json_response({"incidents": [incident_facts(one) for one in found]})

    async def _open(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        asked = read(Opening, await members(request, "an object with title, and severity and service if you like"))
        made = await self.incidents.declare(asked.title, asked.severity, caller.actor(asked.author), asked.service)
        place = {"Location": f"{BASE}/{made.id}"}
        return web.json_response(incident_facts(made), status=201, headers=place)

    async def _show(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        return web.json_response(shown_facts(await self.incidents.show(_number(request))))

    async def _act(self, request: web.Request, caller: Caller) -> web.StreamResponse:
        number, name, acts = _number(request), request.match_info["act"], self.acts()
        act = acts.get(name)
        if act is None:
            hint = f"there are: {', '.join(acts)}"
            raise Refused(404, f"nothing is called {name[:40]!r} here{nearest(name, acts)}", hint)
        given: dict[str, Any] = {}
        if request.can_read_body:
            given = await members(request, "an object, like {} or with why and author")
        asked = read(Act, given)
        words = await act(number, asked, caller.actor(asked.author))
        shown = await self.incidents.show(number)
        return web.json_response({"message": words, **incident_facts(shown.incident)})


def _number(request: web.Request) -> int:
    """The one in the address: 7 or INC-7."""
    found = _NUMBER.match(request.match_info["incident"])
    if found is None:
        raise NoSuchIncident(f"{request.match_info['incident'][:40]!r} does not name an incident; write it like INC-7")
    return int(found[1])
