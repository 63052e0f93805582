"""prometheus.query: what the numbers must meet, and what no number means."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bot.clients.http import Http
from bot.clients.kit import Kit
from bot.plugins.actions.prometheus_query import Params, Plugin

ACTION = Plugin(Kit(None, None, Http(str), str))


def seen(*values: str, series: str = "") -> dict[str, Any]:
    return {"values": [{"series": series, "value": value} for value in values]}


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
