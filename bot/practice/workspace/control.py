"""The control API under /control/: what tests, drills and the page do in the name of people, and trouble on demand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from bot.practice.workspace.acts import Acts, CannotDo
from bot.practice.workspace.calls import Json
from bot.practice.workspace.clock import Clock
from bot.practice.workspace.desk import Desk
from bot.practice.workspace.faults import KINDS
from bot.practice.workspace.shown import change_shown, state_shown
from bot.practice.workspace.sockets import Sockets
from bot.practice.workspace.state import User
from bot.practice.workspace.webapi import ALL_SCOPES, WebApi

_KEEP_ALIVE_SECONDS = 15.0


class BadBody(Exception):
    """The request to the control API itself is wrong."""


@dataclass
class Control:
    """Routes of the control API; a refused act answers 409, a malformed request 400."""

    desk: Desk
    acts: Acts
    api: WebApi
    sockets: Sockets
    clock: Clock
    _streams: list[asyncio.Queue[Json | None]] = field(default_factory=list)

    def add_routes(self, app: web.Application) -> None:
        """Mount everything."""
        app.router.add_get("/control/state", self.state)
        app.router.add_get("/control/events", self.events)
        gets: dict[str, Callable[[], Any]] = {
            "calls": lambda: {"calls": list(self.api.calls)},
            "deliveries": lambda: {"deliveries": list(self.acts.delivery.log)},
            "faults": self.faults,
            "clock": lambda: {"now": self.clock(), "offset": self.clock.offset},
            "settings": self.settings,
        }
        for name, get in gets.items():
            app.router.add_get(f"/control/{name}", _reading(get))
        posts: dict[str, Callable[[Json], Awaitable[Json]]] = {
            "click": self.click,
            "command": self.command,
            "submit": self.submit,
            "close": self.close_view,
            "say": self.say,
            "react": self.react,
            "edit": self.edit,
            "delete": self.delete,
            "users": self.users,
            "faults": self.change_faults,
            "calls": self.clear_calls,
            "clock": self.move_clock,
            "settings": self.change_settings,
            "disconnect": self.disconnect,
        }
        for name, post in posts.items():
            app.router.add_post(f"/control/{name}", _acting(post))

    async def state(self, request: web.Request) -> web.Response:
        """GET state: everything, or ?channel=ID or name."""
        body = state_shown(self.desk.state, request.query.get("channel", ""))
        return web.json_response({**body, "commands": self.acts.commands, "sockets": len(self.sockets.connections)})

    async def events(self, request: web.Request) -> web.StreamResponse:
        """GET events: server-sent events, one per change."""
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        queue: asyncio.Queue[Json | None] = asyncio.Queue()
        unsubscribe = self.desk.state.subscribe(lambda change: queue.put_nowait(change_shown(self.desk.state, change)))
        self._streams.append(queue)
        try:
            await response.write(b": hello\n\n")
            while True:
                try:
                    change = await asyncio.wait_for(queue.get(), _KEEP_ALIVE_SECONDS)
                except TimeoutError:
                    await response.write(b": still here\n\n")
                    continue
                if change is None:
                    break
                await response.write(f"data: {json.dumps(change)}\n\n".encode())
        except ConnectionError:
            pass  # the reader closed the page
        finally:
            self._streams.remove(queue)
            unsubscribe()
        return response

    def close(self) -> None:
        """End all event streams, when the server stops."""
        for queue in self._streams:
            queue.put_nowait(None)

    async def click(self, body: Json) -> Json:
        """{user, channel, ts, action_id, value?, block_id?} or {user, view_id, action_id, value?, values?}"""
        chosen = {name: body[name] for name in ("value", "block_id", "values") if body.get(name) is not None}
        if body.get("view_id"):
            return await self.acts.click_in_view(body["user"], body["view_id"], body["action_id"], **chosen)
        chosen.pop("values", None)
        return await self.acts.click(body["user"], body["channel"], body["ts"], body["action_id"], **chosen)

    async def command(self, body: Json) -> Json:
        """{user, channel, command, text?}"""
        return await self.acts.command(body["user"], body["channel"], body["command"], body.get("text", ""))

    async def submit(self, body: Json) -> Json:
        """{user, view_id?, values}"""
        return await self.acts.submit(body["user"], body.get("view_id", ""), body.get("values", {}))

    async def close_view(self, body: Json) -> Json:
        """{user, view_id?}"""
        return await self.acts.close(body["user"], body.get("view_id", ""))

    async def say(self, body: Json) -> Json:
        """{user, channel, text, thread_ts?}"""
        message = self.acts.say(body["user"], body["channel"], body["text"], body.get("thread_ts", ""))
        return {"ok": True, "ts": message.ts}

    async def react(self, body: Json) -> Json:
        """{user, channel, ts, name, remove?}"""
        remove = bool(body.get("remove"))
        self.acts.react(body["user"], body["channel"], body["ts"], body["name"], remove=remove)
        return {"ok": True}

    async def edit(self, body: Json) -> Json:
        """{user, channel, ts, text}"""
        self.acts.edit(body["user"], body["channel"], body["ts"], body["text"])
        return {"ok": True}

    async def delete(self, body: Json) -> Json:
        """{user, channel, ts}"""
        self.acts.delete(body["user"], body["channel"], body["ts"])
        return {"ok": True}

    async def users(self, body: Json) -> Json:
        """{id, name, real_name?, email?, tz?, title?, deleted?}: add or replace a person."""
        known = {name: body[name] for name in ("email", "tz", "title", "deleted") if name in body}
        user = User(str(body["id"]), str(body["name"]), str(body.get("real_name") or body["name"]), **known)
        return {"ok": True, "user": self.desk.state.add_user(user).to_json()}

    def faults(self) -> Json:
        """What is set, and what there is."""
        return {"faults": [fault.to_json() for fault in self.desk.faults.active()], "kinds": KINDS}

    async def change_faults(self, body: Json) -> Json:
        """{kind, method?, count?, seconds?, status?, error?, probability?} or {clear: true | id}"""
        if "clear" in body:
            self.desk.faults.clear(None if body["clear"] is True else int(body["clear"]))
            return {"ok": True, **self.faults()}
        try:
            fault = self.desk.faults.add(**body)
        except (TypeError, ValueError) as wrong:
            raise BadBody(str(wrong)) from None
        return {"ok": True, "fault": fault.to_json()}

    async def clear_calls(self, body: Json) -> Json:
        """{clear: true}"""
        if body.get("clear"):
            self.api.calls.clear()
            self.acts.delivery.log.clear()
        return {"ok": True}

    async def move_clock(self, body: Json) -> Json:
        """{advance: seconds}"""
        return {"ok": True, "now": self.clock.advance(float(body["advance"]))}

    def settings(self) -> Json:
        """How the app is reached and what it may do."""
        delivery = self.acts.delivery.settings
        return {
            "mode": delivery.mode,
            "request_url": delivery.request_url,
            "ack_seconds": delivery.ack_seconds,
            "retry_delays": list(delivery.retry_delays),
            "subscribed": delivery.subscribed,
            "scopes": self.api.scopes,
            "rate_limits": self.api.limits.enabled,
            "commands": self.acts.commands,
        }

    async def change_settings(self, body: Json) -> Json:
        """Any of {mode, request_url, ack_seconds, retry_delays, subscribed, scopes, rate_limits, commands}."""
        unknown = set(body) - set(self.settings())
        if unknown:
            raise BadBody(f"no setting named {', '.join(sorted(unknown))}")
        delivery = self.acts.delivery.settings
        for name in ("mode", "request_url", "ack_seconds", "subscribed"):
            setattr(delivery, name, body.get(name, getattr(delivery, name)))
        delivery.retry_delays = tuple(body.get("retry_delays", delivery.retry_delays))
        if "scopes" in body:
            self.api.scopes = list(ALL_SCOPES) if body["scopes"] == "all" else list(body["scopes"])
        self.api.limits.enabled = bool(body.get("rate_limits", self.api.limits.enabled))
        if "commands" in body:
            self.acts.commands.clear()
            self.acts.commands.update(body["commands"])
        verified = await self.acts.delivery.verify() if body.get("request_url") else None
        return {"ok": True, **self.settings(), "verified": verified}

    async def disconnect(self, body: Json) -> Json:
        """{reason?: warning | refresh_requested | link_disabled, grace?: seconds} or {cut: true}"""
        if body.get("cut"):
            return {"ok": True, "sockets": self.sockets.cut()}
        reason = str(body.get("reason", "refresh_requested"))
        return {"ok": True, "sockets": await self.sockets.disconnect(reason, float(body.get("grace", 0.5)))}


def _reading(get: Callable[[], Any]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(_request: web.Request) -> web.Response:
        return web.json_response(get())

    return handle


def _acting(act: Callable[[Json], Awaitable[Json]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        try:
            body = await request.json()
            if not isinstance(body, dict):
                raise BadBody("the body must be a JSON object")
            return web.json_response(await act(body))
        except CannotDo as refusal:
            return web.json_response({"ok": False, "error": refusal.error, **refusal.more}, status=409)
        except KeyError as missing:
            text = f"missing {missing}; takes {act.__doc__}"
            return web.json_response({"ok": False, "error": "bad_request", "message": text}, status=400)
        except (BadBody, ValueError) as wrong:
            return web.json_response({"ok": False, "error": "bad_request", "message": str(wrong)}, status=400)

    return handle
