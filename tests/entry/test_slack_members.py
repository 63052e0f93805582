"""The members of a Slack user group or channel as people for oncall.yaml: who is among them, what is written of them, and how much is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from bot.clients.slack import SlackGateway
from bot.domain.people import Person
from bot.entry.slack.members import MOST, Member, Members, people_block
from bot.errors import BadInput, TryLater


def user(slack: str, name: str, **more: Any) -> dict[str, Any]:
    profile = {"real_name": f"{name.title()} Example", "email": f"{name}@shop.example"}
    return {"id": slack, "name": name, "tz": "Europe/Berlin", "profile": profile, **more}


USERS = {
    "U0ADA": user("U0ADA", "ada"),
    "U0BOB": user(
        "U0BOB", "bob", tz="Mars/Olympus", profile={"real_name": 'Bob "Bobby"\n Kahn', "email": "no address"}
    ),
    "U0BOT": user("U0BOT", "robot", is_bot=True),
    "U0OLD": user("U0OLD", "former", deleted=True),
}


@dataclass
class Answered:
    data: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Workspace:
    """Answers as Slack does. `asked`: the methods, in order."""

    users: Mapping[str, dict[str, Any]] = field(default_factory=lambda: USERS)
    asked: list[str] = field(default_factory=list)

    async def api_call(self, api_method: str, *, data: dict[str, Any]) -> Any:
        self.asked.append(api_method)
        everybody = list(self.users)
        answers: dict[str, dict[str, Any]] = {
            "usergroups.list": {"usergroups": [{"id": "S0SHOP", "handle": "shop-oncall"}]},
            "usergroups.users.list": {"users": everybody},
            "conversations.list": {"channels": [{"id": "C0SHOP", "name": "shop"}]},
            "conversations.members": {"members": everybody},
        }
        if api_method == "users.info":
            return Answered({"ok": True, "user": self.users[data["user"]]})
        return Answered({"ok": True, **answers[api_method]})


def members(workspace: Workspace) -> Members:
    async def sleep(seconds: float) -> None:
        raise AssertionError("nobody asked to wait")

    return Members(SlackGateway("xoxb-secret", transport=workspace, pace=1000), sleep)


@pytest.mark.parametrize("text", ["S0SHOP", "@shop-oncall", "C0SHOP", "#shop", "  #shop "])
async def test_people_are_found_by_group_and_channel_and_no_bots(text: str) -> None:
    found, left_out = await members(Workspace()).of(text)
    assert found == (
        Member("U0ADA", "ada", "Ada Example", "ada@shop.example", "Europe/Berlin"),
        Member("U0BOB", "bob", 'Bob "Bobby" Kahn', "", ""),
    )
    assert left_out == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("@shop-oncal", 'no user group @shop-oncal; did you mean "shop-oncall"?'),
        ("#shops", 'no public channel #shops; did you mean "shop"?'),
        ("shop", "'shop' names no user group"),
        ("", "names no user group"),
    ],
)
async def test_what_names_nothing_is_said_with_the_nearest(text: str, words: str) -> None:
    with pytest.raises(BadInput) as raised:
        await members(Workspace()).of(text)
    assert words in str(raised.value)


async def test_no_more_than_two_hundred_are_asked_about() -> None:
    workspace = Workspace({f"U{number:04}": user(f"U{number:04}", f"p{number}") for number in range(MOST + 7)})
    found, left_out = await members(workspace).of("S0SHOP")
    assert (len(found), left_out, workspace.asked.count("users.info")) == (MOST, 7, MOST)


async def test_when_slack_asks_to_wait_it_is_waited_for_and_not_without_end() -> None:
    waited: list[float] = []

    class Busy:
        async def call(self, method: str, **args: Any) -> dict[str, Any]:
            raise TryLater("slack: 429", delay=7.0)

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    with pytest.raises(TryLater):
        await Members(Busy(), sleep).of("S0SHOP")  # type: ignore[arg-type]
    assert waited == [7.0] * 5


def test_the_block_is_yaml_and_names_those_who_are_there_already() -> None:
    known = {
        "ada": Person(key="ada", name="Ada", slack="U0ADA"),
        "chen": Person(key="chen", name="C", email="C@x.example"),
    }
    block = people_block(
        [
            Member("U0ADA", "ada", "Ada Example", "ada@shop.example", "Europe/Berlin"),
            Member("U0CH", "chen.ning", "Chen Ning", "c@x.example"),
            Member("U0BOB", "Bob.Kahn", 'Bob "Bobby": {Kahn} #1', "bob@shop.example", "Europe/Berlin"),
            Member("U0BO2", "bob-kahn", "Jürgen 😀"),
            Member("U0JP", "", "田中"),
        ],
        known,
    )
    assert yaml.safe_load(block) == {
        "people": {
            "bob-kahn": {
                "name": 'Bob "Bobby": {Kahn} #1',
                "slack": "U0BOB",
                "email": "bob@shop.example",
                "zone": "Europe/Berlin",
            },
            "bob-kahn-2": {"name": "Jürgen 😀", "slack": "U0BO2"},
            "u0jp": {"name": "田中", "slack": "U0JP"},
        }
    }
    assert "# Ada Example (U0ADA) is there already: ada" in block
    assert "# Chen Ning (U0CH) is there already: chen" in block


def test_nobody_new_is_said() -> None:
    known = {"ada": Person(key="ada", name="Ada", slack="U0ADA")}
    block = people_block([Member("U0ADA", "ada", "Ada")], known)
    assert block.splitlines()[0] == "# nobody is new"
    assert yaml.safe_load(block) is None
