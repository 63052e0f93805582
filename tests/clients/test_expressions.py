"""Expressions of runbooks: what they give, what is said when they are wrong, and that none of them runs away."""

from __future__ import annotations

import math
import random
import sys
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.clients.expression_size import MOST_ROUNDS, Bounding, Size, size_of
from bot.clients.expressions import LONGEST, CelExpressions, compiled, usable
from bot.errors import BadInput

CEL = CelExpressions()
FACTS: dict[str, Any] = {
    "alert": {"labels": {"service": "checkout"}, "ended": None, "at": "2026-03-02T03:00:00+00:00"},
    "params": {"replicas": 6, "name": "shop", "names": ["a", "b"]},
    "steps": {"ratio": {"value": 0.31}, "look-again": {"value": 1}},
    "state": {"values": [{"value": 0.3, "series": "x"}, {"value": 2, "series": "y"}]},
    "nothing": None,
}

VALUES: dict[str, Any] = {
    "params.replicas > 3": True,
    "steps.ratio.value > 0.05": True,
    "steps.ratio.value < 1": True,
    "state.values[0].value < 1": True,
    "params.replicas == 6.0": True,
    "params.replicas >= 6.5": False,
    "params.replicas * 1.5": 9.0,
    "params.replicas * 1.5 > 8": True,
    "1.5 * params.replicas == 9": True,
    "params.replicas + 0.5": 6.5,
    "0.5 - params.replicas": -5.5,
    "params.replicas / 4": 1,
    "params.replicas / 4.0": 1.5,
    "double(params.replicas) / 4": 1.5,
    "steps.ratio.value * 100 > 30": True,
    "2 - 3": -1,
    "7 % 2": 1,
    "-params.replicas": -6,
    "params.replicas in [6]": True,
    "'a' in params.names": True,
    "'service' in alert.labels": True,
    "has(steps.ratio) && !has(steps.other)": True,
    "has(steps.other) && steps.other.value > 1": False,
    "size(params.names)": 2,
    "params.names + ['c']": ["a", "b", "c"],
    "params.name + '-' + string(params.replicas)": "shop-6",
    "int('12') + int(1.9)": 13,
    "double('1.5')": 1.5,
    "params.name.startsWith('sh') && params.name.matches('^s.*p$')": True,
    "state.values.exists(v, v.value > 1)": True,
    "state.values.all(v, v.value > 1)": False,
    "state.values.filter(v, v.value > 1).map(v, v.series)": ["y"],
    "state.values.map(v, v.value > 1, v.series)": ["y"],
    "state.values.exists_one(v, v.series == 'x')": True,
    "alert.ended == null": True,
    "alert.ended": None,
    "nothing": None,
    "[1, null, 'x']": [1, None, "x"],
    "{'a': 1, 'b': [alert.ended]}": {"a": 1, "b": [None]},
    "{1: 2}": {"1": 2},
    "alert.labels": {"service": "checkout"},
    'steps["look-again"].value': 1,
    "timestamp(alert.at) - timestamp('2026-03-02T02:00:00Z') > duration('30m')": True,
    "timestamp(alert.at) + duration('90m')": "2026-03-02T04:30:00+00:00",
    "timestamp(alert.at).getHours()": 3,
    "duration('90m')": "1h30m",
    "params.replicas > 3 ? 'many' : 'few'": "many",
    "'é'.size()": 1,
}


@pytest.mark.parametrize(("expression", "value"), VALUES.items(), ids=VALUES)
def test_an_expression_gives_a_json_value(expression: str, value: Any) -> None:
    found = CEL.value(expression, FACTS)
    assert found == value
    assert type(found) is type(value)


