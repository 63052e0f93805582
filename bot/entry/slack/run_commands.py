"""`/incident runbook`, `run` and `runs`: start a runbook, look at a run, decide about it, look back. Part of commands.py."""

from __future__ import annotations

import re
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from bot.domain.incident import Incident
from bot.domain.people import Actor
from bot.domain.run import Run
from bot.entry.slack.asked import (
    PLANNING,
    REF,
    Ask,
    Command,
    Reply,
    about,
    hidden,
    like,
    sections,
    told,
)
from bot.entry.slack.ports import Flows
from bot.errors import BadInput
from bot.room import mrkdwn, views
from bot.room.blocks import bounded, context
from bot.room.runs import mark, run_message, summary

RUN_REF = re.compile(r"run-?([1-9]\d{0,8})", re.IGNORECASE)
SHOWN_RUNBOOKS = 30
SHOWN_RUNS = 20
Decide = Callable[[int, Actor], Awaitable[str]]


def commands(flows: Flows) -> dict[str, Command]:
    """The part of the table that is about runbooks."""
    runs = RunCommands(flows)
    return {
        "runbook": Command(
            "runbook [INC-7] [NAME key=value …]", "plan a runbook (alone: pick one and fill it in)", runs.runbook
        ),
        "run": Command(
            "run [RUN-3] [pause|resume|cancel|undo]", "look at a run, with its buttons, or decide about it", runs.run
        ),
        "runs": Command("runs [INC-7|NAME]", "the runs here, or of an incident or a runbook", runs.runs),
    }


