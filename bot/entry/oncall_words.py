"""Times, rules and quiet hours as people write them about on-call, in Slack and at the command line. Pure.

now for 4h · 18:00-22:00 · 6pm for 4 hours · tomorrow 09:00 until fri 18:00 · 2026-12-24 18:00 2026-12-27 09:00 Europe/Berlin
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, available_timezones

from bot.domain import wall_clock
from bot.domain.contact import Notify
from bot.domain.naming import nearest
from bot.domain.windows import DAYS, Window
from bot.entry.silence_words import length, recurring, straight, zone_of
from bot.entry.spoken_times import named_zone_at, plain, why_not
from bot.errors import BadInput

EXAMPLES = "`now 4h`, `18:00 22:00`, `tomorrow 09:00 fri 18:00` or `2026-12-24 18:00 2026-12-27 09:00`"
USUAL_LOOK = timedelta(weeks=2)
LONGEST_TEXT = 3000
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\Z")
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)\Z")
_LENGTH = re.compile(r"\d+(\.\d+)?(ms|[wdhms])")
# With what a time begins, beside digits and days. Whatever begins so is read as a time, so that a wrong one is not taken for somebody's name.
_BEGINNINGS = [
    "now",
    "from",
    "starting",
    "for",
    "today",
    "tonight",
    "tomorrow",
    "yesterday",
    "next",
    "this",
    "on",
    "at",
]
_NAMES = dict(zip(DAYS, ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"), strict=True))


@dataclass(slots=True)
class Words:
    """What is left of a line, taken from the front. `zone`: whose clock is meant until another is named."""

    left: list[str]
    zone: str
    now: datetime

    @classmethod
    def of(cls, text: str, zone: str, now: datetime) -> Words:
        if len(text) > LONGEST_TEXT:
            raise BadInput(f"This is {len(text)} characters long; at most {LONGEST_TEXT}.")
        return cls(straight(text).split(), zone, now)

    @property
    def next(self) -> str:
        return self.left[0] if self.left else ""

    def take(self) -> str:
        return self.left.pop(0) if self.left else ""

    def span(self) -> tuple[datetime, datetime]:
        """FROM and TO at the front, as moments; a zone behind them is whose clock they mean. BadInput says what was found instead."""
        before = list(self.left)
        found = self._span()
        zone = named_zone_at(self.next) if self.left else ""
        if not zone or zone == self.zone:
            self.left = self.left[1:] if zone else self.left
            return found
        self.left, self.zone = before, zone
        found = self._span()
        self.take()
        return found

    def _span(self) -> tuple[datetime, datetime]:
        if self.next.lower() in ("from", "starting"):
            self.take()
        self.left = plain(self.left)
        if self.next.lower() == "for" or _LENGTH.match(self.next):
            return self.now, self._end(self.now)
        starts = self._moment(self.now, last=False)
        return starts, self._end(starts)

    def why(self) -> str:
        """All that is left: the reason."""
        words = self.left[1:] if self.next.lower() in ("because", "reason", "reason:") else self.left
        return " ".join(words).strip().strip('"').strip()

    def begins_with_time(self) -> bool:
        word = self.next.lower()
        return word in _BEGINNINGS or word.lstrip("-")[:1].isdigit() or _weekday(word) is not None

    def _end(self, starts: datetime) -> datetime:
        word = self.next.lower()
        if word in ("to", "until", "till", "-", "–", "for"):
            self.take()
        self.left = plain(self.left)
        if _LENGTH.match(self.next):
            return starts + length(self.take())
        if word == "for":
            raise self._unread(self._needed("how long, like 4h"))
        return self._moment(starts, last=True)

    def _needed(self, what: str) -> str:
        if not self.left:
            raise BadInput(f"Expected {what}, found nothing. Times are written like {EXAMPLES}.")
        return self.take()

    def _moment(self, after: datetime, *, last: bool) -> datetime:
        """One time; without a date the next after `after`. `last`: of a time that occurs twice, when the clocks go back, the second."""
        self.left = plain(self.left)
        word = self._needed("when it ends, or how long it lasts" if last else "when it begins")
        low = word.lower()
        if low == "now":
            return self.now
        local = after.astimezone(ZoneInfo(self.zone))
        clock = _CLOCK.match(low)
        if clock:
            return self._next(local.date(), clock, after, 1, last)
        if low in ("today", "tomorrow", "yesterday"):
            here = self.now.astimezone(ZoneInfo(self.zone)).date()
            day = here + timedelta(days={"today": 0, "tomorrow": 1, "yesterday": -1}[low])
            return self._on(day, self._clock(word), last)
        weekday = _weekday(low)
        if weekday is not None:
            day = local.date() + timedelta(days=(weekday - local.weekday()) % 7)
            found = _CLOCK.match(self._clock(word))
            if found is None:
                raise AssertionError("_clock gives a time of day")
            return self._next(day, found, after, 7, last)
        return self._dated(word, last)

    def _dated(self, word: str, last: bool) -> datetime:
        """`2026-12-24 18:00`, `2026-12-24` (its midnight), `2026-12-24T18:00+01:00`."""
        try:
            if _DATE.match(word):
                self.left = plain(self.left)
                clock = self.take() if _CLOCK.match(self.next) else "00:00"
                return self._on(date.fromisoformat(word), clock, last)
            at = datetime.fromisoformat(word)
            if abs(at.year - self.now.year) > 100:
                raise ValueError
            return at.astimezone(UTC) if at.tzinfo else self._on(at.date(), f"{at:%H:%M}", last)
        except (ValueError, OverflowError):
            raise self._unread(word) from None

    def _unread(self, word: str) -> BadInput:
        """What is wrong with a word that should have been a time, as exactly as it can be said."""
        today = self.now.astimezone(ZoneInfo(self.zone)).date()
        near = nearest(word[:20].lower(), ["now", "today", "tomorrow", *_NAMES.values()]) or "."
        said = why_not(word[:40], self.left, today) or f"{word[:40]!r} is not a time{near}"
        return BadInput(f"{said} Times are written like {EXAMPLES}.")

    def _clock(self, day: str) -> str:
        if self.next.lower() == "at":
            self.take()
        self.left = plain(self.left)
        if not _CLOCK.match(self.next):
            on = "" if day.lower() in ("today", "tomorrow", "yesterday") else "on "
            raise BadInput(f"At what time {on}{day}? Write it like `{day} 18:00`.")
        return self.take()

    def _next(self, day: date, clock: re.Match[str], after: datetime, step: int, last: bool) -> datetime:
        at = self._on(day, clock[0], last)
        return at if at > after else self._on(day + timedelta(days=step), clock[0], last)

    def _on(self, day: date, clock: str, last: bool) -> datetime:
        hours, _, minutes = clock.partition(":")
        if abs(day.year - self.now.year) > 100:
            raise BadInput(f"{day.isoformat()} is too far away.")
        wall = datetime.combine(day, time(int(hours), int(minutes)))
        return (wall_clock.last if last else wall_clock.first)(wall, ZoneInfo(self.zone))


def _weekday(word: str) -> int | None:
    """0 for `mon` or `Monday`; None for no day."""
    found = next((day for day in DAYS if len(word) >= 3 and _NAMES[day].startswith(word.lower())), None)
    return DAYS.index(found) if found else None


def looked_at(text: str, zone: str, now: datetime, *, back: bool = False) -> tuple[datetime, datetime]:
    """A range to look at: nothing (two weeks from now; with `back` four weeks until now), `4w`, `FROM`, `FROM TO`."""
    words = Words.of(text, zone, now)
    words.left = plain(words.left)
    if not words.left:
        return (now - 2 * USUAL_LOOK, now) if back else (now, now + USUAL_LOOK)
    if len(words.left) == 1 and _LENGTH.match(words.next):
        long = length(words.take())
        return (now - long, now) if back else (now, now + long)
    if words.next.lower() in ("from", "starting"):
        words.take()
    starts = words._moment(now - timedelta(seconds=1), last=False)
    ends = words._end(starts) if words.left else (now if back and starts < now else starts + USUAL_LOOK)
    if words.left:
        raise BadInput(f"{' '.join(words.left)[:60]!r} is too much. Write it like `2026-12-01 2026-12-31` or `4w`.")
    return starts, ends


def notify_rules(text: str) -> tuple[str, tuple[Notify, ...]]:
    """`critical slack, sms 3m, call 5m` as the severity (empty for `default`) and the rules. BadInput."""
    words = straight(text).replace("=", " ").split(None, 1)
    if not words:
        raise BadInput("For which severity, and by what? For example `/oncall notify critical slack, sms 3m, call 5m`.")
    severity = words[0].lower().rstrip(":,")
    rules = []
    for part in words[1].split(",")[:50] if len(words) > 1 else ():
        said = [word for word in part.split() if word.lower() not in ("after", "at", "once", "in", "by")]
        if not said:
            continue
        said[1:] = plain(said[1:])
        if len(said) > 2 or (len(said) == 2 and not said[1][:1].isdigit()):
            raise BadInput(
                f"{part.strip()[:60]!r} is not `method` or `method 3m`. Separate methods by commas: `slack, sms 3m`."
            )
        rules.append(Notify(method=said[0].lower(), after=length(said[1]) if len(said) == 2 else timedelta(0)))
    return "" if severity in ("default", "all", "others", "*") else severity, tuple(rules)


def quiet_hours(text: str, zone: str) -> tuple[tuple[Window, ...], tuple[str, ...]]:
    """`22:00-07:00 warning,info`, `mon-fri 22:00-07:00 Europe/Berlin info`, `weekend info`: the window and the severities. BadInput."""
    words = _with_hours(straight(text))
    hours = re.compile(r"\d{1,2}:\d\d[-–]\d{1,2}:\d\d\Z")
    spoken: list[str] = []
    if words and not hours.match(words[0]):
        spoken.append(words.pop(0))
    else:
        spoken.append("day")
    if words and hours.match(words[0]):
        spoken.append(words.pop(0))
    if words and zone_of(words[0]):
        zone = words.pop(0)
    severities = tuple(
        one.lower() for word in words for one in word.split(",") if one and one.lower() not in ("for", "and")
    )
    if spoken[0].lower() == "for" or not text.strip():
        raise BadInput(
            "When, and for what? For example `/oncall quiet 22:00-07:00 warning,info`, or `/oncall quiet off`."
        )
    wrong = next((word for word in spoken if word[:1].isdigit() and not hours.match(word)), "")
    late = next((one for one in re.split("[-–]", spoken[-1]) if ":" in one and not _CLOCK.match(one)), "")
    if late:
        raise BadInput(f"{late[:20]!r} is no time of day: they go from 00:00 to 23:59.")
    if wrong:
        raise BadInput(f"{wrong[:40]!r} is not two times of day; write them like 22:00-07:00.")
    return (recurring(" ".join(spoken), zone),), severities[:20]


def _with_hours(text: str) -> list[str]:
    """The words, with `22:00 - 07:00`, `22:00 to 07:00` and `10pm-7am` as `22:00-07:00`."""
    joined = re.sub(r"(?<=[\dm])\s*(?:-|–|\bto\b|\buntil\b)\s*(?=\d)", "-", text, flags=re.IGNORECASE)
    found: list[str] = []
    for word in joined.split():
        first, dash, last = word.partition("-")
        ends = [*plain([first]), *plain([last])] if dash else []
        found.append("-".join(ends) if len(ends) == 2 and all(map(_CLOCK.match, ends)) else word)
    return found


def named_zone(text: str) -> str:
    """A time zone that exists. BadInput with the nearest."""
    word = text.strip()
    names = {name.lower(): name for name in available_timezones()}
    found = names.get(word.lower())
    if found is None:
        said = (
            f"No time zone is called {word[:60]!r}{nearest(word[:60], names.values()) or '.'}"
            if word
            else "Which zone?"
        )
        raise BadInput(f"{said} For example `/oncall zone Europe/Berlin`.")
    return found


def yes_or_no(text: str) -> bool:
    word = text.strip().lower()
    if word in ("on", "yes", "true"):
        return True
    if word in ("off", "no", "false"):
        return False
    said = f"found {word[:40]!r}" if word else "found nothing"
    raise BadInput(f"Expected `on` or `off`, {said}. Write `/oncall recovery on` to hear when it is over.")
