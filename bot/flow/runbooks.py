"""Runbooks as people meet them: offered when they fit, started by hand, shown as one message per run. What people decide is in decisions.py,
what moves a run is in advance.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from bot.domain import paging
from bot.domain.expand import begun
from bot.domain.incident import Incident, warned
from bot.domain.naming import nearest
from bot.domain.parameters import parameters
from bot.domain.people import TOCSIN, Actor
from bot.domain.ports import Clock, Delivery, Redact, Room, Store, Tx
from bot.domain.rules import CurrentRules, Rules
from bot.domain.run import Run
from bot.domain.runbook import Runbook
from bot.errors import BadInput, GaveUp
from bot.flow.delivery import Handler, Record, incident_of, payload
from bot.flow.ending import without_help
from bot.flow.incidents import known
from bot.flow.telling import Told, known_run, saved, up_now

REMEMBERED = timedelta(
    days=7
)  # it is asked for again within minutes: once the context is there, and when that is shown


class Runbooks:
    """What Slack, the API and the command line call, and the handlers for `offer`, `show_run` and `share_output`."""

    def __init__(self, store: Store, room: Room, clock: Clock, rules: CurrentRules, redact: Redact) -> None:
        self._store = store
        self._room = room
        self._clock = clock
        self._rules = rules
        self._redact = redact

    @property
    def all(self) -> Sequence[Runbook]:
        return list(self._rules().runbooks.values())

    def handlers(self) -> Mapping[str, Handler]:
        return {"offer": self.offer, "show_run": self.show_run, "share_output": self.share_output}

    async def available(self, incident_id: int) -> Sequence[Runbook]:
        """All runbooks, those that fit the incident first."""
        incident = await self._store.read(lambda tx: known(tx, incident_id))
        labels = await self.labels(incident)
        return sorted(self.all, key=lambda runbook: (not runbook.fits(labels), runbook.title))

    async def start(self, incident_id: int, name: str, params: Mapping[str, str], actor: Actor) -> Run:
        """Start a run by hand: it looks and plans; nothing is changed before its plan is approved."""
        rules, now = self._rules(), self._clock()
        runbook = _known_runbook(rules, name)
        refused = rules.actions.start_refusal(actor, rules.directory)
        if refused:
            raise BadInput(refused)
        incident = await self._store.read(lambda tx: known(tx, incident_id))
        values = parameters(runbook, params, await self.labels(incident))
        secret = next((name for name, value in values.items() if self._redact(str(value)) != str(value)), None)
        if secret:
            raise BadInput(
                f"{name}: {secret} looks like a secret, and would be seen by everybody in the channel. Nothing was started. "
                f"Secrets stand in tocsin.yaml, by reference; a runbook is told names only."
            )

        async def work(tx: Tx) -> Run:
            current = await known(tx, incident_id)
            if not current.is_open:
                raise BadInput(
                    f"{current.ref} is {current.state}: runbooks are run while an incident is open. `/incident open` begins one."
                )
            same = [run for run in await tx.runs_of(incident_id) if run.runbook.name == name and not run.ended]
            same = [run for run in same if run.undoes is None and run.params == values]
            if same:
                raise BadInput(
                    f"Nothing was started: {same[0].ref} of this runbook is {same[0].state} already. "
                    f"See `/incident run {same[0].ref}`, or `tocsin runbook follow {same[0].ref}`."
                )
            run = begun(await tx.next_id("run"), current, runbook, values, actor, now, rules.runbooks)
            text = f"{actor.name} started {run.ref}: {runbook.title}"
            await saved(tx, current, run, now, Told("run_started", text, actor), up_now(run, now))
            return run

        return await self._store.write(work)

    async def history(self, runbook: str = "", limit: int = 20) -> Sequence[Run]:
        """The newest runs first, of one runbook or of all."""
        if runbook:
            _known_runbook(self._rules(), runbook)
        return await self._store.read(lambda tx: tx.recent_runs(runbook=runbook, limit=limit))

    async def run(self, run_id: int) -> Run:
        return await self._store.read(lambda tx: known_run(tx, run_id))

    async def offer(self, delivery: Delivery) -> Record | None:
        """Start a run (look and plan) of each runbook that fits, once each time the incident opens, unless one is under way."""
        incident = await incident_of(self._store, delivery)
        labels = await self.labels(incident)
        fitting = [one for one in self.all if one.fits(labels) and not (incident.test and one.start == "auto")]
        rules, now = self._rules(), self._clock()
        opening = f"offered:{incident.id}:{payload(delivery)['epoch']}"

        async def record(tx: Tx) -> None:
            current = await known(tx, incident.id)
            if not current.is_open or not await tx.once(opening, now + REMEMBERED, now):
                return
            for runbook in fitting:
                current = await _offered(tx, current, runbook, labels, rules, now)

        return record if fitting else None

    async def show_run(self, delivery: Delivery) -> Record | None:
        incident, run = await self._shown(delivery)
        ts = await self._room.show_run(incident, run, delivery.again)
        if ts == run.message_ts:
            return None

        async def record(tx: Tx) -> None:
            current = await tx.run(run.id)
            if current is not None:
                await tx.save_run(current.model_copy(update={"message_ts": ts}))

        return record

    async def share_output(self, delivery: Delivery) -> Record | None:
        """What a step has put out, as a file beside the run's message."""
        incident, run = await self._shown(delivery)
        step = run.find(str(payload(delivery)["step"]))
        if step is not None:
            await self._room.share_output(incident, run, step, step.output, delivery.effect.key, delivery.again)
        return None

    async def _shown(self, delivery: Delivery) -> tuple[Incident, Run]:
        incident = await incident_of(self._store, delivery)
        run = await self._store.read(lambda tx: tx.run(payload(delivery)["run_id"]))
        if run is None:
            raise GaveUp(f"run {payload(delivery)['run_id']} does not exist")
        return incident, run

    async def labels(self, incident: Incident) -> dict[str, str]:
        """What runbooks match on: the labels that all alerts of the incident share, and those it is grouped by."""
        alerts = [state.alert.labels for state in await self._store.read(lambda tx: tx.alerts_of(incident.id))]
        shared = {k: v for k, v in alerts[0].items() if all(one.get(k) == v for one in alerts)} if alerts else {}
        return {**shared, **incident.labels}


