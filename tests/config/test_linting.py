"""`tocsin runbook lint` reads runbook files without the rest of a configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot import app
from bot.config import ConfigErrors
from bot.config.linting import lint
from tests.config.folder import REGISTRY, RUNBOOK, written


def test_files_and_folders_are_linted_without_a_configuration(tmp_path: Path) -> None:
    place = written(tmp_path, {"tocsin.yaml": None, "other.yaml": RUNBOOK.replace("scale-up", "other")})
    assert lint([place / "runbooks", place / "other.yaml"], REGISTRY) == (2, [])


def test_all_problems_of_all_files_are_told(tmp_path: Path) -> None:
    place = written(tmp_path, {"runbooks/a.yaml": RUNBOOK.replace("k8s.scale", "k8s.scal"), "runbooks/b.yaml": "["})
    with pytest.raises(ConfigErrors) as caught:
        lint([place / "runbooks", place / "nowhere"], REGISTRY)
    assert [problem.file.removeprefix(f"{place}/") for problem in caught.value.problems] == [
        "runbooks/a.yaml",
        "runbooks/b.yaml",
        "runbooks/scale-up.yaml",
        "nowhere",
    ]


# ------------------------------------------------------------------------------------------------ what is doubtful

TESTED = "tests: [{name: it works}]\n"
BOOK = """\
name: book
title: A book
start: manual
params:
  service: {default: checkout, choices: [checkout, till]}
approve: {expires: 30m}
steps:
  - id: way
    action: ask
    with: {question: "Which?", choices: [up, down]}
  - id: scale
    action: k8s.scale
    with: {namespace: shop, deployment: "{{ params.service }}", replicas: 6}
  - id: see
    action: prometheus.query
    with: {query: up, expect: "> 0"}
tests: [{name: it works}]
"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (TESTED, "", "1:1: it changes something and has no tests; add `tests:`"),
        ("30m", "30s", "6:20: approve.expires: nobody looks at a phone and answers within 30s"),
        ("start: manual", "start: auto", "1:1: has no match, so it is never started by itself"),
        ("start: manual", 'start: manual\nmatch: [alertname="x"]', "4:1: match: is never used, since start is manual"),
        (
            "start: manual",
            'match: [namespace!="", pod=~".*"]',
            "3:8: match: fits every alert that has namespace; match",
        ),
        (
            "    action: k8s.scale",
            "    action: k8s.scale\n    if: 1 > 2",
            "13:9: steps[1].if: never holds, so the step is",
        ),
        (
            "    action: k8s.scale",
            "    action: k8s.scale\n    if: 'true'",
            "13:9: steps[1].if: always holds: it does not",
        ),
        (
            "    action: k8s.scale",
            "    action: k8s.scale\n    if: steps.way.answer == 'upp'",
            '13:9: steps[1].if: never holds: "upp" is none of the choices; did you mean "up"? (choices: up, down)',
        ),
        (
            "    action: k8s.scale",
            "    action: k8s.scale\n    if: params.service != 'shop'",
            '13:9: steps[1].if: always holds: "shop" is none of the choices',
        ),
        (
            "    action: k8s.scale",
            "    action: k8s.scale\n    foreach: '[params.service]'",
            "13:5: steps[1].foreach: does not say how many items at most (most: …), so 20",
        ),
        (
            "    action: k8s.scale",
            "    action: k8s.scale\n    most: 3",
            "13:5: steps[1].most: means nothing in a step without",
        ),
        (
            '    with: {query: up, expect: "> 0"}',
            '    outputs: {value: state.value}\n    with: {query: up, expect: "> 0"}',
            "16:15: steps[2].outputs.value: no step uses this output",
        ),
        ("action: k8s.scale", "action: k8s.rollback", None),
        (
            '    action: k8s.scale\n    with: {namespace: shop, deployment: "{{ params.service }}", replicas: 6}',
            '    action: queue.rebalance\n    with: {server: "https://{{ params.service }}"}',
            "12:13: steps[1].action: queue.rebalance is risky and nothing takes it back: add undo, or say in no_undo",
        ),
        (
            '    action: k8s.scale\n    with: {namespace: shop, deployment: "{{ params.service }}", replicas: 6}',
            "    action: script\n    with: {run: 'rm x', env: {NAME: \"{{ params.service }}\"}}",
            "12:13: steps[1].action: script is risky and nothing takes it back: add undo, or say in no_undo",
        ),
        (
            '    action: k8s.scale\n    with: {namespace: shop, deployment: "{{ params.service }}", replicas: 6}',
            "    action: http.request\n    with: {url: 'https://x.example/{{ params.service }}', headers: {Authorization: Bearer 4f8b1c2d9e7a}}",
            "13:84: steps[1].with.headers.Authorization: looks like a secret",
        ),
    ],
)
def test_a_doubt_is_told_with_its_place(tmp_path: Path, old: str, new: str, says: str | None) -> None:
    path = tmp_path / "book.yaml"
    assert old in BOOK
    text = BOOK.replace(old, new)
    if says is None:
        text = text.replace(", replicas: 6", "")
    path.write_text(text)
    _, warnings = lint([path], app.registry())
    found = [str(warning).removeprefix(f"{path}:") for warning in warnings]
    assert [one[: len(says)] for one in found] == [says] if says else found == []


def test_a_runbook_that_is_in_order_raises_no_doubts(tmp_path: Path) -> None:
    (tmp_path / "book.yaml").write_text(BOOK)
    assert lint([tmp_path], app.registry()) == (1, [])


def test_a_change_that_nothing_shows_is_doubtful_unless_a_later_step_looks(tmp_path: Path) -> None:
    send = '  - id: send\n    action: http.request\n    no_undo: a note\n    with: {url: "https://x.example/{{ params.service }}", method: POST}\n'
    head, tail = BOOK.partition("  - id: scale")[0], BOOK[BOOK.index("  - id: see") :]
    path = tmp_path / "book.yaml"
    path.write_text(head + send + tail)
    assert lint([path], app.registry())[1] == []
    path.write_text(head + send + TESTED)
    [warning] = lint([path], app.registry())[1]
    assert warning.message.startswith("nothing shows whether http.request has worked")
    path.write_text(
        (head + send + TESTED).replace("    no_undo", "    verify: {until: result.status == 201}\n    no_undo")
    )
    assert lint([path], app.registry())[1] == []


def test_an_output_is_used_when_a_runbook_that_calls_it_uses_it(tmp_path: Path) -> None:
    inner = BOOK.replace(
        '    with: {query: up, expect: "> 0"}',
        '    outputs: {value: state.value}\n    with: {query: up, expect: "> 0"}',
    )
    (tmp_path / "inner.yaml").write_text(inner)
    outer = """\
name: outer
title: Outer
start: manual
steps:
  - id: go
    call: book
  - id: tell
    action: slack.post
    with: {text: "it is {{ steps.go.see.value }}"}
tests: [{name: it works}]
"""
    (tmp_path / "outer.yaml").write_text(outer)
    assert lint([tmp_path], app.registry()) == (2, [])
    assert lint([tmp_path / "inner.yaml"], app.registry()) == (1, [])
