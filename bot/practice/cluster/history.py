"""Remembers when each pod was healthy, so that the error ratio can be asked for any moment; written by the kubelet."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

KEEP = 7200.0
SERVED_BY_BROKEN = 0.93


@dataclass
class Life:
    """One pod: when it took traffic well or badly. A pod that has not come up yet takes none."""

    namespace: str
    deployment: str
    marks: list[tuple[float, bool]] = field(default_factory=list)
    ended: float = float("inf")

    def at(self, when: float) -> bool | None:
        if when >= self.ended:
            return None
        before = [healthy for since, healthy in self.marks if since <= when]
        return before[-1] if before else None


class Health:
    """`share(namespace, deployment, t)`: which part of the pods that took traffic at `t` was broken."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._lives: dict[str, Life] = {}
        self._clock = clock

    def mark(self, uid: str, namespace: str, deployment: str, at: float, healthy: bool) -> None:
        life = self._lives.setdefault(uid, Life(namespace, deployment))
        if not life.marks or life.marks[-1][1] != healthy:
            life.marks.append((at, healthy))

    def end(self, uid: str, at: float) -> None:
        if uid in self._lives:
            self._lives[uid].ended = min(at, self._lives[uid].ended)
        old = [u for u, life in self._lives.items() if life.ended < self._clock() - KEEP]
        for gone in old:
            del self._lives[gone]

    def share(self, namespace: str, deployment: str, when: float) -> float:
        mine = [x for x in self._lives.values() if (x.namespace, x.deployment) == (namespace, deployment)]
        states = [s for s in (life.at(when) for life in mine) if s is not None]
        if states:
            return states.count(False) / len(states)
        started = any(life.marks and life.marks[0][0] <= when for life in mine)
        return 1.0 if started else 0.0

    def healthy(self, namespace: str, deployment: str, when: float) -> int | None:
        """How many pods served well at `when`; None before any came up."""
        mine = [x for x in self._lives.values() if (x.namespace, x.deployment) == (namespace, deployment)]
        if not any(life.marks and life.marks[0][0] <= when for life in mine):
            return None
        return [life.at(when) for life in mine].count(True)

    def error_ratio(self, namespace: str, deployment: str, when: float) -> float:
        """Errors per request: quiet noise, plus what the broken pods answer."""
        noise = quiet(f"{namespace}/{deployment}", when)
        return round(min(1.0, noise + self.share(namespace, deployment, when) * SERVED_BY_BROKEN), 6)


def quiet(name: str, when: float) -> float:
    """Noise between 0.002 and 0.010, the same for the same name and second."""
    digest = hashlib.sha256(f"{name}:{int(when // 15)}".encode()).digest()
    return 0.002 + 0.008 * int.from_bytes(digest[:4], "big") / 0xFFFFFFFF
