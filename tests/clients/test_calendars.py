"""Calendars: whom their events mean, when they are (agreeing with dateutil), what they may cost; and schedules written as calendars."""

from __future__ import annotations

import asyncio
import random
import threading
import time as stopwatch
from datetime import UTC, datetime, timedelta
from typing import Any

import icalendar
import pytest
import recurring_ical_events
from dateutil import rrule, tz
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.clients.calendars import Reading, read, read_within, written
from bot.domain.people import Person
from bot.domain.schedule import Shift
from bot.errors import BadInput, TryLater

PEOPLE = {
    "ada": Person(key="ada", name="Ada Lovelace", email="Ada@x.org", slack="U0ADA"),
    "bob": Person(key="bob", name="Bob", email="bob@x.org"),
    "chen": Person(key="chen", name="Chen, Wei"),
    "sam1": Person(key="sam1", name="Sam"),
    "sam2": Person(key="sam2", name="Sam"),
}
SINCE, UNTIL = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
MONDAY = "DTSTART:20261102T080000Z\nDTEND:20261102T160000Z"


def calendar(*events: str, head: str = "") -> str:
    """A calendar of events, each given by its lines."""
    text = "".join(f"BEGIN:VEVENT\nUID:{number}\n{event}\nEND:VEVENT\n" for number, event in enumerate(events))
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:test\n{head}{text}END:VCALENDAR\n".replace("\n", "\r\n")


def reading(
    *events: str, head: str = "", zone: str = "Europe/Berlin", span: tuple[datetime, datetime] = (SINCE, UNTIL)
) -> Reading:
    return read(calendar(*events, head=head), PEOPLE, zone, span)


def told(found: Reading) -> list[str]:
    return [f"{one.person} {one.starts:%m-%d %H:%M} {one.ends:%m-%d %H:%M}" for one in found.shifts]


# Whom an event means

TITLES: list[tuple[str, list[str]]] = [
    ("SUMMARY:ada", ["ada"]),
    ("SUMMARY:ADA lovelace", ["ada"]),
    ("SUMMARY:U0ADA", ["ada"]),
    ("SUMMARY:<@U0ADA>", ["ada"]),
    ("SUMMARY:ada@X.org", ["ada"]),
    ("SUMMARY:[shop] ada", ["ada"]),
    ("SUMMARY:[shop][L1] ada", ["ada"]),
    ("SUMMARY:On-call: Bob", ["bob"]),
    ("SUMMARY:ada\\, bob", ["ada", "bob"]),
    ("SUMMARY:[shop] ada & bob and ada", ["ada", "bob"]),
    ("SUMMARY:Chen\\, Wei", ["chen"]),
    ("SUMMARY:[shop] Chen\\, Wei", ["chen"]),
    ("SUMMARY:shop\nATTENDEE;CN=A:MAILTO:ada@x.org", ["ada"]),
    ("SUMMARY:bob\nATTENDEE:mailto:ada@x.org", ["ada"]),
    ("SUMMARY:shop\nATTENDEE:mailto:ada@x.org\nATTENDEE:mailto:bob@x.org", ["ada", "bob"]),
    ("SUMMARY:shop\nATTENDEE;PARTSTAT=DECLINED:mailto:ada@x.org\nATTENDEE:mailto:bob@x.org", ["bob"]),
    ("SUMMARY:bob\nATTENDEE:mailto:stranger@x.org", ["bob"]),
    ("SUMMARY:ada\nSTATUS:CANCELLED", []),
]


@pytest.mark.parametrize(("lines", "people"), TITLES, ids=[lines for lines, _ in TITLES])
def test_an_event_means_its_attendees_or_whom_its_title_names(lines: str, people: list[str]) -> None:
    found = reading(f"{MONDAY}\n{lines}")
    assert [shift.person for shift in found.shifts] == people
    assert found.doubts == ()


