"""Messages about on-call that are no pages: whom they go to, and by what. Pure; asked for by flow/overrides and flow/duty, sent by `notify`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from bot.domain import oncall_effects
from bot.domain.contact import SLACK, Method
from bot.domain.effects import Effect, Priority
from bot.domain.naming import clipped
from bot.domain.notice import Notice
from bot.domain.people import Person

QUIET_KINDS = ("slack", "chat", "email", "push")  # none of them rings at night
SHORT = 300


def quiet_way(person: Person, media: Mapping[str, str]) -> Method | None:
    """By what somebody is told what does not have to wake them; None: by nothing."""
    found = [way for way in person.ways if way.verified and way.medium in media]
    return next((way for kind in QUIET_KINDS for way in found if media[way.medium] == kind), None)


def to_person(
    person: Person, media: Mapping[str, str], notice: Notice, now: datetime, priority: Priority = Priority.CARD
) -> tuple[Effect, ...]:
    """What tells one person; nothing when they have no quiet way. The notice's key is made theirs."""
    way = quiet_way(person, media)
    if way is None:
        return ()
    own = notice.model_copy(update={"key": f"{notice.key}:{person.key}"})
    return (oncall_effects.notify(own, f"person:{person.key}", way.medium, way.address, now, priority),)


def to_channel(channel: str, notice: Notice, now: datetime) -> Effect:
    """What tells a Slack channel, by its name."""
    return oncall_effects.notify(notice, f"channel:{channel}", SLACK, "", now, Priority.CARD)


def handover(key: str, subject: str, body: str = "") -> Notice:
    """About who is on call; nobody has to answer it."""
    return Notice(
        key=key, purpose="handover", subject=subject, body=body, short=clipped(subject, SHORT), spoken=subject
    )


def swap(key: str, subject: str, body: str, number: int | None = None) -> Notice:
    """About a swap; with its `number` it is a question, and Slack shows the buttons of bot.room.oncall."""
    facts = {"swap": str(number)} if number is not None else {}
    return Notice(
        key=key, purpose="swap", subject=subject, body=body, short=clipped(subject, SHORT), spoken=subject, facts=facts
    )
