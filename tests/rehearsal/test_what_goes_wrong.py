"""A test of a runbook can say what goes wrong, and the run ends as the real engine ends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rehearsal.books import SCALE, SEE, failures

POST = """\
name: post
title: Send it
start: manual
steps:
  - id: send
    action: http.request
    with: {url: "https://flags.example/off", method: POST}
    no_undo: it is only a note
  - id: see
    action: http.request
    with: {url: "https://flags.example/state"}
"""


@pytest.mark.parametrize(
    ("book", "fail", "expect"),
    [
        (SCALE, "scale: refused", "state: failed, steps: {scale: failed}, messages: [it is refused]"),
        (SCALE, "scale: gone", "state: failed, messages: [it is not there any more]"),
        (SCALE, "scale: lost", "state: succeeded, messages: [is done already]"),
        (SCALE, "scale: late", "state: succeeded, messages: [changed and verified]"),
        (SCALE, "scale: unsure", "state: unsure, steps: {scale: unsure}, messages: [may or may not have taken effect]"),
        (SCALE, "scale: ineffective", "state: failed, messages: ['it has not taken effect: replicas: 3 -> 6']"),
        (SCALE, "scale: drifts", "state: succeeded, plan: {scale: ['replicas: 3 -> 6']}"),
        (SCALE + SEE, "see: refused", "state: failed, steps: {scale: done, see: failed}"),
        (SCALE + SEE, "see: late", "state: succeeded"),
        (POST, "send: unsure", "state: unsure, messages: [not safe to repeat], steps: {see: pending}"),
        (POST, "send: lost", "state: unsure, messages: [not safe to repeat]"),
        (POST, "see: gone", "state: failed, steps: {send: done, see: failed}"),
    ],
)
async def test_a_failure_ends_the_run_as_it_would_in_earnest(tmp_path: Path, book: str, fail: str, expect: str) -> None:
    assert await failures(tmp_path, f"{book}tests: [{{name: a, fail: {{{fail}}}, expect: {{{expect}}}}}]\n") == []


async def test_a_world_that_changes_before_the_act_needs_a_new_approval(tmp_path: Path) -> None:
    trial = """\
tests:
  - name: while it is looked at
    facts: {scale: [{replicas: 3}, {replicas: 4}]}
    expect: {plan: {scale: ["replicas: 4 -> 6"]}, messages: [this needs a new approval, "replicas: 3 -> 6"]}
  - name: at the last moment
    facts: {scale: [{replicas: 3}, {replicas: 5}]}
    fail: {scale: drifts}
    expect: {plan: {scale: ["replicas: 5 -> 6"]}, messages: [this needs a new approval]}
"""
    assert await failures(tmp_path, SCALE + trial) == []


async def test_what_was_done_is_taken_back_in_reverse_over_the_same_world(tmp_path: Path) -> None:
    two = SCALE.replace("start: manual", "start: manual\non_failure: undo") + SEE.replace("id: see", "id: first")
    back = """\
  - id: fewer
    action: k8s.scale
    with: {namespace: shop, deployment: checkout, replicas: 2}
  - id: last
    action: prometheus.query
    with: {query: up, expect: "> 0"}
    verify: {within: 1m}
tests:
  - name: all of it
    facts: {scale: {replicas: 3}, last: {value: 0}}
    expect:
      state: failed
      undone: [fewer, scale]
      plan: {fewer: ["replicas: 6 -> 2"]}
      messages: ["RUN-2 did Undo: scale: Deployment shop/checkout: replicas: 6 -> 3"]
  - name: unless that fails too
    facts: {last: {value: 0}}
    fail: {undo.fewer: refused}
    expect: {state: failed, messages: ["RUN-2 (Undo: More pods) ended, failed"]}
"""
    assert await failures(tmp_path, two + back) == []


async def test_what_an_act_gives_back_is_known_to_its_outputs(tmp_path: Path) -> None:
    book = SCALE + "    outputs: {was: result.was}\n" + """\
  - id: tell
    action: slack.post
    with: {text: "there were {{ steps.scale.was }} of {{ incident.labels.service }}"}
tests:
  - name: it is told
    labels: {service: till}
    results: {scale: {was: 3}}
    expect: {messages: [there were 3 of till]}
"""  # fmt: skip
    assert await failures(tmp_path, book) == []
