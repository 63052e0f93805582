"""The names that templates and expressions use are found, whatever way they are written."""

from __future__ import annotations

import pytest

from bot.clients.template_names import in_expression, in_template
from bot.errors import BadInput


@pytest.mark.parametrize(
    ("template", "paths"),
    [
        ("{{ params.x }}", [("params", "x")]),
        (
            "{{ steps['still-bad'].value | default(params.y ~ 'z') }}",
            [("steps", "still-bad", "value"), ("params", "y")],
        ),
        ("{% if run.ref %}{{ steps.a[0].state }}{% endif %}", [("run", "ref"), ("steps", "a", 0, "state")]),
        ("{% set mine = item %}{{ mine.name }}", [("item",)]),
        ("{{ params[item] }}", [("params",), ("item",)]),
        ("{{ 'params.x' }} no params.y", []),
    ],
)
def test_the_names_of_a_template(template: str, paths: list[tuple[str | int, ...]]) -> None:
    assert in_template(template) == paths


@pytest.mark.parametrize(
    ("expression", "paths"),
    [
        ('steps["still-bad"].value > params.x', [("steps", "still-bad", "value"), ("params", "x")]),
        ("params.name.startsWith('params.y')", [("params", "name")]),
        ("has(steps.a.b) && a[0].c", [("has",), ("steps", "a", "b"), ("a", 0, "c")]),
        ("'it\\'s params.x' == r\"params.y\"", []),
    ],
)
def test_the_names_of_an_expression(expression: str, paths: list[tuple[str | int, ...]]) -> None:
    assert in_expression(expression) == paths


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{{ a }", "a template is not closed"),
        ("{% for x in y %}{% endfor %}", "a template cannot be read: for is not possible in templates here"),
        ("{{ x | nothing }}", "a template cannot be read: No filter named 'nothing'"),
        ("{{ x( }}", "a template cannot be read: unexpected '}'"),
    ],
)
def test_what_is_no_template_is_said(template: str, says: str) -> None:
    with pytest.raises(BadInput, match="^" + says.replace("{", r"\{")):
        in_template(template)
