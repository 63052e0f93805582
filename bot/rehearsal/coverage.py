"""What of a runbook its tests reach: each step, each `if` both ways, each `foreach` empty and not, each failure that is planned for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from bot.domain.run import Run
from bot.domain.runbook import Runbook, Step
from bot.domain.step import StepRun, StepState

Spot = tuple[str, str, str]  # runbook, step, what of it
REACHED, FAILED = "", "its failure"
ANY = "any step"  # when the runbook as a whole says what a failure means
HELD, NOT_HELD = "if: true", "if: false"
SOME, EMPTY = "foreach: some", "foreach: empty"


@dataclass(frozen=True, slots=True)
class Covered:
    """Of one runbook: how many steps and branches there are, how many were reached, and which were not (`restart: if: false`)."""

    runbook: str
    steps: tuple[int, int]
    branches: tuple[int, int]
    missing: tuple[str, ...]

    @property
    def percent(self) -> int:
        """Rounded down: 100 only when nothing is missing."""
        total = self.steps[1] + self.branches[1]
        return 100 * (self.steps[0] + self.branches[0]) // total if total else 100


@dataclass(slots=True)
class Coverage:
    """Filled by all tests; a runbook that others call is covered by their tests as well."""

    spots: set[Spot] = field(default_factory=set)

    def asked(self, run: Run, step: StepRun, holds: bool, condition: Callable[[str, str], bool]) -> None:
        """It was decided whether a step is wanted; `condition(expression, scope)` tells of the calls that it stands in."""
        if run.undoes is not None:
            return
        for scope, call in _calls(run, step.scope):
            met = holds or not call.if_ or condition(call.if_, scope)
            self._note(run.scopes[scope].runbook.name, call.id, met)
            if not met:
                return
        book, name = _place(run, step)
        for one in {name, _local(step.group or step.id, step.scope)}:
            self._note(book, one, holds)

    def _note(self, book: str, name: str, holds: bool) -> None:
        self.spots.add((book, name, HELD if holds else NOT_HELD))
        if holds:
            self.spots.add((book, name, REACHED))

    def listed(self, run: Run, step: StepRun, items: Any) -> None:
        self.spots.add((*_place(run, step), SOME if items else EMPTY))

    def ended(self, run: Run) -> None:
        if run.undoes is None:
            for step in run.steps:
                found_nothing = step.state is StepState.SKIPPED and run.on_failure(step) == "end" and step.started_at
                if found_nothing or step.state in (StepState.FAILED, StepState.UNSURE):
                    book, name = _place(run, step)
                    self.spots |= {(book, name, FAILED), (book, ANY, FAILED)}

    def of(self, runbook: Runbook, acting: Collection[str]) -> Covered:
        """`acting`: the actions that can fail in a test; who is told, asked or waited for cannot."""
        steps, branches, missing = [0, 0], [0, 0], []
        for name, what in _spots(runbook, acting):
            counted = steps if what == REACHED else branches
            counted[1] += 1
            if (runbook.name, name, what) in self.spots:
                counted[0] += 1
            else:
                missing.append(f"{name}: {what}" if what else name)
        return Covered(runbook.name, (steps[0], steps[1]), (branches[0], branches[1]), tuple(missing))


def _calls(run: Run, scope: str) -> Iterator[tuple[str, Step]]:
    """The calls that a scope stands in, the innermost first, each with the scope that it is made in."""
    while scope:
        called = run.scopes[scope]
        if called.call is not None:
            yield called.caller, called.call
        scope = called.caller


def _place(run: Run, step: StepRun) -> tuple[str, str]:
    """The runbook that a step comes from, and its id there."""
    return run.scopes[step.scope].runbook.name, _local(step.id, step.scope)


def _local(name: str, scope: str) -> str:
    return name.removeprefix(f"{scope}." if scope else "").partition("[")[0]


def _spots(runbook: Runbook, acting: Collection[str]) -> Iterator[tuple[str, str]]:
    """What there is to reach: (step, what of it)."""
    for step in (one for top in runbook.steps for one in (top, *top.parallel)):
        yield step.id, REACHED
        if step.if_:
            yield from ((step.id, HELD), (step.id, NOT_HELD))
        if step.is_list:
            yield step.id, SOME
            if isinstance(step.foreach, str):
                yield step.id, EMPTY
        if step.action in acting and step.on_failure is not None:
            yield step.id, FAILED
    if runbook.on_failure != "stop":
        yield ANY, FAILED
