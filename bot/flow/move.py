"""What one move makes of one step of a run: a value, made by advance.py and acting.py, and recorded by advance.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.domain import step as moves
from bot.domain.effects import Effect
from bot.domain.plan import Target
from bot.domain.run import Run, RunState
from bot.domain.step import StepRun


@dataclass(frozen=True, slots=True)
class Move:
    """`kind` and `text` are for the timeline (none: nothing to tell), with `data`. `due`: when to come back (None: at once). `ends`: how the run
    ends because of it. `takes`: the target to take before it counts. `asks`: what to ask of the outbox. `items`: what a list has become.
    `leaves`: the called runbook whose other steps are not needed.
    """

    step: StepRun
    kind: str = ""
    text: str = ""
    due: datetime | None = None
    ends: RunState | None = None
    takes: Target | None = None
    asks: tuple[Effect, ...] = ()
    items: tuple[StepRun, ...] = ()
    leaves: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)


def failure(run: Run, step: StepRun, message: str, now: datetime, *, looked: bool = False) -> Move:
    """A step has failed: tried again if it says so, else the end of it, and of the run unless it may go on.

    `looked`: what it wanted was clearly seen not to be so; only then can that mean that there is nothing to do (`on_failure: end`).
    """
    retry = step.spec.retry
    if step.tries < retry.times:
        text = f"{run.ref}: {step.title} failed and is tried again ({step.tries + 1} of {retry.times}): {message}"
        return Move(moves.tried_again(step, message), "run_retried", text, now + retry.wait)
    after, wish = moves.failed(step, message, now), run.on_failure(step)
    if wish == "end" and looked and not step.changed:
        return _nothing_to_do(run, step, message, now)
    if wish == "continue":
        return Move(after, "run_step_failed", f"{run.ref}: {step.title} failed, and the run goes on: {message}")
    return Move(after, "", f"{step.id}: {message}" if len(run.steps) > 1 else message, ends=RunState.FAILED)


def _nothing_to_do(run: Run, step: StepRun, message: str, now: datetime) -> Move:
    """The run ends well; of a runbook that was called, only its own steps end."""
    over = moves.skipped(step, message, now)
    if step.scope:
        return Move(over, "run_skipped", f"{run.ref}: nothing to do in {step.scope}: {message}", leaves=step.scope)
    return Move(over, "", f"nothing to do: {message}", ends=RunState.SUCCEEDED)


def ending(step: StepRun, state: RunState, message: str, now: datetime) -> Move:
    """The run ends at this step: nobody answered (expired), or nobody can know (unsure)."""
    if state is RunState.EXPIRED:
        return Move(moves.skipped(step, message, now), "", message, ends=state)
    return Move(moves.failed(step, message, now, unsure=state is RunState.UNSURE), "", message, ends=state)
