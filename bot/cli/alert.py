"""`tocsin alert`: why an alert did or did not page, what one would do, and one sent through for real as a test."""

from __future__ import annotations

import asyncio
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import typer

from bot import app
from bot.cli.common import DEFAULT_FOLDER, ConfigFolder, at_home, loaded, run, set_up_logs
from bot.cli.serving import PID_FILE, running
from bot.cli.terminal import plain
from bot.config import Config
from bot.domain.alert import TEST_LABEL, Alert
from bot.domain.incoming import Incoming
from bot.domain.naming import clipped, nearest
from bot.domain.passing import HELD, Verdict
from bot.domain.redaction import Redactor
from bot.domain.why import Account, HeldNow, Told, Why, lines
from bot.errors import BadInput
from bot.flow.why import Explain
from bot.plugins import discover
from bot.store import open_store
from bot.store.memory import MemoryStore

commands = typer.Typer(help="Alerts: why they did or did not page, and what one would do.", no_args_is_help=True)
LONGEST = 5 * 1024 * 1024
MOST_SHOWN = 20
REF = re.compile(r"(?:INC-?|#)(\d{1,9})", re.IGNORECASE)
NUMBER = re.compile(r"\d{1,9}", re.ASCII)
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
    every: Annotated[bool, typer.Option("--all", help=f"show more than {MOST_SHOWN} alerts")] = False,
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Say what would become of a payload now: every stage's verdict, the route, who would be paged when, which runbooks fit. Changes nothing."""
    settings = loaded(config)
    set_up_logs("error", "console")
    alerts = _alerts(settings, payload, source, path, header)
    redact = Redactor(dict(settings.redact_extra))

    async def work() -> list[Why]:
        async def nothing(url: str) -> MemoryStore:
            return MemoryStore()

        opening = nothing if fresh or not _has_database(settings) else existing
        async with app.built(settings, open_store=opening) as tocsin:
            return await tocsin.explain.hypothetical([redact.alert(one) for one in alerts])

    whys = run(work())
    shown = whys if every else whys[:MOST_SHOWN]
    for why in shown:
        _say([*lines(why), ""])
    if rest := whys[len(shown) :]:
        _say([f"and {len(rest)} more: {_counted(one.outcome for one in rest)}. --all shows each.", ""])
    named = any(one.outcome == "joined" for one in whys) and any(one.outcome == "opened" for one in whys)
    numbers = "Incidents that are not there yet have the numbers that they would get. " if named else ""
    typer.echo(f"{numbers}Nothing was changed, and nobody was paged.")


