"""One step of a run: what it has come to, and what each move makes of it. Pure; a run is made of them (run.py).

Each step goes look, plan, (approve), do, look again (DESIGN section 6); steps for people and for time wait for an answer or for the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.people import Actor
from bot.domain.plan import Plan, Question, Target, Undo
from bot.domain.runbook import Approval, Step


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


class StepRun(BaseModel):
    """One thing that is done, and what it has come to.

    `seq`: its number for good, by which the store keeps it, while its place in the run may change. `group`: steps of one group are under way
    together, `at_once` of them. `literal`: `with` holds values, not templates (an undo). `authored`: an undo that
    the runbook says itself, so that no approval of the step that it takes back has covered it.
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
    authored: bool = False
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
    wanted: Approval | None = None
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
        "wanted": wanted,
        **{name: getattr(look, name) for name in Look.model_fields},
        "started_at": step.started_at or now,
        "waits_for": "",
        "waits_since": None,
    }
    if not plan:
        return checking(step.to(**seen), now)
    same = step.plan is not None and step.plan.digest == plan.digest and step.params == look.params
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
