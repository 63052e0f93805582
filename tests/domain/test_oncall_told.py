"""The words of on-call: times that leave nothing to guess, names as people write them, codes, and what may be an address."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.domain import asking, codes, contact_told, duty_told, oncall_told, overriding
from bot.domain import schedule as schedules
from bot.domain.contact import Method
from bot.domain.duty_told import HandOver
from bot.domain.oncall_notices import handover, quiet_way, to_person
from bot.domain.oncall_told import Turn
from bot.domain.people import Actor, Directory, Person
from bot.domain.schedule import Override
from bot.errors import BadInput

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)  # a Saturday
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("moment", "zone", "said"),
    [
        (NOW, BERLIN, "today 13:00 CET"),
        (NOW + 12 * HOUR, BERLIN, "tomorrow 01:00 CET"),
        (NOW + 12 * HOUR, "America/New_York", "today 19:00 EST"),
        (NOW + 6 * DAY, BERLIN, "Fri 27 Nov 13:00 CET"),
        (NOW - DAY, BERLIN, "Fri 20 Nov 13:00 CET"),
        (NOW + 365 * DAY, BERLIN, "Sun 21 Nov 2027 13:00 CET"),
        (NOW + 6 * DAY, "Asia/Dubai", "Fri 27 Nov 16:00 +04"),
    ],
)
def test_a_time_is_said_as_near_as_it_is(moment: datetime, zone: str, said: str) -> None:
    assert oncall_told.at(moment, zone, NOW) == said


@pytest.mark.parametrize(
    ("starts", "ends", "said"),
    [
        (NOW, NOW + HOUR, "Sat 21 Nov 13:00 to 14:00 CET"),
        (NOW, NOW + DAY, "Sat 21 Nov 13:00 to Sun 22 Nov 13:00 CET"),
        (
            datetime(2026, 10, 24, 12, tzinfo=UTC),
            datetime(2026, 10, 25, 12, tzinfo=UTC),
            "Sat 24 Oct 14:00 CEST to Sun 25 Oct 13:00 CET",
        ),
    ],
)
def test_a_span_names_both_offsets_when_the_clocks_change(starts: datetime, ends: datetime, said: str) -> None:
    assert oncall_told.between(starts, ends, BERLIN, NOW) == said


@pytest.mark.parametrize(
    ("time", "said"),
    [
        (timedelta(), "0 min"),
        (45 * timedelta(minutes=1), "45 min"),
        (8 * HOUR, "8 h"),
        (7.5 * HOUR, "7 h 30 min"),
        (48 * HOUR, "48 h"),
        (5 * DAY, "5 days"),
        (5 * DAY + 3 * HOUR, "5 days 3 h"),
    ],
)
def test_lengths(time: timedelta, said: str) -> None:
    assert oncall_told.lasting(time) == said


def test_in_full_nothing_is_left_to_guess() -> None:
    said = oncall_told.full(NOW, NOW + 8 * HOUR, BERLIN)
    assert said == "from Sat 2026-11-21 13:00 CET to Sat 2026-11-21 21:00 CET (Europe/Berlin), 8 h"
    assert oncall_told.full(NOW, NOW + HOUR, "UTC").endswith("13:00 UTC, 1 h")


@pytest.mark.parametrize(
    ("schedule", "person", "zone"),
    [("shop", "ada", "Europe/Paris"), ("shop", "bob", BERLIN), ("", "bob", "UTC"), ("gone", "slack:U1", "UTC")],
)
def test_everybody_is_told_in_their_own_time_else_the_schedules(schedule: str, person: str, zone: str) -> None:
    people = {"ada": Person(key="ada", name="Ada", zone="Europe/Paris"), "bob": Person(key="bob", name="Bob")}
    directory = Directory(people=people, schedules={"shop": schedule_of(BERLIN)})
    assert oncall_told.zone_for(directory, person, schedule) == zone


def schedule_of(zone: str) -> schedules.Schedule:
    return schedules.Schedule(key="shop", zone=zone)


def test_a_first_name_that_two_have_means_neither() -> None:
    people = {"ada": Person(key="ada", name="Ada Lovelace"), "ada2": Person(key="ada2", name="Ada Byron")}
    directory = Directory(people=people)
    assert asking.person(directory, "ada").key == "ada", "a key goes before a name"
    assert asking.person(directory, "Ada Byron").key == "ada2"
    del people["ada"]
    two = Directory(people={**people, "x": Person(key="x", name="Ada X")})
    with pytest.raises(BadInput, match="'Ada' is nobody"):
        asking.person(two, "Ada")


def test_somebody_called_me_is_found_and_me_is_the_asker() -> None:
    directory = Directory(people={"bob": Person(key="bob", name="Bob")})
    assert asking.person(directory, "me", Actor(id="bob", name="Bob")).key == "bob"
    called_me = Directory(people={"me": Person(key="me", name="Me"), "bob": Person(key="bob", name="Bob")})
    assert asking.person(called_me, "me", Actor(id="bob", name="Bob")).key == "me"


def override(number: int, starts: datetime, ends: datetime, ended_at: datetime | None = None) -> Override:
    return Override(
        number=number, schedule="shop", person="bob", starts=starts, ends=ends, made_at=NOW, ended_at=ended_at
    )


def test_overrides_count_as_long_as_they_counted() -> None:
    given = [
        override(1, NOW, NOW + 4 * HOUR),
        override(2, NOW, NOW + 4 * HOUR, NOW + HOUR),
        override(3, NOW + HOUR, NOW + 4 * HOUR, NOW),
    ]
    assert [(one.number, one.ends) for one in overriding.counting(given)] == [(1, NOW + 4 * HOUR), (2, NOW + HOUR)]
    made = override(4, NOW + 2 * HOUR, NOW + 3 * HOUR)
    assert [one.number for one in overriding.overlapping(made, given)] == [1]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+49 151 1234-5678", "+4915112345678"),
        ("+1 (415) 555-0100", "+14155550100"),
        ("0151 1", ""),
        ("+49", ""),
        ("+0151123456", ""),
        ("tel", ""),
        ("+49151123456789012", ""),
    ],
)
def test_phone_numbers(text: str, number: str) -> None:
    assert contact_told.phone_number(text) == number


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (" ada@x.example ", "ada@x.example"),
        ("ada@x", ""),
        ("a b@x.example", ""),
        ("a@b@c.example", ""),
        ("a,b@x.example", ""),
        ("", ""),
        ("a@x.example\nBcc: b@x.example", ""),
    ],
)
def test_email_addresses(text: str, address: str) -> None:
    assert contact_told.email_address(text) == address


@pytest.mark.parametrize(
    ("kind", "address", "shown"),
    [
        ("sms", "+4915112345678", "+49…5678"),
        ("email", "ada@x.example", "a…@x.example"),
        ("slack", "U0ADA", "direct message"),
        ("chat", "12345", "…"),
        ("chat", "12345678", "…678"),
    ],
)
def test_an_address_is_shown_only_as_far_as_its_owner_needs(kind: str, address: str, shown: str) -> None:
    assert contact_told.masked(kind, address) == shown


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("123456", "123456"),
        (" 123 456 ", "123456"),
        ("`123-456`", "123456"),
        ("12345", ""),
        ("1234567", ""),
        ("12345x", ""),
    ],
)
def test_codes_as_people_type_them(text: str, code: str) -> None:
    assert codes.written(text) == code


def test_what_need_not_wake_anybody_never_rings() -> None:
    sms, mail = Method(key="sms", medium="sms", address="+49"), Method(key="mail", medium="mail", address="a@x")
    media = {"slack": "slack", "sms": "sms", "mail": "email"}
    loud = Person(key="a", name="A", methods=(sms,))
    assert quiet_way(loud, media) is None
    assert to_person(loud, media, handover("k", "x"), NOW) == ()
    found = quiet_way(Person(key="b", name="B", methods=(sms, mail)), media)
    assert found is not None and found.key == "mail"
    unverified = mail.model_copy(update={"verified": False})
    assert quiet_way(Person(key="c", name="C", methods=(unverified,)), media) is None
    (effect,) = to_person(Person(key="d", name="D", slack="U0D", methods=(mail,)), media, handover("k", "x"), NOW)
    assert (effect.payload["medium"], effect.payload["address"], effect.payload["notice"]["key"]) == (
        "slack",
        "U0D",
        "k:d",
    )


def test_hand_overs_in_words() -> None:
    told = HandOver("shop", ("Ada",), ("Bob", "Chen"), NOW + DAY)
    assert (
        duty_told.subject(told, BERLIN, NOW) == "shop: Ada hands over to Bob and Chen, on call until tomorrow 13:00 CET"
    )
    nobody = HandOver("shop", ("Ada",), (), NOW + HOUR)
    assert duty_told.subject(nobody, BERLIN, NOW) == "shop: NOBODY is on call until today 14:00 CET. Ada had it before"
    first = HandOver("shop", (), ("Ada",), None)
    assert duty_told.subject(first, BERLIN, NOW) == "shop: Ada begins, on call. Nobody had it before"


def test_many_gaps_are_bounded_and_the_rest_is_counted() -> None:
    gaps = [Turn("shop", (), NOW + n * DAY, NOW + n * DAY + HOUR, kind="gap") for n in range(30)]
    subject, body = duty_told.said_gaps("shop", gaps, BERLIN, NOW)
    assert subject == "shop: NOBODY is on call now until today 14:00 CET, and 29 more, within the next 7 days"
    assert "and 20 more: /oncall gaps shop" in body
    assert len(body.splitlines()) == duty_told.MOST_GAPS + 3
