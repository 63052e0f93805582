"""What people do to incidents, from Slack, the API or the command line: each function reads, decides, saves, and answers in words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.domain import deadline, effects, lifecycle, paging
from bot.domain.alert import AlertState
from bot.domain.escalation import Policy
from bot.domain.incident import Change, Incident, State
from bot.domain.naming import TITLE_LIMIT, clipped, in_words, nearest
from bot.domain.page import Page, PageState
from bot.domain.paging_by_hand import asked, asked_for, named, on_the_spot, severity_changed
from bot.domain.people import Actor
from bot.domain.ports import Clock, Redact, Store, Tx
from bot.domain.rules import CurrentRules
from bot.domain.run import Run
from bot.domain.timeline import Entry
from bot.errors import BadInput

NOTE_LIMIT = 3000
LONGEST_WAIT = 2.0  # seconds that an acknowledgement waits for pages that are being sent
LOOK = 0.05
SENT_AS = ("page", "bundle", "summon")
MOST_ALERTS = 100
Pause = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Shown:
    """All there is to see of an incident."""

    incident: Incident
    alerts: Sequence[AlertState]
    runs: Sequence[Run]
    timeline: Sequence[Entry]
    pages: Sequence[Page] = ()


class NoSuchIncident(BadInput):
    """The number names no incident."""


class Incidents:
    """Every function takes the incident's number and raises BadInput in words for the person when it cannot be.

    What people write goes through `redact` first: it ends in the channel, in the database and in the post-mortem. `pause` lets so many seconds pass.
    """

    def __init__(
        self, store: Store, clock: Clock, rules: CurrentRules, redact: Redact, pause: Pause = asyncio.sleep
    ) -> None:
        self._pause = pause
        self._store = store
        self._clock = clock
        self._rules = rules
        self._redact = redact

    @property
    def severities(self) -> Sequence[str]:
        return self._rules().severities

    async def declare(self, title: str, severity: str, actor: Actor, service: str = "") -> Incident:
        """Open an incident by hand. An empty severity is the default one."""
        rules = self._rules()
        title = " ".join(self._redact(title).split())
        if not title:
            raise BadInput(
                "An incident needs a title: what is broken? For example `/incident open critical checkout is down`"
            )
        severity = self._known_severity(severity or rules.signal.taxonomy.default)
        policy = rules.escalations.get(rules.default_escalation)
        return await self._declared(title, severity, (policy,) if policy else (), actor, service)

    async def _declared(
        self, title: str, severity: str, policies: Sequence[Policy], actor: Actor, service: str = ""
    ) -> Incident:
        now, media = self._clock(), self._rules().signal.taxonomy.through(severity)

        async def work(tx: Tx) -> Incident:
            number = await tx.next_id("incident")
            change = lifecycle.declared(
                number, clipped(title, TITLE_LIMIT), severity, policies, actor, now, service, media
            )
            await tx.save(change.ask(effects.invite(number, (actor.id,), now)))
            return change.incident

        return await self._store.write(work)

    async def page(self, incident_id: int | None, target: str, why: str, actor: Actor, severity: str = "") -> str:
        """Page `person:ada`, `schedule:shop`, `group:payments`, `channel:ops`, `medium:teams` or everybody of `policy:shop`, with a reason.

        Without an incident one is opened, which goes on until somebody acknowledges; an empty severity is then the most severe one.
        """
        rules, now, why = self._rules(), self._clock(), self._written(why)
        wanted = asked_for(target, rules, now)
        if not why:
            raise BadInput(
                "Say why: whoever is woken wants to know. For example `/oncall page shop the tills are down`"
            )
        if incident_id is None:
            policies = (wanted,) if isinstance(wanted, Policy) else (on_the_spot(wanted, rules),)
            worst = self._known_severity(severity or rules.severities[0])
            incident = await self._declared(" ".join(why.split()), worst, policies, actor)
            return f"{incident.ref} is open, and {named(wanted, rules)} is paged for it until somebody acknowledges."
        return await self._change(
            incident_id,
            lambda incident, now: asked(incident, wanted, why, actor, rules, now),
            lambda incident: f"{named(wanted, rules)} is being paged for {incident.ref}.",
            lambda incident: (
                f"{incident.ref} is paged by {named(wanted, rules)} already: `/incident escalate` goes on."
            ),
        )

    async def acknowledge(self, incident_id: int, actor: Actor) -> str:
        """Once this has returned no page of it arrives any more (but for one that its medium holds for longer than two seconds)."""

        def unchanged(incident: Incident) -> str:
            by = f" by {incident.acknowledged_by}" if incident.acknowledged_by else ""
            return f"{incident.ref} is {incident.state} already{by}: nobody is being paged."

        said = await self._change(
            incident_id,
            lambda incident, now: _taken(incident, actor, now),
            lambda incident: f"{incident.ref} is yours. Nobody else is paged for it.",
            unchanged,
        )
        await self._store.write(lambda tx: _answered(tx, incident_id, actor, self._clock()))
        await self._until_nothing_is_sent(incident_id)
        return said

    async def still_at_it(self, incident_id: int, actor: Actor) -> str:
        """The deadline of an acknowledgement begins anew."""

        def unchanged(incident: Incident) -> str:
            if incident.state is State.TRIGGERED:
                return f"{incident.ref} is nobody's now, and is being paged for: acknowledge it first."
            return f"{incident.ref} is {incident.state}: nobody asks for it."

        def changed(incident: Incident) -> str:
            after = incident.reminds_after or incident.expires_after
            again = f" You are asked again in {in_words(after)}." if after else ""
            return f"{incident.ref} is yours.{again}"

        return await self._change(
            incident_id, lambda incident, now: deadline.still_at_it(incident, actor, now), changed, unchanged
        )

    async def _until_nothing_is_sent(self, incident_id: int) -> None:
        """Wait for pages whose sending began before nobody was to be paged any more; at most two seconds."""
        began = self._clock()
        for _ in range(int(LONGEST_WAIT / LOOK)):
            pages = await self._store.read(lambda tx: tx.pages_of(incident_id))
            sending = any(one.state is PageState.SENDING and one.purpose in SENT_AS for one in pages)
            if not sending or (self._clock() - began).total_seconds() >= LONGEST_WAIT:
                return
            await self._pause(LOOK)

    async def mitigate(self, incident_id: int, actor: Actor, why: str) -> str:
        said = await self._change(
            incident_id,
            lambda incident, now: lifecycle.mitigated(
                incident, actor, self._written(why) or f"{actor.name} says so", now
            ),
            lambda incident: f"{incident.ref} is mitigated. Resolve it when the cause is gone.",
            lambda incident: f"{incident.ref} is {incident.state} already.",
        )
        await self._until_nothing_is_sent(incident_id)
        return said

    async def resolve(self, incident_id: int, actor: Actor, why: str = "") -> str:
        def changed(incident: Incident) -> str:
            firing = (
                f" {incident.firing} of its alerts still fire: it opens again if that goes on."
                if incident.firing
                else ""
            )
            return f"{incident.ref} is resolved. The post-mortem comes into the channel.{firing}"

        said = await self._change(
            incident_id,
            lambda incident, now: lifecycle.resolved(incident, actor, self._written(why), now),
            changed,
            lambda incident: f"{incident.ref} is {incident.state} already.",
        )
        await self._until_nothing_is_sent(incident_id)
        return said

    async def note(self, incident_id: int, text: str, actor: Actor) -> str:
        if not text.strip():
            raise BadInput("A note needs words: `/incident note the database was restarted by hand`")
        return await self._change(
            incident_id,
            lambda incident, now: lifecycle.noted(incident, self._written(text), actor, now),
            lambda incident: f"Noted in the timeline of {incident.ref}.",
        )

    async def set_severity(self, incident_id: int, severity: str, actor: Actor) -> str:
        """More severe: who has it has acknowledged less, so paging begins anew, also by further routes. Less: louder media are not used any more."""
        wanted, rules, now = self._known_severity(severity), self._rules(), self._clock()

        async def work(tx: Tx) -> str:
            incident = await known(tx, incident_id)
            if incident.severity == wanted:
                return f"{incident.ref} is {wanted} already."
            alerts = await tx.alerts_of(incident_id, MOST_ALERTS)
            await tx.save(severity_changed(incident, wanted, alerts, actor, rules, now))
            return f"{incident.ref} is {wanted} now."

        return await self._store.write(work)

    async def escalate(self, incident_id: int, actor: Actor) -> str:
        """Page the next level now instead of at its time; an acknowledged incident is paged for again because somebody asks for help."""
        return await self._change(
            incident_id,
            lambda incident, now: paging.escalated_by_hand(incident, actor, now),
            lambda incident: f"The next level of {incident.ref} is being paged now.",
            lambda incident: (
                f"{incident.ref} is {incident.state}: there is nothing to escalate."
                if not incident.is_open
                else f"{incident.ref} has no escalation policy: add one to its route, or invite people to the channel by hand."
            ),
        )

    async def listing(self, only_open: bool = True) -> Sequence[Incident]:
        return await self._store.read(lambda tx: tx.list_incidents(only_open=only_open))

    async def show(self, incident_id: int) -> Shown:
        async def work(tx: Tx) -> Shown:
            incident = await known(tx, incident_id)
            return Shown(
                incident,
                await tx.alerts_of(incident_id),
                await tx.runs_of(incident_id),
                await tx.timeline(incident_id),
                await tx.pages_of(incident_id),
            )

        return await self._store.read(work)

    async def of_channel(self, channel_id: str) -> Incident | None:
        return await self._store.read(lambda tx: tx.incident_of_channel(channel_id))

    def _known_severity(self, severity: str) -> str:
        wanted = severity.strip().lower()
        if wanted not in self._rules().severities:
            raise BadInput(
                f"{severity!r} is not a severity{nearest(wanted, self._rules().severities) or '.'} There are: {', '.join(self.severities)}."
            )
        return wanted

    def _written(self, text: str) -> str:
        return clipped(self._redact(text.strip()), NOTE_LIMIT)

    async def _change(
        self,
        incident_id: int,
        decide: Callable[[Incident, datetime], Change],
        changed: Callable[[Incident], str],
        unchanged: Callable[[Incident], str] | None = None,
    ) -> str:
        """Read, decide, save; then what to tell the person. A decision without entries has changed nothing."""
        now = self._clock()

        async def work(tx: Tx) -> str:
            change = decide(await known(tx, incident_id), now)
            if not change.entries:
                return (unchanged or changed)(change.incident)
            await tx.save(change)
            return changed(change.incident)

        return await self._store.write(work)


def _taken(incident: Incident, actor: Actor, now: datetime) -> Change:
    """An acknowledgement; of what somebody has already it is a word that they are still at it."""
    if incident.state is State.ACKNOWLEDGED:
        return deadline.still_at_it(incident, actor, now)
    return lifecycle.acknowledged(incident, actor, now)


async def _answered(tx: Tx, incident_id: int, actor: Actor, now: datetime) -> None:
    """Whoever was asked for by name has answered, by whatever way: the ways that were to follow are not used."""
    mine = [
        one.model_copy(update={"answered_at": now})
        for one in await tx.pages_of(incident_id)
        if one.purpose == "summon" and one.target == f"person:{actor.id}" and one.answered_at is None
    ]
    if mine:
        await tx.save_pages(mine)


async def known(tx: Tx, incident_id: int) -> Incident:
    """The incident of that number, or BadInput in words."""
    incident = await tx.incident(incident_id)
    if incident is None:
        raise NoSuchIncident(f"There is no INC-{incident_id}. `/incident list` shows what is open.")
    return incident
