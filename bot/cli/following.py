"""Follows one run on a terminal until it ends: tells what happens, shows plans, asks. `tocsin serve` moves the run; used by `tocsin runbook run`."""

from __future__ import annotations

from collections.abc import Awaitable, Collection
from dataclasses import dataclass
from datetime import timedelta

from bot.cli.showing import Shown
from bot.cli.terminal import INTERRUPT, Screen
from bot.domain.approval import answer_objection, objection
from bot.domain.people import Actor
from bot.domain.ports import Clock, Store
from bot.domain.rules import CurrentRules
from bot.domain.run import Run
from bot.domain.step import StepRun, StepState
from bot.domain.timeline import BOT
from bot.errors import BadInput
from bot.flow.decisions import Decisions
from bot.flow.runbooks import Runbooks

LOOK = 0.5  # s between two looks at the run
UNMOVED = timedelta(seconds=15)  # a server looks for work each second
YES, NO, GLASS = ("y", "yes"), ("", "n", "no"), ("b", "g", "break glass", "glass")


class Unmoved(Exception):
    """No server works on this database."""


@dataclass(frozen=True, slots=True)
class Works:
    """The parts of the program that a run is followed and decided with."""

    store: Store
    runbooks: Runbooks
    decisions: Decisions
    rules: CurrentRules
    clock: Clock


