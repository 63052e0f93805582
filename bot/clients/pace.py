"""How fast Slack may be called: a bucket per method and per channel, closed after a 429; pages overtake the rest. Used by clients/slack."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bot.domain.effects import Priority
from bot.errors import TryLater

# Calls a minute that Slack promises per method: https://docs.slack.dev/apis/web-api/rate-limits
TIERS = {1: 1, 2: 20, 3: 50, 4: 100}
TIER_OF = {
    "apps.connections.open": 1,
    "chat.postEphemeral": 4,
    "chat.update": 3,
    "conversations.archive": 2,
    "conversations.create": 2,
    "conversations.history": 3,
    "conversations.info": 3,
    "conversations.invite": 3,
    "conversations.join": 3,
    "conversations.list": 2,
    "conversations.members": 4,
    "conversations.open": 3,
    "conversations.replies": 3,
    "conversations.setPurpose": 2,
    "conversations.setTopic": 2,
    "files.completeUploadExternal": 4,
    "files.getUploadURLExternal": 4,
    "pins.add": 2,
    "usergroups.list": 2,
    "usergroups.users.list": 2,
    "usergroups.users.update": 2,
    "users.conversations": 3,
    "users.info": 4,
    "views.open": 4,
    "views.update": 4,
}
UNLISTED_PER_MINUTE = 300  # the special tiers (auth.test, chat.getPermalink): hundreds a minute
POST = "chat.postMessage"
CHANNEL_BURST = 4  # "one message per second per channel, short bursts are allowed"
POSTS_PER_MINUTE = 300  # "several hundred messages per minute" in a workspace
KEPT_FOR_PAGES = 0.1  # this share of a bucket is only for pages and approvals
PATIENCE = 1.0  # seconds that a call may wait here; a longer wait is the outbox's
LONGEST_PROMISE = 30.0  # seconds; whoever is told to come later than that is told so again then
MOST_CHANNELS = 500  # channel buckets in memory; full ones are forgotten beyond that

Ticket = tuple[int, int]


@dataclass
class Bucket:
    """Tokens that come back over time, and who is waiting for them: the lowest ticket first."""

    size: float
    per_second: float
    at: float
    reserve: float = 0.0
    tokens: float = 0.0
    closed_until: float = 0.0
    waiting: list[Ticket] = field(default_factory=list)
    promised: list[tuple[float, int]] = field(
        default_factory=list
    )  # when those who were sent away come again, and their priority

    def __post_init__(self) -> None:
        self.tokens = self.size

    def refill(self, now: float) -> None:
        self.tokens = min(self.size, self.tokens + max(0.0, now - self.at) * self.per_second)
        self.at = now

    def wait(self, ticket: Ticket, now: float) -> float:
        """Seconds until this ticket may have a token, whoever is before it served first."""
        self.refill(now)
        ahead = sum(1 for other in self.waiting if other < ticket)
        needed = 1.0 + ahead + (self.reserve if ticket[0] > Priority.APPROVAL else 0.0)
        missing = max(0.0, needed - self.tokens - 1e-9) / self.per_second
        return max(missing, self.closed_until - now)

    def come_again(self, priority: int, wait: float, now: float) -> float:
        """Seconds after which to try again: after those of the same or a higher priority who were sent away before, so that a hundred do not come at
        once for one token, each time."""
        self.promised = [promise for promise in self.promised if promise[0] > now]
        before = sum(1 for _, other in self.promised if other <= priority)
        delay = max(wait, min(wait + before / self.per_second, LONGEST_PROMISE))
        self.promised.append((now + delay, priority))
        return delay

    @property
    def idle(self) -> bool:
        return not self.waiting and not self.promised and self.tokens >= self.size and self.closed_until <= self.at


class Pace:
    """All buckets of one token. `factor` multiplies Slack's limits (1.0: as documented)."""

    def __init__(self, factor: float, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        self._factor = factor
        self._clock = clock
        self._sleep = sleep
        self._buckets: dict[str, Bucket] = {}
        self._numbers = itertools.count()

    async def turn(self, method: str, channel: str, priority: int) -> None:
        """Return when the call may be made; TryLater when that takes longer than about a second."""
        buckets = self._buckets_of(method, channel)
        ticket = (int(priority), next(self._numbers))
        deadline = self._clock() + PATIENCE
        for bucket in buckets:
            bucket.waiting.append(ticket)
        try:
            while True:
                now = self._clock()
                wait, slowest = max(((bucket.wait(ticket, now), bucket) for bucket in buckets), key=lambda one: one[0])
                if wait <= 0:
                    for bucket in buckets:
                        bucket.tokens -= 1
                    return
                if now + wait > deadline:
                    delay = slowest.come_again(ticket[0], wait, now)
                    raise TryLater(f"slack: {method} is at its rate limit for {delay:.1f} s", delay=delay)
                await self._sleep(wait)
        finally:
            for bucket in buckets:
                bucket.waiting.remove(ticket)

    def hold(self, method: str, channel: str, seconds: float) -> None:
        """Slack said 429: nothing of this kind until then."""
        bucket = self._buckets_of(method, channel)[0]
        bucket.closed_until = max(bucket.closed_until, self._clock() + seconds)

    def _buckets_of(self, method: str, channel: str) -> list[Bucket]:
        if method == POST:
            self._forget_idle()
            return [
                self._bucket(f"{POST} {channel}", CHANNEL_BURST, 1.0, reserve=0.0),
                self._bucket(POST, POSTS_PER_MINUTE, POSTS_PER_MINUTE / 60),
            ]
        per_minute = TIERS[TIER_OF[method]] if method in TIER_OF else UNLISTED_PER_MINUTE
        return [self._bucket(method, per_minute, per_minute / 60)]

    def _bucket(self, name: str, size: float, per_second: float, reserve: float = KEPT_FOR_PAGES) -> Bucket:
        if name not in self._buckets:
            grown = max(1.0, size * self._factor)
            kept = reserve * grown if grown > 10 else 0.0
            self._buckets[name] = Bucket(grown, per_second * self._factor, self._clock(), kept)
        return self._buckets[name]

    def _forget_idle(self) -> None:
        if len(self._buckets) <= MOST_CHANNELS:
            return
        now = self._clock()
        for bucket in self._buckets.values():
            bucket.refill(now)
            bucket.promised = [promise for promise in bucket.promised if promise[0] > now]
        self._buckets = {name: bucket for name, bucket in self._buckets.items() if not bucket.idle}
