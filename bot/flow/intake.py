"""Alerts in: entry/webhooks calls `accept`, which answers only after the commit that holds the alerts (P1).

Group commit: deliveries that arrive while the previous transaction is committing are triaged and committed together.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice

import structlog

from bot.domain import effects, lifecycle
from bot.domain.alert import Alert, AlertState, OnceOnly
from bot.domain.incident import Change, Incident, State
from bot.domain.incoming import Acknowledged
from bot.domain.passing import Passing, Verdict
from bot.domain.people import Actor
from bot.domain.ports import Clock, Delivery, Store, Tx
from bot.domain.rules import CurrentRules, Rules
from bot.domain.signal import Signal
from bot.errors import Overloaded, Replayed, TryLater
from bot.flow.delivery import Handler, Record
from bot.flow.judging import Judging

LARGEST_COMMIT = 500  # larger ones cost an alert no less, and what a page has to record would wait for them
MOST_AT_A_LOOK = 500
PUT_OFF = timedelta(minutes=5)
LATE = timedelta(minutes=1)
log = structlog.get_logger("intake")


@dataclass(slots=True)
class _Waiting:
    """One delivery on its way into a commit, and who waits for its verdicts."""

    alerts: Sequence[Alert]
    once: OnceOnly | None
    answer: asyncio.Future[list[Verdict]]


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
        self._judging = Judging()

    def handlers(self) -> Mapping[str, Handler]:
        return {"recheck": self.recheck}

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
            answers = await self._store.write(lambda tx: self._taken(tx, batch, self._rules(), self._clock()))
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

    async def _taken(
        self, tx: Tx, batch: Sequence[_Waiting], rules: Rules, now: datetime
    ) -> list[list[Verdict] | Exception]:
        """The answer to each delivery of the batch. One that was taken before is left out and says so."""
        again: list[bool] = [
            one.once is not None and not await tx.once(one.once.key, one.once.until, now) for one in batch
        ]
        fresh = [waiting for waiting, known in zip(batch, again, strict=True) if not known]
        verdicts = iter(await self._judging.take(tx, [alert for one in fresh for alert in one.alerts], rules, now))
        return [
            Replayed("this signed request was received before")
            if known
            else list(islice(verdicts, len(waiting.alerts)))
            for waiting, known in zip(batch, again, strict=True)
        ]

    async def recheck(self, delivery: Delivery) -> Record | None:
        """Look again at what was held until now, and at what is calm. Looking twice is the same as looking once."""
        while await self._look_again(self._clock()) == MOST_AT_A_LOOK:
            pass
        return None

    async def _look_again(self, now: datetime) -> int:
        """At most so many in one transaction; if that fails, one each, so that an alert which cannot be judged holds up nobody else."""
        try:
            return await self._store.write(lambda tx: self._judging.look_again(tx, self._rules(), now, MOST_AT_A_LOOK))
        except TryLater:
            raise
        except Exception:
            log.exception("held alerts could not be looked at together")
        due = await self._store.read(lambda tx: tx.due_again(now, MOST_AT_A_LOOK))
        for state in due:
            key = state.alert.key
            try:
                await self._store.write(partial(self._judging.look_again_at, key=key, rules=self._rules(), now=now))
            except TryLater:
                raise
            except Exception:
                log.exception("a held alert cannot be judged; it is looked at again later", alert=key)
                await self._store.write(partial(_put_off, key=key, now=now))
        return len(due)

    async def look_again_at_everything(self) -> None:
        """The configuration may have changed: whatever is held is judged anew, and sources stand where the rules of now want them."""
        after = ""
        while page := await self._store.write(partial(self._stand_anew, after=after)):
            after = page
        await self._store.write(self._release)

    async def _stand_anew(self, tx: Tx, after: str) -> str:
        await tx.lock("intake")
        signal = self._rules().signal
        moved = []
        states = await tx.firing_alerts(after, MOST_AT_A_LOOK)
        theirs = await tx.incidents({one.incident_id for one in states if one.incident_id is not None})
        for state in states:
            try:
                keys = _stands_under(state, theirs.get(state.incident_id or 0), signal)
            except Exception:  # it stays where it stands, and holds up nobody else
                log.exception("an alert cannot be judged by the new rules", alert=state.alert.key)
                continue
            if keys != state.inhibits:
                moved.append(replace(state, inhibits=keys))
        if moved:
            await tx.save_alerts(moved, ())
            await tx.stand_under({one.alert.key: (signal.name_of(one.alert), one.inhibits) for one in moved})
        return states[-1].alert.key if states else ""

    async def _release(self, tx: Tx) -> None:
        now = self._clock()
        if await tx.look_again(None, now):
            await tx.ask([effects.recheck(now)])

    async def catch_up(self) -> None:
        """Alerts that should have been looked at a while ago: their timer was lost, so it is asked for anew (P3)."""
        now = self._clock()
        if await self._store.read(lambda tx: tx.due_again(now - LATE, 1)):
            log.warning("held alerts are overdue; looking at them now")
            await self._store.write(lambda tx: tx.ask([effects.recheck(now)]))

    async def acknowledged(self, source: str, acknowledgements: Sequence[Acknowledged]) -> int:
        """Somebody acknowledged at the sender: so they did here. How many incidents that changed."""
        by = {f"{source}/{one.fingerprint}": one.by for one in acknowledgements}

        async def work(tx: Tx) -> int:
            now, changes = self._clock(), []
            states = await tx.alert_states(by)
            incidents = await tx.incidents({one.incident_id for one in states.values() if one.incident_id is not None})
            done: set[int] = set()
            for key, state in states.items():
                incident = incidents.get(state.incident_id or 0)
                if incident is None or incident.id in done:
                    continue
                done.add(incident.id)
                name = f"{by[key]} ({source})" if by[key] else source
                change = _acknowledged(incident, state, Actor(id=f"{source}:{by[key]}", name=name), now)
                if change.entries:
                    changes.append(change)
            await tx.save(*changes)
            return len(changes)

        return await self._store.write(work)


def _stands_under(state: AlertState, incident: Incident | None, signal: Signal) -> tuple[str, ...]:
    """The keys under which a firing alert holds others. One whose incident is closed, and one that is dropped now, holds nothing."""
    if incident.state is State.CLOSED if incident else signal.relabelling(state.alert).alert is None:
        return ()
    return signal.inhibition.holds(state.alert, Passing(state.alert, signal, again=True).severity)


def _acknowledged(incident: Incident, state: AlertState, actor: Actor, now: datetime) -> Change:
    """One problem of a storm is not the storm: whoever has that one does not have all the others."""
    if incident.storm_at is None or incident.state is not State.TRIGGERED or incident.firing <= 1:
        return lifecycle.acknowledged(incident, actor, now)
    text = f"{actor.name} acknowledged {state.alert.summary}, one of {incident.firing} alerts of this storm: paging goes on"
    return lifecycle.noted(incident, text, actor, now)


async def _put_off(tx: Tx, key: str, now: datetime) -> None:
    """What has been heard of it meanwhile stays."""
    await tx.lock("intake")
    state = (await tx.alert_states({key})).get(key)
    if state is None or state.again_at is None or state.again_at > now:
        return
    until = now + PUT_OFF
    held = replace(state.held, again_at=until) if state.held else None
    await tx.save_alerts([replace(state, held=held, calm_at=None if held else until)], ())
    await tx.ask([effects.recheck(until)])
