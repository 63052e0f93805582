"""What a runbook can say: conditions, lists, groups, calls, questions, waiting, outputs, retries, and what a failure means."""

from __future__ import annotations

from typing import Any

import pytest

from bot.domain.plan import Unclear
from bot.domain.run import RunState
from bot.domain.step import StepState
from bot.errors import BadInput, TryLater
from tests.flow.run_house import approve, book, house_with, sets, started, states
from tests.support.house import ADA, BOB, MALLORY, House


async def test_a_step_whose_condition_does_not_hold_is_skipped_and_the_timeline_says_so() -> None:
    house = await house_with(
        book(
            sets("small", **{"if": "params.n < 10"}),
            sets("large", to=50, **{"if": "params.n >= 10"}),
            params={"n": {"type": "integer"}},
        )
    )
    await started(house, n="12")
    run = await approve(house)
    assert (run.state, states(run)) == (RunState.SUCCEEDED, {"small": "skipped", "large": "done"})
    assert house.world == {"checkout": 50}
    assert "RUN-1 skips small: not needed here" in await house.texts()


async def test_a_condition_that_is_neither_true_nor_false_fails_and_says_what_it_gives() -> None:
    house = await house_with(book(sets("set", **{"if": "params.n"}), params={"n": {"type": "integer", "default": 3}}))
    run = await started(house)
    assert run.state is RunState.FAILED
    assert run.message == "`params.n` gives '3', wanted true or false"


async def test_a_list_is_done_item_by_item_and_each_is_approved_for_itself() -> None:
    house = await house_with(book(sets("each", name="{{ item }}", foreach=["a", "b", "c"])))
    run = await started(house)
    assert list(states(run)) == ["each[1]", "each[2]", "each[3]"]
    assert [step.id for step in run.under_way] == ["each[1]"]
    run = await approve(house)
    assert run.state is RunState.SUCCEEDED
    assert house.world == {"checkout": 1, "a": 5, "b": 5, "c": 5}
    assert len({step.seq for step in run.steps}) == 3


async def test_a_list_may_be_worked_at_several_items_at_once() -> None:
    house = await house_with(book(sets("each", name="{{ item }}", foreach="['a', 'b', 'c']", at_once=2, most=3)))
    run = await started(house)
    assert [step.id for step in run.under_way if step.state is StepState.WAITING] == ["each[1]", "each[2]"]
    assert (await approve(house)).state is RunState.SUCCEEDED
    assert len(house.action.writes_done) == 3


@pytest.mark.parametrize(
    ("listed", "most", "words"),
    [
        ("'not a list'", None, "foreach gives str 'not a list', wanted a list"),
        ("[1, 2, 3]", 2, "foreach gives 3 items, at most 2 are allowed"),
        ("params.nothing", None, "nothing"),
    ],
)
async def test_a_list_that_is_none_or_too_long_fails_before_anything_is_done(
    listed: str, most: Any, words: str
) -> None:
    house = await house_with(book(sets("each", foreach=listed, most=most)))
    run = await started(house)
    assert run.state is RunState.FAILED
    assert words in run.message
    assert house.world == {"checkout": 1}


@pytest.mark.parametrize("listed", ["[]", []])
async def test_an_empty_list_is_nothing_to_do(listed: Any) -> None:
    house = await house_with(book(sets("each", foreach=listed), sets("then")))
    await started(house)
    run = await approve(house)
    assert (run.state, states(run)) == (RunState.SUCCEEDED, {"each": "skipped", "then": "done"})


async def test_steps_in_parallel_are_under_way_together_and_the_next_waits_for_all_of_them() -> None:
    house = await house_with(
        book({"id": "both", "parallel": [sets("left", name="a"), sets("right", name="b")]}, sets("after", name="c"))
    )
    run = await started(house)
    assert states(run) == {"left": "waiting", "right": "waiting", "after": "pending"}
    right = run.find("right")
    assert right is not None and right.plan is not None
    await house.decisions.approve(1, "right", right.plan.digest, ADA)
    await house.settle()
    assert states(await house.run()) == {"left": "waiting", "right": "done", "after": "pending"}
    assert (await approve(house)).state is RunState.SUCCEEDED
    assert house.world == {"checkout": 1, "a": 5, "b": 5, "c": 5}


