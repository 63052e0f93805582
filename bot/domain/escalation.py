"""Who is paged next, and when: pure decisions over the policy as it was when the incident began.

An escalation is a timer in the outbox. When it comes due it reads the incident and decides: paging goes on, level by level and round by round,
until someone acknowledges; when nobody is left it says so loudly (P3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from bot.domain import contact
from bot.domain.contact import Method, Notify, Plan, Step
from bot.domain.flapping import shown
from bot.domain.naming import english_list
from bot.domain.people import Directory, Person
from bot.domain.windows import Window


class Condition(BaseModel):
    """When a level counts; all that is given must hold, else the level is passed over at once. `hours`: one of them covers now. `severities`: the
    incident's is one of them (empty: any). `more_than` alerts began in it `within` the time before now (0: any number)."""

    model_config = ConfigDict(frozen=True)

    hours: tuple[Window, ...] = ()
    severities: frozenset[str] = frozenset()
    more_than: int = 0
    within: timedelta = timedelta(minutes=10)


class Level(BaseModel):
    """One step of a policy: everybody in `targets` is paged, then `timeout` to acknowledge before the next level.

    `round_robin`: only one of them (of whom the targets mean now), another one each time that the level is paged, over all incidents.
    """

    model_config = ConfigDict(frozen=True)

    targets: tuple[str, ...]
    timeout: timedelta = timedelta(minutes=5)
    round_robin: bool = False
    when: Condition = Condition()


