"""What somebody asked for in words, and what they are told: shared by the commands, the clicks and the modals. Knows nothing of Bolt."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bot.domain.incident import Incident
from bot.domain.naming import nearest
from bot.domain.people import Actor
from bot.entry.slack.ports import Flows
from bot.errors import BadInput
from bot.room import mrkdwn
from bot.room.blocks import Block, section

REF = re.compile(r"(?:inc-?|#)(\d{1,9})", re.IGNORECASE)
PLANNING = "is looking and planning. Its plan comes into the channel; nothing is done before it is approved."


@dataclass(frozen=True, slots=True)
class Ask:
    """One command as somebody typed it. Without a trigger no modal can be opened."""

    text: str
    actor: Actor
    channel_id: str = ""
    can_open_modal: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What to tell the person who asked: finished mrkdwn, a modal to open, or what is wrong in which fields of the open one."""

    text: str = ""
    blocks: Sequence[Block] = field(default=())
    view: Block | None = None
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Command:
    usage: str
    help: str
    run: Callable[[Ask], Awaitable[Reply]]


def told(words: str) -> Reply:
    """Words from the flow, which may hold names and titles."""
    return Reply(mrkdwn.escape(words))


def hidden(incident: Incident, channel_id: str) -> bool:
    """A private incident is shown in its own channel only."""
    return incident.private and (not channel_id or incident.channel_id != channel_id)


async def must_be_seen_here(flows: Flows, number: int, channel_id: str, what: str = "") -> None:
    """BadInput when what somebody asks about belongs to a private incident, and they do not ask in its channel."""
    incident = (await flows.incidents.show(number)).incident
    if hidden(incident, channel_id):
        private = f"{what} is of a private incident" if what else f"{incident.ref} is private"
        raise BadInput(f"{private}. Whoever is in its channel can ask there.")


async def may_be_taken(flows: Flows, number: int, channel_id: str, actor: Actor, *, asked: bool = False) -> None:
    """Whoever has a private incident is invited to its channel: outside of it, only people who are paged may take it. `asked`: a page asked those who
    read it there, so that whoever of them is in oncall.yaml may."""
    shown = await flows.incidents.show(number)
    paged = any(page.target == f"person:{actor.id}" for page in shown.pages)
    if hidden(shown.incident, channel_id) and not paged and not (asked and ":" not in actor.id):
        raise BadInput(
            f"{shown.incident.ref} is private, and you are not paged for it. Whoever is in its channel can acknowledge there."
        )


def sections(lines: Sequence[str]) -> list[Block]:
    """Finished lines in as few sections as hold them whole."""
    texts = [""]
    for line in lines:
        if len(texts[-1]) + len(line) + 1 > mrkdwn.SECTION:
            texts.append("")
        texts[-1] = f"{texts[-1]}\n{line}".strip("\n")
    return [section(text) for text in texts]


def like(wrong: str, valid: Sequence[str]) -> str:
    """The end of a sentence about a wrong name."""
    return nearest(wrong, valid) or "."


async def about(ask: Ask, flows: Flows, command: str) -> tuple[int, str]:
    """The incident that a command is about, and the words after it."""
    word, _, rest = ask.text.partition(" ")
    named = REF.fullmatch(word)
    if named:
        number = int(named[1])
        if command == "ack":
            await may_be_taken(flows, number, ask.channel_id, ask.actor)
        else:
            await must_be_seen_here(flows, number, ask.channel_id)
        return number, rest.strip()
    incident = await flows.incidents.of_channel(ask.channel_id) if ask.channel_id else None
    if incident is None:
        raise BadInput(
            f"Which incident? Say `/incident {command} INC-7`, or run it in the incident's channel. `/incident list` shows what is open."
        )
    return incident.id, ask.text
