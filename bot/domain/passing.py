"""One alert on its way through triage, what triage may know, and the verdict it ends with. Made by flow/judging, read by triage's stages."""

from __future__ import annotations

from collections.abc import Collection, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime

from bot.domain import routing
from bot.domain.alert import TEST_LABEL, Alert, AlertState, Held
from bot.domain.incident import Incident
from bot.domain.people import Directory
from bot.domain.relabel import Relabelled
from bot.domain.routing import Route
from bot.domain.severity import Judged
from bot.domain.signal import Signal
from bot.domain.silence import Silences

_LOG_ALONE = frozenset({"log"})
HELD = ("silenced", "maintenance", "inhibited", "quiet", "waiting")
OUTCOMES = (
    "opened",
    "joined",
    "reopened",
    "repeated",
    "resolved",
    "late",
    "flapping",
    *HELD,
    "logged",
    "dropped",
    "ignored",
)


@dataclass(slots=True)  # not frozen: that makes one three times as dear, and there is one per alert
class Verdict:
    """What became of an alert: one of OUTCOMES, the reason that people read, and what the stages before said.

    `held`: set for the outcomes in HELD. `flaps`: it has begun to flap with this firing. `calm`: it flapped, and is calm now. `storm`: its group
    key is a storm's. `worse`: repeated, but more severe than it was. `stage`: which one decided.
    """

    outcome: str
    reason: str
    trail: tuple[str, ...] = ()
    incident_id: int | None = None
    group_key: str = ""
    held: Held | None = None
    flaps: bool = False
    calm: bool = False
    storm: bool = False
    worse: bool = False
    stage: str = ""


@dataclass(slots=True)
class View:
    """All that triage may know beside the configuration. Intake keeps it up to date between the alerts of one batch.

    `incidents`: the newest that is not closed, per group key. `inhibitors`: per key of a firing source the alerts that stand under it (their keys,
    and what people call them). `opened`: per route key, when its latest incidents were opened. `first_paged`: per policy whom it pages first now;
    `on_policy`: whom any of its levels pages.
    """

    signal: Signal
    states: MutableMapping[str, AlertState] = field(default_factory=dict)
    incidents: MutableMapping[str, Incident] = field(default_factory=dict)
    by_id: MutableMapping[int, Incident] = field(default_factory=dict)
    silences: Silences = field(default_factory=Silences)
    maintenance: Silences = field(default_factory=Silences)
    inhibitors: MutableMapping[str, Mapping[str, str]] = field(default_factory=dict)
    opened: MutableMapping[str, list[datetime]] = field(default_factory=dict)
    first_paged: Mapping[str, Collection[str]] = field(default_factory=dict)
    on_policy: Mapping[str, Collection[str]] = field(default_factory=dict)
    directory: Directory = field(default_factory=Directory)

    def incident_at(self, known: AlertState | None) -> Incident | None:
        """The incident that what is known of an alert belongs to."""
        return self.by_id.get(known.incident_id) if known is not None and known.incident_id else None


class Passing:
    """An alert with what is found out about it on the way; each thing once, and only when a stage asks.

    `again`: nothing came in, it is looked at again because what held it may be over; it is relabelled already then. `put_off`: it has become worse,
    but there is a reason to stay quiet, so that it counts at its next repeat only.
    """

    __slots__ = (
        "_group",
        "_judged",
        "_routes",
        "again",
        "alert",
        "flaps",
        "given",
        "known",
        "late",
        "put_off",
        "relabelled",
        "signal",
        "stage",
        "trail",
    )

    def __init__(self, given: Alert, signal: Signal, known: AlertState | None = None, *, again: bool = False) -> None:
        self.given = given
        self.signal = signal
        self.known = known
        self.again = again
        self.relabelled = Relabelled(given) if again else signal.relabelling(given)
        self.alert = self.relabelled.alert or given
        self.trail: list[str] = []
        self.late = False
        self.put_off = False
        self.flaps = False
        self.stage = ""
        self._routes: tuple[Route, ...] | None = None
        self._judged: Judged | None = None
        self._group: tuple[str, Mapping[str, str]] | None = None

    @property
    def routes(self) -> tuple[Route, ...]:
        """The routes that it takes; empty when not even the root matches."""
        if self._routes is None:
            self._routes = self.signal.routing.find(self.alert.labels)
        return self._routes

    @property
    def judged(self) -> Judged:
        """Its severity, and why."""
        if self._judged is None:
            override = self.routes[0].severity if self.routes else ""
            self._judged = self.signal.taxonomy.of(self.alert, override)
        return self._judged

    @property
    def severity(self) -> str:
        return self.judged.severity

    @property
    def media(self) -> tuple[str, ...]:
        """Through what it may reach people: what its route says, else what its severity says."""
        own = self.routes[0].media if self.routes else None
        return self.signal.taxonomy.through(self.severity) if own is None else own

    @property
    def only_logged(self) -> bool:
        """Nothing but the log may tell of it."""
        return _LOG_ALONE.issuperset(self.media)

    @property
    def group_key(self) -> str:
        return self._grouped[0]

    @property
    def group_labels(self) -> Mapping[str, str]:
        return self._grouped[1]

    @property
    def _grouped(self) -> tuple[str, Mapping[str, str]]:
        if self._group is None:
            route = self.routes[0] if self.routes else self.signal.routing.root
            labels = routing.group_labels(route, self.alert)
            if self.alert.test:  # never part of what is real
                labels = {**labels, TEST_LABEL: "true"}
            self._group = (routing.group_key(route, labels), labels)
        return self._group

    def ends(self, outcome: str, reason: str, incident: Incident | None = None, **more: object) -> Verdict:
        """The verdict, with what the stages before said. `more`: other fields of it."""
        number = incident.id if incident else None
        return Verdict(outcome, reason, tuple(self.trail), number, stage=self.stage, **more)  # type: ignore[arg-type]
