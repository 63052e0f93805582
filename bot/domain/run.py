"""One run of a runbook: pure decisions between the moves of its steps (step.py).

planning -> waiting -> running -> succeeded | failed | refused | expired | unsure | cancelled. What has not ended is waiting for a person with an
expiry, or is paused by one, or has a due `advance_run` effect for each step that is under way: nothing is ever left "running".
How a runbook becomes steps is in expand.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.people import Actor
from bot.domain.runbook import Approval, OnFailure, Runbook, Step
from bot.domain.step import ACTING, NOT_BEGUN, StepRun, StepState, failed, skipped


class RunState(StrEnum):
    PLANNING = "planning"
    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    EXPIRED = "expired"
    UNSURE = "unsure"
    CANCELLED = "cancelled"


ENDED = (
    RunState.SUCCEEDED,
    RunState.FAILED,
    RunState.REFUSED,
    RunState.EXPIRED,
    RunState.UNSURE,
    RunState.CANCELLED,
)


class Scope(BaseModel):
    """The runbook that a step comes from: the run's own (key ""), or one that it calls. `with_` are templates over the caller's facts."""

    model_config = ConfigDict(frozen=True)

    runbook: Runbook
    caller: str = ""
    call: Step | None = None


class Run(BaseModel):
    """`runbook` is a snapshot: a changed file does not change a run that is under way. `problem` is the incident's group key.

    `stopping`: how it ends once what is in flight has come back. `undoes`, `undone_by`: numbers of runs.
    """

    model_config = ConfigDict(frozen=True)

    id: int
    incident_id: int
    epoch: int = 1
    problem: str = ""
    runbook: Runbook
    params: Mapping[str, Any] = Field(default_factory=dict)
    scopes: Mapping[str, Scope] = Field(default_factory=dict)
    state: RunState = RunState.PLANNING
    steps: tuple[StepRun, ...] = ()
    requested_by: Actor
    created_at: datetime
    ended_at: datetime | None = None
    message: str = ""
    message_ts: str = ""
    paused_by: str = ""
    stopping: RunState | None = None
    undoes: int | None = None
    undone_by: int | None = None

    @property
    def ref(self) -> str:
        return f"RUN-{self.id}"

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def changed(self) -> bool:
        return any(step.changed for step in self.steps)

    @property
    def under_way(self) -> tuple[StepRun, ...]:
        """The steps whose turn it is: the first that is not over, with as many of its group as may be at the same time."""
        first = next((step for step in self.steps if not step.over), None)
        if first is None or self.ended:
            return ()
        if not first.group:
            return (first,)
        return tuple(step for step in self.steps if step.group == first.group and not step.over)[: first.at_once]

    @property
    def current(self) -> StepRun:
        """The step to look at first: one that asks somebody, else the first under way, else the last that was reached."""
        going = self.under_way
        asking = [step for step in going if step.state in (StepState.WAITING, StepState.ASKING)]
        if asking or going:
            return (asking or list(going))[0]
        reached = [step for step in self.steps if step.state not in (StepState.PENDING, StepState.SKIPPED)]
        bad = [step for step in reached if step.state in (StepState.UNSURE, StepState.FAILED)]
        return (bad or reached or list(self.steps))[-1]

    @property
    def number(self) -> int:
        """Which step the current one is, from 1."""
        return self.steps.index(self.current) + 1

    def find(self, step_id: str) -> StepRun | None:
        return next((step for step in self.steps if step.id == step_id), None)

    def key(self, step: StepRun) -> str:
        """The idempotency key of a step: the same at every repetition of it, another one when it is tried again after a failure."""
        again = f".try{step.tries + 1}" if step.tries else ""
        return f"tocsin-run-{self.id}-{step.id}{again}"

    def approval(self, step: StepRun) -> Approval:
        """Who must approve this step: as it was planned with policy in mind, else as it says itself, else as its runbook says."""
        return step.wanted or step.spec.approve or self.scopes[step.scope].runbook.approve

    def on_failure(self, step: StepRun) -> OnFailure:
        return step.spec.on_failure or self.scopes[step.scope].runbook.on_failure

    def with_steps(self, old: str, new: Iterable[StepRun]) -> Run:
        """The run with one step replaced by others (usually one); those that are new get numbers of their own."""
        put, free = list(new), max(step.seq for step in self.steps) + 1
        put = put[:1] + [step.to(seq=free + number) for number, step in enumerate(put[1:])]
        steps = tuple(one for step in self.steps for one in (put if step.id == old else [step]))
        return self.model_copy(update={"steps": steps})


# ------------------------------------------------------------------------------------------------ what becomes of the run


def stopped(run: Run, state: RunState, message: str) -> Run:
    """The run is to end like this as soon as nothing is in flight. The first reason counts; but a run that was to end well can still fail, and
    that nobody can know what was done counts more than anything."""
    worse = run.stopping is RunState.SUCCEEDED or (state is RunState.UNSURE and run.stopping is not RunState.UNSURE)
    if run.ended or (run.stopping is not None and not worse):
        return run
    return run.model_copy(update={"stopping": state, "message": message})


def left(run: Run, scope: str, now: datetime) -> Run:
    """What has not begun of a called runbook (and of those that it calls) is not needed."""

    def inside(step: StepRun) -> bool:
        return step.state in NOT_BEGUN and (step.scope == scope or step.scope.startswith(f"{scope}."))

    steps = tuple(skipped(step, "not needed here", now) if inside(step) else step for step in run.steps)
    return run.model_copy(update={"steps": steps})


def moved(run: Run, now: datetime) -> Run:
    """What follows from where the steps are: it is over, it waits for somebody, or it goes on."""
    if run.ended:
        return run
    if run.stopping is not None:
        waited = (StepState.DOING,) if run.stopping is RunState.CANCELLED else ACTING
        if any(step.state in waited for step in run.steps):
            return run.model_copy(update={"state": RunState.RUNNING})
        return _over(run, run.stopping, now)
    going = run.under_way
    if not going:
        return _over(run, RunState.SUCCEEDED, now)
    if any(step.state in (StepState.WAITING, StepState.ASKING) for step in going):
        return run.model_copy(update={"state": RunState.WAITING})
    begun = any(step.state is not StepState.PENDING for step in run.steps)
    return run.model_copy(update={"state": RunState.RUNNING if begun else RunState.PLANNING})


def _over(run: Run, state: RunState, now: datetime) -> Run:
    """What was not reached stays pending; what was reached and not begun is skipped; what was being checked is left unchecked."""
    steps = []
    for step in run.steps:
        if step.state is StepState.CHECKING:
            step = step.to(state=StepState.DONE, message="not checked any more", ended_at=now)
        elif step.state in NOT_BEGUN and step.changed:
            step = failed(step, step.message or "it was not verified", now)
        elif step.state in NOT_BEGUN and step.started_at is not None:
            step = skipped(step, "not done", now)
        steps.append(step)
    return run.model_copy(update={"steps": tuple(steps), "state": state, "ended_at": now, "paused_by": ""})
