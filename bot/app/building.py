"""Builds everything in one straight line from the configuration, and closes it in reverse. The only place that knows all parts."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web

from bot.app.connections import gatherers_of, kit_of, slack_of, webhooks_of
from bot.app.oncall import Surroundings, oncall_of
from bot.app.parts import Current, Repeated, Tocsin
from bot.app.what_there_is import rules_of
from bot.clients.expressions import CelExpressions
from bot.clients.files import FolderDocuments
from bot.clients.render import JinjaTemplates
from bot.clients.slack import SlackGateway
from bot.clients.steady_clock import SteadyClock
from bot.config import Config
from bot.domain.ports import Clock, Doing, Store
from bot.domain.redaction import Redactor
from bot.entry import problems
from bot.entry.api import SilenceApi
from bot.entry.api_access import Access
from bot.entry.api_alertmanager import AlertmanagerApi
from bot.entry.api_incidents import IncidentApi
from bot.entry.api_oncall import OnCallApi
from bot.entry.arrivals import Sinks
from bot.entry.auth import Bearer
from bot.entry.auth_sns import Fetch, fetching
from bot.entry.metrics import Metrics
from bot.entry.operation import Operation
from bot.entry.slack.ports import Flows
from bot.flow.advance import Advance
from bot.flow.changes import Changes
from bot.flow.context import ContextEffects
from bot.flow.decisions import Decisions
from bot.flow.delivery import ChannelEffects
from bot.flow.digest import Digests
from bot.flow.housekeeping import Housekeeping
from bot.flow.incidents import Incidents
from bot.flow.intake import Intake
from bot.flow.review import Review
from bot.flow.runbooks import Runbooks
from bot.flow.seeing import Sight
from bot.flow.silences import Silences
from bot.flow.why import Explain
from bot.flow.worker import Worker
from bot.plugins import discover
from bot.room.room import SlackRoom
from bot.store import open_store

TIDY_SECONDS = 60.0
FOLLOW_SECONDS = 1.0
SLACK_DEDUPLICATION = timedelta(hours=1)
OpenStore = Callable[[str], Awaitable[Store]]


def now() -> datetime:
    """The clock of the program: aware, UTC."""
    return datetime.now(UTC)


@asynccontextmanager
async def built(
    config: Config, clock: Clock | None = None, open_store: OpenStore = open_store, fetch: Fetch | None = None
) -> AsyncIterator[Tocsin]:
    """The program over this configuration; everything it opened is closed at the end, in reverse.

    `fetch` asks Amazon SNS for its certificates; the program's own HTTP client does when there is none. Without a `clock` it goes by a steady one,
    which `serve` watches.
    """
    steady = SteadyClock(now, _since_boot, _boot_id()) if clock is None else None
    clock = clock or steady or now
    async with AsyncExitStack() as stack:
        redact = Redactor(dict(config.redact_extra))
        current = Current(rules_of(config))
        metrics = Metrics()
        store = await open_store(config.database.url.reveal())
        stack.push_async_callback(store.close)
        changes = Changes(store, clock)
        kit = await kit_of(config, redact, clock, stack)
        kit = replace(kit, changes=changes.since, dependencies=current.dependencies)
        actions: dict[str, Doing] = {name: module.Plugin(kit) for name, module in discover("actions").items()}
        gatherers = gatherers_of(config, kit)
        templates = JinjaTemplates(str(config.postmortem.template or ""))
        documents = FolderDocuments(config.postmortem.folder)

        gateway = SlackGateway(
            config.slack.bot_token.reveal(),
            base_url=config.slack.api_url,
            pace=config.slack.pace,
            observe=lambda method, outcome, _seconds: metrics.slack_called(method, outcome),
        )
        stack.push_async_callback(gateway.close)
        room = SlackRoom(gateway, config.directory, config.slack.fallback_channel)

        intake = Intake(store, clock, current, config.server.queue)
        incidents = Incidents(store, clock, current, redact)
        explain = Explain(store, clock, current)
        silences = Silences(store, clock, current, redact)
        runbooks = Runbooks(store, room, clock, current, redact)
        decisions = Decisions(store, clock, current, redact)
        advance = Advance(store, clock, current, Sight(actions, templates, CelExpressions(), current), redact)
        review = Review(store, room, clock, templates, documents)
        digests = Digests(store, room, clock, current)
        on_call = oncall_of(
            Surroundings(config, store, clock, current, kit, gateway, room, templates, incidents, metrics)
        )
        housekeeping = Housekeeping(store, clock, current.as_written, digests, intake, on_call.rosters)
        handlers = {
            **ChannelEffects(store, room, clock, metrics.first_message).handlers(),
            **on_call.handlers,
            **ContextEffects(store, room, clock, gatherers, redact).handlers(),
            **intake.handlers(),
            **silences.handlers(),
            **runbooks.handlers(),
            **advance.handlers(),
            **review.handlers(),
            **digests.handlers(),
        }
        worker = Worker(store, handlers, clock, _owner(config), housekeeping.row_died, metrics.delivered)

        async def first_click(key: str) -> bool:
            now = clock()
            return await store.write(lambda tx: tx.once(f"click:{key}", now + SLACK_DEDUPLICATION, now))

        flows = Flows(
            incidents,
            explain,
            runbooks,
            decisions,
            review,
            lambda: current.rules.directory,
            first_click,
            silences,
            on_call.flows,
        )
        bolt, socket_mode = slack_of(config, gateway, flows)
        site = web.Application(middlewares=[problems.middleware], client_max_size=config.server.max_body_bytes)
        webhooks, mail = webhooks_of(
            config,
            Sinks(intake.accept, intake.acknowledged, changes.keep),
            fetch or fetching(kit.http),
            redact,
            metrics,
            clock,
        )
        site.add_routes(webhooks.routes())
        scraper = Bearer([config.metrics.bearer.reveal()]) if config.metrics.bearer else None
        operation = Operation(
            {"database": store.check},
            lambda: store.backlog(clock()),
            metrics,
            clock,
            shown=config.metrics.enabled,
            scraper=scraper,
            silences=silences.counts,
        )
        site.add_routes(operation.routes())
        access = Access({name: token.reveal() for name, token in config.api.tokens.items()})
        site.add_routes(SilenceApi(silences, access).routes())
        site.add_routes(AlertmanagerApi(silences, access).routes())
        site.add_routes(IncidentApi(incidents, access).routes())
        site.add_routes(OnCallApi(on_call.oncall, on_call.overrides, incidents, access).routes())
        site.add_routes(on_call.routes)
        site.add_routes(bolt)
        repeated = (
            Repeated("housekeeping", TIDY_SECONDS, housekeeping.tidy),
            Repeated("the roster", FOLLOW_SECONDS, lambda: current.follow(store, clock)),
            *on_call.repeated,
        )
        yield Tocsin(
            config, current, store, kit, gateway, room, actions, intake, incidents, explain, silences, runbooks, decisions, advance, review,
            housekeeping, digests, worker, socket_mode, metrics, site, mail, on_call, repeated, steady,
        )  # fmt: skip


def _since_boot() -> float:
    """Seconds, suspension included: a timer that comes due while the machine sleeps is due when it wakes."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _boot_id() -> str:
    """This run of the machine; empty where that is not told."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _owner(config: Config) -> str:
    """Who holds leases. One process has SQLite to itself, so it takes its own leases back at once after a crash."""
    if config.database.url.reveal().startswith("postgresql"):
        return f"{socket.gethostname()}-{os.getpid()}-{int(time.time())}"
    return "tocsin"
