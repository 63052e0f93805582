"""Ask a database: before a step, that the problem is there; after it, that it is gone; or for values that later steps use. Changes nothing.

The database is one of those named under `databases:` in tocsin.yaml (PostgreSQL or SQLite). `query` is one SELECT (or WITH, VALUES, TABLE), as it
stands in the runbook; values go into `args`, which are bound to `$1`, `$2` (PostgreSQL) or `?` (SQLite), so that nothing in an alert becomes SQL.

*Look*: runs the query, read-only, for at most `seconds`; at most `most_rows` rows, 50 columns and 200 characters of each value, without secrets.
*Plan*: always empty. *Do*: nothing. *Verify*: the first column of the first row meets `expect`, and the number of rows meets `rows`, if
given. *Undo*: none, since nothing is changed. *Risk*: none to the data; a heavy query is a load on the database for `seconds`. *Permissions*: give
the role no more than SELECT on what it may see: functions that it may call can do what a read-only transaction allows, and what is shown is in Slack.

For expressions, `state.value` is the first column of the first row (null without a row); `state.columns`, `state.rows` (lists of values) and
`state.more` (whether there were more rows) are the rest.

*Facts* (for tests of runbooks): `value`, or `columns` and `rows` (lists of values), or `empty: true`; without any, what meets `expect` and `rows`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bot.clients import comparison
from bot.clients import given as giving
from bot.clients.comparison import Comparison
from bot.clients.databases import Value
from bot.clients.kit import Kit
from bot.domain.plan import Plan, Target, Undo
from bot.errors import BadInput, TryLater

MOST_ROWS = 200
LONGEST_REASON = 300


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    literal: ClassVar[tuple[str, ...]] = ("query",)  # no templates in it, and none is rendered there
    database: str = Field(min_length=1, max_length=100, description="its name under `databases:` in tocsin.yaml")
    query: str = Field(
        min_length=1,
        max_length=10_000,
        description="one SELECT, without templates: values go into `args`",
    )
    args: tuple[Value, ...] = Field(default=(), max_length=50, description="values for $1, $2, … (or ?), in order")
    expect: Comparison | None = Field(
        default=None, description="what the first column of the first row must meet: `< 10`"
    )
    rows: Comparison | None = Field(default=None, description="what the number of rows must meet: `== 0`")
    most_rows: int = Field(default=50, ge=1, le=MOST_ROWS, description="how many rows are read, at most 200")
    seconds: float = Field(default=5, gt=0, le=30, description="how long the query may take, at most 30")

    @field_validator("query")
    @classmethod
    def _no_template(cls, query: str) -> str:
        if "{{" in query or "{%" in query:
            raise ValueError("must not have a template in it: write $1 (or ?) and give the value in `args`")
        return query

    @model_validator(mode="after")
    def _countable(self) -> Params:
        if self.rows and comparison.number_in(self.rows) > self.most_rows:
            raise ValueError(f"rows: {self.rows} cannot be told with most_rows: {self.most_rows}")
        return self


class Given(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    value: Value = None
    columns: tuple[str, ...] | None = None
    rows: tuple[tuple[Value, ...], ...] | None = None
    empty: bool = False


class Plugin:
    """sql.query"""

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
        return Target(action="sql.query", name=params.database)

    async def look(self, params: Params) -> dict[str, Any]:
        database = self._kit.database(params.database)
        try:
            found = await database.ask(params.query, params.args, params.most_rows, params.seconds)
        except TryLater as error:
            raise TryLater(
                self._said(params, error), error.delay
            ) from error  # a query changes nothing: never uncertain
        except BadInput as error:
            raise BadInput(self._said(params, error)) from error
        redact = self._kit.redact
        rows = [[redact(value) if isinstance(value, str) else value for value in row] for row in found.rows]
        return _state([redact(column) for column in found.columns], rows, more=found.more)

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        return Plan(target=f"database {params.database}: {' '.join(params.query.split())[:200]}")

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        return {}

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        rows = state["rows"]
        count = len(rows) + bool(state["more"])
        if params.rows and not comparison.met(params.rows, count):
            shown = f"more than {len(rows)}" if state["more"] else str(len(rows))
            return f"the number of rows is {shown}, not {params.rows}"
        if params.expect is None:
            return None
        if not rows:
            return f"the query gives no row, so nothing that is {params.expect}"
        value = _number(state["value"])
        if value is None:
            return f"{state['value']!r} is not a number, so it is not {params.expect}"
        return None if comparison.met(params.expect, value) else f"{value:.6g} is not {params.expect}"

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Params) -> Undo | None:
        return None

    def facts(self, given: Mapping[str, Any], params: Params) -> dict[str, Any]:
        found = giving.read(Given, given)
        if found.empty:
            return _state(list(found.columns or ("value",)), [], more=False)
        if found.rows is not None:
            columns = found.columns or tuple(
                f"column{n}" for n in range(1, len(max(found.rows, key=len, default=())) + 1)
            )
            if any(len(row) != len(columns) for row in found.rows):
                raise BadInput(f"facts: each of the rows must have {len(columns)} values, one per column")
            return _state(list(columns), [list(row) for row in found.rows], more=False)
        value = found.value if "value" in found.model_fields_set else comparison.meeting(params.expect or "== 0")
        wanted = max(0, round(comparison.meeting(params.rows))) if params.rows else 1
        return _state(list(found.columns or ("value",)), [[value]] * wanted, more=False)

    def after(self, state: Mapping[str, Any], plan: Plan, params: Params) -> dict[str, Any]:
        return dict(state)

    def _said(self, params: Params, error: Exception) -> str:
        return f"database {params.database}: {self._kit.redact(str(error))[:LONGEST_REASON]}"


def _state(columns: list[str], rows: list[list[Any]], *, more: bool) -> dict[str, Any]:
    value = rows[0][0] if rows and rows[0] else None
    return {"columns": columns, "rows": rows, "more": more, "value": value}


def _number(value: Any) -> float | None:
    """Databases give some numbers as text."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
