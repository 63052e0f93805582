"""Runs the tests of runbooks one after the other; the results in the order of the files. Called by `tocsin runbook test`."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from bot.clients.expressions import CelExpressions
from bot.clients.http import Http
from bot.clients.kit import Kit
from bot.clients.render import JinjaTemplates
from bot.config.linting import Files
from bot.domain.ports import Doing, Templates
from bot.domain.redaction import Redactor
from bot.domain.run import Run, RunState
from bot.domain.runbook import Runbook
from bot.domain.trial import Trial
from bot.errors import BadInput
from bot.plugins import discover
from bot.rehearsal.checking import differences, planned_again, told_by
from bot.rehearsal.company import rules_for
from bot.rehearsal.coverage import Coverage, Covered
from bot.rehearsal.stage import Parts, Stage


@dataclass(frozen=True, slots=True)
class Result:
    """`place`: where the test stands, `runbooks/x.yaml:30`. `failures`: what was not as expected; empty when all was."""

    runbook: str
    test: str
    place: str
    failures: tuple[str, ...]
    seconds: float


class _Remembering:
    """Templates that render the same thing once: a step that waits for something looks again and again, and compiling is what that costs."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates
        self._known: dict[str, Any] = {}

    def value(self, template: Any, facts: Mapping[str, Any]) -> Any:
        asked = repr((template, facts))
        if asked not in self._known:
            self._known[asked] = self._templates.value(template, facts)
        return deepcopy(self._known[asked])

    def postmortem(self, facts: Mapping[str, Any]) -> str:
        return self._templates.postmortem(facts)


def parts() -> Parts:
    """The real actions without any connection, and the real languages."""
    redact = Redactor()
    kit = Kit(None, None, Http(redact), redact)
    actions: dict[str, Doing] = {name: module.Plugin(kit) for name, module in discover("actions").items()}
    return Parts(actions, _Remembering(JinjaTemplates()), CelExpressions(), redact)


@dataclass(slots=True)
class Rehearsal:
    """`wanted` says which tests to run, by runbook and name."""

    files: Files
    parts: Parts = field(default_factory=parts)
    wanted: Callable[[str], bool] = lambda name: True
    coverage: Coverage = field(default_factory=Coverage)

    async def results(self) -> AsyncIterator[Result]:
        library = self.files.all.found
        for name in self.files.names:
            for number, trial in enumerate(library[name].tests):
                if self.wanted(f"{name} {trial.name}"):
                    begun = time.perf_counter()
                    failures = await self._failures(library, library[name], trial)
                    seconds = time.perf_counter() - begun
                    yield Result(name, trial.name, self._place(name, number), tuple(failures), seconds)

    def covered(self) -> list[Covered]:
        acting = {name for name, doing in self.parts.actions.items() if doing.way == "acts"}
        return [self.coverage.of(self.files.all.found[name], acting) for name in self.files.names]

    async def _failures(self, library: Mapping[str, Runbook], runbook: Runbook, trial: Trial) -> list[str]:
        stage = await Stage.built(self.parts, rules_for(library), runbook, trial, self.coverage)
        try:
            runs = await stage.play()
        except BadInput as error:
            return [f"it could not be started: {error}"]
        told = told_by(runs, await stage.timeline(), stage.said)
        if not runs:
            return ["it did not start by itself" + "".join(f": {line}" for line in told)]
        failures = list(stage.world.problems) or list(differences(trial, runs, told, stage.world))
        if not failures and trial.expect.again and runs[0].state is RunState.SUCCEEDED:
            failures += await self._again(stage, runs[0])
        return failures

    async def _again(self, stage: Stage, first: Run) -> list[str]:
        try:
            runs = await stage.again()
        except BadInput as error:
            return [f"again: a second run could not be started: {error}"]
        return list(planned_again(first, runs, self.parts.actions))

    def _place(self, runbook: str, number: int) -> str:
        found = self.files.all.documents[runbook].problem(("tests", number, "name"), "")
        return f"{found.file}:{found.line}"
