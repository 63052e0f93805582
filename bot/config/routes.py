"""The `route` tree of tocsin.yaml: checked, and made into the domain's Route with what children inherit filled in. Used by load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Self

from pydantic import Field, model_validator

from bot.config.channels import Media
from bot.config.marks import Document, Path
from bot.config.problems import Problem, unknown
from bot.config.server import Part
from bot.config.signal_severities import bad_media, doubtful_media
from bot.domain.matching import matcher
from bot.domain.routing import Route

ALERTMANAGER = {"wait": "group_wait", "interval": "group_interval", "repeat": "repeat_interval"}
LONGEST_WAIT = timedelta(hours=1)
LONGEST = timedelta(days=30)


class RouteEntry(Part):
    """A node of the tree. What a child does not say it has from its parent."""

    match: tuple[str, ...] = Field(
        default=(), description='matchers, all of which must hold: team="shop", service=~"cart|checkout"'
    )
    go_on: bool = Field(default=False, alias="continue", description="after a match, try the siblings below as well")
    policy: str | None = Field(default=None, description="the escalation policy in oncall.yaml")
    group_by: tuple[str, ...] | None = Field(
        default=None, description="labels that make two alerts one incident; ... means all"
    )
    reopen_within: timedelta | None = Field(
        default=None, ge=timedelta(0), description="how long after its end an incident is reopened"
    )
    private: bool | None = Field(default=None, description="open a private channel")
    severity: str | None = Field(default=None, description="what its alerts count as, whatever they say themselves")
    media: tuple[str, ...] | None = Field(
        default=None, description="through what they may reach people, whatever their severity; [log] pages nobody"
    )
    wait: timedelta | None = Field(
        default=None, ge=timedelta(0), le=LONGEST_WAIT, description="how long a new group is held before it pages"
    )
    interval: timedelta | None = Field(
        default=None, ge=timedelta(0), le=LONGEST, description="how often at most its channel is told of new alerts"
    )
    repeat: timedelta | None = Field(
        default=None, ge=timedelta(0), le=LONGEST, description="how often it is reminded while open; 0 for never"
    )
    group_wait: timedelta | None = Field(
        default=None, ge=timedelta(0), le=LONGEST_WAIT, description="wait, as Alertmanager calls it"
    )
    group_interval: timedelta | None = Field(
        default=None, ge=timedelta(0), le=LONGEST, description="interval, as Alertmanager calls it"
    )
    repeat_interval: timedelta | None = Field(
        default=None, ge=timedelta(0), le=LONGEST, description="repeat, as Alertmanager calls it"
    )
    routes: tuple[RouteEntry, ...] = ()

    @model_validator(mode="after")
    def _once(self) -> Self:
        for ours, theirs in ALERTMANAGER.items():
            if getattr(self, ours) is not None and getattr(self, theirs) is not None:
                raise ValueError(f"{ours} and {theirs} are the same; keep one of them")
        return self

    def time(self, name: str, above: timedelta | None) -> timedelta | None:
        """`wait`, `interval` or `repeat`, by whichever name it is given; else what it is above."""
        for key in (name, ALERTMANAGER[name]):
            given: timedelta | None = getattr(self, key)
            if given is not None:
                return given
        return above


def built(entry: RouteEntry) -> Route:
    """The domain's tree of a `checked` one."""
    return _node(entry, Route(), "root", "root")


def _node(entry: RouteEntry, above: Route, path: str, key: str) -> Route:
    wait, interval = entry.time("wait", above.wait), entry.time("interval", above.interval)
    here = Route(
        path=path,
        key=key,
        matchers=tuple(matcher(text) for text in entry.match),
        go_on=entry.go_on,
        policy=above.policy if entry.policy is None else entry.policy,
        group_by=above.group_by if entry.group_by is None else entry.group_by,
        reopen_within=above.reopen_within if entry.reopen_within is None else entry.reopen_within,
        private=above.private if entry.private is None else entry.private,
        severity=above.severity if entry.severity is None else entry.severity,
        media=above.media if entry.media is None else entry.media,
        wait=wait or timedelta(0),
        interval=interval or timedelta(0),
        repeat=entry.time("repeat", above.repeat) or None,
    )
    children: list[Route] = []
    taken: Counter[str] = Counter()
    for number, child in enumerate(entry.routes):
        condition = ",".join(sorted(str(matcher(text)) for text in child.match))
        again = f"#{taken[condition] + 1}" if taken[condition] else ""
        taken[condition] += 1
        children.append(_node(child, here, f"{path}/{number}", f"{key}/{{{condition}}}{again}"))
    return here.model_copy(update={"routes": tuple(children)})


def policies_of(entry: RouteEntry) -> set[str]:
    """Every policy that the tree names."""
    below = (policies_of(child) for child in entry.routes)
    return ({entry.policy} if entry.policy else set()).union(*below)


def checked(
    entry: RouteEntry,
    document: Document,
    policies: Collection[str],
    severities: Collection[str],
    path: Path = ("route",),
) -> Iterator[Problem]:
    """Unknown policies, severities and media, matchers that cannot be read, a root that pages nobody. No `severities`: they are not known."""
    if not entry.policy and path == ("route",):
        yield document.problem(path, "the root route needs a policy: whom to page when nothing below matches", key=True)
    elif entry.policy is not None and entry.policy not in policies:
        yield document.problem((*path, "policy"), unknown("policy", "policies", entry.policy, policies))
    if entry.severity and severities and entry.severity not in severities:
        words = unknown("severity", "severities", entry.severity, severities)
        yield document.problem((*path, "severity"), words)
    if entry.media is not None:
        yield from bad_media(entry.media, document, (*path, "media"))
    yield from bad_matchers(entry.match, document, (*path, "match"))
    for number, child in enumerate(entry.routes):
        yield from checked(child, document, policies, severities, (*path, "routes", number))


def bad_matchers(match: Collection[str], document: Document, path: Path) -> Iterator[Problem]:
    for number, text in enumerate(match):
        try:
            matcher(text)
        except (ValueError, OverflowError, RecursionError) as error:
            yield document.problem((*path, number), str(error))


def doubtful(entry: RouteEntry, document: Document, set_up: Media, path: Path = ("route",)) -> Iterator[Problem]:
    """Routes that no alert can reach, and alerts that reach no route, or nobody."""
    if path == ("route",) and entry.match:
        yield document.problem(
            (*path, "match"), "alerts that do not match the root route open no incident and page nobody", key=True
        )
    if entry.media is not None:
        at = (*path, "media")
        if path == ("route",) and set(entry.media) <= {"log"}:
            yield document.problem(
                at, "alerts that no route below has other media for page nobody, however bad they are", key=True
            )
        yield from doubtful_media(entry.media, document, at, set_up)
    closed = False
    for number, child in enumerate(entry.routes):
        here = (*path, "routes", number)
        if closed:
            yield document.problem(
                here, "no alert gets here: a route above it matches everything and has no continue: true", key=True
            )
        closed = closed or (not child.match and not child.go_on)
        yield from doubtful(child, document, set_up, here)
