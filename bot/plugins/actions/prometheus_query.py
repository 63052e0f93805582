"""Check a number in Prometheus: before a step, that the problem is there; after it, that it is gone. Changes nothing.

*Look*: runs `query`. *Plan*: always empty. *Do*: nothing. *Verify*: every series that the query gives meets `expect`; the first that does not is
named: `0.31 is not < 0.05`. The step's `verify.within` says how long the number may take to get there. Without `expect` every number is right: for a
look that only decides what comes next. No data (no series, or none but NaN, as for an error ratio without requests) fails, unless `when_empty: ok`.
*Undo*: none, since nothing is changed. *Risk*: none. *Permissions*: Prometheus's query API.

For expressions, `state.value` is the number of the first series (null without data), and `state.values` has `series`, `labels` and `value` of each
(an infinite one as the text `inf` or `-inf`): `state.values.map(one, one.labels.pod)` gives a list for a later `foreach`.

*Facts* (for tests of runbooks): `value` (a number), `values` (several numbers, or `{value: 3, labels: {pod: a}}`), or `empty: true`; without any, a
number that meets `expect`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.clients import comparison
from bot.clients import given as giving
from bot.clients.comparison import Comparison
from bot.clients.kit import Kit
from bot.clients.prometheus import LONGEST_QUERY, Series
from bot.domain.plan import Plan, Target, Unclear, Undo
from bot.errors import BadInput

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    query: str = Field(min_length=1, max_length=LONGEST_QUERY, description="PromQL that gives one number per series")
    expect: Comparison | None = Field(
        default=None, description="what each number must meet: `< 0.05`, `>= 3`; nothing, when not given"
    )
    when_empty: Literal["fail", "ok"] = Field(default="fail", description="what no data means")


class Measured(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    labels: Mapping[str, str] = Field(default_factory=dict)


class Given(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float | None = None
    values: tuple[float | Measured, ...] | None = None
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
        redact = self._kit.redact
        return _state(
            [Series({name: redact(value) for name, value in one.labels.items()}, one.points[-1:]) for one in series]
        )

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        return Plan(target=f"Prometheus: {params.query}")

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        return {}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        if not state["values"]:
            return None if params.when_empty == "ok" else Unclear(f"the query gives no data: {params.query}")
        for one in state["values"]:
            if params.expect and not comparison.met(params.expect, float(one["value"])):
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
        usual = comparison.meeting(params.expect) if params.expect else 1.0
        numbers = found.values or (usual if found.value is None else found.value,)
        measured = [one if isinstance(one, Measured) else Measured(value=one) for one in numbers]
        return _state([Series(one.labels, ((EPOCH, one.value),)) for one in measured])

    def after(self, state: Mapping[str, Any], plan: Plan, params: Params) -> dict[str, Any]:
        return dict(state)


def _state(series: list[Series]) -> dict[str, Any]:
    values = [{"series": one.name, "labels": _labels(one), "value": _json(one.last)} for one in series]
    return {"value": values[0]["value"] if values else None, "values": values}


def _labels(series: Series) -> dict[str, str]:
    return {name: value for name, value in series.labels.items() if name != "__name__"}


def _json(number: float) -> float | str:
    """Six digits are plenty, and a plan that shows it stays the same. JSON has no infinite numbers."""
    return float(f"{number:.6g}") if math.isfinite(number) else str(number)
