"""A small Prometheus over the practice cluster: queries, ranges, rules and alerts, with an hour of history."""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote_plus

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.practice.alert_rules import DEMO_RULES, Active, AlertRule, Rules, alert_json, number, rfc3339
from bot.practice.cluster import Cluster
from bot.practice.cluster.history import quiet
from bot.practice.cluster.resources import DEPLOYMENTS
from bot.practice.promql import Vector, evaluate, matrix
from bot.practice.promql_parser import Node, ParseError, parse, seconds

HISTORY, MOST_POINTS = 3600.0, 11_000
METRICS = ("demo_error_ratio", "demo_requests_per_second", "kube_deployment_status_replicas_available")


class Outage(BaseModel):
    """Make the API fail: `error` answers 500, `timeout` drops the connection after `seconds`; `count` None: always."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["error", "timeout"]
    seconds: float = Field(default=60.0, ge=0)
    count: int | None = Field(default=1, ge=0)


class BadData(Exception):
    """A request Prometheus refuses with 400 `bad_data`."""


class Prometheus:
    """`app()` serves the HTTP API; `evaluate()` moves the rules on and is called by the practice Alertmanager."""

    def __init__(
        self, cluster: Cluster, now: Callable[[], float], rules: Sequence[AlertRule] = DEMO_RULES,
        external_url: str = "http://localhost:9090",
    ) -> None:  # fmt: skip
        self.cluster, self.now, self.external_url = cluster, now, external_url
        self.alerting = Rules(rules)
        self.start = now()
        self.outages: list[Outage] = []
        self._closing = asyncio.Event()

    # data

    def source(self, name: str, at: float) -> Vector:
        """The series of a metric (of all, when the name is empty) at one moment; nothing before the history or later than now."""
        if not self.start - HISTORY <= at <= self.now() + 1:
            return []
        return [one for metric in METRICS if name in ("", metric) for one in self._series(metric, at)]

    def _series(self, metric: str, at: float) -> Vector:
        found: Vector = []
        for deployment in self.cluster.store.all(DEPLOYMENTS):
            namespace, name = deployment["metadata"]["namespace"], deployment["metadata"]["name"]
            labels = {"__name__": metric, "namespace": namespace, "deployment": name}
            if metric.startswith("demo_"):
                labels["service"] = name
            found.append((labels, self._value(metric, namespace, name, deployment, at)))
        return found

    def _value(self, metric: str, namespace: str, name: str, deployment: Mapping[str, Any], at: float) -> float:
        if metric == "demo_error_ratio":
            return self.cluster.error_ratio(namespace, name, at)
        if metric == "demo_requests_per_second":
            wave = 1 + 0.15 * math.sin(at / 300 + len(name))
            return round((20 + 7 * len(name)) * wave * (0.95 + 10 * quiet(f"rps/{namespace}/{name}", at)), 3)
        healthy = self.cluster.health.healthy(namespace, name, at)
        return float(deployment["spec"]["replicas"] if healthy is None else healthy)

    # rules

    def generator_url(self, rule: AlertRule) -> str:
        return f"{self.external_url}/graph?g0.expr={quote_plus(rule.expr)}&g0.tab=1"

    def evaluate(self) -> list[Active]:
        """Evaluate the rules now; all that is pending, firing or resolved in the last 15 minutes."""
        return self.alerting.move(self.now(), self.source)

    # HTTP

    def app(self) -> web.Application:
        app = web.Application()
        for path, answer in (("query", self._query), ("query_range", self._range)):
            app.router.add_get(f"/api/v1/{path}", answer)
            app.router.add_post(f"/api/v1/{path}", answer)
        app.router.add_get("/api/v1/rules", self._rules)
        app.router.add_get("/api/v1/status/buildinfo", _build_info)
        app.router.add_get("/api/v1/alerts", self._alerts)
        app.router.add_get("/-/ready", _ready)
        app.router.add_get("/-/healthy", _healthy)
        app.router.add_route("*", "/practice/faults", self._control)
        app.middlewares.append(self._guard)
        app.on_shutdown.append(self._close)
        return app

    async def _close(self, _app: web.Application) -> None:
        self._closing.set()

    def fail(self, kind: Literal["error", "timeout"], *, count: int | None = 1, seconds: float = 60.0) -> None:
        self.outages.append(Outage(kind=kind, count=count, seconds=seconds))

    @web.middleware
    async def _guard(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        """Fail on demand; turn a refusal into Prometheus' error body."""
        outage = next((o for o in self.outages if o.count != 0), None)
        if outage is not None and "/api/v1/" in request.path:
            if outage.count is not None:
                outage.count -= 1
            if outage.kind == "error":
                return _error(500, "internal", "fault injected by practice")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), outage.seconds)
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        try:
            response: web.StreamResponse = await handler(request)
        except BadData as err:
            return _error(400, "bad_data", str(err))
        return response

    async def _control(self, request: web.Request) -> web.Response:
        """GET lists the waiting faults, POST adds one, DELETE forgets them all."""
        if request.method == "POST":
            try:
                self.outages.append(Outage.model_validate_json(await request.read()))
            except ValidationError as err:
                return web.json_response({"error": str(err)}, status=400)
        elif request.method == "DELETE":
            self.outages.clear()
        return web.json_response({"faults": [o.model_dump() for o in self.outages if o.count != 0]})

    async def _query(self, request: web.Request) -> web.Response:
        asked = await _parameters(request)
        at = _time(asked, "time", self.now())
        node = _parsed(asked)
        if node.kind == "range":
            samples = matrix(node, at, self.source)
            return _data("matrix", [{"metric": k, "values": [_sample(t, v) for t, v in s]} for k, s in samples])
        found = _evaluated(node, at, self.source)
        if isinstance(found, float):
            return _data("scalar", _sample(at, found))
        return _data("vector", [{"metric": labels, "value": _sample(at, value)} for labels, value in found])

    async def _range(self, request: web.Request) -> web.Response:
        asked = await _parameters(request)
        node = _parsed(asked)
        start, end, step = _time(asked, "start"), _time(asked, "end"), _step(asked)
        if end < start:
            raise BadData('invalid parameter "end": end timestamp must not be before start time')
        if (end - start) / step > MOST_POINTS:
            raise BadData(
                "exceeded maximum resolution of 11,000 points per timeseries. "
                "Try decreasing the query resolution (?step=XX)"
            )
        if node.kind == "range":
            kind = 'invalid parameter "query": invalid expression type "range vector" for range query, '
            raise BadData(kind + "must be Scalar or instant Vector")
        series: dict[tuple[tuple[str, str], ...], list[list[Any]]] = {}
        for i in range(int((end - start) / step + 1e-9) + 1):
            at = start + i * step
            found = _evaluated(node, at, self.source)
            for labels, value in [({}, found)] if isinstance(found, float) else found:
                series.setdefault(tuple(sorted(labels.items())), []).append(_sample(at, value))
        return _data("matrix", [{"metric": dict(key), "values": values} for key, values in series.items()])

    async def _rules(self, _request: web.Request) -> web.Response:
        took = {"evaluationTime": 0.0002, "lastEvaluation": rfc3339(self.alerting.evaluated)}
        rules = []
        for rule in self.alerting.rules:
            mine = [a for a in self.alerting.active.values() if a.rule is rule and a.state != "inactive"]
            state = "firing" if any(a.state == "firing" for a in mine) else "pending" if mine else "inactive"
            rules.append({
                "state": state, "name": rule.alert, "query": rule.expr, "duration": rule.for_seconds,
                "keepFiringFor": 0, "labels": dict(rule.labels), "annotations": dict(rule.annotations),
                "alerts": [alert_json(a) for a in mine], "health": "ok", **took, "type": "alerting",
            })  # fmt: skip
        group = {"name": "demo", "file": "practice.yml", "rules": rules, "interval": 1, "limit": 0, **took}
        return web.json_response({"status": "success", "data": {"groups": [group]}})

    async def _alerts(self, _request: web.Request) -> web.Response:
        alerts = [alert_json(a) for a in self.alerting.active.values() if a.state != "inactive"]
        return web.json_response({"status": "success", "data": {"alerts": alerts}})


