"""Runbook folders: each YAML file one Runbook of the domain, checked against the actions, the roles and the policy. Used by load and by lint."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, TypeAdapter, ValidationError

from bot.config.marks import Document, Path, path_text
from bot.config.prepare import Preparing
from bot.config.problems import Problem, nearest, quoted, unknown
from bot.config.routes import bad_matchers
from bot.config.validate import in_words, validate
from bot.domain.plan import Target
from bot.domain.policy import Policy
from bot.domain.runbook import Parameter, Runbook, Step

SYSTEMS = {"k8s": "kubernetes", "prometheus": "prometheus"}
FACTS = ("params", "incident", "run")
_TEMPLATE = re.compile(r"\{\{(.*?)\}\}|\{%(.*?)%\}", re.S)
_TEXT = re.compile(r"'[^']*'|\"[^\"]*\"")
_PARAM = re.compile(
    r"(?<![\w.])params\s*(?:\.\s*(?P<dotted>[A-Za-z_]\w*)|\[\s*(?:'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\")\s*\])"
)
_ROOT = re.compile(r"(?<![\w.\]])([A-Za-z_]\w*)\s*(?=[.\[])")
_PARAMETER_KINDS: dict[str, type] = {"string": str, "integer": int, "number": float, "boolean": bool}


@dataclass(slots=True)
class Known:
    """What a runbook may name. `roles` and their members come from policy.yaml; None: that could not be read."""

    actions: Mapping[str, type[BaseModel]]
    roles: Mapping[str, tuple[str, ...]] | None


@dataclass(slots=True)
class Runbooks:
    """Collects the runbooks of all folders; a name may be taken once."""

    known: Known
    found: dict[str, Runbook] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def add(self, document: Document) -> None:
        """One file that was read."""
        if document.data is None:
            self.problems.append(
                Problem(document.file, 1, 1, "", "the file is empty; a runbook has at least name, title and steps")
            )
            return
        runbook, problems = validate(Runbook, document, document.data)
        self.problems += problems
        complete = runbook is not None
        runbook = runbook or _rest(document, problems)
        if runbook is None:
            return
        runbook = self._with_fitted_steps(runbook, document)
        self.problems += self._checked(runbook, document)
        if not complete:
            return
        if runbook.name in self.found:
            other = self.documents[runbook.name].file
            self.problems.append(document.problem(("name",), f"{other} is called {quoted(runbook.name)} already"))
            return
        self.found[runbook.name] = runbook
        self.documents[runbook.name] = document
        self.warnings += doubtful(runbook, document)

    def _checked(self, runbook: Runbook, document: Document) -> Iterator[Problem]:
        yield from bad_matchers(runbook.match, document, ("match",))
        if self.known.roles is not None:
            yield from _bad_approval(runbook, document, self.known.roles)
        yield from _bad_parameters(runbook.params, document)
        seen: set[str] = set()
        for number, step in enumerate(runbook.steps):
            path: Path = ("steps", number)
            if step.id in seen:
                yield document.problem((*path, "id"), f"there is a step {quoted(step.id)} already")
            seen.add(step.id)
            if step.action not in self.known.actions:
                yield document.problem(
                    (*path, "action"), unknown("action", "actions", step.action, sorted(self.known.actions))
                )
            yield from bad_templates(step.with_, document, (*path, "with"), runbook.params)

    def _with_fitted_steps(self, runbook: Runbook, document: Document) -> Runbook:
        """The runbook with the plain values in `with` as the actions' models want them; templates stay as they are."""
        steps = []
        for number, step in enumerate(runbook.steps):
            model = self.known.actions.get(step.action)
            steps.append(self._fitted(step, model, document, ("steps", number, "with")) if model else step)
        return runbook.model_copy(update={"steps": tuple(steps)})

    def _fitted(self, step: Step, model: type[BaseModel], document: Document, path: Path) -> Step:
        preparing = Preparing(document)
        fitted = preparing.model(model, dict(step.with_), path)
        pending = [here for here, text in _texts(fitted, path) if templated(text)]
        refused = {here: problem for here, problem in preparing.refused.items() if here not in pending}
        self.problems += refused.values()
        try:
            model.model_validate(fitted)
        except ValidationError as error:
            self.problems += in_words(error, document, fitted, path, refused, pending)
        except (
            Exception
        ) as error:  # a plugin's own validator stumbled, perhaps over a template: never fail because of it
            if not pending:
                self.problems.append(document.problem(path, f"{step.action} cannot use this: {type(error).__name__}"))
        return step.model_copy(update={"with_": _plain(fitted)})


def _rest(document: Document, problems: Collection[Problem]) -> Runbook | None:
    """What is left of a runbook without the keys that are wrong, so that the rest is checked in the same go."""
    if not isinstance(document.data, dict):
        return None
    wrong = [problem.path for problem in problems]
    shown = {key: path_text((key,)) for key in document.data}
    rest = {
        key: value
        for key, value in document.data.items()
        if not any(path == shown[key] or path.startswith((f"{shown[key]}.", f"{shown[key]}[")) for path in wrong)
    }
    return validate(Runbook, document, {"name": "unnamed", "title": "untitled", **rest})[0]


