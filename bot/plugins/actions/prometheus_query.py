"""Check a number in Prometheus: before a step, that the problem is there; after it, that it is gone. Changes nothing.

*Look*: runs `query`. *Plan*: always empty. *Verify*: every series that the query gives meets `expect`; the first that does not is named:
`0.31 is not < 0.05`. The step's `verify.within` says how long the number may take to get there. No data (no series, or none but NaN, as for an
error ratio without requests) fails, unless `when_empty: ok`. *Permissions*: Prometheus's query API.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bot.clients.kit import Kit
from bot.clients.prometheus import LONGEST_QUERY
from bot.domain.plan import Plan, Target
from bot.errors import BadInput

_EXPECT = re.compile(r"\s*(?P<op><=|>=|==|!=|<|>)\s*(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?)\s*")
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    query: str = Field(min_length=1, max_length=LONGEST_QUERY, description="PromQL that gives one number per series")
    expect: str = Field(description="what each number must meet: `< 0.05`, `>= 3`")
    when_empty: Literal["fail", "ok"] = Field(default="fail", description="what no data means")

    @field_validator("expect")
    @classmethod
    def _comparison(cls, expect: str) -> str:
        if not _EXPECT.fullmatch(expect):
            raise ValueError("must be a comparison with a number, like `< 0.05`")
        return expect.strip()

    def met_by(self, value: float) -> bool:
        found = _EXPECT.fullmatch(self.expect)
        if found is None:
            raise BadInput(f"{self.expect!r} is not a comparison with a number")
        return _OPERATORS[found["op"]](value, float(found["number"]))


class Plugin:
    """prometheus.query"""

    writes = False
    observable = True

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params
        self._kit = kit

    def repeatable(self, params: Params) -> bool:
        return True

    def target(self, params: Params) -> Target:
        return Target(action="prometheus.query")

    async def look(self, params: Params) -> dict[str, Any]:
        series = await self._kit.metrics.query(params.query)
        return {"values": [{"series": self._kit.redact(one.name), "value": f"{one.last:.6g}"} for one in series]}

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        return Plan(target=f"Prometheus: {params.query}")

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        return {}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        if not state["values"]:
            return None if params.when_empty == "ok" else f"the query gives no data: {params.query}"
        for one in state["values"]:
            if not params.met_by(float(one["value"])):
                where = f" ({one['series']})" if one["series"] else ""
                return f"{one['value']} is not {params.expect}{where}"
        return None
