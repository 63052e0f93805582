"""A test of a runbook, as it stands in its `tests:` block. Run by bot/rehearsal over the real engine, without any outside world."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Given = Mapping[str, Any]
Failure = Literal["refused", "gone", "lost", "unsure", "late", "ineffective", "drifts"]
EndsAs = Literal["succeeded", "failed", "refused", "expired", "unsure", "cancelled"]
StepEndsAs = Literal["done", "skipped", "failed", "unsure", "pending"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Click(_Part):
    """What somebody does when a step asks: `approve` (by whom), `refuse`, `ignore`, or an `answer`."""

    do: Literal["approve", "refuse", "ignore", "answer", "break_glass", "cancel"] = Field(
        default="approve", description="what is clicked"
    )
    by: str = Field(
        default="",
        description="who: ROLE-1 and ROLE-2 are members of a role, everybody else is a stranger; any member when not given",
    )
    text: str = Field(default="", description="the answer, or the reason for breaking the glass")


class Expect(_Part):
    """What must come of it. What is not said is not checked."""

    state: EndsAs = Field(default="succeeded", description="how the run ends")
    steps: Mapping[str, StepEndsAs] = Field(
        default_factory=dict,
        description="step: the state it ends in; pending: it was not reached. A step with `foreach` stands for all its items, "
        "a call for all steps of the runbook that it calls",
    )
    plan: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="step: texts that its plan must show, each within one line; an empty list: nothing is to be changed",
    )
    messages: tuple[str, ...] = Field(
        default=(),
        description="texts that must be told: in the timeline, in the run's message, or in what is posted and paged",
    )
    undone: tuple[str, ...] = Field(default=(), description="steps that are taken back afterwards, in this order")
    again: bool = Field(
        default=True, description="a second run, over the world that the first one left, must plan nothing"
    )


class Trial(_Part):
    """One test: a world, what happens in it, and what must come of it."""

    name: str = Field(min_length=1, description="a sentence that says what is so")
    params: Mapping[str, Any] = Field(default_factory=dict, description="given by the person who starts it")
    labels: Mapping[str, str] = Field(default_factory=dict, description="of the incident's alerts")
    facts: Mapping[str, Given | tuple[Given, ...]] = Field(
        default_factory=dict,
        description="step: what its action sees, in the words of that action (*Facts* in its documentation); a list for one look after the "
        "other, of which the last one stays",
    )
    results: Mapping[str, Given] = Field(
        default_factory=dict, description="step: what its act gives back, which `outputs` and `until` know as `result`"
    )
    fail: Mapping[str, Failure] = Field(
        default_factory=dict,
        description="step: what goes wrong when it acts (a step that only looks: when it looks). refused, gone: it fails, for good; "
        "lost: it happens and the answer is lost; unsure: no answer, and it has not happened; late: it works the third time; "
        "ineffective: it seems to work and changes nothing; drifts: the world changes before it acts, to the next of `facts`",
    )
    clicks: Mapping[str, Click | tuple[Click, ...]] = Field(
        default_factory=dict, description="step: what people do when it asks; approved by whoever may when not said"
    )
    takes: timedelta | None = Field(default=None, description="how long it may take at most, by the clock of the test")
    expect: Expect = Field(default=Expect(), description="what must come of it")
