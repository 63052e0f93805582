"""Deliveries to the app: events (with redelivery), commands and interactions, over Socket Mode or signed HTTP."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp

from bot.practice.workspace.background import Background
from bot.practice.workspace.calls import Json
from bot.practice.workspace.faults import Faults
from bot.practice.workspace.sockets import NotAcknowledged, Sockets
from bot.practice.workspace.state import APP_ID, BOT_USER, TEAM_ID, State

VERIFICATION_TOKEN = "practice-verification-token"  # noqa: S105  (Slack's own, long deprecated; nothing checks it)
LOGGED_DELIVERIES = 20_000
SUBSCRIBED = (
    "message",
    "app_mention",
    "reaction_added",
    "reaction_removed",
    "member_joined_channel",
    "channel_created",
    "channel_rename",
    "channel_archive",
)


@dataclass
class DeliverySettings:
    """How the app is reached. `retry_delays` are Slack's: at once, after a minute, after five."""

    mode: str = "socket"
    request_url: str = ""
    signing_secret: str = "practice-signing-secret"  # noqa: S105  (of a practice workspace)
    ack_seconds: float = 3.0
    retry_delays: tuple[float, ...] = (0.05, 60.0, 300.0)
    subscribed: list[str] = field(default_factory=lambda: list(SUBSCRIBED))
    sign_now: Callable[[], float] | None = None  # the clock of signatures, when it is not the workspace's


@dataclass(frozen=True)
class Reply:
    """What the app made of a command or an interaction."""

    ok: bool
    body: Any = None
    error: str = ""


class Delivery:
    """Sends things to the app; `log` keeps what was sent and how it ended."""

    def __init__(self, state: State, faults: Faults, sockets: Sockets, work: Background) -> None:
        self.state = state
        self.faults = faults
        self.sockets = sockets
        self.settings = DeliverySettings()
        self.log: deque[Json] = deque(maxlen=LOGGED_DELIVERIES)
        self._work = work
        self._numbers = itertools.count(1)
        self._session: aiohttp.ClientSession | None = None

    def event(self, event: Json) -> None:
        """Tell the app of an event, in the background, if it subscribed to it."""
        kind = str(event["type"])
        if kind not in self.settings.subscribed or self.faults.take(f"event:{kind}", "drop"):
            return
        copies = 2 if self.faults.take(f"event:{kind}", "duplicate") else 1
        for _ in range(copies):
            self._work.spawn(self._deliver_event(self._callback(event)))

    async def command(self, payload: Json) -> Reply:
        """A slash command: one attempt, three seconds."""
        return await self._ask("slash_commands", "command", payload)

    async def interactive(self, payload: Json) -> Reply:
        """A click, a submission or a closed modal: one attempt, three seconds."""
        return await self._ask("interactive", "interactive", payload)

    async def verify(self) -> bool:
        """Send the url_verification challenge to the request URL."""
        challenge = {"token": VERIFICATION_TOKEN, "type": "url_verification", "challenge": "c" + "0" * 20}
        try:
            answer = await self._post("events_api", challenge, {})
        except NotAcknowledged:
            return False
        return challenge["challenge"] in (str(answer), str(answer.get("challenge") if isinstance(answer, dict) else ""))

    async def close(self) -> None:
        """End the HTTP session."""
        if self._session is not None:
            await self._session.close()

    async def _ask(self, kind: str, name: str, payload: Json) -> Reply:
        if self.faults.take(name, "drop"):
            await asyncio.sleep(self.settings.ack_seconds)
            return Reply(False, error="operation_timeout")
        if self.faults.take(name, "duplicate"):
            self._work.spawn(self._quietly(kind, payload))
        try:
            return Reply(True, await self._once(kind, payload))
        except NotAcknowledged as why:
            late = str(why) in {"timeout", "http_timeout"}
            return Reply(False, error="operation_timeout" if late else "dispatch_failed")

    async def _quietly(self, kind: str, payload: Json) -> None:
        try:
            await self._once(kind, payload)
        except NotAcknowledged:
            return

    async def _deliver_event(self, callback: Json) -> None:
        slow = self.faults.take(f"event:{callback['event']['type']}", "slow")
        if slow is not None:
            await asyncio.sleep(slow.seconds)
        reason = ""
        for attempt, delay in enumerate((0.0, *self.settings.retry_delays)):
            await asyncio.sleep(delay)
            try:
                await self._once("events_api", callback, attempt, reason)
                return
            except NotAcknowledged as why:
                reason = str(why)
                if reason == "no_retry":
                    return

    async def _once(self, kind: str, payload: Json, attempt: int = 0, reason: str = "") -> Any:
        entry: Json = {"time": self.state.now(), "kind": kind, "attempt": attempt, "payload": payload, "result": ""}
        self.log.append(entry)
        try:
            if self.settings.mode == "http":
                retry = {"X-Slack-Retry-Num": str(attempt), "X-Slack-Retry-Reason": reason} if attempt else {}
                answer = await self._post(kind, payload, retry)
            else:
                answer = await self.sockets.send(kind, payload, self.settings.ack_seconds, attempt, reason)
        except NotAcknowledged as why:
            entry["result"] = str(why)
            raise
        entry["result"] = "ok"
        return answer

    async def _post(self, kind: str, payload: Json, headers: dict[str, str]) -> Any:
        """One signed request; the decoded answer, else NotAcknowledged."""
        if self._session is None:
            self._session = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        body, content_type = _encode(kind, payload)
        headers = {**headers, **self._sign(body), "Content-Type": content_type, "User-Agent": "Slackbot 1.0 (practice)"}
        limit = aiohttp.ClientTimeout(total=self.settings.ack_seconds)
        url = self.settings.request_url
        try:
            async with self._session.post(url, data=body, headers=headers, timeout=limit) as answer:
                text = await answer.text()
        except TimeoutError:
            raise NotAcknowledged("http_timeout") from None
        except (aiohttp.ClientError, OSError):
            raise NotAcknowledged("connection_failed") from None
        if answer.status // 100 != 2:
            raise NotAcknowledged("no_retry" if answer.headers.get("X-Slack-No-Retry") else "http_error")
        try:
            return json.loads(text) if text else None
        except ValueError:
            return text

    def _sign(self, body: bytes) -> dict[str, str]:
        # https://docs.slack.dev/authentication/verifying-requests-from-slack
        stamp = str(int((self.settings.sign_now or self.state.now)()))
        digest = hmac.new(self.settings.signing_secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256)
        return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest.hexdigest()}"}

    def _callback(self, event: Json) -> Json:
        who = {"team_id": TEAM_ID, "user_id": BOT_USER, "is_bot": True, "is_enterprise_install": False}
        return {
            "token": VERIFICATION_TOKEN,
            "team_id": TEAM_ID,
            "api_app_id": APP_ID,
            "event": event,
            "type": "event_callback",
            "event_id": f"Ev0PR{next(self._numbers):08X}",
            "event_time": int(self.state.now()),
            "authorizations": [{"enterprise_id": None, **who}],
            "is_ext_shared_channel": False,
        }


def _encode(kind: str, payload: Json) -> tuple[bytes, str]:
    if kind == "events_api":
        return json.dumps(payload).encode(), "application/json"
    form = payload if kind == "slash_commands" else {"payload": json.dumps(payload)}
    return urlencode(form).encode(), "application/x-www-form-urlencoded"
