"""`tocsin silence`: make, list, look at, move and end silences and maintenance windows beside a running server; from and to an Alertmanager."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeVar
from zoneinfo import available_timezones

import typer
from pydantic import TypeAdapter, ValidationError

from bot import app
from bot.cli.beside import said_by, within
from bot.cli.common import DEFAULT_FOLDER, ConfigFolder
from bot.cli.postmortem import incident_number
from bot.cli.runs import Who
from bot.cli.showing import Shown
from bot.clients.alertmanager import Alertmanager
from bot.clients.alertmanager import Silence as Theirs
from bot.clients.api import Server
from bot.domain.naming import clipped
from bot.domain.people import Actor
from bot.domain.silence import shown_time
from bot.domain.silence_told import Listed, TakenOver, counted, when
from bot.domain.silencing import Wish
from bot.entry.api import facts
from bot.entry.silence_exchange import GivenOut, given_out, read_file, taken_in
from bot.entry.silence_words import all_matchers, length, moment, recurring, zone_of
from bot.errors import BadInput

T = TypeVar("T")
commands = typer.Typer(help="Silences and maintenance windows.", no_args_is_help=True)
WIDTH = 150
Number = Annotated[int, typer.Argument(min=1, max=999_999_999, metavar="NUMBER", help="like 42")]
Json = Annotated[bool, typer.Option("--json", help="for programs")]


@commands.command("add")
def add(
    matchers: Annotated[
        list[str] | None, typer.Argument(metavar="MATCHER...", help="like alertname=HighErrorRate 'service=~\"a|b\"'")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", "-r", help="why, for whoever finds it at night; needed")] = "",
    lasts: Annotated[str, typer.Option("--for", help="how long, like 2h; this, --until or --every is needed")] = "",
    until: Annotated[str, typer.Option(help="when it ends, like 2026-11-22T09:00, 09:00 or 'tomorrow 09:00'")] = "",
    begins: Annotated[str, typer.Option("--from", help="when it begins; now when not given")] = "",
    maintenance: Annotated[bool, typer.Option("--maintenance", help="something is being worked on")] = False,
    every: Annotated[list[str] | None, typer.Option(help="recurring: 'sat,sun 02:00-04:00 Europe/Berlin'")] = None,
    zone: Annotated[str, typer.Option(help="the time zone of the times, like Europe/Berlin")] = "UTC",
    incident: Annotated[
        str, typer.Option(help="made for this incident, like INC-7: its matchers, and it is acknowledged")
    ] = "",
    person: Who = "",
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Make a silence, or a maintenance window. What begins to fire and is matched pages only when it is over."""
    given = tuple(text for one in matchers or () for text in all_matchers(one))
    in_zone, now = zone if zone in available_timezones() else zone_of(zone), app.now()
    if not reason.strip():
        raise BadInput("A silence needs a reason: whoever finds it at night must know why. Say it with --reason.")
    if not in_zone:
        raise BadInput(f"--zone: no time zone is called {zone[:60]!r}; write it like Europe/Berlin")
    wish = Wish(
        matchers=given,
        reason=reason,
        lasts=length(lasts) if lasts else None,
        starts_at=moment(begins, in_zone, now) if begins else None,
        ends_at=moment(until, in_zone, now) if until else None,
        kind="maintenance" if maintenance or every else "silence",
        windows=tuple(recurring(one, in_zone) for one in every or ()),
        incident_id=incident_number(incident) if incident else None,
    )

    async def work(tocsin: app.Tocsin, actor: Actor) -> str:
        return (await tocsin.silences.create(wish, actor)).words

    said_by(person, config, work, fresh=True)


