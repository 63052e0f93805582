"""One test on its stage: the real flow over a store in memory, a clock that jumps to what is due next, and people who click as the test says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import cast

from bot.domain import effects
from bot.domain.incident import Change, Incident
from bot.domain.ports import Delivery, Doing, Expressions, Redact, Room, Store, Templates, Tx
from bot.domain.rules import Rules
from bot.domain.run import Run
from bot.domain.runbook import Runbook
from bot.domain.trial import Trial
from bot.flow.advance import Advance
from bot.flow.decisions import Decisions
from bot.flow.delivery import Handler, Record
from bot.flow.runbooks import Runbooks
from bot.flow.worker import Worker
from bot.rehearsal.clicking import Clicking
from bot.rehearsal.company import actor_of, starter_of
from bot.rehearsal.coverage import Coverage
from bot.rehearsal.world import RehearsalSight, World
from bot.store import open_store

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
OPENED_BEFORE = timedelta(minutes=5)  # the incident, before the run
LONGEST = timedelta(days=14)
MOST_TURNS = 5_000
UNSEEN = (
    "open_channel", "invite", "card", "topic", "escalate", "page", "fall_back", "bundle", "notify", "stand_down", "still_at_it", "gather",
    "show_context", "show_run", "share_output", "review", "share_review",
)  # fmt: skip
SAID = ("say", "alarm", "post", "summon")


@dataclass(frozen=True, slots=True)
class Parts:
    """What all tests share: nothing in it keeps anything."""

    actions: Mapping[str, Doing]
    templates: Templates
    expressions: Expressions
    redact: Redact


class Stage:
    """`play` runs the runbook to its end, with what follows from it; `again` does so once more in the world that was left."""

    def __init__(
        self, parts: Parts, rules: Rules, runbook: Runbook, trial: Trial, store: Store, coverage: Coverage
    ) -> None:
        self.world = World(trial)
        self.said: list[str] = []
        self.now = START
        self._store = store
        self._rules = rules
        self._runbook = runbook
        self._trial = trial
        self._coverage = coverage
        clock = self._clock
        current = partial(_same, rules)
        self._runbooks = Runbooks(
            store, cast(Room, None), clock, current, parts.redact
        )  # nothing is shown, so no room is entered
        sight = RehearsalSight(parts.actions, parts.templates, parts.expressions, current, self.world, coverage)
        advance = Advance(store, clock, current, sight, parts.redact)
        self._clicking = Clicking(Decisions(store, clock, current, parts.redact), rules, self.world, self.said)
        handlers: dict[str, Handler] = {
            **dict.fromkeys(UNSEEN, _unseen),
            **dict.fromkeys(SAID, self._heard),
            "offer": self._runbooks.offer,
            **advance.handlers(),
        }
        self._worker = Worker(store, handlers, clock, "rehearsal", self._died)

    @classmethod
    async def built(cls, parts: Parts, rules: Rules, runbook: Runbook, trial: Trial, coverage: Coverage) -> Stage:
        return cls(parts, rules, runbook, trial, await open_store("memory://"), coverage)

    async def play(self) -> list[Run]:
        """The run, and what followed from it (an undo). BadInput when it could not be started."""
        labels, now = dict(self._trial.labels), self.now
        by_itself = self._runbook.start == "auto" and not self._trial.params and self._runbook.fits(labels)

        async def begin(tx: Tx) -> None:
            incident = _incident(await tx.next_id("incident"), self._trial, self._runbook, now)
            change = Change(incident)
            await tx.save(change.ask(effects.offer(incident.id, incident.epoch, now)) if by_itself else change)

        await self._store.write(begin)
        if not by_itself:
            await self._start()
        return await self._played(0)

    async def again(self) -> list[Run]:
        """A second run by hand, in the world as the first one left it."""
        before = len(await self._runs())
        self.world.left = True
        self._clicking.forget()
        await self._start()
        return await self._played(before)

    def _clock(self) -> datetime:
        return self.now

    async def timeline(self) -> list[str]:
        return [entry.text for entry in await self._store.read(lambda tx: tx.timeline(1))]

    async def _start(self) -> None:
        given = {name: str(value) for name, value in self._trial.params.items()}
        starter = actor_of(starter_of(self._runbook), self._rules.directory)
        await self._runbooks.start(1, self._runbook.name, given, starter)

    async def _runs(self) -> list[Run]:
        return sorted(await self._store.read(lambda tx: tx.runs_of(1)), key=lambda run: run.id)

    async def _played(self, before: int) -> list[Run]:
        """Deliver what is due, let people click, jump to what is due next, until every run has ended."""
        for _ in range(MOST_TURNS):
            await self._worker.drain()
            runs = (await self._runs())[before:]
            going = [run for run in runs if not run.ended]
            if not going:
                break
            if await self._clicking.clicked(going):
                continue
            due = await self._store.next_due(self.now)
            if due is None or due - START > LONGEST:
                self.world.problems[f"{going[0].ref} does not come to an end (it is {going[0].state})"] = None
                break
            self.now = max(self.now, due)
        for run in runs:
            self._coverage.ended(run)
        return runs

    async def _heard(self, delivery: Delivery) -> Record | None:
        told = delivery.effect.payload
        whom = told.get("target") or (f"#{told['channel']}" if told.get("channel") else "")
        self.said.append(": ".join(str(part) for part in (whom, told.get("text") or told.get("why")) if part))
        return None

    async def _died(self, tx: Tx, effect: effects.Effect, error: str, now: datetime) -> None:
        self.world.problems[f"{effect.kind.replace('_', ' ')}: {error}"] = None


async def _unseen(delivery: Delivery) -> Record | None:
    return None


def _same(rules: Rules) -> Rules:
    return rules


def _incident(number: int, trial: Trial, runbook: Runbook, now: datetime) -> Incident:
    labels = dict(trial.labels)
    return Incident(
        id=number,
        title=labels.get("alertname", runbook.title),
        severity=labels.get("severity", "warning"),
        service=labels.get("service", ""),
        group_key="rehearsal",
        labels=labels,
        opened_at=now - OPENED_BEFORE,
        channel_id="C1",
        channel_name="rehearsal",
    )
