"""A runbook as its author wrote it: data, read from YAML by config. What a run makes of it is in run.py."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bot.domain.matching import Matcher, all_match, matcher


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Parameter(_Part):
    """A value that the steps use as `{{ params.NAME }}`: from a label of the alert, from the person who starts it, or the default."""

    description: str = ""
    type: Literal["string", "integer", "number", "boolean"] = "string"
    label: str = Field(default="", description="take the value from this label of the incident's alerts")
    default: str | int | float | bool | None = None
    pattern: str = Field(default="", description="a regular expression that the whole value must match")


class Check(_Part):
    """How long to look again after a step until what it wanted holds."""

    every: timedelta = timedelta(seconds=5)
    within: timedelta = timedelta(minutes=5)


class Approval(_Part):
    """Who must approve each plan that changes something. `people` different members of `role`; no answer in time means no."""

    role: str = "responders"
    people: int = Field(default=1, ge=1, le=5)
    expires: timedelta = timedelta(minutes=30)
    not_requester: bool = False


class Step(_Part):
    """One use of an action. `with` holds its parameters; text values are Jinja2 templates over `params`, `incident` and `run`."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")
    title: str = ""
    action: str
    with_: Mapping[str, Any] = Field(default_factory=dict, alias="with")
    verify: Check = Check()
    timeout: timedelta = timedelta(seconds=30)


class Runbook(_Part):
    """One YAML file. `match`: label matchers, all of which an incident's labels must meet for the runbook to be offered."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,59}$")
    title: str
    description: str = ""
    match: tuple[str, ...] = ()
    start: Literal["offer", "manual"] = "offer"
    params: Mapping[str, Parameter] = Field(default_factory=dict)
    approve: Approval = Approval()
    mitigates: bool = Field(default=True, description="when every step has verified, the incident counts as mitigated")
    steps: tuple[Step, ...] = Field(min_length=1, max_length=50)

    @property
    def matchers(self) -> tuple[Matcher, ...]:
        return tuple(matcher(text) for text in self.match)

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Whether to offer it for these labels. Without `match` it is only started by hand."""
        return self.start == "offer" and bool(self.match) and all_match(self.matchers, labels)
