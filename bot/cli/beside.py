"""Commands that look at or change what a server works on, beside it: one transaction on the same database. Used by silence, incident and oncall."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import typer

from bot import app
from bot.cli.common import at_home, loaded, run, set_up_logs
from bot.cli.runs import existing, who
from bot.cli.showing import Shown
from bot.domain.people import Actor
from bot.store import open_store

T = TypeVar("T")


def within(config: Path, work: Callable[[app.Tocsin], Awaitable[T]], fresh: bool = False) -> T:
    """The work with the program built beside the one that serves. `fresh`: the database may be made by it."""
    settings = at_home(loaded(config)) if fresh else loaded(config)
    set_up_logs("error", "console")

    async def done() -> T:
        async with app.built(settings, open_store=open_store if fresh else existing) as tocsin:
            return await work(tocsin)

    return run(done())


def said_by(
    person: str, config: Path, work: Callable[[app.Tocsin, Actor], Awaitable[str]], fresh: bool = False
) -> None:
    """What somebody does, and what became of it, on as many lines as that takes."""

    async def done(tocsin: app.Tocsin) -> list[str]:
        words = await work(tocsin, who(person, tocsin.config.directory))
        return [Shown(tocsin.kit.redact).line(line) for line in words.splitlines()]

    for line in within(config, done, fresh):
        typer.echo(line)
