"""Templates of runbook steps: what they can say, what they cannot, and that none of them can run away."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.clients.render import JinjaTemplates
from bot.errors import BadInput

TEMPLATES = JinjaTemplates()
FACTS: dict[str, Any] = {
    "params": {"deployment": "checkout", "replicas": 3, "ratio": 0.05, "none": None, "on": True, "names": ["a", "b"]},
    "incident": {
        "ref": "INC-7",
        "labels": {"app": "checkout"},
        "opened_at": datetime(2026, 11, 21, 3, 12, 5, tzinfo=UTC),
    },
}

SAYS = {
    "plain text": "plain text",
    "{{ params.deployment }}": "checkout",
    "{{ params['deployment'] }}": "checkout",
    "{{ incident.labels.app }}-{{ params.replicas }}": "checkout-3",
    "{{ params.replicas * 2 + 1 }}": "7",
    "{{ params.replicas / 2 }}": "1.5",
    "{{ params.none }}": "",
    "{{ params.on }}": "true",
    "{{ incident.opened_at }}": "2026-11-21T03:12:05+00:00",
    "{{ params.names }}": '["a", "b"]',
    "{{ params.names|join(', ') }}": "a, b",
    "{{ params.names[0] }}{{ params.deployment[:3] }}": "ache",
    "{{ params.deployment|upper|replace('CHECK', 'LOG') }}": "LOGOUT",
    "{{ params.missing|default('x') }}": "x",
    "{{ 'yes' if params.replicas > 2 else 'no' }}": "yes",
    "{% if params.on %}on{% else %}off{% endif %}": "on",
    "{% set n = params.replicas %}{{ n ~ '-' ~ n }}": "3-3",
    "{{ params.names|map('upper')|list|tojson }}": '["A", "B"]',
    "{{ params.ratio|round(1) }}": "0.1",
    "{{ {'text': params.deployment}|tojson }}": '{"text": "checkout"}',
    'up{namespace="{{ params.deployment }}"}': 'up{namespace="checkout"}',
    "kept\n": "kept\n",
    "{{ params.deployment }}\n": "checkout\n",
    "{# a comment #}x": "x",
}  # fmt: skip


@pytest.mark.parametrize(("template", "expected"), SAYS.items())
def test_a_template_says(template: str, expected: str) -> None:
    assert TEMPLATES.value(template, FACTS) == expected


REFUSES = {
    "{{ params.deploymnt }}": '`params.deploymnt` is not known; did you mean "deployment"?; there are: deployment, names,',
    "{{ parms.deployment }}": '`parms` is not known; did you mean "params"?',
    "{{ incident.labels.ap }}": '`incident.labels.ap` is not known; did you mean "app"?',
    "{{ params.missing ~ 'x' }}": "`params.missing` is not known",
    "{{ params.missing + 1 }}": "`params.missing` is not known",
    "{{ params.missing|upper }}": "`params.missing` is not known",
    "{% if params.missing %}x{% endif %}": "`params.missing` is not known",
    "{{ params.deployment.upper() }}": "line 1: call is not possible",
    "{{ params.deployment.upper }}": "`params.deployment` has no member `upper`",
    "{{ ''.__class__ }}": "has no member `__class__`",
    "{{ params.__class__ }}": "`params.__class__` is not known",
    "{{ params|attr('keys') }}": "No filter named 'attr'",
    "{{ params.names|map(attribute='__class__')|list }}": "has no member `__class__`",
    "{{ self }}": "self is not possible",
    "{{ range(9) }}": "call is not possible",
    "{{ cycler }}": "`cycler` is not known",
    "{% for n in params.names %}{{ n }}{% endfor %}": "for is not possible",
    "{% macro m() %}{% endmacro %}": "macro is not possible",
    "{% include 'x' %}": "include is not possible",
    "{% import 'x' as x %}": "import is not possible",
    "{{ 'A' * 1000000000 }}": "`*` is for numbers",
    "{{ '%999999999d' % 1 }}": "`%` is for numbers",
    "{{ '%d'|format(1) }}": "No filter named 'format'",
    "{{ 9 ** 9 }}": "`**` is not possible",
    "{{ 999999999999 * 999999999999 }}": "a number larger than",
    "{{ [1, 2] + [3] }}": "`+` is for numbers",
    "{{ 1 / 0 }}": "division by zero",
    "{{ 'x'|center(1000000000) }}": "No filter named 'center'",
    "{% set x = 'aa' %}" + "{% set x = x ~ x %}" * 60 + "{{ x }}": "more than 64,000 characters",
    "{% set x = 'aa' %}" + "{% set x = x + x %}" * 60 + "{{ x }}": "more than 64,000 characters",
    "{{ 'aa'" + "|replace('a', 'aaaaaaaaaa')" * 20 + " }}": "more than 64,000 characters",
    "{{ ('a' ~ 'b')|list|join('x' ~ 'y') }}" + "{{ 'abcdefghij' * 2 }}": "`*` is for numbers",
    "{{ " + "(" * 4000 + "1" + ")" * 4000 + " }}": "recursion|nested",
    "{{ params.deployment }": "line 1: ",
    "{{": "line 1: ",
    "{{ 1 + }}": "line 1: ",
    "x" * 16_001 + "{{ 1 }}": "longer than 16,000 characters",
}  # fmt: skip


@pytest.mark.parametrize(("template", "words"), REFUSES.items(), ids=lambda text: text[:50])
@pytest.mark.timeout(10)
def test_a_template_that_is_wrong_or_without_bounds_is_refused_with_the_reason(template: str, words: str) -> None:
    with pytest.raises(BadInput) as refused:
        TEMPLATES.value(template, FACTS)
    assert any(word in str(refused.value) for word in words.split("|"))


def test_mappings_and_lists_are_walked_and_other_values_stay() -> None:
    template = {
        "url": "https://x/{{ params.deployment }}",
        "list": ["{{ params.replicas }}", 5, None, True],
        "n": {"a": 1.5},
    }
    assert TEMPLATES.value(template, FACTS) == {
        "url": "https://x/checkout",
        "list": ["3", 5, None, True],
        "n": {"a": 1.5},
    }


def test_an_error_names_the_place_within_the_parameters() -> None:
    with pytest.raises(BadInput, match=r"headers\.X-Who\[1\]: `params\.who` is not known"):
        TEMPLATES.value({"headers": {"X-Who": ["a", "{{ params.who }}"]}}, FACTS)


def test_what_comes_out_of_a_fact_is_not_a_template_again() -> None:
    facts = {"params": {"x": "{{ params.y }}", "y": "secret"}}
    assert TEMPLATES.value("{{ params.x }}", facts) == "{{ params.y }}"


def test_facts_cannot_be_changed_by_a_template() -> None:
    with pytest.raises(BadInput):
        TEMPLATES.value("{{ params.names.append('c') }}", FACTS)
    with pytest.raises(BadInput):
        TEMPLATES.value("{% set params.x = 1 %}", FACTS)
    assert FACTS["params"]["names"] == ["a", "b"]


def test_a_structure_without_end_is_refused() -> None:
    nested: Any = "x"
    for _ in range(30):
        nested = [nested]
    with pytest.raises(BadInput, match="nested more than 20 deep"):
        TEMPLATES.value(nested, FACTS)


@given(st.text(alphabet="{}%# abc.()[]'\"|~+*-/1,:=iforset\n", max_size=60))
def test_any_text_renders_or_is_refused(template: str) -> None:
    with contextlib.suppress(BadInput):
        TEMPLATES.value(template, FACTS)


# ------------------------------------------------------------------------------------------------ a post-mortem template of one's own


def own(tmp_path: Path, text: str) -> JinjaTemplates:
    file = tmp_path / "mine.md.j2"
    file.write_text(text, encoding="utf-8")
    return JinjaTemplates(str(file))


def test_a_template_of_ones_own_has_loops_and_the_filters(tmp_path: Path) -> None:
    templates = own(
        tmp_path, "{% for one in items %}{{ loop.index }}. {{ one|md }}\n{% endfor %}{{ at|utc }}, {{ 65|duration }}\n"
    )
    facts = {"items": ["<b>", "x"], "at": datetime(2026, 11, 21, 3, 12, 5, tzinfo=UTC)}
    assert templates.postmortem(facts) == "1. &lt;b>\n2. x\n2026-11-21 03:12:05 UTC, 1 min 5 s\n"


def test_a_template_that_is_not_there_or_not_a_template_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="No such file"):
        JinjaTemplates(str(tmp_path / "none.j2"))
    with pytest.raises(BadInput, match=r"mine\.md\.j2: line 2: "):
        own(tmp_path, "# x\n{% for %}")


@pytest.mark.slow
@pytest.mark.timeout(30)
def test_loops_within_loops_end_with_the_budget(tmp_path: Path) -> None:
    loops = "".join(f"{{% for a{n} in items %}}" for n in range(6)) + "x" + "{% endfor %}" * 6
    with pytest.raises(BadInput, match=r"too many steps|longer than"):
        own(tmp_path, loops).postmortem({"items": list(range(100))})
    silent = loops.replace("x", "")
    with pytest.raises(BadInput, match=r"too many steps|longer than"):
        own(tmp_path, silent).postmortem({"items": list(range(100))})


def test_an_unknown_fact_in_a_loop_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="`timelin` is not known"):
        own(tmp_path, "{% for one in timelin %}{% endfor %}").postmortem({"timeline": []})


def test_a_message_is_rendered_with_the_facts_and_cannot_be_without_bound() -> None:
    templates = JinjaTemplates()
    facts = {"incident": "INC-7", "labels": {"service": "checkout"}}
    assert templates.message("{{ incident }}: {{ labels.service }}", facts) == "INC-7: checkout"
    assert templates.message("nothing to fill in", facts) == "nothing to fill in"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{ incidnt }}", "template of a message: .*incidnt"),
        ("{{ incident", "template of a message: line 1"),
        ("{{ 'x' * 4000 }}", "template of a message"),
        ("x" * 20_000, "longer than"),
        ("{{ incident.__class__ }}", "template of a message"),
    ],
)
def test_a_message_that_cannot_be_says_why(template: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        JinjaTemplates().message(template, {"incident": "INC-7"})