class Following:
    """`digests`: plans that were approved beforehand (`--yes`), exactly these."""

    def __init__(
        self, works: Works, screen: Screen, shown: Shown, run_id: int, actor: Actor, digests: Collection[str] = ()
    ) -> None:
        self._works = works
        self._screen = screen
        self._shown = shown
        self._id = run_id
        self._actor = actor
        self._digests = set(digests)
        self._told = 0
        self._checks: dict[str, str] = {}
        self._moved_at = works.clock()
        self._asked: tuple[str, ...] = ()
        self._breaking = False

    async def to_the_end(self) -> Run:
        """The run when it has ended, or when whoever follows it leaves it. Raises Unmoved when no server moves it."""
        while True:
            run = await self._works.runbooks.run(self._id)
            await self._tell(run)
            if run.ended:
                return run
            await self._must_be_moved()
            step = asking(run)
            await self._ask(run, step)
            line = await self._screen.line(LOOK)
            if line == INTERRUPT:
                if await self._left(run):
                    return run
            elif line is not None and step is not None and self._asked:
                await self._answered(run, step, line)

    # -------------------------------------------------------------------------------------------- telling

    async def _tell(self, run: Run) -> None:
        """What has happened since the last look."""
        before = (self._told, dict(self._checks))
        for entry in await self._works.store.read(lambda tx: tx.timeline(run.incident_id)):
            if entry.seq > self._told and entry.data.get("run") == run.ref:
                by = "" if entry.actor == BOT or entry.actor in entry.text else f"{entry.actor}: "
                self._say(f"{entry.at:%H:%M:%S}  {by}{entry.text}")
                self._told = entry.seq
        for step in run.steps:
            if step.state is StepState.CHECKING and step.message and self._checks.get(step.id) != step.message:
                self._checks[step.id] = step.message
                self._say(f"          {step.id}: {step.message}")
        if before != (self._told, self._checks):
            self._moved_at = self._works.clock()

    async def _must_be_moved(self) -> None:
        """Work that is due and that nobody takes means that there is no server."""
        now = self._works.clock()
        if now - self._moved_at < UNMOVED:
            return
        due = await self._works.store.next_due(now)
        if due is not None and now - due >= UNMOVED:
            raise Unmoved

    def _question(self, text: str) -> None:
        """What was typed before it is not an answer to it."""
        self._screen.forget()
        self._say(text)

    def _say(self, text: str) -> None:
        self._screen.say(self._shown.line(text))

    # -------------------------------------------------------------------------------------------- asking

    async def _ask(self, run: Run, step: StepRun | None) -> None:
        """Show a question once; a plan that was approved beforehand is approved."""
        key = _key(step)
        if key == self._asked:
            return
        self._asked, self._breaking = key, False
        if step is None:
            return
        self._screen.say()
        for line in self._shown.step(step):
            self._screen.say(line)
        digest = step.plan.digest if step.plan else ""
        if step.state is StepState.WAITING and digest in self._digests:
            self._digests.discard(digest)
            await self._decided(self._works.decisions.approve(run.id, step.id, digest, self._actor))
            return
        self._prompt(run, step)

    def _prompt(self, run: Run, step: StepRun) -> None:
        refused, options = self._refusal(run, step), self._options(run, step)
        if refused and not options:
            self._say(refused.removesuffix("Nothing was done.").strip())
        if not self._screen.interactive or not options:
            for digest in sorted(self._digests):
                self._say(f"--yes {digest} is not this plan, so it approves nothing here.")
            how = f" (without one: --yes {step.plan.digest})" if step.plan else ""
            follow = f"tocsin runbook follow {run.ref}"
            self._say(f"{run.ref} waits for somebody who may answer: in Slack, or on a terminal by `{follow}`{how}.")
            return
        self._question(options)

    def _refusal(self, run: Run, step: StepRun) -> str | None:
        """Why this person's word does not count here."""
        rules = self._works.rules()
        if step.state is StepState.WAITING:
            return objection(run, step, self._actor, rules.directory, rules.actions)
        tried = step.question.choices[0] if step.question and step.question.choices else "x"
        return answer_objection(run, step.id, tried, self._actor, rules.directory, rules.actions)

    def _options(self, run: Run, step: StepRun) -> str:
        """The question with what may be typed; empty when this person cannot answer."""
        rules, refused = self._works.rules(), self._refusal(run, step)
        if step.state is StepState.WAITING:
            glass = "/break glass" if rules.actions.may_break_glass(self._actor, rules.directory) else ""
            if refused:
                return f"{refused} Approve all the same? [N{glass}]" if glass else ""
            return f"Approve? [y/N{glass}]"
        if refused or step.question is None:
            return ""
        numbered = [f"{number}) {choice}" for number, choice in enumerate(step.question.choices, start=1)]
        return "  ".join(numbered) or step.question.text or "Done? [y/N]"

    # -------------------------------------------------------------------------------------------- answering

    async def _answered(self, run: Run, step: StepRun, line: str) -> None:
        word = line.strip()
        if step.state is StepState.WAITING:
            await self._judged(run, step, word)
        elif step.question is not None and step.question.choices:
            choices = step.question.choices
            number = int(word) if word.isascii() and word.isdigit() and len(word) < 4 else 0
            chosen = choices[number - 1] if 1 <= number <= len(choices) else word
            await self._decided(self._works.decisions.answer(run.id, step.id, chosen, self._actor))
        elif step.question is not None and step.question.text:
            await self._decided(self._works.decisions.answer(run.id, step.id, word, self._actor))
        elif word.lower() in YES:
            await self._decided(self._works.decisions.answer(run.id, step.id, "", self._actor))
        else:
            self._question(f"{run.ref} waits until it is done: answer y then.")

    async def _judged(self, run: Run, step: StepRun, word: str) -> None:
        """Yes, no, or the glass and then the reason for it."""
        digest, decisions = step.plan.digest if step.plan else "", self._works.decisions
        if self._breaking:
            self._breaking = False
            await self._decided(decisions.break_glass(run.id, step.id, digest, word, self._actor))
        elif word.lower() in GLASS:
            self._breaking = True
            self._question("Why? The reason stands in the timeline and in the post-mortem.")
        elif word.lower() in YES:
            await self._decided(decisions.approve(run.id, step.id, digest, self._actor))
        elif word.lower() in NO:
            await self._decided(decisions.refuse(run.id, step.id, digest, self._actor))
        else:
            self._question(self._options(run, step))

    async def _decided(self, decision: Awaitable[str]) -> None:
        """What became of it; after an objection the question is asked again, if it still stands."""
        try:
            self._say(await decision)
        except BadInput as error:
            self._say(str(error))
            run = await self._works.runbooks.run(self._id)
            step = asking(run)
            if step is not None and self._screen.interactive:
                self._prompt(run, step)

    async def _left(self, run: Run) -> bool:
        """Ctrl-C: whether to stop following. Without anybody to ask, the run goes on."""
        answer: str | None = "leave"
        if self._screen.interactive:
            self._question(f"Cancel {run.ref}, or leave it running? [c/L]")
            while (answer := await self._screen.line(60)) is None:
                pass
        if answer is not None and answer.strip().lower() in ("c", "cancel"):
            await self._decided(self._works.decisions.cancel(run.id, self._actor))
            return False
        self._say(f"{run.ref} goes on without you: tocsin runbook follow {run.ref}")
        return True


def asking(run: Run) -> StepRun | None:
    """The step that asks somebody now."""
    asks = (StepState.WAITING, StepState.ASKING)
    return None if run.stopping else next((step for step in run.under_way if step.state in asks), None)


def _key(step: StepRun | None) -> tuple[str, ...]:
    """What a question is about: another plan, or one approval more, is another question."""
    if step is None:
        return ()
    return (step.id, step.state.value, step.plan.digest if step.plan else "", str(len(step.approvals)))
