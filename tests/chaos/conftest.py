"""What the chaos tests share: the process that their children come from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.killing import nursery


@pytest.fixture(scope="session")
def door() -> Iterator[str]:
    """Where children are asked for."""
    with nursery() as path:
        yield path
