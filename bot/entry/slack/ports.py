"""What the Slack entry calls: the flow, as Protocols, so that its tests need no store. bot.flow fulfils them; `app` hands them in.

Everything raises BadInput with words for the person, and TryLater when nothing was done because something (the database) does not answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot.domain.alert import AlertState
from bot.domain.incident import Incident
from bot.domain.people import Actor, Directory
from bot.domain.run import Run
from bot.domain.runbook import Runbook
from bot.domain.timeline import Entry

Once = Callable[[str], Awaitable[bool]]
"""Whether this key is seen for the first time, on any replica."""


class Shown(Protocol):
    @property
    def incident(self) -> Incident: ...
    @property
    def alerts(self) -> Sequence[AlertState]: ...
    @property
    def runs(self) -> Sequence[Run]: ...
    @property
    def timeline(self) -> Sequence[Entry]: ...


class Incidents(Protocol):
    @property
    def severities(self) -> Sequence[str]: ...
    async def declare(self, title: str, severity: str, actor: Actor, service: str = "") -> Incident: ...
    async def acknowledge(self, incident_id: int, actor: Actor) -> str: ...
    async def resolve(self, incident_id: int, actor: Actor, why: str = "") -> str: ...
    async def mitigate(self, incident_id: int, actor: Actor, why: str) -> str: ...
    async def note(self, incident_id: int, text: str, actor: Actor) -> str: ...
    async def set_severity(self, incident_id: int, severity: str, actor: Actor) -> str: ...
    async def escalate(self, incident_id: int, actor: Actor) -> str: ...
    async def listing(self, only_open: bool = True) -> Sequence[Incident]: ...
    async def show(self, incident_id: int) -> Shown: ...
    async def of_channel(self, channel_id: str) -> Incident | None: ...


class Runbooks(Protocol):
    @property
    def all(self) -> Sequence[Runbook]: ...
    async def available(self, incident_id: int) -> Sequence[Runbook]: ...
    async def start(self, incident_id: int, name: str, params: Mapping[str, str], actor: Actor) -> Run: ...
    async def approve(self, run_id: int, step_id: str, digest: str, actor: Actor) -> str: ...
    async def refuse(self, run_id: int, step_id: str, digest: str, actor: Actor) -> str: ...


class Review(Protocol):
    async def draft(self, incident_id: int) -> tuple[str, str]: ...


@dataclass(frozen=True, slots=True)
class Flows:
    """All that a click or a command can reach. `directory()` is the one of the configuration as it is now."""

    incidents: Incidents
    runbooks: Runbooks
    review: Review
    directory: Callable[[], Directory]
    once: Once
