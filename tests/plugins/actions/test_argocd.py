"""argocd.sync and argocd.rollback against an Argo CD that answers as the real one does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from bot.clients.http import Http
from bot.clients.kit import Kit
from bot.domain.plan import Plan, Undo
from bot.domain.redaction import Redactor
from bot.errors import BadInput, Drifted, TryLater
from bot.plugins.actions import argocd_rollback, argocd_sync
from tests.clients.served import answering
from tests.support.argocd_api import TOKEN, ArgoCd, commit

A, B, C = commit("a"), commit("b"), commit("c")
KEY = "tocsin-run-1-sync"


class World:
    def __init__(self, server: str, http: Http) -> None:
        self.kit = Kit(None, None, http, Redactor())
        self.server = server

    def sync(self, **options: Any) -> tuple[argocd_sync.Plugin, argocd_sync.Params]:
        given = {"server": self.server, "app": "checkout", **options}
        return argocd_sync.Plugin(self.kit), argocd_sync.Params.model_validate(given)

    def back(self, **options: Any) -> tuple[argocd_rollback.Plugin, argocd_rollback.Params]:
        given = {"server": self.server, "app": "checkout", **options}
        return argocd_rollback.Plugin(self.kit), argocd_rollback.Params.model_validate(given)


@asynccontextmanager
async def serving(argo: ArgoCd, token: str = "") -> AsyncIterator[World]:
    async with answering(argo.answer) as server:
        known = {server.removeprefix("http://"): {"Authorization": token}} if token else {}
        async with Http(Redactor(), credentials=known) as http:
            yield World(server, http)


async def planned(pair: tuple[Any, Any]) -> Plan:
    action, params = pair
    plan: Plan = action.plan(await action.look(params), params)
    return plan


async def done(pair: tuple[Any, Any]) -> Plan:
    action, params = pair
    plan = await planned(pair)
    await action.do(plan, params, KEY)
    return plan


async def missing(pair: tuple[Any, Any]) -> str | None:
    action, params = pair
    words: str | None = action.verify(await action.look(params), params)
    return words


def shown(plan: Plan) -> list[str]:
    return [str(diff) for diff in plan.diffs]


# ------------------------------------------------------------------------------------------------ sync


async def test_a_sync_shows_the_revision_and_what_is_out_of_sync_and_sends_exactly_that_commit() -> None:
    argo = ArgoCd(A, git=B)
    async with serving(argo) as world:
        plan = await done(world.sync())
        assert shown(plan) == [f"revision: {A[:7]} -> {B[:7]}", "out of sync: Deployment shop/checkout -> none"]
        assert argo.asked == [
            (
                "sync",
                {
                    "name": "checkout",
                    "revision": B,
                    "prune": False,
                    "dryRun": False,
                    "infos": [{"name": "tocsin", "value": KEY}],
                },
            )
        ]
        assert await missing_or_running(world.sync()) == "Argo CD application checkout: an operation is running"
        argo.finish()
        assert await missing(world.sync()) is None
        assert not await planned(world.sync())


async def missing_or_running(pair: tuple[Any, Any]) -> str | None:
    with pytest.raises(TryLater, match="an operation is running"):
        await planned(pair)
    return await missing(pair)


async def test_a_sync_that_failed_says_why_and_can_be_planned_again() -> None:
    argo = ArgoCd(A, git=B)
    async with serving(argo) as world:
        await done(world.sync())
        argo.finish("Failed", "one or more objects failed to apply: password=hunter2")
        words = await missing(world.sync())
        assert words is not None and "the last operation failed: one or more objects failed to apply" in words
        assert "hunter2" not in words
        assert await planned(world.sync())


async def test_a_sync_of_an_application_that_stays_ill_does_not_verify() -> None:
    argo = ArgoCd(A, git=B)
    async with serving(argo) as world:
        await done(world.sync())
        argo.finish()
        argo.health = "Degraded"
        assert await missing(world.sync()) == "Argo CD application checkout is Degraded"


async def test_a_named_revision_must_be_a_commit_and_is_deployed_once() -> None:
    argo = ArgoCd(A, B)
    async with serving(argo) as world:
        with pytest.raises(BadInput, match=r"'v1\.4\.1' is not a commit: give all 40 hex digits"):
            await planned(world.sync(revision="v1.4.1"))
        plan = await done(world.sync(revision=A))
        assert shown(plan)[0] == f"revision: {B[:7]} -> {A[:7]}"
        argo.finish()
        assert not await planned(world.sync(revision=A))
        assert await missing(world.sync(revision=A)) is None


async def test_with_automated_sync_no_commit_is_sent_and_none_can_be_named() -> None:
    argo = ArgoCd(A, git=B, automated={"prune": True})
    async with serving(argo) as world:
        with pytest.raises(BadInput, match="syncs by itself"):
            await planned(world.sync(revision=A))
        pair = world.sync()
        plan = await done(pair)
        assert "revision" not in argo.asked[0][1]
        assert pair[0].undo(plan, {}, pair[1]) is None


async def test_automated_sync_that_is_disabled_counts_as_off() -> None:
    argo = ArgoCd(A, git=B, automated={"enabled": False})
    async with serving(argo) as world:
        assert not await planned(world.sync(revision=A))
        assert (await planned(world.sync())).want["request"]["revision"] == B


async def test_a_sync_of_another_commit_than_was_planned_is_drift() -> None:
    argo = ArgoCd(A, git=B)
    async with serving(argo) as world:
        action, params = world.sync()
        plan = await planned((action, params))
        argo.git = C
        with pytest.raises(Drifted):
            await action.do(plan, params, KEY)
        assert argo.asked == []


async def test_an_answer_that_is_lost_is_uncertain_and_then_found_done() -> None:
    argo = ArgoCd(A, git=B)
    async with serving(argo) as world:
        argo.lose = True
        with pytest.raises(TryLater) as raised:
            await done(world.sync())
        assert raised.value.uncertain
        argo.finish()
        assert not await planned(world.sync())
        assert len(argo.asked) == 1


async def test_a_sync_is_undone_by_a_rollback_to_the_id_from_before() -> None:
    argo = ArgoCd(A, git=B)
    async with serving(argo) as world:
        action, params = world.sync()
        plan = await done((action, params))
        argo.finish()
        undo = action.undo(plan, {}, params)
        assert undo == Undo(
            action="argocd.rollback", with_={"server": world.server, "app": "checkout", "to": 0, "prune": False}
        )
        back = world.back(**{key: value for key, value in undo.with_.items() if key not in ("server", "app")})
        assert shown(await done(back)) == [
            f"revision: {B[:7]} (id 1) -> {A[:7]} (id 0) (runs registry.example/checkout:1.4.2)"
        ]
        argo.finish()
        assert argo.history[-1]["revision"] == A


async def test_what_prune_would_delete_is_shown_and_many_resources_are_bounded() -> None:
    argo = ArgoCd(A, git=B)
    argo.resources = [{"kind": "ConfigMap", "name": f"c{n:02}", "status": "OutOfSync"} for n in range(14)]
    argo.resources.append({"kind": "Secret", "name": "a", "status": "OutOfSync", "requiresPruning": True})
    async with serving(argo) as world:
        line = shown(await planned(world.sync(prune=True)))[1]
        assert line.startswith("out of sync: ConfigMap c00, ConfigMap c01")
        assert line.endswith("and 5 more -> none (deletes Secret a)")
        first = await planned(world.sync())
        argo.resources[13]["name"] = "other"
        assert (await planned(world.sync())).digest != first.digest


# ------------------------------------------------------------------------------------------------ rollback


async def test_a_rollback_goes_back_to_the_deployment_before_and_a_second_run_plans_nothing() -> None:
    argo = ArgoCd(A, B)
    async with serving(argo) as world:
        assert shown(await done(world.back()))[0].startswith(f"revision: {B[:7]} (id 1) -> {A[:7]} (id 0)")
        assert await missing_or_running(world.back()) == "Argo CD application checkout: an operation is running"
        argo.finish()
        assert await missing(world.back()) is None
        assert not await planned(world.back())
        assert not await planned(world.back(to=0))
        assert argo.asked == [("rollback", {"name": "checkout", "id": 0, "prune": False, "dryRun": False})]


async def test_a_rollback_with_automated_sync_is_refused_in_clear_words() -> None:
    async with serving(ArgoCd(A, B, automated={})) as world:
        with pytest.raises(BadInput, match=r"syncs by itself .* Turn automated sync off first"):
            await planned(world.back())


async def test_what_was_deployed_after_the_trouble_began_is_not_the_suspect() -> None:
    argo = ArgoCd(A, B, C)
    async with serving(argo) as world:
        began = argo.now - timedelta(minutes=30)
        plan = await done(world.back(before=began.isoformat()))
        assert shown(plan)[0].startswith(f"revision: {C[:7]} (id 2) -> {A[:7]} (id 0)")
        argo.finish()
        assert not await planned(world.back(before=began.isoformat()))


async def test_an_old_deployment_is_no_suspect_unless_it_is_named() -> None:
    argo = ArgoCd(A, B)
    async with serving(argo) as world:
        late = (argo.now + timedelta(days=3)).isoformat()
        with pytest.raises(BadInput, match="nothing was deployed in the 1 d before"):
            await planned(world.back(before=late))
        assert await planned(world.back(before=late, to=0))


async def test_after_a_sync_that_failed_half_way_it_goes_back_to_what_was_deployed_last() -> None:
    argo = ArgoCd(A, B, git=C)
    async with serving(argo) as world:
        await done(world.sync())
        argo.finish("Failed", "timed out")
        pair = world.back()
        plan = await done(pair)
        assert shown(plan)[0].startswith(f"revision: {C[:7]} (id 2, failed) -> {B[:7]} (id 1)")
        assert pair[0].undo(plan, {}, pair[1]) is None
        argo.finish()
        assert not await planned(pair)


async def test_a_rollback_is_undone_by_going_to_the_id_it_came_from() -> None:
    argo = ArgoCd(A, B)
    async with serving(argo) as world:
        action, params = world.back()
        plan = await done((action, params))
        argo.finish()
        undo = action.undo(plan, {}, params)
        assert undo is not None and undo.with_["to"] == 1
        await done(world.back(to=1))
        argo.finish()
        assert argo.history[-1]["revision"] == B


async def test_somebody_elses_deployment_is_drift() -> None:
    argo = ArgoCd(A, B)
    async with serving(argo) as world:
        action, params = world.back()
        plan = await planned((action, params))
        argo.deployed(C, argo.source)
        with pytest.raises(Drifted):
            await action.do(plan, params, KEY)


async def test_a_history_that_has_no_such_id_says_which_it_has() -> None:
    async with serving(ArgoCd(A, B)) as world:
        with pytest.raises(BadInput, match=r"no id 9 in its history \(it has: 0, 1\)"):
            await planned(world.back(to=9))
    async with serving(ArgoCd(A)) as world:
        with pytest.raises(BadInput, match="nothing good in its history from before id 0"):
            await planned(world.back())


async def test_images_that_the_sources_name_are_shown() -> None:
    argo = ArgoCd(A)
    argo.history[0]["source"] = {**argo.source, "kustomize": {"images": ["checkout:1.4.1"]}}
    argo.deployed(A, {**argo.source, "kustomize": {"images": ["checkout:1.4.2"]}})
    async with serving(argo) as world:
        assert shown(await planned(world.back())) == [
            f"revision: {A[:7]} (id 1) -> {A[:7]} (id 0) (image checkout:1.4.2 -> checkout:1.4.1)"
        ]


# ------------------------------------------------------------------------------------------------ both


async def test_the_token_comes_from_the_configuration_and_its_lack_is_explained() -> None:
    argo = ArgoCd(A, B)
    argo.token = TOKEN
    async with serving(argo) as world:
        with pytest.raises(
            BadInput, match=r"Argo CD does not know the bot: .* answered 401.* into `http:` of tocsin.yaml, under 127"
        ):
            await planned(world.back())
    async with serving(argo, TOKEN) as world:
        assert await planned(world.back())


async def test_an_unknown_application_is_said_with_the_servers_words() -> None:
    async with serving(ArgoCd(A)) as world:
        action, params = world.sync(app="other")
        with pytest.raises(BadInput, match=r"Argo CD: .* answered 404"):
            await action.look(params)


def test_policy_judges_the_application_and_the_host() -> None:
    params = argocd_sync.Params(server="https://argocd.example/", app="checkout")
    target = argocd_sync.Plugin(Kit(None, None, Http(str), str)).target(params)
    assert (target.name, target.host, target.lock) == ("checkout", "argocd.example", "argocd.example/argocd//checkout")


@pytest.mark.parametrize(
    "wrong",
    [
        {"app": "Check out"},
        {"app": "../admin"},
        {"server": "argocd.example"},
        {"server": "https://ada:pw@argocd.example"},
        {"server": "https://argocd.example/?x=1"},
        {"namespace": "a/b"},
        {"revision": "a b"},
    ],
)
def test_bad_parameters_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        argocd_sync.Params.model_validate({"server": "https://argocd.example", "app": "checkout", **wrong})


# ------------------------------------------------------------------------------------------------ tests of runbooks

OFFLINE = Kit(None, None, Http(str), Redactor())
NAMED = {"server": "https://argocd.example", "app": "checkout"}


@pytest.mark.parametrize(
    ("plugin", "options", "given"),
    [
        (argocd_sync, {}, {}),
        (argocd_sync, {"revision": A}, {"deployed": B}),
        (argocd_sync, {}, {"deployed": A, "git": A, "out_of_sync": ["ConfigMap prices"]}),
        (argocd_sync, {}, {"deployed": A, "git": A, "failed": "hook failed"}),
        (argocd_rollback, {}, {}),
        (argocd_rollback, {"before": "2026-11-21T03:00:00Z"}, {}),
        (argocd_rollback, {"to": 1}, {"history": [{"revision": A}, {"revision": B}, {"revision": C}]}),
        (argocd_rollback, {}, {"failed": C}),
    ],
)
def test_given_facts_make_a_plan_that_is_empty_once_it_is_done(
    plugin: Any, options: dict[str, Any], given: dict[str, Any]
) -> None:
    action, params = plugin.Plugin(OFFLINE), plugin.Params.model_validate({**NAMED, **options})
    state = action.facts(given, params)
    plan = action.plan(state, params)
    assert plan
    after = action.after(state, plan, params)
    assert not action.plan(after, params)
    assert action.verify(after, params) is None
    assert action.after(after, action.plan(after, params), params) == after


def test_a_fact_that_is_none_names_the_nearest() -> None:
    action, params = argocd_sync.Plugin(OFFLINE), argocd_sync.Params.model_validate(NAMED)
    with pytest.raises(BadInput, match='did you mean "deployed"'):
        action.facts({"deploed": A}, params)


def test_given_facts_can_say_that_an_operation_runs() -> None:
    action, params = argocd_rollback.Plugin(OFFLINE), argocd_rollback.Params.model_validate(NAMED)
    with pytest.raises(TryLater):
        action.plan(action.facts({"running": True}, params), params)
