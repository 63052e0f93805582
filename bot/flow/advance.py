"""Moves a run on, one move a delivery: look, plan, (wait for approval), do, look again. Called by the worker for `advance_run`.

The moves and what is committed between them make it crash-safe (P4): the intent (`doing`) is on record before `do`; whatever happens then, the
next move looks before it acts, acts again only with the same key and plan, and asks a person when it cannot know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from bot.domain import effects, lifecycle
from bot.domain import run as runs
from bot.domain.incident import Incident, warned
from bot.domain.people import TOCSIN
from bot.domain.plan import Plan
from bot.domain.ports import Action, Clock, Delivery, Store, Templates, Tx
from bot.domain.rules import CurrentRules
from bot.domain.run import Run, RunState, StepState
from bot.errors import BadInput, Drifted, GaveUp, TryLater
from bot.flow.delivery import Handler, Record, payload
from bot.flow.incidents import known
from bot.flow.runbooks import told

PATIENCE = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Move:
    """What a move made of the run: `kind` and `text` for the timeline (none: nothing to tell), `due` when to come back (None: at once)."""

    run: Run
    kind: str = ""
    text: str = ""
    due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the world for a step: its rendered parameters, the state, and what would have to change."""

    params: Any
    state: Mapping[str, Any]
    plan: Plan


