"""A real Prometheus and a real Alertmanager fire at a real `tocsin serve`; Slack and the cluster are the practice ones, in this process."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.cli.demo import TOKEN, secrets
from bot.practice.server import Practice
from bot.practice.story import demo_world
from bot.practice.workspace.site import WorkspaceSettings
from tests.support.program import EXAMPLE, free_port
from tests.support.prometheus_stack import GROUP_INTERVAL, QUIET, Running, Stack, running, stack, until

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(150)]

HIGH, ELEVATED = "HighErrorRate", "ElevatedErrorRate"
Json = dict[str, Any]


@dataclass
class Scene:
    """The two programs, the world, and what Tocsin keeps on disk."""

    world: Practice
    stack: Stack
    state: Path
    url: str
    folder: Path

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Running]:
        """`tocsin serve`, from ready until the end of the block. Every life writes to the same log."""
        command = [sys.executable, "-m", "bot", "serve", "--config", str(self.folder)]
        log = self.folder.parent / "tocsin.log"
        async with running(command, log, {**QUIET, **secrets(self.world)}, f"{self.url}/readyz") as it:
            yield it

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        file = self.state / "tocsin.db"
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as database:
            return database.execute(query).fetchall()

    def incidents(self) -> dict[str, Json]:
        """By service; a second one for a service is a failure."""
        found = [json.loads(doc) for (doc,) in self.rows("select doc from incidents order by id")]
        by_service = {one["service"]: one for one in found}
        assert len(by_service) == len(found), found
        return by_service

    def outcomes(self, alertname: str, service: str) -> list[tuple[str, bool]]:
        """What became of each delivery of this alert, in order, and whether it was firing."""
        rows = [
            (outcome, json.loads(doc)) for outcome, doc in self.rows("select outcome, doc from alert_log order by id")
        ]
        return [
            (outcome, doc["firing"])
            for outcome, doc in rows
            if (doc["labels"]["alertname"], doc["labels"]["service"]) == (alertname, service)
        ]

    def channels(self, service: str = "") -> list[Any]:
        """The incidents' channels, all or those that speak of this service."""
        every = [one for one in self.world.workspace.state.channels.values() if one.name.startswith("inc-")]
        return [one for one in every if service in one.name]

    def keys(self) -> list[str]:
        """The key of every message of the bot that has one, by channel: twice the same is a message twice."""
        return [
            f"{channel.id} {message.metadata['event_payload']['key']}"
            for channel in self.world.workspace.state.channels.values()
            for message in channel.messages.values()
            if message.metadata
        ]

    async def opened(self, *services: str) -> None:
        """Each service has its incident and a channel in which something is written."""

        async def look() -> bool:
            found, channels = self.incidents(), [self.channels(service) for service in services]
            return set(services) <= found.keys() and all(one and one[0].messages for one in channels)

        await until(look, f"incidents with channels for {services}")

    async def considered(self, service: str) -> str:
        """The incident's runbook has looked at the real metrics and is where it stays without a click; its state."""

        async def look() -> str:
            number = self.incidents()[service]["id"]
            states = [state for (state,) in self.rows(f"select state from runs where incident_id = {number}")]
            return states[0] if states and states[0] not in ("planning", "running") else ""

        return str(await until(look, f"the runbook for {service} waits or has ended"))

    async def reviewed(self, *services: str) -> None:
        """Each of these incidents is resolved, its post-mortem written and shared."""

        async def look() -> bool:
            found = self.incidents()
            shared = "\n".join(one.name for one in self.world.workspace.state.files.values() if one.completed)
            return all(
                found[service]["state"] == "resolved"
                and found[service]["postmortem_path"]
                and f"INC-{found[service]['id']}-post-mortem" in shared
                for service in services
            )

        await until(look, f"post-mortems of {services}")
        for service in services:
            assert service in Path(self.incidents()[service]["postmortem_path"]).read_text(encoding="utf-8")

    async def get(self, path: str) -> tuple[int, str]:
        async with self.stack.http.get(f"{self.url}{path}") as answer:
            return answer.status, await answer.text()


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    world = Practice(time.time, settings=WorkspaceSettings(rate_limits=False))
    demo_world(world.cluster)
    await world.start()
    try:
        url, state = f"http://127.0.0.1:{free_port()}", folder / "state"
        async with stack(folder / "stack", f"{url}/webhooks/alertmanager", TOKEN) as real:
            it = Scene(world, real, state, url, folder / "config")
            configure(it)
            yield it
    finally:
        await world.stop()


