"""The command line: every command calls app and flow; no logic of its own. Wrong input ends with one clear message and exit code 2."""

from __future__ import annotations

import sys

import typer

from bot import __version__
from bot.cli import checking, demo, postmortem, runbook, serving
from bot.errors import BadInput, GaveUp, TryLater

app = typer.Typer(
    name="tocsin",
    help="Tocsin, an incident responder that lives in Slack.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("serve")(serving.serve)
app.command("reload")(serving.reload)
app.command("check")(checking.check)
app.command("schema")(checking.schema_)
app.command("doctor")(checking.doctor)
app.command("demo")(demo.demo)
app.command("practice")(demo.practice)
app.add_typer(runbook.commands, name="runbook")
app.add_typer(postmortem.commands, name="postmortem")
app.add_typer(serving.database, name="db")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """The `tocsin` command."""
    try:
        app()
    except BadInput as error:
        typer.echo(str(error), err=True)
        sys.exit(2)
    except (GaveUp, TryLater) as error:
        typer.echo(f"not possible now: {error}", err=True)
        sys.exit(1)
