"""Calendars (iCalendar, RFC 5545: https://www.rfc-editor.org/rfc/rfc5545): feeds read into shifts, and schedules written for people to subscribe to.

Nothing is fetched here: whoever fetched a feed calls `read_within`, and keeps the shifts it had when that raises.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import icalendar
import recurring_ical_events
from icalendar import Calendar, Event
from icalendar.error import GloballyUniqueTZIDGuessed
from icalendar.prop import vText

from bot.clients.calendar_bounds import Budget, text_of, vetted
from bot.clients.calendar_people import Names
from bot.domain.naming import clipped
from bot.domain.people import Person
from bot.domain.schedule import Shift
from bot.domain.wall_clock import first, shown, zone_of
from bot.errors import BadInput, TryLater

MOST_OCCURRENCES = 5000
MOST_DOUBTS = 30
LONGEST = timedelta(days=1100)
DAY = timedelta(days=1)
# icalendar keeps the time zones that a calendar defines by their names alone, for all calendars: one is read at a time, and then they are forgotten.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True)
class Reading:
    """`shifts`: not cut, by start and person; `by` is the event's title. `doubts`: what is no shift or only in part, in words; each once."""

    shifts: tuple[Shift, ...]
    doubts: tuple[str, ...] = ()


async def read_within(
    seconds: float, data: str | bytes, people: Mapping[str, Person], zone: str, span: tuple[datetime, datetime]
) -> Reading:
    """`read` in a thread of its own, so that nothing else waits. Raises BadInput as `read` does, and TryLater when it takes too long.

    A thread cannot be stopped: one that took too long goes on until `read`'s own bounds end it, some seconds later, and its result is dropped.
    """
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.to_thread(read, data, people, zone, span)
    except TimeoutError:
        raise TryLater(
            f"calendar: reading it took longer than {seconds:g} s; the shifts known before are kept"
        ) from None


def read(data: str | bytes, people: Mapping[str, Person], zone: str, span: tuple[datetime, datetime]) -> Reading:
    """The shifts of an iCalendar text that have a part in `span` (since, until). `zone`: of whole days and of times without a zone.

    A person is found by an attendee's e-mail, else by key, name, e-mail or Slack id in the title (`ada`, `[shop] ada`, `ada, bob`). Cancelled events
    do not count. Times that occur twice or not at all are read as RFC 5545 (section 3.3.5) says. At most 1 MiB, 2,000 components and 5,000
    occurrences. Raises BadInput when it is no calendar or exceeds these.
    """
    since, until = (moment.astimezone(UTC) for moment in span)
    if until - since > LONGEST:
        raise BadInput(f"calendar: at most {LONGEST.days} days are read at once")
    reader = _Reader(Names(people), zone_of(zone), (since, until))
    text = vetted(text_of(data), until)
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore", GloballyUniqueTZIDGuessed)  # /vendor/Europe/Berlin is Europe/Berlin
        icalendar.use_zoneinfo()  # type: ignore[no-untyped-call]
        for calendar in _parsed(text):
            reader.add(calendar)
    shifts = sorted(reader.shifts, key=lambda shift: (shift.starts, shift.person))
    doubts = [f"{words} ({shown(at, reader.zone)})" if at else words for words, at in reader.doubts.items()]
    more = (f"and {len(doubts) - MOST_DOUBTS} more like these",) if len(doubts) > MOST_DOUBTS else ()
    return Reading(tuple(shifts), (*doubts[:MOST_DOUBTS], *more))


def written(
    shifts: Iterable[Shift], *, key: str, title: str, stamp: datetime, names: Mapping[str, str] | None = None
) -> str:
    """Shifts as an iCalendar text that calendars can subscribe to (METHOD:PUBLISH, RFC 7986 for its title and refreshing), in UTC.

    `key`: of the schedule. An event keeps its UID as long as person and start stay: give a time that begins at a hand-over, or cut the first shift.
    `stamp`: when it was written. `names`: what people are called, by key.
    """
    calendar = Calendar()
    calendar.add("PRODID", "-//Tocsin//on-call//EN")
    calendar.add("VERSION", "2.0")
    calendar.add("CALSCALE", "GREGORIAN")
    calendar.add("METHOD", "PUBLISH")
    calendar.add("NAME", vText(_line(title)))
    calendar.add("X-WR-CALNAME", vText(_line(title)))
    calendar.add("X-PUBLISHED-TTL", "PT1H")
    calendar.add("REFRESH-INTERVAL", timedelta(hours=1), parameters={"VALUE": "DURATION"})
    seen: dict[str, int] = {}
    for shift in shifts:
        origin = f"{key}\n{shift.person}\n{shift.starts.astimezone(UTC):%Y%m%dT%H%M%S}"
        seen[origin] = seen.get(origin, 0) + 1  # a final schedule has each once; other shifts may not
        digest = hashlib.sha256((origin if seen[origin] == 1 else f"{origin}\n{seen[origin]}").encode())
        event = Event()
        event.add("UID", f"{digest.hexdigest()[:32]}@tocsin")
        event.add("DTSTAMP", stamp.astimezone(UTC))
        event.add("DTSTART", shift.starts.astimezone(UTC))
        event.add("DTEND", shift.ends.astimezone(UTC))
        event.add("SUMMARY", _line((names or {}).get(shift.person, shift.person)))
        event.add("DESCRIPTION", _line(f"{title}: {shift.by}" if shift.by else title))
        calendar.add_component(event)
    return str(calendar.to_ical(), "utf-8")


