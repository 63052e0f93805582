"""Silences and maintenance windows as people write them on one line, in Slack and at the command line: matchers, times, reason.

alertname="Broken",service=~"a|b" 2h replacing disks
service=db from 2026-11-22T22:00 for 3h Europe/Berlin moving the rack
service=db every sat,sun 02:00-04:00 Europe/Berlin backups
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from pydantic import ValidationError

from bot.config.units import duration
from bot.domain.naming import nearest
from bot.domain.silencing import Kind, Wish
from bot.domain.windows import DAYS, Window
from bot.errors import BadInput

LONGEST_TEXT = 10_000
EXAMPLES: dict[Kind, str] = {
    "silence": '`/incident silence alertname="HighErrorRate",service=~"cart|checkout" 2h replacing disks`',
    "maintenance": "`/incident maintenance service=db from 2026-11-22T22:00 for 3h Europe/Berlin moving the rack` or "
    "`… service=db every sat,sun 02:00-04:00 Europe/Berlin backups`",
}
EVERY = {"day": "mon-sun", "night": "mon-sun", "weekday": "mon-fri", "weekend": "sat,sun"}
_MATCHER = re.compile(
    r"""\s*(?:"(?:[^"\\]|\\.)+"|[^\s"=!~{},]+)\s*(?:=~|!~|!=|=)\s*(?:"(?:[^"\\]|\\.)*"|[^\s",{}]*)\s*(?:,|(?=[\s}]|\Z))""",
    re.S,
)
_QUOTES = str.maketrans("“”„", '"""')
_HOURS = re.compile(r"(\d{1,2}:\d\d)[-–](\d{1,2}:\d\d)\Z")
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\Z")
_AREAS = frozenset(name.partition("/")[0] for name in available_timezones() if "/" in name)
_LENGTH = re.compile(r"\d")


def straight(text: str) -> str:
    """With straight quotes for the typographic ones that Slack and phones make of them."""
    return text.translate(_QUOTES)


def matchers(text: str) -> tuple[tuple[str, ...], str]:
    """The matchers that a text begins with, with or without braces, and the rest. Alertmanager's syntax; also with spaces between them."""
    if len(text) > LONGEST_TEXT:
        raise BadInput(f"This is {len(text)} characters long; at most {LONGEST_TEXT}.")
    left = straight(text).strip()
    braces = left.startswith("{")
    left = left[1:] if braces else left
    found: list[str] = []
    while one := _MATCHER.match(left):
        found.append(one[0].strip().removesuffix(",").strip())
        left = left[one.end() :]
    if braces:
        if not left.lstrip().startswith("}"):
            raise BadInput(f"The brace before {found[0] if found else left[:40]!r} is not closed: expected `}}`.")
        left = left.lstrip()[1:]
    return tuple(found), left.strip()


def all_matchers(text: str) -> tuple[str, ...]:
    """The whole text as matchers. BadInput says what is none."""
    found, left = matchers(text)
    if left:
        raise BadInput(
            f'{left[:60]!r} is not a matcher; write it like severity="critical" or service=~"cart|checkout".'
        )
    return found


def length(text: str) -> timedelta:
    """`2h`, `1d12h`. BadInput."""
    try:
        return duration(text)
    except ValueError as error:
        raise BadInput(f"{str(error)[:1].upper()}{str(error)[1:]}.") from error


def zone_of(word: str) -> str:
    """The time zone that a word is; empty when it is none. One of a known area that does not exist is an error."""
    if word in ("UTC", "GMT", "Z"):
        return "UTC"
    area, slash, _ = word.partition("/")
    if not slash or area not in _AREAS:
        return ""
    if word not in available_timezones():
        raise BadInput(f"No time zone is called {word[:60]!r}{nearest(word[:60], available_timezones()) or '.'}")
    return word


def moment(text: str, zone: str, now: datetime) -> datetime:
    """`2026-11-22T22:00` (with an offset, or in the zone), `2026-11-22`, `22:00` (the next time it is that), `tomorrow 09:00`."""
    local = now.astimezone(ZoneInfo(zone))
    day, _, clock = text.lower().rpartition(" ")
    found = _CLOCK.match(clock)
    if found is not None and day in ("", "today", "tomorrow"):
        at = _at(local.date() + timedelta(days=day == "tomorrow"), time(int(found[1]), int(found[2])), zone)
        return (
            _at(local.date() + timedelta(days=1), time(int(found[1]), int(found[2])), zone)
            if not day and at <= now
            else at
        )
    try:
        at = datetime.fromisoformat(text.replace(" ", "T", 1))
        at = at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(zone))
        if abs(at.year - now.year) <= 100:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise BadInput(f"{text[:40]!r} is not a time; write it like 2026-11-22T22:00, 22:00 or tomorrow 09:00.")


def _at(day: date, clock: time, zone: str) -> datetime:
    return datetime.combine(day, clock, ZoneInfo(zone)).astimezone(UTC)


def recurring(text: str, zone: str = "UTC") -> Window:
    """`sat,sun 02:00-04:00 Europe/Berlin`, `mon-fri 22:00-06:00`, `day 02:00-04:00`, `weekend`."""
    words = text.split()
    spoken = _Spoken(words=words[1:] if words[:1] == ["every"] else words, zone=zone)
    spoken.every()
    if spoken.words:
        given = zone_of(spoken.words[0])
        if len(spoken.words) > 1 or not given:
            raise BadInput(f"{' '.join(spoken.words)[:60]!r} is not a time zone; write it like Europe/Berlin.")
        spoken.zone = given
    return spoken.windows(spoken.zone)[0]


