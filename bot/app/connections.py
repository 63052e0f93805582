"""The connections to everything outside, made of the configuration. Used by building."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import fields, replace

from aiohttp import web

from bot.clients.databases import Database
from bot.clients.desk import Desk
from bot.clients.http import Http
from bot.clients.k8s import Kubernetes
from bot.clients.kit import Kit
from bot.clients.postgres_database import Postgres
from bot.clients.prometheus import Prometheus
from bot.clients.sandbox import Sandbox
from bot.clients.sandbox_watch import Limits
from bot.clients.slack import SlackGateway
from bot.clients.sqlite_database import Sqlite
from bot.config import Config
from bot.domain.oncall_ports import Medium
from bot.domain.ports import Clock, Gatherer
from bot.domain.redaction import Redactor
from bot.domain.signing import Signer
from bot.entry.arrivals import Arrivals, Sinks, SourceEntry
from bot.entry.auth_configured import configured
from bot.entry.auth_sns import Fetch
from bot.entry.mail import MailSettings, MailSite
from bot.entry.metrics import Metrics
from bot.entry.slack.app import SocketMode, build, http_routes
from bot.entry.slack.ports import Flows
from bot.entry.webhooks import Webhooks
from bot.plugins import discover


async def kit_of(config: Config, redact: Redactor, clock: Clock, stack: AsyncExitStack) -> Kit:
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


def gatherers_of(config: Config, kit: Kit) -> dict[str, Gatherer]:
    modules = discover("gatherers")
    return {name: modules[name].Plugin(kit, params) for name, params in config.gatherers.items()}


def media_of(config: Config, kit: Kit, signer: Signer) -> dict[str, Medium]:
    """The media beside Slack, by name."""
    modules = discover("channels")
    public_url = (config.server.public_url or "").rstrip("/")
    return {
        name: modules[one.type].Plugin(Desk(name, kit.http, kit.redact, kit.clock, public_url, signer), one.params)
        for name, one in config.media.items()
    }


def slack_of(config: Config, gateway: SlackGateway, flows: Flows) -> tuple[list[web.RouteDef], SocketMode | None]:
    """How clicks and commands come in: routes for HTTP mode, or Socket Mode."""
    settings = config.slack
    secret = settings.signing_secret.reveal() if settings.signing_secret else ""
    bolt = build(gateway, flows, secret)
    if settings.mode == "http" or settings.app_token is None:
        return http_routes(bolt, secret), None
    return [], SocketMode(bolt, settings.app_token.reveal(), settings.api_url)


def webhooks_of(
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
