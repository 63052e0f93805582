"""What Tocsin tells Prometheus about itself. Made once by app; flow, room and entry count through it, entry/operation shows it."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder

from bot import __version__
from bot.domain.ports import Backlog

REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
MESSAGE_SECONDS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300)


class Metrics:
    """Counts and gauges in a registry of their own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"tocsin_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"tocsin_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"tocsin_{name}", text, labels, registry=registry, buckets=buckets)

        self._alerts = counter("alerts_received", "Alerts by source and by what became of them", "source", "outcome")
        self._webhooks = histogram("webhook_seconds", "Time to answer a webhook", REQUEST_SECONDS, "source", "code")
        self._first_message = histogram(
            "webhook_to_first_message_seconds", "From an alert's arrival to the first message about it", MESSAGE_SECONDS
        )
        self._deliveries = counter(
            "deliveries", "Attempts to deliver an effect, by what became of them", "kind", "outcome"
        )
        self._failures = counter("delivery_failures", "Attempts to deliver an effect that failed", "kind")
        self._escalations = counter("escalations", "Pages of escalation policies that have left", "policy")
        self._slack = counter("slack_calls", "Calls of Slack's Web API", "method", "outcome")
        self._audit_findings = counter(
            "audit_findings", "Next steps of open incidents that were missing or late", "what"
        )
        self._heartbeats = counter("heartbeats", "Heartbeats to the dead man's switch outside", "outcome")
        self._pending = gauge("outbox_pending", "Effects not yet delivered, timers included", "kind")
        self._due = gauge("outbox_due", "Effects that are due and not yet delivered", "kind")
        self._dead = gauge("outbox_dead", "Effects that were given up", "kind")
        self._oldest = gauge("outbox_oldest_seconds", "How long the oldest due effect has been due", "kind")
        self._backlog_known = gauge("outbox_known", "1 when the outbox could be read for this scrape")
        self._silences = gauge("silences_active", "Silences and maintenance windows that are not over and have begun")
        self._hidden = gauge("silences_hidden_alerts", "Alerts that fire and are hidden by them")
        build = gauge("build_info", "Always 1", "version", "python")
        build.labels(__version__, platform.python_version()).set(1)
        ProcessCollector(registry=registry)

    def alerts_received(self, source: str, outcome: str, count: int = 1) -> None:
        self._alerts.labels(source, outcome).inc(count)

    def webhook_answered(self, source: str, code: int, seconds: float) -> None:
        self._webhooks.labels(source, str(code)).observe(seconds)

    def first_message(self, seconds: float) -> None:
        self._first_message.observe(max(0.0, seconds))

    def delivered(self, kind: str, outcome: str) -> None:
        """`outcome` as in Settled: done, later, dead. Anything but done counts as a failure, too."""
        self._deliveries.labels(kind, outcome).inc()
        if outcome != "done":
            self._failures.labels(kind).inc()

    def escalated(self, policy: str) -> None:
        self._escalations.labels(policy).inc()

    def audited(self, what: str) -> None:
        """The auditor found something missing or late."""
        self._audit_findings.labels(what).inc()

    def heartbeat(self, outcome: str) -> None:
        self._heartbeats.labels(outcome).inc()

    def slack_called(self, method: str, outcome: str) -> None:
        self._slack.labels(method, outcome).inc()

    def backlog(self, backlog: Iterable[Backlog] | None, now: datetime) -> None:
        """The outbox as it is now; None: it could not be read, so nothing is claimed about it."""
        for gauge in (self._pending, self._due, self._dead, self._oldest):
            gauge.clear()  # a kind that is no longer there has no value
        self._backlog_known.set(backlog is not None)
        for one in backlog or ():
            self._pending.labels(one.kind).set(one.pending)
            self._due.labels(one.kind).set(one.due)
            self._dead.labels(one.kind).set(one.dead)
            waited = (now - one.oldest_due).total_seconds() if one.oldest_due else 0.0
            self._oldest.labels(one.kind).set(max(0.0, waited))

    def silences(self, counts: tuple[int, int] | None) -> None:
        """How many are active, and how many alerts they hide; None: it is not known."""
        active, hidden = counts or (math.nan, math.nan)
        self._silences.set(active)
        self._hidden.set(hidden)

    def rendered(self, accept: str = "") -> tuple[bytes, str]:
        """The text and its content type, in the format that the scraper prefers."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type
