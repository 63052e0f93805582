"""Who has the turn, who acted, who may, and what people are called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.people import Actor, Directory, Person, Rotation

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
SHOP = Rotation(key="shop", people=("ada", "chen", "bob"), every=timedelta(weeks=1), starts=START)
PEOPLE = {
    "ada": Person(key="ada", name="Ada Lovelace", slack="U0ADA"),
    "eve": Person(key="eve", name="Eve"),
}
DIRECTORY = Directory(
    people=PEOPLE,
    rotations={"shop": SHOP, "nobody": SHOP.model_copy(update={"people": ()})},
    roles={"admins": ("ada",)},
)


@pytest.mark.parametrize(
    ("at", "who"),
    [
        (START - timedelta(microseconds=1), None),
        (START, "ada"),
        (START + timedelta(days=7) - timedelta(microseconds=1), "ada"),
        (START + timedelta(days=7), "chen"),
        (START + timedelta(days=14), "bob"),
        (START + timedelta(days=21), "ada"),
        (START + timedelta(days=7 * 3000 + 8), "chen"),
    ],
)
def test_people_take_turns_from_the_start_on(at: datetime, who: str | None) -> None:
    assert SHOP.on_call(at) == who


def test_the_hand_over_is_at_an_instant_whatever_zone_it_is_asked_in() -> None:
    berlin = timedelta(hours=1)
    at = START + timedelta(days=7)
    assert SHOP.on_call(at.astimezone()) == "chen"
    assert SHOP.on_call(at - berlin) == "ada"


@pytest.mark.parametrize(
    ("target", "means"),
    [
        ("person:ada", "person:ada"),
        ("person:gone", None),
        ("rotation:shop", "person:ada"),
        ("rotation:nobody", None),
        ("rotation:gone", None),
        ("channel:ops", "channel:ops"),
    ],
)
def test_a_target_means_somebody_now_or_nobody(target: str, means: str | None) -> None:
    assert DIRECTORY.resolve(target, START) == means


@pytest.mark.parametrize(
    ("target", "name"),
    [("person:ada", "Ada Lovelace"), ("person:gone", "gone"), ("channel:ops", "#ops"), ("rotation:shop", "shop")],
)
def test_a_target_is_named_as_people_write_it(target: str, name: str) -> None:
    assert DIRECTORY.name_of(target) == name


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