def _known_runbook(rules: Rules, name: str) -> Runbook:
    runbook = rules.runbooks.get(name)
    if runbook is None:
        there = ", ".join(sorted(rules.runbooks)) or "none"
        raise BadInput(f"There is no runbook called {name!r}{nearest(name, rules.runbooks) or '.'} There are: {there}.")
    return runbook


async def _offered(
    tx: Tx, incident: Incident, runbook: Runbook, labels: Mapping[str, str], rules: Rules, now: datetime
) -> Incident:
    """A run of a runbook that fits, unless it has not helped before: then a person is paged instead."""
    earlier = await tx.runs_of(incident.id)
    if any(run.runbook.name == runbook.name and (not run.ended or run.epoch == incident.epoch) for run in earlier):
        return incident
    limit = rules.actions.runbooks.give_up
    lately = await tx.recent_runs(since=now - limit.within, runbook=runbook.name, limit=200)
    helpless = without_help(lately, runbook.name, incident.group_key)
    if len(helpless) >= limit.runs:
        return await _given_up(tx, incident, runbook, helpless, rules, now)
    try:
        values = parameters(runbook, {}, labels)
        run = begun(await tx.next_id("run"), incident, runbook, values, TOCSIN, now, rules.runbooks)
    except BadInput as error:
        change = warned(incident, f"Runbook {runbook.title} fits but was not offered: {error}", now)
        await tx.save(change)
        return change.incident
    verb = "begins by itself" if runbook.start == "auto" else "is offered"
    told = Told("run_started", f"{run.ref} {verb}: {runbook.title}")
    return await saved(tx, incident, run, now, told, up_now(run, now))


async def _given_up(
    tx: Tx, incident: Incident, runbook: Runbook, helpless: Sequence[Run], rules: Rules, now: datetime
) -> Incident:
    runs = ", ".join(run.ref for run in reversed(helpless))
    text = (
        f"{runbook.title} is not offered any more: {len(helpless)} runs of it ({runs}) changed something and the problem came back. "
        f"A person has to look. ({rules.actions.where}: runbooks.give_up)"
    )
    change = warned(incident, text, now).then(partial(paging.escalated_by_hand, actor=TOCSIN, now=now))
    await tx.save(change)
    return change.incident
