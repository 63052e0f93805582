"""The steps of one runbook, checked: actions and their parameters, names in templates and expressions, approvals, undos. Used by runbooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from bot.config.files import ActionFacts
from bot.config.marks import Document, Path
from bot.config.prepare import Preparing
from bot.config.problems import Problem, quoted, unknown
from bot.config.runbook_names import Names, known_of
from bot.config.validate import in_words
from bot.domain.runbook import ITEMS, Approval, Runbook, Step, TakeBack


@dataclass(slots=True)
class Known:
    """What a runbook may name. `roles` and their members come from policy.yaml; None: that could not be read, or is not known here."""

    actions: Mapping[str, type[BaseModel]]
    roles: Mapping[str, tuple[str, ...]] | None
    about: Mapping[str, ActionFacts] = field(default_factory=dict)


def placed(runbook: Runbook) -> Iterator[tuple[Step, Path]]:
    """Every step with its place in the file; those inside `parallel` after the step that holds them."""
    for number, step in enumerate(runbook.steps):
        yield step, ("steps", number)
        for child_number, child in enumerate(step.parallel):
            yield child, ("steps", number, "parallel", child_number)


@dataclass(slots=True)
class Fitting:
    """Fits the plain values in `with` to the actions' models; templates stay as they are."""

    known: Known
    document: Document
    problems: list[Problem] = field(default_factory=list)

    def runbook(self, runbook: Runbook) -> Runbook:
        steps = [self._step(step, ("steps", number)) for number, step in enumerate(runbook.steps)]
        return runbook.model_copy(update={"steps": tuple(steps)})

    def _step(self, step: Step, path: Path) -> Step:
        update: dict[str, Any] = {}
        if step.action in self.known.actions:
            update["with_"] = self._values(step.action, step.with_, (*path, "with"))
        if step.undo is not None and step.undo.action in self.known.actions:
            values = self._values(step.undo.action, step.undo.with_, (*path, "undo", "with"))
            update["undo"] = TakeBack(action=step.undo.action, with_=values)
        if step.parallel:
            update["parallel"] = tuple(
                self._step(child, (*path, "parallel", number)) for number, child in enumerate(step.parallel)
            )
        return step.model_copy(update=update)

    def _values(self, action: str, given: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
        model = self.known.actions[action]
        preparing = Preparing(self.document)
        fitted = preparing.model(model, dict(given), path)
        literal = never_rendered(model)
        pending = [here for here, text in texts(fitted, path) if templated(text) and here[len(path)] not in literal]
        refused = {here: problem for here, problem in preparing.refused.items() if here not in pending}
        self.problems += refused.values()
        try:
            model.model_validate(fitted)
        except ValidationError as error:
            self.problems += in_words(error, self.document, fitted, path, refused, pending)
        except (
            Exception
        ) as error:  # a plugin's own validator stumbled, perhaps over a template: never fail because of it
            if not pending:
                self.problems.append(self.document.problem(path, f"{action} cannot use this: {type(error).__name__}"))
        plain: Mapping[str, Any] = _plain(fitted)
        return plain


def checked(runbook: Runbook, document: Document, known: Known) -> Iterator[Problem]:
    """What is wrong with the steps, as far as this file alone tells."""
    yield from bad_approval(runbook.approve, document, ("approve",), known.roles)
    taken: set[str] = set()
    for step, path in placed(runbook):
        if step.id in taken:
            yield document.problem((*path, "id"), f"there is a step {quoted(step.id)} already")
        taken.add(step.id)
        if step.approve is not None:
            yield from bad_approval(step.approve, document, (*path, "approve"), known.roles)
        yield from _bad_actions(step, document, path, known)
        most = step.most or ITEMS
        if not isinstance(step.foreach, str) and len(step.foreach) > most:
            words = f"has {len(step.foreach)} items, and at most {most} are done; say how many with most:"
            yield document.problem((*path, "foreach"), words)
    yield from _bad_names(runbook, document, known)


def _bad_actions(step: Step, document: Document, path: Path, known: Known) -> Iterator[Problem]:
    named = {(*path, "action"): step.action, (*path, "undo", "action"): step.undo.action if step.undo else ""}
    for place, action in named.items():
        if action and action not in known.actions:
            yield document.problem(place, unknown("action", "actions", action, sorted(known.actions)))
    facts = known.about.get(step.action)
    if facts is None:
        return
    if facts.way != "acts":
        for name in ("outputs", "undo"):
            if getattr(step, name):
                words = f"belongs to a step that looks at something and acts, and {step.action} does not"
                yield document.problem((*path, name), words, key=True)
    role = step.with_.get("role")
    if facts.way == "asks" and known.roles is not None and role and not templated(role) and role not in known.roles:
        yield document.problem((*path, "with", "role"), unknown("role", "roles", str(role), known.roles))


def bad_approval(
    approval: Approval, document: Document, path: Path, roles: Mapping[str, tuple[str, ...]] | None
) -> Iterator[Problem]:
    """A role that there is not, or that has too few people."""
    if roles is None:
        return
    role = approval.role
    if role not in roles:
        yield document.problem((*path, "role"), unknown("role", "roles", role, roles))
        return
    others = len(set(roles[role])) - approval.not_requester
    if roles[role] and others < approval.people:
        words = f"wants {approval.people} different people, but {quoted(role)} has only {others} who could"
        yield document.problem((*path, "people"), words)


# ------------------------------------------------------------------------------------------------ names


def _bad_names(runbook: Runbook, document: Document, known: Known) -> Iterator[Problem]:
    """Names in templates and expressions that nothing defines at their place."""
    over: dict[str, tuple[str, ...] | None] = {}
    every = {step.id for step, _ in placed(runbook)}
    params = _written_params(runbook, document)
    for number, step in enumerate(runbook.steps):
        names = Names(params, dict(over), every - set(over))
        yield from _names_of(step, document, ("steps", number), names, known)
        for child_number, child in enumerate(step.parallel):
            yield from _names_of(child, document, ("steps", number, "parallel", child_number), names, known)
            over[child.id] = known_of(child, known.about)
        if not step.parallel:
            over[step.id] = None if step.call else known_of(step, known.about)


def _written_params(runbook: Runbook, document: Document) -> tuple[str, ...]:
    """The parameters by name; those as well with which something is wrong: that was told, and it is not that they are missing."""
    data = document.data.get("params") if isinstance(document.data, dict) else None
    return tuple(dict.fromkeys([*runbook.params, *(data if isinstance(data, dict) else ())]))


def _names_of(step: Step, document: Document, path: Path, names: Names, known: Known) -> Iterator[Problem]:
    within = Names(names.params, names.steps, names.later, ("item",) if step.is_list else ())
    after = Names(names.params, names.steps, names.later, (*within.extra, "state", "result"))
    literal = never_rendered(known.actions.get(step.action))
    rendered = {name: value for name, value in step.with_.items() if name not in literal}
    yield from bad_templates(rendered, document, (*path, "with"), within)
    if step.undo is not None:
        yield from bad_templates(step.undo.with_, document, (*path, "undo", "with"), within)
    expressions = [((*path, "if"), step.if_, names), ((*path, "verify", "until"), step.verify.until, after)]
    if isinstance(step.foreach, str):
        expressions.append(((*path, "foreach"), step.foreach, names))
    else:
        yield from bad_templates(step.foreach, document, (*path, "foreach"), names)
    expressions += [((*path, "outputs", name), text, after) for name, text in step.outputs.items()]
    for place, text, there in expressions:
        if text:
            yield from (document.problem(place, words) for words in there.expression(text))


def bad_templates(value: Any, document: Document, path: Path, names: Names) -> Iterator[Problem]:
    for here, text in texts(value, path):
        if templated(text):
            yield from (document.problem(here, words) for words in names.template(text))


# ------------------------------------------------------------------------------------------------ values


def never_rendered(model: type[BaseModel] | None) -> tuple[str, ...]:
    """The parameters of an action in which nothing is a template: the texts of scripts."""
    return tuple(getattr(model, "literal", ()))


def templated(value: Any) -> bool:
    """Whether there is a template in a value."""
    return any("{{" in text or "{%" in text for _, text in texts(value, ()))


def texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Every text in a value, with its place."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(item, (*path, key))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from texts(item, (*path, number))


def _plain(value: Any) -> Any:
    """JSON values: a duration becomes ISO 8601 text, which the action's model reads back."""
    if isinstance(value, timedelta):
        return TypeAdapter(timedelta).dump_python(value, mode="json")
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
