"""What is doubtful about a runbook: it works, but perhaps not as meant, or nobody would see that it did not. Used by runbooks and by lint."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Any

from bot.clients.http import READS
from bot.clients.template_names import Path as Used
from bot.clients.template_names import in_expression, in_template
from bot.config.files import ActionFacts, Registry
from bot.config.marks import Document, Path
from bot.config.problems import Problem
from bot.config.runbook_reach import unreachable
from bot.config.runbook_steps import placed, templated, texts
from bot.config.units import shortest
from bot.domain.matching import all_match
from bot.domain.redaction import Redactor
from bot.domain.runbook import ITEMS, Approval, Runbook, Step
from bot.errors import BadInput

HURRY = timedelta(minutes=2)
ONLY_ACTIONS = ("timeout", "retry", "verify", "approve", "no_undo", "at_once", "most")
REFERENCES = ("env:", "file:")


def always_doubtful(runbook: Runbook, document: Document) -> Iterator[Problem]:
    """What `tocsin check` says as well: parameters that no step uses, runbooks that are never offered, secrets in clear."""
    used = {path[1] for path in uses(runbook) if path[0] == "params" and len(path) > 1}
    for name in runbook.params:
        if name not in used:
            yield document.problem(("params", name), "no step uses this parameter", key=True)
    if runbook.start != "manual" and not runbook.match:
        never = "offered" if runbook.start == "offer" else "started by itself"
        yield document.problem((), f"has no match, so it is never {never}; add one, or say start: manual")
    yield from _secrets(runbook, document)


def doubtful(
    runbook: Runbook, document: Document, registry: Registry, library: Mapping[str, Runbook]
) -> Iterator[Problem]:
    """What only lint says."""
    about = registry.about
    yield from _whole(runbook, document, about, library)
    read = {pair for one in library.values() for path in uses(one) for pair in pairwise(path)}
    for step, path in placed(runbook):
        yield from _unused_keys(step, document, path)
        yield from _approval(step.approve, document, (*path, "approve"))
        yield from _unseen(runbook, step, document, path, about)
        yield from _for_good(step, document, path, registry)
        if isinstance(step.foreach, str) and step.foreach and step.most is None:
            words = f"does not say how many items at most (most: …), so {ITEMS}; a longer list fails the step"
            yield document.problem((*path, "foreach"), words, key=True)
        for name in step.outputs:
            if (step.id, name) not in read and (step.id.replace("-", "_"), name) not in read:
                yield document.problem((*path, "outputs", name), "no step uses this output", key=True)
    yield from unreachable(runbook, document)


def uses(runbook: Runbook) -> Iterator[Used]:
    """Every name that the templates and expressions of a runbook use, with its members."""
    for step, path in placed(runbook):
        values: list[Any] = [step.with_, step.undo.with_ if step.undo else ()]
        expressions = [step.if_, step.verify.until, *step.outputs.values()]
        if isinstance(step.foreach, str):
            expressions.append(step.foreach)
        else:
            values.append(step.foreach)
        for _, text in (found for value in values for found in texts(value, path)):
            yield from _in_template(text) if templated(text) else ()
        for expression in expressions:
            yield from in_expression(expression)


def _in_template(text: str) -> list[Used]:
    """One that cannot be read is a problem that was told; here it shall not make its names look unused."""
    try:
        return in_template(text)
    except BadInput:
        return in_expression(text)


# ------------------------------------------------------------------------------------------------ the runbook as a whole


def _whole(
    runbook: Runbook, document: Document, about: Mapping[str, ActionFacts], library: Mapping[str, Runbook]
) -> Iterator[Problem]:
    if runbook.match and runbook.start == "manual":
        yield document.problem(("match",), "is never used, since start is manual", key=True)
    elif runbook.match and all_match(runbook.matchers, {one.name: "7f3a" for one in runbook.matchers}):
        labels = ", ".join(one.name for one in runbook.matchers if not one.matches({}))
        which = f" that has {labels}" if labels else ""
        yield document.problem(("match",), f"fits every alert{which}; match something that names the problem")
    yield from _approval(runbook.approve, document, ("approve",))
    if not runbook.tests and changes(runbook, about, library):
        words = "it changes something and has no tests; add `tests:` (docs/runbook-reference.md) and run `tocsin runbook test`"
        yield document.problem((), words)


def changes(
    runbook: Runbook, about: Mapping[str, ActionFacts], library: Mapping[str, Runbook], way: tuple[str, ...] = ()
) -> bool:
    """Whether a run of it may change something."""
    called = [library[step.call] for step in runbook.steps if step.call in library and step.call not in way]
    return any(_writes(step, about) for step in runbook.every_step()) or any(
        changes(one, about, library, (*way, runbook.name)) for one in called
    )


def _approval(approval: Approval | None, document: Document, path: Path) -> Iterator[Problem]:
    if approval is not None and approval.expires < HURRY:
        words = f"nobody looks at a phone and answers within {shortest(approval.expires)}, and no answer means no"
        yield document.problem((*path, "expires"), words)


# ------------------------------------------------------------------------------------------------ steps


def _writes(step: Step, about: Mapping[str, ActionFacts]) -> bool:
    """Whether this use of the action may change something: some actions only look when they are told so."""
    facts = about.get(step.action)
    if facts is None or not facts.writes or step.with_.get("changes") is False:
        return False
    return step.action != "http.request" or step.with_.get("method", "GET") not in READS


def _unseen(
    runbook: Runbook, step: Step, document: Document, path: Path, about: Mapping[str, ActionFacts]
) -> Iterator[Problem]:
    """A change of which nothing is seen afterwards: neither the action, nor a condition, nor a later step looks."""
    if not _writes(step, about) or about[step.action].observable or step.verify.until or step.with_.get("check"):
        return
    after = [one for one, place in placed(runbook) if place[:2] > path[:2]]
    if any(_looks(one, about) or one.call for one in after):
        return
    words = f"nothing shows whether {step.action} has worked: add verify.until, or a step after it that looks"
    yield document.problem((*path, "action"), words)


def _looks(step: Step, about: Mapping[str, ActionFacts]) -> bool:
    facts = about.get(step.action)
    return step.action != "" and (facts is None or (facts.way == "acts" and not _writes(step, about)))


def _for_good(step: Step, document: Document, path: Path, registry: Registry) -> Iterator[Problem]:
    """A risky step that nothing takes back, and no word why."""
    facts = registry.about.get(step.action)
    if facts is None or facts.risk != "high" or not _writes(step, registry.about) or step.undo or step.no_undo:
        return
    own = "undo" in registry.actions[step.action].model_fields
    if (own and not step.with_.get("undo")) or (not own and facts.part("Undo").lower().startswith("none")):
        words = f"{step.action} is risky and nothing takes it back: add undo, or say in no_undo why there is none"
        yield document.problem((*path, "action"), words)


def _unused_keys(step: Step, document: Document, path: Path) -> Iterator[Problem]:
    """Keys that mean nothing in a step of this kind."""
    kind = "call" if step.call else "parallel" if step.parallel else ""
    given = step.model_fields_set
    unused = [name for name in (*ONLY_ACTIONS, *(("on_failure",) if kind == "call" else ())) if kind and name in given]
    if kind == "parallel" and "with_" in given:
        unused.append("with")
    if not kind and not step.is_list:
        unused = [name for name in ("most", "at_once") if name in given]
        kind = "a step without foreach" if unused else ""
    for name in unused:
        words = f"means nothing beside {kind}" if step.call or step.parallel else f"means nothing in {kind}"
        yield document.problem((*path, name), words, key=True)


# ------------------------------------------------------------------------------------------------ secrets


def _secrets(runbook: Runbook, document: Document) -> Iterator[Problem]:
    """Values that look like credentials: they would be in git, in the database and in plans."""
    redact = Redactor()
    for name, parameter in runbook.params.items():
        if parameter.default and redact.labels({name: str(parameter.default)})[name] != str(parameter.default):
            yield document.problem(("params", name, "default"), _IN_CLEAR)
    for step, path in placed(runbook):
        for place, value in (("with", step.with_), ("undo", {"with": step.undo.with_} if step.undo else {})):
            for here, text in texts(value, (*path, place)):
                name = str(here[-1])
                bare = not templated(text) and not text.startswith(REFERENCES)
                if redact(text) != text or (bare and redact.labels({name: text})[name] != text):
                    yield document.problem(here, _IN_CLEAR)


_IN_CLEAR = (
    "looks like a secret: a runbook is no place for one; tokens for requests stand under http: in tocsin.yaml, by host and by "
    "reference (what was found is not shown)"
)
