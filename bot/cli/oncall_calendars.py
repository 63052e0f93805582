"""`tocsin oncall calendar`, `export`, `import-ical` and `import-slack`: calendars to and from others, and people from Slack. Part of oncall.py."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from bot import app
from bot.cli.beside import within
from bot.cli.common import DEFAULT_FOLDER, ConfigFolder, loaded, run, set_up_logs
from bot.cli.oncall_shown import Json, in_these_words, said, viewer, zone_of
from bot.cli.runs import Who
from bot.cli.showing import Shown
from bot.clients import calendars
from bot.clients.fetching import fetched
from bot.domain import asking
from bot.domain.oncall_told import Turn, said_turn
from bot.domain.people import Actor
from bot.domain.ports import Store
from bot.entry.calendars import of_schedule, window
from bot.entry.oncall_facts import shift_facts
from bot.entry.oncall_words import looked_at
from bot.entry.slack.members import Members, people_block
from bot.store import open_store

T = TypeVar("T")
PATIENCE = 20.0  # seconds, for a calendar to be read
SHOWN = 200
Range = Annotated[list[str] | None, typer.Argument(metavar="RANGE", help="like 4w, or 2026-12-01 2026-12-31")]


def calendar(
    what: Annotated[str, typer.Argument(metavar="SCHEDULE|me", help="your own turns, when not given")] = "",
    person: Who = "",
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """The address at which a schedule or your own turns can be subscribed to in a calendar."""

    async def work(tocsin: app.Tocsin, actor: Actor) -> str:
        name, address = await tocsin.oncall.calendar(what, actor)
        return f"Subscribe to {name} at\n{address}\nWhoever has this address can read it without a password: do not post it."

    said(person, config, work, fresh=False)


def export(
    schedule: Annotated[str, typer.Argument(help="a schedule of oncall.yaml")],
    time: Range = None,
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """The final schedule as iCalendar, to standard output; by itself from four weeks ago until twelve weeks ahead."""

    async def work(tocsin: app.Tocsin) -> str:
        directory, now = await tocsin.oncall.directory(), tocsin.oncall.now()
        named = asking.schedule(directory, schedule)
        span = looked_at(" ".join(time), named.zone, now) if time else window(now)
        directory, (found,) = await tocsin.oncall.final(named.key, *span)
        return of_schedule(directory, found, span, now)

    with in_these_words():
        text = within(config, work)
    typer.echo(text, nl=False)


def import_ical(
    where: Annotated[str, typer.Argument(metavar="FILE|URL", help="an iCalendar file, or where one is")],
    schedule: Annotated[str, typer.Option(help="for which schedule: its time zone counts for times without one")],
    time: Range = None,
    as_json: Json = False,
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """What a calendar would give as shifts, and what in it fits nobody. Nothing is changed."""

    async def work(tocsin: app.Tocsin) -> list[str]:
        directory, now = tocsin.config.directory, app.now()
        found = asking.schedule(directory, schedule)
        zone = zone_of(directory, viewer("", directory), found.key)
        span = looked_at(" ".join(time or ()), found.zone, now)
        text = await fetched(tocsin.kit.http, _address(where))
        reading = await calendars.read_within(PATIENCE, text, directory.people, found.zone, span)
        if as_json:
            facts = {"shifts": shift_facts(reading.shifts, directory), "doubts": list(reading.doubts)}
            return [json.dumps(facts, indent=2, ensure_ascii=False)]
        turns = [
            Turn(found.key, (directory.name_of(f"person:{one.person}"),), one.starts, one.ends, one.by)
            for one in reading.shifts
        ]
        shown = Shown(tocsin.kit.redact)
        return [
            shown.line(line) for line in _read(found.key, [said_turn(one, zone, now) for one in turns], reading.doubts)
        ]

    with in_these_words():
        lines = _apart(config, work)
    for line in lines:
        typer.echo(line)


def import_slack(
    group: Annotated[str, typer.Argument(metavar="GROUP|CHANNEL", help="@shop-oncall, #shop, or an id (S…, C…)")],
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """A `people:` block for oncall.yaml of the members of a Slack user group or channel. Nothing is written."""

    async def work(tocsin: app.Tocsin) -> tuple[str, int]:
        members, left_out = await Members(tocsin.gateway).of(group)
        return people_block(members, tocsin.config.directory.people), left_out

    block, left_out = _apart(config, work)
    typer.echo(block)
    if left_out:
        typer.echo(f"{left_out} more members were left out: import smaller groups", err=True)


def _read(schedule: str, turns: Sequence[str], doubts: Sequence[str]) -> list[str]:
    more = [f"  and {len(turns) - SHOWN} more: use --json"] if len(turns) > SHOWN else []
    lines = [f"It would give {schedule} {len(turns)} {'shift' if len(turns) == 1 else 'shifts'} in that time:"]
    lines += [*(f"  {line}" for line in turns[:SHOWN]), *more] if turns else ["  nobody would be on call"]
    if doubts:
        lines += ["What is in it and fits nobody, or only in part:", *(f"  {one}" for one in doubts)]
    return [
        *lines,
        "To use it: write it under `calendars:` in oncall.yaml, and `calendar: NAME` in a layer of the schedule.",
    ]


def _apart(config: Path, work: Callable[[app.Tocsin], Awaitable[T]]) -> T:
    """The work with the program built beside no database at all: it needs only the configuration and the outside."""
    settings = loaded(config)
    set_up_logs("error", "console")

    async def nowhere(url: str) -> Store:
        return await open_store("memory://")

    async def done() -> T:
        async with app.built(settings, open_store=nowhere) as tocsin:
            return await work(tocsin)

    return run(done())


def _address(where: str) -> str:
    """As calendars are fetched: a file as `file:` and its path; calendars on the web are often written as webcal://."""
    if where.lower().startswith("webcal://"):
        return f"https://{where.partition('://')[2]}"
    return where if where.lower().startswith(("http://", "https://")) else f"file:{where}"
