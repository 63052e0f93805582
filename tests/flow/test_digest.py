"""The daily digest: asked for once a day, posted once at its local time, and only when there is something to tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from bot.domain.digest_times import DigestTimes
from bot.domain.matching import matcher
from bot.domain.ports import Store
from bot.domain.routing import Route, Routing
from bot.domain.rules import Rules
from bot.domain.signal import Signal
from bot.domain.silencing import Wish
from bot.errors import TryLater
from bot.store import open_store
from tests.support.clock import HandClock
from tests.support.house import ADA, House, rules

HOUR = timedelta(hours=1)
DISKS = Wish(matchers=('alertname="Broken"',), reason="replacing disks", lasts=timedelta(days=5))
SECRET = Route(path="root/0", key="root/secret", matchers=(matcher('team="secret"'),), policy="shop", private=True)


def house_at(store: Store, at: str, given: Rules | None = None, times: DigestTimes | None = None) -> House:
    times = times or DigestTimes(channel="ops")
    clock = HandClock(datetime.fromisoformat(at).replace(tzinfo=UTC))
    return House(store, replace(given or rules(), digest=times), clock=clock)


@pytest.fixture
async def store() -> Store:
    return await open_store("memory://")


async def live(house: House, hours: int) -> None:
    """Hour by hour, with housekeeping and whatever comes due."""
    for _ in range(hours):
        house.clock.forward(hours=1)
        await house.housekeeping.tidy()
        await house.settle()


def posted(house: House) -> int:
    return len(house.room.said("digest"))


async def silenced(house: House) -> None:
    await house.silences.create(DISKS, ADA)
    await house.receive(house.alert())


async def test_it_is_posted_once_at_its_time_in_its_channel(store: Store) -> None:
    house = house_at(store, "2026-03-02T06:30")
    await silenced(house)
    for _ in range(3):
        await house.housekeeping.tidy()
    await live(house, 2)
    assert posted(house) == 0, "08:30"
    await live(house, 1)
    assert house.room.said("digest") == [("digest", "ops")]
    (found,) = house.room.digests
    assert found.until == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert found.until - found.since == timedelta(days=1)
    assert [(one.firings, one.rules) for one in found.quieted] == [(1, (("Broken", 1),))]
    assert found.quieted[0].words.startswith("silence 1 of Ada until")
    assert found.quieted[0].words.endswith("replacing disks")
    assert [one.summary for one in found.still] == ["Broken on checkout"]
    await live(house, 20)
    assert posted(house) == 1
    await live(house, 4)
    assert posted(house) == 2


async def test_a_restart_in_between_posts_it_all_the_same_and_once(store: Store) -> None:
    house = house_at(store, "2026-03-02T08:30")
    await silenced(house)
    await house.housekeeping.tidy()
    down = house_at(store, "2026-03-02T12:00")
    await down.settle()
    await down.housekeeping.tidy()
    await down.settle()
    assert posted(down) == 1
    assert down.room.digests[0].until.hour == 9, "it tells of the day that it was due for"
    third = house_at(store, "2026-03-02T12:01")
    await third.housekeeping.tidy()
    await third.settle()
    assert posted(third) == 0


async def test_two_replicas_post_one(store: Store) -> None:
    one, two = house_at(store, "2026-03-02T08:30"), house_at(store, "2026-03-02T08:30")
    await silenced(one)
    for house in (one, two, one):
        await house.housekeeping.tidy()
    for house in (one, two):
        house.clock.forward(hours=1)
        await house.settle()
    assert posted(one) + posted(two) == 1


async def test_what_slack_refuses_for_now_is_tried_again_and_posted_once(store: Store) -> None:
    house = house_at(store, "2026-03-02T08:30")
    await silenced(house)
    house.room.failures["digest"] = [TryLater("slack: 500", uncertain=True)]
    await house.housekeeping.tidy()
    await live(house, 3)
    assert posted(house) == 1


@pytest.mark.parametrize(("begin", "days"), [("2026-03-27T06:00", 4), ("2026-10-23T06:00", 4)])
async def test_when_the_clocks_are_changed_it_stays_at_nine_and_leaves_no_hour_out(
    store: Store, begin: str, days: int
) -> None:
    house = house_at(store, begin, times=DigestTimes(time(9), "Europe/Berlin"))
    await silenced(house)
    await house.housekeeping.tidy()
    await live(house, 24 * days)
    found = house.room.digests
    assert len(found) == days
    assert {one.until.astimezone(ZoneInfo("Europe/Berlin")).hour for one in found} == {9}
    assert all(before.until == after.since for before, after in pairwise(found))
    assert len({one.until - one.since for one in found}) == 2, "a day of 23 or 25 hours is among them"


async def test_on_a_day_without_anything_there_is_none(store: Store) -> None:
    house = house_at(store, "2026-03-02T06:30")
    await live(house, 48)
    await house.receive(house.alert())
    await house.incidents.resolve(1, ADA)
    await live(house, 24)
    assert posted(house) == 0


async def test_switched_off_meanwhile_it_is_not_posted_nor_asked_for(store: Store) -> None:
    house = house_at(store, "2026-03-02T08:30")
    await silenced(house)
    await house.housekeeping.tidy()
    house.rules = replace(house.rules, digest=None)
    await live(house, 30)
    assert posted(house) == 0
    assert not [row for row in await store.backlog(house.clock()) if row.kind == "digest" and row.pending]


async def test_tests_are_left_out_and_of_private_alerts_only_the_number_is_told(store: Store) -> None:
    given = rules(signal=Signal(Routing(Route(policy="shop", routes=(SECRET,)))))
    house = house_at(store, "2026-03-02T08:30", given)
    await house.silences.create(replace(DISKS, matchers=('service="checkout"',)), ADA)
    await house.receive(
        house.alert("LayoffsLeaked", fingerprint="f1", team="secret"),
        house.alert("Broken", fingerprint="f2", tocsin_test="true"),
    )
    await house.housekeeping.tidy()
    await live(house, 1)
    (found,) = house.room.digests
    assert "Layoffs" not in str(found)
    assert found.fired == 1
    assert [one.rules for one in found.quieted] == [(("private alerts", 1),)]
    assert [one.summary for one in found.still] == ["A private alert"]


async def test_noise_of_the_week_is_told_but_not_of_private_rules(store: Store) -> None:
    given = rules(signal=Signal(Routing(Route(policy="shop", routes=(SECRET,)))))
    house = house_at(store, "2026-03-02T08:30", given)
    for number in range(4):
        service = f"s{number}"
        await house.receive(
            house.alert("Noisy", fingerprint=service, service=service),
            house.alert("Layoffs", fingerprint=f"x{number}", service=service, team="secret"),
        )
        await house.settle()
    await house.housekeeping.tidy()
    await live(house, 1)
    (found,) = house.room.digests
    assert [one.name for one in found.noisy] == ["Noisy"]
    assert (found.fired, found.incidents, found.pages) == (8, 8, found.pages)
    assert found.pages >= 8
    assert {one.name for one in await house.digests.quality(found.since, found.until)} == {"Noisy", "Layoffs"}


async def test_quality_counts_what_happened_in_its_time(store: Store) -> None:
    house = house_at(store, "2026-03-02T22:30")
    await house.receive(house.alert())
    await house.settle()
    house.clock.forward(minutes=2)
    await house.incidents.acknowledge(1, ADA)
    house.clock.forward(minutes=2)
    await house.incidents.note(1, "restarted it", ADA)
    now = house.clock()
    (found,) = await house.digests.quality(now - HOUR, now)
    assert (found.fired, found.opened, found.paged, found.pages, found.night_pages) == (1, 1, 1, 1, 1)
    assert (found.to_page, found.to_acknowledge, found.to_act) == (0.0, 120.0, 240.0)
    house.rules = replace(house.rules, digest=DigestTimes(zone="America/New_York"))
    (there,) = await house.digests.quality(now - HOUR, now)
    assert there.night_pages == 0, "it is afternoon there"
    assert await house.digests.quality(now + HOUR, now + 2 * HOUR) == ()


async def test_a_log_longer_than_a_page_is_counted_whole(store: Store) -> None:
    house = house_at(store, "2026-03-02T08:30")
    await silenced(house)
    await house.receive(*(house.alert(fingerprint=f"n{n}") for n in range(2500)))
    (found,) = await house.digests.quality(house.clock() - HOUR, house.clock() + HOUR)
    assert found.fired == 2501
