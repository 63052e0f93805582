"""`tocsin runbook lint` and `test`: runbook files on their own, without the rest of a configuration. Called by cli and by the rehearsal."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.config.files import Registry
from bot.config.loading import YAML_ENDINGS
from bot.config.problems import ConfigErrors, Problem, in_order
from bot.config.runbook_lint import doubtful
from bot.config.runbook_steps import Known
from bot.config.runbooks import Runbooks
from bot.config.yaml import read


@dataclass(frozen=True, slots=True)
class Files:
    """`names`: the runbooks of the files that were asked for; `all` has those that they may call as well, from the same folders."""

    all: Runbooks
    names: tuple[str, ...]


def lint(places: Sequence[Path], registry: Registry) -> tuple[int, list[Problem]]:
    """(how many runbooks, warnings) of these files and folders. Raises ConfigErrors with all problems. Roles are not known here, so not checked."""
    files = gathered(places, registry)
    asked = {files.all.documents[name].file for name in files.names}
    warnings = [warning for warning in files.all.warnings if warning.file in asked]
    for name in files.names:
        warnings += doubtful(files.all.found[name], files.all.documents[name], registry, files.all.found)
    return len(files.names), list(in_order(warnings))


def gathered(places: Sequence[Path], registry: Registry) -> Files:
    """The runbooks of these files and folders, checked. Raises ConfigErrors with all the problems in them."""
    runbooks = Runbooks(Known(registry.actions, None, registry.about))
    missing: list[Problem] = []
    asked = list(dict.fromkeys(_files(places, missing)))
    beside = [path for folder in dict.fromkeys(path.parent for path in asked) for path in _yaml_files(folder)]
    shown = {os.path.normpath(path) for path in asked}
    for path in dict.fromkeys([*asked, *beside]):
        document, problems = read(path, os.path.normpath(path))
        runbooks.problems += problems
        if document.readable:
            runbooks.add(document)
    runbooks.finish()
    problems = [problem for problem in runbooks.problems if problem.file in shown] + missing
    if problems:
        raise ConfigErrors(in_order(problems), in_order(runbooks.warnings))
    names = [name for name in runbooks.found if runbooks.documents[name].file in shown]
    return Files(runbooks, tuple(names))


def _files(places: Iterable[Path], problems: list[Problem]) -> Iterator[Path]:
    for place in places:
        if place.is_dir():
            found = _yaml_files(place)
            if not found:
                words = "there is no *.yaml file in this folder"
                problems.append(Problem(os.path.normpath(place), 0, 0, "", words))
            yield from found
        elif place.exists():
            yield place
        else:
            problems.append(Problem(os.path.normpath(place), 0, 0, "", "there is no such file or folder"))


def _yaml_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in YAML_ENDINGS and not path.name.startswith("."))