MISTAKES = {
    "steps.rato.value": '`steps.rato` is not there; did you mean "ratio"?; there are: look-again, ratio',
    'steps.ratio["valu"] > 1': '`steps.ratio.valu` is not there; did you mean "value"?; there are: value',
    "stps.ratio": 'at character 5: `stps` is not known; did you mean "steps"?; there are: alert, nothing',
    "steps.look-again.value": '`again` is not known; a name with a hyphen in it is written in brackets: ["a-name"]',
    "state.values.exists(v, v.vale > 1)": "the key `vale` is not there (ask with `has(…)` before, or with `in`)",
    "params.name.starsWith('s')": 'there is no function `starsWith`; did you mean "startsWith"?',
    "open('/etc/passwd')": "there is no function `open`",
    "params.__class__": "`params.__class__` is not there",
    "google.protobuf.Struct{fields: {}}": "`google.protobuf.Struct` is not known",
    "params.replicas = 3": "at character 17: this cannot be read; to compare, write `==`",
    "params.replicas > 3 and true": "write `&&` for `and`",
    "not true": "write `!` for `not`",
    "1 +": "at character 4: something is missing",
    "(1": "at character 3: missing ')' at the end",
    "1 +\n stps": "at character 2 of line 2: `stps` is not known",
    "": "the expression is empty",
    " \n": "the expression is empty",
    "\0": "a character in it that is not text",
    "'\ud800'": "a character in it that is not text",
    "'a' + 1": "`+` does not fit text and a whole number; make text of it with `string(…)`",
    "params.name + params.replicas": "`+` does not fit text and a whole number; make text of it with `string(…)`",
    "params.name > 3": "`>` does not fit text and a whole number",
    "alert.ended > 3": "`>` does not fit null and a whole number",
    "params && true": "`&&` is for true and false",
    "!params.replicas": "`!` is for true and false",
    "params.replicas ? 1 : 2": "`? :` is for true and false",
    "true ? 1 : 'x'": "`? :` wants the same on both sides, found a whole number and text",
    "params.name.foo": "only a mapping has members",
    "params.name[0]": "text has no items",
    "params.matches('x')": "`matches` does not fit a mapping",
    "params.name.matches('(')": "invalid regular expression",
    "state.values[2]": "there is no item 2: the list has 2 items (the first is item 0)",
    "1 / 0": "it divides by zero",
    "9223372036854775807 + 1": "the number becomes too large",
    "1.0 / 0.0": "gives inf, which is not a number that can be kept",
    "1 / 0.0": "gives inf, which is not a number that can be kept",
    "int('x')": "this text is no whole number",
    "timestamp('yesterday')": "this text is no time in ISO 8601, like 2026-03-02T03:00:00Z",
    "duration('soon')": "this text is no duration, like 90s or 1h30m",
    "b'x'": "gives bytes, which cannot be kept",
    "type(1)": "gives a type, which cannot be kept",
    "[1].map(x, b'x')": "gives bytes, which cannot be kept",
}


@pytest.mark.parametrize(("expression", "words"), MISTAKES.items(), ids=range(len(MISTAKES)))
def test_a_mistake_is_told_in_words(expression: str, words: str) -> None:
    with pytest.raises(BadInput) as told:
        CEL.value(expression, FACTS)
    assert words in str(told.value)
    assert "INVALID" not in str(told.value)


def test_a_condition_is_true_or_false_and_nothing_else() -> None:
    assert CEL.truth("params.replicas == 6", FACTS) is True
    assert CEL.truth("params.replicas == 7", FACTS) is False
    with pytest.raises(BadInput, match=r"^gives 6 \(a number\), wanted true or false$"):
        CEL.truth("params.replicas", FACTS)
    with pytest.raises(BadInput, match=r"^gives null \(nothing\), wanted true or false$"):
        CEL.truth("nothing", FACTS)
    with pytest.raises(BadInput, match=r'^gives \["a", "b"\] \(a list\), wanted true or false$'):
        CEL.truth("params.names", FACTS)


def test_an_expression_is_checked_without_facts() -> None:
    CEL.check("steps.anything.value > params.x && alert.labels.all(k, k != '')", ["alert", "steps", "params"])
    with pytest.raises(BadInput, match='`parms` is not known; did you mean "params"'):
        CEL.check("parms.x > 1", ["alert", "params"])
    with pytest.raises(BadInput, match="`x` is not known; there are none"):
        CEL.check("x", [])


def test_a_key_that_is_not_needed_need_not_be_there() -> None:
    assert CEL.value("params.other == 1 || true", FACTS) is True
    assert CEL.value("false && params.other == 1", FACTS) is False


