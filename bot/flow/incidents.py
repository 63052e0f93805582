"""What people do to incidents, from Slack, the API or the command line: each function reads, decides, saves, and answers in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.domain import effects, lifecycle, paging
from bot.domain.alert import AlertState
from bot.domain.incident import Change, Incident
from bot.domain.naming import TITLE_LIMIT, clipped, nearest
from bot.domain.page import Page
from bot.domain.people import Actor
from bot.domain.ports import Clock, Redact, Store, Tx
from bot.domain.rules import CurrentRules
from bot.domain.run import Run
from bot.domain.timeline import Entry
from bot.errors import BadInput

NOTE_LIMIT = 3000


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

    What people write goes through `redact` first: it ends in the channel, in the database and in the post-mortem.
    """

    def __init__(self, store: Store, clock: Clock, rules: CurrentRules, redact: Redact) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._redact = redact

    @property
    def severities(self) -> Sequence[str]:
        return self._rules().severities

    async def declare(self, title: str, severity: str, actor: Actor, service: str = "") -> Incident:
        """Open an incident by hand. An empty severity is the default one."""
        rules, now = self._rules(), self._clock()
        title = " ".join(self._redact(title).split())
        if not title:
            raise BadInput(
                "An incident needs a title: what is broken? For example `/incident open critical checkout is down`"
            )
        severity = self._known_severity(severity or rules.signal.taxonomy.default)
        policy = rules.escalations.get(rules.default_escalation)
        policies = (policy,) if policy else ()

        async def work(tx: Tx) -> Incident:
            number = await tx.next_id("incident")
            change = lifecycle.declared(number, clipped(title, TITLE_LIMIT), severity, policies, actor, now, service)
            await tx.save(change.ask(effects.invite(number, (actor.id,), now)))
            return change.incident

        return await self._store.write(work)

    async def acknowledge(self, incident_id: int, actor: Actor) -> str:
        def unchanged(incident: Incident) -> str:
            by = f" by {incident.acknowledged_by}" if incident.acknowledged_by else ""
            return f"{incident.ref} is {incident.state} already{by}: nobody is being paged."

        return await self._change(
            incident_id,
            lambda incident, now: lifecycle.acknowledged(incident, actor, now),
            lambda incident: f"{incident.ref} is yours. Nobody else is paged for it.",
            unchanged,
        )

    async def mitigate(self, incident_id: int, actor: Actor, why: str) -> str:
        return await self._change(
            incident_id,
            lambda incident, now: lifecycle.mitigated(
                incident, actor, self._written(why) or f"{actor.name} says so", now
            ),
            lambda incident: f"{incident.ref} is mitigated. Resolve it when the cause is gone.",
            lambda incident: f"{incident.ref} is {incident.state} already.",
        )

    async def resolve(self, incident_id: int, actor: Actor, why: str = "") -> str:
        def changed(incident: Incident) -> str:
            firing = (
                f" {incident.firing} of its alerts still fire: it opens again if that goes on."
                if incident.firing
                else ""
            )
            return f"{incident.ref} is resolved. The post-mortem comes into the channel.{firing}"

        return await self._change(
            incident_id,
            lambda incident, now: lifecycle.resolved(incident, actor, self._written(why), now),
            changed,
            lambda incident: f"{incident.ref} is {incident.state} already.",
        )

    async def note(self, incident_id: int, text: str, actor: Actor) -> str:
        if not text.strip():
            raise BadInput("A note needs words: `/incident note the database was restarted by hand`")
        return await self._change(
            incident_id,
            lambda incident, now: lifecycle.noted(incident, self._written(text), actor, now),
            lambda incident: f"Noted in the timeline of {incident.ref}.",
        )

    async def set_severity(self, incident_id: int, severity: str, actor: Actor) -> str:
        wanted = self._known_severity(severity)
        return await self._change(
            incident_id,
            lambda incident, now: lifecycle.severity_set(incident, wanted, actor, now),
            lambda incident: f"{incident.ref} is {wanted} now.",
            lambda incident: f"{incident.ref} is {wanted} already.",
        )

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


async def known(tx: Tx, incident_id: int) -> Incident:
    """The incident of that number, or BadInput in words."""
    incident = await tx.incident(incident_id)
    if incident is None:
        raise NoSuchIncident(f"There is no INC-{incident_id}. `/incident list` shows what is open.")
    return incident
