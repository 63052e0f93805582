"""Moves a run on, one move of one step a delivery, and records what became of it. Called by the worker for `advance_run`.

The moves of steps that act are in acting.py; those that ask, wait and tell are here. A move is committed only if its step is as it was when the
move began (a click may have come in between), and a target is taken in the commit that puts the intent on record.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

from bot.domain import effects
from bot.domain import run as runs
from bot.domain import step as moves
from bot.domain.expand import MOST_STEPS, expanded
from bot.domain.incident import Incident
from bot.domain.plan import Plan
from bot.domain.policy import Touch
from bot.domain.ports import Clock, Delivery, Redact, Store, Tx
from bot.domain.rules import CurrentRules
from bot.domain.run import Run, RunState
from bot.domain.step import ACTING, StepRun, StepState
from bot.errors import BadInput, GaveUp, TryLater
from bot.flow.acting import Acting
from bot.flow.delivery import Handler, Record, payload
from bot.flow.ending import conclude, unknown
from bot.flow.incidents import known
from bot.flow.move import Move, ending, failure
from bot.flow.seeing import Sight
from bot.flow.telling import Told, known_run, saved, up_now

PATIENCE = timedelta(minutes=15)
MOST_FAULTS = 10  # deliveries that fail as nobody foresaw; fewer than the worker's own, after which a row is dead
LOCK_AGAIN = timedelta(seconds=5)


class Advance:
    """The handler for `advance_run`."""

    def __init__(self, store: Store, clock: Clock, rules: CurrentRules, sight: Sight, redact: Redact) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._sight = sight
        self._redact = redact
        self._acting = acting = Acting(sight, clock, rules, redact)
        self._moves: Mapping[StepState, Callable[[Run, StepRun, Incident, bool], Awaitable[Move]]] = {
            StepState.PENDING: self._begin,
            StepState.ASKING: self._wait,
            StepState.RESTING: self._rest,
            StepState.WAITING: self._wait,
            StepState.APPROVED: acting.confirm,
            StepState.DOING: acting.do,
            StepState.CHECKING: acting.check,
        }

    def handlers(self) -> Mapping[str, Handler]:
        return {"advance_run": self.advance}

    async def advance(self, delivery: Delivery) -> Record | None:
        asked = payload(delivery)

        async def look(tx: Tx) -> tuple[Run, Incident]:
            run = await known_run(tx, asked["run_id"])
            return run, await known(tx, run.incident_id)

        run, incident = await self._store.read(look)
        step = None if run.ended else run.find(str(asked.get("step", run.current.id)))
        if step is None or step.over:
            return None
        if (run.paused_by or run.stopping) and step.state not in ACTING:
            return None
        return self._recording(run, step, await self._moved(run, step, incident, delivery))

    async def _moved(self, run: Run, step: StepRun, incident: Incident, delivery: Delivery) -> Move:
        """One move; whatever goes wrong for good, or for too long, becomes the end of the step."""
        try:
            if _overtaken(run, step, incident):
                gone = f"{incident.ref} is {incident.state}"
                return ending(step, RunState.EXPIRED, gone, self._clock())
            return await self._moves[step.state](run, step, incident, delivery.again)
        except (BadInput, GaveUp) as error:
            return self._given_up(run, step, str(error), acted=delivery.again)
        except TryLater as error:
            if self._clock() - delivery.asked_at < PATIENCE:
                raise
            return self._given_up(run, step, str(error), acted=True)
        except Exception as error:
            if delivery.attempts < MOST_FAULTS:
                raise  # the worker logs it whole
            return self._given_up(run, step, f"a fault in {step.spec.action}: {type(error).__name__}", acted=True)

    def _given_up(self, run: Run, step: StepRun, why: str, *, acted: bool) -> Move:
        """The step has failed; of one that was to act and may have (`acted`), nobody knows, and it must not be tried again with another key."""
        if step.state is not StepState.DOING or not acted:
            return self._failure(run, step, why)
        return ending(step, RunState.UNSURE, self._redact(unknown(step, why)), self._clock())

    # -------------------------------------------------------------------------------------------- the moves

    async def _begin(self, run: Run, step: StepRun, incident: Incident, again: bool) -> Move:
        """A step's turn has come: is it wanted, is it a list, and what kind of step is it?"""
        now = self._clock()
        if not self._sight.wanted(run, step, incident):
            return Move(
                moves.skipped(step, "not needed here", now),
                "run_skipped",
                f"{run.ref} skips {step.title}: not needed here",
            )
        if step.spec.is_list:
            return Move(
                step, items=expanded(step, self._sight.items(run, step, incident), now, MOST_STEPS - len(run.steps) + 1)
            )
        doing = self._sight.doing(step)
        if doing.way == "acts":
            return await self._acting.begin(run, step, incident)
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
        told = moves.finished(begun, doing.shown(params), now)
        asked = doing.effects(params, incident, run.key(step), now)
        return Move(told, "run_told", f"{run.ref}: {doing.shown(params)}", asks=asked)

    async def _wait(self, run: Run, step: StepRun, incident: Incident, again: bool) -> Move:
        """Woken while it waits for a person: the time is over, or there is nothing to do yet."""
        if step.expires_at is not None and self._clock() < step.expires_at:
            return Move(step, due=step.expires_at)
        what = "answered" if step.state is StepState.ASKING else "approved"
        return ending(step, RunState.EXPIRED, f"nobody {what} it in time", self._clock())

    async def _rest(self, run: Run, step: StepRun, incident: Incident, again: bool) -> Move:
        now = self._clock()
        if step.expires_at is not None and now < step.expires_at:
            return Move(step, due=step.expires_at)
        return Move(moves.finished(step, "waited", now))

    def _failure(self, run: Run, step: StepRun, message: str) -> Move:
        return failure(run, step, self._redact(message), self._clock())

    def _recording(self, before: Run, step: StepRun, move: Move) -> Record:
        """Save the move, unless somebody changed the step meanwhile (a click): then only come back at once and look again."""

        async def record(tx: Tx) -> None:
            now = self._clock()
            if before.undoes is not None:
                await tx.run(before.undoes)  # everybody locks the older run first
            current = await tx.run(before.id)
            incident = await known(tx, before.incident_id)
            if current is None or current.ended or (current.paused_by and step.state not in ACTING):
                return
            if current.find(step.id) != step or (current.stopping and step.state not in ACTING):
                await tx.ask([effects.advance_run(current.id, step.id, now)])
                return
            made = await self._taken(tx, current, step, move, now) if move.takes else move
            run = current.with_steps(step.id, made.items or (made.step,))
            run = runs.left(run, made.leaves, now) if made.leaves else run
            run = runs.moved(runs.stopped(run, made.ends, made.text) if made.ends else run, now)
            due = up_now(run, now, current)
            if any(one.id == step.id for one in run.under_way):
                due[step.id] = made.due or now
            await tx.ask(made.asks)
            if run == current:
                await tx.ask(effects.advance_run(run.id, step_id, at) for step_id, at in due.items())
                return
            told = Told(made.kind, made.text, step=made.step, data=made.data) if made.kind else None
            incident = await saved(tx, incident, run, now, told, due)
            if run.ended:
                await conclude(tx, incident, run, now)

        return record

    async def _taken(self, tx: Tx, run: Run, step: StepRun, move: Move, now: datetime) -> Move:
        """The move, if nothing holds its target: no freeze, cooldown or rate, and no other run that is at it."""
        policy, target = self._rules().actions, move.takes
        if target is None:
            return move
        await tx.lock("targets")  # so that nobody takes or touches one between this look and the commit
        touches = await tx.touches(now - policy.memory)
        held = policy.hold(target, run.id, touches, now, run.undoes)
        if held and not any(approver.broke_glass for approver in step.approvals):
            return self._failure(run, step, f"it was approved, but not done: {held}. Start it again when that is over")
        crowded = policy.refusal(target, _with_its_group(run, step))
        if crowded:
            return self._failure(run, step, crowded)
        holder = await tx.hold(target.locked, run.id, now)
        if holder != run.id:
            whom = f"RUN-{holder}, which is changing {target}"
            if step.waits_since is not None and now - step.waits_since > run.approval(step).expires:
                return self._failure(run, step, f"waited too long for {whom}")
            kind = "run_waits" if step.waits_for != whom else ""
            return Move(moves.waiting_for(step, whom, now), kind, f"{run.ref} waits for {whom}", now + LOCK_AGAIN)
        await tx.touch(Touch(lock=target.locked, action=target.action, run_id=run.id, at=now))
        return move


def _with_its_group(run: Run, step: StepRun) -> Plan | None:
    """The plan of a step, with the share that the rest of its group touches at the same time."""
    if step.plan is None or step.plan.share is None:
        return step.plan
    flying = (one for one in run.steps if step.group and one.group == step.group and one.state in ACTING)
    shares = (one.plan.share or 0 for one in flying if one.plan is not None and one.id != step.id)
    return step.plan.model_copy(update={"share": step.plan.share + sum(shares)})


def _overtaken(run: Run, step: StepRun, incident: Incident) -> bool:
    """Whether the incident is over while the run has changed nothing and has not begun to."""
    return not incident.is_open and step.state not in ACTING and not run.changed and run.undoes is None
