"""Tell a Slack channel something: support, a status channel, the team that owns a dependency.

*Look*, *Plan*: nothing. *Do*: one message, through the outbox: it is sent once, also when Slack is down for a while. *Verify*: the outbox has it.
*Undo*: none; a message that was read stays read. *Risk*: low. *Permissions*: `slack.post` in the policy file, with the channel under `names`; the bot
must be able to write there. Nothing in the text mentions anybody: `@here` and the like are only text.
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

    text: str = Field(min_length=1, max_length=3000, description="what is said, as plain text")
    channel: str = Field(
        default="",
        max_length=80,
        pattern=r"^[^\s#@<>]*$",
        description="a channel's name without #; the incident's own when not given",
    )


class Plugin:
    """slack.post"""

    way: Literal["tells"] = "tells"

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params
        self._redact = kit.redact

    def target(self, params: Params) -> Target:
        return Target(action="slack.post", name=params.channel)

    def shown(self, params: Params) -> str:
        where = f"#{params.channel}" if params.channel else "the incident's channel"
        return f"tells {where}: {self._redact(params.text)[:200]}"

    def effects(self, params: Params, incident: Incident, key: str, now: datetime) -> tuple[Effect, ...]:
        return (effects.post(incident.id, key, params.channel, self._redact(params.text), now),)
