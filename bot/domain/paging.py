"""Paging as it shows in an incident: a level is paged, a page has left, more people are needed, nobody is left. Called by flow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial

from bot.domain import effects, oncall_effects
from bot.domain.contact import SLACK
from bot.domain.effects import Effect, Priority
from bot.domain.escalation import Paging, Policy, Track
from bot.domain.incident import Change, Incident, State, entered, refreshed, warned
from bot.domain.naming import clipped, english_list, in_words
from bot.domain.oncall_effects import Rung
from bot.domain.people import TOCSIN, Actor

LATEST = timedelta(seconds=20)  # a page that has not gone out by then is replaced by another one
MOST_ID = 60


def paging_decided(incident: Incident, index: int, paging: Paging, now: datetime) -> Change:
    """An escalation timer came due while nobody had acknowledged: page the level, set the next timer, or say that nobody is left."""
    tracks = tuple(paging.track if number == index else track for number, track in enumerate(incident.tracks))
    policy = paging.track.policy.key
    change = Change(incident.model_copy(update={"tracks": tracks}))
    for reason in paging.passed:
        change = change.then(partial(_passed_over, text=f"Policy {policy}: passed over {reason}", now=now))
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
    rung = Rung(incident.id, incident.epoch, index, paging.track.step)
    asked = _pages(paging, rung, bool(people), now)
    if people:
        asked.append(effects.invite(incident.id, people, now))
    last = change.entries[-1]
    asked.append(effects.say(incident.id, last.seq, text, now))
    return change.ask(*asked, effects.escalate(*rung, paging.next_due))


def _pages(paging: Paging, rung: Rung, people: bool, now: datetime) -> list[Effect]:
    """A page by each method at its time, and a look at whether it has gone out (P3); a channel's matters where no person is paged."""
    asked: list[Effect] = []
    for target, plan in zip(paging.targets, paging.plans, strict=True):
        for step in plan.steps:
            page = oncall_effects.page(rung, target, step, now)
            asked.append(page)
            if target.startswith("person:") or not people:
                asked.append(oncall_effects.fall_back(page, page.due + LATEST))
    return asked


def _passed_over(incident: Incident, text: str, now: datetime) -> Change:
    """A level or a medium that is not meant for this: it stands in the timeline, and nobody has to be told."""
    return entered(incident, "passed_over", text, now)


def by_what(medium: str) -> str:
    """` through Slack`, ` by sms`."""
    return " through Slack" if medium == SLACK else f" by {medium}"


def page_sent(
    incident: Incident, name: str, now: datetime, medium: str = SLACK, provider_id: str = "", *, together: int = 0
) -> Change:
    """A page has left: the medium has it. `together`: with how many others in one message."""
    more = f", in one message with {together} more" if together else ""
    # A Message-ID says nothing to people.
    said = provider_id if medium != SLACK and not provider_id.startswith("<") else ""
    named = f" ({clipped(said, MOST_ID)})" if said else ""
    data = {"to": name, "medium": medium}
    return entered(incident, "page_sent", f"{name} was paged{by_what(medium)}{more}{named}", now, data=data)


def page_skipped(
    incident: Incident, name: str, unsure: bool, now: datetime, medium: str = SLACK, why: str = ""
) -> Change:
    """A page is not needed any more. `unsure`: an earlier attempt may have reached the person all the same."""
    now_is = "paged for anew" if incident.state is State.TRIGGERED else incident.state
    may_be = "may have been paged{by}, and is not paged again" if unsure else "was not paged{by}"
    by = "" if medium == SLACK else by_what(medium)
    text = f"{name} {may_be.format(by=by)}: {why or f'{incident.ref} is {now_is}'}"
    return entered(incident, "page_skipped", text, now, data={"to": name, "medium": medium})


def page_held(incident: Incident, name: str, medium: str, until: datetime, now: datetime) -> Change:
    """A page waits for a moment, to go out together with others that the same person gets."""
    text = f"The page of {name}{by_what(medium)} goes out together with others at {until:%H:%M:%S} UTC: another one has just left"
    return entered(incident, "page_bundled", text, now, data={"to": name, "medium": medium})


def escalated_by_hand(incident: Incident, actor: Actor, now: datetime) -> Change:
    """Somebody asks for more people: every track goes on to its next level at once, from the start when it was exhausted."""
    if not incident.is_open or not incident.tracks:
        return Change(incident)
    if incident.state is State.TRIGGERED and all(_goes_on(track, incident) for track in incident.tracks):
        text = f"{actor.name} escalated {incident.ref}"
        change = refreshed(entered(incident, "escalated", text, now, actor=actor.name), now)
        steps = enumerate(track.step for track in incident.tracks)
        return change.ask(*(effects.escalate(incident.id, incident.epoch, number, step, now) for number, step in steps))
    tracks = tuple(
        Track(policy=track.policy) if track.exhausted or track.step >= track.steps else track
        for track in incident.tracks
    )
    return _begun(incident, f"{actor.name} escalated {incident.ref}", tracks, range(len(tracks)), now, actor=actor)


