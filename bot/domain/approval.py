"""Whether a click counts: of exactly this plan, in time, by somebody who may. Called by flow/decisions."""

from __future__ import annotations

from datetime import datetime

from bot.domain.people import Actor, Directory
from bot.domain.policy import Policy
from bot.domain.run import Run
from bot.domain.step import StepRun, StepState

UNDONE = "Nothing was done."


def stale(run: Run, step_id: str, digest: str, now: datetime) -> str | None:
    """Why this click is not about what the run asks now, in words for whoever clicked; None when it is."""
    step = run.find(step_id)
    if run.ended or run.stopping or step is None or step.state is not StepState.WAITING:
        is_now = f"{step_id} is {step.state}, the run is {run.state}" if step else f"it is {run.state}"
        return f"{run.ref} is not waiting for this approval any more ({is_now}). {UNDONE}"
    if step.plan is None or step.plan.digest != digest:
        return f"The plan of {run.ref} has changed since that message. Look at the plan as it is now, and approve that one. {UNDONE}"
    if step.expires_at is None or now >= step.expires_at:
        again = f"`/incident runbook {run.runbook.name}`"
        return f"The time to approve {run.ref} is over. Start the runbook again with {again}. {UNDONE}"
    return None


def objection(run: Run, step: StepRun, actor: Actor, directory: Directory, policy: Policy) -> str | None:
    """Why this person's approval does not count; None when it does."""
    wanted = run.approval(step)
    refused = policy.approve_refusal(actor, directory)
    if refused:
        return f"{refused}. {UNDONE}"
    if not directory.has_role(actor, wanted.role):
        return f"Only the role {wanted.role} may approve {run.ref} (now: {_members(wanted.role, directory)}). Ask one of them. {UNDONE}"
    if wanted.not_requester and actor.id == run.requested_by.id:
        return f"Whoever asked for {run.ref} cannot approve it as well. Ask somebody else of {wanted.role}. {UNDONE}"
    if any(earlier.actor.id == actor.id for earlier in step.approvals):
        return f"You have approved {run.ref} already; it needs {wanted.people} different people. Ask somebody else of {wanted.role}."
    return None


def glass_objection(reason: str, actor: Actor, directory: Directory, policy: Policy) -> str | None:
    """Why the glass is not broken for this person; None when it is."""
    if not policy.may_break_glass(actor, directory):
        return policy.glass_refusal(actor)
    if len(reason.strip()) < 5:
        return f"Breaking the glass needs a reason in words: it stands in the timeline and in the post-mortem. {UNDONE}"
    return None


def answer_objection(
    run: Run, step_id: str, answer: str, actor: Actor, directory: Directory, policy: Policy
) -> str | None:
    """Why this answer to a step's question does not count; None when it does."""
    step = run.find(step_id)
    if run.ended or run.stopping or step is None or step.state is not StepState.ASKING or step.question is None:
        is_now = f"{step_id} is {step.state}, the run is {run.state}" if step else f"it is {run.state}"
        return f"{run.ref} does not ask this any more ({is_now}). {UNDONE}"
    question = step.question
    if question.role and not directory.has_role(actor, question.role):
        return f"Only the role {question.role} may answer this (now: {_members(question.role, directory)}). {UNDONE}"
    refused = None if question.role else policy.start_refusal(actor, directory)
    if refused:
        return f"{refused}. {UNDONE}"
    if question.choices and answer not in question.choices:
        return f"{answer[:60]!r} is not one of {', '.join(question.choices)}. {UNDONE}"
    if question.text and not question.choices and not answer.strip():
        return f"An answer is needed: {question.text}."
    return None


def _members(role: str, directory: Directory) -> str:
    return ", ".join(directory.name_of(f"person:{key}") for key in directory.roles.get(role, ())) or "nobody"
