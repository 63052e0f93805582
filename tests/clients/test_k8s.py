"""The Kubernetes client against the practice cluster: what each failure becomes, bounds, and how it connects."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bot.clients.k8s import Kubernetes, label_selector
from bot.clients.k8s_errors import Ask, NotThere, refusal
from bot.errors import BadInput, Drifted, TryLater
from bot.practice.cluster import Cluster, Rule, User, bot
from tests.clients.served import answering, hanging_up
from tests.support.kubernetes_api import Clock, served

PATCH = [
    {"op": "test", "path": "/metadata/generation", "value": 1},
    {"op": "replace", "path": "/spec/replicas", "value": 5},
]
NOBODY = User("nobody", (Rule(("get",), ("deployments",), ("apps",), ("shop",)),))


@pytest.fixture
def cluster() -> Cluster:
    clock = Clock()
    one = Cluster(clock, {"bot": bot(), "nobody": NOBODY})
    one.create_deployment("shop", "checkout", "checkout:1.4.1", 2)
    clock.forward(10)
    one.tick()
    return one


@pytest.fixture
async def url(cluster: Cluster) -> AsyncIterator[str]:
    async with served(cluster.app()) as address:
        yield address


@pytest.fixture
async def k8s(url: str) -> AsyncIterator[Kubernetes]:
    one = await Kubernetes.connect(url=url, token="bot", answer_within=2)
    yield one
    await one.close()


async def test_objects_come_as_they_are(k8s: Kubernetes) -> None:
    deployment = await k8s.deployment("shop", "checkout")
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "checkout:1.4.1"
    assert [one["metadata"]["labels"]["app"] for one in await k8s.replica_sets("shop", deployment)] == ["checkout"]
    assert len(await k8s.pods("shop", label_selector(deployment["spec"]["selector"]))) == 2
    assert await k8s.pods("shop", "app=other") == []
    assert {event["type"] for event in await k8s.events("shop", "type=Normal")} == {"Normal"}


async def test_a_replica_set_of_another_owner_is_not_the_deployments(k8s: Kubernetes, cluster: Cluster) -> None:
    deployment = await k8s.deployment("shop", "checkout")
    impostor = {**deployment, "metadata": {**deployment["metadata"], "uid": "another"}}
    assert await k8s.replica_sets("shop", impostor) == []


async def test_the_end_of_a_log_is_bounded_in_lines_and_bytes(k8s: Kubernetes) -> None:
    (pod, _) = await k8s.pods("shop")
    name = pod["metadata"]["name"]
    everything = await k8s.log_tail("shop", name, lines=100)
    assert await k8s.log_tail("shop", name, lines=3) == everything[-3:]
    few = await k8s.log_tail("shop", name, lines=100, most_bytes=sum(len(line) + 1 for line in everything[-2:]) + 5)
    assert few == everything[-2:]


FAULTS: dict[str, tuple[dict[str, Any], type[Exception], bool, str]] = {
    "429": ({"kind": "status", "status": 429, "retry_after": 3}, TryLater, False, "too many requests"),
    "503": ({"kind": "status", "status": 503, "retry_after": 3}, TryLater, True, "503"),
    "500": ({"kind": "status", "status": 500}, TryLater, True, "500"),
    "conflict": ({"kind": "conflict"}, Drifted, False, "has changed since the plan was made"),
    "lost": ({"kind": "lost"}, TryLater, True, "the connection broke"),
}


@pytest.mark.parametrize(("fault", "error", "uncertain", "words"), FAULTS.values(), ids=FAULTS)
async def test_a_write_that_fails_says_whether_it_may_have_happened(
    k8s: Kubernetes, cluster: Cluster, fault: dict[str, Any], error: type[Exception], uncertain: bool, words: str
) -> None:
    cluster.fail(verb="patch", resource="deployments", **fault)
    generation = (await k8s.deployment("shop", "checkout"))["metadata"]["generation"]
    with pytest.raises(error, match=words) as raised:
        await k8s.patch_workload("deployments", "shop", "checkout", [{**PATCH[0], "value": generation}, PATCH[1]])
    if isinstance(raised.value, TryLater):
        assert raised.value.uncertain is uncertain
        assert raised.value.delay == fault.get("retry_after")


async def test_a_write_without_an_answer_in_time_is_uncertain_and_a_read_is_not(url: str, cluster: Cluster) -> None:
    k8s = await Kubernetes.connect(url=url, token="bot", answer_within=0.1)
    cluster.fail("timeout", seconds=1, count=2)
    with pytest.raises(TryLater, match=r"no answer to patch deployments\.apps shop/checkout in 0\.1 s") as raised:
        await k8s.patch_workload("deployments", "shop", "checkout", PATCH)
    assert raised.value.uncertain
    with pytest.raises(TryLater) as raised:
        await k8s.deployment("shop", "checkout")
    assert not raised.value.uncertain
    await k8s.close()


async def test_a_test_that_does_not_hold_is_drift_and_a_bad_value_is_not(k8s: Kubernetes) -> None:
    with pytest.raises(Drifted):
        await k8s.patch_workload("deployments", "shop", "checkout", [{**PATCH[0], "value": 99}, PATCH[1]])
    generation = (await k8s.deployment("shop", "checkout"))["metadata"]["generation"]
    bad = [{**PATCH[0], "value": generation}, {**PATCH[1], "value": -1}]
    with pytest.raises(BadInput, match=r"refused \(422\): .*must be greater than or equal to 0") as refused:
        await k8s.patch_workload("deployments", "shop", "checkout", bad)
    assert not isinstance(refused.value, Drifted)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            "pods",
            'may not list pods in namespace shop: add to the rules of its Role: - {apiGroups: [""], resources: [pods], verbs: [list]}',
        ),
        (
            "log_tail",
            'may not get pods/log in namespace shop: add to the rules of its Role: - {apiGroups: [""], resources: [pods/log], verbs: [get]}',
        ),
        (
            "replica_set",
            "may not get replicasets.apps in namespace shop: "
            "add to the rules of its Role: - {apiGroups: [apps], resources: [replicasets], verbs: [get]}",
        ),
    ],
)
async def test_a_missing_right_is_named_as_a_role_wants_it(url: str, call: str, words: str) -> None:
    k8s = await Kubernetes.connect(url=url, token="nobody")
    with pytest.raises(BadInput) as refused:
        await getattr(k8s, call)("shop", *([] if call == "pods" else ["checkout-1"]))
    assert words in str(refused.value)
    await k8s.close()


async def test_an_eviction_falls_back_to_the_older_version_of_the_api() -> None:
    versions: list[str] = []

    async def older(request: web.Request) -> web.Response:
        body = await request.json()
        versions.append(body["apiVersion"])
        assert body["deleteOptions"] == {"preconditions": {"uid": "u-1"}}
        if body["apiVersion"] == "policy/v1":
            said = 'Eviction in version "v1" cannot be handled as a Eviction: no kind "Eviction" is registered for version "policy/v1"'
            return web.json_response({"kind": "Status", "message": said, "code": 400}, status=400)
        return web.json_response({"kind": "Status", "status": "Success"}, status=201)

    async with answering(older) as url:
        k8s = await Kubernetes.connect(url=url, token="x")
        await k8s.evict("shop", "checkout-1", "u-1")
        await k8s.close()
    assert versions == ["policy/v1", "policy/v1beta1"]


EVICT = Ask("create", "pods", "shop", "checkout-1", subresource="eviction")


def status(message: str, **details: Any) -> bytes:
    return json.dumps({"kind": "Status", "message": message, "details": details}).encode()


def test_a_budget_that_forbids_an_eviction_is_for_later_and_several_are_for_people() -> None:
    budget = {
        "reason": "DisruptionBudget",
        "message": "The disruption budget web needs 2 healthy pods and has 2 currently",
    }
    later = refusal(EVICT, 429, status("Cannot evict pod", causes=[budget], retryAfterSeconds=10)).error
    assert isinstance(later, TryLater)
    assert (later.delay, later.uncertain) == (10, False)
    assert str(later).endswith(
        "keeps Pod shop/checkout-1 for now: The disruption budget web needs 2 healthy pods and has 2 currently"
    )
    busy = refusal(EVICT, 429, status("too many")).error
    assert "too many requests" in str(busy)
    several = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    assert isinstance(refusal(EVICT, 500, status(several)).error, BadInput)
    broken = refusal(EVICT, 500, status("etcd is away")).error
    assert isinstance(broken, TryLater)
    assert broken.uncertain


RULES: dict[str, tuple[Ask, str]] = {
    "an eviction": (EVICT, '- {apiGroups: [""], resources: [pods/eviction], verbs: [create]}'),
    "a history": (
        Ask("list", "controllerrevisions", "shop", group="apps"),
        "- {apiGroups: [apps], resources: [controllerrevisions], verbs: [list]}",
    ),
    "a StatefulSet": (
        Ask("patch", "statefulsets", "shop", "orders", group="apps"),
        "- {apiGroups: [apps], resources: [statefulsets], verbs: [patch]}",
    ),
    "a Node": (Ask("patch", "nodes", name="n-1"), '- {apiGroups: [""], resources: [nodes], verbs: [patch]}'),
}


@pytest.mark.parametrize(("ask", "words"), RULES.values(), ids=RULES)
def test_the_missing_rule_can_be_pasted_into_a_role(ask: Ask, words: str) -> None:
    said = str(refusal(ask, 403, status("forbidden")).error)
    assert (
        f"add to the rules of its {'ClusterRole' if ask.resource == 'nodes' else 'Role'}: {words}. The cluster says: forbidden"
        in said
    )
    assert ("in namespace shop" in said) is bool(ask.namespace)


async def test_credentials_that_are_unknown_are_said_to_be(url: str) -> None:
    k8s = await Kubernetes.connect(url=url, token="wrong")
    with pytest.raises(BadInput, match="does not know the bot's credentials"):
        await k8s.deployment("shop", "checkout")
    await k8s.close()


async def test_what_is_not_there_is_named(k8s: Kubernetes) -> None:
    with pytest.raises(NotThere, match="there is no Deployment nope in namespace shop"):
        await k8s.deployment("shop", "nope")
    with pytest.raises(NotThere, match="there is no Pod nope in namespace elsewhere"):
        await k8s.pod("elsewhere", "nope")


@pytest.mark.parametrize(
    "name", ["../../../api/v1/secrets", "a/b", "A", "a b", "-a", "a?x=1", "x" * 300, "a\n", "%2e%2e", ".."]
)
async def test_what_cannot_be_a_name_never_becomes_part_of_an_address(
    k8s: Kubernetes, cluster: Cluster, name: str
) -> None:
    asked = len(cluster.audit)
    with pytest.raises(BadInput, match="cannot be a name"):
        await k8s.deployment("shop", name)
    with pytest.raises(BadInput, match="cannot be a namespace"):
        await k8s.pods(name)
    assert len(cluster.audit) == asked


async def test_a_server_that_is_not_there_is_for_later() -> None:
    k8s = await Kubernetes.connect(url="http://127.0.0.1:1", token="x")
    with pytest.raises(TryLater, match="cannot connect") as raised:
        await k8s.patch_workload("deployments", "shop", "checkout", PATCH)
    assert not raised.value.uncertain
    await k8s.close()


async def test_answers_that_are_none_are_for_later() -> None:
    async def nonsense(_request: Any) -> Any:
        return web.Response(text="<html>")

    async with answering(nonsense) as url:
        k8s = await Kubernetes.connect(url=url, token="x")
        with pytest.raises(TryLater, match="is not JSON"):
            await k8s.version()
        await k8s.close()
    async with hanging_up() as url:
        k8s = await Kubernetes.connect(url=url, token="x")
        with pytest.raises(TryLater, match="the connection broke"):
            await k8s.version()
        await k8s.close()


async def test_a_kubeconfig_is_read_and_a_bad_one_refused(tmp_path: Path, url: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(
        f"""
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "{url}"}}}}]
users: [{{name: u, user: {{token: bot}}}}]
contexts: [{{name: x, context: {{cluster: c, user: u}}}}]
current-context: x
"""
    )
    k8s = await Kubernetes.connect(kubeconfig=str(file))
    assert await k8s.can("patch", "deployments", "shop", group="apps")
    await k8s.close()
    with pytest.raises(BadInput, match="nothing"):
        await Kubernetes.connect(kubeconfig=str(file), context="nothing")
    with pytest.raises(BadInput, match="there is no kubeconfig /nowhere"):
        await Kubernetes.connect(kubeconfig="/nowhere")
    with pytest.raises(BadInput, match="not a pod of a cluster"):
        await Kubernetes.connect()


def test_the_object_in_a_refusal_is_not_repeated() -> None:
    said = 'is invalid: patch: Invalid value: "{\\"env\\":\\"hunter2\\"}"'
    body = json.dumps({"kind": "Status", "message": said, "details": {"causes": [{}]}}).encode()
    refused = refusal(Ask("patch", "deployments", "shop", "checkout", group="apps"), 422, body)
    assert "hunter2" not in str(refused.error)
    assert refused.causes


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        (
            {
                "matchExpressions": [
                    {"key": "a", "operator": "In", "values": ["x", "y"]},
                    {"key": "b", "operator": "DoesNotExist"},
                ]
            },
            "a in (x,y),!b",
        ),
        (
            {
                "matchExpressions": [
                    {"key": "a", "operator": "NotIn", "values": ["x"]},
                    {"key": "b", "operator": "Exists"},
                ]
            },
            "a notin (x),b",
        ),
        ({}, ""),
    ],
)
def test_a_selector_is_written_as_the_api_wants_it(selector: dict[str, Any], text: str) -> None:
    assert label_selector(selector) == text
