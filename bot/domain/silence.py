"""Silences and maintenance windows: who said that which alerts are to be quiet, for how long, and why. Made by people or by the configuration.

An alert that begins to fire while one covers it is held: it is looked at again when the silence is over, and pages then if it still fires.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bot.domain.index import Index, bits
from bot.domain.matching import Matcher, matcher
from bot.domain.windows import Window

NEVER = datetime.max.replace(tzinfo=UTC)
SOON = timedelta(minutes=15)  # before its end it says so


class Silence(BaseModel):
    """`number` is 0 for a maintenance window of the configuration, known by its `name`. `ends_at` None: until it is ended, or taken out of the file.

    `windows`: it covers only those times between its start and its end (a recurring window); none: all of it. `incident_id`: made by a button on it.
    """

    model_config = ConfigDict(frozen=True, ignored_types=(cached_property,))

    number: int = 0
    name: str = ""
    kind: Literal["silence", "maintenance"] = "silence"
    matchers: tuple[str, ...]
    author: str = ""
    reason: str = ""
    starts_at: datetime
    ends_at: datetime | None = None
    windows: tuple[Window, ...] = ()
    created_at: datetime
    incident_id: int | None = None
    imported_from: str = ""

    @property
    def key(self) -> str:
        """Its identity, also in what it holds: `silence:42`, `maintenance:7`, `maintenance:nightly backup`."""
        return f"{self.kind}:{self.number or self.name}"

    @property
    def ref(self) -> str:
        """How people name it."""
        return f"{self.kind} {self.number or repr(self.name)}"

    @cached_property
    def compiled(self) -> tuple[Matcher, ...]:
        return tuple(matcher(text) for text in self.matchers)

    def over(self, now: datetime) -> bool:
        return self.ends_at is not None and now >= self.ends_at

    def covers(self, now: datetime) -> bool:
        if now < self.starts_at or self.over(now):
            return False
        return not self.windows or any(window.covers(now) for window in self.windows)

    def until(self, now: datetime) -> datetime | None:
        """When what covers `now` is over; None when it has no end."""
        ends = [window.ends(now) for window in self.windows if window.covers(now)]
        known = [end for end in ends if end is not None]
        if not known or None in ends:
            return self.ends_at
        return max(known) if self.ends_at is None else min(max(known), self.ends_at)

    def why(self, now: datetime) -> str:
        """`silence 42 of Ada until 2026-11-21 14:00 UTC: replacing disks`."""
        until = self.until(now)
        of = f" of {self.author}" if self.author else ""
        end = f" until {shown_time(until)}" if until else ", which has no end"
        because = f": {self.reason}" if self.reason else ""
        return f"{self.ref}{of}{end}{because}"


class Silences:
    """All of one kind that are not over, ready to be asked."""

    __slots__ = ("_index", "all")

    def __init__(self, silences: Sequence[Silence] = ()) -> None:
        self.all = tuple(silences)
        self._index = Index([one.compiled for one in self.all])

    def covering(self, labels: Mapping[str, str], now: datetime) -> Silence | None:
        """The one that covers these labels now; of several the one that lasts longest."""
        matching = self._index.mask(labels) if self.all else 0
        if not matching:
            return None
        found = [one for number in bits(matching) if (one := self.all[number]).covers(now)]
        return max(found, key=lambda one: one.until(now) or NEVER, default=None)

    def matching(self, labels: Mapping[str, str]) -> list[Silence]:
        """Those that these labels match, whether they cover this time or not."""
        return [self.all[number] for number in self._index.matching(labels)]


def shown_time(at: datetime) -> str:
    """`2026-11-21 14:00 UTC`, or in the zone that the time has."""
    return f"{at:%Y-%m-%d %H:%M %Z}".rstrip()
