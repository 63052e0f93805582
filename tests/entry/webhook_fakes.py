"""A webhook server with a fake intake behind it: what was accepted, what was said once, and a clock set by hand."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bot.domain.alert import Alert, OnceOnly
from bot.domain.redaction import Redactor
from bot.domain.triage import Verdict
from bot.entry.auth import Auth, Bearer, Nobody, Signed
from bot.entry.metrics import Metrics
from bot.entry.webhooks import SourceEntry, Webhooks
from bot.errors import Replayed
from bot.plugins.sources import alertmanager, generic

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TOKEN = "a-token-that-opens-the-door"
SECRET = "a-secret-that-signs"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@dataclass
class Intake:
    """Stands where flow/intake stands. `fails` is raised instead of accepting."""

    fails: BaseException | None = None
    alerts: list[Alert] = field(default_factory=list)
    calls: int = 0
    used: dict[str, datetime] = field(default_factory=dict)
    metrics: Metrics = field(default_factory=Metrics)
    now: datetime = NOW

    async def accept(self, alerts: Sequence[Alert], once: OnceOnly | None = None) -> list[Verdict]:
        self.calls += 1
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


def webhooks(intake: Intake, **settings: Any) -> Webhooks:
    bearer, signed = Bearer([TOKEN, "an-older-token"]), Signed((SECRET, "an-older-secret"))

    def source(name: str, format: Any, auth: Auth) -> SourceEntry:
        return SourceEntry(name, format.parse, format.Params(), auth)

    sources = [
        source("alertmanager", alertmanager, bearer),
        source("generic", generic, bearer),
        source("signed", alertmanager, signed),
        source("closed", alertmanager, Nobody("sources.closed.bearer")),
    ]
    return Webhooks(
        sources={one.name: one for one in sources},
        accept=intake.accept,
        redact=Redactor({"word": "hunter2"}),
        clock=lambda: intake.now,
        metrics=intake.metrics,
        **settings,
    )


@asynccontextmanager
async def serving(intake: Intake, **settings: Any) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = web.Application()
    app.add_routes(webhooks(intake, **settings).routes())
    async with TestClient(TestServer(app)) as client:
        yield client


def signature(body: bytes, at: datetime = NOW, secret: str = SECRET) -> dict[str, str]:
    """The headers that sign `body`."""
    timestamp = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {"X-Tocsin-Timestamp": timestamp, "X-Tocsin-Signature": f"v0={digest}"}
