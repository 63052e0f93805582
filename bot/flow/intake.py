"""Alerts in: entry/webhooks calls `accept`, which answers only after the commit that holds the alerts (P1).

Group commit: deliveries that arrive while the previous transaction is committing are triaged and committed together.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice

from bot.domain import lifecycle, routing
from bot.domain.alert import Alert, AlertState, OnceOnly, Received
from bot.domain.incident import Change, Incident, State
from bot.domain.lifecycle import Opening
from bot.domain.ports import Clock, Store, Tx
from bot.domain.routing import Route
from bot.domain.rules import CurrentRules, Rules
from bot.domain.triage import Passing, Verdict, View, triage
from bot.errors import Overloaded, Replayed, TryLater

LARGEST_COMMIT = 2000


@dataclass(slots=True)
class _Waiting:
    """One delivery on its way into a commit, and who waits for its verdicts."""

    alerts: Sequence[Alert]
    once: OnceOnly | None
    answer: asyncio.Future[list[Verdict]]


@dataclass(slots=True)
class _Touched:
    """An incident that this commit touches. `before` is None for a new one; `known` counts firing alerts that it had before."""

    incident_id: int
    before: Incident | None
    routes: tuple[Route, ...] = ()
    group_key: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    reopened_because: str = ""
    firing: list[Alert] = field(default_factory=list)
    resolved: list[Alert] = field(default_factory=list)
    known: int = 0


class Intake:
    """The way in for alerts. `run` must be running for `accept` to answer; at most `limit` alerts wait at a time."""

    def __init__(self, store: Store, clock: Clock, rules: CurrentRules, limit: int = 10_000) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._limit = limit
        self._queue: deque[_Waiting] = deque()
        self._queued = 0
        self._arrived = asyncio.Event()
        self._stopping = False

    async def accept(self, alerts: Sequence[Alert], once: OnceOnly | None = None) -> list[Verdict]:
        """What became of each alert, in order, once it is durable.

        Nothing was kept when it raises: Overloaded, TryLater (the database), or Replayed (`once` was taken before).
        """
        if not alerts:
            return []
        if self._stopping or self._queued + len(alerts) > max(self._limit, len(alerts)):
            raise Overloaded(f"{self._queued} alerts are waiting to be stored; come again")
        waiting = _Waiting(alerts, once, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._queued += len(alerts)
        self._arrived.set()
        return await waiting.answer

    async def run(self) -> None:
        """Commit what has arrived, until `stop` and the queue is empty."""
        while not (self._stopping and not self._queue):
            await self._arrived.wait()
            self._arrived.clear()
            while self._queue:
                await self._commit(self._next_batch())

    def stop(self) -> None:
        """Take nothing more; `run` ends when what waits is stored."""
        self._stopping = True
        self._arrived.set()

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._queue and (not batch or size + len(self._queue[0].alerts) <= LARGEST_COMMIT):
            batch.append(self._queue.popleft())
            size += len(batch[-1].alerts)
        self._queued -= size
        return batch

    async def _commit(self, batch: list[_Waiting]) -> None:
        """One transaction for the batch; if it fails, one each, so that a bad delivery costs nobody else."""
        try:
            answers = await self._store.write(lambda tx: _taken(tx, batch, self._rules(), self._clock()))
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, TryLater):
                for waiting in batch:
                    await self._commit([waiting])
                return
            answers = [error] * len(batch)
        for waiting, answer in zip(batch, answers, strict=True):
            if waiting.answer.done():
                continue
            if isinstance(answer, Exception):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)


async def _taken(tx: Tx, batch: Sequence[_Waiting], rules: Rules, now: datetime) -> list[list[Verdict] | Exception]:
    """The answer to each delivery of the batch. One that was taken before is left out and says so."""
    again: list[bool] = [one.once is not None and not await tx.once(one.once.key, one.once.until, now) for one in batch]
    fresh = [waiting for waiting, known in zip(batch, again, strict=True) if not known]
    verdicts = iter(await _decide_and_save(tx, [alert for one in fresh for alert in one.alerts], rules, now))
    return [
        Replayed("this signed request was received before") if known else list(islice(verdicts, len(waiting.alerts)))
        for waiting, known in zip(batch, again, strict=True)
    ]


async def _decide_and_save(tx: Tx, alerts: Sequence[Alert], rules: Rules, now: datetime) -> list[Verdict]:
    """Triage every alert in order against one view, then save states, log and incident changes. Saving is the last line."""
    await tx.lock("intake")
    view = await _view_for(tx, alerts, rules)
    touched: dict[int, _Touched] = {}
    changed: dict[str, AlertState] = {}
    verdicts: list[Verdict] = []
    log: list[Received] = []
    for alert in alerts:
        verdict, passing = triage(alert, view, now)
        if verdict.outcome == "opened":
            verdict = replace(verdict, incident_id=await tx.next_id("incident"))
        state = _next_state(view.states.get(alert.key), alert, verdict, now)
        _touch(touched, view, verdict, passing, rules, now)
        if state is not None:
            view.states[alert.key] = changed[alert.key] = state
        verdicts.append(verdict)
        log.append(Received(now, alert, verdict.outcome, verdict.reason, verdict.trail, verdict.incident_id))
    changes = [_change(one, rules, now) for one in touched.values()]
    await tx.save_alerts(list(changed.values()), log)
    await tx.save(*changes)
    return verdicts


async def _view_for(tx: Tx, alerts: Sequence[Alert], rules: Rules) -> View:
    """Everything that triage needs to know of these alerts, in three queries."""
    states = await tx.alert_states({alert.key for alert in alerts})
    by_id = await tx.incidents({state.incident_id for state in states.values() if state.incident_id is not None})
    view = View(rules.root, states, {}, by_id)
    groups = set(_groups_of(alerts, view))
    if groups:
        view.incidents.update(await tx.incidents_of_groups(groups))
        view.by_id.update({incident.id: incident for incident in view.incidents.values()})
    return view


def _groups_of(alerts: Iterable[Alert], view: View) -> Iterable[str]:
    """Group keys of the alerts that are not plain repeats of what an open incident has already."""
    for alert in alerts:
        if not alert.firing:
            continue
        known, incident = view.states.get(alert.key), view.incident_of(alert)
        if known and known.alert.firing and incident and incident.is_open:
            continue
        routes = routing.find(view.root, alert.labels)
        if routes:
            yield routing.group_key(routes[0], routing.group_labels(routes[0], alert))


def _next_state(known: AlertState | None, alert: Alert, verdict: Verdict, now: datetime) -> AlertState | None:
    """What the store keeps of the alert after this verdict; None when nothing of it is to be kept but the log line."""
    if verdict.outcome == "ignored":
        return None
    if known is None:
        return AlertState(alert, now, now, 1, verdict.incident_id)
    again = known.seen_again(alert, now)
    return again if verdict.outcome in ("repeated", "resolved") else replace(again, incident_id=verdict.incident_id)


def _touch(
    touched: dict[int, _Touched], view: View, verdict: Verdict, passing: Passing, rules: Rules, now: datetime
) -> None:
    """Note what the verdict does to its incident, and let the next alerts of the batch see it."""
    if verdict.incident_id is None or verdict.outcome in ("repeated", "ignored"):
        return
    alert, before = passing.alert, view.by_id.get(verdict.incident_id)
    if before is not None and before.state is State.CLOSED:
        return
    one = touched.setdefault(verdict.incident_id, _Touched(verdict.incident_id, before))
    if verdict.outcome == "resolved":
        one.resolved.append(alert)
        return
    known = view.states.get(alert.key)
    one.firing.append(alert)
    one.known += known is not None and known.incident_id == verdict.incident_id
    if verdict.outcome == "opened":
        one.routes, one.group_key, one.labels = passing.routes, passing.group_key, dict(passing.group_labels)
        _see(view, _opened(one, rules, now).incident)
    elif verdict.outcome == "reopened" and before is not None:
        one.reopened_because = f"{alert.summary} fires again"
        _see(view, lifecycle.reopened(before, one.reopened_because, now).incident)


def _see(view: View, incident: Incident) -> None:
    view.by_id[incident.id] = incident
    view.incidents[incident.group_key] = incident


def _opened(one: _Touched, rules: Rules, now: datetime) -> Change:
    opening = Opening(
        group_key=one.group_key,
        labels=one.labels,
        severity=rules.worst(rules.severity_of(alert) for alert in one.firing),
        policies=rules.policies_of(one.routes),
        route=one.routes[0],
        service=rules.services.get(one.firing[0].service),
    )
    return lifecycle.opened(one.incident_id, one.firing, opening, now)


def _change(one: _Touched, rules: Rules, now: datetime) -> Change:
    """All that this commit does to one incident, as one change."""
    if one.before is None:
        change = _opened(one, rules, now)
        firing: tuple[Alert, ...] = ()
    else:
        change = Change(one.before)
        firing = tuple(one.firing)
        if one.reopened_because:
            change = lifecycle.reopened(one.before, one.reopened_because, now)
    if firing or one.resolved:
        severity = rules.worst([change.incident.severity, *(rules.severity_of(alert) for alert in firing)])
        change = change.then(
            lambda current: lifecycle.alerts_received(current, firing, tuple(one.resolved), one.known, severity, now)
        )
    if change.incident.firing == 0 and change.incident.is_open and one.resolved and rules.auto_resolve:
        change = change.then(lambda current: lifecycle.resolved_by_alerts(current, now))
    return change
