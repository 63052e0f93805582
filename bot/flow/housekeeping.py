"""What nobody asks for but time: resolved incidents are closed, old delivered rows are pruned, dead rows are reported."""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.domain import effects, lifecycle
from bot.domain.effects import Effect
from bot.domain.incident import Incident, entered
from bot.domain.people import TOCSIN
from bot.domain.ports import Clock, Store, Tx
from bot.domain.rules import CurrentRules
from bot.flow.digest import Digests
from bot.flow.ending import given_up
from bot.flow.escalation import page_failed
from bot.flow.intake import Intake

KEEP = timedelta(days=7)


class Housekeeping:
    """`tidy` is called every minute; `row_died` by the worker, in the transaction that settles a dead row."""

    def __init__(self, store: Store, clock: Clock, rules: CurrentRules, digests: Digests, intake: Intake) -> None:
        self._intake = intake
        self._digests = digests
        self._store = store
        self._clock = clock
        self._rules = rules

    async def tidy(self) -> None:
        now = self._clock()
        await self._store.write(lambda tx: _close_old(tx, now))
        while await self._store.prune(now - KEEP) > 0:
            pass
        while await self._store.prune_log(now - self._rules().keep_log) > 0:
            pass
        await self._digests.ask()
        await self._intake.catch_up()

    async def row_died(self, tx: Tx, effect: Effect, error: str, now: datetime) -> None:
        """A failed page goes on to the next person; everything else that died is said in the incident and in the fallback channel."""
        if effect.kind == "page":
            await page_failed(tx, effect, error, self._rules(), now)
            return
        if effect.kind == "alarm":
            return
        if effect.kind == "advance_run":
            await given_up(tx, effect.payload["run_id"], str(effect.payload.get("step", "")), error, now)
        incident = await _incident_of(tx, effect)
        where = f" for {incident.ref}" if incident else ""
        failed = f"Tocsin could not do this{where}: {effect.kind.replace('_', ' ')}"
        text = f"{failed}: {error}"
        private = incident is not None and incident.private
        loud = f"{failed}. Why stands in its timeline." if private else text
        await tx.ask([effects.alarm(f"dead:{effect.key}", loud, now, incident.id if incident else None)])
        if incident is not None:
            await tx.save(entered(incident, "warning", text, now))


async def _incident_of(tx: Tx, effect: Effect) -> Incident | None:
    """What is about a run is about its incident."""
    number = effect.payload.get("incident_id")
    if number is None and isinstance(run_id := effect.payload.get("run_id"), int):
        run = await tx.run(run_id)
        number = run.incident_id if run else None
    return await tx.incident(number) if isinstance(number, int) else None


async def _close_old(tx: Tx, now: datetime) -> None:
    for incident in await tx.resolved_before(now - timedelta(seconds=1)):
        if incident.resolved_at is not None and not incident.reopens(now):
            current = await tx.incident(incident.id)
            if current is not None:
                await tx.save(lifecycle.closed(current, TOCSIN, now))
