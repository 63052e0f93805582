"""The outside world of one test: what the actions see, what becomes of it when they act, and what goes wrong. Seen by the engine through `Sight`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from bot.domain.incident import Incident
from bot.domain.plan import Plan, Target, Undo
from bot.domain.ports import Action, Doing, Expressions, Templates
from bot.domain.rules import CurrentRules
from bot.domain.run import Run
from bot.domain.step import StepRun
from bot.domain.trial import Failure, Given, Trial
from bot.errors import BadInput, Drifted, GaveUp, TryLater
from bot.flow.seeing import Sight
from bot.rehearsal.coverage import Coverage

AGAIN, MUCH_LATER = 1.0, 60.0  # seconds until something that failed for now is tried again
LATE = 2  # how often something that is late fails before


def of_step(values: Mapping[str, Any], step_id: str) -> Any:
    """What a test says about a step: under its own id (`restart[2]`), or for all items of its list (`restart`). None when nothing."""
    return values.get(step_id, values.get(step_id.partition("[")[0]))


@dataclass(slots=True)
class World:
    """`states` of what writes and can be observed are shared by all steps with the same action and target; the others are a step's own.

    `planned`, `acted`, `failed` (how often) and `asked` name the steps that did so. `problems` make the test fail whatever it expects.
    `left`: the first run is over, and what it left is seen now.
    """

    trial: Trial
    states: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)
    planned: set[str] = field(default_factory=set)
    acted: set[str] = field(default_factory=set)
    failed: dict[str, int] = field(default_factory=dict)
    problems: dict[str, None] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    left: bool = False

    def seen(self, step_id: str, action: Action, params: Any) -> dict[str, Any]:
        """The state that this look gives."""
        key, given = _key(step_id, action, params), self._given(step_id)
        if key in self.states and (not given or self.left or step_id in self.acted):
            return self.states[key]
        number = self.looks.get(step_id, 0)
        if self.failure(step_id) != "drifts":
            self.looks[step_id] = number + 1
        try:
            self.states[key] = action.facts(given[min(number, len(given) - 1)] if given else {}, params)
        except BadInput as error:
            self.problems[f"facts of step {step_id}: {str(error).removeprefix('facts: ')}"] = None
            raise
        return self.states[key]

    def change(self, step_id: str, action: Action, plan: Plan, params: Any) -> None:
        """The plan takes effect."""
        key = _key(step_id, action, params)
        self.states[key] = action.after(self.states[key], plan, params)
        self.acted.add(step_id)

    def drift(self, step_id: str) -> None:
        """The world becomes what the test gives next, if it gives more."""
        self.looks[step_id] = self.looks.get(step_id, 0) + 1

    def failure(self, step_id: str) -> Failure | None:
        found: Failure | None = None if self.left else of_step(self.trial.fail, step_id)
        return found

    def count(self, step_id: str) -> int:
        """How often the failure of this step has happened, this time included."""
        self.failed[step_id] = self.failed.get(step_id, 0) + 1
        return self.failed[step_id]

    def result(self, step_id: str) -> dict[str, Any]:
        return dict(of_step(self.trial.results, step_id) or {})

    def _given(self, step_id: str) -> tuple[Given, ...]:
        given = of_step(self.trial.facts, step_id)
        if given is None:
            return ()
        return tuple(given) if isinstance(given, list | tuple) else (given,)


def _key(step_id: str, action: Action, params: Any) -> tuple[str, str]:
    target = action.target(params)
    return (target.action, target.locked if action.writes and action.observable else step_id)


class Pretended:
    """An action as one step meets it in a test: it decides as the real one does, but looks at and changes the pretended world."""

    way: Literal["acts"] = "acts"

    def __init__(self, action: Action, step_id: str, world: World) -> None:
        self.Params: type[BaseModel] = action.Params
        self.writes = action.writes
        self.observable = action.observable
        self.risk = action.risk
        self._action = action
        self._step = step_id
        self._world = world

    def repeatable(self, params: Any) -> bool:
        return self._action.repeatable(params)

    def target(self, params: Any) -> Target:
        return self._action.target(params)

    async def look(self, params: Any) -> dict[str, Any]:
        state = self._world.seen(self._step, self._action, params)
        if self._action.plan(state, params):
            self._world.planned.add(self._step)
        elif self._step not in self._world.planned and not (self.writes and self.observable):
            self._fail_looking()
        return state

    def plan(self, state: Mapping[str, Any], params: Any) -> Plan:
        return self._action.plan(state, params)

    async def do(self, plan: Plan, params: Any, key: str) -> dict[str, Any]:
        """`lost`, `drifts` and `late` go wrong once or twice, the others each time."""
        failure = self._world.failure(self._step)
        times = self._world.count(self._step) if failure else 0
        if failure in ("refused", "gone"):
            self._refuse(failure)
        if failure == "unsure":
            raise TryLater("no answer came (the test says so)", MUCH_LATER, uncertain=True)
        if failure == "late" and times <= LATE:
            raise TryLater("it is not to be had now (the test says so)", AGAIN)
        if failure == "drifts" and times == 1:
            self._world.drift(self._step)
            raise Drifted("the world has changed since the plan (the test says so)")
        if failure != "ineffective":
            self._world.change(self._step, self._action, plan, params)
        if failure == "lost" and times == 1:
            raise TryLater("the answer was lost (the test says so)", AGAIN, uncertain=True)
        return self._world.result(self._step)

    def verify(self, state: Mapping[str, Any], params: Any) -> str | None:
        return self._action.verify(state, params)

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Any) -> Undo | None:
        return self._action.undo(plan, result, params)

    def facts(self, given: Mapping[str, Any], params: Any) -> dict[str, Any]:
        return self._action.facts(given, params)

    def after(self, state: Mapping[str, Any], plan: Plan, params: Any) -> dict[str, Any]:
        return self._action.after(state, plan, params)

    def _fail_looking(self) -> None:
        """A step that changes nothing can fail only while it looks."""
        failure = self._world.failure(self._step)
        if failure not in ("refused", "gone", "late"):
            return
        times = self._world.count(self._step)
        if failure == "late" and times <= LATE:
            raise TryLater("it is not to be had now (the test says so)", AGAIN)
        self._refuse(failure)

    def _refuse(self, failure: Failure) -> None:
        if failure == "refused":
            raise BadInput("it is refused (the test says so)")
        if failure == "gone":
            raise GaveUp("it is not there any more (the test says so)")


class RehearsalSight(Sight):
    """Sight of the pretended world; it notes which steps and branches were reached."""

    def __init__(
        self,
        actions: Mapping[str, Doing],
        templates: Templates,
        expressions: Expressions,
        rules: CurrentRules,
        world: World,
        coverage: Coverage,
    ) -> None:
        super().__init__(actions, templates, expressions, rules)
        self._world = world
        self._coverage = coverage

    def doing(self, step: StepRun) -> Doing:
        real = super().doing(step)
        return Pretended(real, step.id, self._world) if real.way == "acts" else real

    def wanted(self, run: Run, step: StepRun, incident: Incident) -> bool:
        holds = super().wanted(run, step, incident)
        self._coverage.asked(run, step, holds, lambda condition, scope: self._holds(condition, run, incident, scope))
        return holds

    def items(self, run: Run, step: StepRun, incident: Incident) -> Any:
        items = super().items(run, step, incident)
        self._coverage.listed(run, step, items)
        return items
