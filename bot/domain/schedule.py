"""Who is on call when: layers of rotations and calendars, restricted to hours and days, with overrides on top. Pure; correct across DST.

Rotations are counted on the wall clock of their zone, and only their borders become moments: a turn from 09:00 to 09:00 is an hour longer or shorter
when the clocks change. A border at a wall time that occurs twice begins a turn at the first and ends one at the second (so both are on call in
between); one that does not occur is the moment at which the clocks jump. The rules are those of GoAlert (target/goalert pull request 1252).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Shift(BaseModel):
    """Somebody (a key of `people`) is on call from `starts` to `ends` (not included). `by`: the layer or override that says so, for people."""

    model_config = ConfigDict(frozen=True)

    person: str
    starts: datetime
    ends: datetime
    by: str = ""


class Hours(BaseModel):
    """When a layer counts: on these days of the week (none: all) between two wall-clock times (none: the whole day; may go past midnight, and then
    belongs to the day on which it begins)."""

    model_config = ConfigDict(frozen=True)

    days: tuple[str, ...] = ()
    between: tuple[time, time] | None = None


class Holidays(BaseModel):
    """Public holidays of a country and, when given, one of its parts (as the `holidays` package names them: DE, BY)."""

    model_config = ConfigDict(frozen=True)

    country: str
    subdivision: str = ""


class Layer(BaseModel):
    """One rotation, or one calendar (`feed`: its name). `turns`: who has the first turn, the second, …, and then the first again; each is one person
    or several at once. `starts`: wall clock of the first turn's beginning; `every`: wall-clock length of a turn. `until`: wall clock of the end.

    `hours`: it counts only then (any of them). `holidays`: `off`, not on these days; `only`, on nothing but these days.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    turns: tuple[tuple[str, ...], ...] = ()
    starts: datetime | None = None
    every: timedelta = timedelta(weeks=1)
    until: datetime | None = None
    hours: tuple[Hours, ...] = ()
    holidays: Holidays | None = None
    on_holidays: Literal["off", "only"] = "off"
    feed: str = ""


class Override(BaseModel):
    """Somebody else, for a time. `instead_of` empty: instead of everybody who would be on call; else of that person alone (a swap).

    `person` empty: nobody (only by hand, with a warning). A later number wins over an earlier one.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    schedule: str
    person: str
    starts: datetime
    ends: datetime
    instead_of: str = ""
    by: str = ""
    why: str = ""
    made_at: datetime
    ended_at: datetime | None = None


class Schedule(BaseModel):
    """Layers from the bottom to the top: at any moment the topmost one that has somebody counts. `zone`: whose wall clock it goes by.

    `overrides` and `feeds` (calendars by name, as shifts) come from the database; the rest from oncall.yaml. `slack_group`: the id of a Slack user
    group (S…) that is kept equal to who is on call. `tell`: the Slack channel that hears of hand-overs and of gaps. `gaps_are_meant`: nobody is
    warned of them (a schedule of office hours).
    """

    model_config = ConfigDict(frozen=True)

    key: str
    zone: str = "UTC"
    layers: tuple[Layer, ...] = ()
    overrides: tuple[Override, ...] = ()
    feeds: Mapping[str, tuple[Shift, ...]] = {}
    slack_group: str = ""
    tell: str = ""
    gaps_are_meant: bool = False


def on_call(schedule: Schedule, at: datetime) -> tuple[str, ...]:
    """The keys of those on call at a moment, each once, in a stable order; empty: nobody. Cost does not grow with how long ago the rotation began."""
    raise NotImplementedError


def shifts(schedule: Schedule, since: datetime, until: datetime) -> tuple[Shift, ...]:
    """The final schedule of a time: who is on call from when to when, cut to it, neighbours of the same person and origin joined; ordered by start,
    then person. Agrees with `on_call` at every moment."""
    raise NotImplementedError


def next_change(schedule: Schedule, after: datetime, within: timedelta = timedelta(days=62)) -> datetime | None:
    """The first moment later than `after` at which somebody else is on call; None: not within that time."""
    raise NotImplementedError


def hand_overs(schedule: Schedule, since: datetime, until: datetime) -> Sequence[datetime]:
    """Every moment of [since, until) at which who is on call changes."""
    raise NotImplementedError
