"""The one message of a run: what it would do, who may let it, what became of it. Pure; posted by room.py.

Read by somebody woken at three in the morning: what it waits for comes first, what is asked and its buttons come last, nearest to the thumb.
"""

from __future__ import annotations

from bot.domain.expand import revocable
from bot.domain.people import TOCSIN, Directory
from bot.domain.run import Run, RunState
from bot.domain.step import ACTING, StepRun, StepState
from bot.room import blocks as kit
from bot.room import mrkdwn, run_steps
from bot.room.blocks import Block, Message
from bot.room.questions import asked, questions
from bot.room.run_buttons import controls

CHARACTERS = 12_000  # of the whole message; outputs get what the rest leaves
SHOWN_OUTPUTS = 3
# What is longer is a file beside the message (flow/telling asks for it by the same measure; a test compares them).

RUN_MARKS = {
    RunState.PLANNING: "🔎",
    RunState.WAITING: "✋",
    RunState.RUNNING: "⏳",
    RunState.SUCCEEDED: "✅",
    RunState.FAILED: "❌",
    RunState.REFUSED: "🚫",
    RunState.EXPIRED: "⌛",
    RunState.UNSURE: "❓",
    RunState.CANCELLED: "⏹️",
}
ENDED_WORDS = {
    RunState.FAILED: "*It stopped at a step that failed.*",
    RunState.REFUSED: "*Somebody said no.* What was not approved was not done.",
    RunState.EXPIRED: "*It ended without an answer, which means no.* What was not approved was not done.",
    RunState.CANCELLED: "*Somebody cancelled it.* What was not begun was not done.",
}


def run_message(run: Run, directory: Directory | None = None) -> Message:
    """Brought up to date in place at every move of the run. `directory`: whose names are behind the roles."""
    above: list[Block] = [
        kit.header(f"{mark(run)} {run.ref} {run.runbook.title}"),
        kit.section(_lead(run)),
        *_description(run),
        kit.section("\n".join(part for part in (run_steps.tally(run), run_steps.steps(run)) if part)),
        *_broken_glass(run),
    ]
    below = [*questions(run, directory or Directory()), *_ended(run), *controls(run), kit.context(_footer(run))]
    left = CHARACTERS - kit.characters_in([*above, *below])
    text = f"{mark(run)} {run.ref} {mrkdwn.line(run.runbook.title)}: {summary(run)}"
    return Message(text, kit.bounded([*above, *_outputs(run, left), *below]))


def summary(run: Run) -> str:
    """Where it is, in a few words: in the notification, on the card, in lists."""
    undone = f", RUN-{run.undone_by} takes it back" if run.undone_by else ""
    if run.ended:
        return f"{run.state}{undone}"
    if run.stopping is not None:
        return "ends as soon as what is in flight has come back"
    paused = f"paused by {mrkdwn.line(run.paused_by, 60)}, " if run.paused_by else ""
    where = f"step {run.number} of {len(run.steps)}"
    waiting = asked(run)
    if len(waiting) > 1:
        return f"{paused}{len(waiting)} steps wait for somebody"
    if waiting:
        what = "waits for an approval" if waiting[0].state is StepState.WAITING else "asks somebody"
        return f"{paused}{where} {what}"
    if run.current.waits_for:
        return f"{paused}{where} waits for {mrkdwn.line(run.current.waits_for, 100)}"
    return f"{paused}{where}" if run.state is not RunState.PLANNING else f"{paused}{where} is being planned"


def mark(run: Run) -> str:
    """The sign of its state."""
    return "⏸️" if run.paused_by and not run.ended else RUN_MARKS[run.state]


# ------------------------------------------------------------------------------------------------ the sentence to read first


def _lead(run: Run) -> str:
    lines = [_now(run)]
    if run.undoes is not None:
        lines.append(f"This takes back RUN-{run.undoes}.")
    if run.paused_by and not run.ended:
        flying = [step.title for step in run.steps if step.state in ACTING]
        rest = f" {mrkdwn.bold(flying[0], 100)} is in flight and comes to its end." if flying else ""
        how = f"Press *Resume*, or type `/incident run {run.ref} resume`."
        lines.append(f"⏸️ *Paused by {mrkdwn.line(run.paused_by, 60)}.* Nothing new is begun.{rest} {how}")
    return "\n".join(lines)


def _description(run: Run) -> list[Block]:
    """What the runbook does, while somebody has to decide about it."""
    described = mrkdwn.escape(run.runbook.description, 500).strip()
    return [kit.context(described)] if described and asked(run) else []


