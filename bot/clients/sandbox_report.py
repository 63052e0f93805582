"""What is told of a script's end: the launcher's report in words, and the beginning and the end of what it printed. Used by Sandbox."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from bot.clients.sandbox_watch import Limits
from bot.errors import BadInput, TryLater

KEPT = 30_000
EDGE = 4096
MIB = 1 << 20
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Limits that the kernel holds by refusing: what programs then say of it, in the C locale.
_SAID = (
    ("memory", re.compile(r"MemoryError|[Cc]annot allocate memory|[Oo]ut of memory|memory exhausted|malloc: .*failed")),
    (
        "processes",
        re.compile(r"[Cc]annot fork|fork: .*Resource temporarily|start new thread|BlockingIOError: \[Errno 11\]"),
    ),
    ("open_files", re.compile(r"[Tt]oo many open files")),
    ("disk", re.compile(r"[Ff]ile too large|[Ff]ile size limit exceeded")),
    ("network", re.compile(r"[Nn]etwork is unreachable")),
)


@dataclass(frozen=True, slots=True)
class Ran:
    """How it ended. `exit`: as a shell says it (128 + n for signal n). `stopped`: which limit ended it, in words; empty when it ended itself.

    `hint`: a limit that it seems to have met, by what it says itself. `output`: the beginning and the end of what it printed (not redacted);
    `size`: bytes of the whole; `left`: processes that it left behind, now ended.
    """

    exit: int
    stopped: str
    output: str
    size: int
    seconds: float
    left: int = 0
    hint: str = ""


class Printed:
    """The beginning and the end of what was printed, and how much it was."""

    def __init__(self) -> None:
        self.size = 0
        self._head = bytearray()
        self._tail = bytearray()

    def add(self, chunk: bytes) -> None:
        self.size += len(chunk)
        room = KEPT - len(self._head)
        self._head += chunk[:room]
        self._tail += chunk[room:] if room < len(chunk) else b""
        if len(self._tail) > 4 * KEPT:
            del self._tail[:-KEPT]

    def text(self) -> str:
        """Whole lines where possible, so that no secret is cut in two; terminal codes and control characters are out."""
        head, tail = bytes(self._head), bytes(self._tail)
        if self.size <= 2 * KEPT:
            return _plain(head + tail)
        tail = tail[-KEPT:]
        head = head[: head.rfind(b"\n", len(head) - EDGE) + 1 or len(head)]
        tail = tail[tail.find(b"\n", 0, EDGE) + 1 :]
        left = self.size - len(head) - len(tail)
        return f"{_plain(head)}\n… [{left:,} bytes left out] …\n{_plain(tail)}"


def _plain(raw: bytes) -> str:
    text = _ESCAPES.sub("", raw.decode("utf-8", "replace").replace("\r\n", "\n"))
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text.replace("\r", "\n"))


def told(report: bytes, kept: Printed, limits: Limits) -> Ran:
    """Raises BadInput when nothing was executed, TryLater when nobody knows."""
    lines = report.decode("utf-8", "replace").strip().splitlines()
    try:
        found = json.loads(lines[-1])
        seconds = float(found["seconds"])
    except (IndexError, ValueError, KeyError, TypeError) as error:
        last = lines[-1][:200] if lines else "no word"
        raise TryLater(f"the sandbox's launcher was lost ({last})", uncertain=True) from error
    if "refused" in found:
        raise BadInput(f"the sandbox could not be set up, so the script was not executed: {found['refused']}")
    code = int(found.get("exit", -9))
    reason = found.get("stopped") or _by_kernel(code, float(found.get("cpu_seconds", 0)), limits)
    stopped = _words(reason or ("output" if kept.size > limits.output else ""), limits)
    if found.get("unended"):
        stopped += f"; {found['unended']} of its processes could not be ended"
    text, left = kept.text(), int(found.get("left", 0))
    hint = "" if stopped or not code else _hint(text, limits)
    return Ran(code if code >= 0 else 128 - code, stopped, text, kept.size, seconds, left, hint)


def _by_kernel(code: int, cpu_seconds: float, limits: Limits) -> str:
    """The limits that the kernel holds by itself: SIGXCPU (then SIGKILL), SIGXFSZ, SIGSYS."""
    if code == -9 and cpu_seconds > limits.cpu_seconds:
        return "cpu_seconds"
    return {-24: "cpu_seconds", -25: "disk", -31: "call"}.get(code, "")


def _hint(text: str, limits: Limits) -> str:
    """Where the kernel holds a limit by refusing, a program ends by itself and says so in its own words."""
    end = text[-EDGE:]
    return next((_words(reason, limits) for reason, said in _SAID if said.search(end)), "")


def _words(reason: str, limits: Limits) -> str:
    said = {
        "": "",
        "seconds": f"it ran longer than {limits.seconds:g} s",
        "cpu_seconds": f"it used more than {limits.cpu_seconds:g} s of CPU (`scripts.cpu_seconds` in tocsin.yaml)",
        "memory": f"it used more than {limits.memory // MIB} MiB of memory",
        "processes": f"it had more than {limits.processes} processes (`scripts.processes` in tocsin.yaml)",
        "disk": f"it wrote more than {limits.disk // MIB} MiB (`scripts.disk` in tocsin.yaml)",
        "files": f"it made more than {limits.files} files, or hid them (`scripts.files` in tocsin.yaml)",
        "output": f"it printed more than {limits.output} bytes (`scripts.output` in tocsin.yaml)",
        "open_files": f"it opened more than {limits.open_files} files at once (`scripts.open_files` in tocsin.yaml)",
        "network": "it wanted the network, which it has only with `network: true`",
        "call": "it made a system call of another architecture",
    }
    return said.get(reason, f"it was {reason}")
