"""prometheus.query: what the numbers must meet, and what no number means."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any, cast

import pytest
from pydantic import ValidationError

from bot.clients.expressions import CelExpressions
from bot.clients.http import Http
from bot.clients.kit import Kit
from bot.clients.prometheus import Prometheus, Series
from bot.errors import BadInput
from bot.plugins.actions.prometheus_query import Params, Plugin
from tests.support.clock import START

ACTION = Plugin(Kit(None, None, Http(str), str))


def seen(*values: str, series: str = "") -> dict[str, Any]:
    numbers = [float(value) if math.isfinite(float(value)) else value for value in values]
    return {"value": numbers[0] if numbers else None, "values": [{"series": series, "value": one} for one in numbers]}


CASES = {
    "met": (seen("0.01"), "< 0.05", "fail", None),
    "not met": (seen("0.31"), "< 0.05", "fail", "0.31 is not < 0.05"),
    "one of several": (seen("0.01", "0.2", series='x{a="b"}'), "<= 0.05", "fail", '0.2 is not <= 0.05 (x{a="b"})'),
    "equal": (seen("3"), "== 3", "fail", None),
    "not equal": (seen("3"), "!= 3", "fail", "3 is not != 3"),
    "infinite": (seen("inf"), "< 1e9", "fail", "inf is not < 1e9"),
    "negative": (seen("-1"), ">= -1.5", "fail", None),
    "no data": (seen(), "< 1", "fail", "the query gives no data: up"),
    "no data is fine": (seen(), "< 1", "ok", None),
}


@pytest.mark.parametrize(("state", "expect", "when_empty", "words"), CASES.values(), ids=CASES)
def test_every_number_must_meet_the_expectation(
    state: dict[str, Any], expect: str, when_empty: str, words: str | None
) -> None:
    params = Params.model_validate({"query": "up", "expect": expect, "when_empty": when_empty})
    assert ACTION.verify(state, params) == words
    assert not ACTION.plan(state, params)


@pytest.mark.parametrize("expect", ["", "0.05", "< x", "=< 5", "< 5 or > 7", "<", "< 1e9999"])
def test_an_expectation_is_a_comparison_with_a_number(expect: str) -> None:
    with pytest.raises(ValidationError, match="must be a comparison with a number"):
        Params(query="up", expect=expect)


GIVEN: dict[str, tuple[dict[str, Any], Any, str | None]] = {
    "one number": ({"value": 0.3}, 0.3, "0.3 is not < 0.05"),
    "several": ({"values": [0.01, 0.2]}, 0.01, "0.2 is not < 0.05"),
    "no data": ({"empty": True}, None, "the query gives no data: up"),
    "nothing said": ({}, -0.95, None),
}


@pytest.mark.parametrize(("given", "value", "words"), GIVEN.values(), ids=GIVEN)
def test_facts_of_a_test_are_what_a_look_gives(given: dict[str, Any], value: Any, words: str | None) -> None:
    params = Params(query="up", expect="< 0.05")
    state = ACTION.facts(given, params)
    plan = ACTION.plan(state, params)
    assert state["value"] == pytest.approx(value) if value is not None else state["value"] is None
    assert ACTION.verify(state, params) == words
    assert not plan
    assert ACTION.after(state, plan, params) == state
    assert ACTION.undo(plan, {}, params) is None


@pytest.mark.parametrize("expect", ["< 1", "<= 1", "> 1", ">= 1", "== 1", "!= 1"])
def test_facts_without_anything_meet_what_is_expected(expect: str) -> None:
    params = Params(query="up", expect=expect)
    assert ACTION.verify(ACTION.facts({}, params), params) is None


def test_facts_that_do_not_fit_are_said() -> None:
    params = Params(query="up", expect="< 1")
    with pytest.raises(BadInput, match=r"there is no 'valu'; did you mean \"value\""):
        ACTION.facts({"valu": 1}, params)
    with pytest.raises(BadInput, match="give one of `value`, `values` and `empty`"):
        ACTION.facts({"value": 1, "empty": True}, params)


class Answers:
    """Prometheus with these numbers."""

    def __init__(self, *numbers: float) -> None:
        self.series = [
            Series({"__name__": "up", "pod": f"p{n}"}, ((START, number),)) for n, number in enumerate(numbers)
        ]

    async def query(self, expression: str, at: datetime | None = None) -> list[Series]:
        return self.series


async def test_the_state_has_numbers_that_expressions_and_outputs_can_use() -> None:
    action = Plugin(Kit(None, cast(Prometheus, Answers(0.123456789, math.inf)), Http(str), str))
    state = await action.look(Params(query="up", expect="< 1"))
    assert state == {
        "value": 0.123457,
        "values": [
            {"series": 'up{pod="p0"}', "labels": {"pod": "p0"}, "value": 0.123457},
            {"series": 'up{pod="p1"}', "labels": {"pod": "p1"}, "value": "inf"},
        ],
    }
    assert json.loads(json.dumps(state, allow_nan=False)) == state
    assert CelExpressions().value("state.values[0].value < 1 && state.value * 100 > 12", {"state": state}) is True


async def test_without_data_the_value_is_null() -> None:
    action = Plugin(Kit(None, cast(Prometheus, Answers()), Http(str), str))
    assert await action.look(Params(query="up", expect="< 1")) == {"value": None, "values": []}


def test_it_changes_nothing_and_carries_no_risk() -> None:
    assert (ACTION.way, ACTION.writes, ACTION.risk) == ("acts", False, "none")


def test_a_look_that_only_decides_what_comes_next_needs_no_expectation() -> None:
    action = ACTION
    params = Params.model_validate({"query": "kube_pod_info"})
    state = action.facts({"values": [{"value": 3, "labels": {"pod": "a"}}, 7]}, params)
    assert [(one["labels"], one["value"]) for one in state["values"]] == [({"pod": "a"}, 3.0), ({}, 7.0)]
    assert action.verify(state, params) is None
    assert action.verify(action.facts({"empty": True}, params), params) == "the query gives no data: kube_pod_info"
