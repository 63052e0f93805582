"""`tocsin incident`: see, acknowledge and resolve without Slack, for the day on which Slack is what is down. The same rules, the same record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer

from bot import app
from bot.cli.beside import said_by, within
from bot.cli.common import DEFAULT_FOLDER, ConfigFolder
from bot.cli.postmortem import incident_number
from bot.cli.runs import Who
from bot.cli.showing import Shown
from bot.domain.incident import Incident
from bot.domain.page import Page
from bot.domain.people import Actor
from bot.domain.timeline import Entry
from bot.entry.incident_words import incident_facts, shown_facts
from bot.errors import BadInput

commands = typer.Typer(help="Incidents, without Slack.", no_args_is_help=True)
LATEST = 15
Ref = Annotated[str, typer.Argument(metavar="INCIDENT", help="like INC-7")]
Why = Annotated[list[str] | None, typer.Argument(metavar="WHY...", help="in words, for the timeline")]
Json = Annotated[bool, typer.Option("--json", help="for programs")]


@commands.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="also those that are over")] = False,
    as_json: Json = False,
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """What is open, the newest first."""

    async def work(tocsin: app.Tocsin) -> list[str]:
        found = await tocsin.incidents.listing(only_open=not everything)
        if as_json:
            return [json.dumps([incident_facts(one) for one in found], indent=2, ensure_ascii=False)]
        shown = Shown(tocsin.kit.redact)
        return [shown.line(_listed(one)) for one in found] or ["nothing is open"]

    _echo(within(config, work))


@commands.command("show")
def show(incident: Ref, as_json: Json = False, config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """One whole: its state, whom it has reached by what, its alerts, and the latest of its timeline."""
    number = incident_number(incident)

    async def work(tocsin: app.Tocsin) -> list[str]:
        found = await tocsin.incidents.show(number)
        if as_json:
            return [json.dumps(shown_facts(found), indent=2, ensure_ascii=False)]
        alerts = [f"  {'firing  ' if one.alert.firing else 'resolved'}  {one.alert.summary}" for one in found.alerts]
        lines = [
            _listed(found.incident),
            *(["alerts:", *alerts] if alerts else []),
            *(["who was reached:", *(_page(page) for page in found.pages)] if found.pages else []),
            "timeline, newest last:",
            *_entries(found.timeline[-LATEST:]),
        ]
        shown = Shown(tocsin.kit.redact)
        return [shown.line(line) for line in lines]

    _echo(within(config, work))


@commands.command("open")
def open_(
    title: Annotated[list[str], typer.Argument(metavar="TITLE...", help="what is broken")],
    severity: Annotated[str, typer.Option(help="how bad it is; the default one when not given")] = "",
    service: Annotated[str, typer.Option(help="a service of services.yaml")] = "",
    person: Who = "",
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Open an incident by hand: whoever is on call by the default policy is paged."""

    async def work(tocsin: app.Tocsin, actor: Actor) -> str:
        made = await tocsin.incidents.declare(" ".join(title), severity, actor, service)
        return f"{made.ref} is open: {made.title}"

    said_by(person, config, work, fresh=True)


@commands.command("ack")
def ack(incident: Ref, person: Who = "", config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """Take it: nobody else is paged."""
    number = incident_number(incident)
    said_by(person, config, lambda tocsin, actor: tocsin.incidents.acknowledge(number, actor))


@commands.command("resolve")
def resolve(incident: Ref, why: Why = None, person: Who = "", config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """It is over."""
    number, words = incident_number(incident), " ".join(why or ())
    said_by(person, config, lambda tocsin, actor: tocsin.incidents.resolve(number, actor, words))


@commands.command("mitigate")
def mitigate(incident: Ref, why: Why = None, person: Who = "", config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """The harm has stopped; the cause may remain."""
    number, words = incident_number(incident), " ".join(why or ())
    said_by(person, config, lambda tocsin, actor: tocsin.incidents.mitigate(number, actor, words))


@commands.command("escalate")
def escalate(incident: Ref, person: Who = "", config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """Page the next level now."""
    number = incident_number(incident)
    said_by(person, config, lambda tocsin, actor: tocsin.incidents.escalate(number, actor))


@commands.command("severity")
def severity(
    incident: Ref,
    level: Annotated[str, typer.Argument(help="like critical")],
    person: Who = "",
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Say how bad it is; worse than before pages anew."""
    number = incident_number(incident)
    said_by(person, config, lambda tocsin, actor: tocsin.incidents.set_severity(number, level, actor))


@commands.command("note")
def note(incident: Ref, text: Why = None, person: Who = "", config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """Write into the timeline."""
    number, words = incident_number(incident), " ".join(text or ())
    if not words.strip():
        raise BadInput("A note needs words: tocsin incident note INC-7 the database was restarted by hand")
    said_by(person, config, lambda tocsin, actor: tocsin.incidents.note(number, words, actor))


def _listed(one: Incident) -> str:
    by = f" by {one.acknowledged_by}" if one.acknowledged_by else ""
    return f"{one.ref}  {one.state}{by}  {one.severity}  since {_time(one.opened_at)}  {one.title}"


def _page(page: Page) -> str:
    answer = f" ({page.answer})" if page.answer else ""
    return f"  {_time(page.state_at)}  {page.name} by {page.medium}: {page.state}{answer}"


def _entries(entries: Sequence[Entry]) -> list[str]:
    return [f"  {_time(entry.at)}  {entry.text.splitlines()[0] if entry.text else entry.kind}" for entry in entries]


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _echo(lines: Sequence[str]) -> None:
    for line in lines:
        typer.echo(line)
