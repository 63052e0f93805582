"""Stopped in the middle of its deliveries it finishes or gives back what it has in hand; started again it goes on, and nothing comes twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bot.cli.demo import TOKEN
from bot.practice.server import Practice
from bot.practice.story import demo_world
from bot.practice.workspace.site import WorkspaceSettings
from tests.practice.workspace_site import until
from tests.support.clock import HandClock
from tests.support.program import Served, served, webhook


@pytest.fixture
async def world() -> AsyncIterator[Practice]:
    world = Practice(time.time, settings=WorkspaceSettings(rate_limits=False))
    demo_world(world.cluster)
    await world.start()
    yield world
    await world.stop()


async def alert(it: Served, **labels: str) -> int:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    body = webhook(HandClock(it.tocsin.incidents._clock()), **labels)
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{it.url}/webhooks/alertmanager", json=body, headers=headers) as answer,
    ):
        return answer.status


def keys(world: Practice) -> list[str]:
    return [
        f"{channel.id} {message.metadata['event_payload']['key']}"
        for channel in world.workspace.state.channels.values()
        for message in channel.messages.values()
        if message.metadata
    ]


def kinds(world: Practice) -> set[str]:
    return {key.split()[1].partition(":")[0] for key in keys(world)}


async def leased(it: Served) -> list[str]:
    """What somebody else could not take now although it is due."""
    now = it.tocsin.incidents._clock()
    due = sum(one.due for one in await it.tocsin.store.backlog(now))
    taken = await it.tocsin.store.claim("somebody else", now, now, 1000)
    lanes = {delivery.effect.lane for delivery in taken}
    return [] if taken or not due else [f"{due} due, {len(lanes)} lanes"]


async def test_what_is_in_hand_is_finished_and_the_rest_goes_on_after_the_restart(
    world: Practice, tmp_path: Path
) -> None:
    world.workspace.faults.add("slow", "conversations.create", seconds=0.5)
    async with served(world, tmp_path) as first:
        assert await alert(first) == 200
        await until(lambda: [one for one in world.workspace.api.calls if one["method"] == "conversations.create"])
        began = time.monotonic()
        first.stop.set()
        await first.serving
        assert time.monotonic() - began < 10
        incident = (await first.tocsin.incidents.show(1)).incident
        assert incident.channel_id, "the channel that was being opened is on record"
        assert incident.card_ts == "", "and nothing else was begun"
        assert await leased(first) == []
    world.workspace.faults.clear()
    async with served(world, tmp_path) as second:
        await until(lambda: {"card", "say", "run"} <= kinds(world))
        assert await alert(second) == 200
    assert len([one for one in world.workspace.state.channels.values() if one.name.startswith("inc-")]) == 1
    assert len(keys(world)) == len(set(keys(world)))


async def test_a_slack_that_never_answers_does_not_hold_up_the_stop(world: Practice, tmp_path: Path) -> None:
    world.workspace.faults.add("timeout", "*", seconds=30)
    async with served(world, tmp_path, {"server.shutdown_seconds": 1}) as first:
        # The socket is asked for by the Web API as well: it is down, too.
        assert await alert(first) == 200
        await asyncio.sleep(0.3)
        began = time.monotonic()
        first.stop.set()
        await first.serving
        assert time.monotonic() - began < 10
    world.workspace.faults.clear()
    async with served(world, tmp_path):
        await until(lambda: {"page", "card", "say"} <= kinds(world))
    assert len(keys(world)) == len(set(keys(world)))


async def test_alerts_on_their_way_in_are_answered_before_it_stops(world: Practice, tmp_path: Path) -> None:
    async with served(world, tmp_path) as first:
        async with asyncio.TaskGroup() as tasks:
            sent = [tasks.create_task(alert(first, service=f"s{number}")) for number in range(20)]
            await asyncio.sleep(0.02)
            first.stop.set()
            await asyncio.wait(sent)
        await first.serving
        answered = [task.result() for task in sent if task.exception() is None]
        stored = await first.tocsin.store.read(lambda tx: tx.firing_alerts())
        assert answered.count(200) <= len(stored), "what was answered with 200 is there"
        assert set(answered) <= {200, 503}