def _line(text: str) -> str:
    """On one line, without what no calendar may hold."""
    return "".join(char if char.isprintable() else " " for char in text)


def _parsed(text: str) -> list[Calendar]:
    try:
        found = Calendar.from_ical(text.encode(), multiple=True)
    except Exception as problem:  # whatever the parser makes of hostile text is said of the text
        raise BadInput(f"calendar: it cannot be read: {clipped(' '.join(str(problem).split()), 120)}") from None
    return [calendar for calendar in found if calendar.name == "VCALENDAR"]


class _Reader:
    """Collects what the calendars of one file say."""

    def __init__(self, names: Names, zone: ZoneInfo, span: tuple[datetime, datetime]) -> None:
        self.shifts: set[Shift] = set()
        self.doubts: dict[str, datetime | None] = {}  # and when it first is, when that is known
        self.zone, self._names, self._span = zone, names, span
        self._budget = Budget(span[1])
        self._occurrences = 0

    def add(self, calendar: Calendar) -> None:
        series: dict[str, list[Event]] = {}
        for number, event in enumerate(calendar.events):
            series.setdefault(str(event.get("UID", f"none {number}")), []).append(event)
        for events in series.values():
            self._add_series(calendar, events)

    def _add_series(self, calendar: Calendar, events: list[Event]) -> None:
        """One event with all that its repetitions are changed by."""
        title = _title(events[0])
        try:
            for event in events:
                self._budget.check(event)
                self._zone_is_known(event)
            for occurrence in self._occurring(calendar, events):
                self._add_event(occurrence)
        except BadInput as problem:
            if str(problem).startswith("calendar:"):
                raise
            self.doubts[f"{title}: {problem}"] = None
        except Exception as problem:  # as in _parsed
            self.doubts[f"{title}: it cannot be read: {clipped(' '.join(str(problem).split()), 120)}"] = None

    def _occurring(self, calendar: Calendar, events: list[Event]) -> Iterator[Event]:
        alone = Calendar(calendar)  # its properties: a zone of the whole calendar among them
        alone.subcomponents = list(events)
        since, until = (moment.astimezone(self.zone) for moment in self._span)
        for series in recurring_ical_events.of(alone).series:
            for occurrence in series.between(since - DAY, until + DAY):
                self._occurrences += 1
                if self._occurrences > MOST_OCCURRENCES:
                    raise BadInput(f"calendar: more than {MOST_OCCURRENCES:,} events in the time that is read")
                yield occurrence.as_component(False)

    def _add_event(self, event: Event) -> None:
        starts, ends = self._moment(event.start), self._moment(event.end)
        if ends <= self._span[0] or starts >= self._span[1] or str(event.get("STATUS", "")).upper() == "CANCELLED":
            return
        keys, doubt = self._names.of(event)
        if starts >= ends:  # perhaps only because the clocks jump over it
            keys, doubt = (), f"{_title(event)}: it has no length" if event.start == event.end else ""
        if doubt:
            self.doubts[doubt] = min(starts, self.doubts.get(doubt) or starts)
        by = clipped(" ".join(str(event.get("SUMMARY", "")).split()), 80)
        self.shifts.update(Shift(person=key, starts=starts, ends=ends, by=by) for key in keys)

    def _moment(self, at: date) -> datetime:
        if not isinstance(at, datetime):
            return first(datetime.combine(at, time()), self.zone)
        return (at if at.tzinfo else at.replace(tzinfo=self.zone)).astimezone(UTC)

    def _zone_is_known(self, event: Event) -> None:
        name = getattr(event["DTSTART"], "params", {}).get("TZID")
        if name and isinstance(event.start, datetime) and event.start.tzinfo is None:
            self.doubts[
                f"{_title(event)}: its time zone {str(name)[:60]!r} is not known and taken as {self.zone.key}"
            ] = None


def _title(event: Event) -> str:
    return repr(clipped(" ".join(str(event.get("SUMMARY", "without a title")).split()), 80))
