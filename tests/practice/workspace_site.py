"""A practice workspace on a port, the real Slack clients against it, and a clock moved by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.practice.workspace.site import Workspace, WorkspaceSettings

ADA = "U0ADA"
BOB = "U0BOB"


class Site:
    """A listening workspace and what tests do with it."""

    def __init__(self, settings: WorkspaceSettings | None) -> None:
        self.workspace = Workspace(lambda: 1_760_000_000.0, settings)
        self.url = ""
        self.http: aiohttp.ClientSession

    def client(self, token: str = "xoxb-practice") -> AsyncWebClient:
        """slack_sdk's own client, without its retries, so that a test sees what happened."""
        return AsyncWebClient(token=token, base_url=f"{self.url}/api/", retry_handlers=[])

    async def control(self, act: str, /, **body: Any) -> dict[str, Any]:
        """POST to the control API."""
        async with self.http.post(f"{self.url}/control/{act}", json=body) as answer:
            return {"status": answer.status, **await answer.json()}

    async def channel(self, name: str) -> dict[str, Any]:
        """One channel with all that is in it."""
        async with self.http.get(f"{self.url}/control/state", params={"channel": name}) as answer:
            found = (await answer.json())["channels"]
        return dict(found[0])


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds; pytest's own timeout is the limit."""
    while not holds():
        await asyncio.sleep(0.005)


@asynccontextmanager
async def listening(settings: WorkspaceSettings | None = None) -> AsyncIterator[Site]:
    """A workspace on a free port."""
    site = Site(settings)
    app = web.Application()
    site.workspace.add_routes(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    site.workspace.listening_at(site.url)
    async with aiohttp.ClientSession() as site.http:
        try:
            yield site
        finally:
            await site.workspace.close()
            await runner.cleanup()


@asynccontextmanager
async def connected(site: Site, app: AsyncApp) -> AsyncIterator[AsyncSocketModeHandler]:
    """A Bolt app in Socket Mode."""
    handler = AsyncSocketModeHandler(app, "xapp-practice", web_client=site.client("xapp-practice"))
    await handler.connect_async()
    try:
        yield handler
    finally:
        await handler.client.close()


@asynccontextmanager
async def posted(site: Site, app: AsyncApp) -> AsyncIterator[None]:
    """A Bolt app behind a request URL, which checks Slack's signature."""
    server = app.server(port=0, path="/slack/events", host="127.0.0.1")
    runner = web.AppRunner(server.web_app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    delivery = site.workspace.delivery.settings
    delivery.sign_now = time.time  # Bolt compares the signature's time with the wall clock
    delivery.mode, delivery.request_url = "http", f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    try:
        yield
    finally:
        await runner.cleanup()


def bolt(site: Site) -> AsyncApp:
    """A Bolt app whose calls go to the workspace."""
    return AsyncApp(client=site.client(), signing_secret="practice-signing-secret")


def button(action_id: str = "approve", value: str = "run-1") -> dict[str, Any]:
    """An actions block with one button."""
    text = {"type": "plain_text", "text": "Approve"}
    element = {"type": "button", "action_id": action_id, "value": value, "text": text}
    return {"type": "actions", "block_id": "decide", "elements": [element]}
