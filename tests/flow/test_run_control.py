"""What people may do to a run beside approving: pause, resume, cancel, undo, break the glass; and what holds it: locks, freezes, cooldowns, rates."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.domain.incident import State
from bot.domain.run import RunState
from bot.domain.step import StepState
from bot.errors import BadInput, TryLater
from tests.flow.run_house import approve, book, house_with, policy, sets, started, states
from tests.support.house import ADA, BOB, MALLORY, House

TWO = book(sets("one"), sets("two", name="b"))
GLASS = {"break_glass": ["responders"]}


async def digest(house: House, run_id: int = 1) -> tuple[str, str]:
    step = (await house.run(run_id)).current
    assert step.plan is not None
    return step.id, step.plan.digest


async def test_a_paused_run_begins_nothing_and_goes_on_when_it_is_resumed() -> None:
    house = await house_with(TWO)
    await started(house)
    assert "is paused" in await house.decisions.pause(1, ADA)
    assert "paused already, by Ada" in await house.decisions.pause(1, BOB)
    assert "but Ada has paused it" in await house.decisions.approve(1, *await digest(house), ADA)
    await house.wait(minutes=20)
    assert (house.world, (await house.run()).paused_by) == ({"checkout": 1}, "Ada")
    assert "goes on" in await house.decisions.resume(1, BOB)
    await house.settle()
    assert house.world == {"checkout": 5}
    assert "is not paused" in await house.decisions.resume(1, BOB)


async def test_a_paused_run_whose_time_to_approve_is_over_expires_when_it_is_resumed() -> None:
    house = await house_with(TWO)
    await started(house)
    await house.decisions.pause(1, ADA)
    await house.wait(hours=2)
    assert not (await house.run()).ended
    await house.decisions.resume(1, ADA)
    await house.settle()
    assert (await house.run()).state is RunState.EXPIRED


async def test_a_cancelled_run_ends_says_what_stays_done_and_can_be_undone() -> None:
    house = await house_with(TWO)
    await started(house)
    await house.decisions.approve(1, *await digest(house), ADA)
    await house.settle()
    said = await house.decisions.cancel(1, BOB)
    assert said == "RUN-1 is cancelled; what was done before stays done (one). Undo takes back what it did."
    with pytest.raises(BadInput, match=r"has ended \(cancelled\)"):
        await house.decisions.cancel(1, ADA)
    assert "looks at what it takes to undo RUN-1" in await house.decisions.undo(1, ADA)
    await house.settle()
    undo = await approve(house, 2)
    assert (undo.state, house.world) == (RunState.SUCCEEDED, {"checkout": 1})
    with pytest.raises(BadInput, match=r"taken back by RUN-2 already \(it is succeeded\)"):
        await house.decisions.undo(1, ADA)


async def test_cancelling_waits_for_an_act_that_is_in_flight() -> None:
    house = await house_with(TWO)
    await started(house)
    house.action.before_do.append(_raises(TryLater("slow", uncertain=True)))
    await house.decisions.approve(1, *await digest(house), ADA)
    await house.settle()
    assert (await house.run()).steps[0].state is StepState.DOING
    assert "as soon as what is in flight has come back" in await house.decisions.cancel(1, ADA)
    house.action.before_do.clear()
    await house.wait(minutes=1)
    run = await house.run()
    assert (run.state, states(run)) == (RunState.CANCELLED, {"one": "done", "two": "pending"})
    assert house.world == {"checkout": 5}, "what had begun is known to be done"


def _raises(error: Exception) -> Any:
    def hook() -> None:
        raise error

    return hook


async def test_a_run_that_goes_on_or_changed_nothing_cannot_be_undone() -> None:
    house = await house_with(TWO)
    await started(house)
    with pytest.raises(BadInput, match="cancel it first, then undo it"):
        await house.decisions.undo(1, ADA)
    await house.decisions.cancel(1, ADA)
    with pytest.raises(BadInput, match="has changed nothing that can be taken back"):
        await house.decisions.undo(1, ADA)


@pytest.mark.parametrize("what", ["pause", "resume", "cancel", "undo"])
async def test_who_has_no_role_may_not_touch_a_run(what: str) -> None:
    house = await house_with(TWO)
    await started(house)
    with pytest.raises(
        BadInput, match="only the role responders may start and steer runs, and Mallory has none of its roles"
    ):
        await getattr(house.decisions, what)(1, MALLORY)
    with pytest.raises(BadInput, match="Mallory has none of its roles"):
        await house.runbooks.start(1, "mine", {}, MALLORY)


async def test_a_no_after_a_step_was_done_says_what_stays_done() -> None:
    house = await house_with(TWO)
    await started(house)
    await house.decisions.approve(1, *await digest(house), ADA)
    await house.settle()
    said = await house.decisions.refuse(1, *await digest(house), BOB)
    assert said == "RUN-1 is refused. What was done before stays done (one)."


# ------------------------------------------------------------------------------------------------ what holds it


async def test_only_one_run_at_a_time_changes_a_target_and_the_second_is_told_what_it_waits_for() -> None:
    slow = book(sets("set", verify={"until": "state.value > 99", "within": "PT20M", "every": "PT1M"}), name="slow")
    house = await house_with(slow, book(sets("set", to=7)))
    await started(house, "slow")
    await approve(house, 1)
    await started(house, "mine")
    await house.decisions.approve(2, *await digest(house, 2), ADA)
    await house.settle()
    run = await house.run(2)
    assert (run.current.state, run.current.waits_for) == (StepState.APPROVED, "RUN-1, which is changing shop/checkout")
    assert (await house.texts()).count("RUN-2 waits for RUN-1, which is changing shop/checkout") == 1
    await house.decisions.cancel(1, ADA)
    await house.wait(seconds=6)
    run = await house.run(2)
    assert (run.state, house.world) == (RunState.SUCCEEDED, {"checkout": 7})


async def test_what_is_in_flight_at_the_same_time_counts_for_the_share_that_may_be_touched_at_once() -> None:
    third = [{"actions": ["fake.*"], "namespaces": ["shop"], "max_share": 0.5}]
    slow = {"until": "state.value > 99", "within": "PT10M"}

    async def ended(at_once: int) -> dict[str, str]:
        each = sets("each", name="{{ item }}", foreach=["a", "b"], at_once=at_once, verify=slow, on_failure="continue")
        house = await house_with(book(each), given=policy(allow=third))
        house.action.share = 0.4
        await started(house)
        for step in (await house.run()).under_way:
            assert step.plan is not None
            await house.decisions.approve(1, step.id, step.plan.digest, ADA)
        await house.settle()
        return states(await house.run())

    assert await ended(1) == {"each[1]": "checking", "each[2]": "pending"}
    together = await ended(2)
    assert sorted(together.values()) == ["checking", "failed"]


async def test_waiting_for_another_run_ends_too() -> None:
    endless = book(sets("set", verify={"until": "false", "within": "P1D", "every": "PT1M"}), name="endless")
    house = await house_with(endless, book(sets("set", to=7)))
    await started(house, "endless")
    await approve(house, 1)
    await started(house, "mine")
    await house.decisions.approve(2, *await digest(house, 2), ADA)
    for _ in range(20):
        await house.wait(minutes=2)
    run = await house.run(2)
    assert (run.state, run.message) == (RunState.FAILED, "waited too long for RUN-1, which is changing shop/checkout")


async def test_during_a_freeze_nothing_is_changed_and_the_glass_can_be_broken_with_a_reason() -> None:
    frozen = {"name": "Black Friday", "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]}
    house = await house_with(book(sets("set")), given=policy(runbooks={**GLASS, "freeze": [frozen]}))
    await started(house)
    step, plan = await digest(house)
    with pytest.raises(BadInput, match="Black Friday: nothing is changed; the role responders can break the glass"):
        await house.decisions.approve(1, step, plan, ADA)
    with pytest.raises(BadInput, match="needs a reason in words"):
        await house.decisions.break_glass(1, step, plan, " ", ADA)
    with pytest.raises(BadInput, match="only the role responders may break the glass, and Mallory is not of it"):
        await house.decisions.break_glass(1, step, plan, "because I can", MALLORY)
    assert house.world == {"checkout": 1}
    await house.decisions.break_glass(1, step, plan, "the shop is down", BOB)
    await house.settle()
    assert ((await house.run()).state, house.world) == (RunState.SUCCEEDED, {"checkout": 5})
    assert "Bob BROKE THE GLASS for RUN-1, step set: the shop is down" in await house.texts()
    assert "run_glass_broken" in await house.kinds()


async def test_one_who_breaks_the_glass_is_enough_where_two_are_asked_for() -> None:
    two = book(sets("set"), approve={"people": 2, "not_requester": True})
    house = await house_with(two, given=policy(runbooks=GLASS))
    await started(house)
    await house.decisions.break_glass(1, *await digest(house), "nobody else is awake", ADA)
    await house.settle()
    assert (await house.run()).state is RunState.SUCCEEDED


async def test_a_target_is_left_alone_for_a_while_after_a_run() -> None:
    house = await house_with(
        book(sets("set")), book(sets("set", to=9), name="other"), given=policy(runbooks={"cooldown": "PT10M"})
    )
    await started(house)
    await approve(house)
    await started(house, "other")
    step, plan = await digest(house, 2)
    with pytest.raises(BadInput, match=r"RUN-1 touched shop/checkout at .* it is left alone for 10 min"):
        await house.decisions.approve(2, step, plan, ADA)
    await house.wait(minutes=10)
    await house.decisions.approve(2, step, plan, ADA)
    await house.settle()
    assert house.world == {"checkout": 9}


async def test_two_runs_that_were_approved_at_once_do_not_get_past_the_cooldown_together() -> None:
    house = await house_with(
        book(sets("set")), book(sets("set", to=9), name="other"), given=policy(runbooks={"cooldown": "PT10M"})
    )
    await started(house)
    await started(house, "other")
    for number in (1, 2):
        await house.decisions.approve(number, *await digest(house, number), ADA)
    await house.settle()
    ended = sorted([(await house.run(number)).state for number in (1, 2)])
    assert ended == [RunState.FAILED, RunState.SUCCEEDED]
    assert len(house.action.writes_done) == 1


async def test_only_so_many_runs_change_something_in_an_hour() -> None:
    house = await house_with(
        book(sets("set")), book(sets("set", name="b"), name="other"), given=policy(runbooks={"runs_per_hour": 1})
    )
    await started(house)
    await approve(house)
    await started(house, "other")
    with pytest.raises(BadInput, match="1 run has changed something in the last hour, 1 may"):
        await house.decisions.approve(2, *await digest(house, 2), ADA)
    await house.wait(minutes=25)
    assert not (await house.run(2)).ended


async def test_what_policy_lets_run_unattended_is_done_by_an_automatic_runbook_without_a_click() -> None:
    auto = book(sets("set"), start="auto", match=['alertname="Broken"'])
    unattended = [{"actions": ["fake.*"], "namespaces": ["shop"], "unattended": True}]
    house = await house_with(auto, given=policy(allow=unattended))
    run = await house.run()
    assert (run.state, house.world) == (RunState.SUCCEEDED, {"checkout": 5})
    assert any("needs no approval" in text and "allow[0]" in text for text in await house.texts())
    house = await house_with(auto)
    assert (await house.run()).state is RunState.WAITING, "without the rule it asks"


async def test_what_policy_lets_run_unattended_still_asks_when_a_person_or_an_offer_began_it() -> None:
    unattended = [{"actions": ["fake.*"], "namespaces": ["shop"], "unattended": True}]
    house = await house_with(
        book(sets("set"), start="auto", match=['alertname="Other"']), given=policy(allow=unattended)
    )
    assert (await started(house)).state is RunState.WAITING


async def test_a_runbook_that_does_not_help_is_not_offered_again_and_a_person_is_paged() -> None:
    offered = book(sets("set"), start="offer", match=['alertname="Broken"'])
    house = await house_with(offered, given=policy(runbooks={"give_up": {"runs": 2, "within": "PT6H"}}))
    for number in (1, 2):
        await approve(house, number)
        assert (await house.run(number)).state is RunState.SUCCEEDED
        await house.incidents.resolve(1, ADA)
        await house.settle()
        house.world["checkout"] = number + 1
        await house.receive(house.alert(firing=False))
        paged = len(house.room.said("page"))
        await house.receive(house.alert())
        await house.wait(seconds=10)
        assert (await house.incident()).is_open
    assert await house.store.read(lambda tx: tx.run(3)) is None
    assert any("is not offered any more: 2 runs of it (RUN-1, RUN-2)" in text for text in await house.texts())
    incident = await house.incident()
    assert incident.state is State.TRIGGERED
    assert len(house.room.said("page")) > paged
    await house.wait(hours=7)
    await house.incidents.resolve(1, ADA)
    await house.settle()
    assert (await house.incident()).resolved_at is not None


async def test_an_automatic_undo_needs_no_second_approval_when_policy_says_so() -> None:
    runbook = book(sets("one"), sets("two", name="b", to="no number"), on_failure="undo")
    house = await house_with(runbook, given=policy(runbooks={"undo": "auto"}))
    await started(house)
    await approve(house)
    assert ((await house.run(2)).state, house.world) == (RunState.SUCCEEDED, {"checkout": 1})


async def test_an_undo_that_the_runbook_says_itself_is_not_covered_by_the_approval_of_its_step() -> None:
    back = {"action": "fake.set", "with": {"name": "database", "to": 0}}
    runbook = book(sets("one", undo=back), sets("two", name="b", to="no number"), on_failure="undo")
    house = await house_with(runbook, given=policy(runbooks={"undo": "auto"}))
    house.world["database"] = 3
    await started(house)
    await approve(house)
    undo = await house.run(2)
    assert (undo.state, house.world["database"]) == (RunState.WAITING, 3)
    assert ((await approve(house, 2)).state, house.world["database"]) == (RunState.SUCCEEDED, 0)


async def test_the_waiting_run_of_a_resolved_incident_ends_but_an_undo_may_still_be_asked_for() -> None:
    house = await house_with(TWO, book(sets("set", name="c"), name="other"))
    await started(house)
    await approve(house)
    await started(house, "other")
    await house.incidents.resolve(1, ADA)
    await house.settle()
    assert (await house.run(2)).state is RunState.EXPIRED
    await house.decisions.undo(1, ADA)
    await house.settle()
    assert (await approve(house, 3)).state is RunState.SUCCEEDED
    assert house.world == {"checkout": 1, "b": 0}
    await house.wait(minutes=timedelta(hours=1).total_seconds() / 60)
    assert (await house.run(3)).state is RunState.SUCCEEDED


async def test_policy_says_who_must_approve_what_whatever_the_runbook_says() -> None:
    rule = {"actions": ["fake.*"], "namespaces": ["shop"], "people": 2, "approvers": "admins"}
    house = await house_with(book(sets("set")), given=policy(allow=[rule]))
    run = await started(house)
    wanted = run.approval(run.current)
    assert (wanted.role, wanted.people) == ("admins", 2)
    with pytest.raises(BadInput, match="Only the role admins may approve RUN-1"):
        await house.decisions.approve(1, *await digest(house), ADA)


async def test_only_the_roles_that_policy_names_may_approve_anything() -> None:
    house = await house_with(book(sets("set")), given=policy(runbooks={"approve": ["admins"]}))
    await started(house)
    with pytest.raises(BadInput, match=r"\(runbooks.approve\): only admins may approve, and Ada is not of them"):
        await house.decisions.approve(1, *await digest(house), ADA)
    assert house.world == {"checkout": 1}


async def test_a_parameter_that_looks_like_a_secret_starts_nothing() -> None:
    house = await house_with(book(sets("set", name="{{ params.name }}"), params={"name": {}}))
    token = "ghp_" + "a1B2" * 9
    with pytest.raises(BadInput, match="name looks like a secret, and would be seen by everybody") as refused:
        await house.runbooks.start(1, "mine", {"name": token}, ADA)
    assert token not in str(refused.value)
    assert await house.runbooks.history() == ()


async def test_a_run_whose_undo_was_refused_can_be_undone_anew() -> None:
    house = await house_with(book(sets("set")))
    await started(house)
    await approve(house)
    await house.decisions.undo(1, ADA)
    await house.settle()
    assert (await house.run(1)).undone_by == 2
    await house.decisions.refuse(2, *await digest(house, 2), BOB)
    assert (await house.run(1)).undone_by is None
    await house.decisions.undo(1, ADA)
    await house.settle()
    assert (await approve(house, 3)).state is RunState.SUCCEEDED
    assert ((await house.run(1)).undone_by, house.world) == (3, {"checkout": 1})


async def test_an_approval_that_has_grown_old_in_a_paused_run_is_asked_for_again() -> None:
    house = await house_with(book(sets("set")))
    await started(house)
    await house.decisions.pause(1, ADA)
    await house.decisions.approve(1, *await digest(house), ADA)
    await house.wait(hours=5)
    await house.decisions.resume(1, ADA)
    await house.settle()
    run = await house.run()
    assert (run.current.state, run.current.approvals, house.world) == (StepState.WAITING, (), {"checkout": 1})
    assert (await approve(house)).state is RunState.SUCCEEDED


async def test_an_undo_after_several_tries_goes_back_to_before_the_first() -> None:
    again = {"retry": {"times": 1, "wait": "PT1S"}, "verify": {"until": "state.value == 6", "within": "PT0S"}}
    house = await house_with(book(sets("set", **again)))
    await started(house)
    await approve(house)
    house.world["checkout"] = 3
    await house.wait(seconds=2)
    await approve(house)
    run = await house.run()
    assert (run.state, run.steps[0].tries) == (RunState.FAILED, 1)
    await house.decisions.undo(1, ADA)
    await house.settle()
    await approve(house, 2)
    assert house.world == {"checkout": 1}


async def test_what_each_try_puts_out_is_shared_once() -> None:
    again = {"retry": {"times": 1, "wait": "PT1S"}, "verify": {"until": "state.value == 6", "within": "PT0S"}}
    house = await house_with(book(sets("set", **again)))
    real, tries = house.action.do, []

    async def do(plan: Any, params: Any, key: str) -> dict[str, Any]:
        tries.append(key)
        return {**await real(plan, params, key), "output": f"try {len(tries)}\n" * 20}

    house.action.do = do  # type: ignore[method-assign]
    await started(house)
    await approve(house)
    house.world["checkout"] = 3
    await house.wait(seconds=2)
    await approve(house)
    shared = [act[-1].split("\n")[0] for act in house.room.said("share_output")]
    assert shared == ["try 1", "try 2"]
