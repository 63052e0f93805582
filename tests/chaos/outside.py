"""Everything around the children of tests/support/killing: Alertmanager, Slack with its people, the cluster, and time. It outlives them.

What dies is started again, unless a replica is left; and whoever was not answered asks again: Alertmanager posts until it gets its 2xx, a person
clicks until Slack shows no error or the button is gone.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import shutil
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from bot.cli.demo import TOKEN, overrides, secrets
from bot.practice.cluster import faults as cluster_faults
from bot.practice.cluster.auth import Ask
from bot.practice.server import Practice
from bot.practice.story import demo_world
from bot.practice.workspace import faults as slack_faults
from bot.practice.workspace.site import WorkspaceSettings
from bot.practice.workspace.state import Channel, File, Message
from tests.support.clock import START
from tests.support.killing import ROOT, Child, Died, Order, Sheet
from tests.support.program import free_port, webhook

MOST_LIVES = 4
RUNBOOK = ROOT / "runbooks" / "rollback-bad-deployment.yaml"  # the story's; to check the others takes most of a start
LONGEST_STEP = timedelta(seconds=30)


@dataclass(frozen=True)
class Trouble:
    """What goes wrong.

    `die`: the first child kills itself after that commit, or `before` it. `lose`: the answer to the call with that number is lost (counted over
    Slack and the cluster, from 1), and with `kill` the first child is dead before it could have read it. 0: not at all. `seed`: of the faults that
    strike at random.
    """

    die: int = 0
    before: bool = False
    lose: int = 0
    kill: bool = False
    seed: int = 7


@dataclass(frozen=True)
class Setting:
    """`door`: where children come from. `database`: its URL (empty: a file in the folder). `replicas`: how many live at a time."""

    door: str
    folder: Path
    database: str = ""
    replicas: int = 1
    trouble: Trouble = field(default_factory=Trouble)


class CountedSlack(slack_faults.Faults):
    """Counts the calls of Slack's Web API that are answered, and loses the answer that is to be lost."""

    def __init__(self, outside: Outside, seed: int) -> None:
        super().__init__(seed)
        self._outside = outside

    def take(self, method: str, *kinds: str) -> slack_faults.Fault | None:
        if kinds == ("lost",) and self._outside.strikes():
            return slack_faults.Fault("lost", method)
        return super().take(method, *kinds)


class CountedCluster(cluster_faults.Faults):
    """The same for the cluster; and `flapping` is the share of its answers that are lost or a refusal for now."""

    def __init__(self, outside: Outside, seed: int) -> None:
        super().__init__()
        self._outside = outside
        self._random = random.Random(seed)
        self.flapping = 0.0

    def take(self, ask: Ask) -> cluster_faults.Fault | None:
        if self._outside.strikes():
            return cluster_faults.Fault(kind="lost")
        if self._random.random() < self.flapping:
            return self._random.choice(
                [cluster_faults.Fault(kind="lost"), cluster_faults.Fault(kind="status", retry_after=0)]
            )
        return super().take(ask)


