"""Looking at on-call: who has it now and next, what a name means, the final schedule with gaps, fairness, calendars."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.catalogue import Service
from bot.domain.oncall_told import said_standing
from bot.domain.overriding import Wish
from bot.domain.page import Page, PageState
from bot.domain.routing import Route, Routing
from bot.domain.signal import Signal
from bot.errors import BadInput
from tests.flow.oncall_house import ADA, BOB, CHEN, MALLORY, SHOP, OnCallHouse, at, oncall_house


@pytest.fixture
async def house() -> OnCallHouse:
    return await oncall_house()


async def test_every_schedule_says_who_has_it_until_when_and_who_is_next(house: OnCallHouse) -> None:
    shop, trial = await house.looking.standings()
    assert (shop.names, shop.until, shop.next_names) == (("Chen Ning",), at("03-02T08:00"), ("Ada Lovelace",))
    assert (trial.names, trial.until, trial.next_names) == (("Bob Kahn",), at("03-06T09:00"), ())
    said = said_standing(shop, "Europe/Berlin", house.clock())
    assert said == "shop: Chen Ning until today 09:00 CET, then Ada Lovelace"


async def test_nobody_on_call_stands_out(house: OnCallHouse) -> None:
    house.clock.now = at("03-07T12:00")
    (trial,) = await house.looking.standings("trial")
    assert trial.people == ()
    assert said_standing(trial, "UTC", house.clock()) == "trial: NOBODY is on call"


async def test_whoever_is_on_call_and_cannot_be_paged_is_named(house: OnCallHouse) -> None:
    await house.overrides.create(Wish("shop", "eve", house.clock(), at("03-02T06:00")), ADA)
    (shop,) = await house.looking.standings("shop")
    assert shop.ways_missing == ("Eve",)
    assert "Eve cannot be paged by anything" in said_standing(shop, "UTC", house.clock())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("shop", "schedule shop"),
        ("SHOP", "schedule shop"),
        ("<@U0BOB>", "Bob Kahn"),
        ("@bob", "Bob Kahn"),
        ("Bob Kahn", "Bob Kahn"),
        ("ada", "Ada Lovelace"),
        ("pay", "group pay"),
    ],
)
async def test_a_name_is_understood_as_people_write_it(house: OnCallHouse, text: str, words: str) -> None:
    assert (await house.looking.who(text, ADA)).what == words


async def test_me_is_whoever_asks_and_a_policy_shows_its_levels(house: OnCallHouse) -> None:
    assert (await house.looking.who("me", CHEN)).standings[0].schedule == "shop"
    found = await house.looking.who("shop", ADA)
    assert found.lines == (
        "Escalation policy shop:",
        "level 1: shop (Chen Ning)",
        "level 2: Bob Kahn, #ops",
    )


async def test_a_service_names_the_policy_that_its_alerts_use(house: OnCallHouse) -> None:
    signal = Signal(Routing(Route(policy="late")))
    house.rules = replace(house.rules, signal=signal, services={"tills": Service(name="tills")})
    found = await house.looking.who("tills", MALLORY)
    assert found.lines == (
        "Alerts of the service tills use the escalation policy shop, unless their labels lead elsewhere.",
        "level 1: shop (Chen Ning)",
        "level 2: Bob Kahn, #ops",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("shpo", "'shpo' is no schedule, person, group, policy or service; did you mean \"shop\"?"),
        ("", "Whom? Name a schedule, a person, a group, a policy or a service."),
    ],
)
async def test_an_unknown_name_gets_the_nearest(house: OnCallHouse, text: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        await house.looking.who(text, ADA)
    assert str(caught.value).startswith(words)


async def test_the_next_turns_are_over_all_schedules_and_for_strangers_there_are_none(house: OnCallHouse) -> None:
    person, turns = await house.looking.turns("", ADA)
    assert person.key == "ada"
    assert [(one.schedule, one.starts) for one in turns[:2]] == [
        ("shop", at("03-02T08:00")),
        ("shop", at("03-16T08:00")),
    ]
    assert (await house.looking.turns("bob", ADA))[1][0].schedule == "trial"
    with pytest.raises(BadInput, match=r"not among the people of oncall\.yaml.*slack: U0MAL"):
        await house.looking.turns("", MALLORY)


async def test_the_preview_has_overrides_and_gaps_also_of_what_is_past(house: OnCallHouse) -> None:
    house.clock.now = at("03-05T10:00")
    made = await house.overrides.create(Wish("trial", "ada", at("03-05T12:00"), at("03-05T14:00")), ADA)
    house.clock.now = at("03-20T10:00")
    found = await house.looking.preview("trial", at("03-05T00:00"), at("03-08T00:00"))
    assert [(one.kind, one.names, one.starts.hour, one.ends.hour) for one in found.turns] == [
        ("turn", ("Bob Kahn",), 0, 12),
        ("turn", ("Ada Lovelace",), 12, 14),
        ("turn", ("Bob Kahn",), 14, 9),
        ("gap", (), 9, 0),
    ]
    assert found.turns[1].by == f"override {made.override.number}"


async def test_a_preview_is_bounded(house: OnCallHouse) -> None:
    house.with_directory(
        schedules={
            "shop": SHOP.model_copy(
                update={"layers": (SHOP.layers[0].model_copy(update={"every": timedelta(hours=12)}),)}
            )
        }
    )
    found = await house.looking.preview("shop", at("03-02T00:00"), at("09-02T00:00"))
    assert (len(found.turns), found.more > 300) == (60, True)
    with pytest.raises(BadInput, match="no more than 366"):
        await house.looking.preview("shop", at("03-02T00:00"), at("03-02T00:00") + timedelta(days=400))
    with pytest.raises(BadInput, match="ends before it begins"):
        await house.looking.preview("shop", at("03-03T00:00"), at("03-02T00:00"))


async def test_gaps_are_those_of_four_weeks_and_not_those_that_are_meant(house: OnCallHouse) -> None:
    (gap,) = await house.looking.gaps()
    assert (gap.schedule, gap.starts, gap.kind) == ("trial", at("03-06T09:00"), "gap")
    trial = house.rules.directory.schedules["trial"].model_copy(update={"gaps_are_meant": True})
    house.with_directory(schedules={"shop": SHOP, "trial": trial})
    assert await house.looking.gaps() == ()
    assert len(await house.looking.gaps("trial")) == 1, "asked for by name it is shown"


async def test_fairness_counts_hours_and_pages_of_each(house: OnCallHouse) -> None:
    now = house.clock()
    page = Page(
        key="p1",
        incident_id=1,
        target="person:ada",
        name="Ada",
        medium="slack",
        state=PageState.SENT,
        begun_at=now,
        state_at=now,
    )
    await house.store.write(lambda tx: tx.save_pages([page]))
    found = await house.looking.fairness("shop", at("03-02T00:00"), at("03-16T00:00"))
    shares = {one.person: one for one in found.shares}
    assert (shares["ada"].hours, shares["chen"].hours) == (168, 168)
    assert (shares["ada"].pages, shares["chen"].pages) == (1, 0)
    with pytest.raises(BadInput, match='did you mean "shop"'):
        await house.looking.fairness("shp", at("03-02T00:00"), at("03-16T00:00"))


async def test_a_calendar_has_an_address_for_people_of_the_house_alone(house: OnCallHouse) -> None:
    what, address = await house.looking.calendar("", ADA)
    assert (what, address.partition("?")[0]) == (
        "the turns of Ada Lovelace",
        "https://tocsin.example.com/calendars/person/ada.ics",
    )
    assert "schedule/shop.ics?mark=" in (await house.looking.calendar("shop", BOB))[1]
    with pytest.raises(BadInput, match="not among the people"):
        await house.looking.calendar("shop", MALLORY)
    with pytest.raises(BadInput, match="did you mean"):
        await house.looking.calendar("shopp", ADA)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("me", "person:ada"),
        ("shop", "schedule:shop"),
        ("pay", "group:pay"),
        ("<@U0CHEN|chen>", "person:chen"),
        ("person:bob", "person:bob"),
        ("policy:shop", "policy:shop"),
        ("late", "policy:late"),
    ],
)
async def test_whom_to_page_is_understood(house: OnCallHouse, text: str, target: str) -> None:
    assert await house.looking.target(text, ADA) == target


@pytest.mark.parametrize("text", ["", "nobody", "channel:ops", "<@U0STRANGER>"])
async def test_what_cannot_be_paged_is_refused_in_words(house: OnCallHouse, text: str) -> None:
    with pytest.raises(BadInput):
        await house.looking.target(text, ADA)
    with pytest.raises(BadInput, match="not among the people"):
        await house.looking.target("shop", MALLORY)
