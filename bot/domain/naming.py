"""Names that people see: channel names within Slack's rules, titles, and lists in English."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from datetime import timedelta

from bot.domain.alert import Alert

UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))

CHANNEL_NAME_LIMIT = 80
TITLE_LIMIT = 150


def channel_name(incident_id: int, service: str, name: str) -> str:
    """`inc-1-checkout-high-error-rate`: lower case, letters, digits and hyphens, at most 80 characters (Slack's rule)."""
    words = [slug(service), slug(_spaced(name))]
    readable = "-".join(word for word in words if word)
    return f"inc-{incident_id}-{readable}"[:CHANNEL_NAME_LIMIT].rstrip("-")


def slug(text: str) -> str:
    """Lower case, without accents (`Störung` to `storung`), everything else as hyphens."""
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")


def human_title(alert: Alert) -> str:
    """`checkout: High error rate`: the service and the alert's name in words, on one line."""
    words = _spaced(alert.name)
    readable = words[:1].upper() + words[1:].lower() if words == words.title() else words
    title = f"{alert.service}: {readable}" if alert.service else readable
    return clipped(" ".join(title.split()), TITLE_LIMIT)


def clipped(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def english_list(items: Iterable[str]) -> str:
    *rest, last = list(items) or ["nobody"]
    return f"{', '.join(rest)} and {last}" if rest else last


def length(seconds: float) -> str:
    """The two largest units: `1 h 2 min`, `45 s`."""
    left = max(0, round(seconds))
    parts: list[tuple[int, str]] = []
    for name, size in UNITS:
        count, left = divmod(left, size)
        if count or parts:
            parts.append((count, name))
    return " ".join(f"{count} {name}" for count, name in parts[:2] if count) or "0 s"


def in_words(span: timedelta) -> str:
    """`5 minutes`, `1 hour`, `2 days`: the largest unit, rounded to whole ones."""
    seconds = max(0, round(span.total_seconds()))
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * size or (seconds >= size and seconds % size == 0):
            count = round(seconds / size)
            return f"{count} {unit}" + ("" if count == 1 else "s")
    return "1 second" if seconds == 1 else f"{seconds} seconds"


def nearest(wrong: str, valid: Iterable[str]) -> str:
    """`; did you mean "x"?` for the valid name that is most like the wrong one; empty when none is like it."""
    found = difflib.get_close_matches(wrong, list(valid), n=1)
    return f'; did you mean "{found[0]}"?' if found else ""


def _spaced(name: str) -> str:
    """`HighErrorRate` to `High Error Rate`; `KubePodOOMKilled` to `Kube Pod OOM Killed`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
