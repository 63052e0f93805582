"""Around turns: the hand-over message, the Slack user group, warnings of gaps, calendars that are read."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from bot.domain import effects, oncall_effects
from bot.domain.incident import Incident
from bot.domain.lifecycle import declared
from bot.domain.overriding import Wish
from bot.domain.page import Page, PageState
from bot.domain.schedule import Layer, Override, Schedule, Shift
from bot.domain.silence import Silence
from bot.errors import BadInput, GaveUp, TryLater
from bot.flow.feeds import Calendar, Feeds
from tests.flow.oncall_house import ADA, BOB, POLICY, SHOP, TRIAL, OnCallHouse, at, oncall_house

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
async def house() -> OnCallHouse:
    return await oncall_house()


async def open_incident(
    house: OnCallHouse, number: int, *, private: bool = False, title: str = "checkout is down"
) -> Incident:
    change = declared(number, title, "critical", (POLICY,), BOB, house.clock())
    incident = change.incident.model_copy(update={"private": private})
    await house.store.write(lambda tx: tx.save(type(change)(incident, change.entries)))
    return incident


async def silence(house: OnCallHouse, number: int, ends_at: datetime) -> None:
    made = Silence(
        number=number,
        matchers=("a=b",),
        reason="disks",
        author="Ada",
        starts_at=house.clock(),
        created_at=house.clock(),
        ends_at=ends_at,
    )
    await house.store.write(lambda tx: tx.save_silence(made))


async def paged(house: OnCallHouse, key: str, person: str, when: datetime, incident: int = 1) -> None:
    page = Page(
        key=key,
        incident_id=incident,
        target=f"person:{person}",
        name=person,
        medium="slack",
        state=PageState.SENT,
        begun_at=when,
        state_at=when,
    )
    await house.store.write(lambda tx: tx.save_pages([page]))


async def test_a_hand_over_is_told_once_in_the_channel_and_to_whoever_begins(house: OnCallHouse) -> None:
    await open_incident(house, 1)
    await open_incident(house, 2, private=True, title="layoffs")
    await silence(house, 1, at("03-02T20:00"))
    await silence(house, 2, at("03-09T20:00"))
    await paged(house, "p1", "chen", at("02-27T02:00"))
    await paged(house, "p2", "chen", at("02-27T02:03"))
    await paged(house, "p3", "ada", at("02-27T02:03"))
    await house.live(HOUR, hours=8)
    (told,) = house.words("channel:ops")
    assert told.splitlines() == [
        "shop: Chen Ning hands over to Ada Lovelace, on call until Mon 09 Mar 09:00 CET",
        "Open:",
        "INC-1 critical, checkout is down: triggered, nobody has it, since today 04:00 CET",
        "1 private incident",
        "Silences that end within a day:",
        "silence 1 ends today 21:00 CET: disks",
        "2 pages for 1 incident went to Chen Ning in the last turn.",
    ]
    (own,) = house.words("person:ada")
    assert own.startswith("You are on call for shop now until Mon 09 Mar 09:00 CET, after Chen Ning\nOpen:")
    assert house.words("person:chen") == []
    assert house.groups.groups == {"S0SHOP": ("U0ADA",)}


async def test_without_anything_open_it_says_so(house: OnCallHouse) -> None:
    await house.live(HOUR, hours=6)
    (told,) = house.words("channel:ops")
    assert "Nothing is open." in told
    assert "No page went to Chen Ning in the last turn." in told


async def test_a_turn_that_was_moved_meanwhile_says_nothing(house: OnCallHouse) -> None:
    await house.duty.ask()
    await house.overrides.create(Wish("shop", "chen", at("03-02T04:00"), at("03-02T12:00")), BOB)
    house.clock.now = at("03-02T08:00")
    await house.settle()
    assert house.words("channel:ops") == [], "Chen goes on"
    house.clock.now = at("03-02T12:00")
    await house.settle()
    (told,) = house.words("channel:ops")
    assert "Chen Ning hands over to Ada Lovelace" in told


async def test_an_override_hands_over_at_both_its_ends_and_when_it_is_ended_by_hand(house: OnCallHouse) -> None:
    now = house.clock()
    await house.overrides.create(Wish("shop", "bob", now, now + HOUR), ADA)
    await house.settle()
    assert "shop: Chen Ning hands over to Bob Kahn" in house.words("channel:ops")[0]
    house.clock.forward(hours=1)
    await house.settle()
    assert "shop: Bob Kahn hands over to Chen Ning" in house.words("channel:ops")[1]
    house.clock.forward(minutes=1)
    await house.overrides.create(Wish("shop", "bob", house.clock(), house.clock() + HOUR), ADA)
    await house.settle()
    house.clock.forward(minutes=20)
    await house.overrides.end(2, ADA)
    await house.settle()
    assert [one.splitlines()[0].partition(",")[0] for one in house.words("channel:ops")[2:]] == [
        "shop: Chen Ning hands over to Bob Kahn",
        "shop: Bob Kahn hands over to Chen Ning",
    ]
    house.clock.forward(hours=1)
    await house.settle()
    assert len(house.words("channel:ops")) == 4, "its old end changes nothing any more"


async def test_delivered_late_it_tells_of_who_has_it_by_then(house: OnCallHouse) -> None:
    await house.duty.ask()
    house.clock.now = at("03-10T12:00")
    await house.settle()
    assert house.words("channel:ops") == [], "after two changes it is Chen's again"
    await house.duty.ask()
    house.clock.now = at("03-16T09:30")
    await house.settle()
    assert "Chen Ning hands over to Ada Lovelace" in house.words("channel:ops")[0]


async def test_when_nobody_comes_after_it_is_loud_where_there_is_no_channel(house: OnCallHouse) -> None:
    await house.live(timedelta(hours=6), days=5)
    ended = [one for one in house.alarms if one.startswith("trial: NOBODY is on call. Bob Kahn had it before")]
    assert len(ended) == 1
    assert "/oncall override trial PERSON now for 4h" in ended[0]


async def test_the_user_group_is_put_right_again_and_a_refusal_is_in_words(house: OnCallHouse) -> None:
    await house.live(minutes=1)
    assert house.groups.groups == {"S0SHOP": ("U0CHEN",)}
    house.groups.groups["S0SHOP"] = ("U0SOMEBODY",)
    await house.live(minutes=16)
    assert house.groups.groups == {"S0SHOP": ("U0CHEN",)}
    house.groups.failure = GaveUp("the Slack user group S0SHOP cannot be set: the app lacks the scope usergroups:write")
    await house.live(minutes=16)
    assert house.dead == [
        "user_group: the Slack user group S0SHOP cannot be set: the app lacks the scope usergroups:write"
    ]


async def test_two_schedules_with_one_group_share_it_and_an_empty_one_stays(house: OnCallHouse) -> None:
    house.with_directory(schedules={"shop": SHOP, "trial": TRIAL.model_copy(update={"slack_group": "S0SHOP"})})
    await house.live(minutes=1)
    assert set(house.groups.groups["S0SHOP"]) == {"U0CHEN", "U0BOB"}
    house.with_directory(schedules={"trial": TRIAL.model_copy(update={"slack_group": "S0SHOP"})})
    house.clock.now = at("03-08T00:00")
    await house.live(minutes=1)
    assert set(house.groups.groups["S0SHOP"]) == {"U0CHEN", "U0BOB"}


async def test_gaps_are_told_once_a_day_before_they_hurt(house: OnCallHouse) -> None:
    await house.live(HOUR, hours=5)
    assert house.alarms == [], "not before nine"
    await house.live(HOUR, hours=18)
    (warned,) = house.alarms
    assert warned.startswith(
        "trial: NOBODY is on call Fri 06 Mar 09:00 to Mon 09 Mar 09:00 UTC, within the next 7 days."
    )
    assert "/oncall override trial PERSON FROM TO" in warned
    await house.live(HOUR, hours=12)
    assert len(house.alarms) == 2


async def test_gaps_go_to_the_schedules_own_channel_and_those_that_are_meant_nowhere(house: OnCallHouse) -> None:
    told = TRIAL.model_copy(update={"tell": "trials"})
    meant = TRIAL.model_copy(update={"key": "office", "gaps_are_meant": True})
    house.with_directory(schedules={"trial": told, "office": meant})
    await house.live(HOUR, hours=8)
    assert house.alarms == []
    assert [one.partition(":")[0] for one in house.words("channel:trials")] == ["trial"]


async def test_contradicting_overrides_are_told_before_they_hurt(house: OnCallHouse) -> None:
    house.with_directory(schedules={"shop": SHOP})
    now = house.clock()
    for number, person in enumerate(("ada", "bob"), start=1):
        override = Override(
            number=number, schedule="shop", person=person, starts=now + 2 * DAY, ends=now + 3 * DAY, made_at=now
        )
        await house.store.write(lambda tx, made=override: tx.save_override(made))
    await house.live(HOUR, hours=8)
    (told,) = [one for one in house.words("channel:ops") if "contradicts" in one]
    assert told.startswith("shop contradicts itself in 1 place, within the next 7 days")
    assert "Ada" in told and "Bob" in told


async def test_rows_for_schedules_that_are_gone_do_nothing(house: OnCallHouse) -> None:
    now = house.clock()
    gone = [
        oncall_effects.hand_over("gone", now),
        oncall_effects.user_group("gone", now),
        oncall_effects.coverage("2026-03-02", now),
    ]
    house.with_directory(schedules={})
    await house.store.write(lambda tx: tx.ask(gone))
    await house.duty.ask()
    await house.settle()
    assert (house.told, house.alarms, house.dead) == ([], [], [])
    assert {one.kind for one in gone} <= {*oncall_effects.KINDS, *effects.KINDS}


async def test_a_schedule_that_cannot_be_worked_out_holds_up_no_other(house: OnCallHouse) -> None:
    broken = SHOP.model_copy(update={"key": "broken", "zone": "Moon/Base"})
    house.with_directory(schedules={"broken": broken, "shop": SHOP, "trial": TRIAL})
    await house.live(HOUR, hours=8)
    assert "Chen Ning hands over to Ada Lovelace" in house.words("channel:ops")[0]
    assert len([one for one in house.alarms if one.startswith("trial: NOBODY")]) == 1


# ------------------------------------------------------------------------------------------------ calendars


class FakeReading:
    def __init__(self, *shifts: Shift) -> None:
        self.shifts = shifts
        self.doubts: tuple[str, ...] = ()


class FakeCalendar:
    """Fetched and read; `failure` is raised instead."""

    def __init__(self, house: OnCallHouse) -> None:
        self.failure: Exception | None = None
        self.person = "bob"
        self.fetched: list[str] = []
        house.with_directory(schedules={"feed": Schedule(key="feed", layers=(Layer(name="cal", feed="shop-ics"),))})
        one = Calendar("shop-ics", "https://calendar.example/secret.ics")
        self.feeds = Feeds(house.store, house.clock, lambda: house.rules, lambda: [one], self.fetch, self.read, str)

    async def fetch(self, address: str) -> str:
        self.fetched.append(address)
        if self.failure is not None:
            raise self.failure
        return "BEGIN:VCALENDAR"

    async def read(self, text: str, people: object, zone: str, span: tuple[datetime, datetime]) -> FakeReading:
        assert span[0] < at("03-02T00:00") < span[1]
        return FakeReading(Shift(person=self.person, starts=at("03-01T00:00"), ends=at("04-01T00:00"), by="duty"))


async def test_a_calendar_is_read_every_five_minutes_and_kept_only_when_it_says_something_new(
    house: OnCallHouse,
) -> None:
    calendar = FakeCalendar(house)
    await calendar.feeds.refresh()
    assert await house.on_call("feed") == ("bob",)
    version = await house.store.read(lambda tx: tx.counter("roster"))
    for _ in range(11):
        house.clock.forward(minutes=1)
        await calendar.feeds.refresh()
    assert len(calendar.fetched) == 3
    assert await house.store.read(lambda tx: tx.counter("roster")) == version
    calendar.person = "ada"
    house.clock.forward(minutes=5)
    await calendar.feeds.refresh()
    assert await house.on_call("feed") == ("ada",)


@pytest.mark.parametrize(
    "failure",
    [TryLater("calendar: HTTP 503"), BadInput("calendar: line 3: no VEVENT"), GaveUp("HTTP 404"), TimeoutError()],
)
async def test_what_was_known_counts_while_a_calendar_cannot_be_read_and_it_is_told_once(
    house: OnCallHouse, failure: Exception
) -> None:
    calendar = FakeCalendar(house)
    await calendar.feeds.refresh()
    calendar.failure = failure
    for _ in range(30):
        house.clock.forward(minutes=5)
        await calendar.feeds.refresh()
    await house.settle()
    assert await house.on_call("feed") == ("bob",)
    (alarm,) = house.alarms
    assert alarm.startswith("The calendar shop-ics cannot be read since 1 h: ")
    assert "It is used by feed." in alarm
    calendar.failure = None
    house.clock.forward(minutes=5)
    await calendar.feeds.refresh()
    feed = (await house.store.read(lambda tx: tx.roster(house.clock()))).feeds["shop-ics"]
    assert (feed.error, feed.failed_at) == ("", None)


async def test_the_address_of_a_calendar_is_a_secret(house: OnCallHouse) -> None:
    calendar = FakeCalendar(house)
    calendar.failure = TryLater("cannot connect to https://calendar.example/secret.ics")
    await calendar.feeds.refresh()
    feed = (await house.store.read(lambda tx: tx.roster(house.clock()))).feeds["shop-ics"]
    assert feed.error == "cannot connect to …"
    assert "secret" not in repr(Calendar("shop-ics", "https://calendar.example/secret.ics"))
