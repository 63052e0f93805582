"""One run of a runbook: pure decisions between its moves. Each step goes look, plan, (approve), do, look again (DESIGN section 6).

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
from bot.domain.plan import Plan, Question, Target, Undo
from bot.domain.runbook import Approval, OnFailure, Runbook, Step


class StepState(StrEnum):
    PENDING = "pending"
    ASKING = "asking"
    RESTING = "resting"
    WAITING = "waiting"
    APPROVED = "approved"
    DOING = "doing"
    CHECKING = "checking"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNSURE = "unsure"


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
OVER = (StepState.DONE, StepState.SKIPPED, StepState.FAILED, StepState.UNSURE)
ACTING = (StepState.DOING, StepState.CHECKING)
NOT_BEGUN = (StepState.PENDING, StepState.WAITING, StepState.APPROVED, StepState.ASKING, StepState.RESTING)


LONG_OUTPUT = 600  # characters
LONG_OUTPUT_LINES = 12


class Approver(BaseModel):
    """`broke_glass`: the reason of somebody who approved outside the rules."""

    model_config = ConfigDict(frozen=True)

    actor: Actor
    digest: str
    at: datetime
    broke_glass: str = ""


class Scope(BaseModel):
    """The runbook that a step comes from: the run's own (key ""), or one that it calls. `with_` are templates over the caller's facts."""

    model_config = ConfigDict(frozen=True)

    runbook: Runbook
    caller: str = ""
    call: Step | None = None


class StepRun(BaseModel):
    """One thing that is done, and what it has come to.

    `seq`: its number for good, by which the store keeps it, while its place in the run may change. `group`: steps of one group are under way
    together, `at_once` of them. `literal`: `with` holds values, not templates (an undo).
    `before`: the state that the plan was made from; `changed`: `do` took effect; `undo`: what takes it back; `tries` counts failures so far.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    seq: int = 0
    spec: Step
    scope: str = ""
    group: str = ""
    at_once: int = 1
    item: Any = None
    literal: bool = False
    state: StepState = StepState.PENDING
    params: Mapping[str, Any] = Field(default_factory=dict)
    target: Target | None = None
    plan: Plan | None = None
    before: Mapping[str, Any] = Field(default_factory=dict)
    result: Mapping[str, Any] = Field(default_factory=dict)
    outputs: Mapping[str, Any] = Field(default_factory=dict)
    undo: Undo | None = None
    question: Question | None = None
    message: str = ""
    waits_for: str = ""
    waits_since: datetime | None = None
    approvals: tuple[Approver, ...] = ()
    expires_at: datetime | None = None
    check_until: datetime | None = None
    holds_since: datetime | None = None
    drifted: bool = False
    changed: bool = False
    tries: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def over(self) -> bool:
        return self.state in OVER

    @property
    def title(self) -> str:
        named = self.spec.title or self.spec.id
        return f"{named} ({self.item})" if isinstance(self.item, str | int) else named

    @property
    def output(self) -> str:
        """What it has put out, for people; empty for most."""
        found = self.result.get("output")
        return found if isinstance(found, str) else ""

    @property
    def has_long_output(self) -> bool:
        """Whether that is too long for the run's message, so that it becomes a file beside it."""
        return len(self.output) > LONG_OUTPUT or self.output.count("\n") >= LONG_OUTPUT_LINES

    def to(self, **update: Any) -> StepRun:
        return self.model_copy(update=update)


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
        again = f"-try{step.tries + 1}" if step.tries else ""
        return f"tocsin-run-{self.id}-{step.id}{again}"

    def approval(self, step: StepRun) -> Approval:
        """Who must approve this step: as it says itself, else as the runbook that it comes from says."""
        return step.spec.approve or self.scopes[step.scope].runbook.approve

    def on_failure(self, step: StepRun) -> OnFailure:
        return step.spec.on_failure or self.scopes[step.scope].runbook.on_failure

    def with_steps(self, old: str, new: Iterable[StepRun]) -> Run:
        """The run with one step replaced by others (usually one); those that are new get numbers of their own."""
        put, free = list(new), max(step.seq for step in self.steps) + 1
        put = put[:1] + [step.to(seq=free + number) for number, step in enumerate(put[1:])]
        steps = tuple(one for step in self.steps for one in (put if step.id == old else [step]))
        return self.model_copy(update={"steps": steps})


