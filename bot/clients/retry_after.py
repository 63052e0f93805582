"""The Retry-After header (RFC 9110, 10.2.3), for every client here."""

from __future__ import annotations

LONGEST = 3600.0


def seconds(value: str) -> float | None:
    """Seconds to wait, at most an hour; None for none and for a date (rare, and the worker's own backoff will do)."""
    try:
        wait = float(value)
    except ValueError:
        return None
    return min(wait, LONGEST) if 0 < wait < float("inf") else None
