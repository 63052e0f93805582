"""The Bolt app, and the two ways in which Slack reaches it: Socket Mode (no public address) and signed HTTP.

`bot.app` builds it once and runs `SocketMode.run` under its supervisor, or adds `http_routes` to the web server.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import aiohttp
import structlog
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.clients.slack import SlackGateway
from bot.entry.slack.actions import Clicks
from bot.entry.slack.events import Words
from bot.entry.slack.modals import Modals
from bot.entry.slack.oncall_actions import SwapClicks
from bot.entry.slack.ports import Flows
from bot.entry.slack.replies import PATIENCE, Replies
from bot.errors import BadInput

log = structlog.get_logger(__name__)

# What the bot calls and hears needs exactly these; deploy/slack/manifest.yaml lists the same (a test compares them).
REQUIRED_SCOPES = (
    "app_mentions:read",
    "channels:history",
    "channels:join",
    "channels:manage",
    "channels:read",
    "chat:write",
    "commands",
    "files:read",
    "files:write",
    "groups:history",
    "groups:read",
    "groups:write",
    "im:history",
    "im:write",
    "pins:write",
    "usergroups:read",
    "usergroups:write",
    "users:read",
    "users:read.email",
)
HTTP_PATH = "/slack/events"
CONNECT_WITHIN = 30.0
WATCH_EVERY = 5.0
LOST_AFTER = 60.0
LONGEST_PAUSE = 60.0


def build(gateway: SlackGateway, flows: Flows, signing_secret: str = "", patience: float = PATIENCE) -> AsyncApp:
    """The Bolt app with every handler. All calls to Slack go through the gateway; Bolt itself makes none."""

    async def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
        """Nothing is asked of Slack here: a click must count while Slack's Web API is down."""
        return AuthorizeResult(enterprise_id=enterprise_id, team_id=team_id)

    app = AsyncApp(
        name="tocsin",
        logger=_quiet(),
        signing_secret=signing_secret,
        authorize=authorize,
        client=AsyncWebClient(base_url=gateway.base_url, logger=_quiet(), retry_handlers=[]),
    )
    replies = Replies(gateway, flows, patience)
    Words(gateway, flows, replies).register(app)
    Modals(flows, replies).register(app)
    SwapClicks(gateway, flows, replies).register(app)
    Clicks(gateway, flows, replies).register(app)
    return app


def http_routes(app: AsyncApp, signing_secret: str) -> list[web.RouteDef]:
    """The request URL for HTTP mode. Without a secret nothing could be checked, so it does not start."""
    if not signing_secret:
        raise BadInput("slack: HTTP mode needs the app's signing secret (Basic Information, App Credentials)")

    async def receive(request: web.Request) -> web.Response:
        stamp = request.headers.get("X-Slack-Request-Timestamp", "0")
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 11) or not _ascii(request, "X-Slack-Signature"):
            return web.Response(status=400, text="not a request from Slack")  # Bolt would fail over these
        try:
            asked = await to_bolt_request(request)
        except (ValueError, LookupError):  # no text, no JSON, or in an encoding that does not exist: not from Slack
            return web.Response(status=400, text="not a request from Slack")
        return await to_aiohttp_response(await app.async_dispatch(asked))

    return [web.post(HTTP_PATH, receive)]


def _ascii(request: web.Request, header: str) -> bool:
    return request.headers.get(header, "").isascii()


class SocketMode:
    """Keeps a connection to Slack. The SDK reconnects by itself; when it does not manage for a minute it is replaced by a fresh one."""

    def __init__(
        self,
        app: AsyncApp,
        app_token: str,
        base_url: str = "https://slack.com/api/",
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._app = app
        self._token = app_token
        self._base_url = base_url
        self._clock = clock
        self._sleep = sleep
        self.connected = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        pause = 1.0
        while True:
            started = self._clock()
            try:
                await self._session()
            except (SlackApiError, aiohttp.ClientError, OSError, TimeoutError) as error:
                log.warning("socket mode: not connected", why=_why(error), again_in=pause)
            if self._clock() - started > LONGEST_PAUSE:
                pause = 1.0
            await self._sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _session(self) -> None:
        """One client of the SDK, from connecting to when it is lost for good."""
        quiet = _quiet(logging.CRITICAL)
        client = AsyncWebClient(base_url=self._base_url, timeout=10, logger=quiet, retry_handlers=[])
        handler = AsyncSocketModeHandler(self._app, self._token, logger=quiet, web_client=client)
        try:
            async with asyncio.timeout(CONNECT_WITHIN):
                # Asked for here, because connect() would only log a refused token and try for ever.
                handler.client.wss_uri = await handler.client.issue_new_wss_url()
                await handler.connect_async()  # type: ignore[no-untyped-call]
            self.connected.set()
            log.info("socket mode: connected")
            await self._watch(handler)
        finally:
            self.connected.clear()
            await handler.close_async()  # type: ignore[no-untyped-call]
            await asyncio.sleep(0)  # its cancelled tasks end

    async def _watch(self, handler: AsyncSocketModeHandler) -> None:
        """Return when it has been without a connection for too long."""
        seen = self._clock()
        while self._clock() - seen < LOST_AFTER:
            if await handler.client.is_connected():
                seen = self._clock()
                self.connected.set()
            else:
                self.connected.clear()
            await self._sleep(WATCH_EVERY)
        log.warning("socket mode: lost, starting afresh")


def _why(error: Exception) -> str:
    if isinstance(error, SlackApiError) and isinstance(error.response.data, dict):
        return str(error.response.data.get("error"))
    return type(error).__name__


def _quiet(level: int = logging.ERROR) -> logging.Logger:
    """Bolt and the SDK write whole payloads and addresses with tickets into their logs, and look at the logger's own level to decide."""
    quiet = logging.getLogger(f"slack_bolt.quiet.{level}")
    quiet.setLevel(level)
    return quiet
