"""`/oncall …`: who is on call now and next, schedules, gaps, fairness, calendars, and paging somebody. Words in, one flow call, words out.

Overrides and swaps are in override_commands.py, one's own methods and preferences in contact_commands.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bot.domain import asking
from bot.domain.people import Directory
from bot.entry.oncall_words import looked_at
from bot.entry.silence_words import straight
from bot.entry.slack.asked import REF, Ask, Command, Reply, like, must_be_seen_here, sections, told
from bot.entry.slack.contact_commands import contact_commands
from bot.entry.slack.oncall_forms import zone_of_asker
from bot.entry.slack.override_commands import LONGEST_NAME, override_commands
from bot.entry.slack.ports import Flows
from bot.errors import BadInput
from bot.room import blocks as kit
from bot.room import mrkdwn, oncall

MOST_WORDS = 2000


class OnCallCommands:
    """All subcommands of `/oncall`."""

    def __init__(self, flows: Flows) -> None:
        self._flows = flows
        self._looking = flows.oncall.looking
        self.table: dict[str, Command] = {
            "now": Command("now", "who is on call in every schedule, until when, and who is next", self._now),
            "who": Command("who SCHEDULE|PERSON|GROUP|POLICY|SERVICE", "whom a name means now", self._who),
            "next": Command("next [PERSON]", "the next turns, yours or somebody's", self._next),
            "schedule": Command("schedule NAME [FROM TO | 4w]", "who is on call when, with gaps", self._schedule),
            "gaps": Command("gaps [NAME]", "when nobody is on call in the next four weeks", self._gaps),
            "fairness": Command("fairness [NAME] [4w]", "hours, nights, weekends and pages of each", self._fairness),
            **override_commands(flows.oncall),
            "page": Command("page PERSON|SCHEDULE|GROUP|POLICY|me [INC-7] WHY", "page somebody now", self._page),
            **contact_commands(flows.oncall),
            "calendar": Command("calendar [SCHEDULE|me]", "the address to subscribe to in a calendar", self._calendar),
            "help": Command("help", "this list", self._help),
        }

    async def run(self, ask: Ask) -> Reply:
        """The reply to a command; raises BadInput with what to type instead, TryLater when nothing was done."""
        if len(ask.text) > MOST_WORDS:
            raise BadInput(f"This is {len(ask.text)} characters long; at most {MOST_WORDS}.")
        word, _, rest = straight(ask.text).strip().partition(" ")
        name = ALIASES.get(word.lower(), word.lower())
        command = self.table.get(name)
        if command is None:
            known = [*self.table, *ALIASES]
            raise BadInput(f"There is no `/oncall {word[:40]}`{like(name, known)} `/oncall help` lists what there is.")
        return await command.run(replace(ask, text=rest.strip()))

    async def _help(self, ask: Ask) -> Reply:
        groups: list[list[str]] = []
        for name, command in self.table.items():
            if name in HEADINGS:
                groups.append([f"*{HEADINGS[name]}*"])
            groups[-1].append(f"`/oncall {command.usage}`  {command.help}")
        groups[-1].append(
            "Times: `now 4h`, `18:00-22:00`, `fri 18:00 mon 09:00`, `2026-12-24 18:00 2026-12-27 09:00`, in your own time zone."
        )
        return Reply("*On call*", [block for group in groups for block in sections(group)])

    async def _now(self, ask: Ask) -> Reply:
        found = await self._looking.standings(ask.text)
        if not found:
            raise BadInput("There are no schedules yet: write them under `schedules:` in oncall.yaml.")
        zone = zone_of_asker(await self._looking.directory(), ask.actor, found[0].schedule)
        now = self._looking.now()
        empty = [one.schedule for one in found if not one.names and not one.gaps_are_meant]
        head = f"NOBODY is on call for {', '.join(empty[:5])}" if empty else "On call now"
        return _reply(mrkdwn.line(head), oncall.standings(found, zone, now))

    async def _who(self, ask: Ask) -> Reply:
        found = await self._looking.who(ask.text, ask.actor)
        first = found.standings[0].schedule if found.standings else ""
        zone = zone_of_asker(await self._looking.directory(), ask.actor, first)
        return _reply(mrkdwn.line(found.what), [mrkdwn.bold(found.what), *oncall.who(found, zone, self._looking.now())])

    async def _next(self, ask: Ask) -> Reply:
        person, turns = await self._looking.turns(ask.text, ask.actor)
        if not turns:
            return told(f"{person.name} has no turn in the next two months.")
        zone = zone_of_asker(await self._looking.directory(), ask.actor, turns[0].schedule)
        head = f"Next turns of {person.name}"
        lines = [oncall.turn(replace(one, names=()), zone, self._looking.now()) for one in turns]
        return _reply(mrkdwn.line(head), [mrkdwn.bold(head), *lines])

    async def _schedule(self, ask: Ask) -> Reply:
        directory = await self._looking.directory()
        name, _, rest = ask.text.partition(" ")
        name = name or _only(directory)
        found = asking.schedule(directory, name)
        zone, now = zone_of_asker(directory, ask.actor, found.key), self._looking.now()
        since, until = looked_at(rest, zone, now)
        preview = await self._looking.preview(found.key, since, until)
        return _reply(f"Schedule {mrkdwn.line(found.key)}", oncall.preview(preview, zone, now))

    async def _gaps(self, ask: Ask) -> Reply:
        found, now = await self._looking.gaps(ask.text), self._looking.now()
        if not found:
            where = f" in {ask.text}" if ask.text else ""
            meant = [key for key, one in (await self._looking.directory()).schedules.items() if one.gaps_are_meant]
            besides = f" Not looked at: {asking.listed(meant)}, whose gaps are meant." if meant and not ask.text else ""
            return told(f"No gaps{where}: somebody is on call at every moment of the next four weeks.{besides}")
        zone = zone_of_asker(await self._looking.directory(), ask.actor, found[0].schedule)
        head = "1 gap" if len(found) == 1 else f"{len(found)} gaps"
        fill = f"To fill it: {mrkdwn.code(f'/oncall override {found[0].schedule} PERSON FROM TO')}"
        return _reply(head, [f"*{head}*", *(oncall.turn(one, zone, now, schedule=True) for one in found), fill])

    async def _fairness(self, ask: Ask) -> Reply:
        directory = await self._looking.directory()
        name, _, rest = ask.text.partition(" ")
        if name and asking.maybe_schedule(directory, name) is None and name[0].isdigit():
            name, rest = "", ask.text
        zone, now = zone_of_asker(directory, ask.actor, name), self._looking.now()
        since, until = looked_at(rest, zone, now, back=True)
        found = await self._looking.fairness(name, since, until)
        return _reply("Fairness", oncall.shares(found, zone, now))

    async def _page(self, ask: Ask) -> Reply:
        whom, rest = _whom(await self._looking.directory(), ask.text)
        target = await self._looking.target(whom, ask.actor)
        word, _, after = rest.strip().partition(" ")
        named = REF.fullmatch(word)
        why = (after if named else rest).strip().strip('"').strip()
        if not why:
            raise BadInput(
                f"Why? Whoever is woken must know: `/oncall page {whom[:40]} {'INC-7 ' if named else ''}checkout is down`."
            )
        number = int(named[1]) if named else None
        if number is not None:
            await must_be_seen_here(self._flows, number, ask.channel_id)
        elif ask.channel_id and (here := await self._flows.incidents.of_channel(ask.channel_id)) is not None:
            number = here.id
        return told(await self._flows.incidents.page(number, target, why, ask.actor))

    async def _calendar(self, ask: Ask) -> Reply:
        what, address = await self._looking.calendar(ask.text, ask.actor)
        return Reply(
            f"Subscribe to {mrkdwn.line(what)} at {mrkdwn.code(address, 2000)}\n"
            "Whoever has this address can read it without a password: do not post it."
        )


HEADINGS = {"now": "Who is on call", "override": "Somebody else", "test-me": "How you are reached", "calendar": "More"}
ALIASES = {
    "": "now",
    "list": "now",
    "status": "now",
    "shifts": "next",
    "show": "schedule",
    "preview": "schedule",
    "cover": "override",
    "escalate": "page",
    "test": "test-me",
    "testme": "test-me",
    "me": "contact",
    "contacts": "contact",
    "timezone": "zone",
    "ical": "calendar",
    "?": "help",
}


def _reply(text: str, lines: Sequence[str]) -> Reply:
    return Reply(text, kit.bounded(sections(lines)))


def _whom(directory: Directory, text: str) -> tuple[str, str]:
    """Whom to page, and the rest: a name may have several words (`Bob Kahn help`)."""
    words = text.split()
    for many in range(min(LONGEST_NAME, len(words)), 1, -1):
        name = " ".join(words[:many])
        if asking.maybe_person(directory, name) is not None:
            return name, " ".join(words[many:])
    first, _, rest = text.partition(" ")
    return first, rest


def _only(directory: Directory) -> str:
    """The schedule that is meant when none is named: the only one."""
    return next(iter(directory.schedules)) if len(directory.schedules) == 1 else ""
