"""Odd payloads for every source, thousands of them, by real HTTP and SMTP to the whole program: it answers each, and is as well afterwards as before.

TOCSIN_FULL_LOAD=1 sends a hundred thousand of them.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from bench.client import Connection
from bot.cli.demo import overrides, secrets
from bot.practice.server import Practice
from bot.practice.workspace.site import WorkspaceSettings
from tests.chaos.odd_deliveries import FACTS, SECRET, Deliveries, Delivery, settings
from tests.entry.test_webhooks_sns import key
from tests.support.clock import START
from tests.support.killing import EXAMPLE, ROOT
from tests.support.program import free_port

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.timeout(1200)]

FULL = os.environ.get("TOCSIN_FULL_LOAD") == "1"
PAYLOADS = 100_000 if FULL else 15_000
WARM = 3_000  # payloads after which memory is what it is when it is used
SENDERS = 12
MAILS_PER = 50  # one e-mail for so many payloads
ANSWER_WITHIN = 10.0
BLOCKED = 1.0  # seconds of its own CPU that the loop may be kept from others
GROWTH = 60.0  # MiB
ANSWERS = {200, 201, 202, 400, 401, 403, 404, 405, 408, 409, 413, 414, 415, 422, 431}
COUNTED = re.compile(
    r'^tocsin_alerts_received_total\{outcome="(?P<outcome>\w+)",source="(?P<source>\w+)"\} (?P<count>[\d.e+]+)', re.M
)


@dataclass
class Found:
    """What came of the deliveries. `told`: the keys of alerts of which an answer with 2xx told."""

    statuses: Counter[int] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    told: set[str] = field(default_factory=set)
    mails: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    again: int = 0  # connections that were made anew although what was sent could be read

    def answered(self, delivery: Delivery, status: int, body: bytes, seconds: float) -> None:
        self.statuses[status] += 1
        self.slowest = max(self.slowest, (seconds, f"{delivery.source} {delivery.target[:80]}"))
        if status not in ANSWERS:
            self.wrong.append(
                f"{status} {delivery.method} {delivery.target[:200]} {delivery.body[:500]!r}: {body[:300]!r}"
            )
        try:
            said = json.loads(body)
        except ValueError:
            said = None
        if not isinstance(said, dict) or (status >= 300 and not said.get("error")):
            self.wrong.append(f"no answer in JSON: {status} {delivery.method} {delivery.target[:200]} {body[:300]!r}")
        elif status < 300:
            self.taken[delivery.source] += 1
            told = [one for one in said.get("alerts", ()) if isinstance(one, dict) and "outcome" in one]
            self.told.update(f"{delivery.source}/{one['fingerprint']}" for one in told)


class Program:
    """The whole program in its own process, watched."""

    def __init__(self, folder: Path, port: int, mail: int, process: asyncio.subprocess.Process) -> None:
        self.port = port
        self.mail = mail
        self.process = process
        self.database = folder / "state" / "tocsin.db"
        self._figures = folder / "figures.json"
        self.url = f"http://127.0.0.1:{port}"

    async def health(self) -> dict[str, float]:
        """Measured anew; how late it was is since the last time."""
        self._figures.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR1)
        async with asyncio.timeout(30):
            while not self._figures.exists():
                await asyncio.sleep(0.05)
        return dict(json.loads(self._figures.read_text()))

    async def ask(self, path: str) -> str:
        def get() -> str:
            with urlopen(f"{self.url}{path}", timeout=10) as answer:
                return str(answer.read().decode())

        return await asyncio.to_thread(get)

    async def settled(self) -> None:
        """Until nothing is due, or for twenty seconds: people who do not answer are asked again and again."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            due = re.findall(r"^tocsin_outbox_due\{.*\} ([\d.]+)$", await self.ask("/metrics"), re.M)
            if not sum(map(float, due)):
                return
            await asyncio.sleep(0.5)

    async def received(self) -> dict[str, int]:
        """Alerts per source, as it counted them itself."""
        found: Counter[str] = Counter()
        for one in COUNTED.finditer(await self.ask("/metrics")):
            if one["outcome"] != "bad":
                found[one["source"]] += int(float(one["count"]))
        return dict(found)

    async def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(40):
            return await self.process.wait()


def configured(practice: Practice, folder: Path, port: int, mail: int) -> Path:
    """The example configuration with every type of source in it, on this machine's addresses."""
    config = folder / "config"
    shutil.copytree(EXAMPLE, config)
    (folder / "state").mkdir()
    given = yaml.safe_load((config / "tocsin.yaml").read_text())
    for path, value in overrides(practice, folder / "state", f"127.0.0.1:{port}", auto=False).items():
        if not path.startswith("oncall."):
            section, _, name = path.partition(".")
            given[section] = {**given.get(section, {}), name: value} if name else value
    given["slack"]["pace"] = 1000
    given["server"]["smtp"] = {"listen": f"127.0.0.1:{mail}"}
    given["sources"] |= {kind: settings(kind) for kind in FACTS}
    given["runbooks"] = [str(ROOT / "runbooks")]
    (config / "tocsin.yaml").write_text(yaml.safe_dump(given))
    return config


