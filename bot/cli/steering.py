"""`tocsin runbook follow`, `pause`, `resume`, `cancel` and `undo`: what the buttons of a run do, for whoever has a terminal and no Slack."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import typer

from bot import app
from bot.cli.common import DEFAULT_FOLDER, ConfigFolder, loaded, set_up_logs
from bot.cli.common import run as run_now
from bot.cli.runs import AnyRun, Digests, Who, digest_of, existing, followed, run_number, who
from bot.cli.showing import Shown
from bot.domain.people import Actor
from bot.errors import BadInput


def follow(
    ref: AnyRun,
    person: Who = "",
    yes: Digests = None,
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Follow a run that is under way, and answer what it asks; Ctrl-C leaves it. Exit code 0 when it succeeds, 1 when not."""
    digests = [digest_of(text) for text in yes or []]

    async def work(tocsin: app.Tocsin, number: int, actor: Actor) -> int:
        return await followed(tocsin, await tocsin.runbooks.run(number), actor, digests, True, config)

    raise typer.Exit(_steered(ref, person, config, work))


def pause(ref: AnyRun, person: Who = "", config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """Begin nothing new in a run; what is in flight comes to its end."""
    _decided(ref, person, config, lambda tocsin, number, actor: tocsin.decisions.pause(number, actor))


def resume(ref: AnyRun, person: Who = "", config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """Let a paused run go on where it was."""
    _decided(ref, person, config, lambda tocsin, number, actor: tocsin.decisions.resume(number, actor))


def cancel(ref: AnyRun, person: Who = "", config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """End a run; an act in flight comes back first, so that it is known what was done."""
    _decided(ref, person, config, lambda tocsin, number, actor: tocsin.decisions.cancel(number, actor))


def undo(ref: AnyRun, person: Who = "", config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """Begin a run that takes back what a run has changed, and follow it: it looks, shows its plan and asks like any other."""

    async def work(tocsin: app.Tocsin, number: int, actor: Actor) -> int:
        typer.echo(Shown(tocsin.kit.redact).line(await tocsin.decisions.undo(number, actor)))
        undone_by = (await tocsin.runbooks.run(number)).undone_by
        if undone_by is None:
            raise BadInput(f"RUN-{number} is not being taken back any more: tocsin runbook show RUN-{number}")
        return await followed(tocsin, await tocsin.runbooks.run(undone_by), actor, [], True, config)

    raise typer.Exit(_steered(ref, person, config, work))


def _decided(ref: str, person: str, config: Path, decision: Callable[[app.Tocsin, int, Actor], Awaitable[str]]) -> None:
    """One decision, and what became of it."""

    async def work(tocsin: app.Tocsin, number: int, actor: Actor) -> int:
        typer.echo(Shown(tocsin.kit.redact).line(await decision(tocsin, number, actor)))
        return 0

    _steered(ref, person, config, work)


def _steered(ref: str, person: str, config: Path, work: Callable[[app.Tocsin, int, Actor], Awaitable[int]]) -> int:
    """The work with the program built around a database that is there already."""
    number, settings = run_number(ref), loaded(config)
    set_up_logs("error", "console")
    actor = who(person, settings.directory)

    async def within() -> int:
        async with app.built(settings, open_store=existing) as tocsin:
            return await work(tocsin, number, actor)

    return run_now(within())
