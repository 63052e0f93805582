"""Page somebody by name: whoever is on call for a dependency, a specialist. Beside the escalation policy, whatever the incident's state is.

*Look*, *Plan*: nothing. *Do*: one page, through the outbox: it goes out once, first of all that waits. *Verify*: the outbox has it. *Undo*: none.
*Risk*: it wakes somebody. *Permissions*: `page` in the policy file, with the person, rotation or channel under `names`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.clients.kit import Kit
from bot.domain import effects
from bot.domain.effects import Effect
from bot.domain.incident import Incident
from bot.domain.plan import Target


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    who: str = Field(
        pattern=r"^(person|rotation|channel):[^\s]{1,80}$", description="person:ada, rotation:database or channel:ops"
    )
    why: str = Field(min_length=1, max_length=500, description="what they are told: why it must be them")


class Plugin:
    """page"""

    way: Literal["tells"] = "tells"

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params
        self._redact = kit.redact

    def target(self, params: Params) -> Target:
        return Target(action="page", name=params.who.partition(":")[2])

    def shown(self, params: Params) -> str:
        return f"pages {params.who}: {self._redact(params.why)[:200]}"

    def effects(self, params: Params, incident: Incident, key: str, now: datetime) -> tuple[Effect, ...]:
        return (effects.summon(incident.id, key, params.who, self._redact(params.why), now),)
