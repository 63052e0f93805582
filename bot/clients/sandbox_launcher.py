"""Starts one script with every limit on it, watches it, ends it with all that came from it. A process of its own, between the bot and the script.

Standard library only. Sandbox runs it with `python -I -S`: on stdin one line of JSON (`Order`), then, at any time, the name of a reason to end; the
end of stdin means that the bot is gone. stdout is what the script prints. On stderr it says one line of JSON at the end (`Report`).

It stays what the bot is (root, perhaps), so that the script, which is less, cannot touch it. If any layer cannot be put on, nothing is executed.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from bot.clients import sandbox_landlock as landlock
from bot.clients import sandbox_seccomp as seccomp
from bot.clients.sandbox_folder import SCRIPT, STDIN, WORK, remove
from bot.clients.sandbox_watch import Limits, breach, cpu_seconds, end_family, family, reap, threads_of

EVERY = 0.05
LONGEST_ORDER = 16 << 20
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
SYSTEM_FILES = (
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/passwd", "/etc/group"),
    *("/etc/nsswitch.conf", "/etc/localtime", "/etc/timezone", "/etc/os-release", "/etc/mime.types", "/etc/services"),
    *("/etc/protocols", "/etc/magic", "/etc/gai.conf", "/etc/python3*", "/dev/urandom", "/dev/random"),
    *("/dev/zero", "/dev/full", "/proc/cpuinfo", "/proc/meminfo", "/proc/loadavg", "/proc/uptime", "/proc/stat"),
    *("/proc/version", "/proc/filesystems", "/proc/sys/kernel/ngroups_max"),
)
NETWORK_FILES = (
    *("/etc/resolv.conf", "/etc/hosts", "/etc/host.conf", "/etc/ssl/certs", "/etc/ssl/openssl.cnf", "/etc/pki"),
    *("/etc/ca-certificates", "/etc/ca-certificates.conf", "/etc/crypto-policies"),
)
LIBRARIES = 128 << 20  # address space that a process needs beside its data


class Refused(Exception):
    """A layer could not be put on, or the script not be started."""


def main() -> None:
    """Read the order, run the script, report, end."""
    order, control = _order()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gone: list[str] = []
    signal.signal(signal.SIGTERM, lambda *_: gone.append("gone"))
    landlock.prctl(landlock.PR_SET_PDEATHSIG, signal.SIGTERM)
    limits = Limits(**order["limits"])
    began = time.monotonic()
    try:
        landlock.prctl(landlock.PR_SET_CHILD_SUBREAPER, 1)
        child = _started(order, limits)
        report = _watched(child, limits, os.path.join(order["run"], WORK), control, gone)
    except (Refused, OSError) as error:
        report = {"refused": str(error)}
    finally:
        end_family()
    report["seconds"] = round(time.monotonic() - began, 3)
    if report.get("stopped") == "gone":
        with contextlib.suppress(OSError):
            remove(order["run"])
    with contextlib.suppress(OSError):
        os.write(2, json.dumps(report).encode() + b"\n")


def _order() -> tuple[dict[str, Any], str]:
    """The first line of stdin, and what stands after it already."""
    given = b""
    while b"\n" not in given and len(given) < LONGEST_ORDER:
        more = os.read(0, 1 << 16)
        if not more:
            sys.exit(1)
        given += more
    line, _, rest = given.partition(b"\n")
    return dict(json.loads(line)), rest.decode()


def _started(order: Mapping[str, Any], limits: Limits) -> int:
    """The script's first process, at work. Raises Refused with what could not be established."""
    abi, why = landlock.version()
    if not abi and "landlock" in order["require"]:
        raise Refused(f"landlock: {why}")
    filtered = not seccomp.missing()
    if not filtered and "seccomp" in order["require"]:
        raise Refused(f"seccomp: {seccomp.missing()}")
    rules = _rules(order, abi) if abi else []
    made = landlock.ruleset(abi, rules, network=order["network"]) if abi else None
    taken = threads_of(os.geteuid() if order["user"] is None else order["user"])
    hearing, telling = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _become(order, limits, parent, made, filtered, abi >= landlock.SCOPE_ABI, taken, telling)
    os.close(telling)
    nothing = os.open("/dev/null", os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)
    if made is not None:
        os.close(made)
    with os.fdopen(hearing, "rb") as told:
        words = told.read(2000).decode("utf-8", "replace")
    if words:
        raise Refused(words)
    return child


def _rules(order: Mapping[str, Any], abi: int) -> list[tuple[str, int]]:
    folder = order["run"]
    rules = [(place, landlock.RUN) for place in (*SYSTEM, *order["readable"])]
    files = SYSTEM_FILES + (NETWORK_FILES if order["network"] else ())
    rules += [(place, landlock.READ) for pattern in files for place in glob.glob(pattern)]
    rules += [("/dev/null", landlock.USE), (os.path.join(folder, SCRIPT), landlock.READ_FILE)]
    return [*rules, (os.path.join(folder, WORK), landlock.whole(abi))]


