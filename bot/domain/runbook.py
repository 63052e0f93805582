"""A runbook as its author wrote it: data, read from YAML by config. What a run makes of it is in run.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from bot.domain.matching import Matcher, all_match, matcher
from bot.domain.trial import Trial

Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
Expression = Annotated[str, Field(max_length=2000)]
OnFailure = Literal["stop", "continue", "undo", "escalate", "end"]
ITEMS = 20  # of a foreach that does not say how many at most


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Parameter(_Part):
    """A value that the steps use as `{{ params.NAME }}`: given by the person who starts it, else from a label of the alert, else the default."""

    description: str = Field(default="", description="what the form in Slack says beside it")
    type: Literal["string", "integer", "number", "boolean", "duration", "list"] = Field(
        default="string", description="a duration is written like 90s, 5m, 2h; a list has texts, separated by commas"
    )
    label: str = Field(default="", description="take the value from this label of the incident's alerts")
    default: str | int | float | bool | None = Field(
        default=None, description="the value when nobody gives one and no label has one; without it one must be given"
    )
    pattern: str = Field(
        default="", description="a regular expression that the whole value must match (of a list: each text)"
    )
    choices: tuple[str, ...] = Field(
        default=(), description="the only values there may be; the form shows them as a list"
    )
    minimum: float | None = Field(default=None, description="the smallest number")
    maximum: float | None = Field(default=None, description="the largest number")


class Check(_Part):
    """How a step is looked at again, until what it wanted holds."""

    until: Expression = Field(
        default="", description="a condition beside the action's own, over `state`, `result` and what templates know"
    )
    every: timedelta = Field(default=timedelta(seconds=5), ge=timedelta(seconds=1), description="how often to look")
    for_: timedelta = Field(
        default=timedelta(0), ge=timedelta(0), alias="for", description="how long it must hold without a break"
    )
    within: timedelta = Field(
        default=timedelta(minutes=5), ge=timedelta(0), description="how long it may take; later it has failed"
    )


class Retry(_Part):
    """How often a failed step is tried again: looked at and planned anew, and approved anew when the plan is another one."""

    times: int = Field(ge=0, le=10, description="how often again")
    wait: timedelta = Field(default=timedelta(seconds=10), ge=timedelta(0), description="how long in between")


class Approval(_Part):
    """Who must approve each plan that changes something. No answer in time means no."""

    role: str = Field(default="responders", description="a role of policy.yaml")
    people: int = Field(default=1, ge=1, le=5, description="how many different members of the role")
    expires: timedelta = Field(
        default=timedelta(minutes=30), gt=timedelta(0), description="how long the question stands"
    )
    not_requester: bool = Field(default=False, description="whoever started the run may not approve it")


class TakeBack(_Part):
    """The use of an action that takes a step back."""

    action: str = Field(description="an action")
    with_: Mapping[str, Any] = Field(default_factory=dict, alias="with", description="its parameters, as in a step")


class Step(_Part):
    """One thing to do: exactly one of `action`, `call` and `parallel`.

    Text values in `with` are Jinja2 templates over `params`, `incident`, `run`, `steps` and `item`; `if`, `foreach`, `until` and `outputs` are CEL
    expressions over the same.
    """

    id: Id = Field(description="unique in the runbook; how other steps and the tests name it")
    title: str = Field(default="", description="what people read; the id when not given")
    action: str = Field(default="", description="what to do: a name from the list of actions")
    call: str = Field(default="", description="run the steps of another runbook here; `with` gives its parameters")
    parallel: tuple[Step, ...] = Field(
        default=(), max_length=20, description="steps that are under way at the same time"
    )
    with_: Mapping[str, Any] = Field(
        default_factory=dict, alias="with", description="the parameters of the action or call"
    )
    if_: Expression = Field(default="", alias="if", description="only when this holds; else the step is skipped")
    foreach: Expression | tuple[Any, ...] = Field(
        default="", description="a list, or an expression that gives one: the step is done for each `item`"
    )
    most: int | None = Field(
        default=None, ge=1, le=100, description=f"the longest list that `foreach` accepts ({ITEMS} when not given)"
    )
    at_once: int = Field(default=1, ge=1, le=20, description="how many items of `foreach` at the same time")
    timeout: timedelta = Field(
        default=timedelta(seconds=30), gt=timedelta(0), le=timedelta(hours=1), description="for one look or one act"
    )
    retry: Retry = Field(default=Retry(times=0), description="what happens before it counts as failed")
    verify: Check = Field(default=Check(), description="how it is checked")
    on_failure: OnFailure | None = Field(
        default=None,
        description="what its failure means: stop, continue, undo what was done, escalate, or end (of a step that has changed nothing: there is "
        "nothing to do here, and the run has succeeded)",
    )
    approve: Approval | None = Field(
        default=None, description="who must approve this step, when not as the runbook says"
    )
    outputs: Mapping[Id, Expression] = Field(
        default_factory=dict, description="name: expression over `state` and `result`; later steps use `steps.ID.NAME`"
    )
    undo: TakeBack | None = Field(default=None, description="what takes it back, when the action itself does not know")
    no_undo: str = Field(default="", max_length=300, description="why nothing can take it back")

    @property
    def is_list(self) -> bool:
        """Whether it is done for each item of a list, which may be an empty one."""
        return self.foreach != ""

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        given = [name for name in ("action", "call", "parallel") if getattr(self, name)]
        if len(given) != 1:
            found = " and ".join(given) or "none of them"
            raise ValueError(f"a step has exactly one of action, call and parallel; found {found}")
        if not self.action:
            for name in ("foreach", "outputs", "undo"):
                if getattr(self, name) or (name == "foreach" and self.is_list):
                    raise ValueError(f"{name} belongs to a step with an action, not to {given[0]}")
        for child in self.parallel:
            if not child.action or child.is_list:
                raise ValueError(
                    f"inside parallel there are steps with an action and without foreach; {child.id} is none"
                )
        return self


class Runbook(_Part):
    """One YAML file. `match`: label matchers, all of which an incident's labels must meet for the runbook to be offered."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,59}$", description="unique; what people type")
    title: str = Field(description="what people read")
    description: str = Field(default="", description="what it does and when it helps; shown when it asks")
    match: tuple[str, ...] = Field(
        default=(), description='which alerts it is for: matchers like alertname="X", all of which must hold'
    )
    start: Literal["offer", "auto", "manual"] = Field(
        default="offer",
        description="offer: planned and shown when an incident fits; auto: as offer, and what policy lets run unattended is done unasked; "
        "manual: only by a person",
    )
    params: Mapping[str, Parameter] = Field(default_factory=dict, description="what the steps can be told")
    approve: Approval = Field(default=Approval(), description="who must approve what changes something")
    on_failure: OnFailure = Field(
        default="stop", description="what the failure of a step means, when the step does not say"
    )
    mitigates: bool = Field(default=True, description="when every step has verified, the incident counts as mitigated")
    steps: tuple[Step, ...] = Field(min_length=1, max_length=50, description="what is done, one after the other")
    tests: tuple[Trial, ...] = Field(default=(), max_length=50, description="what `tocsin runbook test` checks")

    @property
    def matchers(self) -> tuple[Matcher, ...]:
        return tuple(matcher(text) for text in self.match)

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Whether to offer it for these labels. Without `match` it is only started by hand."""
        return self.start != "manual" and bool(self.match) and all_match(self.matchers, labels)

    def every_step(self) -> Iterator[Step]:
        """All steps that do something themselves, those inside `parallel` too."""
        for step in self.steps:
            yield from step.parallel or (step,)
