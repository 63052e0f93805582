"""The Kubernetes actions through the real client on the practice cluster: at most once, whatever becomes of the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.clients.http import Http
from bot.clients.k8s import Kubernetes
from bot.clients.kit import Kit
from bot.domain.ports import Action
from bot.errors import Drifted, TryLater
from bot.practice.cluster import Cluster
from bot.practice.cluster.defaults import fill
from bot.practice.cluster.resources import (
    CONTROLLERREVISIONS,
    DAEMONSETS,
    DEPLOYMENTS,
    NODES,
    PODS,
    STATEFULSETS,
    Resource,
    clone,
)
from bot.practice.cluster.world import manifest
from tests.plugins.actions.kubernetes_uses import action, uses
from tests.support.kubernetes_api import Clock, served

RESOURCES = {"deployment": DEPLOYMENTS, "statefulset": STATEFULSETS, "daemonset": DAEMONSETS}
USES = uses()


class World:
    """A Deployment, a StatefulSet and a DaemonSet that have each had two images, and a clock that is moved by hand."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.cluster = Cluster(self.clock)
        self.cluster.create_deployment("shop", "checkout", "checkout:2", 3, [(1, "checkout:1", 3600.0)], age=60)
        for resource, name in ((STATEFULSETS, "orders"), (DAEMONSETS, "agent")):
            body = {**manifest("shop", name, f"{name}:1", 3), "kind": resource.kind, "status": {}}
            self.cluster.store.create(resource, fill(resource, body))
            self.forward(30)
            changed = clone(self.cluster.store.need(resource, "shop", name))
            changed["spec"]["template"]["spec"]["containers"][0]["image"] = f"{name}:2"
            self.cluster.store.update(resource, changed)
            self.forward(30)

    def forward(self, seconds: float) -> None:
        for _ in range(int(seconds * 2)):
            self.clock.forward(0.5)
            self.cluster.tick()

    def touch(self, params: Any) -> None:
        """Somebody else changes what the action is about."""
        store, name = self.cluster.store, params.model_dump()
        if "node" in name:
            node = clone(store.need(NODES, "", name["node"]))
            closed = not node["spec"].pop("unschedulable", False)
            store.update(NODES, {**node, "spec": {"unschedulable": True} if closed else {}})
        elif "pod" in name:
            store.remove(PODS, "shop", name["pod"])
        else:
            resource, called = next((r, name[field]) for field, r in RESOURCES.items() if name.get(field))
            changed = clone(store.need(resource, "shop", called))
            changed["spec"]["minReadySeconds"] = 1
            store.update(resource, changed)

    def written(self) -> dict[str, str]:
        """What any write would change, pods' and events' own lives aside."""
        store = self.cluster.store
        return {
            f"{resource.kind} {one['metadata']['name']}": one["metadata"]["resourceVersion"]
            for resource in (DEPLOYMENTS, STATEFULSETS, DAEMONSETS, CONTROLLERREVISIONS, NODES, PODS)
            for one in store.all(resource)
        }


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def kit(world: World) -> AsyncIterator[Kit]:
    async with served(world.cluster.app()) as url:
        cluster = await Kubernetes.connect(url=url, token="x", answer_within=2)
        yield Kit(cluster, None, Http(str), str)
        await cluster.close()


async def prepared(world: World, kit: Kit, name: str, params: dict[str, Any]) -> tuple[Action, Any]:
    """The action, and its parameters for something in this world that it has something to do for."""
    if "pod" in params:
        pod = next(
            one for one in world.cluster.store.all(PODS, "shop") if one["metadata"]["name"].startswith("checkout-")
        )
        params = {**params, "pod": pod["metadata"]["name"]}
    one = action(name, kit)
    wanted = one.Params.model_validate(params)
    first = {"k8s.resume": "k8s.pause", "k8s.uncordon": "k8s.cordon"}.get(name)
    if first:
        before = action(first, kit)
        await before.do(before.plan(await before.look(wanted), wanted), wanted, "key")
        world.forward(5)
    return one, wanted


TABLE = pytest.mark.parametrize(("name", "params"), USES.values(), ids=USES)