def certificate(folder: Path) -> Path:
    """One of Amazon's, as it were, with the key that the deliveries are signed with."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key().public_key()).serial_number(1)
    )
    made = made.not_valid_before(START.replace(year=START.year - 5)).not_valid_after(
        START.replace(year=START.year + 50)
    )
    (folder / "sns.pem").write_bytes(made.sign(key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return folder / "sns.pem"


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Program]:
    practice = Practice(time.time, settings=WorkspaceSettings(rate_limits=False))
    await practice.start()
    port, mail = free_port(), free_port()
    config = configured(practice, folder, port, mail)
    command = [
        sys.executable,
        "-m",
        "tests.chaos.watched",
        str(config),
        str(folder / "figures.json"),
        str(certificate(folder)),
    ]
    env = {**os.environ, **secrets(practice), "TOCSIN_FUZZ_SECRET": SECRET}
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=env, stdout=log, stderr=log)
    program = Program(folder, port, mail, process)
    try:
        async with asyncio.timeout(60):
            while process.returncode is None:
                try:
                    await program.ask("/healthz")
                    break
                except OSError:
                    await asyncio.sleep(0.1)
        assert process.returncode is None, (folder / "log").read_text()
        yield program
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await practice.stop()


async def send(program: Program, deliveries: Deliveries, count: int, found: Found) -> None:
    """So many payloads, by senders that keep their connections, and e-mail beside them."""
    left = iter(range(count))

    async def sender() -> None:
        connection = None
        for _ in left:
            delivery = deliveries.one()
            if connection is None or connection.closed:
                _, connection = await asyncio.get_running_loop().create_connection(
                    Connection, "127.0.0.1", program.port
                )
            started = time.monotonic()
            try:
                async with asyncio.timeout(ANSWER_WITHIN):
                    status, body = await connection.post(delivery.head, delivery.body)
            except (OSError, TimeoutError) as error:
                found.wrong.append(
                    f"{error!r} {delivery.method} {delivery.target[:200]} {delivery.headers} {delivery.body[:500]!r}"
                )
                connection.close()
                continue
            found.answered(delivery, status, body, time.monotonic() - started)
            found.again += connection.closed and not delivery.bare

    async with asyncio.TaskGroup() as tasks:
        for _ in range(SENDERS):
            tasks.create_task(sender())
        tasks.create_task(post(program.mail, [deliveries.mail() for _ in range(count // MAILS_PER)], found))


async def post(port: int, mails: list[bytes], found: Found) -> None:
    """E-mail, fifty a connection. What is counted is the answer to the whole message."""
    for start in range(0, len(mails), 50):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)

        async def say(line: bytes, reader: asyncio.StreamReader = reader, writer: asyncio.StreamWriter = writer) -> str:
            writer.write(line)
            async with asyncio.timeout(ANSWER_WITHIN):
                while (answer := (await reader.readline()).decode())[3:4] == "-":
                    pass
            return answer

        await say(b"")
        await say(b"EHLO fuzz.example.com\r\n")
        for mail in mails[start : start + 50]:
            await say(b"MAIL FROM:<mon@example.com>\r\n")
            await say(f"RCPT TO:<email+{SECRET}@tocsin.example.com>\r\n".encode())
            await say(b"DATA\r\n")
            dotted = re.sub(rb"^\.", b"..", mail, flags=re.M)
            found.mails[(await say(dotted + b"\r\n.\r\n"))[:3]] += 1
        writer.close()
        await writer.wait_closed()


def kept(database: Path) -> tuple[Counter[str], set[str]]:
    """Lines of the log of what came in, per source, and the keys of all alerts that have one."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        lines = connection.execute("select alert_key from alert_log where not again").fetchall()
    finally:
        connection.close()
    return Counter(line.partition("/")[0] for (line,) in lines), {line for (line,) in lines}


async def test_whatever_comes_from_whichever_source_is_answered_and_leaves_no_harm(folder: Path) -> None:
    deliveries, found = Deliveries(seed=4), Found()
    async with running(folder) as program:
        await send(program, deliveries, WARM, found)
        await program.settled()
        before = await program.health()
        started = time.monotonic()
        await send(program, deliveries, PAYLOADS - WARM, found)
        seconds = time.monotonic() - started
        await program.settled()
        after = await program.health()
        received = await program.received()
        assert await program.stop() == 0
    shown(found, before, after, seconds)

    assert not found.wrong, f"{len(found.wrong)}, like:\n" + "\n".join(found.wrong[:20])
    assert found.again == 0, "connections were dropped"
    assert sum(found.statuses.values()) == PAYLOADS
    assert set(found.mails) <= {"250", "554"} and found.mails["250"]
    assert set(found.taken) == set(deliveries.kinds), "of some source nothing was ever accepted: it was not tried"
    assert max(after["computed"], before["computed"]) < BLOCKED
    assert after["rss"] - before["rss"] < GROWTH
    assert after["fds"] - before["fds"] <= 5
    lines, keys = kept(program.database)
    assert dict(lines) == received
    assert found.told <= keys
    said = (folder / "log").read_text(errors="replace")
    assert "Traceback" not in said, said[:4_000]


def shown(found: Found, before: Mapping[str, Any], after: Mapping[str, Any], seconds: float) -> None:
    print(
        f"\n{sum(found.statuses.values()):,} payloads in {seconds:.0f} s: {dict(found.statuses.most_common())}, e-mail {dict(found.mails)}"
    )
    print(
        f"slowest {found.slowest[0]:.2f} s ({found.slowest[1]}); {len(found.told):,} alerts told of; before {before}, after {after}"
    )
