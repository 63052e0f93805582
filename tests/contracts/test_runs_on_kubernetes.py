"""The runbooks that come with Tocsin, run by the flow with the bot's least rights: on the practice cluster and on a real API server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bot.clients.expressions import CelExpressions
from bot.clients.kit import Kit
from bot.clients.render import JinjaTemplates
from bot.domain.alert import Alert
from bot.domain.allowance import Allowance
from bot.domain.plan import Plan
from bot.domain.policy import Policy
from bot.domain.run import Run, RunState
from bot.domain.runbook import Runbook
from bot.domain.step import StepState
from bot.flow.advance import Advance
from bot.flow.seeing import Sight
from bot.plugins import discover
from bot.plugins.actions import prometheus_query
from bot.store import open_store
from tests.contracts.test_actions_on_kubernetes import current, deployed, finished, image_of, marks
from tests.contracts.test_actions_runbooks import runbook
from tests.support.house import ADA, House, rules
from tests.support.kubernetes_api import Api


class Holds(prometheus_query.Plugin):
    """Prometheus is not what is tested here: every query gives what is expected of it."""

    async def look(self, params: Any) -> dict[str, Any]:
        return {"expect": params.expect}

    def plan(self, state: Mapping[str, Any], params: Any) -> Plan:
        return Plan(target="a query")

    def verify(self, state: Mapping[str, Any], params: Any) -> str | None:
        return None


class Cluster:
    """The flow over a memory store, with the real Kubernetes actions and the wall clock."""

    def __init__(self, house: House, api: Api) -> None:
        self.house = house
        self.api = api

    async def carried_out(self, name: str, **params: str) -> Run:
        """Start it by hand, approve whatever it asks, and wait for its end."""
        house = self.house
        run = await house.runbooks.start(
            1, name, {"namespace": self.api.namespace, "deployment": "checkout", **params}, ADA
        )
        for _ in range(400):
            await house.settle()
            run = await house.run(run.id)
            if run.ended:
                return run
            if run.state is RunState.WAITING:
                assert run.current.plan is not None
                await house.decisions.approve(run.id, run.current.id, run.current.plan.digest, ADA)
                continue
            await self.api.server.wait()
            house.clock.forward(seconds=1)
        raise AssertionError(f"{run.ref} is still {run.state}: {run.current.message}")


@pytest.fixture
async def cluster(api: Api, kit: Kit) -> Cluster:
    quick = {
        name: _quick(runbook(name)) for name in ("rollback-bad-deployment", "restart-deployment", "scale-deployment")
    }
    allowed = Policy(allow=(Allowance(actions=("*",), namespaces=(api.namespace,), max_replicas=5),))
    house = House(await open_store("memory://"), replace(rules(), runbooks=quick, actions=allowed))
    actions = {name: module.Plugin(kit) for name, module in discover("actions").items()}
    actions["prometheus.query"] = Holds(kit)
    sight = Sight(actions, JinjaTemplates(), CelExpressions(), lambda: house.rules)
    advance = Advance(house.store, house.clock, lambda: house.rules, sight, str)
    house.handlers.update(advance.handlers())
    return Cluster(house, api)


def _quick(book: Runbook) -> Runbook:
    return book.model_copy(update={"match": (), "start": "manual"})


async def opened(cluster: Cluster) -> None:
    """INC-1, by the clock of the cluster after everything that was rolled out."""
    sets = (await cluster.api.apps().list_namespaced_replica_set(cluster.api.namespace)).items
    newest = max(one.metadata.creation_timestamp for one in sets)
    cluster.house.clock.now = newest
    cluster.house.clock.forward(seconds=1)
    labels = {"alertname": "HighErrorRate", "namespace": cluster.api.namespace, "deployment": "checkout"}
    await cluster.house.receive(Alert("test", "f", True, labels, {}, cluster.house.clock()))
    await cluster.house.settle()


def changed(run: Run) -> list[bool]:
    assert run.state is RunState.SUCCEEDED, run.current.message
    assert all(step.state is StepState.DONE for step in run.steps)
    return [step.changed for step in run.steps]


async def test_the_rollback_runbook_rolls_back_once(cluster: Cluster, api: Api) -> None:
    await deployed(api, "checkout:1.4.1", "checkout:1.4.2")
    await opened(cluster)
    assert changed(await cluster.carried_out("rollback-bad-deployment")) == [False, True, False]
    assert image_of(await finished(api)) == "checkout:1.4.1"
    before = marks(await finished(api))
    assert changed(await cluster.carried_out("rollback-bad-deployment")) == [False, False, False]
    assert marks(await current(api)) == before


async def test_the_restart_runbook_restarts_once_for_an_incident(cluster: Cluster, api: Api) -> None:
    await deployed(api, "checkout:1.4.1")
    await opened(cluster)
    assert changed(await cluster.carried_out("restart-deployment")) == [True]
    before = marks(await finished(api))
    assert changed(await cluster.carried_out("restart-deployment")) == [False]
    assert marks(await current(api)) == before


async def test_the_scale_runbook_scales_once_and_never_beyond_the_policy(cluster: Cluster, api: Api) -> None:
    await deployed(api, "checkout:1.4.1")
    await opened(cluster)
    assert changed(await cluster.carried_out("scale-deployment", replicas="3")) == [True]
    deployment = await finished(api)
    assert deployment.spec.replicas == 3
    before = marks(deployment)
    assert changed(await cluster.carried_out("scale-deployment", replicas="3")) == [False]
    refused = await cluster.carried_out("scale-deployment", replicas="6")
    assert refused.state is RunState.FAILED
    assert "may have at most 5 replicas" in refused.current.message
    assert marks(await current(api)) == before
