"""Flows that remember what they were asked, and Slack as it reaches the bot: through a socket or by signed HTTP."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from aiohttp import web

from bot.clients.slack import SlackGateway
from bot.domain.alert import AlertState
from bot.domain.expand import begun
from bot.domain.incident import Incident
from bot.domain.page import Page
from bot.domain.people import Actor
from bot.domain.run import Run
from bot.domain.runbook import Runbook
from bot.domain.silencing import Wish
from bot.domain.timeline import Entry
from bot.entry.slack.app import SocketMode, build, http_routes
from bot.entry.slack.ports import Flows, OnCallFlows
from bot.errors import BadInput
from bot.practice.workspace.site import WorkspaceSettings
from bot.practice.workspace.state import Message
from tests.practice.workspace_site import Site, listening, until
from tests.room.samples import ADA, DIRECTORY, NOW, alert, incident, runbook, waiting_run


@dataclass
class FakeFlows:
    """All flows in one; `raises` is thrown by the next call, `gate` (when set) holds calls back until it opens."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)
    raises: Exception | None = None
    gate: asyncio.Event | None = None
    seen: set[str] = field(default_factory=set)
    open_incidents: list[Incident] = field(default_factory=lambda: [incident()])
    severities: Sequence[str] = ("critical", "warning", "info")
    all: Sequence[Runbook] = (runbook(), runbook(name="restart", title="Restart", params={}))
    runs: list[Run] = field(default_factory=lambda: [waiting_run()])
    pages: list[Page] = field(default_factory=list)
    silences: Any = None
    of_alerts: dict[str, str] = field(default_factory=lambda: {"service": "checkout"})
    oncall: OnCallFlows | None = None

    def flows(self) -> Flows:
        silences = self.silences or FakeSilences(self)
        oncall = self.oncall or OnCallFlows(self, self, self, self)  # type: ignore[arg-type]
        return Flows(self, self, self, self, self, lambda: DIRECTORY, self.once, silences, oncall)  # type: ignore[arg-type]

    async def _did(self, *call: Any) -> str:
        if self.gate is not None:
            await self.gate.wait()
        if self.raises is not None:
            error, self.raises = self.raises, None
            raise error
        self.calls.append(call)
        return f"{call[0]}: done <b>"

    async def once(self, key: str) -> bool:
        first = key not in self.seen
        self.seen.add(key)
        return first

    async def declare(self, title: str, severity: str, actor: Actor, service: str = "") -> Incident:
        await self._did("declare", title, severity, actor.id, service)
        return incident(title=title, severity=severity or "warning", channel_id="")

    async def acknowledge(self, incident_id: int, actor: Actor) -> str:
        return await self._did("acknowledge", incident_id, actor.id)

    async def resolve(self, incident_id: int, actor: Actor, why: str = "") -> str:
        return await self._did("resolve", incident_id, actor.id, why)

    async def mitigate(self, incident_id: int, actor: Actor, why: str) -> str:
        return await self._did("mitigate", incident_id, actor.id, why)

    async def note(self, incident_id: int, text: str, actor: Actor) -> str:
        return await self._did("note", incident_id, text, actor.id)

    async def set_severity(self, incident_id: int, severity: str, actor: Actor) -> str:
        return await self._did("severity", incident_id, severity, actor.id)

    async def escalate(self, incident_id: int, actor: Actor) -> str:
        return await self._did("escalate", incident_id, actor.id)

    async def listing(self, only_open: bool = True) -> Sequence[Incident]:
        return self.open_incidents

    async def show(self, incident_id: int) -> Any:
        found = next((one for one in self.open_incidents if one.id == incident_id), None)
        if found is None:
            raise BadInput(f"There is no INC-{incident_id}. `/incident list` shows what is open.")
        timeline = [Entry(at=NOW, kind="opened", text="INC-7 opened <b>")]
        return SimpleNamespace(
            incident=found, alerts=[AlertState(alert(), NOW, NOW)], runs=self.runs, timeline=timeline, pages=self.pages
        )

    async def page(self, incident_id: int | None, target: str, why: str, actor: Actor) -> str:
        return await self._did("page", incident_id, target, why, actor.id)

    async def accept(self, number: int, actor: Actor) -> Any:
        return SimpleNamespace(words=await self._did("accept", number, actor.id))

    async def decline(self, number: int, actor: Actor) -> Any:
        return SimpleNamespace(words=await self._did("decline", number, actor.id))

    async def still_at_it(self, incident_id: int, actor: Actor) -> str:
        return await self._did("still_at_it", incident_id, actor.id)

    async def of_channel(self, channel_id: str) -> Incident | None:
        return next((one for one in self.open_incidents if one.channel_id == channel_id), None)

    async def available(self, incident_id: int) -> Sequence[Runbook]:
        return self.all

    async def start(self, incident_id: int, name: str, params: Mapping[str, str], actor: Actor) -> Run:
        await self._did("start", incident_id, name, dict(params), actor.id)
        return begun(3, incident(), runbook(), params, ADA, NOW)

    async def approve(self, run_id: int, step_id: str, digest: str, actor: Actor) -> str:
        return await self._did("approve", run_id, step_id, digest, actor.id)

    async def refuse(self, run_id: int, step_id: str, digest: str, actor: Actor) -> str:
        return await self._did("refuse", run_id, step_id, digest, actor.id)

    async def labels(self, incident: Incident) -> dict[str, str]:
        return self.of_alerts

    async def history(self, runbook: str = "", limit: int = 20) -> Sequence[Run]:
        if runbook and runbook not in [one.name for one in self.all]:
            raise BadInput(f"There is no runbook called {runbook!r}.")
        return [run for run in self.runs if runbook in ("", run.runbook.name)][:limit]

    async def run(self, run_id: int) -> Run:
        found = next((run for run in self.runs if run.id == run_id), None)
        if found is None:
            raise BadInput(f"There is no RUN-{run_id}.")
        return found

    async def break_glass(self, run_id: int, step_id: str, digest: str, reason: str, actor: Actor) -> str:
        return await self._did("break_glass", run_id, step_id, digest, reason, actor.id)

    async def answer(self, run_id: int, step_id: str, answer: str, actor: Actor) -> str:
        return await self._did("answer", run_id, step_id, answer, actor.id)

    async def pause(self, run_id: int, actor: Actor) -> str:
        return await self._did("pause", run_id, actor.id)

    async def resume(self, run_id: int, actor: Actor) -> str:
        return await self._did("resume", run_id, actor.id)

    async def cancel(self, run_id: int, actor: Actor) -> str:
        return await self._did("cancel", run_id, actor.id)

    async def undo(self, run_id: int, actor: Actor) -> str:
        return await self._did("undo", run_id, actor.id)

    async def draft(self, incident_id: int) -> tuple[str, str]:
        await self._did("draft", incident_id)
        return f"postmortems/INC-{incident_id}.md", "# Post-mortem\n\nsome words"


