"""`/incident …` (and `@Tocsin …`): words in, one flow call, words out. Knows nothing of Bolt."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.incident import Incident
from bot.domain.timeline import Entry
from bot.entry.slack import run_commands, silence_commands, why_commands
from bot.entry.slack.asked import Ask, Command, Reply, about, hidden, like, sections, told
from bot.entry.slack.ports import Flows
from bot.errors import BadInput
from bot.room import messages, mrkdwn, notices, views
from bot.room.blocks import bounded, context, severity_mark

SHOWN_ENTRIES = 8
SHOWN_INCIDENTS = 30


class Commands:
    """All subcommands. Where one takes an incident, `INC-7` comes first and may be left out inside an incident's channel."""

    def __init__(self, flows: Flows) -> None:
        self._flows = flows
        self.table: dict[str, Command] = {
            "open": Command("open [severity] TITLE", "open an incident (alone: a form)", self._open),
            "list": Command("list [all]", "what is open now", self._list),
            "show": Command("show [INC-7]", "state, alerts, runbooks and the latest of its timeline", self._show),
            "ack": Command("ack [INC-7]", "take it: nobody else is paged", self._ack),
            "still": Command("still [INC-7]", "you are still at it: the reminder's answer", self._still),
            "mitigate": Command("mitigate [INC-7] [WHY]", "the harm has stopped, the cause may remain", self._mitigate),
            "resolve": Command("resolve [INC-7] [WHY]", "it is over", self._resolve),
            "note": Command("note [INC-7] TEXT", "write into the timeline (alone: a form)", self._note),
            "severity": Command("severity [INC-7] LEVEL", "say how bad it is", self._severity),
            "escalate": Command("escalate [INC-7]", "page the next level now", self._escalate),
            **why_commands.commands(flows),
            **silence_commands.commands(flows),
            **run_commands.commands(flows),
            "postmortem": Command(
                "postmortem [INC-7]", "write the draft from the timeline as it stands", self._postmortem
            ),
            "help": Command("help", "this list", self._help),
        }

    async def run(self, ask: Ask) -> Reply:
        """The reply to a command; raises BadInput with what to type instead, TryLater when nothing was done."""
        word, _, rest = ask.text.strip().partition(" ")
        name = ALIASES.get(word.lower(), word.lower()) or "help"
        command = self.table.get(name)
        if command is None:
            known = [*self.table, *ALIASES]
            raise BadInput(
                f"There is no `/incident {word[:40]}`{like(name, known)} `/incident help` lists what there is."
            )
        return await command.run(replace(ask, text=rest.strip()))

    async def _help(self, ask: Ask) -> Reply:
        lines = [f"`/incident {command.usage}`  {command.help}" for command in self.table.values()]
        lines.append("`/oncall help`  who is on call, overrides, swaps, paging somebody, and how you are reached")
        return Reply("*What I can do*\n" + "\n".join(lines))

    async def _open(self, ask: Ask) -> Reply:
        severities = self._flows.incidents.severities
        if not ask.text and ask.can_open_modal:
            return Reply(view=views.open_incident(severities, {"channel": ask.channel_id}))
        word, _, rest = ask.text.partition(" ")
        severity, title = (word.lower(), rest) if word.lower() in severities else ("", ask.text)
        return opened(await self._flows.incidents.declare(title.strip(), severity, ask.actor))

    async def _list(self, ask: Ask) -> Reply:
        everything = ask.text.lower() == "all"
        found = await self._flows.incidents.listing(only_open=not everything)
        if not found:
            return Reply("Nothing is open." if not everything else "There has been no incident yet.")
        lines = [listed(incident, ask.channel_id) for incident in found[:SHOWN_INCIDENTS]]
        more = [f"and {len(found) - SHOWN_INCIDENTS} more"] if len(found) > SHOWN_INCIDENTS else []
        pieces = sections([*lines, *more])
        return Reply(lines[0] if len(lines) == 1 else f"{len(found)} incidents", pieces)

    async def _show(self, ask: Ask) -> Reply:
        number, _ = await about(ask, self._flows, "show")
        shown = await self._flows.incidents.show(number)
        card = messages.card(shown.incident, shown.alerts, shown.runs, self._flows.directory(), buttons=False)
        who = sections(["*Who was reached*, newest last", *notices.reached(shown.pages)]) if shown.pages else []
        latest = [_entry(entry) for entry in shown.timeline[-SHOWN_ENTRIES:]]
        timeline = sections(["*Timeline*, newest last", *latest]) if latest else []
        where = [context(f"Its channel: <#{shown.incident.channel_id}>")] if shown.incident.channel_id else []
        return Reply(card.text, bounded([*card.blocks, *who, *timeline, *where]))

    async def _ack(self, ask: Ask) -> Reply:
        number, _ = await about(ask, self._flows, "ack")
        return told(await self._flows.incidents.acknowledge(number, ask.actor))

    async def _still(self, ask: Ask) -> Reply:
        number, _ = await about(ask, self._flows, "still")
        return told(await self._flows.incidents.still_at_it(number, ask.actor))

    async def _resolve(self, ask: Ask) -> Reply:
        number, why = await about(ask, self._flows, "resolve")
        return told(await self._flows.incidents.resolve(number, ask.actor, why))

    async def _mitigate(self, ask: Ask) -> Reply:
        number, why = await about(ask, self._flows, "mitigate")
        return told(await self._flows.incidents.mitigate(number, ask.actor, why))

    async def _note(self, ask: Ask) -> Reply:
        number, text = await about(ask, self._flows, "note")
        if not text and ask.can_open_modal:
            return Reply(view=views.note(f"INC-{number}", {"incident": number, "channel": ask.channel_id}))
        return told(await self._flows.incidents.note(number, text, ask.actor))

    async def _severity(self, ask: Ask) -> Reply:
        number, level = await about(ask, self._flows, "severity")
        known = self._flows.incidents.severities
        if level.lower() not in known:
            wrong = f"{level[:40]!r} is not a severity{like(level.lower(), known)}" if level else "Which severity?"
            raise BadInput(f"{wrong} There are: {', '.join(known)}. For example `/incident severity {known[0]}`.")
        return told(await self._flows.incidents.set_severity(number, level.lower(), ask.actor))

    async def _escalate(self, ask: Ask) -> Reply:
        number, _ = await about(ask, self._flows, "escalate")
        return told(await self._flows.incidents.escalate(number, ask.actor))

    async def _postmortem(self, ask: Ask) -> Reply:
        number, _ = await about(ask, self._flows, "postmortem")
        path, text = await self._flows.review.draft(number)
        words = len(text.split())
        return Reply(
            f"The draft is written: {mrkdwn.code(path)} ({words} words). It is shared in the channel when INC-{number} resolves."
        )


