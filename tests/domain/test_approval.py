"""Whether a click on Approve counts: every objection, in the order in which people can do something about them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.domain import run as runs
from bot.domain.approval import objection
from bot.domain.people import Actor, Directory
from bot.domain.plan import Diff, Plan
from bot.domain.run import Approver, Run, RunState
from bot.domain.runbook import Runbook
from tests.domain.alerts import NOW, incident

ADA, BOB, MALLORY = Actor(id="ada", name="Ada"), Actor(id="bob", name="Bob"), Actor(id="slack:U0", name="Ada")
DIRECTORY = Directory(roles={"responders": ("ada", "bob"), "admins": ()})
PLAN = Plan(target="number", diffs=(Diff(what="value", before="1", after="5"),))


def runbook(**approve: Any) -> Runbook:
    wanted = {"role": "responders", "expires": "PT30M", **approve}
    steps = [{"id": "first", "action": "x.y"}, {"id": "second", "action": "x.y"}]
    return Runbook.model_validate({"name": "fix", "title": "Fix it", "approve": wanted, "steps": steps})


def waiting(requested_by: Actor = BOB, **approve: Any) -> Run:
    run = runs.begun(1, incident(), runbook(**approve), {}, requested_by, NOW)
    return runs.planned(run, {}, {}, PLAN, NOW)


@pytest.mark.parametrize(
    ("run", "click", "said"),
    [
        (waiting(), {}, None),
        (waiting(), {"step": "second"}, "not waiting for this approval any more"),
        (waiting(), {"digest": "0" * 16}, "The plan of RUN-1 has changed"),
        (waiting(), {"digest": ""}, "The plan of RUN-1 has changed"),
        (waiting(), {"later": timedelta(minutes=29, seconds=59)}, None),
        (waiting(), {"later": timedelta(minutes=30)}, "The time to approve RUN-1 is over"),
        (waiting(), {"actor": MALLORY}, "Only the role responders may approve RUN-1 (now: ada, bob)"),
        (waiting(role="admins"), {}, "Only the role admins may approve RUN-1 (now: nobody)"),
        (waiting(role="gone"), {}, "(now: nobody)"),
        (waiting(requested_by=ADA), {}, None),
        (waiting(requested_by=ADA, not_requester=True), {}, "Whoever asked for RUN-1 cannot approve it as well"),
        (waiting(requested_by=BOB, not_requester=True), {}, None),
        (runs.planned(waiting(), {}, {}, Plan(target="number"), NOW), {}, "not waiting"),
        (runs.ended(waiting(), RunState.EXPIRED, "", NOW), {}, "(it is expired). Nothing was done."),
        (runs.begun(1, incident(), runbook(), {}, BOB, NOW), {}, "(it is planning)"),
    ],
)
def test_a_click_counts_or_the_person_is_told_why_not(run: Run, click: dict[str, Any], said: str | None) -> None:
    given = {"step": "first", "digest": PLAN.digest, "actor": ADA, "later": timedelta(0), **click}
    found = objection(run, given["step"], given["digest"], given["actor"], DIRECTORY, NOW + given["later"])
    assert (found is None) == (said is None), found
    assert (said or "") in (found or "")
    assert found is None or "\n" not in found


def test_two_people_means_two_different_people() -> None:
    run = waiting(people=2)
    once = runs.approved(run, Approver(actor=ADA, digest=PLAN.digest, at=NOW))
    assert once.state is RunState.WAITING
    assert "needs 2 different people" in (objection(once, "first", PLAN.digest, ADA, DIRECTORY, NOW) or "")
    assert objection(once, "first", PLAN.digest, BOB, DIRECTORY, NOW) is None
    twice = runs.approved(once, Approver(actor=BOB, digest=PLAN.digest, at=NOW))
    assert twice.state is RunState.RUNNING
