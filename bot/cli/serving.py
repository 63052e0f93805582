"""`tocsin serve` and `tocsin db`: the program itself."""

from __future__ import annotations

import asyncio
import os
import signal

import structlog
import typer

from bot import app
from bot.cli.common import DEFAULT_FOLDER, ConfigFolder, at_home, keep_what_is_loaded, loaded, run, set_up_logs
from bot.config import ConfigErrors
from bot.config import reload as config_reload
from bot.errors import BadInput
from bot.store import current_revision, upgrade

database = typer.Typer(help="The database.", no_args_is_help=True)
PID_FILE = "tocsin.pid"
log = structlog.get_logger("serve")


def serve(config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """Receive alerts, talk to Slack, run runbooks; until SIGTERM or Ctrl-C. SIGHUP reads the configuration again."""
    settings = at_home(loaded(config))
    set_up_logs(settings.log.level, settings.log.format)
    for warning in settings.warnings:
        log.warning("configuration", problem=str(warning))

    pid_file = settings.state / PID_FILE

    async def work() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        async with app.built(settings) as tocsin:

            def reload() -> None:
                try:
                    tocsin.reload(config_reload(config, app.registry(), settings))
                except ConfigErrors as error:
                    log.error("the new configuration is wrong; the old one stays", problems=str(error))

            loop.add_signal_handler(signal.SIGHUP, reload)
            keep_what_is_loaded()
            await app.serve(tocsin, stop)

    pid_file.write_text(f"{os.getpid()}\n", encoding="ascii")
    try:
        run(work())
    finally:
        pid_file.unlink(missing_ok=True)


def reload(config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """Tell the running server (on this machine, of this configuration) to read its configuration again. A wrong one is refused here already."""
    settings = loaded(config)
    pid_file = settings.state / PID_FILE
    try:
        os.kill(int(pid_file.read_text(encoding="ascii")), signal.SIGHUP)
    except (OSError, ValueError) as error:
        raise BadInput(f"no running server was found by {pid_file}: {error}") from error
    typer.echo("the configuration is valid; the server reads it again")


@database.command("upgrade")
def upgrade_(config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """Bring the database to this version's schema (SQLite does it by itself at start)."""
    url = at_home(loaded(config)).database.url.reveal()
    run(upgrade(url))
    typer.echo(f"the database is at {run(current_revision(url))}")
