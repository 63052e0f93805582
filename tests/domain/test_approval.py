"""Whether a click counts: of exactly this plan, in time, by somebody who may; the objections say what the person can do about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.domain import run as runs
from bot.domain import step as moves
from bot.domain.allowance import Limits
from bot.domain.approval import answer_objection, glass_objection, objection, stale
from bot.domain.expand import begun
from bot.domain.people import Actor, Directory
from bot.domain.plan import Diff, Plan, Question
from bot.domain.policy import Policy
from bot.domain.run import Run, RunState
from bot.domain.runbook import Runbook
from bot.domain.step import Approver, Look, StepRun, StepState
from tests.domain.alerts import NOW, incident

ADA, BOB, EVE = Actor(id="ada", name="Ada"), Actor(id="bob", name="Bob"), Actor(id="eve", name="Eve")
MALLORY = Actor(id="slack:U0", name="Ada")
DIRECTORY = Directory(roles={"responders": ("ada", "bob"), "dbas": ("eve",), "admins": ()})
PLAN = Plan(target="number", diffs=(Diff(what="value", before="1", after="5"),))
OTHER = Plan(target="number", diffs=(Diff(what="value", before="2", after="5"),))


def fresh(requested_by: Actor = BOB, **approve: Any) -> Run:
    wanted = {"role": "responders", "expires": "PT30M", **approve}
    steps = [
        {"id": "first", "action": "x.y"},
        {"id": "second", "action": "x.y", "approve": {"role": "dbas", "expires": "PT5M"}},
    ]
    book = Runbook.model_validate({"name": "fix", "title": "Fix it", "approve": wanted, "steps": steps})
    return begun(1, incident(), book, {}, requested_by, NOW)


def at(run: Run, step_id: str = "first") -> StepRun:
    step = run.find(step_id)
    assert step is not None
    return step


def put(run: Run, step: StepRun) -> Run:
    return runs.moved(run.with_steps(step.id, [step]), NOW)


def waiting(requested_by: Actor = BOB, step: str = "first", plan: Plan = PLAN, **approve: Any) -> Run:
    run = fresh(requested_by, **approve)
    if step == "second":
        run = put(run, moves.finished(at(run), "verified", NOW))
    return put(run, moves.planned(at(run, step), Look(plan=plan), run.approval(at(run, step)), NOW))


def by(actor: Actor, plan: Plan = PLAN, glass: str = "") -> Approver:
    return Approver(actor=actor, digest=plan.digest, at=NOW, broke_glass=glass)


STOPPING = runs.stopped(waiting(), RunState.CANCELLED, "Bob cancelled it")
ENDED = runs.moved(STOPPING, NOW)
APPROVED = put(waiting(), moves.approved(at(waiting()), by(ADA), 1))


# ------------------------------------------------------------------------------------------------ what it is about


@pytest.mark.parametrize(
    ("run", "click", "said"),
    [
        (waiting(), {}, None),
        (waiting(), {"step": "second"}, "not waiting for this approval any more (second is pending, the run is waiting)"),
        (waiting(), {"step": "third"}, "not waiting for this approval any more (it is waiting)"),
        (waiting(), {"digest": OTHER.digest}, "The plan of RUN-1 has changed since that message"),
        (waiting(), {"digest": ""}, "The plan of RUN-1 has changed"),
        (waiting(), {"digest": PLAN.digest.upper()}, "The plan of RUN-1 has changed"),
        (waiting(plan=OTHER), {}, "The plan of RUN-1 has changed"),
        (waiting(), {"later": timedelta(minutes=29, seconds=59)}, None),
        (waiting(), {"later": timedelta(minutes=30)}, "The time to approve RUN-1 is over"),
        (waiting(step="second"), {"step": "second", "later": timedelta(minutes=4)}, None),
        (waiting(step="second"), {"step": "second", "later": timedelta(minutes=5)}, "The time to approve RUN-1 is over"),
        (waiting(step="second"), {}, "(first is done, the run is waiting)"),
        (waiting(plan=Plan(target="number")), {}, "(first is checking, the run is running)"),
        (fresh(), {}, "(first is pending, the run is planning)"),
        (APPROVED, {}, "(first is approved, the run is running)"),
        (STOPPING, {}, "not waiting for this approval any more"),
        (ENDED, {}, "(first is skipped, the run is cancelled). Nothing was done."),
    ],
)  # fmt: skip
def test_a_click_is_about_what_the_run_asks_now_or_it_does_nothing(
    run: Run, click: dict[str, Any], said: str | None
) -> None:
    given = {"step": "first", "digest": PLAN.digest, "later": timedelta(0), **click}
    found = stale(run, given["step"], given["digest"], NOW + given["later"])
    assert (found is None) == (said is None), found
    assert (said or "") in (found or "")
    assert found is None or ("\n" not in found and found.endswith("Nothing was done."))


def test_a_click_on_the_plan_from_before_a_drift_does_nothing_and_earlier_approvals_are_void() -> None:
    run = waiting()
    drifted = put(run, moves.planned(at(run).to(approvals=(by(ADA),)), Look(plan=OTHER), run.approval(at(run)), NOW))
    assert at(drifted).approvals == ()
    assert at(drifted).drifted
    assert stale(drifted, "first", PLAN.digest, NOW) is not None
    assert stale(drifted, "first", OTHER.digest, NOW) is None


# ------------------------------------------------------------------------------------------------ who


@pytest.mark.parametrize(
    ("run", "actor", "said"),
    [
        (waiting(), ADA, None),
        (waiting(), MALLORY, "Only the role responders may approve RUN-1 (now: ada, bob)"),
        (waiting(), EVE, "Only the role responders may approve RUN-1"),
        (waiting(role="admins"), ADA, "Only the role admins may approve RUN-1 (now: nobody)"),
        (waiting(role="gone"), ADA, "(now: nobody)"),
        (waiting(step="second"), EVE, None),
        (waiting(step="second"), ADA, "Only the role dbas may approve RUN-1 (now: eve)"),
        (waiting(ADA), ADA, None),
        (waiting(ADA, not_requester=True), ADA, "Whoever asked for RUN-1 cannot approve it as well. Ask somebody else of responders"),
        (waiting(Actor(id="ada", name="Ada (command line)"), not_requester=True), ADA, "Whoever asked for RUN-1 cannot"),
        (waiting(BOB, not_requester=True), ADA, None),
    ],
)  # fmt: skip
def test_an_approval_counts_or_the_person_is_told_why_not(run: Run, actor: Actor, said: str | None) -> None:
    found = objection(run, run.current, actor, DIRECTORY, Policy())
    assert (found is None) == (said is None), found
    assert (said or "") in (found or "")
    assert found is None or "\n" not in found


def test_two_people_means_two_different_people_wherever_they_click() -> None:
    run = waiting(people=2)
    once = put(run, moves.approved(at(run), by(ADA), 2))
    assert once.state is RunState.WAITING
    for same in (ADA, Actor(id="ada", name="Ada (command line)")):
        assert (
            objection(once, at(once), same, DIRECTORY, Policy())
            == "You have approved RUN-1 already; it needs 2 different people. Ask somebody else of responders."
        )
    assert objection(once, at(once), BOB, DIRECTORY, Policy()) is None
    twice = put(once, moves.approved(at(once), by(BOB), 2))
    assert (twice.state, at(twice).state) == (RunState.RUNNING, StepState.APPROVED)


@pytest.mark.parametrize(
    ("reason", "actor", "roles", "said"),
    [
        ("the shop is down", ADA, ("responders",), None),
        (
            "the shop is down",
            EVE,
            ("responders",),
            "only the role responders may break the glass, and Eve is not of it",
        ),
        ("the shop is down", ADA, (), "nobody may break the glass"),
        ("the shop is down", ADA, ("admins",), "only the role admins may break the glass"),
        ("", ADA, ("responders",), "needs a reason in words"),
        ("    x    ", ADA, ("responders",), "needs a reason in words"),
        ("", EVE, ("responders",), "only the role responders"),
    ],
)
def test_the_glass_is_broken_by_who_may_with_a_reason(
    reason: str, actor: Actor, roles: tuple[str, ...], said: str | None
) -> None:
    found = glass_objection(reason, actor, DIRECTORY, Policy(runbooks=Limits(break_glass=roles)))
    assert (found is None) == (said is None), found
    assert (said or "") in (found or "")
    assert found is None or "Nothing was done." in found


def test_one_who_breaks_the_glass_is_enough() -> None:
    run = waiting(people=3)
    broken = moves.approved(at(run), by(BOB, glass="the shop is down"), 3)
    assert broken.state is StepState.APPROVED


# ------------------------------------------------------------------------------------------------ answers


def asking(**question: Any) -> Run:
    run = fresh()
    asked = Question(words="Which one?", **question)
    return put(run, at(run).to(state=StepState.ASKING, question=asked, expires_at=NOW + timedelta(hours=4)))


@pytest.mark.parametrize(
    ("run", "answer", "actor", "said"),
    [
        (asking(choices=("a", "b")), "a", ADA, None),
        (asking(choices=("a", "b")), "c", ADA, "'c' is not one of a, b"),
        (asking(choices=("a", "b")), "", ADA, "'' is not one of a, b"),
        (asking(choices=("a", "b"), text="Why"), "b", ADA, None),
        (asking(text="What did you see"), "smoke", ADA, None),
        (asking(text="What did you see"), "  ", ADA, "An answer is needed: What did you see."),
        (asking(), "", ADA, None),
        (asking(role="dbas"), "", EVE, None),
        (asking(role="dbas"), "", ADA, "Only the role dbas may answer this (now: eve)"),
        (asking(role="gone"), "", ADA, "(now: nobody)"),
        (asking(), "", MALLORY, "may start and steer runs, and Ada has none of its roles"),
        (waiting(), "a", ADA, "does not ask this any more (first is waiting, the run is waiting)"),
        (ENDED, "a", ADA, "does not ask this any more (first is skipped, the run is cancelled)"),
        (runs.stopped(asking(), RunState.FAILED, "x"), "", ADA, "does not ask this any more"),
    ],
)
def test_an_answer_counts_or_the_person_is_told_why_not(run: Run, answer: str, actor: Actor, said: str | None) -> None:
    found = answer_objection(run, "first", answer, actor, DIRECTORY, Policy())
    assert (found is None) == (said is None), found
    assert (said or "") in (found or "")
    assert found is None or "\n" not in found


def test_an_answer_to_another_step_does_nothing() -> None:
    run = asking()
    assert "does not ask this any more (second is pending" in (
        answer_objection(run, "second", "", ADA, DIRECTORY, Policy()) or ""
    )
    assert "(it is waiting)" in (answer_objection(run, "third", "", ADA, DIRECTORY, Policy()) or "")
