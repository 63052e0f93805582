"""A Slack that answers ok at once and notes when it first heard of each incident, as a process of its own: `fake_slack.py PORT`.

It also stands in for the cluster and for Prometheus, which know nothing. GET /seen tells per incident and kind of call the first time, on the
monotonic clock that all processes of a machine share.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from itertools import count
from typing import cast

import uvloop

# What in a call names its incident: the name of its channel, the key of its message, or the channel it was given.
CHANNEL_NAME = re.compile(rb"(?:^|&)name=inc-(\d+)")
MESSAGE_KEY = re.compile(rb"(card|page|say|context|run)%3A(\d+)")
CHANNEL_ID = re.compile(rb"(?:^|&)channel=CINC0*(\d+)")
LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.I)
NAMED = re.compile(r"(?:^|&)name=([^&]*)")


class Memory:
    """The first time of each kind of call per incident, and how many calls there were."""

    def __init__(self) -> None:
        self.first: dict[str, dict[str, float]] = {}
        self.calls: dict[str, int] = {}
        self.number = count(1)

    def note(self, method: str, body: bytes) -> None:
        self.calls[method] = self.calls.get(method, 0) + 1
        kind, incident = self._about(method, body)
        if incident:
            self.first.setdefault(incident, {}).setdefault(kind, time.monotonic())

    def _about(self, method: str, body: bytes) -> tuple[str, str]:
        if method == "conversations.create" and (found := CHANNEL_NAME.search(body)):
            return "channel", found[1].decode()
        if method == "chat.postMessage" and (found := MESSAGE_KEY.search(body)):
            return found[1].decode(), found[2].decode()
        if found := CHANNEL_ID.search(body):
            return method, found[1].decode()
        return "", ""

    def answer(self, method: str, body: bytes) -> dict[str, object]:
        named = NAMED.search(body.decode("ascii", "replace"))
        name = named[1] if named else "incidents"
        incident = CHANNEL_NAME.search(body)
        channel = {
            "id": f"CINC{int(incident[1]):08d}" if incident else "C0INCIDENTS",
            "name": name,
            "is_private": b"is_private=true" in body,
            "is_member": True,
            "creator": "U0TOCSIN",
        }
        ts = f"{int(time.time())}.{next(self.number):06d}"
        user = {"user_id": "U0TOCSIN", "bot_id": "B0TOCSIN", "team": "bench", "user": "tocsin"}
        return {"ok": True, "ts": ts, "channel": channel, "channels": [channel], "messages": [], **user}


class Answers(asyncio.Protocol):
    """One connection of a client that sends one request at a time."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            found = LENGTH.search(self._data, 0, end + 2)
            size = int(found[1]) if found else 0
            if len(self._data) < end + 4 + size:
                return
            path = self._data[: self._data.index(b"\r\n")].split(b" ")[1].decode()
            body = self._data[end + 4 : end + 4 + size]
            self._data = self._data[end + 4 + size :]
            self._answer(path, body)

    def _answer(self, path: str, body: bytes) -> None:
        status, answer = "200 OK", {}
        if path.startswith("/api/"):
            method = path.removeprefix("/api/").partition("?")[0]
            self._memory.note(method, body)
            answer = self._memory.answer(method, body)
        elif path == "/seen":
            answer = {"first": self._memory.first, "calls": self._memory.calls}
        elif path.startswith("/prometheus"):
            answer = {"status": "success", "data": {"resultType": "matrix", "result": []}}
        else:
            status, answer = "404 Not Found", {"kind": "Status", "code": 404, "reason": "NotFound"}
        text = json.dumps(answer).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
        self._transport.write(head.encode() + text)


async def serve(port: int) -> None:
    memory = Memory()
    server = await asyncio.get_running_loop().create_server(lambda: Answers(memory), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
