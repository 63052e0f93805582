"""A test that does not come out as expected says where it stands, what was expected, what came, and the nearest that there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rehearsal.books import SCALE, SEE, failures, rehearsed


@pytest.mark.parametrize(
    ("trial", "says"),
    [
        ("expect: {state: failed}", ["state: expected failed, the run is succeeded"]),
        ("expect: {steps: {scale: skipped}}", ["steps: expected scale to be skipped, it is done: verified"]),
        (
            "expect: {plan: {scale: ['replicas: 3 -> 7']}}",
            ["plan: scale does not show 'replicas: 3 -> 7'; the nearest is 'replicas: 3 -> 6'"],
        ),
        ("expect: {plan: {scale: []}}", ["plan: expected scale to change nothing, it plans replicas: 3 -> 6"]),
        (
            "facts: {scale: {replicas: 6}}, expect: {plan: {scale: ['replicas']}}",
            ["plan: scale does not show 'replicas'; it has planned nothing, it is done (verified)"],
        ),
        (
            "expect: {messages: [RUN-1 suceeded]}",
            ["messages: nothing says 'RUN-1 suceeded'; the nearest is 'RUN-1 succeeded: More pods'"],
        ),
        ("expect: {undone: [scale]}", ["undone: expected scale, taken back was nothing"]),
        ("takes: 10s, fail: {scale: late}, expect: {}", []),
        (
            "takes: 10s, facts: {scale: {replicas: 6, ready: false}}, expect: {state: failed}",
            ["takes: expected at most 0:00:10, it took 0:01:00"],
        ),
        (
            "facts: {scale: {replicas: 6}}, fail: {scale: refused}",
            ["fail: scale never failed, since it never acted"],
        ),
        (
            "facts: {scale: {replicas: 6}}, clicks: {scale: {do: approve}}",
            ["clicks: scale never asked anybody"],
        ),
        (
            "facts: {scale: {replcas: 6}}, expect: {state: failed}",
            [
                "facts of step scale: there is no 'replcas'; did you mean \"replicas\"? "
                "There are: replicas, available, ready, paused, max_unavailable"
            ],
        ),
    ],
)
async def test_each_difference_is_one_line_in_words(tmp_path: Path, trial: str, says: list[str]) -> None:
    assert await failures(tmp_path, f"{SCALE}tests: [{{name: a, {trial}}}]\n") == says


async def test_a_run_that_cannot_be_started_says_why(tmp_path: Path) -> None:
    book = SCALE.replace("default: 6", "label: pods")
    found = await failures(tmp_path, f"{book}tests: [{{name: a, labels: {{pods: many}}}}]\n")
    assert found == ["it could not be started: scale: replicas='many' is not of type integer"]


async def test_a_result_names_the_line_of_its_test(tmp_path: Path) -> None:
    results, _ = await rehearsed(
        tmp_path, f"{SCALE}tests:\n  - name: one\n  - name: two\n    expect: {{state: failed}}\n"
    )
    assert [(one.runbook, one.test, one.place.rpartition("/")[2], bool(one.failures)) for one in results] == [
        ("scale", "one", "0.yaml:12", False),
        ("scale", "two", "0.yaml:13", True),
    ]


RESTART = """\
name: restart
title: New pods
start: manual
steps:
  - id: restart
    action: k8s.restart
    with: {namespace: shop, deployment: checkout, why: "WHY"}
tests: [{name: a, expect: {again: AGAIN}}]
"""


@pytest.mark.parametrize(
    ("why", "again", "says"),
    [
        ("{{ incident.ref }}", "true", []),
        (
            "{{ run.ref }}",
            "true",
            [
                "again: a second run would change something: step restart: pods: as they run -> restarted (for RUN-2; 3 pods)"
            ],
        ),
        ("{{ run.ref }}", "false", []),
    ],
)
async def test_a_second_run_over_what_the_first_one_left_must_plan_nothing(
    tmp_path: Path, why: str, again: str, says: list[str]
) -> None:
    found = await failures(tmp_path, RESTART.replace("WHY", why).replace("AGAIN", again))
    assert [one.partition(" (")[0] for one in found] == [one.partition(" (")[0] for one in says]


async def test_looks_come_one_after_the_other_and_the_last_one_stays(tmp_path: Path) -> None:
    trial = "tests: [{name: a, takes: 16s, facts: {see: [{value: 0}, {value: 0}, {value: 0}, {value: 1}]}}]\n"
    assert await failures(tmp_path, SCALE + SEE + trial) == []
    assert await failures(tmp_path, SCALE + SEE + trial.replace("16s", "9s")) == [
        "takes: expected at most 0:00:09, it took 0:00:10"
    ]
