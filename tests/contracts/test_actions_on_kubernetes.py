"""The Kubernetes actions as the runbooks use them, with the bot's own rights: on the practice cluster and on a real API server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.clients.kit import Kit
from bot.domain.plan import Undo
from bot.errors import BadInput, Drifted
from bot.plugins.actions import k8s_restart, k8s_rollback, k8s_scale
from tests.support.kubernetes_api import Api, settled


def shop(image: str, **spec: Any) -> dict[str, Any]:
    box = {"name": "checkout", "image": image, "env": [{"name": "DB_PASSWORD", "value": "hunter2"}]}
    return {
        "metadata": {"name": "checkout", "labels": {"app": "checkout"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "checkout"}},
            "template": {"metadata": {"labels": {"app": "checkout"}}, "spec": {"containers": [box]}},
            **spec,
        },
    }


async def deployed(api: Api, *images: str, **spec: Any) -> Any:
    """A Deployment that has run these images, one after the other."""
    await api.apps().create_namespaced_deployment(api.namespace, shop(images[0], **spec))
    for image in images[1:]:
        await finished(api)
        await set_image(api, image)
    return await finished(api)


async def set_image(api: Api, image: str) -> None:
    body = {"spec": {"template": {"spec": {"containers": [{"name": "checkout", "image": image}]}}}}
    await api.apps().patch_namespaced_deployment("checkout", api.namespace, body)


async def current(api: Api) -> Any:
    return await api.apps().read_namespaced_deployment("checkout", api.namespace)


async def finished(api: Api) -> Any:
    return await api.eventually(lambda: current(api), settled)


def image_of(deployment: Any) -> str:
    return str(deployment.spec.template.spec.containers[0].image)


def marks(deployment: Any) -> tuple[int, str, str]:
    """What any write would change: of the spec the generation, of anything else the resource version."""
    return deployment.metadata.generation, deployment.metadata.resource_version, image_of(deployment)


async def carried_out(api: Api, action: Any, params: Any) -> dict[str, Any]:
    """Look, plan, do, look again until it verifies, as a run does; the parameters of the undo."""
    plan = action.plan(await action.look(params), params)
    assert plan, "there was nothing to do"
    result = await action.do(plan, params, "tocsin-run-1-step")

    async def missing() -> str | None:
        state = await action.look(params)
        assert not action.plan(state, params), "what was done does not show"
        return action.verify(state, params) or ""

    await api.eventually(missing, lambda text: text == "")
    undo: Undo | None = action.undo(plan, result, params)
    return dict(undo.with_) if undo else {}


async def assert_nothing_to_do(api: Api, action: Any, params: Any) -> None:
    """A second run plans nothing, and looking wrote nothing."""
    before = marks(await finished(api))
    state = await action.look(params)
    assert not action.plan(state, params)
    assert action.verify(state, params) is None
    assert marks(await current(api)) == before


def rollback(api: Api, **options: Any) -> k8s_rollback.Params:
    return k8s_rollback.Params(namespace=api.namespace, deployment="checkout", **options)


async def soon(api: Api) -> datetime:
    """A time by the cluster's clock that is after everything that has happened there."""
    sets = (await api.apps().list_namespaced_replica_set(api.namespace)).items
    newest: datetime = max(one.metadata.creation_timestamp for one in sets)
    return newest + timedelta(seconds=1)


# ------------------------------------------------------------------------------------------------ k8s.rollback


async def test_a_rollback_brings_back_the_earlier_template_and_a_second_run_plans_nothing(api: Api, kit: Kit) -> None:
    await deployed(api, "checkout:1.4.1", "checkout:1.4.2")
    action, params = k8s_rollback.Plugin(kit), rollback(api, before=await soon(api))
    plan = action.plan(await action.look(params), params)
    assert [str(diff) for diff in plan.diffs] == ["revision: 2 -> 1 (image checkout:1.4.2 -> checkout:1.4.1)"]
    assert action.undo(plan, {}, params) == Undo(
        action="k8s.rollback", with_={"namespace": api.namespace, "deployment": "checkout", "to_revision": 2}
    )
    await carried_out(api, action, params)
    assert image_of(await finished(api)) == "checkout:1.4.1"
    await assert_nothing_to_do(api, action, params)


