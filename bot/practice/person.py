"""A simulated person for `tocsin demo --auto`: watches the practice workspace and does what a list of steps says."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import aiohttp

from bot.practice.workspace.blocks import elements
from bot.practice.workspace.calls import Json

_LOOK_AGAIN_SECONDS = 5.0


@dataclass(frozen=True)
class Press:
    """Wait for a button whose action_id matches `action` (whole, a regular expression), wait `delay` seconds, press it.

    If a modal opens and `submit` is given, it is filled in and submitted. `attempts`: how often to try again when the
    app did not answer or the button was replaced meanwhile.
    """

    action: str
    delay: float = 2.0
    submit: Json | None = None
    attempts: int = 3


@dataclass(frozen=True)
class Say:
    """Wait `delay` seconds and say something in the newest incident channel."""

    text: str
    delay: float = 2.0


@dataclass(frozen=True)
class Found:
    """A button on the screen."""

    channel: str
    channel_name: str
    ts: str
    action_id: str
    block_id: str
    value: str
    label: str


class Person:
    """`await run()` does the steps in order and returns; each is told to `on_event` in words.

    Channels are those whose name matches `channels` (a regular expression, at its start) and that this person can see.
    """

    def __init__(
        self,
        base_url: str,
        user: str,
        steps: Sequence[Press | Say],
        on_event: Callable[[str], None],
        *,
        channels: str = "inc",
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.user = user
        self.steps = steps
        self.on_event = on_event
        self._channels = re.compile(channels)
        self._pressed: set[tuple[str, str, str, str]] = set()

    async def run(self) -> None:
        """All steps, one after the other."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            for step in self.steps:
                if isinstance(step, Press):
                    await self._press(http, step)
                else:
                    await self._say(http, step)

    async def _press(self, http: aiohttp.ClientSession, step: Press) -> None:
        for _ in range(step.attempts):
            await self._wait_for(http, step)
            await asyncio.sleep(step.delay)
            # Looked up again: while we hesitated the message may have been updated.
            found = self._find(await self._state(http), step)
            if found is None:
                continue
            self.on_event(f"presses “{found.label}” in #{found.channel_name}")
            about = {"channel": found.channel, "ts": found.ts, "action_id": found.action_id, "block_id": found.block_id}
            about |= {"value": found.value} if found.value else {}
            answer = await self._act(http, "click", **about)
            if answer.get("ok"):
                self._pressed.add((found.channel, found.ts, found.action_id, found.value))
                await self._fill_in(http, step)
                return
            self.on_event(f"could not: {answer.get('error')}")
        self.on_event(f"gives up on {step.action}")

    async def _fill_in(self, http: aiohttp.ClientSession, step: Press) -> None:
        if step.submit is None:
            return
        while True:
            views = (await self._state(http))["views"].get(self.user) or []
            if views:
                break
            await asyncio.sleep(0.1)
        await asyncio.sleep(step.delay)
        answer = await self._act(http, "submit", view_id=views[-1]["id"], values=step.submit)
        self.on_event("submits the form" if answer.get("ok") else f"could not submit the form: {answer}")

    async def _say(self, http: aiohttp.ClientSession, step: Say) -> None:
        await asyncio.sleep(step.delay)
        mine = self._mine(await self._state(http))
        if not mine:
            self.on_event("has no incident channel to speak in")
            return
        await self._act(http, "say", channel=mine[-1]["id"], text=step.text)
        self.on_event(f"says in #{mine[-1]['name']}: {step.text}")

    async def _wait_for(self, http: aiohttp.ClientSession, step: Press) -> Found:
        async with aclosing(self._changes(http)) as changes:
            async for _ in changes:
                found = self._find(await self._state(http), step)
                if found is not None:
                    return found
        raise RuntimeError("the stream of changes never ends by itself")

    async def _changes(self, http: aiohttp.ClientSession) -> AsyncGenerator[None, None]:
        """One item at once, then one after every change of a message (and now and then, should one be missed)."""
        while True:
            try:
                async with http.get(f"{self.base_url}/control/events") as stream:
                    yield None
                    async for line in stream.content:
                        if line.startswith(b'data: {"type": "message"'):
                            yield None
            except aiohttp.ClientError as broken:
                self.on_event(f"lost sight of the workspace ({broken!r}), looks again")
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    def _mine(self, state: Json) -> list[Json]:
        visible = (one for one in state["channels"] if one["kind"] == "channel" or self.user in one["members"])
        return [one for one in visible if self._channels.match(one["name"]) and not one["archived"]]

    def _find(self, state: Json, step: Press) -> Found | None:
        """The newest matching button that this person has not pressed yet; with another value it is another button."""
        for channel in reversed(self._mine(state)):
            own = [item for item in channel["ephemerals"] if item["only_for"] == self.user]
            for message in reversed([*channel["messages"], *own]):
                found = self._in_message(channel, message, step)
                if found is not None:
                    return found
        return None

    def _in_message(self, channel: Json, message: Json, step: Press) -> Found | None:
        for block in message.get("blocks") or []:
            for element in elements(block):
                action_id = str(element.get("action_id") or "")
                value = str(element.get("value") or "")
                pressed = (channel["id"], message["ts"], action_id, value) in self._pressed
                if element["type"] == "button" and re.fullmatch(step.action, action_id) and not pressed:
                    where = (channel["id"], channel["name"], message["ts"])
                    return Found(*where, action_id, block["block_id"], value, element["text"]["text"])
        return None

    async def _state(self, http: aiohttp.ClientSession) -> Json:
        async with http.get(f"{self.base_url}/control/state") as answer:
            return dict(await answer.json())

    async def _act(self, http: aiohttp.ClientSession, name: str, **body: Any) -> Json:
        data = json.dumps({"user": self.user, **body})
        headers = {"Content-Type": "application/json"}
        async with http.post(f"{self.base_url}/control/{name}", data=data, headers=headers) as answer:
            return dict(await answer.json())
