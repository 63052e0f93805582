"""tocsin.yaml as a whole, its checks, and Config: everything that the program is built from. Filled by load."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, Field

from bot.config import signal_checks
from bot.config.api import Api
from bot.config.channels import ChannelFacts, Heartbeat, MediumConfig
from bot.config.marks import Document
from bot.config.oncall import CalendarConfig
from bot.config.policy import Service
from bot.config.problems import Problem, quoted
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
from bot.config.signal import SignalSections
from bot.config.sources import SenderFacts, SourceConfig
from bot.domain.digest_times import DigestTimes
from bot.domain.escalation import Policy as EscalationPolicy
from bot.domain.people import Directory
from bot.domain.policy import Policy as ActionPolicy
from bot.domain.runbook import Runbook
from bot.domain.signal import Signal


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

    `about`: what the actions say of themselves; lint is silent about those that are not in it. `senders`: what the sources say of theirs.
    `channels`: the media, and `channel_facts` what they say of themselves.
    """

    sources: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    actions: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    gatherers: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    about: Mapping[str, ActionFacts] = field(default_factory=dict)
    senders: Mapping[str, SenderFacts] = field(default_factory=dict)
    channels: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    channel_facts: Mapping[str, ChannelFacts] = field(default_factory=dict)


class Context(Part):
    """What is found out about an incident. An entry switches a gatherer on."""

    gatherers: Mapping[str, Any] = Field(default_factory=dict)


class TocsinFile(SignalSections):
    """tocsin.yaml"""

    state: Path = Field(
        default=Path("state"), description="folder for what Tocsin writes, relative to the configuration's folder"
    )
    server: Server = Server()
    database: Database = Database()
    slack: Slack | None = None
    sources: Mapping[str, Any] = Field(default_factory=dict)
    channels: Mapping[str, Any] = Field(default_factory=dict)
    heartbeat: Heartbeat | None = None
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
    api: Api = Api()
    metrics: Metrics = Metrics()
    log: Log = Log()


def checked(file: TocsinFile, document: Document, bad: Collection[str]) -> Iterator[Problem]:
    """What is wrong between the sections of tocsin.yaml. `bad` names those that could not be read."""
    for required in ("slack", "route"):
        if getattr(file, required) is None and required not in bad:
            yield document.problem((), f"{quoted(required)} is missing", key=True)
    yield from signal_checks.checked(file, document, bad)


def placed(file: TocsinFile, folder: Path) -> TocsinFile:
    """With all paths made absolute. `folder`: that of the configuration."""
    state = absolute(folder / file.state)
    post, kubernetes, smtp = file.postmortem, file.kubernetes, file.server.smtp
    template = post.template and absolute(folder / post.template)
    if kubernetes:
        places = {"kubeconfig": kubernetes.kubeconfig, "ca": kubernetes.ca}
        found = {name: absolute(folder / os.path.expanduser(place)) for name, place in places.items() if place}
        kubernetes = kubernetes.model_copy(update=found)
    if smtp and smtp.tls_cert and smtp.tls_key:
        files_of = {"tls_cert": smtp.tls_cert, "tls_key": smtp.tls_key}
        smtp = smtp.model_copy(update={name: absolute(folder / place) for name, place in files_of.items()})
    return file.model_copy(
        update={
            "state": state,
            "server": file.server.model_copy(update={"smtp": smtp}),
            "database": file.database.within(state),
            "databases": {name: one.within(state) for name, one in file.databases.items()},
            "postmortem": Postmortem(folder=absolute(state / post.folder), template=template),
            "kubernetes": kubernetes,
            "scripts": file.scripts.model_copy(update={"folder": absolute(state / file.scripts.folder)}),
        }
    )


def absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


def missing_files(file: TocsinFile, document: Document) -> Iterator[Problem]:
    """Files that tocsin.yaml names and that are not there. Paths are absolute by now."""
    named = {
        ("kubernetes", "kubeconfig"): file.kubernetes and file.kubernetes.kubeconfig,
        ("kubernetes", "ca"): file.kubernetes and file.kubernetes.ca,
        ("postmortem", "template"): file.postmortem.template,
        ("server", "smtp", "tls_cert"): file.server.smtp and file.server.smtp.tls_cert,
        ("server", "smtp", "tls_key"): file.server.smtp and file.server.smtp.tls_key,
    }
    for path, place in named.items():
        if place and not os.path.isfile(place):
            yield document.problem(path, f"there is no file {place}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration, checked. All paths are absolute. `digest` None: it is not posted. `keep_log`: how long the log of alerts is kept.

    `media`: those beside Slack, by name. `last_resort`: targets that hear of an alarm as well as the fallback channel does.
    The policy of the root of `signal.routing` is the escalation policy for what no route says more about.
    """

    folder: Path
    state: Path
    server: Server
    database: Database
    slack: Slack
    sources: Mapping[str, SourceConfig]
    auto_resolve: bool
    signal: Signal
    digest: DigestTimes | None
    keep_log: timedelta
    policies: Mapping[str, EscalationPolicy]
    directory: Directory
    media: Mapping[str, MediumConfig]
    last_resort: tuple[str, ...]
    calendars: Mapping[str, CalendarConfig]
    heartbeat: Heartbeat | None
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
    api: Api
    secrets: tuple[SecretRef, ...]
    warnings: tuple[Problem, ...]
