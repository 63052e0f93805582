"""`tocsin doctor`: tries everything that the configuration points to, and says what is missing and how to mend it. Called by cli."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from bot.clients.http import Http
from bot.clients.k8s import Kubernetes
from bot.clients.k8s_errors import rule
from bot.clients.kit import Kit
from bot.clients.sandbox import Sandbox, Script
from bot.clients.slack import SlackGateway
from bot.config import Config
from bot.domain.effects import Priority
from bot.domain.ports import Clock, Store
from bot.entry.slack.app import REQUIRED_SCOPES
from bot.errors import BadInput, GaveUp, TryLater

LARGEST_SKEW = timedelta(seconds=60)
PATIENCE = 10.0
VISIBLE: dict[str, Any] = {"types": "public_channel,private_channel", "exclude_archived": True}
READS = (
    ("list", "deployments", "apps"),
    ("list", "replicasets", "apps"),
    ("list", "pods", ""),
    ("get", "pods/log", ""),
    ("list", "events", ""),
)
WRITES = (("patch", "deployments", "apps"),)
SOME_RUNBOOKS = (  # what only some actions need: that it is missing is told, and not held against anybody
    ("get", "statefulsets", "apps"),
    ("patch", "statefulsets", "apps"),
    ("get", "daemonsets", "apps"),
    ("patch", "daemonsets", "apps"),
    ("list", "controllerrevisions", "apps"),
    ("create", "pods/eviction", ""),
    ("patch", "nodes", ""),
)


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that was tried. `mend` says what to do when it is not well."""

    ok: bool
    what: str
    words: str
    mend: str = ""

    def line(self) -> str:
        mark = "ok  " if self.ok else "FAIL"
        mend = f"\n      -> {self.mend}" if self.mend and not self.ok else ""
        return f"{mark}  {self.what:<28} {self.words}{mend}"


async def examine(config: Config, store: Store, gateway: SlackGateway, kit: Kit, clock: Clock) -> AsyncIterator[Found]:
    """Every finding as soon as it is known. Nothing is changed anywhere."""
    for warning in config.warnings:
        yield Found(True, "configuration", f"warning: {warning}")
    yield await _database(store)
    yield await asyncio.to_thread(_folder, config.postmortem.folder)
    async for found in _slack(config, gateway):
        yield found
    yield await _clock(config, kit.http, clock)
    async for found in _cluster(config, kit):
        yield found
    if config.prometheus is not None:
        yield await _prometheus(kit, config.prometheus.url)
    async for found in _scripts(config, kit):
        yield found


async def _database(store: Store) -> Found:
    try:
        async with asyncio.timeout(PATIENCE):
            await store.check()
    except (BadInput, GaveUp, TryLater, TimeoutError) as error:
        words = str(error).removeprefix("database: ") or "no answer"
        return Found(False, "database", words, "see `database:` in tocsin.yaml; is the database server running?")
    return Found(True, "database", "answers")


def _folder(folder: Path) -> Found:
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if os.access(place, os.W_OK):
        return Found(True, "post-mortems", f"can be written to {folder}")
    return Found(
        False, "post-mortems", f"{place} cannot be written to", "see `state:` and `postmortem:` in tocsin.yaml"
    )


async def _slack(config: Config, gateway: SlackGateway) -> AsyncIterator[Found]:
    try:
        identity = await gateway.identity()
    except (GaveUp, TryLater) as error:
        yield Found(False, "slack", str(error), "see `slack.bot_token` and `slack.api_url` in tocsin.yaml")
        return
    yield Found(True, "slack", f"connected as {identity.name} in {identity.team}")
    missing = [scope for scope in REQUIRED_SCOPES if scope not in identity.scopes] if identity.scopes else []
    mend = "add them under OAuth & Permissions (or use deploy/slack/manifest.yaml), then install the app again"
    yield Found(not missing, "slack scopes", f"missing: {', '.join(missing)}" if missing else "all there", mend)
    try:
        channels = [one async for one in gateway.pages("conversations.list", "channels", **VISIBLE)]
    except (GaveUp, TryLater) as error:
        yield Found(False, "slack channels", str(error), mend)
        return
    name = config.slack.fallback_channel
    there = any(name in (one.get("name"), one.get("id")) for one in channels)
    yield Found(
        there,
        "slack fallback channel",
        f"#{name} {'exists' if there else 'does not exist'}",
        f"create #{name} and invite the bot, or change slack.fallback_channel",
    )
    for person in config.directory.people.values():
        if person.slack:
            yield await _person(gateway, person.key, person.slack)


