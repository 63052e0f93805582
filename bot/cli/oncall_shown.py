"""What the commands of `tocsin oncall` share: whose time is shown, what was looked at as lines or as JSON, and words that name these commands."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from bot import app
from bot.cli.beside import said_by, within
from bot.cli.runs import who
from bot.cli.showing import Shown
from bot.domain.oncall_told import zone_for
from bot.domain.people import Actor, Directory
from bot.errors import BadInput

Json = Annotated[bool, typer.Option("--json", help="for programs")]
_INCIDENT = re.compile(r"(?<![\w./-])/incident (list|show|open|ack|resolve|mitigate|escalate|severity|note)\b")
_SLASH = re.compile(r"(?<![\w./-])/oncall(?![\w.])(?: (override end|swap (?:accept|decline|withdraw)))?")
Looked = tuple[Any, Sequence[str]]
"""JSON values, and the same as lines for people."""


def looked(config: Path, as_json: bool, look: Callable[[app.Tocsin], Awaitable[Looked]]) -> None:
    async def work(tocsin: app.Tocsin) -> list[str]:
        facts, lines = await look(tocsin)
        if as_json:
            return [json.dumps(facts, indent=2, ensure_ascii=False)]
        shown = Shown(tocsin.kit.redact)
        return [shown.line(at_a_terminal(line)) for line in lines]

    with in_these_words():
        lines = within(config, work)
    for line in lines:
        typer.echo(line)


def said(person: str, config: Path, work: Callable[[app.Tocsin, Actor], Awaitable[str]], fresh: bool = True) -> None:
    """What somebody does, and what became of it. `fresh`: the database may be made by it."""

    async def done(tocsin: app.Tocsin, actor: Actor) -> str:
        return at_a_terminal(await work(tocsin, actor))

    with in_these_words():
        said_by(person, config, done, fresh)


@contextmanager
def in_these_words() -> Iterator[None]:
    """What is refused names the commands of a terminal."""
    try:
        yield
    except BadInput as error:
        raise BadInput(at_a_terminal(str(error))) from error


def at_a_terminal(words: str) -> str:
    """The same with `/oncall override end 3` as `tocsin oncall override-end 3`: whoever reads it may have no Slack now."""
    said = _SLASH.sub(lambda found: "tocsin oncall" + (f" {'-'.join(found[1].split())}" if found[1] else ""), words)
    return _INCIDENT.sub(r"tocsin incident \1", said)


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