class Advance:
    """The handler for `advance_run`, and `preview` for the command line. `actions`: by the name that runbooks use."""

    def __init__(
        self, store: Store, clock: Clock, rules: CurrentRules, actions: Mapping[str, Action], templates: Templates
    ) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._actions = actions
        self._templates = templates
        self._moves: Mapping[StepState, Callable[[Run, Incident, bool], Awaitable[Move]]] = {
            StepState.PENDING: self._look_and_plan,
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
        incident = await self._store.read(lambda tx: known(tx, run.incident_id))
        try:
            if _overtaken(run, incident):
                move = self._stopped(run, RunState.EXPIRED, f"{incident.ref} is {incident.state}; nothing was done")
            else:
                move = await self._moves[run.current.state](run, incident, delivery.again)
        except (BadInput, GaveUp) as error:
            move = self._stopped(run, RunState.FAILED, str(error))
        except TryLater as error:
            if self._clock() - (run.current.started_at or run.created_at) < PATIENCE:
                raise
            move = self._out_of_patience(run, error)
        return self._recording(run, move)

    async def preview(self, run: Run, incident: Incident) -> list[tuple[str, Plan | str]]:
        """Look and plan every step as the world is now, changing nothing: (step id, its plan or why there is none)."""
        shown: list[tuple[str, Plan | str]] = []
        for number in range(len(run.steps)):
            at = run.model_copy(update={"step": number})
            try:
                seen = await self._see(at, incident)
                refusal = self._refusal(at, seen)
                shown.append((at.spec.id, refusal or seen.plan))
            except (BadInput, GaveUp, TryLater) as error:
                shown.append((at.spec.id, str(error)))
        return shown

    # -------------------------------------------------------------------------------------------- the moves

    async def _look_and_plan(self, run: Run, incident: Incident, again: bool) -> Move:
        seen = await self._see(run, incident)
        refusal = self._refusal(run, seen)
        if refusal:
            raise BadInput(refusal)
        after = runs.planned(run, seen.params.model_dump(mode="json"), seen.state, seen.plan, self._clock())
        return self._planned(after, seen)

    def _planned(self, after: Run, seen: Seen) -> Move:
        step = after.spec.title or after.spec.id
        if after.current.state is not StepState.WAITING:
            return Move(after)
        diffs = "; ".join(str(diff) for diff in seen.plan.diffs)
        why = "the world has changed, so this needs a new approval" if after.current.drifted else "waits for approval"
        text = f"{after.ref} {why}: {step}: {seen.plan.target}: {diffs}"
        return Move(after, "run_planned", text, after.current.expires_at)

    async def _wait(self, run: Run, incident: Incident, again: bool) -> Move:
        """Woken while it waits for a click: its time is over, or there is nothing to do yet."""
        expires = run.current.expires_at
        if expires is not None and self._clock() < expires:
            return Move(run, due=expires)
        return self._stopped(run, RunState.EXPIRED, "nobody approved it in time; nothing was done")

    async def _confirm(self, run: Run, incident: Incident, again: bool) -> Move:
        """Approved: only if the plan is still the one that was approved does the intent go on record."""
        seen = await self._see(run, incident)
        refusal = self._refusal(run, seen)
        if refusal:
            raise BadInput(refusal)
        approved = run.current.plan
        if approved is not None and seen.plan and seen.plan.digest == approved.digest:
            step = run.spec.title or run.spec.id
            return Move(runs.intended(run), "run_doing", f"{run.ref} is doing it: {step}")
        after = runs.planned(run, seen.params.model_dump(mode="json"), seen.state, seen.plan, self._clock())
        return self._planned(after, seen)

    async def _do(self, run: Run, incident: Incident, again: bool) -> Move:
        """The one place where a runbook changes the world."""
        action, now = self._action(run), self._clock()
        seen = await self._see(run, incident)
        if not seen.plan:
            return Move(
                runs.done(run, {"found": "done already"}, now), "run_done", f"{run.ref}: {run.spec.id} is done already"
            )
        approved = run.current.plan
        if approved is None or seen.plan.digest != approved.digest:
            return Move(runs.planned(run, seen.params.model_dump(mode="json"), seen.state, seen.plan, now))
        if again and not action.repeatable(seen.params):
            return self._stopped(
                run,
                RunState.UNSURE,
                f"{run.spec.id} may or may not have taken effect before an interruption, and it is not safe to repeat. Look at {seen.plan.target}, "
                f"then start the runbook again if it is needed",
            )
        try:
            async with asyncio.timeout(run.spec.timeout.total_seconds()):
                result = await action.do(seen.plan, seen.params, run.key)
        except TimeoutError as error:
            raise TryLater(f"{run.spec.action} did not answer within {run.spec.timeout}", uncertain=True) from error
        except Drifted:
            return Move(run.with_step(state=StepState.APPROVED))
        diffs = "; ".join(str(diff) for diff in seen.plan.diffs)
        return Move(
            runs.done(run, result, self._clock()),
            "run_done",
            f"{run.ref} did {run.spec.id}: {seen.plan.target}: {diffs}",
        )

    async def _check(self, run: Run, incident: Incident, again: bool) -> Move:
        """Look again: what the step wanted must show, before its time is over."""
        action, now = self._action(run), self._clock()
        try:
            seen = await self._see(run, incident)
            missing = action.verify(seen.state, seen.params)
            if missing is None and seen.plan and action.observable:
                missing = "it has not taken effect: " + "; ".join(str(diff) for diff in seen.plan.diffs)
        except TryLater as error:
            missing = str(error)
        if missing is None:
            after = runs.step_done(run, "verified", now)
            verb = "changed and verified" if run.current.changed else "checked, nothing to change"
            text = f"{run.ref}: {run.spec.title or run.spec.id}: {verb}"
            if after.ended:
                text = f"{run.ref} succeeded: {run.runbook.title}"
            return Move(after, "run_ended" if after.ended else "run_verified", text)
        if run.current.check_until is not None and now >= run.current.check_until:
            return self._stopped(run, RunState.FAILED, f"{run.spec.id} did not verify: {missing}")
        return Move(run.with_step(message=missing), due=now + run.spec.verify.every)

    # -------------------------------------------------------------------------------------------- what the moves share

    def _action(self, run: Run) -> Action:
        action = self._actions.get(run.spec.action)
        if action is None:
            raise BadInput(f"step {run.spec.id}: there is no action called {run.spec.action}")
        return action

    async def _see(self, run: Run, incident: Incident) -> Seen:
        """Render the step's parameters, look, and plan."""
        action = self._action(run)
        facts = {
            "params": dict(run.params),
            "incident": {
                "ref": incident.ref,
                "title": incident.title,
                "severity": incident.severity,
                "service": incident.service,
                "labels": dict(incident.labels),
                "opened_at": incident.opened_at.isoformat(),
            },
            "run": {"ref": run.ref, "started_at": run.created_at.isoformat()},
        }
        rendered = self._templates.value(dict(run.spec.with_), facts)
        try:
            params = action.Params.model_validate(rendered)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise BadInput(f"step {run.spec.id}: {where}: {first['msg']}") from error
        try:
            async with asyncio.timeout(run.spec.timeout.total_seconds()):
                state = await action.look(params)
        except TimeoutError as error:
            raise TryLater(f"looking for {run.spec.action} took longer than {run.spec.timeout}") from error
        return Seen(params, state, action.plan(state, params))

    def _refusal(self, run: Run, seen: Seen) -> str | None:
        return self._rules().actions.refusal(self._action(run).target(seen.params))

    def _stopped(self, run: Run, state: RunState, message: str) -> Move:
        after = runs.ended(run, state, message, self._clock())
        return Move(after, "run_ended", f"{run.ref} ({run.runbook.title}) ended, {state}: {message}")

    def _out_of_patience(self, run: Run, error: TryLater) -> Move:
        if run.current.state is StepState.DOING:
            return self._stopped(
                run,
                RunState.UNSURE,
                f"{run.spec.id} may or may not have taken effect: {error}. Look before repeating it",
            )
        return self._stopped(run, RunState.FAILED, str(error))

    def _recording(self, before: Run, move: Move) -> Record:
        """Save the move, unless somebody changed the run meanwhile (a click): then only come back at once and look again."""

        async def record(tx: Tx) -> None:
            now = self._clock()
            current = await tx.run(before.id)
            incident = await known(tx, before.incident_id)
            if current is None:
                return
            if current.model_copy(update={"message_ts": before.message_ts}) != before:
                await tx.ask([effects.advance_run(before.id, now)])
                return
            after = move.run.model_copy(update={"message_ts": current.message_ts})
            if not move.kind:
                await tx.save_run(after)
                shown = [effects.show_run(incident.id, after.id, now)] if after != before else []
                await tx.ask([*shown, effects.advance_run(after.id, move.due or now)])
                return
            incident = await told(tx, incident, after, move.kind, move.text, now, step=before.step, due=move.due)
            if (
                after.state is RunState.SUCCEEDED
                and after.runbook.mitigates
                and any(step.changed for step in after.steps)
            ):
                await tx.save(
                    lifecycle.mitigated(incident, TOCSIN, f"{after.ref} verified: {after.runbook.title}", now)
                )
            elif after.state in (RunState.FAILED, RunState.UNSURE):
                await tx.save(warned(incident, move.text, now))

        return record


def _overtaken(run: Run, incident: Incident) -> bool:
    """Whether the incident is over while the run has changed nothing and has not begun to."""
    return (
        not incident.is_open
        and run.current.state is not StepState.DOING
        and not any(step.changed for step in run.steps)
    )