def test_facts_are_taken_as_json_whatever_python_has_for_it() -> None:
    facts = {
        "a": (1, 2),
        "b": datetime(2026, 3, 2, tzinfo=UTC),
        "c": 2**70,
        "d": {1: "x"},
        "e": "\ud800",
        "f": math.nan,
    }
    assert CEL.value("a", facts) == [1, 2]
    assert CEL.value("timestamp(b).getFullYear()", facts) == 2026
    assert CEL.value("c > 1", facts) is True
    assert CEL.value("d['1']", facts) == "x"
    assert CEL.value("e", facts) == "?"
    with pytest.raises(BadInput, match="gives nan"):
        CEL.value("f", facts)
    with pytest.raises(BadInput, match="something in them that is not JSON: set"):
        CEL.value("a", {"a": [{1}]})


def test_facts_whose_names_cannot_stand_in_an_expression_do_no_harm() -> None:
    assert CEL.value("a", {"a": 1, "two words": 2, "in": 3, "naïve": 4, "": 5}) == 1


def test_a_result_of_nulls_takes_nothing_from_none() -> None:
    """The library's own conversion of null would take a reference too many each time, and end the process on Python 3.11."""
    facts = {"a": {"x": [None] * 1000, "y": None}, "b": None}
    CEL.value("a", facts)
    before = sys.getrefcount(None)
    for _ in range(20):
        assert CEL.value("[a, b]", facts) == [facts["a"], None]
    assert sys.getrefcount(None) > before - 1000 or sys.version_info >= (3, 12)


# ------------------------------------------------------------------------------------------------ bounds

LIST = list(range(9_000))
TEXT = "x" * 100_000
BOMBS: dict[str, tuple[str, dict[str, Any], str]] = {
    "too long": ("1 + " * LONGEST + "1", {}, "longer than 2,000 characters"),
    "20,000 brackets": ("(" * 20_000 + "1" + ")" * 20_000, {}, "longer than 2,000 characters"),
    "1,000 brackets": ("(" * 990 + "1" + ")" * 990, {}, "nested too deep"),
    "1,000 lists": ("[" * 990 + "1" + "]" * 990, {}, "nested too deep"),
    "1,000 indices": ("a[" * 600 + "0" + "]" * 600, {"a": [0]}, "nested too deep"),
    "choices": ("true ? 1 : " * 150 + "1", {}, "nested too deep"),
    "loops in a row": ("[1]" + ".map(x,[x,x])" * 60, {}, "nested too deep"),
    "doubled text": ("[a]" + ".map(x,x+x)" * 20 + ".size()", {"a": TEXT}, "characters; at most"),
    "doubled lists": ("[a]" + ".map(x,x+x)" * 25 + ".size()", {"a": [1]}, "characters; at most"),
    "doubled by sharing": ("[1]" + ".map(x,[x,x])" * 25 + " == 1", {}, "characters; at most"),
    "loops in loops": ("a.all(x, a.all(y, a.all(z, true)))", {"a": LIST}, "it could take too long"),
    "loops in loops of small lists": ("a.all(x, a.all(y, a.all(z, true)))", {"a": [1] * 50}, "loops more than 10,000 times"),
    "a long loop": ("a.all(x, true) && a.all(x, true)", {"a": LIST}, "loops more than 10,000 times"),
    "a list copied for each of its items": ("a.map(x, x).size()", {"a": LIST}, "it could take too long"),
    "a text for each item": ("a.map(x, b).size()", {"a": LIST, "b": TEXT}, "it could take too long"),
    "texts made and dropped": ("a.all(x, size(b + b + b + b) > 1)", {"a": LIST, "b": TEXT}, "it could take too long"),
    "lists compared": ("a.all(x, b == c)", {"a": LIST, "b": LIST, "c": LIST}, "it could take too long"),
    "a pattern over and over": ("a.all(x, b.matches('((x{1,100}){1,10})'))", {"a": LIST, "b": TEXT}, "it could take too long"),
    "a large result": ("a", {"a": TEXT}, "gives a value of more than 64,000 characters"),
    "a result that is large by sharing": ("[1,2,3,4,5].map(x, a)", {"a": "x" * 50_000}, "gives a value of more than 64,000"),
    "large facts": ("size(a)", {"a": [TEXT] * 30}, "the facts are larger than 2,000,000 characters"),
}  # fmt: skip


