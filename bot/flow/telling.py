"""A run after a move: saved, told to the timeline, shown in Slack, its next steps asked for, in one transaction. Used by the flows of runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.domain import effects
from bot.domain.effects import Effect
from bot.domain.incident import Incident, entered
from bot.domain.naming import clipped
from bot.domain.people import TOCSIN, Actor
from bot.domain.ports import Tx
from bot.domain.run import Run
from bot.domain.step import ACTING, StepRun
from bot.errors import BadInput

LONGEST_TEXT = 4000  # of one timeline entry: a whole answer fits
LONGEST_LINE, MOST_LINES = 400, 100  # of a plan


@dataclass(frozen=True, slots=True)
class Told:
    """One timeline entry about a run; `step`: the one that it tells of (the run's current one when None)."""

    kind: str
    text: str
    actor: Actor = TOCSIN
    step: StepRun | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


async def known_run(tx: Tx, run_id: int) -> Run:
    run = await tx.run(run_id)
    if run is None:
        raise BadInput(f"There is no RUN-{run_id}. `/incident runs` or `tocsin runbook history` lists them.")
    return run


async def saved(
    tx: Tx,
    incident: Incident,
    run: Run,
    now: datetime,
    told: Told | None = None,
    due: Mapping[str, datetime] | None = None,
) -> Incident:
    """Save a run, and come back to its steps when `due` says (by step). A run that has ended gives back what it holds."""
    await tx.save_run(run)
    asked: list[Effect] = [effects.show_run(incident.id, run.id, now)]
    if run.ended:
        await tx.release_holds(run.id)
    else:
        asked += [effects.advance_run(run.id, one, at) for one, at in (due or {}).items() if _goes_on(run, one)]
    if told is not None and told.kind == "run_done" and told.step is not None and told.step.has_long_output:
        asked.append(effects.share_output(incident.id, run.id, told.step.id, told.step.tries, now))
    if told is None:
        await tx.ask(asked)
        return incident
    change = entered(
        incident,
        told.kind,
        clipped(told.text, LONGEST_TEXT),
        now,
        actor=told.actor.name,
        data={**_facts(run, told.step), **told.data},
    )
    await tx.save(change.ask(*asked, effects.card(incident.id, now)))
    return change.incident


def _goes_on(run: Run, step_id: str) -> bool:
    """While somebody has paused the run, only what is in flight."""
    step = run.find(step_id)
    return not run.paused_by or (step is not None and step.state in ACTING)


def up_now(run: Run, now: datetime, before: Run | None = None) -> dict[str, datetime]:
    """The steps to come to at once: all that are under way, or those that were not `before`."""
    earlier = {step.id for step in before.under_way} if before else set()
    return {step.id: now for step in run.under_way if step.id not in earlier}


def _facts(run: Run, step: StepRun | None) -> dict[str, Any]:
    """What the post-mortem needs to know of a run (review.py reads it from the timeline)."""
    about = step or run.current
    return {
        "run": run.ref,
        "title": run.runbook.title,
        "state": run.state.value,
        "requested_by": run.requested_by.name,
        "step": about.id,
        "step_title": about.title,
        "step_state": about.state.value,
        "step_plan": _bounded(about.plan.lines()) if about.plan else [],
        "step_message": clipped(about.message, LONGEST_TEXT),
    }


def _bounded(lines: list[str]) -> list[str]:
    """What the timeline keeps of a plan; the run has it whole."""
    shown = [clipped(line, LONGEST_LINE) for line in lines[:MOST_LINES]]
    return [*shown, f"… and {len(lines) - MOST_LINES} lines more"] if len(lines) > MOST_LINES else shown
