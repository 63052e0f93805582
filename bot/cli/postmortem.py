"""`tocsin postmortem`: the Markdown of an incident, outside Slack."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bot import app
from bot.cli.common import DEFAULT_FOLDER, ConfigFolder, loaded, run, set_up_logs
from bot.errors import BadInput
from bot.store import open_store

INCIDENT = re.compile(r"(?:INC-)?(\d{1,9})", re.IGNORECASE)
commands = typer.Typer(help="Post-mortems.", no_args_is_help=True)


@commands.command("export")
def export(
    incident: Annotated[str, typer.Argument(help="like INC-1")],
    config: ConfigFolder = DEFAULT_FOLDER,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="write it here instead; - for standard output")
    ] = None,
) -> None:
    """Write the post-mortem of an incident from its timeline, and print the path."""
    number = incident_number(incident)
    settings = loaded(config)
    set_up_logs("error", "console")

    async def work() -> tuple[str, str]:
        async with app.built(settings, open_store=partial(open_store, create=False)) as tocsin:
            return await tocsin.review.draft(number)

    path, text = run(work())
    if out is None:
        typer.echo(path)
    elif str(out) == "-":
        typer.echo(text, nl=False)  # the same bytes as the file
    else:
        out.write_text(text, encoding="utf-8")
        typer.echo(out)


def incident_number(text: str) -> int:
    """`INC-7`, `inc-7` or `7` to 7."""
    found = INCIDENT.fullmatch(text.strip())
    if found is None:
        raise BadInput(f"{text!r} does not name an incident; write it like INC-1")
    return int(found[1])
