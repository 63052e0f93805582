"""The whole program in a process of its own (tests/chaos/watched.py), as tests see it that pour things into it: its health, its counts, its end."""

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
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from bot.cli.demo import overrides, secrets
from bot.practice.server import Practice
from bot.practice.workspace.site import WorkspaceSettings
from tests.entry.test_webhooks_sns import key
from tests.support.clock import START
from tests.support.killing import EXAMPLE, ROOT
from tests.support.program import free_port

FULL = os.environ.get("TOCSIN_FULL_LOAD") == "1"
SECRET = "a-secret-of-the-tests-0123456789"
COUNTED = re.compile(
    r'^tocsin_alerts_received_total\{outcome="(?P<outcome>\w+)",source="(?P<source>\w+)"\} (?P<count>[\d.e+]+)', re.M
)


class Watched:
    """The whole program in its own process, watched."""

    def __init__(
        self, folder: Path, port: int, mail: int, practice: Practice, process: asyncio.subprocess.Process
    ) -> None:
        self.port = port
        self.mail = mail
        self.process = process
        self.practice = practice
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

    async def settled(self, within: float = 20.0) -> None:
        """Until nothing is due, or for so many seconds: people who do not answer are asked again and again."""
        deadline = time.monotonic() + within
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


def configured(practice: Practice, folder: Path, port: int, more: Mapping[str, Mapping[str, Any]]) -> Path:
    """The example configuration on this machine's addresses; `more` is laid over its sections."""
    config = folder / "config"
    shutil.copytree(EXAMPLE, config)
    (folder / "state").mkdir()
    given = yaml.safe_load((config / "tocsin.yaml").read_text())
    for path, value in overrides(practice, folder / "state", f"127.0.0.1:{port}", auto=False).items():
        if not path.startswith("oncall."):
            section, _, name = path.partition(".")
            given[section] = {**given.get(section, {}), name: value} if name else value
    for section, values in more.items():
        given[section] = {**given.get(section, {}), **values}
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
async def running(folder: Path, more: Mapping[str, Mapping[str, Any]]) -> AsyncIterator[Watched]:
    """Ready; killed at the end unless the test stopped it. E-mail comes in at a port of its own."""
    practice = Practice(time.time, settings=WorkspaceSettings(rate_limits=False))
    await practice.start()
    port, mail = free_port(), free_port()
    more = {**more, "server": {"smtp": {"listen": f"127.0.0.1:{mail}"}, **more.get("server", {})}}
    config = configured(practice, folder, port, more)
    command = [
        sys.executable,
        "-m",
        "tests.chaos.watched",
        str(config),
        str(folder / "figures.json"),
        str(certificate(folder)),
    ]
    env = {**os.environ, **secrets(practice), "TOCSIN_TESTS_SECRET": SECRET}
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=env, stdout=log, stderr=log)
    program = Watched(folder, port, mail, practice, process)
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


def kept(database: Path) -> tuple[Counter[str], set[str]]:
    """Lines of the log of what came in, per source, and the keys of all alerts that have one."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        lines = connection.execute("select alert_key from alert_log where not again").fetchall()
    finally:
        connection.close()
    return Counter(line.partition("/")[0] for (line,) in lines), {line for (line,) in lines}
