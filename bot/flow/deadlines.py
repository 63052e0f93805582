"""An acknowledgement with a deadline: whoever has an incident is asked whether they are still at it, and without a word paging begins anew."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from bot.domain import alerted, contact, deadline, oncall_effects, paging
from bot.domain.contact import SLACK
from bot.domain.effects import Effect, Priority
from bot.domain.incident import Incident, State
from bot.domain.links import Links
from bot.domain.people import Directory
from bot.domain.ports import Clock, Delivery, Tx
from bot.domain.rules import CurrentRules
from bot.flow.delivery import Handler, Record, existing, payload
from bot.flow.roster import Rosters


class Deadlines:
    """The handler for `still_at_it`."""

    def __init__(self, clock: Clock, rules: CurrentRules, rosters: Rosters, links: Links) -> None:
        self._clock = clock
        self._rules = rules
        self._rosters = rosters
        self._links = links

    def handlers(self) -> Mapping[str, Handler]:
        return {"still_at_it": self.still_at_it}

    async def still_at_it(self, delivery: Delivery) -> Record | None:
        """No outside act. Nothing when somebody has said since that they are at it, or when it is not just acknowledged any more."""
        asked = payload(delivery)

        async def record(tx: Tx) -> None:
            incident, now = await existing(tx, asked["incident_id"]), self._clock()
            since = incident.still_at.isoformat() if incident.still_at else ""
            here = incident.state is State.ACKNOWLEDGED and incident.epoch == asked["epoch"]
            if not here or datetime.fromisoformat(asked["acknowledged_at"]).isoformat() != since:
                return
            if asked["stage"] == "expire":
                await tx.save(paging.unacknowledged(incident, now))
                return
            directory = await self._rosters.directory(tx, self._rules(), now)
            change = deadline.reached(incident, now)
            await tx.save(change.ask(*self._asked(change.incident, change.entries[-1].text, directory, now)))

        return record

    def _asked(self, incident: Incident, text: str, directory: Directory, now: datetime) -> list[Effect]:
        """A message to whoever has it, by what reaches them at once; in the channel it stands anyway."""
        holder = incident.holder
        if holder in directory.people:
            person, target = directory.people[holder], f"person:{holder}"
            rules = person.notify.get(incident.severity, person.notify.get("", ()))
            steps = contact.plan(person.ways, rules, incident.media, directory.media).steps
            ways = [(step.method.medium, step.method.address) for step in steps if not step.after]
        elif holder.startswith("slack:"):
            target, ways = holder, [(SLACK, holder.removeprefix("slack:"))]
        else:
            return []
        notice = alerted.reminder(incident, text, target, now, self._links)
        return [
            oncall_effects.notify(notice, target, medium, address, now, Priority.CHANNEL) for medium, address in ways
        ]