def wish(text: str, kind: Kind, now: datetime) -> Wish:
    """One whole line. BadInput says what was found, what was expected, and gives an example."""
    found, left = matchers(text)
    spoken = _Spoken(words=left.split(), kind=kind)
    spoken.read()
    if not spoken.timed:
        said = f"found {spoken.words[0][:40]!r}" if spoken.words else "found nothing"
        expected = "how long, like 2h" if kind == "silence" else "`from … for 3h`, `for 3h` or `every …`"
        raise BadInput(
            f"Expected {expected}{' after the matchers' if found else ''}, {said}. For example {EXAMPLES[kind]}."
        )
    reason = " ".join(spoken.words).strip().strip('"').strip()
    if not reason:
        raise BadInput(
            f"Expected a reason at the end, found nothing: whoever finds it at night must know why. For example {EXAMPLES[kind]}."
        )
    in_zone = spoken.zone or "UTC"
    return Wish(
        matchers=found,
        reason=reason,
        lasts=spoken.lasts,
        starts_at=moment(spoken.begins, in_zone, now) if spoken.begins else None,
        ends_at=moment(spoken.ends, in_zone, now) if spoken.ends else None,
        kind=kind,
        windows=spoken.windows(in_zone),
    )


@dataclass(slots=True)
class _Spoken:
    """The times at the beginning of `words`; what is left of those is the reason."""

    words: list[str]
    kind: Kind = "maintenance"
    zone: str = ""
    lasts: timedelta | None = None
    begins: str = ""
    ends: str = ""
    days: list[dict[str, Any]] = field(default_factory=list)

    @property
    def timed(self) -> bool:
        return self.lasts is not None or bool(self.ends) or bool(self.days)

    def read(self) -> None:
        while self.words:
            word = self.words[0].lower()
            if word in ("because", "reason", "reason:"):
                del self.words[0]
                return
            if not self._took(word):
                return

    def _took(self, word: str) -> bool:
        """Whether the next words were a time; each kind of them comes once."""
        if word in ("from", "starting") and not self.begins:
            del self.words[0]
            self.begins = self._moment(word)
        elif word == "until" and not self.ends and self.lasts is None:
            del self.words[0]
            self.ends = self._moment(word)
        elif word == "for" and self.lasts is None and not self.ends:
            del self.words[0]
            self.lasts = length(self._next("for", "how long, like 2h"))
        elif word == "every" and self.kind == "maintenance" and not self.days:
            del self.words[0]
            self.every()
        elif not self.timed and self.kind == "silence" and _LENGTH.match(word):
            self.lasts = length(self.words.pop(0))
        elif (self.timed or self.begins) and not self.zone and zone_of(self.words[0]):
            self.zone = zone_of(self.words.pop(0))
        else:
            return False
        return True

    def every(self) -> None:
        """Days, and times of day where they are given."""
        word = self._next("every", "days, like sat,sun or mon-fri").lower()
        given: dict[str, Any] = {"days": _days(word)}
        hours = _HOURS.match(self.words[0]) if self.words else None
        if hours is not None:
            del self.words[0]
            given["between"] = (hours[1], hours[2])
        elif set(given["days"]) == set(DAYS):
            raise BadInput(f"`every {word}` needs times of day, like `every {word} 02:00-04:00`.")
        self.days.append(given)

    def windows(self, zone: str) -> tuple[Window, ...]:
        try:
            return tuple(Window(**one, zone=zone or "UTC") for one in self.days)
        except ValidationError as error:
            raise BadInput(f"`every`: {error.errors()[0]['msg'].removeprefix('Value error, ')}.") from error

    def _moment(self, after: str) -> str:
        text = self._next(after, "a time, like 2026-11-22T22:00")
        dated = text.lower() in ("today", "tomorrow") or re.fullmatch(r"\d{4}-\d\d-\d\d", text)
        return f"{text} {self.words.pop(0)}" if dated and self.words and _CLOCK.match(self.words[0]) else text

    def _next(self, after: str, expected: str) -> str:
        if not self.words:
            raise BadInput(f"Expected {expected} after `{after}`, found nothing.")
        return self.words.pop(0)


def _days(word: str) -> tuple[str, ...]:
    """`sat,sun`, `mon-fri`, `day`, `weekend`."""
    found: list[str] = []
    for part in EVERY.get(word, word).split(","):
        first, dash, last = part.partition("-")
        ends = [_day(first), _day(last) if dash else _day(first)]
        at = DAYS.index(ends[0])
        found += [DAYS[(at + step) % 7] for step in range((DAYS.index(ends[1]) - at) % 7 + 1)]
    return tuple(dict.fromkeys(found))


def _day(word: str) -> str:
    day = next((day for day in DAYS if len(word) >= 3 and _NAMES[day].startswith(word)), "")
    if not day:
        names = [*_NAMES.values(), *EVERY]
        raise BadInput(
            f"{word[:20]!r} is not a day{nearest(word[:20], names) or '.'} Expected days like sat,sun, mon-fri or day."
        )
    return day


_NAMES = dict(zip(DAYS, ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), strict=True))
