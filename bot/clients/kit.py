"""What a plugin gets: the connections that are configured, and the redaction of what it reports. Built by app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bot.clients.databases import Database
from bot.clients.http import Http
from bot.clients.k8s import Kubernetes
from bot.clients.prometheus import Prometheus
from bot.clients.sandbox import Sandbox
from bot.domain.incoming import ChangeEvent
from bot.domain.naming import nearest
from bot.domain.ports import Clock, Redact
from bot.errors import BadInput

Changes = Callable[[datetime, int], Awaitable[Sequence[ChangeEvent]]]


def _no_clock() -> datetime:
    raise RuntimeError("this kit was made without a clock")


async def _no_changes(since: datetime, limit: int) -> Sequence[ChangeEvent]:
    return ()


def _no_dependencies(service: str) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Kit:
    """`k8s`, `prometheus` and `sandbox` are None when they are not configured; `cluster`, `metrics` and `scripts` then say so.

    `changes(since, limit)`: what the sources told of, the newest first. `dependencies(service)`: the services that it needs itself (the catalogue).
    """

    k8s: Kubernetes | None
    prometheus: Prometheus | None
    http: Http
    redact: Redact
    sandbox: Sandbox | None = None
    databases: Mapping[str, Database] = field(default_factory=dict)
    clock: Clock = _no_clock
    changes: Changes = _no_changes
    dependencies: Callable[[str], Sequence[str]] = _no_dependencies

    @property
    def cluster(self) -> Kubernetes:
        if self.k8s is None:
            raise BadInput("no Kubernetes cluster is configured: add `kubernetes:` to tocsin.yaml")
        return self.k8s

    @property
    def metrics(self) -> Prometheus:
        if self.prometheus is None:
            raise BadInput("no Prometheus is configured: add `prometheus:` to tocsin.yaml")
        return self.prometheus

    @property
    def scripts(self) -> Sandbox:
        if self.sandbox is None:
            raise BadInput("scripts are not enabled: set `scripts.enabled: true` in tocsin.yaml")
        return self.sandbox

    def database(self, name: str) -> Database:
        """One of those that tocsin.yaml names."""
        if not self.databases:
            raise BadInput("no database is configured: add `databases:` to tocsin.yaml")
        if name not in self.databases:
            there = ", ".join(sorted(self.databases))
            raise BadInput(
                f"no database is called {name!r} in tocsin.yaml{nearest(name, self.databases)} (databases: {there})"
            )
        return self.databases[name]
