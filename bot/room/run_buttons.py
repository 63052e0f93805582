"""The buttons of a run's message, and what a click on one is about. Drawn by runs.py and questions.py, read again by bot.entry.slack.

A value is `3` (the run) or `3:mark:step`: the run first, the step last, because a step's id may have dots and brackets in it (`undo.drain[2]`).
The mark is the digest of the plan, or the number of an answer; the texts of plans and answers never come from a button.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.domain.expand import revocable
from bot.domain.run import Run, RunState
from bot.domain.step import StepRun
from bot.errors import BadInput
from bot.room import blocks as kit
from bot.room import mrkdwn
from bot.room.blocks import Block

NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_ABOUT = re.compile(r"([1-9][0-9]{0,8}):([0-9a-f]{0,64}):([a-z][a-z0-9_.\[\]-]{0,999})")


@dataclass(frozen=True, slots=True)
class About:
    """One step of a run, and the plan or the answer that a button stands for."""

    run_id: int
    mark: str
    step_id: str

    def __str__(self) -> str:
        return f"{self.run_id}:{self.mark}:{self.step_id}"


def about(value: str) -> About:
    """What a button says it is about; BadInput when it says nothing that Tocsin could have written."""
    found = _ABOUT.fullmatch(value)
    if found is None:
        raise BadInput(
            "This button does not say which step of which run it is about. Use the run's newest message. Nothing was done."
        )
    return About(int(found[1]), found[2], found[3])


def about_run(value: str) -> int:
    """The number of the run that a button is about."""
    if not NUMBER.fullmatch(value):
        raise BadInput(
            "This button does not say which run it is about. Use the run's newest message. Nothing was done."
        )
    return int(value)


# ------------------------------------------------------------------------------------------------ about one step


def approving(run: Run, step: StepRun, number: int, *, whole: bool) -> Block:
    """Approve, No and Break glass for the plan that a step waits with; No alone for a plan that is not shown whole."""
    digest = step.plan.digest if step.plan else ""
    value = str(About(run.id, digest, step.id))
    no = kit.button("No", kit.REFUSE, value)
    if not whole:
        return kit.actions(no)
    sure = kit.confirm(
        f"Approve step {number} of {run.ref}?",
        f"It changes {mrkdwn.bold(step.plan.target if step.plan else '', 150)} exactly as the plan says.",
        "Approve",
        "Not yet",
        style="danger",
    )
    return kit.actions(
        kit.button("Approve", kit.APPROVE, value, style="danger", confirm=sure),
        no,
        kit.button("Break glass …", kit.GLASS, value),
    )


def answering(run: Run, step: StepRun, labels: list[str]) -> Block:
    """A button per choice of a question, or Done for something that a person does."""
    if labels:
        return kit.actions(
            *(
                kit.button(label, f"{kit.ANSWER}_{number}", str(About(run.id, str(number), step.id)))
                for number, label in enumerate(labels)
            )
        )
    asks = step.question is not None and bool(step.question.text)
    done = kit.button("Done …" if asks else "Done", kit.DONE, str(About(run.id, "", step.id)), style="primary")
    return kit.actions(done)


# ------------------------------------------------------------------------------------------------ about the whole run


def controls(run: Run) -> list[Block]:
    """What can be done with the run itself, by whoever may start runs."""
    if run.ended:
        return _after(run)
    value = str(run.id)
    if run.stopping is not None:
        return []
    pause = kit.button("Pause", kit.PAUSE, value)
    resume = kit.button("Resume", kit.RESUME, value, style="primary")
    sure = kit.confirm(
        f"Cancel {run.ref}?",
        "It ends here, and what is in flight comes back first. What was done stays done; Undo takes it back.",
        "Cancel the run",
        "Let it go on",
        style="danger",
    )
    return [kit.actions(resume if run.paused_by else pause, kit.button("Cancel run", kit.CANCEL, value, confirm=sure))]


def _after(run: Run) -> list[Block]:
    """Undo for what can be taken back. An undo that came to nothing offers itself again: the first run's message does not hear of it."""
    if run.undoes is not None and run.state is not RunState.SUCCEEDED:
        return [
            kit.actions(_undo(f"Undo RUN-{run.undoes} again", str(run.undoes), f"what RUN-{run.undoes} has changed"))
        ]
    takeable = revocable(run)
    if not takeable or run.undone_by is not None:
        return []
    titles = ", ".join(step.title for step in reversed(takeable))
    return [kit.actions(_undo("Undo", str(run.id), mrkdwn.bold(titles, 150)))]


def _undo(label: str, value: str, what: str) -> Block:
    sure = kit.confirm(
        f"Undo RUN-{value}?",
        f"Plan how to take back {what}. The plan is shown first; nothing is done before it is approved.",
        "Plan the undo",
        "Leave it",
    )
    return kit.button(label, kit.UNDO, value, confirm=sure)
