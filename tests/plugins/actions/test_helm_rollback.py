"""helm.rollback: the history from real-shaped Secrets, and a `helm` that works on the same cluster."""

from __future__ import annotations

import asyncio
import base64
import gzip
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bot.clients import helm
from bot.clients.http import Http
from bot.clients.k8s import Kubernetes
from bot.clients.kit import Kit
from bot.domain.plan import Plan
from bot.domain.redaction import Redactor
from bot.errors import BadInput, Drifted, TryLater
from bot.plugins.actions.helm_rollback import Params, Plugin
from tests.clients.served import answering
from tests.support.helm_releases import TOKEN, HelmCluster, program, secret

OFFLINE = Plugin(Kit(None, None, Http(str), str))


@dataclass
class World:
    cluster: HelmCluster
    kit: Kit
    folder: Path

    def action(self, extra: str = "") -> Plugin:
        return Plugin(self.kit, program(self.folder, extra))

    async def plan(self, **options: Any) -> Plan:
        action, params = Plugin(self.kit), named(**options)
        return action.plan(await action.look(params), params)

    async def do(self, **options: Any) -> tuple[Plan, dict[str, Any]]:
        plan = await self.plan(**options)
        return plan, await self.action().do(plan, named(**options), "key")

    async def missing(self, **options: Any) -> str | None:
        action, params = Plugin(self.kit), named(**options)
        return action.verify(await action.look(params), params)


def named(**options: Any) -> Params:
    return Params.model_validate({"namespace": "shop", "release": "checkout", **options})


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    cluster = HelmCluster()
    cluster.upgrade("1.8.2", description="Install complete")
    cluster.upgrade("1.9.0")
    async with answering(cluster.answer) as server:
        api = await Kubernetes.connect(url=server, token=TOKEN)
        yield World(cluster, Kit(api, None, Http(str), Redactor()), tmp_path)
        await api.close()


async def test_a_release_goes_back_to_the_revision_before_and_a_second_run_plans_nothing(world: World) -> None:
    began = (world.cluster.now + timedelta(minutes=5)).isoformat()
    plan, result = await world.do(before=began)
    assert [str(diff) for diff in plan.diffs] == [
        "revision: 2 -> 1 (chart shop-1.9.0 -> shop-1.8.2, app v1.9.0 -> v1.8.2)"
    ]
    assert result == {"from": 2, "to": 1, "output": "Rollback was a success! Happy Helming!"}
    assert world.cluster.calls == [["rollback", "checkout", "1", "--namespace=shop", "--wait=false", "--timeout=25s"]]
    assert await world.missing() is None
    for options in ({}, {"to": 1}, {"to": 3}, {"before": began}):
        assert not await world.plan(**options)


async def test_nothing_of_manifests_and_values_is_kept(world: World) -> None:
    state = await world.action().look(named())
    assert "hunter2" not in str(state)
    assert [one["chart"] for one in state["revisions"]] == ["shop-1.8.2", "shop-1.9.0"]


async def test_revisions_that_differ_in_their_values_only_are_different(world: World) -> None:
    world.cluster.upgrade("1.9.0", replicas=1)
    assert [str(diff) for diff in (await world.plan()).diffs] == ["revision: 3 -> 2 (chart shop-1.9.0)"]


async def test_a_long_history_is_read_page_by_page(world: World) -> None:
    for number in range(30):
        world.cluster.upgrade(f"2.0.{number}")
    assert str((await world.plan()).diffs[0]).startswith("revision: 32 -> 31 (chart shop-2.0.29 -> shop-2.0.28")
    assert str((await world.plan(to=1)).diffs[0]).startswith("revision: 32 -> 1 ")


async def test_it_is_undone_by_going_to_the_revision_it_came_from(world: World) -> None:
    plan, _ = await world.do()
    undo = OFFLINE.undo(plan, {}, named())
    assert undo is not None and undo.action == "helm.rollback"
    params = Params.model_validate(undo.with_)
    assert params.to == 2
    await world.do(to=2)
    assert world.cluster.releases[-1]["chart"]["metadata"]["version"] == "1.9.0"


