"""What runbooks may do, from policy.yaml: deny by default; every refusal says which rule, where it stands, and who may change it.

`refusal` is final. `hold` is for now only (a freeze, a cooldown, a rate), and whoever may break the glass can go past it, on record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from fnmatch import fnmatchcase
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.people import TOCSIN, Actor, Directory
from bot.domain.plan import Plan, Target

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOUR = timedelta(hours=1)
LONGEST_COOLDOWN = timedelta(days=7)  # the store forgets what was touched earlier


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Allowance(_Part):
    """One rule of `allow:` in policy.yaml. Patterns are shell-like (`k8s.*`); an empty list of a kind allows nothing of that kind."""

    actions: tuple[str, ...] = Field(description="actions, by name or pattern")
    namespaces: tuple[str, ...] = Field(default=(), description="of what is touched in a cluster")
    names: tuple[str, ...] = Field(
        default=("*",), description="of what is touched: a Deployment, a node, a database, a channel"
    )
    hosts: tuple[str, ...] = Field(default=(), description="of requests; `*` for scripts that may use the network")
    folders: tuple[str, ...] = Field(default=(), description="folders, with all that is in them")
    max_replicas: int | None = Field(default=None, description="the most replicas that a runbook may ask for")
    min_available: int | None = Field(
        default=None, ge=0, description="the fewest pods that must stay available meanwhile"
    )
    max_share: float | None = Field(
        default=None, gt=0, le=1, description="the largest share of the targets that may be touched at once, like 0.34"
    )
    cooldown: timedelta | None = Field(
        default=None,
        ge=timedelta(0),
        le=LONGEST_COOLDOWN,
        description="how long a target is left alone after a run has touched it",
    )
    unattended: bool = Field(default=False, description="runbooks with `start: auto` may do this without an approval")

    def allows(self, target: Target) -> bool:
        return (
            _any(self.actions, target.action)
            and (not target.namespace or _any(self.namespaces, target.namespace))
            and (not target.name or _any(self.names, target.name))
            and (not target.host or _any(self.hosts, target.host))
            and (not target.folder or any(_inside(target.folder, folder) for folder in self.folders))
        )


class Freeze(_Part):
    """A time in which nothing is changed: from one moment to another, or every week on some days between two times of day."""

    name: str = Field(description="what people call it")
    from_: datetime | None = Field(default=None, alias="from", description="when it begins, with a time zone")
    until: datetime | None = Field(default=None, description="when it ends")
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = Field(
        default=(), description="days of the week"
    )
    between: tuple[time, time] | None = Field(
        default=None, description="times of day: [18:00, 08:00] goes past midnight"
    )
    zone: str = Field(default="UTC", description="the time zone of days and times")

    def covers(self, now: datetime) -> bool:
        if self.from_ is not None and now < self.from_:
            return False
        if self.until is not None and now >= self.until:
            return False
        local = now.astimezone(ZoneInfo(self.zone))
        if self.between is None:
            return not self.days or DAYS[local.weekday()] in self.days
        begin, end = self.between
        clock = local.time().replace(tzinfo=None)
        if begin <= end:
            return (not self.days or DAYS[local.weekday()] in self.days) and begin <= clock < end
        if clock >= begin:
            return not self.days or DAYS[local.weekday()] in self.days
        yesterday = (local - timedelta(days=1)).weekday()
        return clock < end and (not self.days or DAYS[yesterday] in self.days)


class GiveUp(_Part):
    """After so many runs that changed something for the same problem, and the problem is still there, stop offering it and page a person."""

    runs: int = Field(default=3, ge=1, le=100)
    within: timedelta = Field(default=timedelta(hours=6), gt=timedelta(0))


class Limits(_Part):
    """What holds for all runbooks: `runbooks:` in policy.yaml."""

    start: tuple[str, ...] | None = Field(
        default=None,
        description="roles that may start, pause, cancel and undo runs; everybody who has a role, when not given",
    )
    break_glass: tuple[str, ...] = Field(
        default=(),
        description="roles that may approve alone, and through a freeze, a cooldown or a rate, with a reason; nobody, when not given",
    )
    cooldown: timedelta = Field(
        default=timedelta(0),
        ge=timedelta(0),
        le=LONGEST_COOLDOWN,
        description="how long a target is left alone after a run",
    )
    runs_per_hour: int | None = Field(default=None, ge=0, description="how many runs may change something in one hour")
    freeze: tuple[Freeze, ...] = Field(default=(), description="times in which nothing is changed")
    give_up: GiveUp = Field(default=GiveUp(), description="when to stop offering a runbook that does not help")
    undo: Literal["ask", "auto"] = Field(
        default="ask", description="whether `on_failure: undo` asks before it takes back what was approved"
    )


class Touch(BaseModel):
    """A run began to change a target."""

    model_config = ConfigDict(frozen=True)

    lock: str
    action: str
    run_id: int
    at: datetime


class Policy(BaseModel):
    """All rules. `where` names the file in refusals, `places` its lines by path (`allow[0]`); `keepers` says who may change it."""

    model_config = ConfigDict(frozen=True)

    allow: tuple[Allowance, ...] = ()
    runbooks: Limits = Limits()
    where: str = "policy.yaml"
    places: Mapping[str, str] = Field(default_factory=dict)
    keepers: str = ""

    # -------------------------------------------------------------------------------------------- for good

    def refusal(self, target: Target, plan: Plan | None = None) -> str | None:
        """Why this must not be done; None when a rule allows it."""
        fitting = [number for number, rule in enumerate(self.allow) if rule.allows(target)]
        if not fitting:
            return f"{self.where}: no rule under `allow` lets {target.action} touch {target}; {self._change('add one')}"
        refusals = [self._exceeded(number, target, plan) for number in fitting]
        return next(iter(refusals), None) if all(refusals) else None

    def _exceeded(self, number: int, target: Target, plan: Plan | None) -> str | None:
        rule, place = self.allow[number], f"allow[{number}]"
        if rule.max_replicas is not None and target.replicas is not None and target.replicas > rule.max_replicas:
            return (
                f"{self._at(place)}: {target} may have at most {rule.max_replicas} replicas (max_replicas), "
                f"{target.replicas} were asked for; {self._change('change that')}"
            )
        if plan is None or not plan:
            return None
        if rule.min_available is not None and plan.leaves is not None and plan.leaves < rule.min_available:
            return (
                f"{self._at(place)}: at least {rule.min_available} of {target} must stay available (min_available), "
                f"this would leave {plan.leaves}; {self._change('change that')}"
            )
        if rule.max_share is not None and plan.share is not None and plan.share > rule.max_share:
            return (
                f"{self._at(place)}: at most {rule.max_share:.0%} of the targets may be touched at once (max_share), "
                f"this is {plan.share:.0%}; {self._change('change that')}"
            )
        return None

    def unattended(self, target: Target, plan: Plan) -> str | None:
        """The rule that lets an automatic runbook do this without an approval, as `policy.yaml:12`; None when there is none."""
        for number, rule in enumerate(self.allow):
            if rule.unattended and rule.allows(target) and self._exceeded(number, target, plan) is None:
                return self._at(f"allow[{number}]")
        return None

    # -------------------------------------------------------------------------------------------- for now

    def hold(self, target: Target, run_id: int, touches: Sequence[Touch], now: datetime) -> str | None:
        """Why not now; None when nothing holds it. `touches`: those of at least the last hour and the longest cooldown."""
        frozen = next((freeze for freeze in self.runbooks.freeze if freeze.covers(now)), None)
        if frozen is not None:
            until = f" until {frozen.until:%Y-%m-%d %H:%M %Z}" if frozen.until else ""
            return f"{self._at('runbooks.freeze')}: {frozen.name}{until}: nothing is changed; {self._past()}"
        others = [touch for touch in touches if touch.run_id != run_id]
        cooldown = self.cooldown(target)
        last = max((touch.at for touch in others if touch.lock == target.locked), default=None)
        if last is not None and now - last < cooldown:
            by = next(touch.run_id for touch in others if touch.at == last and touch.lock == target.locked)
            return (
                f"{self._at('runbooks.cooldown')}: RUN-{by} touched {target} at {last:%H:%M %Z}; it is left alone for {_spoken(cooldown)}, "
                f"until {last + cooldown:%H:%M %Z}; {self._past()}"
            )
        most = self.runbooks.runs_per_hour
        lately = {touch.run_id for touch in others if now - touch.at < HOUR}
        if most is not None and len(lately) >= most:
            return (
                f"{self._at('runbooks.runs_per_hour')}: {len(lately)} runs have changed something in the last hour, {most} are allowed; "
                f"{self._past()}"
            )
        return None

    def cooldown(self, target: Target) -> timedelta:
        """How long this target is left alone: what the rules that allow it say, else what holds for all."""
        said = [rule.cooldown for rule in self.allow if rule.cooldown is not None and rule.allows(target)]
        return max(said, default=self.runbooks.cooldown)

    @property
    def memory(self) -> timedelta:
        """How far back `hold` has to look."""
        cooldowns = [rule.cooldown for rule in self.allow if rule.cooldown is not None]
        return max([HOUR, self.runbooks.cooldown, *cooldowns])

    # -------------------------------------------------------------------------------------------- who

    def start_refusal(self, actor: Actor, directory: Directory) -> str | None:
        """Why this person may not start runs (or pause, cancel, undo them); None when they may."""
        roles = self.runbooks.start if self.runbooks.start is not None else tuple(directory.roles)
        if actor.id == TOCSIN.id or any(directory.has_role(actor, role) for role in roles):
            return None
        named = " or ".join(roles) or "nobody: there are no roles"
        return (
            f"{self._at('runbooks.start')}: runbooks are started by the role {named}, and {actor.name} is not of it; "
            f"ask one of them, or {self._change('add you')}"
        )

    def may_break_glass(self, actor: Actor, directory: Directory) -> bool:
        return any(directory.has_role(actor, role) for role in self.runbooks.break_glass)

    def glass_refusal(self, actor: Actor) -> str:
        roles = " or ".join(self.runbooks.break_glass) or "nobody (it names no role)"
        return f"{self._at('runbooks.break_glass')}: the glass may be broken by {roles}; {actor.name} is not of them. Nothing was done."

    def _at(self, path: str) -> str:
        place = self.places.get(path)
        return f"{place} ({path})" if place else f"{self.where} ({path})"

    def _change(self, what: str) -> str:
        return f"{self.keepers or f'whoever maintains {self.where}'} can {what}"

    def _past(self) -> str:
        roles = " or ".join(self.runbooks.break_glass)
        return f"the role {roles} can break the glass, with a reason" if roles else f"{self._change('change that')}"


def _any(patterns: tuple[str, ...], text: str) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def _inside(path: str, folder: str) -> bool:
    """Both absolute and without `..`; the action has resolved links."""
    folder = folder.rstrip("/")
    return bool(folder) and (path == folder or path.startswith(f"{folder}/")) and "/../" not in f"{path}/"


def _spoken(span: timedelta) -> str:
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    return f"{minutes} min" if not seconds else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
