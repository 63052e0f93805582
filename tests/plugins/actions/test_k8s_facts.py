"""The Kubernetes actions without a cluster: what a test of a runbook gives, what is planned upon it, how it ends, and how it is taken back."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bot.domain.plan import Plan, Undo
from bot.errors import BadInput
from tests.plugins.actions.kubernetes_uses import ACTIONS, NODE, POD, WORKLOADS, action, uses

DEPLOYMENT, STATEFUL_SET, DAEMON_SET = WORKLOADS.values()
USES = uses()


def planned(name: str, given: dict[str, Any], **params: Any) -> Plan:
    one = action(name)
    wanted = one.Params.model_validate(params)
    return one.plan(one.facts(given, wanted), wanted)


def test_every_kubernetes_action_is_among_the_uses() -> None:
    assert {name for name, _ in USES.values()} == set(ACTIONS)


EXAMPLES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    **{f"{title}, as it comes": (name, params, {}) for title, (name, params) in USES.items()},
    "k8s.scale down": ("k8s.scale", {**DEPLOYMENT, "replicas": 1}, {"replicas": 3, "available": 2}),
    "k8s.scale to nothing": ("k8s.scale", {**DEPLOYMENT, "replicas": 0}, {}),
    "k8s.rollback that is given a history": (
        "k8s.rollback",
        DEPLOYMENT,
        {
            "revisions": [
                {"number": 13, "image": "checkout:1.4.1", "age": "3d"},
                {"number": 14, "image": "checkout:1.4.2", "age": 300},
            ],
            "ready": False,
        },
    ),
    "k8s.rollback to a revision": ("k8s.rollback", {**STATEFUL_SET, "to_revision": 12}, {}),
    "k8s.rollback before a time": ("k8s.rollback", {**DAEMON_SET, "before": "2026-11-21T12:00:00Z"}, {}),
    "k8s.restart for another reason": ("k8s.restart", {**DEPLOYMENT, "why": "INC-8"}, {"restarted_for": "INC-7"}),
    "k8s.set_image of one of two": (
        "k8s.set_image",
        {**DEPLOYMENT, "images": {"proxy": "proxy:2"}},
        {"images": {"checkout": "checkout:1", "proxy": "proxy:1"}},
    ),
    "k8s.resume of what is not ready": ("k8s.resume", DEPLOYMENT, {"paused": True, "ready": False}),
    "k8s.delete_pod of a StatefulSet by its time": (
        "k8s.delete_pod",
        {**POD, "before": "2026-11-21T12:00:00Z"},
        {"owner": "StatefulSet", "ready": False},
    ),
    "k8s.delete_pod of a StatefulSet by its uid": ("k8s.delete_pod", {**POD, "uid": "u-1"}, {"owner": "StatefulSet"}),
    "k8s.delete_pod of nobody": ("k8s.delete_pod", {**POD, "orphans": True}, {"owner": ""}),
    "k8s.cordon of the last one": ("k8s.cordon", NODE, {"schedulable": 1}),
}


@pytest.mark.parametrize(("name", "params", "given"), EXAMPLES.values(), ids=EXAMPLES)
def test_something_is_planned_and_afterwards_nothing_more(
    name: str, params: dict[str, Any], given: dict[str, Any]
) -> None:
    one = action(name)
    wanted = one.Params.model_validate(params)
    before = one.facts(given, wanted)
    plan = one.plan(before, wanted)
    assert plan.diffs
    after = one.after(before, plan, wanted)
    assert one.plan(after, wanted).diffs == ()
    assert one.verify(after, wanted) is None
    assert one.after(after, one.plan(after, wanted), wanted) == after


@pytest.mark.parametrize(("name", "params"), USES.values(), ids=USES)
def test_what_can_be_undone_is_an_action_with_parameters_that_it_accepts(name: str, params: dict[str, Any]) -> None:
    one = action(name)
    wanted = one.Params.model_validate(params)
    undo = one.undo(one.plan(one.facts({}, wanted), wanted), {}, wanted)
    if undo is None:
        assert name in ("k8s.restart", "k8s.delete_pod")
        return
    back = action(undo.action)
    same = back.Params.model_validate(undo.with_)
    assert back.target(same).locked == one.target(wanted).locked


UNDONE: dict[str, tuple[str, dict[str, Any], dict[str, Any], Undo | None]] = {
    "a scale by the number from before": (
        "k8s.scale",
        {**STATEFUL_SET, "replicas": 6},
        {"replicas": 2},
        Undo(action="k8s.scale", with_={**STATEFUL_SET, "replicas": 2}),
    ),
    "a rollback by what ran": (
        "k8s.rollback",
        DEPLOYMENT,
        {"revisions": [{"number": 3, "image": "a:1", "age": "3d"}, {"number": 7, "image": "a:2", "age": "1m"}]},
        Undo(action="k8s.rollback", with_={**DEPLOYMENT, "to_revision": 7}),
    ),
    "another image by the one from before, and only that": (
        "k8s.set_image",
        {**DEPLOYMENT, "images": {"checkout": "checkout:2", "proxy": "proxy:1"}},
        {"images": {"checkout": "checkout:1", "proxy": "proxy:1"}},
        Undo(action="k8s.set_image", with_={**DEPLOYMENT, "images": {"checkout": "checkout:1"}}),
    ),
    "a pause by going on": ("k8s.pause", DEPLOYMENT, {}, Undo(action="k8s.resume", with_=DEPLOYMENT)),
    "going on by a pause": ("k8s.resume", DEPLOYMENT, {}, Undo(action="k8s.pause", with_=DEPLOYMENT)),
    "closing a node by opening it": ("k8s.cordon", NODE, {}, Undo(action="k8s.uncordon", with_=NODE)),
    "opening a node by closing it": ("k8s.uncordon", NODE, {}, Undo(action="k8s.cordon", with_=NODE)),
    "a restart by nothing": ("k8s.restart", {**DEPLOYMENT, "why": "INC-7"}, {}, None),
    "an eviction by nothing": ("k8s.delete_pod", POD, {}, None),
}


@pytest.mark.parametrize(("name", "params", "given", "undo"), UNDONE.values(), ids=UNDONE)
def test_an_action_is_taken_back(name: str, params: dict[str, Any], given: dict[str, Any], undo: Undo | None) -> None:
    one = action(name)
    wanted = one.Params.model_validate(params)
    assert one.undo(one.plan(one.facts(given, wanted), wanted), {}, wanted) == undo


WRONG_FACTS: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "a key that is nearly right": (
        "k8s.scale",
        {**DEPLOYMENT, "replicas": 6},
        {"replica": 3},
        'did you mean "replicas"',
    ),
    "a key of another action": ("k8s.pause", DEPLOYMENT, {"restarted_for": "x"}, "there is no 'restarted_for'"),
    "a value of another type": ("k8s.scale", {**DEPLOYMENT, "replicas": 6}, {"replicas": "many"}, "facts: replicas: "),
    "a revision with a wrong key": (
        "k8s.rollback",
        DEPLOYMENT,
        {"revisions": [{"number": 1, "imge": "a:1", "age": "1d"}]},
        'did you mean "image"',
    ),
    "an age that is none": (
        "k8s.rollback",
        DEPLOYMENT,
        {"revisions": [{"number": 1, "image": "a:1", "age": "old"}]},
        "is not a duration",
    ),
    "of a node": ("k8s.cordon", NODE, {"unschedulabel": True}, 'did you mean "unschedulable"'),
    "of a pod": ("k8s.delete_pod", POD, {"phse": "Running"}, 'did you mean "phase"'),
}


@pytest.mark.parametrize(("name", "params", "given", "words"), WRONG_FACTS.values(), ids=WRONG_FACTS)
def test_wrong_facts_are_named(name: str, params: dict[str, Any], given: dict[str, Any], words: str) -> None:
    one = action(name)
    with pytest.raises(BadInput) as refused:
        one.facts(given, one.Params.model_validate(params))
    assert words in str(refused.value)


REFUSED: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "a restart of what is paused": (
        "k8s.restart",
        {**DEPLOYMENT, "why": "x"},
        {"paused": True},
        "is paused: resume it first",
    ),
    "a rollback of what is paused": ("k8s.rollback", DEPLOYMENT, {"paused": True}, "is paused: resume it first"),
    "another image for what is paused": (
        "k8s.set_image",
        {**DEPLOYMENT, "images": {"checkout": "c:1"}},
        {"paused": True},
        "is paused: resume it first",
    ),
    "an image for a container that is not there": (
        "k8s.set_image",
        {**DEPLOYMENT, "images": {"chekout": "c:1"}},
        {"images": {"checkout": "c:0"}},
        'has no container chekout; did you mean "checkout"? It has: checkout',
    ),
    "a pod of nobody": ("k8s.delete_pod", POD, {"owner": ""}, "give orphans: true"),
    "a pod of a StatefulSet without saying which": (
        "k8s.delete_pod",
        POD,
        {"owner": "StatefulSet"},
        "give uid, or before",
    ),
    "a pod of an operator without saying which": (
        "k8s.delete_pod",
        POD,
        {"owner": "KafkaCluster"},
        "give uid, or before",
    ),
    "a static pod": ("k8s.delete_pod", {**POD, "uid": "u"}, {"owner": "Node"}, "is a static pod"),
}


@pytest.mark.parametrize(("name", "params", "given", "words"), REFUSED.values(), ids=REFUSED)
def test_what_makes_no_sense_is_refused_in_words(
    name: str, params: dict[str, Any], given: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadInput) as refused:
        planned(name, given, **params)
    assert words in str(refused.value)


NOTHING_TO_DO: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "as many replicas already": ("k8s.scale", {**DEPLOYMENT, "replicas": 6}, {"replicas": 6}),
    "restarted for that already": (
        "k8s.restart",
        {**DEPLOYMENT, "why": "INC-7"},
        {"restarted_for": "INC-7", "paused": True},
    ),
    "paused already": ("k8s.pause", DEPLOYMENT, {"paused": True}),
    "going on already": ("k8s.resume", DEPLOYMENT, {"paused": False}),
    "closed already": ("k8s.cordon", NODE, {"unschedulable": True}),
    "open already": ("k8s.uncordon", NODE, {"unschedulable": False}),
    "the image already": (
        "k8s.set_image",
        {**DEPLOYMENT, "images": {"checkout": "checkout:1"}},
        {"images": {"checkout": "checkout:1"}, "paused": True},
    ),
    "gone already": ("k8s.delete_pod", POD, {"gone": True}),
    "being stopped already": ("k8s.delete_pod", POD, {"leaving": True}),
}


@pytest.mark.parametrize(("name", "params", "given"), NOTHING_TO_DO.values(), ids=NOTHING_TO_DO)
def test_what_is_so_already_plans_nothing(name: str, params: dict[str, Any], given: dict[str, Any]) -> None:
    assert planned(name, given, **params).diffs == ()


def test_a_pod_that_was_replaced_is_left_alone() -> None:
    one = action("k8s.delete_pod")
    wanted = one.Params.model_validate({**POD, "uid": "u-1"})
    state = one.facts({"owner": "StatefulSet"}, wanted)
    new = {**state, "pod": {**state["pod"], "uid": "u-2", "ready": False}}
    assert one.plan(new, wanted).diffs == ()
    assert one.verify(new, wanted) == "the new pod is not ready yet"


LEFT: dict[str, tuple[str, dict[str, Any], dict[str, Any], int | None, float | None]] = {
    "scaling down leaves as many": ("k8s.scale", {**DEPLOYMENT, "replicas": 2}, {"replicas": 5}, 2, None),
    "scaling down leaves no more than there are": (
        "k8s.scale",
        {**DEPLOYMENT, "replicas": 4},
        {"replicas": 5, "available": 1},
        1,
        None,
    ),
    "scaling up takes nothing": ("k8s.scale", {**DEPLOYMENT, "replicas": 9}, {"replicas": 5}, None, None),
    "a small Deployment restarts without a gap": (
        "k8s.restart",
        {**DEPLOYMENT, "why": "x"},
        {"replicas": 3},
        None,
        None,
    ),
    "a large Deployment misses a quarter": ("k8s.restart", {**DEPLOYMENT, "why": "x"}, {"replicas": 8}, 6, None),
    "a StatefulSet misses one": ("k8s.restart", {**STATEFUL_SET, "why": "x"}, {"replicas": 3}, 2, None),
    "a rollback of what is down takes nothing": ("k8s.rollback", STATEFUL_SET, {"ready": False}, None, None),
    "another image, two at a time": (
        "k8s.set_image",
        {**DAEMON_SET, "images": {"agent": "agent:2"}},
        {"replicas": 5, "max_unavailable": 2},
        3,
        None,
    ),
    "one pod of four": ("k8s.delete_pod", POD, {"replicas": 4, "available": 3}, 2, 0.25),
    "a pod that is not ready": ("k8s.delete_pod", POD, {"replicas": 4, "available": 3, "ready": False}, None, 0.25),
    "one node of five": ("k8s.cordon", NODE, {"schedulable": 5}, None, 0.2),
    "opening a node": ("k8s.uncordon", NODE, {}, None, None),
}


@pytest.mark.parametrize(("name", "params", "given", "leaves", "share"), LEFT.values(), ids=LEFT)
def test_a_plan_says_what_it_leaves_and_which_part_it_touches(
    name: str, params: dict[str, Any], given: dict[str, Any], leaves: int | None, share: float | None
) -> None:
    plan = planned(name, given, **params)
    assert (plan.leaves, plan.share) == (leaves, share)


BAD_PARAMS: dict[str, tuple[str, dict[str, Any], str]] = {
    "no workload": (
        "k8s.restart",
        {"namespace": "shop", "why": "x"},
        "exactly one of deployment, statefulset, daemonset",
    ),
    "two workloads": ("k8s.restart", {**DEPLOYMENT, **STATEFUL_SET, "why": "x"}, "given: deployment, statefulset"),
    "a DaemonSet cannot be scaled": ("k8s.scale", {**DAEMON_SET, "replicas": 3}, "Extra inputs are not permitted"),
    "a StatefulSet cannot be paused": ("k8s.pause", STATEFUL_SET, "Extra inputs are not permitted"),
    "replicas below nothing": ("k8s.scale", {**DEPLOYMENT, "replicas": -1}, "greater than or equal to 0"),
    "a name that is a path": (
        "k8s.restart",
        {"namespace": "shop", "deployment": "../x", "why": "x"},
        "should match pattern",
    ),
    "a node that is a path": ("k8s.cordon", {"node": "a/b"}, "should match pattern"),
    "no images": ("k8s.set_image", {**DEPLOYMENT, "images": {}}, "at least 1 item"),
    "a template that was left in an image": (
        "k8s.set_image",
        {**DEPLOYMENT, "images": {"checkout": "checkout:{{ params.tag }}"}},
        "should match pattern",
    ),
    "an image with a space": (
        "k8s.set_image",
        {**DEPLOYMENT, "images": {"checkout": "checkout:1 2"}},
        "should match pattern",
    ),
    "an image without a name": (
        "k8s.set_image",
        {**DEPLOYMENT, "images": {"checkout": ":1.4"}},
        "should match pattern",
    ),
    "an image in capitals": (
        "k8s.set_image",
        {**DEPLOYMENT, "images": {"checkout": "Check/Out:1"}},
        "should match pattern",
    ),
    "an image with half a digest": (
        "k8s.set_image",
        {**DEPLOYMENT, "images": {"checkout": "checkout@sha256:abc"}},
        "should match pattern",
    ),
}


@pytest.mark.parametrize(("name", "params", "words"), BAD_PARAMS.values(), ids=BAD_PARAMS)
def test_bad_parameters_are_refused(name: str, params: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        action(name).Params.model_validate(params)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "image",
    [
        "checkout",
        "checkout:1.4.1",
        "shop/checkout:latest",
        "registry.example:5000/shop/checkout:1.4.1-rc.1_x",
        "Registry.Example/shop/check--out__x.y:V1",
        f"registry.example/shop/checkout:1@sha256:{'0a' * 32}",
        f"checkout@sha256:{'0a' * 32}",
    ],
)
def test_images_of_every_form_are_accepted(image: str) -> None:
    wanted = action("k8s.set_image").Params.model_validate({**DEPLOYMENT, "images": {"checkout": image}})
    assert wanted.model_dump()["images"] == {"checkout": image}


def test_a_workload_that_a_template_leaves_out_is_left_out() -> None:
    wanted = action("k8s.restart").Params.model_validate({**DEPLOYMENT, "statefulset": "", "daemonset": "", "why": "x"})
    assert action("k8s.restart").target(wanted).locked == "shop/Deployment/checkout"


def test_every_action_on_one_object_takes_the_same_lock() -> None:
    locks = {
        title: action(name).target(action(name).Params.model_validate(params)).locked
        for title, (name, params) in USES.items()
    }
    assert {
        lock for title, lock in locks.items() if "of a" not in title and "pod" not in title and "cordon" not in title
    } == {"shop/Deployment/checkout"}
    assert {lock for title, lock in locks.items() if "Deployment" in title} == {"shop/Deployment/checkout"}
    assert {lock for title, lock in locks.items() if "StatefulSet" in title} == {"shop/StatefulSet/orders"}
    assert {lock for title, lock in locks.items() if "cordon" in title} == {"node/practice-1"}
    assert locks["k8s.delete_pod"] == "shop/Pod/checkout-5d8f-x2x4z"
