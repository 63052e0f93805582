"""Quiet hours: what is not bad enough to wake anybody waits for their end and stands in the digest. Asked by triage and by paging."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.matching import Matcher, all_match
from bot.domain.windows import Window


@dataclass(frozen=True, slots=True)
class QuietHours:
    """For alerts of these severities that match: quiet in the windows."""

    name: str
    windows: tuple[Window, ...]
    severities: frozenset[str]
    matchers: tuple[Matcher, ...] = ()


class OwnHours(BaseModel):
    """When one person does not want to be paged, and for what: `quiet` of a person in oncall.yaml."""

    model_config = ConfigDict(frozen=True)

    windows: tuple[Window, ...] = ()
    severities: frozenset[str] = Field(default_factory=frozenset)

    def until(self, severity: str, now: datetime) -> datetime | None:
        """When this person can be paged for this severity again; None when that is now."""
        return ends(self.windows, now) if severity in self.severities else None


def ends(windows: Iterable[Window], now: datetime) -> datetime | None:
    """When the windows that cover `now` are over, as far as they say; None when none covers it."""
    covering = [end for window in windows if window.covers(now) and (end := window.ends(now)) is not None]
    return max(covering, default=None)


def held_by(
    hours: Sequence[QuietHours], labels: Mapping[str, str], severity: str, now: datetime
) -> tuple[QuietHours, datetime] | None:
    """The quiet hours that hold an alert now, and until when."""
    for one in hours:
        if severity in one.severities and all_match(one.matchers, labels):
            until = ends(one.windows, now)
            if until is not None:
                return one, until
    return None
