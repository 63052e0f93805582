"""Runs as text: one line each for `tocsin runbook history`, the whole of one for `tocsin runbook show`, steps for `run` and `plan`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bot.cli.terminal import plain, plain_lines
from bot.domain.naming import clipped
from bot.domain.ports import Redact
from bot.domain.run import Run, RunState
from bot.domain.step import StepRun, StepState
from bot.flow.preview import Foreseen

CHANGED_WIDTH = 60
COLUMNS = ("RUN", "WHEN", "RUNBOOK", "INCIDENT", "WHO", "STATE", "WHAT CHANGED", "APPROVED BY", "UNDONE BY")


class Shown:
    """Texts with every secret blacked out and nothing in them that steers a terminal. `undoing`: how runs that take others back are."""

    def __init__(self, redact: Redact, undoing: Mapping[int, RunState] | None = None) -> None:
        self._redact = redact
        self._undoing = undoing or {}

    def line(self, text: object) -> str:
        return plain(self._redact(str(text)).replace("\r\n", "\n").replace("\n", " "))

    def lines(self, text: str) -> list[str]:
        return plain_lines(self._redact(text))

    # -------------------------------------------------------------------------------------------- many runs

    def table(self, runs: Sequence[Run]) -> list[str]:
        rows = [COLUMNS, *(self._row(run) for run in runs)]
        widths = [max(len(row[number]) for row in rows) for number in range(len(COLUMNS))]
        return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]

    def _row(self, run: Run) -> tuple[str, ...]:
        return (
            run.ref,
            _when(run.created_at),
            self.line(run.runbook.name) + (f" (undo of RUN-{run.undoes})" if run.undoes else ""),
            f"INC-{run.incident_id}",
            self.line(run.requested_by.name),
            run.state.value,
            clipped(self.line("; ".join(changes(run)) or "nothing"), CHANGED_WIDTH),
            self.line(", ".join(approvals(run))) or "-",
            self._undone_by(run) or "-",
        )

    def _undone_by(self, run: Run) -> str:
        """Whether it is undone is said by how the other run is: `RUN-5`, or `RUN-5 (cancelled)`."""
        if run.undone_by is None:
            return ""
        state = self._undoing.get(run.undone_by, RunState.SUCCEEDED)
        return f"RUN-{run.undone_by}" + ("" if state is RunState.SUCCEEDED else f" ({state})")

    def facts(self, run: Run) -> dict[str, Any]:
        """One run as JSON, for programs."""
        approvers = [
            {"step": step.id, "by": one.actor.name, "at": _iso(one.at), "digest": one.digest}
            | ({"broke_glass": one.broke_glass} if one.broke_glass else {})
            for step in run.steps
            for one in step.approvals
        ]
        known: dict[str, Any] = {
            "run": run.ref,
            "runbook": run.runbook.name,
            "incident": f"INC-{run.incident_id}",
            "requested_by": run.requested_by.name,
            "state": run.state.value,
            "message": run.message,
            "created_at": _iso(run.created_at),
            "ended_at": _iso(run.ended_at),
            "params": dict(run.params),
            "changed": changes(run),
            "approvals": approvers,
            "undoes": f"RUN-{run.undoes}" if run.undoes else None,
            "undone_by": f"RUN-{run.undone_by}" if run.undone_by else None,
            "undone_by_state": self._undoing.get(run.undone_by) if run.undone_by else None,
        }
        return {name: self._clean(value) for name, value in known.items()}

    def _clean(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: self._clean(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(one) for one in value]
        return self._redact(value) if isinstance(value, str) else value

    # -------------------------------------------------------------------------------------------- one run

    def whole(self, run: Run) -> list[str]:
        """Everything about one run."""
        ended = f", ended {_when(run.ended_at)}" if run.ended_at else ""
        lines = [
            f"{run.ref} {self.line(run.runbook.title)} ({self.line(run.runbook.name)}): {run.state}",
            f"INC-{run.incident_id}, asked for by {self.line(run.requested_by.name)} {_when(run.created_at)}{ended}",
        ]
        lines += [f"takes back RUN-{run.undoes}"] if run.undoes else []
        lines += [f"taken back by {self._undone_by(run)}"] if run.undone_by else []
        lines += [f"paused by {self.line(run.paused_by)}"] if run.paused_by else []
        lines += [f"why: {self.line(run.message)}"] if run.message else []
        lines += [f"  {self.line(f'{name}={value}')}" for name, value in run.params.items()]
        for step in run.steps:
            lines += ["", *self.step(step)]
        return lines

    def step(self, step: StepRun) -> Iterator[str]:
        """One step with its plan, who let it, and what came of it."""
        named = "" if step.title == step.id else f" {step.title}"
        yield self.line(f"{step.id}{named}: {state_of(step)}") + (
            f" ({self.line(step.message)})" if step.message else ""
        )
        if step.question is not None:
            yield f"  asked: {self.line(step.question.words)}"
        if step.plan:
            yield from (f"  {self.line(line)}" for line in step.plan.lines())
            yield f"  plan {step.plan.digest}"
        for one in step.approvals:
            glass = f", BROKE THE GLASS: {self.line(one.broke_glass)}" if one.broke_glass else ""
            yield f"  approved by {self.line(one.actor.name)} {_when(one.at)}{glass}"
        if step.outputs:
            yield f"  gives {self.line(', '.join(f'{name}={value}' for name, value in step.outputs.items()))}"
        output = step.result.get("output")
        if isinstance(output, str) and output.strip():
            yield "  output:"
            yield from (f"    {line}" for line in self.lines(output.rstrip("\n")))
        if step.undo is not None and step.changed:
            yield f"  undo: {self.line(step.undo.action)}"

    def foreseen(self, one: Foreseen) -> Iterator[str]:
        """One step of `tocsin runbook plan`."""
        yield f"{self.line(one.step_id)}:"
        if one.plan is not None:
            yield from (f"  {self.line(line)}" for line in one.plan.lines())
            if one.plan:
                yield f"  plan {one.plan.digest}"
        elif one.words:
            yield f"  {self.line(one.words)}"
        if one.refused:
            what = "will be refused" if one.plan is not None or one.words else "cannot be planned"
            yield f"  {what}: {self.line(one.refused)}"
        if one.held:
            yield f"  not now: {self.line(one.held)}"


def state_of(step: StepRun) -> str:
    if step.state is StepState.DONE and step.plan is not None and not step.changed:
        return "done, nothing had to change"
    return "not reached" if step.state is StepState.PENDING else step.state.value


def changes(run: Run) -> list[str]:
    """What took effect, one line for each value: `shop/checkout replicas: 3 -> 6`."""
    return [
        f"{step.target or step.plan.target} {diff.what}: {diff.before} -> {diff.after}"
        for step in run.steps
        if step.changed and step.plan is not None
        for diff in step.plan.diffs
    ]


def approvals(run: Run) -> list[str]:
    """Who approved, each once; whoever broke the glass is marked."""

    named = [
        f"{one.actor.name} (BROKE THE GLASS)" if one.broke_glass else one.actor.name
        for step in run.steps
        for one in step.approvals
    ]
    return list(dict.fromkeys(named))


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at else None
