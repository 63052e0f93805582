"""The practice workspace put together, from state to page; bot.practice.server mounts it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from bot.practice.workspace import files
from bot.practice.workspace.acts import Acts
from bot.practice.workspace.background import Background
from bot.practice.workspace.clock import Clock
from bot.practice.workspace.control import Control
from bot.practice.workspace.desk import Desk
from bot.practice.workspace.events import Delivery
from bot.practice.workspace.faults import Faults
from bot.practice.workspace.limits import Limits
from bot.practice.workspace.page import Page
from bot.practice.workspace.responses import Responses
from bot.practice.workspace.sockets import Sockets
from bot.practice.workspace.state import State, seed
from bot.practice.workspace.webapi import WebApi


@dataclass
class WorkspaceSettings:
    """What one can choose about a practice workspace."""

    app_name: str = "Tocsin"
    bot_token: str = "xoxb-practice"  # noqa: S105  (of a practice workspace)
    app_token: str = "xapp-practice"  # noqa: S105
    commands: dict[str, str] = field(
        default_factory=lambda: {
            "/incident": "open | ack | resolve | help",
            "/oncall": "now | next | override | swap | page | help",
        }
    )
    rate_limits: bool = True


class Workspace:
    """A whole practice workspace; `add_routes` puts it on a web server, whose address goes into `listening_at`."""

    def __init__(self, now: Callable[[], float], settings: WorkspaceSettings | None = None) -> None:
        self.settings = settings or WorkspaceSettings()
        self.clock = now if isinstance(now, Clock) else Clock(now)
        self.state = State(self.clock)
        self.faults = Faults()
        self.limits = Limits(self.clock, enabled=self.settings.rate_limits)
        self.work = Background()
        self.sockets = Sockets(self.state)
        self.delivery = Delivery(self.state, self.faults, self.sockets, self.work)
        self.desk = Desk(self.state, self.faults, self.delivery.event)
        self.responses = Responses(self.desk)
        self.acts = Acts(self.desk, self.delivery, self.responses, self.settings.commands)
        self.api = WebApi(self.desk, self.limits, self.settings.bot_token, self.settings.app_token)
        self.api.new_socket = self.sockets.new_address
        self.control = Control(self.desk, self.acts, self.api, self.sockets, self.clock)
        self.page = Page(self.state)
        seed(self.state, self.settings.app_name)

    def listening_at(self, base_url: str) -> None:
        """Tell it the address it is reached at, without a slash at the end."""
        self.state.base_url = base_url

    def add_routes(self, app: web.Application) -> None:
        """The Web API, sockets, uploads, response URLs, control and the page."""
        app.router.add_route("*", "/api/{method}", self.api.handle)
        app.router.add_get("/socket/", self.sockets.handle)
        app.router.add_post("/response/{ticket}", self.responses.handle)
        app.router.add_post("/upload/v1/{ticket}", self._upload)
        self.control.add_routes(app)
        self.page.add_routes(app)

    async def close(self) -> None:
        """End everything it has running."""
        self.control.close()
        await self.work.stop()
        await self.sockets.close()
        await self.delivery.close()

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.take("upload", "down", "500")
        if fault is not None and fault.kind == "500":
            return web.Response(status=fault.status)
        if fault is not None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response()
        return await files.receive(self.desk, request)
