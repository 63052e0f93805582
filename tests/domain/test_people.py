"""Who has the turn, who acted, who may, and what people are called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.contact import Method, Notify
from bot.domain.people import Actor, Directory, Person
from bot.domain.roster import Feed, OwnMethod, Preferences, Roster
from bot.domain.schedule import Layer, Override, Schedule, Shift

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
WEEK, HOUR = timedelta(weeks=1), timedelta(hours=1)
ROTA = Layer(name="rota", turns=(("ada",), ("chen", "eve"), ("bob",)), starts=START.replace(tzinfo=None), every=WEEK)
SHOP = Schedule(key="shop", layers=(ROTA, Layer(name="feed", feed="ics")))
PEOPLE = {
    "ada": Person(
        key="ada", name="Ada Lovelace", slack="U0ADA", methods=(Method(key="sms", medium="sms", address="+49"),)
    ),
    "eve": Person(key="eve", name="Eve"),
    "bob": Person(key="bob", name="Bob"),
}
DIRECTORY = Directory(
    people=PEOPLE,
    schedules={"shop": SHOP, "nobody": Schedule(key="nobody")},
    groups={"payments": ("eve", "ada", "gone", "eve"), "empty": ()},
    roles={"admins": ("ada",)},
    media={"slack": "slack", "teams": "chat"},
)


@pytest.mark.parametrize(
    ("target", "means"),
    [
        ("person:ada", ("person:ada",)),
        ("person:gone", ()),
        ("schedule:shop", ("person:ada",)),
        ("rotation:shop", ("person:ada",)),
        ("schedule:nobody", ()),
        ("rotation:gone", ()),
        ("group:payments", ("person:eve", "person:ada")),
        ("group:empty", ()),
        ("group:gone", ()),
        ("channel:ops", ("channel:ops",)),
        ("medium:teams", ("medium:teams",)),
        ("medium:gone", ()),
    ],
)
def test_a_target_means_those_who_are_there_now_each_once(target: str, means: tuple[str, ...]) -> None:
    assert DIRECTORY.resolve(target, START) == means


def test_a_turn_of_several_means_those_of_them_who_are_known() -> None:
    assert DIRECTORY.resolve("schedule:shop", START - HOUR) == ()
    assert DIRECTORY.resolve("schedule:shop", START + WEEK) == ("person:eve",)
    assert DIRECTORY.resolve("schedule:shop", START + 2 * WEEK) == ("person:bob",)


@pytest.mark.parametrize(
    ("target", "name"),
    [("person:ada", "Ada Lovelace"), ("person:gone", "gone"), ("channel:ops", "#ops"), ("rotation:shop", "shop")],
)
def test_a_target_is_named_as_people_write_it(target: str, name: str) -> None:
    assert DIRECTORY.name_of(target) == name


def override(schedule: str, person: str) -> Override:
    return Override(number=1, schedule=schedule, person=person, starts=START, ends=START + HOUR, made_at=START)


def test_what_people_changed_is_laid_over_the_schedules() -> None:
    feed = Feed(name="ics", shifts=(Shift(person="bob", starts=START + HOUR, ends=START + 2 * HOUR),))
    changed = DIRECTORY.with_roster(
        Roster(overrides=(override("shop", "eve"), override("other", "bob")), feeds={"ics": feed})
    )
    assert changed.resolve("schedule:shop", START) == ("person:eve",)
    assert changed.resolve("schedule:shop", START + HOUR) == ("person:bob",)
    assert changed.resolve("schedule:shop", START + 2 * HOUR) == ("person:ada",)
    assert changed.resolve("schedule:nobody", START) == ()
    assert DIRECTORY.resolve("schedule:shop", START) == ("person:ada",)


def test_a_calendar_that_was_never_read_has_nobody() -> None:
    assert DIRECTORY.with_roster(Roster()).schedules["shop"].feeds == {"ics": ()}


def test_own_methods_stand_behind_those_of_the_file_until_they_are_removed() -> None:
    def own(key: str, removed_at: datetime | None = None) -> OwnMethod:
        method = Method(key=key, medium=key, address="1")
        return OwnMethod(person="ada", method=method, added_at=START, removed_at=removed_at)

    changed = DIRECTORY.with_roster(Roster(methods={"ada": (own("telegram"), own("ntfy", START))}))
    assert [method.key for method in changed.people["ada"].ways] == ["slack", "sms", "telegram"]
    assert changed.people["eve"] == PEOPLE["eve"]


def test_a_preference_replaces_what_the_file_says_and_what_was_not_chosen_stays() -> None:
    rules = {"critical": (Notify(method="sms"),)}
    chosen = Preferences(person="ada", notify=rules, zone="Europe/Berlin", recovery=False)
    changed = DIRECTORY.with_roster(Roster(preferences={"ada": chosen})).people["ada"]
    assert (changed.notify, changed.zone, changed.recovery) == (rules, "Europe/Berlin", False)
    assert (changed.quiet, changed.methods) == (PEOPLE["ada"].quiet, PEOPLE["ada"].methods)


def test_all_ways_begin_with_slack_when_there_is_an_id() -> None:
    assert [method.key for method in PEOPLE["ada"].ways] == ["slack", "sms"]
    assert PEOPLE["eve"].ways == ()


@pytest.mark.parametrize(
    ("user", "name", "actor"),
    [
        ("U0ADA", "somebody", Actor(id="ada", name="Ada Lovelace")),
        ("U0MAL", "mallory", Actor(id="slack:U0MAL", name="mallory")),
        ("U0MAL", "", Actor(id="slack:U0MAL", name="U0MAL")),
        ("ada", "ada", Actor(id="slack:ada", name="ada")),
    ],
)
def test_a_slack_user_is_a_known_person_or_a_stranger(user: str, name: str, actor: Actor) -> None:
    assert DIRECTORY.by_slack(user, name) == actor


def test_nobody_in_particular_is_not_the_person_without_a_slack_id() -> None:
    assert DIRECTORY.by_slack("", "x") == Actor(id="slack:", name="x")


@pytest.mark.parametrize(
    ("who", "role", "may"),
    [("ada", "admins", True), ("eve", "admins", False), ("ada", "gone", False), ("", "admins", False)],
)
def test_a_role_is_a_list_of_keys(who: str, role: str, may: bool) -> None:
    assert DIRECTORY.has_role(Actor(id=who, name="Ada Lovelace"), role) is may
