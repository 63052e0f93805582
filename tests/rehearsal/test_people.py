"""The people of a test click as it says; what it leaves open is approved by whoever may."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rehearsal.books import SCALE, failures

TWO = SCALE.replace(
    "start: manual", "start: manual\napprove: {role: sre, people: 2, not_requester: true, expires: 30m}"
)
ASK = """\
name: ask
title: Which way
start: manual
steps:
  - id: way
    action: ask
    with: {question: "Which way?", choices: [up, down]}
  - id: look
    action: manual
    with: {do: "Look at the dashboard", answer: "What did it show?"}
  - id: up
    action: k8s.scale
    if: steps.way.answer == "up"
    with: {namespace: shop, deployment: checkout, replicas: 6}
"""


@pytest.mark.parametrize(
    "trial",
    [
        "expect: {messages: [sre-2 approved, sre-3 approved]}",
        "clicks: {scale: {by: sre-1}}, expect: {messages: [Whoever asked for RUN-1 cannot approve it as well]}",
        "clicks: {scale: [{by: sre-2}, {by: sre-2}]}, expect: {messages: [You have approved RUN-1 already]}",
        "clicks: {scale: {by: mallory}}, expect: {messages: [Only the role sre may approve RUN-1]}",
        "clicks: {scale: [{by: mallory}, {do: ignore}]}, expect: {state: expired, steps: {scale: skipped}}",
        "clicks: {scale: {do: ignore}}, takes: 30m, expect: {state: expired, messages: [nobody approved it in time]}",
        "clicks: {scale: {do: refuse}}, expect: {state: refused, messages: [sre-2 said no; nothing was done]}",
        "clicks: {scale: {do: cancel}}, expect: {state: cancelled}",
        "clicks: {scale: {do: break_glass, text: 'it is down'}}, expect: {messages: ['BROKE THE GLASS for RUN-1, step scale: it is down']}",
        "clicks: {scale: {do: break_glass}}, expect: {messages: [Breaking the glass needs a reason]}",
    ],
)
async def test_clicks_count_by_the_rules_of_the_real_engine(tmp_path: Path, trial: str) -> None:
    assert await failures(tmp_path, f"{TWO}tests: [{{name: a, {trial}}}]\n") == []


@pytest.mark.parametrize(
    ("trial", "says"),
    [
        (
            "clicks: {way: {do: answer, text: up}}, expect: {steps: {up: done}, messages: ['Look at the dashboard', done by]}",
            ["messages: nothing says 'done by'; the nearest is"],
        ),
        (
            "clicks: {way: {do: answer, text: down}, look: {do: answer, text: all red}}, expect: {steps: {up: skipped}, messages: [all red]}",
            [],
        ),
        (
            "clicks: {way: [{do: answer, text: left}, {do: answer, text: up}]}, expect: {messages: [is not one of up]}",
            [],
        ),
        ("clicks: {way: {do: ignore}}, expect: {state: expired, messages: [nobody answered it in time]}", []),
        (
            "{}",
            [
                "step way waits, and nobody could let it go on: it asks for one of up, down: say in clicks what is answered"
            ],
        ),
    ],
)
async def test_questions_are_answered_as_the_test_says(tmp_path: Path, trial: str, says: list[str]) -> None:
    given = "" if trial == "{}" else f", {trial}"
    found = await failures(tmp_path, f"{ASK}tests: [{{name: a{given}}}]\n")
    assert [one[: len(says[0])] for one in found] == says if says else found == []


AUTO = SCALE.replace("start: manual", 'start: auto\nmatch: [alertname="Busy"]')


async def test_an_automatic_runbook_starts_by_itself_when_the_labels_fit(tmp_path: Path) -> None:
    trial = "tests: [{name: a, labels: {alertname: Busy}, expect: {messages: [RUN-1 begins by itself]}}]\n"
    assert await failures(tmp_path, AUTO + trial) == []
    by_hand = trial.replace("Busy", "Other").replace("RUN-1 begins by itself", "scale-starter")
    [said] = await failures(tmp_path, AUTO + by_hand)
    assert "responders-1 started RUN-1: More pods" in said


async def test_an_automatic_runbook_that_lacks_a_parameter_is_said_not_to_start(tmp_path: Path) -> None:
    lacking = AUTO.replace("default: 6", "label: wanted")
    [said] = await failures(tmp_path, f"{lacking}tests: [{{name: a, labels: {{alertname: Busy}}}}]\n")
    assert said.startswith(
        "it did not start by itself: Runbook More pods fits but was not offered: scale needs replicas"
    )


async def test_what_is_posted_and_whom_it_pages_is_told(tmp_path: Path) -> None:
    book = """\
name: tell
title: Tell them
start: manual
steps:
  - id: post
    action: slack.post
    with: {channel: support, text: "We know about {{ incident.title }}"}
  - id: page
    action: page
    with: {who: "rotation:database", why: "the database is full"}
  - id: pause
    action: wait
    with: {for: 10m}
tests:
  - name: both are told
    labels: {alertname: Full}
    takes: 10m
    expect: {messages: ["#support: We know about Full", "rotation:database: the database is full"]}
"""
    assert await failures(tmp_path, book) == []
