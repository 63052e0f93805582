"""`/oncall contact`, `notify`, `quiet`, `zone`, `recovery` and `test-me`: what is one's own. Part of oncall_commands.py."""

from __future__ import annotations

import re

from bot.domain import asking
from bot.entry.oncall_words import named_zone, notify_rules, quiet_hours, yes_or_no
from bot.entry.slack.asked import Ask, Command, Reply, like, sections, told
from bot.entry.slack.oncall_forms import zone_of_asker
from bot.entry.slack.ports import OnCallFlows
from bot.errors import BadInput
from bot.room import blocks as kit
from bot.room import oncall

VERBS = ("list", "add", "verify", "remove", "import")
# What Slack makes of an address or a number when it is pasted: <mailto:a@b.example|a@b.example>, <tel:+49151|+49 151>.
_LINKED = re.compile(r"<(?:mailto:|tel:)([^|>]{1,200})(?:\|[^>]*)?>")


def contact_commands(flows: OnCallFlows) -> dict[str, Command]:
    own = ContactCommands(flows)
    return {
        "test-me": Command("test-me [METHOD]", "send yourself a test by every method", own.test),
        "contact": Command(
            "contact, contact add sms +49151…, contact verify 123456, contact remove sms, contact import",
            "by what you are reached",
            own.contact,
        ),
        "notify": Command(
            "notify critical slack, sms 3m, call 5m, or notify reset", "in which order, for a severity", own.notify
        ),
        "quiet": Command("quiet 22:00-07:00 warning,info, or quiet off", "when not to page you, for what", own.quiet),
        "zone": Command("zone Europe/Berlin", "in whose time you are told", own.zone),
        "recovery": Command("recovery on|off", "whether you are told when it is over", own.recovery),
    }


class ContactCommands:
    def __init__(self, flows: OnCallFlows) -> None:
        self._flows = flows

    async def contact(self, ask: Ask) -> Reply:
        verb, _, rest = ask.text.partition(" ")
        verb = {"": "list", "ls": "list", "show": "list", "delete": "remove", "rm": "remove"}.get(
            verb.lower(), verb.lower()
        )
        contacts = self._flows.contacts
        if verb == "list":
            lines = oncall.own(await contacts.mine(ask.actor))
            return Reply("Your contact methods", kit.bounded(sections(lines)))
        if verb == "add":
            medium, _, address = rest.strip().partition(" ")
            return told(await contacts.add(medium, _LINKED.sub(r"\1", address).strip(), ask.actor))
        if verb == "verify":
            return told(await contacts.verify(rest, ask.actor))
        if verb == "remove":
            return told(await contacts.remove(rest, ask.actor))
        if verb == "import":
            return told(await contacts.take_profile(ask.actor))
        raise BadInput(
            f"There is no `/oncall contact {verb[:40]}`{like(verb, VERBS)} There are: {', '.join(VERBS)}. "
            "For example `/oncall contact add sms +4915112345678`."
        )

    async def test(self, ask: Ask) -> Reply:
        found = await self._flows.contacts.test(ask.text, ask.actor)
        return Reply("Your test", kit.bounded(sections(oncall.tested(found))))

    async def notify(self, ask: Ask) -> Reply:
        if ask.text.strip().lower() in ("reset", "off", "clear"):
            return told(await self._flows.preferences.reset(ask.actor))
        severity, rules = notify_rules(ask.text)
        return told(await self._flows.preferences.notify(severity, rules, ask.actor))

    async def quiet(self, ask: Ask) -> Reply:
        if ask.text.strip().lower() in ("off", "never", "none"):
            return told(await self._flows.preferences.quiet((), (), ask.actor))
        directory = await self._flows.looking.directory()
        asking.member(directory, ask.actor)
        windows, severities = quiet_hours(ask.text, zone_of_asker(directory, ask.actor))
        return told(await self._flows.preferences.quiet(windows, severities, ask.actor))

    async def zone(self, ask: Ask) -> Reply:
        return told(await self._flows.preferences.zone(named_zone(ask.text), ask.actor))

    async def recovery(self, ask: Ask) -> Reply:
        return told(await self._flows.preferences.recovery(yes_or_no(ask.text), ask.actor))
