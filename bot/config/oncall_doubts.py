"""What is doubtful in oncall.yaml: whom nobody can page, times without anybody, what nothing uses. Used by load."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from bot.config.channels import Media
from bot.config.marks import Document, Path
from bot.config.oncall import OncallFile, methods, targets
from bot.config.oncall_people import PersonEntry, rule
from bot.config.oncall_policies import PolicyEntry
from bot.config.problems import Problem, quoted
from bot.config.signal_checks import quiet_for_the_worst
from bot.config.units import shortest
from bot.domain.schedule import Schedule, shifts

LOOKS_AHEAD = timedelta(weeks=4)
SINGLE = ("person", "channel", "medium")


@dataclass(frozen=True, slots=True)
class Use:
    """What the other files make of oncall.yaml. `policies`: those that routes name. `role_members`: people of policy.yaml. `worst`: the most severe
    severity. `media`: those set up; None, when tocsin.yaml could not be read."""

    policies: Collection[str]
    role_members: Collection[str]
    worst: str
    media: Media | None


def doubtful(
    file: OncallFile, document: Document, use: Use, schedules: Mapping[str, Schedule], now: datetime | None
) -> Iterator[Problem]:
    """Warnings about a file that has no mistakes. `now`: to look ahead; None when no clock is at hand."""
    wanted = _wanted(file)
    for key, person in file.people.items():
        yield from _doubtful_person(key, person, document, use, paged=key in wanted)
    yield from _unused(file, document)
    for key, policy in file.policies.items():
        if key not in use.policies:
            yield document.problem(("policies", key), "no route uses this policy", key=True)
        yield from _doubtful_policy(policy, document, ("policies", key))
    if now is not None:
        for key, schedule in schedules.items():
            section = "rotations" if key in file.rotations else "schedules"
            yield from _gaps(schedule, document, (section, key), now.astimezone(UTC))


def _wanted(file: OncallFile) -> set[str]:
    """Everybody whom a schedule or a policy pages."""
    found = {target.removeprefix("person:") for target in targets(file) if target.startswith("person:")}
    for target in targets(file):
        found |= set(file.groups.get(target.removeprefix("group:"), ())) if target.startswith("group:") else set()
    for turns in file.turns.values():
        for one in turns.people:
            found |= {one} if isinstance(one, str) else set(one)
    return found


def _doubtful_person(key: str, person: PersonEntry, document: Document, use: Use, *, paged: bool) -> Iterator[Problem]:
    path: Path = ("people", key)
    if paged and use.media is not None and not person.slack and not methods(person, use.media):
        words = "cannot be paged: no method of theirs is of a medium that is set up; add slack: U…, or phone, email or methods that fit channels"
        yield document.problem(path, words, key=True)
    if key in use.role_members and not person.slack:
        yield document.problem(path, "has no Slack id (slack: U…), so cannot approve anything in Slack", key=True)
    for severity, rules in person.notify.items():
        method, after = min(map(rule, rules), key=lambda one: one[1])
        if after:
            words = f"the first page goes out only after {shortest(after)}, by {method}; begin with a method without a time, like {quoted(method)}"
            yield document.problem((*path, "notify", severity), words, key=True)
    if person.quiet:
        yield from quiet_for_the_worst(person.quiet, use.worst, document, (*path, "quiet"))


def _unused(file: OncallFile, document: Document) -> Iterator[Problem]:
    """Schedules, groups and calendars that nothing uses. A schedule that only keeps a Slack user group is used."""
    used = targets(file)
    for section, entries in (("rotations", file.rotations), ("schedules", file.schedules)):
        for key, entry in entries.items():
            if not {f"rotation:{key}", f"schedule:{key}"} & used and not entry.slack_group:
                yield document.problem((section, key), f"no policy uses this {section.removesuffix('s')}", key=True)
    for key in file.groups:
        if f"group:{key}" not in used:
            yield document.problem(("groups", key), "no policy uses this group", key=True)
    feeds = {layer.calendar for schedule in file.schedules.values() for layer in schedule.layers}
    for key in file.calendars:
        if key not in feeds:
            yield document.problem(("calendars", key), "no schedule uses this calendar", key=True)


def _doubtful_policy(policy: PolicyEntry, document: Document, path: Path) -> Iterator[Problem]:
    if all(level.when is not None for level in policy.levels):
        words = "every level has a condition (when): nobody is paged while none of them holds; add a level without one"
        yield document.problem((*path, "levels"), words, key=True)
    for number, level in enumerate(policy.levels):
        if level.round_robin and len(level.targets) == 1 and level.targets[0].partition(":")[0] in SINGLE:
            words = f"{level.targets[0]} is the only target, so there is nobody to take turns with"
            yield document.problem((*path, "levels", number, "round_robin"), words)


def _gaps(schedule: Schedule, document: Document, path: Path, now: datetime) -> Iterator[Problem]:
    """Times of the next weeks without anybody. Nothing is said where a calendar counts, which nobody has read yet."""
    if schedule.gaps_are_meant or any(layer.feed for layer in schedule.layers):
        return
    gaps: list[tuple[datetime, datetime]] = []
    at, end = now, now + LOOKS_AHEAD
    for shift in shifts(schedule, now, end):
        if shift.starts > at:
            gaps.append((at, shift.starts))
        at = max(at, shift.ends)
    if at < end:
        gaps.append((at, end))
    if gaps:
        zone = ZoneInfo(schedule.zone)
        begins, ends = (f"{moment.astimezone(zone):%Y-%m-%d %H:%M}" for moment in gaps[0])
        more = "" if len(gaps) == 1 else f", and {len(gaps) - 1} more times in the {LOOKS_AHEAD.days} days from now"
        words = f"nobody is on call from {begins} to {ends} ({schedule.zone}){more}; if that is meant, add gaps: fine"
        yield document.problem(path, words, key=True)