# ------------------------------------------------------------------------------------------------ what becomes of a step


class Look(BaseModel):
    """What was seen for a step: its parameters as JSON values, the state, whom it would touch, and what would change."""

    model_config = ConfigDict(frozen=True)

    params: Mapping[str, Any] = Field(default_factory=dict)
    before: Mapping[str, Any] = Field(default_factory=dict)
    target: Target | None = None
    plan: Plan


def planned(step: StepRun, look: Look, wanted: Approval, now: datetime) -> StepRun:
    """The step was looked at: nothing to do, so check it; else show the plan and wait for its approval.

    Planning again after an approval and finding another plan is drift: the approvals are void. A step that is tried again with the very plan that
    was approved goes on.
    """
    plan = look.plan
    seen: dict[str, Any] = {
        **{name: getattr(look, name) for name in Look.model_fields},
        "started_at": step.started_at or now,
        "waits_for": "",
        "waits_since": None,
    }
    if not plan:
        return checking(step.to(**seen), now)
    same = step.plan is not None and step.plan.digest == plan.digest
    if step.tries and same and step.approvals and step.state is StepState.PENDING:
        return step.to(**seen, state=StepState.APPROVED)
    drifted = step.plan is not None and not same and bool(step.plan)
    return step.to(
        **seen,
        state=StepState.WAITING,
        approvals=(),
        expires_at=now + wanted.expires,
        drifted=drifted and not step.tries,
    )


def approved(step: StepRun, approver: Approver, people: int) -> StepRun:
    """One valid approval more; enough of them, or one that breaks the glass, let the step go on."""
    approvals = (*step.approvals, approver)
    if len(approvals) < people and not approver.broke_glass:
        return step.to(approvals=approvals)
    return step.to(approvals=approvals, state=StepState.APPROVED, expires_at=None)


def intended(step: StepRun, undo: Undo | None) -> StepRun:
    """The intent is on record: the next move may act."""
    return step.to(state=StepState.DOING, undo=undo, waits_for="", waits_since=None)


def done(step: StepRun, result: Mapping[str, Any], undo: Undo | None, now: datetime) -> StepRun:
    """`do` came back; what it did must now show."""
    return checking(step.to(result=dict(result), changed=True, undo=undo), now)


def waiting_for(step: StepRun, whom: str, now: datetime) -> StepRun:
    """Approved, but another run is at its target."""
    return step.to(waits_for=whom, waits_since=step.waits_since or now)


def checking(step: StepRun, now: datetime) -> StepRun:
    return step.to(state=StepState.CHECKING, check_until=now + step.spec.verify.within, holds_since=None)


def finished(step: StepRun, message: str, now: datetime, outputs: Mapping[str, Any] | None = None) -> StepRun:
    return step.to(state=StepState.DONE, message=message, outputs=dict(outputs or {}), ended_at=now, expires_at=None)


def skipped(step: StepRun, why: str, now: datetime) -> StepRun:
    return step.to(state=StepState.SKIPPED, message=why, ended_at=now, expires_at=None)


def tried_again(step: StepRun, message: str) -> StepRun:
    return step.to(state=StepState.PENDING, message=message, tries=step.tries + 1, holds_since=None, check_until=None)


def failed(step: StepRun, message: str, now: datetime, *, unsure: bool = False) -> StepRun:
    state = StepState.UNSURE if unsure else StepState.FAILED
    return step.to(state=state, message=message, ended_at=now, expires_at=None)


# ------------------------------------------------------------------------------------------------ what becomes of the run


def stopped(run: Run, state: RunState, message: str) -> Run:
    """The run is to end like this as soon as nothing is in flight. The first reason counts."""
    if run.stopping is not None or run.ended:
        return run
    return run.model_copy(update={"stopping": state, "message": message})


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
        elif step.state in NOT_BEGUN and step.started_at is not None:
            step = skipped(step, "not done", now)
        steps.append(step)
    return run.model_copy(update={"steps": tuple(steps), "state": state, "ended_at": now, "paused_by": ""})
