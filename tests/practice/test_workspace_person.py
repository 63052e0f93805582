"""The simulated person of `tocsin demo --auto`, and the whole practice world on one port."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.practice.person import Person, Press, Say
from bot.practice.server import Practice
from bot.practice.story import demo_world
from tests.practice.workspace_site import ADA, Site, bolt, button, connected


async def test_a_person_presses_the_button_when_it_appears_and_goes_on(site: Site) -> None:
    app = bolt(site)
    pressed: list[str] = []

    @app.action("approve")
    async def approve(ack: Any, body: dict[str, Any]) -> None:
        pressed.append(body["actions"][0]["value"])
        await ack()

    told: list[str] = []
    steps = [Press("app.*", delay=0), Say("All good again", delay=0)]
    person = Person(site.url, ADA, steps, told.append)
    async with connected(site, app), asyncio.TaskGroup() as group:
        group.create_task(person.run())
        slack = site.client()
        channel = (await slack.conversations_create(name="inc-1"))["channel"]["id"]
        await slack.chat_postMessage(channel=channel, text="Nothing to press here")
        await slack.chat_postMessage(channel=channel, text="Roll back?", blocks=[button(value="run-7")])
    assert pressed == ["run-7"]
    assert told == ["presses “Approve” in #inc-1", "says in #inc-1: All good again"]
    assert (await site.channel("inc-1"))["messages"][-1]["text"] == "All good again"


async def test_two_buttons_alike_in_one_message_are_two_to_press(site: Site) -> None:
    """A run may ask for the approval of several steps at once."""
    app = bolt(site)
    pressed: list[str] = []

    @app.action("approve")
    async def approve(ack: Any, body: dict[str, Any]) -> None:
        pressed.append(body["actions"][0]["value"])
        await ack()

    person = Person(site.url, ADA, [Press("approve", delay=0)] * 2, lambda text: None)
    async with connected(site, app), asyncio.TaskGroup() as group:
        slack = site.client()
        channel = (await slack.conversations_create(name="inc-1"))["channel"]["id"]
        blocks = [button(value="run-7:a"), {**button(value="run-7:b"), "block_id": "second"}]
        await slack.chat_postMessage(channel=channel, text="Both?", blocks=blocks)
        group.create_task(person.run())
    assert pressed == ["run-7:a", "run-7:b"]


async def test_the_whole_practice_world_answers_on_one_port() -> None:
    practice = Practice(time.time)
    demo_world(practice.cluster)
    await practice.start()
    try:
        slack = AsyncWebClient(token=practice.bot_token, base_url=practice.api_url)
        assert (await slack.auth_test())["user_id"] == "U0TOCSIN"
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{practice.url}/control/cluster") as answer:
                names = [item["name"] for item in (await answer.json())["data"]["deployments"]]
            async with session.get(f"{practice.url}/prometheus/api/v1/query", params={"query": "up"}) as answer:
                assert answer.status == 200
            async with session.get(f"{practice.url}/") as answer:
                assert "Content-Security-Policy" in answer.headers
            async with session.post(f"{practice.url}/control/break") as answer:
                assert (await answer.json())["image"] == "checkout:1.4.2"
        assert "checkout" in names
    finally:
        await practice.stop()
