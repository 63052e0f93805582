"""Ask people a question with choices, in the run's message; the answer decides what later steps do.

*Look*, *Plan*: nothing. *Do*: the run waits for an answer; `steps.ID.answer` is the choice and `steps.ID.by` who made it, for `if` and templates.
*Verify*: somebody has answered. No answer within `expires` ends the run. *Undo*: none. *Risk*: none. *Permissions*: whoever may start runbooks
answers, or only `role`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.clients.kit import Kit
from bot.domain.plan import Question


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    question: str = Field(min_length=1, max_length=1000, description="what is asked")
    choices: tuple[str, ...] = Field(min_length=2, max_length=5, description="the possible answers, a button each")
    role: str = Field(default="", description="only members of this role may answer")
    expires: timedelta = Field(
        default=timedelta(hours=4), gt=timedelta(0), le=timedelta(days=7), description="how long the question stands"
    )


class Plugin:
    """ask"""

    way: Literal["asks"] = "asks"

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params

    def question(self, params: Params) -> Question:
        return Question(words=params.question, choices=params.choices, role=params.role, expires=params.expires)
