"""A real Prometheus and a real Alertmanager (Debian's packages will do) beside a tiny exporter, on free ports, for the tests in tests/real.

async with stack(tmp_path, webhook, token) as it:
    it.ratio["checkout"] = 0.3          # HighErrorRate from 5%, critical; ElevatedErrorRate from 2%, a warning, inhibited by it
    await it.silence("payments", seconds=600)
    await it.sent(failed=True)          # Alertmanager's own count
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.support.program import free_port

NAMES = {"prometheus": ("prometheus",), "alertmanager": ("prometheus-alertmanager", "alertmanager")}
QUIET = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}  # no proxies
PERIOD = 0.1  # seconds between two looks
LAST_WORDS = 2000
GROUP_INTERVAL = 3.0
# Prometheus evaluates every second and so would Alertmanager flush, at the same moments: between the resolve of an inhibiting alert and that of the
# inhibited one, which is then sent as firing. Half a second apart they do not meet.
GROUP_WAIT = "1500ms"

RULES = """\
groups:
- name: demo
  interval: 1s
  rules:
  - alert: HighErrorRate
    expr: demo_error_ratio > 0.05
    for: 2s
    labels: {severity: critical, team: shop}
    annotations:
      summary: 'error ratio {{ $value | humanizePercentage }} on {{ $labels.namespace }}/{{ $labels.service }}'
      description: 'HTTP 5xx ratio above 5% for 2s'
  - alert: ElevatedErrorRate
    expr: demo_error_ratio > 0.02
    for: 2s
    labels: {severity: warning, team: shop}
    annotations: {summary: 'elevated error ratio on {{ $labels.service }}'}
"""


def binaries() -> dict[str, str]:
    """Where the two programs are. A test without them is skipped, except in CI, where they must be installed."""
    found = {what: next(filter(None, map(shutil.which, names)), "") for what, names in NAMES.items()}
    missing = [what for what, path in found.items() if not path]
    if missing:
        reason = f"no {' and no '.join(missing)} here: apt-get install prometheus prometheus-alertmanager"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


async def until(look: Callable[[], Awaitable[Any]], what: str, seconds: float = 30.0) -> Any:
    """Look until something is there."""
    deadline = time.monotonic() + seconds
    while not (found := await look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        await asyncio.sleep(PERIOD)
    return found


@dataclass
class Running:
    """A process, and the file that everything it says is appended to."""

    process: asyncio.subprocess.Process
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()

    async def end(self) -> int:
        """Ask it to end; insist after ten seconds, and when the test is not given these."""
        try:
            with suppress(ProcessLookupError):
                self.process.terminate()
            async with asyncio.timeout(10):
                await self.process.wait()
        except TimeoutError:
            pass
        finally:
            if self.process.returncode is None:
                self.kill()
        return await self.process.wait()


@asynccontextmanager
async def running(command: list[str], log: Path, env: Mapping[str, str], ready: str) -> AsyncIterator[Running]:
    """Start a process and wait until the address `ready` answers with 200; end it afterwards, whatever happens."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(*command, cwd=log.parent, env=env, stdout=output, stderr=output)
    it = Running(process, log)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http:

            async def answers() -> bool:
                assert process.returncode is None, f"{command[0]} ended at once: {it.said[-LAST_WORDS:]}"
                try:
                    async with http.get(ready) as answer:
                        return answer.status == 200
                except (aiohttp.ClientError, TimeoutError):
                    return False

            await until(answers, f"{ready} answers: {log}")
        yield it
    finally:
        await it.end()


