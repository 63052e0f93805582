"""What the commands share: where the configuration is, how it is loaded, how logs look."""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import structlog
import typer
import uvloop

from bot import app
from bot.config import Config, load

T = TypeVar("T")
ConfigFolder = Annotated[Path, typer.Option("--config", "-c", help="the folder with tocsin.yaml", show_default=True)]
DEFAULT_FOLDER = Path("config")
LOOK_UPS = 32  # names that are looked up at the same time


def loaded(folder: Path, overrides: Mapping[str, Any] | None = None) -> Config:
    """The configuration, or ConfigErrors with every problem."""
    return load(folder, app.registry(), os.environ, overrides=overrides or {}, now=app.now())


def at_home(settings: Config) -> Config:
    """The same, with the folder that `state` names made when it is not there."""
    settings.state.mkdir(parents=True, exist_ok=True)
    return settings


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine on uvloop.

    It looks names up in threads of its own, four of them unless it is told otherwise (https://docs.libuv.org/en/v1.x/threadpool.html): four messages
    to a host whose name servers do not answer would hold up every other medium.
    """
    os.environ.setdefault("UV_THREADPOOL_SIZE", str(LOOK_UPS))
    return uvloop.run(work)


def keep_what_is_loaded() -> None:
    """For a long run: the garbage collector leaves alone what is there now (the modules, the configuration), else each full collection stops the
    program for a tenth of a second."""
    gc.collect()
    gc.freeze()


def set_up_logs(level: str, style: str) -> None:
    """Structured logs on standard error: one JSON object a line, or coloured lines for people."""
    number = logging.getLevelNamesMapping()[level.upper()]
    render = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # the usual one shows the values of variables
        )
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Any] = [structlog.processors.format_exc_info, render] if style == "json" else [render]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(
        level=max(number, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s %(message)s"
    )
