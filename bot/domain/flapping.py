"""Alerts that come and go: when one fires too often, its incident is held open, and nobody is paged again until it is calm. Asked by triage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

MOST_KEPT = 20


@dataclass(frozen=True, slots=True)
class Flapping:
    """An alert flaps when it has begun to fire `fires` times within `within`; it is calm when nothing has changed for `calm`. `fires` 0: never."""

    fires: int = 3
    within: timedelta = timedelta(minutes=30)
    calm: timedelta = timedelta(minutes=15)

    def begun(self, fired: Iterable[datetime], starts_at: datetime) -> tuple[datetime, ...]:
        """When it has begun to fire, this time included, as far as it matters: the order in which it was heard of does not."""
        every = sorted({*fired, starts_at})
        kept = [at for at in every if at >= every[-1] - self.within]
        return tuple(kept[-max(self.fires, 1) :][-MOST_KEPT:])

    def flaps(self, fired: Iterable[datetime]) -> bool:
        times = tuple(fired)
        return self.fires > 0 and len(times) >= self.fires and times[-1] - times[-self.fires] <= self.within

    def said(self) -> str:
        return f"it has begun to fire {self.fires} times within {shown(self.within)}"


def shown(span: timedelta) -> str:
    """`90s`, `15m`, `2h`, `3d`: the largest unit that gives a whole number."""
    seconds = int(span.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
