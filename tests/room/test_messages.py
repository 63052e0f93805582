"""What people read: the right words at the top, the buttons that make sense, and every message within Slack's limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot.domain.alert import AlertState
from bot.domain.context import Context, Finding
from bot.domain.incident import State
from bot.domain.notice import Notice
from bot.domain.page import Page, PageState
from bot.domain.plan import Diff, Plan
from bot.domain.run import Run, RunState
from bot.domain.step import StepState
from bot.practice.workspace.blocks import check_message
from bot.room import blocks as kit
from bot.room import messages, notices
from bot.room.blocks import Message
from bot.room.runs import run_message
from tests.room.reading import buttons, mrkdwn_of, words
from tests.room.samples import (
    DIRECTORY,
    HOSTILE,
    NOW,
    alert,
    asking_run,
    begun_run,
    changed_run,
    hostile_alert,
    hostile_incident,
    incident,
    parallel_run,
    put,
    waiting_run,
)

FIRING = AlertState(alert(), NOW, NOW)


def page_sent(text: str) -> Page:
    return Page(
        key="page:7:1:0:1:person:ada:sms",
        target="person:ada",
        name=text,
        medium="sms",
        state=PageState.SENT,
        begun_at=NOW,
        state_at=NOW,
        answer=text,
    )


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
    ended = run.model_copy(update={"state": RunState.FAILED, "ended_at": NOW, "message": text})
    return [
        messages.card(broken, [hostile_alert(text)] * 8, [run, ended] * 4, DIRECTORY, "https://tocsin.example"),
        messages.page(broken, "person:ada", 1),
        messages.page(broken, f"channel:{text}", 2),
        messages.summons(broken, "person:ada", text, "RUN-3"),
        messages.summons(broken, f"channel:{text}", text, "RUN-3"),
        messages.alarm(text, everybody=True),
        messages.said(text),
        notices.notice(
            Notice(
                key="n", purpose="reminder", incident_id=7, subject=text, body=text * 3, url=f"https://x.example/{text}"
            )
        ),
        Message("reached", [kit.section(line) for line in notices.reached([page_sent(text)] * 30)]),
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
        (State.TRIGGERED, [kit.ACK, kit.RESOLVE, kit.ESCALATE, kit.RUNBOOKS, kit.SILENCE]),
        (State.ACKNOWLEDGED, [kit.RESOLVE, kit.ESCALATE, kit.RUNBOOKS, kit.SILENCE]),
        (State.MITIGATED, [kit.RESOLVE, kit.ESCALATE, kit.RUNBOOKS, kit.SILENCE]),
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


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (waiting_run(), "✋ RUN-3 Scale out: *step 1 of 2 waits for an approval*"),
        (asking_run(), "✋ RUN-3 Scale out: *step 1 of 2 asks somebody*"),
        (parallel_run(3), "✋ RUN-3 Scale out: *3 steps wait for somebody*"),
        (begun_run(), "🔎 RUN-3 Scale out: step 1 of 2 is being planned"),
        (
            waiting_run().model_copy(update={"paused_by": "Bob"}),
            "⏸️ RUN-3 Scale out: *paused by Bob, step 1 of 2 waits for an approval*",
        ),
        (
            put(waiting_run(), "scale", state=StepState.APPROVED, waits_for="RUN-2, which is changing shop/checkout"),
            "⏳ RUN-3 Scale out: step 1 of 2 waits for RUN-2, which is changing shop/checkout",
        ),
        (
            waiting_run().model_copy(update={"stopping": RunState.CANCELLED}),
            "✋ RUN-3 Scale out: ends as soon as what is in flight has come back",
        ),
        (changed_run(undone_by=5), "❌ RUN-3 Scale out: failed, RUN-5 takes it back"),
        (changed_run(RunState.CANCELLED), "⏹️ RUN-3 Scale out: cancelled"),
    ],
)
def test_the_card_says_of_each_run_where_it_is_and_what_it_waits_for(run: Run, expected: str) -> None:
    assert expected in words(messages.card(incident(), [FIRING], [run], DIRECTORY))


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


def test_somebody_who_is_summoned_reads_who_asks_and_why() -> None:
    message = messages.summons(incident(), "person:ada", "the database needs <its> owner", "RUN-3")
    assert message.text == (
        "🔴 RUN-3 asks for you: the database needs &lt;its&gt; owner (INC-7: checkout: High error rate)"
    )
    assert "*RUN-3 asks for you*: the database needs &lt;its&gt; owner" in words(message)
    assert buttons(message)[kit.PAGE_ACK]["value"] == "7"
    assert "nobody else is paged because of it" in words(message)
    assert buttons(messages.summons(incident(state=State.RESOLVED), "person:ada", "x", "RUN-3")) == {}


def test_a_channel_that_is_summoned_to_a_private_incident_is_not_told_what_it_is_about() -> None:
    told = words(messages.summons(incident(private=True), "channel:ops", "the cache of Acme", "RUN-3"))
    assert "RUN-3 asks for somebody here" in told
    assert "Acme" not in told
    assert "High error rate" not in told
    assert "Acme" in words(messages.summons(incident(private=True), "person:ada", "the cache of Acme", "RUN-3"))


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
