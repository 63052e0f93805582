"""tocsin.yaml as a whole, its checks, and Config: everything that the program is built from. Filled by load."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, Field

from bot.config.marks import Document
from bot.config.policy import Service
from bot.config.problems import Problem, quoted, unknown
from bot.config.routes import RouteEntry
from bot.config.secrets import SecretRef
from bot.config.server import (
    AskedDatabase,
    Database,
    HttpHost,
    Kubernetes,
    Log,
    Metrics,
    Part,
    Postmortem,
    Prometheus,
    Scripts,
    Server,
    Slack,
)
from bot.config.sources import SourceConfig
from bot.domain.escalation import Policy as EscalationPolicy
from bot.domain.people import Directory
from bot.domain.policy import Policy as ActionPolicy
from bot.domain.routing import Route
from bot.domain.rules import DEFAULT_SEVERITIES
from bot.domain.runbook import Runbook


@dataclass(frozen=True, slots=True)
class ActionFacts:
    """What an action says of itself (bot/domain/ports.py). `doc` is its reference documentation."""

    way: str = "acts"
    writes: bool = False
    observable: bool = True
    risk: str = "none"
    doc: str = ""

    @classmethod
    def of(cls, module: ModuleType) -> ActionFacts:
        plugin, acts = module.Plugin, getattr(module.Plugin, "way", "acts") == "acts"
        return cls(
            way=getattr(plugin, "way", "acts"),
            writes=acts and plugin.writes,
            observable=not acts or plugin.observable,
            risk=getattr(plugin, "risk", "none"),
            doc=module.__doc__ or "",
        )

    def part(self, name: str) -> str:
        """One part of the documentation, like `Undo`, on one line; empty when it has none."""
        found = re.search(rf"\*{name}\*[^:]*:\s*(.*?)(?=\s+\*[A-Z][\w ]*\*|\n\n|\Z)", self.doc, re.S)
        return " ".join(found[1].split()) if found else ""


@dataclass(frozen=True, slots=True)
class Registry:
    """The plugins that there are: the `Params` model of each, by the name that the configuration uses. Filled by app from bot.plugins.

    `about`: what the actions say of themselves; lint is silent about those that are not in it.
    """

    sources: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    actions: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    gatherers: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    about: Mapping[str, ActionFacts] = field(default_factory=dict)


class Context(Part):
    """What is found out about an incident. An entry switches a gatherer on."""

    gatherers: Mapping[str, Any] = Field(default_factory=dict)


class TocsinFile(Part):
    """tocsin.yaml"""

    state: Path = Field(
        default=Path("state"), description="folder for what Tocsin writes, relative to the configuration's folder"
    )
    server: Server = Server()
    database: Database = Database()
    slack: Slack | None = None
    sources: Mapping[str, Any] = Field(default_factory=dict)
    severities: tuple[str, ...] = Field(default=DEFAULT_SEVERITIES, min_length=1, description="the most severe first")
    default_severity: str = Field(
        default="", description="for alerts without one; `warning`, or the last but one, when not set"
    )
    severity_label: str = Field(default="severity", min_length=1)
    auto_resolve: bool = Field(default=True, description="resolve an incident when all its alerts have")
    route: RouteEntry | None = None
    context: Context = Context()
    kubernetes: Kubernetes | None = None
    prometheus: Prometheus | None = None
    postmortem: Postmortem = Postmortem()
    runbooks: tuple[Path, ...] | None = Field(
        default=None, description="folders, relative to the configuration's; runbooks when not set"
    )
    http: Mapping[str, HttpHost] = Field(
        default_factory=dict, description="hosts that runbooks send requests to, with what lets them in"
    )
    scripts: Scripts = Scripts()
    databases: Mapping[str, AskedDatabase] = Field(
        default_factory=dict, description="databases that runbooks may ask, by name"
    )
    metrics: Metrics = Metrics()
    log: Log = Log()

    @property
    def usual_severity(self) -> str:
        if self.default_severity:
            return self.default_severity
        return "warning" if "warning" in self.severities else self.severities[-2:][0]


def checked(file: TocsinFile, document: Document, bad: Collection[str]) -> Iterator[Problem]:
    """What is wrong between the sections of tocsin.yaml. `bad` names those that could not be read."""
    for required in ("slack", "route"):
        if getattr(file, required) is None and required not in bad:
            yield document.problem((), f"{quoted(required)} is missing", key=True)
    for number, severity in enumerate(file.severities):
        if severity != severity.strip().lower() or not severity:
            yield document.problem(("severities", number), f"wanted lower-case letters, found {quoted(severity)}")
        if severity in file.severities[:number]:
            yield document.problem(("severities", number), f"{quoted(severity)} is there twice")
    if "severities" not in bad and file.usual_severity not in file.severities:
        words = unknown("severity", "severities", file.usual_severity, file.severities)
        yield document.problem(("default_severity",), words)


def missing_files(file: TocsinFile, document: Document) -> Iterator[Problem]:
    """Files that tocsin.yaml names and that are not there. Paths are absolute by now."""
    named = {
        ("kubernetes", "kubeconfig"): file.kubernetes and file.kubernetes.kubeconfig,
        ("kubernetes", "ca"): file.kubernetes and file.kubernetes.ca,
        ("postmortem", "template"): file.postmortem.template,
    }
    for path, place in named.items():
        if place and not os.path.isfile(place):
            yield document.problem(path, f"there is no file {place}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration, checked. All paths are absolute. `route.policy` is the escalation policy for what no route says more about."""

    folder: Path
    state: Path
    server: Server
    database: Database
    slack: Slack
    sources: Mapping[str, SourceConfig]
    severities: tuple[str, ...]
    default_severity: str
    severity_label: str
    auto_resolve: bool
    route: Route
    policies: Mapping[str, EscalationPolicy]
    directory: Directory
    policy: ActionPolicy
    services: Mapping[str, Service]
    gatherers: Mapping[str, BaseModel]
    runbooks: Mapping[str, Runbook]
    kubernetes: Kubernetes | None
    prometheus: Prometheus | None
    postmortem: Postmortem
    redact_extra: Mapping[str, str]
    http: Mapping[str, HttpHost]
    scripts: Scripts
    databases: Mapping[str, AskedDatabase]
    log: Log
    metrics: Metrics
    secrets: tuple[SecretRef, ...]
    warnings: tuple[Problem, ...]
