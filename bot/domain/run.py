"""One run of a runbook: pure decisions between its moves. Each step goes look, plan, (approve), do, look again (DESIGN section 6).

planning -> waiting -> running -> succeeded | failed | refused | expired | unsure. What is not ended is always either
waiting for a person with an expiry, or has a due `advance_run` effect: nothing is ever left "running".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.incident import Incident
from bot.domain.people import Actor
from bot.domain.plan import Plan
from bot.domain.runbook import Runbook, Step


class StepState(StrEnum):
    PENDING = "pending"
    WAITING = "waiting"
    APPROVED = "approved"
    DOING = "doing"
    CHECKING = "checking"
    DONE = "done"
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


ENDED = (RunState.SUCCEEDED, RunState.FAILED, RunState.REFUSED, RunState.EXPIRED, RunState.UNSURE)


class Approver(BaseModel):
    model_config = ConfigDict(frozen=True)

    actor: Actor
    digest: str
    at: datetime


class StepRun(BaseModel):
    """What one step has come to. `before` is the state captured before `do`, for an undo; `changed` says that `do` took effect."""

    model_config = ConfigDict(frozen=True)

    state: StepState = StepState.PENDING
    params: Mapping[str, Any] = Field(default_factory=dict)
    plan: Plan | None = None
    before: Mapping[str, Any] = Field(default_factory=dict)
    result: Mapping[str, Any] = Field(default_factory=dict)
    message: str = ""
    approvals: tuple[Approver, ...] = ()
    expires_at: datetime | None = None
    check_until: datetime | None = None
    drifted: bool = False
    changed: bool = False
    started_at: datetime | None = None
    ended_at: datetime | None = None


class Run(BaseModel):
    """`runbook` is a snapshot: a changed file does not change a run that is under way."""

    model_config = ConfigDict(frozen=True)

    id: int
    incident_id: int
    epoch: int = 1
    runbook: Runbook
    params: Mapping[str, Any] = Field(default_factory=dict)
    state: RunState = RunState.PLANNING
    step: int = 0
    steps: tuple[StepRun, ...] = ()
    requested_by: Actor
    created_at: datetime
    ended_at: datetime | None = None
    message_ts: str = ""

    @property
    def ref(self) -> str:
        return f"RUN-{self.id}"

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def spec(self) -> Step:
        return self.runbook.steps[self.step]

    @property
    def current(self) -> StepRun:
        return self.steps[self.step]

    @property
    def key(self) -> str:
        """The idempotency key of the current step: the same at every repetition of it."""
        return f"tocsin-run-{self.id}-{self.spec.id}"

    def with_step(self, **update: Any) -> Run:
        """The run with its current step changed."""
        changed = self.current.model_copy(update=update)
        steps = tuple(changed if number == self.step else step for number, step in enumerate(self.steps))
        return self.model_copy(update={"steps": steps})


def begun(
    run_id: int, incident: Incident, runbook: Runbook, params: Mapping[str, Any], requested_by: Actor, now: datetime
) -> Run:
    return Run(
        id=run_id,
        incident_id=incident.id,
        epoch=incident.epoch,
        runbook=runbook,
        params=dict(params),
        steps=tuple(StepRun() for _ in runbook.steps),
        requested_by=requested_by,
        created_at=now,
    )


def planned(run: Run, params: Mapping[str, Any], before: Mapping[str, Any], plan: Plan, now: datetime) -> Run:
    """The current step was looked at: nothing to do, so check it; else show the plan and wait for its approval.

    Planning again after an approval and finding another plan is drift: the approvals are void.
    """
    seen = {"params": dict(params), "before": dict(before), "plan": plan, "started_at": run.current.started_at or now}
    if not plan:
        return checking(run.with_step(**seen), now)
    drifted = run.current.plan is not None and run.current.plan.digest != plan.digest
    waiting = run.with_step(
        **seen,
        state=StepState.WAITING,
        approvals=(),
        expires_at=now + run.runbook.approve.expires,
        drifted=drifted,
    )
    return waiting.model_copy(update={"state": RunState.WAITING})


def approved(run: Run, approver: Approver) -> Run:
    """One valid approval more; enough of them let the step go on."""
    approvals = (*run.current.approvals, approver)
    if len(approvals) < run.runbook.approve.people:
        return run.with_step(approvals=approvals)
    going = run.with_step(approvals=approvals, state=StepState.APPROVED, expires_at=None)
    return going.model_copy(update={"state": RunState.RUNNING})


def intended(run: Run) -> Run:
    """The intent is on record: the next move may act."""
    return run.with_step(state=StepState.DOING).model_copy(update={"state": RunState.RUNNING})


def done(run: Run, result: Mapping[str, Any], now: datetime) -> Run:
    """`do` came back; what it did must now show."""
    return checking(run.with_step(result=dict(result), changed=True), now)


def checking(run: Run, now: datetime) -> Run:
    going = run.with_step(state=StepState.CHECKING, check_until=now + run.spec.verify.within)
    return going.model_copy(update={"state": RunState.RUNNING})


def step_done(run: Run, message: str, now: datetime) -> Run:
    """The current step holds: on to the next, or the run has succeeded."""
    after = run.with_step(state=StepState.DONE, message=message, ended_at=now)
    if run.step + 1 < len(run.steps):
        return after.model_copy(update={"step": run.step + 1, "state": RunState.RUNNING})
    return after.model_copy(update={"state": RunState.SUCCEEDED, "ended_at": now})


def ended(run: Run, state: RunState, message: str, now: datetime) -> Run:
    """The run stops here, with the reason: failed, refused, expired, or unsure (a person must look)."""
    step_state = StepState.UNSURE if state is RunState.UNSURE else StepState.FAILED
    return run.with_step(state=step_state, message=message, ended_at=now).model_copy(
        update={"state": state, "ended_at": now}
    )