DOUBTS: list[tuple[str, list[str], str]] = [
    ("SUMMARY:adda", [], "'adda': 'adda' is nobody in oncall.yaml; did you mean \"ada\"? (Mon 2026-11-02 09:00)"),
    ("SUMMARY:ada\\, zzz", ["ada"], "'ada, zzz': 'zzz' is nobody in oncall.yaml (Mon 2026-11-02 09:00)"),
    (
        "SUMMARY:holiday of bob",
        [],
        "'holiday of bob': 'holiday of bob' is nobody in oncall.yaml (Mon 2026-11-02 09:00)",
    ),
    ("SUMMARY:Sam", [], "'Sam': 'Sam' is nobody in oncall.yaml (that is sam1 and sam2) (Mon 2026-11-02 09:00)"),
    ("SUMMARY:", [], "an event without a title and without an attendee that oncall.yaml knows (Mon 2026-11-02 09:00)"),
]


@pytest.mark.parametrize(("lines", "people", "words"), DOUBTS, ids=[lines for lines, _, _ in DOUBTS])
def test_what_fits_nobody_is_told_with_the_nearest_name(lines: str, people: list[str], words: str) -> None:
    found = reading(f"{MONDAY}\n{lines}")
    assert [shift.person for shift in found.shifts] == people
    assert found.doubts == (words,)


def test_a_doubt_is_told_once_and_many_are_counted() -> None:
    weekly = reading(f"{MONDAY}\nRRULE:FREQ=DAILY;COUNT=20\nSUMMARY:nobody we know")
    assert len(weekly.doubts) == 1
    many = reading(*(f"{MONDAY}\nSUMMARY:stranger {number}" for number in range(100)))
    assert len(many.doubts) == 31
    assert many.doubts[-1] == "and 70 more like these"


# When

