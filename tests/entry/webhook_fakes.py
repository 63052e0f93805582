"""A webhook server with a fake intake behind it: what was accepted, what was said once, and a clock set by hand."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bot.domain.alert import Alert, OnceOnly
from bot.domain.incoming import Acknowledged, ChangeEvent, Incoming, Parsed
from bot.domain.passing import Verdict
from bot.domain.redaction import Redactor
from bot.entry.arrivals import Arrivals, Sinks, SourceEntry
from bot.entry.auth import Auth, Bearer, Nobody
from bot.entry.auth_hmac import Signed
from bot.entry.metrics import Metrics
from bot.entry.webhooks import Webhooks
from bot.errors import Replayed
from bot.plugins.sources import alertmanager, generic

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TOKEN = "a-token-that-opens-the-door"
SECRET = "a-secret-that-signs"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@dataclass
class Intake:
    """Stands where the flows stand. `fails` is raised instead of accepting, `fails_beside` by what takes changes and acknowledgements."""

    fails: BaseException | None = None
    fails_beside: BaseException | None = None
    alerts: list[Alert] = field(default_factory=list)
    calls: int = 0
    used: dict[str, datetime] = field(default_factory=dict)
    metrics: Metrics = field(default_factory=Metrics)
    now: datetime = NOW
    changes: list[ChangeEvent] = field(default_factory=list)
    acknowledged: list[tuple[str, Acknowledged]] = field(default_factory=list)
    order: list[str] = field(default_factory=list)

    async def acknowledge(self, source: str, people: Sequence[Acknowledged]) -> int:
        self._beside("acknowledge")
        self.acknowledged.extend((source, one) for one in people)
        return len(people)

    async def keep_changes(self, changes: Sequence[ChangeEvent]) -> int:
        self._beside("changes")
        self.changes.extend(changes)
        return len(changes)

    def _beside(self, what: str) -> None:
        self.order.append(what)
        if self.fails_beside is not None:
            raise self.fails_beside

    async def accept(self, alerts: Sequence[Alert], once: OnceOnly | None = None) -> list[Verdict]:
        self.calls += 1
        self.order.append("alerts")
        if self.fails is not None:
            raise self.fails
        if once is not None and once.key in self.used:
            raise Replayed("this signed request was received before")
        if once is not None:
            self.used[once.key] = once.until
        self.alerts.extend(alerts)
        return [
            Verdict("opened", "nothing is open for this group", (), 1)
            if a.firing
            else Verdict("ignored", "never fired")
            for a in alerts
        ]

    def counted(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


@dataclass(frozen=True, slots=True)
class Saying:
    """A source that says what it is told to, whatever comes in; `heard` has what came in."""

    parsed: Parsed = field(default_factory=Parsed)
    heard: list[Incoming] = field(default_factory=list)

    def __call__(self, incoming: Incoming, source: str, params: Any, now: datetime) -> Parsed:
        self.heard.append(incoming)
        return self.parsed


def arrivals(intake: Intake, **sinks: Any) -> Arrivals:
    taking = Sinks(intake.accept, **{"acknowledge": intake.acknowledge, "keep_changes": intake.keep_changes, **sinks})
    return Arrivals(taking, Redactor({"word": "hunter2"}), lambda: intake.now, intake.metrics)


def webhooks(intake: Intake, *more: SourceEntry, sinks: Mapping[str, Any] | None = None, **settings: Any) -> Webhooks:
    bearer, signed = Bearer([TOKEN, "an-older-token"]), Signed((SECRET, "an-older-secret"))

    def source(name: str, format: Any, auth: Auth) -> SourceEntry:
        return SourceEntry(name, format.parse, format.Params(), auth)

    sources = [
        source("alertmanager", alertmanager, bearer),
        source("generic", generic, bearer),
        source("signed", alertmanager, signed),
        source("closed", alertmanager, Nobody("sources.closed.bearer")),
        *more,
    ]
    return Webhooks({one.name: one for one in sources}, arrivals(intake, **(sinks or {})), **settings)


@asynccontextmanager
async def serving(
    intake: Intake, *more: SourceEntry, **settings: Any
) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = web.Application()
    app.add_routes(webhooks(intake, *more, **settings).routes())
    async with TestClient(TestServer(app)) as client:
        yield client


def signature(body: bytes, at: datetime = NOW, secret: str = SECRET) -> dict[str, str]:
    """The headers that sign `body`."""
    timestamp = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {"X-Tocsin-Timestamp": timestamp, "X-Tocsin-Signature": f"v0={digest}"}
