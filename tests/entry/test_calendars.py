"""Calendars to subscribe to: who may read them, what is in them, and that they are cheap to poll."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import icalendar
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bot.clients.calendars import read
from bot.domain import schedule as schedules
from bot.domain.links import CALENDAR, Links
from bot.domain.overriding import Wish
from bot.domain.people import Directory
from bot.domain.schedule import Schedule
from bot.domain.signing import Signer
from bot.entry import problems
from bot.entry.calendars import AT_ONCE, CalendarSite, of_person, of_schedule, window
from tests.flow.oncall_house import ADA, CHEN, PEOPLE, SHOP, TRIAL, OnCallHouse, at, oncall_house


@dataclass
class Answer:
    status: int
    text: str
    headers: Mapping[str, str]


@dataclass
class Site:
    house: OnCallHouse
    client: TestClient[web.Request, web.Application]

    async def get(self, name: str, mark: str | None = None, method: str = "GET", **headers: str) -> Answer:
        """`name`: schedule/shop; with the right mark when none is given."""
        right = self.house.links.signer.mark(CALENDAR, name) if mark is None else mark
        path = f"/calendars/{name}.ics" + (f"?mark={right}" if right else "")
        async with self.client.request(
            method, path, headers={key.replace("_", "-"): one for key, one in headers.items()}
        ) as answer:
            return Answer(answer.status, await answer.text(), answer.headers)


@asynccontextmanager
async def site(links: Links | None = None) -> AsyncIterator[Site]:
    house = await oncall_house()
    app = web.Application(middlewares=[problems.middleware])
    app.add_routes(CalendarSite(house.looking, links or house.links, house.clock).routes())
    async with TestClient(TestServer(app)) as client:
        yield Site(house, client)


def events(text: str) -> list[tuple[str, datetime, datetime]]:
    return [
        (str(one["SUMMARY"]), one["DTSTART"].dt, one["DTEND"].dt) for one in icalendar.Calendar.from_ical(text).events
    ]


async def test_the_address_that_people_are_given_leads_to_the_schedule() -> None:
    async with site() as here:
        _, address = await here.house.looking.calendar("shop", ADA)
        async with here.client.get(address.removeprefix("https://tocsin.example.com")) as answer:
            text = await answer.text()
        assert (answer.status, answer.content_type) == (200, "text/calendar")
        found = events(text)
        assert ("Ada Lovelace", at("03-02T08:00"), at("03-09T08:00")) in found
        assert {name for name, _, _ in found} == {"Ada Lovelace", "Chen Ning"}
        assert found[0][1] <= here.house.clock() - timedelta(weeks=4)
        assert found[-1][2] >= here.house.clock() + timedelta(weeks=12)


async def test_an_override_stands_in_both_calendars_also_when_it_is_over() -> None:
    async with site() as here:
        made = Wish("shop", "ada", at("03-02T04:00"), at("03-02T06:00"), "a secret reason")
        await here.house.overrides.create(made, CHEN)
        here.house.clock.forward(days=3)
        shop, ada = await here.get("schedule/shop"), await here.get("person/ada")
        assert ("Ada Lovelace", made.starts, made.ends) in events(shop.text)
        assert ("On call: shop", made.starts, made.ends) in events(ada.text)
        assert "reason" not in shop.text + ada.text


async def test_a_person_has_their_turns_of_all_schedules_and_nobody_elses() -> None:
    async with site() as here:
        await here.house.overrides.create(Wish("trial", "ada", at("03-03T00:00"), at("03-03T12:00")), CHEN)
        found = events((await here.get("person/ada")).text)
        assert {name for name, _, _ in found} == {"On call: shop", "On call: trial"}
        assert len(found) == len(set(found))
        assert ("On call: shop", at("03-09T08:00"), at("03-16T08:00")) not in found


@pytest.mark.parametrize(
    ("name", "mark", "status", "words"),
    [
        ("schedule/shop", "", 403, "no mark"),
        ("schedule/shop", "0" * 32, 403, "the mark in this address is wrong"),
        ("schedule/shop", "\u00fc", 403, "the mark in this address is wrong"),
        ("schedule/nothing", "0" * 32, 403, "the mark in this address is wrong"),
        ("schedule/gone", None, 404, "there is no schedule 'gone' any more"),
        ("person/gone", None, 404, "there is no person 'gone' any more"),
        ("team/shop", None, 404, "there is no team 'shop'"),
    ],
)
async def test_a_wrong_address_is_refused_in_words(name: str, mark: str | None, status: int, words: str) -> None:
    async with site() as here:
        answer = await here.get(name, mark)
        assert (answer.status, words in answer.text) == (status, True), answer.text
        assert "BEGIN:VCALENDAR" not in answer.text


async def test_the_mark_of_one_calendar_opens_no_other() -> None:
    async with site() as here:
        mark = here.house.links.signer.mark(CALENDAR, "schedule/shop")
        assert (await here.get("schedule/trial", mark)).status == 403
        assert (await here.get("person/shop", mark)).status == 403
        acknowledging = here.house.links.signer.mark("acknowledge", "schedule/shop")
        assert (await here.get("schedule/shop", acknowledging)).status == 403


async def test_without_a_secret_nobody_may() -> None:
    async with site(Links("", Signer(""))) as here:
        answer = await here.get("schedule/shop", "0" * 32)
        assert (answer.status, "server.secret" in answer.text) == (403, True)


async def test_polling_is_cheap_until_something_changes() -> None:
    async with site() as here:
        first = await here.get("schedule/shop")
        assert "max-age=900" in first.headers["Cache-Control"]
        here.house.clock.forward(hours=5)
        again = await here.get("schedule/shop", If_None_Match=first.headers["ETag"])
        assert (again.status, again.text, again.headers["ETag"]) == (304, "", first.headers["ETag"])
        head = await here.get("schedule/shop", method="HEAD")
        assert (head.status, head.text, head.headers["ETag"]) == (200, "", first.headers["ETag"])
        await here.house.overrides.create(Wish("shop", "bob", at("03-03T00:00"), at("03-03T12:00")), CHEN)
        changed = await here.get("schedule/shop", If_None_Match=first.headers["ETag"])
        assert (changed.status, "Bob Kahn" in changed.text) == (200, True)


async def test_when_too_many_ask_at_once_the_last_is_asked_to_come_again_and_the_others_are_answered() -> None:
    house, going, begun = await oncall_house(), asyncio.Event(), asyncio.Semaphore(0)

    class Slow:
        async def directory(self) -> Directory:
            begun.release()
            await going.wait()
            return await house.looking.directory()

        async def final(self, name: str, since: datetime, until: datetime) -> tuple[Directory, tuple[Schedule, ...]]:
            return await house.looking.final(name, since, until)

    app = web.Application(middlewares=[problems.middleware])
    app.add_routes(CalendarSite(Slow(), house.links, house.clock, patience=0.01).routes())
    path = house.links.calendar("schedule/shop").removeprefix("https://tocsin.example.com")
    async with TestClient(TestServer(app)) as client, asyncio.TaskGroup() as tasks:
        first = [tasks.create_task(_status(client, path)) for _ in range(AT_ONCE)]
        for _ in first:
            await begun.acquire()
        async with client.get(path) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "60")
        going.set()
        assert [await one for one in first] == [200] * AT_ONCE
        assert await _status(client, path) == 200


async def _status(client: TestClient[web.Request, web.Application], path: str) -> int:
    async with client.get(path) as answer:
        return answer.status


@pytest.mark.parametrize("schedule", [SHOP, TRIAL], ids=lambda one: one.key)
def test_what_is_written_is_read_back_as_the_same_shifts(schedule: Schedule) -> None:
    """Over both changes of the clocks in Berlin."""
    directory = Directory(people=PEOPLE, schedules={schedule.key: schedule})
    span = (datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
    text = of_schedule(directory, schedule, span, at("03-02T03:00"))
    back = read(text, directory.people, schedule.zone, span)
    assert back.doubts == ()
    wanted = schedules.shifts(schedule, *span)
    assert [(one.person, one.starts, one.ends) for one in back.shifts] == [
        (one.person, one.starts, one.ends) for one in wanted
    ]
    assert len(wanted) >= 1


async def test_a_persons_calendar_is_read_back_as_their_turns() -> None:
    house = await oncall_house()
    directory, span = await house.looking.directory(), window(house.clock())
    text = of_person(directory, "ada", list(directory.schedules.values()), span, house.clock())
    wanted = [one for one in schedules.shifts(SHOP, *span) if one.person == "ada"]
    assert [(starts, ends) for _, starts, ends in events(text)] == [(one.starts, one.ends) for one in wanted]


def test_the_window_is_the_same_all_day_and_begins_on_a_monday() -> None:
    early, late = window(at("03-05T00:00")), window(at("03-05T23:59"))
    assert early == late == (at("02-02T00:00"), at("05-29T00:00"))
    assert early[0].weekday() == 0
