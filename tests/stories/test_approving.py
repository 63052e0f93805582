"""A click on Approve counts once, for exactly the plan that was shown, by somebody who may, in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.domain.run import RunState
from bot.practice.workspace.state import Message
from tests.support.program import Program, program

ROLLED_BACK = ["patch deployments checkout"]


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Program]:
    """An incident whose rollback waits for approval; nobody is paged for a while."""
    patient = {"oncall.policies.shop.levels[0].timeout": "2h"}
    async with program(tmp_path, patient) as running:
        await running.alert()
        await running.until(lambda: "tocsin_approve" in running.text("inc-1"))
        yield running


def copy_of(message: Message) -> Message:
    """The message as it is shown now, as somebody still sees it whose client has not been told of an update."""
    return Message(message.ts, message.user, message.text, [*message.blocks], metadata=message.metadata)


async def run_state(it: Program) -> RunState:
    return (await it.tocsin.incidents.show(1)).runs[0].state


async def press_as_seen(it: Program, user: str, seen: Message) -> str:
    """Click a button of a message as it looked earlier."""
    channel = it.channel("inc-1")
    now = channel.messages[seen.ts]
    channel.messages[seen.ts] = seen
    try:
        return await it.press(user, channel, seen, "tocsin_approve")
    finally:
        channel.messages[seen.ts] = now


async def test_two_people_click_at_the_same_moment_and_it_happens_once(it: Program) -> None:
    channel, message = it.channel("inc-1"), it.button("tocsin_approve")
    acts = it.world.workspace.acts
    await asyncio.gather(
        *(acts.click(user, channel.id, message.ts, "tocsin_approve") for user in ("U0ADA", "U0BOB", "U0ADA"))
    )
    await it.soon(lambda: len(channel.ephemerals) == 3)
    answers = [one.text for one in channel.ephemerals.values()]
    assert sum("Approved" in text for text in answers) == 1
    assert sum("not waiting for this approval any more" in text or "taken already" in text for text in answers) == 2
    await it.wait(30)
    assert await run_state(it) is RunState.SUCCEEDED
    assert it.writes() == ROLLED_BACK
    timeline = (await it.tocsin.incidents.show(1)).timeline
    assert [entry.kind for entry in timeline].count("run_approved") == 1


async def test_a_button_of_an_older_plan_does_nothing_after_the_world_has_changed(it: Program) -> None:
    seen = copy_of(it.button("tocsin_approve"))
    it.world.cluster.bad_images.add("checkout:1.4.3")
    it.world.cluster.set_image("shop", "checkout", "checkout:1.4.3")
    await it.wait(2)
    assert "Approved" in await it.click("U0BOB", "tocsin_approve")
    await it.wait(3)
    assert await run_state(it) is not RunState.SUCCEEDED
    assert "This needs a new approval" in it.text("inc-1") or "changed" in it.text("inc-1")
    assert it.writes() == []
    answer = await press_as_seen(it, "U0ADA", seen)
    assert "has changed since that message" in answer or "not waiting for this approval any more" in answer
    await it.wait(5)
    assert it.writes() == []


async def test_somebody_without_the_role_is_told_who_has_it(it: Program) -> None:
    answer = await it.click("U0PRIYA", "tocsin_approve")
    assert "Only the role responders may approve" in answer
    assert "Ada Lovelace, Bob Kahn, Chen Ning" in answer
    await it.wait(5)
    assert await run_state(it) is RunState.WAITING
    assert it.writes() == []


async def test_nobody_clicks_for_half_an_hour_and_that_means_no(it: Program) -> None:
    seen = copy_of(it.button("tocsin_approve"))
    await it.wait(29 * 60, step=60)
    assert await run_state(it) is RunState.WAITING
    await it.wait(120, step=30)
    assert await run_state(it) is RunState.EXPIRED
    assert "nobody approved it in time" in it.text("inc-1")
    assert "tocsin_approve" not in it.text("inc-1")
    assert "not waiting for this approval any more" in await press_as_seen(it, "U0BOB", seen)
    assert it.writes() == []


async def test_no_ends_the_run_and_nothing_is_done(it: Program) -> None:
    answer = await it.click("U0BOB", "tocsin_refuse")
    assert "Nothing was done" in answer
    await it.wait(5)
    assert await run_state(it) is RunState.REFUSED
    assert "Bob Kahn refused" in it.text("inc-1") or "Bob Kahn said no" in it.text("inc-1")
    assert it.writes() == []


async def test_a_second_run_finds_nothing_to_do(it: Program) -> None:
    await it.click("U0BOB", "tocsin_approve")
    await it.wait(30)
    assert it.writes() == ROLLED_BACK
    assert "RUN-2" in await it.command("U0BOB", "runbook INC-1 rollback-bad-deployment")
    await it.wait(90, step=5)
    runs = (await it.tocsin.incidents.show(1)).runs
    assert runs[1].state in (RunState.FAILED, RunState.SUCCEEDED), "it does not wait for anybody"
    assert it.writes() == ROLLED_BACK
