"""`tocsin alert`: why an alert did or did not page, what one would do, and one sent through for real as a test."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bot import app
from bot.cli.common import DEFAULT_FOLDER, ConfigFolder, at_home, loaded, run, set_up_logs
from bot.cli.postmortem import INCIDENT
from bot.config import Config
from bot.domain.alert import TEST_LABEL, Alert
from bot.domain.incoming import Incoming
from bot.domain.naming import nearest
from bot.domain.passing import Verdict
from bot.domain.redaction import Redactor
from bot.domain.why import Account, Told, lines
from bot.errors import BadInput
from bot.plugins import discover
from bot.store import open_store
from bot.store.memory import MemoryStore

commands = typer.Typer(help="Alerts: why they did or did not page, and what one would do.", no_args_is_help=True)
LONGEST = 5 * 1024 * 1024
existing = partial(open_store, create=False)
Payload = Annotated[Path, typer.Argument(help="a webhook's body as the sender sends it; - for standard input")]
Source = Annotated[str, typer.Option(help="which source of tocsin.yaml it is for; needed when there are several")]
Path_ = Annotated[str, typer.Option("--path", help="what the sender has behind /webhooks/SOURCE/")]
Header = Annotated[list[str] | None, typer.Option("--header", "-H", help="NAME: VALUE, as often as needed")]
Label = Annotated[list[str] | None, typer.Option("--label", "-l", help="NAME=VALUE, as often as needed")]


@commands.command("explain")
def explain(
    payload: Payload,
    source: Source = "",
    path: Path_ = "",
    header: Header = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="as if nothing had come in before: no database is asked")
    ] = False,
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Say what would become of a payload now: every stage's verdict, the route, who would be paged when, which runbooks fit. Changes nothing."""
    settings = loaded(config)
    set_up_logs("error", "console")
    alerts = _alerts(settings, payload, source, path, header)
    redact = Redactor(dict(settings.redact_extra))

    async def work() -> list[list[str]]:
        async def nothing(url: str) -> MemoryStore:
            return MemoryStore()

        opening = nothing if fresh or not _has_database(settings) else existing
        async with app.built(settings, open_store=opening) as tocsin:
            return [lines(why) for why in await tocsin.explain.hypothetical([redact.alert(one) for one in alerts])]

    for told in run(work()):
        typer.echo("\n".join(told) + "\n")
    typer.echo("Nothing was changed, and nobody was paged.")


