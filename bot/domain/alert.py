"""One alert as it came in, and what is known about it between deliveries. Made by plugins/sources, judged by triage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
        for name in SERVICE_LABELS:
            if value := self.labels.get(name):
                return value
        return ""

    @property
    def test(self) -> bool:
        """Sent to try things out: it goes all the way, and says so wherever it shows."""
        return self.labels.get(TEST_LABEL) == "true"

    @property
    def summary(self) -> str:
        return self.annotations.get("summary") or self.annotations.get("description") or self.name


REPEATS = ("repeated: it is held", "repeated: it fires already")  # begin what triage says of those that fire on
TEST_LABEL = "tocsin_test"
SERVICE_LABELS = ("service", "app", "deployment", "job")


@dataclass(frozen=True, slots=True)
class OnceOnly:
    """What makes a delivery good once: its key (a signature) is remembered until then, in the transaction that keeps its alerts."""

    key: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """Why an alert that fires has no incident (yet): the verdict that holds it, by what (`silence:42`), and when it is to be looked at again."""

    outcome: str
    by: str
    again_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AlertState:
    """What the store keeps per alert key: the newest alert (as relabelled), when it was seen, the incident that it belongs to, and what holds it.

    `fired`: when it has begun to fire lately, oldest first; empty for one that was only ever heard to resolve. `calm_at`: it flaps, and is calm when
    nothing has changed until then. `inhibits`: the keys under which it holds other alerts while it fires.
    """

    alert: Alert
    first_seen: datetime
    last_seen: datetime
    deliveries: int = 1
    incident_id: int | None = None
    held: Held | None = None
    fired: tuple[datetime, ...] = ()
    calm_at: datetime | None = None
    inhibits: tuple[str, ...] = ()

    @property
    def again_at(self) -> datetime | None:
        """When it is to be looked at although nothing has come in: what holds it is over, or it is calm."""
        return self.held.again_at if self.held else self.calm_at

    @property
    def orphan(self) -> bool:
        """Only its end was heard of."""
        return not self.alert.firing and not self.fired and self.incident_id is None


@dataclass(frozen=True, slots=True)
class Received:
    """One line of the alert log: what came in (as the sender said it), what triage decided, and why. Append-only.

    `severity`, `route` and `stage` (which decided): as judged then; `held_by`: what held it. `again`: not a delivery, it was looked at again.
    """

    at: datetime
    alert: Alert
    outcome: str
    reason: str
    trail: tuple[str, ...] = field(default=())
    incident_id: int | None = None
    severity: str = ""
    route: str = ""
    stage: str = ""
    held_by: str = ""
    again: bool = False

    @property
    def began(self) -> bool:
        """Whether an alert began to fire with this line. What is held or logged is judged anew at each delivery, which its trail says."""
        repeats = any(said.startswith(REPEATS) for said in self.trail)
        return self.alert.firing and not self.again and self.outcome not in ("repeated", "ignored") and not repeats
