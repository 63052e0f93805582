"""Whether a click on Approve counts: of exactly this plan, in time, by somebody who may. Called by flow/runbooks."""

from __future__ import annotations

from datetime import datetime

from bot.domain.people import Actor, Directory
from bot.domain.run import Run, StepState


def objection(run: Run, step_id: str, digest: str, actor: Actor, directory: Directory, now: datetime) -> str | None:
    """Why this approval does not count, in words for whoever clicked; None when it does."""
    wanted = run.runbook.approve
    step = run.current
    if run.ended or step.state is not StepState.WAITING or run.spec.id != step_id:
        return f"{run.ref} is not waiting for this approval any more (it is {run.state}). Nothing was done."
    if step.plan is None or step.plan.digest != digest:
        return f"The plan of {run.ref} has changed since that message. Look at the plan as it is now, and approve that one. Nothing was done."
    if step.expires_at is None or now >= step.expires_at:
        return f"The time to approve {run.ref} is over. Start the runbook again with `/incident runbook {run.runbook.name}`. Nothing was done."
    if not directory.has_role(actor, wanted.role):
        members = ", ".join(directory.roles.get(wanted.role, ())) or "nobody"
        return f"Only the role {wanted.role} may approve {run.ref} (now: {members}). Ask one of them. Nothing was done."
    if wanted.not_requester and actor.id == run.requested_by.id:
        return f"Whoever asked for {run.ref} cannot approve it as well. Ask somebody else of {wanted.role}. Nothing was done."
    if any(earlier.actor.id == actor.id for earlier in step.approvals):
        return f"You have approved {run.ref} already; it needs {wanted.people} different people."
    return None
