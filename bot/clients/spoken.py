"""Lengths of time in words, for plans, findings and the post-mortem. Pure."""

from __future__ import annotations

from datetime import datetime

UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def length(seconds: float) -> str:
    """The two largest units: `1 h 2 min`, `45 s`."""
    left = max(0, round(seconds))
    parts: list[tuple[int, str]] = []
    for name, size in UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append((count, name))
    return " ".join(f"{count} {name}" for count, name in parts[:2] if count) or "0 s"


def roughly(seconds: float) -> str:
    """The largest unit only: `3 min`, `2 d`."""
    return length(seconds).partition(" ")[0] + " " + length(seconds).split()[1]


def relative(at: datetime, to: datetime, what: str) -> str:
    """`3 min before the alert`, `20 s after the alert`."""
    seconds = (at - to).total_seconds()
    return f"{roughly(abs(seconds))} {'after' if seconds > 0 else 'before'} {what}"