class RunCommands:
    def __init__(self, flows: Flows) -> None:
        self._flows = flows
        self._verbs: Mapping[str, Decide] = {
            "pause": flows.decisions.pause,
            "resume": flows.decisions.resume,
            "cancel": flows.decisions.cancel,
            "undo": flows.decisions.undo,
        }

    # -------------------------------------------------------------------------------------------- start one

    async def runbook(self, ask: Ask) -> Reply:
        number, rest = await about(ask, self._flows, "runbook")
        if not rest:
            return await self._pick(ask, number)
        name, *given = _words(rest)
        known = [runbook.name for runbook in self._flows.runbooks.all]
        if RUN_REF.fullmatch(name):
            raise BadInput(f"{name.upper()} is a run, not a runbook: `/incident run {name.upper()}` shows it.")
        if name not in known:
            there = ", ".join(known) or "none"
            raise BadInput(f"There is no runbook {name[:60]!r}{like(name, known)} There are: {there}.")
        run = await self._flows.runbooks.start(number, name, _parameters(given), ask.actor)
        return told(f"{run.ref} {PLANNING}")

    async def _pick(self, ask: Ask, number: int) -> Reply:
        available = await self._flows.runbooks.available(number)
        if ask.can_open_modal:
            asked = {"incident": number, "channel": ask.channel_id}
            return Reply(view=views.runbooks(f"INC-{number}", available, asked))
        lines = [f"{mrkdwn.code(runbook.name)} {mrkdwn.line(runbook.title)}" for runbook in available[:SHOWN_RUNBOOKS]]
        return Reply("\n".join(lines) or "There are no runbooks.")

    # -------------------------------------------------------------------------------------------- look at one, decide about it

    async def run(self, ask: Ask) -> Reply:
        words = ask.text.split()
        named = next((word for word in words[:2] if RUN_REF.fullmatch(word)), "")
        rest = [word for word in words if word != named]
        verb = rest[0].lower() if rest else ""
        if len(rest) > 1 or (verb and verb not in self._verbs):
            raise BadInput(self._wrong(verb, named))
        run = await self._flows.runbooks.run(int(RUN_REF.sub(r"\1", named))) if named else await self._only(ask)
        incident = (await self._flows.incidents.show(run.incident_id)).incident
        if hidden(incident, ask.channel_id):
            raise BadInput(f"{run.ref} is of a private incident. Whoever is in its channel can ask there.")
        if verb:
            return told(await self._verbs[verb](run.id, ask.actor))
        message = run_message(run, self._flows.directory())
        where = f" <#{incident.channel_id}>" if incident.channel_id else " the incident's channel"
        note = context(f"{run.ref} as it is now, for you alone. Its own message in{where} is kept up to date.")
        return Reply(message.text, bounded([*message.blocks, note]))

    async def _only(self, ask: Ask) -> Run:
        """The one run that is under way here, when it is the only one."""
        incident = await self._flows.incidents.of_channel(ask.channel_id) if ask.channel_id else None
        runs = (await self._flows.incidents.show(incident.id)).runs if incident else []
        going = [run for run in runs if not run.ended]
        if len(going) == 1:
            return going[0]
        there = f" Under way here: {', '.join(run.ref for run in going)}." if going else ""
        raise BadInput(f"Which run? Say `/incident run RUN-3`. `/incident runs` lists them.{there}")

    def _wrong(self, word: str, named: str) -> str:
        """What to type instead."""
        books = [runbook.name for runbook in self._flows.runbooks.all]
        if not named and (word in books or REF.fullmatch(word)):
            return "`/incident run` is about a run that has begun, like RUN-3. `/incident runbook` plans a new one."
        ref = named.upper() or "RUN-3"
        one = f"{word[:40]!r} is nothing that can be done with a run{like(word, list(self._verbs))}"
        return f"{one} There are: {', '.join(self._verbs)}. For example `/incident run {ref} pause`."

    # -------------------------------------------------------------------------------------------- look back

    async def runs(self, ask: Ask) -> Reply:
        word = ask.text.split(" ")[0]
        number, name = (int(found[1]), "") if (found := REF.fullmatch(word)) else (0, word)
        here = await self._flows.incidents.of_channel(ask.channel_id) if ask.channel_id and not ask.text else None
        if here is not None:
            number = here.id
        if number:
            shown = await self._flows.incidents.show(number)
            if hidden(shown.incident, ask.channel_id):
                raise BadInput(f"{shown.incident.ref} is private. Whoever is in its channel can ask there.")
            found_runs, visible = list(reversed(shown.runs)), {shown.incident.id: shown.incident}
        else:
            found_runs = list(await self._flows.runbooks.history(name))
            visible = {one.id: one for one in await self._flows.incidents.listing(only_open=False)}
        if not found_runs:
            where = f" of INC-{number}" if number else f" of {mrkdwn.code(name, 60)}" if name else ""
            return Reply(f"There has been no run{where} yet.")
        lines = [_listed(run, visible.get(run.incident_id), ask.channel_id) for run in found_runs[:SHOWN_RUNS]]
        more = [f"and {len(found_runs) - SHOWN_RUNS} earlier"] if len(found_runs) > SHOWN_RUNS else []
        return Reply(lines[0] if len(lines) == 1 else f"{len(found_runs)} runs", sections([*lines, *more]))


def _listed(run: Run, incident: Incident | None, channel_id: str) -> str:
    """One run on one line. Of an incident that is private, or not known to be public, only that there was one."""
    when = mrkdwn.date(run.created_at)
    if incident is None or hidden(incident, channel_id):
        return f"🔒 *{run.ref}* of INC-{run.incident_id}: {run.state}, {when}"
    changed = sum(step.changed for step in run.steps)
    what = f", {changed} step{'s' if changed > 1 else ''} changed something" if changed else ", nothing changed"
    glass = ", 🔨 glass broken" if any(one.broke_glass for step in run.steps for one in step.approvals) else ""
    by = mrkdwn.line(run.requested_by.name, 60)
    title = mrkdwn.line(run.runbook.title, 100)
    return f"{mark(run)} *{run.ref}* {title}: {summary(run)}{what}{glass}; INC-{run.incident_id}, by {by}, {when}"


def _words(text: str) -> list[str]:
    """Split as a shell would; typographic quotes, which Slack makes of straight ones, count as quotes."""
    straight = text.translate(str.maketrans("“”„‘’", '"""\'\''))
    try:
        return shlex.split(straight)
    except ValueError as error:
        raise BadInput(f'A quotation mark has no partner ({error}). Write `key="two words"`.') from error


def _parameters(given: Sequence[str]) -> dict[str, Any]:
    found: dict[str, str] = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise BadInput(f"{word[:60]!r} is not `key=value`. For example `/incident runbook restart name=checkout`.")
        found[name] = value
    return found
