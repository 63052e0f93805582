"""Settings for all tests."""

from __future__ import annotations

import pytest
import structlog
from hypothesis import settings

pytest.register_assert_rewrite("tests.support")
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")
# As the program sets it up. structlog's own default shows the values of all variables, which takes seconds.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)