def configure(it: Scene) -> None:
    """The example configuration with the addresses of here."""
    shutil.copytree(EXAMPLE, it.folder)
    file = it.folder / "tocsin.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    content["state"] = str(it.state)
    content["server"]["listen"] = it.url.removeprefix("http://")
    content["slack"] |= {"api_url": it.world.api_url, "pace": 1000}
    content["kubernetes"]["url"] = f"{it.world.url}/cluster"
    content["prometheus"]["url"] = it.stack.prometheus_url
    content["runbooks"] = [str(EXAMPLE.parents[1] / "runbooks")]
    file.write_text(yaml.safe_dump(content), encoding="utf-8")


async def test_from_an_error_ratio_to_post_mortems_and_nothing_else(tmp_path: Path) -> None:
    async with scene(tmp_path) as it, it.serving() as tocsin:
        await it.stack.silence("payments", seconds=600)
        started = time.monotonic()
        it.stack.ratio.update(checkout=0.3, cart=0.03, payments=0.3)
        await it.opened("checkout", "cart")
        print(f"from the value to both channels: {time.monotonic() - started:.1f} s")

        async def held_back() -> bool:
            alerts = await it.stack.alerts()
            return bool(
                alerts.get((HIGH, "payments"), {}).get("silencedBy")
                and alerts.get((ELEVATED, "checkout"), {}).get("inhibitedBy")
            )

        await until(held_back, "Alertmanager silences one alert and inhibits another")
        assert await it.considered("checkout") == "waiting"
        assert it.incidents()["checkout"]["severity"] == "critical"
        assert it.incidents()["cart"]["severity"] == "warning"

        async def drawn() -> bool:
            return any(one.completed and one.name.endswith(".png") for one in it.world.workspace.state.files.values())

        await until(drawn, "a chart of what the real Prometheus says")
        started = time.monotonic()
        it.stack.ratio.update(checkout=0, cart=0, payments=0)
        await it.reviewed("checkout", "cart")
        print(f"from the value to both post-mortems: {time.monotonic() - started:.1f} s")

        async def orphaned() -> list[tuple[str, bool]]:
            return it.outcomes(ELEVATED, "checkout")

        orphans = await until(orphaned, "the resolve of an alert that was never sent")
        assert orphans == [("ignored", False)]

        await asyncio.sleep(2 * GROUP_INTERVAL)  # time for what should not come
        assert set(it.incidents()) == {"checkout", "cart"}
        assert len(it.channels()) == 2
        assert it.outcomes(HIGH, "payments") == it.outcomes(ELEVATED, "payments") == []
        assert await it.stack.count("alertmanager_notifications_total") > 0
        assert await it.stack.count("alertmanager_notifications_failed_total") == 0
        assert await it.stack.count("alertmanager_notification_requests_failed_total") == 0
        assert "status code" not in it.stack.alertmanager.said
        await healthy(it, tocsin)


async def test_it_is_killed_and_alertmanager_tries_again(tmp_path: Path) -> None:
    async with scene(tmp_path) as it:
        async with it.serving() as first:
            first.kill()
            it.stack.ratio["search"] = 0.3

            async def refused() -> bool:
                return await it.stack.count("alertmanager_notification_requests_failed_total") > 0

            await until(refused, "Alertmanager finds nobody")
        started = time.monotonic()
        async with it.serving() as second:

            async def stored() -> bool:
                return "search" in it.incidents()

            await until(stored, "the incident")
            second.kill()  # as early as can be seen from outside
            print(f"from the start to the incident: {time.monotonic() - started:.1f} s; channels: {len(it.channels())}")
        started = time.monotonic()
        async with it.serving() as third:
            await it.opened("search")
            print(f"from the next start to its channel: {time.monotonic() - started:.1f} s")
            assert await it.considered("search") == "failed"  # nothing was rolled out lately
            it.stack.ratio["search"] = 0
            await it.reviewed("search")
            await asyncio.sleep(2 * GROUP_INTERVAL)
            assert set(it.incidents()) == {"search"}
            assert len(it.channels()) == 1
            assert "status code" not in it.stack.alertmanager.said
            await healthy(it, third)


async def healthy(it: Scene, tocsin: Running) -> None:
    """It answers, has given nothing up and logged no error; asked to end, it does so with 0."""
    assert (await it.get("/readyz"))[0] == 200
    metrics = (await it.get("/metrics"))[1]
    codes = {
        line.split('code="')[1][:3] for line in metrics.splitlines() if line.startswith("tocsin_webhook_seconds_count")
    }
    assert codes == {"200"}
    assert len(it.keys()) == len(set(it.keys()))
    assert it.rows("select key, error from outbox where state = 'dead'") == []
    assert '"level": "error"' not in tocsin.said
    assert "Traceback" not in tocsin.said
    assert await tocsin.end() == 0
