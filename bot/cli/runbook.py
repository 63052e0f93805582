"""`tocsin runbook`: lint the files, and plan one against the world as it is, changing nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot import app
from bot.cli.common import DEFAULT_FOLDER, ConfigFolder, at_home, loaded, run, set_up_logs
from bot.cli.postmortem import incident_number
from bot.config.linting import lint as lint_runbooks
from bot.domain import run as runs
from bot.domain.incident import Incident
from bot.domain.naming import nearest
from bot.domain.people import Actor
from bot.domain.plan import Plan
from bot.errors import BadInput
from bot.flow.runbooks import parameters

commands = typer.Typer(help="Runbooks.", no_args_is_help=True)


@commands.command("lint")
def lint(
    files: Annotated[list[Path], typer.Argument(help="runbook files or folders")],
) -> None:
    """Say what is wrong in runbook files, with file and line. Exit code 2 when something is."""
    count, warnings = lint_runbooks(files, app.registry())
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"{count} runbook{'' if count == 1 else 's'}: nothing wrong")


@commands.command("plan")
def plan(
    name: Annotated[str, typer.Argument(help="the runbook's name")],
    param: Annotated[list[str] | None, typer.Option("--param", "-p", help="NAME=VALUE, as often as needed")] = None,
    incident: Annotated[str, typer.Option(help="take labels from this incident, like INC-1")] = "",
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Look at the world and show what the runbook would change. Changes nothing. Exit code 1 when a step cannot be planned."""
    settings = at_home(loaded(config))
    set_up_logs("error", "console")
    runbook = settings.runbooks.get(name)
    if runbook is None:
        raise BadInput(
            f"there is no runbook called {name!r}{nearest(name, settings.runbooks)}; there are: {', '.join(sorted(settings.runbooks))}"
        )
    given = dict(_pair(one) for one in param or [])

    async def work() -> list[tuple[str, Plan | str]]:
        async with app.built(settings) as tocsin:
            about = Incident(id=0, title="a plan by hand", group_key="", opened_at=app.now(), channel_name="")
            labels: dict[str, str] = {}
            if incident:
                shown = await tocsin.incidents.show(incident_number(incident))
                about = shown.incident
                labels = {**(shown.alerts[0].alert.labels if shown.alerts else {}), **about.labels}
            me = Actor(id="cli", name="the command line")
            going = runs.begun(0, about, runbook, parameters(runbook, given, labels), me, app.now())
            return await tocsin.advance.preview(going, about)

    steps = run(work())
    for step, planned in steps:
        typer.echo(f"{step}:")
        for line in planned.lines() if isinstance(planned, Plan) else [f"cannot be planned: {planned}"]:
            typer.echo(f"  {line}")
    if any(isinstance(planned, str) for _, planned in steps):
        raise typer.Exit(1)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise BadInput(f"--param {text!r}: write it as NAME=VALUE")
    return name, value
