"""An incident and the one way in which it changes: `Change(incident, entries, effects)`, saved by the store in one transaction.

What can happen to it is in lifecycle.py (alerts, people, the bot) and paging.py (escalation).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bot.domain import effects
from bot.domain.effects import Effect, Priority
from bot.domain.escalation import Track
from bot.domain.people import TOCSIN
from bot.domain.timeline import GENESIS, Entry, chain


class State(StrEnum):
    TRIGGERED = "triggered"
    ACKNOWLEDGED = "acknowledged"
    MITIGATED = "mitigated"
    RESOLVED = "resolved"
    CLOSED = "closed"


OPEN = (State.TRIGGERED, State.ACKNOWLEDGED, State.MITIGATED)


class Incident(BaseModel):
    """One problem. `firing` and `alerts` count alert keys; `epoch` counts how often paging has begun: opened, reopened, escalated, worse.

    `media`: through what it may reach people (none said: through all). `storm_at`: it stands for a storm, which took in its latest problem then;
    `problems` names the first of them. `flapping`: the alerts that hold it open. `news_at`: when its channel was last told of alerts that joined.
    `holder`: the id of whoever acknowledged it last; `still_at`: when somebody last said that they are at it.
    """

    model_config = ConfigDict(frozen=True)

    id: int
    title: str
    state: State = State.TRIGGERED
    severity: str = "warning"
    media: tuple[str, ...] = ()
    test: bool = False
    storm_at: datetime | None = None
    problems: tuple[str, ...] = ()
    flapping: tuple[str, ...] = ()
    news_at: datetime | None = None
    interval: timedelta = timedelta(minutes=5)
    repeat: timedelta | None = None
    service: str = ""
    group_key: str
    labels: Mapping[str, str] = Field(default_factory=dict)
    route: str = ""
    owner: str = ""
    dashboards: tuple[str, ...] = ()
    reopen_within: timedelta = timedelta(minutes=30)
    private: bool = False
    firing: int = 0
    alerts: int = 0
    epoch: int = 1
    tracks: tuple[Track, ...] = ()
    paged: tuple[str, ...] = ()
    opened_at: datetime
    opened_by: str = TOCSIN.name
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    holder: str = ""
    still_at: datetime | None = None
    mitigated_at: datetime | None = None
    resolved_at: datetime | None = None
    closed_at: datetime | None = None
    channel_id: str = ""
    channel_name: str
    card_ts: str = ""
    postmortem_path: str = ""
    seq: int = 0
    head: str = GENESIS

    @property
    def ref(self) -> str:
        """How people name it: `INC-7`."""
        return f"INC-{self.id}"

    @property
    def reminds_after(self) -> timedelta | None:
        """How long after an acknowledgement somebody is asked whether they are still at it: the smallest time that its policies say."""
        return min((one.policy.remind_after for one in self.tracks if one.policy.remind_after), default=None)

    @property
    def expires_after(self) -> timedelta | None:
        """How long an acknowledgement holds without a word: the smallest time that its policies say."""
        return min((one.policy.expires_after for one in self.tracks if one.policy.expires_after), default=None)

    @property
    def mark(self) -> str:
        """The same for the same incident for ever, different for another one that happens to have its number (of an earlier or another database)."""
        about = f"{self.id}|{self.opened_at.timestamp():.3f}|{self.group_key}"
        return hashlib.sha256(about.encode()).hexdigest()[:12]

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    def reopens(self, now: datetime) -> bool:
        """Whether its problem, firing again now, belongs to this incident rather than to a new one."""
        return (
            self.resolved_at is not None
            and self.state is State.RESOLVED
            and now - self.resolved_at <= self.reopen_within
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A decision about one incident: its new state, the timeline entries, and what the outside world is asked to do."""

    incident: Incident
    entries: tuple[Entry, ...] = ()
    effects: tuple[Effect, ...] = ()

    def then(self, decide: Callable[[Incident], Change]) -> Change:
        """This change, and the one that `decide` makes of its outcome."""
        after = decide(self.incident)
        return Change(after.incident, self.entries + after.entries, self.effects + after.effects)

    def ask(self, *more: Effect) -> Change:
        return replace(self, effects=self.effects + more)


def entered(
    incident: Incident,
    kind: str,
    text: str,
    now: datetime,
    *,
    actor: str = TOCSIN.name,
    data: Mapping[str, Any] | None = None,
    **update: Any,
) -> Change:
    """The incident with `update` applied and one more timeline entry: the one way in which an incident changes."""
    (entry,) = chain(
        incident.seq, incident.head, [Entry(at=now, kind=kind, text=text, actor=actor, data=dict(data or {}))]
    )
    after = incident.model_copy(update={**update, "seq": entry.seq, "head": entry.hash})
    return Change(after, (entry,))


def refreshed(change: Change, now: datetime, *, aloud: bool = True, priority: Priority = Priority.CARD) -> Change:
    """The change, the card and topic brought up to date, and (aloud) its last entry said in the channel."""
    incident_id = change.incident.id
    asked = [effects.card(incident_id, now), effects.topic(incident_id, now)]
    if aloud:
        last = change.entries[-1]
        asked.append(effects.say(incident_id, last.seq, last.text, now, priority))
    return change.ask(*asked)


def warned(incident: Incident, text: str, now: datetime) -> Change:
    """Something did not work and people should know: it stands in the timeline and is said in the channel."""
    change = entered(incident, "warning", text, now)
    return change.ask(effects.say(incident.id, change.entries[-1].seq, text, now))
