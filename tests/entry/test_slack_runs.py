"""Clicks on the message of a run and its modals reach the flow once; forged, stale and repeated ones reach nothing and say why."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.domain.plan import Diff, Plan, Question
from bot.domain.run import Run
from bot.domain.step import StepState
from bot.errors import BadInput, TryLater
from bot.practice.workspace.acts import CannotDo
from bot.room import blocks as kit
from bot.room.run_buttons import About
from bot.room.runs import run_message
from tests.entry.slack_fakes import Desk, slack
from tests.practice.workspace_site import until
from tests.room.samples import asking_run, changed_run, parallel_run, plan, put, runbook, waiting_run

DIGEST = plan().digest
BY_HAND = Question(words="Fail over the database", text="Which node was it?")


@pytest.fixture(params=["socket", "http"])
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    async with slack(request.param) as running:
        yield running


@pytest.fixture
async def by_socket() -> AsyncIterator[Desk]:
    async with slack("socket") as running:
        yield running


async def message_of(desk: Desk, run: Run) -> str:
    """The run's message is in the channel, and the flow knows the run."""
    desk.flows.runs = [run]
    return await desk.post(run_message(run).blocks)


async def forged(desk: Desk, action_id: str, value: str) -> str:
    return await desk.post([kit.actions(kit.button("x", action_id, value))])


# ------------------------------------------------------------------------------------------------ every button


@pytest.mark.parametrize(
    ("run", "action", "call"),
    [
        (waiting_run(), kit.APPROVE, ("approve", 3, "scale", DIGEST, "ada")),
        (waiting_run(), kit.REFUSE, ("refuse", 3, "scale", DIGEST, "ada")),
        (waiting_run(), kit.PAUSE, ("pause", 3, "ada")),
        (waiting_run(), kit.CANCEL, ("cancel", 3, "ada")),
        (waiting_run().model_copy(update={"paused_by": "Bob"}), kit.RESUME, ("resume", 3, "ada")),
        (changed_run(), kit.UNDO, ("undo", 3, "ada")),
        (asking_run(), f"{kit.ANSWER}_1", ("answer", 3, "scale", "No, not yet", "ada")),
        (asking_run(Question(words="Fail over")), kit.DONE, ("answer", 3, "scale", "", "ada")),
    ],
)
async def test_a_click_on_a_run_is_one_decision_and_an_answer_to_the_person(
    desk: Desk, run: Run, action: str, call: tuple[Any, ...]
) -> None:
    ts = await message_of(desk, run)
    assert (await desk.click(ts, action))["ok"]
    await until(lambda: desk.told())
    assert desk.flows.calls == [call]
    assert desk.told() == [f"{call[0]}: done &lt;b&gt;"]
    assert desk.told("U0BOB") == []


async def test_an_undo_that_came_to_nothing_is_begun_again_for_the_first_run(by_socket: Desk) -> None:
    ts = await message_of(by_socket, changed_run(undoes=2))
    by_socket.flows.runs.append(changed_run(id=2))
    await by_socket.click(ts, kit.UNDO)
    await until(lambda: by_socket.told())
    assert by_socket.flows.calls == [("undo", 2, "ada")]


async def test_steps_that_ask_at_the_same_time_are_answered_one_by_one(desk: Desk) -> None:
    """Their buttons have the same action id, and the clicks may come in the same moment."""
    run = parallel_run(2)
    ts = await message_of(desk, run)
    for step in run.steps[:2]:
        digest = step.plan.digest if step.plan else ""
        await desk.click(ts, kit.APPROVE, value=str(About(3, digest, step.id)))
    await until(lambda: len(desk.told()) == 2)
    assert [call[2] for call in desk.flows.calls] == ["s0", "s1"]


async def test_a_step_of_a_list_in_a_called_runbook_is_found_by_its_id(by_socket: Desk) -> None:
    run = waiting_run()
    run = run.model_copy(update={"steps": (run.steps[0].to(id="deploy.drain[2]"), run.steps[1])})
    ts = await message_of(by_socket, run)
    await by_socket.click(ts, kit.APPROVE)
    await until(lambda: by_socket.told())
    assert by_socket.flows.calls == [("approve", 3, "deploy.drain[2]", DIGEST, "ada")]


