"""Where alerts come in: `POST /webhooks/{source}`. Authenticates, bounds, parses, redacts, and hands over to flow/intake's `accept`.

Nothing is answered with 2xx before `accept` has returned, that is, before the commit; whatever is refused left no trace.
"""

from __future__ import annotations

import asyncio
import difflib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import structlog
from aiohttp import web

from bot.domain.alert import Alert, OnceOnly
from bot.domain.incoming import Incoming, Parsed
from bot.domain.ports import Clock, Parse
from bot.domain.redaction import Redactor
from bot.domain.triage import Verdict
from bot.entry import problems
from bot.entry.auth import Auth
from bot.entry.metrics import Metrics
from bot.entry.problems import Refused

Accept = Callable[[Sequence[Alert], OnceOnly | None], Awaitable[list[Verdict]]]
MAX_BODY = 5 * 1024 * 1024
ENCODINGS = ("", "identity", "gzip", "deflate")
BREATH = 200  # alerts redacted before others get a turn

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """One configured source: its name in the address, its format's `parse` with `params`, and who may send."""

    name: str
    parse: Parse
    params: Any
    auth: Auth


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The routes and what they need. `max_body` in bytes, after decompression; a sender has `read_seconds` to send its body."""

    sources: Mapping[str, SourceEntry]
    accept: Accept
    redact: Redactor
    clock: Clock
    metrics: Metrics
    max_body: int = MAX_BODY
    read_seconds: float = 10.0

    def routes(self) -> list[web.RouteDef]:
        return [web.route("*", "/webhooks/{source}", self._timed)]

    async def _timed(self, request: web.Request) -> web.StreamResponse:
        started = monotonic()
        response = await problems.told(self._receive)(request)
        name = request.match_info["source"]
        source = name if name in self.sources else "unknown"  # a label's values must be bounded
        self.metrics.webhook_answered(source, response.status, monotonic() - started)
        if response.status >= 400:
            log.warning("webhook refused", source=source, status=response.status, remote=request.remote)
        return response

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        entry = self._entry(request)
        entry.auth.admit(request.headers, self.clock())
        body = await _body(request, self.max_body, self.read_seconds)
        return await self._accepted(entry, body, entry.auth.check(request.headers, body, self.clock()))

    def _entry(self, request: web.Request) -> SourceEntry:
        name = request.match_info["source"]
        entry = self.sources.get(name)
        if entry is None:
            near = difflib.get_close_matches(name, self.sources, 1)
            meant = f"did you mean /webhooks/{near[0]}?" if near else "sources are named in tocsin.yaml"
            raise Refused(404, "there is no source of this name", meant)
        if request.method != "POST":
            raise Refused(405, f"{request.method} is not for webhooks", "send a POST", {"Allow": "POST"})
        return entry

    async def _accepted(self, entry: SourceEntry, body: bytes, once: OnceOnly | None) -> web.Response:
        parsed = entry.parse(Incoming(body), entry.name, entry.params, self.clock())
        bad = [{"index": index, "reason": self.redact(reason)} for index, reason in parsed.bad]
        if bad:
            self.metrics.alerts_received(entry.name, "bad", len(bad))
            log.warning("alerts that could not be read", source=entry.name, count=len(bad), first=bad[0]["reason"])
        if bad and not parsed.alerts:
            refused = Refused(
                400, f"none of the alerts could be read: {bad[0]['reason']}", "`bad` has a reason for each"
            )
            return problems.answer(refused, bad=bad)
        alerts = await self._redacted(parsed)
        verdicts = await self.accept(alerts, once) if alerts else []
        for verdict in verdicts:
            self.metrics.alerts_received(entry.name, verdict.outcome)
        told = [_told(alert, verdict) for alert, verdict in zip(alerts, verdicts, strict=True)]
        text = json.dumps({"accepted": len(told), "alerts": told, "bad": bad}, ensure_ascii=False)
        return web.Response(text=text, content_type="application/json")

    async def _redacted(self, parsed: Parsed) -> list[Alert]:
        """The alerts without secrets."""
        alerts: list[Alert] = []
        for number, alert in enumerate(parsed.alerts, start=1):
            labels, annotations = self.redact.labels(alert.labels), self.redact.labels(alert.annotations)
            alerts.append(replace(alert, labels=labels, annotations=annotations, url=self.redact(alert.url)))
            if number % BREATH == 0:
                await asyncio.sleep(0)
        return alerts


def _told(alert: Alert, verdict: Verdict) -> dict[str, Any]:
    return {
        "fingerprint": alert.fingerprint,
        "outcome": verdict.outcome,
        "incident": f"INC-{verdict.incident_id}" if verdict.incident_id is not None else None,
        "reason": verdict.reason,
    }


async def _body(request: web.Request, most: int, seconds: float) -> bytes:
    """The body without its Content-Encoding, counted while it arrives: neither a long one nor a bomb is ever held whole."""
    encoding = request.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ENCODINGS:
        raise Refused(415, "the Content-Encoding is not supported", "send the body plain or with gzip")
    if request.content_length is not None and request.content_length > most:
        raise _too_large(most)
    chunks, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > most:
                    raise _too_large(most)
                chunks.append(chunk)
    except TimeoutError as error:
        raise Refused(
            408, f"the body did not arrive within {seconds:g} s", "send it again", {"Connection": "close"}
        ) from error
    except (web.RequestPayloadError, ConnectionError) as error:
        raise Refused(
            400, "the body is broken off or not encoded as its headers say", "send it again, plain or with gzip"
        ) from error
    return b"".join(chunks)


def _too_large(most: int) -> Refused:
    return Refused(
        413, f"the body is larger than {most} bytes", "send fewer alerts at once (max_alerts), or raise server.max_body"
    )