@commands.command("why")
def why(
    name: Annotated[
        str, typer.Argument(help="an incident like INC-7, or an alert's fingerprint; nothing: what is held now")
    ] = "",
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Say why an alert that came in did or did not page, from the log."""
    settings = loaded(config)
    set_up_logs("error", "console")

    async def work() -> list[str]:
        async with app.built(settings, open_store=existing) as tocsin:
            if not name:
                held = await tocsin.explain.held()
                return [
                    f"{one.alert.summary} ({one.alert.key}): {one.held.outcome} by {one.held.by}"
                    for one in held
                    if one.held
                ] or ["Nothing is held: whatever fires has its incident."]
            incident = INCIDENT.fullmatch(name.strip())
            if incident:
                return _account(await tocsin.explain.incident(int(incident[1])))
            return [line for one in await tocsin.explain.alert(name) for line in _told(one)]

    typer.echo("\n".join(run(work())))


@commands.command("test")
def send(
    payload: Annotated[Path | None, typer.Argument(help="a webhook's body; none: an alert made up for it")] = None,
    source: Source = "",
    path: Path_ = "",
    header: Header = None,
    label: Label = None,
    resolve: Annotated[bool, typer.Option("--resolve", help="send its end instead")] = False,
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Send an alert through for real, marked as a test: an incident, its channel, its pages. It joins, holds and fixes nothing that is real."""
    settings = at_home(loaded(config))
    set_up_logs("error", "console")
    if settings.database.url.reveal().startswith("memory"):
        raise BadInput("the database is memory://: no server can see an alert that is sent from here")
    labels = {TEST_LABEL: "true", **_labels(label)}
    given = _alerts(settings, payload, source, path, header) if payload else [_made_up(settings, not resolve)]
    redact = Redactor(dict(settings.redact_extra))
    alerts = [redact.alert(_as_test(one, labels)) for one in given]

    async def work() -> tuple[list[Verdict], list[str]]:
        async with app.built(settings) as tocsin, asyncio.TaskGroup() as tasks:
            whys = await tocsin.explain.hypothetical(alerts)
            tasks.create_task(tocsin.intake.run())
            try:
                verdicts = await tocsin.intake.accept(alerts)
            finally:
                tocsin.intake.stop()
            return verdicts, [line for why in whys for line in lines(why)]

    verdicts, told = run(work())
    typer.echo("\n".join(told))
    for verdict in verdicts:
        where = f"INC-{verdict.incident_id}: " if verdict.incident_id else ""
        typer.echo(f"Sent: {where}{verdict.outcome}. A server (`tocsin serve`) opens the channel and pages.")
    if not resolve:
        typer.echo("End it with `tocsin alert test --resolve` and the same options, or with `/incident resolve`.")


def _has_database(settings: Config) -> bool:
    """Whether there is one to ask: a new installation has none yet, and explaining must not make one."""
    kind, _, place = settings.database.url.reveal().partition(":///")
    return not kind.startswith("sqlite") or Path(place.partition("?")[0]).exists()


def _alerts(settings: Config, payload: Path, source: str, path: str, header: Sequence[str] | None) -> list[Alert]:
    """What the payload says, read as that source would."""
    name = source or (next(iter(settings.sources)) if len(settings.sources) == 1 else "")
    entry = settings.sources.get(name)
    if entry is None:
        there = ", ".join(settings.sources) or "none"
        wrong = (
            f"there is no source {name!r}{nearest(name, settings.sources)}"
            if name
            else "say which source it is for: --source NAME"
        )
        raise BadInput(f"{wrong} (sources: {there})")
    body = _read(payload)
    headers = dict(_pair(one, ":") for one in header or ())
    incoming = Incoming(body, {key.lower(): value for key, value in headers.items()}, path.strip("/"))
    parsed = discover("sources")[entry.type].parse(incoming, name, entry.params, app.now())
    for index, reason in parsed.bad:
        typer.echo(f"alert {index} cannot be read: {reason}", err=True)
    if not parsed.alerts:
        told = f"{len(parsed.changes)} changes" if parsed.changes else "no alert"
        raise BadInput(f"{payload}: {told} in it for source {name!r}, so there is nothing to explain")
    return list(parsed.alerts)


def _read(payload: Path) -> bytes:
    if str(payload) == "-":
        body = sys.stdin.buffer.read(LONGEST + 1)
    else:
        try:
            with payload.open("rb") as file:
                body = file.read(LONGEST + 1)
        except OSError as error:
            raise BadInput(f"{payload}: cannot be read: {error.strerror or error}") from error
    if len(body) > LONGEST:
        raise BadInput(f"{payload}: larger than {LONGEST} bytes")
    return body


def _made_up(settings: Config, firing: bool) -> Alert:
    labels = {"alertname": "TocsinTest", settings.signal.taxonomy.label: settings.signal.taxonomy.default}
    annotations = {"summary": "A test from the command line: nothing is broken"}
    now = app.now()
    return Alert("tocsin", "test", firing, labels, annotations, now, None if firing else now)


def _as_test(alert: Alert, labels: dict[str, str]) -> Alert:
    return replace(alert, fingerprint=f"test-{alert.fingerprint}", labels={**alert.labels, **labels})


def _labels(given: Sequence[str] | None) -> dict[str, str]:
    return dict(_pair(one, "=") for one in given or ())


def _pair(text: str, between: str) -> tuple[str, str]:
    name, found, value = text.partition(between)
    if not found or not name.strip():
        raise BadInput(f"{text!r}: wanted NAME{between}VALUE")
    return name.strip(), value.strip()


def _account(account: Account) -> list[str]:
    told = [
        f"{account.incident.ref} {account.incident.title}: {account.incident.state}, route {account.incident.route or 'none (opened by hand)'}"
    ]
    for one in account.alerts:
        told += ["", *_told(one)]
    told += ["", "Paging:", *(f"  {entry.at:%Y-%m-%d %H:%M:%S} UTC  {entry.text}" for entry in account.paging)]
    return told if account.paging else [*told, "  nobody was paged"]


def _told(one: Told) -> list[str]:
    held = one.state.held
    now = f"held by {held.by}" if held else one.incident.ref if one.incident else "no incident"
    told = [
        f"{one.state.alert.summary} ({one.state.alert.key}): {'firing' if one.state.alert.firing else 'resolved'}, {now}"
    ]
    for decision in one.decisions:
        told.append(f"  {decision.at:%Y-%m-%d %H:%M:%S} UTC")
        told += [f"    {line}" for line in lines(decision)]
    return told
