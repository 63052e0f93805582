"""Prometheus's query API (https://prometheus.io/docs/prometheus/latest/querying/api/). Used by the metrics gatherer and the prometheus.query action.

Queries go out as POST forms: an alert's expression can be longer than an address may be. Other servers with the same API (Thanos, Mimir,
VictoriaMetrics) answer alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from bot.clients.http import Http, Reply
from bot.errors import BadInput, TryLater

MOST_BYTES = 4_000_000
MOST_SERIES = 50
MOST_POINTS = 500
LONGEST_QUERY = 20_000
USUAL_ERRORS = (400, 422, 503)


@dataclass(frozen=True, slots=True)
class Series:
    """One series: its labels, and (time, value) in order of time. NaN points are left out."""

    labels: Mapping[str, str]
    points: tuple[tuple[datetime, float], ...]

    @property
    def last(self) -> float:
        return self.points[-1][1]

    @property
    def name(self) -> str:
        """`http_requests_total{code="500"}`, as Prometheus writes it."""
        rest = ", ".join(f'{key}="{value}"' for key, value in sorted(self.labels.items()) if key != "__name__")
        return self.labels.get("__name__", "") + (f"{{{rest}}}" if rest else "")


@dataclass(frozen=True, slots=True)
class Prometheus:
    """`url` is its base address (`http://prometheus:9090`, with a path prefix if it has one); `headers` for a proxy that wants a token."""

    http: Http
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)

    async def query(self, expression: str, at: datetime | None = None) -> list[Series]:
        """The value now (or at a time) of every series that the expression gives, at most MOST_SERIES; a scalar is one without labels."""
        form = {"query": expression, "timeout": "10s", "limit": str(MOST_SERIES)}
        if at is not None:
            form["time"] = f"{at.timestamp():.3f}"
        data = await self._ask("query", expression, form)
        kind, result = data.get("resultType"), data.get("result")
        if kind == "scalar":
            return _series([{"metric": {}, "values": [result]}])
        if kind != "vector":
            raise BadInput(f"Prometheus: {expression!r} gives a {kind}; expected numbers, one per series")
        return _series(result or [])

    async def query_range(self, expression: str, start: datetime, end: datetime, points: int = 240) -> list[Series]:
        """The values over time, in at most `points` steps, of at most MOST_SERIES series."""
        step = max((end - start) / min(max(points, 2), MOST_POINTS), timedelta(seconds=1))
        form = {
            "query": expression,
            "start": f"{start.timestamp():.3f}",
            "end": f"{end.timestamp():.3f}",
            "step": f"{math.ceil(step.total_seconds())}",
            "timeout": "10s",
            "limit": str(MOST_SERIES),
        }
        data = await self._ask("query_range", expression, form)
        return _series(data.get("result") or [])

    async def check(self) -> str:
        """Its version; raises what is wrong (for `tocsin doctor`)."""
        reply = await self.http.ask("GET", f"{self.url.rstrip('/')}/api/v1/status/buildinfo", headers=self.headers)
        return str(reply.json().get("data", {}).get("version", "unknown"))

    async def _ask(self, what: str, expression: str, form: Mapping[str, str]) -> dict[str, Any]:
        if not expression.strip() or len(expression) > LONGEST_QUERY:
            raise BadInput(f"Prometheus: the query is empty or longer than {LONGEST_QUERY:,} characters")
        try:
            reply = await self.http.request(
                "POST",
                f"{self.url.rstrip('/')}/api/v1/{what}",
                headers={**self.headers, "Content-Type": "application/x-www-form-urlencoded"},
                body=urlencode(form).encode(),
                most_bytes=MOST_BYTES,
            )
        except TryLater as error:
            raise TryLater(f"Prometheus: {error}", error.delay) from error  # a query changes nothing: never uncertain
        if reply.status == 200:
            said = reply.json()
            data = said.get("data") if isinstance(said, dict) else None
            if isinstance(data, dict):
                return data
            raise BadInput(f"Prometheus: the answer has no data: {reply.text[:200]}")
        raise self._refused(reply, expression)

    def _refused(self, reply: Reply, expression: str) -> Exception:
        """With Prometheus's own words where it gives some. A query changes nothing, so nothing is uncertain."""
        if reply.status in USUAL_ERRORS and reply.headers.get("content-type", "").startswith("application/json"):
            told = reply.json()
            said = told if isinstance(told, dict) else {}
            words = f"Prometheus: {said.get('errorType', 'error')}: {said.get('error', '')} (in {expression!r})"
            return TryLater(words) if reply.status == 503 else BadInput(words)
        refused = self.http.refused(reply)
        return TryLater(str(refused), refused.delay) if isinstance(refused, TryLater) else refused


def _series(result: Any) -> list[Series]:
    try:
        return [one for one in map(_one, result[:MOST_SERIES]) if one.points]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadInput(
            "Prometheus: the answer is not as its API gives it: is this the address of a Prometheus?"
        ) from error


def _one(found: Mapping[str, Any]) -> Series:
    """`value` of a vector, `values` of a matrix."""
    values = found["values"] if "values" in found else [found["value"]]
    points = tuple(
        (datetime.fromtimestamp(float(at), UTC), float(value))
        for at, value in values[: MOST_POINTS + 1]
        if not math.isnan(float(value))
    )
    return Series({str(name): str(value) for name, value in found["metric"].items()}, points)
