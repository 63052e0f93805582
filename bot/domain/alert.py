"""One alert as it came in, and what is known about it between deliveries. Made by plugins/sources, judged by triage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of one delivery. `labels` and `annotations` map text to text; times are aware and in UTC."""

    source: str
    fingerprint: str
    firing: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None = None
    url: str = ""

    @property
    def key(self) -> str:
        """Identity of the alert across deliveries: the same problem from the same source is the same key."""
        return f"{self.source}/{self.fingerprint}"

    @property
    def name(self) -> str:
        return self.labels.get("alertname") or "alert"

    @property
    def service(self) -> str:
        """The service it is about: the first of the usual labels that is set, else empty."""
        return next((self.labels[name] for name in SERVICE_LABELS if self.labels.get(name)), "")

    @property
    def summary(self) -> str:
        return self.annotations.get("summary") or self.annotations.get("description") or self.name


SERVICE_LABELS = ("service", "app", "deployment", "job")


@dataclass(frozen=True, slots=True)
class OnceOnly:
    """What makes a delivery good once: its key (a signature) is remembered until then, in the transaction that keeps its alerts."""

    key: str
    until: datetime


@dataclass(frozen=True, slots=True)
class AlertState:
    """What the store keeps per alert key: the newest alert, when it was seen, and the incident that it belongs to."""

    alert: Alert
    first_seen: datetime
    last_seen: datetime
    deliveries: int = 1
    incident_id: int | None = None

    def seen_again(self, alert: Alert, now: datetime) -> AlertState:
        return replace(self, alert=alert, last_seen=now, deliveries=self.deliveries + 1)


@dataclass(frozen=True, slots=True)
class Received:
    """One line of the alert log: what came in, what triage decided, and why. Append-only."""

    at: datetime
    alert: Alert
    outcome: str
    reason: str
    trail: tuple[str, ...] = field(default=())
    incident_id: int | None = None
