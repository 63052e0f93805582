"""Slack's Web API through one door: paced, bounded in time, and every failure one of TryLater, GaveUp or SlackError.

Used by bot.room for everything that people see and by bot.entry.slack for modals and replies. Tokens and texts are never logged.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import structlog
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.clients import retry_after
from bot.clients.pace import POST, Pace
from bot.domain.effects import Priority
from bot.errors import GaveUp, TryLater

log = structlog.get_logger(__name__)

# https://docs.slack.dev/reference/methods: errors that pass. After these the act may have taken place all the same.
MAYBE_DONE = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})
PASSING = MAYBE_DONE | {"ratelimited", "rate_limited", "message_limit_exceeded", "team_added_to_org", "accesslimited"}
# The token is refused. It may be rotated while we run, so pages wait for it instead of dying.
TOKEN = frozenset(
    {"invalid_auth", "account_inactive", "token_revoked", "token_expired", "not_authed", "org_login_required"}
)
# The workspace lacks or forbids the method: a feature less, shown by `tocsin doctor`.
REFUSED = frozenset(
    {
        "unknown_method",
        "missing_scope",
        "not_allowed_token_type",
        "no_permission",
        "restricted_action",
        "team_access_not_granted",
        "ekm_access_denied",
        "enterprise_is_restricted",
        "method_deprecated",
        "deprecated_endpoint",
    }
)
TOKEN_DELAY = 60.0
LIMITED_DELAY = 30.0  # a 429 without Retry-After
PAGE_SIZE = 999  # Slack refuses 1000
MOST_PAGES = 18  # under the 20 calls a minute of conversations.list


class SlackError(GaveUp):
    """Slack said `ok: false` for good. `error` is Slack's word for it, `answer` the whole answer."""

    def __init__(self, method: str, error: str, answer: Mapping[str, Any]) -> None:
        needed = f" (it needs the scope {answer['needed']})" if answer.get("needed") else ""
        super().__init__(f"Slack refused {method}: {error}{needed}")
        self.method = method
        self.error = error
        self.answer = answer


