"""Clicks on a run's message: each is one decision. What a click is about stands in the button's value; what it means is read from the run.

A value that does not parse, a run or a step that does not exist, a plan or a question that is not asked any more: nothing is done, and the person
who clicked is told why.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from bot.domain.people import Actor
from bot.domain.plan import Question
from bot.domain.run import Run
from bot.domain.step import StepRun, StepState
from bot.entry.slack.asked import Reply, must_be_seen_here, told
from bot.entry.slack.ports import Flows
from bot.errors import BadInput
from bot.room import blocks as kit
from bot.room import views
from bot.room.run_buttons import About, about, about_run

Click = Mapping[str, Any]
"""The clicked element as Slack gives it, with the `channel` it was clicked in."""
Act = Callable[[Click, Actor], Awaitable[Reply]]
_RUN = re.compile(r"([1-9][0-9]{0,8})(?=:|\Z)")


class RunClicks:
    """What each button of a run's message does, by action id."""

    def __init__(self, flows: Flows) -> None:
        self._flows = flows

    def acts(self) -> dict[str | re.Pattern[str], Act]:
        all_of_them: dict[str | re.Pattern[str], Act] = {
            kit.APPROVE: self._approve,
            kit.REFUSE: self._refuse,
            kit.GLASS: self._glass,
            kit.DONE: self._done,
            re.compile(rf"{kit.ANSWER}_\d{{1,2}}"): self._answer,
            kit.PAUSE: self._pause,
            kit.RESUME: self._resume,
            kit.CANCEL: self._cancel,
            kit.UNDO: self._undo,
        }
        return {pattern: self._in_its_channel(act) for pattern, act in all_of_them.items()}

    def _in_its_channel(self, act: Act) -> Act:
        """A run of a private incident is decided about in its own channel only, whatever the button says."""

        async def checked(click: Click, actor: Actor) -> Reply:
            named = _RUN.match(_value(click))
            if named:
                run = await self._flows.runbooks.run(int(named[1]))
                await must_be_seen_here(self._flows, run.incident_id, str(click.get("channel") or ""), run.ref)
            return await act(click, actor)

        return checked

    async def _approve(self, click: Click, actor: Actor) -> Reply:
        asked = _plan(click)
        return told(await self._flows.decisions.approve(asked.run_id, asked.step_id, asked.mark, actor))

    async def _refuse(self, click: Click, actor: Actor) -> Reply:
        asked = _plan(click)
        return told(await self._flows.decisions.refuse(asked.run_id, asked.step_id, asked.mark, actor))

    async def _glass(self, click: Click, actor: Actor) -> Reply:
        """Ask for the reason; whether this person may is decided when it is sent."""
        asked = _plan(click)
        run, step = await self._step(asked)
        if step.state is not StepState.WAITING or step.plan is None or step.plan.digest != asked.mark:
            raise BadInput(_not_asked(run, step))
        return Reply(view=views.break_glass(run, step, _metadata(asked, click)))

    async def _answer(self, click: Click, actor: Actor) -> Reply:
        """The words of the answer are those of the question as it is kept; the button knows only which one it is."""
        asked = about(_value(click))
        run, step = await self._step(asked)
        choices = _question(run, step).choices
        if not asked.mark.isdecimal() or int(asked.mark) >= len(choices):
            raise BadInput(f"{run.ref} has no such answer. Use the run's newest message. Nothing was done.")
        return told(await self._flows.decisions.answer(run.id, step.id, choices[int(asked.mark)], actor))

    async def _done(self, click: Click, actor: Actor) -> Reply:
        """Ticked at once, or after a few words where the runbook asks for them."""
        asked = about(_value(click))
        run, step = await self._step(asked)
        if _question(run, step).text:
            return Reply(view=views.done(run, step, _metadata(asked, click)))
        return told(await self._flows.decisions.answer(run.id, step.id, "", actor))

    async def _pause(self, click: Click, actor: Actor) -> Reply:
        return told(await self._flows.decisions.pause(about_run(_value(click)), actor))

    async def _resume(self, click: Click, actor: Actor) -> Reply:
        return told(await self._flows.decisions.resume(about_run(_value(click)), actor))

    async def _cancel(self, click: Click, actor: Actor) -> Reply:
        return told(await self._flows.decisions.cancel(about_run(_value(click)), actor))

    async def _undo(self, click: Click, actor: Actor) -> Reply:
        return told(await self._flows.decisions.undo(about_run(_value(click)), actor))

    async def _step(self, asked: About) -> tuple[Run, StepRun]:
        run = await self._flows.runbooks.run(asked.run_id)
        step = run.find(asked.step_id)
        if step is None:
            raise BadInput(f"{run.ref} has no step {asked.step_id[:80]}. Nothing was done.")
        return run, step


def _value(click: Click) -> str:
    return str(click.get("value") or "")


def _plan(click: Click) -> About:
    asked = about(_value(click))
    if not asked.mark:
        raise BadInput(
            "This button does not say which plan it is about. Use the run's newest message. Nothing was done."
        )
    return asked


def _question(run: Run, step: StepRun) -> Question:
    if step.state is not StepState.ASKING or step.question is None:
        raise BadInput(_not_asked(run, step))
    return step.question


def _not_asked(run: Run, step: StepRun) -> str:
    return (
        f"{run.ref} does not ask this any more: {step.title} is {step.state}, the run is {run.state}. Nothing was done."
    )


def _metadata(asked: About, click: Click) -> dict[str, Any]:
    return {"about": str(asked), "channel": str(click.get("channel") or "")}
