"""Where alerts come in: `/webhooks/{source}`, by POST unless the source says otherwise. Authenticates, bounds, and hands over to entry/arrivals.

Nothing is answered with 2xx before the flows have returned, that is, before the commit; whatever is refused left no trace.
"""

from __future__ import annotations

import asyncio
import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from time import monotonic

import structlog
from aiohttp import web

from bot.domain.incoming import Incoming
from bot.entry import problems
from bot.entry.arrivals import Arrivals, SourceEntry
from bot.entry.auth import lowered
from bot.entry.problems import Refused

MAX_BODY = 5 * 1024 * 1024
LONGEST_PATH = 2_000
LONGEST_QUERY = 2_000
MOST_PARAMETERS = 64
MOST_FORM_FIELDS = 1_000
FORM = "application/x-www-form-urlencoded"
UNSEEN = ("authorization", "proxy-authorization", "cookie")  # no source's business
ENCODINGS = ("", "identity", "gzip", "deflate")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The routes and what they need. `max_body` in bytes, after decompression; a sender has `read_seconds` to send its body."""

    sources: Mapping[str, SourceEntry]
    arrivals: Arrivals
    max_body: int = MAX_BODY
    read_seconds: float = 10.0

    def routes(self) -> list[web.RouteDef]:
        return [
            web.route("*", "/webhooks/{source}", self._timed),
            web.route("*", "/webhooks/{source}/{tail:.*}", self._timed),
        ]

    async def _timed(self, request: web.Request) -> web.StreamResponse:
        started = monotonic()
        response = await problems.told(self._receive)(request)
        name = request.match_info["source"]
        source = name if name in self.sources else "unknown"  # a label's values must be bounded
        self.arrivals.metrics.webhook_answered(source, response.status, monotonic() - started)
        if response.status >= 400:
            log.warning("webhook refused", source=source, status=response.status, remote=request.remote)
        return response

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        """The order matters: a stranger learns which sources there are, and nothing of his is read."""
        clock = self.arrivals.clock
        asked = _head(request)
        entry = self._entry(request)
        admitted = entry.auth.admit(asked, clock())
        body = await _body(request, self.max_body, self.read_seconds)
        incoming = replace(admitted, body=body)
        once = await entry.auth.check(incoming, clock())
        _bound_form(incoming)
        seen = {name: value for name, value in incoming.headers.items() if name not in UNSEEN}
        outcome = await self.arrivals.taken(entry, replace(incoming, headers=seen), once)
        text = json.dumps(outcome.body, ensure_ascii=False)
        return web.Response(status=outcome.status, text=text, content_type="application/json")

    def _entry(self, request: web.Request) -> SourceEntry:
        name = request.match_info["source"]
        entry = self.sources.get(name)
        if entry is None:
            near = difflib.get_close_matches(name, self.sources, 1)
            meant = f"did you mean /webhooks/{near[0]}?" if near else "sources are named in tocsin.yaml"
            raise Refused(404, "there is no source of this name", meant)
        if not entry.methods:
            raise Refused(404, "this source takes e-mail, not requests", "send to <source>+<token>@… at server.smtp")
        if request.method not in entry.methods:
            allowed = ", ".join(entry.methods)
            hint = f"send a {' or '.join(entry.methods)}"
            raise Refused(405, f"{request.method} is not for webhooks", hint, {"Allow": allowed})
        return entry


def _head(request: web.Request) -> Incoming:
    """The request without its body."""
    tail, query = request.match_info.get("tail", ""), request.rel_url.raw_query_string
    if len(request.rel_url.raw_path) > LONGEST_PATH or len(query) > LONGEST_QUERY:
        raise Refused(414, "the address is too long", f"at most {LONGEST_PATH} characters, and as many behind the `?`")
    if query.count("&") + query.count(";") >= MOST_PARAMETERS:
        raise Refused(414, f"the address has more than {MOST_PARAMETERS} parameters", "put them into the body")
    first = {_plain(name): _plain(request.query[name]) for name in request.query}  # of one that comes twice, the first
    return Incoming(b"", lowered(request.headers), _plain(tail).strip("/"), first, request.method)


def _plain(text: str) -> str:
    """Without what a database has no place for."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


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


def _bound_form(incoming: Incoming) -> None:
    """A form has few fields. JSON that is called a form (as curl does by itself) is JSON all the same."""
    if not incoming.headers.get("content-type", "").lower().startswith(FORM):
        return
    if incoming.body.lstrip()[:1] not in (b"{", b"[") and incoming.body.count(b"&") >= MOST_FORM_FIELDS:
        raise Refused(413, f"the form has more than {MOST_FORM_FIELDS} fields", "send fewer")


def _too_large(most: int) -> Refused:
    return Refused(
        413,
        f"the body is larger than {most} bytes",
        "send fewer alerts at once (max_alerts), or raise server.max_body_bytes",
    )
