"""Databases that runbooks may ask (`databases:` in tocsin.yaml): one reading query at a time. Used by the action sql.query.

That nothing is written is not left to the query's text: PostgreSQL runs it in a read-only transaction that is rolled back, SQLite opens the file
for reading and refuses everything but reading while the query is prepared. The query stands in another one that bounds rows and cells where the data
is, so a large table costs no memory here; what is not a query that gives rows cannot stand there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Protocol

LONGEST_CELL = 200
MOST_COLUMNS = 50

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows of JSON values, their columns, and whether there were more."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    more: bool


class Database(Protocol):
    async def ask(self, query: str, args: Sequence[Value], most_rows: int, seconds: float) -> Answer:
        """At most `most_rows` rows. BadInput when the query is wrong or more than a query; TryLater when the database cannot answer now."""


def bare(query: str) -> str:
    """Without the semicolon at the end, and with a line's end, in case it ends in a comment."""
    return f"{query.strip().rstrip(';').rstrip()}\n"


def cell(value: Any) -> Value:
    """A value of a database as JSON, clipped."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)
    if isinstance(value, float | Decimal):
        return float(value) if math.isfinite(value) else str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return "(bytes)"
    text = str(value).replace("\0", "")
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"