async def test_a_failure_beside_an_act_in_flight_waits_for_it_to_come_back() -> None:
    house = await house_with(
        book({"id": "both", "parallel": [sets("bad", name="a", to="{{ params.no }}"), sets("good", name="b")]})
    )
    run = await started(house)
    assert run.state is RunState.FAILED, "nothing was in flight"
    assert states(run) == {"bad": "failed", "good": "skipped"} or states(run)["good"] == "pending"
    assert house.world == {"checkout": 1}


async def test_another_runbook_is_called_with_parameters_and_its_outputs_come_back_beneath_the_call() -> None:
    inner = book(
        sets("put", name="{{ params.name }}", to="{{ params.to }}", outputs={"now": "state.value"}),
        name="inner",
        params={"name": {}, "to": {"type": "integer"}},
        approve={"role": "admins"},
    )
    outer = book(
        {"id": "first", "call": "inner", "with": {"name": "a", "to": "7"}},
        sets("then", name="b", to="{{ params.x }}", **{"if": "steps.first.put.now == 7 && steps.first.put.changed"}),
        params={"x": {"default": "9"}},
    )
    house = await house_with(outer, inner)
    run = await started(house)
    assert list(states(run)) == ["first.put", "then"]
    assert run.approval(run.current).role == "admins", "the called runbook says who approves its steps"
    plan = run.current.plan
    assert plan is not None
    with pytest.raises(BadInput, match="Only the role admins"):
        await house.decisions.approve(1, "first.put", plan.digest, ADA)
    house.rules = _with_role(house, "admins", "ada")
    assert (await approve(house)).state is RunState.SUCCEEDED
    assert house.world == {"checkout": 1, "a": 7, "b": 9}


def _with_role(house: House, role: str, *people: str) -> Any:
    directory = house.rules.directory
    roles = {**directory.roles, role: people}
    return type(house.rules)(
        **{
            **{name: getattr(house.rules, name) for name in house.rules.__slots__},
            "directory": directory.model_copy(update={"roles": roles}),
        }
    )


async def test_a_call_that_is_not_wanted_skips_all_its_steps() -> None:
    inner = book(sets("one"), sets("two", name="b"), name="inner")
    house = await house_with(book({"id": "maybe", "call": "inner", "if": "false"}, sets("then", name="c")), inner)
    await started(house)
    run = await approve(house)
    assert states(run) == {"maybe.one": "skipped", "maybe.two": "skipped", "then": "done"}


async def test_runbooks_that_call_each_other_in_a_circle_are_refused() -> None:
    ping = book({"id": "go", "call": "pong"}, name="ping")
    pong = book({"id": "go", "call": "ping"}, name="pong")
    house = await house_with(ping, pong)
    with pytest.raises(BadInput, match="in a circle or too deep: ping -> pong -> ping"):
        await started(house, "ping")


async def test_a_question_is_answered_by_somebody_who_may_and_decides_what_comes_next() -> None:
    house = await house_with(
        book(
            {"id": "which", "action": "ask", "with": {"question": "Which one?", "choices": ["a", "b"]}},
            sets("set", name="{{ steps.which.answer }}"),
        )
    )
    run = await started(house)
    assert (run.state, run.current.state) == (RunState.WAITING, StepState.ASKING)
    with pytest.raises(BadInput, match="'c' is not one of a, b"):
        await house.decisions.answer(1, "which", "c", ADA)
    with pytest.raises(BadInput, match="Mallory has none of its roles"):
        await house.decisions.answer(1, "which", "a", MALLORY)
    assert await house.decisions.answer(1, "which", "b", BOB) == "Kept: b"
    with pytest.raises(BadInput, match="does not ask this any more"):
        await house.decisions.answer(1, "which", "a", ADA)
    await house.settle()
    assert (await approve(house)).state is RunState.SUCCEEDED
    assert house.world == {"checkout": 1, "b": 5}
    assert "RUN-1: which: Bob: b" in await house.texts()


async def test_something_that_only_a_person_can_do_is_ticked_with_an_answer() -> None:
    house = await house_with(
        book({"id": "call", "action": "manual", "with": {"do": "Call the provider.", "answer": "Which ticket?"}})
    )
    await started(house)
    with pytest.raises(BadInput, match="An answer is needed: Which ticket"):
        await house.decisions.answer(1, "call", "", ADA)
    assert await house.decisions.answer(1, "call", "T-17", ADA) == "Kept: T-17"
    run = await house.run()
    assert (run.state, run.steps[0].outputs) == (RunState.SUCCEEDED, {"answer": "T-17", "by": "Ada"})


