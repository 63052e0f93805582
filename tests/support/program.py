"""The whole program over real HTTP: the example configuration, the practice workspace and cluster, one clock moved by hand for all of it."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bot import app
from bot.cli.demo import TOKEN, overrides, secrets
from bot.config import Config, load
from bot.domain.incident import Incident
from bot.practice.server import Practice
from bot.practice.story import demo_world
from bot.practice.workspace.site import WorkspaceSettings
from bot.practice.workspace.state import BOT_USER, Channel, Message
from tests.support.clock import HandClock

EXAMPLE = Path(__file__).parents[2] / "deploy" / "config"
PAYLOADS = Path(__file__).parents[1] / "plugins" / "sources" / "alertmanager"


PATIENCE = 15.0  # real seconds for what comes on its own: answers to clicks, connections


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

    def channels(self, name: str = "inc-") -> list[Channel]:
        """All channels whose names begin so, in the order of their making."""
        return [one for one in self.world.workspace.state.channels.values() if one.name.startswith(name)]

    def channel(self, name: str) -> Channel:
        """The channel whose name begins so."""
        return self.channels(name)[0]

    def direct(self, user: str) -> Channel:
        """What the bot and this person have written to each other."""
        return self.world.workspace.state.direct(user)

    def messages(self, name: str) -> list[Message]:
        """What was written in the channel whose name begins so; nothing when there is none."""
        return [one for channel in self.channels(name)[:1] for one in channel.messages.values() if not one.subtype]

    def text(self, name: str) -> str:
        """Everything that can be read in a channel."""
        return "\n".join(map(words, self.messages(name)))

    def pages(self, user: str) -> list[str]:
        """The pages that this person got by direct message."""
        return [words(one) for one in self.direct(user).messages.values() if "paged" in words(one)]

    def calls(self, *methods: str) -> list[dict[str, Any]]:
        """The calls of Slack's Web API that were answered, all or of these methods, in order. Long arguments are cut."""
        every = self.world.workspace.api.calls
        return [one for one in every if one["fault"] in ("", "lost") and (not methods or one["method"] in methods)]

    def message_keys(self) -> list[str]:
        """The key of every message of the bot that has one, over all channels: twice the same is a message twice."""
        found = []
        for channel in self.world.workspace.state.channels.values():
            for message in channel.messages.values():
                if message.metadata:
                    found.append(f"{channel.id} {message.metadata['event_payload']['key']}")
        return found

    def writes(self) -> list[str]:
        """What was changed in the cluster, in order: `patch deployments checkout`. Attempts that it refused are not there."""
        verbs = ("create", "update", "patch", "delete")
        done = [one for one in self.world.cluster.audit if one.verb in verbs and one.code < 300 and not one.dry_run]
        return [f"{one.verb} {one.resource} {one.name}" for one in done if "review" not in one.resource]

    async def soon(self, holds: Callable[[], Any]) -> Any:
        """Wait, in real time, for what comes on its own."""
        deadline = time.monotonic() + PATIENCE
        while not (found := holds()):
            assert time.monotonic() < deadline, "it did not come"
            await asyncio.sleep(0.005)
        return found

    def button(self, action: str, channel: str = "inc-1") -> Message:
        """The newest message with this button."""
        for message in reversed(self.channel(channel).messages.values()):
            if any(
                element.get("action_id") == action for block in message.blocks for element in block.get("elements", ())
            ):
                return message
        raise AssertionError(f"no button {action} in #{channel}")

    async def click(self, user: str, action: str, channel: str = "inc-1") -> str:
        """Press the newest such button; what only this person is told in answer."""
        return await self.press(user, self.channel(channel), self.button(action, channel), action)

    async def press(self, user: str, channel: Channel, message: Message, action: str) -> str:
        before = len(channel.ephemerals)
        await self.world.workspace.acts.click(user, channel.id, message.ts, action)
        answer = await self.soon(
            lambda: [one for one in list(channel.ephemerals.values())[before:] if one.only_for == user]
        )
        await self.settle()
        return words(answer[-1])

    async def command(self, user: str, text: str, channel: str = "general") -> str:
        """Type `/incident text`; what is answered at once, or the modal that opens."""
        outcome = await self.world.workspace.acts.command(user, self.channel(channel).id, "/incident", text)
        await self.settle()
        return json.dumps(outcome, ensure_ascii=False)

    async def scrape(self, path: str) -> tuple[int, str]:
        async with self.http.get(f"{self.url}{path}") as answer:
            return answer.status, await answer.text()

    def read(self, path: str | Path) -> str:
        return Path(path).read_text(encoding="utf-8")

    async def incident(self, number: int = 1) -> Incident:
        return (await self.tocsin.incidents.show(number)).incident