async def test_a_later_incident_plans_no_rollback_of_a_rollback(api: Api, kit: Kit) -> None:
    await deployed(api, "checkout:1.4.1", "checkout:1.4.2")
    action, params = k8s_rollback.Plugin(kit), rollback(api, before=await soon(api))
    await carried_out(api, action, params)
    await assert_nothing_to_do(api, action, rollback(api, before=await soon(api) + timedelta(days=3)))
    await assert_nothing_to_do(api, action, rollback(api))


async def test_a_rollback_of_a_bad_image_that_is_rolled_out_again_is_planned_again(api: Api, kit: Kit) -> None:
    await deployed(api, "checkout:1.4.1", "checkout:1.4.2")
    action, params = k8s_rollback.Plugin(kit), rollback(api, before=await soon(api))
    await carried_out(api, action, params)
    await set_image(api, "checkout:1.4.2")
    await finished(api)
    plan = action.plan(await action.look(params), params)
    assert [str(diff) for diff in plan.diffs] == ["revision: 4 -> 3 (image checkout:1.4.2 -> checkout:1.4.1)"]


async def test_a_rollback_can_start_while_the_bad_rollout_is_stuck(api: Api, kit: Kit) -> None:
    await deployed(api, "checkout:1.4.1")
    await set_image(api, "checkout:crashloop")
    action, params = k8s_rollback.Plugin(kit), rollback(api)

    async def history() -> list[Any]:
        return (await action.look(params))["history"]

    await api.eventually(history, lambda seen: len(seen) == 2 and seen[-1]["number"] == 2)
    await carried_out(api, action, params)
    assert image_of(await finished(api)) == "checkout:1.4.1"


async def test_an_undo_of_a_rollback_brings_back_what_ran_before(api: Api, kit: Kit) -> None:
    await deployed(api, "checkout:1.4.1", "checkout:1.4.2")
    action = k8s_rollback.Plugin(kit)
    undo = k8s_rollback.Params.model_validate(await carried_out(api, action, rollback(api)))
    await carried_out(api, action, undo)
    assert image_of(await finished(api)) == "checkout:1.4.2"
    await assert_nothing_to_do(api, action, undo)


async def test_to_revision_means_the_template_that_ran_as_it_even_when_its_number_has_changed(
    api: Api, kit: Kit
) -> None:
    await deployed(api, "checkout:1.4.0", "checkout:1.4.1", "checkout:1.4.2")
    action = k8s_rollback.Plugin(kit)
    await carried_out(api, action, rollback(api, to_revision=1))
    assert image_of(await finished(api)) == "checkout:1.4.0"
    await assert_nothing_to_do(api, action, rollback(api, to_revision=1))


async def test_a_restart_counts_as_the_version_that_it_restarted(api: Api, kit: Kit) -> None:
    await deployed(api, "checkout:1.4.1", "checkout:1.4.2")
    restart = k8s_restart.Params(namespace=api.namespace, deployment="checkout", why="INC-1")
    await carried_out(api, k8s_restart.Plugin(kit), restart)
    await finished(api)
    await carried_out(api, k8s_rollback.Plugin(kit), rollback(api))
    assert image_of(await finished(api)) == "checkout:1.4.1"


async def test_what_else_a_rollback_changes_is_named_without_its_values(api: Api, kit: Kit) -> None:
    await deployed(api, "checkout:1.4.1")
    box = {"name": "checkout", "image": "checkout:1.4.2", "env": [{"name": "DB_PASSWORD", "value": "hunter3"}]}
    body = {"spec": {"template": {"spec": {"containers": [box]}}}}
    await api.apps().patch_namespaced_deployment("checkout", api.namespace, body)
    await finished(api)
    action = k8s_rollback.Plugin(kit)
    state = await action.look(rollback(api))
    plan = action.plan(state, rollback(api))
    assert plan.diffs[0].note == (
        "image checkout:1.4.2 -> checkout:1.4.1; also changes containers[checkout].env[DB_PASSWORD].value"
    )
    assert "hunter" not in str(state) + plan.model_dump_json()


