"""What a foreign calendar may cost: its size, its number of parts, and how far its repetitions are followed. Called by calendars, first of all.

The libraries follow a rule from its first day on and without end when nothing fits it; so every rule gets an end here, and its cost is added up
before. Rules: RFC 5545 section 3.3.10 (https://www.rfc-editor.org/rfc/rfc5545#section-3.3.10).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any
from zoneinfo import available_timezones

from dateutil.rrule import rrulestr
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
MOST_ZONE_RULES = 8  # of one zone; every time in it is looked up in all of them
MOST_VALUES = 500
MOST_STEPS = 400_000  # of all rules together; a few seconds
EARLIEST = 1900
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
    depth, components, zone = 0, 0, _Zone()
    for line in re.split(r"\r?\n", text):
        head = line[:40].upper()
        if head.startswith(("BEGIN;", "END;")):
            raise BadInput(f"calendar: {clipped(line, 40)!r} has parameters; expected BEGIN:NAME and END:NAME")
        if head.startswith("BEGIN:"):
            depth, components = depth + 1, components + 1
            zone = _Zone() if head.startswith("BEGIN:VTIMEZONE") else zone
        depth -= head.startswith("END:")
        if components > MOST_COMPONENTS or depth > DEEPEST:
            raise BadInput(f"calendar: more than {MOST_COMPONENTS} components, or nested deeper than {DEEPEST}")
        zone.inside = (zone.inside or head.startswith("BEGIN:VTIMEZONE")) and not head.startswith("END:VTIMEZONE")
        lines.append(zone.line(line, horizon) if zone.inside else line)
    return "\r\n".join(lines) + "\r\n"


class _Zone:
    """One VTIMEZONE, line by line. Those of the time zone database are taken from there, whatever the calendar says of them."""

    def __init__(self) -> None:
        self.inside = False
        self._known = False
        self._rules = 0

    def line(self, line: str, horizon: datetime) -> str:
        head = line[:40].upper()
        if head.startswith("TZID"):
            self._known = line.partition(":")[2].strip("/ ") in available_timezones()
        if not head.startswith(("RRULE", "EXRULE")):
            return line
        self._rules += 1
        if self._rules > MOST_ZONE_RULES and not self._known:
            raise BadInput(f"calendar: a time zone of its own with more than {MOST_ZONE_RULES} rules")
        return _zone_rule(line, horizon)


def _zone_rule(line: str, horizon: datetime) -> str:
    """Clocks change once a year by a rule; it is followed until two years after the horizon."""
    name, _, rule = line.partition(":")
    parts = dict(part.partition("=")[::2] for part in rule.upper().split(";"))
    interval = parts.get("INTERVAL", "1")
    if parts.get("FREQ") != "YEARLY" or "COUNT" in parts or interval.strip("0") == "" or len(rule) > 200:
        raise BadInput(f"calendar: a time zone changes by {clipped(rule, 80)!r}; expected FREQ=YEARLY, without COUNT")
    end = f"{horizon.year + 2}1231T000000Z"
    until = parts.pop("UNTIL", end)
    parts["UNTIL"] = until if until[:8].isdigit() and until[:8] < end[:8] else end
    return f"{name}:" + ";".join(f"{key}={value}" for key, value in parts.items())


class Budget:
    """The steps that are left for one calendar."""

    def __init__(self, horizon: datetime) -> None:
        self._horizon = horizon
        self._left = float(MOST_STEPS)

    def bound(self, event: Event) -> None:
        """Gives every rule of an event an end. Raises BadInput when following them costs too much, or when they are none."""
        start = getattr(event.get("DTSTART"), "dt", None)
        if not isinstance(start, date):
            raise BadInput("it has no beginning (DTSTART)")
        if start.year < EARLIEST:
            raise BadInput(f"it begins in the year {start.year}")
        rules = event.get("RRULE", [])
        rules = rules if isinstance(rules, list) else [rules]
        for rule in rules:
            if not isinstance(rule, vRecur):
                raise BadInput("its rule (RRULE) cannot be read")
            self._spend(rule, start)
            _end(rule, start, self._horizon)

    def _spend(self, rule: vRecur, start: date) -> None:
        frequency = str(_only(rule, "FREQ", ""))
        interval = _only(rule, "INTERVAL", 1)
        if not isinstance(interval, int) or interval < 1:
            raise BadInput("its rule has INTERVAL=0; expected 1 or more")
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


def _end(rule: vRecur, start: date, horizon: datetime) -> None:
    """Replaces COUNT and a missing or far UNTIL by the last day that matters."""
    last = horizon.astimezone(UTC) + timedelta(days=2)
    given, count = _only(rule, "UNTIL", None), _only(rule, "COUNT", None)
    rule.pop("COUNT", None)
    wall = last.replace(tzinfo=None)
    if isinstance(given, date) and _day(given) <= last.date():
        if not isinstance(count, int):
            return
        wall = datetime.combine(_day(given), time(23, 59))  # both are not allowed: whichever is first
    if isinstance(count, int):
        wall = _counted(rule, start, count, wall)
    final: date = wall
    if not isinstance(start, datetime):
        final = wall.date()
    elif start.tzinfo is not None:
        final = wall.replace(tzinfo=UTC if wall == last.replace(tzinfo=None) else start.tzinfo).astimezone(UTC)
    rule["UNTIL"] = [final]


def _counted(rule: vRecur, start: date, count: int, wall: datetime) -> datetime:
    """When the last of so many repetitions is, by the wall clock; `wall` when it is later than that."""
    begin = start.replace(tzinfo=None) if isinstance(start, datetime) else datetime.combine(start, time())
    rule.pop("UNTIL", None)
    text = rule.to_ical().decode()  # type: ignore[no-untyped-call]
    followed = rrulestr(f"{text};UNTIL={wall:%Y%m%dT%H%M%S}", dtstart=begin)
    found = list(islice(followed, max(1, count)))
    return found[-1] if found and len(found) >= count else wall


def _only(rule: vRecur, name: str, otherwise: Any) -> Any:
    values = rule.get(name, otherwise)
    return (values[0] if values else otherwise) if isinstance(values, list) else values


def _many(rule: vRecur, name: str) -> int:
    values = rule.get(name, 1)
    return max(1, len(values)) if isinstance(values, list) else 1


def _day(at: date) -> date:
    return at.date() if isinstance(at, datetime) else at
