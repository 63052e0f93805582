"""The settings of the sources that are mapped or matched: what is wrong with them is said once, at its place in tocsin.yaml."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bot.plugins.sources import email, generic, github
from tests.config.folder import REGISTRY, TOCSIN, loaded, problems

KINDS = replace(
    REGISTRY,
    sources={**REGISTRY.sources, "generic": generic.Params, "email": email.Params, "github": github.Params},
)

WRONG: list[tuple[str, str, str]] = [
    ("generic", "nmae: title", 'unknown key "nmae"; did you mean "name"?'),
    ("generic", "name: a..b", "not a path: 'a..b' at '..b'; write it like data.items[0].title"),
    ("generic", "name: [a, 'b[*']", "not a path: 'b[*' at '[*'"),
    ("generic", 'name: {template: "{{ alrt.x }}"}', 'a template is not given `alrt`; did you mean "alert"?'),
    ("generic", 'name: [x, {template: "{{ alert.x"}]', "a template is not closed"),
    (
        "generic",
        'labels: {x: {template: "{{ alert.x | shout }}"}}',
        "a template cannot be read: No filter named 'shout'",
    ),
    ("generic", "status: {templat: x}", "unknown key 'templat'; did you mean \"template\"?"),
    ("generic", "headers: [Authorization]", "'Authorization' may hold a secret"),
    ("generic", 'name: {template: "{{ headers.x }}"}', "a template uses the header 'x', which `headers` does not name"),
    ("email", 'service: "("', "not a regular expression (RE2): missing )"),
    ("email", "labels: {host: [a, '(?=b)']}", "not a regular expression (RE2)"),
    ("github", "branchs: [main]", 'unknown key "branchs"; did you mean "branches"?'),
]


def folder(kind: str, setting: str) -> str:
    return TOCSIN.replace("sources:\n", f"sources:\n  it:\n    type: {kind}\n    {setting}\n")


@pytest.mark.parametrize(("kind", "setting", "message"), WRONG)
def test_a_wrong_setting_is_one_problem_at_its_line(tmp_path: Path, kind: str, setting: str, message: str) -> None:
    (problem,) = problems(tmp_path, {"tocsin.yaml": folder(kind, setting)}, registry=KINDS)
    where, _, said = problem.partition(": sources.it")
    assert where.split(":")[:2] == ["tocsin.yaml", "6" if "uses the header" in said else "7"]
    assert message in said


def test_numbers_in_constants_are_texts_as_they_were_written(tmp_path: Path) -> None:
    text = folder("generic", "labels: {version: {constant: 1.10}, host: 'checks[*].host'}")
    params = loaded(tmp_path, {"tocsin.yaml": text}, registry=KINDS).sources["it"].params
    assert isinstance(params, generic.Params)
    assert isinstance(made := params.labels["version"], generic.Made) and made.constant == "1.10"
