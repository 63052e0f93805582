"""What a delivery goes through once its sender is known: parse, redact, hand over to flow, answer. Called by entry/webhooks and entry/mail.

Alerts first, then changes, then acknowledgements (of incidents that the alerts may have opened). Each is idempotent, so after a failure at any of
them the sender can send the whole again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog

from bot.domain.alert import Alert, OnceOnly
from bot.domain.incoming import Acknowledged, ChangeEvent, Incoming, Parsed
from bot.domain.passing import Verdict
from bot.domain.ports import Clock, Parse
from bot.domain.redaction import Redactor
from bot.entry.auth import Auth
from bot.entry.auth_sns import Fetch, of_sns
from bot.entry.metrics import Metrics
from bot.errors import BadInput, Replayed, TryLater

Accept = Callable[[Sequence[Alert], OnceOnly | None], Awaitable[list[Verdict]]]
Acknowledge = Callable[[str, Sequence[Acknowledged]], Awaitable[int]]
"""(source, what was acknowledged there) -> how many incidents are acknowledged by it now."""
KeepChanges = Callable[[Sequence[ChangeEvent]], Awaitable[int]]
"""Remembers changes; how many of them."""
BREATH = 200  # alerts redacted before others get a turn
LARGE = 16 * 1024  # bytes of a body

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """One configured source: its name in the address, its format's `parse` with `params`, who may send, and by which methods."""

    name: str
    parse: Parse
    params: Any
    auth: Auth
    methods: tuple[str, ...] = ("POST",)


@dataclass(frozen=True, slots=True)
class Sinks:
    """Where deliveries go. Without `acknowledge` or `keep_changes`, what is for them is not taken, and the answer says so (0).

    `confirm` fetches the address that makes a subscription of Amazon SNS good.
    """

    accept: Accept
    acknowledge: Acknowledge | None = None
    keep_changes: KeepChanges | None = None
    confirm: Fetch | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer, as JSON and with the status that HTTP has for it. From 400: nothing was kept, and `body` has `error`."""

    status: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The one way in for deliveries, whatever brought them."""

    sinks: Sinks
    redact: Redactor
    clock: Clock
    metrics: Metrics

    async def taken(self, entry: SourceEntry, incoming: Incoming, once: OnceOnly | None = None) -> Outcome:
        """What became of a delivery, after the commit. Raises BadInput, Replayed, Overloaded and TryLater."""
        parsed = await self._parsed(entry, incoming)
        bad = [{"index": index, "reason": self.redact(reason)} for index, reason in parsed.bad]
        if bad:
            self.metrics.alerts_received(entry.name, "bad", len(bad))
            log.warning("alerts that could not be read", source=entry.name, count=len(bad), first=bad[0]["reason"])
        if bad and not (parsed.alerts or parsed.changes or parsed.acknowledged):
            error = f"none of the alerts could be read: {bad[0]['reason']}"
            return Outcome(400, {"error": error, "hint": "`bad` has a reason for each", "bad": bad})
        alerts = await self._redacted(parsed)
        try:
            verdicts = await self.sinks.accept(alerts, once) if alerts else []
        except Replayed:
            # Sent again because what follows the alerts failed then: that is made up for before the sender is told.
            await self._beside(entry, parsed)
            raise
        for verdict in verdicts:
            self.metrics.alerts_received(entry.name, verdict.outcome)
        changes, acknowledged = await self._beside(entry, parsed)
        if parsed.confirm:
            await self._confirmed(entry, parsed.confirm)
        if parsed.reply is not None and not bad:
            return Outcome(parsed.status, parsed.reply)
        told = [_told(alert, verdict) for alert, verdict in zip(alerts, verdicts, strict=True)]
        counted = {"accepted": len(told), "acknowledged": acknowledged, "changes": changes}
        return Outcome(200, {**counted, "alerts": told, "bad": bad})

    async def _parsed(self, entry: SourceEntry, incoming: Incoming) -> Parsed:
        """A large body is parsed in a thread of its own, so that whatever is in it, nobody else waits for it."""
        work = partial(entry.parse, incoming, entry.name, entry.params, self.clock())
        try:
            return await asyncio.to_thread(work) if len(incoming.body) > LARGE else work()
        except BadInput as error:
            raise BadInput(self.redact(str(error))) from error

    async def _beside(self, entry: SourceEntry, parsed: Parsed) -> tuple[int, int]:
        """(changes kept, incidents acknowledged)."""
        changes = acknowledged = 0
        if parsed.changes and self.sinks.keep_changes:
            changes = await self.sinks.keep_changes([self._change(one) for one in parsed.changes])
        if parsed.acknowledged and self.sinks.acknowledge:
            people = [replace(one, by=self.redact(one.by)) for one in parsed.acknowledged]
            acknowledged = await self.sinks.acknowledge(entry.name, people)
        return changes, acknowledged

    async def _confirmed(self, entry: SourceEntry, address: str) -> None:
        """A subscription is good once its address was fetched; until then the sender has to try again."""
        if not of_sns(address):
            raise BadInput(
                "SubscribeURL is not an address of Amazon SNS; only https://sns.<region>.amazonaws.com is asked"
            )
        if self.sinks.confirm is None:
            raise TryLater("subscriptions are not confirmed here")
        try:
            await self.sinks.confirm(address)
        except BadInput as error:
            raise TryLater(f"the subscription could not be confirmed: {error}") from error
        log.info("subscription confirmed", source=entry.name)

    async def _redacted(self, parsed: Parsed) -> list[Alert]:
        """The alerts without secrets."""
        alerts: list[Alert] = []
        for number, alert in enumerate(parsed.alerts, start=1):
            alerts.append(self.redact.alert(alert))
            if number % BREATH == 0:
                await asyncio.sleep(0)
        return alerts

    def _change(self, change: ChangeEvent) -> ChangeEvent:
        """The change without secrets."""
        return replace(
            change,
            title=self.redact(change.title),
            state=self.redact(change.state),
            service=self.redact(change.service),
            environment=self.redact(change.environment),
            author=self.redact(change.author),
            url=self.redact(change.url),
            labels=self.redact.labels(change.labels),
        )


def _told(alert: Alert, verdict: Verdict) -> dict[str, Any]:
    return {
        "fingerprint": alert.fingerprint,
        "outcome": verdict.outcome,
        "incident": f"INC-{verdict.incident_id}" if verdict.incident_id is not None else None,
        "reason": verdict.reason,
    }