# ------------------------------------------------------------------------------------------------ modals


async def test_the_glass_is_broken_with_a_reason(desk: Desk) -> None:
    ts = await message_of(desk, waiting_run())
    await desk.click(ts, kit.GLASS)
    form = await desk.form()
    assert "+ replicas: 6" in str(form["blocks"])
    assert desk.flows.calls == []
    assert (await desk.submit({"reason": "the shop is down\nand nobody answers"}))["ok"]
    await until(lambda: desk.told())
    assert desk.flows.calls == [("break_glass", 3, "scale", DIGEST, "the shop is down\nand nobody answers", "ada")]
    assert desk.told() == ["break_glass: done &lt;b&gt;"]


async def test_who_may_not_break_the_glass_is_told_in_the_form_and_nothing_is_lost(by_socket: Desk) -> None:
    desk = by_socket
    await desk.click(await message_of(desk, waiting_run()), kit.GLASS)
    await desk.form()
    desk.flows.raises = BadInput("policy.yaml: the glass may be broken by leads; Ada is not of them. Nothing was done.")
    answer = await desk.submit({"reason": "because"})
    assert answer["errors"] == {
        "reason": "policy.yaml: the glass may be broken by leads; Ada is not of them. Nothing was done."
    }
    with pytest.raises(CannotDo, match="required_fields_missing"):
        await desk.submit({})
    assert desk.flows.calls == []


async def test_something_done_by_hand_is_ticked_with_the_words_that_are_asked_for(desk: Desk) -> None:
    await desk.click(await message_of(desk, asking_run(BY_HAND)), kit.DONE)
    form = await desk.form()
    assert form["blocks"][-1]["label"]["text"] == "Which node was it?"
    assert (await desk.submit({"words": "db-2"}))["ok"]
    await until(lambda: desk.told())
    assert desk.flows.calls == [("answer", 3, "scale", "db-2", "ada")]


# ------------------------------------------------------------------------------------------------ forged, stale, repeated


ABOUT_STEPS = [kit.APPROVE, kit.REFUSE, kit.GLASS, kit.DONE, f"{kit.ANSWER}_0"]
ABOUT_RUNS = [kit.PAUSE, kit.RESUME, kit.CANCEL, kit.UNDO]


@pytest.mark.parametrize("action", [*ABOUT_STEPS, *ABOUT_RUNS])
async def test_a_forged_value_does_nothing_and_says_so(by_socket: Desk, action: str) -> None:
    desk = by_socket
    values = ["", "x", "-3", "٣", "3:scale", "3:xyz:scale", f"3:{DIGEST}:", f"3:{DIGEST}:Scale; drop", "9" * 40]
    values += ["3:ab:scale"] if action in ABOUT_RUNS else ["3"]
    for number, value in enumerate(values, start=1):
        await desk.click(await forged(desk, action, value), action)
        await until(lambda number=number: len(desk.told()) == number)
    assert desk.flows.calls == []
    assert all("does not say which" in text and "Nothing was done" in text for text in desk.told())
    assert desk.site.workspace.state.top_view("U0ADA") is None


@pytest.mark.parametrize(
    ("action", "value", "said"),
    [
        (kit.GLASS, f"99:{DIGEST}:scale", "There is no RUN-99."),
        (kit.GLASS, f"3:{DIGEST}:other", "RUN-3 has no step other."),
        (kit.GLASS, "3:0123456789abcdef:scale", "RUN-3 does not ask this any more"),
        (kit.GLASS, f"3:{DIGEST}:check", "RUN-3 does not ask this any more: Look at the error rate is pending"),
        (kit.APPROVE, "3::scale", "does not say which plan"),
        (kit.DONE, "99::scale", "There is no RUN-99."),
        (kit.DONE, "3::scale", "RUN-3 does not ask this any more: Scale the deployment is waiting"),
        (f"{kit.ANSWER}_0", "3:0:scale", "RUN-3 does not ask this any more"),
        (f"{kit.ANSWER}_0", "3:0:nothing", "RUN-3 has no step nothing."),
    ],
)
async def test_a_run_a_step_or_a_plan_that_is_not_there_is_told(
    by_socket: Desk, action: str, value: str, said: str
) -> None:
    by_socket.flows.runs = [waiting_run()]
    await by_socket.click(await forged(by_socket, action, value), action)
    await until(lambda: by_socket.told())
    assert said in by_socket.told()[0]
    assert by_socket.flows.calls == []


