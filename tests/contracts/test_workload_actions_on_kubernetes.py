"""The other Kubernetes actions, and the ones on StatefulSets and DaemonSets: on the practice cluster and on a real API server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from bot.clients.kit import Kit
from bot.domain.plan import Plan
from bot.errors import BadInput, Drifted, TryLater
from bot.plugins import discover
from tests.contracts.conftest import kit_of
from tests.support.kubernetes_api import Api

ACTIONS = {name: module for name, module in discover("actions").items() if name.startswith("k8s.")}
RESOURCES = {"deployment": "deployments", "statefulset": "statefulsets", "daemonset": "daemonsets"}
KINDS = {"deployment": "Deployment", "statefulset": "StatefulSet", "daemonset": "DaemonSet"}
EVERY_KIND = pytest.mark.parametrize("field", list(RESOURCES))


@pytest.fixture
async def admins_kit(api: Api) -> AsyncIterator[Kit]:
    async for one in kit_of(api, "admin"):
        yield one


class Step:
    """One use of an action, carried out as a run does it."""

    def __init__(self, api: Api, kit: Kit, name: str, **params: Any) -> None:
        self.api = api
        self.action = ACTIONS[name].Plugin(kit)
        self.params = self.action.Params.model_validate(params)

    async def plan(self) -> Plan:
        plan: Plan = self.action.plan(await self.action.look(self.params), self.params)
        return plan

    async def done(self) -> Mapping[str, Any]:
        """Look, plan, do, and look again until it holds; the parameters of the undo."""
        plan = await self.plan()
        assert plan, "there was nothing to do"
        await self.action.do(plan, self.params, "tocsin-run-1-step")

        async def missing() -> str:
            state = await self.action.look(self.params)
            assert not self.action.plan(state, self.params), "what was done does not show"
            return self.action.verify(state, self.params) or ""

        await self.api.eventually(missing, lambda text: text == "")
        undo = self.action.undo(plan, {}, self.params)
        return undo.with_ if undo else {}

    async def holds(self) -> bool:
        """Nothing is planned any more, and verification agrees."""
        state = await self.action.look(self.params)
        return not self.action.plan(state, self.params) and self.action.verify(state, self.params) is None


def path(api: Api, field: str, name: str = "web") -> str:
    return f"/apis/apps/v1/namespaces/{api.namespace}/{RESOURCES[field]}/{name}"


async def made(api: Api, field: str, image: str = "web:1", **spec: Any) -> None:
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": image}, {"name": "proxy", "image": "proxy:1"}]},
    }
    body: dict[str, Any] = {
        "apiVersion": "apps/v1", "kind": KINDS[field], "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec},
    }  # fmt: skip
    if field != "daemonset":
        body["spec"].setdefault("replicas", 2)
    if field == "statefulset":
        body["spec"]["serviceName"] = "web"
    code, said = await api.raw("POST", path(api, field, ""), body)
    assert code == 201, said
    await rolled_out(api, field)


async def now(api: Api, field: str) -> dict[str, Any]:
    _, found = await api.raw("GET", path(api, field))
    assert isinstance(found, dict)
    return found


async def rolled_out(api: Api, field: str) -> dict[str, Any]:
    def settled(found: dict[str, Any]) -> bool:
        status = found.get("status", {})
        if status.get("observedGeneration", 0) < found["metadata"]["generation"]:
            return False
        if field == "daemonset":
            wanted = status["desiredNumberScheduled"]
            return bool(wanted and wanted == status.get("updatedNumberScheduled") == status.get("numberAvailable"))
        counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas")]
        return counts == [found["spec"]["replicas"]] * 3

    return await api.eventually(lambda: now(api, field), settled)


async def image_set(api: Api, field: str, image: str) -> None:
    """As a delivery pipeline does it."""
    body = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}}
    code, said = await api.raw("PATCH", path(api, field), body, content_type="application/strategic-merge-patch+json")
    assert code == 200, said


def images(workload: dict[str, Any]) -> list[str]:
    return [box["image"] for box in workload["spec"]["template"]["spec"]["containers"]]


def marks(workload: dict[str, Any]) -> tuple[int, str]:
    return workload["metadata"]["generation"], workload["metadata"]["resourceVersion"]


async def pods(api: Api) -> dict[str, dict[str, Any]]:
    """Name to pod, of those that are not being stopped."""
    _, found = await api.raw("GET", f"/api/v1/namespaces/{api.namespace}/pods", labelSelector="app=web")
    return {one["metadata"]["name"]: one for one in found["items"] if not one["metadata"].get("deletionTimestamp")}


# ------------------------------------------------------------------------------------------------ StatefulSets and DaemonSets


@EVERY_KIND
async def test_a_restart_replaces_every_pod_and_a_second_run_writes_nothing(
    api: Api, admins_kit: Kit, field: str
) -> None:
    await made(api, field)
    before = {one["metadata"]["uid"] for one in (await pods(api)).values()}
    step = Step(api, admins_kit, "k8s.restart", namespace=api.namespace, **{field: "web"}, why="INC-7")
    assert await step.done() == {}
    first = marks(await rolled_out(api, field))
    assert before.isdisjoint(one["metadata"]["uid"] for one in (await pods(api)).values())
    assert await step.holds()
    assert marks(await now(api, field)) == first


@EVERY_KIND
async def test_a_rollback_and_its_undo_and_second_runs_of_both(api: Api, admins_kit: Kit, field: str) -> None:
    await made(api, field)
    await image_set(api, field, "web:2")
    await rolled_out(api, field)
    step = Step(api, admins_kit, "k8s.rollback", namespace=api.namespace, **{field: "web"})
    assert [str(diff) for diff in (await step.plan()).diffs] == ["revision: 2 -> 1 (image web:2 -> web:1)"]
    undo = await step.done()
    assert undo == {"namespace": api.namespace, field: "web", "to_revision": 2}
    first = await rolled_out(api, field)
    assert images(first) == ["web:1", "proxy:1"]
    assert await step.holds()
    assert await Step(api, admins_kit, "k8s.rollback", **{**undo, "to_revision": 1}).holds()
    assert marks(await now(api, field)) == marks(first)
    back = Step(api, admins_kit, "k8s.rollback", **undo)
    await back.done()
    assert images(await rolled_out(api, field)) == ["web:2", "proxy:1"]
    assert await back.holds()


@pytest.mark.parametrize("field", ["statefulset", "daemonset"])
async def test_the_same_bad_image_that_comes_again_is_rolled_back_again(api: Api, admins_kit: Kit, field: str) -> None:
    await made(api, field)
    await image_set(api, field, "web:2")
    await rolled_out(api, field)
    step = Step(api, admins_kit, "k8s.rollback", namespace=api.namespace, **{field: "web"})
    await step.done()
    await image_set(api, field, "web:2")
    await rolled_out(api, field)
    assert [str(diff) for diff in (await step.plan()).diffs] == ["revision: 4 -> 3 (image web:2 -> web:1)"]


async def test_a_deployment_that_crashes_is_rolled_back_once(api: Api, kit: Kit) -> None:
    await made(api, "deployment")
    await image_set(api, "deployment", "web:crashloop")
    step = Step(api, kit, "k8s.rollback", namespace=api.namespace, deployment="web")

    async def numbers() -> list[int]:
        return [one["number"] for one in (await step.action.look(step.params))["history"]]

    await api.eventually(numbers, lambda seen: seen == [1, 2])
    assert [str(diff) for diff in (await step.plan()).diffs] == ["revision: 2 -> 1 (image web:crashloop -> web:1)"]
    await step.done()
    first = marks(await rolled_out(api, "deployment"))
    assert await step.holds()
    assert marks(await now(api, "deployment")) == first


async def test_a_stateful_set_is_scaled_up_and_back(api: Api, admins_kit: Kit) -> None:
    await made(api, "statefulset")
    step = Step(api, admins_kit, "k8s.scale", namespace=api.namespace, statefulset="web", replicas=4)
    undo = await step.done()
    assert await step.holds()
    assert sorted(await pods(api)) == ["web-0", "web-1", "web-2", "web-3"]
    down = Step(api, admins_kit, "k8s.scale", **undo)
    assert (await down.plan()).leaves == 2
    await down.done()
    assert sorted(await pods(api)) == ["web-0", "web-1"]


async def test_pods_that_a_partition_keeps_are_not_waited_for(api: Api, admins_kit: Kit) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    await made(api, "statefulset", updateStrategy=strategy)
    before = {name: one["metadata"]["uid"] for name, one in (await pods(api)).items()}
    step = Step(api, admins_kit, "k8s.restart", namespace=api.namespace, statefulset="web", why="INC-7")
    await step.done()
    after = {name: one["metadata"]["uid"] for name, one in (await pods(api)).items()}
    assert after["web-0"] == before["web-0"]
    assert after["web-1"] != before["web-1"]


@pytest.mark.parametrize("field", ["statefulset", "daemonset"])
async def test_a_workload_whose_pods_change_by_hand_only_is_not_restarted(
    api: Api, admins_kit: Kit, field: str
) -> None:
    await made(api, field, updateStrategy={"type": "OnDelete"})
    step = Step(api, admins_kit, "k8s.restart", namespace=api.namespace, **{field: "web"}, why="INC-7")
    with pytest.raises(BadInput, match="has the update strategy OnDelete"):
        await step.plan()


@EVERY_KIND
async def test_a_plan_does_not_apply_to_a_workload_that_has_changed(api: Api, admins_kit: Kit, field: str) -> None:
    await made(api, field)
    uses: list[tuple[str, dict[str, Any]]] = [
        ("k8s.restart", {"why": "x"}),
        ("k8s.set_image", {"images": {"web": "web:9"}}),
    ]
    steps = [Step(api, admins_kit, name, namespace=api.namespace, **{field: "web"}, **more) for name, more in uses]
    plans = [await step.plan() for step in steps]
    await image_set(api, field, "web:2")
    after = await rolled_out(api, field)
    for step, plan in zip(steps, plans, strict=True):
        with pytest.raises(Drifted, match=f"{KINDS[field]} {api.namespace}/web has changed since the plan was made"):
            await step.action.do(plan, step.params, "key")
    assert marks(await now(api, field)) == marks(after)


# ------------------------------------------------------------------------------------------------ images, pausing


@EVERY_KIND
async def test_another_image_runs_and_the_one_from_before_again(api: Api, admins_kit: Kit, field: str) -> None:
    await made(api, field)
    wanted = {"web": "web:2", "proxy": "proxy:1"}
    step = Step(api, admins_kit, "k8s.set_image", namespace=api.namespace, **{field: "web"}, images=wanted)
    assert [str(diff) for diff in (await step.plan()).diffs] == ["image of web: web:1 -> web:2"]
    undo = await step.done()
    first = await rolled_out(api, field)
    assert images(first) == ["web:2", "proxy:1"]
    assert await step.holds()
    assert marks(await now(api, field)) == marks(first)
    await Step(api, admins_kit, "k8s.set_image", **undo).done()
    assert images(await rolled_out(api, field)) == ["web:1", "proxy:1"]


async def test_a_paused_deployment_waits_and_rolls_out_when_it_is_resumed(api: Api, kit: Kit) -> None:
    await made(api, "deployment")
    pause = Step(api, kit, "k8s.pause", namespace=api.namespace, deployment="web")
    undo = await pause.done()
    first = marks(await now(api, "deployment"))
    assert await pause.holds()
    assert marks(await now(api, "deployment"))[0] == first[0]
    await image_set(api, "deployment", "web:2")
    resume = Step(api, kit, "k8s.resume", **undo)

    async def waiting() -> list[str]:
        return [str(diff) for diff in (await resume.plan()).diffs]

    await api.eventually(waiting, lambda seen: seen == ["rollouts: wait -> go on (a changed template is rolled out)"])
    assert {one["spec"]["containers"][0]["image"] for one in (await pods(api)).values()} == {"web:1"}
    await resume.done()
    await rolled_out(api, "deployment")
    assert await resume.holds()
    assert {one["spec"]["containers"][0]["image"] for one in (await pods(api)).values()} == {"web:2"}


# ------------------------------------------------------------------------------------------------ pods


async def test_a_pod_is_evicted_once_and_made_anew(api: Api, admins_kit: Kit) -> None:
    await made(api, "deployment")
    first, *_ = await pods(api)
    step = Step(api, admins_kit, "k8s.delete_pod", namespace=api.namespace, pod=first)
    plan = await step.plan()
    assert str(plan.diffs[0]).startswith(f"pod: Running -> evicted (of Deployment {api.namespace}/web, on ")
    assert (plan.leaves, plan.share) == (1, 0.5)
    await step.done()
    await rolled_out(api, "deployment")
    left = {name: one["metadata"]["uid"] for name, one in (await pods(api)).items()}
    assert len(left) == 2
    assert first not in left
    assert await step.holds()
    with pytest.raises(Drifted, match="is gone already"):
        await step.action.do(plan, step.params, "key")
    assert {name: one["metadata"]["uid"] for name, one in (await pods(api)).items()} == left


async def test_the_new_pod_of_a_stateful_set_is_left_alone(api: Api, admins_kit: Kit) -> None:
    await made(api, "statefulset")
    old = (await pods(api))["web-1"]["metadata"]["uid"]
    where = {"namespace": api.namespace, "pod": "web-1"}
    with pytest.raises(BadInput, match="belongs to StatefulSet web, which names its pods itself: give uid"):
        await Step(api, admins_kit, "k8s.delete_pod", **where).plan()
    step = Step(api, admins_kit, "k8s.delete_pod", **where, uid=old)
    plan = await step.plan()
    await step.done()  # which is so as soon as the old one is gone; the new one may still have to be made, and to start

    async def made_anew() -> bool:
        return "web-1" in await pods(api) and await step.holds()

    await api.eventually(made_anew, bool)
    new = (await pods(api))["web-1"]["metadata"]["uid"]
    assert new != old
    with pytest.raises(Drifted, match=f"Pod {api.namespace}/web-1 has changed since the plan was made"):
        await step.action.do(plan, step.params, "key")
    assert (await pods(api))["web-1"]["metadata"]["uid"] == new


async def test_a_disruption_budget_puts_an_eviction_off(api: Api, admins_kit: Kit) -> None:
    await made(api, "deployment")
    version = "v1beta1" if api.real else "v1"
    budget = {
        "apiVersion": f"policy/{version}", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}},
    }  # fmt: skip
    budgets = f"/apis/policy/{version}/namespaces/{api.namespace}/poddisruptionbudgets"
    assert (await api.raw("POST", budgets, budget))[0] == 201
    first, *_ = await pods(api)
    step = Step(api, admins_kit, "k8s.delete_pod", namespace=api.namespace, pod=first)
    plan = await step.plan()

    async def refused() -> str:
        with pytest.raises(TryLater) as later:
            await step.action.do(plan, step.params, "key")
        assert not later.value.uncertain
        return str(later.value)

    words = await api.eventually(refused, lambda text: "needs 2 healthy pods and has 2 currently" in text)
    assert f"a PodDisruptionBudget keeps Pod {api.namespace}/{first} for now: The disruption budget web" in words
    assert (await api.raw("DELETE", f"{budgets}/web"))[0] == 200
    await step.done()


async def test_a_pod_of_nobody_goes_only_when_that_is_wanted(api: Api, admins_kit: Kit) -> None:
    body = {"metadata": {"name": "alone"}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    where = f"/api/v1/namespaces/{api.namespace}/pods"
    assert (await api.raw("POST", where, body))[0] == 201

    async def phase() -> str:
        return str((await api.raw("GET", f"{where}/alone"))[1]["status"]["phase"])

    await api.eventually(phase, lambda seen: seen == "Running")
    with pytest.raises(BadInput, match="has no owner"):
        await Step(api, admins_kit, "k8s.delete_pod", namespace=api.namespace, pod="alone").plan()
    step = Step(api, admins_kit, "k8s.delete_pod", namespace=api.namespace, pod="alone", orphans=True)
    assert "it will not be made anew" in (await step.plan()).diffs[0].note
    await step.done()
    assert (await api.raw("GET", f"{where}/alone"))[0] == 404


# ------------------------------------------------------------------------------------------------ nodes


async def test_a_node_is_closed_and_opened_and_second_runs_write_nothing(api: Api, admins_kit: Kit) -> None:
    _, nodes = await api.raw("GET", "/api/v1/nodes")
    name = nodes["items"][0]["metadata"]["name"]

    async def closed() -> bool:
        return bool((await api.raw("GET", f"/api/v1/nodes/{name}"))[1]["spec"].get("unschedulable"))

    step = Step(api, admins_kit, "k8s.cordon", node=name)
    plan = await step.plan()
    assert [str(diff) for diff in plan.diffs] == ["node: takes new pods -> takes none (those that run there stay)"]
    assert plan.share == 1 / len(nodes["items"])
    undo = await step.done()
    assert await closed()
    assert await step.holds()
    with pytest.raises(Drifted, match=f"Node {name} has changed since the plan was made"):
        await step.action.do(plan, step.params, "key")
    await made(api, "deployment")
    assert name not in {one["spec"]["nodeName"] for one in (await pods(api)).values()}
    back = Step(api, admins_kit, "k8s.uncordon", **undo)
    opening = await back.plan()
    await back.done()
    assert not await closed()
    assert await back.holds()
    with pytest.raises(Drifted):
        await back.action.do(opening, back.params, "key")


# ------------------------------------------------------------------------------------------------ rights


async def test_what_the_bot_may_not_do_names_the_missing_rule(api: Api, kit: Kit, admins_kit: Kit) -> None:
    await made(api, "deployment")
    first, *_ = await pods(api)
    _, nodes = await api.raw("GET", "/api/v1/nodes")
    node = nodes["items"][0]["metadata"]["name"]
    evict = {"namespace": api.namespace, "pod": first}
    plan = await Step(api, admins_kit, "k8s.delete_pod", **evict).plan()
    step = Step(api, kit, "k8s.delete_pod", **evict)
    with pytest.raises(BadInput) as refused:
        await step.action.do(plan, step.params, "key")
    assert (
        f"the bot may not create pods/eviction in namespace {api.namespace}: add to the rules of its Role: "
        '- {apiGroups: [""], resources: [pods/eviction], verbs: [create]}'
    ) in str(refused.value)
    plan = await Step(api, admins_kit, "k8s.cordon", node=node).plan()
    step = Step(api, kit, "k8s.cordon", node=node)
    with pytest.raises(BadInput) as refused:
        await step.action.do(plan, step.params, "key")
    assert (
        'the bot may not patch nodes: add to the rules of its ClusterRole: - {apiGroups: [""], resources: [nodes], verbs: [patch]}'
    ) in str(refused.value)
    with pytest.raises(BadInput, match=r"may not get nodes: .*resources: \[nodes\], verbs: \[get\]"):
        await step.action.look(step.params)
    for field, more in (("statefulset", {}), ("daemonset", {})):
        looked = Step(api, kit, "k8s.restart", namespace=api.namespace, **{field: "web"}, why="x", **more)
        with pytest.raises(
            BadInput,
            match=rf"may not get {RESOURCES[field]}\.apps in namespace .*\[{RESOURCES[field]}\], verbs: \[get\]",
        ):
            await looked.action.look(looked.params)
    assert set(await pods(api)) >= {first}


async def test_a_reader_is_told_which_history_it_may_not_read(api: Api, readers_kit: Kit) -> None:
    await made(api, "statefulset")
    step = Step(api, readers_kit, "k8s.rollback", namespace=api.namespace, statefulset="web")
    if api.real:  # the ClusterRole `view` may read ControllerRevisions
        assert (await step.action.look(step.params))["history"]
        return
    with pytest.raises(BadInput, match=r"resources: \[controllerrevisions\], verbs: \[list\]"):
        await step.action.look(step.params)
