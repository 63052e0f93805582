"""The moves of a run: what each makes of its state, and that an approval never outlives the plan it was given for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain import run as runs
from bot.domain.people import Actor
from bot.domain.plan import Diff, Plan
from bot.domain.run import ENDED, Approver, Run, RunState, StepState
from bot.domain.runbook import Runbook
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
    return runs.begun(7, incident(), RUNBOOK, {"a": 1}, ADA, NOW)


def waiting() -> Run:
    return runs.planned(begun(), {"to": 5}, {"value": 1}, plan(), NOW)


def approver(digest: str = plan().digest) -> Approver:
    return Approver(actor=ADA, digest=digest, at=NOW)


def states(run: Run) -> tuple[RunState, list[StepState]]:
    return run.state, [step.state for step in run.steps]


def test_it_begins_with_every_step_before_it() -> None:
    run = begun()
    assert states(run) == (RunState.PLANNING, [StepState.PENDING, StepState.PENDING])
    assert (run.ref, run.key, run.ended) == ("RUN-7", "tocsin-run-7-one", False)


def test_a_plan_waits_for_its_approval_until_it_expires() -> None:
    run = waiting()
    assert states(run) == (RunState.WAITING, [StepState.WAITING, StepState.PENDING])
    assert run.current.expires_at == NOW + timedelta(minutes=30)
    assert (run.current.params, run.current.before, run.current.drifted) == ({"to": 5}, {"value": 1}, False)


def test_an_empty_plan_is_checked_at_once_and_changes_nothing() -> None:
    run = runs.planned(begun(), {}, {}, NOTHING, NOW)
    assert states(run) == (RunState.RUNNING, [StepState.CHECKING, StepState.PENDING])
    assert run.current.check_until == NOW + timedelta(minutes=5)
    assert not run.current.changed


def test_from_the_approval_to_the_end() -> None:
    run = runs.approved(waiting(), approver())
    assert states(run) == (RunState.RUNNING, [StepState.APPROVED, StepState.PENDING])
    run = runs.intended(run)
    assert run.current.state is StepState.DOING
    run = runs.done(run, {"was": 1}, NOW)
    assert (run.current.state, run.current.changed, run.current.result) == (StepState.CHECKING, True, {"was": 1})
    run = runs.step_done(run, "verified", NOW)
    assert (run.step, run.key, states(run)[0]) == (1, "tocsin-run-7-two", RunState.RUNNING)
    run = runs.step_done(runs.planned(run, {}, {}, NOTHING, NOW), "verified", NOW)
    assert states(run) == (RunState.SUCCEEDED, [StepState.DONE, StepState.DONE])
    assert run.ended_at == NOW


def test_another_plan_after_the_approval_voids_it() -> None:
    run = runs.planned(runs.approved(waiting(), approver()), {}, {}, plan(6), NOW + timedelta(minutes=20))
    assert states(run)[0] is RunState.WAITING
    assert (run.current.approvals, run.current.drifted) == ((), True)
    assert run.current.expires_at == NOW + timedelta(minutes=50), "the time begins anew"


def test_the_same_plan_again_is_no_drift() -> None:
    assert not runs.planned(waiting(), {}, {}, plan(), NOW).current.drifted


@pytest.mark.parametrize("state", ENDED)
def test_whatever_ends_it_leaves_nothing_running(state: RunState) -> None:
    run = runs.ended(waiting(), state, "because", NOW)
    assert run.ended
    assert run.current.state is (StepState.UNSURE if state is RunState.UNSURE else StepState.FAILED)
    assert run.current.message == "because"


@given(
    st.lists(st.sampled_from(["plan", "other plan", "nothing", "approve", "intend", "do", "step", "end"]), max_size=30)
)
def test_it_is_never_about_to_act_without_an_approval_of_the_plan_that_it_has(moves: list[str]) -> None:
    """Whatever comes in whatever order, as long as approvals are given only while it waits (approval.objection sees to that)."""
    run = begun()
    for move in moves:
        if run.ended:
            break
        match move:
            case "plan" | "other plan" | "nothing":
                found = {"plan": plan(), "other plan": plan(9), "nothing": NOTHING}[move]
                run = runs.planned(run, {}, {}, found, NOW)
            case "approve" if run.current.state is StepState.WAITING and run.current.plan:
                run = runs.approved(run, approver(run.current.plan.digest))
            case "intend" if run.current.state is StepState.APPROVED:
                run = runs.intended(run)
            case "do" if run.current.state is StepState.DOING:
                run = runs.done(run, {}, NOW)
            case "step" if run.current.state is StepState.CHECKING:
                run = runs.step_done(run, "", NOW)
            case "end":
                run = runs.ended(run, RunState.FAILED, "", NOW)
        if run.current.state in (StepState.APPROVED, StepState.DOING):
            assert run.current.plan
            assert [one.digest for one in run.current.approvals] == [run.current.plan.digest]
        assert run.ended == (run.state in ENDED)
