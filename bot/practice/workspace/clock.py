"""The time that practice servers live by: somebody else's clock, plus what tests and drills moved it ahead."""

from __future__ import annotations

from collections.abc import Callable


class Clock:
    """Call it for the time in seconds since 1970."""

    def __init__(self, source: Callable[[], float]) -> None:
        self._source = source
        self.offset = 0.0

    def __call__(self) -> float:
        return self._source() + self.offset

    def advance(self, seconds: float) -> float:
        """Jump ahead; gives the new time."""
        self.offset += seconds
        return self()
