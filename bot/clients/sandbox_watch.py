"""What a script's processes use in all, read from /proc, and their end. Standard library only: used by the launcher of the sandbox.

rlimits bound single processes, and RLIMIT_NPROC a whole user; this bounds the script. The launcher is the subreaper of everything that comes from a
script, so a daemon that forks twice and takes a session of its own is a descendant like any other.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import stat
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from bot.clients.sandbox_folder import TooMuch, measured

LONGEST_END = 5.0
BLOCK = 512


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one script with all that it starts. Sizes are in bytes; `output` counts what it prints, `files` what lies in its folder."""

    seconds: float = 300.0
    cpu_seconds: float = 60.0
    memory: int = 256 << 20
    processes: int = 64
    open_files: int = 256
    disk: int = 64 << 20
    files: int = 2000
    output: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Process:
    """One line of /proc. `ticks`: CPU time, that of ended children included."""

    pid: int
    parent: int
    state: str
    threads: int
    ticks: int


def processes() -> Iterator[Process]:
    for name in os.listdir("/proc"):
        if name.isdecimal():
            fields = _read(f"/proc/{name}/stat").rpartition(")")[2].split()
            if len(fields) > 17:
                ticks = sum(int(field) for field in fields[11:15])
                yield Process(int(name), int(fields[1]), fields[0], int(fields[17]), ticks)


def family(root: int) -> list[Process]:
    """All descendants of a process, dead ones that nobody has waited for left out."""
    below: dict[int, list[Process]] = {}
    for process in processes():
        below.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    ahead = [root]
    while ahead:
        children = below.get(ahead.pop(), [])
        found += children
        ahead += [child.pid for child in children]
    return [process for process in found if process.state not in "ZX"]


def threads_of(user: int) -> int:
    """How many processes and threads a user has, as far as they can be seen from here."""
    count = 0
    for process in processes():
        with contextlib.suppress(OSError):
            count += process.threads if os.stat(f"/proc/{process.pid}").st_uid == user else 0
    return count


def breach(limits: Limits, folder: str) -> str:
    """The limit that is broken now by the name of its field, or empty."""
    there = family(os.getpid())
    if sum(process.threads for process in there) > limits.processes:
        return "processes"
    pids = [process.pid for process in there]
    if cpu_seconds(there) > limits.cpu_seconds:
        return "cpu_seconds"
    # shared pages count once per process in the quick sum, so a slow and exact one confirms it
    if _memory(pids, "status", ("RssAnon:", "RssShmem:")) > limits.memory and _exact_memory(pids) > limits.memory:
        return "memory"
    try:
        size = measured(folder, limits.files) + _unlinked(pids)
    except TooMuch:
        return "files"
    return "disk" if size > limits.disk else ""


def cpu_seconds(there: Collection[Process]) -> float:
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    ticks = sum(process.ticks for process in there)
    return ticks / os.sysconf("SC_CLK_TCK") + ended.ru_utime + ended.ru_stime


def _exact_memory(pids: Collection[int]) -> int:
    return _memory(pids, "smaps_rollup", ("Pss_Anon:", "Pss_Shmem:")) or _memory(pids, "status", ("RssAnon:",))


def _memory(pids: Collection[int], file: str, names: tuple[str, ...]) -> int:
    lines = (line.split() for pid in pids for line in _read(f"/proc/{pid}/{file}").splitlines())
    return sum(int(words[1]) for words in lines if len(words) > 1 and words[0] in names) << 10


def _unlinked(pids: Collection[int]) -> int:
    """Bytes on the disk of files that have no name any more but are still open or mapped."""
    sizes: dict[tuple[int, int], int] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    found = os.stat(f"/proc/{pid}/fd/{name}")
                    if stat.S_ISREG(found.st_mode) and not found.st_nlink:
                        sizes[found.st_dev, found.st_ino] = found.st_blocks * BLOCK
        for line in _read(f"/proc/{pid}/maps").splitlines():
            if line.endswith("(deleted)") and "/dev/zero" not in line:
                area, _, offset, device, inode, *_rest = line.split()
                start, _, end = area.partition("-")
                major, _, minor = device.partition(":")
                file = os.makedev(int(major, 16), int(minor, 16)), int(inode)
                reach = int(offset, 16) + int(end, 16) - int(start, 16)
                sizes.setdefault(file, reach)
    return sum(sizes.values())


def end_family() -> int:
    """End every descendant, and wait for them; how many could not be ended. First all are stopped, so that none of them forks any more."""
    late = time.monotonic() + LONGEST_END
    stopped: set[int] = set()
    while time.monotonic() < late:
        running = [one.pid for one in family(os.getpid()) if one.pid not in stopped]
        if not running:
            break
        for pid in running:
            _send(pid, signal.SIGSTOP)
        stopped.update(running)
    while (left := family(os.getpid())) and time.monotonic() < late:
        for process in left:
            _send(process.pid, signal.SIGKILL)
        reap()
        time.sleep(0.005)
    reap()
    return len(left)


def reap() -> dict[int, int]:
    """Wait for those that have ended; the status of each."""
    statuses: dict[int, int] = {}
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            statuses[ended[0]] = ended[1]
    return statuses


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _read(path: str) -> str:
    """Empty when the process is gone meanwhile."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
