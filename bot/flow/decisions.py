"""What people decide about a run: approve, refuse, break the glass, answer, pause, resume, cancel, undo. Called by Slack, and by the command line.

Each decision is one transaction with the run's row locked: a click is never lost and never counts twice. BadInput says why one does not count.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from bot.domain import run as runs
from bot.domain import step as moves
from bot.domain.approval import answer_objection, glass_objection, objection, stale
from bot.domain.expand import revocable
from bot.domain.naming import clipped
from bot.domain.people import Actor
from bot.domain.ports import Clock, Redact, Store, Tx
from bot.domain.rules import CurrentRules, Rules
from bot.domain.run import Run, RunState
from bot.domain.step import Approver, StepRun, StepState
from bot.errors import BadInput
from bot.flow.ending import conclude, left_behind, undo_begun
from bot.flow.incidents import known
from bot.flow.telling import Told, known_run, saved, up_now

LONGEST_ANSWER = 3000


class Decisions:
    """Every function answers in words for the person who decided."""

    def __init__(self, store: Store, clock: Clock, rules: CurrentRules, redact: Redact) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._redact = redact

    async def approve(self, run_id: int, step_id: str, digest: str, actor: Actor) -> str:
        """Count a click on Approve."""

        async def decide(tx: Tx, run: Run, rules: Rules, now: datetime) -> str:
            step = _asked(run, step_id, digest, now)
            refused = objection(run, step, actor, rules.directory, rules.actions) or await _held(
                tx, run, step, rules, now
            )
            if refused:
                raise BadInput(refused)
            return await _approved(tx, run, step, Approver(actor=actor, digest=digest, at=now), now)

        return await self._decided(run_id, decide)

    async def break_glass(self, run_id: int, step_id: str, digest: str, reason: str, actor: Actor) -> str:
        """Approve alone, past a freeze, a cooldown or a rate: by who may, with a reason, on record."""
        reason = clipped(self._redact(" ".join(reason.split())), 500)

        async def decide(tx: Tx, run: Run, rules: Rules, now: datetime) -> str:
            step = _asked(run, step_id, digest, now)
            refused = glass_objection(reason, actor, rules.directory, rules.actions)
            if refused:
                raise BadInput(refused)
            approver = Approver(actor=actor, digest=digest, at=now, broke_glass=reason)
            return await _approved(tx, run, step, approver, now)

        return await self._decided(run_id, decide)

    async def refuse(self, run_id: int, step_id: str, digest: str, actor: Actor) -> str:
        """A No by somebody who could have said yes ends the run."""

        async def decide(tx: Tx, run: Run, rules: Rules, now: datetime) -> str:
            step = _asked(run, step_id, digest, now)
            refused = objection(run, step, actor, rules.directory, rules.actions)
            if refused and not any(earlier.actor.id == actor.id for earlier in step.approvals):
                raise BadInput(refused)
            said_no = run.with_steps(step.id, [moves.skipped(step, f"{actor.name} said no", now)])
            await _ended(tx, said_no, RunState.REFUSED, f"{actor.name} said no", now, actor)
            left = left_behind(run)
            return f"{run.ref} is refused. {left[0].upper()}{left[1:]}."

        return await self._decided(run_id, decide)

    async def answer(self, run_id: int, step_id: str, answer: str, actor: Actor) -> str:
        """What somebody answers to a step that asks, or that they have done what it asks for."""
        answer = clipped(self._redact(answer.strip()), LONGEST_ANSWER)

        async def decide(tx: Tx, run: Run, rules: Rules, now: datetime) -> str:
            refused = answer_objection(run, step_id, answer, actor, rules.directory, rules.actions)
            step = run.find(step_id)
            if step is not None and step.expires_at is not None and now >= step.expires_at:
                refused = refused or f"The time to answer {run.ref} is over. Nothing was done."
            if refused or step is None:
                raise BadInput(refused or f"{run.ref} has no step {step_id}.")
            said = f"{actor.name}: {answer}" if answer else f"done by {actor.name}"
            kept = {"answer": answer, "by": actor.name}
            after = runs.moved(run.with_steps(step_id, [moves.finished(step, said, now, kept)]), now)
            told = Told("run_answered", f"{run.ref}: {step.title}: {said}", actor, after.find(step_id))
            incident = await saved(tx, await known(tx, run.incident_id), after, now, told, up_now(after, now, run))
            if after.ended:
                await conclude(tx, incident, after, now)
            return f"Kept: {answer}" if answer else f"Kept: {step.title} is done."

        return await self._decided(run_id, decide)

    async def pause(self, run_id: int, actor: Actor) -> str:
        """Nothing new is begun; what is in flight comes to its end."""

        async def decide(tx: Tx, run: Run, rules: Rules, now: datetime) -> str:
            _may(run, actor, rules)
            if run.paused_by:
                return f"{run.ref} is paused already, by {run.paused_by}."
            paused = run.model_copy(update={"paused_by": actor.name})
            told = Told("run_paused", f"{actor.name} paused {run.ref}", actor)
            await saved(tx, await known(tx, run.incident_id), paused, now, told)
            flying = [step.title for step in run.steps if step.state in moves.ACTING]
            rest = f" {flying[0]} is in flight and comes to its end." if flying else ""
            return f"{run.ref} is paused: nothing new is begun before somebody resumes it.{rest}"

        return await self._decided(run_id, decide)

    async def resume(self, run_id: int, actor: Actor) -> str:
        async def decide(tx: Tx, run: Run, rules: Rules, now: datetime) -> str:
            _may(run, actor, rules)
            if not run.paused_by:
                return f"{run.ref} is not paused; it is {run.state}."
            going = run.model_copy(update={"paused_by": ""})
            told = Told("run_resumed", f"{actor.name} resumed {run.ref}", actor)
            await saved(tx, await known(tx, run.incident_id), going, now, told, up_now(going, now))
            return f"{run.ref} goes on."

        return await self._decided(run_id, decide)

    async def cancel(self, run_id: int, actor: Actor) -> str:
        """It ends here; an act in flight comes back first, so that it is known what has been done."""

        async def decide(tx: Tx, run: Run, rules: Rules, now: datetime) -> str:
            _may(run, actor, rules)
            ended = await _ended(tx, run, RunState.CANCELLED, f"{actor.name} cancelled it", now, actor)
            if not ended:
                return f"{run.ref} ends as soon as what is in flight has come back."
            undo = " Undo takes back what it did." if any(step.undo for step in run.steps if step.changed) else ""
            return f"{run.ref} is cancelled; {left_behind(run)}.{undo}"

        return await self._decided(run_id, decide)

    async def undo(self, run_id: int, actor: Actor) -> str:
        """Begin a run that takes back what this one changed; it plans and asks like any other."""

        async def decide(tx: Tx, run: Run, rules: Rules, now: datetime) -> str:
            refused = rules.actions.start_refusal(actor, rules.directory)
            if refused:
                raise BadInput(f"{refused}. Nothing was done.")
            if not run.ended:
                raise BadInput(f"{run.ref} is {run.state}: cancel it first, then undo it.")
            earlier = await tx.run(run.undone_by) if run.undone_by else None
            if earlier is not None and (not earlier.ended or earlier.state is RunState.SUCCEEDED):
                raise BadInput(f"{run.ref} is taken back by {earlier.ref} already (it is {earlier.state}).")
            undo = await undo_begun(tx, await known(tx, run.incident_id), run, actor, now)
            return f"{undo.ref} looks at what it takes to undo {run.ref}. Its plan comes into the channel; nothing is done before it is approved."

        return await self._decided(run_id, decide)

    async def _decided(self, run_id: int, decide: Callable[[Tx, Run, Rules, datetime], Awaitable[str]]) -> str:
        rules, now = self._rules(), self._clock()

        async def work(tx: Tx) -> str:
            return await decide(tx, await known_run(tx, run_id), rules, now)

        return await self._store.write(work)


def _asked(run: Run, step_id: str, digest: str, now: datetime) -> StepRun:
    """The step that a click is about, if it is about what the run asks now."""
    wrong, step = stale(run, step_id, digest, now), run.find(step_id)
    if wrong or step is None:
        raise BadInput(wrong or f"{run.ref} has no step {step_id}.")
    return step


def _may(run: Run, actor: Actor, rules: Rules) -> None:
    refused = rules.actions.start_refusal(actor, rules.directory)
    if refused:
        raise BadInput(f"{refused}. Nothing was done.")
    if run.ended:
        undo = " `undo` takes back what it changed." if revocable(run) and run.undone_by is None else ""
        raise BadInput(f"{run.ref} has ended ({run.state}), so it cannot be paused, resumed or cancelled.{undo}")


async def _held(tx: Tx, run: Run, step: StepRun, rules: Rules, now: datetime) -> str | None:
    if step.target is None:
        return None
    touches = await tx.touches(now - rules.actions.memory)
    held = rules.actions.hold(step.target, run.id, touches, now, run.undoes)
    return f"{held}. Nothing was done." if held else None


async def _approved(tx: Tx, run: Run, step: StepRun, approver: Approver, now: datetime) -> str:
    people, actor = run.approval(step).people, approver.actor
    after = moves.approved(step, approver, people)
    going = runs.moved(run.with_steps(step.id, [after]), now)
    text = f"{actor.name} approved {run.ref}, step {step.id}"
    data = {}
    if approver.broke_glass:
        text = f"{actor.name} BROKE THE GLASS for {run.ref}, step {step.id}: {approver.broke_glass}"
        data = {"broke_glass": approver.broke_glass}
    told = Told("run_glass_broken" if approver.broke_glass else "run_approved", text, actor, after, data)
    due = {step.id: now} if after.state is StepState.APPROVED else {}
    await saved(tx, await known(tx, run.incident_id), going, now, told, due)
    missing = people - len(after.approvals)
    if after.state is not StepState.APPROVED:
        return f"Approved. {run.ref} needs {missing} more of {run.approval(step).role}; nothing is done before."
    paused = f", but {run.paused_by} has paused it: resume it" if run.paused_by else ""
    return f"Approved: {run.ref} goes on{paused}."


async def _ended(tx: Tx, run: Run, state: RunState, words: str, now: datetime, actor: Actor) -> bool:
    """End a run; False when something is in flight that has to come back first."""
    after = runs.moved(runs.stopped(run, state, words), now)
    incident = await known(tx, run.incident_id)
    if after.ended:
        await conclude(tx, incident, after, now, actor)
    else:
        told = Told(
            "run_stopping", f"{actor.name} stops {run.ref}; it ends when what is in flight has come back", actor
        )
        await saved(tx, incident, after, now, told)
    return after.ended
