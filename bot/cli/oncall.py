"""`tocsin oncall`: who is on call now and next, schedules, overrides, swaps, paging: what `/oncall` does, for the day on which Slack is what is down.

Times are written as in Slack (bot.entry.oncall_words). One's own methods are in oncall_own.py, calendars and imports in oncall_calendars.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from bot import app
from bot.cli import oncall_calendars, oncall_own
from bot.cli.common import DEFAULT_FOLDER, ConfigFolder
from bot.cli.oncall_shown import Json, Looked, looked, said, viewer, zone_of
from bot.cli.postmortem import incident_number
from bot.cli.runs import Who, who
from bot.domain import asking
from bot.domain.oncall_told import said_override, said_standing, said_swap, said_turn
from bot.domain.overriding import Wish
from bot.domain.people import Actor
from bot.entry.api_oncall import target_of
from bot.entry.oncall_facts import (
    overrides_facts,
    schedule_facts,
    shares_facts,
    standing_facts,
    turn_facts,
    who_facts,
)
from bot.entry.oncall_words import EXAMPLES, Words, looked_at
from bot.errors import BadInput

commands = typer.Typer(help="Who is on call; overrides, swaps, paging.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="SCHEDULE", help="a schedule of oncall.yaml; all of them when not given")]
Range = Annotated[
    list[str] | None, typer.Argument(metavar="RANGE", help="like 4w, or 2026-12-01 2026-12-31; by itself two weeks")
]
Times = Annotated[
    list[str], typer.Argument(metavar="TIMES", help="FROM TO [WHY]: now 4h ill, or tomorrow 09:00 fri 18:00")
]
Number = Annotated[int, typer.Argument(min=1, max=999_999_999, metavar="NUMBER", help="as `oncall overrides` shows it")]


# ------------------------------------------------------------------------------------------------ looking


@commands.command("now")
def now_(schedule: Name = "", person: Who = "", as_json: Json = False, config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """Who is on call, until when, and who is next."""

    async def look(tocsin: app.Tocsin) -> Looked:
        found, directory = await tocsin.oncall.standings(schedule), await tocsin.oncall.directory()
        actor, now = viewer(person, directory), tocsin.oncall.now()
        lines = [said_standing(one, zone_of(directory, actor, one.schedule), now) for one in found]
        none = "there are no schedules yet: write them under `schedules:` in oncall.yaml"
        return [standing_facts(one) for one in found], lines or [none]

    looked(config, as_json, look)


@commands.command("who")
def who_(
    name: Annotated[str, typer.Argument(help="a schedule, a person, a group, an escalation policy or a service")],
    person: Who = "",
    as_json: Json = False,
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Whom a name means now."""

    async def look(tocsin: app.Tocsin) -> Looked:
        directory = await tocsin.oncall.directory()
        actor, now = viewer(person, directory), tocsin.oncall.now()
        found = await tocsin.oncall.who(name, actor)
        standings = [said_standing(one, zone_of(directory, actor, one.schedule), now) for one in found.standings]
        return who_facts(found), [found.what, *(f"  {line}" for line in (*standings, *found.lines))]

    looked(config, as_json, look)


