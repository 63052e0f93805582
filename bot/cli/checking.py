"""`tocsin check`, `schema` and `doctor`: is the configuration right, and can the world be reached with it?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bot import app
from bot.cli.common import DEFAULT_FOLDER, ConfigFolder, at_home, loaded, run, set_up_logs
from bot.config import schema
from bot.domain.ports import Store
from bot.entry.doctor import examine
from bot.errors import BadInput, GaveUp, TryLater
from bot.store import open_store
from bot.store.memory import MemoryStore


def check(
    folder: Annotated[Path, typer.Argument(help="the folder with tocsin.yaml")] = DEFAULT_FOLDER,
) -> None:
    """Validate the whole configuration: every problem with file, line and the nearest valid name. Exit code 2 when there is one."""
    config = loaded(folder)
    for warning in config.warnings:
        typer.echo(f"warning: {warning}", err=True)
    counts = f"{len(config.sources)} sources, {len(config.policies)} policies, {len(config.runbooks)} runbooks"
    typer.echo(f"{folder} is valid: {counts}")


def schema_(
    name: Annotated[str, typer.Argument(help="tocsin.yaml, services.yaml, oncall.yaml, policy.yaml or runbook")] = "",
) -> None:
    """Print the JSON Schema of a configuration file (or of all), for editors."""
    every = schema(app.registry())
    if name and name not in every:
        raise BadInput(f"there is no schema called {name!r}; there are: {', '.join(every)}")
    typer.echo(json.dumps(every[name] if name else every, indent=2))


def doctor(config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """Try everything the configuration points to: what is missing, and how to mend it. Exit code 1 when something is."""
    settings = at_home(loaded(config))
    set_up_logs("error", "console")

    async def work() -> bool:
        async with app.built(settings, open_store=_opened) as tocsin:
            well = True
            async for finding in examine(settings, tocsin.store, tocsin.gateway, tocsin.kit, app.now):
                well = well and finding.ok
                typer.echo(finding.line())
            return well

    if not run(work()):
        raise typer.Exit(1)


class _Unopened(MemoryStore):
    """Stands in for a database that could not be opened, so that everything else is tried too."""

    def __init__(self, why: BadInput | GaveUp | TryLater) -> None:
        super().__init__()
        self._why = why

    async def check(self) -> None:
        raise self._why


async def _opened(url: str) -> Store:
    try:
        return await open_store(url)
    except (BadInput, GaveUp, TryLater) as error:
        return _Unopened(error)
