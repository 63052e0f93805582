"""The deadline of an acknowledgement: when whoever has an incident is asked whether they are still at it. Called by lifecycle and flow; pure."""

from __future__ import annotations

from datetime import datetime

from bot.domain import oncall_effects
from bot.domain.effects import Effect
from bot.domain.incident import Change, Incident, State, entered, refreshed
from bot.domain.naming import in_words
from bot.domain.people import Actor


def still_at_it(incident: Incident, actor: Actor, now: datetime) -> Change:
    """Whoever has it says so again: its deadline begins anew. Nothing without a deadline, or when nobody has acknowledged it."""
    without = not (incident.reminds_after or incident.expires_after)
    if incident.state is not State.ACKNOWLEDGED or without:
        return Change(incident)
    text = f"{actor.name} is {'still at it' if actor.id == incident.holder else 'at it as well'}"
    change = entered(
        incident,
        "still_at_it",
        text,
        now,
        actor=actor.name,
        acknowledged_by=actor.name,
        holder=actor.id,
        still_at=now,
    )
    return refreshed(change, now).ask(*asked(change.incident, now))


def reached(incident: Incident, now: datetime) -> Change:
    """It is time to ask whoever has it whether they are still at it."""
    left = (incident.still_at or now) + incident.expires_after - now if incident.expires_after else None
    otherwise = f"; without a word paging begins anew in {in_words(left)}" if left else ""
    text = f"{incident.acknowledged_by}, are you still at it? You have had {incident.ref} for {in_words(now - (incident.still_at or now))}{otherwise}"
    return refreshed(entered(incident, "still_at_it_asked", text, now), now)


def asked(incident: Incident, now: datetime) -> list[Effect]:
    """When somebody who has it is asked, and when it is nobody's any more."""
    stages = (("remind", incident.reminds_after), ("expire", incident.expires_after))
    return [
        oncall_effects.still_at_it(incident.id, incident.epoch, now, stage, now + after)
        for stage, after in stages
        if after
    ]
