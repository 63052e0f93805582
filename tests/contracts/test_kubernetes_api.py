"""The Kubernetes contract: what Tocsin relies on, on the practice cluster and on a real API server."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from typing import Any

import pytest
from kubernetes.aio import client, watch

from tests.support.kubernetes_api import Api, settled

MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
REVISION = "deployment.kubernetes.io/revision"
RESTARTED = "kubectl.kubernetes.io/restartedAt"


def web_deployment(image: str = "web:1.0", replicas: int = 2, **spec: Any) -> dict[str, Any]:
    box = {"name": "web", "image": image, "env": [{"name": "A", "value": "1"}], "ports": [{"containerPort": 8080}]}
    return {
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [box]}}, **spec,
        },
    }  # fmt: skip


async def deploy(api: Api, body: dict[str, Any] | None = None, *, wait: bool = True) -> Any:
    await api.apps().create_namespaced_deployment(api.namespace, body or web_deployment())
    return await rolled_out(api) if wait else await current(api)


async def current(api: Api) -> Any:
    return await api.apps().read_namespaced_deployment("web", api.namespace)


async def rolled_out(api: Api) -> Any:
    return await api.eventually(lambda: current(api), settled)


async def patch(api: Api, body: Any, kind: str = STRATEGIC, **options: Any) -> Any:
    return await api.apps().patch_namespaced_deployment("web", api.namespace, body, _content_type=kind, **options)


def with_image(image: str) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image}]}}}}


async def replica_sets(api: Api) -> dict[int, Any]:
    found = await api.apps().list_namespaced_replica_set(api.namespace, label_selector="app=web")
    return {int(rs.metadata.annotations[REVISION]): rs for rs in found.items}


async def pods(api: Api) -> list[Any]:
    found = await api.core().list_namespaced_pod(api.namespace, label_selector="app=web")
    return list(found.items)


async def refusal(call: Awaitable[Any]) -> dict[str, Any]:
    """The Status body of a request that must fail."""
    with pytest.raises(client.ApiException) as caught:
        await call
    body: dict[str, Any] = json.loads(caught.value.body or "")
    assert body["kind"] == "Status"
    assert body["status"] == "Failure"
    assert body["code"] == caught.value.status
    return body


def image_of(owner: Any) -> str:
    return str(owner.spec.template.spec.containers[0].image)


async def test_a_new_deployment_becomes_revision_1_with_one_replica_set_and_ready_pods(api: Api) -> None:
    deployment = await deploy(api)

    assert deployment.metadata.annotations[REVISION] == "1"
    assert deployment.status.ready_replicas == 2
    conditions = {c.type: (c.status, c.reason) for c in deployment.status.conditions}
    assert conditions["Available"] == ("True", "MinimumReplicasAvailable")
    assert conditions["Progressing"][0] == "True"
    (rs,) = (await replica_sets(api)).values()
    digest = rs.metadata.labels["pod-template-hash"]
    assert rs.metadata.name == f"web-{digest}"
    assert rs.metadata.owner_references[0].uid == deployment.metadata.uid
    for pod in await pods(api):
        assert pod.metadata.labels["pod-template-hash"] == digest
        assert pod.metadata.owner_references[0].name == rs.metadata.name
        assert pod.status.phase == "Running"
        assert pod.status.container_statuses[0].ready


async def test_what_is_left_out_is_filled_in_as_the_server_does(api: Api) -> None:
    await deploy(api)
    _, body = await api.raw("GET", f"/apis/apps/v1/namespaces/{api.namespace}/deployments/web")

    spec = body["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}
    assert (spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (10, 600)
    assert spec["template"]["spec"]["restartPolicy"] == "Always"
    assert spec["template"]["spec"]["containers"][0]["ports"] == [{"containerPort": 8080, "protocol": "TCP"}]
    assert spec["template"]["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    assert "unavailableReplicas" not in body["status"]


async def test_another_image_makes_the_next_revision_and_keeps_the_old_replica_set_at_zero(api: Api) -> None:
    before = await deploy(api)
    await patch(api, with_image("web:2.0"))
    after = await rolled_out(api)

    assert after.metadata.annotations[REVISION] == "2"
    assert after.metadata.generation == before.metadata.generation + 1
    sets = await replica_sets(api)
    assert {number: (image_of(rs), rs.spec.replicas) for number, rs in sets.items()} == {
        1: ("web:1.0", 0),
        2: ("web:2.0", 2),
    }
    alive = await api.eventually(lambda: pods(api), lambda found: len(found) == 2)
    assert {pod.spec.containers[0].image for pod in alive} == {"web:2.0"}


async def test_rolling_back_to_an_old_template_uses_its_replica_set_again_under_a_new_revision(api: Api) -> None:
    await deploy(api)
    old = (await replica_sets(api))[1]
    await patch(api, with_image("web:2.0"))
    await rolled_out(api)

    _, rs = await api.raw("GET", f"/apis/apps/v1/namespaces/{api.namespace}/replicasets/{old.metadata.name}")
    template = rs["spec"]["template"]
    del template["metadata"]["labels"]["pod-template-hash"]
    await patch(api, [{"op": "replace", "path": "/spec/template", "value": template}], JSON_PATCH)
    back = await rolled_out(api)

    assert back.metadata.annotations[REVISION] == "3"
    sets = await replica_sets(api)
    assert sorted(sets) == [2, 3]
    assert sets[3].metadata.name == old.metadata.name
    assert sets[3].metadata.annotations["deployment.kubernetes.io/revision-history"] == "1"
    assert sets[3].metadata.creation_timestamp == old.metadata.creation_timestamp
    assert (sets[3].spec.replicas, sets[2].spec.replicas) == (2, 0)


async def test_a_rollout_that_cannot_come_up_keeps_the_old_pods_serving(api: Api) -> None:
    await deploy(api, web_deployment(replicas=3))
    await patch(api, with_image("web-notready:2.0"))

    def stuck(deployment: Any) -> bool:
        status = deployment.status
        return status.updated_replicas == 1 and status.unavailable_replicas == 1 and status.replicas == 4

    deployment = await api.eventually(lambda: current(api), stuck)
    assert deployment.status.available_replicas == 3
    conditions = {c.type: (c.status, c.reason) for c in deployment.status.conditions}
    assert conditions["Available"] == ("True", "MinimumReplicasAvailable")
    assert conditions["Progressing"] == ("True", "ReplicaSetUpdated")


async def test_a_rollout_that_hangs_beyond_its_deadline_says_so(api: Api) -> None:
    await deploy(api, web_deployment("web-notready:1.0", replicas=1, progressDeadlineSeconds=2), wait=False)

    def late(deployment: Any) -> bool:
        return any(c.reason == "ProgressDeadlineExceeded" for c in deployment.status.conditions or [])

    deployment = await api.eventually(lambda: current(api), late)
    progressing = next(c for c in deployment.status.conditions if c.type == "Progressing")
    assert progressing.status == "False"
    assert progressing.message.endswith("has timed out progressing.")


async def test_a_paused_deployment_rolls_only_when_it_is_resumed(api: Api) -> None:
    await deploy(api)
    await patch(api, {"spec": {"paused": True}} | {}, MERGE)
    await patch(api, with_image("web:2.0"))
    deployment = await api.eventually(
        lambda: current(api), lambda d: d.status.observed_generation == d.metadata.generation
    )
    assert deployment.metadata.annotations[REVISION] == "1"
    assert sorted(await replica_sets(api)) == [1]
    progressing = next(c for c in deployment.status.conditions if c.type == "Progressing")
    assert (progressing.status, progressing.reason) == ("Unknown", "DeploymentPaused")

    await patch(api, {"spec": {"paused": None}}, MERGE)
    done = await api.eventually(lambda: current(api), lambda d: settled(d) and d.metadata.annotations[REVISION] == "2")
    assert image_of(done) == "web:2.0"


async def test_recreate_stops_every_old_pod_before_it_starts_a_new_one(api: Api) -> None:
    await deploy(api, web_deployment(strategy={"type": "Recreate"}))
    await patch(api, with_image("web:2.0"))
    seen: set[frozenset[str]] = set()

    async def look() -> Any:
        seen.add(frozenset(pod.spec.containers[0].image for pod in await pods(api)))
        return await current(api)

    await api.eventually(look, lambda d: settled(d) and d.metadata.annotations[REVISION] == "2")
    assert frozenset({"web:1.0", "web:2.0"}) not in seen


async def test_only_as_many_old_replica_sets_are_kept_as_the_history_limit_says(api: Api) -> None:
    await deploy(api, web_deployment(replicas=1, revisionHistoryLimit=1))
    for version in ("2.0", "3.0"):
        await patch(api, with_image(f"web:{version}"))
        await rolled_out(api)

    kept = await api.eventually(lambda: replica_sets(api), lambda found: len(found) == 2)
    assert max(kept) == 3  # which older one goes is a matter of their age in whole seconds


async def test_scaling_through_the_subresource_changes_the_number_of_pods_and_nothing_else(api: Api) -> None:
    await deploy(api)
    scale = await api.apps().read_namespaced_deployment_scale("web", api.namespace)
    assert (scale.spec.replicas, scale.status.replicas, scale.status.selector) == (2, 2, "app=web")

    answer = await api.apps().patch_namespaced_deployment_scale(
        "web", api.namespace, {"spec": {"replicas": 4}}, _content_type=MERGE
    )
    assert answer.spec.replicas == 4
    deployment = await api.eventually(lambda: current(api), lambda d: settled(d) and d.status.ready_replicas == 4)
    assert deployment.metadata.annotations[REVISION] == "1"
    (rs,) = (await replica_sets(api)).values()
    assert rs.spec.replicas == 4

    await api.apps().patch_namespaced_deployment_scale(
        "web", api.namespace, {"spec": {"replicas": 0}}, _content_type=MERGE
    )
    await api.eventually(lambda: pods(api), lambda found: not found)
    _, body = await api.raw("GET", f"/apis/apps/v1/namespaces/{api.namespace}/deployments/web/scale")
    assert body["spec"] == {}


async def test_a_scale_can_be_replaced_and_a_stale_one_conflicts(api: Api) -> None:
    await deploy(api)
    scale = await api.apps().read_namespaced_deployment_scale("web", api.namespace)
    scale.spec.replicas = 3
    await api.apps().replace_namespaced_deployment_scale("web", api.namespace, scale)
    await api.eventually(lambda: current(api), lambda d: settled(d) and d.status.ready_replicas == 3)

    body = await refusal(api.apps().replace_namespaced_deployment_scale("web", api.namespace, scale))
    assert (body["code"], body["reason"]) == (409, "Conflict")


async def test_a_negative_scale_is_invalid_with_its_cause(api: Api) -> None:
    await deploy(api, wait=False)
    call = api.apps().patch_namespaced_deployment_scale(
        "web", api.namespace, {"spec": {"replicas": -1}}, _content_type=MERGE
    )
    body = await refusal(call)
    assert (body["code"], body["reason"]) == (422, "Invalid")
    assert body["message"].startswith(
        'Scale.autoscaling "web" is invalid: spec.replicas: Invalid value: -1: must be greater'
    )
    (cause,) = body["details"]["causes"]
    assert (cause["field"], cause["reason"]) == ("spec.replicas", "FieldValueInvalid")


async def test_a_merge_patch_replaces_lists_and_a_strategic_one_merges_them_by_name(api: Api) -> None:
    await deploy(api, wait=False)
    side = {"name": "side", "image": "side:1"}
    await patch(api, {"spec": {"template": {"spec": {"containers": [side]}}}}, STRATEGIC)
    boxes = (await current(api)).spec.template.spec.containers
    assert [(box.name, box.image) for box in boxes] == [("side", "side:1"), ("web", "web:1.0")]

    await patch(api, {"spec": {"template": {"spec": {"containers": [side]}}}}, MERGE)
    boxes = (await current(api)).spec.template.spec.containers
    assert [(box.name, box.image) for box in boxes] == [("side", "side:1")]


async def test_a_strategic_patch_merges_variables_and_obeys_its_directives(api: Api) -> None:
    await deploy(api, wait=False)

    async def variables(env: list[dict[str, Any]], **more: Any) -> list[tuple[str, str]]:
        box = {"name": "web", "env": env, **more}
        await patch(api, {"spec": {"template": {"spec": {"containers": [box]}}}})
        found = (await current(api)).spec.template.spec.containers[0].env or []
        return [(one.name, one.value) for one in found]

    assert await variables([{"name": "B", "value": "2"}]) == [("B", "2"), ("A", "1")]
    assert await variables([{"name": "A", "value": "9"}]) == [("B", "2"), ("A", "9")]
    assert await variables([{"name": "C", "value": "3"}, {"name": "A", "value": "8"}]) == [
        ("C", "3"), ("B", "2"), ("A", "8"),
    ]  # fmt: skip
    ordered = {"$setElementOrder/env": [{"name": "A"}, {"name": "C"}, {"name": "B"}]}
    assert await variables([{"name": "A", "value": "1"}], **ordered) == [("A", "1"), ("C", "3"), ("B", "2")]
    assert await variables([{"name": "C", "$patch": "delete"}]) == [("A", "1"), ("B", "2")]
    assert await variables([{"$patch": "replace"}, {"name": "Z", "value": "26"}]) == [("Z", "26")]


async def test_retained_keys_and_null_take_fields_away(api: Api) -> None:
    await deploy(api, wait=False)
    await patch(api, {"metadata": {"annotations": {"a": "1", "b": "2"}}}, MERGE)
    await patch(api, {"metadata": {"annotations": {"a": None}}}, STRATEGIC)
    assert "a" not in (await current(api)).metadata.annotations
    await patch(api, {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}, STRATEGIC)
    strategy = (await current(api)).spec.strategy
    assert (strategy.type, strategy.rolling_update) == ("Recreate", None)


async def test_a_json_patch_whose_test_fails_changes_nothing(api: Api) -> None:
    before = await deploy(api)
    steps = [
        {"op": "replace", "path": "/spec/replicas", "value": 5},
        {"op": "test", "path": "/spec/template/spec/containers/0/image", "value": "web:9.9"},
    ]
    body = await refusal(patch(api, steps, JSON_PATCH))
    assert (body["code"], body["reason"]) == (422, "Invalid")
    assert (await current(api)).metadata.resource_version == before.metadata.resource_version


async def test_a_write_with_a_stale_resource_version_conflicts(api: Api) -> None:
    stale = await deploy(api)
    await patch(api, {"metadata": {"annotations": {"by": "someone else"}}}, MERGE)

    stale.spec.replicas = 5
    body = await refusal(api.apps().replace_namespaced_deployment("web", api.namespace, stale))
    assert (body["code"], body["reason"]) == (409, "Conflict")
    assert body["message"] == (
        'Operation cannot be fulfilled on deployments.apps "web": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert body["details"] == {"name": "web", "group": "apps", "kind": "deployments"}
    locked = {"metadata": {"resourceVersion": stale.metadata.resource_version}, "spec": {"replicas": 5}}
    for kind in (MERGE, STRATEGIC):
        assert (await refusal(patch(api, locked, kind)))["reason"] == "Conflict"
    assert (await current(api)).spec.replicas == 2


async def test_a_write_with_the_current_resource_version_goes_through(api: Api) -> None:
    fresh = await deploy(api)
    locked = {"metadata": {"resourceVersion": fresh.metadata.resource_version}, "spec": {"minReadySeconds": 1}}
    assert (await patch(api, locked, MERGE)).spec.min_ready_seconds == 1


async def test_a_dry_run_answers_as_if_it_had_happened_and_changes_nothing(api: Api) -> None:
    before = await deploy(api)
    would_be = await patch(api, with_image("web:2.0"), dry_run="All")
    assert image_of(would_be) == "web:2.0"
    assert would_be.metadata.generation == before.metadata.generation + 1
    scaled = await api.apps().patch_namespaced_deployment_scale(
        "web", api.namespace, {"spec": {"replicas": 9}}, _content_type=MERGE, dry_run="All"
    )
    assert scaled.spec.replicas == 9
    body = web_deployment()
    body["metadata"]["name"] = "other"
    created = await api.apps().create_namespaced_deployment(api.namespace, body, dry_run="All")
    assert created.metadata.uid
    await api.apps().delete_namespaced_deployment("web", api.namespace, dry_run="All")
    for _ in range(5):
        await api.server.wait()

    after = await current(api)
    assert after.metadata.resource_version == before.metadata.resource_version
    assert (image_of(after), after.spec.replicas) == ("web:1.0", 2)
    found = await api.apps().list_namespaced_deployment(api.namespace)
    assert [d.metadata.name for d in found.items] == ["web"]


async def test_a_dry_run_still_validates(api: Api) -> None:
    await deploy(api, wait=False)
    assert (await refusal(patch(api, {"spec": {"replicas": -3}}, MERGE, dry_run="All")))["reason"] == "Invalid"
    bad = await refusal(patch(api, {"spec": {"replicas": 3}}, MERGE, dry_run="maybe"))
    assert bad["code"] == 422


async def test_a_patch_that_changes_nothing_keeps_the_resource_version(api: Api) -> None:
    before = await deploy(api)
    for kind in (MERGE, STRATEGIC):
        same = await patch(api, with_image("web:1.0") if kind == STRATEGIC else {"spec": {"replicas": 2}}, kind)
        assert same.metadata.resource_version == before.metadata.resource_version
        assert same.metadata.generation == before.metadata.generation
    scaled = await api.apps().patch_namespaced_deployment_scale(
        "web", api.namespace, {"spec": {"replicas": 2}}, _content_type=MERGE
    )
    assert scaled.metadata.resource_version == before.metadata.resource_version


async def test_the_same_restart_mark_twice_rolls_once(api: Api) -> None:
    await deploy(api)
    restart = {"spec": {"template": {"metadata": {"annotations": {RESTARTED: "2026-11-21T07:00:00Z#run-1"}}}}}
    await patch(api, restart)
    once = await api.eventually(lambda: current(api), lambda d: settled(d) and d.metadata.annotations[REVISION] == "2")
    names = {pod.metadata.name for pod in await api.eventually(lambda: pods(api), lambda found: len(found) == 2)}

    twice = await patch(api, restart)
    for _ in range(5):
        await api.server.wait()
    assert twice.metadata.resource_version == once.metadata.resource_version
    assert (await current(api)).metadata.annotations[REVISION] == "2"
    assert {pod.metadata.name for pod in await pods(api)} == names


async def test_the_tail_of_a_pod_s_log_is_its_last_lines(api: Api) -> None:
    body = web_deployment(replicas=1)
    body["spec"]["template"]["metadata"]["annotations"] = {"rig/log": "one\ntwo\nthree"}
    await deploy(api, body)
    (pod,) = await pods(api)

    async def log(**options: Any) -> str:
        return str(await api.core().read_namespaced_pod_log(pod.metadata.name, api.namespace, **options))

    assert await log() == "one\ntwo\nthree\n"
    assert await log(tail_lines=2) == "two\nthree\n"
    assert await log(tail_lines=0) == ""
    assert await log(container="web", tail_lines=1) == "three\n"
    unknown = await refusal(api.core().read_namespaced_pod_log(pod.metadata.name, api.namespace, container="db"))
    assert unknown["code"] == 400
    assert unknown["message"].startswith(f"container db is not valid for pod {pod.metadata.name}")
    none = await refusal(api.core().read_namespaced_pod_log("nope", api.namespace))
    assert none["message"] == 'pods "nope" not found'


async def test_a_container_that_must_be_named_is_asked_for(api: Api) -> None:
    body = web_deployment(replicas=1)
    body["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "side:1"})
    await deploy(api, body)
    (pod,) = await pods(api)
    said = await refusal(api.core().read_namespaced_pod_log(pod.metadata.name, api.namespace))
    assert said["code"] == 400
    assert said["message"].startswith(
        f"a container name must be specified for pod {pod.metadata.name}, choose one of: [web side"
    )


async def test_a_crash_loop_shows_in_the_pod_and_in_warning_events(api: Api) -> None:
    await deploy(api, web_deployment("web-crashloop:1.0", replicas=1), wait=False)

    def crashing(found: list[Any]) -> bool:
        states = [s for pod in found for s in pod.status.container_statuses or []]
        return any(s.state.waiting and s.state.waiting.reason == "CrashLoopBackOff" for s in states)

    (pod,) = await api.eventually(lambda: pods(api), crashing)
    assert pod.status.container_statuses[0].restart_count >= 1
    assert not pod.status.container_statuses[0].ready

    async def events() -> list[Any]:
        fields = f"involvedObject.name={pod.metadata.name},type=Warning"
        return list((await api.core().list_namespaced_event(api.namespace, field_selector=fields)).items)

    found = await api.eventually(events, bool)
    assert {event.reason for event in found} == {"BackOff"}
    assert found[0].message.startswith("Back-off restarting failed container")
    assert found[0].involved_object.uid == pod.metadata.uid
    assert not settled(await current(api))


async def test_an_image_that_cannot_be_pulled_keeps_the_pod_pending(api: Api) -> None:
    await deploy(api, web_deployment("web-imagepull:1.0", replicas=1), wait=False)

    def waiting(found: list[Any]) -> bool:
        states = [s for pod in found for s in pod.status.container_statuses or []]
        return any(s.state.waiting and s.state.waiting.reason == "ImagePullBackOff" for s in states)

    (pod,) = await api.eventually(lambda: pods(api), waiting)
    assert pod.status.phase == "Pending"
    said = await refusal(api.core().read_namespaced_pod_log(pod.metadata.name, api.namespace)) if not api.real else None
    assert said is None or said["code"] == 400


async def test_the_deployment_tells_of_its_scaling_in_events(api: Api) -> None:
    await deploy(api)

    async def events() -> list[Any]:
        fields = "involvedObject.kind=Deployment,involvedObject.name=web,reason=ScalingReplicaSet"
        return list((await api.core().list_namespaced_event(api.namespace, field_selector=fields)).items)

    (event,) = await api.eventually(events, bool)
    assert event.message.startswith("Scaled up replica set web-")
    assert event.source.component == "deployment-controller"


async def test_the_limited_user_is_told_exactly_what_it_may_not_do(api: Api) -> None:
    await deploy(api, wait=False)
    body = await refusal(api.apps("bot").delete_namespaced_deployment("web", api.namespace))
    assert (body["code"], body["reason"]) == (403, "Forbidden")
    assert body["message"] == (
        'deployments.apps "web" is forbidden: User "incident-bot" cannot delete resource "deployments" '
        f'in API group "apps" in the namespace "{api.namespace}"'
    )
    assert body["details"] == {"name": "web", "group": "apps", "kind": "deployments"}

    scale = api.apps("reader").patch_namespaced_deployment_scale(
        "web", api.namespace, {"spec": {"replicas": 1}}, _content_type=MERGE
    )
    assert (await refusal(scale))["message"] == (
        'deployments.apps "web" is forbidden: User "reader" cannot patch resource "deployments/scale" '
        f'in API group "apps" in the namespace "{api.namespace}"'
    )
    nodes = await refusal(api.core("bot").list_node())
    assert nodes["message"] == (
        'nodes is forbidden: User "incident-bot" cannot list resource "nodes" in API group "" at the cluster scope'
    )
    assert nodes["details"] == {"kind": "nodes"}
    missing = await refusal(api.apps("bot").delete_namespaced_deployment("nope", api.namespace))
    assert missing["code"] == 403


async def test_the_limited_user_may_do_its_work(api: Api) -> None:
    await deploy(api)
    mine = api.apps("bot")
    await mine.patch_namespaced_deployment("web", api.namespace, with_image("web:2.0"), _content_type=STRATEGIC)
    await mine.patch_namespaced_deployment_scale("web", api.namespace, {"spec": {"replicas": 1}}, _content_type=MERGE)
    done = await api.eventually(lambda: mine.read_namespaced_deployment("web", api.namespace), settled)
    assert (image_of(done), done.status.ready_replicas) == ("web:2.0", 1)


async def test_one_can_ask_what_one_may_do(api: Api) -> None:
    async def may(user: str, verb: str, resource: str, group: str = "apps", subresource: str | None = None) -> bool:
        asked = {"namespace": api.namespace, "verb": verb, "group": group, "resource": resource}
        if subresource:
            asked["subresource"] = subresource
        review = {"spec": {"resourceAttributes": asked}}
        answer = await api.reviews(user).create_self_subject_access_review(review)
        return bool(answer.status.allowed)

    assert await may("bot", "patch", "deployments")
    assert await may("bot", "patch", "deployments", subresource="scale")
    assert await may("bot", "get", "pods", "", "log")
    assert not await may("bot", "delete", "deployments")
    assert not await may("bot", "create", "pods", "", "eviction")
    assert await may("admin", "delete", "deployments")


async def test_an_unknown_token_is_unauthorized(api: Api) -> None:
    code, body = await api.raw("GET", f"/apis/apps/v1/namespaces/{api.namespace}/deployments", token="nobody")
    assert (code, body["reason"], body["message"]) == (401, "Unauthorized", "Unauthorized")


async def test_a_watch_from_a_resource_version_sees_what_happened_since(api: Api) -> None:
    await deploy(api)
    listed = await api.apps().list_namespaced_deployment(api.namespace)
    await patch(api, {"metadata": {"labels": {"tier": "front"}}}, MERGE)
    await api.apps().delete_namespaced_deployment("web", api.namespace)

    seen = []
    stream = watch.Watch(return_type="V1Deployment")
    async with stream:
        options = {"resource_version": listed.metadata.resource_version, "timeout_seconds": 5}
        async for event in stream.stream(api.apps().list_namespaced_deployment, api.namespace, **options):
            seen.append((event["type"], (event["object"].metadata.labels or {}).get("tier")))
            if event["type"] == "DELETED":
                break
    assert seen[0] == ("MODIFIED", "front")
    assert seen[-1] == ("DELETED", "front")


async def test_a_watch_with_a_selector_sees_objects_come_and_go(api: Api) -> None:
    await deploy(api)
    listed = await api.apps().list_namespaced_deployment(api.namespace)
    await patch(api, {"metadata": {"labels": {"tier": "front"}}}, MERGE)
    await patch(api, {"metadata": {"labels": {"tier": "back"}}}, MERGE)

    options = {
        "resource_version": listed.metadata.resource_version,
        "timeout_seconds": 2,
        "label_selector": "tier=front",
    }
    stream = watch.Watch(return_type="V1Deployment")
    async with stream:
        kinds = [
            e["type"] async for e in stream.stream(api.apps().list_namespaced_deployment, api.namespace, **options)
        ]
    assert kinds[0] == "ADDED"
    assert kinds[-1] == "DELETED"


async def test_a_watch_without_a_resource_version_begins_with_all_there_is(api: Api) -> None:
    await deploy(api, wait=False)
    stream = watch.Watch(return_type="V1Deployment")
    async with stream:
        async for event in stream.stream(api.apps().list_namespaced_deployment, api.namespace, timeout_seconds=2):
            assert (event["type"], event["object"].metadata.name) == ("ADDED", "web")
            assert event["raw_object"]["kind"] == "Deployment"
            break


async def test_labels_and_fields_select(api: Api) -> None:
    for name, labels in (("a", {"tier": "front"}), ("b", {"tier": "back"}), ("c", {})):
        body = web_deployment(replicas=0)
        body["metadata"] = {"name": name, "labels": labels}
        await api.apps().create_namespaced_deployment(api.namespace, body)

    async def names(**options: str) -> str:
        found = await api.apps().list_namespaced_deployment(api.namespace, **options)
        return "".join(d.metadata.name for d in found.items)

    assert await names(label_selector="tier=front") == "a"
    assert await names(label_selector="tier!=front") == "bc"
    assert await names(label_selector="tier in (front,back)") == "ab"
    assert await names(label_selector="tier notin (front)") == "bc"
    assert await names(label_selector="tier") == "ab"
    assert await names(label_selector="!tier") == "c"
    assert await names(label_selector="tier,tier!=back") == "a"
    assert await names(field_selector="metadata.name=b") == "b"
    assert await names(field_selector="metadata.name!=b") == "ac"
    unknown = await refusal(api.apps().list_namespaced_deployment(api.namespace, field_selector="spec.replicas=0"))
    assert unknown["code"] == 400
    assert unknown["message"] == (
        '"spec.replicas" is not a known field selector: only "metadata.name", "metadata.namespace"'
    )
    unknown = await refusal(api.core().list_namespaced_pod(api.namespace, field_selector="spec.x=0"))
    assert "field label not supported: spec.x" in unknown["message"]
    broken = await refusal(api.apps().list_namespaced_deployment(api.namespace, label_selector="tier in front"))
    assert (broken["code"], broken["reason"]) == (400, "BadRequest")


async def test_pods_are_found_by_phase_and_by_node(api: Api) -> None:
    await deploy(api)
    found = await pods(api)
    node = found[0].spec.node_name
    here = await api.core().list_namespaced_pod(api.namespace, field_selector=f"spec.nodeName={node}")
    assert {p.metadata.name for p in here.items} == {p.metadata.name for p in found if p.spec.node_name == node}
    running = await api.core().list_namespaced_pod(api.namespace, field_selector="status.phase=Running")
    assert len(running.items) == 2
    assert not (await api.core().list_namespaced_pod(api.namespace, field_selector="status.phase=Failed")).items


async def test_a_long_list_comes_in_pages(api: Api) -> None:
    for name in "abcde":
        body = web_deployment(replicas=0)
        body["metadata"] = {"name": name}
        await api.apps().create_namespaced_deployment(api.namespace, body)
    seen, token = [], None
    while True:
        more = {"_continue": token} if token else {}
        page = await api.apps().list_namespaced_deployment(api.namespace, limit=2, **more)
        seen.append("".join(d.metadata.name for d in page.items))
        token = page.metadata.var_continue
        if not token:
            break
    assert seen == ["ab", "cd", "e"]


async def test_what_is_not_there_is_not_found_with_details(api: Api) -> None:
    body = await refusal(api.apps().read_namespaced_deployment("nope", api.namespace))
    assert (body["code"], body["reason"]) == (404, "NotFound")
    assert body["message"] == 'deployments.apps "nope" not found'
    assert body["details"] == {"name": "nope", "group": "apps", "kind": "deployments"}
    call = api.apps().patch_namespaced_deployment_scale(
        "nope", api.namespace, {"spec": {"replicas": 1}}, _content_type=MERGE
    )
    assert (await refusal(call))["reason"] == "NotFound"
    nowhere = await refusal(api.apps().create_namespaced_deployment("no-such-namespace", web_deployment()))
    assert nowhere["message"] == 'namespaces "no-such-namespace" not found'


async def test_a_name_is_taken_only_once(api: Api) -> None:
    await deploy(api, wait=False)
    body = await refusal(api.apps().create_namespaced_deployment(api.namespace, web_deployment()))
    assert (body["code"], body["reason"]) == (409, "AlreadyExists")
    assert body["message"] == 'deployments.apps "web" already exists'


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"replicas": -1}, {"spec.replicas"}),
        ({"selector": None}, {"spec.selector", "spec.template.metadata.labels"}),
        ({"selector": {"matchLabels": {"app": "other"}}}, {"spec.template.metadata.labels"}),
        ({"minReadySeconds": -1}, {"spec.minReadySeconds"}),
        (
            {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}},
            {"spec.template.spec.containers"},
        ),
        (
            {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web"}]}}},
            {"spec.template.spec.containers[0].image"},
        ),
        (
            {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}},
            {"spec.strategy.rollingUpdate.maxUnavailable"},
        ),
        ({"strategy": {"type": "Sideways"}}, {"spec.strategy"}),
    ],
)
async def test_what_makes_no_sense_is_invalid_with_a_cause_for_each_field(
    api: Api, change: dict[str, Any], fields: set[str]
) -> None:
    body = web_deployment()
    body["spec"] |= change
    code, said = await api.raw("POST", f"/apis/apps/v1/namespaces/{api.namespace}/deployments", body)
    assert (code, said["reason"]) == (422, "Invalid")
    assert said["message"].startswith('Deployment.apps "web" is invalid: ')
    assert {k: said["details"][k] for k in ("name", "group", "kind")} == {
        "name": "web", "group": "apps", "kind": "Deployment",
    }  # fmt: skip
    assert fields <= {cause["field"] for cause in said["details"]["causes"]}


async def test_a_name_that_is_none_is_invalid(api: Api) -> None:
    body = web_deployment()
    body["metadata"]["name"] = "Not_A_Name"
    said = await refusal(api.apps().create_namespaced_deployment(api.namespace, body))
    assert said["reason"] == "Invalid"
    assert said["details"]["causes"][0]["field"] == "metadata.name"


async def test_a_selector_cannot_be_changed(api: Api) -> None:
    await deploy(api, wait=False)
    change = {
        "spec": {
            "selector": {"matchLabels": {"app": "web", "x": "y"}},
            "template": {"metadata": {"labels": {"x": "y"}}},
        }
    }
    said = await refusal(patch(api, change, MERGE))
    assert said["reason"] == "Invalid"
    assert "field is immutable" in said["message"]


async def test_malformed_bodies_and_unknown_patches_are_refused(api: Api) -> None:
    await deploy(api, wait=False)
    path = f"/apis/apps/v1/namespaces/{api.namespace}/deployments"
    assert (await api.raw("POST", path, b"{not json"))[0] == 400
    code, _ = await api.raw("PATCH", f"{path}/web", b"{not json", content_type=MERGE)
    assert code in (400, 500)  # old servers say 500
    code, body = await api.raw("PATCH", f"{path}/web", {"spec": {}}, content_type="application/json")
    assert (code, body["reason"]) == (415, "UnsupportedMediaType")
    code, body = await api.raw("PATCH", f"{path}/web", {"spec": {}}, content_type=JSON_PATCH)
    assert code == 400
    wrong = web_deployment()
    wrong["metadata"]["name"] = "other"
    wrong["spec"]["replicas"] = "three"
    assert (await api.raw("POST", path, wrong))[0] == 400
    code, body = await api.raw("PATCH", f"{path}/web", {"metadata": {"name": "renamed"}}, content_type=MERGE)
    assert code == 400
    assert body["message"] == "the name of the object (renamed) does not match the name on the URL (web)"
    assert (await api.raw("PUT", path, web_deployment()))[0] == 405


async def test_a_deleted_deployment_takes_its_pods_along(api: Api) -> None:
    await deploy(api)
    answer = await api.raw("DELETE", f"/apis/apps/v1/namespaces/{api.namespace}/deployments/web")
    assert answer[0] == 200
    assert answer[1]["status"] == "Success"
    assert answer[1]["details"]["kind"] == "deployments"
    await api.eventually(lambda: pods(api), lambda found: not found)
    assert not await replica_sets(api)


async def test_orphaned_replica_sets_live_on(api: Api) -> None:
    await deploy(api)
    await api.apps().delete_namespaced_deployment("web", api.namespace, propagation_policy="Orphan")

    async def gone() -> int:
        return (await api.raw("GET", f"/apis/apps/v1/namespaces/{api.namespace}/deployments/web"))[0]

    await api.eventually(gone, lambda code: code == 404)
    for _ in range(5):
        await api.server.wait()
    (rs,) = (await replica_sets(api)).values()
    assert not rs.metadata.owner_references
    assert len(await pods(api)) == 2


async def test_a_foreground_deletion_waits_for_the_pods(api: Api) -> None:
    body = web_deployment()
    body["spec"]["template"]["metadata"]["annotations"] = {"rig/term-delay": "1"}
    await deploy(api, body)
    await api.apps().delete_namespaced_deployment("web", api.namespace, propagation_policy="Foreground")
    going = await current(api)
    assert going.metadata.deletion_timestamp
    assert going.metadata.finalizers == ["foregroundDeletion"]

    async def gone() -> int:
        return (await api.raw("GET", f"/apis/apps/v1/namespaces/{api.namespace}/deployments/web"))[0]

    await api.eventually(gone, lambda code: code == 404)
    assert not await pods(api)


async def test_a_deletion_can_be_bound_to_one_object(api: Api) -> None:
    await deploy(api, wait=False)
    options = {"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}}
    said = await refusal(api.apps().delete_namespaced_deployment("web", api.namespace, body=options))
    assert (said["code"], said["reason"]) == (409, "Conflict")
    uid = (await current(api)).metadata.uid
    assert said["message"].startswith(
        'Operation cannot be fulfilled on Deployment.apps "web": the UID in the precondition '
        f"(00000000-0000-0000-0000-000000000000) does not match the UID in record ({uid})."
    )


async def test_a_deleted_pod_is_replaced(api: Api) -> None:
    await deploy(api)
    first = (await pods(api))[0]
    gone = await api.core().delete_namespaced_pod(first.metadata.name, api.namespace)
    assert gone.metadata.deletion_timestamp
    assert gone.metadata.deletion_grace_period_seconds == 30

    def replaced(found: list[Any]) -> bool:
        ready = [p for p in found if p.status.container_statuses and p.status.container_statuses[0].ready]
        return len(found) == len(ready) == 2 and first.metadata.name not in {p.metadata.name for p in found}

    await api.eventually(lambda: pods(api), replaced)


async def test_an_evicted_pod_is_replaced(api: Api) -> None:
    await deploy(api)
    first = (await pods(api))[0].metadata.name
    body = {"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": first, "namespace": api.namespace}}
    code, said = await api.raw("POST", f"/api/v1/namespaces/{api.namespace}/pods/{first}/eviction", body)
    assert (code, said["status"]) == (201, "Success")
    await api.eventually(lambda: pods(api), lambda found: first not in {p.metadata.name for p in found})


async def test_a_node_can_be_closed_and_opened_again(api: Api) -> None:
    node = (await api.core().list_node()).items[0].metadata.name
    closed = await api.core().patch_node(node, {"spec": {"unschedulable": True}}, _content_type=MERGE)
    assert closed.spec.unschedulable
    opened = await api.core().patch_node(node, {"spec": {"unschedulable": None}}, _content_type=MERGE)
    assert not opened.spec.unschedulable


async def test_a_stateful_set_restarts_its_pods_in_place_one_after_the_other(api: Api) -> None:
    body = web_deployment()
    body["spec"]["serviceName"] = "web"
    await api.apps().create_namespaced_stateful_set(api.namespace, body)

    async def look() -> Any:
        return await api.apps().read_namespaced_stateful_set("web", api.namespace)

    before = await api.eventually(look, lambda s: s.status.ready_replicas == 2)
    old = {p.metadata.name: p.metadata.uid for p in await pods(api)}
    assert sorted(old) == ["web-0", "web-1"]
    restart = {"spec": {"template": {"metadata": {"annotations": {RESTARTED: "now"}}}}}
    await api.apps().patch_namespaced_stateful_set("web", api.namespace, restart, _content_type=STRATEGIC)

    def done(s: Any) -> bool:
        counts = (s.status.updated_replicas, s.status.ready_replicas)
        return s.status.observed_generation > before.metadata.generation and counts == (2, 2)

    after = await api.eventually(look, done)
    assert after.status.update_revision != before.status.update_revision
    new = {p.metadata.name: p.metadata.uid for p in await pods(api)}
    assert sorted(new) == ["web-0", "web-1"]
    assert not set(new.values()) & set(old.values())


async def test_a_daemon_set_has_a_pod_on_every_node(api: Api) -> None:
    body = web_deployment()
    del body["spec"]["replicas"]
    await api.apps().create_namespaced_daemon_set(api.namespace, body)
    nodes = len((await api.core().list_node()).items)

    async def look() -> Any:
        return await api.apps().read_namespaced_daemon_set("web", api.namespace)

    await api.eventually(look, lambda d: d.status.number_ready == nodes == d.status.desired_number_scheduled)
    assert len({p.spec.node_name for p in await pods(api)}) == nodes


async def test_the_server_says_its_version_and_that_it_is_ready(api: Api) -> None:
    code, version = await api.raw("GET", "/version")
    assert code == 200
    assert version["gitVersion"].startswith("v")  # Debian builds it without its number
    assert (await api.raw("GET", "/readyz")) == (200, "ok")
    code, groups = await api.raw("GET", "/apis")
    assert "apps" in {group["name"] for group in groups["groups"]}
    _, resources = await api.raw("GET", "/apis/apps/v1")
    assert {"deployments", "deployments/scale", "replicasets"} <= {r["name"] for r in resources["resources"]}