async def _ready(_request: web.Request) -> web.Response:
    return web.Response(text="Prometheus Server is Ready.\n")


async def _build_info(_request: web.Request) -> web.Response:
    return web.json_response({"status": "success", "data": {"version": "2.42.0+practice", "goVersion": "none"}})


async def _healthy(_request: web.Request) -> web.Response:
    return web.Response(text="Prometheus Server is Healthy.\n")


async def _parameters(request: web.Request) -> dict[str, str]:
    form = {k: str(v) for k, v in (await request.post()).items()} if request.method == "POST" else {}
    return {**dict(request.query), **form}


def _parsed(asked: Mapping[str, str]) -> Node:
    try:
        return parse(asked.get("query", ""))
    except ParseError as err:
        raise BadData(f'invalid parameter "query": {err}') from err


def _evaluated(node: Node, at: float, source: Callable[[str, float], Vector]) -> float | Vector:
    try:
        return evaluate(node, at, source)
    except ParseError as err:
        raise BadData(f'invalid parameter "query": {err}') from err


def _time(asked: Mapping[str, str], name: str, default: float | None = None) -> float:
    text = asked.get(name, "")
    if not text and default is not None:
        return default
    try:
        return float(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as err:
        why = f'cannot parse "{text}" to a valid timestamp'
        raise BadData(f'invalid parameter "{name}": {why}') from err


def _step(asked: Mapping[str, str]) -> float:
    text = asked.get("step", "")
    step = seconds(text) if re.fullmatch(r"(\d+(ms|[smhdwy]))+", text) else None
    if step is None:
        try:
            step = float(text)
        except ValueError as err:
            raise BadData(f'invalid parameter "step": cannot parse "{text}" to a valid duration') from err
    if step <= 0:
        why = "zero or negative query resolution step widths are not accepted. Try a positive integer"
        raise BadData(f'invalid parameter "step": {why}')
    return step


def _sample(at: float, value: float) -> list[Any]:
    return [round(at, 3), number(value)]


def _data(kind: str, result: Any) -> web.Response:
    return web.json_response({"status": "success", "data": {"resultType": kind, "result": result}})


def _error(code: int, kind: str, message: str) -> web.Response:
    return web.json_response({"status": "error", "errorType": kind, "error": message}, status=code)
