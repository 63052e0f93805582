"""A small Alertmanager: groups what the practice Prometheus fires and posts genuine v4 webhook bodies to the bot."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bot.practice.alert_rules import DEMO_RULES, Active, AlertRule, Rules, rfc3339
from bot.practice.prometheus import Prometheus

log = logging.getLogger(__name__)
FIRST_RETRY, LONGEST_RETRY = 1.0, 60.0
NEVER_ENDED = "0001-01-01T00:00:00Z"


def fingerprint(labels: Mapping[str, str]) -> str:
    """FNV-1a (64 bit) over the sorted labels, as prometheus/common model.LabelSet.Fingerprint."""
    total = 14695981039346656037
    for name in sorted(labels):
        for byte in name.encode() + b"\xff" + labels[name].encode() + b"\xff":
            total = ((total ^ byte) * 1099511628211) & 0xFFFFFFFFFFFFFFFF
    return f"{total:016x}"


def body_of(payload: Mapping[str, Any]) -> bytes:
    """The payload as Go's encoder writes it: compact, with `&`, `<` and `>` escaped."""
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    for char in "&<>":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return (text + "\n").encode()


@dataclass
class Group:
    """The alerts that are notified together, and when that happens next."""

    labels: dict[str, str]
    due: float
    alerts: dict[str, Active] = field(default_factory=dict)
    sent_firing: frozenset[str] = frozenset()
    sent_resolved: frozenset[str] = frozenset()
    sent_at: float | None = None
    tries: int = 0

    @property
    def key(self) -> str:
        inner = ", ".join(f'{k}="{v}"' for k, v in sorted(self.labels.items()))
        return "{}:{" + inner + "}"


class Alertmanager:
    """`await tick()` evaluates the rules and sends what is due; `await run()` does so every second."""

    def __init__(
        self, prometheus: Prometheus, url: str, token: str = "", now: Callable[[], float] | None = None,
        rules: Sequence[AlertRule] = DEMO_RULES, *, group_by: Sequence[str] = ("alertname", "namespace"),
        group_wait: float = 1.0, group_interval: float = 5.0, repeat_interval: float = 3600.0,
        receiver: str = "tocsin", cluster: str = "practice", external_url: str = "http://localhost:9093",
        timeout: float = 10.0,
    ) -> None:  # fmt: skip
        self.prometheus, self.url, self.token = prometheus, url, token
        self.now = now or prometheus.now
        prometheus.alerting = Rules(rules)
        self.group_by, self.receiver, self.cluster, self.external_url = group_by, receiver, cluster, external_url
        self.group_wait, self.group_interval, self.repeat_interval = group_wait, group_interval, repeat_interval
        self.timeout = aiohttp.ClientTimeout(total=timeout)
        self.groups: dict[str, Group] = {}
        self.sent: list[tuple[float, int, dict[str, Any]]] = []

    async def run(self, poll: float = 1.0) -> None:
        """Tick in real time until cancelled."""
        while True:
            await self.tick()
            await asyncio.sleep(poll)

    async def tick(self) -> None:
        """Evaluate, group, and post every group that is due."""
        now = self.now()
        for active in self.prometheus.evaluate():
            if active.fired_at is not None:
                self._group(active, now)
        due = [group for group in self.groups.values() if group.due <= now]
        for group in due:
            await self._flush(group, now)

    def labels_of(self, active: Active) -> dict[str, str]:
        return dict(sorted({**active.labels, "cluster": self.cluster}.items()))

    def _group(self, active: Active, now: float) -> None:
        labels = self.labels_of(active)
        by = {name: labels[name] for name in sorted(self.group_by) if name in labels}
        key, mark = json.dumps(by), fingerprint(labels)
        group = self.groups.get(key)
        if active.resolved_at is not None and (group is None or mark not in group.alerts):
            return
        if group is None:
            group = self.groups[key] = Group(by, now + self.group_wait)
        group.alerts[mark] = active

    async def _flush(self, group: Group, now: float) -> None:
        """Notify if there is news or the last notification is long ago, then wait a group_interval (or retry sooner)."""
        firing = frozenset(mark for mark, a in group.alerts.items() if a.resolved_at is None)
        resolved = frozenset(group.alerts) - firing
        news = not firing <= group.sent_firing or not resolved <= group.sent_resolved
        stale = bool(firing) and group.sent_at is not None and now - group.sent_at >= self.repeat_interval
        if (news and (firing or group.sent_firing)) or stale:
            code = await self._post(group, now)
            if not 200 <= code < 300:
                group.tries += 1
                backoff = min(LONGEST_RETRY, FIRST_RETRY * 2 ** (group.tries - 1))
                group.due = now + (self.group_interval if 400 <= code < 500 else backoff)
                return
            group.sent_firing, group.sent_resolved, group.sent_at = firing, resolved, now
        group.tries, group.due = 0, now + self.group_interval
        for mark in resolved:
            del group.alerts[mark]
        group.sent_resolved -= resolved
        if not group.alerts:
            self.groups = {key: other for key, other in self.groups.items() if other is not group}

    def payload(self, group: Group) -> dict[str, Any]:
        """The webhook body, version 4: field names and order as Alertmanager's."""
        alerts = [self._alert(a) for a in sorted(group.alerts.values(), key=lambda a: sorted(a.labels.items()))]
        common = _common([a["labels"] for a in alerts])
        return {
            "receiver": self.receiver,
            "status": "firing" if any(a["status"] == "firing" for a in alerts) else "resolved",
            "alerts": alerts, "groupLabels": group.labels, "commonLabels": common,
            "commonAnnotations": _common([a["annotations"] for a in alerts]), "externalURL": self.external_url,
            "version": "4", "groupKey": group.key, "truncatedAlerts": 0,
        }  # fmt: skip

    def _alert(self, active: Active) -> dict[str, Any]:
        labels = self.labels_of(active)
        ended = active.resolved_at
        return {
            "status": "firing" if ended is None else "resolved", "labels": labels, "annotations": active.annotations,
            "startsAt": rfc3339(active.fired_at or active.since),
            "endsAt": NEVER_ENDED if ended is None else rfc3339(ended),
            "generatorURL": self.prometheus.generator_url(active.rule), "fingerprint": fingerprint(labels),
        }  # fmt: skip

    async def _post(self, group: Group, now: float) -> int:
        """The answer's status; 0 when there was none. A 4xx is final, yet the group comes again at its next interval."""
        payload = self.payload(group)
        headers = {"Content-Type": "application/json", "User-Agent": "Alertmanager/0.27.0"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            async with (
                aiohttp.ClientSession(timeout=self.timeout) as session,
                session.post(self.url, data=body_of(payload), headers=headers) as response,
            ):
                code = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as err:
            log.warning("the webhook could not be delivered and will be tried again: %s", err)
            code = 0
        self.sent.append((now, code, payload))
        if 400 <= code < 500:
            log.error("the webhook was refused (%d) and is not retried", code)
        return code


def _common(all_of_them: Sequence[Mapping[str, str]]) -> dict[str, str]:
    first = all_of_them[0] if all_of_them else {}
    return {k: v for k, v in first.items() if all(other.get(k) == v for other in all_of_them)}
