"""What the post-mortem says of runs that really took place: the engine writes the timeline, the review reads it."""

from __future__ import annotations

from typing import Any

from bot.clients.render import JinjaTemplates
from bot.domain.allowance import Allowance, Limits
from bot.domain.policy import Policy as ActionPolicy
from bot.domain.review import facts
from bot.domain.runbook import Runbook
from bot.store import open_store
from tests.support.house import ADA, BOB, House, rules

STEPS = [
    {"id": "which", "action": "ask", "with": {"question": "Which way?", "choices": ["left", "right"]}},
    {"id": "tick", "action": "manual", "with": {"do": "Look at the lamp", "answer": "What colour is it?"}},
    {"id": "left", "action": "fake.set", "if": "steps.which.answer == 'left'", "with": {"name": "left", "to": 1}},
    {"id": "each", "action": "fake.set", "foreach": ["a", "b"], "with": {"name": "{{ item }}", "to": 5}},
    {"id": "rest", "action": "wait", "with": {"for": "1m"}},
    {"id": "last", "action": "fake.set", "with": {"name": "checkout", "to": 5}},
]


async def house_of() -> House:
    book = Runbook.model_validate({"name": "fix", "title": "Fix it", "start": "manual", "steps": STEPS})
    allow = (Allowance(actions=("fake.*",), namespaces=("shop",)),)
    policy = ActionPolicy(allow=allow, runbooks=Limits(break_glass=("responders",)))
    house = House(await open_store("memory://"), rules(runbooks={"fix": book}, actions=policy))
    await house.receive(house.alert())
    await house.runbooks.start(1, "fix", {}, ADA)
    await house.settle()
    await house.decisions.answer(1, "which", "right", BOB)
    await house.settle()
    await house.decisions.answer(1, "tick", "amber", ADA)
    await house.settle()
    return house


async def approve(house: House, step_id: str, run_id: int = 1, glass: str = "") -> None:
    step = (await house.run(run_id)).find(step_id)
    assert step is not None
    assert step.plan is not None, step
    if glass:
        await house.decisions.break_glass(run_id, step_id, step.plan.digest, glass, ADA)
    else:
        await house.decisions.approve(run_id, step_id, step.plan.digest, ADA)
    await house.settle()


async def reviewed(house: House) -> dict[str, Any]:
    shown = await house.incidents.show(1)
    found = facts(shown.incident, shown.timeline)
    again = facts(shown.incident, shown.timeline)
    assert JinjaTemplates().postmortem(found) == JinjaTemplates().postmortem(again)
    return found


async def test_a_run_to_its_end_and_its_undo() -> None:
    house = await house_of()
    await approve(house, "each[1]")
    await approve(house, "each[2]", glass="the shop is down")
    await house.wait(minutes=2)
    await approve(house, "last")
    (run,) = (await reviewed(house))["runs"]
    states = {step["title"]: step["state"] for step in run["steps"]}
    assert states == {
        "which": "done", "tick": "done", "left": "skipped", "each (a)": "done", "each (b)": "done", "rest": "done", "last": "done",
    }  # fmt: skip
    assert run["state"] == "succeeded"
    assert run["answers"] == [
        {"step": "which", "asked": "Which way?", "answer": "right", "by": "Bob"},
        {"step": "tick", "asked": "Look at the lamp", "answer": "amber", "by": "Ada"},
    ]
    assert run["broken_glass"] == [{"by": "Ada", "step": "each (b)", "reason": "the shop is down"}]

    await house.decisions.undo(1, BOB)
    await house.settle()
    for step_id in ("undo.last", "undo.each[2]", "undo.each[1]"):
        await approve(house, step_id, 2)
    found = await reviewed(house)
    assert [(one["ref"], one["undoes"], one["undone_by"]) for one in found["runs"]] == [
        ("RUN-1", "", ["RUN-2"]),
        ("RUN-2", "RUN-1", []),
    ]
    assert "What was taken back: RUN-1. The glass was broken for RUN-1." in found["summary"]
    text = JinjaTemplates().postmortem(found)
    assert "> **The glass was broken.**\n> **Ada**, for each (b): the shop is down" in text
    assert "It took back RUN-1." in text


async def test_a_run_that_is_cancelled_half_way() -> None:
    house = await house_of()
    await approve(house, "each[1]")
    await house.decisions.cancel(1, BOB)
    (run,) = (await reviewed(house))["runs"]
    states = {step["title"]: step["state"] for step in run["steps"]}
    assert states == {"which": "done", "tick": "done", "left": "skipped", "each (a)": "done", "each (b)": "not done"}
    assert run["state"] == "cancelled"
    assert "cancelled: Bob cancelled it; what was done before stays done (each (a))" in run["ended"]
    text = JinjaTemplates().postmortem(await reviewed(house))
    assert "### RUN-1: Fix it (cancelled)" in text
    assert "What was run and verified" not in text
