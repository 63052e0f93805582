"""The form behind the Silence button: filled with the incident's matchers; what is wrong in it is said at the field it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.domain import silencing
from bot.domain.people import Actor
from bot.domain.silencing import Wish
from bot.entry.silence_words import all_matchers, length, moment
from bot.entry.slack.asked import Reply, must_be_seen_here, told
from bot.entry.slack.ports import Flows
from bot.errors import BadInput
from bot.room import silences
from bot.room.blocks import Block
from bot.room.views import REASON

AT_NINE = "tomorrow 09:00"


async def silence_form(flows: Flows, number: int, channel: str, actor: Actor) -> Block:
    """The modal for an incident. BadInput when that is private and this is not its channel."""
    await must_be_seen_here(flows, number, channel)
    zone = zone_of_person(flows, actor)
    about = {"incident": number, "channel": channel, "zone": zone}
    return silences.form(f"INC-{number}", await flows.silences.matchers_of(number), about, zone)


async def silence_submitted(flows: Flows, about: Mapping[str, Any], values: Mapping[str, str], actor: Actor) -> Reply:
    """Make it, or say which field is wrong."""
    number, lasting = int(about.get("incident", 0)), values.get(silences.LASTING, silences.USUAL)
    await must_be_seen_here(flows, number, str(about.get("channel") or ""))
    try:
        matchers = silencing.checked(all_matchers(values.get(silences.MATCHERS, "")), lambda text: text)
    except BadInput as error:
        return Reply(told(str(error)).text, errors={silences.MATCHERS: str(error)})
    tomorrow = lasting == silences.TOMORROW
    wish = Wish(
        matchers=matchers,
        reason=values.get(REASON, ""),
        lasts=None if tomorrow else length(lasting),
        ends_at=moment(AT_NINE, str(about.get("zone") or "UTC"), flows.silences.now()) if tomorrow else None,
        incident_id=number,
    )
    return told((await flows.silences.create(wish, actor)).words)


def zone_of_person(flows: Flows, actor: Actor) -> str:
    """Where this person's nine o'clock is: as far as their own quiet hours tell, else UTC."""
    person = flows.directory().people.get(actor.id)
    windows = person.quiet.windows if person else ()
    return windows[0].zone if windows else "UTC"
