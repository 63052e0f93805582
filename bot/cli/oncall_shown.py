"""What the commands of `tocsin oncall` share: whose time is shown, and what was looked at as lines or as JSON."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bot import app
from bot.cli.beside import within
from bot.cli.runs import who
from bot.cli.showing import Shown
from bot.domain.oncall_told import zone_for
from bot.domain.people import Actor, Directory
from bot.errors import BadInput

Json = Annotated[bool, typer.Option("--json", help="for programs")]
Looked = tuple[Any, Sequence[str]]
"""JSON values, and the same as lines for people."""


def looked(config: Path, as_json: bool, look: Callable[[app.Tocsin], Awaitable[Looked]]) -> None:
    async def work(tocsin: app.Tocsin) -> list[str]:
        facts, lines = await look(tocsin)
        if as_json:
            return [json.dumps(facts, indent=2, ensure_ascii=False)]
        shown = Shown(tocsin.kit.redact)
        return [shown.line(line) for line in lines]

    for line in within(config, work):
        typer.echo(line)


def viewer(person: str, directory: Directory) -> Actor:
    """As `who`, but looking is for everybody: somebody whom oncall.yaml does not know is nobody in particular."""
    if person:
        return who(person, directory)
    try:
        return who("", directory)
    except BadInput:
        return Actor(id="", name="somebody at a terminal")


def zone_of(directory: Directory, actor: Actor, schedule: str = "") -> str:
    """In whose time somebody is shown a schedule: their own, else the schedule's."""
    return zone_for(directory, actor.id, schedule)
