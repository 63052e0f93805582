"""The effects that show in an incident's channel: open, invite, card, topic, say. Called by the worker, one row at a time.

A handler acts first (through the Room) and returns what to record; the worker commits the record together with the row's settling,
so an act and its trace are never apart by more than one crash, and after a crash `again` makes the Room look before it acts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from bot.domain import lifecycle, ongoing
from bot.domain.alert import AlertState
from bot.domain.incident import Change, Incident, warned
from bot.domain.ports import Clock, Delivery, Room, Store, Tx
from bot.domain.run import Run
from bot.errors import GaveUp

Record = Callable[[Tx], Awaitable[None]]
Handler = Callable[[Delivery], Awaitable[Record | None]]


def payload(delivery: Delivery) -> Mapping[str, Any]:
    return delivery.effect.payload


async def incident_of(store: Store, delivery: Delivery) -> Incident:
    """The incident that a delivery is about, as it is now."""
    return await store.read(lambda tx: existing(tx, payload(delivery)["incident_id"]))


async def existing(tx: Tx, incident_id: int) -> Incident:
    incident = await tx.incident(incident_id)
    if incident is None:
        raise GaveUp(f"incident {incident_id} does not exist")
    return incident


def recording(incident_id: int, decide: Callable[[Incident], Change]) -> Record:
    """A record that applies a decision to the incident as it is at the commit; nothing is saved when it decides nothing."""

    async def record(tx: Tx) -> None:
        incident = await existing(tx, incident_id)
        change = decide(incident)
        if change.entries or change.effects or change.incident != incident:
            await tx.save(change)

    return record


class ChannelEffects:
    """Handlers for what is seen in the incident's channel. `first_message` is told the seconds from an incident's opening to its card."""

    def __init__(
        self, store: Store, room: Room, clock: Clock, first_message: Callable[[float], None] = lambda seconds: None
    ) -> None:
        self._store = store
        self._room = room
        self._clock = clock
        self._first_message = first_message

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "open_channel": self.open_channel,
            "invite": self.invite,
            "card": self.card,
            "topic": self.topic,
            "say": self.say,
            "post": self.post,
            "news": self.news,
            "remind": self.remind,
        }

    async def open_channel(self, delivery: Delivery) -> Record | None:
        incident = await incident_of(self._store, delivery)
        if incident.channel_id:
            return None
        channel_id, name = await self._room.open_channel(incident, delivery.again)
        now = self._clock()
        return recording(incident.id, lambda current: _with_channel(current, channel_id, name, now))

    async def invite(self, delivery: Delivery) -> Record | None:
        incident = await incident_of(self._store, delivery)
        if not incident.channel_id:
            return None
        reasons = await self._room.invite(incident, payload(delivery)["people"])
        if not reasons:
            return None
        text = "Could not invite " + "; ".join(reasons)
        now = self._clock()
        return recording(incident.id, lambda current: warned(current, text, now))

    async def card(self, delivery: Delivery) -> Record | None:
        number: int = payload(delivery)["incident_id"]

        async def look(tx: Tx) -> tuple[Incident, tuple[AlertState, ...], tuple[Run, ...]]:
            return await existing(tx, number), await tx.alerts_of(number), await tx.runs_of(number)

        incident, alerts, runs = await self._store.read(look)
        ts = await self._room.card(incident, alerts, runs, delivery.again)
        if ts == incident.card_ts:
            return None
        if not incident.card_ts:
            self._first_message((self._clock() - incident.opened_at).total_seconds())
        return recording(incident.id, lambda current: Change(current.model_copy(update={"card_ts": ts})))

    async def topic(self, delivery: Delivery) -> Record | None:
        incident = await incident_of(self._store, delivery)
        if incident.channel_id:
            await self._room.topic(incident)
        return None

    async def say(self, delivery: Delivery) -> Record | None:
        incident = await incident_of(self._store, delivery)
        await self._room.say(incident, payload(delivery)["text"], delivery.effect.key, delivery.again)
        return None

    async def post(self, delivery: Delivery) -> Record | None:
        incident, asked = await incident_of(self._store, delivery), payload(delivery)
        await self._room.post(incident, asked["channel"], asked["text"], delivery.effect.key, delivery.again)
        return None

    async def news(self, delivery: Delivery) -> Record | None:
        """Tell of the alerts that joined since the channel was last told, if any did."""
        number: int = payload(delivery)["incident_id"]

        async def record(tx: Tx) -> None:
            incident, now = await existing(tx, number), self._clock()
            since = incident.news_at or incident.opened_at
            joined = [entry for entry in await tx.timeline(number) if entry.kind == "alert_firing" and entry.at > since]
            if joined and incident.is_open:
                await tx.save(ongoing.news_told(incident, joined, now))

        return record

    async def remind(self, delivery: Delivery) -> Record | None:
        asked = payload(delivery)

        def decide(incident: Incident) -> Change:
            return ongoing.reminded(incident, self._clock()) if incident.epoch == asked["epoch"] else Change(incident)

        return recording(asked["incident_id"], decide)


def _with_channel(incident: Incident, channel_id: str, name: str, now: datetime) -> Change:
    return Change(incident) if incident.channel_id else lifecycle.channel_opened(incident, channel_id, name, now)
