"""The daily digest as a message. Pure; posted by room.py."""

from __future__ import annotations

from bot.domain.digest import Digest, Quieted
from bot.room import blocks as kit
from bot.room import mrkdwn
from bot.room.blocks import Block, Message

MOST_QUIETED = 12
MOST_NAMES = 5


def digest(found: Digest) -> Message:
    """What was kept quiet and why, what is held still, and which rules are noise with what to do about them."""
    counts = (_counted(found.fired, "firing"), _counted(found.incidents, "incident"), _counted(found.pages, "page"))
    title = f"Digest: {', '.join(counts)}"
    span = f"{mrkdwn.date(found.since)} to {mrkdwn.date(found.until)}"
    shown: list[Block] = [kit.header(title), kit.context(span)]
    if found.quieted:
        lines = [_quieted(one) for one in found.quieted[:MOST_QUIETED]]
        shown.append(_part("Kept quiet", lines, len(found.quieted) - len(lines), "reasons"))
    if found.still:
        lines = [f"• {mrkdwn.line(one.summary, 120)}: {mrkdwn.line(one.by, 150)}" for one in found.still]
        shown.append(_part("Fires at this moment, and is held", lines, found.more_still, "alerts"))
    if found.noisy:
        lines = [f"• {mrkdwn.bold(one.name, 80)}: {mrkdwn.line(one.suggestion, 200)}" for one in found.noisy]
        shown.append(_part("Noise of the last seven days, and what to do about it", lines, 0, "alert rules"))
    shown.append(
        kit.context("`/incident why held` says what is held now; `tocsin quality --since 7d` shows every alert rule.")
    )
    return Message(title, kit.bounded(shown))


def _part(title: str, lines: list[str], more: int, what: str) -> Block:
    """Whole lines only, so that no mark is cut in half."""
    kept, used = [], len(title)
    for line in lines:
        used += len(line) + 1
        if used > mrkdwn.SECTION - 100:
            break
        kept.append(line)
    more += len(lines) - len(kept)
    return kit.section("\n".join([f"*{title}*", *kept, *([f"and {more} more {what}"] if more > 0 else [])]))


def _quieted(one: Quieted) -> str:
    rules = ", ".join(
        f"{mrkdwn.line(name, 60)} ({count})" if count > 1 else mrkdwn.line(name, 60)
        for name, count in one.rules[:MOST_NAMES]
    )
    rest = max(0, len(one.rules) - MOST_NAMES) + one.more
    more = f" and {_counted(rest, 'more alert rule')}" if rest else ""
    return f"• *{one.firings}* {mrkdwn.line(one.words, 200)}: {rules}{more}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
