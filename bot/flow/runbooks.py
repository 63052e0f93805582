"""Runbooks as people meet them: offered when they fit, started by hand, approved or refused by a click, shown as one message per run.

What moves a run is flow/advance; both save the run and the timeline entry about it together, through `told`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bot.domain import effects
from bot.domain import run as runs
from bot.domain.approval import objection
from bot.domain.incident import Incident, entered, warned
from bot.domain.naming import nearest
from bot.domain.people import TOCSIN, Actor
from bot.domain.ports import Clock, Delivery, Room, Store, Tx
from bot.domain.rules import CurrentRules
from bot.domain.run import Approver, Run, RunState
from bot.domain.runbook import Parameter, Runbook
from bot.errors import BadInput, GaveUp
from bot.flow.delivery import Handler, Record, incident_of, payload
from bot.flow.incidents import known

_CASTS: Mapping[str, type] = {"string": str, "integer": int, "number": float}
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class Runbooks:
    """What Slack, the API and the command line call, and the handlers for `offer` and `show_run`."""

    def __init__(self, store: Store, room: Room, clock: Clock, rules: CurrentRules) -> None:
        self._store = store
        self._room = room
        self._clock = clock
        self._rules = rules

    @property
    def all(self) -> Sequence[Runbook]:
        return list(self._rules().runbooks.values())

    def handlers(self) -> Mapping[str, Handler]:
        return {"offer": self.offer, "show_run": self.show_run}

    async def available(self, incident_id: int) -> Sequence[Runbook]:
        """All runbooks, those that fit the incident first."""
        incident = await self._store.read(lambda tx: known(tx, incident_id))
        labels = await self._labels(incident)
        return sorted(self.all, key=lambda runbook: (not runbook.fits(labels), runbook.title))

    async def start(self, incident_id: int, name: str, params: Mapping[str, str], actor: Actor) -> Run:
        """Start a run by hand: it looks and plans; nothing is changed before its plan is approved."""
        runbook = self._rules().runbooks.get(name)
        if runbook is None:
            names = self._rules().runbooks
            raise BadInput(
                f"There is no runbook called {name!r}{nearest(name, names) or '.'} There are: {', '.join(sorted(names)) or 'none'}."
            )
        incident = await self._store.read(lambda tx: known(tx, incident_id))
        values = parameters(runbook, params, await self._labels(incident))
        now = self._clock()

        async def work(tx: Tx) -> Run:
            current = await known(tx, incident_id)
            if not current.is_open:
                raise BadInput(
                    f"{current.ref} is {current.state}: runbooks are run while an incident is open. `/incident open` begins one."
                )
            same = [run for run in await tx.runs_of(incident_id) if run.runbook.name == name and not run.ended]
            if same:
                raise BadInput(
                    f"{same[0].ref} of this runbook is {same[0].state} already: look at its message in the channel."
                )
            run = runs.begun(await tx.next_id("run"), current, runbook, values, actor, now)
            await told(tx, current, run, "run_started", f"{actor.name} started {run.ref}: {runbook.title}", now, actor)
            return run

        return await self._store.write(work)

    async def approve(self, run_id: int, step_id: str, digest: str, actor: Actor) -> str:
        """Count a click on Approve, inside one transaction with the run's row locked: a click is never lost and never counts twice."""
        rules, now = self._rules(), self._clock()

        async def work(tx: Tx) -> str:
            run = await _run(tx, run_id)
            refused = objection(run, step_id, digest, actor, rules.directory, now)
            if refused:
                raise BadInput(refused)
            after = runs.approved(run, Approver(actor=actor, digest=digest, at=now))
            text = f"{actor.name} approved {run.ref}, step {step_id}"
            await told(tx, await known(tx, run.incident_id), after, "run_approved", text, now, actor)
            missing = run.runbook.approve.people - len(after.current.approvals)
            return f"Approved. {run.ref} needs {missing} more." if missing > 0 else f"Approved: {run.ref} goes on."

        return await self._store.write(work)

    async def refuse(self, run_id: int, step_id: str, digest: str, actor: Actor) -> str:
        """A No by somebody who could have said yes ends the run."""
        rules, now = self._rules(), self._clock()

        async def work(tx: Tx) -> str:
            run = await _run(tx, run_id)
            refused = objection(run, step_id, digest, actor, rules.directory, now)
            if refused:
                raise BadInput(refused)
            after = runs.ended(run, RunState.REFUSED, f"{actor.name} said no; nothing was done", now)
            text = f"{actor.name} refused {run.ref}: {run.runbook.title}; nothing was done"
            await told(tx, await known(tx, run.incident_id), after, "run_ended", text, now, actor)
            return f"{run.ref} is refused. Nothing was done."

        return await self._store.write(work)

    async def offer(self, delivery: Delivery) -> Record | None:
        """Start a run (look and plan only) of each runbook that fits, once each time the incident opens, unless one is under way."""
        incident = await incident_of(self._store, delivery)
        labels = await self._labels(incident)
        fitting = [runbook for runbook in self.all if runbook.fits(labels)]
        now = self._clock()

        async def record(tx: Tx) -> None:
            current = await known(tx, incident.id)
            earlier = await tx.runs_of(incident.id)
            going = {run.runbook.name for run in earlier if not run.ended or run.epoch == current.epoch}
            for runbook in fitting:
                if runbook.name in going:
                    continue
                try:
                    values = parameters(runbook, {}, labels)
                except BadInput as error:
                    change = warned(current, f"Runbook {runbook.title} fits but was not offered: {error}", now)
                    await tx.save(change)
                    current = change.incident
                    continue
                run = runs.begun(await tx.next_id("run"), current, runbook, values, TOCSIN, now)
                current = await told(tx, current, run, "run_started", f"{run.ref} is offered: {runbook.title}", now)

        return record if fitting else None

    async def show_run(self, delivery: Delivery) -> Record | None:
        incident = await incident_of(self._store, delivery)
        run = await self._store.read(lambda tx: tx.run(payload(delivery)["run_id"]))
        if run is None:
            raise GaveUp(f"run {payload(delivery)['run_id']} does not exist")
        ts = await self._room.show_run(incident, run, delivery.again)
        if ts == run.message_ts:
            return None

        async def record(tx: Tx) -> None:
            current = await tx.run(run.id)
            if current is not None:
                await tx.save_run(current.model_copy(update={"message_ts": ts}))

        return record

    async def _labels(self, incident: Incident) -> dict[str, str]:
        """What runbooks match on: the labels that all alerts of the incident share, and those it is grouped by."""
        alerts = [state.alert.labels for state in await self._store.read(lambda tx: tx.alerts_of(incident.id))]
        shared = {k: v for k, v in alerts[0].items() if all(one.get(k) == v for one in alerts)} if alerts else {}
        return {**shared, **incident.labels}


