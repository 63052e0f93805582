"""Paging: a due timer reads the incident and decides whom to page next. The pages themselves go out in flow/pages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from bot.domain import paging
from bot.domain.escalation import Situation, Track, next_paging
from bot.domain.incident import Incident, State
from bot.domain.ports import Clock, Delivery, Store, Tx
from bot.domain.rules import CurrentRules
from bot.flow.delivery import Handler, Record, existing, payload
from bot.flow.roster import Rosters

BEGAN = ("opened", "alert_firing")


class Escalation:
    """The handler for `escalate`."""

    def __init__(self, store: Store, clock: Clock, rules: CurrentRules, rosters: Rosters) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._rosters = rosters

    def handlers(self) -> Mapping[str, Handler]:
        return {"escalate": self.escalate}

    async def escalate(self, delivery: Delivery) -> Record | None:
        """No outside act: the decision is taken inside the transaction that settles the timer."""
        asked = payload(delivery)

        async def record(tx: Tx) -> None:
            rules, now, index = self._rules(), self._clock(), int(asked["track"])
            incident = await existing(tx, asked["incident_id"])
            track = incident.tracks[index] if index < len(incident.tracks) else None
            stale = track is None or track.exhausted or track.step != asked["step"] or incident.epoch != asked["epoch"]
            if stale or track is None or incident.state is not State.TRIGGERED:
                return
            directory = await self._rosters.directory(tx, rules, now)
            found = next_paging(track, directory, now, await _situation(tx, incident, track))
            for _ in range(found.turns):
                await tx.next_id(_turns(track, found.level))
            await tx.save(paging.paging_decided(incident, index, found, now))

        return record


async def _situation(tx: Tx, incident: Incident, track: Track) -> Situation:
    """What the levels of this policy have to know; the round robins of a policy are locked until the commit."""
    levels = dict(enumerate(track.policy.levels, 1))
    turns: dict[int, int] = {}
    in_turn = [number for number, level in levels.items() if level.round_robin]
    if in_turn:
        await tx.lock(f"round_robin:{track.policy.key}")
        turns = {number: await tx.counter(_turns(track, number)) for number in in_turn}
    began: list[tuple[datetime, int]] = []
    if any(level.when.more_than for level in levels.values()):
        entries = [entry for entry in await tx.timeline(incident.id) if entry.kind in BEGAN]
        began = [(one.at, int(one.data.get("count", len(one.data.get("alerts", ()))))) for one in entries]
    return Situation(severity=incident.severity, media=incident.media, began=tuple(began), turns=turns)


def _turns(track: Track, level: int) -> str:
    """The counter of a level's round robin."""
    return f"round_robin:{track.policy.key}:{level}"
