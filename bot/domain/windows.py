"""Spans of time as people write them: from one moment to another, or every week on some days between two times of day, in a time zone.

Used by freezes, silences, maintenance windows, quiet hours and digests.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from bot.domain.naming import nearest

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
FARTHEST = 9  # days in which one that does not hold all the time ends
EARLIEST, LATEST = 1970, 2200
_CLOCK = r"([01]?\d|2[0-3]):([0-5]\d)"


def _clock(value: Any) -> Any:
    """Text like 18:00. Not a number: some YAML readers take a bare 18:00 for 1080 (minutes, base 60)."""
    if isinstance(value, time):
        return value
    found = re.fullmatch(_CLOCK, value.strip()) if isinstance(value, str) else None
    if found is None:
        hint = "midnight is 00:00" if str(value).startswith("24:") else 'write it like "18:00", in quotes'
        raise ValueError(f"not a time of day: {str(value)[:40]!r}; {hint}")
    return time(int(found[1]), int(found[2]))


def _moment(value: Any) -> Any:
    """Text like 2026-12-24T18:00:00+01:00, with its offset."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f"not a time: {str(value)[:40]!r}; write it like 2026-12-24T18:00:00+01:00") from None
    if moment.tzinfo is None:
        raise ValueError(f"{str(value)[:40]!r} has no time zone: end it with Z or an offset like +01:00")
    if not EARLIEST <= moment.year <= LATEST:
        raise ValueError(f"{str(value)[:40]!r} is not between the years {EARLIEST} and {LATEST}")
    return moment


Clock = Annotated[
    time,
    BeforeValidator(_clock),
    PlainSerializer(lambda clock: f"{clock:%H:%M}", when_used="json"),  # as it is read
    WithJsonSchema({"type": "string", "pattern": f"^{_CLOCK}$"}),
]
Moment = Annotated[
    datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d\d-\d\d"})
]


def begins_before_its_end(begins: datetime | None, ends: datetime | None) -> None:
    """Raises ValueError when it does not."""
    if begins is not None and ends is not None and begins >= ends:
        raise ValueError(f"ends ({ends.isoformat()}) before it begins ({begins.isoformat()})")


class Window(BaseModel):
    """From one moment to another, or every week on some days between two times of day, or both. `covers` is asked with the time it is."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    from_: Moment | None = Field(default=None, alias="from", description="when it begins: 2026-12-20T00:00:00+01:00")
    until: Moment | None = Field(default=None, description="when it ends")
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = Field(
        default=(), description="days of the week; all of them, when not given"
    )
    between: tuple[Clock, ...] | None = Field(
        default=None, description='two times of day: ["18:00", "08:00"] goes past midnight'
    )
    zone: str = Field(default="UTC", description="the time zone of days and times: Europe/Berlin")

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"no time zone is called {name[:60]!r}{nearest(name[:60], available_timezones())}"
            ) from None
        return name

    @field_validator("between")
    @classmethod
    def _two_times(cls, times: tuple[time, ...] | None) -> tuple[time, ...] | None:
        if times is not None and (len(times) != 2 or times[0] == times[1]):
            raise ValueError('wanted two different times of day, like ["18:00", "08:00"]; whole days need only `days`')
        return times

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        begins_before_its_end(self.from_, self.until)
        return self

    @property
    def endless(self) -> bool:
        """It holds from its beginning on, until somebody takes it out of the file."""
        return self.until is None and self.between is None and set(self.days) in (set(), set(DAYS))

    def covers(self, now: datetime) -> bool:
        if self.from_ is not None and now < self.from_:
            return False
        if self.until is not None and now >= self.until:
            return False
        local = now.astimezone(ZoneInfo(self.zone))
        if self.between is None:
            return self._on(local)
        begin, end = self.between
        clock = local.time()
        if begin < end:
            return self._on(local) and begin <= clock < end
        return (clock >= begin and self._on(local)) or (clock < end and self._on(local - DAY))

    def _on(self, local: datetime) -> bool:
        return not self.days or DAYS[local.weekday()] in self.days

    def ends(self, now: datetime) -> datetime | None:
        """When what covers `now` is over, in its zone; None when it has no end."""
        zone = ZoneInfo(self.zone)
        until = self.until.astimezone(zone) if self.until is not None else None
        if self.between is None and set(self.days) in (set(), set(DAYS)):
            return until
        today = now.astimezone(zone).date()
        for number in range(FARTHEST):
            for at in self._turns(today + DAY * number, zone):
                if at > now and not self.covers(at):
                    return (at if self.until is None else min(at, self.until)).astimezone(zone)
        return until

    def _turns(self, day: date, zone: ZoneInfo) -> list[datetime]:
        """When it can end on a day, in UTC: midnight, its end, each of them twice when the clocks go back, and the change of the clocks."""
        clocks = [time(), *(self.between[1:] if self.between else ())]
        turns = {
            datetime.combine(day, clock, zone).replace(fold=fold).astimezone(UTC) for clock in clocks for fold in (0, 1)
        }
        return sorted(turns | _changes(day, zone))


@lru_cache(maxsize=1024)
def _changes(day: date, zone: ZoneInfo) -> frozenset[datetime]:
    """The moment of this day at which the clocks are changed, in UTC; none on most days."""
    before, after = (datetime.combine(one, time(), zone).astimezone(UTC) for one in (day, day + DAY))
    offset = after.astimezone(zone).utcoffset()
    if before.astimezone(zone).utcoffset() == offset:
        return frozenset()
    while after - before > SECOND:
        middle = (before + (after - before) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return frozenset({after})
