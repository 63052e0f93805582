"""What a foreign calendar may cost: its size, its number of parts, and how far its repetitions are followed. Called by calendars, first of all.

The libraries follow a rule from its first day on, however long ago that was; so what that costs is added up before. Rules: RFC 5545 section 3.3.10 (https://www.rfc-editor.org/rfc/rfc5545#section-3.3.10).
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import available_timezones

from icalendar import Event
from icalendar.prop import vRecur

from bot.clients.calendar_rules import PER_DAY, rarely, why_not
from bot.domain.naming import clipped
from bot.errors import BadInput

# What ends a line for one of the libraries and not for the other.
ODD_ENDS = re.compile("\r(?!\n)|[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
MOST_BYTES = 1 << 20
MOST_COMPONENTS = 2000
DEEPEST = 6
MOST_ZONE_RULES, MOST_RULES_OF_ONE = 40, 8  # every time in a zone is looked up in all of its rules
MOST_VALUES = 500
MOST_STEPS = 400_000  # of all rules together; a few seconds
EARLIEST = 1900
FARTHEST_MOVE = timedelta(days=366)  # rules are followed so much longer
DAYS_EACH = {
    "DAILY": 1.0,
    "WEEKLY": 7.0,
    "MONTHLY": 3.0,
    "YEARLY": 3.6,
}  # by the work that they are, not by what comes of them


def text_of(data: str | bytes) -> str:
    """The text with unfolded lines. Raises BadInput when it is too long, no text, or no calendar."""
    size = len(data) if isinstance(data, bytes) else len(data.encode(errors="replace"))
    if size > MOST_BYTES:
        raise BadInput(f"calendar: {size:,} bytes; at most {MOST_BYTES:,} are read")
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data.removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise BadInput("calendar: not UTF-8; expected an iCalendar file (text/calendar)") from None
    if not text.lstrip().upper().startswith("BEGIN:VCALENDAR"):
        raise BadInput(
            f"calendar: begins with {clipped(text.strip(), 40)!r}; expected an iCalendar file, which begins with BEGIN:VCALENDAR "
            "(an address that shows a web page is not the one of the feed)"
        )
    return re.sub(r"(?:\r?\n)+[ \t]", "", ODD_ENDS.sub(" ", text.strip()))


def vetted(text: str, horizon: datetime) -> str:
    """The same, with an end to the rules of its time zones. Raises BadInput for too many or too deep components."""
    lines: list[str] = []
    depth, components, zones = 0, 0, _Zones(horizon)
    for line in re.split(r"\r?\n", text):
        head = line[:40].upper()
        if head.startswith(("BEGIN;", "END;")):
            raise BadInput(f"calendar: {clipped(line, 40)!r} has parameters; expected BEGIN:NAME and END:NAME")
        if head.startswith("BEGIN:"):
            depth, components = depth + 1, components + 1
        depth -= head.startswith("END:")
        if components > MOST_COMPONENTS or depth > DEEPEST:
            raise BadInput(f"calendar: more than {MOST_COMPONENTS} components, or nested deeper than {DEEPEST}")
        lines.append(zones.line(line))
    return "\r\n".join(lines) + "\r\n"


class _Zones:
    """The VTIMEZONEs of a calendar, line by line. Those of the time zone database are taken from there, whatever the calendar says of them."""

    def __init__(self, horizon: datetime) -> None:
        self._end = f"{horizon.year + 2}1231T000000Z"
        self._inside = self._known = False
        self._of_one = self._all = 0

    def line(self, line: str) -> str:
        head = line[:40].upper()
        if head.startswith("BEGIN:VTIMEZONE"):
            self._inside, self._known, self._of_one = True, False, 0
        self._inside = self._inside and not head.startswith("END:VTIMEZONE")
        if self._inside and head.startswith("TZID"):
            self._known = line.partition(":")[2].strip("/ ") in _database()
        if not self._inside or not head.startswith(("RRULE", "EXRULE")):
            return line
        if not self._known:
            self._of_one, self._all = self._of_one + 1, self._all + 1
        if self._of_one > MOST_RULES_OF_ONE or self._all > MOST_ZONE_RULES:
            raise BadInput(
                f"calendar: more than {MOST_RULES_OF_ONE} rules in a time zone of its own, or {MOST_ZONE_RULES} in all of them"
            )
        return self._bounded(line)

    def _bounded(self, line: str) -> str:
        """Clocks change once a year by a rule; it is followed until two years after the horizon."""
        name, _, rule = line.partition(":")
        parts = dict(part.partition("=")[::2] for part in rule.upper().split(";"))
        until = parts.pop("UNTIL", self._end)
        try:
            reason = why_not({key: value.split(",") for key, value in parts.items()}, date(2000, 1, 1))
        except (ValueError, LookupError):
            reason = "it cannot be read"
        if (
            reason
            or parts.get("FREQ") != "YEARLY"
            or "COUNT" in parts
            or parts.get("INTERVAL", "1") != "1"
            or len(rule) > 200
        ):
            raise BadInput(
                f"calendar: a time zone changes by {clipped(rule, 80)!r}; expected FREQ=YEARLY with a day that occurs"
            )
        parts["UNTIL"] = until if until[:8].isdigit() and until[:8] < self._end[:8] else self._end
        return f"{name}:" + ";".join(f"{key}={value}" for key, value in parts.items())


@lru_cache(maxsize=1)
def _database() -> frozenset[str]:
    return frozenset(available_timezones())


class Budget:
    """The steps that are left for one calendar."""

    def __init__(self, horizon: datetime) -> None:
        self._horizon = horizon
        self._left = float(MOST_STEPS)

    def check(self, event: Event) -> None:
        """Raises BadInput when following an event's rules costs too much, or when they cannot be followed."""
        start = getattr(event.get("DTSTART"), "dt", None)
        if not isinstance(start, date):
            raise BadInput("it has no beginning (DTSTART)")
        if start.year < EARLIEST:
            raise BadInput(f"it begins in the year {start.year}")
        instead = getattr(event.get("RECURRENCE-ID"), "dt", start)
        if not isinstance(instead, date) or abs(_day(instead) - _day(start)) > FARTHEST_MOVE:
            raise BadInput(f"one of its repetitions is moved by more than {FARTHEST_MOVE.days} days")
        rules = event.get("RRULE", [])
        rules = rules if isinstance(rules, list) else [rules]
        for rule in rules:
            if not isinstance(rule, vRecur):
                raise BadInput("its rule (RRULE) cannot be read")
            self._spend(rule, start)

    def _spend(self, rule: vRecur, start: date) -> None:
        frequency = str(_only(rule, "FREQ", ""))
        interval = _only(rule, "INTERVAL", 1)
        if not isinstance(interval, int) or interval < 1:
            raise BadInput("its rule has INTERVAL=0; expected 1 or more")
        if "COUNT" in rule and "UNTIL" in rule:
            raise BadInput("its rule has COUNT and UNTIL; expected one of them")
        if sum(len(values) for values in rule.values() if isinstance(values, list)) > MOST_VALUES:
            raise BadInput(f"its rule has more than {MOST_VALUES} values")
        days = max(1, (self._horizon.date() - _day(start)).days + 1)
        until = _only(rule, "UNTIL", None)
        if isinstance(until, date):
            days = max(1, min(days, (_day(until) - _day(start)).days + 1))
        minutes = _many(rule, "BYMINUTE") * _many(rule, "BYSECOND")
        if frequency in PER_DAY:
            steps = days * PER_DAY[frequency] / interval * minutes
        elif frequency in DAYS_EACH:
            steps = days / DAYS_EACH[frequency] / interval * _many(rule, "BYHOUR") * minutes
        else:
            raise BadInput(f"its rule has FREQ={frequency[:20]}; expected DAILY, WEEKLY, MONTHLY or YEARLY")
        reason = why_not(rule, start)
        if reason:
            raise BadInput(f"its rule is not followed: {reason}")
        if frequency == "YEARLY" and (interval > 1 or _day(start).month == 2) and rarely(rule):
            steps += 50_000 / interval  # to the year 9999, in case no year fits
        self._left -= steps
        if self._left < 0:
            raise BadInput(
                f"calendar: it repeats too often to be followed (FREQ={frequency}); end the rule, or let it begin later"
            )


def _only(rule: vRecur, name: str, otherwise: Any) -> Any:
    values = rule.get(name, otherwise)
    return (values[0] if values else otherwise) if isinstance(values, list) else values


def _many(rule: vRecur, name: str) -> int:
    values = rule.get(name, 1)
    return max(1, len(values)) if isinstance(values, list) else 1


def _day(at: date) -> date:
    return at.date() if isinstance(at, datetime) else at
