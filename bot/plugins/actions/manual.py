"""Something that only a person can do: a checklist item that somebody ticks, with their answer kept.

*Look*, *Plan*: nothing. *Do*: the run shows what is to be done and waits until somebody presses Done; with `answer` they are asked for words as well
(`steps.ID.answer`, and who it was in `steps.ID.by`). *Verify*: it is ticked. Not within `expires` ends the run. *Undo*: none. *Risk*: none by
itself. *Permissions*: whoever may start runbooks ticks it, or only `role`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.clients.kit import Kit
from bot.domain.plan import Question


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    do: str = Field(min_length=1, max_length=2000, description="what is to be done, as one would tell a colleague")
    answer: str = Field(
        default="", max_length=140, description="what to ask of whoever has done it: `Which node was it?`"
    )
    role: str = Field(default="", description="only members of this role may tick it")
    expires: timedelta = Field(
        default=timedelta(hours=4), gt=timedelta(0), le=timedelta(days=7), description="how long it may take"
    )


class Plugin:
    """manual"""

    way: Literal["asks"] = "asks"

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params

    def question(self, params: Params) -> Question:
        return Question(words=params.do, text=params.answer, role=params.role, expires=params.expires)
