"""flag.set against an Unleash and a Flagsmith that answer as the real ones do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from bot.clients.http import Http
from bot.clients.kit import Kit
from bot.domain.plan import Plan
from bot.domain.redaction import Redactor
from bot.errors import BadInput, Drifted, TryLater
from bot.plugins.actions.flag_set import Params, Plugin
from tests.clients.served import answering

OFFLINE = Plugin(Kit(None, None, Http(str), str))
UNLEASH = {"kind": "unleash", "flag": "new-cart", "environment": "production", "project": "shop", "on": False}
FLAGSMITH = {"kind": "flagsmith", "flag": "new-cart", "environment": "AbC123", "on": False}


class FlagServer:
    """Both products, one flag. `lose` drops the next answer to a write after doing it."""

    def __init__(self) -> None:
        self.on: dict[str, bool] = {"production": True, "development": True}
        self.state: dict[str, Any] = {
            "id": 71,
            "enabled": True,
            "feature_state_value": "v1",
            "feature": 9,
            "identity": None,
        }
        self.archived = False
        self.writes: list[str] = []
        self.lose = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return self._read(request)
        self.writes.append(f"{request.method} {request.path}")
        if request.path.startswith("/api/admin/"):
            environment, what = request.path.split("/")[-2:]
            self.on[environment] = what == "on"
        else:
            assert request.path == "/api/v1/environments/AbC123/featurestates/71/"
            self.state.update(await request.json())
        if self.lose:
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({})

    def _read(self, request: web.Request) -> web.Response:
        if request.path == "/api/admin/projects/shop/features/new-cart":
            environments = [
                {"name": name, "enabled": on, "type": name, "strategies": []} for name, on in self.on.items()
            ]
            return web.json_response({"name": "new-cart", "archived": self.archived, "environments": environments})
        if request.path == "/api/v1/environments/AbC123/featurestates/":
            results = [self.state] if request.query["feature_name"] == "new-cart" else []
            return web.json_response({"count": len(results), "next": None, "previous": None, "results": results})
        return web.json_response({"name": "NotFoundError", "message": "no such thing"}, status=404)


class World:
    def __init__(self, server: str, http: Http) -> None:
        self.server = server
        self.action = Plugin(Kit(None, None, http, Redactor()))

    def params(self, use: dict[str, Any], **options: Any) -> Params:
        return Params.model_validate({"server": self.server, **use, **options})

    async def plan(self, params: Params) -> Plan:
        return self.action.plan(await self.action.look(params), params)

    async def do(self, params: Params) -> Plan:
        plan = await self.plan(params)
        assert await self.action.do(plan, params, "key") == {"on": params.on}
        return plan

    async def settled(self, params: Params) -> bool:
        state = await self.action.look(params)
        return not self.action.plan(state, params) and self.action.verify(state, params) is None


@asynccontextmanager
async def serving(flags: FlagServer) -> AsyncIterator[World]:
    async with answering(flags.answer) as server, Http(Redactor()) as http:
        yield World(server, http)


@pytest.mark.parametrize("use", [UNLEASH, FLAGSMITH], ids=["unleash", "flagsmith"])
async def test_a_flag_is_turned_off_once_and_back_on_by_its_undo(use: dict[str, Any]) -> None:
    flags = FlagServer()
    async with serving(flags) as world:
        params = world.params(use)
        plan = await world.do(params)
        assert [str(diff) for diff in plan.diffs] == [f"new-cart in {use['environment']}: on -> off"]
        assert await world.settled(params)
        assert len(flags.writes) == 1
        undo = world.action.undo(plan, {}, params)
        assert undo is not None and undo.action == "flag.set"
        await world.do(Params.model_validate(undo.with_))
        assert flags.on["production"] if use is UNLEASH else flags.state["enabled"]
        assert flags.state["feature_state_value"] == "v1"
    assert flags.on["development"]


async def test_a_value_of_flagsmith_is_shown_set_and_put_back() -> None:
    flags = FlagServer()
    async with serving(flags) as world:
        params = world.params(FLAGSMITH, on=True, value=5)
        plan = await world.do(params)
        assert [str(diff) for diff in plan.diffs] == ["value of new-cart: 'v1' -> 5"]
        assert flags.state["feature_state_value"] == 5
        assert await world.settled(params)
        undo = world.action.undo(plan, {}, params)
        assert undo is not None
        await world.do(Params.model_validate(undo.with_))
        assert flags.state["feature_state_value"] == "v1"


def test_a_wanted_value_that_looks_like_a_secret_is_not_shown() -> None:
    params = Params.model_validate({"server": "https://flags.example", **FLAGSMITH, "value": "password=hunter2"})
    action = Plugin(Kit(None, None, Http(Redactor()), Redactor()))
    lines = action.plan(action.facts({}, params), params).lines()
    assert "hunter2" not in str(lines)
    assert "[redacted: password]" in str(lines)


async def test_a_value_that_looks_like_a_secret_is_not_shown_and_not_put_back() -> None:
    flags = FlagServer()
    flags.state["feature_state_value"] = "password=hunter2"
    async with serving(flags) as world:
        params = world.params(FLAGSMITH, value="v2")
        plan = await world.plan(params)
        assert "hunter2" not in plan.model_dump_json()
        assert world.action.undo(plan, {}, params) is None


@pytest.mark.parametrize("use", [UNLEASH, FLAGSMITH], ids=["unleash", "flagsmith"])
async def test_a_flag_that_somebody_set_meanwhile_is_drift(use: dict[str, Any]) -> None:
    flags = FlagServer()
    async with serving(flags) as world:
        params = world.params(use)
        plan = await world.plan(params)
        flags.on["production"] = flags.state["enabled"] = False
        with pytest.raises(Drifted):
            await world.action.do(plan, params, "key")
        assert flags.writes == []


@pytest.mark.parametrize("use", [UNLEASH, FLAGSMITH], ids=["unleash", "flagsmith"])
async def test_an_answer_that_is_lost_is_uncertain_and_then_found_done(use: dict[str, Any]) -> None:
    flags = FlagServer()
    flags.lose = True
    async with serving(flags) as world:
        params = world.params(use)
        with pytest.raises(TryLater) as raised:
            await world.do(params)
        assert raised.value.uncertain
        assert await world.settled(params)


@pytest.mark.parametrize(
    ("use", "options", "words"),
    [
        (UNLEASH, {"environment": "staging"}, "has no environment staging .it has: production and development"),
        (UNLEASH, {"flag": "other"}, "Unleash: .* answered 404"),
        (FLAGSMITH, {"flag": "other"}, "the environment has no flag called other"),
        (FLAGSMITH, {"environment": "wrong"}, "Flagsmith: .* answered 404"),
    ],
)
async def test_what_is_not_there_is_said(use: dict[str, Any], options: dict[str, Any], words: str) -> None:
    async with serving(FlagServer()) as world:
        with pytest.raises(BadInput, match=words):
            await world.action.look(world.params(use, **options))


async def test_an_archived_flag_is_refused() -> None:
    flags = FlagServer()
    flags.archived = True
    async with serving(flags) as world:
        with pytest.raises(BadInput, match="is archived"):
            await world.action.look(world.params(UNLEASH))


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "launchdarkly"},
        {"flag": "a/b"},
        {"environment": ""},
        {"on": "perhaps"},
        {"value": "v2"},
        {"token": "x"},
    ],
)
def test_bad_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Params.model_validate({"server": "https://flags.example", **UNLEASH, **wrong})


def test_policy_judges_the_flag_and_the_host() -> None:
    target = OFFLINE.target(Params.model_validate({"server": "https://flags.example", **UNLEASH}))
    assert (target.name, target.host) == ("shop/production/new-cart", "flags.example")
    assert target.lock == "flags.example/flags/shop/production/new-cart"


@pytest.mark.parametrize(("use", "given"), [(UNLEASH, {}), (FLAGSMITH, {"on": False, "value": "a"}), (FLAGSMITH, {})])
def test_given_facts_make_a_plan_that_is_empty_once_it_is_done(use: dict[str, Any], given: dict[str, Any]) -> None:
    value = {"value": "b"} if use is FLAGSMITH else {}
    params = Params.model_validate({"server": "https://flags.example", **use, **value})
    state = OFFLINE.facts(given, params)
    plan = OFFLINE.plan(state, params)
    assert plan
    after = OFFLINE.after(state, plan, params)
    assert not OFFLINE.plan(after, params)
    assert OFFLINE.verify(after, params) is None
    with pytest.raises(BadInput, match='did you mean "value"'):
        OFFLINE.facts({"vallue": 1}, params)
