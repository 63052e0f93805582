"""The message of a run in every state: what it waits for, what is asked and by whom it may be answered, what became of it, and its buttons."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bot.domain.expand import begun, revocable
from bot.domain.people import TOCSIN, Directory
from bot.domain.plan import Diff, Plan, Question
from bot.domain.run import Run, RunState, moved
from bot.domain.step import Approver, StepState, failed
from bot.errors import BadInput
from bot.practice.workspace.blocks import check_message
from bot.room import blocks as kit
from bot.room.blocks import Message
from bot.room.run_buttons import About, about, about_run
from bot.room.runs import run_message
from tests.room.reading import buttons, every_button, lines, mrkdwn_of, plan_text, words
from tests.room.samples import (
    ADA,
    DIRECTORY,
    HOSTILE,
    NOW,
    asking_run,
    begun_run,
    changed_run,
    incident,
    listed_run,
    parallel_run,
    plan,
    put,
    runbook,
    shown,
    waiting_run,
)

CONTROLS = [kit.PAUSE, kit.CANCEL]


def approver(name: str = "Ada", broke_glass: str = "") -> Approver:
    return Approver(actor=ADA.model_copy(update={"name": name}), digest="d", at=NOW, broke_glass=broke_glass)


def long_plan(length: int) -> Plan:
    return Plan(target="t", diffs=(Diff(what="x", before="a" * length, after="b"),))


# ------------------------------------------------------------------------------------------------ an approval


def test_a_waiting_run_shows_exactly_its_plan_and_its_buttons_carry_the_digest() -> None:
    message = run_message(waiting_run())
    assert plan_text(message) == "\n".join(plan().lines())
    found = {name: button["value"] for name, button in buttons(message).items()}
    value = f"3:{plan().digest}:scale"
    assert found == {
        kit.APPROVE: value, kit.REFUSE: value, kit.GLASS: value, kit.PAUSE: "3", kit.CANCEL: "3"
    }  # fmt: skip
    assert about(value) == About(3, plan().digest, "scale")
    approve = buttons(message)[kit.APPROVE]
    assert approve["style"] == "danger"
    assert "Deployment shop/checkout" in approve["confirm"]["text"]["text"]
    assert lines(message)[0] == "*Step 1 of 2 waits for an approval:* *Scale the deployment*"
    assert message.text == "✋ RUN-3 Scale out: step 1 of 2 waits for an approval"


def test_it_says_why_it_is_asked_who_may_answer_until_when_and_what_a_no_means() -> None:
    message = run_message(waiting_run(), DIRECTORY)
    told = words(message)
    assert (
        "*Why is this asked?* This step changes something, so it needs one person of the role `responders` (Ada, Bob)."
        in told
    )
    assert "Until <!date^1772335805^" in told
    assert "no answer means no." in told
    assert "*What if I say no?* The run ends. Nothing has been changed so far." in told


def test_a_no_says_what_stays_done_and_that_it_can_be_taken_back() -> None:
    run = changed_run(RunState.WAITING, ended_at=None, message="")
    told = words(run_message(shown(run, plan(), "check")))
    assert "The run ends. What was done before stays done (Scale the deployment). *Undo* takes it back." in told
    stuck = run.with_steps("scale", [run.steps[0].to(undo=None)])
    assert 'stays done (Scale the deployment)."' in words(run_message(shown(stuck, plan(), "check")))


def test_two_approvals_and_no_requester_are_said_with_who_has_approved() -> None:
    run = waiting_run(approve={"people": 2, "not_requester": True})
    told = words(run_message(put(run, "scale", approvals=(approver("Cleo"),))))
    assert "needs 2 different people of the role `responders`, not Ada, who asked for it." in told
    assert "*Cleo approved, 1 more needed.*" in told


def test_a_role_that_nobody_has_is_said() -> None:
    nobody = Directory(people=DIRECTORY.people, roles={"others": ("ada",)})
    assert "the role `responders` (nobody has it now)" in words(run_message(waiting_run(), nobody))
    many = Directory(roles={"responders": tuple(f"p{n}" for n in range(30))})
    assert "(p0, p1, p2, p3, p4, p5 and 24 more)" in words(run_message(waiting_run(), many))


def test_a_step_that_nothing_takes_back_says_so_before_it_is_approved() -> None:
    step = {"id": "scale", "title": "Scale", "action": "a", "no_undo": "mails <cannot> be unsent"}
    assert "*Nothing takes this back:* mails &lt;cannot&gt; be unsent" in words(run_message(waiting_run(steps=[step])))


def test_a_plan_of_many_lines_is_still_shown_whole() -> None:
    wanted = Plan(target="t", diffs=tuple(Diff(what=f"key {n}", before="a" * 40, after="b" * 40) for n in range(50)))
    message = run_message(waiting_run(wanted))
    assert plan_text(message).splitlines() == wanted.lines()
    assert kit.APPROVE in buttons(message)


def test_a_plan_that_cannot_be_shown_whole_cannot_be_approved_here_not_even_past_the_rules() -> None:
    message = run_message(waiting_run(long_plan(9000)))
    assert list(buttons(message)) == [kit.REFUSE, *CONTROLS]
    assert "too long to be shown whole" in words(message)


def test_a_line_break_in_a_plan_cannot_forge_another_line_of_it() -> None:
    wanted = Plan(target="t", diffs=(Diff(what="replicas", before="3", after="4\n+ image: good"),))
    assert plan_text(run_message(waiting_run(wanted))).splitlines()[-1] == "+ replicas: 4⏎+ image: good"


def test_drift_is_said_and_voids_what_was_approved() -> None:
    assert "*The plan has changed* since it was shown." in words(run_message(put(waiting_run(), "scale", drifted=True)))


def test_what_the_runbook_does_is_said_while_somebody_decides() -> None:
    assert "More replicas." in words(run_message(waiting_run()))
    assert "More replicas." not in words(run_message(changed_run()))


# ------------------------------------------------------------------------------------------------ several at once


def test_steps_that_wait_at_the_same_time_have_their_own_plans_and_buttons() -> None:
    message = run_message(parallel_run(3))
    approve = [button["value"] for button in every_button(message) if button["action_id"] == kit.APPROVE]
    assert [about(value).step_id for value in approve] == ["s0", "s1", "s2"]
    assert len(set(approve)) == 3
    assert lines(message)[0] == "*3 steps wait for somebody.* Each is answered by itself."
    assert plan_text(message).count("Deployment") + plan_text(message).count("thing") == 3
    assert "and 1 more" not in words(message)


def test_more_than_three_are_counted_and_come_later() -> None:
    message = run_message(parallel_run(7))
    assert sum(button["action_id"] == kit.APPROVE for button in every_button(message)) == 3
    assert "and 4 more wait for somebody; they are shown after these are answered" in words(message)


def test_long_plans_wait_for_their_turn_instead_of_being_cut() -> None:
    wanted = Plan(target="t", diffs=tuple(Diff(what=f"key {n}", before="a" * 40, after="b" * 40) for n in range(40)))
    message = run_message(parallel_run(3, wanted))
    check_message(list(message.blocks))
    assert sum(button["action_id"] == kit.APPROVE for button in every_button(message)) == 1
    assert "and 2 more wait" in words(message)
    assert kit.CANCEL in buttons(message)


# ------------------------------------------------------------------------------------------------ questions


def test_a_question_has_a_button_per_choice_and_no_other_answer() -> None:
    message = run_message(asking_run())
    found = buttons(message)
    assert [
        (name, one["text"]["text"], one["value"]) for name, one in found.items() if name.startswith(kit.ANSWER)
    ] == [
        ("tocsin_answer_0", "Yes", "3:0:scale"),
        ("tocsin_answer_1", "No, not yet", "3:1:scale"),
    ]
    assert kit.APPROVE not in found
    assert "Is the cache warm?" in words(message)
    assert "Whoever may start runbooks answers." in words(message)
    assert "the run ends." in words(message)


def test_choices_that_no_button_can_show_whole_are_listed_with_numbers() -> None:
    long = ("Roll back " + "x" * 100, "Roll back " + "x" * 100 + " later")
    message = run_message(asking_run(Question(words="What now?", choices=long)))
    check_message(list(message.blocks))
    assert f"*2.* {long[1]}" in lines(message)
    labels = [one["text"]["text"] for name, one in buttons(message).items() if name.startswith(kit.ANSWER)]
    assert [label[:3] for label in labels] == ["1. ", "2. "]


def test_something_to_be_done_by_hand_is_ticked_and_says_who_may() -> None:
    question = Question(words="Fail over the database\nthen look at the lag", role="responders")
    message = run_message(asking_run(question), DIRECTORY)
    assert "*Somebody has to do this by hand:*" in words(message)
    assert "then look at the lag" in lines(message)
    done = buttons(message)[kit.DONE]
    assert (done["text"]["text"], done["value"]) == ("Done", "3::scale")
    assert "Only the role `responders` (Ada, Bob) counts." in words(message)
    asks = run_message(asking_run(question.model_copy(update={"text": "Which node was it?"})))
    assert buttons(asks)[kit.DONE]["text"]["text"] == "Done …"


# ------------------------------------------------------------------------------------------------ where it is


@pytest.mark.parametrize(
    ("run", "expected", "pressed"),
    [
        (begun_run(), "Looking at what would have to change. Nothing has been changed.", CONTROLS),
        (put(waiting_run(), "scale", state=StepState.DOING), "It is under way: step 1 of 2.", CONTROLS),
        (
            put(waiting_run(), "scale", state=StepState.APPROVED, waits_for="RUN-2, which is changing shop/checkout"),
            "*Step 1 of 2 is approved and waits for RUN-2, which is changing shop/checkout.* Then it goes on by itself.",
            CONTROLS,
        ),
        (
            put(waiting_run(), "scale", state=StepState.DOING).model_copy(
                update={"stopping": RunState.CANCELLED, "message": "Ada cancelled it"}
            ),
            "*It is ending* as soon as what is in flight has come back: Ada cancelled it",
            [],
        ),
        (
            waiting_run().model_copy(update={"paused_by": "Bob <b>"}),
            "⏸️ *Paused by Bob &lt;b&gt;.* Nothing new is begun. Press *Resume*, or type `/incident run RUN-3 resume`.",
            [kit.APPROVE, kit.REFUSE, kit.GLASS, kit.RESUME, kit.CANCEL],
        ),
        (
            put(waiting_run(), "scale", state=StepState.CHECKING).model_copy(update={"paused_by": "Bob"}),
            "*Scale the deployment* is in flight and comes to its end.",
            [kit.RESUME, kit.CANCEL],
        ),
        (waiting_run().model_copy(update={"stopping": RunState.FAILED}), "*It is ending*", []),
    ],
)  # fmt: skip
def test_a_run_that_has_not_ended_says_what_it_is_doing(run: Run, expected: str, pressed: list[str]) -> None:
    message = run_message(run)
    assert expected in words(message)
    assert list(buttons(message)) == pressed


def test_a_run_whose_every_step_is_done_says_so() -> None:
    run = changed_run(RunState.SUCCEEDED).model_copy(update={"message": ""})
    assert "Every step is done and was checked." in words(run_message(run))
    assert "Why it ended" not in words(run_message(run))


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (RunState.SUCCEEDED, "There was nothing more to do."),
        (RunState.FAILED, "It stopped at a step that failed."),
        (RunState.REFUSED, "Somebody said no."),
        (RunState.EXPIRED, "It ended without an answer, which means no."),
        (RunState.CANCELLED, "Somebody cancelled it."),
        (RunState.UNSURE, "*It is not known whether Look at the error rate took effect.*"),
    ],
)
def test_a_run_that_has_ended_says_what_became_of_it_what_it_has_changed_and_can_be_undone(
    state: RunState, expected: str
) -> None:
    run = changed_run(state)
    if state is RunState.UNSURE:
        run = run.with_steps("check", [failed(run.steps[1], "x", NOW, unsure=True)])
    message = run_message(run)
    assert expected in words(message)
    assert "*Why it ended*\\nbecause of that" in words(message)
    assert list(buttons(message)) == [kit.UNDO]
    undo = buttons(message)[kit.UNDO]
    assert undo["value"] == "3"
    assert "*Scale the deployment*" in undo["confirm"]["text"]["text"]
    assert ("*Changed, and left so:* Scale the deployment" in words(message)) == (state is not RunState.SUCCEEDED)
    assert all(name != kit.APPROVE for name in buttons(message))


def test_a_run_that_changed_nothing_says_so_and_has_nothing_to_undo() -> None:
    ended = begun_run(actor=TOCSIN).model_copy(
        update={"state": RunState.REFUSED, "ended_at": NOW, "message": "Bob said no"}
    )
    message = run_message(ended)
    assert "*Changed:* nothing." in words(message)
    assert "offered by Tocsin" in words(message)
    assert buttons(message) == {}
    checked = ended.model_copy(update={"state": RunState.SUCCEEDED, "message": ""})
    assert "Every step was checked. Nothing had to be changed." in words(run_message(checked))


def test_what_cannot_be_taken_back_is_named_and_offers_no_undo() -> None:
    run = changed_run()
    run = run.with_steps("scale", [run.steps[0].to(undo=None)])
    assert revocable(run) == []
    message = run_message(run)
    assert "Nothing takes back by itself: Scale the deployment" in words(message)
    assert buttons(message) == {}


def test_a_run_that_is_taken_back_says_by_which_and_does_not_offer_it_twice() -> None:
    message = run_message(changed_run(undone_by=5))
    assert "RUN-5 takes back what this run has changed" in words(message)
    assert buttons(message) == {}


@pytest.mark.parametrize(
    ("state", "offered"), [(RunState.FAILED, True), (RunState.EXPIRED, True), (RunState.SUCCEEDED, False)]
)
def test_an_undo_says_what_it_takes_back_and_offers_itself_again_when_it_came_to_nothing(
    state: RunState, offered: bool
) -> None:
    undo = begun_run().model_copy(update={"undoes": 2, "state": state, "ended_at": NOW})
    message = run_message(undo)
    assert "This takes back RUN-2." in words(message)
    assert [one["value"] for one in buttons(message).values()] == (["2"] if offered else [])


def test_an_unsure_run_says_first_to_look_and_where() -> None:
    run = waiting_run()
    step = failed(run.steps[0], "scale may or may not have taken effect", NOW, unsure=True)
    run = run.with_steps("scale", [step]).model_copy(update={"state": RunState.UNSURE, "ended_at": NOW})
    assert lines(run_message(run))[:2] == [
        "*It is not known whether Scale the deployment took effect.*",
        "Look at *Deployment shop/checkout* first, before anybody does it again or starts this runbook again.",
    ]


def test_failures_that_were_let_pass_are_not_called_a_success() -> None:
    run = changed_run(RunState.SUCCEEDED, message="")
    run = run.with_steps("check", [failed(run.steps[1], "x", NOW)])
    assert "*It came to its end, but 1 step has failed* and it went on all the same" in words(run_message(run))


def test_broken_glass_is_marked_with_who_and_why() -> None:
    run = put(waiting_run(), "scale", state=StepState.DOING, approvals=(approver("Ada", "the shop <burns>"),))
    message = run_message(run)
    assert "🔨 *Ada broke the glass* for Scale the deployment: the shop &lt;burns&gt;" in lines(message)
    assert "(approved by Ada, *breaking the glass*)" in words(message)


# ------------------------------------------------------------------------------------------------ steps


def test_steps_show_what_became_of_each() -> None:
    done = {"state": StepState.DONE, "changed": True, "message": "6 of 6 are ready", "approvals": (approver(),)}
    run = put(
        put(waiting_run(), "scale", **done), "check", state=StepState.CHECKING, check_until=NOW + timedelta(minutes=5)
    )
    told = words(run_message(run))
    assert "✅ 1. Scale the deployment: 6 of 6 are ready (approved by Ada)" in told
    assert "🔎 2. Look at the error rate: checking that it took effect until <!date^1772334300^" in told


@pytest.mark.parametrize(
    ("update", "expected"),
    [
        ({"state": StepState.PENDING}, "▫️ 1. Scale the deployment"),
        ({"state": StepState.RESTING, "expires_at": NOW}, "⏲️ 1. Scale the deployment: waits until <!date^1772334000^"),
        ({"state": StepState.SKIPPED, "message": "not needed here"}, "⏭️ 1. Scale the deployment: not needed here"),
        ({"state": StepState.FAILED, "message": "it <broke>"}, "❌ 1. Scale the deployment: it &lt;broke&gt;"),
        ({"state": StepState.UNSURE, "message": "who knows"}, "❓ 1. Scale the deployment: who knows"),
        (
            {"state": StepState.DONE, "plan": Plan(target="t")},
            "✅ 1. Scale the deployment: checked, nothing had to change",
        ),
        ({"state": StepState.DOING, "waits_for": "RUN-2"}, "⏳ 1. Scale the deployment: waits for RUN-2"),
        ({"tries": 1, "message": "no answer"}, "▫️ 1. Scale the deployment: failed, try 2 of 3 follows: no answer"),
    ],
)
def test_each_state_of_a_step_has_its_mark_and_its_words(update: dict[str, Any], expected: str) -> None:
    step = {"id": "scale", "title": "Scale the deployment", "action": "a", "retry": {"times": 2}}
    assert any(
        line.startswith(expected) for line in lines(run_message(put(begun_run(steps=[step]), "scale", **update)))
    )


def test_lists_are_indented_under_their_heading() -> None:
    run = listed_run(3, state=StepState.DONE, message="verified")
    assert lines(run_message(run))[1:5] == [
        "▾ *Drain*: 1 of 3 over, 2 at a time",
        "\u2003✅ 1. Drain (node-0): verified",
        "\u2003▫️ 2. Drain (node-1)",
        "\u2003▫️ 3. Drain (node-2)",
    ]


def test_called_runbooks_and_parallel_steps_are_indented_under_theirs() -> None:
    inner = runbook(
        name="roll-back",
        title="Roll back",
        steps=[{"id": "both", "title": "Both", "parallel": [{"id": "a", "action": "x"}, {"id": "b", "action": "x"}]}],
    )
    outer = runbook(steps=[{"id": "deploy", "call": "roll-back"}, {"id": "last", "action": "x"}])
    run = begun(3, incident(), outer, {}, ADA, NOW, {"roll-back": inner})
    assert lines(run_message(run))[1:] == [
        "▾ *Roll back* (runbook `roll-back`)",
        "\u2003▾ *Both*: 0 of 2 over, all at the same time",
        "\u2003\u2003▫️ 1. a",
        "\u2003\u2003▫️ 2. b",
        "▫️ 3. last",
    ]


def test_of_two_hundred_steps_those_around_the_current_one_are_shown_and_the_others_counted() -> None:
    run = listed_run(100)
    steps = [step.to(state=StepState.DONE, message="verified") if n < 60 else step for n, step in enumerate(run.steps)]
    message = run_message(moved(run.model_copy(update={"steps": tuple(steps)}), NOW))
    told = lines(message)
    assert "60 of 100 steps are over." in told
    assert any("61. Drain (node-60)" in line for line in told)
    before = next(line for line in told if line.startswith("…") and line.endswith("before"))
    after = next(line for line in told if line.startswith("…") and line.endswith("after"))
    shown_steps = sum("Drain (node-" in line for line in told)
    assert int(before.split()[1]) + shown_steps + int(after.split()[1]) == 100
    assert len(told) < 20


def test_step_ids_of_every_kind_come_back_from_a_button_as_they_were() -> None:
    for step_id in ("drain[2]", "deploy.rollback", "undo.scale", "undo.a.b-c_d[100]"):
        assert about(str(About(3, "0123456789abcdef", step_id))) == About(3, "0123456789abcdef", step_id)


FORGED = [
    "",
    "3",
    "3:scale",
    "x:ab:scale",
    "3:xyz:scale",
    "3:ab:",
    "3:ab:Scale",
    "-3:ab:scale",
    "٣:ab:scale",
    "3:ab:a\n",
    "0:ab:a",
]


@pytest.mark.parametrize("value", [*FORGED, "9" * 30 + ":ab:a"])
def test_a_value_that_tocsin_did_not_write_is_refused(value: str) -> None:
    with pytest.raises(BadInput, match="does not say which step"):
        about(value)
    if value != "3":
        with pytest.raises(BadInput, match="does not say which run"):
            about_run(value)


# ------------------------------------------------------------------------------------------------ outputs


def test_short_outputs_stand_in_the_message_and_long_ones_are_files_beside_it() -> None:
    run = put(waiting_run(), "scale", state=StepState.DONE, result={"output": "3 rows\n`deleted`"})
    told = words(run_message(run))
    assert "*Scale the deployment* has put out:\\n```\\n3 rows\\n`deleted`\\n```" in told
    long = run_message(put(run, "scale", result={"output": "x" * 601}))
    assert "What *Scale the deployment* has put out is a file in the thread of this message." in words(long)
    assert "xxxx" not in words(long)


@pytest.mark.parametrize(
    ("output", "long"), [("x" * 600, False), ("x" * 601, True), ("x\n" * 11, False), ("x\n" * 12, True)]
)
def test_what_is_too_long_for_the_message_becomes_a_file(output: str, long: bool) -> None:
    assert waiting_run().steps[0].to(result={"output": output}).has_long_output is long


# ------------------------------------------------------------------------------------------------ limits, hostile texts


def every_run(text: str) -> list[Run]:
    """Runs in which every text from outside is this one, and as many of them as there can be."""
    title = text or "x"
    step = {"title": text, "action": "a", "no_undo": text[:300].encode(errors="replace").decode()}
    wanted = Plan(target=text, diffs=(Diff(what=text, before=text, after=text, note=text),))
    done = {
        "state": StepState.DONE,
        "changed": True,
        "message": text,
        "result": {"output": text},
        "approvals": (approver(text, text),),
    }
    waiting = waiting_run(wanted, title=title, description=text, steps=[{**step, "id": f"s{n}"} for n in range(50)])
    together = {"id": "both", "title": text, "parallel": [{**step, "id": f"s{n}"} for n in range(20)]}
    parallel = begun_run(title=title, description=text, steps=[{**step, "id": "first"}, together])
    parallel = put(parallel, "first", **done)
    small = Plan(target=text[:400], diffs=plan().diffs)
    for n in range(20):
        parallel = shown(parallel, small, f"s{n}")
    question = Question(words=text, choices=(text, text + "2"), text=text, role="responders")
    ended = put(waiting, "s0", **done).model_copy(update={"state": RunState.UNSURE, "ended_at": NOW, "message": text})
    return [
        waiting, parallel, ended, ended.model_copy(update={"undone_by": 9}),
        asking_run(question), asking_run(Question(words=text, text=text)), listed_run(100, **done),
        waiting.model_copy(update={"paused_by": text}), parallel.model_copy(update={"stopping": RunState.FAILED, "message": text}),
        put(waiting, "s0", state=StepState.APPROVED, waits_for=text),
    ]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_every_run_is_within_slacks_limits_and_keeps_its_buttons_whatever_a_plan_says(text: str) -> None:
    everybody = Directory(roles={"responders": tuple(f"{text[:100]}{n}" for n in range(30))})
    for run in every_run(text):
        message = run_message(run, everybody)
        check_message(list(message.blocks))
        words(message).encode()
        assert message.text.strip()
        assert len(message.text) < 4000
        assert "do not fit into one message" not in words(message)
        if not run.ended and run.stopping is None:
            assert kit.CANCEL in buttons(message)


@pytest.mark.parametrize("text", ["<!channel>", "<!here|x>", "<@U0ADA>", "<https://evil.example|click>"])
def test_nothing_in_a_run_becomes_a_mention_or_a_link(text: str) -> None:
    everybody = Directory(roles={"responders": (text,)})
    for run in every_run(text):
        message: Message = run_message(run, everybody)
        assert text not in message.text
        for block in message.blocks:
            assert all(text not in piece for piece in mrkdwn_of(block))
