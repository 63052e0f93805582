"""Context: all gatherers side by side, each with its own deadline; a late or failed one says why and holds up nobody."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bot.domain import effects, lifecycle
from bot.domain.alert import AlertState
from bot.domain.context import Context, Finding
from bot.domain.incident import Incident
from bot.domain.ports import Clock, Delivery, Gatherer, Redact, Room, Store, Tx
from bot.errors import BadInput, GaveUp, TryLater
from bot.flow.delivery import Handler, Record, incident_of, payload


class ContextEffects:
    """Handlers for `gather` and `show_context`. `gatherers`: by name, as the configuration turned them on."""

    def __init__(
        self, store: Store, room: Room, clock: Clock, gatherers: Mapping[str, Gatherer], redact: Redact
    ) -> None:
        self._store = store
        self._room = room
        self._clock = clock
        self._gatherers = gatherers
        self._redact = redact

    def handlers(self) -> Mapping[str, Handler]:
        return {"gather": self.gather, "show_context": self.show_context}

    async def gather(self, delivery: Delivery) -> Record | None:
        incident = await incident_of(self._store, delivery)
        epoch: int = payload(delivery)["epoch"]
        alerts = await self._store.read(lambda tx: tx.alerts_of(incident.id))
        if not self._gatherers or not alerts:
            return lambda tx: tx.ask([effects.offer(incident.id, epoch, self._clock())])
        now = self._clock()
        found = await asyncio.gather(
            *(self._one(name, gatherer, incident, alerts, now) for name, gatherer in self._gatherers.items())
        )
        findings = tuple(self._clean(finding) for several in found for finding in several)
        context = Context(incident_id=incident.id, epoch=epoch, gathered_at=self._clock(), findings=findings)

        async def record(tx: Tx) -> None:
            current = await tx.incident(incident.id)
            if current is None or await tx.context(incident.id, epoch) is not None:
                return
            await tx.save_context(context)
            change = lifecycle.context_gathered(current, _described(findings), context.gathered_at)
            await tx.save(change.ask(effects.show_context(incident.id, epoch, context.gathered_at)))

        return record

    async def _one(
        self, name: str, gatherer: Gatherer, incident: Incident, alerts: Sequence[AlertState], now: datetime
    ) -> list[Finding]:
        """What one gatherer found within its deadline, or why it did not. Its failure is a finding, whatever it was."""
        try:
            async with asyncio.timeout(gatherer.deadline):
                return await gatherer.gather(incident, alerts, now)
        except TimeoutError:
            missing = f"it took longer than {gatherer.deadline:g} s"
        except (BadInput, TryLater, GaveUp) as error:
            missing = str(error)
        except Exception as error:
            missing = f"the gatherer failed ({type(error).__name__})"
        return [Finding(gatherer=name, title=gatherer.title, missing=missing)]

    def _clean(self, finding: Finding) -> Finding:
        """Redacted once more on its only way into the store, whatever the gatherer did itself (P6)."""
        picture = base64.b64encode(finding.picture) if finding.picture else None
        return Finding(
            gatherer=finding.gatherer,
            title=self._redact(finding.title),
            lines=tuple(self._redact(line) for line in finding.lines),
            code=finding.code,
            source=self._redact(finding.source),
            url=self._redact(finding.url),
            picture=picture,
            missing=self._redact(finding.missing),
        )

    async def show_context(self, delivery: Delivery) -> Record | None:
        incident = await incident_of(self._store, delivery)
        context = await self._store.read(lambda tx: tx.context(incident.id, payload(delivery)["epoch"]))
        if context is None:
            return None
        ts = await self._room.show_context(incident, context, delivery.again)

        async def record(tx: Tx) -> None:
            await tx.save_context(context.model_copy(update={"message_ts": ts}))
            await tx.ask([effects.offer(incident.id, context.epoch, self._clock())])

        return record


def _described(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Findings for the timeline: text only, bounded, so that the post-mortem needs nothing but the timeline."""
    return [
        {
            "title": one.title,
            "lines": list(one.lines[:20]),
            "missing": one.missing,
            "source": one.source,
            "code": one.code,
        }
        for one in findings
    ]
