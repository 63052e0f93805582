"""What verdicts lead to: the next state of an alert, and per incident that is touched one change. Pure but for the view; called by flow/judging."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from bot.domain import lifecycle, ongoing, paging
from bot.domain.alert import Alert, AlertState
from bot.domain.incident import Change, Incident, State
from bot.domain.lifecycle import Opening
from bot.domain.passing import Passing, Verdict, View
from bot.domain.people import TOCSIN
from bot.domain.routing import Route
from bot.domain.rules import Rules
from bot.domain.signal import Signal

NOTHING = ("dropped", "ignored")
MOST_DOUBTS = 3


def next_state(passing: Passing, verdict: Verdict, signal: Signal, now: datetime) -> AlertState | None:
    """What is kept of the alert after this verdict; None: nothing but the log line."""
    known, alert = passing.known, passing.alert
    if verdict.outcome in NOTHING:
        if known is not None and (passing.again or verdict.outcome == "dropped"):
            # What flaps and is over is still counted by its incident; everything else would be looked at again and again.
            calm_at = known.calm_at if not passing.again and not known.alert.firing else None
            quiet = replace(known, held=None, calm_at=calm_at, inhibits=())
            return quiet if quiet != known else None
        unheard = known is None and not alert.firing and verdict.outcome == "ignored"
        return AlertState(alert, now, now) if unheard else None
    if known is None:
        before = AlertState(alert, now, now)
    elif passing.again:
        before = known
    else:
        before = replace(known, last_seen=now, deliveries=known.deliveries + 1)
    newest = alert
    if known is not None and known.alert.firing == alert.firing and alert.starts_at < known.alert.starts_at:
        newest = known.alert  # the one that has come in is an older copy
    if known is not None and alert.firing and (passing.put_off or passing.relabelled.alert is None):
        newest = known.alert  # compared with that, a later repeat is worse again
    if verdict.outcome == "repeated":
        fired = signal.flapping.begun(before.fired, alert.starts_at) if alert.firing else before.fired
        kept = replace(before, alert=newest, fired=fired)
        if newest.firing and newest.labels != before.alert.labels:
            kept = replace(kept, inhibits=signal.inhibition.holds(newest, passing.severity))
        return replace(kept, calm_at=None) if passing.again else kept
    if not alert.firing:
        over = replace(before, alert=_over(alert, known), held=None, inhibits=())
        return replace(over, calm_at=now + signal.flapping.calm if verdict.outcome == "flapping" else None)
    fired = signal.flapping.begun(before.fired, alert.starts_at)
    if passing.late:  # over before it was heard of: what is known stays
        return replace(before, fired=fired, incident_id=verdict.incident_id)
    flaps = verdict.flaps or verdict.outcome == "flapping"
    return replace(
        before,
        alert=newest,
        incident_id=verdict.incident_id,
        held=verdict.held,
        fired=fired,
        calm_at=now + signal.flapping.calm if flaps else None,
        inhibits=signal.inhibition.holds(alert, passing.severity),
    )


def _over(alert: Alert, known: AlertState | None) -> Alert:
    """The alert as it ended: many senders say little of what it was when it is over."""
    if known is None or not known.alert.firing:
        return alert
    labels = {**known.alert.labels, **alert.labels} if len(alert.labels) < len(known.alert.labels) else alert.labels
    return replace(
        alert,
        labels=labels,
        annotations={**known.alert.annotations, **alert.annotations},
        starts_at=max(alert.starts_at, known.alert.starts_at) if alert.ends_at is None else alert.starts_at,
        url=alert.url or known.alert.url,
    )


@dataclass(slots=True)
class _Touched:
    """An incident that this commit touches. `before` is None for a new one; `known` counts firing alerts that it had before."""

    incident_id: int
    before: Incident | None
    group_key: str = ""
    storm: str = ""
    reopened_because: str = ""
    reopened_flaps: bool = False
    firing: list[Passing] = field(default_factory=list)
    resolved: list[Alert] = field(default_factory=list)
    flaps: list[Alert] = field(default_factory=list)
    calm: list[tuple[Alert, bool]] = field(default_factory=list)
    worse: list[Passing] = field(default_factory=list)
    known: int = 0


class Consequences:
    """Gathers what the verdicts of one commit do to incidents, and lets the alerts that come after see it in the view."""

    def __init__(self, view: View, rules: Rules, now: datetime) -> None:
        self._view = view
        self._rules = rules
        self._now = now
        self._touched: dict[int, _Touched] = {}

    def note(self, passing: Passing, verdict: Verdict) -> None:
        """One more verdict. Called before the alert's next state is in the view."""
        number, alert = verdict.incident_id, passing.alert
        nothing = verdict.outcome in ("repeated", "ignored", "flapping") and not (verdict.calm or verdict.worse)
        if number is None or nothing:
            return
        before = self._view.by_id.get(number)
        if before is not None and before.state is State.CLOSED:
            return
        one = self._touched.setdefault(number, _Touched(number, before))
        if verdict.calm:
            one.calm.append((alert, alert.firing))
        if verdict.worse:
            one.worse.append(passing)
        elif not alert.firing:
            one.resolved.append(alert)
        elif not verdict.calm:
            self._fires(one, passing, verdict)

    def _fires(self, one: _Touched, passing: Passing, verdict: Verdict) -> None:
        alert, known = passing.alert, passing.known
        one.firing.append(passing)
        one.known += known is not None and known.incident_id == one.incident_id
        if verdict.flaps:
            one.flaps.append(alert)
        if passing.late:
            one.resolved.append(alert)
        elif known is not None and known.calm_at and not known.alert.firing and known.incident_id == one.incident_id:
            one.resolved.append(
                known.alert
            )  # while it flapped its end did not count, and then a person resolved the incident
        if verdict.outcome == "opened":
            one.group_key = verdict.group_key
            one.storm = verdict.reason if verdict.storm else ""
            self._see(self._opened(one).incident)
            if not (verdict.storm or alert.test):
                self._view.opened.setdefault(passing.routes[0].key, []).append(self._now)
        elif verdict.outcome == "reopened" and one.before is not None:
            one.reopened_because = f"{alert.summary} fires again"
            one.reopened_flaps = verdict.flaps
            self._see(self._reopened(one, one.before).incident)

    def _see(self, incident: Incident) -> None:
        self._view.by_id[incident.id] = incident
        self._view.incidents[incident.group_key] = incident

    def changes(self) -> list[Change]:
        """All that this commit does, as one change per incident."""
        return [self._change(one) for one in self._touched.values()]

    def _opened(self, one: _Touched) -> Change:
        first = one.firing[0]  # the one that opened it
        routes: tuple[Route, ...] = first.routes
        further = (route for each in one.firing if not each.late for route in each.routes)
        opening = Opening(
            group_key=one.group_key,
            labels={} if one.storm else dict(first.group_labels),
            severity=self._rules.signal.taxonomy.worst(each.severity for each in one.firing),
            policies=self._rules.policies_of((*routes, *further)),
            route=routes[0],
            service=None if one.storm else self._rules.services.get(first.alert.service),
            media=tuple(dict.fromkeys(medium for each in one.firing for medium in each.media)),
            doubts=tuple(dict.fromkeys(each.judged.doubt for each in one.firing if each.judged.doubt))[:MOST_DOUBTS],
            storm=one.storm,
        )
        return lifecycle.opened(one.incident_id, [each.alert for each in one.firing], opening, self._now)

    def _reopened(self, one: _Touched, before: Incident) -> Change:
        return lifecycle.reopened(before, one.reopened_because, self._now, flaps=one.reopened_flaps)

    def _change(self, one: _Touched) -> Change:
        now = self._now
        firing: tuple[Passing, ...] = ()
        if one.before is None:
            change = self._opened(one)
        else:
            change, firing = Change(one.before), tuple(one.firing)
            if one.reopened_because:
                change = self._reopened(one, one.before)
        severe = change.incident.severity
        if firing or one.resolved:
            alerts, resolved = tuple(each.alert for each in firing), tuple(one.resolved)
            severity = self._worst(change.incident.severity, firing)
            change = change.then(
                lambda current: lifecycle.alerts_received(current, alerts, resolved, one.known, severity, now)
            )
        change = change.then(partial(self._paged_more, one=one, before=severe))
        for alert in one.flaps:
            change = change.then(
                partial(ongoing.flapping_begun, alert=alert, rule=self._rules.signal.flapping, now=now)
            )
        for alert, fires in one.calm:
            change = change.then(partial(ongoing.calmed, alert=alert, firing=fires, now=now))
        if change.incident.firing == 0 and change.incident.is_open and one.resolved and self._rules.auto_resolve:
            change = change.then(lambda current: lifecycle.resolved_by_alerts(current, now))
        return change

    def _paged_more(self, incident: Incident, one: _Touched, before: str) -> Change:
        """Who has to hear of what has joined or become worse: its further routes' people, and everybody when it is more severe than `before`."""
        news = tuple(each for each in (*one.firing, *one.worse) if not each.late)
        if one.before is None:
            news = tuple(one.worse)
        if not news:
            return Change(incident)
        media = dict.fromkeys((*incident.media, *(medium for each in news for medium in each.media)))
        change = Change(incident.model_copy(update={"media": tuple(media) if incident.media else ()}))
        severity = self._worst(incident.severity, tuple(one.worse))
        change = change.then(partial(lifecycle.severity_set, severity=severity, actor=TOCSIN, now=self._now))
        policies = self._rules.policies_of(route for each in news for route in each.routes)
        rank = self._rules.signal.taxonomy.rank
        if min(rank(each.severity) for each in news) < rank(
            before
        ):  # first: further policies would seem to page already
            change = change.then(partial(paging.worse, before=before, now=self._now))
        return change.then(partial(paging.paged_as_well, policies=policies, now=self._now))

    def _worst(self, severity: str, firing: tuple[Passing, ...]) -> str:
        return self._rules.signal.taxonomy.worst([severity, *(each.severity for each in firing)])
