"""`tocsin serve` and `tocsin db`: the program itself."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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

    with _on_record(settings.state / PID_FILE, alone=settings.database.url.reveal().startswith("sqlite")):
        run(work())


@contextmanager
def _on_record(path: Path, alone: bool) -> Iterator[None]:
    """This process in the pid file, for `reload`. `alone`: nobody else may serve from this folder; the lock ends with the process."""
    with path.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if alone:
                file.seek(0)
                first = file.read(20).strip()
                raise BadInput(f"a server of this folder is running already: process {first} ({path})") from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def running(path: Path) -> int:
    """The process that serves; OSError or ValueError when there is none.

    A file that one left behind when it was killed may name somebody else's process by now.
    """
    with path.open(encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(file.read(20))
    raise ValueError("the server that wrote it has ended")


def reload(config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """Tell the running server (on this machine, of this configuration) to read its configuration again. A wrong one is refused here already."""
    settings = loaded(config)
    pid_file = settings.state / PID_FILE
    try:
        os.kill(running(pid_file), signal.SIGHUP)
    except (OSError, ValueError) as error:
        why = "it is not there" if isinstance(error, FileNotFoundError) else error
        raise BadInput(
            f"no running server was found by {pid_file}: {why}. The configuration is valid; `tocsin serve` takes it as it starts"
        ) from error
    typer.echo("the configuration is valid; the server reads it again")


@database.command("upgrade")
def upgrade_(config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """Bring the database to this version's schema (SQLite does it by itself at start)."""
    url = at_home(loaded(config)).database.url.reveal()
    run(upgrade(url))
    typer.echo(f"the database is at {run(current_revision(url))}")
