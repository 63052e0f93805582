"""`tocsin quality`: how good each alert rule is, and what to do about the noisy ones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Annotated

import typer

from bot import app
from bot.cli.common import DEFAULT_FOLDER, ConfigFolder, loaded, run, set_up_logs
from bot.cli.terminal import plain
from bot.domain.quality import RuleQuality
from bot.errors import BadInput
from bot.store import open_store

UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST = timedelta(days=400)
COLUMNS = ("FIRED", "HELD", "INC", "PAGED", "PAGES", "NIGHT", "ACKED", "ACTED", "FLAPS", "TO ACK", "TO ACT", "RULE")


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
    typer.echo("\n".join(_table(rules)))
    for one in rules:
        if one.suggestion:
            typer.echo(plain(f"{one.name} ({one.source}): {one.suggestion}"))


def ago(text: str) -> timedelta:
    """`90m`, `24h`, `7d`, `4w` as a span."""
    found = re.fullmatch(r"(\d{1,5})([mhdw])", text.strip(), re.ASCII)
    if found is None:
        raise BadInput(f"--since {text!r}: wanted a number and a unit, like 24h, 7d or 4w")
    span = timedelta(seconds=int(found[1]) * UNITS[found[2]])
    if not timedelta(0) < span <= LONGEST:
        raise BadInput(f"--since {text!r}: wanted more than nothing and at most {LONGEST.days}d")
    return span


def _table(rules: Iterable[RuleQuality]) -> list[str]:
    """The numbers first, and the name last: it may be long, and must be seen on a narrow terminal too."""
    rows = [COLUMNS, *(_row(one) for one in rules)]
    widths = [max(len(row[number]) for row in rows) for number in range(len(COLUMNS) - 1)]
    return [
        "  ".join([*(cell.rjust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    ]


def _row(one: RuleQuality) -> tuple[str, ...]:
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
    return (*map(str, counts), *times, plain(f"{one.name} ({one.source})"))


def _shown(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return (
        f"{seconds:.0f}s" if seconds < 120 else f"{seconds / 60:.0f}m" if seconds < 7200 else f"{seconds / 3600:.1f}h"
    )
