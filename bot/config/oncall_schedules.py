"""`rotations`, `schedules` and `calendars` of oncall.yaml as they are written. Part of OncallFile."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from bot.config.patterns import USER_GROUP
from bot.config.prepare import TextAsWritten
from bot.config.secrets import SecretAddress
from bot.config.server import Part
from bot.config.signal import ChannelName, ZoneName
from bot.domain.windows import Clock

EARLIEST, LATEST = 1970, 2200
MOST_LAYERS = 20
MOST_TURNS = 200
MOST_HOURS = 20
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _time(text: str) -> str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"not a time: {text[:40]!r}; write it like 2026-01-05T09:00:00+01:00") from None
    if not EARLIEST <= at.year <= LATEST:
        raise ValueError(f"{text[:40]!r} is not between the years {EARLIEST} and {LATEST}")
    return text


WallClock = Annotated[str, AfterValidator(_time)]
Several = Annotated[tuple[str, ...], Field(min_length=1, max_length=MOST_TURNS)]
People = Annotated[tuple[TextAsWritten | Several, ...], Field(max_length=MOST_TURNS)]
# YAML reads a bare `off` as false.
OnHolidays = Annotated[
    Literal["off", "only"],
    BeforeValidator(lambda value: "off" if value is False else value),
    WithJsonSchema({"enum": ["off", "only", False]}),
]


def wall_clock(text: str, zone: str) -> datetime:
    """A time as it is written, as the wall clock of a zone shows it: without an offset it is that already."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is None else at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


class HoursEntry(Part):
    """Some days of the week, between two times of day."""

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = Field(
        default=(), description="days of the week; all of them, when not given"
    )
    between: tuple[Clock, ...] | None = Field(
        default=None, description='two times of day in the zone of the schedule: ["18:00", "08:00"] goes past midnight'
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.between is not None and (len(self.between) != 2 or self.between[0] == self.between[1]):
            raise ValueError('between: wanted two different times of day, like ["18:00", "08:00"]')
        if not self.days and self.between is None:
            raise ValueError('says no hours; wanted days: [mon, fri], between: ["18:00", "08:00"], or both')
        return self


class HolidaysEntry(Part):
    """The public holidays of a country, or of a part of it."""

    country: str = Field(description="ISO 3166 code: DE")
    subdivision: str = Field(default="", description="a part of it, as ISO 3166-2 has it: BY")


class Turns(Part):
    """People who take turns, and when that counts."""

    people: People = Field(default=(), description="in order; a list in the list is several at once")
    every: timedelta = Field(
        default=timedelta(weeks=1),
        ge=timedelta(minutes=1),
        description="how long a turn lasts, by the clock on the wall: 1w, 1d, 12h",
    )
    starts: WallClock | None = Field(
        default=None, description="when the first turn begins: 2026-01-05T09:00, by the clock on the wall"
    )
    until: WallClock | None = Field(default=None, description="when the last one ends: 2026-06-01T09:00")
    hours: tuple[HoursEntry, ...] = Field(
        default=(), max_length=MOST_HOURS, description="it counts only then; always, when not given"
    )
    holidays: HolidaysEntry | None = None
    on_holidays: OnHolidays | None = Field(
        default=None, description="`off`: it does not count on holidays (the default); `only`: on nothing but them"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.on_holidays is not None and self.holidays is None:
            raise ValueError("on_holidays means nothing without holidays: {country: DE}")
        if self.starts and self.until:
            begins, ends = (datetime.fromisoformat(text).replace(tzinfo=None) for text in (self.starts, self.until))
            if begins >= ends:
                raise ValueError(f"ends ({self.until}) before it begins ({self.starts})")
        return self


class Telling(Part):
    """What holds for a schedule as a whole."""

    tell: ChannelName = Field(default="", description="the Slack channel that hears of hand-overs and gaps")
    slack_group: str = Field(
        default="",
        pattern=USER_GROUP,
        description="id of a Slack user group that is kept equal to who is on call: S…",
    )
    gaps: Literal["told", "fine"] = Field(
        default="told", description="`fine`: nobody is warned of times without anybody"
    )


class RotationEntry(Turns, Telling):
    """A schedule with one layer."""

    people: People = Field(min_length=1, description="in order; a list in the list is several at once")
    every: timedelta = Field(
        ge=timedelta(minutes=1), description="how long a turn lasts, by the clock on the wall: 1w, 1d, 12h"
    )
    starts: WallClock = Field(
        description="when the first turn begins: 2026-01-05T09:00 with `zone`, or with an offset: 2026-01-05T09:00:00+01:00"
    )
    zone: ZoneName = Field(default="", description="time zone of hand-over and hours: Europe/Berlin")

    @model_validator(mode="after")
    def _one_zone(self) -> Self:
        if datetime.fromisoformat(self.starts).tzinfo is None and not self.zone:
            raise ValueError(
                "starts has no time zone: end it with Z or an offset like +01:00, or add zone: Europe/Berlin"
            )
        return self


class LayerEntry(Turns):
    """One rotation or one calendar of a schedule."""

    name: str = Field(default="", max_length=100, description="what it is called; its place when not given")
    calendar: str = Field(default="", description="a name under calendars, instead of people")

    @model_validator(mode="after")
    def _either(self) -> Self:
        if bool(self.people) == bool(self.calendar):
            raise ValueError("set exactly one of people (a rotation) and calendar")
        if self.people and self.starts is None:
            raise ValueError("has no starts: when does the first turn begin? Write it like starts: 2026-01-05T09:00")
        given = [key for key in ("every", "starts", "until") if key in self.model_fields_set]
        if self.calendar and given:
            raise ValueError(f"{given[0]} means nothing with a calendar, which says itself who is on call when")
        return self


class ScheduleEntry(Telling):
    """Layers from the bottom to the top: the topmost one that has somebody counts."""

    zone: ZoneName = Field(description="whose clock on the wall it goes by: Europe/Berlin")
    layers: tuple[LayerEntry, ...] = Field(min_length=1, max_length=MOST_LAYERS)


class CalendarEntry(Part):
    """An iCalendar feed or file that says who is on call: `url` or `file`."""

    url: SecretAddress | None = Field(
        default=None, description="https address, by reference when it is secret: env:NAME or file:/path"
    )
    file: Path | None = Field(default=None, description="an .ics file, relative to the configuration's folder")
    zone: ZoneName = Field(default="UTC", description="of times that say none themselves")

    @field_validator("url")
    @classmethod
    def _encrypted(cls, url: SecretAddress | None) -> SecretAddress | None:
        if url is not None and url.resolved:
            web_only(url.reveal(), plain=LOOPBACK)
        return url

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.url) == bool(self.file):
            raise ValueError("set exactly one of url and file")
        return self


def web_only(address: str, plain: tuple[str, ...] | None = None) -> None:
    """Raises ValueError, never with the address in it, unless it is https, or http to one of the hosts in `plain` (None: to any)."""
    try:
        parts = urlsplit(address)
        scheme, host = parts.scheme, parts.hostname
    except ValueError:
        scheme, host = "", None
    if scheme not in ("http", "https") or not host:
        raise ValueError("not a web address (what was found is not shown); write it like https://example.com/path")
    if scheme == "http" and plain is not None and host not in plain:
        raise ValueError("is not encrypted; wanted an address that begins with https://")
