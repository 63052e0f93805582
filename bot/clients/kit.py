"""What a plugin gets: the connections that are configured, and the redaction of what it reports. Built by app."""

from __future__ import annotations

from dataclasses import dataclass

from bot.clients.http import Http
from bot.clients.k8s import Kubernetes
from bot.clients.prometheus import Prometheus
from bot.clients.sandbox import Sandbox
from bot.domain.ports import Redact
from bot.errors import BadInput


@dataclass(frozen=True)
class Kit:
    """`k8s`, `prometheus` and `sandbox` are None when they are not configured; `cluster`, `metrics` and `scripts` then say so."""

    k8s: Kubernetes | None
    prometheus: Prometheus | None
    http: Http
    redact: Redact
    sandbox: Sandbox | None = None

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