async def test_a_question_that_nobody_answers_ends_the_run() -> None:
    house = await house_with(book({"id": "q", "action": "manual", "with": {"do": "Look.", "expires": "1h"}}))
    with pytest.raises(BadInput):
        await house.runbooks.start(1, "mine", {"x": "1"}, ADA)
    await house.runbooks.start(1, "mine", {}, ADA)
    await house.settle()
    await house.wait(minutes=59)
    assert not (await house.run()).ended
    house.clock.forward(minutes=2)
    with pytest.raises(BadInput, match="The time to answer RUN-1 is over"):
        await house.decisions.answer(1, "q", "", ADA)
    await house.settle()
    run = await house.run()
    assert (run.state, run.message) == (RunState.EXPIRED, "nobody answered it in time; nothing was done")


async def test_a_wait_lets_the_time_pass_and_no_more() -> None:
    house = await house_with(book({"id": "rest", "action": "wait", "with": {"for": "PT10M"}}, sets("set")))
    run = await started(house)
    assert run.current.state is StepState.RESTING
    await house.wait(minutes=9)
    assert (await house.run()).current.state is StepState.RESTING
    await house.wait(minutes=1)
    assert (await approve(house)).state is RunState.SUCCEEDED


async def test_people_are_told_and_paged_once_by_a_step() -> None:
    house = await house_with(
        book(
            {"id": "tell", "action": "slack.post", "with": {"channel": "ops", "text": "Rolling back."}},
            {"id": "wake", "action": "page", "with": {"who": "person:bob", "why": "Your database."}},
        )
    )
    run = await started(house)
    assert run.state is RunState.SUCCEEDED
    assert house.room.said("post") == [("post", "ops", "Rolling back.")]
    assert house.room.said("summon") == [("summon", "person:bob", "Your database.")]


async def test_telling_a_channel_that_the_policy_does_not_name_is_refused() -> None:
    house = await house_with(book({"id": "tell", "action": "slack.post", "with": {"channel": "all", "text": "Hm."}}))
    run = await started(house)
    assert run.state is RunState.FAILED
    assert "no rule under `allow` lets slack.post touch all" in run.message
    assert house.room.said("post") == []


async def test_it_must_hold_for_a_while_without_a_break() -> None:
    house = await house_with(book(sets("set", verify={"for": "PT1M", "every": "PT20S", "within": "PT5M"})))
    await started(house)
    run = await approve(house)
    assert run.current.state is StepState.CHECKING
    await house.wait(seconds=40)
    house.world["checkout"] = 1
    await house.wait(seconds=20)
    house.world["checkout"] = 5
    await house.wait(seconds=20)
    await house.wait(seconds=40)
    assert (await house.run()).current.state is StepState.CHECKING, "the minute began anew"
    await house.wait(seconds=20)
    assert (await house.run()).state is RunState.SUCCEEDED


async def test_the_runbooks_own_condition_must_hold_as_well() -> None:
    house = await house_with(book(sets("set", verify={"until": "state.value > 5", "within": "PT10S"})))
    await started(house)
    await approve(house)
    await house.wait(seconds=5)
    await house.wait(seconds=10)
    run = await house.run()
    assert (run.state, run.message) == (RunState.FAILED, "set did not verify: `state.value > 5` does not hold yet")


async def test_a_failed_step_is_tried_again_as_often_as_it_says() -> None:
    house = await house_with(book(sets("set", retry={"times": 2, "wait": "PT30S"})))
    fails = [TryLater("down", uncertain=False), BadInput("no"), BadInput("no again")]

    def hook() -> None:
        if fails:
            raise fails.pop(0)

    house.action.before_do.append(hook)
    await started(house)
    await approve(house)
    for _ in range(6):
        await house.wait(seconds=31)
    run = await house.run()
    assert (run.state, run.steps[0].tries) == (RunState.SUCCEEDED, 2)
    assert house.action.writes_done == ["tocsin-run-1-set.try3"]
    assert sum("is tried again" in text for text in await house.texts()) == 2


async def test_a_failure_that_is_tolerated_lets_the_run_go_on_and_mitigates_nothing() -> None:
    house = await house_with(book(sets("bad", to="no number", on_failure="continue"), sets("good")))
    await started(house)
    run = await approve(house)
    assert (run.state, states(run)) == (RunState.SUCCEEDED, {"bad": "failed", "good": "done"})
    assert (await house.incident()).mitigated_at is None
    assert any("failed, and the run goes on" in text for text in await house.texts())


GATE = {"on_failure": "end", "verify": {"until": "state.value > 3", "within": "PT0S"}}