def _now(run: Run) -> str:
    if run.state is RunState.SUCCEEDED:
        return _succeeded(run)
    if run.state is RunState.UNSURE:
        return _unsure(run)
    if run.ended:
        return ENDED_WORDS[run.state]
    if run.stopping is not None:
        why = f": {mrkdwn.line(run.message)}" if run.message else "."
        return f"*It is ending* as soon as what is in flight has come back{why}"
    waiting, where = asked(run), f"Step {run.number} of {len(run.steps)}"
    if len(waiting) > 1:
        return f"*{len(waiting)} steps wait for somebody.* Each is answered by itself."
    if waiting:
        verb = "waits for an approval" if waiting[0].state is StepState.WAITING else "needs somebody"
        return f"*{where} {verb}:* {mrkdwn.bold(waiting[0].title, 200)}"
    if run.current.waits_for:
        return (
            f"*{where} is approved and waits for {mrkdwn.line(run.current.waits_for, 200)}.* Then it goes on by itself."
        )
    if run.state is RunState.PLANNING:
        return "Looking at what would have to change. Nothing has been changed."
    return f"It is under way: step {run.number} of {len(run.steps)}."


def _succeeded(run: Run) -> str:
    tolerated = sum(step.state is StepState.FAILED for step in run.steps)
    if tolerated:
        were = "1 step has failed" if tolerated == 1 else f"{tolerated} steps have failed"
        return f"*It came to its end, but {were}* and it went on all the same, as the runbook says."
    if run.changed:
        return "There was nothing more to do." if run.message else "Every step is done and was checked."
    return "Every step was checked. Nothing had to be changed."


def _unsure(run: Run) -> str:
    step = next((one for one in run.steps if one.state is StepState.UNSURE), run.current)
    where = step.plan.target if step.plan else step.title
    return (
        f"*It is not known whether {mrkdwn.line(step.title, 150)} took effect.*\n"
        f"Look at {mrkdwn.bold(where, 200)} first, before anybody does it again or starts this runbook again."
    )


# ------------------------------------------------------------------------------------------------ what else there is to know


def _broken_glass(run: Run) -> list[Block]:
    broken = [(step, approver) for step in run.steps for approver in step.approvals if approver.broke_glass]
    lines = [
        f"🔨 {mrkdwn.bold(f'{approver.actor.name} broke the glass', 100)} for {mrkdwn.line(step.title, 80)}: {mrkdwn.line(approver.broke_glass, 250)}"
        for step, approver in broken[-SHOWN_OUTPUTS:]
    ]
    return [kit.section("\n".join(lines))] if lines else []


def _outputs(run: Run, left: int) -> list[Block]:
    """What the latest steps have put out, where it is short; long outputs are files in the thread."""
    shown: list[list[Block]] = []
    with_output = [(step, text) for step in run.steps if isinstance(text := step.result.get("output"), str) and text]
    for step, text in reversed(with_output[-SHOWN_OUTPUTS:]):
        blocks = _output(step, text)
        left -= kit.characters_in(blocks)
        if left < 0:
            break
        shown.insert(0, blocks)
    return [block for blocks in shown for block in blocks]


def _output(step: StepRun, text: str) -> list[Block]:
    title = mrkdwn.bold(step.title, 100)
    if step.has_long_output:
        return [kit.context(f"📎 What {title} has put out is a file in the thread of this message.")]
    texts, _ = mrkdwn.code_blocks(text.strip("\n").split("\n"), mrkdwn.SECTION - 200)
    return [kit.section(f"{title} has put out:\n{''.join(texts)}")] if texts else []


def _ended(run: Run) -> list[Block]:
    if not run.ended:
        return []
    shown: list[Block] = []
    why = run.message or (run.current.message if run.state is not RunState.SUCCEEDED else "")
    if why:
        shown.append(kit.section(f"*Why it ended*\n{mrkdwn.escape(why, 1500)}"))
    if run.state is not RunState.SUCCEEDED:
        shown.append(kit.section(_left_behind(run)))
    if run.undone_by is not None:
        shown.append(
            kit.section(
                f"RUN-{run.undone_by} takes back what this run has changed: its own message says how far it is."
            )
        )
    return shown


def _left_behind(run: Run) -> str:
    """What stays as it was changed, and what can be taken back."""
    changed = [step.title for step in run.steps if step.changed]
    if not changed:
        unknown = run.state is RunState.UNSURE
        return "*Changed:* nothing else." if unknown else "*Changed:* nothing."
    takeable = revocable(run)
    stays = [step.title for step in run.steps if step.changed and step not in takeable]
    told = f"*Changed, and left so:* {mrkdwn.line(', '.join(changed), 600)}"
    return told + (f"\nNothing takes back by itself: {mrkdwn.line(', '.join(stays), 300)}" if stays else "")


def _footer(run: Run) -> str:
    verb = (
        "offered by Tocsin"
        if run.requested_by.id == TOCSIN.id
        else f"asked for by {mrkdwn.line(run.requested_by.name, 60)}"
    )
    if run.requested_by.id == TOCSIN.id and (run.runbook.start == "auto" or run.undoes is not None):
        verb = "begun by Tocsin"
    ended = f", ended {mrkdwn.date(run.ended_at)}" if run.ended_at else ""
    return f"Runbook {mrkdwn.code(run.runbook.name)}, {verb} {mrkdwn.date(run.created_at)}{ended}"
