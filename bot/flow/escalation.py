"""Paging: a due timer reads the incident and decides whom to page next; a page goes out unless somebody has acknowledged meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from bot.domain import effects, paging
from bot.domain.effects import Effect
from bot.domain.escalation import next_paging
from bot.domain.incident import Change, Incident, State, warned
from bot.domain.ports import Clock, Delivery, Room, Store, Tx
from bot.domain.rules import CurrentRules, Rules
from bot.errors import GaveUp
from bot.flow.delivery import Handler, Record, incident_of, payload, recording


class Escalation:
    """Handlers for `escalate`, `page` and `summon`. `paged` is told the policy of every page that has left."""

    def __init__(
        self,
        store: Store,
        room: Room,
        clock: Clock,
        rules: CurrentRules,
        paged: Callable[[str], None] = lambda policy: None,
    ) -> None:
        self._store = store
        self._room = room
        self._clock = clock
        self._rules = rules
        self._paged = paged

    def handlers(self) -> Mapping[str, Handler]:
        return {"escalate": self.escalate, "page": self.page, "summon": self.summon}

    async def escalate(self, delivery: Delivery) -> Record | None:
        """No outside act: the decision is taken inside the transaction that settles the timer."""
        rules, now, asked = self._rules(), self._clock(), payload(delivery)

        def decide(incident: Incident) -> Change:
            track = incident.tracks[asked["track"]] if asked["track"] < len(incident.tracks) else None
            stale = track is None or track.exhausted or track.step != asked["step"] or incident.epoch != asked["epoch"]
            if stale or track is None or incident.state is not State.TRIGGERED:
                return Change(incident)
            return paging.paging_decided(
                incident, asked["track"], next_paging(track, rules.directory, now, incident.severity), now
            )

        return recording(asked["incident_id"], decide)

    async def page(self, delivery: Delivery) -> Record | None:
        """A page that nobody needs any more is not sent: paging stops at the acknowledgement, also for what still waits."""
        incident, asked = await incident_of(self._store, delivery), payload(delivery)
        target: str = asked["target"]
        name, now = self._rules().directory.name_of(target), self._clock()
        if incident.state is not State.TRIGGERED or incident.epoch != asked["epoch"]:
            return recording(incident.id, lambda current: paging.page_skipped(current, name, delivery.again, now))
        track = incident.tracks[asked["track"]]
        level = (asked["step"] - 1) % len(track.policy.levels) + 1
        await self._room.page(incident, target, level, delivery.effect.key, delivery.again)
        self._paged(track.policy.key)
        now = self._clock()
        return recording(incident.id, lambda current: paging.page_sent(current, name, now))

    async def summon(self, delivery: Delivery) -> Record | None:
        """Somebody is asked for by name. Whether an acknowledgement came in between does not matter: they were asked for all the same."""
        incident, asked, directory = (
            await incident_of(self._store, delivery),
            payload(delivery),
            self._rules().directory,
        )
        target = next(iter(directory.resolve(str(asked["target"]), self._clock())), None)
        if target is None:
            raise GaveUp(f"{asked['target']} cannot be paged: nobody is behind that name now")
        await self._room.summon(incident, target, asked["why"], delivery.effect.key, delivery.again)
        name, now = directory.name_of(target), self._clock()
        return recording(incident.id, lambda current: paging.page_sent(current, name, now))


async def page_failed(tx: Tx, effect: Effect, error: str, rules: Rules, now: datetime) -> None:
    """A page that can never be delivered: say so, and go on to the next level at once (P3)."""
    asked = effect.payload
    incident = await tx.incident(asked["incident_id"])
    if incident is None:
        return
    text = f"Could not page {rules.directory.name_of(asked['target'])}: {error}. Going on to the next level"
    change = warned(incident, text, now)
    if incident.state is State.TRIGGERED and incident.epoch == asked["epoch"]:
        change = change.ask(effects.escalate(incident.id, asked["epoch"], asked["track"], asked["step"], now))
    await tx.save(change)
