"""Lengths of time in words, for plans, findings and the post-mortem. Pure."""

from __future__ import annotations

from datetime import datetime

from bot.domain.naming import length

__all__ = ["length", "relative", "roughly"]


def roughly(seconds: float) -> str:
    """The largest unit only: `3 min`, `2 d`."""
    return length(seconds).partition(" ")[0] + " " + length(seconds).split()[1]


def relative(at: datetime, to: datetime, what: str) -> str:
    """`3 min before the alert`, `20 s after the alert`."""
    seconds = (at - to).total_seconds()
    return f"{roughly(abs(seconds))} {'after' if seconds > 0 else 'before'} {what}"
