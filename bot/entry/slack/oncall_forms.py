"""The form of `/oncall override SCHEDULE`, and in whose time somebody is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.domain import asking, oncall_told
from bot.domain.overriding import Wish
from bot.domain.people import Actor, Directory
from bot.entry.oncall_words import Words
from bot.entry.slack.asked import Reply, told
from bot.entry.slack.ports import OnCallFlows
from bot.errors import BadInput
from bot.room import oncall
from bot.room.blocks import Block
from bot.room.views import REASON


def zone_of_asker(directory: Directory, actor: Actor, schedule: str = "") -> str:
    """Their own zone, else that of the schedule, else UTC."""
    return oncall_told.zone_for(directory, actor.id, schedule)


async def override_form(flows: OnCallFlows, name: str, actor: Actor, channel: str) -> Block:
    """The modal for one schedule. BadInput for somebody who may not, or when there is no such schedule."""
    directory = await flows.looking.directory()
    asking.member(directory, actor)
    schedule = asking.schedule(directory, name)
    zone = zone_of_asker(directory, actor, schedule.key)
    return oncall.override_form(schedule.key, directory, zone, {"schedule": schedule.key, "channel": channel})


async def override_submitted(
    flows: OnCallFlows, about: Mapping[str, Any], values: Mapping[str, str], actor: Actor
) -> Reply:
    """Make it, or say which field is wrong."""
    words = Words.of(values.get(oncall.TIMES, ""), str(about.get("zone") or "UTC"), flows.looking.now())
    try:
        starts, ends = words.span()
        if words.left:
            raise BadInput(f"{words.why()[:60]!r} is too much. Write times like `now for 4h` or `fri 18:00 mon 09:00`.")
    except BadInput as error:
        return Reply(told(str(error)).text, errors={oncall.TIMES: str(error)})
    person, why = values.get(oncall.PERSON, ""), values.get(REASON, "")
    wish = Wish(str(about.get("schedule") or ""), person, starts, ends, why)
    return told((await flows.overrides.create(wish, actor)).words)
