"""The manifest asks for what is used, HTTP mode needs its secret, and Socket Mode survives a Slack that is away."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.clients.slack import SlackGateway
from bot.entry.slack.app import REQUIRED_SCOPES, SocketMode, build, http_routes
from bot.errors import BadInput
from bot.practice.workspace.site import WorkspaceSettings
from tests.entry.slack_fakes import FakeFlows
from tests.practice.workspace_site import Site, listening, until

ROOT = Path(__file__).parents[2]
MANIFEST: dict[str, Any] = yaml.safe_load((ROOT / "deploy/slack/manifest.yaml").read_text())


def test_the_manifest_asks_for_exactly_the_required_scopes() -> None:
    assert tuple(MANIFEST["oauth_config"]["scopes"]["bot"]) == REQUIRED_SCOPES


def test_the_manifest_has_the_command_and_hears_what_is_handled() -> None:
    assert [command["command"] for command in MANIFEST["features"]["slash_commands"]] == ["/incident", "/oncall"]
    assert MANIFEST["settings"]["event_subscriptions"]["bot_events"] == ["app_mention"]
    assert MANIFEST["settings"]["interactivity"]["is_enabled"]
    assert MANIFEST["settings"]["socket_mode_enabled"]
    assert MANIFEST["features"]["app_home"]["messages_tab_enabled"], "without it nobody can be paged"


def test_every_method_that_is_called_has_its_pace_or_is_known_to_need_none() -> None:
    from_code = {
        name
        for path in [*ROOT.glob("bot/room/*.py"), *ROOT.glob("bot/entry/slack/*.py"), ROOT / "bot/clients/slack.py"]
        for name in re.findall(
            r'"((?:chat|conversations|files|pins|usergroups|users|views|auth)\.[a-zA-Z.]+)"', path.read_text()
        )
    }
    paced = set(re.findall(r'"([a-z]+\.[a-zA-Z.]+)"', (ROOT / "bot/clients/pace.py").read_text()))
    assert from_code - paced == {"auth.test"}


def test_http_mode_does_not_start_without_a_signing_secret() -> None:
    app = build(SlackGateway("xoxb"), FakeFlows().flows())
    with pytest.raises(BadInput, match="signing secret"):
        http_routes(app, "")


class Pauses:
    """Sleeps that return at once, and a clock that they move."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        self.now += seconds
        await asyncio.sleep(0.001)


def socket_of(site: Site, pauses: Pauses, token: str = "xapp-practice") -> SocketMode:
    app = build(SlackGateway("xoxb-practice", base_url=f"{site.url}/api/"), FakeFlows().flows())
    return SocketMode(app, token, f"{site.url}/api/", clock=pauses, sleep=pauses.sleep)


async def test_a_slack_that_is_away_at_the_start_is_tried_again_with_growing_pauses() -> None:
    async with listening(WorkspaceSettings(rate_limits=False)) as site, asyncio.TaskGroup() as group:
        site.workspace.faults.add("down", "apps.connections.open", count=3)
        pauses = Pauses()
        socket = socket_of(site, pauses)
        running = group.create_task(socket.run())
        await socket.connected.wait()
        assert pauses.asked[:3] == [1.0, 2.0, 4.0]
        running.cancel()


async def test_a_refused_app_token_is_tried_again_and_never_written_to_the_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with listening() as site, asyncio.TaskGroup() as group:
        pauses = Pauses()
        running = group.create_task(socket_of(site, pauses, "xapp-wrong-secret").run())
        await until(lambda: len(pauses.asked) >= 2)
        running.cancel()
    logged = capsys.readouterr().out
    assert "invalid_auth" in logged
    assert "xapp-wrong-secret" not in logged


async def test_a_connection_that_stays_lost_is_replaced_by_a_fresh_one() -> None:
    async with listening(WorkspaceSettings(rate_limits=False)) as site, asyncio.TaskGroup() as group:
        pauses = Pauses()
        socket = socket_of(site, pauses)
        running = group.create_task(socket.run())
        await socket.connected.wait()
        site.workspace.sockets.cut()
        await until(lambda: not socket.connected.is_set())
        await socket.connected.wait()
        await until(lambda: site.workspace.sockets.connections)
        running.cancel()
