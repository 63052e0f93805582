"""Settings for all tests."""

from __future__ import annotations

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.support")
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")
