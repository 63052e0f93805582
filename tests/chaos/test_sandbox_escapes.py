"""What a hostile script tries, as a script of a bot that is root and of one that is not: each is contained, and each is told why it ended."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import platform
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.clients.sandbox import Ran, Sandbox, Script
from bot.clients.sandbox_watch import Limits
from tests.support.sandboxes import NOBODY, ROOT, as_nobody, open_folder, processes_with, python_for_all

LIMITS = Limits(seconds=20, cpu_seconds=15, memory=96 << 20, processes=24, open_files=64, disk=8 << 20, files=300)
SECRET = "xoxb-this-is-the-bots-own"
pytestmark = pytest.mark.skipif(
    any(there is not True for name, there in Sandbox(Path()).layers().items() if name != "user"),
    reason="this kernel lacks a layer; tests/clients/test_sandbox.py has what then happens",
)


@dataclass(frozen=True)
class Bot:
    """A bot of one user with a folder of its own, in it `state/secret` that only this user may read."""

    folder: Path
    run: Callable[..., Awaitable[Ran]]

    @property
    def secret(self) -> Path:
        return self.folder / "state" / "secret"


@pytest.fixture(params=["as the user of the tests", "as nobody"])
def bot(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bot]:
    monkeypatch.setenv("TOCSIN_SLACK_BOT_TOKEN", SECRET)
    other = request.param == "as nobody"
    if other and (os.geteuid() or not python_for_all()):
        pytest.skip("only root can start a bot of another user; the tests' own user is not root, so that is tested")
    with open_folder(NOBODY if other else None) as folder:
        state = folder / "state"
        state.mkdir()
        (state / "secret").write_text(SECRET)
        (state / "secret").chmod(0o600)
        if other:
            os.chown(state, NOBODY, NOBODY)
            os.chown(state / "secret", NOBODY, NOBODY)
        yield Bot(folder, _elsewhere(folder) if other else _here(folder))
        assert list((folder / "runs").iterdir()) == [], "every private folder is gone"


def _here(folder: Path) -> Callable[..., Awaitable[Ran]]:
    async def run(text: str, interpreter: str = "sh", limits: Limits = LIMITS, **more: Any) -> Ran:
        env = {**more.pop("env", {}), "BOT": str(os.getpid())}
        return await Sandbox(folder / "runs", limits).run(Script(text, interpreter, env=env, **more))

    return run


def _elsewhere(folder: Path) -> Callable[..., Awaitable[Ran]]:
    async def run(text: str, interpreter: str = "sh", limits: Limits = LIMITS, **more: Any) -> Ran:
        order = {
            "folder": str(folder / "runs"),
            "limits": dataclasses.asdict(limits),
            "script": {"text": text, "interpreter": interpreter, **more},
        }
        process = as_nobody(order, {"TOCSIN_SLACK_BOT_TOKEN": SECRET})
        said, _ = await asyncio.to_thread(process.communicate)
        assert process.returncode == 0, "the bot has survived its script"
        return Ran(**json.loads(said))

    return run


def limited(**by: Any) -> Limits:
    return dataclasses.replace(LIMITS, **by)


# ------------------------------------------------------------------------------------------------ files and secrets


async def test_it_writes_nowhere_but_in_its_folder(bot: Bot) -> None:
    places = [
        bot.folder,
        bot.folder / "runs",
        bot.folder / "state",
        Path("/tmp"),
        Path("/etc"),
        Path("/var/tmp"),
        Path("/dev/shm"),
    ]
    places += [ROOT, Path.home(), Path("/"), Path("/proc/self"), Path("..")]
    for place in (bot.folder, bot.folder / "state"):
        place.chmod(0o777)  # so that only the sandbox is in the way
    tries = "\n".join(f"echo hacked > {place}/tocsin-escape && echo ESCAPED {place}" for place in places)
    ran = await bot.run(f"{tries}\necho fine > here && cat here\nexit 0")
    assert "ESCAPED" not in ran.output
    assert ran.output.count("Permission denied") + ran.output.count("nonexistent") >= len(places) - 1
    assert ran.output.endswith("fine\n")
    assert [place for place in places if (place / "tocsin-escape").exists()] == []


async def test_it_reads_no_secret_of_the_bot(bot: Bot) -> None:
    ran = await bot.run(
        f"cat /proc/$BOT/environ /proc/self/environ /proc/1/environ /proc/$BOT/cmdline {bot.secret} ../../../state/secret\n"
        "cat /etc/shadow /root/.bashrc ~/../../state/secret; ls /proc /home /root .. ; env"
    )
    assert SECRET not in ran.output
    assert "TOCSIN" not in ran.output
    assert "root:" not in ran.output
    assert ran.output.count("Permission denied") >= 9
    variables = {line.partition("=")[0] for line in ran.output.splitlines() if line[:1].isupper() and "=" in line}
    assert variables == {"BOT", "HOME", "LANG", "MALLOC_ARENA_MAX", "PATH", "PWD", "TMPDIR"}


async def test_links_lead_nowhere(bot: Bot) -> None:
    ran = await bot.run(
        f"ln -s {bot.secret} soft; cat soft; echo x > soft\n"
        f"ln -s {bot.folder}/state folder; ls folder; echo x > folder/new; rm folder/secret; rm -r folder/\n"
        f"ln {bot.secret} hard && cat hard; mv {bot.secret} moved; cp /proc/self/root/etc/shadow . ; true"
    )
    assert SECRET not in ran.output
    assert ran.output.count("denied") + ran.output.count("not permitted") >= 5
    assert bot.secret.read_text() == SECRET
    assert [one.name for one in bot.secret.parent.iterdir()] == ["secret"]


async def test_it_changes_no_file_of_its_user_by_name(bot: Bot) -> None:
    """Landlock leaves these to the owner of the file, who is this very user when the bot is not root."""
    before = bot.secret.stat()
    ran = await bot.run(
        f"import os\np = {str(bot.secret)!r}\n"
        "for act in (lambda: os.chmod(p, 0o666), lambda: os.truncate(p, 0), lambda: os.utime(p, (0, 0)),"
        " lambda: os.chown(p, -1, -1), lambda: os.setxattr(p, 'user.x', b'1'), lambda: os.unlink(p)):\n"
        "    try: act()\n    except PermissionError: print('refused')\n",
        "python",
    )
    assert ran.output == "refused\n" * 6
    after = bot.secret.stat()
    assert (after.st_mode, after.st_size, after.st_mtime) == (before.st_mode, before.st_size, before.st_mtime)


# ------------------------------------------------------------------------------------------------ the network


@contextmanager
def listeners(folder: Path) -> Iterator[tuple[socket.socket, socket.socket, socket.socket]]:
    """TCP, UDP and Unix, all of which hear what comes."""
    unix = socket.socket(socket.AF_UNIX)
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, unix:
        udp.bind(("127.0.0.1", 0))
        unix.bind(str(folder / "socket"))
        (folder / "socket").chmod(0o777)
        unix.listen()
        for one in (tcp, udp, unix):
            one.setblocking(False)
        yield tcp, udp, unix


def heard(listener: socket.socket) -> bool:
    try:
        if listener.type == socket.SOCK_DGRAM:
            listener.recv(100)
        else:
            listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def calling(tcp: socket.socket, udp: socket.socket, folder: Path) -> str:
    return f"""
