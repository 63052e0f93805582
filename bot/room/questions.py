"""What a run asks of people, in its message: the plan whole, why it is asked, what a No means, and the buttons. Pure; used by runs.py.

An approval is of a plan: the plan stands here exactly as `Plan.lines()` gives it, and the buttons carry its digest. A plan that cannot be shown
whole cannot be approved here.
"""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.expand import revocable
from bot.domain.naming import english_list
from bot.domain.people import Directory
from bot.domain.run import Run
from bot.domain.step import ACTING, StepRun, StepState
from bot.room import blocks as kit
from bot.room import mrkdwn, run_buttons
from bot.room.blocks import Block

SHOWN_QUESTIONS = 3
PLAN_BLOCKS = 2
TEXTS = PLAN_BLOCKS * mrkdwn.SECTION  # characters of plans and questions in one message
SHOWN_NAMES = 6
CHOICE = 70  # characters of a choice that its button shows


def asked(run: Run) -> list[StepRun]:
    """The steps that wait for somebody, in their order. A run that is ending asks nothing any more."""
    if run.stopping is not None:
        return []
    return [step for step in run.under_way if step.state in (StepState.WAITING, StepState.ASKING)]


def questions(run: Run, directory: Directory) -> list[Block]:
    """The first questions whole, each with its buttons; how many more come after these."""
    waiting = asked(run)
    shown: list[Block] = []
    left, count = TEXTS, 0
    for step in waiting[:SHOWN_QUESTIONS]:
        texts, whole = _texts(step)
        used = sum(map(len, texts))
        if count and (used > left or not whole):
            break
        left, count = left - used, count + 1
        if len(waiting) > 1:
            shown += [kit.divider(), kit.section(f"✋ *Step {_number(run, step)}:* {mrkdwn.bold(step.title, 200)}")]
        shown += _question(run, step, texts, whole, directory)
    more = len(waiting) - count
    if more:
        verb = "waits" if more == 1 else "wait"
        shown.append(kit.context(f"and {more} more {verb} for somebody; they are shown after these are answered"))
    return shown


def _texts(step: StepRun) -> tuple[list[str], bool]:
    """The plan or the question of a step as the texts of sections, and whether all of it is in them."""
    if step.question is not None and step.state is StepState.ASKING:
        words = step.question.words
        return mrkdwn.split(words, most=PLAN_BLOCKS) or ["–"], True
    if step.plan is None:
        return [], True
    texts, left_out = mrkdwn.code_blocks(step.plan.lines(), most=PLAN_BLOCKS)
    return texts, not left_out


def _question(run: Run, step: StepRun, texts: Sequence[str], whole: bool, directory: Directory) -> list[Block]:
    if step.state is StepState.ASKING:
        return _answers(run, step, texts, directory)
    shown: list[Block] = []
    if step.drifted:
        shown.append(
            kit.section("⚠️ *The plan has changed* since it was shown. Earlier approvals do not count for this one.")
        )
    shown += [kit.section(text) for text in texts]
    if step.spec.no_undo:
        shown.append(kit.section(f"⚠️ *Nothing takes this back:* {mrkdwn.line(step.spec.no_undo)}"))
    if not whole:
        told = "This plan is too long to be shown whole, so it cannot be approved here. Say No, and split the step."
        shown.append(kit.section(f"⚠️ {told}"))
    shown.append(kit.context(_why(run, step, directory), _if_no(run, step)))
    return [*shown, run_buttons.approving(run, step, _number(run, step), whole=whole)]


def _why(run: Run, step: StepRun, directory: Directory) -> str:
    """Who has to agree, to what, and until when."""
    wanted, have = run.approval(step), step.approvals
    people = f"{wanted.people} different people" if wanted.people > 1 else "one person"
    rule = f"{people} of the role {mrkdwn.code(wanted.role, 60)}{_members(wanted.role, directory)}"
    other = f", not {mrkdwn.line(run.requested_by.name, 60)}, who asked for it" if wanted.not_requester else ""
    names = mrkdwn.line(english_list(approver.actor.name for approver in have), 200)
    missing = wanted.people - len(have)
    got = f" *{names} approved, {missing} more needed.*" if have else ""
    until = f" Until {mrkdwn.date(step.expires_at)}; no answer means no." if step.expires_at else ""
    times = step.spec.retry.times
    again = f" If it fails, exactly this plan is tried up to {times} more times without asking again." if times else ""
    return f"*Why is this asked?* This step changes something, so it needs {rule}{other}.{got}{until}{again}"


def _if_no(run: Run, step: StepRun) -> str:
    """What is left when somebody says no."""
    flying = any(one.state in ACTING for one in run.steps)
    ends = "The run ends when what is in flight has come back." if flying else "The run ends."
    changed = [one.title for one in run.steps if one.changed]
    if not changed:
        return f"*What if I say no?* {ends} Nothing has been changed so far."
    undo = " *Undo* takes it back." if revocable(run) else ""
    return f"*What if I say no?* {ends} What was done before stays done ({mrkdwn.line(', '.join(changed), 200)}).{undo}"


def _answers(run: Run, step: StepRun, texts: Sequence[str], directory: Directory) -> list[Block]:
    question = step.question
    if question is None:
        return []
    lead = "🙋 *Somebody has to answer this:*" if question.choices else "🙋 *Somebody has to do this by hand:*"
    shown = [kit.section(lead), *(kit.section(text) for text in texts)]
    labels = [mrkdwn.plain(choice, CHOICE) for choice in question.choices]
    if labels != list(question.choices) or len(set(labels)) < len(labels):
        numbered = [f"*{n}.* {mrkdwn.line(choice, 500)}" for n, choice in enumerate(question.choices, start=1)]
        shown.append(kit.section("\n".join(numbered)))
        labels = [mrkdwn.plain(f"{n}. {label}", mrkdwn.BUTTON) for n, label in enumerate(labels, start=1)]
    who = f"the role {mrkdwn.code(question.role, 60)}{_members(question.role, directory)}" if question.role else ""
    by = f"Only {who} counts." if who else "Whoever may start runbooks answers."
    until = f" Without an answer by {mrkdwn.date(step.expires_at)} the run ends." if step.expires_at else ""
    words = " *Done* asks for a few words." if question.text and not labels else ""
    return [*shown, kit.context(f"{by}{words}{until}"), run_buttons.answering(run, step, labels)]


def _members(role: str, directory: Directory) -> str:
    """Who that is, so that nobody has to look it up at night."""
    keys = directory.roles.get(role, ())
    if not keys:
        return " (nobody has it now)" if directory.roles else ""
    names = [directory.people[key].name if key in directory.people else key for key in keys[:SHOWN_NAMES]]
    more = f" and {len(keys) - SHOWN_NAMES} more" if len(keys) > SHOWN_NAMES else ""
    return f" ({mrkdwn.line(', '.join(names), 200)}{more})"


def _number(run: Run, step: StepRun) -> int:
    return run.steps.index(step) + 1