@pytest.mark.parametrize(("expression", "facts", "words"), BOMBS.values(), ids=BOMBS)
def test_an_expression_that_would_run_away_is_refused_in_no_time(
    expression: str, facts: dict[str, Any], words: str
) -> None:
    begun = time.process_time()
    with pytest.raises(BadInput) as told:
        CEL.value(expression, facts)
    assert words in str(told.value)
    assert time.process_time() - begun < 1


HEAVY: dict[str, tuple[str, dict[str, Any]]] = {
    "as many rounds as there are": ("a.all(x, true)", {"a": list(range(MOST_ROUNDS - 1))}),
    "a filter of a long list": ("a.filter(x, x > 1).size() > 0", {"a": LIST[:2_500]}),
    "every pair": ("a.all(x, a.all(y, x == y || true))", {"a": LIST[:99]}),
    "a pattern that other engines choke on": ("a.matches('(x+x+)+y') || true", {"a": TEXT}),
    "a pattern of many states": ("a.matches('[xy]*x[xy]{20}z') || true", {"a": "xxyx" * 20_000}),
    "large texts compared": ("a.all(x, b == c)", {"a": LIST[:800], "b": TEXT, "c": TEXT}),
    "rows of a table": ("a.filter(r, r.n > 3).map(r, r.n).size() > 0", {"a": [{"n": n, "t": "x" * 200} for n in range(1500)]}),
}  # fmt: skip


@pytest.mark.parametrize(("expression", "facts"), HEAVY.values(), ids=HEAVY)
def test_heavy_work_within_the_bounds_takes_no_second(expression: str, facts: dict[str, Any]) -> None:
    begun = time.process_time()
    assert CEL.value(expression, facts) is True
    assert time.process_time() - begun < 1


def test_nested_facts_are_bounded_before_the_library_sees_them() -> None:
    deep: Any = 1
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(BadInput, match="nested more than 40 deep"):
        CEL.value("a", {"a": deep})


def test_many_signs_before_a_number_are_fine() -> None:
    assert CEL.value("-" * 1_990 + "1", {}) == 1


# ------------------------------------------------------------------------------------------------ the bound is one

SMALL: dict[str, Any] = {"a": [1, "xyz", {"k": "v" * 50, "l": [1, 2]}], "m": {"y": ["p", "q"]}, "s": "hello", "n": 3}


def made_up(chance: random.Random, depth: int, loops: tuple[str, ...] = ()) -> str:
    """An expression of lists, sums and loops; not each of them can be evaluated."""
    if not depth:
        return chance.choice(["a", "m", "m.y", "s", "n", "1", "'t'", "[1, 2]", *loops])
    one, other = (made_up(chance, depth - 1, loops) for _ in range(2))
    item = f"v{len(loops)}"
    within = made_up(chance, depth - 1, (*loops, item))
    return chance.choice(
        [
            f"({one} + {other})",
            f"[{one}, {other}]",
            f"({one})[{chance.choice('012')}]",
            f"{{'q': {one}}}",
            f"(n > 2 ? dyn({one}) : dyn({other}))",
            f"({one}).map({item}, {within})",
            f"({one}).filter({item}, {within} == {other} || true)",
        ]
    )


def fits(real: Size, bound: Size) -> bool:
    inner = real.each is None or fits(real.each, bound.item)
    return real.total <= bound.total and real.items <= bound.items and inner


@pytest.mark.slow
def test_no_value_is_larger_than_its_bound() -> None:
    chance, evaluated = random.Random(1), 0
    for _ in range(6_000):
        expression = made_up(chance, chance.randrange(1, 4))
        try:
            value = CEL.value(expression, SMALL)
        except BadInput:
            continue
        evaluated += 1
        bound = Bounding(SMALL).check(compiled(expression, usable(SMALL)).tree)
        assert fits(size_of(value), bound), expression
    assert evaluated > 1_000
