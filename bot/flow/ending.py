"""What follows when a run has ended: the incident is mitigated, people are told, paged, or an undo begins. Used by advance and decisions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from bot.domain import lifecycle, paging
from bot.domain import run as runs
from bot.domain import step as moves
from bot.domain.expand import revocable, undoing
from bot.domain.incident import Incident, warned
from bot.domain.people import TOCSIN, Actor
from bot.domain.ports import Tx
from bot.domain.run import Run, RunState
from bot.domain.step import StepRun, StepState
from bot.flow.incidents import known
from bot.flow.telling import Told, saved, up_now


async def conclude(tx: Tx, incident: Incident, run: Run, now: datetime, actor: Actor = TOCSIN) -> None:
    """Tell how the run has ended, and do what its outcome and the runbook ask for."""
    if run.state in (RunState.CANCELLED, RunState.REFUSED, RunState.EXPIRED):
        run = run.model_copy(update={"message": f"{run.message}; {left_behind(run)}"})
    incident = await saved(tx, incident, run, now, Told("run_ended", _ended(run), actor))
    if run.undoes is not None:
        await _undo_ended(tx, incident, run, now)
    if run.state is RunState.SUCCEEDED:
        await _succeeded(tx, incident, run, now)
        return
    if run.state not in (RunState.FAILED, RunState.UNSURE):
        return
    change = warned(incident, _ended(run), now)
    wishes = {run.on_failure(step) for step in run.steps if step.state in (StepState.FAILED, StepState.UNSURE)}
    if "escalate" in wishes:
        change = change.then(lambda current: paging.escalated_by_hand(current, TOCSIN, now))
    await tx.save(change)
    if "undo" in wishes and run.undoes is None and revocable(run):
        await undo_begun(tx, change.incident, run, TOCSIN, now)


async def _undo_ended(tx: Tx, incident: Incident, run: Run, now: datetime) -> None:
    """The run that was to be taken back says whether it is; when it is not, it can be undone anew."""
    older = await tx.run(run.undoes or 0)
    if older is not None:
        by = run.id if run.state is RunState.SUCCEEDED else None
        await saved(tx, incident, older.model_copy(update={"undone_by": by}), now)


async def _succeeded(tx: Tx, incident: Incident, run: Run, now: datetime) -> None:
    if run.undoes is not None:
        return
    tolerated = any(step.state is StepState.FAILED for step in run.steps)
    if run.runbook.mitigates and run.changed and not tolerated and not run.message:
        await tx.save(lifecycle.mitigated(incident, TOCSIN, f"{run.ref} verified: {run.runbook.title}", now))


async def undo_begun(tx: Tx, incident: Incident, run: Run, actor: Actor, now: datetime) -> Run:
    """A run that takes back what this one did. BadInput when it has changed nothing that can be taken back."""
    undo = undoing(await tx.next_id("run"), run, actor, now)
    what = ", ".join(step.title.removeprefix("Undo: ") for step in undo.steps)
    text = f"{undo.ref} begins to take back {run.ref}: {what}"
    told = Told("run_started", text, actor, data={"undoes": run.ref})
    incident = await saved(tx, incident, undo, now, told, up_now(undo, now))
    await saved(tx, incident, run.model_copy(update={"undone_by": undo.id}), now)
    return undo


async def given_up(tx: Tx, run_id: int, step_id: str, why: str, now: datetime) -> None:
    """Nobody will come back to this step: its row is dead. The run ends, so that it holds nothing and somebody is told."""
    run = await tx.run(run_id)
    step = run.find(step_id) if run else None
    if run is None or step is None or run.ended or step.over:
        return
    unsure = step.state is StepState.DOING
    message = unknown(step, why) if unsure else f"{step.id}: {why}"
    after = run.with_steps(step.id, [moves.failed(step, message, now, unsure=unsure)])
    after = runs.moved(runs.stopped(after, RunState.UNSURE if unsure else RunState.FAILED, message), now)
    incident = await known(tx, run.incident_id)
    if after.ended:
        await conclude(tx, incident, after, now)
    else:
        await saved(tx, incident, after, now)


def unknown(step: StepRun, why: str) -> str:
    return f"{step.id} may or may not have taken effect: {why}. Look before repeating it"


def left_behind(run: Run) -> str:
    """What a No, or a stop, leaves behind."""
    changed = [step.title for step in run.steps if step.changed]
    return f"what was done before stays done ({', '.join(changed)})" if changed else "nothing was done"


def _ended(run: Run) -> str:
    if run.state is RunState.SUCCEEDED:
        return f"{run.ref} succeeded: {run.runbook.title}{f' ({run.message})' if run.message else ''}"
    return f"{run.ref} ({run.runbook.title}) ended, {run.state}: {run.message}"


def without_help(runs: Sequence[Run], name: str, problem: str) -> list[Run]:
    """Runs of a runbook that changed something for a problem that is there all the same."""
    return [
        run
        for run in runs
        if run.runbook.name == name and run.problem == problem and run.changed and run.undoes is None
    ]