def words(message: Message) -> str:
    """Everything that can be read in a message."""
    return json.dumps(message.blocks, ensure_ascii=False) + message.text


class Witness:
    """Remembers every version of everything that was ever shown in the workspace, updates and modals included."""

    def __init__(self, world: Practice) -> None:
        self.seen: list[Any] = []
        self._state = world.workspace.state
        self._state.subscribe(self._look)

    @property
    def text(self) -> str:
        return "\n".join(json.dumps(one, ensure_ascii=False) for one in self.seen)

    def strings(self) -> list[tuple[str, str]]:
        """(kind of text object, text) of everything shown: `mrkdwn` where Slack reads marks in it, `plain_text` where not."""
        found: list[tuple[str, str]] = []
        for one in self.seen:
            _strings(one, "mrkdwn", found)
        return found

    def _look(self, change: dict[str, Any]) -> None:
        channel = self._state.channels.get(str(change.get("channel")))
        if change["type"] == "message" and channel is not None:
            message = channel.messages.get(change["ts"]) or channel.ephemerals.get(change["ts"])
            if message is not None and message.user == BOT_USER and not message.subtype:
                self.seen.append({"text": message.text, "blocks": message.blocks, "attachments": message.attachments})
        elif change["type"] == "channel" and channel is not None:
            self.seen.append({"plain": [channel.name, channel.topic, channel.purpose]})
        elif change["type"] == "view":
            self.seen += [{"view": view.body} for view in self._state.views.values()]


def _strings(value: Any, kind: str, found: list[tuple[str, str]]) -> None:
    if isinstance(value, dict):
        inner = str(value.get("type")) if "text" in value and value.get("type") in ("mrkdwn", "plain_text") else kind
        for name, part in value.items():
            if name in ("value", "action_id", "type", "url", "private_metadata", "callback_id", "block_id"):
                continue
            _strings(part, inner if name == "text" else kind, found)
    elif isinstance(value, list):
        for part in value:
            _strings(part, kind, found)
    elif isinstance(value, str):
        found.append((kind, value))


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
    """The practice world on this clock, with the demo's broken deployment. Nothing limits the rate of calls: the gateway's clock is the real one."""
    settings = WorkspaceSettings(rate_limits=False)
    world = Practice(lambda: clock().timestamp(), settings=settings, run_cluster=False)
    demo_world(world.cluster)
    world.cluster.tick()
    await world.start()
    try:
        yield world
    finally:
        await world.stop()


def configured(
    world: Practice, state: Path, listen: str, more: Mapping[str, Any] | None = None, folder: Path = EXAMPLE
) -> Config:
    """The example configuration as the demo uses it."""
    given = {**overrides(world, state, listen, auto=False), "slack.pace": 1000, **(more or {})}
    return load(folder, app.registry(), secrets(world), overrides=given)


@asynccontextmanager
async def served(world: Practice, state: Path, more: Mapping[str, Any] | None = None) -> AsyncIterator[Served]:
    """Everything running by itself, in real time, as `tocsin serve` runs it; stopped at the end unless a story stops it."""
    listen = f"127.0.0.1:{free_port()}"
    stop, ready = asyncio.Event(), asyncio.Event()
    async with app.built(configured(world, state, listen, more)) as tocsin, asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(app.serve(tocsin, stop, ready))
        await ready.wait()
        try:
            yield Served(tocsin, f"http://{listen}", stop, serving)
        finally:
            stop.set()


@dataclass(frozen=True)
class Served:
    tocsin: app.Tocsin
    url: str
    stop: asyncio.Event
    serving: asyncio.Task[None]


@asynccontextmanager
async def program(
    state: Path,
    more: Mapping[str, Any] | None = None,
    world: Practice | None = None,
    clock: HandClock | None = None,
    folder: Path = EXAMPLE,
) -> AsyncIterator[Program]:
    """Everything running: the web server, intake and Socket Mode by themselves, the outbox when a story says `settle`."""
    clock = clock or HandClock()
    if world is None:
        async with practice(clock) as own, program(state, more, own, clock, folder) as made:
            yield made
        return
    listen = f"127.0.0.1:{free_port()}"
    config = configured(world, state, listen, more, folder)
    async with app.built(config, clock) as tocsin, aiohttp.ClientSession() as http, app.entrances(tocsin):
        if tocsin.socket_mode is not None:
            await tocsin.socket_mode.connected.wait()
        else:
            world.workspace.delivery.settings.sign_now = time.time  # Bolt checks it against the real clock
            world.deliver_by_http(f"http://{listen}/slack/events")
        yield Program(world, tocsin, clock, f"http://{listen}", http)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
