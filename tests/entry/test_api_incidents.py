"""Incidents through the JSON API: what one does when Slack is what is down; who may, and what is said when something is wrong."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bot.domain.incident import Change, State
from bot.entry import problems
from bot.entry.api_access import Access
from bot.entry.api_incidents import BASE, IncidentApi
from bot.store import open_store
from tests.support.house import ADA, House

AUTHORIZED = {"Authorization": "Bearer s3cr3t"}


@dataclass
class Site:
    house: House
    client: TestClient[web.Request, web.Application]

    async def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] = AUTHORIZED
    ) -> tuple[int, Any]:
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body)
        async with self.client.request(method, path, data=data, headers=headers) as answer:
            return answer.status, json.loads(await answer.text())


@asynccontextmanager
async def site(tokens: Mapping[str, str]) -> AsyncIterator[Site]:
    house = House(await open_store("memory://"))
    app = web.Application(middlewares=[problems.middleware])
    app.add_routes(IncidentApi(house.incidents, Access(tokens)).routes())
    async with TestClient(TestServer(app)) as client:
        yield Site(house, client)


@pytest.mark.parametrize(
    ("method", "path"), [("GET", BASE), ("POST", BASE), ("GET", f"{BASE}/1"), ("POST", f"{BASE}/1/acknowledge")]
)
async def test_nobody_may_without_a_token_and_nothing_of_a_stranger_is_read(method: str, path: str) -> None:
    async with site({"ci": "s3cr3t"}) as at:
        status, said = await at.ask(method, path, b"\xff" * 100, headers={})
        assert (status, said["error"]) == (401, "the Authorization header is missing")
    async with site({}) as at:
        status, said = await at.ask(method, path)
        assert (status, said["error"]) == (403, "nobody may use the API: it has no tokens")


async def test_an_incident_is_opened_taken_and_resolved() -> None:
    async with site({"ci": "s3cr3t"}) as at:
        status, made = await at.ask(
            "POST", BASE, {"title": "checkout is down", "severity": "critical", "author": "Eve"}
        )
        assert (status, made["incident"], made["state"]) == (201, "INC-1", "triggered")
        await at.house.settle()
        status, taken = await at.ask("POST", f"{BASE}/INC-1/acknowledge", {"author": "Eve"})
        assert (status, taken["state"], taken["acknowledged_by"]) == (200, "acknowledged", "Eve via ci")
        assert taken["message"].startswith("INC-1 is yours")
        status, over = await at.ask("POST", f"{BASE}/1/resolve", {"why": "rolled back"})
        assert (status, over["state"]) == (200, "resolved")
        _, listed = await at.ask("GET", BASE)
        assert listed["incidents"] == []
        _, listed = await at.ask("GET", f"{BASE}?state=all")
        assert [one["incident"] for one in listed["incidents"]] == ["INC-1"]
        _, shown = await at.ask("GET", f"{BASE}/1")
        assert any("rolled back" in entry["text"] for entry in shown["timeline"])
        assert {page["to"] for page in shown["pages"]} == {"Ada"}


async def test_an_act_without_a_body_is_taken() -> None:
    async with site({"ci": "s3cr3t"}) as at:
        await at.house.incidents.declare("it is broken", "critical", ADA)
        status, said = await at.ask("POST", f"{BASE}/1/escalate")
        assert (status, said["state"]) == (200, "triggered")


async def test_of_a_private_incident_only_is_told_how_it_stands() -> None:
    async with site({"ci": "s3cr3t"}) as at:
        made = await at.house.incidents.declare("salaries are public", "critical", ADA)
        await at.house.store.write(lambda tx: _made_private(tx, made.id))
        for path in (BASE, f"{BASE}/1"):
            _, said = await at.ask("GET", path)
            assert "salaries" not in json.dumps(said)
            assert '"private": true' in json.dumps(said)
        _, said = await at.ask("POST", f"{BASE}/1/acknowledge")
        assert said["state"] == State.ACKNOWLEDGED


async def _made_private(tx: Any, number: int) -> None:
    incident = await tx.incident(number)
    await tx.save(Change(incident.model_copy(update={"private": True})))


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", f"{BASE}/9", None, 404, "There is no INC-9"),
        ("GET", f"{BASE}/x", None, 404, "'x' does not name an incident"),
        ("GET", f"{BASE}?state=closd", None, 400, "state: there is no 'closd'"),
        ("POST", BASE, {"titel": "x"}, 400, "'titel'"),
        ("POST", BASE, {"title": "x", "severity": "crit"}, 400, "'crit' is not a severity"),
        ("POST", BASE, {"title": "  "}, 400, "An incident needs a title"),
        ("POST", f"{BASE}/1/acknowlege", {}, 404, "acknowledge"),
        ("POST", f"{BASE}/1/severity", {"severity": "warm"}, 400, "'warm' is not a severity"),
        ("POST", f"{BASE}/1/resolve", [], 400, "object"),
    ],
)
async def test_what_is_wrong_is_said(method: str, path: str, body: Any, status: int, words: str) -> None:
    async with site({"ci": "s3cr3t"}) as at:
        await at.house.incidents.declare("it is broken", "critical", ADA)
        got, said = await at.ask(method, path, body)
        assert (got, words in said["error"]) == (status, True), said
