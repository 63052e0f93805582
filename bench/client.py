"""The load: Alertmanager webhooks over keep-alive connections, by a client so small that it does not dominate on two cores. Used by run.py.

A delivery counts only when 2xx came back, and with as many alerts as the answer says. In the open loop latency is counted from the time at
which a delivery was due, not from when it could be sent (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

TOKEN = "bench-alertmanager-token"
PATH = "/webhooks/alertmanager"
PROBLEMS = 100  # incidents that a storm of new alerts belongs to
KNOWN = 1000  # alerts that repeats repeat
PATIENCE = 30.0  # seconds for one answer


class Alerts:
    """Webhook bodies of `per_post` alerts of about 750 bytes, `repeated` (0 to 1) of them with a fingerprint of the known ones.

    A new alert is a new pod of one of PROBLEMS problems, chosen at random; with `own_problem` each opens an incident of its own.
    """

    def __init__(self, per_post: int, repeated: float, *, own_problem: bool = False, seed: int = 1) -> None:
        self._per_post = per_post
        self._repeated = repeated
        self._own_problem = own_problem
        self._random = random.Random(seed)
        self._new = KNOWN
        self._starts = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - 60))

    def known(self) -> Iterator[bytes]:
        """Every known alert once, a hundred a delivery."""
        for start in range(0, KNOWN, 100):
            yield _body([self._alert(number) for number in range(start, start + 100)])

    def body(self) -> bytes:
        return _body([self._alert(self._number()) for _ in range(self._per_post)])

    def _number(self) -> int:
        if self._repeated and self._random.random() < self._repeated:
            return self._random.randrange(KNOWN)
        self._new += 1
        return self._new

    def _alert(self, number: int) -> str:
        problem = number if self._own_problem and number > KNOWN else (number * 7919) % PROBLEMS
        name, service = f"Alert{problem}", f"svc-{problem % 50}"
        return (
            f'{{"status":"firing","labels":{{"alertname":"{name}","service":"{service}","cluster":"prod-{number % 4}",'
            f'"namespace":"ns-{problem % 30}","pod":"{service}-{number:08x}","instance":"10.0.{number % 250}.{number // 250 % 250}:9100",'
            f'"severity":"{("critical", "error", "warning")[problem % 3]}","team":"shop"}},"annotations":{{"summary":"{service} is unhealthy",'
            f'"description":"{"The error ratio is above what was agreed upon. " * 4}","runbook_url":"https://runbooks.example.org/{name}"}},'
            f'"startsAt":"{self._starts}","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://prometheus.example.org/graph?g0.expr=up",'
            f'"fingerprint":"{number:016x}"}}'
        )


def _body(alerts: list[str]) -> bytes:
    return (
        '{"version":"4","groupKey":"{}","truncatedAlerts":0,"status":"firing","receiver":"tocsin","groupLabels":{},"commonLabels":{},'
        '"commonAnnotations":{},"externalURL":"http://alertmanager.example.org:9093","alerts":['
        + ",".join(alerts)
        + "]}"
    ).encode()


@dataclass
class Load:
    """What came of it. `latencies` in seconds; `opened`: incident -> when its delivery was due, on the monotonic clock."""

    seconds: float = 0.0
    deliveries: int = 0
    accepted: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    opened: dict[str, float] = field(default_factory=dict)
    cpu: float = 0.0

    def quantile(self, share: float) -> float | None:
        return quantile(self.latencies, share)

    def refused(self) -> int:
        return sum(count for status, count in self.statuses.items() if not status.startswith("2"))


def quantile(values: list[float], share: float) -> float | None:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else None


class Connection(asyncio.Protocol):
    """One keep-alive connection; one request at a time. It reads no more of HTTP than the servers here write: Content-Length."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._transport: asyncio.Transport | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("closed"))

    def data_received(self, data: bytes) -> None:
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._data[:end]).lower()
        at = head.find(b"\r\ncontent-length:")
        size = int(head[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._data) < end + 4 + size:
            return
        body = bytes(self._data[end + 4 : end + 4 + size])
        del self._data[: end + 4 + size]
        if b"\r\nconnection: close" in head:
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((int(head[9:12]), body))

    async def post(self, head: bytes, body: bytes) -> tuple[int, bytes]:
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(b"%sContent-Length: %d\r\n\r\n%s" % (head, len(body), body))
        async with asyncio.timeout(PATIENCE):
            return await self._answer

    def close(self) -> None:
        self.closed = True
        if self._transport is not None:
            self._transport.close()


class Sender:
    """Posts to one server and notes what came back."""

    def __init__(self, port: int, load: Load) -> None:
        self._port = port
        self._load = load
        self._head = (
            f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nAuthorization: Bearer {TOKEN}\r\n"
        ).encode()
        self._free: list[Connection] = []

    async def post(self, body: bytes, due: float | None = None, *, note_opened: bool = False) -> None:
        started = time.monotonic() if due is None else due
        self._load.deliveries += 1
        try:
            connection = self._free.pop() if self._free else await self._connect()
            status, answer = await connection.post(self._head, body)
        except (OSError, TimeoutError) as error:
            self._load.statuses[type(error).__name__] += 1
            return
        self._load.latencies.append(time.monotonic() - started)
        self._load.statuses[str(status)] += 1
        if not connection.closed:
            self._free.append(connection)
        if not 200 <= status < 300:
            return
        self._load.accepted += int(answer[len(b'{"accepted":') : answer.index(b",")])
        if note_opened and b'"opened"' in answer:
            for alert in json.loads(answer)["alerts"]:
                if alert["outcome"] == "opened":
                    self._load.opened[alert["incident"].removeprefix("INC-")] = started

    async def _connect(self) -> Connection:
        _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", self._port)
        return connection

    def close(self) -> None:
        for connection in self._free:
            connection.close()


async def closed_loop(port: int, alerts: Alerts, concurrency: int, seconds: float) -> Load:
    """Each of `concurrency` senders posts as soon as its last delivery was answered."""
    load = Load()
    sender = Sender(port, load)
    cpu, started = time.process_time(), time.monotonic()

    async def one() -> None:
        while time.monotonic() - started < seconds:
            await sender.post(alerts.body())

    await asyncio.gather(*(one() for _ in range(concurrency)))
    load.seconds, load.cpu = time.monotonic() - started, time.process_time() - cpu
    sender.close()
    return load


async def open_loop(port: int, alerts: Alerts, per_second: float, seconds: float) -> Load:
    """A delivery is due every 1/`per_second` seconds, whatever became of the ones before."""
    load = Load()
    sender = Sender(port, load)
    cpu, started = time.process_time(), time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(per_second * seconds)):
            due = started + number / per_second
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            tasks.create_task(sender.post(alerts.body(), due, note_opened=True))
    load.seconds, load.cpu = time.monotonic() - started, time.process_time() - cpu
    sender.close()
    return load


async def prime(port: int, alerts: Alerts) -> Load:
    """Send every known alert once, before anything is measured."""
    load = Load()
    sender = Sender(port, load)
    for body in alerts.known():
        await sender.post(body)
    sender.close()
    return load
