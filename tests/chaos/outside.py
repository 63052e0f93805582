"""Everything around a child of tests/support/killing: Alertmanager, Slack with its people, the cluster, and time. It outlives the child.

What dies is started again, and whoever was not answered asks again: Alertmanager posts until it gets its 2xx, a person clicks until Slack shows no
error or the button is gone.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from bot.cli.demo import TOKEN, overrides, secrets
from bot.practice.cluster import faults as cluster_faults
from bot.practice.cluster.auth import Ask
from bot.practice.cluster.resources import DEPLOYMENTS
from bot.practice.server import Practice
from bot.practice.story import demo_world
from bot.practice.workspace import faults as slack_faults
from bot.practice.workspace.site import WorkspaceSettings
from bot.practice.workspace.state import Channel, Message
from tests.support.clock import START
from tests.support.killing import Child, Died, Order, Sheet
from tests.support.program import free_port, webhook

MOST_LIVES = 4
LONGEST_STEP = timedelta(seconds=30)


@dataclass
class Mishap:
    """What happens at the call with this number (counted over Slack and the cluster, from 1; 0: nothing): its answer is lost; `kill`: to a dead man."""

    call: int = 0
    kill: bool = False


class CountedSlack(slack_faults.Faults):
    """Counts the calls of Slack's Web API that are answered, and makes the mishap happen."""

    def __init__(self, outside: Outside) -> None:
        super().__init__()
        self._outside = outside

    def take(self, method: str, *kinds: str) -> slack_faults.Fault | None:
        if kinds == ("lost",) and self._outside.strikes():
            return slack_faults.Fault("lost", method)
        return super().take(method, *kinds)


class CountedCluster(cluster_faults.Faults):
    """The same for the cluster."""

    def __init__(self, outside: Outside) -> None:
        super().__init__()
        self._outside = outside

    def take(self, ask: Ask) -> cluster_faults.Fault | None:
        return cluster_faults.Fault(kind="lost") if self._outside.strikes() else super().take(ask)


