"""The failures that cross a border of the program: everything else is a bug and is logged with its traceback.

`BadInput` is said to whoever sent the input, `TryLater` is for the worker (the only retry loop), `GaveUp` ends an effect for good.
"""

from __future__ import annotations


class BadInput(Exception):
    """Somebody's input is wrong and stays wrong: a payload, a file, a command, a refused click. The text says where, what and what instead."""


class Drifted(BadInput):
    """The world is not as it was planned upon: nothing was done; look and plan again."""


class Replayed(BadInput):
    """A delivery that is good once only (a signed one) was taken before; nothing of it was kept this time."""


class NotSigned(BadInput):
    """It does not carry the mark that only its true sender can make: nothing that it says is believed."""


class Outdated(BadInput):
    """It was good, and is too old by now."""


class TryLater(Exception):
    """Something else is not available now. `delay` is in seconds (None: the worker's own backoff).

    `uncertain` says that the act may have taken place all the same (timeout, connection lost after sending): look before acting again.
    """

    def __init__(self, message: str, delay: float | None = None, *, uncertain: bool = False) -> None:
        super().__init__(message)
        self.delay = delay
        self.uncertain = uncertain


class GaveUp(Exception):
    """An effect can never be delivered, and nobody's input is to blame (a scope that the workspace refuses, a channel that is gone)."""


class Overloaded(Exception):
    """The intake queue is full. `retry_after` is in seconds; the sender gets 503 and comes again."""

    def __init__(self, message: str, retry_after: int = 5) -> None:
        super().__init__(message)
        self.retry_after = retry_after
