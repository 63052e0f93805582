"""Runs when something comes in between: a pause between two moves, a failure after an act, a bug in an action, a policy that changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.domain import effects
from bot.domain.routing import Route, Routing
from bot.domain.run import RunState
from bot.domain.signal import Signal
from bot.domain.step import StepState
from bot.errors import BadInput, GaveUp, TryLater
from tests.flow.run_house import approve, book, house_with, policy, sets, started, states
from tests.support.house import ADA, BOB, House

UNATTENDED = [{"actions": ["fake.*"], "namespaces": ["shop"], "unattended": True}]
AUTO: dict[str, Any] = {"start": "auto", "match": ['alertname="Broken"']}


async def click(house: House, run_id: int = 1, step_id: str = "") -> None:
    """Approve without delivering anything."""
    run = await house.run(run_id)
    step = run.find(step_id) if step_id else run.current
    assert step is not None
    assert step.plan is not None
    await house.decisions.approve(run_id, step.id, step.plan.digest, ADA)


async def until(house: House, state: StepState, step_id: str, run_id: int = 1) -> None:
    """Deliver one row after the other until a step is in that state."""
    for _ in range(30):
        run = await house.store.read(lambda tx: tx.run(run_id))
        step = run.find(step_id) if run else None
        if step is not None and step.state is state:
            return
        assert await house.worker.drain(1), f"nothing more happens before {step_id} is {state}"
    raise AssertionError(f"{step_id} does not come to be {state}")


def once(hooks: list[Any], error: BaseException) -> None:
    """The next act fails like this."""

    def hook(*_: Any) -> None:
        hooks.remove(hook)
        raise error

    hooks.append(hook)


# ------------------------------------------------------------------------------------------------ an act that nobody knows the end of


@pytest.mark.parametrize("error", [GaveUp("forbidden"), BadInput("no such thing")])
async def test_what_may_have_taken_effect_is_unsure_when_it_then_fails_for_good_and_never_tried_again(
    error: Exception,
) -> None:
    """Tried again, it would have another key, and nobody could tell the second act from the first."""
    house = await house_with(book(sets("set", retry={"times": 3, "wait": "PT1S"})))
    await started(house)
    once(house.action.before_do, TryLater("the answer was lost", uncertain=True))
    await click(house)
    await house.settle()
    looks = house.action.look

    async def look(params: Any) -> dict[str, Any]:
        raise error

    house.action.look = look  # type: ignore[method-assign]
    await house.wait(seconds=5)
    house.action.look = looks  # type: ignore[method-assign]
    await house.wait(minutes=1)
    run = await house.run()
    assert (run.state, run.current.state, run.current.tries) == (RunState.UNSURE, StepState.UNSURE, 0)
    assert "set may or may not have taken effect" in run.message
    assert house.action.writes_done == []


async def test_an_act_that_is_refused_at_its_first_attempt_has_not_taken_effect_and_is_tried_again() -> None:
    house = await house_with(book(sets("set", retry={"times": 1, "wait": "PT1S"})))
    await started(house)
    once(house.action.before_do, GaveUp("forbidden"))
    await click(house)
    await house.settle()
    await house.wait(seconds=2)
    assert ((await house.run()).state, house.world) == (RunState.SUCCEEDED, {"checkout": 5})


# ------------------------------------------------------------------------------------------------ a bug in an action


@pytest.mark.parametrize(
    ("method", "ends"), [("plan", RunState.FAILED), ("look", RunState.FAILED), ("do", RunState.UNSURE)]
)
async def test_a_bug_in_an_action_ends_the_run_instead_of_leaving_it_behind(method: str, ends: RunState) -> None:
    house = await house_with(book(sets("set"), on_failure="escalate"))
    if method != "do":
        _broken(house, method)
    await started(house)
    if method == "do":
        _broken(house, method)
        await click(house)
    for _ in range(60):
        await house.wait(minutes=1)
    run = await house.run()
    assert run.state is ends
    assert "KeyError" in run.message
    assert any(text.startswith("Tocsin escalated") for text in await house.texts())


def _broken(house: House, method: str) -> None:
    def broken(*_: Any) -> Any:
        raise KeyError("a bug")

    setattr(house.action, method, broken)


async def test_a_run_whose_row_died_for_any_other_reason_ends_and_gives_back_what_it_holds() -> None:
    house = await house_with(book(sets("one"), sets("two", name="b")), book(sets("set", to=7), name="other"))
    await started(house)
    await click(house)
    await house.settle()
    (row,) = [one for one in await rows(house) if one.effect.key == "advance_run:1:two"]
    await house.store.write(lambda tx: house.housekeeping.row_died(tx, row.effect, "the disk is gone", house.clock()))
    run = await house.run()
    assert (run.state, states(run)) == (RunState.FAILED, {"one": "done", "two": "failed"})
    assert "the disk is gone" in run.message
    await started(house, "other")
    assert (await approve(house, 2)).state is RunState.SUCCEEDED


@pytest.mark.parametrize("private", [False, True])
async def test_why_a_private_incidents_row_died_stands_in_its_timeline_alone(private: bool) -> None:
    house = await house_with(book(sets("one")), signal=Signal(Routing(Route(policy="shop", private=private))))
    await started(house)
    dead = effects.advance_run(1, "nothing", house.clock())
    await house.store.write(lambda tx: house.housekeeping.row_died(tx, dead, "acquisition-plan is gone", house.clock()))
    await house.settle()
    loud = str(house.room.said("alarm"))
    assert "Tocsin could not do this for INC-1: advance run" in loud
    assert ("acquisition-plan" in loud) is not private
    timeline = await house.store.read(lambda tx: tx.timeline(1))
    assert any("acquisition-plan is gone" in entry.text for entry in timeline)


async def rows(house: House) -> list[Any]:
    return list(house.store._tables.outbox.values())  # type: ignore[attr-defined]


# ------------------------------------------------------------------------------------------------ pausing between two moves


async def test_a_pause_that_comes_between_the_look_and_its_recording_holds_the_step_back() -> None:
    house = await house_with(book(sets("set")))
    await started(house)
    await click(house)
    look = house.action.look

    async def slow(params: Any) -> dict[str, Any]:
        house.action.look = look  # type: ignore[method-assign]
        await house.decisions.pause(1, ADA)
        return await look(params)

    house.action.look = slow  # type: ignore[method-assign]
    await house.settle()
    run = await house.run()
    assert (run.paused_by, run.current.state, house.world) == ("Ada", StepState.APPROVED, {"checkout": 1})
    await house.decisions.resume(1, ADA)
    await house.settle()
    assert (await house.run()).state is RunState.SUCCEEDED


async def test_what_is_in_flight_comes_to_its_verified_end_while_the_run_is_paused() -> None:
    checked = {"until": "state.value > 5", "within": "PT10M", "every": "PT5S"}
    house = await house_with(book(sets("one", verify=checked), sets("two", name="b")))
    await started(house)
    await click(house)
    await until(house, StepState.DOING, "one")
    assert "one is in flight and comes to its end" in await house.decisions.pause(1, ADA)
    await house.wait(seconds=6)
    house.world["checkout"] = 6
    _as_wanted(house)
    await house.wait(seconds=6)
    assert states(await house.run()) == {"one": "done", "two": "pending"}
    await house.wait(minutes=20)
    assert states(await house.run()) == {"one": "done", "two": "pending"}
    await house.decisions.resume(1, ADA)
    await house.settle()
    assert states(await house.run()) == {"one": "done", "two": "waiting"}


def _as_wanted(house: House) -> None:
    """More than was asked for is right, too."""
    house.action.verify = lambda state, params: None  # type: ignore[method-assign]
    house.action.observable = False


# ------------------------------------------------------------------------------------------------ what is said of a run that was stopped


async def test_a_run_that_is_cancelled_while_an_act_is_in_flight_does_not_say_that_nothing_was_done() -> None:
    house = await house_with(book(sets("one"), sets("two", name="b")))
    await started(house)
    await click(house)
    await until(house, StepState.DOING, "one")
    await house.decisions.cancel(1, BOB)
    await house.settle()
    run = await house.run()
    assert (run.state, house.world) == (RunState.CANCELLED, {"checkout": 5})
    assert run.message == "Bob cancelled it; what was done before stays done (one)"
    assert not any("nothing was done" in text for text in await house.texts())


async def test_a_cancelled_run_whose_act_may_have_taken_effect_is_unsure_and_somebody_is_paged() -> None:
    house = await house_with(book(sets("one"), on_failure="escalate"))
    house.action.safe = False
    await started(house)
    once(house.action.before_do, TryLater("the answer was lost", uncertain=True))
    await click(house)
    await house.settle()
    await house.decisions.cancel(1, BOB)
    await house.wait(minutes=1)
    run = await house.run()
    assert run.state is RunState.UNSURE
    assert "one may or may not have taken effect" in run.message
    assert any(text.startswith("Tocsin escalated") for text in await house.texts())


async def test_a_second_step_that_expires_does_not_unsay_the_first() -> None:
    house = await house_with(book(sets("one"), sets("two", name="b")))
    await started(house)
    await click(house)
    await house.settle()
    await house.wait(hours=1)
    run = await house.run()
    assert (run.state, run.message) == (
        RunState.EXPIRED,
        "nobody approved it in time; what was done before stays done (one)",
    )


async def test_a_run_that_still_asks_when_its_incident_resolves_does_not_unsay_what_it_did() -> None:
    house = await house_with(book(sets("one"), sets("two", name="b")))
    await started(house)
    await click(house)
    await house.settle()
    await house.incidents.resolve(1, ADA)
    await house.settle()
    run = await house.run()
    assert run.state is RunState.EXPIRED
    assert run.message.endswith("what was done before stays done (one)")


async def test_a_step_that_did_something_and_is_not_tried_again_is_not_said_to_be_left_out() -> None:
    step = sets(
        "one",
        retry={"times": 2, "wait": "PT5M"},
        verify={"until": "state.value > 99", "within": "PT5S", "every": "PT5S"},
    )
    house = await house_with(book(step))
    await started(house)
    await click(house)
    await house.settle()
    await house.wait(seconds=10)
    run = await house.run()
    assert (run.current.state, run.current.tries, run.changed) == (StepState.PENDING, 1, True)
    await house.decisions.cancel(1, ADA)
    run = await house.run()
    assert run.steps[0].state is StepState.FAILED
    assert "did not verify" in run.steps[0].message
    await house.wait(minutes=10)
    assert await house.run() == run


# ------------------------------------------------------------------------------------------------ a policy that changes under way


@pytest.mark.parametrize("retried", [False, True])
async def test_what_ran_unattended_asks_once_policy_does_not_let_it_any_more(retried: bool) -> None:
    auto = book(sets("set", retry={"times": 1, "wait": "PT1M"}), **AUTO)
    house = await house_with(given=policy(allow=UNATTENDED))
    house.rules = replace(house.rules, runbooks={"mine": auto})
    await house.store.write(lambda tx: tx.ask([effects.offer(1, 9, house.clock())]))
    if retried:
        once(house.action.before_do, GaveUp("not now"))
        await house.settle()
        assert (await house.run()).current.tries == 1
    else:
        await until(house, StepState.APPROVED, "set")
    house.rules = replace(house.rules, actions=policy())
    await house.wait(minutes=2)
    run = await house.run()
    assert (run.state, run.current.approvals, house.world) == (RunState.WAITING, (), {"checkout": 1})
    await click(house)
    await house.settle()
    assert ((await house.run()).state, house.world) == (RunState.SUCCEEDED, {"checkout": 5})


# ------------------------------------------------------------------------------------------------ what is asked for twice


async def test_a_runbook_is_offered_once_each_time_an_incident_opens_however_often_it_is_asked_for() -> None:
    """The context that comes late asks again; meanwhile the run has ended and an escalation has begun another epoch."""
    offered = book(sets("set"), start="offer", match=['alertname="Broken"'])
    house = await house_with(offered)
    await house.decisions.refuse(1, "set", await digest(house), ADA)
    await house.incidents.escalate(1, ADA)
    await house.store.write(lambda tx: tx.ask([effects.offer(1, 1, house.clock())]))
    await house.settle()
    assert len(await house.runbooks.history()) == 1


async def test_a_runbook_that_does_not_help_pages_once_however_often_it_is_asked_for() -> None:
    offered = book(sets("set"), start="offer", match=['alertname="Broken"'])
    house = await house_with(offered, given=policy(runbooks={"give_up": {"runs": 1}}))
    await approve(house)
    await house.incidents.resolve(1, ADA)
    await house.receive(house.alert(firing=False))
    await house.settle()
    await house.receive(house.alert())
    await house.wait(seconds=10)
    epoch = (await house.incident()).epoch
    for _ in range(2):
        await house.store.write(lambda tx: tx.ask([effects.offer(1, epoch - 1, house.clock())]))
        await house.settle()
    assert sum("is not offered any more" in text for text in await house.texts()) == 1
    assert (await house.incident()).epoch == epoch


async def test_nothing_is_offered_for_an_incident_that_is_over() -> None:
    house = await house_with()
    house.rules = replace(
        house.rules, runbooks={"mine": book(sets("set"), match=['alertname="Broken"'], start="offer")}
    )
    await house.incidents.resolve(1, ADA)
    await house.store.write(lambda tx: tx.ask([effects.offer(1, 1, house.clock())]))
    await house.settle()
    assert await house.runbooks.history() == ()


async def test_a_plan_of_any_length_leaves_a_timeline_that_can_be_read() -> None:
    house = await house_with(book(sets("set")))
    plan = house.action.plan

    def long(state: Any, params: Any) -> Any:
        made = plan(state, params)
        return made.model_copy(update={"diffs": made.diffs * 5000})

    house.action.plan = long  # type: ignore[method-assign]
    assert (await started(house)).state is RunState.WAITING
    (entry,) = [one for one in (await house.incidents.show(1)).timeline if one.kind == "run_planned"]
    assert len(entry.text) <= 4000
    assert entry.data["step_plan"][-1] == "… and 9901 lines more"


async def digest(house: House) -> str:
    plan = (await house.run()).current.plan
    assert plan is not None
    return plan.digest
