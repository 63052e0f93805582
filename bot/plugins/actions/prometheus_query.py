"""Check a number in Prometheus: before a step, that the problem is there; after it, that it is gone. Changes nothing.

*Look*: runs `query`. *Plan*: always empty. *Do*: nothing. *Verify*: every series that the query gives meets `expect`; the first that does not is
named: `0.31 is not < 0.05`. The step's `verify.within` says how long the number may take to get there. No data (no series, or none but NaN, as for
an error ratio without requests) fails, unless `when_empty: ok`. *Undo*: none, since nothing is changed. *Risk*: none. *Permissions*: Prometheus's
query API.

For expressions, `state.value` is the number of the first series (null without data), and `state.values` has `series` and `value` of each (an
infinite one as the text `inf` or `-inf`).

*Facts* (for tests of runbooks): `value` (a number), `values` (several), or `empty: true`; without any, a number that meets `expect`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.clients import comparison
from bot.clients import given as giving
from bot.clients.comparison import Comparison
from bot.clients.kit import Kit
from bot.clients.prometheus import LONGEST_QUERY
from bot.domain.plan import Plan, Target, Undo
from bot.errors import BadInput


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    query: str = Field(min_length=1, max_length=LONGEST_QUERY, description="PromQL that gives one number per series")
    expect: Comparison = Field(description="what each number must meet: `< 0.05`, `>= 3`")
    when_empty: Literal["fail", "ok"] = Field(default="fail", description="what no data means")


class Given(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float | None = None
    values: tuple[float, ...] | None = None
    empty: bool = False


class Plugin:
    """prometheus.query"""

    way: Literal["acts"] = "acts"
    writes = False
    observable = True
    risk: Literal["none", "low", "high"] = "none"

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params
        self._kit = kit

    def repeatable(self, params: Params) -> bool:
        return True

    def target(self, params: Params) -> Target:
        return Target(action="prometheus.query")

    async def look(self, params: Params) -> dict[str, Any]:
        series = await self._kit.metrics.query(params.query)
        return _state([(self._kit.redact(one.name), one.last) for one in series])

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        return Plan(target=f"Prometheus: {params.query}")

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        return {}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        if not state["values"]:
            return None if params.when_empty == "ok" else f"the query gives no data: {params.query}"
        for one in state["values"]:
            if not comparison.met(params.expect, float(one["value"])):
                where = f" ({one['series']})" if one["series"] else ""
                return f"{float(one['value']):.6g} is not {params.expect}{where}"
        return None

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Params) -> Undo | None:
        return None

    def facts(self, given: Mapping[str, Any], params: Params) -> dict[str, Any]:
        found = giving.read(Given, given)
        if len(found.model_fields_set) > 1:
            raise BadInput("facts: give one of `value`, `values` and `empty`")
        if found.empty:
            return _state([])
        numbers = found.values or (comparison.meeting(params.expect) if found.value is None else found.value,)
        return _state([("", number) for number in numbers])

    def after(self, state: Mapping[str, Any], plan: Plan, params: Params) -> dict[str, Any]:
        return dict(state)


def _state(series: list[tuple[str, float]]) -> dict[str, Any]:
    values = [{"series": name, "value": _json(number)} for name, number in series]
    return {"value": values[0]["value"] if values else None, "values": values}


def _json(number: float) -> float | str:
    """Six digits are plenty, and a plan that shows it stays the same. JSON has no infinite numbers."""
    return float(f"{number:.6g}") if math.isfinite(number) else str(number)
