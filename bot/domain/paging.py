"""Paging as it shows in an incident: a level is paged, a page has left, somebody asks for more people, nobody is left. Called by flow/escalation."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from bot.domain import effects
from bot.domain.effects import Priority
from bot.domain.escalation import Paging, Track
from bot.domain.incident import Change, Incident, State, entered, refreshed, warned
from bot.domain.naming import english_list
from bot.domain.people import Actor


def paging_decided(incident: Incident, index: int, paging: Paging, now: datetime) -> Change:
    """An escalation timer came due while nobody had acknowledged: page the level, set the next timer, or say that nobody is left."""
    tracks = tuple(paging.track if number == index else track for number, track in enumerate(incident.tracks))
    policy = paging.track.policy.key
    change = Change(incident.model_copy(update={"tracks": tracks}))
    for reason in paging.skipped:
        change = change.then(partial(warned, text=f"Policy {policy}: skipped {reason}", now=now))
    if paging.next_due is None:
        return change.then(lambda current: _exhausted(current, policy, now))
    people = tuple(target.removeprefix("person:") for target in paging.targets if target.startswith("person:"))
    repeated = f", round {paging.round}" if paging.round > 1 else ""
    text = f"Paging {english_list(paging.names)} (policy {policy}, level {paging.level}{repeated})"
    data = {"policy": policy, "level": paging.level, "round": paging.round, "targets": list(paging.targets)}
    change = change.then(
        lambda current: entered(
            current, "paged", text, now, data=data, paged=tuple(dict.fromkeys(current.paged + people))
        )
    )
    step = paging.track.step
    asked = [effects.page(incident.id, incident.epoch, index, step, target, now) for target in paging.targets]
    if people:
        asked.append(effects.invite(incident.id, people, now))
    last = change.entries[-1]
    asked.append(effects.say(incident.id, last.seq, text, now))
    return change.ask(*asked, effects.escalate(incident.id, incident.epoch, index, step, paging.next_due))


def page_sent(incident: Incident, name: str, now: datetime) -> Change:
    """A page has left: Slack has it."""
    return entered(incident, "page_sent", f"{name} was paged through Slack", now, data={"to": name})


def page_skipped(incident: Incident, name: str, unsure: bool, now: datetime) -> Change:
    """A page is not needed any more. `unsure`: an earlier attempt may have reached the person all the same."""
    now_is = "paged for anew" if incident.state is State.TRIGGERED else incident.state
    may_be = "may have been paged, and is not paged again" if unsure else "was not paged"
    text = f"{name} {may_be}: {incident.ref} is {now_is}"
    return entered(incident, "page_skipped", text, now, data={"to": name})


def escalated_by_hand(incident: Incident, actor: Actor, now: datetime) -> Change:
    """Somebody asks for more people: every track goes on to its next level at once, from the start when it was exhausted."""
    if not incident.is_open or not incident.tracks:
        return Change(incident)
    tracks = tuple(
        Track(policy=track.policy) if track.exhausted or track.step >= track.steps else track
        for track in incident.tracks
    )
    change = entered(
        incident,
        "escalated",
        f"{actor.name} escalated {incident.ref}",
        now,
        actor=actor.name,
        tracks=tracks,
        state=State.TRIGGERED,
        acknowledged_by="",
        epoch=incident.epoch + 1,
    )
    asked = [
        effects.escalate(incident.id, incident.epoch + 1, number, track.step, now)
        for number, track in enumerate(tracks)
    ]
    return refreshed(change, now).ask(*asked)


def _exhausted(incident: Incident, policy: str, now: datetime) -> Change:
    text = f"NOBODY ACKNOWLEDGED {incident.ref}: everyone on policy {policy} has been paged and nobody is left to page"
    change = entered(incident, "exhausted", text, now, data={"policy": policy})
    said = effects.say(incident.id, change.entries[-1].seq, text, now, Priority.CHANNEL)
    key = f"exhausted:{incident.id}:{incident.epoch}:{policy}"
    return change.ask(
        said, effects.alarm(key, text if incident.private else f"{text}. {incident.title}", now, incident.id)
    )
