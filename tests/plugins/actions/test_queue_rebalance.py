"""queue.rebalance against a RabbitMQ management API with nodes, queues and leaders."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from bot.clients.http import Http
from bot.clients.kit import Kit
from bot.domain.plan import Plan
from bot.domain.redaction import Redactor
from bot.errors import BadInput, Drifted, TryLater
from bot.plugins.actions.queue_rebalance import Params, Plugin
from tests.clients.served import answering

ONE, TWO, THREE = "rabbit@node-1", "rabbit@node-2", "rabbit@node-3"
MEMBERS = [ONE, TWO, THREE]


class RabbitApi:
    """`rebalance()` does what the asynchronous work does."""

    def __init__(self, *leaders: int) -> None:
        self.nodes = [{"name": name, "running": True, "mem_alarm": False, "disk_free_alarm": False} for name in MEMBERS]
        self.queues: list[dict[str, Any]] = [
            {"type": "quorum", "leader": name, "node": name, "members": MEMBERS}
            for name, count in zip(MEMBERS, leaders, strict=True)
            for _ in range(count)
        ]
        self.started = 0
        self.status = 204

    def rebalance(self) -> None:
        for number, queue in enumerate(self.queues):
            if len(queue.get("members", ())) > 1:
                queue["leader"] = queue["node"] = MEMBERS[number % 3]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        columns = request.query.get("columns", "").split(",")
        if request.path == "/api/nodes":
            return web.json_response([{key: one[key] for key in columns if key in one} for one in self.nodes])
        if request.path == "/api/queues":
            return web.json_response([{key: one[key] for key in columns if key in one} for one in self.queues])
        assert (request.method, request.path) == ("POST", "/api/rebalance/queues")
        if self.status < 300:
            self.started += 1
        return web.Response(status=self.status, text="" if self.status < 300 else '{"error":"not_authorised"}')


@dataclass
class World:
    api: RabbitApi
    action: Plugin
    params: Params

    async def plan(self) -> Plan:
        return self.action.plan(await self.action.look(self.params), self.params)

    async def missing(self) -> str | None:
        return self.action.verify(await self.action.look(self.params), self.params)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    api = RabbitApi(12, 0, 3)
    async with answering(api.answer) as server, Http(Redactor()) as http:
        yield World(api, Plugin(Kit(None, None, http, Redactor())), Params(server=server))


async def test_leaders_are_counted_planned_spread_and_then_left_alone(world: World) -> None:
    plan = await world.plan()
    assert [str(diff) for diff in plan.diffs] == [f"leaders: {ONE} 12, {TWO} 0, {THREE} 3 -> spread, 5 each"]
    assert await world.action.do(plan, world.params, "key") == {"before": {ONE: 12, TWO: 0, THREE: 3}}
    assert await world.missing() == f"the leaders are not spread: {ONE} 12, {TWO} 0, {THREE} 3"
    world.api.rebalance()
    assert await world.missing() is None
    assert not await world.plan()
    assert world.api.started == 1
    assert world.action.undo(plan, {}, world.params) is None


async def test_queues_that_only_one_node_can_lead_do_not_count(world: World) -> None:
    world.api.queues = [{"type": "classic", "node": ONE} for _ in range(50)]
    assert not await world.plan()
    world.api.queues += [{"type": "classic", "node": ONE, "slave_nodes": [TWO]} for _ in range(6)]
    assert "rabbit@node-1 6, rabbit@node-2 0 -> spread, 3 each" in str((await world.plan()).diffs[0])


@pytest.mark.parametrize(
    ("leaders", "options", "even"),
    [
        ((5, 5, 5), {}, True),
        ((5, 4, 5), {}, True),
        ((5, 5, 3), {}, True),  # as far as RabbitMQ goes: none has more than 13 / 3, rounded up
        ((6, 4, 3), {}, False),
        ((6, 4, 3), {"within": 3}, True),
        ((110, 90, 100), {}, True),
        ((120, 90, 90), {}, False),
        ((0, 0, 0), {}, True),
    ],
)
def test_when_leaders_count_as_spread(leaders: tuple[int, ...], options: dict[str, int], even: bool) -> None:
    action, params = Plugin(Kit(None, None, Http(str), str)), Params(server="http://mq:15672", **options)
    state = action.facts({"leaders": dict(zip(MEMBERS, leaders, strict=True))}, params)
    assert bool(action.plan(state, params)) is not even
    assert (action.verify(state, params) is None) is even


@pytest.mark.parametrize(("alarm", "kind"), [("mem_alarm", "memory"), ("disk_free_alarm", "disk")])
async def test_a_node_with_an_alarm_is_left_alone(world: World, alarm: str, kind: str) -> None:
    world.api.nodes[2][alarm] = True
    with pytest.raises(BadInput, match=rf"rabbit@node-3 \({kind}\) raised an alarm.* Free memory or disk space"):
        await world.plan()


async def test_a_node_that_is_down_gets_no_share_and_is_named(world: World) -> None:
    world.api.nodes[1] = {"name": TWO, "running": False}
    diff = str((await world.plan()).diffs[0])
    assert diff == f"leaders: {ONE} 12, {THREE} 3 -> spread, 7 or 8 each ({TWO} is down)"


async def test_leaders_that_moved_since_the_plan_are_drift(world: World) -> None:
    plan = await world.plan()
    world.api.queues.pop()
    with pytest.raises(Drifted):
        await world.action.do(plan, world.params, "key")
    assert world.api.started == 0


@pytest.mark.parametrize(("status", "error", "words"), [(401, BadInput, "under 127"), (503, TryLater, "answered 503")])
async def test_a_refusal_says_what_to_do(world: World, status: int, error: type[Exception], words: str) -> None:
    world.api.status = status
    plan = await world.plan()
    with pytest.raises(error, match=words) as raised:
        await world.action.do(plan, world.params, "key")
    assert getattr(raised.value, "uncertain", True)


async def test_an_address_that_is_something_else_is_said() -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text="<html>welcome</html>")

    async with answering(answer) as server, Http(Redactor()) as http:
        action = Plugin(Kit(None, None, http, Redactor()))
        with pytest.raises(BadInput, match="is this the address of its API"):
            await action.look(Params(server=server))


@pytest.mark.parametrize("wrong", [{"server": "amqp://mq"}, {"within": 0}, {"vhost": "/"}])
def test_bad_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Params.model_validate({"server": "http://mq:15672", **wrong})


def test_given_facts_make_a_plan_that_is_empty_once_it_is_done() -> None:
    action, params = Plugin(Kit(None, None, Http(str), str)), Params(server="http://mq:15672")
    for given in ({}, {"leaders": {"a": 7, "b": 1}, "down": ["c"]}):
        state = action.facts(given, params)
        plan = action.plan(state, params)
        assert plan
        after = action.after(state, plan, params)
        assert not action.plan(after, params)
        assert action.verify(after, params) is None
    with pytest.raises(BadInput, match="alarm"):
        action.plan(action.facts({"alarms": ["a"]}, params), params)
    with pytest.raises(BadInput, match='did you mean "leaders"'):
        action.facts({"leader": {}}, params)
