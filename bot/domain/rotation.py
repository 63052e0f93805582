"""Turns of equal length on the wall clock of a zone, counted from the first one; the number of a turn costs the same however long ago that was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot.domain.intervals import Interval, total
from bot.domain.naming import length
from bot.domain.wall_clock import around, first, last
from bot.errors import BadInput

MOST_TURNS = 50_000  # in one answer


@dataclass(frozen=True, slots=True)
class Rotation:
    """`starts` and `until` are naive: what the clock in `zone` shows. `every` is a length on that clock."""

    starts: datetime
    every: timedelta
    zone: ZoneInfo
    until: datetime | None = None

    def turns(self, times: Sequence[Interval]) -> Iterator[tuple[int, datetime, datetime]]:
        """Number, begin and end of every turn in these times, cut to them. Raises BadInput when there are too many."""
        if self.every <= timedelta():
            raise BadInput("every: a turn must last longer than nothing; write it like 1w, 1d or 12h")
        count = total(times) // self.every
        if count > MOST_TURNS:
            raise BadInput(
                f"turns of {length(self.every.total_seconds())} would change hands {count:,} times, "
                f"and {MOST_TURNS:,} are shown at most: ask for a shorter time"
            )
        for since, until in times:
            for number in self._numbers(since, until):
                begin, end = self._turn(number)
                begin, end = max(since, begin), min(until, end)
                if begin < end:
                    yield number, begin, end

    def _numbers(self, since: datetime, until: datetime) -> range:
        """Of all turns that can have a part in [since, until), and near a change of the clocks of a few more."""
        greatest = around(until, self.zone)[1]
        if self.until is not None:
            greatest = min(greatest, self.until - datetime.resolution)
        least = max(0, (around(since, self.zone)[0] - self.starts) // self.every)
        return range(least, (greatest - self.starts) // self.every + 1)

    def _turn(self, number: int) -> Interval:
        border = self.starts + number * self.every
        following = border + self.every
        if self.until is not None:
            following = min(following, self.until)
        return first(border, self.zone), last(following, self.zone)
