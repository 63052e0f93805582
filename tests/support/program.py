"""The whole program over real HTTP: the example configuration, the practice workspace and cluster, one clock moved by hand for all of it."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from bot import app
from bot.cli.demo import TOKEN, overrides, secrets
from bot.config import Config, load
from bot.domain.incident import Incident
from bot.practice.server import Practice
from bot.practice.story import demo_world
from bot.practice.workspace.state import Channel, Message
from tests.support.clock import HandClock

EXAMPLE = Path(__file__).parents[2] / "deploy" / "config"
PAYLOADS = Path(__file__).parents[1] / "plugins" / "sources" / "alertmanager"


class Program:
    """What a story does: post alerts, click, type commands, move time, look at the workspace."""

    def __init__(
        self, world: Practice, tocsin: app.Tocsin, clock: HandClock, url: str, http: aiohttp.ClientSession
    ) -> None:
        self.world = world
        self.tocsin = tocsin
        self.clock = clock
        self.url = url
        self.http = http

    async def post(self, body: Any, source: str = "alertmanager", token: str = TOKEN) -> tuple[int, dict[str, Any]]:
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        async with self.http.post(f"{self.url}/webhooks/{source}", data=data, headers=headers) as answer:
            return answer.status, await answer.json()

    async def alert(self, *, firing: bool = True, **labels: str) -> dict[str, Any]:
        """Post one HighErrorRate alert as Alertmanager does; what became of it."""
        status, answer = await self.post(webhook(self.clock, firing=firing, **labels))
        assert status == 200, answer
        return dict(answer["alerts"][0])

    async def settle(self) -> None:
        """Deliver all that is due, and what becomes due by that."""
        await self.tocsin.worker.drain()

    async def wait(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass for everybody, in small steps."""
        left = seconds
        while left > 0:
            self.clock.forward(seconds=min(step, left))
            left -= step
            self.world.cluster.tick()
            await self.settle()

    async def until(self, holds: Callable[[], bool], seconds: float = 120.0) -> None:
        """Let time pass until something holds."""
        for _ in range(int(seconds)):
            if holds():
                return
            await self.wait(1.0)
        assert holds()

    # ------------------------------------------------------------------------------------------- what is seen

    def channel(self, name: str) -> Channel:
        """The channel whose name begins so."""
        return next(one for one in self.world.workspace.state.channels.values() if one.name.startswith(name))

    def messages(self, name: str) -> list[Message]:
        return [one for one in self.channel(name).messages.values() if not one.subtype]

    def text(self, name: str) -> str:
        """Everything that can be read in a channel."""
        return "\n".join(json.dumps(one.blocks, ensure_ascii=False) + one.text for one in self.messages(name))

    def calls(self, method: str) -> list[Any]:
        return [call for call in self.world.workspace.desk.calls if call.method == method]

    def button(self, action: str, channel: str = "inc-1") -> Message:
        """The newest message with this button."""
        for message in reversed(self.channel(channel).messages.values()):
            if any(
                element.get("action_id") == action for block in message.blocks for element in block.get("elements", ())
            ):
                return message
        raise AssertionError(f"no button {action} in #{channel}")

    async def click(self, user: str, action: str, channel: str = "inc-1") -> None:
        message = self.button(action, channel)
        await self.world.workspace.acts.click(user, self.channel(channel).id, message.ts, action)
        await self.settle()

    async def incident(self, number: int = 1) -> Incident:
        return (await self.tocsin.incidents.show(number)).incident


def webhook(clock: HandClock, *, firing: bool = True, **labels: str) -> dict[str, Any]:
    """A webhook body in Alertmanager's form, with one alert."""
    every = {"alertname": "HighErrorRate", "namespace": "shop", "service": "checkout", "deployment": "checkout"}
    every |= {"severity": "critical", "team": "shop", **labels}
    alert = {
        "status": "firing" if firing else "resolved",
        "labels": every,
        "annotations": {
            "summary": f"error ratio 30% on shop/{every['service']}",
            "description": "HTTP 5xx ratio above 5%",
        },
        "startsAt": clock().isoformat(),
        "endsAt": "0001-01-01T00:00:00Z" if firing else clock().isoformat(),
        "generatorURL": "http://prometheus/graph?g0.expr=demo_error_ratio+%3E+0.05&g0.tab=1",
        "fingerprint": re.sub(r"\W", "", every["alertname"] + every["service"])[:16],
    }
    return {"version": "4", "status": alert["status"], "receiver": "tocsin", "groupKey": "{}", "truncatedAlerts": 0, "groupLabels": {},
            "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alertmanager", "alerts": [alert]}  # fmt: skip


@asynccontextmanager
async def practice(clock: HandClock) -> AsyncIterator[Practice]:
    """The practice world on this clock, with the demo's broken deployment."""
    world = Practice(lambda: clock().timestamp(), run_cluster=False)
    demo_world(world.cluster)
    world.cluster.tick()
    await world.start()
    try:
        yield world
    finally:
        await world.stop()


def configured(world: Practice, state: Path, listen: str, more: Mapping[str, Any] | None = None) -> Config:
    """The example configuration as the demo uses it."""
    given = {**overrides(world, state, listen, auto=False), "slack.pace": 1000, **(more or {})}
    return load(EXAMPLE, app.registry(), secrets(world), overrides=given)


@asynccontextmanager
async def program(
    state: Path, more: Mapping[str, Any] | None = None, world: Practice | None = None, clock: HandClock | None = None
) -> AsyncIterator[Program]:
    """Everything running: the web server, intake and Socket Mode by themselves, the outbox when a story says `settle`."""
    clock = clock or HandClock()
    if world is None:
        async with practice(clock) as own, program(state, more, own, clock) as made:
            yield made
        return
    listen = f"127.0.0.1:{free_port()}"
    config = configured(world, state, listen, more)
    async with app.built(config, clock) as tocsin, aiohttp.ClientSession() as http, app.entrances(tocsin):
        if tocsin.socket_mode is not None:
            await tocsin.socket_mode.connected.wait()
        else:
            world.deliver_by_http(f"http://{listen}/slack/events")
        yield Program(world, tocsin, clock, f"http://{listen}", http)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