async def test_a_look_that_finds_nothing_wrong_ends_the_run_well_and_mitigates_nothing() -> None:
    house = await house_with(book(sets("gate", to=1, **GATE), sets("fix")))
    run = await started(house)
    assert (run.state, states(run)) == (RunState.SUCCEEDED, {"gate": "skipped", "fix": "pending"})
    assert run.message == "nothing to do: gate did not verify: `state.value > 3` does not hold yet"
    assert (await house.incident()).mitigated_at is None
    assert not any(entry == "warning" for entry in await house.kinds())


async def test_a_called_runbook_that_finds_nothing_to_do_ends_alone() -> None:
    inner = book(sets("gate", to=1, **GATE), sets("fix"), name="inner")
    house = await house_with(book({"id": "try", "call": "inner"}, sets("then", name="b")), inner)
    await started(house)
    run = await approve(house)
    assert (run.state, states(run)) == (
        RunState.SUCCEEDED,
        {"try.gate": "skipped", "try.fix": "skipped", "then": "done"},
    )
    assert house.world == {"checkout": 1, "b": 5}


async def test_a_look_that_cannot_tell_is_no_reason_to_do_nothing() -> None:
    house = await house_with(book(sets("gate", to="no number", **GATE), sets("fix")))
    assert (await started(house)).state is RunState.FAILED
    house = await house_with(book(sets("gate", to=1, **GATE), sets("fix")))
    house.action.verify = lambda state, params: Unclear("the query gives no data")  # type: ignore[method-assign]
    run = await started(house)
    assert (run.state, run.message) == (RunState.FAILED, "gate: gate did not verify: the query gives no data")


async def test_what_was_changed_and_does_not_verify_has_failed_whatever_it_says() -> None:
    house = await house_with(book(sets("set", on_failure="end", verify={"until": "false", "within": "PT5S"})))
    await started(house)
    await approve(house)
    await house.wait(seconds=10)
    assert (await house.run()).state is RunState.FAILED


async def test_a_list_that_people_give_is_worked_item_by_item() -> None:
    spec = {"type": "list", "pattern": "[a-z]+"}
    house = await house_with(book(sets("each", name="{{ item }}", foreach="params.names"), params={"names": spec}))
    with pytest.raises(BadInput, match=r"names='B!' does not match"):
        await started(house, names="a, B!")
    await started(house, names="a, b,,")
    run = await approve(house)
    assert (run.state, house.world) == (RunState.SUCCEEDED, {"checkout": 1, "a": 5, "b": 5})


async def test_a_failure_that_is_escalated_pages_somebody() -> None:
    house = await house_with(book(sets("bad", to="no number", on_failure="escalate")))
    await house.incidents.acknowledge(1, ADA)
    paged = len(house.room.said("page"))
    await started(house)
    assert (await house.run()).state is RunState.FAILED
    assert len(house.room.said("page")) > paged


async def test_a_failure_takes_back_what_was_done_when_the_runbook_says_so() -> None:
    house = await house_with(book(sets("one"), sets("two", name="b", to="no number"), on_failure="undo"))
    await started(house)
    run = await approve(house)
    assert (run.state, house.world) == (RunState.FAILED, {"checkout": 5})
    undo = await house.run(2)
    assert (undo.undoes, undo.state, states(undo)) == (1, RunState.WAITING, {"undo.one": "waiting"})
    undo = await approve(house, 2)
    assert (undo.state, house.world) == (RunState.SUCCEEDED, {"checkout": 1})
    assert (await house.run(1)).undone_by == 2


async def test_outputs_are_used_by_later_steps() -> None:
    house = await house_with(
        book(sets("read-it", to=1, outputs={"was": "state.value + 41"}), sets("then", to="{{ steps.read_it.was }}"))
    )
    await started(house)
    assert (await approve(house)).state is RunState.SUCCEEDED
    assert house.world == {"checkout": 42}


async def test_lists_do_not_make_a_run_longer_than_a_run_may_be() -> None:
    many = [sets(f"each{n}", name="{{ item }}", foreach="params.names", most=100) for n in range(3)]
    house = await house_with(book(*many, params={"names": {"type": "list"}}))
    house.world.update({f"n{n}": 5 for n in range(90)})
    await started(house, names=",".join(f"n{n}" for n in range(90)))
    run = await house.run()
    assert (run.state, len(run.steps)) == (RunState.FAILED, 181)
    assert "with 90 items more the run would have over 200 steps" in run.message