@pytest.mark.parametrize(
    ("action", "value"),
    [
        *((action, "3") for action in ABOUT_RUNS),
        (kit.APPROVE, f"3:{DIGEST}:scale"),
        (kit.REFUSE, f"3:{DIGEST}:scale"),
        (kit.GLASS, f"3:{DIGEST}:scale"),
        (kit.GLASS, f"3:{DIGEST}:guess"),
        (kit.DONE, "3::scale"),
        (f"{kit.ANSWER}_0", "3:0:scale"),
        (kit.RUNBOOKS, "7"),
    ],
)
async def test_nobody_hears_of_a_private_incidents_run_or_decides_about_it_from_elsewhere(
    by_socket: Desk, action: str, value: str
) -> None:
    desk = by_socket
    here = desk.flows.open_incidents[0]
    desk.flows.open_incidents = [here.model_copy(update={"private": True, "channel_id": "C0PRIVATE"})]
    desk.flows.runs = [waiting_run()]
    await desk.click(await forged(desk, action, value), action)
    await until(lambda: desk.told())
    assert "private. Whoever" in desk.told()[0] or "private incident. Whoever" in desk.told()[0]
    assert "Scale" not in desk.told()[0]
    assert desk.flows.calls == []
    assert desk.site.workspace.state.top_view("U0ADA") is None


async def test_in_its_own_channel_a_private_incidents_run_is_decided_about(by_socket: Desk) -> None:
    desk = by_socket
    desk.flows.open_incidents = [desk.flows.open_incidents[0].model_copy(update={"private": True})]
    await desk.click(await message_of(desk, waiting_run()), kit.PAUSE)
    await until(lambda: desk.told())
    assert desk.flows.calls == [("pause", 3, "ada")]


@pytest.mark.parametrize("mark", ["2", "99", "f", ""])
async def test_an_answer_that_the_question_does_not_have_is_refused(by_socket: Desk, mark: str) -> None:
    by_socket.flows.runs = [asking_run()]
    action = f"{kit.ANSWER}_2"
    await by_socket.click(await forged(by_socket, action, f"3:{mark}:scale"), action)
    await until(lambda: by_socket.told())
    assert "RUN-3 has no such answer." in by_socket.told()[0]
    assert by_socket.flows.calls == []


async def test_the_words_of_an_answer_come_from_the_question_and_not_from_the_button(by_socket: Desk) -> None:
    by_socket.flows.runs = [asking_run()]
    button = kit.button("Drop the database", f"{kit.ANSWER}_0", "3:0:scale")
    await by_socket.click(await by_socket.post([kit.actions(button)]), f"{kit.ANSWER}_0")
    await until(lambda: by_socket.told())
    assert by_socket.flows.calls == [("answer", 3, "scale", "Yes", "ada")]


async def test_a_plan_that_changed_while_the_form_was_open_is_decided_by_the_flow(by_socket: Desk) -> None:
    """The form keeps the digest of the plan that it showed."""
    desk = by_socket
    await desk.click(await message_of(desk, waiting_run()), kit.GLASS)
    await desk.form()
    newer = Plan(target="Deployment shop/checkout", diffs=(Diff(what="replicas", before="6", after="9"),))
    desk.flows.runs = [waiting_run(newer)]
    await desk.submit({"reason": "it burns"})
    await until(lambda: desk.flows.calls)
    assert desk.flows.calls[0][3] == DIGEST != newer.digest