async def _person(gateway: SlackGateway, key: str, user: str) -> Found:
    try:
        await gateway.call("conversations.open", users=user, priority=Priority.COSMETICS)
    except (GaveUp, TryLater) as error:
        return Found(
            False,
            f"page {key}",
            f"{user}: {error}",
            "copy the member id from the person's Slack profile into oncall.yaml",
        )
    return Found(True, f"page {key}", f"{user} can be paged by direct message")


async def _clock(config: Config, http: Http, clock: Clock) -> Found:
    """Slack's own Date header is the clock that signatures and timestamps are held against."""
    try:
        reply = await http.ask("GET", config.slack.api_url + "api.test")
        theirs = parsedate_to_datetime(reply.headers["date"]).astimezone(UTC)
    except (BadInput, GaveUp, TryLater, KeyError, ValueError) as error:
        return Found(True, "clock", f"could not be compared with Slack's: {error}")
    skew = abs(clock() - theirs)
    words = f"differs from Slack's by {skew.total_seconds():.0f} s"
    return Found(
        skew <= LARGEST_SKEW,
        "clock",
        words,
        "set up NTP (chrony, systemd-timesyncd): signatures are refused when it is wrong",
    )


async def _cluster(config: Config, kit: Kit) -> AsyncIterator[Found]:
    if config.kubernetes is None or kit.k8s is None:
        return
    try:
        yield Found(True, "kubernetes", f"{await kit.k8s.version()} answers")
    except (BadInput, GaveUp, TryLater) as error:
        yield Found(False, "kubernetes", str(error), "see `kubernetes:` in tocsin.yaml")
        return
    for namespace in config.kubernetes.namespaces:
        for verb, resource, group in (*READS, *WRITES):
            try:
                allowed = await kit.k8s.can(verb, resource, namespace, group=group)
            except (BadInput, GaveUp, TryLater) as error:
                yield Found(False, f"kubernetes {namespace}", str(error))
                break
            if not allowed:
                yield Found(
                    False,
                    f"kubernetes {namespace}",
                    f"may not {verb} {resource}",
                    f"add to the rules of its Role: {rule(verb, resource, group)} (deploy/kubernetes/rbac.yaml)",
                )
        else:
            yield await _some_runbooks(kit.k8s, namespace)


async def _some_runbooks(cluster: Kubernetes, namespace: str) -> Found:
    """Which rights are not there that only some actions of runbooks need."""
    missing = []
    for verb, resource, group in SOME_RUNBOOKS:
        try:
            if not await cluster.can(verb, resource, namespace, group=group):
                missing.append(f"{verb} {resource}")
        except (BadInput, GaveUp, TryLater) as error:
            return Found(False, f"kubernetes {namespace}", str(error))
    without = f"; not granted, for runbooks that need it: {', '.join(missing)}" if missing else ""
    return Found(True, f"kubernetes {namespace}", f"permissions checked{without}")


async def _prometheus(kit: Kit, url: str) -> Found:
    try:
        return Found(True, "prometheus", f"{await kit.metrics.check()} at {url}")
    except (BadInput, GaveUp, TryLater) as error:
        return Found(False, "prometheus", str(error), "see `prometheus:` in tocsin.yaml")


async def _scripts(config: Config, kit: Kit) -> AsyncIterator[Found]:
    """Each layer of the sandbox, and whether a script that does nothing runs through all of them."""
    if kit.sandbox is None:
        yield Found(True, "scripts", "not enabled (`scripts.enabled` in tocsin.yaml)")
        return
    for name, there in (await asyncio.to_thread(kit.sandbox.layers)).items():
        needed = name in config.scripts.require
        words = "available" if there is True else f"not available: {there}"
        mend = "`scripts.require` in tocsin.yaml asks for it; without it, nothing is run"
        yield Found(there is True or not needed, f"scripts {name}", words, mend)
    for name, _ in config.scripts.interpreters:
        yield await _interpreter(kit.sandbox, name)


async def _interpreter(sandbox: Sandbox, name: str) -> Found:
    try:
        ran = await sandbox.run(Script("", interpreter=name, seconds=min(PATIENCE, sandbox.limits.seconds)))
    except (BadInput, TryLater) as error:
        return Found(False, f"scripts in {name}", str(error), "see `scripts:` in tocsin.yaml")
    words = ran.stopped or f"ended with {ran.exit}: {ran.output.strip()[-200:]}"
    mend = "see `scripts.interpreters` in tocsin.yaml; one outside of the system's folders needs `scripts.readable`"
    return Found(not ran.exit, f"scripts in {name}", f"run in {ran.seconds:.2f} s" if not ran.exit else words, mend)