class Transport(Protocol):
    """The part of AsyncWebClient that is used."""

    async def api_call(self, api_method: str, *, data: dict[str, Any]) -> Any: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the token belongs to, from auth.test. `scopes` is empty when Slack did not say them."""

    user_id: str
    bot_id: str
    team: str
    name: str = ""
    scopes: tuple[str, ...] = ()


Observe = Callable[[str, str, float], None]


class SlackGateway:
    """All calls to one workspace. `pace` multiplies Slack's limits; `observe(method, outcome, seconds)` gets every call.

    `degraded` tells which methods the workspace refuses, and why; it is forgotten when the method works again.
    """

    def __init__(
        self,
        token: str,
        *,
        base_url: str = "https://slack.com/api/",
        timeout: float = 10.0,
        pace: float = 1.0,
        observe: Observe | None = None,
        transport: Transport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.degraded: dict[str, str] = {}
        self.base_url = base_url
        self._token = token
        self._timeout = timeout
        self._pace = Pace(pace, clock, sleep)
        self._observe = observe
        self._transport = transport
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._identity: Identity | None = None

    async def call(
        self, method: str, *, channel: str | None = None, priority: int = Priority.CARD, **args: Any
    ) -> dict[str, Any]:
        """Call a method; arguments that are None are left out. Returns Slack's answer when it is `ok`."""
        answer, _ = await self._call(method, channel, priority, args)
        return answer

    async def _call(
        self, method: str, channel: str | None, priority: int, args: Mapping[str, Any]
    ) -> tuple[dict[str, Any], Mapping[str, str]]:
        """The answer and its headers."""
        given = {"channel": channel, **args}
        data = {name: _encoded(value) for name, value in given.items() if value is not None}
        await self._pace.turn(method, channel or "", priority)
        started = self._clock()
        outcome = "cancelled"
        try:
            answer, headers = await self._send(method, channel or "", data)
            outcome = "ok"
        except (SlackError, TryLater) as failure:
            outcome = _outcome(failure)
            raise
        finally:
            if self._observe is not None:
                self._observe(method, outcome, self._clock() - started)
        if self.degraded.pop(method, None):
            log.warning("slack: a method works again", method=method)
        return answer, headers

    async def pages(
        self, method: str, key: str, *, limit: int = PAGE_SIZE, **args: Any
    ) -> AsyncIterator[dict[str, Any]]:
        """The items of a paged method, over a bounded number of pages of `limit` items."""
        cursor = ""
        for _ in range(MOST_PAGES):
            answer = await self.call(method, limit=min(limit, PAGE_SIZE), cursor=cursor or None, **args)
            for item in answer.get(key) or ():
                yield item
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return

    async def identity(self) -> Identity:
        """Who we are, asked once."""
        if self._identity is None:
            answer, headers = await self._call("auth.test", None, Priority.PAGE, {})
            said = {name: str(answer.get(name) or "") for name in ("user_id", "bot_id", "team")}
            scopes = tuple(scope.strip() for scope in _header(headers, "x-oauth-scopes").split(",") if scope.strip())
            self._identity = Identity(**said, name=str(answer.get("user") or ""), scopes=scopes)
        return self._identity

    async def upload(self, url: str, content: bytes) -> None:
        """Send the bytes of a file to the address from files.getUploadURLExternal. Nobody sees them until the upload is completed."""
        try:
            async with self._http().post(url, data=content) as answer:
                status = answer.status
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise TryLater(f"slack: upload: {type(error).__name__}") from None
        if status != 200:
            raise TryLater(f"slack: upload answered HTTP {status}")

    async def respond(self, url: str, message: Mapping[str, Any]) -> None:
        """Answer a click or a command through its response_url. TryLater when it cannot be reached, SlackError when it is used up."""
        try:
            async with self._http().post(url, json=dict(message)) as answer:
                status = answer.status
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise TryLater(f"slack: response_url: {type(error).__name__}", uncertain=True) from None
        if status != 200:
            raise SlackError("response_url", f"http_{status}", {})

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _send(self, method: str, channel: str, data: dict[str, Any]) -> tuple[dict[str, Any], Mapping[str, str]]:
        """One request; Slack's answer when it is `ok`, and its headers."""
        transport = self._transport or self._client()
        try:
            response = await transport.api_call(method, data=data)
        except SlackApiError as refusal:
            raise self._failure(method, channel, refusal) from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise TryLater(f"slack: {method}: cannot connect ({type(error).__name__})") from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise TryLater(f"slack: {method}: no answer ({type(error).__name__})", uncertain=True) from None
        except (AttributeError, ValueError) as error:  # the SDK, when the answer is not Slack's at all
            raise TryLater(f"slack: {method}: unreadable answer ({type(error).__name__})", uncertain=True) from None
        answer = response.data
        if not isinstance(answer, dict):
            raise TryLater(f"slack: {method}: unreadable answer", uncertain=True)
        return answer, getattr(response, "headers", None) or {}

    def _failure(self, method: str, channel: str, refusal: SlackApiError) -> SlackError | TryLater:
        """What an unsuccessful answer means."""
        response = refusal.response
        status = int(getattr(response, "status_code", 0) or getattr(response, "status", 0) or 0)
        body = getattr(response, "data", None)
        answer: Mapping[str, Any] = body if isinstance(body, dict) else {}
        error = str(answer.get("error") or "")
        wait = _retry_after(getattr(response, "headers", None))
        if status == 429 or error in ("ratelimited", "rate_limited"):
            seconds = LIMITED_DELAY if wait is None else wait
            self._pace.hold(method, channel if method == POST else "", seconds)
            return TryLater(f"slack: {method} was rate limited (429)", delay=seconds)
        if status >= 500 or not error:
            return TryLater(
                f"slack: {method} answered HTTP {status}", delay=wait, uncertain=status >= 500 or status == 200
            )
        if error in TOKEN:
            log.critical(
                "slack refuses the bot token: nothing goes out until it is replaced", method=method, error=error
            )
            return TryLater(f"slack: {method}: the bot token is refused ({error})", delay=TOKEN_DELAY)
        if error in PASSING:
            delay = TOKEN_DELAY if error == "team_added_to_org" else wait
            return TryLater(f"slack: {method}: {error}", delay=delay, uncertain=error in MAYBE_DONE)
        failure = SlackError(method, error, answer)
        if error in REFUSED:
            self._refused(method, failure)
        return failure

    def _refused(self, method: str, failure: SlackError) -> None:
        if method not in self.degraded:
            log.warning(
                "slack refuses a method: what needs it is off until that changes", method=method, why=str(failure)
            )
        self.degraded[method] = str(failure)

    def _client(self) -> AsyncWebClient:
        quiet = logging.getLogger("slack_sdk.quiet")  # the SDK's debug lines hold message texts
        quiet.setLevel(logging.WARNING)
        seconds = max(1, round(self._timeout))
        client = AsyncWebClient(
            self._token, self.base_url, seconds, session=self._http(), logger=quiet, retry_handlers=[]
        )
        self._transport = client
        return client

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            limit = aiohttp.ClientTimeout(total=self._timeout, sock_connect=min(5.0, self._timeout))
            self._session = aiohttp.ClientSession(timeout=limit, cookie_jar=aiohttp.DummyCookieJar())
        return self._session


def _outcome(failure: SlackError | TryLater) -> str:
    """For metrics: Slack's word for what stays, `later` or `uncertain` for what passes."""
    if isinstance(failure, SlackError):
        return failure.error
    return "uncertain" if failure.uncertain else "later"


def _encoded(value: Any) -> Any:
    """As a form field, which every method takes: nested values as JSON, booleans as words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple):
        return json.dumps(value)
    return value if isinstance(value, str) else str(value)


def _retry_after(headers: Mapping[str, str] | None) -> float | None:
    """Seconds from a Retry-After header, None without a usable one."""
    return retry_after.seconds(_header(headers or {}, "retry-after"))


def _header(headers: Mapping[str, str], wanted: str) -> str:
    return next((str(value) for name, value in headers.items() if str(name).lower() == wanted), "")