class Policy(BaseModel):
    """An escalation policy: its levels in order, all of them gone through `repeat` more times after the first.

    `remind_after`: whoever acknowledged is asked so long afterwards whether they are still at it; `expires_after`: without an answer by then it is
    nobody's any more and paging begins anew. None: an acknowledgement holds.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    levels: tuple[Level, ...]
    repeat: int = 0
    remind_after: timedelta | None = None
    expires_after: timedelta | None = None


class Track(BaseModel):
    """One policy being worked through for one incident. `step` counts levels over all rounds; the next timer carries it.

    `passed_over`: a worse severity may page somebody whom this one did not (their own hours), or by more media. `rests`: the epoch in which it pages
    nobody, because its people had acknowledged before others came in (0: it never rested).
    """

    model_config = ConfigDict(frozen=True)

    policy: Policy
    step: int = 0
    exhausted: bool = False
    passed_over: bool = False
    rests: int = 0

    @property
    def steps(self) -> int:
        return len(self.policy.levels) * (self.policy.repeat + 1)


class Situation(BaseModel):
    """What a decision about paging looks at beside the policy and the people: the incident's severity, the media that it may use (none said: all),
    when how many of its alerts began, and how far the round robin of each level (by its number, from 1) has come."""

    model_config = ConfigDict(frozen=True)

    severity: str = ""
    media: tuple[str, ...] = ()
    began: tuple[tuple[datetime, int], ...] = ()
    turns: Mapping[int, int] = {}


class Paging(BaseModel):
    """What a due timer decided: whom to page now (`names`: as people know them; `plans`: by what and when, in the same order), and when to
    look again.

    `skipped`: who could not be paged, and why: people should know. `passed`: what the policy or the severity does not want now, and why.
    `turns`: how many turns of this level's round robin were taken. `next_due` None: nobody is left.
    """

    model_config = ConfigDict(frozen=True)

    track: Track
    targets: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    plans: tuple[Plan, ...] = ()
    skipped: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    level: int = 0
    round: int = 0
    turns: int = 0
    next_due: datetime | None = None


def next_paging(track: Track, directory: Directory, now: datetime, situation: Situation | None = None) -> Paging:
    """The next level that has somebody to page; those with nobody, or that do not count now, are gone past at once, with the reason."""
    skipped: list[str] = []
    passed: list[str] = []
    step, passed_over = track.step, track.passed_over
    asked = situation or Situation()
    while step < track.steps:
        rounds, index = divmod(step, len(track.policy.levels))
        level = track.policy.levels[index]
        step += 1
        why_not = _does_not_count(level.when, asked, now)
        if why_not:
            passed.append(f"level {index + 1}: {why_not}")
            passed_over = passed_over or bool(level.when.severities)
            continue
        found = _whom(level, directory, now, asked, asked.turns.get(index + 1, 0))
        passed_over = passed_over or found.off
        skipped += [f"level {index + 1}: {reason}" for reason in found.skipped]
        passed += [f"level {index + 1}: {reason}" for reason in found.passed]
        if found.plans:
            return Paging(
                track=track.model_copy(update={"step": step, "passed_over": passed_over}),
                targets=tuple(found.plans),
                names=tuple(directory.name_of(target) for target in found.plans),
                plans=tuple(found.plans.values()),
                skipped=tuple(skipped),
                passed=tuple(passed),
                level=index + 1,
                round=rounds + 1,
                turns=found.turns,
                next_due=now + level.timeout,
            )
    moved = track.model_copy(update={"step": step, "exhausted": True, "passed_over": passed_over})
    return Paging(track=moved, skipped=tuple(skipped), passed=tuple(passed))


def _does_not_count(when: Condition, asked: Situation, now: datetime) -> str:
    """Why a level does not count now; empty: it does."""
    if when.severities and asked.severity not in when.severities:
        return f"only for {english_list(sorted(when.severities))}, and it is {asked.severity or 'of no severity'}"
    if when.hours and not any(window.covers(now) for window in when.hours):
        return "not at this time (when.hours in oncall.yaml)"
    if when.more_than:
        count = sum(number for at, number in asked.began if at > now - when.within)
        if count <= when.more_than:
            return f"only for more than {when.more_than} alerts within {shown(when.within)}, and there are {count}"
    return ""


@dataclass(slots=True)
class _Found:
    """`plans`: whom to page and how. `off`: for another severity somebody more would be paged, or by more."""

    plans: dict[str, Plan] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    off: bool = False
    turns: int = 0


def _whom(level: Level, directory: Directory, now: datetime, asked: Situation, turn: int) -> _Found:
    """Whom a level means now, and how they are reached. `turn`: where its round robin stands."""
    found = _Found()
    targets: list[str] = []
    for wanted in level.targets:
        means = directory.resolve(wanted, now)
        if not means:
            found.skipped.append(
                f"{wanted} {'is not set up' if wanted.startswith('medium:') else 'has nobody on call'}"
            )
        targets += [target for target in means if target not in targets]
    if not level.targets:
        found.skipped.append("nobody is on it")
    if level.round_robin and targets:
        start = turn % len(targets)
        targets = targets[start:] + targets[:start]
    for target in targets:
        found.turns += level.round_robin
        _reach(target, directory, now, asked, found)
        if level.round_robin and found.plans:
            break
    return found


def _reach(target: str, directory: Directory, now: datetime, asked: Situation, found: _Found) -> None:
    """One target: how it is reached, or why it is not."""
    kind, _, name = target.partition(":")
    severity = asked.severity or "this severity"
    if kind == "medium" and not contact.fits(name, asked.media, directory.media):
        found.off = True
        found.passed.append(f"{target} is not used for {severity}")
    elif kind != "person":
        medium = name if kind == "medium" else contact.SLACK
        found.plans[target] = Plan(steps=(Step(method=Method(key="", medium=medium, address="")),))
    elif (free_at := directory.free_at(target, asked.severity, now)) is not None:
        found.off = True
        day = "%Y-%m-%d " if free_at - now >= timedelta(days=1) else ""
        hours = f"does not want to be paged for {asked.severity} before {free_at.strftime(f'{day}%H:%M %Z')}".rstrip()
        found.skipped.append(f"{directory.name_of(target)} {hours} (quiet in oncall.yaml)")
    else:
        person = directory.people[name]
        rules = person.notify.get(asked.severity, person.notify.get("", ()))
        plan = contact.plan(person.ways, rules, asked.media, directory.media)
        if plan.steps:
            found.plans[target] = plan
            found.off = found.off or _otherwise(person, plan, rules, directory)
            return
        found.off = found.off or bool(contact.plan(person.ways, (), (), directory.media).steps)
        found.skipped.append(f"{target} has no way to be paged: {directory.name_of(target)} {plan.nobody}")


def _otherwise(person: Person, plan: Plan, rules: tuple[Notify, ...], directory: Directory) -> bool:
    """Whether another severity would reach somebody by more than this plan, or by other rules of theirs."""
    others = any(one != rules for one in (*person.notify.values(), person.notify.get("", ())))
    return others or len(contact.plan(person.ways, rules, (), directory.media).steps) > len(plan.steps)