EXAMPLE_ZONE = """BEGIN:VTIMEZONE
TZID:{name}
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:{summer}
TZOFFSETTO:{winter}
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:{winter}
TZOFFSETTO:{summer}
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
"""
OFFICE = EXAMPLE_ZONE.format(name="Office", summer="+0200", winter="+0100")
TIMES: list[tuple[str, str, list[str]]] = [
    ("in UTC", MONDAY, ["11-02 08:00 11-02 16:00"]),
    ("a zone", "DTSTART;TZID=America/New_York:20261102T080000\nDURATION:PT8H", ["11-02 13:00 11-02 21:00"]),
    ("a zone by its Windows name", "DTSTART;TZID=W. Europe Standard Time:20261102T080000\nDURATION:PT8H", ["11-02 07:00 11-02 15:00"]),
    ("a zone by somebody's long name", "DTSTART;TZID=/x.org/1/Europe/London:20261102T080000\nDURATION:PT8H", ["11-02 08:00 11-02 16:00"]),
    ("no zone", "DTSTART:20261102T080000\nDTEND:20261102T160000", ["11-02 07:00 11-02 15:00"]),
    ("a day", "DTSTART;VALUE=DATE:20261102\nDTEND;VALUE=DATE:20261103", ["11-01 23:00 11-02 23:00"]),
    ("a day without an end", "DTSTART;VALUE=DATE:20261102", ["11-01 23:00 11-02 23:00"]),
    ("a day of twenty-five hours", "DTSTART;VALUE=DATE:20261025", ["10-24 22:00 10-25 23:00"]),
    ("across the window's edge", "DTSTART:20260928T080000Z\nDTEND:20261003T080000Z", ["09-28 08:00 10-03 08:00"]),
    ("outside of the window", "DTSTART:20260928T080000Z\nDTEND:20261001T000000Z", []),
    ("weekly across the change", "DTSTART;TZID=Europe/Berlin:20261019T090000\nDTEND;TZID=Europe/Berlin:20261019T170000\nRRULE:FREQ=WEEKLY;COUNT=2",
     ["10-19 07:00 10-19 15:00", "10-26 08:00 10-26 16:00"]),
    ("weekly in a zone of its own", "DTSTART;TZID=Office:20261019T090000\nDTEND;TZID=Office:20261019T170000\nRRULE:FREQ=WEEKLY;COUNT=2",
     ["10-19 07:00 10-19 15:00", "10-26 08:00 10-26 16:00"]),
    ("a night of which there are two hours more", "DTSTART;TZID=Europe/Berlin:20261024T180000\nDTEND;TZID=Europe/Berlin:20261025T080000",
     ["10-24 16:00 10-25 07:00"]),
    ("with an exception", f"{MONDAY}\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE:20261103T080000Z", ["11-02 08:00 11-02 16:00", "11-04 08:00 11-04 16:00"]),
    ("with another day", f"{MONDAY}\nRDATE:20261105T080000Z", ["11-02 08:00 11-02 16:00", "11-05 08:00 11-05 16:00"]),
    ("until", f"{MONDAY}\nRRULE:FREQ=DAILY;UNTIL=20261103T080000Z", ["11-02 08:00 11-02 16:00", "11-03 08:00 11-03 16:00"]),
    ("the last workday", f"{MONDAY}\nRRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", ["11-02 08:00 11-02 16:00", "11-30 08:00 11-30 16:00"]),
    ("counted from long ago", "DTSTART:20261001T000000Z\nDTEND:20261001T080000Z\nRRULE:FREQ=YEARLY;COUNT=3", ["10-01 00:00 10-01 08:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "expected"), [one[1:] for one in TIMES], ids=[one[0] for one in TIMES])
def test_an_event_is_when_it_says(lines: str, expected: list[str]) -> None:
    found = reading(f"{lines}\nSUMMARY:ada", head=OFFICE)
    assert told(found) == [f"ada {when}" for when in expected]
    assert found.doubts == ()


def test_one_repetition_can_be_moved_and_given_to_somebody_else() -> None:
    text = calendar(
        f"{MONDAY}\nRRULE:FREQ=DAILY;COUNT=3\nSUMMARY:ada",
        "RECURRENCE-ID:20261103T080000Z\nDTSTART:20261103T120000Z\nDTEND:20261103T160000Z\nSUMMARY:bob",
    ).replace("UID:1", "UID:0")
    assert told(read(text, PEOPLE, "UTC", (SINCE, UNTIL))) == [
        "ada 11-02 08:00 11-02 16:00",
        "bob 11-03 12:00 11-03 16:00",
        "ada 11-04 08:00 11-04 16:00",
    ]


def test_a_repetition_is_not_moved_by_centuries() -> None:
    text = calendar(
        f"{MONDAY}\nRRULE:FREQ=DAILY;COUNT=3\nSUMMARY:ada",
        "RECURRENCE-ID:90261103T080000Z\nDTSTART:20261103T120000Z\nDTEND:20261103T160000Z\nSUMMARY:bob",
    ).replace("UID:1", "UID:0")
    found = read(text, PEOPLE, "UTC", (SINCE, UNTIL))
    assert found.doubts == ("'ada': one of its repetitions is moved by more than 366 days",)


def test_two_calendars_may_call_different_zones_by_one_name() -> None:
    event = "DTSTART;TZID=Office:20261102T080000\nDURATION:PT8H\nSUMMARY:ada"
    away = EXAMPLE_ZONE.format(name="Office", summer="-0400", winter="-0500")
    assert told(reading(event, head=OFFICE)) == ["ada 11-02 07:00 11-02 15:00"]
    assert told(reading(event, head=away)) == ["ada 11-02 13:00 11-02 21:00"]


def test_a_zone_that_nobody_knows_is_a_doubt() -> None:
    found = reading("DTSTART;TZID=Nowhere:20261102T080000\nDURATION:PT8H\nSUMMARY:ada")
    assert told(found) == ["ada 11-02 07:00 11-02 15:00"]
    assert found.doubts == ("'ada': its time zone 'Nowhere' is not known and taken as Europe/Berlin",)


ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "America/Santiago",
    "Pacific/Auckland",
)
RULES = (
    "FREQ=DAILY", "FREQ=DAILY;INTERVAL=3", "FREQ=WEEKLY;BYDAY=MO,SU", "FREQ=WEEKLY;INTERVAL=2", "FREQ=HOURLY;INTERVAL=12", "FREQ=MONTHLY;BYDAY=-1SU",
    "FREQ=DAILY;COUNT=9", "FREQ=WEEKLY;COUNT=4;BYDAY=SU,WE", "FREQ=MONTHLY;BYMONTHDAY=25,29",
)  # fmt: skip


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("rule", RULES)
def test_repetitions_are_those_of_dateutil_on_the_clock_of_their_zone(zone: str, rule: str) -> None:
    pick = random.Random(f"{zone} {rule}")
    for change in ("2025-03-30", "2026-04-05", "2026-10-25", "2027-11-07"):
        middle = datetime.fromisoformat(change)
        starts = middle + timedelta(
            days=pick.randrange(-20, -5), hours=pick.randrange(4, 23)
        )  # no time that a change touches
        event = f"DTSTART;TZID={zone}:{starts:%Y%m%dT%H%M%S}\nDURATION:PT1H\nRRULE:{rule}\nSUMMARY:ada"
        span = (middle.replace(tzinfo=UTC) - timedelta(days=9), middle.replace(tzinfo=UTC) + timedelta(days=9))
        known = tz.gettz(zone)
        moments = [
            at.replace(tzinfo=known).astimezone(UTC)
            for at in rrule.rrulestr(rule, dtstart=starts).between(starts, middle + timedelta(days=12), inc=True)
        ]
        if starts not in [at.astimezone(known).replace(tzinfo=None) for at in moments]:
            moments.append(starts.replace(tzinfo=known).astimezone(UTC))  # the first is one also when it does not fit
        expected = sorted(at for at in moments if at < span[1] and span[0] < at + timedelta(hours=1))
        assert [shift.starts for shift in reading(event, zone=zone, span=span).shifts] == expected


# What it may cost

BEHIND = "TZID:Office\nCOMMENT:x\n\x0b\rRRULE:FREQ=SECONDLY"
BOMBS: list[tuple[str, str, str]] = [
    ("no calendar", "<html><body>Sign in</body></html>", "begins with '<html><body>Sign in</body></html>'; expected an iCalendar file"),
    ("a path", "/etc/passwd", "expected an iCalendar file"),
    ("nothing", "", "expected an iCalendar file"),
    ("too long", calendar(f"{MONDAY}\nSUMMARY:ada\nDESCRIPTION:" + "x" * (1 << 20)), "at most 1,048,576 are read"),
    ("too many events", calendar(*[f"{MONDAY}\nSUMMARY:ada"] * 2000), "more than 2000 components"),
    ("too deep", "BEGIN:VCALENDAR\r\n" * 500, "nested deeper than 6"),
    ("every second", calendar(f"{MONDAY}\nRRULE:FREQ=SECONDLY\nSUMMARY:ada"), "it repeats too often to be followed (FREQ=SECONDLY)"),
    ("every second of some days", calendar(f"{MONDAY}\nRRULE:FREQ=DAILY;BYHOUR={','.join(map(str, range(24)))};"
     f"BYMINUTE={','.join(map(str, range(60)))};BYSECOND={','.join(map(str, range(60)))}\nSUMMARY:ada"), "it repeats too often"),
    ("every minute", calendar(f"{MONDAY}\nDURATION:PT1M\nRRULE:FREQ=MINUTELY\nSUMMARY:ada".replace("DTEND:20261102T160000Z\n", "")),
     "more than 5,000 events in the time that is read"),
    ("long ago, and each takes centuries", calendar("DTSTART:19700105T090000Z\nDTEND:29990101T000000Z\nRRULE:FREQ=DAILY\nSUMMARY:ada"),
     "more than 5,000 events"),
    ("a zone that changes every second", calendar(MONDAY, head=OFFICE.replace("YEARLY", "SECONDLY")), "expected FREQ=YEARLY"),
    ("a zone that changes on a day that does not occur", calendar(MONDAY, head=OFFICE.replace("BYDAY=-1SU;BYMONTH=10", "BYMONTHDAY=31;BYMONTH=2")),
     "with a day that occurs"),
    ("a rule of a zone behind a line separator", calendar(MONDAY, head=OFFICE.replace("TZID:Office", BEHIND)), ""),
    ("a broken line", "BEGIN:VCALENDAR\r\nbroken\r\nEND:VCALENDAR\r\n", "it cannot be read"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "words"), [one[1:] for one in BOMBS], ids=[one[0] for one in BOMBS])
def test_what_is_no_calendar_or_costs_too_much_is_refused_soon(text: str, words: str) -> None:
    begun = stopwatch.process_time()
    if words:
        with pytest.raises(BadInput) as refused:
            read(text, PEOPLE, "UTC", (SINCE, UNTIL))
        assert words in str(refused.value)
    else:
        read(text, PEOPLE, "UTC", (SINCE, UNTIL))
    assert stopwatch.process_time() - begun < 3


NEVER = (
    "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=3",
    "FREQ=HOURLY;BYMONTH=4;BYMONTHDAY=31",
    "FREQ=DAILY;INTERVAL=7;BYDAY=TU",
    "FREQ=DAILY;INTERVAL=0",
    "FREQ=MONTHLY;INTERVAL=12;BYMONTH=4",
    "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=6",
    "FREQ=WEEKLY;BYDAY=MO,TU;BYSETPOS=3",
    "FREQ=YEARLY;BYYEARDAY=366;BYMONTH=3",
    "FREQ=MONTHLY;BYDAY=9MO",
    "FREQ=HOURLY;INTERVAL=168;BYDAY=TU",
    "FREQ=HOURLY;INTERVAL=24;BYHOUR=5",
    "FREQ=DAILY;BYHOUR=25",
    "FREQ=MINUTELY;INTERVAL=28;BYMONTHDAY=29;BYDAY=MO;BYHOUR=5;BYMINUTE=0,30",
    "FREQ=MONTHLY;BYDAY=-5TU,MO",
    "FREQ=FOO",
    "FREQ=DAILY;COUNT=2;UNTIL=20261105T000000Z",
    "FREQ=DAILY;BYMONTH=13",
    "FREQ=DAILY;BYMONTHDAY=1,2,3;INTERVAL=5",
    f"FREQ=DAILY;BYMONTHDAY={','.join(['1'] * 600)}",
)


@pytest.mark.parametrize("rule", NEVER, ids=[rule[:60] for rule in NEVER])
def test_a_rule_that_may_fit_no_day_is_a_doubt_and_not_followed_to_the_year_9999(rule: str) -> None:
    begun = stopwatch.process_time()
    found = reading(f"{MONDAY}\nRRULE:{rule}\nSUMMARY:ada", f"{MONDAY}\nSUMMARY:bob")
    assert stopwatch.process_time() - begun < 1
    assert [shift.person for shift in found.shifts] == ["bob"]
    assert len(found.doubts) == 1
    assert found.doubts[0].startswith("'ada': ")


def test_a_rule_is_not_followed_whose_day_its_months_do_not_have() -> None:
    found = reading("DTSTART:20251231T080000Z\nDURATION:PT1H\nRRULE:FREQ=MONTHLY;BYMONTH=11\nSUMMARY:ada")
    assert found == Reading((), ("'ada': its rule is not followed: no day fits it",))


async def test_a_calendar_is_read_in_a_thread_and_not_waited_for_for_ever() -> None:
    text = calendar(f"{MONDAY}\nSUMMARY:ada")
    assert told(await read_within(10, text, PEOPLE, "UTC", (SINCE, UNTIL))) == ["ada 11-02 08:00 11-02 16:00"]
    slow = calendar(*["DTSTART:20200105T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY\nSUMMARY:ada"] * 12)
    turns, begun = 0, stopwatch.monotonic()

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.ensure_future(count())
    with pytest.raises(TryLater, match="took longer than"):
        await read_within(0.01, slow, PEOPLE, "UTC", (SINCE, UNTIL))
    assert stopwatch.monotonic() - begun < 5
    other.cancel()
    assert turns > 1 and threading.current_thread() is threading.main_thread()


TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
LINES = [
    "BEGIN:VEVENT",
    "END:VEVENT",
    "BEGIN:VTIMEZONE",
    "END:VTIMEZONE",
    "BEGIN:STANDARD",
    "END:STANDARD",
    "END:VCALENDAR",
    "DTSTART:20261102T080000Z",
    "DTSTART;VALUE=DATE:20261102",
    "DTSTART:x",
    "DTEND:20261101T080000Z",
    "DURATION:-PT1H",
    "RRULE:FREQ=DAILY",
    "RRULE:x",
    "RRULE:FREQ=DAILY;INTERVAL=x",
    "EXDATE:20261102",
    "RDATE:x",
    "SUMMARY:ada",
    "ATTENDEE:x",
    "RECURRENCE-ID:20261102T080000Z",
    "TZID:Office",
    "TZOFFSETTO:+0100",
    "TZOFFSETFROM:x",
    "UID:1",
    "X-WR-TIMEZONE:Nowhere",
]


@settings(max_examples=60)
@given(st.lists(st.sampled_from(LINES) | TEXTS, max_size=25))
def test_any_text_is_read_or_refused_in_words(lines: list[str]) -> None:
    text = "\r\n".join(["BEGIN:VCALENDAR", *lines, "END:VCALENDAR", ""])
    said, found = "", Reading(())
    try:
        found = read(text, PEOPLE, "Europe/Berlin", (SINCE, UNTIL))
    except BadInput as refused:
        said = str(refused)
    assert said == "" or said.startswith("calendar: ")
    assert all(shift.starts < shift.ends for shift in found.shifts)


# Written


def shift(person: str, starts: datetime, hours: float, by: str = "") -> Shift:
    return Shift(person=person, starts=starts, ends=starts + timedelta(hours=hours), by=by)


def test_a_written_calendar_says_what_it_is_and_when_to_come_again() -> None:
    text = written([shift("ada", SINCE, 8, "nights")], key="shop", title="Shop; on call", stamp=SINCE)
    lines = text.split("\r\n")
    for line in (
        "VERSION:2.0", "METHOD:PUBLISH", "X-WR-CALNAME:Shop\\; on call", "REFRESH-INTERVAL;VALUE=DURATION:PT1H", "DTSTAMP:20261001T000000Z",
        "DTSTART:20261001T000000Z", "DTEND:20261001T080000Z", "SUMMARY:ada", "DESCRIPTION:Shop\\; on call: nights",
    ):  # fmt: skip
        assert line in lines, line


def test_an_event_keeps_its_uid_until_its_person_or_its_start_changes() -> None:
    def uids(*given: Shift, key: str = "shop") -> list[str]:
        text = written(given, key=key, title="x", stamp=UNTIL)
        return [str(event["UID"]) for event in icalendar.Calendar.from_ical(text).walk("VEVENT")]

    one = shift("ada", SINCE, 8)
    assert uids(one) == uids(shift("ada", SINCE, 9, "other"))
    changed = [shift("bob", SINCE, 8), shift("ada", SINCE + timedelta(hours=1), 8)]
    assert len({*uids(one), *uids(*changed), *uids(one, key="other")}) == 4


NAMES = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30)


@settings(max_examples=60)
@given(
    NAMES,
    NAMES,
    st.lists(
        st.tuples(st.sampled_from(["k1", "k2"]), st.integers(0, 1400), st.integers(1, 90)), max_size=6, unique=True
    ),
)
def test_what_is_written_reads_the_same(first: str, second: str, spans: list[tuple[str, int, int]]) -> None:
    given = {shift(person, SINCE + timedelta(hours=begin), hours) for person, begin, hours in spans}
    people = {"k1": Person(key="k1", name=f"Person {first}"), "k2": Person(key="k2", name=f"Other {second}")}
    text = written(given, key="shop", title=first, stamp=SINCE, names={key: one.name for key, one in people.items()})
    found = read(text, people, "Europe/Berlin", (SINCE - timedelta(days=1), UNTIL + timedelta(days=9)))
    assert {(one.person, one.starts, one.ends) for one in found.shifts} == {
        (one.person, one.starts, one.ends) for one in given
    }
    assert found.doubts == ()


def test_other_programs_read_what_is_written() -> None:
    given = [shift("ada", SINCE, 8), shift("bob", SINCE + timedelta(hours=8), 16)]
    parsed: Any = icalendar.Calendar.from_ical(
        written(given, key="shop", title="Shop", stamp=SINCE, names={"ada": "Ada, Countess\nof; Lovelace"})
    )
    events = recurring_ical_events.of(parsed).between(SINCE, UNTIL)
    assert [(str(event["SUMMARY"]), event.start, event.end) for event in events] == [
        ("Ada, Countess of; Lovelace", given[0].starts, given[0].ends),
        ("bob", given[1].starts, given[1].ends),
    ]
