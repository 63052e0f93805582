"""`tocsin quality`: how good each alert rule is, and what to do about the noisy ones."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bot import app
from bot.cli.common import DEFAULT_FOLDER, ConfigFolder, loaded, run, set_up_logs
from bot.domain.quality import RuleQuality
from bot.errors import BadInput
from bot.store import open_store

UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST = timedelta(days=400)


def quality(
    since: Annotated[str, typer.Option(help="how far to look back: 24h, 7d, 4w")] = "7d",
    as_json: Annotated[bool, typer.Option("--json", help="as JSON, one object a rule")] = False,
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Show per alert rule how often it fired, paged, was acknowledged and acted on, and what to do about the noisy ones."""
    span = ago(since)
    settings = loaded(config)
    set_up_logs("error", "console")

    async def work() -> tuple[RuleQuality, ...]:
        async with app.built(settings, open_store=partial(open_store, create=False)) as tocsin:
            now = app.now()
            return await tocsin.digests.quality(now - span, now)

    rules = run(work())
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in rules], indent=2))
        return
    if not rules:
        typer.echo(f"No alert has fired within {since}.")
        return
    Console().print(_table(rules))
    for one in rules:
        if one.suggestion:
            typer.echo(f"{one.name} ({one.source}): {one.suggestion}")


def ago(text: str) -> timedelta:
    """`90m`, `24h`, `7d`, `4w` as a span."""
    found = re.fullmatch(r"(\d{1,5})([mhdw])", text.strip())
    if found is None:
        raise BadInput(f"--since {text!r}: wanted a number and a unit, like 24h, 7d or 4w")
    span = timedelta(seconds=int(found[1]) * UNITS[found[2]])
    if not timedelta(0) < span <= LONGEST:
        raise BadInput(f"--since {text!r}: wanted more than nothing and at most {LONGEST.days}d")
    return span


def _table(rules: tuple[RuleQuality, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("rule", overflow="fold")
    for title in (
        "fired",
        "held",
        "incidents",
        "paged",
        "pages",
        "at night",
        "acked",
        "acted",
        "flaps",
        "to ack",
        "to act",
    ):
        table.add_column(title, justify="right", no_wrap=True)
    for one in rules:
        counts = (
            one.fired,
            sum(one.held.values()),
            one.incidents,
            one.paged,
            one.pages,
            one.night_pages,
            one.acknowledged,
            one.acted,
            one.flaps,
        )
        times = (_shown(one.to_acknowledge), _shown(one.to_act))
        table.add_row(Text(f"{one.name} ({one.source})"), *(str(count) for count in counts), *times)
    return table


def _shown(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return (
        f"{seconds:.0f}s" if seconds < 120 else f"{seconds / 60:.0f}m" if seconds < 7200 else f"{seconds / 3600:.1f}h"
    )
