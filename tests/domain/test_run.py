"""The moves of a run: what each makes of its state, and that an approval never outlives the plan it was given for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain import run as runs
from bot.domain import step as moves
from bot.domain.expand import begun as begin
from bot.domain.people import Actor
from bot.domain.plan import Diff, Plan
from bot.domain.run import ENDED, Run, RunState
from bot.domain.runbook import Runbook
from bot.domain.step import Approver, Look, StepRun, StepState
from tests.domain.alerts import NOW, incident

ADA = Actor(id="ada", name="Ada")
RUNBOOK = Runbook.model_validate(
    {
        "name": "fix",
        "title": "Fix it",
        "approve": {"expires": "PT30M"},
        "steps": [{"id": "one", "action": "x.y", "verify": {"within": "PT5M"}}, {"id": "two", "action": "x.y"}],
    }
)
NOTHING = Plan(target="number")


def plan(after: int = 5) -> Plan:
    return Plan(target="number", diffs=(Diff(what="value", before="1", after=str(after)),))


def begun() -> Run:
    return begin(7, incident(), RUNBOOK, {"a": 1}, ADA, NOW)


def put(run: Run, step: StepRun) -> Run:
    return runs.moved(run.with_steps(step.id, [step]), NOW)


def looked(run: Run, found: Plan, **update: Any) -> Run:
    step = run.current
    return put(run, moves.planned(step, Look(plan=found, **update), run.approval(step), NOW))


def waiting() -> Run:
    return looked(begun(), plan(), params={"to": 5}, before={"value": 1})


def approver(digest: str = plan().digest, reason: str = "") -> Approver:
    return Approver(actor=ADA, digest=digest, at=NOW, broke_glass=reason)


def states(run: Run) -> tuple[RunState, list[StepState]]:
    return run.state, [step.state for step in run.steps]


def test_it_begins_with_every_step_before_it() -> None:
    run = begun()
    assert states(run) == (RunState.PLANNING, [StepState.PENDING, StepState.PENDING])
    assert (run.ref, run.key(run.current), run.ended) == ("RUN-7", "tocsin-run-7-one", False)


def test_a_plan_waits_for_its_approval_until_it_expires() -> None:
    run = waiting()
    assert states(run) == (RunState.WAITING, [StepState.WAITING, StepState.PENDING])
    assert run.current.expires_at == NOW + timedelta(minutes=30)
    assert (run.current.params, run.current.before, run.current.drifted) == ({"to": 5}, {"value": 1}, False)


def test_an_empty_plan_is_checked_at_once_and_changes_nothing() -> None:
    run = looked(begun(), NOTHING)
    assert states(run) == (RunState.RUNNING, [StepState.CHECKING, StepState.PENDING])
    assert run.current.check_until == NOW + timedelta(minutes=5)
    assert not run.current.changed


def test_from_the_approval_to_the_end() -> None:
    run = waiting()
    run = put(run, moves.approved(run.current, approver(), 1))
    assert states(run) == (RunState.RUNNING, [StepState.APPROVED, StepState.PENDING])
    run = put(run, moves.intended(run.current, None))
    assert run.current.state is StepState.DOING
    run = put(run, moves.done(run.current, {"was": 1}, None, NOW))
    assert (run.current.state, run.current.changed, run.current.result) == (StepState.CHECKING, True, {"was": 1})
    run = put(run, moves.finished(run.current, "verified", NOW))
    assert (run.number, run.key(run.current), states(run)[0]) == (2, "tocsin-run-7-two", RunState.RUNNING)
    run = looked(run, NOTHING)
    run = put(run, moves.finished(run.current, "verified", NOW))
    assert states(run) == (RunState.SUCCEEDED, [StepState.DONE, StepState.DONE])
    assert run.ended_at == NOW


def test_another_plan_after_the_approval_voids_it() -> None:
    run = waiting()
    approved = moves.approved(run.current, approver(), 1)
    again = moves.planned(approved, Look(plan=plan(6)), run.approval(approved), NOW + timedelta(minutes=20))
    assert (again.state, again.approvals, again.drifted) == (StepState.WAITING, (), True)
    assert again.expires_at == NOW + timedelta(minutes=50), "the time begins anew"


def test_the_same_plan_again_is_no_drift() -> None:
    assert not looked(waiting(), plan(), params={"to": 5}).current.drifted
    assert looked(waiting(), plan(), params={"to": 5, "by": "other means"}).current.drifted


def test_two_people_are_two_and_one_who_breaks_the_glass_is_enough() -> None:
    step = waiting().current
    once = moves.approved(step, approver(), 2)
    assert (once.state, len(once.approvals)) == (StepState.WAITING, 1)
    assert moves.approved(once, approver(), 2).state is StepState.APPROVED
    assert moves.approved(step, approver(reason="the shop is down"), 2).state is StepState.APPROVED


def test_a_step_that_is_tried_again_with_the_approved_plan_goes_on_and_with_another_asks_again() -> None:
    run = waiting()
    failed = moves.tried_again(moves.approved(run.current, approver(), 1), "no answer")
    assert (failed.state, failed.tries) == (StepState.PENDING, 1)
    wanted = run.approval(failed)
    assert moves.planned(failed, Look(params={"to": 5}, plan=plan()), wanted, NOW).state is StepState.APPROVED
    other = moves.planned(failed, Look(plan=plan(7)), wanted, NOW)
    assert (other.state, other.approvals) == (StepState.WAITING, ())
    assert put(run, failed).key(failed) == "tocsin-run-7-one.try2", "another attempt is another act"


@pytest.mark.parametrize("state", ENDED)
def test_whatever_ends_it_leaves_nothing_running(state: RunState) -> None:
    run = runs.moved(runs.stopped(waiting(), state, "because"), NOW)
    assert (run.ended, run.state, run.message, run.under_way) == (True, state, "because", ())
    assert run.steps[0].over
    assert run.steps[1].state is StepState.PENDING, "what was not reached says so"
    assert runs.moved(run, NOW) == run
    assert runs.stopped(run, RunState.FAILED, "later") == run


def test_an_act_in_flight_comes_back_before_the_run_ends() -> None:
    run = waiting()
    doing = put(run, moves.intended(moves.approved(run.current, approver(), 1), None))
    for state in (RunState.CANCELLED, RunState.FAILED):
        stopping = runs.moved(runs.stopped(doing, state, "because"), NOW)
        assert (stopping.ended, stopping.state) == (False, RunState.RUNNING)
        back = put(stopping, moves.done(stopping.steps[0], {}, None, NOW))
        assert back.ended == (state is RunState.CANCELLED), (
            "a failure waits for what is being checked; a person does not"
        )
        over = put(back, moves.finished(back.steps[0], "verified", NOW)) if not back.ended else back
        assert (over.state, over.steps[0].changed) == (state, True)


@given(
    st.lists(
        st.sampled_from(["plan", "other plan", "nothing", "approve", "intend", "do", "step", "retry", "end"]),
        max_size=30,
    )
)
def test_it_is_never_about_to_act_without_an_approval_of_the_plan_that_it_has(given_moves: list[str]) -> None:
    """Whatever comes in whatever order, as long as approvals are given only while it waits (approval.stale sees to that)."""
    run = begun()
    for move in given_moves:
        if run.ended:
            break
        step = run.current
        match move:
            case "plan" | "other plan" | "nothing":
                found = {"plan": plan(), "other plan": plan(9), "nothing": NOTHING}[move]
                run = looked(run, found)
            case "approve" if step.state is StepState.WAITING and step.plan:
                run = put(run, moves.approved(step, approver(step.plan.digest), 1))
            case "intend" if step.state is StepState.APPROVED:
                run = put(run, moves.intended(step, None))
            case "do" if step.state is StepState.DOING:
                run = put(run, moves.done(step, {}, None, NOW))
            case "step" if step.state is StepState.CHECKING:
                run = put(run, moves.finished(step, "", NOW))
            case "retry" if step.state in (StepState.CHECKING, StepState.DOING):
                run = put(run, moves.tried_again(step, "failed"))
            case "end":
                run = runs.moved(runs.stopped(run, RunState.FAILED, ""), NOW)
        for each in run.steps:
            if each.state in (StepState.APPROVED, StepState.DOING):
                assert each.plan
                assert [one.digest for one in each.approvals] == [each.plan.digest]
        assert run.ended == (run.state in ENDED)
        assert run.ended or run.under_way, "what has not ended has a step to come back to"
