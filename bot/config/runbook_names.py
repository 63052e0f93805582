"""What templates and expressions of a runbook may name at each place, and what is wrong with other names. Used by runbook_steps."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from bot.clients.expressions import CelExpressions
from bot.clients.template_names import Path, in_expression, in_template
from bot.config.files import ActionFacts
from bot.config.problems import nearest, quoted, unknown
from bot.domain.runbook import Step
from bot.errors import BadInput

INCIDENT = ("ref", "title", "severity", "service", "labels", "opened_at")
RUN = ("ref", "started_at", "requested_by")
OF_EVERY_STEP = ("state", "changed")
OF_AN_ANSWER = ("answer", "by")


@dataclass(frozen=True, slots=True)
class Names:
    """`steps`: those that are over by now, each with what is known of it (None: it is not known what it has). `later`: the other steps.

    `extra`: `item` under foreach; `state` and `result` where a step is checked.
    """

    params: Collection[str] = ()
    steps: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    later: Collection[str] = ()
    extra: tuple[str, ...] = ()

    @property
    def roots(self) -> tuple[str, ...]:
        return ("params", "incident", "run", "steps", *self.extra)

    def template(self, text: str) -> Iterator[str]:
        """What is wrong with a template, in words."""
        try:
            paths = in_template(text)
        except BadInput as error:
            yield str(error)
            return
        for path in dict.fromkeys(paths):
            root = str(path[0])
            if root not in self.roots:
                known = f"{', '.join(self.roots[:-1])} and {self.roots[-1]}"
                yield f"a template knows {known}, not {quoted(root)}{nearest(root, self.roots)}{self._why_not(root)}"
            else:
                yield from self.members(path)

    def expression(self, text: str) -> Iterator[str]:
        """What is wrong with a CEL expression, in words."""
        if "{{" in text:
            yield "is an expression and no template: leave out {{ and }}"
            return
        try:
            CelExpressions().check(text, self.roots)
        except BadInput as error:
            yield f"not a CEL expression: {error}"
            return
        for path in dict.fromkeys(in_expression(text)):
            yield from self.members(path)

    def members(self, path: Path) -> Iterator[str]:
        root, *rest = path
        if not rest or not isinstance(rest[0], str):
            return
        name = rest[0]
        if root == "params" and name not in self.params:
            yield unknown("parameter", "params", name, self.params)
        elif root in ("incident", "run"):
            valid = INCIDENT if root == "incident" else RUN
            if name not in valid:
                yield f"{root} has no {quoted(name)}{nearest(name, valid)} (it has: {', '.join(valid)})"
        elif root == "steps":
            yield from self._step(name, rest[1] if len(rest) > 1 else None)

    def _step(self, name: str, member: str | int | None) -> Iterator[str]:
        steps = {spelling: known for step, known in self.steps.items() for spelling in (step, step.replace("-", "_"))}
        if name not in steps:
            if name in self.later or name in {step.replace("-", "_") for step in self.later}:
                yield f"step {quoted(name)} is not over yet at this place; known are the steps before it"
            else:
                yield unknown("step", "steps before this one", name, self.steps)
            return
        known = steps[name]
        if known is None or not isinstance(member, str):
            return
        if member not in known:
            yield f"step {quoted(name)} has no output {quoted(member)}{nearest(member, known)} (it has: {', '.join(known)})"

    def _why_not(self, root: str) -> str:
        return "; an item is only there under foreach" if root == "item" else ""


def known_of(step: Step, about: Mapping[str, ActionFacts]) -> tuple[str, ...] | None:
    """What `steps.ID` has once this step is over. Of a call it depends on the other runbook; a foreach gives a list."""
    facts = about.get(step.action)
    if step.is_list or facts is None:
        return None
    return (*OF_EVERY_STEP, *step.outputs, *(OF_AN_ANSWER if facts.way == "asks" else ()))
