"""The sandbox: what a script has, what is told of its end, what happens where a layer is missing. Escapes are in tests/chaos."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import stat
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from bot.clients import sandbox as module
from bot.clients import sandbox_folder, sandbox_landlock, sandbox_seccomp
from bot.clients.http import Http
from bot.clients.kit import Kit
from bot.clients.sandbox import Sandbox, Script
from bot.clients.sandbox_landlock import missing
from bot.clients.sandbox_report import Printed, told
from bot.clients.sandbox_watch import Limits, processes
from bot.errors import BadInput, TryLater
from tests.support.sandboxes import open_folder, processes_with

LIMITS = Limits(seconds=20, memory=128 << 20)
HERE = {name: there for name, there in Sandbox(Path()).layers().items() if name != "user"}
needs_layers = pytest.mark.skipif(set(HERE.values()) != {True}, reason="this kernel lacks a layer of the sandbox")


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


@pytest.fixture
def sandbox(folder: Path) -> Sandbox:
    return Sandbox(folder / "scripts", LIMITS)


# ------------------------------------------------------------------------------------------------ what a script has


@needs_layers
@pytest.mark.parametrize(
    ("interpreter", "text"),
    [
        ("sh", 'echo "$GREETING"; cat; exit 3'),
        ("bash", 'a=("$GREETING"); echo "${a[0]}"; cat; exit 3'),
        ("python", "import os, sys\nprint(os.environ['GREETING'])\nprint(sys.stdin.read(), end='')\nsys.exit(3)"),
    ],
)
async def test_a_script_has_its_variables_and_its_input_and_says_how_it_ended(
    sandbox: Sandbox, interpreter: str, text: str
) -> None:
    hostile = "$(touch /tmp/x); `id` \"; rm -rf / #' äöü"
    ran = await sandbox.run(Script(text, interpreter, {"GREETING": hostile}, stdin="from\nstdin\n"))
    assert (ran.exit, ran.stopped, ran.output) == (3, "", f"{hostile}\nfrom\nstdin\n")
    assert ran.size == len(ran.output.encode())


@needs_layers
async def test_it_works_in_an_empty_folder_of_its_own_that_is_gone_afterwards(sandbox: Sandbox, folder: Path) -> None:
    ran = await sandbox.run(
        Script('ls -A; pwd; echo "$HOME $TMPDIR"; mkdir a; mv a b; echo x > b/c; ls b; cat < "$(mktemp)"')
    )
    where = ran.output.splitlines()[0]
    assert ran.output == f"{where}\n{where} {where}\nc\n"
    assert where.startswith(f"{folder}/scripts/run-")
    assert list((folder / "scripts").iterdir()) == []


@needs_layers
async def test_two_scripts_do_not_see_each_other(sandbox: Sandbox) -> None:
    look = "import os, time; open('mine', 'w').close(); time.sleep(0.3); print(sorted(os.listdir('.')))"
    both = await asyncio.gather(*(sandbox.run(Script(look, "python")) for _ in range(2)))
    assert [ran.output for ran in both] == ["['mine']\n", "['mine']\n"]


@needs_layers
async def test_no_more_run_at_once_than_are_allowed(folder: Path) -> None:
    sandbox = Sandbox(folder, LIMITS, at_once=1)
    most = 0

    async def watching() -> None:
        nonlocal most
        while True:
            most = max(most, len(list(folder.iterdir())))
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as tasks:
        other = tasks.create_task(watching())
        await asyncio.gather(*(sandbox.run(Script("sleep 0.1")) for _ in range(3)))
        other.cancel()
    assert most == 1


@needs_layers
def test_it_works_under_uvloop_which_serves_the_bot(sandbox: Sandbox) -> None:
    ran = uvloop.run(sandbox.run(Script("echo hello")))
    assert (ran.exit, ran.output) == (0, "hello\n")


# ------------------------------------------------------------------------------------------------ how it ends


@needs_layers
async def test_a_cancelled_script_is_ended_and_leaves_nothing(sandbox: Sandbox, folder: Path) -> None:
    mark = f"{time.monotonic_ns()}"
    task = asyncio.ensure_future(sandbox.run(Script(f"(setsid sleep {mark} &)\nsleep {mark}")))
    async with asyncio.timeout(20):
        while len(processes_with(f"sleep\x00{mark}")) < 2:
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert processes_with(mark) == []
    assert list((folder / "scripts").iterdir()) == []


def children_with(text: str) -> list[int]:
    """Of this very process: other tests have launchers too."""
    ours = {process.pid for process in processes() if process.parent == os.getpid()}
    return [pid for pid in processes_with(text) if pid in ours]


@needs_layers
async def test_of_a_lost_launcher_nobody_knows_how_far_the_script_came(sandbox: Sandbox) -> None:
    task = asyncio.ensure_future(sandbox.run(Script("while :; do sleep 0.1; done")))
    async with asyncio.timeout(20):
        while not (launchers := children_with("sandbox_launcher")):
            await asyncio.sleep(0.02)
    os.kill(launchers[0], signal.SIGKILL)
    with pytest.raises(TryLater, match="the sandbox's launcher was lost") as caught:
        await task
    assert caught.value.uncertain


@needs_layers
async def test_a_script_that_dies_of_a_signal_ends_as_a_shell_says_it(sandbox: Sandbox) -> None:
    ran = await sandbox.run(Script("kill -SEGV $$"))
    assert (ran.exit, ran.stopped) == (139, "")


def test_of_long_output_the_beginning_and_the_end_are_kept_in_whole_lines() -> None:
    printed = Printed()
    for number in range(200_000):
        printed.add(f"line {number}\n".encode())
    text = printed.text()
    assert text.startswith("line 0\nline 1\n")
    assert text.endswith("line 199998\nline 199999\n")
    assert len(text) < 64_000
    whole = {f"line {number}" for number in range(200_000)}
    strange = [line for line in text.splitlines() if line and line not in whole]
    assert len(strange) == 1
    assert strange[0].endswith("bytes left out] …")


def test_output_within_the_bound_is_kept_as_it_is() -> None:
    printed = Printed()
    for part in (b"a" * 29_999, b"bb", b"c" * 29_999):
        printed.add(part)
    assert printed.text() == "a" * 29_999 + "bb" + "c" * 29_999


def test_terminal_codes_and_control_characters_are_out() -> None:
    printed = Printed()
    printed.add(b"\x1b[1;31mred\x1b[0m\r\n\x1b]0;title\x07tab\there\0 \xff\r50%\r100%\n")
    assert printed.text() == "red\ntab\there\N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER}\n50%\n100%\n"


@pytest.mark.parametrize(
    ("report", "stopped"),
    [
        (b'{"exit": -24, "seconds": 1}', "it used more than 60 s of CPU"),
        (b'{"exit": -9, "cpu_seconds": 61, "seconds": 61}', "it used more than 60 s of CPU"),
        (b'{"exit": -25, "seconds": 1}', "it wrote more than 64 MiB"),
        (b'{"exit": -31, "seconds": 1}', "it made a system call of another architecture"),
        (
            b'{"stopped": "cancelled", "seconds": 1, "unended": 2}',
            "it was cancelled; 2 of its processes could not be ended",
        ),
        (b'{"exit": -9, "seconds": 1}', ""),
    ],
)
def test_the_limits_that_the_kernel_holds_are_told_too(report: bytes, stopped: str) -> None:
    found = told(report, Printed(), Limits()).stopped
    assert found.startswith(stopped)
    assert bool(found) == bool(stopped)


@pytest.mark.parametrize(
    "report", [b"", b"Traceback (most recent call last):\nMemoryError\n", b"[]", b'{"seconds": null}']
)
def test_a_report_that_is_none_leaves_it_open(report: bytes) -> None:
    with pytest.raises(TryLater, match="was lost") as caught:
        told(report, Printed(), Limits())
    assert caught.value.uncertain


# ------------------------------------------------------------------------------------------------ bounds and settings


async def test_a_step_cannot_ask_for_more_than_the_configuration_gives(sandbox: Sandbox) -> None:
    with pytest.raises(BadInput, match=r"seconds: at most 20 \(`scripts\.seconds` in tocsin\.yaml\)"):
        await sandbox.run(Script("true", seconds=21))
    with pytest.raises(BadInput, match=r"memory_mb: at most 128 \(`scripts\.memory` in tocsin\.yaml\)"):
        await sandbox.run(Script("true", memory=256 << 20))


@pytest.mark.parametrize("given", [{}, {"sh": Path("/no/such/sh")}, {"sh": Path("no-such-sh")}])
async def test_an_interpreter_that_is_not_there_is_named_with_its_setting(folder: Path, given: dict[str, Path]) -> None:
    with pytest.raises(
        BadInput, match=r"there is no interpreter sh here: .*\(`scripts\.interpreters` in tocsin\.yaml\)"
    ):
        await Sandbox(folder, LIMITS, interpreters=given, require=()).run(Script("true"))


@needs_layers
async def test_an_interpreter_elsewhere_needs_its_folder_to_be_readable(folder: Path) -> None:
    place = folder / "own"
    place.mkdir()
    place.chmod(0o755)
    (place / "shell").write_bytes(Path("/bin/sh").read_bytes())
    (place / "shell").chmod(0o755)
    own = {"sh": place / "shell"}
    with pytest.raises(BadInput, match=r"not executed: cannot execute .*/own/shell: Permission denied"):
        await Sandbox(folder / "runs", LIMITS, interpreters=own).run(Script("echo hello"))
    ran = await Sandbox(folder / "runs", LIMITS, interpreters=own, readable=[place]).run(Script("echo hello"))
    assert ran.output == "hello\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only a script of root has another user")
async def test_a_folder_that_the_scripts_user_cannot_enter_is_refused_by_name(folder: Path) -> None:
    (folder / "closed").mkdir(mode=0o700)
    with pytest.raises(BadInput, match=r"/closed cannot be entered .*`scripts\.folder` in tocsin\.yaml"):
        await Sandbox(folder / "closed" / "scripts", LIMITS).run(Script("true"))


async def test_a_folder_that_cannot_be_made_is_for_later(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(TryLater, match="cannot make a folder for a script"):
        await Sandbox(folder / "file" / "scripts", LIMITS, require=()).run(Script("true"))


def test_without_a_sandbox_the_kit_says_how_to_enable_it() -> None:
    with pytest.raises(BadInput, match=r"scripts are not enabled: set `scripts\.enabled: true` in tocsin\.yaml"):
        _ = Kit(None, None, Http(str), str).scripts


# ------------------------------------------------------------------------------------------------ layers that are missing


class Layered(Sandbox):
    """On a kernel that has what it is told."""

    there: dict[str, bool | str]

    def layers(self) -> dict[str, bool | str]:
        return self.there


async def test_without_a_required_layer_nothing_is_run_and_the_layer_the_setting_and_the_file_are_named(
    folder: Path,
) -> None:
    sandbox = Layered(folder, LIMITS)
    sandbox.there = {"landlock": "this kernel has no Landlock", "seccomp": True}
    words = (
        r"the layer landlock is missing: this kernel has no Landlock\. `scripts\.require` in tocsin\.yaml asks for it"
    )
    with pytest.raises(BadInput, match=words):
        await sandbox.run(Script("touch ran"))
    assert list(folder.iterdir()) == []


async def test_a_layer_that_is_missing_but_not_required_is_done_without(folder: Path) -> None:
    sandbox = Layered(folder, LIMITS, require=())
    sandbox.there = {"landlock": "no", "landlock_network": "no", "landlock_signals": "no", "seccomp": "no"}
    assert sandbox.refusal() == ""
    assert (await sandbox.run(Script("echo ran"))).output == "ran\n"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSYS, "this kernel has no Landlock"),
        (errno.EOPNOTSUPP, "switched off; add landlock to the boot parameter lsm="),
        (errno.EPERM, "the container's seccomp profile forbids Landlock"),
        (errno.EIO, "Landlock does not answer: "),
    ],
)
def test_why_there_is_no_landlock_is_said(code: int, words: str) -> None:
    assert words in missing(OSError(code, os.strerror(code)))


async def test_a_filter_that_forbids_landlock_is_found_out_by_the_probe(folder: Path) -> None:
    """In a child, as there is no way back from a filter: this one answers landlock_create_ruleset with ENOSYS, as a container's may."""
    text = (
        "import ctypes, struct, sys\nsys.path.insert(0, sys.argv[1])\n"
        "from bot.clients import sandbox_landlock as l, sandbox_seccomp as s\n"
        "code = [(0x20, 0, 0, 0), (0x15, 0, 1, 444), (6, 0, 0, 0x00050026), (6, 0, 0, 0x7fff0000)]\n"
        "raw = b''.join(struct.pack('=HBBI', *one) for one in code)\nkept = ctypes.create_string_buffer(raw, len(raw))\n"
        "asked = s._Program(4, ctypes.cast(kept, ctypes.c_void_p))\n"
        "l.prctl(38, 1); l.prctl(22, 2, ctypes.addressof(asked))\n"
        "print(l.version()[0], l.version()[1])\n"
    )
    process = await asyncio.create_subprocess_exec(
        module.sys.executable, "-c", text, str(module.ROOT), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert said.startswith(b"0 this kernel has no Landlock")


@pytest.mark.parametrize(
    ("abi", "rights"), [(1, 0x1FFF), (2, 0x3FFF), (3, 0x7FFF), (4, 0x7FFF), (5, 0xFFFF), (7, 0xFFFF)]
)
def test_each_abi_knows_the_rights_that_its_kernel_documents(abi: int, rights: int) -> None:
    assert sandbox_landlock.known_rights(abi) == rights


# ------------------------------------------------------------------------------------------------ the filter, executed by hand


def verdict(machine: str, number: int, *arguments: int, architecture: int | None = None, **asked: bool) -> int:
    """What the filter answers, as the kernel would compute it."""
    options = {"network": False, "signals": True, **asked}
    code = list(struct.iter_unpack("=HBBI", sandbox_seccomp.program(machine, **options)))
    audit = sandbox_seccomp.AUDIT[machine] if architecture is None else architecture
    values = [argument & (1 << 64) - 1 for argument in (*arguments, 0, 0, 0, 0, 0, 0)[:6]]
    data = struct.pack("=iIQ6Q", number, audit, 0, *values)
    at = register = 0
    while True:
        operation, yes, no, operand = code[at]
        at += 1
        if operation == sandbox_seccomp.LOAD:
            register = struct.unpack_from("=I", data, operand)[0]
        elif operation == sandbox_seccomp.AND:
            register &= operand
        elif operation == sandbox_seccomp.RETURN:
            return operand
        else:
            holds = {
                sandbox_seccomp.EQUAL: register == operand,
                sandbox_seccomp.AT_LEAST: register >= operand,
                sandbox_seccomp.ANY_BIT: bool(register & operand),
            }[operation]
            at += yes if holds else no


ALLOW, KILL = sandbox_seccomp.ALLOW, sandbox_seccomp.KILL


def refused(code: int) -> int:
    return sandbox_seccomp.ERRNO | code


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_judges_system_calls_and_their_arguments(machine: str) -> None:
    x86 = machine == "x86_64"
    socket, clone, prlimit, utimensat = (41, 56, 302, 280) if x86 else (198, 220, 261, 88)
    kill, fcntl, read, setpriority, chmod = (62, 72, 0, 141, 268) if x86 else (129, 25, 63, 140, 53)
    for kind in (1, 2, 10, 16, 17, 40):
        assert verdict(machine, socket, kind, 1) == refused(errno.ENETUNREACH)
    assert verdict(machine, socket, 2, 1 | 0o2000000, network=True) == ALLOW
    assert verdict(machine, socket, 10, 2, network=True) == ALLOW
    for kind, how in ((1, 1), (16, 3), (17, 3), (2, 3), (10, 5)):
        assert verdict(machine, socket, kind, how, network=True) == refused(errno.EACCES)
    assert verdict(machine, clone, 0x01200011) == ALLOW
    for namespace in (0x00020000, 0x10000000, 0x20000000, 0x40000000):
        assert verdict(machine, clone, namespace | 17) == refused(errno.EPERM)
    assert verdict(machine, 435) == refused(errno.ENOSYS)
    assert verdict(machine, 451) == refused(errno.ENOSYS)
    assert verdict(machine, prlimit, 0) == ALLOW
    assert verdict(machine, prlimit, 1234) == refused(errno.EPERM)
    assert verdict(machine, setpriority, 0, 0, 19) == ALLOW
    assert verdict(machine, setpriority, 0, 1234, 19) == verdict(machine, setpriority, 2, 0, 19) == refused(errno.EPERM)
    assert verdict(machine, utimensat, 0, 0) == ALLOW
    for pointer in (0x7FFF00000000, 0x1000, 0x5600000000):
        assert verdict(machine, utimensat, -100, pointer) == refused(errno.EPERM)
    assert verdict(machine, chmod, -100, 0x1000) == refused(errno.EPERM)
    assert verdict(machine, kill, 1234, 9) == verdict(machine, fcntl, 3, 8, 1234) == verdict(machine, read) == ALLOW
    assert verdict(machine, kill, 1234, 9, signals=False) == refused(errno.EPERM)
    assert [verdict(machine, fcntl, 3, command, signals=False) for command in (8, 10, 15)] == [refused(errno.EPERM)] * 3
    assert verdict(machine, fcntl, 3, 1, signals=False) == ALLOW


def test_another_architecture_on_the_same_machine_is_the_end() -> None:
    assert verdict("x86_64", 102, architecture=0x40000003) == KILL
    assert verdict("x86_64", 41 | 0x40000000) == KILL
    assert verdict("aarch64", 281, architecture=0x40000028) == KILL


# ------------------------------------------------------------------------------------------------ the folder


def test_a_folder_with_links_out_of_it_is_removed_without_what_they_lead_to(folder: Path) -> None:
    (folder / "outside").mkdir()
    (folder / "outside" / "kept").write_text("kept")
    run = Path(sandbox_folder.make(str(folder / "runs"), "true", "", None))
    (run / "work" / "link").symlink_to(folder / "outside")
    (run / "work" / "deep").mkdir()
    (run / "work" / "deep" / "link").symlink_to(folder / "outside" / "kept")
    os.mkfifo(run / "work" / "fifo")
    sandbox_folder.remove(str(run))
    assert not run.exists()
    assert (folder / "outside" / "kept").read_text() == "kept"


def test_a_script_and_its_input_cannot_be_written_and_its_folder_is_its_own(folder: Path) -> None:
    run = Path(sandbox_folder.make(str(folder / "runs"), "echo", "in", None))
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in run.iterdir()}
    assert modes == {"work": 0o700, "script": 0o444, "stdin": 0o400}


def test_what_cannot_be_measured_counts_as_too_much(folder: Path) -> None:
    for number in range(5):
        (folder / str(number)).write_bytes(b"x" * 5000)
    assert sandbox_folder.measured(str(folder), 5) >= 25_000
    with pytest.raises(sandbox_folder.TooMuch):
        sandbox_folder.measured(str(folder), 4)
    assert sandbox_folder.measured(str(folder / "gone"), 4) == 0
