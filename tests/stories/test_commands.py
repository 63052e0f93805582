"""`/incident …` from the workspace to the database and back, in an incident's channel and outside of one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.domain.incident import State
from bot.domain.run import RunState
from tests.support.program import Program, program


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Program]:
    async with program(tmp_path) as running:
        await running.alert()
        await running.settle()
        yield running


async def test_a_whole_incident_by_commands_alone(it: Program) -> None:
    assert "`/incident ack [INC-7]`" in await it.command("U0BOB", "help")
    assert "INC-1" in await it.command("U0BOB", "list")
    shown = await it.command("U0BOB", "show", "inc-1")
    assert "error ratio 30% on shop/checkout" in shown
    assert "Paging" in shown

    assert "INC-1 is yours" in await it.command("U0BOB", "ack", "inc-1")
    assert "is acknowledged already by Bob Kahn" in await it.command("U0ADA", "ack", "inc-1")
    assert "Noted" in await it.command("U0BOB", "note the cache was cold", "inc-1")
    assert "INC-1 is warning now" in await it.command("U0BOB", "severity warning", "inc-1")
    asked = await it.command("U0BOB", "runbook scale-deployment replicas=5 namespace=shop deployment=cart", "inc-1")
    assert "RUN-2 is looking and planning" in asked
    assert "RUN-2" in it.text("inc-1")
    assert "+ replicas: 5" in it.text("inc-1")
    assert it.writes() == []

    await it.click("U0ADA", "tocsin_approve")
    await it.wait(30)
    runs = {run.ref: run.state for run in (await it.tocsin.incidents.show(1)).runs}
    assert runs["RUN-2"] is RunState.SUCCEEDED
    assert it.writes() == ["patch deployments/scale cart"] or it.writes() == ["patch deployments cart"]

    draft = await it.command("U0BOB", "postmortem", "inc-1")
    assert "INC-1.md" in draft
    assert "INC-1 is resolved" in await it.command("U0BOB", "resolve the cache is warm", "inc-1")
    await it.wait(5)
    incident = await it.incident()
    assert incident.state is State.RESOLVED
    written = it.read(incident.postmortem_path)
    assert "the cache was cold" in written
    assert "the cache is warm" in written


async def test_outside_its_channel_a_command_needs_the_number(it: Program) -> None:
    assert "Which incident?" in await it.command("U0BOB", "ack")
    assert (await it.incident()).state is State.TRIGGERED
    for written in ("inc-1", "INC1", "#1"):
        assert "INC-1" in await it.command("U0BOB", f"show {written}")
    assert "INC-1 is yours" in await it.command("U0BOB", "ack INC-1")


async def test_an_incident_opened_by_hand_has_a_channel_with_its_opener(it: Program) -> None:
    assert "INC-2 is open" in await it.command("U0PRIYA", "open warning the shop is slow")
    (channel,) = it.channels("inc-2")
    assert "U0PRIYA" in channel.members
    assert "the shop is slow" in it.text("inc-2")


WRONG = {
    "akc": "did you mean ack",
    "shwo INC-1": "did you mean show",
    "show INC-99": "There is no INC-99",
    "ack INC-99": "There is no INC-99",
    "note INC-99 x": "There is no INC-99",
    "resolve INC-999999999": "There is no INC-999999999",
    "runbook INC-99 scale-deployment": "There is no INC-99",
    "postmortem INC-99": "There is no INC-99",
    "severity INC-1 kritical": "did you mean critical",
    "runbook INC-1 scale-deploymnet": "did you mean scale-deployment",
    "runbook INC-1 scale-deployment": "needs replicas",
    "runbook INC-1 scale-deployment replicas=many": "replicas",
    "runbook INC-1 scale-deployment repilcas=2": "did you mean replicas? It has: namespace, deployment, replicas.",
    "runbook INC-1 scale-deployment replicas": "is not `key=value`",
    "runbook INC-1 scale-deployment replicas='2": "no partner",
    "💥" * 2000: "There is no `/incident",
}


async def test_what_is_wrong_says_what_to_type_instead_and_changes_nothing(it: Program) -> None:
    before = (await it.tocsin.incidents.show(1)).timeline
    for text, said in WRONG.items():
        answer = await it.command("U0BOB", text)
        assert said in answer.replace('\\"', ""), text
        assert "Traceback" not in answer
    assert (await it.tocsin.incidents.show(1)).timeline == before
