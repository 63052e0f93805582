"""The rules of policy.yaml as written: what is allowed (`allow:`) and what holds for all runbooks (`runbooks:`). Judged by policy.py."""

from __future__ import annotations

from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from bot.domain.freeze import Freeze
from bot.domain.plan import Target

LONGEST_COOLDOWN = timedelta(days=7)


def _remembered(span: timedelta) -> timedelta:
    if not timedelta(0) <= span <= LONGEST_COOLDOWN:
        raise ValueError("wanted a cooldown between 0s and 7d: what was touched earlier is forgotten")
    return span


Cooldown = Annotated[timedelta, AfterValidator(_remembered)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Allowance(_Part):
    """One rule of `allow:` in policy.yaml. Patterns are shell-like (`k8s.*`); an empty list of a kind allows nothing of that kind.

    A rule with namespaces, hosts or folders stays inside of them: what is in none (a node, a channel) it only allows for actions named in full.
    """

    actions: tuple[str, ...] = Field(description="actions, by name or pattern")
    namespaces: tuple[str, ...] = Field(default=(), description="of what is touched in a cluster")
    names: tuple[str, ...] = Field(
        default=("*",), description="of what is touched: a Deployment, a node, a database, a channel"
    )
    hosts: tuple[str, ...] = Field(default=(), description="of requests; `*` for scripts that may use the network")
    folders: tuple[str, ...] = Field(default=(), description="folders, with all that is in them")
    images: tuple[str, ...] = Field(
        default=(), description="what `k8s.set_image` may make run, like registry.example/shop/*"
    )
    approvers: str = Field(
        default="", description="the role that must approve here, whatever the runbook says; as it says, when not given"
    )
    people: int = Field(default=1, ge=1, le=5, description="at least so many different people must approve here")
    max_replicas: int | None = Field(default=None, description="the most replicas that a runbook may ask for")
    min_available: int | None = Field(
        default=None, ge=0, description="the fewest pods that must stay available meanwhile"
    )
    max_share: float | None = Field(
        default=None, gt=0, le=1, description="the largest share of the targets that may be touched at once, like 0.34"
    )
    cooldown: Cooldown | None = Field(
        default=None, description="how long a target is left alone after a run has touched it"
    )
    unattended: bool = Field(default=False, description="runbooks with `start: auto` may do this without an approval")

    def allows(self, target: Target) -> bool:
        return (
            fits_any(self.actions, target.action)
            and (not target.namespace or fits_any(self.namespaces, target.namespace))
            and (not target.name or fits_any(self.names, target.name))
            and (not target.host or fits_any(self.hosts, target.host))
            and all(fits_any(self.images, image) for image in target.images)
            and (not target.folder or any(_inside(target.folder, folder) for folder in self.folders))
            and (self._reaches_everywhere or bool(_place(target)) or target.action in self.actions)
        )

    @property
    def _reaches_everywhere(self) -> bool:
        return not (self.namespaces or self.hosts or self.folders)


class GiveUp(_Part):
    """After so many runs that changed something for the same problem, and the problem is still there, stop offering it and page a person."""

    runs: int = Field(default=3, ge=1, le=100, description="how many runs")
    within: timedelta = Field(default=timedelta(hours=6), gt=timedelta(0), description="in how long a time")


class Limits(_Part):
    """What holds for all runbooks: `runbooks:` in policy.yaml."""

    approve: tuple[str, ...] | None = Field(
        default=None,
        description="the only roles that may approve, whatever runbooks say; those that runbooks name, when not given",
    )
    start: tuple[str, ...] | None = Field(
        default=None,
        description="roles that may start, pause, cancel and undo runs; everybody who has a role, when not given",
    )
    break_glass: tuple[str, ...] = Field(
        default=(),
        description="roles that may approve alone, and through a freeze, a cooldown or a rate, with a reason; nobody, when not given",
    )
    cooldown: Cooldown = Field(default=timedelta(0), description="how long a target is left alone after a run")
    runs_per_hour: int | None = Field(default=None, ge=0, description="how many runs may change something in one hour")
    freeze: tuple[Freeze, ...] = Field(default=(), description="times in which nothing is changed")
    give_up: GiveUp = Field(default=GiveUp(), description="when to stop offering a runbook that does not help")
    undo: Literal["ask", "auto"] = Field(
        default="ask", description="whether `on_failure: undo` asks before it takes back what was approved"
    )


def fits_any(patterns: tuple[str, ...], text: str) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def _place(target: Target) -> str:
    """What bounds a target; of one without a name, there is nothing to bound."""
    return target.namespace or target.host or target.folder or ("" if target.name else target.action)


def _inside(path: str, folder: str) -> bool:
    """Both absolute; a path with `..` is inside of nothing. The action has resolved links."""
    folder = folder.rstrip("/")
    return bool(folder) and ".." not in path.split("/") and (path == folder or path.startswith(f"{folder}/"))
