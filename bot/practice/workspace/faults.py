"""Trouble on demand: what goes wrong, in which calls, how often. Set by tests and by the control API."""

from __future__ import annotations

import fnmatch
import random
from dataclasses import asdict, dataclass

from bot.practice.workspace.calls import Json

KINDS = {
    "429": "answers ratelimited with Retry-After = seconds; nothing is done",
    "500": "answers an HTTP 5xx (status); nothing is done",
    "timeout": "takes the request, does nothing and never answers for `seconds`, then drops the connection",
    "lost": "does the act, then drops the connection without an answer",
    "slow": "does the act, answers `seconds` late",
    "error": "answers the Slack error named in `error`; nothing is done",
    "down": "drops the connection at once; nothing is done",
    "create_twins": "conversations.create does not notice that the name is taken",
    "duplicate": "on event:TYPE, command or interactive: delivered twice (an event under two event ids)",
    "drop": "on event:TYPE, command or interactive: never delivered",
}


@dataclass
class Fault:
    """One kind of trouble; `method` is a pattern such as chat.* (or event:message, command, interactive, upload)."""

    kind: str
    method: str = "*"
    count: int | None = None
    probability: float = 1.0
    seconds: float = 1.0
    status: int = 500
    error: str = "internal_error"
    id: int = 0

    def to_json(self) -> Json:
        """As the control API lists it."""
        return asdict(self)


class Faults:
    """The faults now set. The random numbers are seeded: the same calls fail in every run."""

    def __init__(self, seed: int = 7) -> None:
        self._random = random.Random(seed)
        self._set: list[Fault] = []
        self._next = 1

    def add(self, kind: str, method: str = "*", *, count: int | None = None, **more: float | str) -> Fault:
        """Start a fault; `count` calls, or until cleared. More: probability, seconds, status, error."""
        if kind not in KINDS:
            raise ValueError(f"no fault named {kind!r}; there are: {', '.join(KINDS)}")
        fault = Fault(kind, method, count, id=self._next)
        for name, value in more.items():
            if name not in {"probability", "seconds", "status", "error"}:
                raise ValueError(f"a fault has no {name!r}")
            setattr(fault, name, value)
        self._next += 1
        self._set.append(fault)
        return fault

    def clear(self, fault_id: int | None = None) -> None:
        """End one fault, or all."""
        self._set = [fault for fault in self._set if fault_id is not None and fault.id != fault_id]

    def active(self) -> list[Fault]:
        """What is set, oldest first."""
        return list(self._set)

    def take(self, method: str, *kinds: str) -> Fault | None:
        """The first fault of these kinds that strikes this call; it counts as used."""
        for fault in self._set:
            if fault.kind not in kinds or not fnmatch.fnmatch(method, fault.method):
                continue
            if fault.probability < 1 and self._random.random() >= fault.probability:
                continue
            if fault.count is not None:
                fault.count -= 1
                if fault.count <= 0:
                    self._set.remove(fault)
            return fault
        return None