def _become(
    order: Mapping[str, Any],
    limits: Limits,
    parent: int,
    made: int | None,
    filtered: bool,
    scoped: bool,
    taken: int,
    telling: int,
) -> NoReturn:
    """In the child: give everything up, then become the script. Whatever fails is told, and nothing is executed."""
    layer = "process"
    try:
        os.setsid()
        _files(order["run"], keep=(telling, *(() if made is None else (made,))))
        _signals()
        os.chdir(os.path.join(order["run"], WORK))
        os.umask(0o077)
        with contextlib.suppress(OSError):  # so that the kernel, when short of memory, ends this first
            Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
        os.nice(19)
        layer = "user"
        if order["user"] is not None:
            _leave_root(order["user"])
        landlock.drop_capabilities()
        landlock.prctl(landlock.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            raise Refused("the launcher has died")
        landlock.prctl(landlock.PR_SET_NO_NEW_PRIVS, 1)
        layer = "limits"
        _limit(limits, taken + limits.processes * (order["at_once"] - 1))
        layer = "landlock"
        if made is not None:
            landlock.restrict(made)
            os.close(made)
        layer = "seccomp"
        if filtered:
            seccomp.restrict(network=order["network"], signals=scoped)
        layer = f"cannot execute {order['argv'][0]}"
        os.execve(order["argv"][0], order["argv"], order["env"])  # noqa: S606
    except BaseException as error:
        words = getattr(error, "strerror", None) or str(error) or type(error).__name__
        os.write(telling, f"{layer}: {words}".encode())
    os._exit(127)


def _files(run: str, keep: tuple[int, ...]) -> None:
    """stdin is the given text, stdout and stderr one pipe to the bot, and nothing else is open."""
    given = os.open(os.path.join(run, STDIN), os.O_RDONLY)
    os.dup2(given, 0)
    os.dup2(1, 2)
    last = 3
    for number in sorted(keep):
        os.closerange(last, number)
        last = number + 1
    os.closerange(last, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def _signals() -> None:
    """As a program expects them at its start: Python ignores some, and children have that from it."""
    signal.set_wakeup_fd(-1)
    for number in (
        *(signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP),
        *(signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
    ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _leave_root(user: int) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    if os.getresuid() != (user, user, user) or os.getresgid() != (user, user, user) or os.getgroups():
        raise Refused("still root")


def _limit(limits: Limits, taken: int) -> None:
    whole = int(limits.cpu_seconds) + 1
    for name, soft, hard in (
        (resource.RLIMIT_CORE, 1, 1),  # 1: also where cores go to a program, which 0 does not keep from running
        (resource.RLIMIT_CPU, whole, whole + 1),
        (resource.RLIMIT_FSIZE, limits.disk, limits.disk),
        (resource.RLIMIT_NOFILE, limits.open_files, limits.open_files),
        (resource.RLIMIT_MEMLOCK, 1 << 16, 1 << 16),
        (resource.RLIMIT_MSGQUEUE, 0, 0),
        (resource.RLIMIT_SIGPENDING, 256, 256),
        (resource.RLIMIT_AS, limits.memory + LIBRARIES, limits.memory + LIBRARIES),
    ):
        most = resource.getrlimit(name)[1]
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        resource.setrlimit(name, (soft, hard))
    _limit_processes(limits.processes, taken)


def _limit_processes(most: int, taken: int) -> None:
    """`taken` is what others of this user have or may yet have: RLIMIT_NPROC counts a user's processes everywhere, also in containers that cannot
    be seen from here. If with this many not one fork succeeds, there are more of them than we see."""
    ceiling = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    limit = first = taken + most + max(4, most // 4)  # a little more, so that whoever watches sees the limit broken
    while ceiling == resource.RLIM_INFINITY or limit <= ceiling:
        resource.setrlimit(resource.RLIMIT_NPROC, (limit, ceiling))
        try:
            probe = os.fork()
        except BlockingIOError:
            limit *= 2
            continue
        if probe == 0:
            os._exit(0)
        os.waitpid(probe, 0)
        break
    limit += 2 * most if limit != first else 0
    if ceiling == resource.RLIM_INFINITY or limit <= ceiling:
        resource.setrlimit(resource.RLIMIT_NPROC, (limit, limit))


def _watched(child: int, limits: Limits, folder: str, control: str, gone: list[str]) -> dict[str, Any]:
    """Until the script ends, breaks a limit, or is to end. Nothing of it is left afterwards."""
    hearing, waking = os.pipe()
    os.set_blocking(waking, False)
    os.set_blocking(hearing, False)
    signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    late = time.monotonic() + limits.seconds
    stopped, looked, pause = control.strip(), 0.0, EVERY
    status = reap().get(child)
    while status is None and not stopped:
        ready, _, _ = select.select([0, hearing], [], [], pause)
        if hearing in ready:
            os.read(hearing, 4096)
        if 0 in ready:
            stopped = os.read(0, 64).decode().strip() or "gone"
        status = reap().get(child)
        now = time.monotonic()
        if status is None and now - looked >= pause:
            stopped = stopped or breach(limits, folder) or ("seconds" if now > late else "")
            looked = time.monotonic()
            pause = max(EVERY, 4 * (looked - now))  # where there are many processes, looking takes its time
        stopped = stopped or (gone[0] if gone else "")
    left = family(os.getpid())
    spent = cpu_seconds(left)
    unended = end_family()
    report: dict[str, Any] = {
        "stopped": stopped,
        "left": len(left) if not stopped else 0,
        "cpu_seconds": round(spent, 2),
    }
    if unended:
        report["unended"] = unended
    if status is not None:
        report["exit"] = os.waitstatus_to_exitcode(status)
    return report
