"""Runbook folders: each YAML file one Runbook of the domain, checked against the actions, the roles and the policy. Used by load, lint and test.

The steps are checked in runbook_steps.py, what only shows when all files are read in runbook_calls.py; what is merely doubtful is in runbook_lint.py.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bot.config.files import ActionFacts
from bot.config.marks import Document, path_text
from bot.config.problems import Problem, quoted
from bot.config.routes import bad_matchers
from bot.config.runbook_calls import bad_calls, bad_trials
from bot.config.runbook_lint import always_doubtful
from bot.config.runbook_steps import Fitting, Known, checked, placed, templated
from bot.config.validate import validate
from bot.domain.parameters import fitted
from bot.domain.plan import Target
from bot.domain.policy import Policy
from bot.domain.regex import Regex
from bot.domain.runbook import Parameter, Runbook, Step
from bot.errors import BadInput

SYSTEMS = {"k8s": "kubernetes", "prometheus": "prometheus"}
PLACES = ("namespace", "host", "url")
_PARAMETER_KINDS: dict[str, type] = {"string": str, "integer": int, "number": float, "boolean": bool}


@dataclass(slots=True)
class Runbooks:
    """Collects the runbooks of all folders; a name may be taken once. `finish` after the last one: then they are compared with each other."""

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
        fitting = Fitting(self.known, document)
        runbook = fitting.runbook(runbook)
        self.problems += fitting.problems
        self.problems += bad_matchers(runbook.match, document, ("match",))
        self.problems += _bad_parameters(runbook.params, document)
        self.problems += checked(runbook, document, self.known)
        if not complete:
            return
        if runbook.name in self.found:
            other = self.documents[runbook.name].file
            self.problems.append(document.problem(("name",), f"{other} is called {quoted(runbook.name)} already"))
            return
        self.found[runbook.name] = runbook
        self.documents[runbook.name] = document
        self.warnings += always_doubtful(runbook, document)

    def finish(self) -> None:
        """Every file has been added."""
        for name, runbook in self.found.items():
            self.problems += bad_calls(runbook, self.documents[name], self.found)
            self.problems += bad_trials(runbook, self.documents[name], self.found)


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


def _bad_parameters(params: Mapping[str, Parameter], document: Document) -> Iterator[Problem]:
    for name, parameter in params.items():
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            yield document.problem(("params", name), f"not a name that a template can use: {quoted(name)}", key=True)
        try:
            Regex(parameter.pattern)
        except ValueError as error:
            yield document.problem(("params", name, "pattern"), f"not a regular expression: {error}")
            continue
        wrong = _bad_default(name, parameter)
        if wrong:
            yield document.problem(("params", name, "default"), wrong)


def _bad_default(name: str, parameter: Parameter) -> str:
    """What is wrong with a default: one of another type is meant otherwise, even where it could be read."""
    default = parameter.default
    if default is None or default == "":
        return ""
    kind = _PARAMETER_KINDS.get(parameter.type)
    wanted = (int, float) if kind is float else kind
    if wanted and (not isinstance(default, wanted) or (kind is not bool and isinstance(default, bool))):
        return f"is not of the type {parameter.type}"
    if parameter.pattern and not re.fullmatch(parameter.pattern, str(default)):
        return "does not fit the parameter's own pattern"
    try:
        fitted("default", name, parameter, default)
    except BadInput as error:
        return str(error).removeprefix("default: ")
    return ""


# ------------------------------------------------------------------------------------------------ with the rest of a configuration


def forbidden(
    runbook: Runbook, document: Document, policy: Policy, about: Mapping[str, ActionFacts]
) -> Iterator[Problem]:
    """Steps that the policy would refuse, as far as that shows without running: an action without a rule, a target without one."""
    for step, path in placed(runbook):
        judged = step.action and about.get(step.action, ActionFacts()).way not in ("asks", "waits")
        refusal = policy.refusal(_target(step)) if judged else None
        if refusal:
            yield document.problem((*path, "action"), f"will be refused: {refusal}")


def helpless(runbook: Runbook, document: Document, absent: Collection[str]) -> Iterator[Problem]:
    """Steps that need a system for which tocsin.yaml has no section."""
    for step, path in placed(runbook):
        section = SYSTEMS.get(step.action.partition(".")[0], "")
        if section in absent:
            yield document.problem((*path, "action"), f"{step.action} needs the section {section} in tocsin.yaml")


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _target(step: Step) -> Target:
    if any(templated(step.with_.get(key, "")) for key in PLACES):
        return Target(action=step.action)  # a name without its place says nothing
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