@TABLE
async def test_it_is_done_and_a_second_run_plans_nothing_and_writes_nothing(
    world: World, kit: Kit, name: str, params: dict[str, Any]
) -> None:
    one, wanted = await prepared(world, kit, name, params)
    plan = one.plan(await one.look(wanted), wanted)
    assert plan.diffs
    await one.do(plan, wanted, "key")
    world.forward(60)
    before = world.written()
    state = await one.look(wanted)
    assert one.plan(state, wanted).diffs == ()
    assert one.verify(state, wanted) is None
    assert world.written() == before


@TABLE
async def test_a_lost_answer_is_uncertain_and_the_same_plan_never_takes_effect_again(
    world: World, kit: Kit, name: str, params: dict[str, Any]
) -> None:
    one, wanted = await prepared(world, kit, name, params)
    plan = one.plan(await one.look(wanted), wanted)
    for verb in ("patch", "create"):
        world.cluster.fail("lost", verb=verb)
    with pytest.raises(TryLater) as later:
        await one.do(plan, wanted, "key")
    assert later.value.uncertain
    world.cluster.faults.clear()
    assert one.plan(await one.look(wanted), wanted).diffs == ()
    world.forward(60)
    before = world.written()
    with pytest.raises(Drifted):
        await one.do(plan, wanted, "key")
    assert world.written() == before


@TABLE
async def test_what_somebody_else_has_changed_is_left_alone(
    world: World, kit: Kit, name: str, params: dict[str, Any]
) -> None:
    one, wanted = await prepared(world, kit, name, params)
    plan = one.plan(await one.look(wanted), wanted)
    world.touch(wanted)
    before = world.written()
    with pytest.raises(Drifted):
        await one.do(plan, wanted, "key")
    assert world.written() == before


@TABLE
async def test_it_is_taken_back(world: World, kit: Kit, name: str, params: dict[str, Any]) -> None:
    one, wanted = await prepared(world, kit, name, params)
    before = await one.look(wanted)
    plan = one.plan(before, wanted)
    await one.do(plan, wanted, "key")
    world.forward(60)
    undo = one.undo(plan, {}, wanted)
    if undo is None:
        assert name in ("k8s.restart", "k8s.delete_pod")
        return
    back = action(undo.action, kit)
    same = back.Params.model_validate(undo.with_)
    await back.do(back.plan(await back.look(same), same), same, "key-2")
    world.forward(60)
    assert back.plan(await back.look(same), same).diffs == ()
    again = one.plan(await one.look(wanted), wanted)
    assert [(diff.what, diff.after) for diff in again.diffs if diff.what != "revision"] == [
        (diff.what, diff.after) for diff in plan.diffs if diff.what != "revision"
    ]


def looked(resource: Resource, world: World, name: str) -> dict[str, Any]:
    return world.cluster.store.need(resource, "shop", name)


async def test_a_rollback_puts_the_whole_template_back(world: World, kit: Kit) -> None:
    old = clone(looked(STATEFULSETS, world, "orders")["spec"]["template"])
    changed = clone(looked(STATEFULSETS, world, "orders"))
    box = changed["spec"]["template"]["spec"]["containers"][0]
    box["env"].append({"name": "TOKEN", "value": "hunter2"})
    world.cluster.store.update(STATEFULSETS, changed)
    world.forward(30)
    one = action("k8s.rollback", kit)
    wanted = one.Params.model_validate({"namespace": "shop", "statefulset": "orders"})
    state = await one.look(wanted)
    plan = one.plan(state, wanted)
    assert plan.diffs[0].note == "changes containers[orders].env[TOKEN]"
    assert "hunter2" not in f"{state}{plan.model_dump_json()}"
    await one.do(plan, wanted, "key")
    assert looked(STATEFULSETS, world, "orders")["spec"]["template"] == old


async def test_a_history_that_was_tampered_with_is_not_put_back(world: World, kit: Kit) -> None:
    one = action("k8s.rollback", kit)
    wanted = one.Params.model_validate({"namespace": "shop", "daemonset": "agent"})
    plan = one.plan(await one.look(wanted), wanted)
    kept = clone(looked(CONTROLLERREVISIONS, world, plan.want["holder"]))
    kept["data"]["spec"]["template"]["spec"]["containers"][0]["image"] = "miner:1"
    world.cluster.store.update(CONTROLLERREVISIONS, kept)
    with pytest.raises(Drifted, match="has changed since the plan was made"):
        await one.do(plan, wanted, "key")
    assert looked(DAEMONSETS, world, "agent")["spec"]["template"]["spec"]["containers"][0]["image"] == "agent:2"
