"""Conditions that can never hold, and those that always do. Used by runbook_lint."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bot.clients.expressions import CelExpressions
from bot.clients.template_names import in_expression
from bot.config.marks import Document, Path
from bot.config.problems import Problem, listed, nearest, quoted
from bot.config.runbook_steps import placed, templated
from bot.domain.runbook import Runbook
from bot.errors import BadInput

_CONSTANTS = ("true", "false", "null")
_COMPARED = re.compile(
    r"""(?P<path>(?:steps|params)\s*(?:\.\s*\w+|\[\s*["'][^"']*["']\s*\])(?:\s*\.\s*answer)?)\s*(?P<op>==|!=)\s*(?P<text>"[^"\\]*"|'[^'\\]*')"""
)


def unreachable(runbook: Runbook, document: Document) -> Iterator[Problem]:
    """Steps whose `if` is constant, or compares an answer or a parameter with what it cannot be."""
    choices = _choices(runbook)
    for step, path in placed(runbook):
        if step.if_:
            yield from _constant(step.if_, document, (*path, "if"))
            yield from _impossible(step.if_, document, (*path, "if"), choices)


def _constant(expression: str, document: Document, path: Path) -> Iterator[Problem]:
    if any(str(used[0]) not in _CONSTANTS for used in in_expression(expression)):
        return
    try:
        value = CelExpressions().value(expression, {})
    except BadInput:
        return
    what = "always holds" if value is True else "never holds, so the step is never done"
    yield document.problem(path, f"{what}: it does not depend on anything")


def _choices(runbook: Runbook) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """What can be told of a value beforehand: the choices of a question and of a parameter."""
    found = {("params", name): spec.choices for name, spec in runbook.params.items() if spec.choices}
    for step, _ in placed(runbook):
        given = step.with_.get("choices")
        if step.action == "ask" and isinstance(given, list | tuple) and not templated(given):
            for spelling in (step.id, step.id.replace("-", "_")):
                found["steps", spelling] = tuple(str(choice) for choice in given)
    return found


def _impossible(
    expression: str, document: Document, path: Path, choices: Mapping[tuple[str, str], tuple[str, ...]]
) -> Iterator[Problem]:
    for compared in _COMPARED.finditer(expression):
        parts = in_expression(compared["path"])[0]
        possible = choices.get((str(parts[0]), str(parts[1])))
        text = compared["text"][1:-1]
        if possible is None or text in possible or (parts[0] == "steps" and parts[2:] != ("answer",)):
            continue
        never = "never holds" if compared["op"] == "==" else "always holds"
        words = f"{never}: {quoted(text)} is none of the choices{nearest(text, possible)}{listed('choices', possible)}"
        yield document.problem(path, words)
