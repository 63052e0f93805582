"""A seccomp filter in classic BPF, through ctypes. Standard library only: the launcher of the sandbox puts it on right before a script begins.

It closes what Landlock leaves open: all sockets (or all but TCP and UDP over IP), other processes, namespaces and mounts, kernel keyrings, memory and
messages that belong to no process, changes of files by path that Landlock does not judge, and all system calls that are newer than this list.
Numbers: asm/unistd_64.h (x86_64) and asm-generic/unistd.h (aarch64).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterator

from bot.clients.sandbox_landlock import call, prctl

PR_SET_SECCOMP, FILTER_MODE, GET_ACTION_AVAIL = 22, 2, 2
KILL, ERRNO, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
SECCOMP = {"x86_64": 317, "aarch64": 277}
X32 = 0x40000000
NEWEST = 450  # set_mempolicy_home_node; what came later is not judged here, so it is not there
NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
INTERNET = (2, 10)  # AF_INET, AF_INET6
STREAM, DATAGRAM, KIND = 1, 2, 0xF
LOAD, EQUAL, AT_LEAST, ANY_BIT, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06

# name: (x86_64, aarch64); None: that architecture has none
NUMBERS: dict[str, tuple[int | None, int]] = {
    "socket": (41, 198), "socketpair": (53, 199), "listen": (50, 201), "clone": (56, 220), "clone3": (435, 435),
    "prlimit64": (302, 261), "setpriority": (141, 140), "ioprio_set": (251, 30), "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119), "sched_setparam": (142, 118), "sched_setattr": (314, 274),
    "utimensat": (280, 88), "fcntl": (72, 25),
}  # fmt: skip
# Other processes, the kernel, namespaces, mounts, clocks. io_uring: it opens sockets past every filter.
FORBIDDEN: tuple[tuple[int, int], ...] = (
    (101, 117), (310, 270), (311, 271), (440, 440), (312, 272), (438, 438), (298, 241), (321, 280), (323, 282),
    (165, 40), (166, 39), (155, 41), (161, 51), (429, 429), (428, 428), (430, 430), (431, 431), (432, 432), (433, 433),
    (442, 442), (167, 224), (168, 225), (179, 60), (443, 443), (163, 89), (272, 97), (308, 268), (250, 219), (248, 217),
    (249, 218), (246, 104), (320, 294), (175, 105), (313, 273), (176, 106), (169, 142), (170, 161), (171, 162),
    (164, 170), (227, 112), (159, 171), (305, 266), (103, 116), (304, 265), (303, 264), (212, 18), (153, 58), (180, 42),
    (256, 238), (279, 239), (300, 262), (425, 425), (426, 426), (427, 427),
    # memory and messages that outlive a process or count for none: memfd, System V, POSIX queues
    (319, 279), (447, 447), (29, 194), (30, 196), (31, 195), (67, 197), (64, 190), (65, 193), (66, 191), (220, 192),
    (68, 186), (69, 189), (70, 188), (71, 187), (240, 180), (241, 181),
    # files by path, which Landlock leaves to their owner (who may be the bot): truncate, (f)chmodat, (f)chownat, (l)(set|remove)xattr
    (76, 45), (268, 53), (260, 54), (188, 5), (189, 6), (197, 14), (198, 15),
)  # fmt: skip
# Only x86_64 has these: iopl, ioperm, modify_ldt, uselib, create_module, chmod, chown, lchown, utime, utimes, futimesat.
FORBIDDEN_X86 = (172, 173, 154, 134, 174, 90, 92, 94, 132, 235, 261)
# Where Landlock does not keep signals inside: kill, tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo, pidfd_send_signal.
SIGNALS: tuple[tuple[int, int], ...] = ((62, 129), (200, 130), (234, 131), (129, 138), (297, 240), (424, 424))
SIGNALS_BY_FILE = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX

Code = list[tuple[int, int, int, int]]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def missing() -> str:
    """Why there can be no filter here; empty when there can."""
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in AUDIT:
        return f"there is a filter for Linux on {' and '.join(AUDIT)} only, and this is {sys.platform} on {machine}"
    try:
        call(SECCOMP[machine], GET_ACTION_AVAIL, 0, ctypes.byref(ctypes.c_uint32(ERRNO)))
    except OSError as error:
        return f"this kernel has no seccomp filters: {error.strerror}"
    return ""


def program(machine: str, *, network: bool, signals: bool) -> bytes:
    """The filter. `signals`: they may be sent (Landlock keeps them inside)."""
    column = list(AUDIT).index(machine)
    code: Code = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, AUDIT[machine]), (RETURN, 0, 0, KILL), (LOAD, 0, 0, 0)]
    if machine == "x86_64":
        code += [(AT_LEAST, 0, 1, X32), (RETURN, 0, 0, KILL)]
    code += [(AT_LEAST, 0, 1, NEWEST + 1), _error(errno.ENOSYS)]
    numbers = {name: both[column] for name, both in NUMBERS.items()}
    for name, checks in _judged(network, signals):
        code += [(EQUAL, 0, len(checks), numbers[name] or 0), *checks]
    forbidden = [both[column] for both in FORBIDDEN + (() if signals else SIGNALS)]
    for number in (*forbidden, *(FORBIDDEN_X86 if machine == "x86_64" else ())):
        code += [(EQUAL, 0, 1, number), _error(errno.EPERM)]
    code.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *one) for one in code)


def _judged(network: bool, signals: bool) -> Iterator[tuple[str, Code]]:
    """System calls whose arguments decide: each list ends in a verdict."""
    yield "clone", [(LOAD, 0, 0, _argument(0)), (ANY_BIT, 0, 1, NEW_NAMESPACES), _error(errno.EPERM), _allowed()]
    yield "clone3", [_error(errno.ENOSYS)]  # its flags cannot be seen; the C library then takes clone
    if network:
        yield "socket", _internet()
    else:
        yield "socket", [_error(errno.ENETUNREACH)]
        yield "socketpair", [_error(errno.EPERM)]
    yield "listen", [_error(errno.EACCES)]
    for name in ("prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr"):
        yield name, _zero(0)
    yield "setpriority", _both(0, 0, 1, 0)
    yield "ioprio_set", _both(0, 1, 1, 0)
    # by descriptor the path is NULL: that file was opened, so Landlock has judged it
    null = [(LOAD, 0, 0, _argument(1)), (EQUAL, 0, 3, 0), (LOAD, 0, 0, _argument(1) + 4), (EQUAL, 0, 1, 0), _allowed()]
    yield "utimensat", [*null, _error(errno.EPERM)]
    if not signals:
        checks: Code = [(LOAD, 0, 0, _argument(1))]
        for command in SIGNALS_BY_FILE:
            checks += [(EQUAL, 0, 1, command), _error(errno.EPERM)]
        yield "fcntl", [*checks, _allowed()]


def _internet() -> Code:
    """socket(AF_INET or AF_INET6, SOCK_STREAM or SOCK_DGRAM, any)."""
    refused = _error(errno.EACCES)
    return [
        (LOAD, 0, 0, _argument(0)), (EQUAL, 2, 0, INTERNET[0]), (EQUAL, 1, 0, INTERNET[1]), refused,
        (LOAD, 0, 0, _argument(1)), (AND, 0, 0, KIND), (EQUAL, 2, 0, STREAM), (EQUAL, 1, 0, DATAGRAM), refused,
        _allowed(),
    ]  # fmt: skip


def _zero(number: int) -> Code:
    """Allowed for the caller itself (process 0) only."""
    return [(LOAD, 0, 0, _argument(number)), (EQUAL, 0, 1, 0), _allowed(), _error(errno.EPERM)]


def _both(first: int, wanted: int, second: int, also: int) -> Code:
    return [
        (LOAD, 0, 0, _argument(first)), (EQUAL, 0, 3, wanted),
        (LOAD, 0, 0, _argument(second)), (EQUAL, 0, 1, also), _allowed(), _error(errno.EPERM),
    ]  # fmt: skip


def _argument(number: int) -> int:
    """Where the low half of an argument stands in struct seccomp_data (both architectures are little-endian)."""
    return 16 + 8 * number


def _error(code: int) -> tuple[int, int, int, int]:
    return (RETURN, 0, 0, ERRNO | code)


def _allowed() -> tuple[int, int, int, int]:
    return (RETURN, 0, 0, ALLOW)


def restrict(*, network: bool, signals: bool) -> None:
    """This process and all that come from it, for ever. Needs no_new_privs. Raises OSError."""
    made = program(os.uname().machine, network=network, signals=signals)
    kept = ctypes.create_string_buffer(made, len(made))
    asked = _Program(len(made) // 8, ctypes.cast(kept, ctypes.c_void_p))
    prctl(PR_SET_SECCOMP, FILTER_MODE, ctypes.addressof(asked))
