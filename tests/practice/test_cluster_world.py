"""The practice cluster's own behaviour: time by hand, the demo's story, bad images, the snapshot."""

from __future__ import annotations

from typing import Any

import pytest

from bot.practice.cluster import Cluster
from bot.practice.cluster.resources import DEPLOYMENTS, EVENTS, NODES, PODS, REPLICASETS, clone
from bot.practice.story import BAD_IMAGE, GOOD_IMAGE, break_checkout, demo_world
from tests.support.kubernetes_api import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cluster(clock: Clock) -> Cluster:
    return Cluster(clock)


def one(cluster: Cluster, name: str = "checkout") -> dict[str, Any]:
    found: list[dict[str, Any]] = [d for d in cluster.snapshot()["deployments"] if d["name"] == name]
    return found[0]


def pods_of(cluster: Cluster, name: str = "checkout") -> list[dict[str, Any]]:
    return [p for p in cluster.snapshot()["pods"] if p["deployment"] == name]


def forward(cluster: Cluster, clock: Clock, seconds: float) -> None:
    clock.forward(seconds)
    cluster.tick()


def test_nothing_moves_before_a_tick(cluster: Cluster, clock: Clock) -> None:
    cluster.create_deployment("shop", "web", "web:1", 2)
    cluster.set_image("shop", "web", "web:2")
    before = one(cluster, "web")
    clock.forward(60)

    assert one(cluster, "web") == before | {"revisions": one(cluster, "web")["revisions"]}
    assert before["revision"] == 1
    cluster.tick()
    assert one(cluster, "web")["revision"] == 2


def test_a_long_jump_happens_step_by_step(cluster: Cluster, clock: Clock) -> None:
    cluster.create_deployment("shop", "web", "web:1", 3, age=60)
    cluster.set_image("shop", "web", "web:2")
    cluster.tick()
    started = clock.at
    forward(cluster, clock, 3600)

    assert one(cluster, "web")["ready"] == 3
    ready = [p["status"]["conditions"] for p in cluster.store.all(PODS)]
    newest = max(c["lastTransitionTime"] for conditions in ready for c in conditions)
    assert newest <= f"2027-01-15T08:00:0{int(started) % 10 + 5}Z"


def test_the_next_due_moment_is_known(cluster: Cluster, clock: Clock) -> None:
    cluster.create_deployment("shop", "web", "web:1", 1)
    assert cluster.next_due() == pytest.approx(clock.at + 0.3)
    forward(cluster, clock, 0.3)
    assert one(cluster, "web")["ready"] == 1
    assert cluster.next_due() is None


def test_the_same_steps_give_the_same_cluster() -> None:
    def play() -> dict[str, Any]:
        clock = Clock()
        cluster = Cluster(clock)
        demo_world(cluster)
        cluster.set_image("shop", "checkout", GOOD_IMAGE)
        forward(cluster, clock, 30)
        return cluster.snapshot()

    assert play() == play()


def test_the_demo_begins_three_minutes_after_the_bad_deployment(cluster: Cluster) -> None:
    demo_world(cluster)
    checkout = one(cluster)
    assert (checkout["revision"], checkout["image"], checkout["replicas"], checkout["ready"]) == (14, BAD_IMAGE, 3, 0)
    assert [(r["revision"], r["image"], r["age_seconds"], r["replicas"]) for r in checkout["revisions"]] == [
        (12, "checkout:1.4.0", 16 * 86400, 0),
        (13, GOOD_IMAGE, 2 * 86400, 0),
        (14, BAD_IMAGE, 180, 3),
    ]
    for pod in pods_of(cluster):
        assert (pod["reason"], pod["ready"], pod["age_seconds"]) == ("CrashLoopBackOff", False, 180)
        assert pod["restarts"] >= 4
    assert {d["name"]: d["ready"] for d in cluster.snapshot()["deployments"]} == {
        "cart": 2, "checkout": 0, "payments": 3, "search": 2,
    }  # fmt: skip
    assert cluster.snapshot()["error_ratio"] > 0.5
    assert any(e["reason"] == "BackOff" and e["type"] == "Warning" for e in cluster.snapshot()["events"])
    assert len(cluster.snapshot()["events"]) == 20


def test_going_back_to_the_good_image_heals_and_it_can_be_broken_again(cluster: Cluster, clock: Clock) -> None:
    demo_world(cluster)
    cluster.set_image("shop", "checkout", GOOD_IMAGE)
    cluster.tick()
    forward(cluster, clock, 5)
    healed = one(cluster)
    assert (healed["revision"], healed["ready"]) == (15, 3)
    assert [r["revision"] for r in healed["revisions"]] == [12, 14, 15]
    assert cluster.snapshot()["error_ratio"] < 0.02

    break_checkout(cluster)
    cluster.tick()
    forward(cluster, clock, 10)
    assert one(cluster)["revision"] == 16
    assert cluster.snapshot()["error_ratio"] > 0.5


