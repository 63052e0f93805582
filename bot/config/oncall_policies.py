"""`policies` of oncall.yaml as they are written. Part of OncallFile."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from bot.config.server import Part
from bot.domain.escalation import Condition
from bot.domain.windows import Window

MOST_LEVELS = 50
MOST_TARGETS = 100
Hold = Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=7))]


class WhenEntry(Part):
    """When a level counts: all that is given must hold, else the next level is paged at once."""

    severities: tuple[str, ...] = Field(default=(), description="the incident's severity is one of them")
    hours: tuple[Window, ...] = Field(
        default=(), max_length=20, description='it is one of these times: days, between: ["08:00", "18:00"], zone'
    )
    more_than: int | None = Field(
        default=None, ge=1, le=100_000, description="more than so many alerts began in the incident"
    )
    within: timedelta = Field(
        default=Condition().within,
        ge=timedelta(minutes=1),
        le=timedelta(days=1),
        description="so long before now, for more_than",
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if "within" in self.model_fields_set and self.more_than is None:
            raise ValueError("within means nothing without more_than: how many alerts?")
        if not (self.severities or self.hours or self.more_than):
            raise ValueError("says nothing; wanted severities, hours or more_than")
        return self


class LevelEntry(Part):
    """Everybody in `targets` is paged; without an acknowledgement within `timeout` the next level is."""

    targets: tuple[str, ...] = Field(
        default=(),
        max_length=MOST_TARGETS,
        description="person:ada, schedule:shop (rotation:shop is the same), group:payments, channel:incidents, medium:teams",
    )
    timeout: timedelta = Field(default=timedelta(minutes=5), ge=timedelta(seconds=1), le=timedelta(days=7))
    round_robin: bool = Field(default=False, description="page only one of them, another one each time")
    when: WhenEntry | None = None


class AcknowledgedEntry(Part):
    """What becomes of an acknowledgement after which nothing happens."""

    remind: Hold | None = Field(default=None, description="ask whoever has it whether they are still at it: 30m")
    expires: Hold | None = Field(
        default=None, description="without an answer it is nobody's by then, and paging begins anew: 1h"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.remind is None and self.expires is None:
            raise ValueError("says nothing; wanted remind: 30m, expires: 1h, or both")
        if self.remind and self.expires and self.expires <= self.remind:
            raise ValueError("expires before anybody is reminded; wanted expires longer than remind")
        return self


class PolicyEntry(Part):
    """Levels in order, all of them gone through `repeat` more times after the first."""

    levels: tuple[LevelEntry, ...] = Field(min_length=1, max_length=MOST_LEVELS)
    repeat: int = Field(default=0, ge=0, le=100)
    acknowledged: AcknowledgedEntry | None = None
