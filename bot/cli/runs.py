"""`tocsin runbook run`, `history` and `show`: runs outside Slack, by the same rules and on the same record."""

from __future__ import annotations

import json
import os
import pwd
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from bot import app
from bot.cli.common import DEFAULT_FOLDER, ConfigFolder, at_home, loaded, set_up_logs
from bot.cli.common import run as run_now
from bot.cli.following import Following, Unmoved, Works
from bot.cli.postmortem import incident_number
from bot.cli.showing import Shown
from bot.cli.terminal import Terminal
from bot.config import Config
from bot.domain.naming import nearest
from bot.domain.parameters import parameters
from bot.domain.people import Actor, Directory
from bot.domain.run import Run, RunState
from bot.domain.runbook import Runbook
from bot.errors import BadInput
from bot.store import open_store

Params = Annotated[list[str] | None, typer.Option("--param", "-p", help="NAME=VALUE, as often as needed")]
AnyRun = Annotated[str, typer.Argument(metavar="RUN", help="like RUN-3")]
Who = Annotated[
    str, typer.Option("--as", help="who you are in oncall.yaml; your user name on this machine when not given")
]
Digests = Annotated[
    list[str] | None, typer.Option(help="approve exactly the plan with this digest (as often as needed)")
]
existing = partial(open_store, create=False)


def run(
    name: Annotated[str, typer.Argument(help="the runbook's name")],
    param: Params = None,
    incident: Annotated[str, typer.Option(help="the incident that it is for, like INC-7")] = "",
    new: Annotated[str, typer.Option(help="open an incident with this title for it instead")] = "",
    person: Who = "",
    yes: Digests = None,
    leave: Annotated[bool, typer.Option("--leave", help="when no server works, leave the run for one")] = False,
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """Start a runbook and follow it; `tocsin serve` does the work. Exit code 0 when it succeeds, 1 when not, 2 when it cannot be started."""
    if bool(incident) == bool(new):
        raise BadInput("say for which incident: --incident INC-7, or --new 'a title' to open one")
    digests = [digest_of(text) for text in yes or []]
    given = pairs(param)
    settings = at_home(loaded(config))
    if settings.database.url.reveal().startswith("memory"):
        raise BadInput("the database is memory://: no server can see a run that is started here")
    set_up_logs("error", "console")
    actor = who(person, settings.directory)

    async def work() -> int:
        async with app.built(settings) as tocsin:
            number = incident_number(incident) if incident else await _opened(tocsin, new, name, given, actor)
            started = await tocsin.runbooks.start(number, name, given, actor)
            return await followed(tocsin, started, actor, digests, leave, config)

    raise typer.Exit(run_now(work()))


def history(
    name: Annotated[str, typer.Argument(help="of this runbook only")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="how many at most")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """The newest runs: who started them, how they ended, what they changed, who approved, and what was undone."""
    settings = loaded(config)
    set_up_logs("error", "console")

    async def work() -> list[str]:
        async with app.built(settings, open_store=existing) as tocsin:
            runs = await tocsin.runbooks.history(name, limit)
            shown = Shown(tocsin.kit.redact, await _undoing(tocsin, runs))
            return [json.dumps([shown.facts(one) for one in runs], indent=2)] if as_json else shown.table(runs)

    for line in run_now(work()):
        typer.echo(line)


def show(
    ref: AnyRun,
    config: ConfigFolder = DEFAULT_FOLDER,
) -> None:
    """One run whole: its steps with plans, approvals, messages and outputs."""
    number, settings = run_number(ref), loaded(config)
    set_up_logs("error", "console")

    async def work() -> list[str]:
        async with app.built(settings, open_store=existing) as tocsin:
            found = await tocsin.runbooks.run(number)
            return Shown(tocsin.kit.redact, await _undoing(tocsin, [found])).whole(found)

    for line in run_now(work()):
        typer.echo(line)


# ------------------------------------------------------------------------------------------------ what they share


def pairs(given: list[str] | None) -> dict[str, str]:
    """`NAME=VALUE` texts as a mapping."""
    return dict(_pair(one) for one in given or [])


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise BadInput(f"--param {text!r}: write it as NAME=VALUE")
    return name, value


def run_number(text: str) -> int:
    """`RUN-3`, `run-3` or `3` to 3."""
    found = re.fullmatch(r"(?:RUN-)?(\d{1,9})", text.strip(), re.IGNORECASE)
    if found is None:
        raise BadInput(f"{text!r} does not name a run; write it like RUN-1")
    return int(found[1])


def who(key: str, directory: Directory) -> Actor:
    """The person at this terminal: as they say, else by their user name. Whoever can read the configuration is believed; it stands on record."""
    wanted = key or _user_name()
    person = directory.people.get(wanted)
    if person is not None:
        return Actor(id=person.key, name=f"{person.name} (command line)")
    people = f" (people: {', '.join(directory.people) or 'none'})"
    if key:
        raise BadInput(f"--as {key!r}: nobody in oncall.yaml is called that{nearest(key, directory.people)}{people}")
    raise BadInput(f"say who you are with --as: your user name {wanted!r} is nobody in oncall.yaml{people}")


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def digest_of(text: str) -> str:
    digest = text.strip().lower()
    if not re.fullmatch(r"[0-9a-f]{16}", digest):
        raise BadInput(
            f"--yes {text[:40]!r}: wanted the digest of a plan, 16 hexadecimal digits, as `tocsin runbook plan` shows it"
        )
    return digest


async def _undoing(tocsin: app.Tocsin, runs: Sequence[Run]) -> dict[int, RunState]:
    """How the runs that take these back are."""
    return {run.undone_by: (await tocsin.runbooks.run(run.undone_by)).state for run in runs if run.undone_by}


async def _opened(tocsin: app.Tocsin, title: str, name: str, given: dict[str, str], actor: Actor) -> int:
    """A new incident for a run, if the run can be started at all."""
    rules = tocsin.current()
    refused = rules.actions.start_refusal(actor, rules.directory)
    if refused:
        raise BadInput(refused)
    parameters(known_runbook(tocsin.config, name), given, {})
    return (await tocsin.incidents.declare(title, "", actor)).id


def known_runbook(settings: Config, name: str) -> Runbook:
    found = settings.runbooks.get(name)
    if found is None:
        there = ", ".join(sorted(settings.runbooks)) or "none"
        raise BadInput(f"there is no runbook called {name!r}{nearest(name, settings.runbooks)}; there are: {there}")
    return found


async def followed(
    tocsin: app.Tocsin, started: Run, actor: Actor, digests: list[str], leave: bool, config: Path
) -> int:
    """Follow it to its end; the exit code."""
    terminal, shown = Terminal(), Shown(tocsin.kit.redact)
    works = Works(tocsin.store, tocsin.runbooks, tocsin.decisions, tocsin.current, app.now)
    terminal.say(f"{started.ref} for INC-{started.incident_id}, as {shown.line(actor.name)}")
    following = Following(works, terminal, shown, started.id, actor, digests)
    try:
        with terminal.listening():
            ended = await following.to_the_end()
    except Unmoved:
        terminal.say(await _unmoved(tocsin, started, actor, leave, config))
        return 1
    return 0 if ended.state is RunState.SUCCEEDED else 1


async def _unmoved(tocsin: app.Tocsin, started: Run, actor: Actor, leave: bool, config: Path) -> str:
    start = f"No `tocsin serve` works on this database; start one with `tocsin serve --config {config}`."
    if leave:
        return f"{start} {started.ref} is left for it."
    try:
        return f"{start} {await tocsin.decisions.cancel(started.id, actor)}"
    except BadInput as error:
        return f"{start} {error}"
