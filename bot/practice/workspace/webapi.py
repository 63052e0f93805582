"""The front door of the Web API: token, scope, limit, fault, then the method; every call is written to the log."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bot.practice.workspace import chat, conversations, files, people, views
from bot.practice.workspace.calls import Args, Json, SlackError
from bot.practice.workspace.desk import Desk
from bot.practice.workspace.faults import Fault
from bot.practice.workspace.limits import Limits

ALL_SCOPES = (
    *("app_mentions:read", "bookmarks:read", "bookmarks:write", "channels:history", "channels:join", "channels:manage"),
    *("channels:read", "chat:write", "commands", "files:read", "files:write", "groups:history", "groups:read"),
    *("groups:write", "im:history", "im:read", "im:write", "pins:read", "pins:write", "reactions:read"),
    *("reactions:write", "team:read", "usergroups:read", "usergroups:write", "users:read", "users:read.email"),
)
LOGGED_CALLS = 20_000
_BY_KIND = {
    "history": {"channel": "channels:history", "group": "groups:history", "im": "im:history"},
    "read": {"channel": "channels:read", "group": "groups:read", "im": "im:read"},
    "manage": {"channel": "channels:manage", "group": "groups:write", "im": "im:write"},
}


@dataclass(frozen=True)
class Method:
    """One method: what it does, its tier, and the scope it needs (history, read, manage: by the kind of channel)."""

    run: Callable[[Desk, Args], Json]
    tier: int
    scope: str = ""
    posts: bool = False


METHODS: dict[str, Method] = {
    "api.test": Method(people.api_test, 4),
    "auth.test": Method(people.auth_test, 5),
    "bookmarks.add": Method(chat.add_bookmark, 2, "bookmarks:write"),
    "bookmarks.list": Method(chat.list_bookmarks, 3, "bookmarks:read"),
    "chat.delete": Method(chat.delete, 3, "chat:write"),
    "chat.getPermalink": Method(chat.get_permalink, 5),
    "chat.postEphemeral": Method(chat.post_ephemeral, 4, "chat:write"),
    "chat.postMessage": Method(chat.post_message, 5, "chat:write", posts=True),
    "chat.update": Method(chat.update, 3, "chat:write"),
    "conversations.archive": Method(conversations.archive, 2, "manage"),
    "conversations.create": Method(conversations.create, 2, "manage"),
    "conversations.history": Method(conversations.history, 3, "history"),
    "conversations.info": Method(conversations.info, 3, "read"),
    "conversations.invite": Method(conversations.invite, 3, "manage"),
    "conversations.join": Method(conversations.join, 3, "channels:join"),
    "conversations.leave": Method(conversations.leave, 3, "manage"),
    "conversations.list": Method(conversations.list_all, 2, "read"),
    "conversations.members": Method(conversations.members, 4, "read"),
    "conversations.open": Method(conversations.open_direct, 3, "im:write"),
    "conversations.rename": Method(conversations.rename, 2, "manage"),
    "conversations.replies": Method(conversations.replies, 3, "history"),
    "conversations.setPurpose": Method(conversations.set_purpose, 2, "manage"),
    "conversations.setTopic": Method(conversations.set_topic, 2, "manage"),
    "conversations.unarchive": Method(conversations.unarchive, 2, "manage"),
    "files.completeUploadExternal": Method(files.complete, 4, "files:write"),
    "files.delete": Method(files.delete, 3, "files:write"),
    "files.getUploadURLExternal": Method(files.upload_url, 4, "files:write"),
    "files.info": Method(files.info, 4, "files:read"),
    "files.list": Method(files.list_files, 3, "files:read"),
    "pins.add": Method(chat.pin, 2, "pins:write"),
    "pins.list": Method(chat.list_pins, 2, "pins:read"),
    "pins.remove": Method(chat.unpin, 2, "pins:write"),
    "reactions.add": Method(chat.react, 3, "reactions:write"),
    "reactions.remove": Method(chat.unreact, 2, "reactions:write"),
    "team.info": Method(people.team_info, 3, "team:read"),
    "usergroups.list": Method(people.list_usergroups, 2, "usergroups:read"),
    "usergroups.users.list": Method(people.usergroup_users, 2, "usergroups:read"),
    "usergroups.users.update": Method(people.update_usergroup_users, 2, "usergroups:write"),
    "users.info": Method(people.user_info, 4, "users:read"),
    "users.list": Method(people.list_users, 2, "users:read"),
    "users.lookupByEmail": Method(people.lookup_by_email, 3, "users:read.email"),
    "users.conversations": Method(conversations.list_mine, 3, "read"),
    "views.open": Method(views.open_view, 4),
    "views.push": Method(views.push_view, 4),
    "views.update": Method(views.update_view, 4),
}


class WebApi:
    """Answers POST and GET /api/METHOD."""

    def __init__(self, desk: Desk, limits: Limits, bot_token: str, app_token: str) -> None:
        self.desk = desk
        self.limits = limits
        self.bot_token = bot_token
        self.app_token = app_token
        self.scopes = list(ALL_SCOPES)
        self.calls: deque[Json] = deque(maxlen=LOGGED_CALLS)
        self.new_socket: Callable[[], str] = lambda: ""  # set by the workspace: a fresh wss address

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One call, from the wire to the wire."""
        name = request.match_info["method"]
        given = await _arguments(request)
        fault = self.desk.faults.take(name, "down", "timeout", "429", "500", "error")
        if fault is not None:
            return await self._spoiled(request, name, given, fault)
        lost = self.desk.faults.take(name, "lost")
        slow = self.desk.faults.take(name, "slow")
        answer, headers, status = self._answer(name, given, _token(request, given))
        self._log(name, given, answer, "lost" if lost else "")
        if slow is not None:
            await asyncio.sleep(slow.seconds)
        if lost is not None:
            return hang_up(request)
        return web.json_response(answer, headers=headers, status=status)

    def _answer(self, name: str, given: Json, token: str) -> tuple[Json, dict[str, str], int]:
        headers = {"x-oauth-scopes": ",".join(self.scopes), "x-slack-req-id": self.desk.state.new_id("R")}
        try:
            answer = self._run(name, Args(given), token)
        except SlackError as refusal:
            answer = refusal.answer()
        wait = answer.pop("retry_after", 0)
        if wait:
            return answer, {**headers, "Retry-After": str(wait)}, 429
        return answer, headers, 200

    def _run(self, name: str, args: Args, token: str) -> Json:
        if name == "apps.connections.open":
            self._authorize(token, self.app_token)
            self._limit(name, 1, "")
            return {"ok": True, "url": self.new_socket()}
        method = METHODS.get(name)
        if method is None:
            raise SlackError("unknown_method", req_method=name)
        if name != "api.test":
            self._authorize(token, self.bot_token)
        self._check_scope(method, args)
        self._limit(name, method.tier, args.text("channel") if method.posts else "")
        return {"ok": True, **method.run(self.desk, args)}

    def _authorize(self, token: str, wanted: str) -> None:
        if not token:
            raise SlackError("not_authed")
        if token != wanted:
            known = {self.bot_token, self.app_token}
            raise SlackError("not_allowed_token_type" if token in known else "invalid_auth")

    def _limit(self, name: str, tier: int, channel: str) -> None:
        wait = self.limits.take(name, tier, channel)
        if wait:
            raise SlackError("ratelimited", retry_after=wait)

    def _check_scope(self, method: Method, args: Args) -> None:
        for needed in self._scopes_for(method, args):
            if needed not in self.scopes:
                raise SlackError("missing_scope", needed=needed, provided=",".join(self.scopes))

    def _scopes_for(self, method: Method, args: Args) -> list[str]:
        if method.scope not in _BY_KIND:
            return [method.scope] if method.scope else []
        by_kind = _BY_KIND[method.scope]
        if method.run in (conversations.list_all, conversations.list_mine):
            kinds = {"public_channel": "channel", "private_channel": "group", "im": "im"}
            return [by_kind[kinds[kind]] for kind in args.names("types") or ["public_channel"] if kind in kinds]
        if method.run is conversations.create:
            return [by_kind["group" if args.flag("is_private") else "channel"]]
        channel = self.desk.state.channels.get(args.text("channel"))
        scope = by_kind[channel.kind if channel else "channel"]
        # Newer, narrower scopes do as well as the broad one.
        if scope == "channels:manage" and scope not in self.scopes and method.run is conversations.set_topic:
            return ["channels:write.topic"]
        return [scope]

    async def _spoiled(self, request: web.Request, name: str, given: Json, fault: Fault) -> web.StreamResponse:
        self._log(name, given, {"ok": False, "error": fault.kind}, fault.kind)
        if fault.kind == "429":
            headers = {"Retry-After": str(int(fault.seconds))}
            return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)
        if fault.kind == "500":
            return web.Response(status=fault.status, text="Something went wrong")
        if fault.kind == "error":
            return web.json_response({"ok": False, "error": fault.error})
        if fault.kind == "timeout":
            await asyncio.sleep(fault.seconds)
        return hang_up(request)

    def _log(self, name: str, given: Json, answer: Json, fault: str) -> None:
        ok = bool(answer.get("ok"))
        self.calls.append(
            {
                "time": self.desk.state.now(),
                "method": name,
                "channel": str(given.get("channel") or given.get("channel_id") or ""),
                "ok": ok,
                "error": "" if ok else str(answer.get("error")),
                "fault": fault,
                "args": {key: _short(value) for key, value in given.items() if key != "token"},
                "ts": str(answer.get("ts") or answer.get("message_ts") or ""),
            }
        )


def hang_up(request: web.Request) -> web.Response:
    """Cut the connection; the client sees it die without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 200 else text[:199] + "…"


async def _arguments(request: web.Request) -> Json:
    given: Json = dict(request.query)
    if request.content_type == "application/json":
        try:
            body = await request.json()
        except ValueError:
            body = {}
        return {**given, **body} if isinstance(body, Mapping) else given
    if request.can_read_body:
        given |= dict(await request.post())
    return given


def _token(request: web.Request, given: Json) -> str:
    header = request.headers.get("Authorization", "")
    return header.removeprefix("Bearer ").strip() if header.startswith("Bearer ") else str(given.get("token") or "")
