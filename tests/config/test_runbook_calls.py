"""Runbooks that call each other: what only shows when all of them are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.folder import RUNBOOK, problems, warnings

OUTER = """\
name: outer
title: Outer
start: manual
params: {n: {}}
steps:
  - id: first
    call: scale-up
    with: {service: "{{ params.n }}"}
  - id: after
    action: http.request
    with: {url: "https://flags.example/{{ steps.first.scale.state }}"}
"""
FILE = "runbooks/outer.yaml"


def test_a_call_with_its_parameters_is_in_order(tmp_path: Path) -> None:
    assert problems(tmp_path, {FILE: OUTER}) == []
    assert warnings(tmp_path, {FILE: OUTER}) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "service:",
            "servce:",
            '8:12: steps[0].with.servce: scale-up has no parameter "servce"; did you mean "service"? (params: service)',
        ),
        ('"{{ params.n }}"', "[a, b]", "8:21: steps[0].with.service: wanted a single value for service of scale-up"),
        ("params.n", "params.m", '8:21: steps[0].with.service: no parameter is called "m" (params: n)'),
        (
            "    call: scale-up",
            "    call: scale-up\n    outputs: {a: state.b}",
            "6:5: steps[0]: outputs belongs to a step with an action, not to call",
        ),
    ],
)
def test_what_does_not_fit_the_called_runbook_is_told_at_the_call(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    assert problems(tmp_path, {FILE: OUTER.replace(old, new)}) == [f"{FILE}:{says}"]


@pytest.mark.parametrize(
    ("spec", "given", "says"),
    [
        ("type: integer", "many", "7:21: steps[0].with.service: scale-up: service='many' is not of type integer"),
        ("type: duration", "soon", "7:21: steps[0].with.service: scale-up: service='soon' is not a duration"),
        ("choices: [a, b]", "c", "7:21: steps[0].with.service: scale-up: service='c' is not one of a, b"),
        ("type: integer, maximum: 3", "4", "7:21: steps[0].with.service: scale-up: service='4' is more than 3"),
    ],
)
def test_a_plain_value_is_of_the_type_of_the_called_parameter(tmp_path: Path, spec: str, given: str, says: str) -> None:
    inner = RUNBOOK.replace("label: service", spec)
    text = OUTER.replace('"{{ params.n }}"', f'"{given}"').replace("params: {n: {}}\n", "")
    [found] = problems(tmp_path, {FILE: text, "runbooks/scale-up.yaml": inner})
    assert found.startswith(f"{FILE}:{says}")


def test_a_parameter_that_nothing_gives_is_told(tmp_path: Path) -> None:
    inner = RUNBOOK.replace("{label: service}", "{description: which}")
    text = OUTER.replace('    with: {service: "{{ params.n }}"}\n', "").replace("params: {n: {}}\n", "")
    assert problems(tmp_path, {FILE: text, "runbooks/scale-up.yaml": inner}) == [
        f'{FILE}:5:5: steps[0].with: scale-up needs the parameter "service"'
    ]


def test_circles_and_too_deep_calls_are_told_at_the_call(tmp_path: Path) -> None:
    def book(name: str, calls: str) -> str:
        return f"name: {name}\ntitle: T\nstart: manual\nsteps:\n  - id: a\n    call: {calls}\n"

    circle = {"runbooks/a.yaml": book("a", "b"), "runbooks/b.yaml": book("b", "a")}
    assert problems(tmp_path, circle) == [
        "runbooks/a.yaml:6:11: steps[0].call: runbooks call each other in a circle or more than 5 deep: a -> b -> a",
        "runbooks/b.yaml:6:11: steps[0].call: runbooks call each other in a circle or more than 5 deep: b -> a -> b",
    ]
    deep = {f"runbooks/d{number}.yaml": book(f"d{number}", f"d{number + 1}") for number in range(5)}
    deep["runbooks/d5.yaml"] = RUNBOOK.replace("scale-up", "d5")
    assert problems(tmp_path / "deep", deep) == [
        "runbooks/d0.yaml:6:11: steps[0].call: runbooks call each other in a circle or more than 5 deep: "
        "d0 -> d1 -> d2 -> d3 -> d4 -> d5"
    ]


def test_steps_of_a_called_runbook_are_named_behind_the_call_in_tests(tmp_path: Path) -> None:
    trial = "tests: [{name: a, facts: {first.scale: {}, 'first.scale[2]': {}}, expect: {undone: [first.scal]}}]\n"
    assert problems(tmp_path, {FILE: OUTER + trial}) == [
        f'{FILE}:12:85: tests[0].expect.undone[0]: no step is called "first.scal"; did you mean "first.scale"? '
        "(steps: first, first.scale, after)"
    ]


def test_an_id_is_unique_in_all_of_a_runbook_also_inside_parallel(tmp_path: Path) -> None:
    child = "  - id: both\n    parallel:\n      - {id: after, action: http.request, with: {url: u}}\n"
    assert problems(tmp_path, {FILE: OUTER + child}) == [
        f'{FILE}:14:14: steps[2].parallel[0].id: there is a step "after" already'
    ]