def test_the_error_ratio_remembers_when_it_was_well(cluster: Cluster, clock: Clock) -> None:
    demo_world(cluster)
    now = clock.at
    assert cluster.error_ratio("shop", "checkout", now - 600) < 0.02
    assert cluster.error_ratio("shop", "checkout", now - 170) > 0.5
    assert cluster.error_ratio("shop", "cart", now) < 0.02


def test_a_bad_image_restarts_ever_more_slowly(cluster: Cluster, clock: Clock) -> None:
    cluster.bad_images.add("web:2")
    cluster.create_deployment("shop", "web", "web:2", 1)
    counts = []
    for _ in range(60):
        forward(cluster, clock, 10)
        counts.append(pods_of(cluster, "web")[0]["restarts"])
    assert counts[0] == 1
    assert counts == sorted(counts)
    assert 5 <= counts[-1] <= 8
    (pod,) = cluster.store.all(PODS, "shop")
    state = pod["status"]["containerStatuses"][0]
    assert state["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert "back-off 5m0s" in state["state"]["waiting"]["message"]
    assert state["lastState"]["terminated"]["exitCode"] == 1
    backoff = [e for e in cluster.store.all(EVENTS, "shop") if e["reason"] == "BackOff"]
    assert [e["count"] for e in backoff] == [counts[-1]]


def test_a_rolling_update_never_has_fewer_pods_than_it_may(cluster: Cluster, clock: Clock) -> None:
    cluster.create_deployment("shop", "web", "web:1", 8, age=60)
    cluster.set_image("shop", "web", "web:2")
    fewest, most = 99, 0
    for _ in range(60):
        forward(cluster, clock, 0.1)
        ready = sum(p["ready"] for p in pods_of(cluster, "web"))
        wanted = sum(rs["spec"]["replicas"] for rs in cluster.store.all(REPLICASETS, "shop"))
        fewest, most = min(fewest, ready), max(most, wanted)
    assert one(cluster, "web")["ready"] == 8
    assert fewest >= 6
    assert most <= 10


def test_scaling_in_the_middle_of_a_rollout_shares_the_pods_out(cluster: Cluster, clock: Clock) -> None:
    cluster.create_deployment("shop", "web", "web:1", 10, age=60)
    cluster.set_image("shop", "web", "web-notready:2")
    cluster.tick()
    forward(cluster, clock, 5)
    before = {rs["spec"]["replicas"] for rs in cluster.store.all(REPLICASETS, "shop")}
    changed = clone(cluster.store.need(DEPLOYMENTS, "shop", "web"))
    changed["spec"]["replicas"] = 20
    cluster.store.update(DEPLOYMENTS, changed)
    cluster.tick()
    sizes = [rs["spec"]["replicas"] for rs in cluster.store.all(REPLICASETS, "shop")]
    assert before == {8, 5}
    assert sum(sizes) == 25
    assert min(sizes) > 5


def test_a_pod_with_a_minimum_ready_time_becomes_available_later(cluster: Cluster, clock: Clock) -> None:
    cluster.create_deployment("shop", "web", "web:1", 1)
    changed = clone(cluster.store.need(DEPLOYMENTS, "shop", "web"))
    changed["spec"]["minReadySeconds"] = 30
    cluster.store.update(DEPLOYMENTS, changed)
    forward(cluster, clock, 1)
    status = cluster.store.need(DEPLOYMENTS, "shop", "web")["status"]
    assert (status["readyReplicas"], status.get("availableReplicas", 0)) == (1, 0)
    forward(cluster, clock, 31)
    assert cluster.store.need(DEPLOYMENTS, "shop", "web")["status"]["availableReplicas"] == 1


def test_pods_wait_when_every_node_is_closed(cluster: Cluster, clock: Clock) -> None:
    for node in cluster.store.all(NODES):
        cluster.store.update(NODES, {**clone(node), "spec": {"unschedulable": True}})
    cluster.create_deployment("shop", "web", "web:1", 1)
    forward(cluster, clock, 5)
    (pod,) = pods_of(cluster, "web")
    assert (pod["phase"], pod["ready"]) == ("Pending", False)
    assert "FailedScheduling" in {e["reason"] for e in cluster.snapshot()["events"]}
    for node in cluster.store.all(NODES):
        cluster.store.update(NODES, {**clone(node), "spec": {}})
    cluster.tick()
    forward(cluster, clock, 1)
    assert pods_of(cluster, "web")[0]["ready"]


def test_a_pod_takes_as_long_as_its_annotations_say(cluster: Cluster, clock: Clock) -> None:
    notes = {"rig/ready-delay": "20", "rig/term-delay": "5"}
    cluster.create_deployment("shop", "web", "web:1", 1, template_annotations=notes)
    forward(cluster, clock, 19)
    assert not pods_of(cluster, "web")[0]["ready"]
    forward(cluster, clock, 1)
    (pod,) = pods_of(cluster, "web")
    assert pod["ready"]
    cluster.delete_pod("shop", pod["name"])
    cluster.tick()
    forward(cluster, clock, 4)
    assert pod["name"] in {p["name"] for p in pods_of(cluster, "web")}
    forward(cluster, clock, 1)
    assert pod["name"] not in {p["name"] for p in pods_of(cluster, "web")}
