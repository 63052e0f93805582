"""How a runbook becomes the steps of a run: calls are put in, groups are laid out, lists are expanded, an undo is built. Pure; called by flow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from bot.domain.incident import Incident
from bot.domain.naming import nearest
from bot.domain.people import Actor
from bot.domain.run import Run, Scope
from bot.domain.runbook import ITEMS, Runbook, Step
from bot.domain.step import StepRun, StepState, skipped
from bot.errors import BadInput

DEEPEST_CALL = 5
MOST_STEPS = 200
LONGEST_ITEM = 500


def begun(
    run_id: int,
    incident: Incident,
    runbook: Runbook,
    params: Mapping[str, Any],
    requested_by: Actor,
    now: datetime,
    library: Mapping[str, Runbook] | None = None,
) -> Run:
    """A run that has done nothing yet. `library`: the runbooks that it may call. BadInput when calls go wrong."""
    scopes: dict[str, Scope] = {"": Scope(runbook=_bare(runbook))}
    laid_out = _laid_out("", scopes, library or {}, (runbook.name,))
    steps = tuple(step.to(seq=number) for number, step in enumerate(laid_out))
    if len(steps) > MOST_STEPS:
        raise BadInput(f"{runbook.name} has {len(steps)} steps with those that it calls; {MOST_STEPS} are possible")
    return Run(
        id=run_id,
        incident_id=incident.id,
        epoch=incident.epoch,
        problem=incident.group_key,
        runbook=scopes[""].runbook,
        params=dict(params),
        scopes=scopes,
        steps=steps,
        requested_by=requested_by,
        created_at=now,
    )


def _bare(runbook: Runbook) -> Runbook:
    """A snapshot has no use for the tests."""
    return runbook.model_copy(update={"tests": ()})


def _laid_out(
    scope: str, scopes: dict[str, Scope], library: Mapping[str, Runbook], way: tuple[str, ...]
) -> Iterator[StepRun]:
    prefix = f"{scope}." if scope else ""
    for step in scopes[scope].runbook.steps:
        here = f"{prefix}{step.id}"
        if step.call:
            called = library.get(step.call)
            if called is None:
                raise BadInput(f"step {here} calls {step.call!r}, which does not exist{nearest(step.call, library)}")
            if called.name in way or len(way) >= DEEPEST_CALL:
                raise BadInput(
                    f"step {here}: runbooks call each other in a circle or too deep: {' -> '.join((*way, called.name))}"
                )
            scopes[here] = Scope(runbook=_bare(called), caller=scope, call=step)
            yield from _laid_out(here, scopes, library, (*way, called.name))
        elif step.parallel:
            for child in step.parallel:
                both = _both(step.if_, child.if_)
                spec = child.model_copy(update={"if_": both, "on_failure": child.on_failure or step.on_failure})
                yield StepRun(id=f"{prefix}{child.id}", spec=spec, scope=scope, group=here, at_once=len(step.parallel))
        else:
            yield StepRun(id=here, spec=step, scope=scope)


def _both(outer: str, inner: str) -> str:
    return f"({outer}) && ({inner})" if outer and inner else outer or inner


def expanded(step: StepRun, items: Any, now: datetime, room: int = MOST_STEPS) -> tuple[StepRun, ...]:
    """One step for each item of a `foreach`. BadInput when it is no list, or a longer one than the step, or the run (`room`), allows."""
    if not isinstance(items, Sequence) or isinstance(items, str):
        raise BadInput(f"step {step.id}: foreach gives {type(items).__name__} {str(items)[:60]!r}, wanted a list")
    most = step.spec.most or ITEMS
    if len(items) > most:
        raise BadInput(f"step {step.id}: foreach gives {len(items)} items, at most {most} are allowed (`most`)")
    if len(items) > room:
        raise BadInput(f"step {step.id}: with {len(items)} items more the run would have over {MOST_STEPS} steps")
    if any(len(str(item)) > LONGEST_ITEM for item in items):
        raise BadInput(f"step {step.id}: an item of foreach is longer than {LONGEST_ITEM} characters")
    if not items:
        return (skipped(step, "its list is empty", now),)
    spec = step.spec.model_copy(update={"foreach": "", "if_": ""})
    return tuple(
        step.to(id=f"{step.id}[{number}]", spec=spec, item=item, group=step.id, at_once=step.spec.at_once)
        for number, item in enumerate(items, start=1)
    )


def revocable(run: Run) -> list[StepRun]:
    """The steps that changed something, or may have, and can be taken back."""
    return [step for step in run.steps if step.undo and (step.changed or step.state is StepState.UNSURE)]


def undoing(run_id: int, run: Run, actor: Actor, now: datetime) -> Run:
    """The run that takes back what another one has changed, the last first. BadInput when there is nothing that can be taken back."""
    takeable = revocable(run)
    steps = tuple(
        StepRun(
            id=f"undo.{step.id}",
            seq=number,
            spec=Step.model_validate(
                {
                    "id": step.spec.id,
                    "title": f"Undo: {step.title}",
                    "action": step.undo.action,
                    "with": dict(step.undo.with_),
                    "timeout": step.spec.timeout,
                    "verify": step.spec.verify.model_copy(update={"until": ""}),
                    "approve": run.approval(step),
                }
            ),
            literal=True,
            authored=step.spec.undo is not None,
        )
        for number, step in enumerate(reversed(takeable))
        if step.undo is not None
    )
    if not steps:
        raise BadInput(f"{run.ref} has changed nothing that can be taken back.")
    book = run.runbook.model_copy(
        update={
            "title": f"Undo: {run.runbook.title}"[:200],
            "mitigates": False,
            "on_failure": "stop",
            "start": "manual",
        }
    )
    return Run(
        id=run_id,
        incident_id=run.incident_id,
        epoch=run.epoch,
        problem=run.problem,
        runbook=book,
        params=run.params,
        scopes={"": Scope(runbook=book)},
        steps=steps,
        requested_by=actor,
        created_at=now,
        undoes=run.id,
    )