@commands.command("why")
def why(
    name: Annotated[
        str,
        typer.Argument(
            help="an incident like INC-7, or an alert's fingerprint (its first letters are enough); nothing, or `held`: what is held now"
        ),
    ] = "",
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Say why an alert that came in did or did not page, stage by stage, from the log."""
    settings = loaded(config)
    set_up_logs("error", "console")

    async def work() -> list[str]:
        async with app.built(settings, open_store=existing) as tocsin:
            asked = name.strip()
            if asked.lower() in ("", "held"):
                return _held(await tocsin.explain.held())
            return await _why(tocsin.explain, asked)

    _say(run(work()))


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
    labels = _labels(label)
    given = _alerts(settings, payload, source, path, header) if payload else [_made_up(settings, labels)]
    redact = Redactor(dict(settings.redact_extra))
    alerts = [redact.alert(_as_test(one, labels, resolve)) for one in given]

    async def work() -> tuple[list[Verdict], list[Why]]:
        async with app.built(settings) as tocsin, asyncio.TaskGroup() as tasks:
            whys = await tocsin.explain.hypothetical(alerts)
            tasks.create_task(tocsin.intake.run())
            try:
                verdicts = await tocsin.intake.accept(alerts)
            finally:
                tocsin.intake.stop()
            return verdicts, whys

    verdicts, whys = run(work())
    for one in whys[:MOST_SHOWN]:
        _say([*lines(one), ""])
    _say(f"Sent: {_outcome(verdict)}" for verdict in verdicts[:MOST_SHOWN])
    if len(verdicts) > MOST_SHOWN:
        _say([f"and {len(verdicts) - MOST_SHOWN} more: {_counted(one.outcome for one in verdicts[MOST_SHOWN:])}"])
    if any(verdict.outcome in ("opened", "reopened") for verdict in verdicts):
        typer.echo(_who_pages(settings))
    if resolve and all(verdict.outcome in ("ignored", "repeated") for verdict in verdicts):
        typer.echo("Nothing was ended: an end needs the same labels (or payload) as its beginning.")
    if any(alert.firing for alert in alerts):
        typer.echo("End it with `tocsin alert test --resolve` and the same options.")


def _outcome(verdict: Verdict) -> str:
    """What has become of it, in a few words; the whole of it stands above."""
    ref = f"INC-{verdict.incident_id}" if verdict.incident_id else ""
    match verdict.outcome:
        case "opened" | "reopened":
            return f"{ref} is {verdict.outcome}."
        case "resolved" if ref:
            return f"its end; {ref} is resolved when none of its alerts fires any more."
        case outcome if outcome in HELD:
            return f"it is held ({outcome}), so nobody is paged now: {verdict.reason}."
    return f"{verdict.outcome}{f' ({ref})' if ref else ''}, so nobody is paged: {verdict.reason}."


def _who_pages(settings: Config) -> str:
    """What opens the channel and pages is a server, not this command."""
    if not settings.database.url.reveal().startswith("sqlite"):
        return "Any `tocsin serve` on this database opens the channel and pages; without one, nobody is paged before one is started."
    try:
        running(settings.state / PID_FILE)
    except (OSError, ValueError):
        return "NO SERVER RUNS HERE: the channel is opened and people are paged as soon as `tocsin serve` is started."
    return "The server that runs here opens the channel and pages now."


async def _why(explain: Explain, name: str) -> list[str]:
    """By the incident's name; a number alone may be one, or a fingerprint."""
    named = REF.fullmatch(name)
    if named:
        return _account(await explain.incident(int(named[1])))
    try:
        return [line for one in await explain.alert(name) for line in _told(one)]
    except BadInput:
        if not NUMBER.fullmatch(name):
            raise
        return _account(await explain.incident(int(name)))


def _held(held: Sequence[HeldNow]) -> list[str]:
    if not held:
        return ["Nothing is held: whatever fires has its incident, or is only logged."]
    told = []
    for one in held:
        again = one.state.held.again_at if one.state.held else None
        looked = f", looked at again {again:%Y-%m-%d %H:%M} UTC" if again else ""
        told.append(f"{_called(one.state.alert)}: {one.by}{looked}")
    return told


def _say(told: Iterable[str]) -> None:
    """Texts of alerts must not steer the terminal."""
    for line in told:
        typer.echo(plain(line.replace("\r\n", " ").replace("\n", " ")))


def _counted(outcomes: Iterable[str]) -> str:
    return ", ".join(f"{count} {outcome}" for outcome, count in Counter(outcomes).most_common())


def _called(alert: Alert) -> str:
    return f"{clipped(alert.summary, 150)} ({alert.key})"


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
    headers = dict(_pair("--header", one, ":") for one in header or ())
    incoming = Incoming(body, {key.lower(): value for key, value in headers.items()}, path.strip("/"))
    try:
        parsed = discover("sources")[entry.type].parse(incoming, name, entry.params, app.now())
    except BadInput as error:
        raise BadInput(f"{payload}: source {name!r} ({entry.type}) cannot read it: {error}") from error
    for index, reason in parsed.bad:
        typer.echo(f"alert {index} cannot be read: {reason}", err=True)
    if not parsed.alerts:
        told = f"{len(parsed.changes)} changes" if parsed.changes else "no alert"
        raise BadInput(f"{payload}: {told} in it for source {name!r}, so there is nothing to judge")
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
        raise BadInput(f"{payload}: larger than {LONGEST} bytes; give one delivery, as the sender sends it")
    return body


def _made_up(settings: Config, labels: dict[str, str]) -> Alert:
    """The same labels make the same alert, so that its end finds it."""
    made = {"alertname": "TocsinTest", settings.signal.taxonomy.label: settings.signal.taxonomy.default, **labels}
    fingerprint = sha256(repr(sorted(made.items())).encode(errors="replace")).hexdigest()[:16]
    annotations = {"summary": "A test from the command line: nothing is broken"}
    return Alert("tocsin", fingerprint, True, made, annotations, app.now())


def _as_test(alert: Alert, labels: dict[str, str], resolve: bool) -> Alert:
    """It fires (or ends) now, whenever its payload was recorded, and is never taken for the real one."""
    now, firing = app.now(), alert.firing and not resolve
    return replace(
        alert,
        fingerprint=f"test-{alert.fingerprint}",
        firing=firing,
        labels={**alert.labels, **labels, TEST_LABEL: "true"},
        starts_at=now,
        ends_at=None if firing else now,
    )


def _labels(given: Sequence[str] | None) -> dict[str, str]:
    return dict(_pair("--label", one, "=") for one in given or ())


def _pair(option: str, text: str, between: str) -> tuple[str, str]:
    name, found, value = text.encode(errors="replace").decode().partition(between)  # arguments may hold broken bytes
    if not found or not name.strip():
        raise BadInput(f"{option} {text!r}: wanted NAME{between}VALUE")
    return name.strip(), value.strip()


def _account(account: Account) -> list[str]:
    incident = account.incident
    told = [f"{incident.ref} {incident.title}: {incident.state}, route {incident.route or 'none (opened by hand)'}"]
    for one in account.alerts:
        told += ["", *_told(one)]
    if account.alerts and incident.alerts > len(account.alerts):
        told += ["", f"and {incident.alerts - len(account.alerts)} more alerts"]
    told += ["", "Paging:", *([f"  {account.nobody}"] if account.nobody else [])]
    return [*told, *(f"  {entry.at:%Y-%m-%d %H:%M:%S} UTC  {entry.text}" for entry in account.paging)]


def _told(one: Told) -> list[str]:
    held = one.state.held
    now = f"held ({held.outcome})" if held else one.incident.ref if one.incident else "no incident"
    told = [f"{_called(one.state.alert)}: {'firing' if one.state.alert.firing else 'resolved'}, {now}"]
    if not one.decisions:
        told.append("  The log no longer has the decisions about it: only repeats are left.")
    for decision in one.decisions:
        told.append(f"  {decision.at:%Y-%m-%d %H:%M:%S} UTC")
        told += [f"    {line}" for line in lines(decision)]
    return told
