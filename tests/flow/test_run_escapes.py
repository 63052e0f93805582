"""Hostile values (labels of an alert, what a person types) stay values: they are rendered once, evaluated never, and refused where a name belongs."""

from __future__ import annotations

from typing import Any

import pytest

from bot.clients.expressions import CelExpressions
from bot.clients.http import Http
from bot.clients.kit import Kit
from bot.clients.render import JinjaTemplates
from bot.domain.expand import begun
from bot.domain.parameters import fitted
from bot.domain.policy import Policy
from bot.domain.regex import Regex
from bot.domain.rules import Rules
from bot.domain.runbook import Parameter
from bot.errors import BadInput
from bot.flow.seeing import Sight
from bot.plugins import discover
from tests.domain.alerts import NOW, incident
from tests.flow.run_house import book
from tests.support.house import ADA

HOSTILE = [
    "$(touch /tmp/owned)",
    "`reboot`; rm -rf /",
    "../../api/v1/nodes/a",
    "shop/checkout?force=true",
    'checkout"} or vector(1) or x{a="',
    "{{ 7 * 7 }}",
    "{% for i in range(10**9) %}x{% endfor %}",
    "__import__('os')",
    "a' or '1'='1",
    "x" * 5000,
    "two\nlines",
    "nul\x00byte",
]
SIGHT = Sight(
    {name: module.Plugin(Kit(None, None, Http(str), str)) for name, module in discover("actions").items()},
    JinjaTemplates(),
    CelExpressions(),
    lambda: Rules(actions=Policy()),
)


def rendered(step: dict[str, Any], value: str, **parts: Any) -> Any:
    runbook = book({"id": "one", **step}, params={"name": {"label": "service"}}, **parts)
    run = begun(1, incident(), runbook, {"name": value}, ADA, NOW)
    return SIGHT.rendered(run, run.steps[0], incident())


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_is_no_name_of_anything_in_a_cluster(value: str) -> None:
    for action, field in (("k8s.restart", "deployment"), ("k8s.delete_pod", "pod"), ("k8s.cordon", "node")):
        given = {"namespace": "shop", "why": "x"} if action == "k8s.restart" else {"namespace": "shop"}
        given = {} if action == "k8s.cordon" else given
        with pytest.raises(BadInput, match=f"step one: {field}"):
            rendered({"action": action, "with": {**given, field: "{{ params.name }}"}}, value)


@pytest.mark.parametrize("value", [one for one in HOSTILE if len(one) < 1000])
def test_a_hostile_value_is_rendered_once_and_never_evaluated(value: str) -> None:
    params = rendered({"action": "slack.post", "with": {"text": "about {{ params.name }}"}}, value)
    assert params.text == f"about {value}"
    script = {"run": 'echo "$NAME"', "env": {"NAME": "{{ params.name }}"}}
    if "\x00" in value:
        with pytest.raises(BadInput, match="step one: env"):
            rendered({"action": "script", "with": script}, value)
    else:
        given = rendered({"action": "script", "with": script}, value)
        assert (given.run, given.env["NAME"]) == ('echo "$NAME"', value)
    args = rendered(
        {"action": "sql.query", "with": {"database": "d", "query": "select $1", "args": ["{{ params.name }}"]}}, value
    )
    assert (args.query, args.args) == ("select $1", (value,))


@pytest.mark.parametrize("place", ["run", "check", "undo"])
def test_the_text_of_a_script_is_never_a_template(place: str) -> None:
    given = {"run": "true", place: "echo {{ params.name }}"}
    with pytest.raises(BadInput, match="text of alerts must not become code"):
        rendered({"action": "script", "with": given}, "x")
    with pytest.raises(BadInput, match="template"):
        rendered({"action": "sql.query", "with": {"database": "d", "query": "select '{{ params.name }}'"}}, "x")


def test_a_hostile_value_in_an_expression_is_only_a_value() -> None:
    for value in HOSTILE:
        facts = {"params": {"name": value}, "steps": {}}
        assert SIGHT.truth("params.name == 'checkout'", facts) is False
        assert SIGHT.truth("size(params.name) > 4", facts) is True
    cut = {"params": {"name": "checkout\x00evil"}, "steps": {}}
    assert SIGHT.truth("params.name == 'checkout'", cut) is False, "nothing is cut off at a NUL"


@pytest.mark.parametrize(
    "template",
    [
        '{{ "A" * 1000000000 }}',
        "{{ ''.__class__.__mro__ }}",
        "{{ params.__init__.__globals__ }}",
        "{% for i in [1,2,3] %}{{ i }}{% endfor %}",
        "{{ '%999999999d'|format(1) }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    ],
)
def test_a_template_that_wants_out_is_refused_with_words(template: str) -> None:
    with pytest.raises(BadInput, match="text"):
        rendered({"action": "slack.post", "with": {"text": template}}, "x")


def test_no_pattern_of_a_parameter_runs_for_ever_over_a_label() -> None:
    spec = Parameter(pattern="(a+)+$")
    with pytest.raises(BadInput, match="does not match"):
        fitted("mine", "name", spec, "a" * 900 + "b")
    assert fitted("mine", "name", spec, "a" * 900) == "a" * 900
    with pytest.raises(ValueError, match="invalid escape sequence"):
        Regex(r"(a)\1")
