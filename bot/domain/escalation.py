"""Who is paged next, and when: pure decisions over the policy as it was when the incident began.

An escalation is a timer in the outbox. When it comes due it reads the incident and decides: paging goes on, level by level and round by round,
until someone acknowledges; when nobody is left it says so loudly (P3).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from bot.domain.people import Directory
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

    `passed_over`: somebody was not paged because of their own hours, which may be others for a worse severity.
    """

    model_config = ConfigDict(frozen=True)

    policy: Policy
    step: int = 0
    exhausted: bool = False
    passed_over: bool = False

    @property
    def steps(self) -> int:
        return len(self.policy.levels) * (self.policy.repeat + 1)


class Paging(BaseModel):
    """What a due timer decided: whom to page now (`names`: as people know them), whom it could not page and why, and when to look again.

    `next_due` None: nobody is left.
    """

    model_config = ConfigDict(frozen=True)

    track: Track
    targets: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    level: int = 0
    round: int = 0
    next_due: datetime | None = None


def next_paging(track: Track, directory: Directory, now: datetime, severity: str = "") -> Paging:
    """The next level that has somebody to page for this severity; levels with nobody are skipped at once, with the reason."""
    skipped: list[str] = []
    step, passed_over = track.step, track.passed_over
    while step < track.steps:
        rounds, index = divmod(step, len(track.policy.levels))
        level = track.policy.levels[index]
        targets, reasons, off = _reachable(level, directory, now, severity)
        passed_over = passed_over or off
        skipped += [f"level {index + 1}: {reason}" for reason in reasons]
        step += 1
        if targets:
            moved = track.model_copy(update={"step": step, "passed_over": passed_over})
            return Paging(
                track=moved,
                targets=targets,
                names=tuple(directory.name_of(target) for target in targets),
                skipped=tuple(skipped),
                level=index + 1,
                round=rounds + 1,
                next_due=now + level.timeout,
            )
    moved = track.model_copy(update={"step": step, "exhausted": True, "passed_over": passed_over})
    return Paging(track=moved, skipped=tuple(skipped))


def _reachable(
    level: Level, directory: Directory, now: datetime, severity: str
) -> tuple[tuple[str, ...], list[str], bool]:
    """Whom to page, why not the others, and whether somebody's own hours are among the reasons."""
    targets: list[str] = []
    reasons: list[str] = []
    off = False
    for wanted in level.targets:
        found = directory.resolve(wanted, now)
        if not found:
            reasons.append(f"{wanted} has nobody on call")
            continue
        target = found[0]
        person = directory.people.get(target.removeprefix("person:"))
        if target.startswith("person:") and (person is None or not person.slack):
            reasons.append(f"{target} has no way to be paged")
        elif (free_at := directory.free_at(target, severity, now)) is not None:
            off = True
            day = "%Y-%m-%d " if free_at - now >= timedelta(days=1) else ""
            hours = f"does not want to be paged for {severity} before {free_at.strftime(f'{day}%H:%M %Z')}".rstrip()
            reasons.append(f"{directory.name_of(target)} {hours} (quiet in oncall.yaml)")
        elif target not in targets:
            targets.append(target)
    if not level.targets:
        reasons.append("nobody is on it")
    return tuple(targets), reasons, off
