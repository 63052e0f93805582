"""The moves of a step that acts: look and plan, confirm what was approved, do, look again. Called by advance.py, one move a delivery.

The intent (`doing`) is on record before `do`; whatever happens then, the next move looks before it acts, acts again only with the same key and plan,
and asks a person when it cannot know (P4).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from bot.domain import step as moves
from bot.domain.incident import Incident
from bot.domain.people import TOCSIN
from bot.domain.plan import Unclear
from bot.domain.ports import Clock, Redact
from bot.domain.rules import CurrentRules
from bot.domain.run import Run, RunState
from bot.domain.step import Approver, StepRun, StepState
from bot.errors import BadInput, Drifted, TryLater
from bot.flow.move import Move, ending, failure
from bot.flow.seeing import Seen, Sight


class Acting:
    def __init__(self, sight: Sight, clock: Clock, rules: CurrentRules, redact: Redact) -> None:
        self._sight = sight
        self._clock = clock
        self._rules = rules
        self._redact = redact

    async def begin(self, run: Run, step: StepRun, incident: Incident) -> Move:
        seen = await self._sight.see(run, step, incident)
        self._must_be_allowed(seen)
        return self._planned(run, step, seen)

    def _planned(self, run: Run, step: StepRun, seen: Seen) -> Move:
        now = self._clock()
        said = run.approval(step.to(wanted=None))
        wanted = self._rules().actions.approval(said, seen.action.target(seen.params))
        after = moves.planned(step, seen.look, wanted, now)
        if after.state is not StepState.WAITING:
            return Move(after)
        diffs = "; ".join(str(diff) for diff in seen.plan.diffs)
        unattended = self._unattended(run, step, seen)
        if unattended and not after.drifted:
            told = f"{run.ref} needs no approval for {after.title} ({unattended} lets it run unattended): {seen.plan.target}: {diffs}"
            approver = Approver(actor=TOCSIN, digest=seen.plan.digest, at=now)
            going = moves.approved(after, approver, 1)
            return Move(going, "run_planned", told, data={"unattended": unattended})
        why = "the world has changed, so this needs a new approval" if after.drifted else "waits for approval"
        return Move(
            after, "run_planned", f"{run.ref} {why}: {after.title}: {seen.plan.target}: {diffs}", after.expires_at
        )

    def _unattended(self, run: Run, step: StepRun, seen: Seen) -> str | None:
        """The rule that lets this step go without an approval; for runs that Tocsin itself began, and for undoing what was approved."""
        policy = self._rules().actions
        begun_here = run.requested_by.id == TOCSIN.id
        if run.undoes is not None and begun_here and policy.runbooks.undo == "auto" and not step.authored:
            return f"{policy.where} (runbooks.undo)"
        if run.runbook.start != "auto" or not begun_here:
            return None
        return policy.unattended(seen.action.target(seen.params), seen.plan)

    async def confirm(self, run: Run, step: StepRun, incident: Incident, again: bool) -> Move:
        """Approved: only if the plan is still the one that was approved, and nothing holds it, does the intent go on record."""
        seen = await self._sight.see(run, step, incident)
        self._must_be_allowed(seen)
        if not _as_planned(step, seen) or self._lapsed(run, step, seen):
            return self._planned(run, step, seen)
        intent = moves.intended(step, self._sight.undo(run, seen, step, incident, {}))
        return Move(intent, "run_doing", f"{run.ref} is doing it: {step.title}", takes=seen.action.target(seen.params))

    def _lapsed(self, run: Run, step: StepRun, seen: Seen) -> bool:
        """Whether nobody approved the step but the policy, which does not any more; or the approval is old (the run was paused)."""
        newest = max((approver.at for approver in step.approvals), default=None)
        if newest is not None and step.waits_since is None and self._clock() - newest > run.approval(step).expires:
            return True
        by_policy = all(approver.actor.id == TOCSIN.id for approver in step.approvals)
        return by_policy and self._unattended(run, step, seen) is None

    async def do(self, run: Run, step: StepRun, incident: Incident, again: bool) -> Move:
        """The one place where a runbook changes the world."""
        seen = await self._sight.see(run, step, incident)
        if not seen.plan:
            after = moves.done(step, {"found": "done already"}, step.undo, self._clock())
            return Move(after, "run_done", f"{run.ref}: {step.title} is done already")
        if not _as_planned(step, seen):
            return self._planned(run, step, seen)
        if again and not seen.action.repeatable(seen.params):
            return ending(
                step,
                RunState.UNSURE,
                f"{step.id} may or may not have taken effect before an interruption, and it is not safe to repeat. Look at {seen.plan.target}, "
                f"then start the runbook again if it is needed{'; Undo takes it back if it did' if step.undo else ''}",
                self._clock(),
            )
        try:
            async with asyncio.timeout(step.spec.timeout.total_seconds()):
                result = await seen.action.do(seen.plan, seen.params, run.key(step))
        except TimeoutError as error:
            raise TryLater(
                f"{step.spec.action} did not answer within {step.spec.timeout.total_seconds():g} s", uncertain=True
            ) from error
        except Drifted:
            return Move(step.to(state=StepState.APPROVED))
        diffs = "; ".join(str(diff) for diff in seen.plan.diffs)
        after = moves.done(step, result, self._sight.undo(run, seen, step, incident, result), self._clock())
        return Move(after, "run_done", f"{run.ref} did {step.title}: {seen.plan.target}: {diffs}")

    async def check(self, run: Run, step: StepRun, incident: Incident, again: bool) -> Move:
        """Look again: what the step wanted must show, for as long as it says, before its time is over."""
        verify, now, state = step.spec.verify, self._clock(), dict[str, Any]()
        try:
            seen = await self._sight.see(run, step, incident)
            state = dict(seen.state)
            missing = seen.action.verify(seen.state, seen.params)
            if missing is None and seen.plan and seen.action.observable:
                missing = "it has not taken effect: " + "; ".join(str(diff) for diff in seen.plan.diffs)
            missing = missing or self._sight.until(run, step, incident, state)
        except TryLater as error:
            missing = Unclear(error)
        if missing is None:
            since = step.holds_since or now
            if now - since >= verify.for_:
                return self._verified(run, step, incident, state)
            return Move(
                step.to(message="it holds", holds_since=since), due=min(now + verify.every, since + verify.for_)
            )
        if step.check_until is not None and now >= step.check_until:
            words = self._redact(f"{step.id} did not verify: {missing}")
            return failure(run, step, words, now, looked=not isinstance(missing, Unclear))
        return Move(step.to(message=missing, holds_since=None), due=now + verify.every)

    def _verified(self, run: Run, step: StepRun, incident: Incident, state: Mapping[str, Any]) -> Move:
        outputs = self._sight.outputs(run, step, incident, state)
        verb = "changed and verified" if step.changed else "checked, nothing to change"
        return Move(
            moves.finished(step, "verified", self._clock(), outputs), "run_verified", f"{run.ref}: {step.title}: {verb}"
        )

    def _must_be_allowed(self, seen: Seen) -> None:
        refusal = self._rules().actions.refusal(seen.action.target(seen.params), seen.plan)
        if refusal:
            raise BadInput(f"{refusal}. Nothing was done in this step")


def _as_planned(step: StepRun, seen: Seen) -> bool:
    """Whether this is what was approved: the same changes, by the same parameters."""
    same = step.plan is not None and bool(seen.plan) and seen.plan.digest == step.plan.digest
    return same and step.params == seen.look.params
