"""P1 with the real thing: `tocsin serve` is killed while alerts pour in over HTTP; what was answered with 2xx is there afterwards, and goes on."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from bot.cli.demo import TOKEN, overrides, secrets
from bot.domain.ports import Tx
from bot.practice.server import Practice
from bot.practice.workspace.site import WorkspaceSettings
from bot.store import open_store
from tests.support.killing import EXAMPLE, ROOT
from tests.support.program import free_port

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]

KILLS = 3
SENDERS = 8
GROUPS = 10  # as many as are no storm
MOST_BEFORE_A_KILL = 250  # answers
AFTERWARDS = 90.0  # seconds that everything may take to be delivered, on a busy machine


@asynccontextmanager
async def world() -> AsyncIterator[Practice]:
    practice = Practice(time.time, settings=WorkspaceSettings(rate_limits=False))
    await practice.start()
    try:
        yield practice
    finally:
        await practice.stop()


def configured(practice: Practice, folder: Path, listen: str) -> Path:
    """The example configuration as files, with the demo's addresses in them."""
    config = folder / "config"
    shutil.copytree(EXAMPLE, config)
    settings = yaml.safe_load((config / "tocsin.yaml").read_text())
    for path, value in overrides(practice, folder / "state", listen, auto=False).items():
        if path.startswith("oncall."):
            continue
        *parents, last = path.split(".")
        part = settings
        for name in parents:
            part = part.setdefault(name, {})
        part[last] = value
    settings["slack"]["pace"] = 1000
    settings["runbooks"] = [str(ROOT / "runbooks")]
    (config / "tocsin.yaml").write_text(yaml.safe_dump(settings))
    return config


class Load:
    """Alerts, each with a fingerprint of its own, posted by several senders at once; `answered` has those that got their 2xx."""

    def __init__(self, url: str) -> None:
        self.answered: list[str] = []
        self.enough = asyncio.Event()
        self.wanted = 0
        self._url = url
        self._number = 0

    async def send(self, http: aiohttp.ClientSession) -> None:
        """Until cancelled. Whoever is not answered gives this alert up: only the answered ones are promised."""
        while True:
            self._number += 1
            body = alert(self._number)
            try:
                headers = {"Authorization": f"Bearer {TOKEN}"}
                async with http.post(f"{self._url}/webhooks/alertmanager", json=body, headers=headers) as answer:
                    await answer.read()
                    if answer.status == 200:
                        self.answered.append(body["alerts"][0]["fingerprint"])
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)
            if len(self.answered) >= self.wanted:
                self.enough.set()


def alert(number: int) -> dict[str, Any]:
    labels = {
        "alertname": "Load",
        "service": f"s{number % GROUPS}",
        "instance": f"i{number}",
        "severity": "warning",
        "team": "shop",
    }
    one = {"status": "firing", "labels": labels, "annotations": {"summary": "load"}, "startsAt": "2026-03-02T03:00:00Z",
           "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": f"{number:016x}"}  # fmt: skip
    return {"version": "4", "status": "firing", "receiver": "tocsin", "groupKey": "{}", "truncatedAlerts": 0, "groupLabels": {},
            "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alertmanager", "alerts": [one]}  # fmt: skip


@asynccontextmanager
async def serving(config: Path, practice: Practice, url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`tocsin serve`, ready; killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "serve", "--config", str(config), cwd=ROOT, env={**os.environ, **secrets(practice)}
    )
    try:
        async with aiohttp.ClientSession() as http:
            while True:
                assert process.returncode is None, "tocsin serve ended by itself"
                try:
                    async with http.get(f"{url}/readyz") as answer:
                        if answer.status == 200:
                            break
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


async def stored(database: str, fingerprints: list[str]) -> dict[str, Any]:
    """Which of these alerts the database has not, and how its incidents are."""
    store = await open_store(database)

    async def work(tx: Tx) -> dict[str, Any]:
        keys = [f"alertmanager/{one}" for one in fingerprints]
        states = await tx.alert_states(keys)
        incidents = await tx.list_incidents(only_open=True, limit=1000)
        return {
            "lost": sorted(set(keys) - set(states)),
            "homeless": [key for key, state in states.items() if state.incident_id is None],
            "groups": sorted(one.group_key for one in incidents),
        }

    try:
        return await store.read(work)
    finally:
        await store.close()


async def test_every_answered_alert_survives_and_is_worked_on(folder: Path) -> None:
    dice = random.Random(9)
    async with world() as practice:
        listen = f"127.0.0.1:{free_port()}"
        url, config = f"http://{listen}", configured(practice, folder, listen)
        database = f"sqlite:///{folder}/state/tocsin.db"
        load = Load(url)
        for life in range(1, KILLS + 1):
            load.wanted = len(load.answered) + dice.randrange(20, MOST_BEFORE_A_KILL)
            load.enough.clear()
            async with serving(config, practice, url) as process, aiohttp.ClientSession() as http:
                senders = [asyncio.ensure_future(load.send(http)) for _ in range(SENDERS)]
                await load.enough.wait()
                process.send_signal(signal.SIGKILL)
                await process.wait()
                for sender in senders:
                    sender.cancel()
                await asyncio.gather(*senders, return_exceptions=True)
            told = await stored(database, load.answered)
            assert told["lost"] == [], f"answered with 200 and lost in life {life}"
            assert told["homeless"] == []
            assert len(told["groups"]) == len(set(told["groups"])) == GROUPS

        async with serving(config, practice, url):
            channels = practice.workspace.state.channels
            async with asyncio.timeout(AFTERWARDS):
                while len([one for one in channels.values() if one.name.startswith("inc-") and one.pins]) < GROUPS:
                    await asyncio.sleep(0.1)
        opened = [one for one in channels.values() if one.name.startswith("inc-")]
        assert len(opened) == GROUPS, "a channel twice"
        for channel in channels.values():
            keys = [one.metadata["event_payload"]["key"] for one in channel.messages.values() if one.metadata]
            assert len(keys) == len(set(keys)), f"a message twice in #{channel.name}"
