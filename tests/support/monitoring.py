"""A real Prometheus and Alertmanager (Debian's packages) over a small exporter of our own, on free ports, posting with a bearer token."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.program import free_port

PROGRAMS = ("prometheus", "prometheus-alertmanager")
ALERTMANAGER = """\
route:
  receiver: tocsin
  group_by: [alertname, namespace]
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 1h
receivers:
- name: tocsin
  webhook_configs:
  - url: '{url}'
    send_resolved: true
    http_config: {{authorization: {{type: Bearer, credentials: '{token}'}}}}
inhibit_rules:
- source_matchers: [severity="critical"]
  target_matchers: [severity="warning"]
  equal: [namespace, service]
"""
RULES = """\
groups:
- name: shop
  interval: 1s
  rules:
  - alert: HighErrorRate
    expr: demo_error_ratio > 0.05
    for: 1s
    labels: {severity: critical, team: shop}
    annotations:
      summary: 'error ratio {{ $value | humanizePercentage }} on {{ $labels.namespace }}/{{ $labels.service }}'
  - alert: ElevatedErrorRate
    expr: demo_error_ratio > 0.02
    for: 1s
    labels: {severity: warning, team: shop}
    annotations: {summary: 'elevated error ratio on {{ $labels.service }}'}
"""
PROMETHEUS = """\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{alertmanager}']}}]}}]}}
scrape_configs: [{{job_name: shop, static_configs: [{{targets: ['127.0.0.1:{exporter}']}}]}}]
"""


def missing() -> str:
    """Which of the programs this machine does not have; empty when it has them all."""
    return ", ".join(name for name in PROGRAMS if shutil.which(name) is None)


@dataclass
class Monitoring:
    """`ratios` is what the exporter shows: the error ratio by service."""

    prometheus: str
    alertmanager: str
    ratios: dict[str, float] = field(default_factory=dict)

    def silence(self, service: str) -> None:
        now = datetime.now(UTC)
        matcher = {"name": "service", "value": service, "isRegex": False, "isEqual": True}
        body = {"matchers": [matcher], "createdBy": "ada", "comment": "known", "startsAt": now.isoformat()}
        asked(f"{self.alertmanager}/api/v2/silences", {**body, "endsAt": (now + timedelta(hours=1)).isoformat()})

    def firing(self) -> set[str]:
        """The services that Alertmanager has a critical alert of now, silenced ones too."""
        alerts = asked(f"{self.alertmanager}/api/v2/alerts?filter=severity%3Dcritical")
        return {alert["labels"]["service"] for alert in alerts}


@contextmanager
def monitoring(place: Path, url: str, token: str) -> Iterator[Monitoring]:
    """Both running until the end; what they say goes to `place`."""
    prometheus, alertmanager = free_port(), free_port()
    made = Monitoring(f"http://127.0.0.1:{prometheus}", f"http://127.0.0.1:{alertmanager}")
    with ExitStack() as stack:
        exporter = stack.enter_context(_exporter(made.ratios))
        (place / "alertmanager.yml").write_text(ALERTMANAGER.format(url=url, token=token))
        (place / "rules.yml").write_text(RULES)
        (place / "prometheus.yml").write_text(PROMETHEUS.format(alertmanager=alertmanager, exporter=exporter))
        second = (
            "--config.file=alertmanager.yml", "--storage.path=alertmanager", "--cluster.listen-address=",
            f"--web.listen-address=127.0.0.1:{alertmanager}", f"--web.external-url={made.alertmanager}",
        )  # fmt: skip
        first = (
            "--config.file=prometheus.yml", "--storage.tsdb.path=prometheus",
            f"--web.listen-address=127.0.0.1:{prometheus}", f"--web.external-url={made.prometheus}",
        )  # fmt: skip
        for name, words in zip(PROGRAMS, (first, second), strict=True):
            stack.enter_context(_process(place, name, *words))
        for address in (made.prometheus, made.alertmanager):
            _ready(f"{address}/-/ready", place)
        yield made


def asked(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    wanted = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(wanted, timeout=10) as answer:
        return json.loads(answer.read())


@contextmanager
def _process(place: Path, name: str, *words: str) -> Iterator[None]:
    with (place / f"{name}.log").open("wb") as log:
        process = subprocess.Popen([name, *words], cwd=place, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(url: str, place: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.1)
    raise AssertionError(f"{url} does not answer\n" + "".join(path.read_text()[-2000:] for path in place.glob("*.log")))


@contextmanager
def _exporter(ratios: dict[str, float]) -> Iterator[int]:
    """Serves `demo_error_ratio` for each service; the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            lines = [
                f'demo_error_ratio{{namespace="shop",service="{s}",deployment="{s}"}} {v}\n' for s, v in ratios.items()
            ]
            body = "".join(lines).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
