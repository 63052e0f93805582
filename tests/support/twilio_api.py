"""A Twilio that answers as the real one does to what Tocsin asks, keeps messages and calls, and fails as it is told to.

https://www.twilio.com/docs/messaging/api/message-resource, https://www.twilio.com/docs/voice/api/call-resource
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import itertools
from collections.abc import Callable
from datetime import datetime
from email.utils import format_datetime
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

ACCOUNT = "AC" + "0" * 31 + "1"
TOKEN = "an-auth-token-of-twilio"
KEY, KEY_SECRET = "SK" + "0" * 32, "the-secret-of-an-api-key"
USERS = {ACCOUNT: TOKEN, KEY: KEY_SECRET}


class TwilioApi:
    """`fail`: the next answers (status, body, headers), nothing done. `lose`: it does the next thing and drops the connection; `drop`: it drops it
    without doing anything. `hang`: it does the next thing and answers when `released`. `deaf`: numbers it refuses, by code."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.messages: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.fail: list[tuple[int, Any, dict[str, str]]] = []
        self.deaf: dict[str, tuple[int, str]] = {}
        self.lose = self.drop = self.hang = False
        self.released = asyncio.Event()
        self._numbers = itertools.count(1)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        fields = dict(await request.post()) if request.method == "POST" else dict(request.query)
        what = request.path.rpartition("/")[2].removesuffix(".json")
        given = {key: str(value) for key, value in fields.items()}
        self.asked.append((request.method, what, given))
        if not self._known(request):
            return error(401, 20003, "Authenticate")
        if request.path != f"/2010-04-01/Accounts/{ACCOUNT}/{what}.json" or what not in ("Messages", "Calls"):
            return error(404, 20404, f"The requested resource {request.path} was not found")
        if self.drop:
            self.drop = False
            return _gone(request)
        if self.fail:
            status, body, headers = self.fail.pop(0)
            return (
                web.json_response(body, status=status, headers=headers) if body is not None else _plain(status, headers)
            )
        if request.method == "GET":
            return web.json_response(self._listed(what, given))
        return await self._make(request, what, given)

    async def _make(self, request: web.Request, what: str, given: dict[str, str]) -> web.StreamResponse:
        to = given.get("To", "")
        if to in self.deaf:
            code, words = self.deaf[to]
            return error(400, code, words)
        if what == "Messages" and not given.get("Body"):
            return error(400, 21602, "A message body is required.")
        if what == "Calls" and len(given.get("Twiml", "")) > 4000:
            return error(400, 21623, "Twiml is too long")
        made = self.put(what, to, given.get("From"), given.get("Body", ""))
        if self.lose:
            self.lose = False
            return _gone(request)
        if self.hang:
            self.hang = False
            await self.released.wait()
        return web.json_response(made, status=201)

    def put(self, what: str, to: str, sender: str | None, body: str = "") -> dict[str, Any]:
        """One more message or call of this account."""
        made = {
            "sid": f"{'SM' if what == 'Messages' else 'CA'}{next(self._numbers):032x}",
            "to": to,
            "from": sender,
            "status": "queued",
            "direction": "outbound-api",
            "date_created": format_datetime(self.clock()),
        }
        if what == "Messages":
            self.messages.append({**made, "body": body, "date_sent": None})
        else:
            self.calls.append({**made, "start_time": None})
        return made

    def _listed(self, what: str, query: dict[str, str]) -> dict[str, Any]:
        """The newest first. What is queued has no DateSent and no StartTime: a filter by those would leave it out."""
        kept = self.messages if what == "Messages" else self.calls
        found = [one for one in reversed(kept) if one["to"] == query.get("To", one["to"])]
        return {what.lower(): found[: int(query.get("PageSize", "50"))], "page": 0, "next_page_uri": None}

    def _known(self, request: web.Request) -> bool:
        scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
        user, _, password = base64.b64decode(shown).decode().partition(":")
        return scheme == "Basic" and USERS.get(user) == password


def signed(url: str, fields: dict[str, str], token: str = TOKEN) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a call-back from Twilio to this address."""
    text = url + "".join(name + fields[name] for name in sorted(fields))
    mark = base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()
    headers = {"X-Twilio-Signature": mark, "Content-Type": "application/x-www-form-urlencoded"}
    return urlencode(fields).encode(), headers


def error(status: int, code: int, message: str) -> web.Response:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return web.json_response({"code": code, "message": message, "more_info": more, "status": status}, status=status)


def _plain(status: int, headers: dict[str, str]) -> web.Response:
    return web.Response(status=status, text="<html>upstream</html>", content_type="text/html", headers=headers)


def _gone(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
