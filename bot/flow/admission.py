"""Whether a message may go out now: what one medium takes in a minute, and what one person gets within a moment. Used by pages and notices.

Asked inside the transaction that writes the intent, under the lock of that medium or address, so that two replicas do not both find room.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from bot.domain.page import ARRIVED, Page, PageState
from bot.domain.ports import Tx
from bot.domain.rules import Rules

MINUTE = timedelta(minutes=1)
FIRST = timedelta(
    minutes=5
)  # after so long without a page, a person's next one is a first one, which no limit holds back
AHEAD = timedelta(seconds=5)  # how far the clock of another replica may be ahead
GOING = (PageState.SENDING, *ARRIVED)
PAGER = "pager"  # counts by itself: each of its messages is about one incident


async def held_until(tx: Tx, page: Page, rules: Rules, now: datetime) -> datetime | None:
    """When a page goes out together with others, because the same address has just got one; None: now, by itself.

    Never the first one, nor one that is more severe than those before, nor longer than the medium's `bundle` after the one that has left.
    """
    medium = rules.media.get(page.medium)
    if medium is None or not medium.bundle or medium.kind == PAGER:
        return None
    await tx.lock(f"address:{page.medium}:{page.address}")
    known = await tx.pages_to(page.medium, page.address, now - medium.bundle, going=True)
    # what began in the future was sent before the clock was set back: nobody waits until then
    recent = [
        one
        for one in known
        if one.key != page.key and one.purpose in ("page", "bundle") and one.begun_at <= now + AHEAD
    ]
    if not recent:
        return None
    rank = rules.signal.taxonomy.rank
    if rank(page.severity) < min(rank(one.severity) for one in recent):
        return None
    until = max(one.begun_at for one in recent) + medium.bundle
    return until if until > now else None


async def room_at(tx: Tx, page: Page, rules: Rules, now: datetime) -> datetime | None:
    """When a medium takes one more; None: now. A person's first page is taken at once."""
    medium = rules.media.get(page.medium)
    if medium is None or not medium.per_minute:
        return None
    await tx.lock(f"medium:{page.medium}")
    if await tx.pages_by(page.medium, now - MINUTE) < medium.per_minute:
        return None
    if page.purpose in ("page", "summon"):
        known = await tx.pages_to(page.medium, page.address, now - FIRST, going=True)
        if all(one.key == page.key for one in known):
            return None
    every = await tx.pages_between(now - MINUTE, now + AHEAD)
    begun = [one.begun_at for one in every if one.medium == page.medium and one.state in GOING]
    if len(begun) < medium.per_minute:
        return None
    return begun[-medium.per_minute] + MINUTE + timedelta(milliseconds=1)
