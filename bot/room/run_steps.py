"""The steps of a run as lines: groups and called runbooks indented, what became of each, a window around where it is. Pure; used by runs.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bot.domain.run import Run
from bot.domain.step import StepRun, StepState
from bot.room import mrkdwn

SHOWN_LINES = 14
LONGEST = 2300  # characters of all lines together
LINE = 240
INDENT = "\u2003"  # Slack swallows plain spaces at the beginning of a line

MARKS = {
    StepState.PENDING: "▫️",
    StepState.ASKING: "🙋",
    StepState.RESTING: "⏲️",
    StepState.WAITING: "✋",
    StepState.APPROVED: "⏳",
    StepState.DOING: "⏳",
    StepState.CHECKING: "🔎",
    StepState.DONE: "✅",
    StepState.SKIPPED: "⏭️",
    StepState.FAILED: "❌",
    StepState.UNSURE: "❓",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line, and the step it is about (none: a group's heading)."""

    text: str
    step: StepRun | None = None


def steps(run: Run) -> str:
    """Finished mrkdwn: all steps, or those around the current one with how many are before and after."""
    lines = list(_lines(run))
    current = next(
        number for number, line in enumerate(lines) if line.step is not None and line.step.id == run.current.id
    )
    first = max(0, min(current - SHOWN_LINES // 2, len(lines) - SHOWN_LINES))
    last = min(len(lines), first + SHOWN_LINES)
    while sum(len(line.text) + 1 for line in lines[first:last]) > LONGEST:
        first, last = (first + 1, last) if current - first > last - 1 - current else (first, last - 1)
    before, after = _count(lines[:first]), _count(lines[last:])
    shown = [line.text for line in lines[first:last]]
    return "\n".join([*([f"… {before} before"] if before else []), *shown, *([f"… {after} after"] if after else [])])


def tally(run: Run) -> str:
    """How far a long run is; empty for one that is shown whole."""
    if len(run.steps) <= SHOWN_LINES:
        return ""
    over = [step for step in run.steps if step.over]
    failed = sum(step.state is StepState.FAILED for step in over)
    return f"{len(over)} of {len(run.steps)} steps are over" + (f", {failed} failed." if failed else ".")


def _count(lines: list[Line]) -> int:
    return sum(line.step is not None for line in lines)


def _lines(run: Run) -> Iterator[Line]:
    scope, group = "", ""
    for number, step in enumerate(run.steps, start=1):
        if step.scope != scope:
            scope = step.scope
            if scope:
                yield Line(_called(run, scope))
        if step.group != group:
            group = step.group
            if group:
                yield Line(_grouped(run, step))
        yield Line(_step(number, step), step)


def _depth(scope: str) -> int:
    return scope.count(".") + 1 if scope else 0


def _called(run: Run, scope: str) -> str:
    indent = INDENT * (_depth(scope) - 1)
    called = run.scopes.get(scope)
    title = called.runbook.title if called else scope
    return f"{indent}▾ {mrkdwn.bold(title, 120)} (runbook {mrkdwn.code(called.runbook.name if called else scope, 60)})"


def _grouped(run: Run, step: StepRun) -> str:
    """The heading of a list, or of steps that are under way together."""
    members = [one for one in run.steps if one.group == step.group]
    over = sum(one.over for one in members)
    name = step.group.rpartition(".")[2]
    scope = run.scopes.get(step.scope)
    spec = next((one for one in scope.runbook.steps if one.id == name), None) if scope else None
    title = (spec.title or spec.id) if spec else name
    together = f", {step.at_once} at a time" if 1 < step.at_once < len(members) else ""
    together = ", all at the same time" if 1 < len(members) <= step.at_once else together
    return f"{INDENT * _depth(step.scope)}▾ {mrkdwn.bold(title, 120)}: {over} of {len(members)} over{together}"


def _step(number: int, step: StepRun) -> str:
    indent = INDENT * (_depth(step.scope) + bool(step.group))
    title = f"{indent}{MARKS[step.state]} {number}. {mrkdwn.line(step.title, 100)}"
    note, by = _note(step), _approved(step)
    whole = f"{title}{f': {note}' if note else ''}{by}"
    return whole if len(whole) <= LINE else f"{title}{by or f': {note}'}"


def _approved(step: StepRun) -> str:
    if not step.approvals or step.state is StepState.WAITING:
        return ""
    names = mrkdwn.line(", ".join(approver.actor.name for approver in step.approvals), 60)
    glass = ", *breaking the glass*" if any(approver.broke_glass for approver in step.approvals) else ""
    return f" (approved by {names}{glass})"


def _note(step: StepRun) -> str:
    if step.waits_for:
        return f"waits for {mrkdwn.line(step.waits_for, 100)}"
    if step.state is StepState.CHECKING:
        until = f" until {mrkdwn.date(step.check_until)}" if step.check_until else ""
        return f"checking that it took effect{until}"
    if step.state is StepState.RESTING:
        return f"waits until {mrkdwn.date(step.expires_at)}" if step.expires_at else "waits"
    if step.state is StepState.DONE and not step.changed and step.plan is not None and not step.plan:
        return "checked, nothing had to change"
    if step.state is StepState.PENDING and step.tries:
        return f"failed, try {step.tries + 1} of {step.spec.retry.times + 1} follows: {mrkdwn.line(step.message, 100)}"
    if step.over:
        return mrkdwn.line(step.message, 120)
    return ""