@dataclass
class Stack:
    """What a test does with the two: break services, silence them, ask Alertmanager."""

    prometheus_url: str
    alertmanager_url: str
    alertmanager: Running
    http: aiohttp.ClientSession
    ratio: dict[str, float] = field(default_factory=dict)  # of errors, by service; read at every scrape

    async def silence(self, service: str, seconds: float) -> str:
        """Through the API, as amtool and the web page do it; the silence's id."""
        now = datetime.now(UTC)
        body = {
            "matchers": [{"name": "service", "value": service, "isRegex": False, "isEqual": True}],
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(seconds=seconds)).isoformat(),
            "createdBy": "test",
            "comment": "is being worked on",
        }
        async with self.http.post(f"{self.alertmanager_url}/api/v2/silences", json=body) as answer:
            assert answer.status == 200, await answer.text()
            return str((await answer.json())["silenceID"])

    async def alerts(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What Alertmanager holds, by alertname and service: its status tells state, silencedBy and inhibitedBy."""
        async with self.http.get(f"{self.alertmanager_url}/api/v2/alerts") as answer:
            assert answer.status == 200, await answer.text()
            return {
                (one["labels"]["alertname"], one["labels"]["service"]): one["status"] for one in await answer.json()
            }

    async def count(self, name: str) -> float:
        """One of Alertmanager's own counters, summed over the webhook's series."""
        async with self.http.get(f"{self.alertmanager_url}/metrics") as answer:
            lines = re.findall(
                rf'^{name}{{[^}}]*integration="webhook"[^}}]*}} (\S+)$', await answer.text(), re.MULTILINE
            )
        assert lines, f"Alertmanager has no {name}"
        return sum(map(float, lines))


@asynccontextmanager
async def stack(folder: Path, webhook: str, token: str) -> AsyncIterator[Stack]:
    """Both, ready, with the exporter scraped every second. The ports were free a moment ago; a program that finds its own taken says so."""
    where = binaries()
    folder.mkdir(parents=True)
    ratio: dict[str, float] = {}
    async with AsyncExitStack() as held:
        exporter = await held.enter_async_context(_exporter(ratio))
        ports = {name: free_port() for name in NAMES}
        urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        _write(folder, webhook, token, ports["alertmanager"], exporter)
        alertmanager = await held.enter_async_context(
            running(
                [where["alertmanager"], "--config.file=alertmanager.yml", "--storage.path=am", "--cluster.listen-address=",
                 f"--web.listen-address=127.0.0.1:{ports['alertmanager']}", f"--web.external-url={urls['alertmanager']}"],
                folder / "alertmanager.log", QUIET, f"{urls['alertmanager']}/-/ready",
            )
        )  # fmt: skip
        await held.enter_async_context(
            running(
                [where["prometheus"], "--config.file=prometheus.yml", "--storage.tsdb.path=tsdb",
                 f"--web.listen-address=127.0.0.1:{ports['prometheus']}", f"--web.external-url={urls['prometheus']}"],
                folder / "prometheus.log", QUIET, f"{urls['prometheus']}/-/ready",
            )
        )  # fmt: skip
        http = await held.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)))
        yield Stack(urls["prometheus"], urls["alertmanager"], alertmanager, http, ratio)


@asynccontextmanager
async def _exporter(ratio: Mapping[str, float]) -> AsyncIterator[int]:
    """Says `ratio` to whoever scrapes; its port."""

    async def metrics(request: web.Request) -> web.Response:
        lines = [
            f'demo_error_ratio{{namespace="shop",service="{name}",deployment="{name}"}} {value}\n'
            for name, value in ratio.items()
        ]
        return web.Response(text="# TYPE demo_error_ratio gauge\n" + "".join(lines))

    site = web.Application()
    site.router.add_get("/metrics", metrics)
    runner = web.AppRunner(site, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _write(folder: Path, webhook: str, token: str, alertmanager: int, exporter: int) -> None:
    """Their configuration. JSON is YAML."""
    hook = {
        "url": webhook,
        "send_resolved": True,
        "max_alerts": 0,
        "http_config": {"authorization": {"type": "Bearer", "credentials": token}},
    }
    route = {
        "receiver": "tocsin",
        "group_by": ["alertname", "namespace"],
        "group_wait": GROUP_WAIT,
        "group_interval": f"{GROUP_INTERVAL:g}s",
        "repeat_interval": "1h",
    }
    inhibited = {
        "source_matchers": ['severity="critical"'],
        "target_matchers": ['severity="warning"'],
        "equal": ["namespace", "service"],
    }
    receivers = [{"name": "tocsin", "webhook_configs": [hook]}]
    manager = {"route": route, "receivers": receivers, "inhibit_rules": [inhibited]}

    def at(port: int) -> list[dict[str, Any]]:
        return [{"targets": [f"127.0.0.1:{port}"]}]

    prometheus = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s", "external_labels": {"cluster": "test"}},
        "rule_files": ["rules.yml"],
        "alerting": {"alertmanagers": [{"static_configs": at(alertmanager)}]},
        "scrape_configs": [{"job_name": "demo", "static_configs": at(exporter)}],
    }
    for name, text in {
        "alertmanager.yml": json.dumps(manager, indent=1),
        "prometheus.yml": json.dumps(prometheus, indent=1),
        "rules.yml": RULES,
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
