"""An Alertmanager that keeps silences as the real one does, under a clock that is moved by hand."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from aiohttp import web

from bot.domain.matching import matcher


class AlertmanagerApi:
    """`silences` by id, `alerts` by their labels; `lose` drops the next answer to a write after doing it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
        self.silences: dict[str, dict[str, Any]] = {}
        self.alerts: list[dict[str, str]] = []
        self.lose = False
        self.writes = 0

    def forward(self, **length: float) -> None:
        self.now += timedelta(**length)

    def state(self, silence: dict[str, Any]) -> str:
        return "expired" if _time(silence["endsAt"]) <= self.now else "active"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        response = await self._answer(request)
        response.headers["Date"] = format_datetime(self.now, usegmt=True)
        return response

    async def _answer(self, request: web.Request) -> web.Response:
        filters = [matcher(text) for text in request.query.getall("filter", [])]
        if request.path == "/api/v2/alerts":
            found = [one for one in self.alerts if all(each.matches(one) for each in filters)]
            if request.query.get("silenced") == "false":
                found = [one for one in found if not self._silenced(one)]
            return web.json_response([{"labels": one, "annotations": {"summary": "…"}} for one in found])
        if request.method == "GET":
            kept = [
                {**one, "status": {"state": self.state(one)}}
                for one in self.silences.values()
                if all(each.matches({m["name"]: m["value"] for m in one["matchers"]}) for each in filters)
            ]
            return web.json_response(kept)
        self.writes += 1
        if request.method == "DELETE":
            silence = self.silences.get(request.path.rpartition("/")[2])
            if silence is None:
                return web.json_response("silence not found", status=404)
            silence["endsAt"] = _text(self.now)
            return web.Response()
        return self._posted(request, await request.json())

    def _posted(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        if all(not one["value"] for one in body["matchers"]):
            return web.json_response("at least one matcher must not match the empty string", status=400)
        if _time(body["endsAt"]) <= self.now:
            return web.json_response("end time can't be in the past", status=400)
        previous = self.silences.get(body.pop("id", ""))
        if previous is not None and (previous["matchers"], previous["startsAt"]) == (
            body["matchers"],
            body["startsAt"],
        ):
            previous.update(body)
            return web.json_response({"silenceID": previous["id"]})
        if previous is not None:
            previous["endsAt"] = _text(self.now)
        name = str(uuid.uuid4())
        self.silences[name] = {
            **body,
            "startsAt": _text(max(self.now, _time(body["startsAt"]))),
            "id": name,
            "updatedAt": _text(self.now),
        }
        if self.lose:
            self.lose = False
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"silenceID": name})

    def _silenced(self, labels: dict[str, str]) -> bool:
        return any(
            self.state(one) == "active" and all(_holds(m, labels) for m in one["matchers"])
            for one in self.silences.values()
        )


def _holds(one: dict[str, Any], labels: dict[str, str]) -> bool:
    sign = ("" if one["isEqual"] else "!") + ("~" if one["isRegex"] else "")
    op = {"": "=", "!": "!=", "~": "=~", "!~": "!~"}[sign]
    return matcher(f'{one["name"]}{op}"{one["value"]}"').matches(labels)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