async def test_a_plan_does_not_apply_to_a_world_that_has_changed(api: Api, kit: Kit) -> None:
    await deployed(api, "checkout:1.4.1", "checkout:1.4.2")
    action, params = k8s_rollback.Plugin(kit), rollback(api)
    plan = action.plan(await action.look(params), params)
    await set_image(api, "checkout:1.4.3")
    after = marks(await finished(api))
    with pytest.raises(Drifted, match="has changed since the plan was made"):
        await action.do(plan, params, "key")
    assert marks(await current(api)) == after


async def test_a_plan_applies_at_most_once(api: Api, kit: Kit) -> None:
    await deployed(api, "checkout:1.4.1", "checkout:1.4.2")
    action, params = k8s_rollback.Plugin(kit), rollback(api)
    plan = action.plan(await action.look(params), params)
    await action.do(plan, params, "key")
    after = marks(await finished(api))
    with pytest.raises(Drifted):
        await action.do(plan, params, "key")
    assert marks(await current(api)) == after


async def test_a_plan_does_not_apply_to_a_deployment_of_the_same_name_that_was_made_anew(api: Api, kit: Kit) -> None:
    await deployed(api, "checkout:1.4.1", "checkout:1.4.2")
    scale = k8s_scale.Params(namespace=api.namespace, deployment="checkout", replicas=4)
    action = k8s_scale.Plugin(kit)
    plan = action.plan(await action.look(scale), scale)
    await api.apps().delete_namespaced_deployment("checkout", api.namespace)
    await api.eventually(lambda: api.apps().list_namespaced_replica_set(api.namespace), lambda sets: not sets.items)
    await deployed(api, "checkout:1.4.1", "checkout:1.4.2")
    with pytest.raises(Drifted):
        await action.do(plan, scale, "key")


# ------------------------------------------------------------------------------------------------ k8s.scale, k8s.restart


async def test_scaling_up_verifies_and_a_second_run_plans_nothing(api: Api, kit: Kit) -> None:
    await deployed(api, "checkout:1.4.1")
    action = k8s_scale.Plugin(kit)
    params = k8s_scale.Params(namespace=api.namespace, deployment="checkout", replicas=4)
    plan = action.plan(await action.look(params), params)
    assert [str(diff) for diff in plan.diffs] == ["replicas: 2 -> 4"]
    undo = await carried_out(api, action, params)
    await assert_nothing_to_do(api, action, params)
    await carried_out(api, action, k8s_scale.Params.model_validate(undo))
    assert (await finished(api)).spec.replicas == 2


async def test_a_restart_replaces_every_pod_once_per_reason(api: Api, kit: Kit) -> None:
    await deployed(api, "checkout:1.4.1")
    action = k8s_restart.Plugin(kit)
    params = k8s_restart.Params(namespace=api.namespace, deployment="checkout", why="INC-7: memory leak")
    before = {pod["metadata"]["name"] for pod in await kit.cluster.pods(api.namespace, "app=checkout")}
    await carried_out(api, action, params)
    await finished(api)
    await assert_nothing_to_do(api, action, params)
    after = await kit.cluster.pods(api.namespace, "app=checkout")
    assert before.isdisjoint(pod["metadata"]["name"] for pod in after if not pod["metadata"].get("deletionTimestamp"))
    assert action.plan(await action.look(params), params.model_copy(update={"why": "INC-8"}))


async def test_a_restart_adds_to_the_annotations_that_are_there(api: Api, kit: Kit) -> None:
    notes = {"prometheus.io/scrape": "true"}
    template = {
        **shop("checkout:1.4.1")["spec"]["template"],
        "metadata": {"labels": {"app": "checkout"}, "annotations": notes},
    }
    await deployed(api, "checkout:1.4.1", template=template)
    params = k8s_restart.Params(namespace=api.namespace, deployment="checkout", why="INC-7")
    await carried_out(api, k8s_restart.Plugin(kit), params)
    assert (await current(api)).spec.template.metadata.annotations == {**notes, "tocsin.dev/restarted-for": "INC-7"}


