"""Triage: what becomes of one alert, and why. Pure; called by flow/intake for every alert, in order.

The order of the stages is written once, in `STAGES`. A stage passes the alert on (None) or says why it ends here (a `Verdict`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime

from bot.domain import routing
from bot.domain.alert import Alert, AlertState
from bot.domain.incident import Incident, State
from bot.domain.routing import Route

OUTCOMES = ("opened", "joined", "reopened", "repeated", "resolved", "ignored")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an alert: one of OUTCOMES, the reason that people read, and the stages it went through."""

    outcome: str
    reason: str
    trail: tuple[str, ...] = ()
    incident_id: int | None = None
    group_key: str = ""


@dataclass(slots=True)
class View:
    """All that triage may know. Intake keeps it up to date between the alerts of one batch; `incidents` has the newest not closed per group key."""

    root: Route
    states: MutableMapping[str, AlertState] = field(default_factory=dict)
    incidents: MutableMapping[str, Incident] = field(default_factory=dict)
    by_id: MutableMapping[int, Incident] = field(default_factory=dict)

    def incident_of(self, alert: Alert) -> Incident | None:
        state = self.states.get(alert.key)
        return self.by_id.get(state.incident_id) if state and state.incident_id else None


@dataclass(slots=True)
class Passing:
    """An alert on its way through the stages, with what the earlier ones found."""

    alert: Alert
    trail: list[str] = field(default_factory=list)
    routes: tuple[Route, ...] = ()
    group_key: str = ""
    group_labels: Mapping[str, str] = field(default_factory=dict)


Stage = Callable[[Passing, View, datetime], Verdict | None]


def triage(alert: Alert, view: View, now: datetime) -> tuple[Verdict, Passing]:
    """The verdict on one alert, and what the stages found (its routes and group)."""
    passing = Passing(alert)
    for stage in STAGES:
        verdict = stage(passing, view, now)
        if verdict is not None:
            return verdict, passing
    raise AssertionError("the last stage, grouped, always decides")


def repeated(passing: Passing, view: View, now: datetime) -> Verdict | None:
    """An alert that is in the state already; a resolve of what never fired or of an older firing."""
    alert, known = passing.alert, view.states.get(passing.alert.key)
    incident = view.incident_of(alert)
    where = incident.ref if incident else "no incident"
    if not alert.firing:
        if known is None:
            return _ends(passing, "ignored", "a resolve for an alert that has not fired here: nothing to resolve")
        if not known.alert.firing:
            return _ends(passing, "repeated", f"it is resolved already ({where})", incident)
        if alert.ends_at is not None and alert.ends_at < known.alert.starts_at:
            return _ends(passing, "ignored", "a resolve of an earlier firing: it has fired again since", incident)
        return _ends(passing, "resolved", f"it no longer fires ({where})", incident)
    if known is not None and known.alert.firing and incident is not None:
        if incident.is_open:
            return _ends(passing, "repeated", f"it is firing already and belongs to {where}", incident)
        if incident.state is State.RESOLVED and incident.reopens(now):
            return _ends(passing, "repeated", f"still firing; {where} was resolved a short while ago", incident)
        passing.trail.append(f"repeated: still firing although {where} is {incident.state}, so it counts as new")
        return None
    if known is not None and not known.alert.firing and alert.starts_at < known.alert.starts_at:
        return _ends(passing, "ignored", "an older firing than the one that has resolved since", incident)
    fired = known is not None and known.alert.firing
    passing.trail.append(f"repeated: no, {'it fires but has no incident' if fired else 'it was not firing before'}")
    return None


def routed(passing: Passing, view: View, now: datetime) -> Verdict | None:
    """The label tree: which policies and which grouping."""
    passing.routes = routing.find(view.root, passing.alert.labels)
    if not passing.routes:
        return _ends(passing, "ignored", "no route matches its labels, not even the root")
    passing.trail.append("routed: " + ", then ".join(str(route) for route in passing.routes))
    return None


def grouped(passing: Passing, view: View, now: datetime) -> Verdict | None:
    """The incident it belongs to: an open one of its group, one to reopen, or a new one."""
    route = passing.routes[0]
    passing.group_labels = routing.group_labels(route, passing.alert)
    passing.group_key = routing.group_key(route, passing.group_labels)
    incident = view.incidents.get(passing.group_key)
    by = ", ".join(route.group_by) or "nothing"
    if incident is not None and incident.is_open:
        return _ends(passing, "joined", f"{incident.ref} is open for this group (by {by})", incident)
    if incident is not None and incident.reopens(now):
        return _ends(passing, "reopened", f"{incident.ref} was resolved less than {route.reopen_within} ago", incident)
    return _ends(passing, "opened", f"nothing is open for this group (by {by})")


STAGES: tuple[Stage, ...] = (repeated, routed, grouped)


def _ends(passing: Passing, outcome: str, reason: str, incident: Incident | None = None) -> Verdict:
    return Verdict(outcome, reason, tuple(passing.trail), incident.id if incident else None, passing.group_key)
