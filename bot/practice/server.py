"""The practice world on one port: a Slack workspace, a small Kubernetes, Prometheus and Alertmanager, and the page.

    practice = Practice(time.time)                      # port 0: any free one
    demo_world(practice.cluster)                        # bot.practice.story: a shop with a bad deployment
    await practice.start()
    AsyncWebClient(token=practice.bot_token, base_url=practice.api_url)     # Slack: http://127.0.0.1:PORT/api/
    practice.app_token                                  # Socket Mode: apps.connections.open gives a ws:// address
    practice.deliver_by_http("http://127.0.0.1:8080/slack/events")          # instead of Socket Mode, signed
    practice.send_alerts_to("http://127.0.0.1:8080/webhooks/alertmanager", token="...")
    practice.workspace.faults.add("lost", "chat.postMessage", count=1)      # trouble on demand
    await practice.workspace.acts.click("U0ADA", channel_id, ts, "approve")    # what people do
    await practice.stop()

`/` is the page; `/api/` Slack's Web API; `/socket/`, `/response/` and `/upload/` belong to it; `/cluster` is the Kubernetes
API; `/prometheus` Prometheus; `/control/` is how tests, drills and the page act in the name of people (see
bot.practice.workspace.control; besides that: GET /control/cluster and POST /control/break). Nothing here is for production:
whoever reaches the port may do everything, so it listens on 127.0.0.1 unless told otherwise.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from aiohttp import web

from bot.practice.alertmanager import Alertmanager
from bot.practice.cluster import Cluster
from bot.practice.cluster.errors import ApiError
from bot.practice.prometheus import Prometheus
from bot.practice.story import BAD_IMAGE, NAMESPACE
from bot.practice.workspace.background import Background
from bot.practice.workspace.clock import Clock
from bot.practice.workspace.site import Workspace, WorkspaceSettings

_SAMPLES = 180


class Practice:
    """Everything a demo or a test needs around the bot; `now` is the clock of all of it."""

    def __init__(
        self,
        now: Callable[[], float],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        settings: WorkspaceSettings | None = None,
        run_cluster: bool = True,
    ) -> None:
        self.clock = Clock(now)
        self.workspace = Workspace(self.clock, settings)
        self.cluster = Cluster(now=self.clock)
        self.prometheus = Prometheus(self.cluster, self.clock)
        self.alertmanager: Alertmanager | None = None
        self.url = ""
        self._host, self._port = host, port
        self._run_cluster = run_cluster
        self._work = Background()
        self._runner: web.AppRunner | None = None
        self._samples: deque[list[float]] = deque(maxlen=_SAMPLES)

    @property
    def api_url(self) -> str:
        """The base URL for slack_sdk."""
        return f"{self.url}/api/"

    @property
    def bot_token(self) -> str:
        """The xoxb token."""
        return self.workspace.settings.bot_token

    @property
    def app_token(self) -> str:
        """The xapp token for Socket Mode."""
        return self.workspace.settings.app_token

    @property
    def signing_secret(self) -> str:
        """What HTTP deliveries are signed with."""
        return self.workspace.delivery.settings.signing_secret

    async def start(self) -> None:
        """Listen; `url` is known afterwards. The cluster lives on its own unless run_cluster is False (then: tick())."""
        app = web.Application(client_max_size=80 * 1024 * 1024)
        self.workspace.add_routes(app)
        app.router.add_get("/control/cluster", self._show_cluster)
        app.router.add_post("/control/break", self._break)
        app.add_subapp("/cluster", self.cluster.app())
        app.add_subapp("/prometheus", self.prometheus.app())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://{self._host}:{self._port}"
        self.workspace.listening_at(self.url)
        if self._run_cluster:
            self._work.spawn(self.cluster.run())
            self._work.spawn(self._watch_cluster())

    async def stop(self) -> None:
        """Stop everything and wait for it."""
        await self._work.stop()
        await self.workspace.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def deliver_by_http(self, request_url: str) -> None:
        """Send events, commands and clicks to this address, signed, instead of Socket Mode."""
        self.workspace.delivery.settings.mode = "http"
        self.workspace.delivery.settings.request_url = request_url

    def send_alerts_to(self, webhook_url: str, token: str = "") -> None:
        """Start the practice Alertmanager, which tells this webhook of trouble in the cluster."""
        self.alertmanager = Alertmanager(self.prometheus, webhook_url, token, self.clock)
        if self._run_cluster:
            self._work.spawn(self.alertmanager.run())

    def tick(self) -> None:
        """Move the cluster on by hand and show it on the page."""
        self.cluster.tick()
        self._publish(self.cluster.snapshot())

    async def _watch_cluster(self) -> None:
        shown: dict[str, Any] = {}
        while True:
            snapshot = self.cluster.snapshot()
            self._samples.append([round(self.clock(), 1), float(snapshot.get("error_ratio") or 0.0)])
            if snapshot != shown:
                self._publish(snapshot)
                shown = snapshot
            await asyncio.sleep(1.0)

    def _publish(self, snapshot: dict[str, Any]) -> None:
        self.workspace.state.publish({"type": "cluster", "data": snapshot, "samples": list(self._samples)})

    async def _show_cluster(self, _request: web.Request) -> web.Response:
        return web.json_response({"data": self.cluster.snapshot(), "samples": list(self._samples)})

    async def _break(self, request: web.Request) -> web.Response:
        """POST {namespace?, deployment?, image?}: deploy the bad version (again)."""
        body = await request.json() if request.can_read_body else {}
        image = str(body.get("image") or BAD_IMAGE)
        self.cluster.bad_images.add(image)
        try:
            self.cluster.set_image(body.get("namespace") or NAMESPACE, body.get("deployment") or "checkout", image)
        except (KeyError, ApiError) as missing:
            return web.json_response({"ok": False, "error": f"no such deployment: {missing}"}, status=409)
        return web.json_response({"ok": True, "image": image})