async def test_a_version_that_does_not_start_says_how_far_it_got(api: Api, kit: Kit) -> None:
    await deployed(api, "checkout:1.4.1")
    await set_image(api, "checkout:notready")
    action = k8s_scale.Plugin(kit)
    params = k8s_scale.Params(namespace=api.namespace, deployment="checkout", replicas=2)

    async def missing() -> str | None:
        return action.verify(await action.look(params), params)

    await api.eventually(missing, lambda text: text == "1 of 2 pods are of the wanted version")


# ------------------------------------------------------------------------------------------------ rights and refusals


async def test_a_verb_that_is_not_granted_names_the_missing_rule(api: Api, readers_kit: Kit) -> None:
    await deployed(api, "checkout:1.4.1")
    params = k8s_scale.Params(namespace=api.namespace, deployment="checkout", replicas=4)
    action = k8s_scale.Plugin(readers_kit)
    plan = action.plan(await action.look(params), params)
    expected = (
        f"the bot may not patch deployments.apps in namespace {api.namespace}: add to the rules of its Role: "
        "- {apiGroups: [apps], resources: [deployments], verbs: [patch]}"
    )
    with pytest.raises(BadInput) as refused:
        await action.do(plan, params, "key")
    assert expected in str(refused.value)


async def test_doctor_can_ask_what_the_bot_may_do(api: Api, kit: Kit, readers_kit: Kit) -> None:
    assert await kit.cluster.can("patch", "deployments", api.namespace, group="apps")
    assert not await kit.cluster.can("delete", "deployments", api.namespace, group="apps")
    assert not await readers_kit.cluster.can("patch", "deployments", api.namespace, group="apps")
    assert (await kit.cluster.version()).startswith("v")


async def test_a_deployment_that_does_not_exist_is_named(api: Api, kit: Kit) -> None:
    params = k8s_scale.Params(namespace=api.namespace, deployment="chekout", replicas=4)
    with pytest.raises(BadInput, match=f"there is no Deployment chekout in namespace {api.namespace}"):
        await k8s_scale.Plugin(kit).look(params)


async def test_a_rollback_without_an_earlier_revision_is_refused(api: Api, kit: Kit) -> None:
    await deployed(api, "checkout:1.4.1")
    action, params = k8s_rollback.Plugin(kit), rollback(api)
    state = await action.look(params)
    with pytest.raises(BadInput, match="no revision in its history from before revision 1"):
        action.plan(state, params)
    with pytest.raises(BadInput, match="was rolled out before 2001"):
        action.plan(state, rollback(api, before=datetime(2001, 1, 1, tzinfo=UTC)))
    with pytest.raises(BadInput, match=r"has no revision 9 in its history \(it has: 1\)"):
        action.plan(state, rollback(api, to_revision=9))


async def test_a_rollback_is_refused_when_nothing_was_rolled_out_lately(api: Api, kit: Kit) -> None:
    await deployed(api, "checkout:1.4.1", "checkout:1.4.2")
    action, params = k8s_rollback.Plugin(kit), rollback(api, before=await soon(api) + timedelta(days=9))
    state = await action.look(params)
    with pytest.raises(BadInput, match=r"nothing was rolled out in the 1 d before .* give to_revision"):
        action.plan(state, params)


@pytest.mark.parametrize("action", [k8s_rollback, k8s_restart])
async def test_a_paused_deployment_is_not_touched(api: Api, kit: Kit, action: Any) -> None:
    await deployed(api, "checkout:1.4.1", "checkout:1.4.2")
    await api.apps().patch_namespaced_deployment("checkout", api.namespace, {"spec": {"paused": True}})
    options = {"why": "INC-7"} if action is k8s_restart else {}
    params = action.Params(namespace=api.namespace, deployment="checkout", **options)
    plugin = action.Plugin(kit)
    state = await plugin.look(params)
    with pytest.raises(BadInput, match="is paused: resume it first"):
        plugin.plan(state, params)