@commands.command("list")
def list_(
    everything: Annotated[
        bool, typer.Option("--all", help="also those that were over within the last five days")
    ] = False,
    as_json: Json = False,
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Those that are not over, also the windows of the configuration, and how many alerts each of them hides."""
    now = app.now()

    async def work(tocsin: app.Tocsin) -> list[str]:
        found = [one for one in await tocsin.silences.listing() if everything or one.phase != "expired"]
        if as_json:
            return [json.dumps([facts(one) for one in found], indent=2, ensure_ascii=False)]
        shown = Shown(tocsin.kit.redact)
        return [line for one in found for line in _listed(one, shown, now)] or ["nothing is silenced"]

    for line in within(config, work):
        typer.echo(line)


@commands.command("show")
def show(number: Number, as_json: Json = False, config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """One whole, with the alerts that it hides now."""
    now = app.now()

    async def work(tocsin: app.Tocsin) -> list[str]:
        found = await tocsin.silences.show(number)
        if as_json:
            return [json.dumps(facts(found.listed), indent=2, ensure_ascii=False)]
        shown, silence = Shown(tocsin.kit.redact), found.listed.silence
        lines = [
            f"{silence.ref} of {silence.author or 'nobody'}: {silence.reason}",
            f"{_stands(found.listed, now).removesuffix(',')}, from {shown_time(silence.starts_at)}, {_until(found.listed)}",
            *silence.matchers,
            f"hides {counted(found.listed.hides)} now, {counted(found.listed.hid)} in all",
            *(f"  {one.state.alert.key}: {one.state.alert.summary}" for one in found.hidden),
        ]
        return [shown.line(line) for line in lines]

    for line in within(config, work):
        typer.echo(line)


@commands.command("end")
def end(number: Number, person: Who = "", config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """End one now: what it hides is looked at again at once."""

    async def work(tocsin: app.Tocsin, actor: Actor) -> str:
        return (await tocsin.silences.end(number, actor)).words

    said_by(person, config, work)


@commands.command("extend")
def extend(
    number: Number,
    by: Annotated[str, typer.Argument(help="how much later it ends, like 2h")],
    person: Who = "",
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Let one end later."""
    _moved(number, by, 1, person, config)


@commands.command("shorten")
def shorten(
    number: Number,
    by: Annotated[str, typer.Argument(help="how much earlier it ends, like 30m")],
    person: Who = "",
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Let one end earlier."""
    _moved(number, by, -1, person, config)


def _moved(number: int, by: str, sign: int, person: str, config: Path) -> None:
    moved_by = sign * length(by)

    async def work(tocsin: app.Tocsin, actor: Actor) -> str:
        return (await tocsin.silences.extend(number, moved_by, actor)).words

    said_by(person, config, work)


# ------------------------------------------------------------------------------------------------ from and to an Alertmanager


@commands.command("import")
def import_(
    where: Annotated[
        str, typer.Argument(metavar="URL|FILE", help="an Alertmanager, or a file of `amtool silence query -o json`")
    ],
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Take over silences of an Alertmanager, with authors and comments. Again changes nothing but ends that were moved there."""
    body = None if _is_url(where) else _file(where)

    async def work(tocsin: app.Tocsin) -> list[TakenOver]:
        found = _from_file(where, body) if body is not None else (await _alertmanager(tocsin, where).silences([]))[1]
        return await taken_in(tocsin.silences, found)

    outcomes = within(config, work, fresh=True)
    if not outcomes:
        typer.echo("there is no silence there that could be taken over")
    _summed_up(
        [(f"{one.ref} ({one.silence.ref})" if one.silence else one.ref, one.outcome, one.why) for one in outcomes]
    )


@commands.command("export")
def export(
    url: Annotated[str, typer.Argument(help="an Alertmanager, like http://alertmanager:9093")],
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Make the silences that are not over in an Alertmanager as well. Again changes nothing but ends that were moved here."""

    async def work(tocsin: app.Tocsin) -> list[GivenOut]:
        return await given_out(tocsin.silences, _alertmanager(tocsin, url))

    outcomes = within(config, work)
    if not outcomes:
        typer.echo("there is no silence here that could be given out")
    _summed_up([(one.ref, one.outcome, one.why) for one in outcomes])


def _summed_up(outcomes: Sequence[tuple[str, str, str]]) -> None:
    """What was not as it is, and the counts; exit code 1 when one was refused."""
    for ref, outcome, why in outcomes:
        if outcome != "same":
            typer.echo(f"{ref}: {outcome}{': ' + why if why else ''}")
    counts = {name: sum(one[1] == name for one in outcomes) for name in ("new", "moved", "same", "skipped", "refused")}
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    if said:
        typer.echo(said)
    if counts["refused"]:
        raise typer.Exit(1)


def _alertmanager(tocsin: app.Tocsin, url: str) -> Alertmanager:
    try:
        return Alertmanager(tocsin.kit.http, TypeAdapter(Server).validate_python(url))
    except ValidationError as error:
        why = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise BadInput(f"{url[:100]!r} {why.partition(', like ')[0]}, like http://alertmanager:9093") from error


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def _file(where: str) -> bytes:
    try:
        return Path(where).read_bytes()
    except OSError as error:
        raise BadInput(
            f"{where[:200]!r} is neither an address (http://…) nor a file that can be read: {error.strerror}"
        ) from error


def _from_file(where: str, body: bytes) -> list[Theirs]:
    try:
        return read_file(body)
    except BadInput as error:
        raise BadInput(f"{where[:200]!r}: {error}") from error


# ------------------------------------------------------------------------------------------------ as it is shown


def _listed(one: Listed, shown: Shown, now: datetime) -> list[str]:
    """One on three lines, none of which is long: how it stands; what it matches; who made it, and why."""
    silence = one.silence
    name = shown.line(silence.number or silence.name)
    before = f", {one.hid} in all" if one.hid > one.hides else ""
    author = f"{shown.line(silence.author)}: " if silence.author else ""
    return [
        f"{name}: {_stands(one, now)} {_until(one)}, hides {counted(one.hides)} now{before}",
        f"    {clipped(shown.line(','.join(silence.matchers)), WIDTH)}",
        f"    {author}{clipped(shown.line(silence.reason), WIDTH)}",
    ]


def _stands(one: Listed, now: datetime) -> str:
    """`active` only when it hides what would begin to fire now: not so between the times of one that recurs."""
    return "not now," if one.phase == "active" and not one.silence.covers(now) else one.phase


def _until(one: Listed) -> str:
    ends: datetime | None = one.silence.ends_at
    parts = [f"until {shown_time(ends)}" if ends else "", when(one.silence.windows)]
    return " ".join(part for part in parts if part) or "without an end"