ALIASES = {
    "": "help",
    "declare": "open",
    "new": "open",
    "ls": "list",
    "status": "show",
    "acknowledge": "ack",
    "close": "resolve",
    "sev": "severity",
    "page": "escalate",
    "mute": "silence",
    "silences": "silence",
    "runbooks": "runbook",
    "history": "runs",
    "post-mortem": "postmortem",
    "?": "help",
}


def opened(incident: Incident) -> Reply:
    where = f"<#{incident.channel_id}>" if incident.channel_id else f"#{incident.channel_name}"
    title = mrkdwn.bold(incident.title)
    return Reply(
        f"{severity_mark(incident.severity)} {incident.ref} is open: {title}. You are invited to {where} in a moment."
    )


def listed(incident: Incident, channel_id: str = "") -> str:
    """One incident on one line, for somebody in that channel."""
    if hidden(incident, channel_id):
        return f"🔒 *{incident.ref}* a private incident: {incident.state}, since {mrkdwn.date(incident.opened_at)}"
    who = f", {mrkdwn.line(incident.acknowledged_by, 60)} has it" if incident.acknowledged_by else ""
    where = f" <#{incident.channel_id}>" if incident.channel_id else ""
    since = mrkdwn.date(incident.opened_at)
    mark = severity_mark(incident.severity) if incident.is_open else "✅"
    return f"{mark} *{incident.ref}* {mrkdwn.line(incident.title, 150)}: {incident.state}{who}, since {since}{where}"


def _entry(entry: Entry) -> str:
    return f"{mrkdwn.date(entry.at)} {mrkdwn.line(entry.text, 300)}"
