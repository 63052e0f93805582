"""`tocsin oncall contact`, `notify`, `quiet`, `zone`, `recovery` and `test-me`: what is one's own. Part of oncall.py."""

from __future__ import annotations

from typing import Annotated

import typer

from bot import app
from bot.cli.common import DEFAULT_FOLDER, ConfigFolder
from bot.cli.oncall_shown import Json, Looked, looked, said, zone_of
from bot.cli.runs import Who, who
from bot.domain.contact_told import Tested, said_rules, said_tested, said_way
from bot.domain.people import Actor
from bot.entry.oncall_facts import own_facts, tested_facts
from bot.entry.oncall_words import named_zone, notify_rules, quiet_hours, yes_or_no

contact = typer.Typer(help="By what you are reached.", no_args_is_help=True)


@contact.command("list")
def list_(person: Who = "", as_json: Json = False, config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """Your methods, your rules and the rest that is your own."""

    async def look(tocsin: app.Tocsin) -> Looked:
        own = await tocsin.contacts.mine(who(person, tocsin.config.directory))
        rules = [f"{severity or 'default'}: {said_rules(each)}" for severity, each in own.rules.items()]
        return own_facts(own), [f"{own.name}:", *(f"  {said_way(way)}" for way in own.ways), *rules, *own.lines]

    looked(config, as_json, look)


@contact.command("add")
def add(
    medium: Annotated[str, typer.Argument(help="a medium of tocsin.yaml, or its kind, like sms")],
    address: Annotated[list[str], typer.Argument(metavar="ADDRESS", help="like +4915112345678")],
    person: Who = "",
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Add one: a code is sent to it, and it is used once that was given to `contact verify`."""
    said(person, config, lambda tocsin, actor: tocsin.contacts.add(medium, " ".join(address), actor))


@contact.command("verify")
def verify(
    code: Annotated[str, typer.Argument(help="the six digits that were sent")],
    person: Who = "",
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Give the code back."""
    said(person, config, lambda tocsin, actor: tocsin.contacts.verify(code, actor))


@contact.command("remove")
def remove(
    method: Annotated[str, typer.Argument(help="one that you added, as `contact list` calls it")],
    person: Who = "",
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Take one back that you added."""
    said(person, config, lambda tocsin, actor: tocsin.contacts.remove(method, actor))


@contact.command("import")
def import_(person: Who = "", config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """Take over e-mail, phone and time zone of your Slack profile; codes are sent to them."""
    said(person, config, lambda tocsin, actor: tocsin.contacts.take_profile(actor))


def try_out(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="a method or medium; all when not given")] = "",
    person: Who = "",
    as_json: Json = False,
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Send yourself a test by every method that is verified. Exit code 1 when one could not be sent."""
    failed: list[Tested] = []

    async def look(tocsin: app.Tocsin) -> Looked:
        found = await tocsin.contacts.test(method, who(person, tocsin.config.directory))
        lines = [f"{'sent  ' if one.ok else 'FAILED'}  {one.key} {one.shown}: {one.answer}" for one in found]
        failed.extend(one for one in found if not one.ok)
        return [tested_facts(one) for one in found], [*lines, said_tested(found)]

    looked(config, as_json, look)
    if failed:
        raise typer.Exit(1)


def notify(
    rules: Annotated[
        list[str], typer.Argument(metavar="RULES", help="SEVERITY RULES: critical slack, sms 3m, call 5m; or reset")
    ],
    person: Who = "",
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """By what you are paged for a severity, and in which order."""

    async def work(tocsin: app.Tocsin, actor: Actor) -> str:
        if [word.lower() for word in rules] in (["reset"], ["off"], ["clear"]):
            return await tocsin.preferences.reset(actor)
        severity, given = notify_rules(" ".join(rules))
        return await tocsin.preferences.notify(severity, given, actor)

    said(person, config, work)


def quiet(
    hours: Annotated[
        list[str],
        typer.Argument(metavar="HOURS", help="[DAYS] HOURS [ZONE] SEVERITIES: 22:00-07:00 warning,info; or off"),
    ],
    person: Who = "",
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """When you do not want to be paged, and for what."""

    async def work(tocsin: app.Tocsin, actor: Actor) -> str:
        if [word.lower() for word in hours] in (["off"], ["never"], ["none"]):
            return await tocsin.preferences.quiet((), (), actor)
        zone = zone_of(await tocsin.oncall.directory(), actor)
        return await tocsin.preferences.quiet(*quiet_hours(" ".join(hours), zone), actor)

    said(person, config, work)


def zone(
    name: Annotated[str, typer.Argument(metavar="ZONE", help="like Europe/Berlin")],
    person: Who = "",
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """In whose time you are told."""
    said(person, config, lambda tocsin, actor: tocsin.preferences.zone(named_zone(name), actor))


def recovery(
    wanted: Annotated[str, typer.Argument(metavar="on|off")],
    person: Who = "",
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Whether you are told when what you were paged for is over."""
    said(person, config, lambda tocsin, actor: tocsin.preferences.recovery(yes_or_no(wanted), actor))
