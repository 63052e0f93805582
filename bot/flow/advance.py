"""Moves a run on, one move of one step a delivery: look, plan, (wait for approval), do, look again. Called by the worker for `advance_run`.

The moves and what is committed between them make it crash-safe (P4): the intent (`doing`) is on record before `do`; whatever happens then, the
next move looks before it acts, acts again only with the same key and plan, and asks a person when it cannot know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bot.domain import effects
from bot.domain import run as runs
from bot.domain.effects import Effect
from bot.domain.expand import expanded
from bot.domain.incident import Incident
from bot.domain.people import TOCSIN
from bot.domain.plan import Plan, Target
from bot.domain.policy import Touch
from bot.domain.ports import Clock, Delivery, Redact, Store, Tx
from bot.domain.rules import CurrentRules
from bot.domain.run import ACTING, Approver, Run, RunState, StepRun, StepState
from bot.errors import BadInput, Drifted, GaveUp, TryLater
from bot.flow.delivery import Handler, Record, payload
from bot.flow.ending import conclude
from bot.flow.incidents import known
from bot.flow.seeing import Seen, Sight
from bot.flow.telling import Told, saved, up_now

PATIENCE = timedelta(minutes=15)
LOCK_AGAIN = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Move:
    """What a move made of a step (several: a list was expanded): `kind` and `text` for the timeline (none: nothing to tell), `due` when to come
    back (None: at once), `ends` how the run ends because of it, `takes` the target to take before it counts, `asks` what to ask of the outbox."""

    step: StepRun
    kind: str = ""
    text: str = ""
    due: datetime | None = None
    ends: RunState | None = None
    takes: Target | None = None
    asks: tuple[Effect, ...] = ()
    items: tuple[StepRun, ...] = ()


class Advance:
    """The handler for `advance_run`, and `preview` for the command line."""

    def __init__(self, store: Store, clock: Clock, rules: CurrentRules, sight: Sight, redact: Redact) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._sight = sight
        self._redact = redact
        self._moves: Mapping[StepState, Callable[[Run, StepRun, Incident, bool], Awaitable[Move]]] = {
            StepState.PENDING: self._begin,
            StepState.ASKING: self._wait,
            StepState.RESTING: self._rest,
            StepState.WAITING: self._wait,
            StepState.APPROVED: self._confirm,
            StepState.DOING: self._do,
            StepState.CHECKING: self._check,
        }

    def handlers(self) -> Mapping[str, Handler]:
        return {"advance_run": self.advance}

    async def advance(self, delivery: Delivery) -> Record | None:
        run_id: int = payload(delivery)["run_id"]
        run = await self._store.read(lambda tx: tx.run(run_id))
        if run is None or run.ended:
            return None
        step = run.find(str(payload(delivery).get("step", run.current.id)))
        if step is None or step.over or (run.paused_by and step.state not in ACTING):
            return None
        if run.stopping and step.state not in ACTING:
            return None
        incident = await self._store.read(lambda tx: known(tx, run.incident_id))
        return self._recording(run, step, await self._moved(run, step, incident, delivery.again))

    async def _moved(self, run: Run, step: StepRun, incident: Incident, again: bool) -> Move:
        """One move; whatever goes wrong for good becomes the end of the step."""
        try:
            if _overtaken(run, step, incident):
                return self._ending(
                    run, step, RunState.EXPIRED, f"{incident.ref} is {incident.state}; nothing was done"
                )
            return await self._moves[step.state](run, step, incident, again)
        except (BadInput, GaveUp) as error:
            return self._failure(run, step, str(error))
        except TryLater as error:
            if self._clock() - (step.started_at or run.created_at) < PATIENCE:
                raise
            if step.state is StepState.DOING:
                may = f"{step.id} may or may not have taken effect: {error}. Look before repeating it"
                return self._ending(run, step, RunState.UNSURE, may)
            return self._failure(run, step, str(error))

    async def preview(self, run: Run, incident: Incident) -> list[tuple[str, Plan | str]]:
        """Look and plan every step as the world is now, changing nothing: (step id, its plan or why there is none)."""
        shown: list[tuple[str, Plan | str]] = []
        for step in run.steps:
            try:
                if step.spec.foreach:
                    listed = expanded(step, self._sight.items(run, step, incident), self._clock())
                    shown += [(one.id, await self._previewed(run, one, incident)) for one in listed]
                else:
                    shown.append((step.id, await self._previewed(run, step, incident)))
            except (BadInput, GaveUp, TryLater) as error:
                shown.append((step.id, str(error)))
        return shown

    async def _previewed(self, run: Run, step: StepRun, incident: Incident) -> Plan | str:
        if not self._sight.wanted(run, step, incident):
            return f"skipped: `{step.spec.if_ or 'the condition of its call'}` does not hold"
        doing = self._sight.doing(step)
        params = self._sight.rendered(run, step, incident)
        if doing.way == "asks":
            return f"asks: {doing.question(params).words}"
        if doing.way == "waits":
            return f"waits for {doing.until(params, self._clock()) - self._clock()}"
        if doing.way == "tells":
            return self._rules().actions.refusal(doing.target(params)) or doing.shown(params)
        seen = await self._sight.see(run, step, incident)
        return self._refusal(seen) or seen.plan

    # -------------------------------------------------------------------------------------------- the moves

    async def _begin(self, run: Run, step: StepRun, incident: Incident, again: bool) -> Move:
        """A step's turn has come: is it wanted, is it a list, and what kind of step is it?"""
        now = self._clock()
        if not self._sight.wanted(run, step, incident):
            return Move(
                runs.skipped(step, "not needed here", now),
                "run_skipped",
                f"{run.ref} skips {step.title}: not needed here",
            )
        if step.spec.foreach:
            return Move(step, items=expanded(step, self._sight.items(run, step, incident), now))
        doing = self._sight.doing(step)
        if doing.way == "acts":
            return await self._look_and_plan(run, step, incident)
        params = self._sight.rendered(run, step, incident)
        begun = step.to(params=params.model_dump(mode="json"), started_at=step.started_at or now)
        if doing.way == "asks":
            question = doing.question(params)
            expires = now + question.expires
            asking = begun.to(state=StepState.ASKING, question=question, expires_at=expires)
            return Move(asking, "run_asked", f"{run.ref} asks: {question.words}", expires)
        if doing.way == "waits":
            until = doing.until(params, now)
            return Move(
                begun.to(state=StepState.RESTING, expires_at=until),
                "run_rests",
                f"{run.ref} waits until {until:%H:%M:%S %Z}",
                until,
            )
        refusal = self._rules().actions.refusal(doing.target(params))
        if refusal:
            raise BadInput(refusal)
        told = runs.finished(begun, doing.shown(params), now)
        asked = doing.effects(params, incident, run.key(step), now)
        return Move(told, "run_told", f"{run.ref}: {doing.shown(params)}", asks=asked)

    async def _look_and_plan(self, run: Run, step: StepRun, incident: Incident) -> Move:
        seen = await self._sight.see(run, step, incident)
        refusal = self._refusal(seen)
        if refusal:
            raise BadInput(refusal)
        return self._planned(run, step, seen)

    def _planned(self, run: Run, step: StepRun, seen: Seen) -> Move:
        now = self._clock()
        after = runs.planned(step, seen.look, run.approval(step), now)
        if after.state is not StepState.WAITING:
            return Move(after)
        diffs = "; ".join(str(diff) for diff in seen.plan.diffs)
        unattended = self._unattended(run, step, seen)
        if unattended and not after.drifted:
            told = f"{run.ref} needs no approval for {after.title} ({unattended} lets it run unattended): {seen.plan.target}: {diffs}"
            approver = Approver(actor=TOCSIN, digest=seen.plan.digest, at=now)
            return Move(runs.approved(after, approver, 1), "run_planned", told)
        why = "the world has changed, so this needs a new approval" if after.drifted else "waits for approval"
        return Move(
            after, "run_planned", f"{run.ref} {why}: {after.title}: {seen.plan.target}: {diffs}", after.expires_at
        )

    def _unattended(self, run: Run, step: StepRun, seen: Seen) -> str | None:
        """The rule that lets this step go without an approval; for runs that Tocsin itself began, and for undoing what was approved."""
        policy = self._rules().actions
        if run.undoes is not None and run.requested_by.id == TOCSIN.id and policy.runbooks.undo == "auto":
            return f"{policy.where} (runbooks.undo)"
        if run.runbook.start != "auto" or run.requested_by.id != TOCSIN.id:
            return None
        return policy.unattended(seen.action.target(seen.params), seen.plan)

    async def _wait(self, run: Run, step: StepRun, incident: Incident, again: bool) -> Move:
        """Woken while it waits for a person: the time is over, or there is nothing to do yet."""
        if step.expires_at is not None and self._clock() < step.expires_at:
            return Move(step, due=step.expires_at)
        what = "answered" if step.state is StepState.ASKING else "approved"
        return self._ending(run, step, RunState.EXPIRED, f"nobody {what} it in time; nothing was done")

    async def _rest(self, run: Run, step: StepRun, incident: Incident, again: bool) -> Move:
        now = self._clock()
        if step.expires_at is not None and now < step.expires_at:
            return Move(step, due=step.expires_at)
        return Move(runs.finished(step, "waited", now))

    async def _confirm(self, run: Run, step: StepRun, incident: Incident, again: bool) -> Move:
        """Approved: only if the plan is still the one that was approved, and nothing holds it, does the intent go on record."""
        seen = await self._sight.see(run, step, incident)
        refusal = self._refusal(seen)
        if refusal:
            raise BadInput(refusal)
        if step.plan is None or not seen.plan or seen.plan.digest != step.plan.digest:
            return self._planned(run, step, seen)
        intent = runs.intended(step, self._sight.undo(run, seen, step, incident, {}))
        return Move(intent, "run_doing", f"{run.ref} is doing it: {step.title}", takes=seen.action.target(seen.params))

    async def _do(self, run: Run, step: StepRun, incident: Incident, again: bool) -> Move:
        """The one place where a runbook changes the world."""
        seen = await self._sight.see(run, step, incident)
        if not seen.plan:
            after = runs.done(step, {"found": "done already"}, step.undo, self._clock())
            return Move(after, "run_done", f"{run.ref}: {step.title} is done already")
        if step.plan is None or seen.plan.digest != step.plan.digest:
            return self._planned(run, step, seen)
        if again and not seen.action.repeatable(seen.params):
            return self._ending(
                run,
                step,
                RunState.UNSURE,
                f"{step.id} may or may not have taken effect before an interruption, and it is not safe to repeat. Look at {seen.plan.target}, "
                f"then start the runbook again if it is needed",
            )
        try:
            async with asyncio.timeout(step.spec.timeout.total_seconds()):
                result = await seen.action.do(seen.plan, seen.params, run.key(step))
        except TimeoutError as error:
            raise TryLater(f"{step.spec.action} did not answer within {step.spec.timeout}", uncertain=True) from error
        except Drifted:
            return Move(step.to(state=StepState.APPROVED))
        diffs = "; ".join(str(diff) for diff in seen.plan.diffs)
        after = runs.done(step, result, self._sight.undo(run, seen, step, incident, result), self._clock())
        return Move(after, "run_done", f"{run.ref} did {step.title}: {seen.plan.target}: {diffs}")

    async def _check(self, run: Run, step: StepRun, incident: Incident, again: bool) -> Move:
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
            missing = str(error)
        if missing is None:
            since = step.holds_since or now
            if now - since >= verify.for_:
                return self._verified(run, step, incident, state)
            return Move(
                step.to(message="it holds", holds_since=since), due=min(now + verify.every, since + verify.for_)
            )
        if step.check_until is not None and now >= step.check_until:
            return self._failure(run, step, f"{step.id} did not verify: {missing}")
        return Move(step.to(message=missing, holds_since=None), due=now + verify.every)

    def _verified(self, run: Run, step: StepRun, incident: Incident, state: Mapping[str, Any]) -> Move:
        outputs = self._sight.outputs(run, step, incident, state)
        verb = "changed and verified" if step.changed else "checked, nothing to change"
        return Move(
            runs.finished(step, "verified", self._clock(), outputs), "run_verified", f"{run.ref}: {step.title}: {verb}"
        )

    # -------------------------------------------------------------------------------------------- what the moves share

    def _refusal(self, seen: Seen) -> str | None:
        return self._rules().actions.refusal(seen.action.target(seen.params), seen.plan)

    def _failure(self, run: Run, step: StepRun, message: str) -> Move:
        """A step has failed: tried again if it says so, else the end of it, and of the run unless it may go on."""
        now, message = self._clock(), self._redact(message)
        if step.tries < step.spec.retry.times:
            text = f"{run.ref}: {step.title} failed and is tried again ({step.tries + 1} of {step.spec.retry.times}): {message}"
            return Move(runs.tried_again(step, message), "run_retried", text, now + step.spec.retry.wait)
        after = runs.failed(step, message, now)
        if run.on_failure(step) == "continue":
            return Move(after, "run_step_failed", f"{run.ref}: {step.title} failed, and the run goes on: {message}")
        return Move(after, "", f"{step.id}: {message}" if len(run.steps) > 1 else message, ends=RunState.FAILED)

    def _ending(self, run: Run, step: StepRun, state: RunState, message: str) -> Move:
        now = self._clock()
        after = runs.failed(step, message, now, unsure=state is RunState.UNSURE)
        if state is RunState.EXPIRED:
            after = runs.skipped(step, message, now)
        return Move(after, "", message, ends=state)

    def _recording(self, before: Run, step: StepRun, move: Move) -> Record:
        """Save the move, unless somebody changed the step meanwhile (a click): then only come back at once and look again."""

        async def record(tx: Tx) -> None:
            now = self._clock()
            current = await tx.run(before.id)
            incident = await known(tx, before.incident_id)
            if current is None or current.ended:
                return
            if current.find(step.id) != step or (current.stopping and step.state not in ACTING):
                await tx.ask([effects.advance_run(current.id, step.id, now)])
                return
            made = await self._taken(tx, current, step, move, now) if move.takes else move
            run = current.with_steps(step.id, made.items or (made.step,))
            run = runs.moved(runs.stopped(run, made.ends, made.text) if made.ends else run, now)
            due = up_now(run, now, current)
            if any(one.id == step.id for one in run.under_way):
                due[step.id] = made.due or now
            await tx.ask(made.asks)
            if run == current:
                await tx.ask(effects.advance_run(run.id, step_id, at) for step_id, at in due.items())
                return
            told = Told(made.kind, made.text, step=made.step) if made.kind else None
            incident = await saved(tx, incident, run, now, told, due)
            if run.ended:
                await conclude(tx, incident, run, now)

        return record

    async def _taken(self, tx: Tx, run: Run, step: StepRun, move: Move, now: datetime) -> Move:
        """The move, if nothing holds its target: no freeze, cooldown or rate, and no other run that is at it."""
        policy, target = self._rules().actions, move.takes
        if target is None:
            return move
        touches = await tx.touches(now - policy.memory)
        held = policy.hold(target, run.id, touches, now, run.undoes)
        if held and not any(approver.broke_glass for approver in step.approvals):
            return self._failure(run, step, held)
        holder = await tx.hold(target.locked, run.id, now)
        if holder != run.id:
            whom = f"RUN-{holder}, which is changing {target}"
            if step.waits_since is not None and now - step.waits_since > run.approval(step).expires:
                return self._failure(run, step, f"waited too long for {whom}")
            kind = "run_waits" if step.waits_for != whom else ""
            return Move(runs.waiting_for(step, whom, now), kind, f"{run.ref} waits for {whom}", now + LOCK_AGAIN)
        await tx.touch(Touch(lock=target.locked, action=target.action, run_id=run.id, at=now))
        return move


def _overtaken(run: Run, step: StepRun, incident: Incident) -> bool:
    """Whether the incident is over while the run has changed nothing and has not begun to."""
    return not incident.is_open and step.state not in ACTING and not run.changed and run.undoes is None
