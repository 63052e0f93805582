"""The daily digest as a message. Pure; posted by room.py."""

from __future__ import annotations

from bot.domain.digest import Digest, Quieted, words_for
from bot.room import blocks as kit
from bot.room import mrkdwn
from bot.room.blocks import Block, Message

MOST_QUIETED = 12


def digest(found: Digest) -> Message:
    """What was held and why, what is held still, and which rules are noise with what to do about them."""
    title = f"Digest: {found.fired} firings, {found.incidents} incidents, {found.pages} pages"
    span = f"{mrkdwn.date(found.since)} to {mrkdwn.date(found.until)}"
    shown: list[Block] = [kit.header(title), kit.context(span)]
    if found.quieted:
        lines = [_quieted(one) for one in found.quieted[:MOST_QUIETED]]
        more = len(found.quieted) - MOST_QUIETED
        shown.append(
            kit.section("*Kept quiet*\n" + "\n".join([*lines, *([f"and {more} more reasons"] if more > 0 else [])]))
        )
    if found.still:
        lines = [
            f"• {mrkdwn.line(one.alert.summary, 120)}: {mrkdwn.line(words_for(one.held.outcome, one.held.by, {}), 80)}"
            for one in found.still
            if one.held
        ]
        shown.append(kit.section("*Firing and held at this moment*\n" + "\n".join(lines)))
    if found.noisy:
        lines = [f"• {mrkdwn.bold(one.name)}: {mrkdwn.line(one.suggestion, 250)}" for one in found.noisy]
        shown.append(kit.section("*Noise of the week, and what to do about it*\n" + "\n".join(lines)))
    shown.append(
        kit.context("`/incident why held` says what is held now; `tocsin quality --since 7d` shows every alert rule.")
    )
    return Message(title, kit.bounded(shown))


def _quieted(one: Quieted) -> str:
    rules = ", ".join(
        f"{mrkdwn.line(name, 60)} ({count})" if count > 1 else mrkdwn.line(name, 60) for name, count in one.rules[:5]
    )
    more = f" and {len(one.rules) - 5} more" if len(one.rules) > 5 else ""
    return f"• *{one.firings}* {mrkdwn.line(words_for(one.outcome, one.by, {}), 120)}: {rules}{more}"
