"""The command line as people use it: `tocsin(...)` in this process (quick) or `started(...)` as one of its own; a folder and a world for it."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import structlog

from bot import cli
from bot.cli.demo import TOKEN
from bot.practice.server import Practice
from bot.practice.story import demo_world
from bot.practice.workspace.site import WorkspaceSettings

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "deploy" / "config"
SECRETS = {
    "TOCSIN_SLACK_BOT_TOKEN": "xoxb-practice",
    "TOCSIN_SLACK_APP_TOKEN": "xapp-practice",
    "TOCSIN_SLACK_SIGNING_SECRET": "practice-signing-secret",
    "TOCSIN_ALERTMANAGER_TOKEN": TOKEN,
    "TOCSIN_GENERIC_SECRET": "practice-generic-secret",
    "TOCSIN_KUBERNETES_TOKEN": "practice-kubernetes-token",
}


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


def tocsin(*words: str | Path, env: Mapping[str, str] = SECRETS) -> Ended:
    """Run one command to its end, as the `tocsin` script does."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    handlers = [*logging.getLogger().handlers]
    with (
        patch.object(sys, "argv", ["tocsin", *map(str, words)]),
        patch.dict(os.environ, env),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(bool(end.code))
        finally:
            structlog.reset_defaults()
            logging.getLogger().handlers[:] = handlers
    return Ended(code, out.getvalue(), err.getvalue())


@contextmanager
def started(*words: str | Path, env: Mapping[str, str] = SECRETS, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command as a process of its own, asked to stop at the end and killed when it does not; what it says goes to `log`."""
    command = [sys.executable, "-m", "bot", *map(str, words)]
    with log.open("wb") as said:
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **env}, stdout=said, stderr=said)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def world(settings: WorkspaceSettings | None = None) -> Iterator[Practice]:
    """A practice world that lives in a thread of its own; the demo's deployment is broken in it."""
    made: list[Practice] = []
    running, stop = threading.Event(), asyncio.Event()

    async def live() -> None:
        practice = Practice(time.time, settings=settings or WorkspaceSettings(rate_limits=False))
        demo_world(practice.cluster)
        await practice.start()
        made.append(practice)
        running.set()
        await stop.wait()
        await practice.stop()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(live(),), daemon=True)
    thread.start()
    assert running.wait(10)
    try:
        yield made[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def folder(place: Path, url: str = "http://127.0.0.1:9", listen: str = "127.0.0.1:0") -> Path:
    """The example configuration, its runbooks beside it, pointed at a practice world; `place/state` is its state."""
    made = place / "deploy" / "config"
    shutil.copytree(EXAMPLE, made)
    shutil.copytree(ROOT / "runbooks", place / "runbooks")
    main = made / "tocsin.yaml"
    changed(main, "state: state\n", f"state: {place / 'state'}\n")
    changed(main, "listen: 127.0.0.1:8080", f"listen: {listen}")
    changed(main, "  mode: socket", f"  api_url: {url}/api/\n  pace: 1000\n  mode: socket")
    changed(main, "url: https://kubernetes.default.svc", f"url: {url}/cluster")
    changed(main, "url: http://prometheus.monitoring.svc:9090", f"url: {url}/prometheus")
    return made


def changed(path: Path, before: str, after: str) -> None:
    """Edit a file; it must hold what is replaced."""
    text = path.read_text(encoding="utf-8")
    assert before in text, f"{path} has no {before!r}"
    path.write_text(text.replace(before, after), encoding="utf-8")