def _plain(value: Any) -> Any:
    """JSON values: a duration becomes ISO 8601 text, which the action's model reads back."""
    if isinstance(value, timedelta):
        return TypeAdapter(timedelta).dump_python(value, mode="json")
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def templated(value: Any) -> bool:
    """Whether there is a template in a value."""
    return any("{{" in text or "{%" in text for _, text in _texts(value, ()))


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from _texts(item, (*path, number))


def bad_templates(value: Any, document: Document, path: Path, params: Collection[str]) -> Iterator[Problem]:
    """Names in templates that nothing defines: a parameter, or a fact beside `params`, `incident` and `run`."""
    for here, text in _texts(value, path):
        for found in _TEMPLATE.finditer(text):
            inside = found[1] or found[2] or ""
            for used in _PARAM.finditer(inside):
                name = used["dotted"] or used["single"] or used["double"] or ""
                if name not in params:
                    yield document.problem(here, unknown("parameter", "params", name, params))
            if "{%" not in text:
                for root in _ROOT.findall(_TEXT.sub("''", inside)):
                    if root not in FACTS:
                        words = f"a template knows {', '.join(FACTS[:-1])} and {FACTS[-1]}, not {quoted(root)}{nearest(root, FACTS)}"
                        yield document.problem(here, words)
        if text.count("{{") != text.count("}}"):
            yield document.problem(here, "a template is not closed: {{ needs }}")


def _bad_approval(runbook: Runbook, document: Document, roles: Mapping[str, tuple[str, ...]]) -> Iterator[Problem]:
    role, path = runbook.approve.role, ("approve", "role")
    if role not in roles:
        yield document.problem(path, unknown("role", "roles", role, roles))
        return
    others = len(set(roles[role])) - runbook.approve.not_requester
    if roles[role] and others < runbook.approve.people:
        words = f"wants {runbook.approve.people} different people, but {quoted(role)} has only {others} who could"
        yield document.problem(("approve", "people"), words)


def _bad_parameters(params: Mapping[str, Parameter], document: Document) -> Iterator[Problem]:
    for name, parameter in params.items():
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            yield document.problem(("params", name), f"not a name that a template can use: {quoted(name)}", key=True)
        try:
            pattern = re.compile(parameter.pattern)
        except (re.error, OverflowError, RecursionError) as error:
            yield document.problem(("params", name, "pattern"), f"not a regular expression: {error}")
            continue
        default = parameter.default
        if default is None:
            continue
        kind = _PARAMETER_KINDS[parameter.type]
        fits = isinstance(default, (int, float) if kind is float else kind) and (
            kind is bool or not isinstance(default, bool)
        )
        if not fits:
            yield document.problem(("params", name, "default"), f"is not of the type {parameter.type}")
        elif parameter.pattern and not pattern.fullmatch(str(default)):
            yield document.problem(("params", name, "default"), "does not fit the parameter's own pattern")


def doubtful(runbook: Runbook, document: Document) -> Iterator[Problem]:
    """Parameters that no step uses, runbooks that are never offered."""
    text = "\n".join(text for step in runbook.steps for _, text in _texts(step.with_, ()))
    used = {name for found in _PARAM.finditer(text) for name in found.groups() if name}
    for name in runbook.params:
        if name not in used:
            yield document.problem(("params", name), "no step uses this parameter", key=True)
    if runbook.start == "offer" and not runbook.match:
        yield document.problem((), "has no match, so it is never offered; add one, or say start: manual")


def forbidden(runbook: Runbook, document: Document, policy: Policy) -> Iterator[Problem]:
    """Steps that the policy would refuse, as far as that shows without running: an action without a rule, a target without one."""
    for number, step in enumerate(runbook.steps):
        refusal = policy.refusal(_target(step))
        if refusal:
            yield document.problem(("steps", number, "action"), f"will be refused: {refusal}")


def helpless(runbook: Runbook, document: Document, absent: Collection[str]) -> Iterator[Problem]:
    """Steps that need a system for which tocsin.yaml has no section."""
    for number, step in enumerate(runbook.steps):
        section = SYSTEMS.get(step.action.partition(".")[0], "")
        if section in absent:
            yield document.problem(
                ("steps", number, "action"), f"{step.action} needs the section {section} in tocsin.yaml"
            )


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _target(step: Step) -> Target:
    plain = {key: value for key, value in step.with_.items() if not templated(value)}
    host = plain.get("host") or _host(str(plain.get("url", "")))
    replicas = plain.get("replicas")
    return Target(
        action=step.action,
        namespace=str(plain.get("namespace") or ""),
        name=str(plain.get("name") or plain.get("deployment") or ""),
        host=str(host),
        replicas=replicas if isinstance(replicas, int) else None,
    )
