"""Runs recorded alerts through the real intake and the real escalation over a store in memory, with a clock that jumps. Called by `tocsin replay`.

Nothing leaves: pages are counted, what only shows is left out, runbooks are not run, and people acknowledge as docs/replay.md says.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Any, cast

from bot.domain.alert import Alert
from bot.domain.contact import SLACK
from bot.domain.effects import Effect
from bot.domain.incident import Incident
from bot.domain.links import Links
from bot.domain.notice import Notice, Receipt
from bot.domain.people import Actor
from bot.domain.ports import Delivery, Room, Tx
from bot.domain.redaction import Redactor
from bot.domain.replayed import Figures, Night, Replayed
from bot.domain.rules import Rules
from bot.domain.signing import Signer
from bot.domain.silence import Silence
from bot.flow.delivery import Handler, Record
from bot.flow.escalation import Escalation
from bot.flow.incidents import Incidents
from bot.flow.intake import Intake
from bot.flow.judging import SILENCES
from bot.flow.pages import Pages
from bot.flow.roster import Rosters
from bot.flow.sending import Sending
from bot.flow.worker import Worker
from bot.rehearsal.replay_store import ReplayStore

GOES_ON = timedelta(hours=24)  # after the last delivery
AFTER = timedelta(minutes=5)
SOMEBODY = Actor(id="replay", name="Somebody")
Arrival = tuple[datetime, Sequence[Alert]]
"""When, and all that came in then."""


@dataclass(frozen=True, slots=True)
class Acknowledging:
    """When people acknowledge: `after` the first page (None: never), unless it was `recorded` when they did.

    `belonged`: per alert key when it began to belong to which incident, oldest first; `at`: per incident the times at which it was acknowledged.
    """

    after: timedelta | None = AFTER
    belonged: Mapping[str, Sequence[tuple[datetime, int]]] = field(default_factory=dict)
    at: Mapping[int, Sequence[datetime]] = field(default_factory=dict)

    def of(self, alert_key: str, paged_at: datetime) -> datetime | None:
        """When an incident that this alert began is acknowledged, which pages first at that time."""
        mine = self.belonged.get(alert_key, ())
        place = bisect_right(mine, paged_at, key=lambda one: one[0])
        times = self.at.get(mine[place - 1][1], ()) if place else ()
        later = bisect_left(times, paged_at)
        if later < len(times):
            return times[later]
        return None if self.after is None else paged_at + self.after


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which a replay runs. `silences`: those that were in force then."""

    night: Night = field(default_factory=Night)
    acknowledging: Acknowledging = field(default_factory=Acknowledging)
    silences: Sequence[Silence] = ()


class Replay:
    """One configuration's replay; `run` it once."""

    def __init__(self, rules: Rules, terms: Terms) -> None:
        self._now = datetime.min.replace(tzinfo=UTC)
        self._rules = rules
        self._terms = terms
        self._figures = Figures(terms.night)
        self._store = ReplayStore(self._figures.line)
        self._acknowledged: list[tuple[datetime, int, int]] = []  # when, incident, epoch
        self._paged: set[tuple[int, int]] = set()
        self._intake = Intake(self._store, self._clock, self._current)
        self._incidents = Incidents(self._store, self._clock, self._current, Redactor())
        room = cast(Room, self)  # of a room, paging is all that is wanted here
        media = {name: _Counted(self, kind) for name, kind in rules.directory.media.items() if name != SLACK}
        sending, rosters = Sending(room, media, _Plain(), Links("", Signer(""))), Rosters()
        handlers: dict[str, Handler] = {
            **self._intake.handlers(),
            **Escalation(self._store, self._clock, self._current, rosters).handlers(),
            "page": Pages(self._store, sending, self._clock, self._current, rosters).page,
            "alarm": self._alarm,
        }
        self._worker = Worker(self._store, handlers, self._clock, "replay", _failed)

    async def run(self, arrivals: AsyncIterable[Arrival]) -> Replayed:
        """What comes of these alerts. They come in order of time; one that does not counts as late."""
        await self._silenced()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._intake.run())
            try:
                async for at, alerts in arrivals:
                    await self._until(at)
                    self._now = max(self._now, at)
                    await self._intake.accept(alerts)
                if self._figures.deliveries:
                    await self._until(self._now + GOES_ON)
            finally:
                self._intake.stop()
        return self._figures.result(self._store.tx.every_incident)

    async def page(self, incident: Incident, target: str, level: int, key: str, again: bool, address: str = "") -> str:
        self.paged(incident.id, target)
        return key

    def paged(self, number: int, target: str) -> None:
        """Counted; and the first page of a beginning is what somebody answers."""
        incident = self._store.tx.every_incident[number]
        self._figures.page(incident, self._rules.directory.name_of(target), self._now)
        if (incident.id, incident.epoch) not in self._paged:
            self._paged.add((incident.id, incident.epoch))
            _, alert_key = self._figures.began[incident.id]
            at = self._terms.acknowledging.of(alert_key, self._now)
            if at is not None:
                heappush(self._acknowledged, (at, incident.id, incident.epoch))

    async def _until(self, at: datetime) -> None:
        """Everything that comes due by then, in order. Who acknowledges in the moment in which the next level is due is in time."""
        while True:
            due = await self._store.next_due(self._now)
            answer = self._acknowledged[0][0] if self._acknowledged else None
            coming = min((one for one in (due, answer) if one is not None), default=None)
            if coming is None or coming > at:
                return
            self._now = max(self._now, coming)
            if answer is not None and answer <= coming:
                await self._acknowledge()
            else:
                await self._worker.drain()

    async def _acknowledge(self) -> None:
        _, number, epoch = heappop(self._acknowledged)
        incident = self._store.tx.every_incident[number]
        if incident.epoch == epoch:
            await self._incidents.acknowledge(number, SOMEBODY)

    async def _alarm(self, delivery: Delivery) -> Record | None:
        self._figures.unanswered += delivery.effect.key.startswith("alarm:exhausted:")
        return None

    async def _silenced(self) -> None:
        async def work(tx: Tx) -> None:
            await tx.next_id(SILENCES)
            for silence in self._terms.silences:
                await tx.save_silence(silence)

        await self._store.write(work)

    def _clock(self) -> datetime:
        return self._now

    def _current(self) -> Rules:
        return self._rules


@dataclass
class _Counted:
    """A medium by which nothing leaves."""

    replay: Replay
    kind: str
    acknowledged: bool = False

    async def send(self, notice: Notice, address: str, again: bool) -> Receipt:
        if notice.incident_id is not None:
            self.replay.paged(notice.incident_id, notice.facts["target"])
        return Receipt()


class _Plain:
    """What a message would say does not matter here."""

    def message(self, template: str, facts: Mapping[str, Any]) -> str:
        return template


async def _failed(tx: Tx, effect: Effect, error: str, now: datetime) -> None:
    raise RuntimeError(f"{effect.key}: {error}")
