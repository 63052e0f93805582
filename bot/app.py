"""Builds everything in one straight line from the configuration, runs it, and closes it in reverse. The only place that knows all parts."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta

import structlog
from aiohttp import web
from pydantic import BaseModel

from bot.clients.databases import Database
from bot.clients.expressions import CelExpressions
from bot.clients.files import FolderDocuments
from bot.clients.http import Http
from bot.clients.k8s import Kubernetes
from bot.clients.kit import Kit
from bot.clients.postgres_database import Postgres
from bot.clients.prometheus import Prometheus
from bot.clients.render import JinjaTemplates
from bot.clients.sandbox import Sandbox
from bot.clients.sandbox_watch import Limits
from bot.clients.slack import SlackGateway
from bot.clients.sqlite_database import Sqlite
from bot.config import ActionFacts, Config, Registry
from bot.config.sources import SenderFacts
from bot.domain.catalogue import Service
from bot.domain.ports import Clock, Doing, Gatherer, Store
from bot.domain.redaction import Redactor
from bot.domain.rules import Rules
from bot.entry import problems
from bot.entry.api import SilenceApi
from bot.entry.api_access import Access
from bot.entry.api_alertmanager import AlertmanagerApi
from bot.entry.arrivals import Arrivals, Sinks, SourceEntry
from bot.entry.auth import Bearer
from bot.entry.auth_configured import configured
from bot.entry.auth_sns import Fetch, fetching
from bot.entry.mail import MailSettings, MailSite
from bot.entry.metrics import Metrics
from bot.entry.operation import Operation
from bot.entry.slack.app import SocketMode, build, http_routes
from bot.entry.slack.ports import Flows
from bot.entry.webhooks import Webhooks
from bot.errors import TryLater
from bot.flow.advance import Advance
from bot.flow.changes import Changes
from bot.flow.context import ContextEffects
from bot.flow.decisions import Decisions
from bot.flow.delivery import ChannelEffects
from bot.flow.digest import Digests
from bot.flow.escalation import Escalation
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
LINGER = 1.0  # how long the rest of a refused body is read, which aiohttp also unpacks
SLACK_DEDUPLICATION = timedelta(hours=1)
OpenStore = Callable[[str], Awaitable[Store]]
log = structlog.get_logger("app")


def now() -> datetime:
    """The clock of the program: aware, UTC."""
    return datetime.now(UTC)


def registry() -> Registry:
    """The parameter models of all plugins, by which the configuration is validated."""

    def params(kind: str) -> dict[str, type[BaseModel]]:
        return {name: module.Params for name, module in discover(kind).items()}

    about = {name: ActionFacts.of(module) for name, module in discover("actions").items()}
    senders = {name: SenderFacts.of(module) for name, module in discover("sources").items()}
    return Registry(params("sources"), params("actions"), params("gatherers"), about, senders)


def rules_of(config: Config) -> Rules:
    """What the decisions need of the configuration."""
    return Rules(
        signal=config.signal,
        escalations=config.policies,
        default_escalation=config.signal.routing.root.policy,
        directory=config.directory,
        services={
            name: Service(
                name=name,
                owner=one.owner,
                dashboards=one.dashboards,
                targets=one.targets.given,
                depends_on=one.depends_on,
            )
            for name, one in config.services.items()
        },
        runbooks=config.runbooks,
        actions=config.policy,
        auto_resolve=config.auto_resolve,
        digest=config.digest,
        keep_log=config.keep_log,
    )


@dataclass(slots=True)
class Current:
    """What a reload replaces. `changed` is set when it has been, and at the beginning."""

    rules: Rules
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self) -> Rules:
        return self.rules

    def dependencies(self, service: str) -> Sequence[str]:
        """The services that a service needs itself."""
        known = self.rules.services.get(service)
        return known.depends_on if known else ()


@dataclass(frozen=True, slots=True)
class Tocsin:
    """The whole program, built; `serve` runs it. Commands use its parts without serving."""

    config: Config
    current: Current
    store: Store
    kit: Kit
    gateway: SlackGateway
    room: SlackRoom
    actions: Mapping[str, Doing]
    intake: Intake
    incidents: Incidents
    explain: Explain
    silences: Silences
    runbooks: Runbooks
    decisions: Decisions
    advance: Advance
    review: Review
    housekeeping: Housekeeping
    digests: Digests
    worker: Worker
    socket_mode: SocketMode | None
    metrics: Metrics
    site: web.Application
    mail: MailSite | None

    def reload(self, config: Config) -> None:
        """Take over a valid new configuration: routes, people, policies, runbooks. Its warnings name what needs a restart."""
        self.current.rules = rules_of(config)
        self.current.changed.set()
        self.room.directory = config.directory
        log.info("configuration reloaded", warnings=[str(warning) for warning in config.warnings])


@asynccontextmanager
async def built(
    config: Config, clock: Clock = now, open_store: OpenStore = open_store, fetch: Fetch | None = None
) -> AsyncIterator[Tocsin]:
    """The program over this configuration; everything it opened is closed at the end, in reverse.

    `fetch` asks Amazon SNS for its certificates; the program's own HTTP client does when there is none.
    """
    async with AsyncExitStack() as stack:
        redact = Redactor(dict(config.redact_extra))
        current = Current(rules_of(config))
        metrics = Metrics()
        store = await open_store(config.database.url.reveal())
        stack.push_async_callback(store.close)
        changes = Changes(store, clock)
        kit = await _kit(config, redact, clock, stack)
        kit = replace(kit, changes=changes.since, dependencies=current.dependencies)
        actions: dict[str, Doing] = {name: module.Plugin(kit) for name, module in discover("actions").items()}
        gatherers = _gatherers(config, kit)
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
        housekeeping = Housekeeping(store, clock, current, digests, intake)
        handlers = {
            **ChannelEffects(store, room, clock, metrics.first_message).handlers(),
            **Escalation(store, room, clock, current, metrics.escalated).handlers(),
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
            incidents, explain, runbooks, decisions, review, lambda: current.rules.directory, first_click, silences
        )
        bolt, socket_mode = _slack(config, gateway, flows)
        site = web.Application(middlewares=[problems.middleware], client_max_size=config.server.max_body_bytes)
        webhooks, mail = _webhooks(
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
        site.add_routes(bolt)
        yield Tocsin(
            config, current, store, kit, gateway, room, actions, intake, incidents, explain, silences, runbooks, decisions, advance, review,
            housekeeping, digests, worker, socket_mode, metrics, site, mail,
        )  # fmt: skip


async def serve(tocsin: Tocsin, stop: asyncio.Event, ready: asyncio.Event | None = None) -> None:
    """Run until `stop`; then take nothing new, store what has arrived, finish what is in hand, give back the leases."""
    await tocsin.worker.take_back()
    async with asyncio.TaskGroup() as tasks:
        async with entrances(tocsin):
            working = tasks.create_task(tocsin.worker.run())
            tidying = tasks.create_task(_tidying(tocsin))
            renewing = tasks.create_task(_renewing(tocsin))
            log.info("listening", url=tocsin.config.server.url, sources=sorted(tocsin.config.sources))
            if ready is not None:
                ready.set()
            await stop.wait()
            log.info("stopping")
            tidying.cancel()
            renewing.cancel()
        tocsin.worker.stop()
        _done, late = await asyncio.wait([working], timeout=tocsin.config.server.shutdown_seconds)
        for task in late:
            log.warning("not finished in time; the leases run out by themselves")
            task.cancel()
    log.info("stopped")


@asynccontextmanager
async def entrances(tocsin: Tocsin) -> AsyncIterator[None]:
    """Open to alerts and to Slack; at the end nothing new is taken and what has arrived is stored."""
    server = tocsin.config.server
    logging.getLogger("aiohttp.server").addFilter(problems.worth_a_trace)
    runner = web.AppRunner(
        tocsin.site, access_log=None, handle_signals=False, shutdown_timeout=5.0, lingering_time=LINGER
    )
    await runner.setup()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(tocsin.intake.run())
        socket_mode = tasks.create_task(tocsin.socket_mode.run()) if tocsin.socket_mode else None
        await web.TCPSite(runner, server.host or None, server.port).start()
        try:
            if tocsin.mail is not None:
                await tocsin.mail.start()
            yield
        finally:
            if socket_mode is not None:
                socket_mode.cancel()
                await asyncio.wait([socket_mode])  # before a failure below cancels it a second time, in its own closing
            await runner.cleanup()
            if tocsin.mail is not None:
                await tocsin.mail.stop()
            tocsin.intake.stop()


async def _renewing(tocsin: Tocsin) -> None:
    """Whatever is held is judged anew when the program begins and when the configuration has changed."""
    tocsin.current.changed.set()
    while True:
        await tocsin.current.changed.wait()
        tocsin.current.changed.clear()
        try:
            await tocsin.intake.look_again_at_everything()
        except TryLater as error:
            log.warning("held alerts are looked at later", error=str(error))
            await asyncio.sleep(1.0)
            tocsin.current.changed.set()
        except Exception:
            log.exception("held alerts could not be looked at; trying again in a minute")
            await asyncio.sleep(TIDY_SECONDS)
            tocsin.current.changed.set()


async def _tidying(tocsin: Tocsin) -> None:
    while True:
        try:
            await tocsin.housekeeping.tidy()
        except TryLater as error:
            log.warning("housekeeping later", error=str(error))
        except Exception:
            log.exception("housekeeping failed")
        await asyncio.sleep(TIDY_SECONDS)


async def _kit(config: Config, redact: Redactor, clock: Clock, stack: AsyncExitStack) -> Kit:
    """The connections that plugins use; what is not configured is None."""
    credentials = {
        host.lower(): {name: secret.reveal() for name, secret in shown.headers.items()}
        for host, shown in config.http.items()
    }
    http = await stack.enter_async_context(Http(redact, credentials=credentials))
    k8s = None
    if config.kubernetes is not None:
        k8s = await Kubernetes.connect(
            kubeconfig=str(config.kubernetes.kubeconfig or ""),
            url=config.kubernetes.url or "",
            token=config.kubernetes.token.reveal() if config.kubernetes.token else "",
            ca_file=str(config.kubernetes.ca or ""),
            namespaces=config.kubernetes.namespaces,
        )
        stack.push_async_callback(k8s.close)
    prometheus = None
    if config.prometheus is not None:
        bearer = config.prometheus.bearer
        headers = {"Authorization": f"Bearer {bearer.reveal()}"} if bearer else {}
        prometheus = Prometheus(http, config.prometheus.url, headers)
    return Kit(k8s, prometheus, http, redact, _sandbox(config), _databases(config), clock)


def _databases(config: Config) -> dict[str, Database]:
    """Those that runbooks may ask. Nothing is opened before it is asked."""
    urls = {name: one.url.reveal() for name, one in config.databases.items()}
    return {
        name: Sqlite(url.partition(":///")[2]) if url.startswith("sqlite") else Postgres(url)
        for name, url in urls.items()
    }


def _sandbox(config: Config) -> Sandbox | None:
    scripts = config.scripts
    if not scripts.enabled:
        return None
    limits = Limits(**scripts.model_dump(include={limit.name for limit in fields(Limits)}))
    return Sandbox(
        scripts.folder,
        limits,
        interpreters=dict(scripts.interpreters),
        require=scripts.require,
        readable=scripts.readable,
        at_once=scripts.at_once,
    )


def _gatherers(config: Config, kit: Kit) -> dict[str, Gatherer]:
    modules = discover("gatherers")
    return {name: modules[name].Plugin(kit, params) for name, params in config.gatherers.items()}


def _slack(config: Config, gateway: SlackGateway, flows: Flows) -> tuple[list[web.RouteDef], SocketMode | None]:
    """How clicks and commands come in: routes for HTTP mode, or Socket Mode."""
    settings = config.slack
    secret = settings.signing_secret.reveal() if settings.signing_secret else ""
    bolt = build(gateway, flows, secret)
    if settings.mode == "http" or settings.app_token is None:
        return http_routes(bolt, secret), None
    return [], SocketMode(bolt, settings.app_token.reveal(), settings.api_url)


def _webhooks(
    config: Config, sinks: Sinks, fetch: Fetch, redact: Redactor, metrics: Metrics, clock: Clock
) -> tuple[Webhooks, MailSite | None]:
    """The ways in for alerts: by HTTP, and by e-mail when that is configured."""
    parsers = discover("sources")
    arrivals = Arrivals(replace(sinks, confirm=fetch), redact, clock, metrics)
    sources = {
        name: SourceEntry(
            name,
            parsers[source.type].parse,
            source.params,
            configured(source, fetch),
            () if source.by_mail else source.senders.methods,
        )
        for name, source in config.sources.items()
    }
    webhooks = Webhooks(sources, arrivals, config.server.max_body_bytes)
    if config.server.smtp is None:
        return webhooks, None
    by_mail = {name: sources[name] for name, source in config.sources.items() if source.by_mail}
    return webhooks, MailSite(by_mail, arrivals, MailSettings.of(config.server.smtp))


def _owner(config: Config) -> str:
    """Who holds leases. One process has SQLite to itself, so it takes its own leases back at once after a crash."""
    if config.database.url.reveal().startswith("postgresql"):
        return f"{socket.gethostname()}-{os.getpid()}-{int(time.time())}"
    return "tocsin"
