"""`tocsin replay` and `tocsin alert log`: what recorded alerts would have come to, under this configuration or another one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import available_timezones

import typer

from bot import app
from bot.cli.alert import commands
from bot.cli.common import DEFAULT_FOLDER, ConfigFolder, run, set_up_logs
from bot.cli.terminal import plain
from bot.config import Config, load
from bot.config.units import duration
from bot.domain.naming import nearest
from bot.domain.redaction import Redactor
from bot.domain.replayed import Night, Replayed, compared, gone, lines
from bot.errors import BadInput
from bot.rehearsal.replay import AFTER, Acknowledging, Replay, Terms
from bot.rehearsal.replay_lines import Recording, written
from bot.rehearsal.replay_past import Past
from bot.store import open_store

Since = Annotated[str, typer.Option(help="from the database: from so long ago (24h, 7d, 4w), or from a time on")]
Until = Annotated[str, typer.Option(help="up to so long ago, or up to a time; up to now when it is not given")]
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)-([01]?\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the options say. `after` is of no account when `recorded`."""

    file: Path | None
    span: tuple[datetime, datetime] | None
    recorded: bool
    after: timedelta | None


def replay(
    file: Annotated[
        Path | None, typer.Argument(help="recorded alerts, one JSON object a line (docs/replay.md)")
    ] = None,
    since: Since = "",
    until: Until = "",
    config: ConfigFolder = DEFAULT_FOLDER,
    against: Annotated[
        Path | None, typer.Option(help="the folder of the present configuration, to say what --config changes")
    ] = None,
    ack_after: Annotated[
        str, typer.Option(help="people acknowledge so long after the first page, `never`, or as `recorded`")
    ] = "recorded",
    night: Annotated[str, typer.Option(help="what counts as night")] = "22:00-07:00",
    zone: Annotated[str, typer.Option(help="in which time zone; that of the digest when it is not given")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="as one JSON object")] = False,
) -> None:
    """Run recorded alerts through a configuration with a virtual clock: how many incidents and pages, what is held. Nobody is paged."""
    asked = _asked(file, since, until, ack_after)
    set_up_logs("error", "console")
    present = _loaded(against or config, secrets=file is None)
    others = [_loaded(config, secrets=False)] if against is not None else []
    terms = Terms(_night(night, zone or _zone(present)))
    results = run(_replayed(asked, present, [present, *others], terms))
    if as_json:
        typer.echo(json.dumps(_as_json(results), indent=2))
        return
    for line in lines(results[0]) if len(results) == 1 else compared(*results):
        typer.echo(plain(line))


@commands.command("log")
def log(since: Since = "7d", until: Until = "", config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """Print the alerts that came in, one JSON object a line: for `tocsin replay FILE`. They hold no secrets that were recognised on arrival."""
    begin, end = _span(since, until)
    settings = _loaded(config, secrets=True)
    set_up_logs("error", "console")

    async def work() -> None:
        async with _past(settings, (begin, end)) as past:
            async for line in past.deliveries():
                typer.echo(written(line.at, line.alert))

    run(work())


async def _replayed(asked: _Asked, present: Config, configurations: Sequence[Config], terms: Terms) -> list[Replayed]:
    """The same alerts through one configuration after the other."""
    if asked.file is not None:
        recording = Recording(asked.file, present.sources, Redactor(dict(present.redact_extra)))
        terms = replace(terms, acknowledging=Acknowledging(asked.after))
        results = [await Replay(app.rules_of(one), terms).run(recording.arrivals()) for one in configurations]
        for problem in recording.said():
            typer.echo(plain(f"{asked.file}: {problem}"), err=True)
        return results
    if asked.span is None:
        raise BadInput("say what to replay: a FILE, or --since 7d for what is in the database")
    async with _past(present, asked.span) as past:
        acknowledging = await past.acknowledging(asked.after) if asked.recorded else Acknowledging(asked.after)
        terms = replace(terms, acknowledging=acknowledging, silences=await past.silences())
        return [await Replay(app.rules_of(one), terms).run(past.arrivals()) for one in configurations]


@asynccontextmanager
async def _past(settings: Config, span: tuple[datetime, datetime]) -> AsyncIterator[Past]:
    store = await open_store(settings.database.url.reveal(), create=False)
    try:
        yield Past(store, *span)
    finally:
        await store.close()


def _loaded(folder: Path, *, secrets: bool) -> Config:
    """Without its secrets where none is needed: a change to the configuration can be tried where nothing secret is."""
    return load(folder, app.registry(), os.environ, resolve_secrets=secrets, now=app.now())


def _asked(file: Path | None, since: str, until: str, ack_after: str) -> _Asked:
    if (file is None) == (not since):
        raise BadInput("say what to replay, one of both: a FILE, or --since 7d for what is in the database")
    if file is not None and until:
        raise BadInput("--until goes with --since; of a FILE everything is replayed")
    recorded = ack_after == "recorded"
    after = AFTER if recorded else None if ack_after == "never" else _duration(ack_after)
    return _Asked(file, _span(since, until) if since else None, recorded, after)


def _duration(text: str) -> timedelta:
    try:
        return duration(text)
    except ValueError as error:
        raise BadInput(f"--ack-after {text!r}: wanted a duration like 5m, `never` or `recorded`") from error


def _span(since: str, until: str) -> tuple[datetime, datetime]:
    now = app.now()
    begin, end = _moment("--since", since, now), _moment("--until", until, now) if until else now
    if begin >= end:
        raise BadInput(f"--since {since!r} is not before --until {until!r}")
    return begin, end


def _moment(option: str, text: str, now: datetime) -> datetime:
    """`7d` is that long ago."""
    for read in (_ago(now), datetime.fromisoformat):
        try:
            at = read(text.strip())
        except (ValueError, OverflowError):
            continue
        return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    raise BadInput(f"{option} {text!r}: wanted a span like 24h or 7d, or a time like 2026-11-21T03:00:00Z")


def _ago(now: datetime) -> Callable[[str], datetime]:
    return lambda text: now - duration(text)


def _night(text: str, zone: str) -> Night:
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        raise BadInput(f"--night {text!r}: wanted two times of day, like 22:00-07:00")
    if zone not in available_timezones():
        raise BadInput(
            f"--zone {zone!r} is not known{nearest(zone, available_timezones())}; wanted one like Europe/Berlin"
        )
    hours = [int(number) for number in found.groups()]
    return Night(time(hours[0], hours[1]), time(hours[2], hours[3]), zone)


def _zone(settings: Config) -> str:
    digest = app.rules_of(settings).digest
    return digest.zone if digest else "UTC"


def _as_json(results: Sequence[Replayed]) -> dict[str, object]:
    if len(results) == 1:
        return {"replayed": asdict(results[0])}
    now, new = results
    return {"now": asdict(now), "new": asdict(new), "gone": gone(now, new), "added": gone(new, now)}
