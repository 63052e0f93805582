"""The practice cluster's other workloads: StatefulSets and DaemonSets with a history, disruption budgets, names that are taken again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.practice.cluster import Cluster
from bot.practice.cluster.defaults import fill
from bot.practice.cluster.resources import (
    BUDGETS,
    CONTROLLERREVISIONS,
    DAEMONSETS,
    DEPLOYMENTS,
    NODES,
    PODS,
    REPLICASETS,
    STATEFULSETS,
    Resource,
    clone,
)
from bot.practice.cluster.world import manifest
from tests.support.kubernetes_api import Api, Clock, PracticeServer, api_on, practice_server


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cluster(clock: Clock) -> Cluster:
    one = Cluster(clock)
    one.create_namespace("shop")
    return one


def forward(cluster: Cluster, clock: Clock, seconds: float) -> None:
    clock.forward(seconds)
    cluster.tick()


def made(cluster: Cluster, resource: Resource, image: str = "web:1", **spec: Any) -> None:
    body = {**manifest("shop", "web", image, 3), "kind": resource.kind, "status": {}}
    body["spec"] |= spec
    cluster.store.create(resource, fill(resource, body))


def changed(cluster: Cluster, resource: Resource, image: str, **spec: Any) -> None:
    new = clone(cluster.store.need(resource, "shop", "web"))
    new["spec"]["template"]["spec"]["containers"][0]["image"] = image
    new["spec"] |= spec
    cluster.store.update(resource, new)


def history(cluster: Cluster) -> dict[int, str]:
    """Revision to image."""
    found = cluster.store.all(CONTROLLERREVISIONS, "shop")
    return {one["revision"]: one["data"]["spec"]["template"]["spec"]["containers"][0]["image"] for one in found}


def images(cluster: Cluster) -> list[str]:
    return sorted(one["spec"]["containers"][0]["image"] for one in cluster.store.all(PODS, "shop"))


@pytest.mark.parametrize("resource", [STATEFULSETS, DAEMONSETS], ids=lambda one: one.kind)
def test_a_template_that_comes_again_gets_the_next_number(cluster: Cluster, clock: Clock, resource: Resource) -> None:
    made(cluster, resource)
    forward(cluster, clock, 20)
    changed(cluster, resource, "web:2")
    forward(cluster, clock, 20)
    assert history(cluster) == {1: "web:1", 2: "web:2"}
    assert set(images(cluster)) == {"web:2"}
    changed(cluster, resource, "web:1")
    forward(cluster, clock, 20)
    assert history(cluster) == {2: "web:2", 3: "web:1"}
    assert set(images(cluster)) == {"web:1"}


def test_a_history_is_as_long_as_its_limit(cluster: Cluster, clock: Clock) -> None:
    made(cluster, STATEFULSETS, revisionHistoryLimit=2)
    for number in range(2, 7):
        forward(cluster, clock, 20)
        changed(cluster, STATEFULSETS, f"web:{number}")
    forward(cluster, clock, 20)
    assert history(cluster) == {4: "web:4", 5: "web:5", 6: "web:6"}


def test_a_history_goes_with_its_owner(cluster: Cluster, clock: Clock) -> None:
    made(cluster, DAEMONSETS)
    forward(cluster, clock, 5)
    cluster.store.remove(DAEMONSETS, "shop", "web")
    forward(cluster, clock, 5)
    assert history(cluster) == {}
    assert images(cluster) == []


@pytest.mark.parametrize("resource", [DEPLOYMENTS, STATEFULSETS, DAEMONSETS], ids=lambda one: one.kind)
def test_a_workload_that_is_deleted_and_made_again_at_once_comes_up(
    cluster: Cluster, clock: Clock, resource: Resource
) -> None:
    made(cluster, resource)
    forward(cluster, clock, 20)
    old = {one["metadata"]["uid"] for one in cluster.store.all(PODS, "shop")}
    cluster.store.remove(resource, "shop", "web")
    made(cluster, resource)
    forward(cluster, clock, 30)
    new = cluster.store.all(PODS, "shop")
    assert len(new) == (2 if resource is DAEMONSETS else 3)
    assert old.isdisjoint(one["metadata"]["uid"] for one in new)
    if resource is DEPLOYMENTS:
        assert cluster.store.need(DEPLOYMENTS, "shop", "web")["status"]["collisionCount"] == 1
        assert len(cluster.store.all(REPLICASETS, "shop")) == 1


def test_a_stateful_set_that_is_stuck_stays_so_until_its_pod_is_deleted(cluster: Cluster, clock: Clock) -> None:
    made(cluster, STATEFULSETS)
    forward(cluster, clock, 20)
    changed(cluster, STATEFULSETS, "web:notready")
    forward(cluster, clock, 20)
    changed(cluster, STATEFULSETS, "web:1")
    forward(cluster, clock, 60)
    assert images(cluster) == ["web:1", "web:1", "web:notready"]
    cluster.delete_pod("shop", "web-2")
    forward(cluster, clock, 20)
    assert images(cluster) == ["web:1", "web:1", "web:1"]


def test_a_stateful_set_of_parallel_pods_mends_itself(cluster: Cluster, clock: Clock) -> None:
    made(cluster, STATEFULSETS, podManagementPolicy="Parallel")
    forward(cluster, clock, 20)
    changed(cluster, STATEFULSETS, "web:notready")
    forward(cluster, clock, 20)
    changed(cluster, STATEFULSETS, "web:1")
    forward(cluster, clock, 20)
    assert images(cluster) == ["web:1", "web:1", "web:1"]


def test_a_daemon_set_replaces_as_many_pods_at_once_as_may_be_unavailable(cluster: Cluster, clock: Clock) -> None:
    made(cluster, DAEMONSETS)
    forward(cluster, clock, 20)
    changed(cluster, DAEMONSETS, "web:notready")
    forward(cluster, clock, 20)
    assert images(cluster) == ["web:1", "web:notready"]
    assert cluster.store.need(DAEMONSETS, "shop", "web")["status"]["numberUnavailable"] == 1
    changed(cluster, DAEMONSETS, "web:3")
    forward(cluster, clock, 20)
    assert images(cluster) == ["web:3", "web:3"]


def test_a_closed_node_gets_its_daemon_all_the_same(cluster: Cluster, clock: Clock) -> None:
    node = cluster.store.all(NODES)[0]
    cluster.store.update(NODES, {**clone(node), "spec": {"unschedulable": True}})
    made(cluster, DAEMONSETS)
    made(cluster, DEPLOYMENTS)
    forward(cluster, clock, 20)
    placed = [one for one in cluster.store.all(PODS, "shop") if one["spec"]["nodeName"] == node["metadata"]["name"]]
    assert [one["metadata"]["ownerReferences"][0]["kind"] for one in placed] == ["DaemonSet"]


# ------------------------------------------------------------------------------------------------ disruption budgets


@pytest.fixture
async def server() -> AsyncIterator[PracticeServer]:
    async with practice_server() as one:
        one.cluster.create_deployment("shop", "web", "web:1", 4)
        forward(one.cluster, one.clock, 10)
        yield one


@pytest.fixture
async def api(server: PracticeServer) -> AsyncIterator[Api]:
    async with api_on(server) as one:
        yield one


async def evicted(api: Api, server: PracticeServer, **body: Any) -> tuple[int, Any]:
    """Try to evict the first pod that is not being stopped."""
    pods = [one for one in server.cluster.store.all(PODS, "shop") if not one["metadata"].get("deletionTimestamp")]
    name = pods[0]["metadata"]["name"]
    where = f"/api/v1/namespaces/shop/pods/{name}/eviction"
    return await api.raw(
        "POST", where, {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, **body}
    )


def budget(server: PracticeServer, name: str, **spec: Any) -> None:
    body = {
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec},
    }
    server.cluster.store.create(BUDGETS, body)


@pytest.mark.parametrize(
    ("spec", "most"),
    [
        ({"minAvailable": 3}, 1),
        ({"minAvailable": "50%"}, 2),
        ({"minAvailable": "60%"}, 1),
        ({"minAvailable": 0}, 4),
        ({"maxUnavailable": 1}, 1),
        ({"maxUnavailable": "50%"}, 2),
        ({"maxUnavailable": 0}, 0),
    ],
)
async def test_a_budget_lets_only_so_many_go(api: Api, server: PracticeServer, spec: dict[str, Any], most: int) -> None:
    budget(server, "web", **spec)
    codes = [(await evicted(api, server))[0] for _ in range(4)]
    assert codes == [201] * most + [429] * (4 - most)


async def test_a_pod_that_is_not_ready_may_go_while_the_others_are_enough(api: Api, server: PracticeServer) -> None:
    budget(server, "web", minAvailable=3)
    server.cluster.set_image("shop", "web", "web:notready")
    server.cluster.tick()
    forward(server.cluster, server.clock, 20)
    pods = server.cluster.store.all(PODS, "shop")
    ill = next(one for one in pods if "notready" in one["spec"]["containers"][0]["image"])["metadata"]["name"]
    well = next(one for one in pods if "notready" not in one["spec"]["containers"][0]["image"])["metadata"]["name"]
    answers = {}
    for name in (well, ill):
        body = {"metadata": {"name": name}}
        answers[name], _ = await api.raw("POST", f"/api/v1/namespaces/shop/pods/{name}/eviction", body)
    assert answers == {well: 429, ill: 201}


async def test_two_budgets_are_one_too_many(api: Api, server: PracticeServer) -> None:
    budget(server, "one", minAvailable=1)
    budget(server, "two", minAvailable=1)
    code, said = await evicted(api, server)
    assert (code, said["message"][:53]) == (500, "This pod has more than one PodDisruptionBudget, which")


async def test_an_eviction_can_be_bound_to_one_pod(api: Api, server: PracticeServer) -> None:
    code, said = await evicted(api, server, deleteOptions={"preconditions": {"uid": "another"}})
    assert (code, said["reason"]) == (409, "Conflict")
    assert "the UID in the precondition (another) does not match the UID in record" in said["message"]
    assert not any(one["metadata"].get("deletionTimestamp") for one in server.cluster.store.all(PODS, "shop"))


async def test_an_eviction_of_an_unknown_version_is_refused(api: Api, server: PracticeServer) -> None:
    code, said = await evicted(api, server, apiVersion="policy/v2")
    assert (code, said["reason"]) == (400, "BadRequest")
    assert 'no kind "Eviction" is registered for version "policy/v2"' in said["message"]
