"""Remove old files in a folder of Tocsin's own machine, or of a volume that is mounted there.

Only regular files go: no folder, no link, nothing behind a link, nothing on another file system or mount below `folder`. Names that begin with a dot
are left alone unless `pattern` does, and names that are not printable text always.

A file is old when it was last changed before a cut-off: `older_than` before now, rounded down to a round time (a minute for `older_than` of less than
an hour, else ten minutes, an hour from 6 h on, a day (UTC) from 6 d on). So a plan stays the same while somebody reads it, and nothing younger than
`older_than` is ever removed. The `keep` newest that fit stay, however old they are.

*Look*: the names that fit, the cut-off, and the disk's free share. *Plan*: how many files and how much, and the 30 oldest with size and time; the
digest is over name, size, times and inode of each. More than `most` are refused: narrow `pattern`, or raise `older_than` or `most`. *Do*: removes
exactly these, each only if it is still the same; what has changed since is left and named. *Verify*: none is left. *Undo*: none, so keep a copy of
what may be needed. *Risk*: what is removed is gone; files that a process holds open free no space until it lets go. *Permissions*: `folder` in the
policy file, and write permission on the folder for the user that Tocsin runs as.

*Facts* (for tests of runbooks): `old` (how many files are to go, default 3), `size` (bytes of each, default 1,000,000), `free` (the disk's
free share, default 0.05; with `free_below` at or under it, nothing is to go).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from bot.clients import folders
from bot.clients import given as giving
from bot.clients.folders import File
from bot.clients.kit import Kit
from bot.domain.plan import Diff, Plan, Target, Undo
from bot.errors import BadInput, Drifted, TryLater

SHOWN = 30
WAITS = 10.0
ROUND = (
    (timedelta(days=6), timedelta(days=1)),
    (timedelta(hours=6), timedelta(hours=1)),
    (timedelta(hours=1), timedelta(minutes=10)),
    (timedelta(0), timedelta(minutes=1)),
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS = ("B", "kB", "MB", "GB", "TB")


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str = Field(min_length=2, max_length=1000, description="absolute path, without symbolic links in it")
    older_than: timedelta = Field(
        ge=timedelta(minutes=1), le=timedelta(days=3660), description="files that were not changed for so long: `7d`"
    )
    pattern: str = Field(default="*", min_length=1, max_length=200, description="which names, like `*.log.*`")
    keep: int = Field(default=0, ge=0, le=10_000, description="how many of the newest stay in any case")
    recursive: bool = Field(default=False, description="whether folders below it count as well")
    most: int = Field(default=1000, ge=1, le=10_000, description="how many files one run may remove, at most 10000")
    free_below: float | None = Field(
        default=None, gt=0, le=1, description="only when less than this share of the disk is free: 0.1"
    )

    @field_validator("folder")
    @classmethod
    def _plain_path(cls, folder: str) -> str:
        """As policy judges it, so there must be one way only to write it."""
        if not folder.startswith("/") or "\0" in folder:
            raise ValueError("must be an absolute path, like /var/log/shop")
        if os.path.normpath(folder) != folder or folder.startswith("//"):
            raise ValueError(f"must be written without `.`, `..` and slashes that are not needed, found {folder!r}")
        return folder

    @field_validator("pattern")
    @classmethod
    def _of_names(cls, pattern: str) -> str:
        if "/" in pattern:
            raise ValueError("is for names, so it has no `/`; to look into folders below, set recursive: true")
        return pattern


class Given(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    old: int = Field(default=3, ge=0, le=10_000)
    size: int = Field(default=1_000_000, ge=0)
    free: float = Field(default=0.05, ge=0, le=1)


class Plugin:
    """files.prune"""

    way: Literal["acts"] = "acts"
    writes = True
    observable = True
    risk: Literal["none", "low", "high"] = "high"

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params
        self._kit = kit

    def repeatable(self, params: Params) -> bool:
        """A file that is gone counts as done, and one that came in its place is not the one that was planned."""
        return True

    def target(self, params: Params) -> Target:
        return Target(action="files.prune", folder=params.folder, lock=params.folder)

    async def look(self, params: Params) -> dict[str, Any]:
        find = asyncio.to_thread(folders.find, params.folder, params.pattern, recursive=params.recursive)
        try:
            async with asyncio.timeout(folders.SCAN_SECONDS + WAITS):
                found = await find
        except TimeoutError as error:
            raise TryLater(f"{params.folder} does not answer") from error
        except OSError as error:
            raise BadInput(f"{params.folder} cannot be read: {error.strerror or error}") from error
        old = _old(found.files, params, self._kit.clock())
        if len(old) > params.most:
            words = f"{len(old):,} files in {params.folder} are to go; at most {params.most:,} may in one run"
            raise BadInput(f"{words}: narrow `pattern`, or raise `older_than` or `most`")
        files = [[file.path, file.size, file.changed_ns, file.status_ns, file.inode] for file in old]
        return _state(files, found.free, list(found.identity), params)

    def plan(self, state: Mapping[str, Any], params: Params) -> Plan:
        shown = os.path.join(params.folder, params.pattern)
        files = [File(*file) for file in state["files"]]
        if not files or state["enough_free"]:
            return Plan(target=shown)
        total = sum(file.size for file in files)
        whole = Diff(
            what="old files", before=f"{len(files):,} ({_bytes(total)})", after="removed", note=_condition(params)
        )
        named = [
            Diff(what=self._kit.redact(file.path), before=f"{_bytes(file.size)}, changed {_at(file)}", after="removed")
            for file in files[:SHOWN]
        ]
        return Plan(target=shown, diffs=(whole, *named), want={"files": state["files"], "folder": state["identity"]})

    async def do(self, plan: Plan, params: Params, key: str) -> dict[str, Any]:
        files = [File(*file) for file in plan.want["files"]]
        device, inode = plan.want["folder"]
        try:
            async with asyncio.timeout(folders.REMOVE_SECONDS + WAITS):
                done = await asyncio.to_thread(folders.remove, params.folder, files, (device, inode))
        except TimeoutError as error:
            raise TryLater(f"{params.folder} does not answer", uncertain=True) from error
        except OSError as error:
            raise TryLater(f"{params.folder}: {error.strerror or error}", uncertain=True) from error
        if done.refused:
            words = f"{done.count:,} files are removed; {len(done.refused):,} cannot be: "
            raise BadInput(self._kit.redact(words + "; ".join(done.refused[:3])))
        if not done.count and not done.missing:
            raise Drifted(f"all files in {params.folder} have changed since they were looked at; none is removed")
        left = [self._kit.redact(name) for name in done.changed]
        return {
            "removed": done.count,
            "bytes": done.size,
            "output": _told(done, left),
            "left": left[: folders.MOST_NAMED],
        }

    def verify(self, state: Mapping[str, Any], params: Params) -> str | None:
        if not state["files"] or state["enough_free"]:
            return None
        return f"{state['count']:,} old files are left in {params.folder}"

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Params) -> Undo | None:
        return None

    def facts(self, given: Mapping[str, Any], params: Params) -> dict[str, Any]:
        found = giving.read(Given, given)
        day = int(timedelta(days=1).total_seconds()) * 10**9
        files = [
            [f"old-{number}", found.size, number * day, number * day, number] for number in range(1, found.old + 1)
        ]
        return _state(files, found.free, [1, 1], params)

    def after(self, state: Mapping[str, Any], plan: Plan, params: Params) -> dict[str, Any]:
        return {**state, "files": [], "count": 0, "bytes": 0} if plan else dict(state)


def cut_off(older_than: timedelta, now: datetime) -> datetime:
    """What was changed before is old."""
    grain = next(grain for least, grain in ROUND if older_than >= least)
    exact = now - older_than
    return exact - (exact - EPOCH) % grain


def _old(files: list[File], params: Params, now: datetime) -> list[File]:
    """The oldest first. Of those of one time the names decide which are kept."""
    newest = sorted(files, key=lambda file: (-file.changed_ns, file.path))
    before = (cut_off(params.older_than, now) - EPOCH) // timedelta(microseconds=1) * 1000
    return [file for file in newest[params.keep :] if file.changed_ns < before][::-1]


def _state(files: list[list[Any]], free: float, identity: list[int], params: Params) -> dict[str, Any]:
    enough = params.free_below is not None and free >= params.free_below
    return {
        "files": files,
        "count": len(files),
        "bytes": sum(file[1] for file in files),
        "free": round(free, 4),
        "enough_free": enough,
        "identity": identity,
    }


def _condition(params: Params) -> str:
    kept = f", but the newest {params.keep}" if params.keep else ""
    days = params.older_than / timedelta(days=1)
    shown = f"{days:g} d" if days >= 1 else f"{params.older_than / timedelta(hours=1):.3g} h"
    return f"not changed for {shown}{kept}"


def _told(done: folders.Removed, left: list[str]) -> str:
    words = [f"removed {done.count:,} files ({_bytes(done.size)})"]
    if done.missing:
        words.append(f"{done.missing:,} were gone already")
    if left:
        more = f" and {len(left) - folders.MOST_NAMED} more" if len(left) > folders.MOST_NAMED else ""
        words.append(f"left, since they have changed meanwhile: {', '.join(left[: folders.MOST_NAMED])}{more}")
    return "; ".join(words)


def _at(file: File) -> str:
    """The time itself, not how long ago: a plan must not change while it is read."""
    changed = EPOCH + timedelta(microseconds=file.changed_ns // 1000)
    return f"{changed:%Y-%m-%d %H:%M} UTC"


def _bytes(size: float) -> str:
    """`14 B`, `1.2 GB`."""
    unit = 0
    while size >= 1000 and unit < len(UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {UNITS[unit]}" if not unit or size >= 100 else f"{size:.3g} {UNITS[unit]}"
