"""What follows when a page does not go out: the same person by the next method, and when nothing reaches them the next level, at once (P3).

Called by flow/pages when a page is late, by housekeeping when its row is dead, and by flow/answers when a provider says that it did not arrive.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from bot.domain import contact, effects, oncall_effects, paging
from bot.domain.contact import SLACK, Method, Step
from bot.domain.effects import Effect
from bot.domain.incident import Change, Incident, State, warned
from bot.domain.oncall_effects import Rung, belongs
from bot.domain.page import ARRIVED, Page, PageState
from bot.domain.people import Directory
from bot.domain.ports import Tx

MOST_PAGES = 500
MOST_WAITING = 10_000  # to one address
UNANSWERED = (PageState.WAITING, PageState.SENDING)


def not_needed(incident: Incident, asked: Effect) -> bool:
    """Whether nobody has to be reached for this any more."""
    if asked.kind == "summon":
        later = bool(asked.payload.get("after"))
        return incident.state is State.CLOSED or (later and not incident.is_open)
    return incident.state is not State.TRIGGERED or incident.epoch != asked.payload["epoch"]


async def was_answered(tx: Tx, asked: Effect) -> bool:
    """Whether somebody who is asked for by name has answered another part of it."""
    if asked.kind != "summon":
        return False
    known = await tx.pages_of(asked.payload["incident_id"], MOST_PAGES)
    return any(one.answered_at is not None and _of_same(one, asked) for one in known)


def gone(page: Page | None) -> bool:
    """Whether a page has gone out, or does not have to."""
    if page is None:
        return False
    return page.state in (*ARRIVED, PageState.SKIPPED) or (page.state is PageState.BUNDLED and bool(page.answer))


async def fallen_back(
    tx: Tx, asked: Effect, directory: Directory, said: str, now: datetime, *, late: bool = False
) -> bool:
    """Reach the target of this page (or part of a summon) in another way. `said`: what went wrong, for people. False: nothing was left to do.
    `late`: it has not failed for good, and goes on trying.

    Somebody whom another method has reached is not paged once more; of a channel or a medium, which has no other way, the level's people stand in.
    """
    incident = await tx.incident(asked.payload["incident_id"])
    if incident is None:
        return True
    if not_needed(incident, asked):
        await tx.save(warned(incident, said, now))
        return True
    target = str(asked.payload["target"])
    siblings = [
        one for one in await tx.pages_of(incident.id, MOST_PAGES) if one.key != asked.key and _of_same(one, asked)
    ]
    reached = [one for one in siblings if one.state in ARRIVED or (one.state is PageState.BUNDLED and one.answer)]
    if reached:
        await tx.save(warned(incident, f"{said}. They were reached{paging.by_what(reached[0].medium)}", now))
        return True
    person = directory.people.get(target.removeprefix("person:")) if target.startswith("person:") else None
    used = {_method_of(one.key, asked) for one in siblings if one.state is not PageState.SKIPPED}
    used.add(str(asked.payload.get("method") or SLACK))
    method = contact.fallback(person.ways, used, directory.media) if person else None
    if method is not None:
        change = warned(incident, f"{said}. Paging{paging.by_what(method.medium)} instead", now)
        await tx.save(change.ask(*_by(asked, method, now)))
        return True
    if asked.kind == "summon":
        return False
    # What one address refused for good says nothing of the medium; what does not answer does.
    failing = {one.medium for one in siblings if one.state in UNANSWERED} | {str(asked.payload.get("medium") or SLACK)}
    if late and not _elsewhere(incident, _rung(asked), directory, failing, now):
        await tx.save(warned(incident, f"{said}. Nobody on its policy has another way: it goes on trying", now))
        return True
    await tx.save(_gone_on(incident, asked, directory, said, now))
    return True


def _by(asked: Effect, method: Method, now: datetime) -> tuple[Effect, Effect]:
    step, target = Step(method=method), str(asked.payload["target"])
    if asked.kind == "summon":
        loud = oncall_effects.summon_by(asked, target, step, now, loud=True)
    else:
        loud = oncall_effects.page(_rung(asked), target, step, now, loud=True)
    return loud, oncall_effects.fall_back(loud, now + paging.LATEST)


def _gone_on(incident: Incident, asked: Effect, directory: Directory, said: str, now: datetime) -> Change:
    """The next level is paged at once, unless what failed stands beside people, who have been paged on their own."""
    rung, target = _rung(asked), str(asked.payload["target"])
    if not target.startswith("person:") and _pages_people(incident, rung, directory, now):
        return warned(incident, said, now)
    change = warned(incident, f"{said}. Going on to the next level", now)
    return change.ask(effects.escalate(*rung, now))


def _elsewhere(incident: Incident, rung: Rung, directory: Directory, failing: Collection[str], now: datetime) -> bool:
    """Whether a level that is still to come reaches anybody by another medium than those that fail. When Slack is down and there is nothing else, to
    hurry through all levels would only wake everybody at once when it is back."""
    track = incident.tracks[rung.track]
    levels = track.policy.levels
    coming = {levels[step % len(levels)] for step in range(rung.step, track.steps)}
    found = {one for level in coming for target in level.targets for one in directory.resolve(target, now)}
    return any(medium not in failing for one in found for medium in _media_of(one, directory))


def _media_of(target: str, directory: Directory) -> set[str]:
    """By what a target can be reached."""
    kind, _, name = target.partition(":")
    if kind == "person":
        return {way.medium for way in directory.people[name].ways if way.verified and way.medium in directory.media}
    return {name} if kind == "medium" else {SLACK}


def _pages_people(incident: Incident, rung: Rung, directory: Directory, now: datetime) -> bool:
    levels = incident.tracks[rung.track].policy.levels
    level = levels[(rung.step - 1) % len(levels)]
    return any(one.startswith("person:") for target in level.targets for one in directory.resolve(target, now))


async def page_failed(tx: Tx, asked: Effect, error: str, directory: Directory, now: datetime) -> bool:
    """A page, or a part of a summon, can never be delivered. False: it was a summon, and nobody is reached by it."""
    target, medium = str(asked.payload["target"]), str(asked.payload.get("medium") or SLACK)
    name = directory.name_of(target)
    known = (await tx.pages([asked.key])).get(asked.key)
    page = known or Page(
        key=asked.key,
        incident_id=asked.payload["incident_id"],
        epoch=asked.payload.get("epoch", 0),
        purpose=asked.kind,
        target=target,
        name=name,
        medium=medium,
        address=str(asked.payload.get("address") or ""),
        state=PageState.FAILED,
        begun_at=now,
        state_at=now,
    )
    await tx.save_pages([failed(page, error, now)])
    by = "" if medium == SLACK else paging.by_what(medium)
    return await fallen_back(tx, asked, directory, f"Could not page {name}{by}: {error}", now)


async def bundle_failed(tx: Tx, asked: Effect, error: str, directory: Directory, now: datetime) -> None:
    """Several pages in one message can never be delivered: each is replaced on its own."""
    for page in await waiting_together(tx, asked.payload["medium"], asked.payload["address"], now, sending=True):
        again = asked_of(page)
        if again is not None:
            await page_failed(tx, again, error, directory, now)


async def waiting_together(tx: Tx, medium: str, address: str, now: datetime, *, sending: bool) -> list[Page]:
    """The pages that wait to go out in one message to this address, the oldest first; with `sending` those that were being sent as well."""
    known = await tx.pages_to(medium, address, now - timedelta(days=1), MOST_WAITING)
    states = (PageState.BUNDLED, PageState.SENDING) if sending else (PageState.BUNDLED,)
    held = [one for one in known if one.purpose == "bundle" and one.incident_id is not None and not one.answer]
    return [one for one in reversed(held) if one.state in states]


def failed(page: Page, error: str, now: datetime) -> Page:
    return page.model_copy(update={"state": PageState.FAILED, "state_at": now, "answer": error[:300]})


def asked_of(page: Page) -> Effect | None:
    """The effect by which a page of an escalation was asked for, from what is kept of it; None for anything else."""
    found = oncall_effects.rung_of(page.key)
    if found is None:
        return None
    rung, target = found
    whole = f"page:{':'.join(str(number) for number in rung)}:{target}"
    method = Method(key=page.key.removeprefix(whole).removeprefix(":"), medium=page.medium, address=page.address)
    return oncall_effects.page(rung, target, Step(method=method), page.begun_at)


def _rung(asked: Effect) -> Rung:
    return Rung(*(int(asked.payload[name]) for name in Rung._fields))


def _of_same(page: Page, asked: Effect) -> bool:
    """Whether a page goes to the same target for the same reason."""
    if asked.kind == "summon":
        return page.key.startswith(f"{asked.payload['whole']}:{asked.payload['target']}")
    return belongs(page.key, _rung(asked), str(asked.payload["target"]))


def _method_of(key: str, asked: Effect) -> str:
    """The key of the method of a page to the same target; Slack's when it has none (pages of an earlier version)."""
    target = str(asked.payload["target"])
    return key.rpartition(f":{target}:")[2] if f":{target}:" in key else SLACK