def _goes_on(track: Track, incident: Incident) -> bool:
    """Whether a level is still to come by its timer. Then what the levels before have asked for (an SMS in three minutes) stays."""
    return not track.exhausted and track.step < track.steps and track.rests != incident.epoch


def unacknowledged(incident: Incident, now: datetime) -> Change:
    """Whoever had it has not said for too long that they are at it: it is nobody's, and paging begins anew."""
    since = in_words(now - (incident.still_at or now))
    text = f"{incident.ref} is nobody's any more: {incident.acknowledged_by} has not said for {since} that they are still at it. Paging begins anew"
    tracks = tuple(Track(policy=track.policy) for track in incident.tracks)
    return _begun(incident, text, tracks, range(len(tracks)), now)


def begins_anew(incident: Incident) -> bool:
    """Whether somebody has to be paged again when it becomes worse: not while everybody in turn is being paged for it anyway."""
    tracks = incident.tracks
    goes_on = incident.state is State.TRIGGERED and not any(one.exhausted or one.passed_over for one in tracks)
    return incident.is_open and bool(tracks) and not goes_on


def worse(incident: Incident, before: str, now: datetime) -> Change:
    """It is more severe than it was (`before`): who has it has acknowledged less than it is, so paging begins anew."""
    if not begins_anew(incident):
        return Change(incident)
    when = f" when {incident.acknowledged_by} acknowledged it" if incident.acknowledged_by else ""
    text = f"{incident.ref} is {incident.severity} now, and was {before}{when}: paging begins anew"
    tracks = tuple(Track(policy=track.policy) for track in incident.tracks)
    return _begun(incident, text, tracks, range(len(tracks)), now)


def further(incident: Incident, policies: Iterable[Policy]) -> tuple[Policy, ...]:
    """Those of the policies that the incident does not page yet."""
    known = {track.policy.key for track in incident.tracks}
    return tuple(policy for policy in policies if policy.key not in known)


def paged_as_well(
    incident: Incident,
    policies: Iterable[Policy],
    now: datetime,
    why: str = "an alert that has joined takes its route",
) -> Change:
    """Further policies: their people hear of it as well. Who has acknowledged it before is not paged again."""
    new = further(incident, policies)
    if not new or not incident.is_open:
        return Change(incident)
    names = english_list([policy.key for policy in new])
    text = f"Paging also by policy {names}: {why}"
    tracks = (*incident.tracks, *(Track(policy=policy) for policy in new))
    numbers = range(len(incident.tracks), len(tracks))
    if incident.state is not State.TRIGGERED:
        return _begun(incident, text, tracks, numbers, now)
    change = refreshed(entered(incident, "escalated", text, now, tracks=tracks), now)
    return change.ask(*(effects.escalate(incident.id, incident.epoch, number, 0, now) for number in numbers))


def _begun(
    incident: Incident,
    text: str,
    tracks: tuple[Track, ...],
    numbers: Sequence[int],
    now: datetime,
    *,
    actor: Actor = TOCSIN,
) -> Change:
    """Paging begins for the tracks of these numbers; the timers of before count no more."""
    epoch = incident.epoch + 1
    tracks = tuple(
        track if number in numbers else track.model_copy(update={"rests": epoch}) for number, track in enumerate(tracks)
    )
    change = entered(
        incident,
        "escalated",
        text,
        now,
        actor=actor.name,
        tracks=tracks,
        state=State.TRIGGERED,
        acknowledged_by="",
        holder="",
        still_at=None,
        epoch=epoch,
    )
    asked = [effects.escalate(incident.id, epoch, number, tracks[number].step, now) for number in numbers]
    if incident.repeat is not None:
        asked.append(effects.remind(incident.id, epoch, now + incident.repeat))
    return refreshed(change, now).ask(*asked)


def _exhausted(incident: Incident, policy: str, now: datetime) -> Change:
    text = f"NOBODY ACKNOWLEDGED {incident.ref}: everyone on policy {policy} has been paged and nobody is left to page"
    change = entered(incident, "exhausted", text, now, data={"policy": policy})
    said = effects.say(incident.id, change.entries[-1].seq, text, now, Priority.CHANNEL)
    key = f"exhausted:{incident.id}:{incident.epoch}:{policy}"
    return change.ask(
        said, effects.alarm(key, text if incident.private else f"{text}. {incident.title}", now, incident.id)
    )
