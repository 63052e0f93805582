"""The sandbox as the bot has it here, and the same for a bot that is another user: `run_as` starts one of its own. Executed, it is that bot."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

NOBODY = 65534
ROOT = Path(__file__).parents[2]
PROGRAM = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.support.sandboxes import main; main()"


@contextmanager
def open_folder(owner: int | None = None) -> Iterator[Path]:
    """A folder that every user can enter: those of pytest can be entered by one only."""
    made = Path(tempfile.mkdtemp(prefix="tocsin-sandbox-", dir="/tmp"))
    made.chmod(0o755)
    if owner is not None:
        os.chown(made, owner, owner)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@cache
def python_for_all() -> str:
    """A Python that a user who is not root can execute; empty when there is none."""
    for place in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"):
        look = [place, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
        try:
            if not subprocess.run(
                look, user=NOBODY, group=NOBODY, cwd="/", capture_output=True, check=False
            ).returncode:
                return place
        except OSError:
            continue
    return ""


def as_nobody(order: Mapping[str, Any], env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """A bot of the user nobody, which runs one script. Its order goes to its stdin, and the end to its stdout, as JSON."""
    bot = subprocess.Popen(
        [python_for_all(), "-B", "-c", PROGRAM],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/", env={**(env or {}), "PATH": "/usr/bin:/bin"},
        user=NOBODY, group=NOBODY, extra_groups=[],
    )  # fmt: skip
    assert bot.stdin is not None
    bot.stdin.write(json.dumps(order).encode())
    bot.stdin.close()
    bot.stdin = None
    return bot


def processes_with(text: str) -> list[int]:
    """Those that have this in their command line."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes()
        except OSError:
            continue
        if text.encode() in words and int(place.parent.name) != os.getpid():
            found.append(int(place.parent.name))
    return found


def main() -> None:
    """The bot that `as_nobody` starts."""
    from bot.clients.sandbox import Sandbox, Script  # noqa: PLC0415  (by then the path is set)
    from bot.clients.sandbox_watch import Limits  # noqa: PLC0415
    from bot.errors import BadInput, TryLater  # noqa: PLC0415

    order = json.load(sys.stdin)
    sandbox = Sandbox(Path(order["folder"]), Limits(**order["limits"]))
    given = dict(order["script"])
    given["env"] = {**given.get("env", {}), "BOT": str(os.getpid())}
    try:
        said = dataclasses.asdict(asyncio.run(sandbox.run(Script(**given))))
    except (BadInput, TryLater) as error:
        said = {"error": str(error)}
    print(json.dumps(said))
