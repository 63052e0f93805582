"""`/oncall override`, `overrides` and `swap`. Part of oncall_commands.py."""

from __future__ import annotations

import re

from bot.domain import asking
from bot.domain.overriding import Wish
from bot.domain.people import Directory
from bot.domain.silence_told import counted
from bot.entry.oncall_words import EXAMPLES, Words
from bot.entry.slack.asked import Ask, Command, Reply, sections, told
from bot.entry.slack.oncall_forms import override_form, zone_of_asker
from bot.entry.slack.ports import OnCallFlows
from bot.errors import BadInput
from bot.room import blocks as kit
from bot.room import oncall

NUMBER = re.compile(r"(?:override-?|swap-?|#)?([1-9]\d{0,8})\Z", re.IGNORECASE)
SHOWN = 40
LONGEST_NAME = 4  # words of a person's name


def override_commands(flows: OnCallFlows) -> dict[str, Command]:
    own = OverrideCommands(flows)
    return {
        "override": Command(
            "override SCHEDULE PERSON FROM TO [WHY], or override end 3",
            "put somebody on call for a time (SCHEDULE alone: a form)",
            own.override,
        ),
        "overrides": Command("overrides [SCHEDULE]", "those that are not over, and swaps that wait", own.listing),
        "swap": Command(
            "swap PERSON [SCHEDULE] FROM TO [WHY], or swap withdraw 3",
            "ask somebody to take your turn; they accept in Slack",
            own.swap,
        ),
    }


class OverrideCommands:
    def __init__(self, flows: OnCallFlows) -> None:
        self._flows = flows

    async def override(self, ask: Ask) -> Reply:
        first, _, rest = ask.text.partition(" ")
        if first.lower() in ("end", "stop", "cancel", "remove", "delete"):
            number = _number(rest, "`/oncall override end 3`; `/oncall overrides` shows the numbers")
            return told(await self._flows.overrides.end(number, ask.actor))
        if first.lower() in ("list", "ls"):
            return await self.listing(Ask(rest, ask.actor, ask.channel_id))
        directory = await self._flows.looking.directory()
        asking.member(directory, ask.actor)
        schedule = asking.schedule(directory, first)
        if not rest.strip() and ask.can_open_modal:
            return Reply(view=await override_form(self._flows, schedule.key, ask.actor, ask.channel_id))
        words = Words.of(rest, zone_of_asker(directory, ask.actor, schedule.key), self._flows.looking.now())
        name = _name(words, directory)
        if not name:
            raise BadInput(f"Who, and when? `/oncall override {schedule.key} PERSON` and times like {EXAMPLES}.")
        person = asking.person(directory, name, ask.actor)
        starts, ends = words.span()
        wish = Wish(schedule.key, person.key, starts, ends, words.why())
        return told((await self._flows.overrides.create(wish, ask.actor)).words)

    async def listing(self, ask: Ask) -> Reply:
        overrides, swaps, directory = await self._flows.overrides.listing(ask.text)
        if not overrides and not swaps:
            where = f" in {ask.text}" if ask.text else ""
            return told(f"There are no overrides{where}, and no swap waits for an answer.")
        zone = zone_of_asker(directory, ask.actor, (overrides[0] if overrides else swaps[0]).schedule)
        lines = oncall.overrides(overrides[:SHOWN], swaps[:SHOWN], directory, zone, self._flows.looking.now())
        left_out = len(overrides[SHOWN:]) + len(swaps[SHOWN:])
        more = [f"and {left_out} more"] if left_out else []
        head = f"{counted(len(overrides), 'override')}, {counted(len(swaps), 'swap')} asked for"
        return Reply(head, kit.bounded(sections([f"*{head}*", *lines, *more])))

    async def swap(self, ask: Ask) -> Reply:
        first, _, rest = ask.text.partition(" ")
        verbs = {
            "withdraw": self._flows.overrides.withdraw,
            "accept": self._flows.overrides.accept,
            "decline": self._flows.overrides.decline,
        }
        if first.lower() in verbs:
            number = _number(rest, f"`/oncall swap {first.lower()} 3`; `/oncall overrides` shows the numbers")
            return told((await verbs[first.lower()](number, ask.actor)).words)
        directory = await self._flows.looking.directory()
        asking.member(directory, ask.actor)
        words = Words.of(ask.text, "UTC", self._flows.looking.now())
        named = [word for word in _name(words, directory).split() if word.lower() != "in"]
        schedule = asking.maybe_schedule(directory, named[-1]) if len(named) > 1 else None
        if not named:
            raise BadInput(f"Swap with whom, and when? `/oncall swap PERSON` and times like {EXAMPLES}.")
        person = asking.person(directory, " ".join(named[:-1] if schedule else named), ask.actor)
        key = schedule.key if schedule else ""
        words.zone = zone_of_asker(directory, ask.actor, key or next(iter(directory.schedules), ""))
        starts, ends = words.span()
        return told(
            (await self._flows.overrides.ask(Wish(key, person.key, starts, ends, words.why()), ask.actor)).words
        )


def _name(words: Words, directory: Directory) -> str:
    """The words before the first time; somebody called Sun is no day."""
    found: list[str] = []
    while words.left and len(found) < LONGEST_NAME:
        somebody = not found and asking.maybe_person(directory, words.next) is not None
        if words.begins_with_time() and not somebody:
            break
        found.append(words.take())
    return " ".join(found)


def _number(text: str, example: str) -> int:
    word = text.strip().partition(" ")[0]
    found = NUMBER.match(word)
    if found is None:
        said = f"found {word[:40]!r}" if word else "found nothing"
        raise BadInput(f"Expected a number, {said}: {example}.")
    return int(found[1])
