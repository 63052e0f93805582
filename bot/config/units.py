"""Durations and sizes as people write them: `5m`, `1h30m`, `1w`, `2MiB`. Used by every model of the configuration, plugins' Params included."""

from __future__ import annotations

import re
from datetime import timedelta

_PART = re.compile(r"\s*(\d{1,9}(?:\.\d{1,6})?)\s*(ms|[wdhms])")
_ISO = re.compile(r"P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,6}(?:\.\d{1,6})?)S)?)?\Z")
_SIZE = re.compile(r"\s*(\d{1,12}(?:\.\d{1,3})?)\s*(B|[kKMG]i?B?)?\s*\Z")
_SECONDS = {"w": 604800.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_BYTES = {"": 1, "b": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30}
LONGEST = timedelta(days=3660)

DURATION_PATTERN = r"^(\s*\d+(\.\d+)?\s*(ms|[wdhms]))+\s*$|^P"
SIZE_PATTERN = r"^\s*\d+(\.\d+)?\s*(B|[kKMG]i?B?)?\s*$"


def duration(text: str) -> timedelta:
    """`90s`, `5m`, `1h30m`, `1d`, `1w`, `500ms`, each unit once, or ISO 8601 (`PT5M`). Raises ValueError."""
    seconds = _iso_seconds(text.strip()) if text.strip().startswith("P") else _seconds(text)
    if seconds > LONGEST.total_seconds():
        raise ValueError(f"{text!r} is longer than ten years")
    return timedelta(seconds=seconds)


def _seconds(text: str) -> float:
    if text.strip() == "0":
        return 0.0
    total, at, seen = 0.0, 0, list[str]()
    while found := _PART.match(text, at):
        total += float(found[1]) * _SECONDS[found[2]]
        seen.append(found[2])
        at = found.end()
    if not seen or text[at:].strip() or len(set(seen)) != len(seen):
        unit = "; it has no unit" if re.fullmatch(r"[\d.\s]+", text) else ""
        raise ValueError(f"not a duration: {text[:40]!r}{unit}; write it like 90s, 5m, 1h30m, 1d or 1w")
    return total


def _iso_seconds(text: str) -> float:
    found = _ISO.match(text)
    if found is None or not any(found.groups()):
        raise ValueError(f"not a duration: {text[:40]!r}; write it like 5m, or in ISO 8601 like PT5M or P1D")
    return sum(float(part or 0) * _SECONDS[unit] for part, unit in zip(found.groups(), "wdhms", strict=True))


def shortest(time: timedelta) -> str:
    """`1h30m` for 90 minutes: the text that `duration` reads back."""
    left, text = round(time.total_seconds() * 1000), ""
    for unit, seconds in _SECONDS.items():
        count, left = divmod(left, round(seconds * 1000))
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def size(value: object) -> object:
    """Bytes of `2MiB`, `512kB`, `1024` (1024s with an i, 1000s without). Raises ValueError; what is not text goes through."""
    if not isinstance(value, str):
        return value
    found = _SIZE.match(value)
    if found is None:
        raise ValueError(f"not a size: {value[:40]!r}; write it like 2MiB, 512KiB or 1048576")
    return int(float(found[1]) * _BYTES[(found[2] or "").lower().removesuffix("b")])
