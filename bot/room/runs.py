"""The one message of a run: what it would do, who may let it, what became of it. Pure; posted by room.py.

An approval is of a plan: the plan stands here exactly as `Plan.lines()` gives it, and the buttons carry its digest. A plan that cannot be shown
whole cannot be approved here.
"""

from __future__ import annotations

from datetime import datetime

from bot.domain.people import TOCSIN
from bot.domain.run import Run, RunState, StepRun, StepState
from bot.domain.runbook import Step
from bot.room import blocks as kit
from bot.room import mrkdwn
from bot.room.blocks import Block, Message

PLAN_BLOCKS = 2
SHOWN_STEPS = 12

STEP_MARKS = {
    StepState.PENDING: "▫️",
    StepState.WAITING: "✋",
    StepState.APPROVED: "⏳",
    StepState.DOING: "⏳",
    StepState.CHECKING: "🔎",
    StepState.DONE: "✅",
    StepState.FAILED: "❌",
    StepState.UNSURE: "❓",
}
RUN_MARKS = {
    RunState.PLANNING: "🔎",
    RunState.WAITING: "✋",
    RunState.RUNNING: "⏳",
    RunState.SUCCEEDED: "✅",
    RunState.FAILED: "❌",
    RunState.REFUSED: "🚫",
    RunState.EXPIRED: "⌛",
    RunState.UNSURE: "❓",
}
RUN_WORDS = {
    RunState.PLANNING: "Looking at what would have to change.",
    RunState.RUNNING: "It is under way.",
    RunState.SUCCEEDED: "Every step is done and was checked.",
    RunState.FAILED: "It stopped at a step that failed.",
    RunState.REFUSED: "Somebody said no. What was not approved was not done.",
    RunState.EXPIRED: "Nobody answered in time, which means no. What was not approved was not done.",
    RunState.UNSURE: "*It is not known whether this step took effect.* Look before anybody does it again.",
}


def run_message(run: Run) -> Message:
    """Brought up to date in place at every move of the run."""
    waiting = run.state is RunState.WAITING
    shown: list[Block] = [
        kit.header(f"{RUN_MARKS[run.state]} {run.ref} {run.runbook.title}"),
        kit.section(_lead(run)),
        kit.section(mrkdwn.clip(_steps(run), 2000)),
    ]
    plan, whole = _plan(run.current)
    if run.current.drifted and waiting:
        shown.append(
            kit.section("⚠️ *The plan has changed* since it was shown. Earlier approvals do not count for this one.")
        )
    shown += plan
    if waiting:
        shown += _question(run, whole)
    if run.ended and run.current.message:
        shown.append(kit.section(f"*Why it ended*\n{mrkdwn.escape(run.current.message, 1500)}"))
    shown.append(kit.context(_footer(run)))
    text = f"{RUN_MARKS[run.state]} {run.ref} {mrkdwn.line(run.runbook.title)}: {_summary(run)}"
    return Message(text, kit.bounded(shown))


def _summary(run: Run) -> str:
    if run.state is RunState.WAITING:
        return f"step {run.step + 1} of {len(run.steps)} waits for an approval"
    return str(run.state)


def _lead(run: Run) -> str:
    if run.state is RunState.WAITING:
        spec = run.spec
        return f"Step {run.step + 1} of {len(run.steps)} waits for your approval: {mrkdwn.bold(spec.title or spec.id)}"
    return RUN_WORDS[run.state]


def _steps(run: Run) -> str:
    pairs = list(zip(run.runbook.steps, run.steps, strict=True))
    first = max(0, min(run.step - SHOWN_STEPS // 2, len(pairs) - SHOWN_STEPS))
    shown = [_step(number + 1, spec, step) for number, (spec, step) in enumerate(pairs)][first : first + SHOWN_STEPS]
    before = [f"… {first} before"] if first else []
    after = [f"… {len(pairs) - first - SHOWN_STEPS} after"] if len(pairs) > first + SHOWN_STEPS else []
    return "\n".join([*before, *shown, *after])


def _step(number: int, spec: Step, step: StepRun) -> str:
    title = mrkdwn.line(spec.title or spec.id, 120)
    already = step.state is StepState.DONE and not step.changed and step.plan is not None and not step.plan
    note = "checked, nothing had to change" if already else _step_note(step)
    by = ", ".join(mrkdwn.line(approver.actor.name, 60) for approver in step.approvals)
    approved = f" (approved by {by})" if by and step.state is not StepState.WAITING else ""
    return f"{STEP_MARKS[step.state]} {number}. {title}{f': {note}' if note else ''}{approved}"


def _step_note(step: StepRun) -> str:
    if step.state is StepState.CHECKING:
        until = f" until {mrkdwn.date(step.check_until)}" if step.check_until else ""
        return f"checking that it took effect{until}"
    if step.state in (StepState.DONE, StepState.FAILED, StepState.UNSURE):
        return mrkdwn.line(step.message, 150)
    return ""


def _plan(step: StepRun) -> tuple[list[Block], bool]:
    """The plan of the current step, and whether all of it is shown."""
    if step.plan is None:
        return [], True
    texts, left_out = mrkdwn.code_blocks(step.plan.lines(), most=PLAN_BLOCKS)
    shown = [kit.section(text) for text in texts]
    if left_out:
        shown.append(kit.context(f"{left_out} more lines of this plan do not fit here."))
    return shown, not left_out


def _question(run: Run, whole: bool) -> list[Block]:
    """Why it asks, who may answer, what happens if nobody does, and the buttons."""
    wanted, step = run.runbook.approve, run.current
    writes = run.current.plan is not None and bool(run.current.plan)
    have = len(step.approvals)
    people = f"{wanted.people} different people" if wanted.people > 1 else "one person"
    rule = f"It needs {people} of the role {mrkdwn.code(wanted.role)}"
    rule += f", not {mrkdwn.line(run.requested_by.name)}, who asked for it" if wanted.not_requester else ""
    got = f"; {have} approved: {mrkdwn.line(', '.join(a.actor.name for a in step.approvals))}" if have else ""
    silence = f" Without an answer by {mrkdwn.date(step.expires_at)} nothing is done." if step.expires_at else ""
    asked = kit.context(f"Asked because this step changes something. {rule}{got}.{silence}")
    value = f"{run.id}:{run.spec.id}:{step.plan.digest if step.plan else ''}"
    no = kit.button("No", kit.REFUSE, value)
    if not whole:
        told = "This plan is too long to be shown whole, so it cannot be approved here. Split the step, or use the command line."
        return [asked, kit.section(f"⚠️ {told}"), kit.actions(no)]
    sure = kit.confirm(
        f"Approve step {run.step + 1} of {run.ref}?",
        f"It changes {mrkdwn.bold(step.plan.target if step.plan else '', 150)} exactly as the plan says.",
        "Approve",
        style="danger",
    )
    yes = kit.button(
        "Approve", kit.APPROVE, value, style="danger" if writes else "primary", confirm=sure if writes else None
    )
    return [asked, kit.actions(yes, no)]


def _footer(run: Run) -> str:
    asked = (
        "offered by Tocsin"
        if run.requested_by.id == TOCSIN.id
        else f"asked for by {mrkdwn.line(run.requested_by.name)}"
    )
    ended = f", ended {mrkdwn.date(run.ended_at)}" if isinstance(run.ended_at, datetime) else ""
    return f"Runbook {mrkdwn.code(run.runbook.name)}, {asked} {mrkdwn.date(run.created_at)}{ended}"
