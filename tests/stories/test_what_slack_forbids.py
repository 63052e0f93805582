"""A scope is missing or a method is refused: that feature is off, the incident goes on; what is private never becomes public."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.practice.workspace.webapi import ALL_SCOPES
from tests.support.program import Program, program

pytestmark = pytest.mark.slow  # a whole story for each thing that a workspace may forbid

PAYMENTS = {"service": "payments", "deployment": "payments"}


async def story(it: Program) -> None:
    await it.alert()
    await it.wait(5)
    await it.command("U0BOB", "ack INC-1")
    await it.alert(firing=False)
    await it.wait(10)


@pytest.mark.parametrize(
    "scope", ["pins:write", "files:write", "channels:history", "channels:read", "users:read", "groups:read"]
)
async def test_a_missing_scope_costs_its_feature_and_no_more(tmp_path: Path, scope: str) -> None:
    async with program(tmp_path) as it:
        it.world.workspace.api.scopes = [one for one in ALL_SCOPES if one != scope]
        await story(it)
        (channel,) = it.channels("inc-1")
        assert "nobody else is paged" in it.text("inc-1")
        assert sum(len(it.pages(user)) for user in ("U0ADA", "U0CHEN")) == 1
        assert (await it.incident()).postmortem_path
        assert ("INC-1-post-mortem" in str(it.world.workspace.state.files)) == (scope != "files:write")
        assert bool(channel.pins) == (scope != "pins:write")
        assert sorted(it.message_keys()) == sorted(set(it.message_keys()))


async def test_without_the_right_to_open_channels_everything_is_in_the_fallback_channel(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        it.world.workspace.api.scopes = [one for one in ALL_SCOPES if one != "channels:manage"]
        await story(it)
        assert it.channels("inc-") == []
        told = it.text("incidents")
        assert "INC-1 gets no channel" in told
        assert "channels:manage" in told, "it says what is missing"
        assert "acknowledged" in told
        assert sum(len(it.pages(user)) for user in ("U0ADA", "U0CHEN")) == 1


async def test_without_direct_messages_the_channel_is_paged(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        it.world.workspace.api.scopes = [one for one in ALL_SCOPES if one != "im:write"]
        await it.alert()
        await it.wait(10)
        assert "Could not page" in it.text("inc-1")
        assert "Please acknowledge" in it.text("incidents")


async def test_a_method_that_is_unknown_here_stops_nothing(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        for method in ("pins.add", "conversations.setPurpose", "conversations.setTopic", "conversations.invite"):
            it.world.workspace.faults.add("error", method, error="unknown_method")
        await story(it)
        assert "nobody else is paged" in it.text("inc-1")
        assert (await it.incident()).postmortem_path


@pytest.mark.parametrize("error", ["restricted_action", "missing_scope", "no_permission"])
async def test_a_private_incident_without_a_private_channel_is_never_public(tmp_path: Path, error: str) -> None:
    async with program(tmp_path) as it:
        it.world.workspace.faults.add("error", "conversations.create", error=error)
        told = await it.alert(**PAYMENTS)
        assert told["outcome"] == "opened"
        await it.wait(10)
        assert it.channels("inc-") == []
        public = it.text("incidents") + it.text("general")
        assert "INC-1" in public, "that something is wrong is said"
        assert "error ratio" not in public
        assert "payments" not in public
        assert sum(len(it.pages(user)) for user in ("U0ADA", "U0CHEN")) == 1, "and who is on call is paged"


async def test_a_private_incident_has_a_private_channel(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        await it.alert(**PAYMENTS)
        await it.settle()
        (channel,) = it.channels("inc-1")
        assert channel.is_private
        assert "error ratio" not in it.text("incidents") + it.text("general")
        listed = await it.command("U0PRIYA", "list")
        assert "private incident" in listed
        assert "payments" not in listed
        assert "INC-1 is private" in await it.command("U0PRIYA", "show INC-1")
