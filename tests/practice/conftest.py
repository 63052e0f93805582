"""Fixtures of the practice workspace's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.practice.workspace_site import Site, listening


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A practice workspace on a port."""
    async with listening() as running:
        yield running
