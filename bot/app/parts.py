"""The program, built: its parts by name, and what a reload replaces."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog
from aiohttp import web

from bot.app.what_there_is import rules_of
from bot.clients.kit import Kit
from bot.clients.slack import SlackGateway
from bot.clients.steady_clock import SteadyClock
from bot.config import Config
from bot.domain.links import Links
from bot.domain.oncall_ports import Medium
from bot.domain.ports import Clock, Doing, Store
from bot.domain.roster import Roster
from bot.domain.rules import Rules
from bot.entry.mail import MailSite
from bot.entry.metrics import Metrics
from bot.entry.slack.app import SocketMode
from bot.entry.slack.ports import OnCallFlows
from bot.flow.advance import Advance
from bot.flow.auditor import Auditor
from bot.flow.contacts import Contacts
from bot.flow.decisions import Decisions
from bot.flow.delivery import Handler
from bot.flow.digest import Digests
from bot.flow.housekeeping import Housekeeping
from bot.flow.incidents import Incidents
from bot.flow.intake import Intake
from bot.flow.oncall import OnCall
from bot.flow.overrides import Overrides
from bot.flow.preferences import OwnPreferences
from bot.flow.review import Review
from bot.flow.roster import Rosters
from bot.flow.runbooks import Runbooks
from bot.flow.silences import Silences
from bot.flow.why import Explain
from bot.flow.worker import Worker
from bot.room.room import SlackRoom

log = structlog.get_logger("app")


class Current:
    """What a reload replaces, and what people change about on-call by themselves laid over it. `changed` is set by a reload."""

    def __init__(self, rules: Rules) -> None:
        self._written = rules
        self._roster = Roster()
        self.rules = rules  # with the roster
        self.changed = asyncio.Event()

    def __call__(self) -> Rules:
        return self.rules

    def as_written(self) -> Rules:
        """As the configuration says it: for whatever reads the roster itself, in its own transaction."""
        return self._written

    def reload(self, rules: Rules) -> None:
        self._written = rules
        self._lay()
        self.changed.set()

    async def follow(self, store: Store, clock: Clock) -> None:
        """Take over what people have changed on any replica. Asked again and again; what pages somebody looks for itself, in its own transaction."""
        if await store.read(lambda tx: tx.counter("roster")) != self._roster.version:
            self._roster = await store.read(lambda tx: tx.roster(clock()))
            self._lay()

    def _lay(self) -> None:
        self.rules = replace(self._written, directory=self._written.directory.with_roster(self._roster))

    def dependencies(self, service: str) -> Sequence[str]:
        """The services that a service needs itself."""
        known = self.rules.services.get(service)
        return known.depends_on if known else ()


@dataclass(frozen=True, slots=True)
class Repeated:
    """Work that is done again and again while the program serves. What it raises is logged, and it is tried again at its next time."""

    name: str
    seconds: float
    work: Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class OnCallParts:
    """`handlers` and `routes` for the program's own tables; `repeated`: what is done each minute; `rosters`: one for all."""

    flows: OnCallFlows
    oncall: OnCall
    overrides: Overrides
    contacts: Contacts
    preferences: OwnPreferences
    auditor: Auditor
    media: Mapping[str, Medium]
    links: Links
    rosters: Rosters
    handlers: Mapping[str, Handler]
    routes: Sequence[web.RouteDef]
    repeated: Sequence[Repeated]


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
    on_call: OnCallParts
    repeated: Sequence[Repeated]
    steady: SteadyClock | None

    @property
    def oncall(self) -> OnCall:
        return self.on_call.oncall

    @property
    def overrides(self) -> Overrides:
        return self.on_call.overrides

    @property
    def contacts(self) -> Contacts:
        return self.on_call.contacts

    @property
    def preferences(self) -> OwnPreferences:
        return self.on_call.preferences

    @property
    def links(self) -> Links:
        return self.on_call.links

    def reload(self, config: Config) -> None:
        """Take over a valid new configuration: routes, people, policies, runbooks. Its warnings name what needs a restart."""
        self.current.reload(rules_of(config))
        self.room.directory = config.directory
        log.info("configuration reloaded", warnings=[str(warning) for warning in config.warnings])
