"""Finds and removes files below one folder of this machine, and nothing else. Used by the action files.prune.

No symbolic link is followed anywhere: every folder is opened from the one above it (openat with O_NOFOLLOW), those that lead to the folder itself
included, so nobody can swap one for a link in between. Other file systems and other mounts below the folder are left alone. For use in a thread.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bot.errors import BadInput, Drifted, TryLater

MOST_ENTRIES = 200_000
DEEPEST = 32
SCAN_SECONDS = 30.0
REMOVE_SECONDS = 60.0
MOST_NAMED = 20
MOUNTS = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class File:
    """`path` begins at the folder. The rest tells whether it is still the same: an inode is used again soon; nobody can set `status_ns` (ctime)."""

    path: str
    size: int
    changed_ns: int
    status_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Found:
    """The regular files whose names fit, and how much of the file system is free (0 to 1). `identity` is the folder's own."""

    files: list[File]
    free: float
    identity: tuple[int, int]


@dataclass(slots=True)
class Removed:
    """How many are gone now and their size; those that were gone before; those that had changed, and those that could not be removed (with why)."""

    count: int = 0
    size: int = 0
    missing: int = 0
    changed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def find(folder: str, pattern: str, *, recursive: bool) -> Found:
    """Hidden files are found by a pattern that begins with a dot only. BadInput when there is no such folder, or far too much in it."""
    late = time.monotonic() + SCAN_SECONDS
    with _opened(folder) as root:
        whole = os.fstatvfs(root)
        usable = whole.f_blocks - whole.f_bfree + whole.f_bavail
        about = os.fstat(root)
        looking = _Looking(pattern, recursive, about.st_dev, _mounts_below(folder), late)
        looking.through(root, "", 0)
    return Found(looking.files, whole.f_bavail / usable if usable else 1.0, (about.st_dev, about.st_ino))


def remove(folder: str, files: Collection[File], identity: tuple[int, int]) -> Removed:
    """Remove these, each only if it is still as it was found. TryLater when it takes too long: what is done stays done."""
    late = time.monotonic() + REMOVE_SECONDS
    done = Removed()
    with _opened(folder) as root:
        about = os.fstat(root)
        if (about.st_dev, about.st_ino) != tuple(identity):
            raise Drifted(f"{folder} is another folder than the one that was looked at")
        for file in files:
            if time.monotonic() > late:
                raise TryLater(f"{done.count} of {len(files)} files are removed so far", uncertain=True)
            _remove_one(root, file, done)
    return done


def _remove_one(root: int, file: File, done: Removed) -> None:
    *folders, name = file.path.split("/")
    try:
        with _below(root, folders) as parent:
            now = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISREG(now.st_mode) or _file(file.path, now) != file:
                done.changed.append(file.path)
                return
            os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        done.missing += 1
    except NotADirectoryError:  # a folder on the way has become a link or a file
        done.changed.append(file.path)
    except OSError as error:
        done.refused.append(f"{file.path}: {error.strerror or error}")
    else:
        done.count += 1
        done.size += file.size


@dataclass(slots=True)
class _Looking:
    pattern: str
    recursive: bool
    device: int
    mounts: frozenset[str]
    late: float
    files: list[File] = field(default_factory=list)
    entries: int = 0

    def through(self, folder: int, path: str, depth: int) -> None:
        """All entries of an open folder. What vanishes meanwhile is left out."""
        below = []
        with os.scandir(folder) as entries:
            for entry in entries:
                self._count()
                try:
                    about = os.stat(entry.name, dir_fd=folder, follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(about.st_mode) and self._fits(entry.name):
                    self.files.append(_file(f"{path}{entry.name}", about))
                elif stat.S_ISDIR(about.st_mode) and self._enters(entry.name, path, about.st_dev, depth):
                    below.append(entry.name)
        for name in below:
            try:
                inner = os.open(name, _OPEN, dir_fd=folder)
            except (FileNotFoundError, NotADirectoryError):
                continue
            try:
                if os.fstat(inner).st_dev == self.device:
                    self.through(inner, f"{path}{name}/", depth + 1)
            finally:
                os.close(inner)

    def _fits(self, name: str) -> bool:
        hidden = name.startswith(".") and not self.pattern.startswith(".")
        return not hidden and _plain(name) and fnmatch.fnmatchcase(name, self.pattern)

    def _enters(self, name: str, path: str, device: int, depth: int) -> bool:
        inside = device == self.device and f"{path}{name}" not in self.mounts
        return self.recursive and inside and depth < DEEPEST and _plain(name)

    def _count(self) -> None:
        self.entries += 1
        if self.entries > MOST_ENTRIES:
            raise BadInput(
                f"there are more than {MOST_ENTRIES:,} files and folders in it; choose a folder further down"
            )
        if time.monotonic() > self.late:
            raise TryLater(f"looking through the folder took longer than {SCAN_SECONDS:g} s")


def _file(path: str, about: os.stat_result) -> File:
    return File(path, about.st_size, about.st_mtime_ns, about.st_ctime_ns, about.st_ino)


@contextmanager
def _opened(folder: str) -> Iterator[int]:
    """The folder, opened from the root down, so that there is no link on the way."""
    with _below(None, [part for part in folder.split("/") if part], folder) as opened:
        yield opened


@contextmanager
def _below(start: int | None, parts: list[str], shown: str = "") -> Iterator[int]:
    """A folder below an open one (or the root). With `shown`, what is wrong with it is put in words."""
    here = os.open("/" if start is None else ".", _OPEN, dir_fd=start)
    try:
        for part in parts:
            try:
                further = os.open(part, _OPEN, dir_fd=here)
            except OSError as error:
                if not shown:
                    raise
                raise BadInput(_why_not(shown, part, here, error)) from error
            os.close(here)
            here = further
        yield here
    finally:
        os.close(here)


def _why_not(folder: str, part: str, above: int, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no folder {folder}"
    if isinstance(error, NotADirectoryError) and stat.S_ISLNK(
        os.stat(part, dir_fd=above, follow_symlinks=False).st_mode
    ):
        return f"{folder} has a symbolic link in it ({part}); write the folder that it leads to"
    return f"{folder} cannot be opened: {error.strerror or error}"


def _plain(name: str) -> bool:
    """A name that can be shown, stored and found again."""
    return name.isprintable() and not any("\ud800" <= character <= "\udfff" for character in name)


def _unescaped(found: re.Match[str]) -> str:
    """The kernel writes spaces, tabs, line breaks and backslashes as octal numbers (proc_pid_mountinfo(5))."""
    return chr(int(found[1], 8))


def _mounts_below(folder: str) -> frozenset[str]:
    """Where something is mounted below the folder: a bind mount of the same file system does not show in the device's number."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").split("\n")
    except OSError:
        return frozenset()
    points = (_OCTAL.sub(_unescaped, line.split(" ")[4]) for line in lines if line.count(" ") > 4)
    return frozenset(point.removeprefix(f"{folder}/") for point in points if point.startswith(f"{folder}/"))