async def test_one_click_that_slack_delivers_twice_is_one_decision(desk: Desk) -> None:
    ts = await message_of(desk, changed_run())
    desk.site.workspace.faults.add("duplicate", "interactive", count=1)
    await desk.click(ts, kit.UNDO)
    await until(lambda: len(desk.told()) == 2)
    assert desk.flows.calls == [("undo", 3, "ada")]
    assert "This was taken already; nothing is done twice." in desk.told()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BadInput("RUN-3 has ended (<cancelled>)."), "RUN-3 has ended (&lt;cancelled&gt;)."),
        (TryLater("the database does not answer"), "Nothing was done: the database does not answer."),
    ],
)
async def test_what_does_not_count_is_said_to_the_person_alone(by_socket: Desk, error: Exception, said: str) -> None:
    ts = await message_of(by_socket, waiting_run())
    by_socket.flows.raises = error
    await by_socket.click(ts, kit.PAUSE)
    await until(lambda: by_socket.told())
    assert by_socket.told()[0].startswith(said)
    assert by_socket.told("U0BOB") == []


# ------------------------------------------------------------------------------------------------ the form of a runbook


BOOK = runbook(
    params={
        "name": {"label": "service", "pattern": "[a-z]+"},
        "replicas": {"type": "integer", "minimum": 1, "maximum": 20, "default": 6},
        "zone": {"choices": ["eu", "us"]},
        "dry": {"type": "boolean", "default": False},
        "for": {"type": "duration", "default": "5m"},
    }
)


async def filled_in(desk: Desk) -> dict[str, Any]:
    """The form of BOOK with its fields."""
    desk.flows.all = [BOOK]
    await desk.command("runbook")
    await desk.form()
    await desk.submit({"runbook": "scale-out"})
    return desk.view()


async def test_a_form_comes_filled_with_labels_and_defaults_and_gives_them_to_the_flow(desk: Desk) -> None:
    assert "param:zone" in str(await filled_in(desk))
    assert (await desk.submit({"runbook": "scale-out", "param:zone": "us", "param:dry": "true"}))["ok"]
    await until(lambda: desk.told())
    given = {"name": "checkout", "replicas": "6", "zone": "us", "dry": "true", "for": "5m"}
    assert desk.flows.calls == [("start", 7, "scale-out", given, "ada")]


async def test_what_is_wrong_is_said_at_each_field_while_the_form_is_open(desk: Desk) -> None:
    await filled_in(desk)
    wrong = {"param:name": "Check out", "param:replicas": "21", "param:zone": "eu", "param:for": "soon"}
    answer = await desk.submit({"runbook": "scale-out", **wrong})
    assert answer["error"] == "view_errors"
    assert answer["errors"] == {
        "param:name": "scale-out: name='Check out' does not match [a-z]+",
        "param:replicas": "scale-out: replicas='21' is more than 20, the most that replicas may be",
        "param:for": "scale-out: for='soon' is not a duration like 90s, 5m or 1h30m",
    }
    assert desk.flows.calls == []
    assert (await desk.submit({"runbook": "scale-out", "param:zone": "eu"}))["ok"]
    assert [call[0] for call in desk.flows.calls] == ["start"]


async def test_what_the_flow_refuses_is_said_at_the_runbook(by_socket: Desk) -> None:
    await filled_in(by_socket)
    by_socket.flows.raises = BadInput("INC-7 is resolved: runbooks are run while an incident is open.")
    answer = await by_socket.submit({"runbook": "scale-out", "param:zone": "eu"})
    assert answer["errors"] == {"runbook": "INC-7 is resolved: runbooks are run while an incident is open."}


async def test_a_step_that_is_over_has_nothing_to_press(by_socket: Desk) -> None:
    ts = await message_of(by_socket, put(waiting_run(), "scale", state=StepState.DONE))
    with pytest.raises(CannotDo, match="no_such_button"):
        await by_socket.click(ts, kit.APPROVE)
