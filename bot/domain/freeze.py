"""Times in which nothing is changed: `runbooks.freeze` in policy.yaml. Judged by policy.py."""

from __future__ import annotations

from pydantic import Field

from bot.domain.windows import Window


class Freeze(Window):
    """A span of time with a name. `covers` is asked with the time it is."""

    name: str = Field(min_length=1, max_length=100, description="what people call it")
