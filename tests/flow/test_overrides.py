"""Overrides and swaps: who may, what wins, who is told, and that a swap is answered once and only by whoever is asked."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bot.domain.overriding import Wish
from bot.domain.people import Actor
from bot.domain.roster import Swap
from bot.errors import BadInput
from tests.flow.oncall_house import ADA, BOB, CHEN, EVE, MALLORY, OnCallHouse, at, oncall_house

TURN = Wish("shop", "bob", at("03-03T17:00"), at("03-04T07:00"), "wedding")  # in Ada's week


@pytest.fixture
async def house() -> OnCallHouse:
    return await oncall_house()


async def test_an_override_counts_at_once_and_ends_by_itself(house: OnCallHouse) -> None:
    now = house.clock()
    made = await house.overrides.create(Wish("shop", "bob", now, now + timedelta(hours=2), "hunter2 is ill"), ADA)
    assert await house.on_call() == ("bob",)
    assert made.replaced == ("chen",)
    assert "from Mon 2026-03-02 04:00 CET to Mon 2026-03-02 06:00 CET (Europe/Berlin), 2 h" in made.words
    assert made.override.why == "[secret] is ill"
    house.clock.forward(hours=2)
    assert await house.on_call() == ("chen",)


async def test_whoever_is_replaced_and_whoever_replaces_them_is_told_in_their_own_time(house: OnCallHouse) -> None:
    now = house.clock()
    await house.overrides.create(Wish("shop", "bob", now, now + timedelta(hours=2), "ill"), ADA)
    await house.settle()
    assert any(
        "Ada Lovelace put Bob Kahn on call for shop instead of you (ill), from Sun 2026-03-01 22:00 EST" in one
        for one in house.words("person:chen")
    )
    assert any(
        "put you on call for shop (ill)" in one and "/oncall override end 1" in one for one in house.words("person:bob")
    )
    assert not [one for one in house.words("person:ada") if "put" in one]
    assert {medium for _, medium, _, _ in house.told} == {"slack"}


async def test_the_later_override_wins_and_says_so(house: OnCallHouse) -> None:
    await house.overrides.create(TURN, ADA)
    made = await house.overrides.create(Wish("shop", "chen", at("03-03T20:00"), at("03-03T22:00")), BOB)
    assert [one.number for one in made.over] == [1]
    assert "It goes before override 1 (Bob Kahn)" in made.words
    house.clock.now = at("03-03T21:00")
    assert await house.on_call() == ("chen",)
    house.clock.now = at("03-03T22:00")
    assert await house.on_call() == ("bob",)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish("shpo", "bob", TURN.starts, TURN.ends), "There is no schedule 'shpo'; did you mean \"shop\"?"),
        (Wish("shop", "bbo", TURN.starts, TURN.ends), "'bbo' is nobody in oncall.yaml; did you mean \"bob\"?"),
        (Wish("shop", "bob", TURN.ends, TURN.starts), "It would end"),
        (Wish("shop", "bob", at("02-01T00:00"), at("02-02T00:00")), "It would be over already"),
        (Wish("shop", "bob", at("03-01T00:00"), at("03-04T00:00")), "It would begin in the past"),
        (Wish("shop", "bob", TURN.starts, TURN.starts + timedelta(days=94)), "It would last 94 days"),
        (Wish("shop", "bob", TURN.starts + timedelta(days=401), TURN.ends + timedelta(days=401)), "It would begin"),
    ],
)
async def test_what_cannot_be_is_refused_in_words_and_leaves_nothing(
    house: OnCallHouse, wish: Wish, words: str
) -> None:
    with pytest.raises(BadInput) as caught:
        await house.overrides.create(wish, ADA)
    assert str(caught.value).startswith(words)
    assert (await house.overrides.listing())[0] == ()


@pytest.mark.parametrize("actor", [MALLORY, Actor(id="nobody", name="Nobody"), Actor(id="tocsin", name="Tocsin")])
async def test_strangers_change_nothing(house: OnCallHouse, actor: Actor) -> None:
    for work in (
        house.overrides.create(TURN, actor),
        house.overrides.end(1, actor),
        house.overrides.ask(TURN, actor),
        house.preferences.zone("UTC", actor),
        house.contacts.add("sms", "+4915112345678", actor),
    ):
        with pytest.raises(BadInput, match=r"not among the people of oncall\.yaml"):
            await work


async def test_an_ended_override_is_over_and_whoever_it_concerns_is_told(house: OnCallHouse) -> None:
    now = house.clock()
    await house.overrides.create(Wish("shop", "bob", now, now + timedelta(hours=2)), ADA)
    house.clock.forward(minutes=30)
    assert "On call for shop now: Chen Ning" in await house.overrides.end(1, CHEN)
    assert await house.on_call() == ("chen",)
    await house.settle()
    assert any("Chen Ning ended override 1" in one for one in house.words("person:ada"))
    assert any("Chen Ning ended override 1" in one for one in house.words("person:bob"))
    with pytest.raises(BadInput, match="Override 1 is over already"):
        await house.overrides.end(1, ADA)
    with pytest.raises(BadInput, match="no override 9"):
        await house.overrides.end(9, ADA)


async def test_the_list_holds_what_is_not_over(house: OnCallHouse) -> None:
    await house.overrides.create(TURN, ADA)
    await house.overrides.create(Wish("trial", "ada", house.clock(), at("03-02T05:00")), ADA)
    await house.overrides.ask(Wish("shop", "bob", at("03-06T17:00"), at("03-06T20:00")), ADA)
    overrides, swaps, _ = await house.overrides.listing()
    assert [one.number for one in overrides] == [2, 1]
    assert [one.number for one in swaps] == [1]
    house.clock.now = at("03-02T06:00")
    assert [one.number for one in (await house.overrides.listing("shop"))[0]] == [1]
    assert (await house.overrides.listing("trial"))[0] == ()


# ------------------------------------------------------------------------------------------------ swaps


async def asked(house: OnCallHouse) -> Swap:
    return (await house.overrides.ask(TURN, ADA)).swap


async def test_a_swap_asks_by_direct_message_and_changes_nothing_before_the_answer(house: OnCallHouse) -> None:
    moved = await house.overrides.ask(TURN, ADA)
    await house.settle()
    ((target, medium, address, notice),) = house.told
    assert (target, medium, address, notice.purpose, notice.facts) == (
        "person:bob",
        "slack",
        "U0BOB",
        "swap",
        {"swap": "1"},
    )
    assert "Ada Lovelace asks you to be on call for shop from Tue 2026-03-03 18:00 CET" in notice.body
    assert "Why: wedding" in notice.body
    assert "Until they accept, it stays yours" in moved.words
    house.clock.now = at("03-03T18:00")
    assert await house.on_call() == ("ada",)


async def test_accepted_it_replaces_the_asker_alone_and_both_are_told(house: OnCallHouse) -> None:
    await asked(house)
    moved = await house.overrides.accept(1, BOB)
    assert (moved.swap.state, moved.swap.override) == ("accepted", 1)
    assert "you are on call for shop instead of Ada Lovelace" in moved.words
    await house.settle()
    assert any("Bob Kahn accepted swap 1" in one for one in house.words("person:ada"))
    house.clock.now = at("03-03T18:00")
    assert await house.on_call() == ("bob",)
    (override,) = (await house.overrides.listing())[0]
    assert override.instead_of == "ada"


async def test_only_whoever_is_asked_may_answer_and_only_the_asker_may_withdraw(house: OnCallHouse) -> None:
    await asked(house)
    for actor in (ADA, CHEN):
        with pytest.raises(BadInput, match="Only Bob Kahn can answer swap 1"):
            await house.overrides.accept(1, actor)
        with pytest.raises(BadInput, match="Only Bob Kahn can answer swap 1"):
            await house.overrides.decline(1, actor)
    with pytest.raises(BadInput, match="Ada Lovelace's to withdraw"):
        await house.overrides.withdraw(1, BOB)
    with pytest.raises(BadInput, match="not among the people"):
        await house.overrides.accept(1, MALLORY)
    with pytest.raises(BadInput, match="There is no swap 7"):
        await house.overrides.accept(7, BOB)


async def test_two_clicks_at_once_are_one_answer(house: OnCallHouse) -> None:
    await asked(house)
    answers = await asyncio.gather(
        *(house.overrides.accept(1, BOB) for _ in range(5)), house.overrides.decline(1, BOB), return_exceptions=True
    )
    taken = [one for one in answers if not isinstance(one, BaseException)]
    assert len(taken) == 1
    assert all("Swap 1 was" in str(one) for one in answers if isinstance(one, BaseException))
    assert len((await house.overrides.listing())[0]) == 1


async def test_declined_and_withdrawn_leave_the_turn_and_tell_the_other(house: OnCallHouse) -> None:
    await asked(house)
    await house.overrides.decline(1, BOB)
    assert (await house.overrides.ask(TURN, ADA)).swap.number == 2
    await house.overrides.withdraw(2, ADA)
    await house.settle()
    assert any("Bob Kahn declined swap 1" in one for one in house.words("person:ada"))
    assert any("withdrew swap 2" in one for one in house.words("person:bob"))
    with pytest.raises(BadInput, match="Swap 2 was withdrawn"):
        await house.overrides.accept(2, BOB)
    assert (await house.overrides.listing())[0] == ()


async def test_unanswered_it_expires_when_the_turn_begins(house: OnCallHouse) -> None:
    await asked(house)
    house.clock.now = at("03-03T17:00")
    with pytest.raises(BadInput, match="has expired"):
        await house.overrides.accept(1, BOB)
    await house.overrides.expire()
    await house.overrides.expire()
    await house.settle()
    assert len([one for one in house.words("person:ada") if "did not answer swap 1" in one]) == 1
    with pytest.raises(BadInput, match="has expired"):
        await house.overrides.accept(1, BOB)


@pytest.mark.parametrize(
    ("wish", "actor", "words"),
    [
        (TURN, CHEN, "Chen Ning is not on call in shop"),
        (Wish("shop", "ada", TURN.starts, TURN.ends), ADA, "Ask somebody else"),
        (Wish("shop", "eve", TURN.starts, TURN.ends), ADA, "Eve has no Slack id"),
        (Wish("", "ada", at("03-20T00:00"), at("03-21T00:00")), BOB, "You are not on call in any schedule"),
        (Wish("shop", "bob", at("03-02T03:00"), at("03-02T07:00")), CHEN, "That turn runs already"),
    ],
)
async def test_a_swap_that_makes_no_sense_is_refused(house: OnCallHouse, wish: Wish, actor: Actor, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        await house.overrides.ask(wish, actor)
    assert str(caught.value).startswith(words)


async def test_the_schedule_is_found_and_the_time_cut_to_the_askers_turn(house: OnCallHouse) -> None:
    swap = (await house.overrides.ask(Wish("", "bob", at("03-02T07:00"), at("03-02T12:00")), ADA)).swap
    assert (swap.schedule, swap.starts, swap.ends) == ("shop", at("03-02T08:00"), at("03-02T12:00"))
    with pytest.raises(BadInput, match="Swap 1 asks for a part of that time already"):
        await house.overrides.ask(Wish("shop", "chen", at("03-02T10:00"), at("03-02T14:00")), ADA)


async def test_what_changed_since_it_was_asked_is_looked_at_again(house: OnCallHouse) -> None:
    await asked(house)
    await house.overrides.create(Wish("shop", "chen", TURN.starts, TURN.ends), CHEN)
    with pytest.raises(BadInput, match="Ada Lovelace is not on call in shop"):
        await house.overrides.accept(1, BOB)
    assert len((await house.overrides.listing())[1]) == 1, "it can still be withdrawn"


async def test_whoever_is_on_call_in_that_time_is_not_asked(house: OnCallHouse) -> None:
    await house.overrides.create(Wish("shop", "bob", at("03-03T20:00"), at("03-03T21:00")), EVE)
    swap = (await house.overrides.ask(TURN, ADA)).swap
    assert swap.state == "asked", "in between the asker is not on call, so nothing clashes"
    both = house.rules.directory.schedules["shop"]
    layer = both.layers[0].model_copy(update={"turns": (("ada", "bob"), ("chen",))})
    house.with_directory(schedules={"shop": both.model_copy(update={"layers": (layer,)})})
    with pytest.raises(BadInput, match="Bob Kahn is on call in shop already"):
        await house.overrides.ask(Wish("shop", "bob", at("03-05T00:00"), at("03-05T09:00")), ADA)
