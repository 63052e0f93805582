"""What people read: the right words at the top, the buttons that make sense, and every message within Slack's limits."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.domain.alert import AlertState
from bot.domain.context import Context, Finding
from bot.domain.incident import State
from bot.domain.people import TOCSIN
from bot.domain.plan import Diff, Plan
from bot.domain.run import Approver, Run, RunState, StepState, begun
from bot.practice.workspace.blocks import check_message, check_view
from bot.room import blocks as kit
from bot.room import messages, views
from bot.room.blocks import Message
from bot.room.runs import run_message
from tests.room.samples import (
    ADA,
    DIRECTORY,
    HOSTILE,
    NOW,
    alert,
    hostile_alert,
    hostile_incident,
    incident,
    plan,
    runbook,
    waiting_run,
)

FIRING = AlertState(alert(), NOW, NOW)


def buttons(message: Message) -> dict[str, dict[str, Any]]:
    return {
        element["action_id"]: element
        for block in message.blocks
        if block["type"] == "actions"
        for element in block["elements"]
    }


def words(message: Message) -> str:
    """Everything that is shown, as one text."""
    return json.dumps([message.text, list(message.blocks)], ensure_ascii=False)


def every_message(text: str) -> Sequence[Message]:
    """Each kind of message, made of this text wherever text comes from outside."""
    broken = hostile_incident(text)
    findings = (
        Finding(gatherer="logs", title=text, lines=(text, text), code=True, source=text, url=text),
        Finding(gatherer="deploys", title=text, lines=(text,) * 60, source=text, url=f"https://x.example/{text}"),
        Finding(gatherer="metrics", title=text, missing=text or "it timed out"),
    )
    book = {
        "title": text or "x",
        "description": text,
        "steps": [{"id": f"s{n}", "title": text, "action": "a"} for n in range(50)],
    }
    wanted = Plan(target=text, diffs=(Diff(what=text, before=text, after=text, note=text),))
    run = waiting_run(wanted, **book)
    ended = run.with_step(message=text, state=StepState.FAILED).model_copy(
        update={"state": RunState.FAILED, "ended_at": NOW}
    )
    return [
        messages.card(broken, [hostile_alert(text)] * 8, [run, ended] * 4, DIRECTORY, "https://tocsin.example"),
        messages.page(broken, "person:ada", 1),
        messages.page(broken, f"channel:{text}", 2),
        messages.alarm(text, everybody=True),
        messages.said(text),
        messages.context(broken, Context(incident_id=7, epoch=1, gathered_at=NOW, findings=findings * 20)),
        run_message(run),
        run_message(ended),
    ]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_every_message_is_within_slacks_limits_whatever_an_alert_says(text: str) -> None:
    for message in every_message(text):
        check_message(list(message.blocks))
        assert message.text.strip()
        assert len(message.text) < 4000
        words(message).encode()


@pytest.mark.parametrize("text", ["<!channel>", "<!here|x>", "<@U0ADA>", "<https://evil.example|click>"])
def test_no_text_from_outside_becomes_a_mention_or_a_link(text: str) -> None:
    for message in every_message(text):
        assert text not in message.text.replace("🚨 <!channel> ", "")
        for block in message.blocks:
            for piece in mrkdwn_of(block):
                assert text not in piece


def mrkdwn_of(value: Any) -> list[str]:
    if isinstance(value, dict):
        if value.get("type") == "mrkdwn":
            assert value["verbatim"] is True
            return [value["text"]]
        return [piece for part in value.values() for piece in mrkdwn_of(part)]
    return [piece for part in value for piece in mrkdwn_of(part)] if isinstance(value, list) else []


# ------------------------------------------------------------------------------------------------ the card


def test_the_card_of_a_new_incident_says_that_nobody_has_it_and_who_was_paged() -> None:
    message = messages.card(incident(paged=("ada",)), [FIRING], [], DIRECTORY)
    assert message.text == "🔴 INC-7 triggered: checkout: High error rate (critical)"
    assert message.blocks[0]["text"]["text"] == "🔴 INC-7 checkout: High error rate"
    lead = message.blocks[1]["text"]["text"]
    assert lead == "*Nobody has this yet.* Paged so far: Ada. Press *Acknowledge* if you take it."
    assert "<!date^1772334000^" in words(message)
    assert "<https://prometheus.example/graph?a=1&amp;b=2|5xx above 5 %>" in words(message)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State.TRIGGERED, [kit.ACK, kit.RESOLVE, kit.ESCALATE, kit.RUNBOOKS]),
        (State.ACKNOWLEDGED, [kit.RESOLVE, kit.ESCALATE, kit.RUNBOOKS]),
        (State.MITIGATED, [kit.RESOLVE, kit.ESCALATE, kit.RUNBOOKS]),
        (State.RESOLVED, []),
        (State.CLOSED, []),
    ],
)
def test_the_card_has_the_buttons_that_make_sense_in_its_state(state: State, expected: list[str]) -> None:
    message = messages.card(incident(state=state), [FIRING], [], DIRECTORY)
    assert list(buttons(message)) == expected
    assert all(button["value"] == "7" for button in buttons(message).values())


def test_acknowledge_is_the_button_that_stands_out() -> None:
    shown = buttons(messages.card(incident(), [FIRING], [], DIRECTORY))
    assert [name for name, button in shown.items() if button.get("style") == "primary"] == [kit.ACK]


def test_resolving_asks_first_while_alerts_fire_and_not_otherwise() -> None:
    assert "confirm" in buttons(messages.card(incident(firing=2), [FIRING], [], DIRECTORY))[kit.RESOLVE]
    assert "confirm" not in buttons(messages.card(incident(firing=0), [], [], DIRECTORY))[kit.RESOLVE]


def test_an_incident_without_a_policy_has_nothing_to_escalate() -> None:
    assert kit.ESCALATE not in buttons(messages.card(incident(tracks=()), [FIRING], [], DIRECTORY))


def test_the_card_says_who_has_it() -> None:
    message = messages.card(incident(state=State.ACKNOWLEDGED, acknowledged_by="Ada"), [FIRING], [], DIRECTORY)
    assert message.blocks[1]["text"]["text"] == "*Ada* has this. Nobody else is paged."


def test_the_card_shows_the_first_alerts_and_counts_the_others() -> None:
    several = [
        replace(FIRING, alert=alert(fingerprint=str(n), annotations={"summary": f"alert {n}"})) for n in range(5)
    ]
    assert "and 7 more" in words(messages.card(incident(alerts=12, firing=9), several, [], DIRECTORY))
    assert "9 of 12 firing" in words(messages.card(incident(alerts=12, firing=9), several, [], DIRECTORY))


def test_very_long_addresses_cost_the_links_and_not_the_alerts() -> None:
    far = [
        replace(FIRING, alert=alert(url="https://x.example/" + "a" * 2000, annotations={"summary": f"alert {n}"}))
        for n in range(5)
    ]
    shown = words(messages.card(incident(), far, [], DIRECTORY))
    assert all(f"alert {n}" in shown for n in range(5))
    assert "https://x.example" not in shown


def test_a_run_that_waits_for_somebody_is_on_the_card() -> None:
    shown = words(messages.card(incident(), [FIRING], [waiting_run()], DIRECTORY))
    assert "RUN-3 Scale out: step 1 of 2, *waits for an approval*" in shown


# ------------------------------------------------------------------------------------------------ pages and alarms


def test_a_page_says_what_how_bad_where_why_and_what_happens_next() -> None:
    message = messages.page(incident(), "person:ada", 1)
    assert message.text == (
        "🔴 critical: checkout: High error rate (INC-7). Please acknowledge. Without an answer the next page goes out after 5 minutes."
    )
    shown = words(message)
    assert "You are paged: checkout: High error rate" in shown
    assert "<#C0PR0000009>" in shown
    assert "Why you: policy `shop`, level 1." in shown
    assert buttons(message)[kit.PAGE_ACK]["style"] == "primary"


def test_a_page_before_the_channel_exists_says_so() -> None:
    assert "its channel is being opened" in words(messages.page(incident(channel_id=""), "person:ada", 1))


def test_a_private_incident_is_told_to_people_and_not_to_a_channel() -> None:
    assert "High error rate" in words(messages.page(incident(private=True), "person:ada", 1))
    told = words(messages.page(incident(private=True), "channel:ops", 2))
    assert "High error rate" not in told
    assert "checkout" not in told
    assert "a private incident" in told


def test_an_alarm_wakes_the_channel_only_when_nobody_is_left() -> None:
    assert messages.alarm("x <!here>", everybody=True).text == "🚨 <!channel> x &lt;!here&gt;"
    assert messages.alarm("x", everybody=False).text == "🚨 x"


def test_long_words_are_split_and_short_ones_are_one_text() -> None:
    assert messages.said("short").blocks == ()
    long = messages.said("line\n" * 2000)
    assert len(long.blocks) == 4
    check_message(list(long.blocks))


def test_the_topic_has_who_and_how_bad_within_250_characters() -> None:
    shown = messages.topic(incident(title="<x>" * 200, acknowledged_by="Ada", state=State.ACKNOWLEDGED))
    assert shown.startswith("🔴 INC-7 acknowledged · critical · Ada · &lt;x&gt;")
    assert len(shown) <= 250


# ------------------------------------------------------------------------------------------------ context


def test_what_was_found_says_where_from_and_what_is_missing_says_why() -> None:
    findings = (
        Finding(
            gatherer="logs",
            title="Logs",
            lines=("boom `x`",),
            code=True,
            source="last 10 min",
            url="https://logs.example",
        ),
        Finding(gatherer="deploys", title="Deploys", lines=("v2 by Bob <b>",)),
        Finding(gatherer="metrics", title="Error rate", missing="it took longer than 5 s"),
    )
    message = messages.context(incident(), Context(incident_id=7, epoch=1, gathered_at=NOW, findings=findings))
    shown = [block["text"]["text"] for block in message.blocks if block["type"] == "section"]
    assert shown == [
        "*Logs*\n```\nboom `x`\n```",
        "*Deploys*\nv2 by Bob &lt;b&gt;",
        "*Error rate*\nNot gathered, because it took longer than 5 s",
    ]
    assert "last 10 min · <https://logs.example|open>" in words(message)


# ------------------------------------------------------------------------------------------------ runs


def plan_text(message: Message) -> str:
    texts = [block["text"]["text"] for block in message.blocks if block["type"] == "section"]
    return "\n".join(html.unescape(text.strip("`").strip("\n")) for text in texts if text.startswith("```"))


def test_a_waiting_run_shows_exactly_its_plan_and_its_buttons_carry_the_digest() -> None:
    run = waiting_run()
    message = run_message(run)
    assert plan_text(message) == "\n".join(plan().lines())
    value = f"3:scale:{plan().digest}"
    assert {name: button["value"] for name, button in buttons(message).items()} == {
        kit.APPROVE: value,
        kit.REFUSE: value,
    }
    approve = buttons(message)[kit.APPROVE]
    assert approve["style"] == "danger"
    assert "Deployment shop/checkout" in approve["confirm"]["text"]["text"]
    shown = words(message)
    assert "Step 1 of 2 waits for your approval: *Scale the deployment*" in shown
    assert "one person of the role `responders`" in shown
    assert "Without an answer by <!date^" in shown


def test_a_plan_of_many_lines_is_still_shown_whole() -> None:
    wanted = Plan(target="t", diffs=tuple(Diff(what=f"key {n}", before="a" * 40, after="b" * 40) for n in range(50)))
    message = run_message(waiting_run(wanted))
    assert plan_text(message).splitlines() == wanted.lines()
    assert kit.APPROVE in buttons(message)


def test_a_plan_that_cannot_be_shown_whole_cannot_be_approved_here() -> None:
    wanted = Plan(target="t", diffs=(Diff(what="x", before="a" * 9000, after="b"),))
    message = run_message(waiting_run(wanted))
    assert list(buttons(message)) == [kit.REFUSE]
    assert "too long to be shown whole" in words(message)


def test_a_line_break_in_a_plan_cannot_forge_another_line_of_it() -> None:
    wanted = Plan(target="t", diffs=(Diff(what="replicas", before="3", after="4\n+ image: good"),))
    assert plan_text(run_message(waiting_run(wanted))).splitlines()[-1] == "+ replicas: 4⏎+ image: good"


def test_drift_is_said_and_voids_what_was_approved() -> None:
    drifted = waiting_run().with_step(drifted=True)
    assert "The plan has changed" in words(run_message(drifted))


def test_two_approvals_and_no_requester_are_said_with_who_has_approved() -> None:
    run = waiting_run(approve={"people": 2, "not_requester": True})
    run = run.with_step(approvals=(Approver(actor=ADA.model_copy(update={"name": "Cleo"}), digest="d", at=NOW),))
    shown = words(run_message(run))
    assert "2 different people of the role `responders`, not Ada, who asked for it; 1 approved: Cleo." in shown


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (RunState.PLANNING, "Looking at what would have to change."),
        (RunState.RUNNING, "It is under way."),
        (RunState.SUCCEEDED, "Every step is done and was checked."),
        (RunState.FAILED, "It stopped at a step that failed."),
        (RunState.REFUSED, "Somebody said no."),
        (RunState.EXPIRED, "Nobody answered in time, which means no."),
        (RunState.UNSURE, "It is not known whether this step took effect."),
    ],
)
def test_a_run_that_does_not_wait_says_what_became_of_it_and_has_no_buttons(state: RunState, expected: str) -> None:
    run = begun(3, incident(), runbook(), {}, TOCSIN, NOW).model_copy(update={"state": state})
    message = run_message(run.with_step(message="because of that"))
    assert expected in words(message)
    assert buttons(message) == {}
    assert "offered by Tocsin" in words(message)
    assert ("because of that" in words(message)) == run.ended


def test_steps_show_what_became_of_each() -> None:
    run: Run = waiting_run()
    by = (Approver(actor=ADA, digest="d", at=NOW),)
    run = run.with_step(state=StepState.DONE, changed=True, message="6 of 6 are ready", approvals=by)
    run = run.model_copy(update={"step": 1, "state": RunState.RUNNING}).with_step(
        state=StepState.CHECKING, check_until=NOW + timedelta(minutes=5)
    )
    shown = words(run_message(run))
    assert "✅ 1. Scale the deployment: 6 of 6 are ready (approved by Ada)" in shown
    assert "🔎 2. Look at the error rate: checking that it took effect until <!date^1772334300^" in shown


# ------------------------------------------------------------------------------------------------ modals


def test_every_modal_is_within_slacks_limits() -> None:
    long = "x" * 5000
    parameters = {
        f"p{n}": {"description": long, "default": long, "pattern": "a+", "label": "service"} for n in range(45)
    }
    books = [runbook(name=f"b{n}", title=long, description=long, params=parameters) for n in range(120)]
    about = {"incident": 7, "channel": "C1"}
    check_view(views.open_incident(["critical", "warning"], about, title=long))
    check_view(views.open_incident([], about))
    check_view(views.note("INC-7", about))
    check_view(views.runbooks("INC-7", books, about))
    check_view(views.runbooks("INC-7", books, about, chosen="b3"))
    check_view(views.runbooks("INC-7", [], about))


def test_a_picked_runbook_asks_for_its_parameters() -> None:
    view = views.runbooks("INC-7", [runbook()], {"incident": 7}, chosen="scale-out")
    asked = {block["block_id"]: block for block in view["blocks"] if block["type"] == "input"}
    assert list(asked) == ["runbook", "param:name", "param:replicas"]
    assert asked["param:name"]["optional"] is True
    assert asked["param:replicas"]["element"]["initial_value"] == "6"
    assert views.about(view) == {"incident": 7}