async def _run(tx: Tx, run_id: int) -> Run:
    run = await tx.run(run_id)
    if run is None:
        raise BadInput(f"There is no RUN-{run_id}.")
    return run


async def told(
    tx: Tx,
    incident: Incident,
    run: Run,
    kind: str,
    text: str,
    now: datetime,
    actor: Actor = TOCSIN,
    *,
    step: int | None = None,
    due: datetime | None = None,
) -> Incident:
    """Save a run after a move, tell the timeline, show it, and (unless it has ended) come back to it at `due` (None: at once).

    `step` is the one that the entry tells of: the current one, when not given.
    """
    number = run.step if step is None else step
    spec, told_of = run.runbook.steps[number], run.steps[number]
    data = {
        "run": run.ref,
        "title": run.runbook.title,
        "state": run.state.value,
        "requested_by": run.requested_by.name,
        "step": spec.id,
        "step_title": spec.title or spec.id,
        "step_state": told_of.state.value,
        "step_plan": told_of.plan.lines() if told_of.plan else [],
        "step_message": told_of.message,
    }
    change = entered(incident, kind, text, now, actor=actor.name, data=data)
    change = change.ask(effects.show_run(incident.id, run.id, now), effects.card(incident.id, now))
    if not run.ended:
        change = change.ask(effects.advance_run(run.id, due or now))
    await tx.save_run(run)
    await tx.save(change)
    return change.incident


def parameters(runbook: Runbook, given: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, Any]:
    """The runbook's parameters: given by a person, else from a label, else the default. BadInput names what is wrong or missing."""
    unknown = [name for name in given if name not in runbook.params]
    if unknown:
        valid = ", ".join(runbook.params) or "none"
        raise BadInput(
            f"{runbook.name} has no parameter {unknown[0]!r}{nearest(unknown[0], runbook.params) or '.'} It has: {valid}."
        )
    values: dict[str, Any] = {}
    for name, spec in runbook.params.items():
        value = given.get(name) or (labels.get(spec.label) if spec.label else None) or spec.default
        if value is None:
            where = f", and the alert has no label {spec.label}" if spec.label else ""
            raise BadInput(f"{runbook.name} needs {name} ({spec.description or spec.type}){where}. Give it as {name}=…")
        values[name] = _typed(runbook, name, spec, value)
    return values


def _typed(runbook: Runbook, name: str, spec: Parameter, value: Any) -> Any:
    if spec.pattern and not re.fullmatch(spec.pattern, str(value)[:1000]):
        raise BadInput(f"{runbook.name}: {name}={value!r} does not match {spec.pattern}")
    if spec.type == "boolean":
        truth = value if isinstance(value, bool) else _WORDS.get(str(value).lower())
        if truth is None:
            raise BadInput(f"{runbook.name}: {name}={value!r} is neither true nor false")
        return truth
    try:
        return _CASTS[spec.type](value)
    except ValueError as error:
        raise BadInput(f"{runbook.name}: {name}={value!r} is not of type {spec.type}") from error
