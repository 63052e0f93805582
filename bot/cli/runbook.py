"""`tocsin runbook`: lint the files, and plan one against the world as it is, changing nothing. What runs do is in runs.py."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from bot import app
from bot.cli import rehearsing, runs, steering
from bot.cli.common import DEFAULT_FOLDER, ConfigFolder, at_home, loaded, run, set_up_logs
from bot.cli.postmortem import incident_number
from bot.cli.showing import Shown
from bot.clients.expressions import CelExpressions
from bot.clients.render import JinjaTemplates
from bot.config.linting import lint as lint_runbooks
from bot.domain.expand import begun
from bot.domain.incident import Incident
from bot.domain.parameters import parameters
from bot.domain.people import Actor
from bot.flow.preview import Foreseen, Preview
from bot.flow.seeing import Sight

commands = typer.Typer(help="Runbooks.", no_args_is_help=True)
commands.command("run")(runs.run)
commands.command("follow")(steering.follow)
commands.command("pause")(steering.pause)
commands.command("resume")(steering.resume)
commands.command("cancel")(steering.cancel)
commands.command("undo")(steering.undo)
commands.command("history")(runs.history)
commands.command("show")(runs.show)
commands.command("test")(rehearsing.rehearse)
commands.command("reference")(rehearsing.reference)


@commands.command("lint")
def lint(
    files: Annotated[list[Path], typer.Argument(help="runbook files or folders")],
    strict: Annotated[bool, typer.Option("--strict", help="fail on warnings too")] = False,
) -> None:
    """Say what is wrong or doubtful in runbook files, with file and line. Exit code 2 when something is wrong, 1 for warnings with --strict."""
    count, warnings = lint_runbooks(files, app.registry())
    for warning in warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"{count} runbook{'' if count == 1 else 's'}: nothing wrong")
    if strict and warnings:
        raise typer.Exit(1)


@commands.command("plan")
def plan(
    name: Annotated[str, typer.Argument(help="the runbook's name")],
    param: runs.Params = None,
    incident: Annotated[str, typer.Option(help="take labels from this incident, like INC-1")] = "",
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Look at the world and show what the runbook would change. Changes nothing. Exit code 1 when a step cannot be planned or is refused."""
    settings = at_home(loaded(config))
    set_up_logs("error", "console")
    runbook, given = runs.known_runbook(settings, name), runs.pairs(param)

    async def work() -> tuple[list[Foreseen], Shown]:
        async with app.built(settings) as tocsin:
            about = Incident(id=0, title="a plan by hand", group_key="", opened_at=app.now(), channel_name="")
            labels: dict[str, str] = {}
            if incident:
                about = (await tocsin.incidents.show(incident_number(incident))).incident
                labels = await tocsin.runbooks.labels(about)
            me, rules = Actor(id="cli", name="the command line"), tocsin.current()
            going = begun(0, about, runbook, parameters(runbook, given, labels), me, app.now(), settings.runbooks)
            preview = Preview(
                Sight(tocsin.actions, JinjaTemplates(), CelExpressions(), tocsin.current), app.now, tocsin.current
            )
            touches = await tocsin.store.read(lambda tx: tx.touches(app.now() - rules.actions.memory))
            return await preview(going, about, touches), Shown(tocsin.kit.redact)

    steps, shown = run(work())
    for step in steps:
        for line in shown.foreseen(step):
            typer.echo(line)
    typer.echo("Nothing was changed.")
    if any(step.refused for step in steps):
        raise typer.Exit(1)
