"""`tocsin runbook lint`: runbook files on their own, without the rest of a configuration. Called by cli."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from bot.config.files import Registry
from bot.config.loading import YAML_ENDINGS
from bot.config.problems import ConfigErrors, Problem, in_order
from bot.config.runbooks import Known, Runbooks
from bot.config.yaml import read


def lint(places: Sequence[Path], registry: Registry) -> tuple[int, list[Problem]]:
    """(how many runbooks, warnings) of these files and folders. Raises ConfigErrors with all problems. Roles are not known here, so not checked."""
    runbooks = Runbooks(Known(registry.actions, None))
    for path in _files(places, runbooks.problems):
        document, problems = read(path, os.path.normpath(path))
        runbooks.problems += problems
        if document.readable:
            runbooks.add(document)
    if runbooks.problems:
        raise ConfigErrors(in_order(runbooks.problems), in_order(runbooks.warnings))
    return len(runbooks.found), list(in_order(runbooks.warnings))


def _files(places: Iterable[Path], problems: list[Problem]) -> Iterable[Path]:
    for place in places:
        if place.is_dir():
            found = sorted(
                path for path in place.iterdir() if path.suffix in YAML_ENDINGS and not path.name.startswith(".")
            )
            if not found:
                problems.append(Problem(str(place), 0, 0, "", "there is no *.yaml file in this folder"))
            yield from found
        elif place.exists():
            yield place
        else:
            problems.append(Problem(str(place), 0, 0, "", "there is no such file or folder"))
