"""On-call, built: schedules, pages by every medium, what people and providers answer. Used by building."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from bot.app.connections import media_of
from bot.app.parts import Current, OnCallParts, Repeated
from bot.clients import calendars
from bot.clients.fetching import fetched
from bot.clients.heartbeat import Heartbeat
from bot.clients.kit import Kit
from bot.clients.render import JinjaTemplates
from bot.clients.slack import SlackGateway
from bot.config import Config
from bot.domain.incident import Incident
from bot.domain.links import Links
from bot.domain.oncall_ports import HearingMedium
from bot.domain.ports import Clock, Store
from bot.domain.signing import Signer
from bot.entry.acknowledge import AcknowledgePage
from bot.entry.calendars import CalendarSite
from bot.entry.media import MediaSite
from bot.entry.metrics import Metrics
from bot.entry.slack.ports import OnCallFlows
from bot.flow.answers import Answers
from bot.flow.auditor import Auditor, Beat, no_heartbeat
from bot.flow.bundling import Bundles
from bot.flow.contacts import Contacts, Senders
from bot.flow.deadlines import Deadlines
from bot.flow.duty import Duty
from bot.flow.escalation import Escalation
from bot.flow.feeds import Calendar, Feeds
from bot.flow.incidents import Incidents
from bot.flow.notices import Notices
from bot.flow.oncall import OnCall
from bot.flow.overrides import Overrides
from bot.flow.pages import Pages
from bot.flow.preferences import OwnPreferences
from bot.flow.roster import Rosters
from bot.flow.sending import Sending
from bot.room.room import SlackRoom
from bot.room.user_groups import SlackProfiles, SlackUserGroups

MINUTE = 60.0
READ_WITHIN = 20.0  # seconds for a calendar


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What on-call is built upon."""

    config: Config
    store: Store
    clock: Clock
    current: Current
    kit: Kit
    gateway: SlackGateway
    room: SlackRoom
    templates: JinjaTemplates
    incidents: Incidents
    metrics: Metrics


def oncall_of(given: Surroundings) -> OnCallParts:
    """All of it. What pages somebody reads the roster in its own transaction, so it gets the rules as they are written."""
    config, store, clock, metrics = given.config, given.store, given.clock, given.metrics
    written, rosters = given.current.as_written, Rosters()
    signer = Signer(config.server.secret.reveal() if config.server.secret else "")
    links = Links((config.server.public_url or "").rstrip("/"), signer)
    media = media_of(config, given.kit, signer)
    sending = Sending(given.room, media, given.templates, links)
    answers = Answers(store, given.incidents, clock, written, rosters)
    groups, profiles = SlackUserGroups(given.gateway), SlackProfiles(given.gateway)

    oncall = OnCall(store, clock, written, rosters, links)
    overrides = Overrides(store, clock, written, rosters, given.kit.redact)
    preferences = OwnPreferences(store, clock, written, rosters)
    senders = Senders(media, given.room, profiles, given.kit.redact)
    contacts = Contacts(store, clock, written, rosters, senders, preferences)
    duty = Duty(store, clock, written, rosters, groups)
    feeds = Feeds(
        store,
        clock,
        written,
        lambda: _calendars(config),
        partial(fetched, given.kit.http),
        partial(calendars.read_within, READ_WITHIN),
        given.kit.redact,
    )
    told = config.heartbeat
    beat: Beat = no_heartbeat
    if told is not None:
        beat = Heartbeat(given.kit.http, told.url.reveal(), metrics.heartbeat, told.every, clock).beat
    auditor = Auditor(store, clock, beat, metrics.audited)

    async def show(number: int) -> Incident | None:
        return await store.read(lambda tx: tx.incident(number))

    hearing = {name: one for name, one in media.items() if isinstance(one, HearingMedium)}
    return OnCallParts(
        OnCallFlows(oncall, overrides, contacts, preferences),
        oncall,
        overrides,
        contacts,
        preferences,
        auditor,
        media,
        links,
        rosters,
        handlers={
            **Escalation(store, clock, written, rosters).handlers(),
            **Pages(store, sending, clock, written, rosters, metrics.escalated).handlers(),
            **Bundles(store, sending, clock, written, rosters, metrics.escalated).handlers(),
            **Notices(store, sending, clock, written, rosters).handlers(),
            **Deadlines(clock, written, rosters, links).handlers(),
            **duty.handlers(),
        },
        routes=[
            *MediaSite(hearing, answers).routes(),
            *AcknowledgePage(signer, show, answers.by_link, clock).routes(),
            *CalendarSite(oncall, links, clock).routes(),
        ],
        repeated=[  # each on its own: a calendar that is slow keeps nobody's turn
            Repeated("the audit", MINUTE, auditor.audit),
            Repeated("turns", MINUTE, duty.ask),
            Repeated("swaps", MINUTE, overrides.expire),
            Repeated("calendars", MINUTE, feeds.refresh),
        ],
    )


def _calendars(config: Config) -> list[Calendar]:
    """Those of oncall.yaml: an address, or a file as `file:` and its path."""
    return [
        Calendar(one.name, one.url.reveal() if one.url else f"file:{one.file}", one.zone)
        for one in config.calendars.values()
    ]
