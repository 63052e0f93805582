"""Runs beyond the straight way: several people, refusals by policy, acts that must not be repeated, worlds that do not answer."""

from __future__ import annotations

from typing import Any

import pytest

from bot.domain.incident import State
from bot.domain.policy import Policy as ActionPolicy
from bot.domain.run import RunState
from bot.domain.runbook import Runbook
from bot.domain.step import StepState
from bot.errors import BadInput, GaveUp, TryLater
from bot.flow.advance import PATIENCE
from bot.store import open_store
from tests.support.house import ADA, BOB, FIX, House, rules


async def house_of(**approve: Any) -> House:
    book = FIX.model_copy(update={"approve": FIX.approve.model_copy(update=approve)})
    return House(await open_store("memory://"), rules(runbooks={"fix-it": book}))


async def offered(house: House) -> str:
    """An incident with its run waiting; the digest of the plan."""
    await house.receive(house.alert())
    await house.settle()
    run = await house.run()
    assert run.state is RunState.WAITING
    assert run.current.plan is not None
    return run.current.plan.digest


async def test_two_different_people_have_to_say_yes() -> None:
    house = await house_of(people=2)
    digest = await offered(house)
    assert (
        await house.decisions.approve(1, "set", digest, ADA)
        == "Approved. RUN-1 needs 1 more of responders; nothing is done before."
    )
    await house.settle()
    with pytest.raises(BadInput, match="approved RUN-1 already; it needs 2 different people"):
        await house.decisions.approve(1, "set", digest, ADA)
    assert house.world == {"checkout": 1}
    assert await house.decisions.approve(1, "set", digest, BOB) == "Approved: RUN-1 goes on."
    await house.settle()
    assert house.world == {"checkout": 5}


async def test_whoever_asks_for_it_cannot_approve_it_when_the_runbook_says_so() -> None:
    house = await house_of(not_requester=True)
    digest = await offered(house)
    await house.decisions.refuse(1, "set", digest, BOB)
    run = await house.runbooks.start(1, "fix-it", {}, ADA)
    await house.settle()
    planned = (await house.run(run.id)).current.plan
    assert planned is not None
    with pytest.raises(BadInput, match="cannot approve it as well"):
        await house.decisions.approve(run.id, "set", planned.digest, ADA)
    await house.decisions.approve(run.id, "set", planned.digest, BOB)
    await house.settle()
    assert house.world == {"checkout": 5}


async def test_what_policy_does_not_allow_is_never_planned_and_says_why() -> None:
    house = House(await open_store("memory://"), rules(actions=ActionPolicy()))
    await house.receive(house.alert())
    await house.settle()
    run = await house.run()
    assert run.state is RunState.FAILED
    assert "no rule under `allow` lets fake.set touch shop/checkout" in run.current.message
    assert any("no rule under `allow`" in text for text in await house.texts())


async def test_a_policy_that_was_tightened_after_the_approval_still_counts() -> None:
    house = await house_of()
    digest = await offered(house)
    await house.decisions.approve(1, "set", digest, ADA)
    house.rules = rules(actions=ActionPolicy())
    await house.settle()
    assert (await house.run()).state is RunState.FAILED
    assert house.action.writes_done == []


async def test_an_act_that_is_not_safe_to_repeat_is_not_repeated_and_a_person_is_asked() -> None:
    house = await house_of()
    house.action.safe = False
    digest = await offered(house)
    await house.decisions.approve(1, "set", digest, ADA)

    def fails() -> None:
        house.action.before_do.clear()
        raise TryLater("no answer", uncertain=True)

    house.action.before_do.append(fails)
    await house.settle()
    await house.wait(minutes=1)
    run = await house.run()
    assert (run.state, run.current.state) == (RunState.UNSURE, StepState.UNSURE)
    assert "may or may not have taken effect" in run.current.message
    assert house.action.writes_done == []
    assert any("not safe to repeat" in text for text in await house.texts())


async def test_an_act_that_is_safe_to_repeat_is_repeated_with_the_same_key() -> None:
    house = await house_of()
    digest = await offered(house)
    await house.decisions.approve(1, "set", digest, ADA)

    def fails() -> None:
        house.action.before_do.clear()
        raise TryLater("no answer", uncertain=True)

    house.action.before_do.append(fails)
    await house.settle()
    await house.wait(minutes=1)
    assert (await house.run()).state is RunState.SUCCEEDED
    assert house.action.writes_done == ["tocsin-run-1-set"]


