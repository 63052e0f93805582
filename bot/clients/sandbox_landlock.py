"""Landlock, and the few prctl calls beside it, through ctypes. Standard library only: the launcher of the sandbox runs it before a script.

Numbers and structures are those of include/uapi/linux/landlock.h; the ABI says which of them a kernel knows. Landlock bounds files, TCP (ABI 4) and
signals (ABI 6); what it leaves open (UDP, Unix sockets, chmod by path, ...) is for sandbox_seccomp.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Iterable

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on every architecture
VERSION_FLAG, PATH_BENEATH = 1, 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
MAKE_CHAR, MAKE_SOCK, MAKE_BLOCK, IOCTL_DEV = 1 << 6, 1 << 9, 1 << 11, 1 << 15
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
BIND_TCP, CONNECT_TCP = 1, 2
SCOPE_ABSTRACT_SOCKETS, SCOPE_SIGNALS = 1, 2
NETWORK_ABI, SCOPE_ABI = 4, 6

READ = READ_FILE | READ_DIR
RUN = READ | EXECUTE
USE = READ_FILE | WRITE_FILE

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER, PR_CAP_AMBIENT = 1, 38, 36, 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
CAPSET = {"x86_64": 126, "aarch64": 91}
CAPABILITY_VERSION = 0x20080522


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: object) -> int:
    """A system call by number. Raises OSError."""
    found = libc()
    found.syscall.restype = ctypes.c_long
    given = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    got = int(found.syscall(ctypes.c_long(number), *given))
    if got < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return got


def prctl(option: int, *arguments: int) -> int:
    """Raises OSError."""
    given = [ctypes.c_ulong(one) for one in (*arguments, 0, 0, 0, 0)[:4]]
    got = int(libc().prctl(ctypes.c_int(option), *given))
    if got < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return got


def version() -> tuple[int, str]:
    """(ABI, ""), or (0, why there is no Landlock)."""
    if sys.platform != "linux":
        return 0, "Landlock is a part of Linux"
    try:
        return call(CREATE_RULESET, None, 0, VERSION_FLAG), ""
    except OSError as error:
        return 0, missing(error)


def missing(error: OSError) -> str:
    """Why the kernel did not say its ABI."""
    if error.errno == errno.ENOSYS:
        return "this kernel has no Landlock (Linux 5.13 and newer can have it), or the container's runtime hides it"
    if error.errno == errno.EOPNOTSUPP:
        return "this kernel has Landlock but it is switched off; add landlock to the boot parameter lsm="
    if error.errno == errno.EPERM:
        return "the container's seccomp profile forbids Landlock; allow landlock_create_ruleset, _add_rule and _restrict_self"
    return f"Landlock does not answer: {error.strerror}"


def known_rights(abi: int) -> int:
    """All rights over files that this ABI knows: each of them is denied where no rule gives it."""
    return (1 << (13 if abi == 1 else 14 if abi == 2 else 15 if abi < 5 else 16)) - 1


def whole(abi: int) -> int:
    """What a script may do in its own folder: everything but make devices and sockets."""
    return known_rights(abi) & ~(MAKE_CHAR | MAKE_BLOCK | MAKE_SOCK | IOCTL_DEV)


def ruleset(abi: int, rules: Iterable[tuple[str, int]], *, network: bool) -> int:
    """A file descriptor for `restrict`. Paths that are not there are left out; TCP ports can never be bound. Raises OSError."""
    known = known_rights(abi)
    closed = BIND_TCP if network else BIND_TCP | CONNECT_TCP
    asked = _Ruleset(known, closed if abi >= NETWORK_ABI else 0)
    asked.scoped = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS if abi >= SCOPE_ABI else 0
    size = 24 if abi >= SCOPE_ABI else 16 if abi >= NETWORK_ABI else 8
    made = call(CREATE_RULESET, ctypes.byref(asked), size, 0)
    for path, access in rules:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            possible = known if os.path.isdir(path) else known & OF_FILES
            rule = _Beneath(access & possible, place)
            call(ADD_RULE, made, PATH_BENEATH, ctypes.byref(rule), 0)
        finally:
            os.close(place)
    return made


def restrict(made: int) -> None:
    """This process and all that come from it, for ever. Needs no_new_privs. Raises OSError."""
    call(RESTRICT_SELF, made, 0)


def drop_capabilities() -> None:
    """A process that is not root may have some all the same (ambient ones of a container). Raises OSError."""
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    number = CAPSET.get(os.uname().machine)
    if number is not None:
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
        call(number, ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)()))
