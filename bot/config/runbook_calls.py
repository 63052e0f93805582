"""What only shows when all runbooks are read: calls of each other, and the names in their tests. Used by runbooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bot.config.marks import Document, Path
from bot.config.problems import Problem, listed, nearest, quoted, unknown
from bot.config.runbook_steps import placed, templated
from bot.domain.expand import DEEPEST_CALL, MOST_STEPS
from bot.domain.parameters import fitted
from bot.domain.runbook import Runbook
from bot.errors import BadInput

UNDO = "undo."


def bad_calls(runbook: Runbook, document: Document, library: Mapping[str, Runbook]) -> Iterator[Problem]:
    """Calls of runbooks that there are not, in a circle, too deep, or with parameters that do not fit."""
    for step, path in placed(runbook):
        called = library.get(step.call)
        if not step.call:
            continue
        if called is None:
            yield document.problem((*path, "call"), unknown("runbook", "runbooks", step.call, sorted(library)))
            continue
        way = _circle_or_depth(called, (runbook.name, called.name), library)
        if way:
            words = f"runbooks call each other in a circle or more than {DEEPEST_CALL} deep: {' -> '.join(way)}"
            yield document.problem((*path, "call"), words)
            return
        yield from _bad_parameters(step.with_, called, document, (*path, "with"))
    many = _many(runbook, library)
    if many > MOST_STEPS:
        yield document.problem(
            ("steps",), f"{many} steps with those that it calls; {MOST_STEPS} are possible", key=True
        )


def _circle_or_depth(runbook: Runbook, way: tuple[str, ...], library: Mapping[str, Runbook]) -> tuple[str, ...]:
    """The way of calls that comes back to where it has been or goes too deep; () when all end in time."""
    if way[-1] in way[:-1] or len(way) > DEEPEST_CALL:
        return way
    for step in runbook.steps:
        called = library.get(step.call)
        if step.call and called is not None:
            found = _circle_or_depth(called, (*way, called.name), library)
            if found:
                return found
    return ()


def _many(runbook: Runbook, library: Mapping[str, Runbook]) -> int:
    """How many steps a run begins with. Only for runbooks whose calls end."""
    called = [library[step.call] for step in runbook.steps if step.call in library]
    return sum(1 for step in runbook.every_step() if step.action) + sum(_many(one, library) for one in called)


def _bad_parameters(given: Mapping[str, Any], called: Runbook, document: Document, path: Path) -> Iterator[Problem]:
    for name, value in given.items():
        spec = called.params.get(name)
        if spec is None:
            words = f"{called.name} has no parameter {quoted(name)}{nearest(name, called.params)}"
            yield document.problem((*path, name), f"{words}{listed('params', called.params)}", key=True)
        elif isinstance(value, Mapping | list | tuple):
            yield document.problem((*path, name), f"wanted a single value for {name} of {called.name}")
        elif value not in (None, "") and not templated(value):
            try:
                fitted(called.name, name, spec, value)
            except BadInput as error:
                yield document.problem((*path, name), str(error))
    for name, spec in called.params.items():
        if name not in given and spec.default is None and not spec.label:
            yield document.problem(path, f"{called.name} needs the parameter {quoted(name)}", key=True)


# ------------------------------------------------------------------------------------------------ tests


def step_ids(
    runbook: Runbook, library: Mapping[str, Runbook], prefix: str = "", way: tuple[str, ...] = ()
) -> Iterator[str]:
    """How tests name the steps: by id, those of a called runbook behind the id of the call: `drain.cordon`."""
    for step, _ in placed(runbook):
        yield f"{prefix}{step.id}"
        called = library.get(step.call)
        if step.call and called is not None and called.name not in way and len(way) < DEEPEST_CALL:
            yield from step_ids(called, library, f"{prefix}{step.id}.", (*way, called.name))


def bad_trials(runbook: Runbook, document: Document, library: Mapping[str, Runbook]) -> Iterator[Problem]:
    """Steps and parameters in `tests:` that there are not."""
    ids, names = list(step_ids(runbook, library)), set[str]()
    for number, trial in enumerate(runbook.tests):
        path: Path = ("tests", number)
        if trial.name in names:
            yield document.problem((*path, "name"), f"there is a test {quoted(trial.name)} already")
        names.add(trial.name)
        yield from _bad_values(trial.params, runbook, document, (*path, "params"))
        for key in ("facts", "fail", "clicks", "results"):
            for name in getattr(trial, key):
                if _plain(name) not in ids:
                    yield document.problem((*path, key, name), unknown("step", "steps", name, ids), key=True)
        for key in ("steps", "plan"):
            for name in getattr(trial.expect, key):
                if _plain(name) not in ids:
                    place = (*path, "expect", key, name)
                    yield document.problem(place, unknown("step", "steps", name, ids), key=True)
        for index, name in enumerate(trial.expect.undone):
            if _plain(name) not in ids:
                yield document.problem((*path, "expect", "undone", index), unknown("step", "steps", name, ids))


def _bad_values(given: Mapping[str, Any], runbook: Runbook, document: Document, path: Path) -> Iterator[Problem]:
    """Parameters that a test gives: that there are not, or with a value that nobody could give them."""
    for name, value in given.items():
        if name not in runbook.params:
            yield document.problem((*path, name), unknown("parameter", "params", name, runbook.params), key=True)
        elif value not in (None, ""):
            try:
                fitted(runbook.name, name, runbook.params[name], value)
            except BadInput as error:
                yield document.problem((*path, name), str(error))


def _plain(name: str) -> str:
    """The id of a step, without what stands for one item of its list or for its undo."""
    return name.removeprefix(UNDO).partition("[")[0]
