"""`/incident silence` and `maintenance`: make one, list them, look at one, move its end. Part of commands.py."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from bot.domain.silence_told import Shown
from bot.domain.silencing import Kind
from bot.entry.silence_words import EXAMPLES, length, matchers, straight, wish
from bot.entry.slack.asked import (
    REF,
    Ask,
    Command,
    Reply,
    hidden,
    like,
    must_be_seen_here,
    sections,
    told,
)
from bot.entry.slack.ports import Flows
from bot.entry.slack.silence_forms import silence_form
from bot.errors import BadInput
from bot.room import silences

SHOWN = 30
NUMBER = re.compile(r"(?:silence-?|maintenance-?|#)?([1-9]\d{0,8})\Z", re.IGNORECASE)
VERBS = ("list", "show", "end", "extend", "shorten")
OTHER_VERBS: Mapping[str, str] = {"ls": "list", "expire": "end", "delete": "end", "stop": "end", "cancel": "end"}
LIKE_A_LENGTH = re.compile(r"\d")


def commands(flows: Flows) -> dict[str, Command]:
    """The part of the table that is about silences."""
    own = SilenceCommands(flows)
    return {
        "silence": Command(
            "silence [INC-7|MATCHERS] 2h REASON, or list|show|end|extend|shorten",
            "keep alerts quiet for a while (alone: a form)",
            own.silence,
        ),
        "maintenance": Command(
            "maintenance MATCHERS from TIME for 3h|every DAYS TIMES REASON, or list|show|end",
            "keep alerts quiet while something is worked on",
            own.maintenance,
        ),
    }


class SilenceCommands:
    def __init__(self, flows: Flows) -> None:
        self._flows = flows

    async def silence(self, ask: Ask) -> Reply:
        return await self._verb(ask, "silence") or await self._silence(ask)

    async def maintenance(self, ask: Ask) -> Reply:
        return await self._verb(ask, "maintenance") or await self._maintenance(ask)

    async def _verb(self, ask: Ask, kind: Kind) -> Reply | None:
        """What the first word asks for; None when it asks for a new one."""
        word, _, rest = ask.text.partition(" ")
        verb, words = OTHER_VERBS.get(word.lower(), word.lower()), rest.split()
        if verb == "list" or (kind == "maintenance" and not verb):
            return await self._list(ask, kind, words)
        if verb not in VERBS:
            return None
        number = await self._number(ask, verb, words)
        if verb == "show":
            lines = silences.shown(await self._seen(ask, number))
            return Reply(lines[0], sections(lines))
        if verb == "end":
            return told((await self._flows.silences.end(number, ask.actor)).words)
        by = _length_of(verb, number, words)
        return told((await self._flows.silences.extend(number, by if verb == "extend" else -by, ask.actor)).words)

    async def _number(self, ask: Ask, verb: str, words: list[str]) -> int:
        """The one that is meant, if it may be told of here."""
        found = NUMBER.match(words[0]) if words else None
        if found is None:
            said = f"found {words[0][:40]!r}" if words else "found nothing"
            after = " 2h" if verb in ("extend", "shorten") else ""
            raise BadInput(
                f"Expected the number of a silence after `{verb}`, {said}: `/incident silence {verb} 42{after}`."
            )
        number = int(found[1])
        await self._seen(ask, number)
        return number

    async def _seen(self, ask: Ask, number: int) -> Shown:
        shown = await self._flows.silences.show(number)
        if shown.listed.incident is not None and hidden(shown.listed.incident, ask.channel_id):
            ref = shown.listed.silence.ref
            raise BadInput(f"{ref} is of a private incident. Whoever is in its channel can ask there.")
        return shown

    async def _list(self, ask: Ask, kind: Kind, words: list[str]) -> Reply:
        """Those that are not over; with `all` those that are over since lately as well."""
        everything = words[:1] == ["all"]
        found = await self._flows.silences.listing("", "" if kind == "silence" else kind)
        wanted = [one for one in found if everything or one.phase != "expired"]
        if not wanted:
            none = "Nothing is silenced." if kind == "silence" else "There is no maintenance."
            return Reply(f"{none} For example {EXAMPLES[kind]}.")
        lines = [
            silences.listed(one, one.incident is not None and hidden(one.incident, ask.channel_id))
            for one in wanted[:SHOWN]
        ]
        more = [f"and {len(wanted) - SHOWN} more"] if len(wanted) > SHOWN else []
        return Reply(lines[0] if len(lines) == 1 else f"{len(wanted)} silences", sections([*lines, *more]))

    async def _silence(self, ask: Ask) -> Reply:
        """By matchers; or for an incident: the one that is named, else that of this channel."""
        found, left = matchers(ask.text)
        if found:
            return await self._made(ask, ask.text, "silence", None)
        word, _, rest = ask.text.partition(" ")
        named = REF.fullmatch(word)
        here = await self._flows.incidents.of_channel(ask.channel_id) if ask.channel_id and not named else None
        number = int(named[1]) if named else here.id if here else None
        if number is None:
            raise BadInput(_wrong(left))
        await must_be_seen_here(self._flows, number, ask.channel_id)
        text = rest.strip() if named else ask.text
        if not text and ask.can_open_modal:
            return Reply(view=await silence_form(self._flows, number, ask.channel_id, ask.actor))
        return await self._made(ask, text, "silence", number)

    async def _maintenance(self, ask: Ask) -> Reply:
        found, left = matchers(ask.text)
        if not found:
            raise BadInput(_wrong(left, "maintenance"))
        return await self._made(ask, ask.text, "maintenance", None)

    async def _made(self, ask: Ask, text: str, kind: Kind, incident_id: int | None) -> Reply:
        asked = replace(wish(straight(text), kind, self._flows.silences.now()), incident_id=incident_id)
        return told((await self._flows.silences.create(asked, ask.actor)).words)


def _length_of(verb: str, number: int, words: list[str]) -> timedelta:
    text = next((word for word in words[1:] if word.lower() not in ("by", "for")), "")
    if not text:
        raise BadInput(f"By how much? For example `/incident silence {verb} {number} 2h`.")
    return length(text)


def _wrong(text: str, kind: Kind = "silence") -> str:
    """What to type instead of something that is neither matchers nor a word that is known."""
    word = text.partition(" ")[0]
    said = f"found {word[:40]!r}{like(word.lower(), VERBS)}" if word else "found nothing."
    if kind == "silence" and LIKE_A_LENGTH.match(word):
        said = f"found {word[:40]!r}; in an incident's channel, or behind `INC-7`, that would do."
    return f"Which alerts? Expected matchers, {said} For example {EXAMPLES[kind]}."
