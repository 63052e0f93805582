"""What the chaos tests share: the process that their children come from, and a folder for what these keep."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.killing import nursery


@pytest.fixture(scope="session")
def door() -> Iterator[str]:
    """Where children are asked for."""
    with nursery() as path:
        yield path


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory where possible: to survive a killed process takes no disk; to survive a killed machine does."""
    made = Path(tempfile.mkdtemp(prefix="tocsin-chaos-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    yield made
    shutil.rmtree(made, ignore_errors=True)
