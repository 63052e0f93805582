"""The demo's shop under a hand-moved clock, and the kit and alert with which the gatherers look at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.clients.http import Http
from bot.clients.k8s import Kubernetes
from bot.clients.kit import Kit
from bot.clients.prometheus import Prometheus
from bot.domain.alert import Alert, AlertState
from bot.domain.context import Finding
from bot.domain.incident import Incident
from bot.domain.redaction import Redactor
from bot.plugins import discover
from bot.practice.cluster import Cluster, bot
from bot.practice.prometheus import Prometheus as PracticePrometheus
from bot.practice.story import demo_world
from tests.support.kubernetes_api import Clock, served

LABELS = {"alertname": "HighErrorRate", "namespace": "shop", "deployment": "checkout", "service": "checkout"}
LINK = "http://prometheus.example/graph?g0.expr={}&g0.tab=1"


@dataclass
class World:
    clock: Clock
    cluster: Cluster
    prometheus: PracticePrometheus
    kit: Kit

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.at, UTC)

    def forward(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.forward(1)
            self.cluster.tick()

    async def gather(
        self, name: str, labels: dict[str, str] | None = None, url: str = "", **options: Any
    ) -> list[Finding]:
        """What one gatherer finds about an alert that begins now."""
        module = discover("gatherers")[name]
        alert = Alert("am", "f", True, LABELS if labels is None else labels, {}, self.now, url=url)
        incident = Incident(id=7, title="t", group_key="g", opened_at=self.now, channel_name="c")
        plugin = module.Plugin(self.kit, module.Params(**options))
        found: list[Finding] = await plugin.gather(incident, [AlertState(alert, self.now, self.now)], self.now)
        return found


@asynccontextmanager
async def demo() -> AsyncIterator[World]:
    """`checkout` at its bad revision 14 since four minutes."""
    clock = Clock()
    cluster = Cluster(clock, {"bot": bot()})
    demo_world(cluster)
    practice = PracticePrometheus(cluster, clock)
    redact = Redactor()
    async with served(cluster.app()) as api, served(practice.app()) as metrics, Http(redact) as http:
        k8s = await Kubernetes.connect(url=api, token="bot")
        world = World(clock, cluster, practice, Kit(k8s, Prometheus(http, metrics), http, redact))
        world.forward(60)
        try:
            yield world
        finally:
            await k8s.close()
