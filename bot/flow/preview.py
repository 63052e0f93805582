"""What a runbook would do, as the world is now: every step looked at and planned, nothing changed. Called by `tocsin runbook plan`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.domain.expand import expanded
from bot.domain.incident import Incident
from bot.domain.plan import Plan
from bot.domain.policy import Touch
from bot.domain.ports import Clock
from bot.domain.rules import CurrentRules
from bot.domain.run import Run
from bot.domain.step import StepRun
from bot.errors import BadInput, GaveUp, TryLater
from bot.flow.seeing import Sight


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One step: its plan, or in words what it does instead. `refused`: why it cannot be planned, or must not be done. `held`: why not now."""

    step_id: str
    title: str
    plan: Plan | None = None
    words: str = ""
    refused: str = ""
    held: str = ""


class Preview:
    """`touches`: what runs have changed lately, for the limits that hold for now only."""

    def __init__(self, sight: Sight, clock: Clock, rules: CurrentRules) -> None:
        self._sight = sight
        self._clock = clock
        self._rules = rules

    async def __call__(self, run: Run, incident: Incident, touches: Sequence[Touch] = ()) -> list[Foreseen]:
        """Steps that need what earlier ones give (an answer, an output) cannot be planned before those are done, and say so."""
        foreseen: list[Foreseen] = []
        for step in run.steps:
            for one in self._each(run, step, incident):
                foreseen.append(one if isinstance(one, Foreseen) else await self._step(run, one, incident, touches))
        return foreseen

    def _each(self, run: Run, step: StepRun, incident: Incident) -> Sequence[StepRun | Foreseen]:
        """The step, or one for each item of its list."""
        try:
            if not self._sight.wanted(run, step, incident):
                condition = step.spec.if_ or "the condition of its call"
                return [Foreseen(step.id, step.title, words=f"skipped: `{condition}` does not hold")]
            if not step.spec.is_list:
                return [step]
            return expanded(step, self._sight.items(run, step, incident), self._clock())
        except BadInput as error:
            return [Foreseen(step.id, step.title, refused=str(error))]

    async def _step(self, run: Run, step: StepRun, incident: Incident, touches: Sequence[Touch]) -> Foreseen:
        if step.over:
            return Foreseen(step.id, step.title, words=step.message)
        try:
            return await self._foreseen(run, step, incident, touches)
        except (BadInput, GaveUp, TryLater) as error:
            return Foreseen(step.id, step.title, refused=str(error))

    async def _foreseen(self, run: Run, step: StepRun, incident: Incident, touches: Sequence[Touch]) -> Foreseen:
        policy, now = self._rules().actions, self._clock()
        doing, params = self._sight.doing(step), self._sight.rendered(run, step, incident)
        if doing.way == "asks":
            return Foreseen(step.id, step.title, words=f"asks: {doing.question(params).words}")
        if doing.way == "waits":
            return Foreseen(step.id, step.title, words=f"waits for {doing.until(params, now) - now}")
        if doing.way == "tells":
            refused = policy.refusal(doing.target(params)) or ""
            return Foreseen(step.id, step.title, words=doing.shown(params), refused=refused)
        seen = await self._sight.see(run, step, incident)
        target = doing.target(params)
        held = policy.hold(target, run.id, touches, now) if seen.plan else None
        refused = policy.refusal(target, seen.plan) or ""
        return Foreseen(step.id, step.title, plan=seen.plan, refused=refused, held=held or "")
