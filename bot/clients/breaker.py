"""A circuit breaker for one destination: a dead one costs nothing, so that whoever waits for a page gets it by another medium at once.

Used by media_http and by media that do not speak HTTP. One medium has one breaker; it knows nothing of other media.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from bot.domain.ports import Clock
from bot.errors import BadInput, GaveUp, TryLater

FAILURES = 5
REST = timedelta(seconds=30)
ANOTHER_TRIES = 2.0  # seconds until somebody who came while one attempt was under way may ask again


class Breaker:
    """Closed: everything goes through. After `failures` TryLaters in a row it opens: TryLater at once. After `rest` one attempt goes through
    (half-open): if it works the breaker closes, if not it rests again. BadInput and GaveUp are answers: whoever gives them is alive.
    """

    def __init__(self, name: str, clock: Clock, *, failures: int = FAILURES, rest: timedelta = REST) -> None:
        self._name = name
        self._clock = clock
        self._most = failures
        self._rest = rest
        self._failed = 0
        self._since: datetime | None = None
        self._trying = False

    @property
    def open(self) -> bool:
        return self._since is not None

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """What is tried stands in the block. Raises TryLater before it when the breaker is open; what the block raises goes through."""
        probing = self._admit()
        try:
            yield
        except TryLater:
            self._failure()
            raise
        except (BadInput, GaveUp):
            self._close()
            raise
        else:
            self._close()
        finally:
            if probing:
                self._trying = False

    def _admit(self) -> bool:
        """Whether this attempt is the one that shows if the destination is back."""
        if self._since is None:
            return False
        now = self._clock()
        self._since = min(self._since, now)  # a clock that was set back must not make the rest longer
        left = (self._since + self._rest - now).total_seconds()
        if left > 0 or self._trying:
            words = f"{self._name}: not tried, because the last {self._failed} attempts failed"
            raise TryLater(words, min(max(left, ANOTHER_TRIES), self._rest.total_seconds()))
        self._trying = True
        return True

    def _failure(self) -> None:
        self._failed += 1
        if self._failed >= self._most:
            self._since = self._clock()

    def _close(self) -> None:
        self._failed = 0
        self._since = None
