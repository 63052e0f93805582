"""Slack or the cluster did what was asked and the answer got lost: it is looked for, not done again."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.domain.incident import State
from tests.support.program import Program, program

pytestmark = pytest.mark.slow  # a whole story for each call whose answer is lost

METHODS = (
    "conversations.create",
    "conversations.setPurpose",
    "conversations.invite",
    "conversations.setTopic",
    "conversations.open",
    "chat.postMessage",
    "chat.update",
    "pins.add",
    "files.getUploadURLExternal",
    "files.completeUploadExternal",
)


async def whole_story(it: Program) -> None:
    await it.alert()
    await it.until(lambda: "tocsin_approve" in it.text("inc-1"))
    await it.wait(30, step=5)
    await it.click("U0BOB", "tocsin_ack")
    await it.click("U0BOB", "tocsin_approve")
    await it.wait(60)
    await it.alert(firing=False)
    await it.wait(120, step=5)


async def nothing_twice(it: Program) -> None:
    assert [channel.name for channel in it.channels("inc-")] == ["inc-1-checkout-high-error-rate"]
    assert sorted(it.message_keys()) == sorted(set(it.message_keys()))
    files = [file.name for file in it.world.workspace.state.files.values() if file.completed]
    assert sorted(files) == sorted(set(files))
    assert len([name for name in files if "post-mortem" in name]) == 1
    assert len([name for name in files if name.endswith(".png")]) == 1
    assert len(it.channel("inc-1").pins) == 1
    assert it.writes() == ["patch deployments checkout"]
    shown = await it.tocsin.incidents.show(1)
    assert shown.incident.state is State.RESOLVED
    assert [run.state.value for run in shown.runs] == ["succeeded"]
    pages = [page for user in ("U0ADA", "U0BOB", "U0CHEN") for page in it.pages(user)]
    assert len(pages) == 1
    backlog = await it.tocsin.store.backlog(it.clock())
    assert sum(one.dead for one in backlog) == 0


@pytest.mark.parametrize("method", METHODS)
async def test_an_answer_of_slack_is_lost(tmp_path: Path, method: str) -> None:
    async with program(tmp_path, {"oncall.policies.shop.levels[0].timeout": "1h"}) as it:
        it.world.workspace.faults.add("lost", method, count=1)
        await whole_story(it)
        assert it.world.workspace.faults.active() == [], "the answer was lost"
        await nothing_twice(it)


async def test_every_second_answer_of_slack_is_lost(tmp_path: Path) -> None:
    async with program(tmp_path, {"oncall.policies.shop.levels[0].timeout": "1h"}) as it:
        it.world.workspace.faults.add("lost", "chat.*", probability=0.5, count=30)
        it.world.workspace.faults.add("lost", "conversations.*", probability=0.5, count=10)
        it.world.workspace.faults.add("lost", "files.*", probability=0.5, count=5)
        await whole_story(it)
        it.world.workspace.faults.clear()
        await it.wait(300, step=30)
        await nothing_twice(it)


async def test_the_answer_of_the_cluster_is_lost(tmp_path: Path) -> None:
    async with program(tmp_path, {"oncall.policies.shop.levels[0].timeout": "1h"}) as it:
        it.world.cluster.fail("lost", verb="patch", resource="deployments")
        await whole_story(it)
        assert it.world.cluster.faults.waiting == []
        patches = [one for one in it.world.cluster.audit if one.verb == "patch" and not one.dry_run]
        assert [one.code for one in patches] == [0], "asked once, and never again"
        (deployment,) = [one for one in it.world.cluster.snapshot()["deployments"] if one["name"] == "checkout"]
        assert deployment["image"] == "checkout:1.4.1"
        shown = await it.tocsin.incidents.show(1)
        assert [run.state.value for run in shown.runs] == ["succeeded"]
        assert sorted(it.message_keys()) == sorted(set(it.message_keys()))


@pytest.mark.parametrize("kind", ["status", "conflict"])
async def test_the_cluster_refuses_at_first(tmp_path: Path, kind: str) -> None:
    async with program(tmp_path, {"oncall.policies.shop.levels[0].timeout": "1h"}) as it:
        it.world.cluster.fail(kind, verb="patch", resource="deployments", count=2)
        await whole_story(it)
        await nothing_twice(it)