import socket
def attempt(name, *kind, to):
    try:
        with socket.socket(*kind) as s:
            s.connect(to)
            s.send(b"hello")
        print(name, "sent")
    except OSError as error:
        print(name, error.strerror)
attempt("tcp", socket.AF_INET, socket.SOCK_STREAM, to=("127.0.0.1", {tcp.getsockname()[1]}))
attempt("udp", socket.AF_INET, socket.SOCK_DGRAM, to=("127.0.0.1", {udp.getsockname()[1]}))
attempt("unix", socket.AF_UNIX, socket.SOCK_STREAM, to={str(folder / "socket")!r})
attempt("netlink", socket.AF_NETLINK, socket.SOCK_RAW, to=(0, 0))
attempt("raw", socket.AF_INET, socket.SOCK_RAW, to=("127.0.0.1", 0))
try:
    socket.create_server(("127.0.0.1", 0))
    print("listens")
except OSError as error:
    print("listen", error.strerror)
"""


async def test_without_the_network_it_reaches_no_socket_at_all(bot: Bot) -> None:
    with listeners(bot.folder) as (tcp, udp, unix):
        ran = await bot.run(calling(tcp, udp, bot.folder), "python")
        assert [heard(one) for one in (tcp, udp, unix)] == [False, False, False]
    assert [line.split()[0] for line in ran.output.splitlines()] == ["tcp", "udp", "unix", "netlink", "raw", "listen"]
    assert ran.output.count("Network is unreachable") == 6


async def test_with_the_network_it_reaches_others_but_not_this_machines_own_sockets(bot: Bot) -> None:
    with listeners(bot.folder) as (tcp, udp, unix):
        ran = await bot.run(calling(tcp, udp, bot.folder), "python", network=True)
        assert [heard(one) for one in (tcp, udp, unix)] == [True, True, False]
    assert ran.output.splitlines()[:2] == ["tcp sent", "udp sent"]
    assert ran.output.count("Permission denied") == 4


async def test_a_failed_connection_says_how_the_network_is_had(bot: Bot) -> None:
    ran = await bot.run("import socket; socket.create_connection(('127.0.0.1', 9))", "python")
    assert (ran.exit, ran.hint) == (1, "it wanted the network, which it has only with `network: true`")


# ------------------------------------------------------------------------------------------------ other processes and the kernel


async def test_it_signals_nobody_but_itself(bot: Bot) -> None:
    ran = await bot.run(
        "kill -9 $BOT; kill -9 $PPID; kill -STOP $PPID; sleep 30 & kill $! && wait; kill -9 -1; echo here"
    )
    assert ran.output.count("ermitted") >= 3
    assert ran.stopped == ""
    assert processes_with("sleep\x0030\x00") == []


async def test_it_has_no_way_into_the_kernel_or_into_other_processes(bot: Bot) -> None:
    x86 = platform.machine() == "x86_64"
    calls = {
        "ptrace": 101 if x86 else 117, "process_vm_readv": 310 if x86 else 270, "mount": 165 if x86 else 40,
        "unshare": 272 if x86 else 97, "setns": 308 if x86 else 268, "keyctl": 250 if x86 else 219,
        "add_key": 248 if x86 else 217, "bpf": 321 if x86 else 280, "perf_event_open": 298 if x86 else 241,
        "kexec_load": 246 if x86 else 104, "userfaultfd": 323 if x86 else 282, "io_uring_setup": 425, "clone3": 435,
        "memfd_create": 319 if x86 else 279, "shmget": 29 if x86 else 194, "open_by_handle_at": 304 if x86 else 265,
        "a call of tomorrow": 469, "pivot_root": 155 if x86 else 41, "chroot": 161 if x86 else 51,
    }  # fmt: skip
    ran = await bot.run(
        f"import ctypes, os, resource\nlibc = ctypes.CDLL(None, use_errno=True)\nfor name, number in {calls!r}.items():\n"
        "    if libc.syscall(number, 0, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() not in (1, 38): print('ALLOWED', name)\n"
        f"if libc.syscall({56 if x86 else 220}, 0x10000000 | 17, 0, 0, 0, 0) != -1: print('ALLOWED a user namespace')\n"
        "for act in (lambda: resource.prlimit(int(os.environ['BOT']), resource.RLIMIT_CPU, (1, 1)),\n"
        "            lambda: os.setpriority(os.PRIO_USER, 0, 19), lambda: os.sched_setaffinity(int(os.environ['BOT']), {0})):\n"
        "    try: act()\n    except PermissionError: continue\n    print('ALLOWED')\nprint('done')\n",
        "python",
    )
    assert ran.output == "done\n"


async def test_it_gets_no_more_rights_by_programs_that_give_them(bot: Bot) -> None:
    ran = await bot.run(
        "import ctypes, os\nlibc = ctypes.CDLL(None)\n"
        "print('no new privileges', libc.prctl(39, 0, 0, 0, 0))\nprint('filtered', libc.prctl(21, 0, 0, 0, 0))\n"
        "print('users', set(os.getresuid()), set(os.getresgid()), os.getgroups())\n"
        "header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()\n"
        f"print('capabilities', libc.syscall({125 if platform.machine() == 'x86_64' else 90}, header, sets), list(sets))\n",
        "python",
    )
    user, group = (os.geteuid(), os.getegid()) if os.geteuid() else (NOBODY, NOBODY)
    assert ran.output.splitlines()[:2] == ["no new privileges 1", "filtered 2"]
    assert ran.output.splitlines()[2].startswith(f"users {{{user}}} {{{group}}} ")
    assert ran.output.splitlines()[3] == "capabilities 0 [0, 0, 0, 0, 0, 0]"
    assert os.geteuid() or ran.output.splitlines()[2].endswith(" []")


# ------------------------------------------------------------------------------------------------ too much of something


FORKS = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n"
PRINTS = "import os\nb = b'x' * 65535 + b'\\n'\nfor _ in range(16384): os.write(1, b)\n"


async def test_forks_without_end(bot: Bot) -> None:
    ran = await bot.run(FORKS, "python")
    assert ran.stopped == "it had more than 24 processes (`scripts.processes` in tocsin.yaml)"


async def test_threads_without_end_count_as_processes(bot: Bot) -> None:
    text = (
        "import os, threading, time, traceback\ntry:\n    while True: threading.Thread(target=time.sleep, args=(100,)).start()\n"
        "except RuntimeError:\n    traceback.print_exc()\n    os._exit(1)\n"
    )
    ran = await bot.run(text, "python", limited(memory=512 << 20))
    assert "more than 24 processes" in (ran.stopped or ran.hint)


async def test_a_gigabyte_of_output_is_neither_kept_nor_waited_for(bot: Bot) -> None:
    ran = await bot.run(PRINTS, "python")
    assert ran.stopped == "it printed more than 1048576 bytes (`scripts.output` in tocsin.yaml)"
    assert ran.size < 200 << 20
    assert len(ran.output) < 64_000


@pytest.mark.parametrize("text", ["sleep 1000", "trap '' TERM HUP INT QUIT\nwhile :; do sleep 1000; done"])
async def test_it_sleeps_for_ever_and_does_not_listen(bot: Bot, text: str) -> None:
    ran = await bot.run(text, limits=limited(seconds=0.5))
    assert (ran.stopped, ran.exit) == ("it ran longer than 0.5 s", 137)


@pytest.mark.chaos
async def test_it_computes_for_ever_in_many_processes(bot: Bot) -> None:
    ran = await bot.run("for n in 1 2 3; do (while :; do :; done) & done; wait", limits=limited(cpu_seconds=2))
    assert ran.stopped == "it used more than 2 s of CPU (`scripts.cpu_seconds` in tocsin.yaml)"


async def test_a_daemon_with_a_session_of_its_own_does_not_outlive_it(bot: Bot) -> None:
    mark = f"{time.monotonic_ns()}"
    text = f"(setsid sh -c '(setsid sleep {mark} </dev/null >/dev/null 2>&1 &)' &)\nsleep 0.3\necho gone\n"
    ran = await bot.run(text)
    assert (ran.exit, ran.output, ran.left) == (0, "gone\n", 1)
    assert processes_with(mark) == []


async def test_ten_gigabytes_in_one_process(bot: Bot) -> None:
    ran = await bot.run("bytearray(10 << 30)", "python")
    assert ran.exit == 1
    assert ran.hint == "it used more than 96 MiB of memory"


@pytest.mark.parametrize("flags", ["mmap.MAP_PRIVATE", "mmap.MAP_SHARED"])
async def test_memory_of_many_processes_counts_together(bot: Bot, flags: str) -> None:
    text = (
        "import mmap, os, time\nfor _ in range(4):\n    if os.fork() == 0: break\n"
        f"m = mmap.mmap(-1, 60 << 20, {flags} | mmap.MAP_ANONYMOUS)\n"
        "for at in range(0, 60 << 20, 4096): m[at] = 1\ntime.sleep(100)\n"
    )
    assert (await bot.run(text, "python")).stopped == "it used more than 96 MiB of memory"


async def test_memory_that_children_share_counts_once(bot: Bot) -> None:
    text = "import os, time\nb = bytes(50 << 20)\nfor _ in range(6):\n    if os.fork() == 0: break\ntime.sleep(0.5)\n"
    ran = await bot.run(text, "python")
    assert (ran.exit, ran.stopped) == (0, "")


async def test_it_fills_the_disk_with_one_file(bot: Bot) -> None:
    assert (
        await bot.run("exec dd if=/dev/zero of=big bs=1M count=100")
    ).stopped == "it wrote more than 8 MiB (`scripts.disk` in tocsin.yaml)"


@pytest.mark.parametrize("unlinked", ["", "os.unlink(str(n))"], ids=["with names", "without names"])
async def test_it_fills_the_disk_with_many_files(bot: Bot, unlinked: str) -> None:
    text = (
        f"import os, time\nkept = []\nfor n in range(6):\n    f = open(str(n), 'wb'); f.write(b'x' * (3 << 20)); f.flush()\n"
        f"    kept.append(f); {unlinked or 'pass'}\ntime.sleep(100)\n"
    )
    assert (await bot.run(text, "python")).stopped == "it wrote more than 8 MiB (`scripts.disk` in tocsin.yaml)"


async def test_it_hides_what_it_wrote_in_memory_that_it_maps(bot: Bot) -> None:
    text = (
        "import mmap, os, time\nkept = []\nfor n in range(4):\n    f = open('f', 'w+b'); f.truncate(4 << 20)\n"
        "    m = mmap.mmap(f.fileno(), 4 << 20); m[:] = b'x' * (4 << 20); kept.append(m); f.close(); os.unlink('f')\ntime.sleep(100)\n"
    )
    assert "more than 8 MiB" in (await bot.run(text, "python")).stopped


async def test_ten_thousand_files(bot: Bot) -> None:
    made = await bot.run("for n in range(10000): open(str(n), 'w').close()\nimport time; time.sleep(100)", "python")
    assert made.stopped == "it made more than 300 files, or hid them (`scripts.files` in tocsin.yaml)"
    opened = await bot.run("kept = [open('one', 'w') for _ in range(10000)]", "python")
    assert opened.hint == "it opened more than 64 files at once (`scripts.open_files` in tocsin.yaml)"


async def test_folders_nested_deeper_than_a_path_can_be_long_are_removed_too(bot: Bot) -> None:
    text = "import os\nfor n in range(250): os.mkdir('d' * 200); os.chdir('d' * 200); open('f', 'w').close()\n"
    ran = await bot.run(text + "import time; time.sleep(100)", "python", limited(files=5000))
    assert "or hid them" in ran.stopped


async def test_folders_that_nobody_may_read_are_removed_too(bot: Bot) -> None:
    ran = await bot.run("umask 777; mkdir a; umask 0; mkdir -p b/c; echo x > b/c/d; echo done")
    assert ran.output == "done\n"


# ------------------------------------------------------------------------------------------------ the bot


@pytest.mark.parametrize("text", [FORKS, PRINTS, "while True: pass\n"], ids=["forks", "prints", "computes"])
async def test_the_loop_turns_meanwhile(text: str) -> None:
    """Not how fast, which is the machine's affair: it never stands still while a script does its worst."""
    turns = 0

    async def turning() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    with open_folder() as folder:
        async with asyncio.TaskGroup() as tasks:
            other = tasks.create_task(turning())
            ran = await Sandbox(folder, limited(seconds=1)).run(Script(text, "python"))
            other.cancel()
    assert ran.stopped
    assert turns > 100


def _a_bot_that_waits(folder: Path, mark: str) -> subprocess.Popen[bytes]:
    text = f"(setsid sleep {mark} &)\nsleep {mark}"
    order = {"folder": str(folder / "runs"), "limits": dataclasses.asdict(LIMITS), "script": {"text": text}}
    return as_nobody(order)


@pytest.mark.skipif(os.geteuid() != 0 or not python_for_all(), reason="only root can start a bot of another user")
def test_when_the_bot_is_killed_the_script_and_its_folder_go_with_it() -> None:
    mark = f"{time.monotonic_ns()}"
    with open_folder(NOBODY) as folder:
        bot = _a_bot_that_waits(folder, mark)
        assert _comes_true(lambda: len(processes_with(f"sleep\x00{mark}")) == 2)
        assert list((folder / "runs").iterdir()) != []
        bot.send_signal(signal.SIGKILL)
        bot.communicate()
        assert _comes_true(lambda: processes_with(mark) == [])
        assert _comes_true(lambda: list((folder / "runs").iterdir()) == [])


def _comes_true(holds: Callable[[], bool], within: float = 20) -> bool:
    late = time.monotonic() + within
    while not holds():
        if time.monotonic() > late:
            return False
        time.sleep(0.02)
    return True
