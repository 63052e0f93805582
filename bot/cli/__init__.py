"""The command line: every command calls app and flow; no logic of its own. Wrong input ends with one clear message and exit code 2."""

from __future__ import annotations

import sys

import typer

from bot import __version__
from bot.cli import alert, checking, demo, incident, oncall, postmortem, quality, replay, runbook, serving, silence
from bot.cli.oncall_shown import at_a_terminal
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
app.command("quality")(quality.quality)
app.command("replay")(replay.replay)
app.command("demo")(demo.demo)
app.command("practice")(demo.practice)
app.add_typer(alert.commands, name="alert")
app.add_typer(incident.commands, name="incident")
app.add_typer(silence.commands, name="silence")
app.add_typer(oncall.commands, name="oncall")
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
    except (BadInput, GaveUp, TryLater, OSError, ExceptionGroup) as error:
        sys.exit(_said(error))


def _said(error: Exception) -> int:
    """Say what went wrong; the exit code. What nobody foresaw stays an exception."""
    if isinstance(error, ExceptionGroup):  # out of a task group: the first one tells why it ended
        return _said(error.exceptions[0])
    if isinstance(error, BadInput):
        typer.echo(at_a_terminal(str(error)), err=True)
        return 2
    if isinstance(error, GaveUp | TryLater | OSError):
        typer.echo(f"not possible now: {error}", err=True)
        return 1
    raise error
