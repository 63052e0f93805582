"""The alerting rules of the practice Prometheus: pending, firing, resolved; moved on by its `evaluate`."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bot.practice.promql import Labels, Source, evaluate
from bot.practice.promql_parser import parse

REMEMBER = 900.0


@dataclass(frozen=True)
class AlertRule:
    """An alerting rule; `{{ $value | humanizePercentage }}` and `{{ $labels.x }}` work in annotations."""

    alert: str
    expr: str
    for_seconds: float = 10.0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Active:
    """One series for which a rule's expression holds (or held: `resolved_at`)."""

    rule: AlertRule
    labels: Labels
    value: float
    since: float
    fired_at: float | None = None
    resolved_at: float | None = None

    @property
    def state(self) -> str:
        return "pending" if self.fired_at is None else "firing" if self.resolved_at is None else "inactive"

    @property
    def annotations(self) -> Labels:
        return {k: _fill(text, self.labels, self.value) for k, text in sorted(self.rule.annotations.items())}


DEMO_RULES = (
    AlertRule(
        "HighErrorRate", "demo_error_ratio > 0.05", 2.0, {"severity": "critical", "team": "shop"},
        {
            "summary": "error ratio {{ $value | humanizePercentage }} on {{ $labels.namespace }}/{{ $labels.service }}",
            "description": "HTTP 5xx ratio above 5% for 2s",
            "runbook_url": "https://runbooks.invalid/HighErrorRate",
        },
    ),
)  # fmt: skip


class Rules:
    """The rules and which alerts are active."""

    def __init__(self, rules: Sequence[AlertRule]) -> None:
        self.rules: tuple[AlertRule, ...] = tuple(rules)
        self.active: dict[tuple[str, str], Active] = {}
        self.evaluated = 0.0

    def move(self, now: float, source: Source) -> list[Active]:
        """Evaluate every rule at `now`; all that is pending, firing or resolved in the last 15 minutes."""
        self.evaluated = now
        holding: set[tuple[str, str]] = set()
        for rule in self.rules:
            found = evaluate(parse(rule.expr), now, source)
            for labels, value in [] if isinstance(found, float) else found:
                key = (rule.alert, json.dumps(labels, sort_keys=True))
                holding.add(key)
                self._hold(key, rule, labels, value, now)
        for key, active in list(self.active.items()):
            if key in holding:
                continue
            if active.fired_at is None or (active.resolved_at is not None and now - active.resolved_at > REMEMBER):
                del self.active[key]
            elif active.resolved_at is None:
                active.resolved_at = now
        return list(self.active.values())

    def _hold(self, key: tuple[str, str], rule: AlertRule, labels: Labels, value: float, now: float) -> None:
        active = self.active.get(key)
        if active is None or active.resolved_at is not None:
            named = {k: v for k, v in labels.items() if k != "__name__"} | dict(rule.labels) | {"alertname": rule.alert}
            active = self.active[key] = Active(rule, dict(sorted(named.items())), value, now)
        active.value = value
        if active.fired_at is None and now - active.since >= rule.for_seconds:
            active.fired_at = now


def number(value: float) -> str:
    """A sample's value as Go writes it: `3`, `0.05`, `NaN`, `+Inf`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def rfc3339(at: float) -> str:
    """A time as Go writes it: no fraction when there is none."""
    moment = datetime.fromtimestamp(round(at, 3), UTC)
    millis = moment.microsecond // 1000
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{millis:03d}".rstrip("0") if millis else "") + "Z"


def alert_json(active: Active) -> dict[str, Any]:
    return {
        "labels": active.labels, "annotations": active.annotations, "state": active.state,
        "activeAt": rfc3339(active.since), "value": f"{active.value:e}",
    }  # fmt: skip


def _fill(text: str, labels: Labels, value: float) -> str:
    text = re.sub(r"\{\{\s*\$value\s*\|\s*humanizePercentage\s*\}\}", f"{value * 100:.4g}%", text)
    text = re.sub(r"\{\{\s*\$value\s*\}\}", number(value), text)
    return re.sub(r"\{\{\s*\$labels\.(\w+)\s*\}\}", lambda found: labels.get(found[1], ""), text)
