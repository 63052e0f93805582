"""The people of a test: they click and answer as it says; what it leaves open is approved by whoever may. Called by stage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from bot.domain.people import Actor
from bot.domain.rules import Rules
from bot.domain.run import Run
from bot.domain.step import StepRun, StepState
from bot.domain.trial import Click
from bot.errors import BadInput
from bot.flow.decisions import Decisions
from bot.rehearsal.company import actor_of, starter_of
from bot.rehearsal.world import World, of_step

DONE = "done"


@dataclass(slots=True)
class Clicking:
    """`used` counts the clicks of each step; `silent` are the questions that nobody answers."""

    decisions: Decisions
    rules: Rules
    world: World
    said: list[str]
    used: dict[str, int] = field(default_factory=dict)
    silent: set[tuple[int, str, str]] = field(default_factory=set)

    def forget(self) -> None:
        """The same clicks are to be had anew."""
        self.used.clear()

    async def clicked(self, runs: Iterable[Run]) -> bool:
        """Make one click that is open, if there is one."""
        for run in runs:
            for step in run.under_way:
                if step.state not in (StepState.WAITING, StepState.ASKING) or _question(run, step) in self.silent:
                    continue
                if await self._click(run, step):
                    return True
        return False

    async def _click(self, run: Run, step: StepRun) -> bool:
        click = self._next(step)
        if (click or Click()).do == "ignore":
            self.silent.add(_question(run, step))
            return False
        try:
            await (self._answer(run, step, click) if step.state is StepState.ASKING else self._decide(run, step, click))
        except BadInput as error:
            self.said.append(str(error))
            if click is None:
                self.world.problems[f"step {step.id} waits, and nobody could let it go on: {error}"] = None
                self.silent.add(_question(run, step))
        return True

    def _next(self, step: StepRun) -> Click | None:
        """What the test says about this question; the last thing that it says stays when that is to ignore it."""
        self.world.asked.add(step.id)
        given = of_step(self.world.trial.clicks, step.id)
        if given is None:
            return None
        listed = list(given) if isinstance(given, list | tuple) else [given]
        number = self.used.get(step.id, 0)
        self.used[step.id] = number + 1
        if number < len(listed):
            return Click.model_validate(listed[number])
        return Click(do="ignore") if listed and listed[-1].do == "ignore" else None

    async def _decide(self, run: Run, step: StepRun, click: Click | None) -> None:
        made, digest = click or Click(), step.plan.digest if step.plan else ""
        by = self._whoever(run, step, made)
        if made.do == "answer":
            raise BadInput(f"step {step.id} waits for an approval, not for an answer")
        if made.do == "refuse":
            self.said.append(await self.decisions.refuse(run.id, step.id, digest, by))
        elif made.do == "cancel":
            self.said.append(await self.decisions.cancel(run.id, by))
        elif made.do == "break_glass":
            self.said.append(await self.decisions.break_glass(run.id, step.id, digest, made.text, by))
        else:
            self.said.append(await self.decisions.approve(run.id, step.id, digest, by))

    async def _answer(self, run: Run, step: StepRun, click: Click | None) -> None:
        question, made = step.question, click or Click(do="answer")
        by = self._whoever(run, step, made)
        if made.do == "cancel":
            self.said.append(await self.decisions.cancel(run.id, by))
            return
        if question is not None and question.choices and not made.text:
            raise BadInput(f"it asks for one of {', '.join(question.choices)}: say in clicks what is answered")
        text = made.text or (DONE if question is not None and question.text else "")
        self.said.append(await self.decisions.answer(run.id, step.id, text, by))

    def _whoever(self, run: Run, step: StepRun, click: Click) -> Actor:
        """Who clicks: whom the test names, else the first of the role who may."""
        directory = self.rules.directory
        if click.by:
            return actor_of(click.by, directory)
        wanted, anybody = run.approval(step), starter_of(run.runbook)
        if step.state is StepState.ASKING:
            role = step.question.role if step.question else ""
            return actor_of(next(iter(directory.roles.get(role, ())), anybody), directory)
        before = {approver.actor.id for approver in step.approvals}
        before |= {run.requested_by.id} if wanted.not_requester else set()
        free = [one for one in directory.roles.get(wanted.role, ()) if one not in before]
        return actor_of(next(iter(free), anybody), directory)


def _question(run: Run, step: StepRun) -> tuple[int, str, str]:
    """What is asked: another plan is another question."""
    return run.id, step.id, step.plan.digest if step.plan else ""
