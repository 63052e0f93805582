"""Alert storms: more new incidents than anybody can read become one, with a list, and people are paged once. Asked by triage as its last stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.routing import Route


@dataclass(frozen=True, slots=True)
class Storm:
    """When a route has opened `more_than` incidents within `within`, what else is new there becomes one storm incident. `more_than` 0: never.

    The storm takes in new problems until none has come for `within`; after that they open incidents of their own again.
    """

    more_than: int = 10
    within: timedelta = timedelta(minutes=5)

    def blows(self, opened: Sequence[datetime], now: datetime) -> bool:
        """`opened`: when the route's latest incidents were opened, the newest `more_than` of them at least."""
        if not 0 < self.more_than <= len(opened):
            return False
        return sum(1 for at in opened if now - at < self.within) >= self.more_than

    def still(self, latest: datetime | None, now: datetime) -> bool:
        """Whether a storm incident that took in its latest problem at that time takes in another one now."""
        return latest is not None and now - latest < self.within


def storm_key(route: Route) -> str:
    """The group key of a route's storm incident."""
    return f"storm/{route.key}"
