"""What nobody asks for but time: resolved incidents are closed, old delivered rows are pruned, dead rows are reported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bot.domain import effects, lifecycle
from bot.domain.effects import Effect
from bot.domain.incident import Incident, State, entered
from bot.domain.people import TOCSIN
from bot.domain.ports import Clock, Store, Tx
from bot.domain.rules import CurrentRules
from bot.flow.digest import Digests
from bot.flow.ending import given_up
from bot.flow.falling_back import bundle_failed, failed, page_failed
from bot.flow.intake import Intake
from bot.flow.roster import Rosters

KEEP = timedelta(days=7)
AT_ONCE = 100  # incidents that are closed in one transaction
MOST_RESOLVED = 2000
MOST_SOURCES = 10_000  # of an incident


class Housekeeping:
    """`tidy` is called every minute; `row_died` by the worker, in the transaction that settles a dead row."""

    def __init__(
        self, store: Store, clock: Clock, rules: CurrentRules, digests: Digests, intake: Intake, rosters: Rosters
    ) -> None:
        self._rosters = rosters
        self._intake = intake
        self._digests = digests
        self._store = store
        self._clock = clock
        self._rules = rules

    async def tidy(self) -> None:
        now = self._clock()
        await self._intake.catch_up()  # first: it is what a page may wait for
        old = await self._store.read(lambda tx: _ready_to_close(tx, now))
        if old:
            await self._store.write(lambda tx: _close(tx, old, now))
        while await self._store.prune(now - KEEP) > 0:
            pass
        while await self._store.prune_log(now - self._rules().keep_log) > 0:
            pass
        await self._digests.ask()

    async def row_died(self, tx: Tx, effect: Effect, error: str, now: datetime) -> None:
        """A failed page goes on to the next method or person; everything else that died is said in the incident and in the fallback channel."""
        if effect.kind == "alarm" or await self._replaced(tx, effect, error, now):
            return
        own = effect.kind == "notify" and effect.payload["notice"]["purpose"] == "alarm"
        if effect.kind == "advance_run":
            await given_up(tx, effect.payload["run_id"], str(effect.payload.get("step", "")), error, now)
        incident = await _incident_of(tx, effect)
        where = f" for {incident.ref}" if incident else ""
        failed = f"Tocsin could not do this{where}: {effect.kind.replace('_', ' ')}"
        text = f"{failed}: {error}"
        private = incident is not None and incident.private
        loud = f"{failed}. Why stands in its timeline." if private else text
        alarm = effects.alarm(f"dead:{effect.key}", loud, now, incident.id if incident else None, wide=not own)
        await tx.ask([alarm])
        if incident is not None:
            await tx.save(entered(incident, "warning", text, now))

    async def _replaced(self, tx: Tx, effect: Effect, error: str, now: datetime) -> bool:
        """Whether other pages go out instead of this one."""
        directory = await self._rosters.directory(tx, self._rules(), now)
        if effect.kind == "bundle":
            await bundle_failed(tx, effect, error, directory, now)
            return True
        if effect.kind == "page" or (effect.kind == "summon" and "medium" in effect.payload):
            return await page_failed(tx, effect, error, directory, now)
        known = await tx.pages([effect.key]) if effect.kind == "notify" else {}
        await tx.save_pages([failed(page, error, now) for page in known.values()])
        return False


async def _incident_of(tx: Tx, effect: Effect) -> Incident | None:
    """What is about a run is about its incident."""
    number = effect.payload.get("incident_id")
    if number is None and isinstance(run_id := effect.payload.get("run_id"), int):
        run = await tx.run(run_id)
        number = run.incident_id if run else None
    return await tx.incident(number) if isinstance(number, int) else None


async def _ready_to_close(tx: Tx, now: datetime) -> list[int]:
    """Those that may be reopened for days stand before others, and must not keep them open."""
    resolved = await tx.resolved_before(now - timedelta(seconds=1), MOST_RESOLVED)
    return [one.id for one in resolved if not one.reopens(now)][:AT_ONCE]


async def _close(tx: Tx, numbers: Sequence[int], now: datetime) -> None:
    await tx.lock("intake")  # before any incident is locked, as intake does
    for number in numbers:
        current = await tx.incident(number)
        if current is not None and current.state is State.RESOLVED and not current.reopens(now):
            await tx.save(lifecycle.closed(current, TOCSIN, now))
            if current.firing:
                await _let_go(tx, number, now)


async def _let_go(tx: Tx, number: int, now: datetime) -> None:
    """A person has said that it is over, and its alerts have not been heard of since: what they hold is looked at again (P3)."""
    sources = [one for one in await tx.alerts_of(number, MOST_SOURCES) if one.alert.firing and one.inhibits]
    if not sources:
        return
    await tx.save_alerts([replace(one, inhibits=()) for one in sources], ())
    await tx.stand_under({one.alert.key: (one.alert.summary, ()) for one in sources})
    if await tx.look_again({key for one in sources for key in one.inhibits}, now):
        await tx.ask([effects.recheck(now)])
