"""Makes `day.jsonl`, always the same: what Alertmanager sends in a day, as `tocsin replay` reads it.

A group is told of when something has changed since five minutes, and every four hours: all its alerts that fire, and those that were told of and have
resolved since. So what comes and goes in between is not told, and an alert that is over and fires again is told only to fire.
The shape is that of https://prometheus.io/docs/alerting/latest/configuration/#webhook_config.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.support.clock import START

INTERVAL, REPEAT = 5, 240  # minutes
RULES = ("HighErrorRate", "DiskWillFill", "PodCrashLooping", "CertificateExpires", "QueueGrows")
ZERO = "0001-01-01T00:00:00Z"


@dataclass
class _Alert:
    rule: str
    cluster: str
    instance: int
    episodes: list[tuple[int, int]]  # minutes from the beginning of the day
    told: set[int] = field(default_factory=set)  # the episodes that were told of as firing
    over: set[int] = field(default_factory=set)  # those whose end was told

    def firing(self, minute: int) -> int | None:
        return next((begin for begin, end in self.episodes if begin <= minute < end), None)

    def shown(self, begin: int, end: int | None) -> dict[str, Any]:
        labels = {
            "alertname": self.rule,
            "cluster": self.cluster,
            "instance": f"10.0.0.{self.instance}:9100",
            "severity": "critical",
        }
        return {
            "status": "firing" if end is None else "resolved",
            "labels": labels,
            "annotations": {"summary": f"{self.rule} on {self.cluster}"},
            "startsAt": _said(begin),
            "endsAt": ZERO if end is None else _said(end),
            "generatorURL": "http://prometheus:9090/graph",
            "fingerprint": f"{RULES.index(self.rule):04x}{self.cluster.encode().hex()[:8]:0<8}{self.instance:04x}",
        }


def recorded_day() -> str:
    rng = random.Random(4)
    groups = [
        [_alert(rng, rule, cluster, number) for number in range(rng.randint(1, 3))]
        for rule in RULES
        for cluster in ("eu", "us")
    ]
    lines = [line for group in groups for line in _group(group)]
    return "".join(
        json.dumps(line, separators=(",", ":")) + "\n" for line in sorted(lines, key=lambda line: str(line["at"]))
    )


def _alert(rng: random.Random, rule: str, cluster: str, number: int) -> _Alert:
    episodes, minute = [], rng.randint(0, 600)
    while minute < 1420 and len(episodes) < 12:
        end = minute + rng.choice((2, 7, 20, 45, 300))
        episodes.append((minute, end))
        minute = end + rng.choice((1, 4, 15, 60, 400))
    return _Alert(rule, cluster, number, episodes)


def _group(alerts: list[_Alert]) -> Iterator[dict[str, Any]]:
    """What is sent of one group."""
    latest = -REPEAT
    for minute in range(0, 1440, INTERVAL):
        now = [(alert, alert.firing(minute)) for alert in alerts]
        firing = [(alert, begin) for alert, begin in now if begin is not None]
        ended = [
            (alert, *one)
            for alert, begin in now
            if begin is None
            for one in alert.episodes
            if one[0] in alert.told - alert.over
        ]
        new = any(begin not in alert.told for alert, begin in firing)
        if not (new or ended or (firing and minute - latest >= REPEAT)):
            continue
        latest = minute
        for alert, begin in firing:
            alert.over |= alert.told - {begin}
            alert.told.add(begin)
        for alert, begin, _ in ended:
            alert.over.add(begin)
        shown = [alert.shown(begin, None) for alert, begin in firing]
        shown += [alert.shown(begin, end) for alert, begin, end in ended[-len(alerts) :]]
        yield _delivery(alerts[0], shown, minute)


def _delivery(first: _Alert, shown: list[dict[str, Any]], minute: int) -> dict[str, Any]:
    labels = {"alertname": first.rule, "cluster": first.cluster}
    body = {
        "receiver": "tocsin",
        "status": "firing" if any(one["status"] == "firing" for one in shown) else "resolved",
        "alerts": shown,
        "groupLabels": labels,
        "commonLabels": labels,
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "version": "4",
        "groupKey": f'{{}}:{{alertname="{first.rule}", cluster="{first.cluster}"}}',
        "truncatedAlerts": 0,
    }
    return {"at": _said(minute, seconds=30), "source": "alertmanager", "body": body}


def _said(minute: int, seconds: int = 0) -> str:
    at: datetime = START + timedelta(minutes=minute, seconds=seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
