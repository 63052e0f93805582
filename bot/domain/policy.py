"""What runbooks may do, from policy.yaml: deny by default; every refusal says which rule, where it stands, and who may change it.

`refusal` is final. `hold` is for now only (a freeze, a cooldown, a rate), and whoever may break the glass can go past it, on record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.allowance import Allowance, Limits, fits_any
from bot.domain.naming import english_list
from bot.domain.people import TOCSIN, Actor, Directory
from bot.domain.plan import Plan, Target
from bot.domain.runbook import Approval

HOUR = timedelta(hours=1)


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
            return f"{self._at('allow')}: no rule under `allow` lets {target.action} touch {target}{self._near(target)}; {self._change('add one')}"
        exceeded = [self._exceeded(number, target, plan) for number in fitting]
        if not all(exceeded):
            return None
        return f"{'; '.join(one for one in exceeded if one)}; {self._change('change that')}"

    def _near(self, target: Target) -> str:
        """The first rule about this action: most likely the one that was meant."""
        rules = enumerate(self.allow)
        found = next((number for number, rule in rules if fits_any(rule.actions, target.action)), None)
        return "" if found is None else f"; {self._at(f'allow[{found}]')} says what it may touch"

    def _exceeded(self, number: int, target: Target, plan: Plan | None) -> str | None:
        rule, place = self.allow[number], self._at(f"allow[{number}]")
        if rule.max_replicas is not None and target.replicas is not None and target.replicas > rule.max_replicas:
            return f"{place}: {target} may have at most {rule.max_replicas} replicas (max_replicas), {target.replicas} were asked for"
        if plan is None or not plan:
            return None
        if rule.min_available is not None and plan.leaves is not None and plan.leaves < rule.min_available:
            return (
                f"{place}: at least {rule.min_available} of {target} must stay available (min_available), "
                f"this would leave {plan.leaves}"
            )
        if rule.max_share is not None and plan.share is not None and plan.share > rule.max_share:
            return (
                f"{place}: at most {rule.max_share:.0%} of the targets may be touched at once (max_share), "
                f"this is {plan.share:.0%}"
            )
        return None

    def unattended(self, target: Target, plan: Plan) -> str | None:
        """The rule that lets an automatic runbook do this without an approval, as `policy.yaml:12 (allow[0])`; None when there is none."""
        for number, rule in enumerate(self.allow):
            if rule.unattended and rule.allows(target) and self._exceeded(number, target, plan) is None:
                return self._at(f"allow[{number}]")
        return None

    def approval(self, wanted: Approval, target: Target) -> Approval:
        """Who must approve a step that touches this: what the runbook wants, and what the rules that allow it want besides."""
        fitting = [rule for rule in self.allow if rule.allows(target)]
        people = max([wanted.people, *(rule.people for rule in fitting)])
        role = next((rule.approvers for rule in fitting if rule.approvers), wanted.role)
        return wanted.model_copy(update={"people": people, "role": role})

    # -------------------------------------------------------------------------------------------- for now

    def hold(
        self, target: Target, run_id: int, touches: Sequence[Touch], now: datetime, undoes: int | None = None
    ) -> str | None:
        """Why not now; None when nothing holds it. `touches`: those of at least `memory`. A run that takes another one back (`undoes`) does not
        wait for what that one has touched to cool down, nor for the rate."""
        others = [touch for touch in touches if touch.run_id not in (run_id, undoes)]
        held = self._frozen(now) or self._cooling(target, others, now)
        if held is None and undoes is None and len(others) == len(touches):
            held = self._too_many(others, now)
        return f"{held}; {self._past()}" if held else None

    def _frozen(self, now: datetime) -> str | None:
        for number, freeze in enumerate(self.runbooks.freeze):
            if freeze.covers(now):
                ends = freeze.ends(now)
                until = f" until {ends:%Y-%m-%d %H:%M %Z}" if ends else ""
                return f"{self._at(f'runbooks.freeze[{number}]')}: {freeze.name}: nothing is changed{until}"
        return None

    def _cooling(self, target: Target, others: Sequence[Touch], now: datetime) -> str | None:
        span, place = self._cooldown(target)
        last = max((touch for touch in others if touch.lock == target.locked), key=lambda touch: touch.at, default=None)
        if last is None or now - last.at >= span:
            return None
        return (
            f"{self._at(place)}: RUN-{last.run_id} touched {target} at {last.at:%H:%M %Z}, and it is left alone for {_spoken(span)}, "
            f"until {last.at + span:%Y-%m-%d %H:%M %Z}"
        )

    def _too_many(self, others: Sequence[Touch], now: datetime) -> str | None:
        """A run that has begun to change something is not stopped half-way by the rate, so this is for one that has not."""
        most = self.runbooks.runs_per_hour
        lately = {touch.run_id for touch in others if now - touch.at < HOUR}
        if most is None or len(lately) < most:
            return None
        changed = "1 run has" if len(lately) == 1 else f"{len(lately)} runs have"
        return f"{self._at('runbooks.runs_per_hour')}: {changed} changed something in the last hour, {most} may"

    def cooldown(self, target: Target) -> timedelta:
        """How long this target is left alone: the longest that a rule which allows it says, else what holds for all."""
        return self._cooldown(target)[0]

    def _cooldown(self, target: Target) -> tuple[timedelta, str]:
        said = [
            (rule.cooldown, f"allow[{number}].cooldown")
            for number, rule in enumerate(self.allow)
            if rule.cooldown is not None and rule.allows(target)
        ]
        return max(said, key=lambda one: one[0], default=(self.runbooks.cooldown, "runbooks.cooldown"))

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
        may = (
            f"only the role {' or '.join(roles)} may start and steer runs, and"
            if roles
            else "nobody may start and steer runs;"
        )
        ask = "ask one of them, or " if roles else ""
        return f"{self._at('runbooks.start')}: {may} {actor.name} has none of its roles; {ask}{self._change('change that')}"

    def approve_refusal(self, actor: Actor, directory: Directory) -> str | None:
        """Why this person may not approve anything; None when they may, or the runbooks alone say who."""
        roles = self.runbooks.approve
        if roles is None or any(directory.has_role(actor, role) for role in roles):
            return None
        who = f"only {english_list(roles) or 'nobody'} may approve, and {actor.name} is not of them"
        return f"{self._at('runbooks.approve')}: {who}; {self._change('change that')}"

    def may_break_glass(self, actor: Actor, directory: Directory) -> bool:
        return any(directory.has_role(actor, role) for role in self.runbooks.break_glass)

    def glass_refusal(self, actor: Actor) -> str:
        roles = self.runbooks.break_glass
        may = (
            f"only the role {' or '.join(roles)} may break the glass, and {actor.name} is not of it"
            if roles
            else "nobody may break the glass"
        )
        return f"{self._at('runbooks.break_glass')}: {may}; {self._change('change that')}. Nothing was done."

    def _at(self, path: str) -> str:
        """`policy.yaml:12 (allow[0])`; of a value that the file does not say, the nearest part around it that it does."""
        around = path
        while around and around not in self.places:
            around = around[: max(around.rfind("."), around.rfind("["), 0)]
        return f"{self.places.get(around, self.where)} ({path})"

    def _change(self, what: str) -> str:
        return f"{self.keepers or f'whoever maintains {self.where}'} can {what}"

    def _past(self) -> str:
        roles = " or ".join(self.runbooks.break_glass)
        return f"the role {roles} can break the glass, with a reason" if roles else self._change("change that")


def _spoken(span: timedelta) -> str:
    """`2 h 30 min`, `45 s`."""
    left, parts = int(span.total_seconds()), list[str]()
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        parts += [f"{count} {name}"] if count else []
    return " ".join(parts) or "0 s"
