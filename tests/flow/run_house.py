"""A house with one runbook of the test's own, started by hand: what the tests of runs share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.domain.policy import Policy as ActionPolicy
from bot.domain.rules import Rules
from bot.domain.run import Run
from bot.domain.runbook import Runbook
from bot.domain.step import StepState
from bot.store import open_store
from tests.support.house import ADA, House, rules

ALLOWED = (
    {"actions": ["fake.*"], "namespaces": ["shop"]},
    {"actions": ["slack.post", "page"], "names": ["ops", "bob", ""]},
)


def book(*steps: Mapping[str, Any], name: str = "mine", **parts: Any) -> Runbook:
    return Runbook.model_validate({"name": name, "title": name.title(), "start": "manual", "steps": steps, **parts})


def sets(step_id: str, name: str = "checkout", to: Any = 5, **parts: Any) -> dict[str, Any]:
    """A step that sets a number of the fake world."""
    return {"id": step_id, "action": "fake.set", "with": {"name": name, "to": to}, **parts}


def policy(**parts: Any) -> ActionPolicy:
    return ActionPolicy.model_validate({"allow": ALLOWED, **parts})


async def house_with(*books: Runbook, given: ActionPolicy | None = None, **more: Any) -> House:
    """With an incident open."""
    made: Rules = rules(runbooks={one.name: one for one in books}, actions=given or policy(), **more)
    house = House(await open_store("memory://"), made)
    await house.receive(house.alert())
    await house.settle()
    return house


async def started(house: House, name: str = "mine", **params: str) -> Run:
    run = await house.runbooks.start(1, name, params, ADA)
    await house.settle()
    return await house.run(run.id)


async def approve(house: House, run_id: int = 1, actor: Any = ADA) -> Run:
    """Approve everything that waits, one plan after the other, until nothing waits any more."""
    while waiting := [step for step in (await house.run(run_id)).under_way if step.state is StepState.WAITING]:
        for step in waiting:
            assert step.plan is not None
            await house.decisions.approve(run_id, step.id, step.plan.digest, actor)
        await house.settle()
    return await house.run(run_id)


def states(run: Run) -> dict[str, str]:
    return {step.id: step.state.value for step in run.steps}
