"""On-call through the JSON API: who is on call, overrides in somebody's name, paging; who may, and what is said when something is wrong."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bot.domain.overriding import Wish
from bot.entry import problems
from bot.entry.api_access import Access
from bot.entry.api_oncall import BASE, OnCallApi
from bot.flow.incidents import Incidents
from tests.flow.oncall_house import ADA, BOB, CHEN, OnCallHouse, at, oncall_house

AUTHORIZED = {"Authorization": "Bearer s3cr3t"}
TOKENS = {"ci": "s3cr3t"}
OVERRIDES = f"{BASE}/overrides"


@dataclass
class Site:
    house: OnCallHouse
    incidents: Incidents
    client: TestClient[web.Request, web.Application]

    async def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] = AUTHORIZED
    ) -> tuple[int, Any]:
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body)
        async with self.client.request(method, path, data=data, headers=headers) as answer:
            return answer.status, json.loads(await answer.text())


@asynccontextmanager
async def site(tokens: Mapping[str, str] = TOKENS) -> AsyncIterator[Site]:
    house = await oncall_house()
    incidents = Incidents(house.store, house.clock, lambda: house.rules, str)
    app = web.Application(middlewares=[problems.middleware])
    app.add_routes(OnCallApi(house.looking, house.overrides, incidents, Access(tokens)).routes())
    async with TestClient(TestServer(app)) as client:
        yield Site(house, incidents, client)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", BASE),
        ("GET", f"{BASE}/schedules/shop"),
        ("GET", f"{BASE}/gaps"),
        ("GET", f"{BASE}/fairness"),
        ("GET", OVERRIDES),
        ("POST", OVERRIDES),
        ("DELETE", f"{OVERRIDES}/1"),
        ("POST", f"{BASE}/page"),
    ],
)
async def test_nobody_may_without_a_token_and_nothing_of_a_stranger_is_read(method: str, path: str) -> None:
    async with site() as here:
        status, said = await here.ask(method, path, b"\xff" * 100, headers={})
        assert (status, said["error"]) == (401, "the Authorization header is missing")
    async with site({}) as here:
        status, said = await here.ask(method, path)
        assert (status, said["error"]) == (403, "nobody may use the API: it has no tokens")


async def test_who_is_on_call_now_and_next() -> None:
    async with site() as here:
        status, said = await here.ask("GET", BASE)
        assert status == 200
        assert said["schedules"][0] == {
            "schedule": "shop",
            "on_call": [{"person": "chen", "name": "Chen Ning"}],
            "until": "2026-03-02T08:00:00+00:00",
            "next": ["Ada Lovelace"],
            "gaps_are_meant": False,
            "cannot_be_paged": [],
        }
        _, one = await here.ask("GET", f"{BASE}?schedule=trial")
        assert [each["schedule"] for each in one["schedules"]] == ["trial"]


async def test_the_final_schedule_of_a_time_has_overrides_that_are_over_and_gaps() -> None:
    async with site() as here:
        await here.house.overrides.create(Wish("trial", "ada", at("03-02T04:00"), at("03-02T06:00"), "lunch"), CHEN)
        here.house.clock.forward(days=2)
        status, said = await here.ask(
            "GET", f"{BASE}/schedules/trial?from=2026-03-02T04:00:00+01:00&until=2026-03-08T00:00:00Z"
        )
        assert (status, said["from"]) == (200, "2026-03-02T03:00:00+00:00"), said
        assert [(one["person"], one["by"]) for one in said["shifts"]] == [
            ("bob", "one"),
            ("ada", "override 1"),
            ("bob", "one"),
        ]
        assert said["shifts"][0]["ends"] == said["shifts"][1]["starts"] == "2026-03-02T04:00:00+00:00"
        assert said["gaps"] == [{"starts": "2026-03-06T09:00:00+00:00", "ends": "2026-03-08T00:00:00+00:00"}]
        assert (said["zone"], said["more"], said["overlaps"]) == ("UTC", 0, [])


async def test_gaps_and_fairness() -> None:
    async with site() as here:
        _, said = await here.ask("GET", f"{BASE}/gaps")
        assert [(one["schedule"], one["kind"], one["starts"]) for one in said["gaps"]] == [
            ("trial", "gap", "2026-03-06T09:00:00+00:00")
        ]
        assert said["overlaps"] == []
        _, said = await here.ask(
            "GET", f"{BASE}/fairness?schedule=shop&from=2026-01-19T08:00:00Z&until=2026-02-02T08:00:00Z"
        )
        shares = {one["person"]: one["hours"] for one in said["shares"]}
        assert shares == {"ada": 168.0, "chen": 168.0}


async def test_an_override_is_made_in_somebodys_name_listed_and_ended() -> None:
    async with site() as here:
        asked = {
            "schedule": "shop",
            "person": "Bob",
            "from": "2026-03-02T05:00:00+01:00",
            "for": "2h",
            "why": "dentist",
            "author": "ada",
        }
        status, made = await here.ask("POST", OVERRIDES, asked)
        assert (status, made["number"], made["person"]) == (201, 1, "bob"), made
        assert (made["starts"], made["ends"]) == ("2026-03-02T04:00:00+00:00", "2026-03-02T06:00:00+00:00")
        assert (made["by"], made["why"], made["replaced"]) == ("ada", "dentist (by the API token ci)", ["chen"])
        await here.house.settle()
        assert any("by the API token ci" in words for words in here.house.words("person:chen"))
        _, listed = await here.ask("GET", f"{OVERRIDES}?schedule=shop")
        assert [one["number"] for one in listed["overrides"]] == [1]
        status, ended = await here.ask("DELETE", f"{OVERRIDES}/1?author=ada")
        assert (status, ended["number"]) == (200, 1), ended
        _, listed = await here.ask("GET", OVERRIDES)
        assert listed == {"overrides": [], "swaps": []}


async def test_a_swap_that_waits_is_listed() -> None:
    async with site() as here:
        await here.house.overrides.ask(Wish("shop", "bob", at("03-03T08:00"), at("03-04T08:00"), "wedding"), ADA)
        _, listed = await here.ask("GET", OVERRIDES)
        (one,) = listed["swaps"]
        assert (one["asker"], one["other"], one["state"], one["why"]) == ("ada", "bob", "asked", "wedding")


@pytest.mark.parametrize(
    ("target", "incident", "meant"),
    [("ada", None, "person:ada"), ("Bob Kahn", "INC-1", "person:bob"), ("pay", 1, "group:pay")],
)
async def test_somebody_is_paged_with_a_reason(target: str, incident: Any, meant: str) -> None:
    async with site() as here:
        await here.incidents.declare("checkout is down", "critical", BOB)
        asked = {"target": target, "why": "the tills are down", "incident": incident, "author": "Eve"}
        status, said = await here.ask("POST", f"{BASE}/page", asked)
        assert (status, said["target"]) == (202, meant), said
        number = 2 if incident is None else 1
        assert f"INC-{number}" in said["message"]
        shown = await here.incidents.show(number)
        assert any("the tills are down" in f"{entry.text} {shown.incident.title}" for entry in shown.timeline)
        assert "Eve via ci" in {entry.actor for entry in shown.timeline}
        paged = [one for track in shown.incident.tracks for level in track.policy.levels for one in level.targets]
        assert meant in [*paged, *(entry.data.get("target") for entry in shown.timeline)]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", f"{BASE}?schedul=shop", None, 400, "query: there is no member 'schedul'; did you mean \"schedule\"?"),
        ("GET", f"{BASE}?schedule=shp", None, 400, "There is no schedule 'shp'; did you mean \"shop\"?"),
        ("GET", f"{BASE}/schedules/shp", None, 404, "There is no schedule 'shp'; did you mean \"shop\"?"),
        ("GET", f"{BASE}/schedules/shop?from=monday", None, 400, "query.from: not a time: 'monday'"),
        (
            "GET",
            f"{BASE}/schedules/shop?from=2026-03-02T04:00",
            None,
            400,
            "query.from: '2026-03-02T04:00' has no time",
        ),
        ("GET", f"{BASE}/schedules/shop?until=2026-01-01T00:00Z", None, 400, "from one moment to a later one"),
        ("GET", f"{BASE}/schedules/shop?until=2029-01-01T00:00Z", None, 400, "at most 366 days"),
        ("GET", f"{BASE}/fairness?until=2020-01-01T00:00Z&from=2021-01-01T00:00Z", None, 400, "at most 366 days"),
        ("GET", f"{BASE}/gaps?schedule=tria", None, 400, 'did you mean "trial"?'),
        ("POST", OVERRIDES, {"schedule": "shop", "person": "bob", "for": "2h"}, 400, "body.author: missing"),
        (
            "POST",
            OVERRIDES,
            {"schedule": "shop", "person": "bob", "for": "2h", "author": "adda"},
            400,
            "body.author: 'adda' is nobody in oncall.yaml; did you mean \"ada\"?",
        ),
        (
            "POST",
            OVERRIDES,
            {"schedule": "shop", "person": "bobb", "for": "2h", "author": "ada"},
            400,
            'did you mean "bob"?',
        ),
        (
            "POST",
            OVERRIDES,
            {"schedule": "shop", "person": "bob", "author": "ada"},
            400,
            "exactly one of until and for",
        ),
        (
            "POST",
            OVERRIDES,
            {"schedule": "shop", "person": "bob", "for": "2h", "until": "2026-03-04T00:00Z", "author": "ada"},
            400,
            "exactly one of until and for",
        ),
        (
            "POST",
            OVERRIDES,
            {"schedule": "shop", "person": "bob", "until": "2026-03-01T00:00Z", "author": "ada"},
            400,
            "before it begins",
        ),
        ("POST", OVERRIDES, {"schedule": "shop", "persn": "bob"}, 400, "there is no member 'persn'"),
        ("POST", OVERRIDES, {"schedule": "shop", "person": "bob", "until": "fri 18:00"}, 400, "body.until: not a time"),
        ("POST", OVERRIDES, [], 400, "object"),
        ("DELETE", f"{OVERRIDES}/9?author=ada", None, 404, "There is no override 9"),
        ("DELETE", f"{OVERRIDES}/x?author=ada", None, 404, "There is no override 'x'"),
        ("DELETE", f"{OVERRIDES}/9", None, 400, "query.author: missing"),
        ("POST", f"{BASE}/page", {"target": "shp", "why": "x"}, 400, 'did you mean "shop"?'),
        ("POST", f"{BASE}/page", {"target": "policy:shpo", "why": "x"}, 400, 'did you mean "shop"?'),
        ("POST", f"{BASE}/page", {"target": "me", "why": "x"}, 400, "You are not among the people"),
        ("POST", f"{BASE}/page", {"target": "shop", "why": " "}, 400, "Say why"),
        ("POST", f"{BASE}/page", {"target": "shop"}, 400, "body.why"),
        ("POST", f"{BASE}/page", {"target": "shop", "why": "x", "incident": "INC-9"}, 404, "There is no INC-9"),
        ("POST", f"{BASE}/page", {"target": "shop", "why": "x", "incident": "nine"}, 400, "body.incident: 'nine'"),
        ("PUT", OVERRIDES, {}, 405, "Method Not Allowed"),
    ],
)
async def test_what_is_wrong_is_said(method: str, path: str, body: Any, status: int, words: str) -> None:
    async with site() as here:
        got, said = await here.ask(method, path, body)
        assert (got, words in said["error"]) == (status, True), said
        assert (await here.house.overrides.listing())[0] == ()