class Outside:
    """One case: a world, and the program living in it."""

    def __init__(self, setting: Setting) -> None:
        self.folder = setting.folder
        self.lives = 0
        self._setting = setting
        self._children: list[Child] = []
        self._birth = asyncio.Lock()
        self._turn = itertools.count()
        self.forward_to = ""  # where Slack's deliveries go instead of to one child
        self.now = Sheet(self.folder / "sheet")
        self.now.set(START)
        self._runbooks = self.folder / "runbooks"
        self._runbooks.mkdir()
        shutil.copy(RUNBOOK, self._runbooks)
        settings = WorkspaceSettings(rate_limits=False)
        self.world = Practice(lambda: self.now().timestamp(), settings=settings, run_cluster=False)
        workspace = self.world.workspace
        workspace.faults = workspace.desk.faults = CountedSlack(self, setting.trouble.seed)
        self.cluster_faults = CountedCluster(self, setting.trouble.seed)
        self.world.cluster.faults = self.cluster_faults
        workspace.delivery.settings.sign_now = time.time  # Bolt checks it against the real clock

    # ------------------------------------------------------------------------------------------- the program's lives

    def strikes(self) -> bool:
        """Count a call; whether its answer is to be lost."""
        trouble = self._setting.trouble
        if self.now.count() != trouble.lose:
            return False
        if trouble.kill:
            os.kill(self._children[0].pid, signal.SIGKILL)
        return True

    async def children(self) -> list[Child]:
        """Those that live; new ones when nobody does."""
        async with self._birth:
            while not (alive := [child for child in self._children if not child.dead]):
                for _ in range(self._setting.replicas if self.lives == 0 else 1):
                    self._children.append(await self._born())
            return alive

    async def child(self) -> Child:
        """One of them, each in turn."""
        alive = await self.children()
        return alive[next(self._turn) % len(alive)]

    async def _born(self) -> Child:
        self.lives += 1
        assert self.lives <= MOST_LIVES, "it dies again and again"
        listen = f"127.0.0.1:{free_port()}"
        given = {"slack.mode": "http", "slack.pace": 1000, "runbooks": [str(self._runbooks)]}
        if self._setting.database:
            given["database.url"] = self._setting.database
        first = self.lives == 1
        order = Order(
            sheet=str(self.folder / "sheet"),
            log=str(self.folder / f"commits-{self.lives}"),
            listen=listen,
            overrides={**overrides(self.world, self.folder, listen, auto=False), **given},
            secrets=secrets(self.world),
            die=self._setting.trouble.die if first else 0,
            before=self._setting.trouble.before,
        )
        return await Child.born(self._setting.door, order)

    def commits(self, life: int = 1) -> list[dict[str, Any]]:
        """The commits of a life that were completed."""
        return [json.loads(line) for line in (self.folder / f"commits-{life}").read_text().splitlines()]

    async def settle(self, *, together: bool = True) -> datetime | None:
        """Deliver all that is due, over deaths if need be; when more comes due. Replicas deliver `together`, or one after the other."""
        while True:
            alive = await self.children()
            if together:
                told = await asyncio.gather(*(child.settle() for child in alive), return_exceptions=True)
            else:
                told = [await _caught(child.settle()) for child in alive]
            for one in told:
                if isinstance(one, BaseException) and not isinstance(one, Died):
                    raise one
            due = [one["next"] for one in told if isinstance(one, dict) and one["next"]]
            if not any(isinstance(one, Died) for one in told):
                return datetime.fromisoformat(min(due)) if due else None

    async def look(self) -> dict[str, Any]:
        while True:
            try:
                return await (await self.child()).look()
            except Died:
                continue

    async def close(self) -> None:
        for child in self._children:
            await child.end()

    # ------------------------------------------------------------------------------------------- what others do

    async def alert(self, http: aiohttp.ClientSession, body: dict[str, Any]) -> dict[str, Any]:
        """Post it until it is answered with 2xx, as Alertmanager does; the answer."""
        for _ in range(2 * MOST_LIVES):
            child = await self.child()
            try:
                headers = {"Authorization": f"Bearer {TOKEN}"}
                async with http.post(f"{child.url}/webhooks/alertmanager", json=body, headers=headers) as answer:
                    if answer.status < 300:
                        return dict(await answer.json())
                    assert answer.status >= 500, await answer.text()
            except aiohttp.ClientError:
                await self._must_be_dead(child)
        raise AssertionError("the alert was never answered")

    async def click(self, user: str, action: str) -> None:
        """Press the newest such button until Slack shows no error, or until there is nothing left to press."""
        for _ in range(2 * MOST_LIVES):
            await self.settle()
            found = self.button(action)
            if found is None:
                return
            channel, message = found
            child = await self.child()
            self.world.deliver_by_http(self.forward_to or f"{child.url}/slack/events")
            self.now.set(self.now() + timedelta(seconds=1))  # nobody clicks twice in one moment
            told = await self.world.workspace.acts.click(user, channel.id, message.ts, action)
            if told["ok"]:
                return
            await self._must_be_dead(child)
        raise AssertionError(f"nobody answered the click on {action}")

    async def _must_be_dead(self, child: Child) -> None:
        """An answer did not come: that is only right when the child died."""
        async with asyncio.timeout(10):
            while not child.dead:
                await _caught(child.look())

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

    def keys(self, prefix: str = "") -> list[str]:
        """The keys of the messages that the bot posted anywhere."""
        every = self.world.workspace.state.channels.values()
        return [
            key
            for one in every
            for message in one.messages.values()
            if (key := key_of(message)).startswith(prefix) and key
        ]

    def files(self, prefix: str) -> list[File]:
        return [
            one for one in self.world.workspace.state.files.values() if one.completed and one.name.startswith(prefix)
        ]

    def patches(self) -> list[str]:
        """The changes of Deployments that took effect, whether or not their answer arrived (code 0)."""
        verbs = ("create", "update", "patch", "delete")
        return [
            f"{one.verb} {one.resource} {one.name}"
            for one in self.world.cluster.audit
            if one.verb in verbs and one.resource.startswith("deployments") and not one.dry_run and one.code < 300
        ]


async def _caught(asking: Awaitable[dict[str, Any]]) -> dict[str, Any] | Died:
    try:
        return await asking
    except Died as died:
        return died


def key_of(message: Message) -> str:
    return str(((message.metadata or {}).get("event_payload") or {}).get("key") or "")


@asynccontextmanager
async def outside(setting: Setting) -> AsyncIterator[Outside]:
    setting.folder.mkdir(parents=True, exist_ok=True)
    it = Outside(setting)
    demo_world(it.world.cluster)
    it.world.cluster.tick()
    await it.world.start()
    try:
        yield it
    finally:
        await it.close()
        await it.world.stop()


async def story(it: Outside, *, cluster_flaps: float = 0.0) -> None:
    """The demo's story: an alert, a page, a second page, an acknowledgement, an approval, a rollback, a resolution, a post-mortem."""
    async with aiohttp.ClientSession() as http:
        await it.alert(http, webhook(it.now))

        async def offered() -> bool:
            return it.button("tocsin_approve") is not None

        async def paged_twice() -> bool:
            return any(":person:bob" in key for key in it.keys("page:"))

        async def mitigated() -> bool:
            return (await it.look())["incidents"]["INC-1"]["state"] == "mitigated"

        async def shared() -> bool:
            return bool(it.files("INC-1-post-mortem"))

        async def quiet() -> bool:
            return set((await it.look())["waiting"]) <= {"escalate"}

        await it.until(offered, "an offer to roll back")
        await it.until(paged_twice, "a page to the second level")
        await it.click("U0BOB", "tocsin_ack")
        it.cluster_faults.flapping = cluster_flaps
        await it.click("U0BOB", "tocsin_approve")
        await it.until(mitigated, "a mitigated incident")
        await it.alert(http, webhook(it.now, firing=False))
        await it.until(shared, "a post-mortem in the channel")
        await it.until(quiet, "an empty outbox")
