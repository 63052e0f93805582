"""What a step of a run sees: its facts, its rendered parameters, the live state, and what would have to change. Used by flow/advance."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from bot.domain.incident import Incident
from bot.domain.parameters import parameters, with_durations
from bot.domain.plan import Plan, Undo
from bot.domain.ports import Action, Doing, Expressions, Templates
from bot.domain.rules import CurrentRules
from bot.domain.run import Run
from bot.domain.step import Look, StepRun
from bot.errors import BadInput, TryLater


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the world for a step."""

    action: Action
    params: Any
    state: Mapping[str, Any]
    plan: Plan

    @property
    def look(self) -> Look:
        """As the run keeps it."""
        target = self.action.target(self.params) if self.action.writes else None
        return Look(params=self.params.model_dump(mode="json"), before=self.state, target=target, plan=self.plan)


class Sight:
    """`actions`: by the name that runbooks use. What policy refuses is not even looked at: a look may run a script or send a request."""

    def __init__(
        self, actions: Mapping[str, Doing], templates: Templates, expressions: Expressions, rules: CurrentRules
    ) -> None:
        self._actions = actions
        self._rules = rules
        self._templates = templates
        self._expressions = expressions

    def doing(self, step: StepRun) -> Doing:
        """The plugin that does this step."""
        found = self._actions.get(step.spec.action)
        if found is None:
            raise BadInput(f"step {step.id}: there is no action called {step.spec.action}")
        return found

    def facts(self, run: Run, incident: Incident, scope: str = "") -> dict[str, Any]:
        """What templates and expressions of this scope know. A called runbook knows its own parameters and steps only."""
        return {
            "params": self.params(run, incident, scope),
            "incident": {
                "ref": incident.ref,
                "title": incident.title,
                "severity": incident.severity,
                "service": incident.service,
                "labels": dict(incident.labels),
                "opened_at": incident.opened_at.isoformat(),
            },
            "run": {"ref": run.ref, "started_at": run.created_at.isoformat(), "requested_by": run.requested_by.name},
            "steps": _steps(run, scope),
        }

    def params(self, run: Run, incident: Incident, scope: str) -> Mapping[str, Any]:
        if not scope:
            return dict(run.params)
        called = run.scopes[scope]
        if called.call is None:
            return dict(run.params)
        given = self._templates.value(dict(called.call.with_), self.facts(run, incident, called.caller))
        try:
            return parameters(called.runbook, given, incident.labels)
        except BadInput as error:
            raise BadInput(f"step {scope}: {error}") from error

    def wanted(self, run: Run, step: StepRun, incident: Incident) -> bool:
        """Whether the conditions of a step, and of the calls that it stands in, hold."""
        scope = step.scope
        while scope:
            called = run.scopes[scope]
            if (
                called.call is not None
                and called.call.if_
                and not self._holds(called.call.if_, run, incident, called.caller)
            ):
                return False
            scope = called.caller
        return not step.spec.if_ or self._holds(step.spec.if_, run, incident, step.scope)

    def _holds(self, expression: str, run: Run, incident: Incident, scope: str) -> bool:
        return self.truth(expression, self.facts(run, incident, scope))

    def truth(self, expression: str, facts: Mapping[str, Any]) -> bool:
        value = self._expressions.value(expression, facts)
        if not isinstance(value, bool):
            raise BadInput(f"`{expression}` gives {str(value)[:60]!r}, wanted true or false")
        return value

    def items(self, run: Run, step: StepRun, incident: Incident) -> Any:
        """The list of a `foreach`."""
        listed = step.spec.foreach
        facts = self.facts(run, incident, step.scope)
        return (
            self._expressions.value(listed, facts)
            if isinstance(listed, str)
            else self._templates.value(list(listed), facts)
        )

    def rendered(self, run: Run, step: StepRun, incident: Incident) -> BaseModel:
        """The parameters of a step as its action's model."""
        model, given = self.doing(step).Params, dict(step.spec.with_)
        if not step.literal:
            as_written = {name: given[name] for name in getattr(model, "literal", ()) if name in given}
            given = self._templates.value(given, {**self.facts(run, incident, step.scope), "item": step.item})
            given |= as_written  # a script's text is never a template
        try:
            return model.model_validate(with_durations(model, given))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or step.spec.action
            found = str(first.get("input", ""))[:80]
            raise BadInput(
                f"step {step.id}: {where}: {first['msg']}{f' (found {found!r})' if found else ''}"
            ) from error

    async def see(self, run: Run, step: StepRun, incident: Incident) -> Seen:
        """Render, ask the policy, look, and plan. For steps that act."""
        action = self.doing(step)
        if action.way != "acts":
            raise BadInput(f"step {step.id}: {step.spec.action} does not look at anything")
        params = self.rendered(run, step, incident)
        refusal = self._rules().actions.refusal(action.target(params))
        if refusal:
            raise BadInput(refusal)
        try:
            async with asyncio.timeout(step.spec.timeout.total_seconds()):
                state = await action.look(params)
        except TimeoutError as error:
            raise TryLater(
                f"looking for {step.spec.action} took longer than {step.spec.timeout.total_seconds():g} s"
            ) from error
        return Seen(action, params, state, action.plan(state, params))

    def undo(self, run: Run, seen: Seen, step: StepRun, incident: Incident, result: Mapping[str, Any]) -> Undo | None:
        """What takes the step back: as the runbook says (rendered before it acts), else as the action knows."""
        written = step.spec.undo
        if step.undo is not None and step.changed:
            return step.undo  # of the first try: back to how it was before all of them
        if written is None:
            return seen.action.undo(seen.plan, result, seen.params)
        if step.undo is not None:
            return step.undo
        facts = {**self.facts(run, incident, step.scope), "item": step.item}
        return Undo(action=written.action, with_=self._templates.value(dict(written.with_), facts))

    def until(self, run: Run, step: StepRun, incident: Incident, state: Mapping[str, Any]) -> str | None:
        """What the step's own condition still misses; None when it holds."""
        condition = step.spec.verify.until
        if not condition:
            return None
        facts = self._with_state(run, step, incident, state)
        return None if self.truth(condition, facts) else f"`{condition}` does not hold yet"

    def outputs(self, run: Run, step: StepRun, incident: Incident, state: Mapping[str, Any]) -> dict[str, Any]:
        """The values that later steps use by name."""
        facts = self._with_state(run, step, incident, state)
        return {name: self._expressions.value(expression, facts) for name, expression in step.spec.outputs.items()}

    def _with_state(self, run: Run, step: StepRun, incident: Incident, state: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **self.facts(run, incident, step.scope),
            "item": step.item,
            "state": dict(state),
            "result": dict(step.result),
        }


def _steps(run: Run, scope: str) -> dict[str, Any]:
    """Outputs and states by step: of this scope's own steps, and of the steps that it calls beneath the call. Items of a list are a list.

    A name with hyphens is there with underscores too: `steps.still_bad`.
    """
    found: dict[str, Any] = {}
    for step in run.steps:
        if not step.over or not (not scope or step.scope == scope or step.scope.startswith(f"{scope}.")):
            continue
        *calls, last = step.id.removeprefix(f"{scope}." if scope else "").split(".")
        holder = found
        for call in calls:
            holder = _put(holder, call, holder.get(call, {}))
        name, bracket, _ = last.partition("[")
        value = {**step.outputs, "state": step.state.value, "changed": step.changed}
        _put(holder, name, [*holder.get(name, []), value] if bracket else value)
    return found


def _put(holder: dict[str, Any], name: str, value: Any) -> Any:
    holder[name] = holder[name.replace("-", "_")] = value
    return value
