"""Let time pass: for a cache to warm, a queue to drain, a metric to settle. Better than waiting is a check: `verify` of the step before, or
`prometheus.query`, goes on as soon as it may.

*Look*, *Plan*: nothing. *Do*: the run goes on after `for`; the time is kept in the database, so an interruption does not begin it anew.
*Verify*: the time is over. *Undo*: none. *Risk*: none. *Permissions*: `wait` in the policy file.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.clients.kit import Kit


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    for_: timedelta = Field(alias="for", gt=timedelta(0), le=timedelta(days=1), description="how long, like 90s or 10m")


class Plugin:
    """wait"""

    way: Literal["waits"] = "waits"

    def __init__(self, kit: Kit) -> None:
        self.Params: type[BaseModel] = Params

    def until(self, params: Params, since: datetime) -> datetime:
        return since + params.for_
