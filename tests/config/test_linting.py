"""`tocsin runbook lint` reads runbook files without the rest of a configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.config import ConfigErrors
from bot.config.linting import lint
from tests.config.folder import REGISTRY, RUNBOOK, written


def test_files_and_folders_are_linted_without_a_configuration(tmp_path: Path) -> None:
    place = written(tmp_path, {"tocsin.yaml": None, "other.yaml": RUNBOOK.replace("scale-up", "other")})
    assert lint([place / "runbooks", place / "other.yaml"], REGISTRY) == (2, [])


def test_all_problems_of_all_files_are_told(tmp_path: Path) -> None:
    place = written(tmp_path, {"runbooks/a.yaml": RUNBOOK.replace("k8s.scale", "k8s.scal"), "runbooks/b.yaml": "["})
    with pytest.raises(ConfigErrors) as caught:
        lint([place / "runbooks", place / "nowhere"], REGISTRY)
    assert [problem.file.removeprefix(f"{place}/") for problem in caught.value.problems] == [
        "runbooks/a.yaml",
        "runbooks/b.yaml",
        "runbooks/scale-up.yaml",
        "nowhere",
    ]