@dataclass
class FakeSilences:
    """Remembers in the same list of calls."""

    flows: FakeFlows

    def now(self) -> datetime:
        return NOW

    async def matchers_of(self, incident_id: int) -> Sequence[str]:
        return ('service="checkout"',)

    async def create(self, wish: Wish, actor: Actor) -> Any:
        until = wish.ends_at or NOW + (wish.lasts or timedelta())
        words = await self.flows._did("silence", wish.matchers, wish.reason, until, wish.incident_id, actor.id)
        return SimpleNamespace(words=words)


@dataclass
class Desk:
    """A practice workspace, the bot's Slack entry connected to it, and the fake flows behind."""

    site: Site
    gateway: SlackGateway
    flows: FakeFlows
    channel: str

    async def command(
        self, text: str, user: str = "U0ADA", channel: str = "", command: str = "/incident"
    ) -> dict[str, Any]:
        return await self.site.workspace.acts.command(user, channel or self.channel, command, text)

    async def click(
        self, ts: str, action_id: str, user: str = "U0ADA", channel: str = "", **chosen: Any
    ) -> dict[str, Any]:
        return await self.site.workspace.acts.click(user, channel or self.channel, ts, action_id, **chosen)

    async def submit(self, values: dict[str, Any], user: str = "U0ADA") -> dict[str, Any]:
        return await self.site.workspace.acts.submit(user, "", values)

    async def post(self, blocks: Sequence[Any], channel: str = "") -> str:
        answer = await self.gateway.call(
            "chat.postMessage", channel=channel or self.channel, text="x", blocks=list(blocks)
        )
        return str(answer["ts"])

    def told(self, user: str = "U0ADA", channel: str = "") -> list[str]:
        """What only this person was shown, oldest first."""
        there: Sequence[Message] = list(self.site.workspace.state.channels[channel or self.channel].ephemerals.values())
        return [message.text for message in there if message.only_for == user]

    async def form(self, user: str = "U0ADA") -> dict[str, Any]:
        """The modal, once it is open."""
        await until(lambda: self.site.workspace.state.top_view(user))
        return self.view(user)

    def view(self, user: str = "U0ADA") -> dict[str, Any]:
        top = self.site.workspace.state.top_view(user)
        assert top is not None
        return top.body


@asynccontextmanager
async def slack(mode: str, patience: float = 2.0, oncall: OnCallFlows | None = None) -> AsyncIterator[Desk]:
    """`mode` is socket or http. With `oncall` there is `/oncall` as well."""
    async with listening(WorkspaceSettings(rate_limits=False)) as site:
        gateway = SlackGateway("xoxb-practice", base_url=f"{site.url}/api/", pace=1000)
        found = site.workspace.state.add_channel("inc-7", "U0TOCSIN")
        found.members.append("U0ADA")
        fakes = FakeFlows(open_incidents=[incident(channel_id=found.id)], oncall=oncall)
        app = build(gateway, fakes.flows(), "practice-signing-secret", patience)
        reached = _by_socket(site, app) if mode == "socket" else _by_http(site, app)
        try:
            async with reached:
                yield Desk(site, gateway, fakes, found.id)
        finally:
            await gateway.close()


@asynccontextmanager
async def _by_socket(site: Site, app: Any) -> AsyncIterator[None]:
    socket = SocketMode(app, "xapp-practice", f"{site.url}/api/")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(socket.run())
        await socket.connected.wait()
        try:
            yield
        finally:
            running.cancel()


@asynccontextmanager
async def _by_http(site: Site, app: Any) -> AsyncIterator[None]:
    server = web.Application()
    server.add_routes(http_routes(app, "practice-signing-secret"))
    runner = web.AppRunner(server, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    delivery = site.workspace.delivery.settings
    delivery.sign_now = time.time  # Bolt compares the signature's time with the wall clock
    delivery.mode, delivery.request_url = "http", f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    try:
        yield
    finally:
        await runner.cleanup()