class Outside:
    """One case: a world, and the program living in it, a life at a time."""

    def __init__(self, door: str, folder: Path, die: int = 0, before: bool = False, mishap: Mishap | None = None) -> None:
        self.folder = folder
        self.lives = 0
        self._door = door
        self._die, self._before = die, before
        self._mishap = mishap or Mishap()
        self._child: Child | None = None
        self.now = Sheet(folder / "sheet")
        self.now.set(START)
        settings = WorkspaceSettings(rate_limits=False)
        self.world = Practice(lambda: self.now().timestamp(), settings=settings, run_cluster=False)
        workspace = self.world.workspace
        workspace.faults = workspace.desk.faults = CountedSlack(self)
        self.world.cluster.faults = CountedCluster(self)
        workspace.delivery.settings.sign_now = time.time  # Bolt checks it against the real clock

    # ------------------------------------------------------------------------------------------- the program's lives

    def strikes(self) -> bool:
        """Count a call; whether it is the one with the mishap."""
        if self.now.count() != self._mishap.call:
            return False
        if self._mishap.kill and self._child is not None:
            os.kill(self._child.pid, signal.SIGKILL)
        return True

    async def child(self) -> Child:
        """The program as it lives now, or a new life."""
        while self._child is None or self._child.dead:
            self.lives += 1
            assert self.lives <= MOST_LIVES, "it dies again and again"
            listen = f"127.0.0.1:{free_port()}"
            self.world.deliver_by_http(f"http://{listen}/slack/events")
            first = self.lives == 1
            order = Order(
                sheet=str(self.folder / "sheet"),
                log=str(self.folder / f"commits-{self.lives}"),
                listen=listen,
                overrides={**overrides(self.world, self.folder, listen, auto=False), "slack.mode": "http", "slack.pace": 1000},
                secrets=secrets(self.world),
                die=self._die if first else 0,
                before=self._before,
            )
            self._child = await Child.born(self._door, order)
        return self._child

    def commits(self, life: int = 1) -> list[dict[str, Any]]:
        """The commits of a life that were completed."""
        return [json.loads(line) for line in (self.folder / f"commits-{life}").read_text().splitlines()]

    async def settle(self) -> datetime | None:
        """Deliver all that is due, over deaths if need be; when more comes due."""
        told = await self._surely(lambda child: child.settle())
        return datetime.fromisoformat(told["next"]) if told["next"] else None

    async def look(self) -> dict[str, Any]:
        return await self._surely(lambda child: child.look())

    async def _surely(self, ask: Callable[[Child], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        while True:
            try:
                return await ask(await self.child())
            except Died:
                continue

    async def close(self) -> None:
        if self._child is not None:
            await self._child.end()

    # ------------------------------------------------------------------------------------------- what others do

    async def alert(self, http: aiohttp.ClientSession, body: dict[str, Any]) -> None:
        """Post it until it is answered with 2xx, as Alertmanager does."""
        for _ in range(2 * MOST_LIVES):
            child = await self.child()
            try:
                headers = {"Authorization": f"Bearer {TOKEN}"}
                async with http.post(f"{child.url}/webhooks/alertmanager", json=body, headers=headers) as answer:
                    if answer.status < 300:
                        return
                    assert answer.status >= 500, await answer.text()
            except aiohttp.ClientError:
                await self._dead(child)
        raise AssertionError("the alert was never answered")

    async def click(self, user: str, action: str) -> None:
        """Press the newest such button until Slack shows no error, or until there is nothing left to press."""
        for _ in range(2 * MOST_LIVES):
            child = await self.child()
            await self.settle()
            found = self.button(action)
            if found is None:
                return
            channel, message = found
            self.now.set(self.now() + timedelta(seconds=1))  # people have no two clicks in one moment
            told = await self.world.workspace.acts.click(user, channel.id, message.ts, action)
            if told["ok"]:
                return
            await self._dead(child)
        raise AssertionError(f"nobody answered the click on {action}")

    async def _dead(self, child: Child) -> None:
        """An answer did not come: that is only right when the child died."""
        async with asyncio.timeout(10):
            while not child.dead:
                try:
                    await child.look()
                except Died:
                    return
                await asyncio.sleep(0.01)

    async def until(self, holds: Callable[[], Awaitable[bool]], what: str, most: float = 900) -> None:
        """Let time pass, from one thing that is due to the next, until something holds."""
        deadline = self.now() + timedelta(seconds=most)
        while True:
            due = await self.settle()
            if await holds():
                return
            assert self.now() < deadline, f"after {most:g} s there is still not: {what}"
            soon = self.now() + timedelta(seconds=1)
            self.now.set(min(max(due or soon, soon), self.now() + LONGEST_STEP))
            self.world.cluster.tick()

    # ------------------------------------------------------------------------------------------- what is seen

    def channels(self, prefix: str = "inc-") -> list[Channel]:
        return [one for one in self.world.workspace.state.channels.values() if one.name.startswith(prefix)]

    def button(self, action: str) -> tuple[Channel, Message] | None:
        for channel in self.channels():
            for message in reversed(channel.messages.values()):
                elements = [element for block in message.blocks for element in block.get("elements", ())]
                if any(element.get("action_id") == action for element in elements):
                    return channel, message
        return None

    def pages(self, user: str) -> list[Message]:
        direct = self.world.workspace.state.direct(user)
        return [one for one in direct.messages.values() if key_of(one).startswith("page:")]

    def files(self, prefix: str) -> list[Any]:
        return [one for one in self.world.workspace.state.files.values() if one.completed and one.name.startswith(prefix)]

    def patches(self) -> list[str]:
        """The changes of Deployments that took effect, whether or not their answer arrived (code 0)."""
        verbs = ("create", "update", "patch", "delete")
        return [
            f"{one.verb} {one.resource} {one.name}"
            for one in self.world.cluster.audit
            if one.verb in verbs and one.resource.startswith("deployments") and not one.dry_run and one.code < 300
        ]


def key_of(message: Message) -> str:
    return str(((message.metadata or {}).get("event_payload") or {}).get("key") or "")


VARIABLE = re.compile(
    r"<!date\^\d+\^[^>]*>|\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00)?|\b\d\d:\d\d(:\d\d)?\b|\b\d+ ?(s|min)\b"
    r"|\b[CD]0PR[0-9A-F]{7}\b|/\S+(?=/postmortems/)|`[0-9a-f]{64}`"
)


# After an interruption the bot finds a thing done instead of doing it, and cannot know whether a page arrived: it says so, and that is right.
THE_SAME = (
    (re.compile(r"RUN-1 did rollback: Deployment shop/checkout: revision: 14 -> 13 \([^)]*\)"), "RUN-1: rollback is done already"),
    (re.compile(r"page_skipped: (.*) may have been paged.*"), r"page_sent: \1 was paged through Slack"),
    (re.compile(r"\b(.{3,20}) may have been paged, and is not paged again: INC-1 is \w+"), r"\1 was paged through Slack"),
)


def timeless(text: str) -> str:
    """The same text whenever and wherever it was written: no times, no ids that Slack gave, no folders, no hashes of the times."""
    for pattern, same in THE_SAME:
        text = pattern.sub(same, text)
    return VARIABLE.sub("…", text)


async def story(it: Outside) -> None:
    """The demo's story: an alert, a page, a second page, an acknowledgement, an approval, a rollback, a resolution, a post-mortem."""
    async with aiohttp.ClientSession() as http:
        await it.alert(http, webhook(it.now))

        async def offered() -> bool:
            return it.button("tocsin_approve") is not None

        async def paged_twice() -> bool:
            return bool(it.pages("U0BOB"))

        async def mitigated() -> bool:
            return (await it.look())["incidents"]["INC-1"]["state"] == "mitigated"

        async def shared() -> bool:
            return bool(it.files("INC-1-post-mortem"))

        async def quiet() -> bool:
            return set((await it.look())["waiting"]) <= {"escalate"}

        await it.until(offered, "an offer to roll back")
        await it.until(paged_twice, "a page to the second level")
        await it.click("U0BOB", "tocsin_ack")
        await it.click("U0BOB", "tocsin_approve")
        await it.until(mitigated, "a mitigated incident")
        await it.alert(http, webhook(it.now, firing=False))
        await it.until(shared, "a post-mortem in the channel")
        await it.until(quiet, "an empty outbox")


async def final(it: Outside) -> dict[str, Any]:
    """The state at the end, in a form that can be compared: all that is in Slack, in the cluster and in the database, without times."""
    state = it.world.workspace.state
    channels: dict[str, Any] = {}
    for channel in state.channels.values():
        messages = [one for one in channel.messages.values() if not one.subtype]
        channels[channel.name or f"direct {channel.im_with}"] = {
            "topic": timeless(channel.topic),
            "purpose": timeless(channel.purpose),
            "members": sorted(channel.members),
            "pinned": [key_of(channel.messages[ts]) for ts in channel.pins],
            "messages": sorted(
                f"{key_of(one)} | {timeless(one.text)} | {timeless(json.dumps(one.blocks, ensure_ascii=False))}"
                for one in messages
            ),
            "files": sorted(one.name for one in state.files.values() if channel.id in one.channels),
        }
    (deployment,) = [one for one in it.world.cluster.snapshot()["deployments"] if one["name"] == "checkout"]
    (file,) = it.files("INC-1-post-mortem") or (None,)
    written = it.folder / "postmortems" / "INC-1.md"
    return {
        "channels": channels,
        "deployment": {name: deployment[name] for name in ("image", "ready")},
        "generation": it.world.cluster.store.need(DEPLOYMENTS, "shop", "checkout")["metadata"]["generation"],
        "patches": it.patches(),
        "post-mortem": timeless(file.content.decode()).splitlines() if file else None,
        "as written": file is not None and written.read_bytes() == file.content,
        **json.loads(timeless(json.dumps(await it.look()))),
    }


def differences(one: Any, other: Any, path: str = "", *, ordered: bool = True) -> list[str]:
    """Where two states differ, in words. Not `ordered`: the same lines in another order are no difference."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            line
            for name in dict.fromkeys([*one, *other])
            for line in differences(one.get(name), other.get(name), f"{path}/{name}", ordered=ordered)
        ]
    if isinstance(one, list) and isinstance(other, list):
        missing, more = _without(one, other), _without(other, one)
        order = ["    in another order"] if ordered and not missing and not more and one != other else []
        lines = [f"    - {text}"[:600] for text in missing] + [f"    + {text}"[:600] for text in more] + order
        return [f"{path}:", *lines] if lines else []
    return [] if one == other else [f"{path}: {other!r} instead of {one!r}"]


def _without(some: list[Any], others: list[Any]) -> list[Any]:
    left = list(others)
    return [one for one in some if not (one in left and not left.remove(one))]  # type: ignore[func-returns-value]


@asynccontextmanager
async def outside(
    door: str, folder: Path, die: int = 0, before: bool = False, mishap: Mishap | None = None
) -> AsyncIterator[Outside]:
    folder.mkdir(parents=True, exist_ok=True)
    it = Outside(door, folder, die, before, mishap)
    demo_world(it.world.cluster)
    it.world.cluster.tick()
    await it.world.start()
    try:
        yield it
    finally:
        await it.close()
        await it.world.stop()
