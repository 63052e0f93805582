"""The real program in child processes that die at a chosen commit: for tests/chaos.

`python -m tests.support.killing SOCKET` imports everything once and forks a child for each connection to its socket, so that a start takes
milliseconds. The connection is the child's: it reads its `Order`, then obeys one JSON line after another; when the child dies, it ends.
"""

from __future__ import annotations

import asyncio
import gc
import json
import mmap
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
import uvloop

from bot import app
from bot.cli.common import set_up_logs
from bot.config import load
from bot.domain.ports import Store
from bot.domain.timeline import first_broken
from bot.store import open_store

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy" / "config"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Sheet:
    """A sheet of memory that the test and its children share: what time it is, and how often Slack and the cluster have been called."""

    _form = struct.Struct("qq")

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(self._form.size))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), self._form.size)

    def __call__(self) -> datetime:
        return EPOCH + MICROSECOND * self._form.unpack_from(self._memory)[0]

    def set(self, now: datetime) -> None:
        self._form.pack_into(self._memory, 0, (now - EPOCH) // MICROSECOND, self.calls)

    @property
    def calls(self) -> int:
        return int(self._form.unpack_from(self._memory)[1])

    def count(self) -> int:
        """One call more; how many there are now."""
        now, calls = self._form.unpack_from(self._memory)
        self._form.pack_into(self._memory, 0, now, calls + 1)
        return int(calls) + 1


@dataclass(frozen=True)
class Order:
    """How a child lives. `die`: at which commit, counted from 1 (0: never), `before` or after it. `log`: a line for each commit goes there."""

    sheet: str
    log: str
    listen: str
    overrides: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    die: int = 0
    before: bool = False


class MortalStore:
    """A store that counts commits, and kills its process at one of them."""

    def __init__(self, inner: Store, order: Order, sheet: Sheet) -> None:
        self._inner = inner
        self._order = order
        self._sheet = sheet
        self._commits = 0
        self._log = os.open(order.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def write(self, work: Any) -> Any:
        what = structlog.contextvars.get_contextvars().get("key") or work.__qualname__.partition(".<")[0]
        return await self._commit(f"write {what}", lambda: self._inner.write(work))

    async def claim(self, *args: Any) -> Any:
        return await self._commit("claim", lambda: self._inner.claim(*args))

    async def renew(self, *args: Any) -> Any:
        return await self._commit("renew", lambda: self._inner.renew(*args))

    async def release(self, *args: Any) -> Any:
        return await self._commit("release", lambda: self._inner.release(*args))

    async def prune(self, *args: Any) -> Any:
        return await self._commit("prune", lambda: self._inner.prune(*args))

    async def prune_log(self, *args: Any) -> Any:
        return await self._commit("prune log", lambda: self._inner.prune_log(*args))

    async def _commit(self, what: str, commit: Callable[[], Awaitable[Any]]) -> Any:
        self._commits += 1
        number, dying = self._commits, self._commits == self._order.die
        if dying and self._order.before:
            os.kill(os.getpid(), signal.SIGKILL)
        result = await commit()
        if dying:
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "claim":
            what = f"claim {' '.join(one.effect.key for one in result)}".strip()
        line = {"number": number, "what": what, "calls": self._sheet.calls}
        os.write(self._log, (json.dumps(line) + "\n").encode())
        return result


# ------------------------------------------------------------------------------------------------ in the child


async def live(connection: socket.socket) -> None:
    """One life: serve as `tocsin serve` does, but deliver only when told to."""
    reader, writer = await asyncio.open_unix_connection(sock=connection)
    order = Order(**json.loads(await reader.readline()))
    sheet = Sheet(Path(order.sheet))
    config = load(EXAMPLE, app.registry(), order.secrets, overrides={"server.listen": order.listen, **order.overrides})

    async def opened(url: str) -> Any:
        return MortalStore(await open_store(url), order, sheet)

    async with app.built(config, sheet, opened) as tocsin:
        await tocsin.worker.take_back()
        async with app.entrances(tocsin):
            if tocsin.socket_mode is not None:
                await tocsin.socket_mode.connected.wait()
            answer: dict[str, Any] = {"pid": os.getpid()}
            while True:
                writer.write(json.dumps(answer).encode() + b"\n")
                asked = await reader.readline()
                if not asked:
                    os._exit(0)  # there is no other end than a sudden one
                answer = await _obey(tocsin, sheet, json.loads(asked))


async def _obey(tocsin: app.Tocsin, sheet: Sheet, asked: dict[str, Any]) -> dict[str, Any]:
    if asked["do"] == "settle":
        counts = await asyncio.gather(*(tocsin.worker.drain() for _ in range(asked.get("workers", 1))))
        due = await tocsin.store.next_due(sheet())
        return {"delivered": sum(counts), "next": due.isoformat() if due else None}
    if asked["do"] == "look":
        return await looked(tocsin.store, sheet())
    raise ValueError(asked)


async def looked(store: Store, now: datetime) -> dict[str, Any]:
    """What the database says at the end, without times."""

    async def work(tx: Any) -> dict[str, Any]:
        incidents = {}
        for incident in sorted(await tx.list_incidents(only_open=False, limit=1000), key=lambda one: one.id):
            entries, runs = await tx.timeline(incident.id), await tx.runs_of(incident.id)
            incidents[incident.ref] = {
                "state": incident.state.value,
                "alerts": incident.alerts,
                "chain": "unbroken" if first_broken(entries) is None else f"broken at {first_broken(entries)}",
                "timeline": [f"{one.kind}: {one.text}" for one in entries],
                "runs": [
                    {"ref": run.ref, "state": run.state.value, "steps": [step.state.value for step in run.steps]}
                    for run in runs
                ],
            }
        return {"incidents": incidents, "dead": [f"{effect.key}: {why}" for effect, why in await tx.dead()]}

    told = await store.read(work)
    backlog = await store.backlog(now)
    return {
        **told,
        "due": {one.kind: one.due for one in backlog if one.due},
        "waiting": {one.kind: one.pending for one in backlog if one.pending},
    }


def _child(connection: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    last_words = connection.dup()
    try:
        uvloop.run(live(connection))
    except BaseException:
        last_words.setblocking(True)
        last_words.sendall(json.dumps({"failed": traceback.format_exc()}).encode() + b"\n")
    finally:
        os._exit(1)


def main(path: str) -> None:
    """Fork a child for each connection, until whoever started this is gone."""
    app.registry()
    set_up_logs("error", "console")
    gc.freeze()  # the children's collector leaves alone what they share, so it need not be copied
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen(64)
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([door, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            connection, _ = door.accept()
            if os.fork() == 0:
                door.close()
                _child(connection)
            connection.close()


# ------------------------------------------------------------------------------------------------ in the test


@contextmanager
def nursery() -> Iterator[str]:
    """The process that children come from; the path of its socket."""
    with tempfile.TemporaryDirectory(prefix="tocsin-") as folder:
        path = f"{folder}/door"
        command = [sys.executable, "-m", "tests.support.killing", path]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin and process.stdout
            assert process.stdout.readline() == b"ready\n"
            try:
                yield path
            finally:
                process.stdin.close()


class Died(Exception):
    """The child is dead."""


class Child:
    """One life of the program, seen from outside."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: str) -> None:
        self._reader = reader
        self._writer = writer
        self.url = url
        self.pid = 0
        self.dead = False

    @classmethod
    async def born(cls, door: str, order: Order) -> Child:
        """A child that serves, or that has died while it started (`dead`)."""
        reader, writer = await asyncio.open_unix_connection(door, limit=2**24)
        child = cls(reader, writer, f"http://{order.listen}")
        try:
            child.pid = (await child._ask(asdict(order)))["pid"]
        except Died:
            pass
        return child

    async def settle(self, workers: int = 1) -> dict[str, Any]:
        """Deliver all that is due: how many were `delivered`, and when the `next` comes due."""
        return await self._ask({"do": "settle", "workers": workers})

    async def look(self) -> dict[str, Any]:
        return await self._ask({"do": "look"})

    async def _ask(self, what: dict[str, Any]) -> dict[str, Any]:
        if self.dead:
            raise Died
        try:
            self._writer.write(json.dumps(what).encode() + b"\n")
            line = await self._reader.readline()
        except ConnectionError:
            line = b""
        if not line:
            await self.end()
            raise Died
        answer = dict(json.loads(line))
        if "failed" in answer:
            await self.end()
            raise AssertionError(f"the program failed:\n{answer['failed']}")
        return answer

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    async def end(self) -> None:
        """Kill it, unless it is dead already."""
        if not self.dead:
            self.dead = True
            self._writer.close()
            try:
                await self._writer.wait_closed()
            except ConnectionError:
                pass


if __name__ == "__main__":
    main(sys.argv[1])