@commands.command("next")
def next_(
    somebody: Annotated[str, typer.Argument(metavar="PERSON", help="you, when not given")] = "",
    person: Who = "",
    as_json: Json = False,
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """The next turns of somebody, over two months."""

    async def look(tocsin: app.Tocsin) -> Looked:
        directory = await tocsin.oncall.directory()
        actor = viewer(person, directory) if somebody else who(person, directory)
        found, turns = await tocsin.oncall.turns(somebody, actor)
        zone, now = zone_of(directory, actor, turns[0].schedule if turns else ""), tocsin.oncall.now()
        lines = [said_turn(one, zone, now, schedule=True) for one in turns]
        return [turn_facts(one) for one in turns], lines or [f"{found.name} has no turn in the next two months"]

    looked(config, as_json, look)


@commands.command("schedule")
def schedule_(
    schedule: Annotated[str, typer.Argument(help="a schedule of oncall.yaml")],
    time: Range = None,
    person: Who = "",
    as_json: Json = False,
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """The final schedule of a time, with overrides; gaps are marked."""

    async def look(tocsin: app.Tocsin) -> Looked:
        directory = await tocsin.oncall.directory()
        key = asking.schedule(directory, schedule).key
        zone, now = zone_of(directory, viewer(person, directory), key), tocsin.oncall.now()
        since, until = looked_at(" ".join(time or ()), zone, now)
        if as_json:
            directory, (found,) = await tocsin.oncall.final(key, since, until)
            return schedule_facts(directory, found, since, until), ()
        preview = await tocsin.oncall.preview(key, since, until)
        lines = [said_turn(one, zone, now) for one in preview.turns]
        more = [f"and {preview.more} more: look at a shorter time, or use --json"] if preview.more else []
        return None, [f"{key}, times in {zone}:", *(f"  {line}" for line in lines), *more]

    looked(config, as_json, look)


@commands.command("gaps")
def gaps(schedule: Name = "", person: Who = "", as_json: Json = False, config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """When nobody is on call in the next four weeks, and what contradicts itself. Exit code 0 also when there is some."""

    async def look(tocsin: app.Tocsin) -> Looked:
        found, directory = await tocsin.oncall.gaps(schedule), await tocsin.oncall.directory()
        actor, now = viewer(person, directory), tocsin.oncall.now()
        lines = [said_turn(one, zone_of(directory, actor, one.schedule), now, schedule=True) for one in found]
        return [turn_facts(one) for one in found], lines or [
            "no gaps in the next four weeks, and nothing contradicts itself"
        ]

    looked(config, as_json, look)


@commands.command("fairness")
def fairness(
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORDS", help="[SCHEDULE] [RANGE], like shop 8w; the four weeks until now"),
    ] = None,
    person: Who = "",
    as_json: Json = False,
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Hours, nights, weekends and pages of each, in one schedule or in all."""

    async def look(tocsin: app.Tocsin) -> Looked:
        directory, now = await tocsin.oncall.directory(), tocsin.oncall.now()
        given = Words.of(" ".join(words or ()), "UTC", now)
        name = "" if not given.left or given.begins_with_time() else asking.schedule(directory, given.take()).key
        zone = zone_of(directory, viewer(person, directory), name)
        since, until = looked_at(" ".join(given.left), zone, now, back=True)
        found = await tocsin.oncall.fairness(name, since, until)
        return shares_facts(found), [one.words for one in found.shares] or ["nobody was on call"]

    looked(config, as_json, look)


# ------------------------------------------------------------------------------------------------ overrides and swaps


@commands.command("override")
def override(
    schedule: Annotated[str, typer.Argument(help="a schedule of oncall.yaml")],
    somebody: Annotated[str, typer.Argument(metavar="PERSON", help="who is on call then")],
    times: Times,
    person: Who = "",
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Put somebody on call for a time. Whoever is replaced and whoever has to do it are told."""

    async def work(tocsin: app.Tocsin, actor: Actor) -> str:
        directory = await tocsin.oncall.directory()
        found = asking.schedule(directory, schedule)
        wanted = asking.person(directory, somebody, actor)
        words = Words.of(" ".join(times), zone_of(directory, actor, found.key), tocsin.oncall.now())
        starts, ends = words.span()
        return (await tocsin.overrides.create(Wish(found.key, wanted.key, starts, ends, words.why()), actor)).words

    said(person, config, work)


@commands.command("overrides")
def overrides(
    schedule: Name = "", person: Who = "", as_json: Json = False, config: ConfigFolder = DEFAULT_FOLDER
) -> None:
    """Overrides that are not over, and swaps that wait for an answer."""

    async def look(tocsin: app.Tocsin) -> Looked:
        found, swaps, directory = await tocsin.overrides.listing(schedule)
        actor, now = viewer(person, directory), tocsin.oncall.now()
        lines = [said_override(one, directory, zone_of(directory, actor, one.schedule), now) for one in found]
        lines += [said_swap(one, directory, zone_of(directory, actor, one.schedule), now) for one in swaps]
        none = "there are no overrides, and no swap waits for an answer"
        return overrides_facts(found, swaps, directory), lines or [none]

    looked(config, as_json, look)


@commands.command("override-end")
def override_end(number: Number, person: Who = "", config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """End an override now, or take back one that has not begun."""
    said(person, config, lambda tocsin, actor: tocsin.overrides.end(number, actor), fresh=False)


@commands.command("swap")
def swap(
    somebody: Annotated[str, typer.Argument(metavar="PERSON", help="who is asked to take your turn")],
    times: Annotated[
        list[str],
        typer.Argument(metavar="TIMES", help="[SCHEDULE] FROM TO [WHY]; the schedule when you are in several"),
    ],
    person: Who = "",
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Ask somebody to take your turn. They answer in Slack, or with swap-accept and swap-decline."""

    async def work(tocsin: app.Tocsin, actor: Actor) -> str:
        directory = await tocsin.oncall.directory()
        words = Words.of(" ".join(times), "UTC", tocsin.oncall.now())
        key = _schedule_before(words, list(directory.schedules))
        wanted = asking.person(directory, somebody, actor)
        key = asking.schedule(directory, key).key if key else ""
        words.zone = zone_of(directory, actor, key or next(iter(directory.schedules), ""))
        starts, ends = words.span()
        return (await tocsin.overrides.ask(Wish(key, wanted.key, starts, ends, words.why()), actor)).words

    said(person, config, work)


def _schedule_before(words: Words, schedules: Sequence[str]) -> str:
    """The word before the first time; empty when there is none."""
    if not words.left:
        raise BadInput(f"When? Times are written like {EXAMPLES}.")
    named = words.next in schedules or not words.begins_with_time()
    return words.take() if named else ""


@commands.command("swap-accept")
def swap_accept(number: Number, person: Who = "", config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """Take the turn that somebody asked you to take."""

    async def work(tocsin: app.Tocsin, actor: Actor) -> str:
        return (await tocsin.overrides.accept(number, actor)).words

    said(person, config, work, fresh=False)


@commands.command("swap-decline")
def swap_decline(number: Number, person: Who = "", config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """Say no: it stays theirs."""

    async def work(tocsin: app.Tocsin, actor: Actor) -> str:
        return (await tocsin.overrides.decline(number, actor)).words

    said(person, config, work, fresh=False)


@commands.command("swap-withdraw")
def swap_withdraw(number: Number, person: Who = "", config: ConfigFolder = DEFAULT_FOLDER) -> None:
    """Take your question back."""

    async def work(tocsin: app.Tocsin, actor: Actor) -> str:
        return (await tocsin.overrides.withdraw(number, actor)).words

    said(person, config, work, fresh=False)


# ------------------------------------------------------------------------------------------------ paging, and the rest


@commands.command("page")
def page(
    target: Annotated[str, typer.Argument(help="a person, a schedule, a group, or policy:NAME")],
    why: Annotated[list[str], typer.Argument(metavar="WHY", help="whoever is woken must know")],
    incident: Annotated[str, typer.Option(help="for this incident, like INC-7; one is opened when not given")] = "",
    severity: Annotated[str, typer.Option(help="of the incident that is opened; the most severe when not given")] = "",
    person: Who = "",
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Page somebody now."""
    number = incident_number(incident) if incident else None

    async def work(tocsin: app.Tocsin, actor: Actor) -> str:
        wanted = target_of(await tocsin.oncall.directory(), target, actor)
        return await tocsin.incidents.page(number, wanted, " ".join(why), actor, severity)

    said(person, config, work)


commands.command("test-me")(oncall_own.try_out)
commands.add_typer(oncall_own.contact, name="contact")
commands.command("notify")(oncall_own.notify)
commands.command("quiet")(oncall_own.quiet)
commands.command("zone")(oncall_own.zone)
commands.command("recovery")(oncall_own.recovery)
commands.command("calendar")(oncall_calendars.calendar)
commands.command("export")(oncall_calendars.export)
commands.command("import-ical")(oncall_calendars.import_ical)
commands.command("import-slack")(oncall_calendars.import_slack)