async def test_a_world_that_does_not_answer_ends_the_run_after_a_while_with_the_reason() -> None:
    house = await house_of()
    looks = 0

    async def look(params: Any) -> dict[str, Any]:
        nonlocal looks
        looks += 1
        raise TryLater("the cluster does not answer")

    house.action.look = look  # type: ignore[method-assign]
    await house.receive(house.alert())
    for _ in range(20):
        await house.wait(minutes=1)
    run = await house.run()
    assert run.state is RunState.FAILED
    assert run.current.message == "the cluster does not answer"
    assert looks >= 5
    assert run.ended_at is not None
    assert run.ended_at - run.created_at >= PATIENCE
    await house.wait(hours=1)
    assert (await house.run()) == run, "nothing is left running"


async def test_what_fails_for_good_fails_the_run_and_mitigates_nothing() -> None:
    house = await house_of()
    digest = await offered(house)
    await house.decisions.approve(1, "set", digest, ADA)

    def fails() -> None:
        raise GaveUp("the deployment is gone")

    house.action.before_do.append(fails)
    await house.settle()
    assert (await house.run()).state is RunState.FAILED
    assert (await house.incident()).state is State.TRIGGERED
    assert any("the deployment is gone" in text for text in await house.texts())


async def test_what_does_not_verify_in_time_fails_and_says_what_is_missing() -> None:
    house = await house_of()
    digest = await offered(house)
    house.action.verify = lambda state, params: "the pods are not ready"  # type: ignore[method-assign]
    await house.decisions.approve(1, "set", digest, ADA)
    for _ in range(4):
        await house.wait(minutes=2)
    run = await house.run()
    assert run.state is RunState.FAILED
    assert "did not verify: the pods are not ready" in run.current.message
    assert (await house.incident()).state is State.TRIGGERED


async def test_one_run_of_a_runbook_at_a_time_in_an_incident() -> None:
    house = await house_of()
    await offered(house)
    with pytest.raises(BadInput, match="RUN-1 of this runbook is waiting already"):
        await house.runbooks.start(1, "fix-it", {}, BOB)
    with pytest.raises(BadInput, match=r'no runbook called .fix-ti.; did you mean "fix-it"\? There are: fix-it'):
        await house.runbooks.start(1, "fix-ti", {}, BOB)
    with pytest.raises(BadInput, match=r"There is no INC-9"):
        await house.runbooks.start(9, "fix-it", {}, BOB)
    with pytest.raises(BadInput, match="There is no RUN-9"):
        await house.decisions.approve(9, "set", "x", BOB)


@pytest.mark.parametrize(
    ("spec", "given", "value"),
    [
        ({"type": "integer"}, "7", 7),
        ({"type": "integer"}, "seven", "is not of type integer"),
        ({"type": "integer"}, "7.5", "is not of type integer"),
        ({"type": "number"}, "0.05", 0.05),
        ({"type": "boolean"}, "Yes", True),
        ({"type": "boolean"}, "off", False),
        ({"type": "boolean"}, "perhaps", "neither true nor false"),
        ({"pattern": "[a-z]+"}, "shop", "shop"),
        ({"pattern": "[a-z]+"}, "shop/../x", "does not match"),
        ({"pattern": "[a-z]+"}, "shop\n", "has a line break"),
        ({"default": 3, "type": "integer"}, "", 3),
        ({}, "", "needs value"),
    ],
)
async def test_a_parameter_is_of_its_type_or_the_person_is_told(spec: dict[str, Any], given: str, value: Any) -> None:
    book = Runbook.model_validate(
        {"name": "other", "title": "Other", "start": "manual", "params": {"value": spec},
         "steps": [{"id": "set", "action": "fake.set", "with": {"name": "x", "to": 1}}]}
    )  # fmt: skip
    house = House(await open_store("memory://"), rules(runbooks={"other": book}))
    await house.receive(house.alert())
    params = {"value": given} if given else {}
    if isinstance(value, str) and value != given:
        with pytest.raises(BadInput, match=value):
            await house.runbooks.start(1, "other", params, ADA)
        return
    assert (await house.runbooks.start(1, "other", params, ADA)).params == {"value": value}
