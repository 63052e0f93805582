"""Socket Mode: the websockets of the app, envelopes out, acknowledgements back; each envelope goes to one of them."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
import uuid
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from bot.practice.workspace.calls import Json
from bot.practice.workspace.state import APP_ID, State

TICKET_SECONDS = 30.0


class NotAcknowledged(Exception):
    """The envelope came to nothing: timeout, connection_failed or no_connection."""


@dataclass(eq=False)
class Connection:
    """One open websocket and the envelopes it has not acknowledged."""

    name: str
    socket: web.WebSocketResponse
    request: web.Request
    waiting: dict[str, asyncio.Future[Any]] = field(default_factory=dict)
    leaving: bool = False  # told to disconnect: gets no new envelopes


class Sockets:
    """All connections of the app."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.connections: list[Connection] = []
        self._tickets: dict[str, float] = {}
        self._turn = itertools.count()
        self._names = itertools.count(1)

    def new_address(self) -> str:
        """A websocket address for one connection, as apps.connections.open gives."""
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = self.state.now() + TICKET_SECONDS
        base = self.state.base_url.replace("http", "ws", 1)
        return f"{base}/socket/?ticket={ticket}&app_id={APP_ID}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """GET /socket/?ticket=…: a websocket until either side ends it."""
        if self._tickets.pop(request.query.get("ticket", ""), -1.0) < self.state.now():
            return web.Response(status=401, text="the ticket is unknown, used or expired")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        connection = Connection(f"applink-{next(self._names)}", socket, request)
        self.connections.append(connection)
        try:
            await socket.send_json(self._hello(connection))
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    self._acknowledge(connection, message.data)
        except ConnectionError:
            pass  # the app went away; its envelopes are redelivered below
        finally:
            self.connections.remove(connection)
            for waiting in connection.waiting.values():
                if not waiting.done():
                    waiting.set_exception(NotAcknowledged("connection_failed"))
        return socket

    async def send(self, kind: str, payload: Json, seconds: float, attempt: int = 0, reason: str = "") -> Any:
        """One envelope to one connection; the acknowledgement's payload, else NotAcknowledged."""
        open_ones = [one for one in self.connections if not one.leaving and not one.socket.closed]
        if not open_ones:
            raise NotAcknowledged("no_connection")
        connection = open_ones[next(self._turn) % len(open_ones)]
        envelope: Json = {
            "envelope_id": str(uuid.uuid4()),
            "payload": payload,
            "type": kind,
            "accepts_response_payload": kind != "events_api",
        }
        if kind == "events_api":
            envelope |= {"retry_attempt": attempt, "retry_reason": reason}
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        connection.waiting[envelope["envelope_id"]] = answer
        try:
            await connection.socket.send_json(envelope)
            return await asyncio.wait_for(answer, seconds)
        except TimeoutError:
            raise NotAcknowledged("timeout") from None
        except ConnectionError:
            raise NotAcknowledged("connection_failed") from None
        finally:
            connection.waiting.pop(envelope["envelope_id"], None)

    async def disconnect(self, reason: str, grace: float) -> int:
        """Ask every connection to go (warning, refresh_requested, link_disabled); close it after `grace` seconds."""
        leaving = [one for one in self.connections if not one.leaving]
        for one in leaving:
            one.leaving = True
            await one.socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": one.name}})
        await asyncio.sleep(grace)
        for one in leaving:
            await one.socket.close()
        return len(leaving)

    def cut(self) -> int:
        """Break every connection without a word."""
        for one in self.connections:
            if one.request.transport is not None:
                one.request.transport.abort()
        return len(self.connections)

    async def close(self) -> None:
        """End all connections, when the server stops."""
        for one in list(self.connections):
            await one.socket.close()

    def _hello(self, connection: Connection) -> Json:
        about = {"host": connection.name, "build_number": 1, "approximate_connection_time": 18060}
        number = len(self.connections)
        return {"type": "hello", "num_connections": number, "connection_info": {"app_id": APP_ID}, "debug_info": about}

    def _acknowledge(self, connection: Connection, text: str) -> None:
        try:
            body = json.loads(text)
        except ValueError:
            return
        waiting = connection.waiting.get(str(body.get("envelope_id"))) if isinstance(body, dict) else None
        if waiting is not None and not waiting.done():
            waiting.set_result(body.get("payload"))