async def test_after_an_upgrade_that_failed_it_goes_back_to_what_ran(world: World) -> None:
    world.cluster.upgrade("2.0.0", status="failed", description="Upgrade failed: timed out")
    plan, _ = await world.do()
    assert str(plan.diffs[0]).startswith("revision: 3 (failed) -> 2 (chart shop-2.0.0 -> shop-1.9.0")
    assert OFFLINE.undo(plan, {}, named()) is None
    assert not await world.plan()
    with pytest.raises(BadInput, match="revision 3 is failed: it cannot be gone back to"):
        await world.plan(to=3)


async def test_while_another_helm_is_at_work_nothing_is_planned(world: World) -> None:
    world.cluster.upgrade("2.0.0", status="pending-upgrade", description="Preparing upgrade")
    with pytest.raises(TryLater, match="another Helm is at work: revision 3 is pending-upgrade"):
        await world.plan()


async def test_a_rollback_that_was_stopped_half_way_does_not_verify(world: World) -> None:
    world.cluster.upgrade("1.8.2", status="pending-rollback", description="Rollback to 1")
    assert not await world.plan()
    assert await world.missing() == "Helm release shop/checkout: revision 3 is pending-rollback: Rollback to 1"


async def test_an_upgrade_since_the_plan_is_drift(world: World) -> None:
    plan = await world.plan()
    world.cluster.upgrade("2.0.0")
    with pytest.raises(Drifted):
        await world.action().do(plan, named(), "key")
    assert world.cluster.calls == []


async def test_what_helm_says_when_it_fails_is_redacted(world: World) -> None:
    world.cluster.says = (1, "Error: release has no 1 version, password=hunter2")
    with pytest.raises(BadInput, match=r"helm rollback ended with 1: Error: release has no 1 version") as raised:
        await world.do()
    assert "hunter2" not in str(raised.value)


