"""What the sources of code hosts share: which service a repository is of, which branches count, and a change as it is kept.

Used by plugins/sources/github and gitlab.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.incoming import ChangeEvent
from bot.plugins import payload

LONGEST_TITLE = 300
SHA = 8


@dataclass(frozen=True, slots=True)
class Told:
    """What an event says of a change. `identity`: the same whenever the host tells of the same thing of the same repository."""

    kind: Literal["deployment", "release", "workflow", "push", "change"]
    identity: str
    title: str
    at: datetime
    author: str
    url: str
    labels: Mapping[str, str]
    state: str = ""
    environment: str = ""


class Params(BaseModel):
    """`services` by path of the repository (`owner/name`, in any case); one that is not named is a service by its own name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    services: dict[str, str] = Field(default={}, description="path of a repository: name of the service")
    branches: tuple[str, ...] = Field(
        default=(), description="the branches whose pushes and runs count, `*` for any text; the default branch"
    )

    def service(self, path: str, name: str) -> str:
        """The service that a repository is of: as configured, else its own name, else the last part of its path."""
        known = {key.strip("/").lower(): value for key, value in self.services.items()}
        return known.get(path.strip("/").lower()) or name or path.rpartition("/")[2]

    def counts(self, branch: str, default: str) -> bool:
        """Whether what happens on a branch is a change of the world. `default`: the repository's own, empty when it is not said."""
        if not self.branches:
            return branch == default if default else branch in ("main", "master")
        return any(fnmatchcase(branch, wanted) for wanted in self.branches)


def change(told: Told | None, source: str, params: Params, path: str, name: str) -> tuple[ChangeEvent, ...]:
    """The change of the repository at `path`, bounded; nothing for an event that tells of none."""
    if told is None:
        return ()
    most = payload.LONGEST_NAME
    kept = ChangeEvent(
        source=source,
        key=payload.fingerprint(f"{told.kind}/{path}/{told.identity}", {}),
        kind=told.kind,
        title=told.title,
        at=told.at,
        state=told.state[:most],
        service=params.service(path, name)[:most],
        environment=told.environment[:most],
        author=told.author[:most],
        url=told.url,
        labels=payload.kept({"repository": path, **told.labels}),
    )
    return (kept,)


def first_link(*values: Any) -> str:
    """The first of these that is a link."""
    return next((address for address in map(payload.link, values) if address), "")


def first_time(now: datetime, *values: Any) -> datetime:
    """The first of these that is a time, and never one to come; now when there is none. `2016-08-12 15:26:29 UTC` is one too."""
    times = (payload.time(value.replace(" UTC", "+00:00") if isinstance(value, str) else value) for value in values)
    return next((min(at, now) for at in times if at is not None), now)


def title(*parts: str) -> str:
    """The parts that say something, on one line."""
    line = " ".join(" ".join(part[: LONGEST_TITLE * 2].split()) for part in parts if part.strip())
    return line if len(line) <= LONGEST_TITLE else line[: LONGEST_TITLE - 1] + "…"


def version(ref: str, sha: str) -> str:
    """`main (f95f852b)`: what was deployed, the commit only once."""
    short = sha[:SHA]
    return f"{ref} ({short})" if ref and short and ref != sha else ref[:SHA] if ref == sha else ref or short
