"""Times as people say them (6pm, 4 hours, 18:00-22:00, tonight), brought into the form that oncall_words.py reads; what could mean two things is
refused with the form that cannot. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from zoneinfo import available_timezones

from bot.entry.silence_words import zone_of
from bot.errors import BadInput

_UNITS = {
    "m": ("m", "min", "mins", "minute", "minutes"),
    "h": ("h", "hr", "hrs", "hour", "hours"),
    "d": ("d", "day", "days"),
    "w": ("w", "week", "weeks"),
}
_UNIT = {said: unit for unit, every in _UNITS.items() for said in every}
_TOGETHER = re.compile(r"(\d{1,4}(?:\.\d{1,2})?)([a-z]{3,7})\Z")
_HALVES = re.compile(r"(1[0-2]|0?[1-9])(?::([0-5]\d))?(am|pm)\Z")
_HALF_NUMBER = re.compile(r"(?:1[0-2]|0?[1-9])(?::[0-5]\d)?\Z")
_RANGE = re.compile(r"(\d{1,2}(?::\d\d)?(?:am|pm)?)[-–](\d{1,2}(?::\d\d)?(?:am|pm)?)\Z")
_NUMBER = re.compile(r"\d{1,4}(?:\.\d{1,2})?\Z")
_CLOCK_LIKE = re.compile(r"\d{1,3}:\d{1,3}(?::\d\d)?\Z")
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4}|\d\d)?\Z")
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})(?:/(\d{4}|\d\d))?\Z")
# Abbreviations that say no place: several mean different times at different places, and none follows the clocks when they change.
_ABBREVIATED = frozenset(
    [
        "CET",
        "CEST",
        "MEZ",
        "MESZ",
        "BST",
        "IST",
        "EST",
        "EDT",
        "CST",
        "CDT",
        "MST",
        "MDT",
        "PST",
        "PDT",
        "AEST",
        "AEDT",
        "JST",
    ]
)


def plain(words: Sequence[str]) -> list[str]:
    """The words with the first of them in the form that is read: `6 pm` as `18:00`, `4 hours` as `4h`, `18:00-22:00` as two. Only the front:
    what comes later may be a reason."""
    left = list(words)
    while left and left[0].lower() in ("on", "this", "at"):
        left = left[1:]
    if not left:
        return left
    first, second = left[0].lower(), left[1].lower() if len(left) > 1 else ""
    ranged = _RANGE.match(first)
    if ranged and (":" in first or first[-1] == "m"):
        return [*plain([ranged[1]]), ranged[2], *left[1:]]
    if first == "tonight":
        return ["today", *left[1:]]
    if second in ("am", "pm") and _HALF_NUMBER.match(first):
        return [_full_day(f"{first}{second}"), *left[2:]]
    if _NUMBER.match(first) and second in _UNIT:
        return [f"{first}{_UNIT[second]}", *left[2:]]
    together = _TOGETHER.match(first)
    if together and together[2] in _UNIT:
        return [f"{together[1]}{_UNIT[together[2]]}", *left[1:]]
    return [_full_day(first) if _HALVES.match(first) else left[0], *left[1:]]


def _full_day(word: str) -> str:
    """`6:30pm` as `18:30`."""
    found = _HALVES.match(word)
    if found is None:
        return word
    hour = int(found[1]) % 12 + (12 if found[3] == "pm" else 0)
    return f"{hour:02}:{found[2] or '00'}"


def why_not(word: str, after: Sequence[str], today: date) -> str:
    """What is wrong with a word that was to be a time, as a sentence with the form to write; empty when nothing more is known."""
    if _CLOCK_LIKE.match(word):
        return f"{word!r} is no time of day: they go from 00:00 to 23:59."
    if _NUMBER.match(word):
        return f"Is {word!r} an hour or a length? Write `{word}h`, `{word}m` or `{word}d` for how long, or a time of day like `18:00`."
    if word.startswith("-") and word[1:2].isdigit():
        return f"{word!r} goes back in time; a length is written like `4h`."
    if word.lower() == "next" and after:
        day = after[0][:20]
        return f"'next {day}' can mean two days. Write `{day} 18:00` for the coming one, or a date like `{today.isoformat()} 18:00`."
    return _why_no_date(word, today)


def _why_no_date(word: str, today: date) -> str:
    dotted, slashed = _DOTTED.match(word), _SLASHED.match(word)
    if dotted:
        meant = _dated(dotted[3], dotted[2], dotted[1], today)
        return f"Dates are written with the year first: `{meant} 18:00`, not {word!r}." if meant else ""
    if slashed:
        american = _dated(slashed[3], slashed[1], slashed[2], today)
        other = _dated(slashed[3], slashed[2], slashed[1], today)
        found = " or ".join(f"`{one} 18:00`" for one in dict.fromkeys((american, other)) if one)
        return f"Dates are written with the year first: {found}, not {word!r}." if found else ""
    return ""


def _dated(year: str | None, month: str, day: str, today: date) -> str:
    """The date in ISO 8601; the coming one when no year is given; empty for one that there is not."""
    full = (int(year) if len(year) == 4 else 2000 + int(year)) if year else today.year
    try:
        found = date(full, int(month), int(day))
        return (found if year or found >= today else found.replace(year=full + 1)).isoformat()
    except ValueError:
        return ""


def named_zone_at(word: str) -> str:
    """The time zone that a word behind a time is, in any case of letters; empty when it is none. BadInput for an abbreviation and for one that
    does not exist: taken for the beginning of a reason, it would be overlooked."""
    if word in _ABBREVIATED:
        raise BadInput(f"{word} names no place whose clocks are meant. Write the time zone like Europe/Berlin, or UTC.")
    if "/" in word:
        exact = next((name for name in available_timezones() if name.lower() == word.lower()), "")
        return exact or zone_of(word[:1].upper() + word[1:])
    return zone_of(word)
