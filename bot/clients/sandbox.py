"""Runs a script that is not trusted: a process of its own with nothing inherited, an empty folder, no network unless asked, bounded in everything.

The bot's side, asyncio; `sandbox_launcher` stands between it and the script. docs/adr/006-sandbox.md says what each layer is for. Used by the
action `script` and by `tocsin doctor`.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.clients import sandbox_folder, sandbox_landlock, sandbox_seccomp
from bot.clients.sandbox_report import MIB, Printed, Ran, told
from bot.clients.sandbox_watch import Limits
from bot.errors import BadInput, TryLater

LAYERS = ("landlock", "landlock_network", "landlock_signals", "seccomp", "user")
NOBODY = 65534
PATH = "/usr/local/bin:/usr/bin:/bin"
INTERPRETERS = {"sh": Path("sh"), "bash": Path("bash"), "python": Path("python3")}
OPTIONS: Mapping[str, tuple[str, ...]] = {"python": ("-I", "-B"), "bash": ("--noprofile", "--norc")}
CAPABILITIES = {0: "CHOWN", 1: "DAC_OVERRIDE", 5: "KILL", 6: "SETGID", 7: "SETUID"}
ROOT = Path(__file__).parents[2]
BOOT = "import sys; sys.path.append(sys.argv[1]); from bot.clients.sandbox_launcher import main; main()"
GRACE = 15.0  # for the launcher to begin and to end everything; it has its own clock
LONGEST_REPORT = 1 << 16


@dataclass(frozen=True, slots=True)
class Script:
    """What to run. None: as much as the configuration gives at most; a number bounds it further."""

    text: str
    interpreter: str = "sh"
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: str = ""
    network: bool = False
    seconds: float | None = None
    memory: int | None = None


class Sandbox:
    """`folder`: where private folders are made. `require`: layers without which nothing is run. `readable`: folders beside the system's."""

    def __init__(
        self,
        folder: Path,
        limits: Limits | None = None,
        *,
        interpreters: Mapping[str, Path] = INTERPRETERS,
        require: Sequence[str] = ("landlock", "seccomp"),
        readable: Sequence[Path] = (),
        at_once: int = 2,
        python: str = sys.executable,
    ) -> None:
        self.limits = limits or Limits()
        self._folder = folder
        self._interpreters = interpreters
        self._require = tuple(require)
        self._readable = readable
        self._python = python
        self._at_once = at_once
        self._turn = asyncio.Semaphore(at_once)

    def layers(self) -> Mapping[str, bool | str]:
        """Each layer: True when it is there, else why it is not."""
        abi, why = sandbox_landlock.version()
        network = f"needs Landlock ABI {sandbox_landlock.NETWORK_ABI} (Linux 6.7), this kernel has {abi}"
        signals = f"needs Landlock ABI {sandbox_landlock.SCOPE_ABI} (Linux 6.12), this kernel has {abi}"
        return {
            "landlock": bool(abi) or why,
            "landlock_network": abi >= sandbox_landlock.NETWORK_ABI or why or network,
            "landlock_signals": abi >= sandbox_landlock.SCOPE_ABI or why or signals,
            "seccomp": sandbox_seccomp.missing() or True,
            "user": _own_user() or True,
        }

    def refusal(self) -> str:
        """Why no script would be run here; empty when they would."""
        if sys.platform != "linux":
            return f"scripts are refused here: they need Linux, and this is {sys.platform}"
        if os.geteuid() == 0 and (why := _own_user()):
            return f"scripts are refused here: {why}"
        for name, there in self.layers().items():
            if name in self._require and there is not True:
                words = f"the layer {name} is missing: {there}. `scripts.require` in tocsin.yaml asks for it"
                return f"scripts are refused here: {words}"
        return _not_entered(self._folder) if os.geteuid() == 0 else ""

    async def run(self, script: Script) -> Ran:
        """BadInput when it cannot be run at all; TryLater when the launcher is lost, `uncertain` once the script may have begun."""
        refusal = await asyncio.to_thread(self.refusal)
        if refusal:
            raise BadInput(refusal)
        limits, interpreter = self._bounds(script), await asyncio.to_thread(self._interpreter, script.interpreter)
        owner = NOBODY if os.geteuid() == 0 else None
        async with self._turn:
            try:
                run = await asyncio.to_thread(sandbox_folder.make, str(self._folder), script.text, script.stdin, owner)
            except OSError as error:
                raise TryLater(f"cannot make a folder for a script in {self._folder}: {error.strerror}") from error
            try:
                return await self._supervised(self._order(script, interpreter, run, limits, owner), limits)
            finally:
                with contextlib.suppress(OSError):
                    await asyncio.to_thread(sandbox_folder.remove, run)

    def _bounds(self, script: Script) -> Limits:
        most = self.limits
        if script.seconds is not None and script.seconds > most.seconds:
            raise BadInput(f"seconds: at most {most.seconds:g} (`scripts.seconds` in tocsin.yaml)")
        if script.memory is not None and script.memory > most.memory:
            raise BadInput(f"memory_mb: at most {most.memory // MIB} (`scripts.memory` in tocsin.yaml)")
        return dataclasses.replace(most, seconds=script.seconds or most.seconds, memory=script.memory or most.memory)

    def _interpreter(self, name: str) -> str:
        given = self._interpreters.get(name)
        found = shutil.which(given, path=PATH) if given else None
        if found is None:
            raise BadInput(
                f"there is no interpreter {name} here: {given or name} (`scripts.interpreters` in tocsin.yaml)"
            )
        return os.path.abspath(found)

    def _order(
        self, script: Script, interpreter: str, run: str, limits: Limits, owner: int | None
    ) -> Mapping[str, Any]:
        work = os.path.join(run, sandbox_folder.WORK)
        own = {"PATH": PATH, "HOME": work, "TMPDIR": work, "PWD": work, "LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "2"}
        file = os.path.join(run, sandbox_folder.SCRIPT)
        return {
            "argv": [interpreter, *OPTIONS.get(script.interpreter, ()), file],
            "env": {**script.env, **own},
            "run": run,
            "network": script.network,
            "readable": [str(place) for place in self._readable],
            "require": self._require,
            "user": owner,
            "at_once": self._at_once,
            "limits": dataclasses.asdict(limits),
        }

    async def _supervised(self, order: Mapping[str, Any], limits: Limits) -> Ran:
        """Give the launcher its order and read along; whatever happens here, nothing of the script is left when this returns."""
        kept = Printed()
        async with _pipe() as (printed, to_printed), _pipe() as (said, to_said):
            process = await self._launcher(to_printed, to_said)
            report = b""
            try:
                _tell(process, json.dumps(order))
                async with asyncio.timeout(limits.seconds + GRACE), asyncio.TaskGroup() as tasks:
                    tasks.create_task(_collect(printed, kept, process, limits.output))
                    reading = tasks.create_task(_report(said))
                report = reading.result()
            except TimeoutError:
                report = b""
            finally:
                await _ended(process)
        return told(report, kept, limits)

    async def _launcher(self, stdout: int, stderr: int) -> asyncio.subprocess.Process:
        """At work, with nothing of the bot's but these; they are its own afterwards."""
        try:
            return await asyncio.create_subprocess_exec(
                *(self._python, "-I", "-S", "-c", BOOT, str(ROOT)),
                stdin=asyncio.subprocess.PIPE,
                stdout=stdout,
                stderr=stderr,
                env={},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise TryLater(f"the sandbox's launcher could not be started: {error.strerror}") from error
        finally:
            os.close(stdout)
            os.close(stderr)


@asynccontextmanager
async def _pipe() -> AsyncIterator[tuple[asyncio.StreamReader, int]]:
    """(where to read, what to give away). Closed here at the end, also when somebody still holds the other end."""
    here, there = os.pipe()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(here, "rb", buffering=0)
    )
    try:
        yield reader, there
    finally:
        transport.close()


async def _collect(
    printed: asyncio.StreamReader, kept: Printed, process: asyncio.subprocess.Process, most: int
) -> None:
    """All of it is read, so that nothing blocks; little is kept."""
    stopping = False
    while chunk := await printed.read(1 << 16):
        kept.add(chunk)
        if kept.size > most and not stopping:
            stopping = True
            _tell(process, "output")


async def _report(said: asyncio.StreamReader) -> bytes:
    report = b""
    while chunk := await said.read(1 << 16):
        report = (report + chunk)[:LONGEST_REPORT]
    return report


def _tell(process: asyncio.subprocess.Process, line: str) -> None:
    if process.stdin is not None and not process.stdin.is_closing():
        process.stdin.write(line.encode() + b"\n")


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Also when this is cancelled once more: first the end of the script, then our own."""
    ending = asyncio.ensure_future(_end(process))
    try:
        await asyncio.shield(ending)
    except asyncio.CancelledError:
        await ending
        raise


async def _end(process: asyncio.subprocess.Process) -> None:
    """The launcher ends everything and then itself; one that does not within its time is killed."""
    if process.returncode is None:
        _tell(process, "cancelled")
    try:
        async with asyncio.timeout(GRACE):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    finally:
        if process.stdin is not None:
            process.stdin.close()


def _own_user() -> str:
    """Why a script does not have a user of its own; empty when it has."""
    if os.geteuid() != 0:
        return "the bot is not root, so scripts have its own user"
    mask = 0
    with contextlib.suppress(OSError, ValueError):
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        mask = int(status.partition("CapEff:")[2].split()[0], 16)
    lacking = [name for bit, name in CAPABILITIES.items() if not mask >> bit & 1]
    if lacking:
        return f"the bot is root without the capabilities {', '.join(lacking)}, so it cannot give up being root for a script; run it as another user"
    return ""


def _not_entered(folder: Path) -> str:
    """Why `nobody` could not enter the private folders below; empty when it could."""
    for parent in (folder, *folder.absolute().parents):
        if parent.is_dir() and not parent.stat().st_mode & 0o001:
            return (
                f"scripts are refused here: {parent} cannot be entered by the user that scripts have; "
                f"chmod o+x it, or set `scripts.folder` in tocsin.yaml to a folder elsewhere"
            )
    return ""
