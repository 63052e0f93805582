"""What a sender is told when something is wrong: one JSON shape for every refusal, never a stack trace. Used by every HTTP route in entry.

{"error": "what is wrong and where", "hint": "what to do about it"}
"""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bot.errors import BadInput, Overloaded, Replayed, TryLater

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
NOWHERE = "there are /webhooks/<source> (POST), /api/v1/incidents, /api/v1/oncall, /api/v1/silences, /api/v2/silences, /healthz and /readyz"
RETRY_AFTER = 5  # seconds, when the failure does not say

log = structlog.get_logger(__name__)


class Refused(Exception):
    """A request that is answered with `status` (4xx or 5xx), and why."""

    def __init__(self, status: int, error: str, hint: str = "", headers: Mapping[str, str] | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.hint = hint
        self.headers = dict(headers or {})


def answer(refused: Refused, **more: Any) -> web.Response:
    body = {"error": refused.error, "hint": refused.hint, **more}
    return web.json_response(body, status=refused.status, headers=refused.headers)


def told(handler: Handler) -> Handler:
    """The handler with every failure turned into an answer. What nobody foresaw is logged with an id, and only the id is told."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as response:
            if response.status < 400:
                raise
            headers = {"Allow": response.headers["Allow"]} if "Allow" in response.headers else {}
            hint = NOWHERE if response.status == 404 else ""
            return answer(Refused(response.status, response.reason, hint, headers))
        except Exception as error:
            return _answered(request, error)

    return guarded


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """`told` for a whole application: unknown paths and methods are answered in the same shape."""
    return await told(handler)(request)


def refusal(error: Exception) -> Refused | None:
    """The refusal that one of the program's own failures means; None for a bug."""
    match error:
        case Refused():
            return error
        case Replayed():
            return Refused(409, str(error), "a new request needs a new timestamp and signature")
        case BadInput():
            return Refused(400, str(error), "correct it and send it again; sent again as it is, it is refused again")
        case Overloaded():
            return _later(str(error), error.retry_after)
        case TryLater():
            return _later("something that is needed for this does not answer now; nothing was stored", error.delay)
        case _:
            return None


def _answered(request: web.Request, error: Exception) -> web.Response:
    refused = refusal(error)
    if refused is not None:
        if not isinstance(error, (Refused, BadInput)):
            log.warning("asked the sender to come again", path=_place(request), reason=str(error))
        return answer(refused)
    number = secrets.token_hex(4)
    log.error("request failed", id=number, method=request.method, path=_place(request), exc_info=error)
    return answer(
        Refused(500, f"an error inside Tocsin ({number})", f"its log has the details under id {number}"), id=number
    )


def _place(request: web.Request) -> str:
    """The path as it may be logged: what follows a webhook's name may be a token."""
    return "/".join(request.path.split("/", 3)[:3]) if "tail" in request.match_info else request.path


def _later(error: str, delay: float | None) -> Refused:
    seconds = max(1, math.ceil(RETRY_AFTER if delay is None else delay))
    return Refused(503, error, f"send it again in {seconds} s", {"Retry-After": str(seconds)})


def worth_a_trace(record: logging.LogRecord) -> bool:
    """For the HTTP server's own log: not what a sender did to the encoding of a body that was refused unread, else strangers could fill the log."""
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError):  # it quotes the request, with the token in its address or its headers
        record.msg = f"{record.msg}: what it sent is no HTTP ({type(error).__name__})"
        record.exc_info = record.exc_text = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return not isinstance(error, web.RequestPayloadError)
