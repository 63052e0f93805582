"""What people change about on-call by themselves, beside oncall.yaml: overrides, swaps, own contact methods, preferences; and calendars as last read.

Kept in the database; `Directory.with_roster` lays it over what the configuration says.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bot.domain.contact import Method, Notify
from bot.domain.quiet import OwnHours
from bot.domain.schedule import Override, Shift


class Swap(BaseModel):
    """`asker` asks `other` to take their turn in `schedule`; accepted, it becomes an override instead of the asker alone."""

    model_config = ConfigDict(frozen=True)

    number: int
    schedule: str
    asker: str
    other: str
    starts: datetime
    ends: datetime
    why: str = ""
    state: Literal["asked", "accepted", "declined", "withdrawn", "expired"] = "asked"
    asked_at: datetime
    answered_at: datetime | None = None
    override: int | None = None


class OwnMethod(BaseModel):
    """A contact method that a person entered. Until it is verified: `code_hash` (never the code), how often a wrong one was given, until when."""

    model_config = ConfigDict(frozen=True)

    person: str
    method: Method
    added_at: datetime
    code_hash: str = ""
    code_until: datetime | None = None
    wrong_codes: int = 0
    removed_at: datetime | None = None


class Preferences(BaseModel):
    """What a person chose, instead of what oncall.yaml says of them; None: not chosen. `notify`: severity -> rules (`` for all others).

    `recovery`: whether they are told when what they were paged for is over.
    """

    model_config = ConfigDict(frozen=True)

    person: str
    notify: Mapping[str, tuple[Notify, ...]] | None = None
    quiet: OwnHours | None = None
    zone: str | None = None
    recovery: bool | None = None


class Feed(BaseModel):
    """A calendar as it was last read: its shifts; `error` says why a newer reading failed, and then the shifts are the older ones."""

    model_config = ConfigDict(frozen=True)

    name: str
    shifts: tuple[Shift, ...] = ()
    read_at: datetime | None = None
    error: str = ""
    failed_at: datetime | None = None


class Roster(BaseModel):
    """All of it, as far as it counts now. `version` grows with every change, on any replica (the counter `roster`)."""

    model_config = ConfigDict(frozen=True)

    version: int = 0
    overrides: tuple[Override, ...] = ()
    methods: Mapping[str, tuple[OwnMethod, ...]] = {}
    preferences: Mapping[str, Preferences] = {}
    feeds: Mapping[str, Feed] = {}
