"""What came of a test, compared with what it expects: each difference in words, with the nearest that there is. Pure; called by running."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from bot.domain.naming import clipped
from bot.domain.ports import Doing
from bot.domain.run import Run
from bot.domain.step import StepRun, StepState
from bot.domain.trial import Expect, Trial
from bot.rehearsal.world import World, of_step

UNDO = "undo."
LONGEST = 300


def differences(trial: Trial, runs: Sequence[Run], told: Sequence[str], world: World) -> Iterator[str]:
    """Of the run itself. `runs`: it and the undo that it led to; `told`: everything that people could read."""
    run, expect = runs[0], trial.expect
    if run.state != expect.state:
        why = f": {run.message}" if run.message else ""
        yield f"state: expected {expect.state}, the run is {run.state}{clipped(why, LONGEST)}"
    yield from _steps(run, expect)
    yield from _plans(run, expect)
    for text in expect.messages:
        if not any(text.lower() in one.lower() for one in told):
            yield f"messages: nothing says {text!r}{_nearest(text, told)}"
    yield from _undone(runs, expect)
    if trial.takes is not None and run.ended_at is not None and run.ended_at - run.created_at > trial.takes:
        yield f"takes: expected at most {trial.takes}, it took {run.ended_at - run.created_at}"
    yield from _idle(trial, world)


def told_by(runs: Sequence[Run], timeline: Sequence[str], said: Sequence[str]) -> list[str]:
    """Everything that people could read."""
    of_runs = [text for run in runs for text in (run.message, *(step.message for step in run.steps))]
    return [text for text in dict.fromkeys([*timeline, *of_runs, *said]) if text]


def planned_again(first: Run, runs: Sequence[Run], acting: Mapping[str, Doing]) -> Iterator[str]:
    """Of a second run: what it would change although the first one has left everything as desired, but for steps that failed and were let be."""
    failed = {step.id for step in first.steps if step.state is StepState.FAILED}
    for step in (step for run in runs for step in run.steps if step.id not in failed):
        doing = acting.get(step.spec.action)
        if step.plan and doing is not None and doing.way == "acts" and doing.writes and doing.observable:
            yield f"again: a second run would change something: step {step.id}: {'; '.join(map(str, step.plan.diffs))}"


def _steps(run: Run, expect: Expect) -> Iterator[str]:
    for name, state in expect.steps.items():
        found = _named(run, name)
        if not found:
            yield f"steps: the run has no step {name}; it has {', '.join(step.id for step in run.steps)}"
        for step in found:
            if step.state.value != state:
                why = f": {step.message}" if step.message else ""
                yield f"steps: expected {step.id} to be {state}, it is {step.state}{clipped(why, LONGEST)}"


def _plans(run: Run, expect: Expect) -> Iterator[str]:
    for name, wanted in expect.plan.items():
        for step in _named(run, name):
            lines = step.plan.lines() if step.plan else []
            if not wanted and lines:
                yield f"plan: expected {step.id} to change nothing, it plans {'; '.join(map(str, step.plan.diffs)) if step.plan else ''}"
            for text in wanted:
                if not any(text in line for line in _shown(step)):
                    yield f"plan: {step.id} does not show {text!r}{_nearest(text, _shown(step)) or _no_plan(step)}"


def _shown(step: StepRun) -> list[str]:
    """The lines of a plan as people see them, and each change on one line as the timeline has it."""
    if not step.plan:
        return []
    return [*step.plan.lines(), *map(str, step.plan.diffs)]


def _no_plan(step: StepRun) -> str:
    why = f" ({step.message})" if step.message else ""
    return f"; it has planned nothing, it is {step.state}{why}"


def _undone(runs: Sequence[Run], expect: Expect) -> Iterator[str]:
    if not expect.undone:
        return
    taken_back = [step.id.removeprefix(UNDO) for run in runs if run.undoes for step in run.steps if step.changed]
    if tuple(taken_back) != expect.undone:
        found = ", ".join(taken_back) or "nothing"
        yield f"undone: expected {', '.join(expect.undone)}, taken back was {found}"


def _idle(trial: Trial, world: World) -> Iterator[str]:
    """Failures and clicks that a test prepares and that then do not happen: it does not test what it says."""
    for name in trial.fail:
        if not any(of_step({name: True}, step) for step in world.failed):
            yield f"fail: {name} never failed, since it never acted"
    for name in trial.clicks:
        if not any(of_step({name: True}, step) for step in world.asked):
            yield f"clicks: {name} never asked anybody"


def _named(run: Run, name: str) -> list[StepRun]:
    """The steps that a name means: one, all items of its list, all of its group, or all that it calls."""
    exact = [step for step in run.steps if step.id == name]
    return exact or [step for step in run.steps if step.id.startswith((f"{name}[", f"{name}.")) or step.group == name]


def _nearest(text: str, lines: Sequence[str]) -> str:
    """The line that is most like what was expected."""
    if not lines:
        return ""
    words = text.lower()
    best = max(lines, key=lambda line: difflib.SequenceMatcher(None, words, line.lower()[:LONGEST]).ratio())
    return f"; the nearest is {clipped(' '.join(best.split()), LONGEST)!r}"