async def test_a_helm_that_does_not_come_back_is_stopped_and_uncertain(world: World, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    action = world.action(f'open("{pid}", "w").write(str(os.getpid())); time.sleep(60)')
    plan = await world.plan(timeout="PT1S")
    with pytest.raises(TryLater, match="did not come back in 1 s") as raised:
        await action.do(plan, named(timeout="PT1S"), "key")
    assert raised.value.uncertain
    assert not Path(f"/proc/{pid.read_text()}").exists()
    assert not list(Path(tempfile.gettempdir()).glob("tocsin-helm-*/kubeconfig"))


async def test_a_step_that_is_cancelled_leaves_no_helm_behind(world: World, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    action = world.action(
        f'open("{pid}.part", "w").write(str(os.getpid())); os.rename("{pid}.part", "{pid}"); time.sleep(60)'
    )
    plan = await world.plan()
    doing = asyncio.create_task(action.do(plan, named(), "key"))
    while not pid.exists():
        await asyncio.sleep(0.01)
    doing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await doing
    assert not Path(f"/proc/{pid.read_text()}").exists()


async def test_endless_output_is_bounded(world: World) -> None:
    action = world.action('print("x" * 1_000_000)')
    result = await action.do(await world.plan(), named(), "key")
    assert len(result["output"]) == helm.MOST_OUTPUT


async def test_a_helm_that_is_not_installed_is_said_before_anything_happens(world: World) -> None:
    action = Plugin(world.kit, str(world.folder / "nowhere"))
    with pytest.raises(BadInput, match="is not installed where Tocsin runs: put Helm 3 or 4 into a folder of its PATH"):
        await action.do(await world.plan(), named(), "key")


async def test_a_missing_right_names_the_rule_and_a_missing_release_the_label(world: World) -> None:
    with pytest.raises(BadInput, match="there is no release other in namespace shop"):
        await world.action().look(named(release="other"))
    world.cluster.forbidden = True
    with pytest.raises(
        BadInput, match=r"may not list secrets in namespace shop: .*resources:? \[secrets\], verbs:? \[list\]"
    ):
        await world.action().look(named())


def release(**changed: Any) -> dict[str, Any]:
    cluster = HelmCluster()
    cluster.upgrade("1.0.0")
    return {**cluster.releases[0], **changed}


def packed(content: bytes) -> dict[str, Any]:
    inner = base64.b64encode(content)
    return {"metadata": {"name": "sh.helm.release.v1.a.v1"}, "data": {"release": base64.b64encode(inner).decode()}}


@pytest.mark.parametrize(
    "broken",
    [
        {"metadata": {"name": "sh.helm.release.v1.a.v1"}},
        {"metadata": {"name": "sh.helm.release.v1.a.v1"}, "data": {"release": "***"}},
        packed(b"{}"),
        packed(b"\x1f\x8b\x08garbage"),
        packed(gzip.compress(b"[1, 2]")),
        secret(release(info={"last_deployed": "yesterday", "status": "deployed"})),
    ],
)
def test_a_secret_that_is_no_release_is_said_by_name_without_its_content(broken: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"the Secret sh\.helm\.release\.v1\.\w+\.v1 is not a release") as raised:
        helm.revision(broken)
    assert "yesterday" not in str(raised.value)


def test_a_release_that_unpacks_to_too_much_is_refused() -> None:
    with pytest.raises(BadInput, match="larger than 8,000,000 bytes"):
        helm.revision(packed(gzip.compress(b" " * (helm.MOST_UNPACKED + 10))))


def test_a_release_with_an_offset_and_nanoseconds_is_read() -> None:
    info = {"last_deployed": "2026-11-21T04:12:05.123456789+01:00", "status": "deployed"}
    found = helm.revision(secret(release(info=info)))
    assert found.at.isoformat() == "2026-11-21T04:12:05.123456+01:00"
    assert (found.good, found.chart, found.app_version) == (True, "shop-1.0.0", "v1.0.0")


@pytest.mark.parametrize(
    "wrong",
    [
        {"namespace": "--all"},
        {"release": "-x"},
        {"release": "a b"},
        {"release": "a,owner=x"},
        {"release": "a" * 54},
        {"to": -1},
        {"timeout": "PT1H"},
    ],
)
def test_bad_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        named(**wrong)


def test_policy_judges_the_namespace_and_the_release() -> None:
    target = OFFLINE.target(named())
    assert (target.namespace, target.name, target.locked) == ("shop", "checkout", "shop/helm/checkout")


@pytest.mark.parametrize(
    ("options", "given"),
    [
        ({}, {}),
        ({"before": "2026-11-21T03:00:00Z"}, {}),
        ({"to": 1}, {"revisions": [{"chart": "a-1"}, {"chart": "a-2"}, {"chart": "a-3"}]}),
        ({}, {"revisions": [{"chart": "a-1"}, {"chart": "a-2", "status": "failed"}]}),
    ],
)
def test_given_facts_make_a_plan_that_is_empty_once_it_is_done(options: dict[str, Any], given: dict[str, Any]) -> None:
    params = named(**options)
    state = OFFLINE.facts(given, params)
    plan = OFFLINE.plan(state, params)
    assert plan
    after = OFFLINE.after(state, plan, params)
    assert not OFFLINE.plan(after, params)
    assert OFFLINE.verify(after, params) is None
    with pytest.raises(BadInput, match='did you mean "revisions"'):
        OFFLINE.facts({"revision": []}, params)


def test_an_old_revision_is_no_suspect() -> None:
    params = named(before="2026-11-21T03:00:00Z", within=timedelta(hours=1))
    old = {
        "revisions": [{"chart": "a-1", "at": "2026-11-01T00:00:00Z"}, {"chart": "a-2", "at": "2026-11-02T00:00:00Z"}]
    }
    with pytest.raises(BadInput, match="nothing was deployed in the 1 h before 2026-11-21 03:00 UTC"):
        OFFLINE.plan(OFFLINE.facts(old, params), params)
