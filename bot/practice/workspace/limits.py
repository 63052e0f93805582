"""How often each method may be called, as Slack limits it: a tier per method and one message a second per channel."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

# Slack promises at least this many a minute; a burst of a whole minute's worth is let through.
TIERS = {1: 1, 2: 20, 3: 50, 4: 100, 5: 600}
CHANNEL_BURST = 5
WORKSPACE_POSTS = 300  # Slack: "several hundred messages per minute"


@dataclass
class Bucket:
    """Tokens that come back over time."""

    size: float
    per_second: float
    tokens: float
    at: float

    def take(self, now: float) -> int:
        """0 when a token was there; else the seconds until one is."""
        self.tokens = min(self.size, self.tokens + max(0.0, now - self.at) * self.per_second)
        self.at = now
        if self.tokens >= 1 - 1e-9:
            self.tokens -= 1
            return 0
        return max(1, math.ceil((1 - self.tokens) / self.per_second - 1e-9))


class Limits:
    """All buckets of one app in one workspace."""

    def __init__(self, now: Callable[[], float], *, enabled: bool = True) -> None:
        self.now = now
        self.enabled = enabled
        self._buckets: dict[str, Bucket] = {}

    def take(self, method: str, tier: int, channel: str = "") -> int:
        """Seconds to wait (Retry-After), or 0: go ahead. `channel` is given for posting methods only."""
        if not self.enabled:
            return 0
        if channel:
            wait = self._bucket(f"post {channel}", CHANNEL_BURST, 1.0).take(self.now())
            return wait or self._bucket("posts", WORKSPACE_POSTS, WORKSPACE_POSTS / 60).take(self.now())
        per_minute = TIERS[tier]
        # Slack lets an app open several sockets in a row although the method is tier 1.
        size = 10 if tier == 1 else per_minute
        return self._bucket(method, size, per_minute / 60).take(self.now())

    def reset(self) -> None:
        """Forget what was used up."""
        self._buckets.clear()

    def _bucket(self, name: str, size: float, per_second: float) -> Bucket:
        if name not in self._buckets:
            self._buckets[name] = Bucket(size, per_second, size, self.now())
        return self._buckets[name]
