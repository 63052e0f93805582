"""The alert's own expression over the last hour: what it is now, its lowest and highest value, since when it is over the line, and a picture.

The expression comes from the link that Prometheus puts into each alert (`…/graph?g0.expr=…`). When it is a comparison with a number
(`ratio > 0.05`), its left side is asked for, so that the time before the alert shows too, and the number is drawn as a line. Of many series, those
with the alert's labels are shown. *Permissions*: Prometheus's query API.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, Field

from bot.clients import spoken
from bot.clients.chart import line_chart
from bot.clients.kit import Kit
from bot.clients.prometheus import Series
from bot.domain.alert import Alert, AlertState
from bot.domain.context import Finding
from bot.domain.incident import Incident
from bot.domain.naming import clipped
from bot.errors import BadInput

_LAST_COMPARISON = re.compile(
    r"(?P<op>==|!=|<=|>=|<|>)\s*(?:bool\s+)?(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?)\s*\Z"
)
_SET_OPERATOR = re.compile(r"\b(?:and|or|unless)\b", re.I)
LONGEST_LINE = 300


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    deadline: timedelta = Field(
        default=timedelta(seconds=15), gt=timedelta(0), le=timedelta(minutes=1), description="how long it may take"
    )
    window: timedelta = Field(default=timedelta(hours=1), description="how much of the past to show")
    most: int = Field(default=5, ge=1, le=5, description="how many series to show")
    picture: bool = Field(default=True, description="whether to draw them")


@dataclass(frozen=True, slots=True)
class Question:
    """An alert's expression, taken apart where it ends in a comparison with a number."""

    expression: str
    op: str = ""
    limit: float | None = None

    def over(self, value: float) -> bool:
        """Whether the alert's condition holds for a value."""
        if self.limit is None:
            return False
        return {
            ">": value > self.limit, ">=": value >= self.limit, "<": value < self.limit, "<=": value <= self.limit,
            "==": value == self.limit, "!=": value != self.limit,
        }[self.op]  # fmt: skip


class Plugin:
    title = "The alert's metric"

    def __init__(self, kit: Kit, params: Params) -> None:
        self._kit = kit
        self._params = params
        self._drawing = asyncio.Lock()  # matplotlib's fonts are not safe in several threads
        self.deadline = params.deadline.total_seconds()

    async def gather(self, incident: Incident, alerts: Sequence[AlertState], now: datetime) -> list[Finding]:
        alert = next((state.alert for state in alerts if expression_of(state.alert)), None)
        if alert is None:
            raise BadInput("no alert carries a link to its expression in Prometheus (`g0.expr`)")
        question, window = understood(expression_of(alert)), self._params.window
        found = await self._kit.metrics.query_range(question.expression, now - window, now)
        chosen = _fitting(found, alert)[: self._params.most]
        source = self._kit.redact(f"{question.expression}, the last {spoken.length(window.total_seconds())}")
        if not chosen:
            return [
                Finding(
                    gatherer="metrics",
                    title=self.title,
                    missing="the expression gives no data",
                    source=source,
                    url=alert.url,
                )
            ]
        names = [self._kit.redact(_distinct(one, chosen)) for one in chosen]
        lines = tuple(
            clipped(f"{name}: {_told(one, question, now)}" if name else _told(one, question, now), LONGEST_LINE)
            for one, name in zip(chosen, names, strict=True)
        )
        picture = await self._picture(chosen, question, alert, names) if self._params.picture else None
        return [
            Finding(gatherer="metrics", title=self.title, lines=lines, source=source, url=alert.url, picture=picture)
        ]

    async def _picture(self, chosen: Sequence[Series], question: Question, alert: Alert, names: Sequence[str]) -> bytes:
        async with self._drawing:
            png = await asyncio.to_thread(
                line_chart,
                chosen,
                limit=question.limit,
                since=alert.starts_at if alert.starts_at >= chosen[0].points[0][0] else None,
                names=names if any(names) else (),
            )
        return base64.b64encode(png)


def expression_of(alert: Alert) -> str:
    """The expression in the alert's link; empty when it has none."""
    try:
        return parse_qs(urlsplit(alert.url).query).get("g0.expr", [""])[0].strip()
    except ValueError:
        return ""


def understood(expression: str) -> Question:
    """`ratio > 0.05` as `ratio` and the limit; anything else as it is."""
    found = _LAST_COMPARISON.search(expression)
    if found is None or _SET_OPERATOR.search(_unquoted(expression)) or not _at_top(expression[: found.start()]):
        return Question(expression)
    left = expression[: found.start()].strip()
    return Question(left, found["op"], float(found["number"])) if left else Question(expression)


def _unquoted(text: str) -> str:
    return re.sub(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`", "", text)


def _at_top(text: str) -> bool:
    """Whether the end of the text is outside of every bracket and quotation."""
    bare = _unquoted(text)
    return all(bare.count(a) == bare.count(b) for a, b in ("()", "{}", "[]")) and not re.search(r"[\"'`]", bare)


def _fitting(found: Sequence[Series], alert: Alert) -> list[Series]:
    """The series that agree with the alert's labels in all that both have; all of them when none does. The highest last value first."""
    agreeing = [
        one
        for one in found
        if all(alert.labels.get(name, value) == value for name, value in one.labels.items() if name != "__name__")
    ]
    return sorted(agreeing or found, key=lambda one: -one.last)


def _distinct(one: Series, chosen: Sequence[Series]) -> str:
    """The labels in which the series shown differ; none for a single one."""
    if len(chosen) == 1:
        return ""
    names = sorted(
        {
            name
            for other in chosen
            for name in other.labels
            if any(o.labels.get(name) != other.labels[name] for o in chosen)
        }
    )
    return ", ".join(f"{name}={one.labels.get(name, '')}" for name in names)


def _told(one: Series, question: Question, now: datetime) -> str:
    """`0.31 now (lowest 0.001, highest 0.33); over 0.05 since 03:09:20 UTC, 3 min ago`"""
    values = [value for _, value in one.points]
    text = f"{one.last:.4g} now (lowest {min(values):.4g}, highest {max(values):.4g})"
    if question.limit is None:
        return text
    condition = f"{question.op} {question.limit:g}"
    if not question.over(one.last):
        return f"{text}; not {condition} now"
    crossed = one.points[0][0]
    for (_, before), (at, value) in zip(one.points, one.points[1:], strict=False):
        if question.over(value) and not question.over(before):
            crossed = at
    if crossed == one.points[0][0]:
        return f"{text}; {condition} all the time"
    return f"{text}; {condition} since {crossed:%H:%M:%S} UTC, {spoken.roughly((now - crossed).total_seconds())} ago"
