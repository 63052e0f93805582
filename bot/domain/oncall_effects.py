"""What on-call asks of the outside world, as data: pages by medium, what follows when one fails, deadlines, hand-overs. Like effects.py."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import NamedTuple

from bot.domain.contact import Step
from bot.domain.effects import Effect, Priority
from bot.domain.notice import Notice


class Rung(NamedTuple):
    """One level of one policy being paged for one incident: what a page belongs to. `step` counts levels over all rounds."""

    incident_id: int
    epoch: int
    track: int
    step: int


def page(rung: Rung, target: str, by: Step, now: datetime, *, loud: bool = False) -> Effect:
    """Page one target by one medium. A lane of its own: no page waits for another, and a medium that fails holds up no other.

    The key of the method is empty for `channel:…` and `medium:…`; the address is empty for the medium's own. `loud`: something else has failed, so
    it goes out also by what the severity would not use, and when it was meant for later it is brought forward.
    """
    key = _page_key(rung, target) + (f":{by.method.key}" if by.method.key else "")
    return Effect(
        kind="page",
        key=key,
        lane=key,
        priority=Priority.PAGE,
        due=now + by.after,
        payload={
            **rung._asdict(),
            "target": target,
            "method": by.method.key,
            "medium": by.method.medium,
            "address": by.method.address,
            "after": by.after.total_seconds(),
            "loud": loud,
        },
        latest_wins=loud,
    )


def _page_key(rung: Rung, target: str) -> str:
    return f"page:{rung.incident_id}:{rung.epoch}:{rung.track}:{rung.step}:{target}"


def rung_of(key: str) -> tuple[Rung, str] | None:
    """What a page belongs to, and its target, by its key; None for what is no page of an escalation."""
    kind, *parts = key.split(":", 6)
    if kind != "page" or len(parts) < 6 or not all(part.isdigit() for part in parts[:4]):
        return None
    incident_id, epoch, track, step = (int(part) for part in parts[:4])
    return Rung(incident_id, epoch, track, step), f"{parts[4]}:{parts[5].partition(':')[0]}"


def belongs(key: str, rung: Rung, target: str = "") -> bool:
    """Whether a page is one of this rung (and target)."""
    found = rung_of(key)
    return found is not None and found[0] == rung and target in ("", found[1])


def summon_by(asked: Effect, target: str, by: Step, now: datetime, *, loud: bool = False) -> Effect:
    """Reach one target that a `summon` means by one medium. The same kind: what carries a medium is sent, what does not is taken apart."""
    whole = str(asked.payload.get("whole", asked.key))
    key = f"{whole}:{target}" + (f":{by.method.key}" if by.method.key else "")
    return Effect(
        kind="summon",
        key=key,
        lane=key,
        priority=Priority.PAGE,
        due=now + by.after,
        payload={
            "incident_id": asked.payload["incident_id"],
            "why": asked.payload["why"],
            "whole": whole,
            "target": target,
            "method": by.method.key,
            "medium": by.method.medium,
            "address": by.method.address,
            "after": by.after.total_seconds(),
        },
        latest_wins=loud,
    )


def fall_back(asked: Effect, due: datetime, put_off: int = 0) -> Effect:
    """Look whether a page (or a part of a summon) has gone out by then; if not, reach the same person by the next method (P3).

    `put_off`: how often that has been put off, because nobody had come to sending it yet.
    """
    return Effect(
        kind="fall_back",
        key=f"fall_back:{asked.key}",
        lane=f"fall_back:{asked.key}",
        priority=Priority.TIMER,
        due=due,
        payload={
            "incident_id": asked.payload["incident_id"],
            "page": asked.key,
            "kind": asked.kind,
            "asked": dict(asked.payload),
            "put_off": put_off,
        },
        latest_wins=True,  # what is brought forward, or waits in a bundle, is looked at by its new time
    )


def bundle(medium: str, address: str, due: datetime) -> Effect:
    """Send what was held back to one address in one message ("3 more incidents")."""
    mark = hashlib.sha256(f"{medium}|{address}".encode()).hexdigest()[:16]
    key = f"bundle:{medium}:{mark}:{int(due.timestamp())}"
    return Effect(
        kind="bundle",
        key=key,
        lane=key,
        priority=Priority.PAGE,
        due=due,
        payload={"medium": medium, "address": address},
    )


def notify(notice: Notice, target: str, medium: str, address: str, due: datetime, priority: Priority) -> Effect:
    """Send a notice that is not a page (nothing stops it once it was asked for): a recovery, a reminder, a test, an alarm, a hand-over."""
    key = f"notify:{notice.key}:{medium}:{hashlib.sha256(address.encode()).hexdigest()[:16]}"
    return Effect(
        kind="notify",
        key=key,
        lane=key,
        priority=priority,
        due=due,
        payload={
            "incident_id": notice.incident_id,
            "notice": notice.model_dump(mode="json"),
            "target": target,
            "medium": medium,
            "address": address,
        },
    )


def stand_down(incident_id: int, epoch: int, what: str, now: datetime) -> Effect:
    """Tell exactly those who were alerted: that it is over (`what` is `recovery`), or (only pagers) that somebody has it (`acknowledged`)."""
    return Effect(
        kind="stand_down",
        key=f"stand_down:{incident_id}:{epoch}:{what}",
        lane=f"stand_down:{incident_id}",
        priority=Priority.CARD,
        due=now,
        payload={"incident_id": incident_id, "epoch": epoch, "what": what},
        latest_wins=True,
    )


def still_at_it(incident_id: int, epoch: int, acknowledged_at: datetime, stage: str, due: datetime) -> Effect:
    """The deadline of an acknowledgement: ask whoever has it (`stage` is `remind`), or take it back and page anew (`expire`)."""
    return Effect(
        kind="still_at_it",
        key=f"still_at_it:{incident_id}:{epoch}:{acknowledged_at.timestamp():.6f}:{stage}",
        lane=f"still_at_it:{incident_id}",
        priority=Priority.TIMER,
        due=due,
        payload={
            "incident_id": incident_id,
            "epoch": epoch,
            "acknowledged_at": acknowledged_at.isoformat(),
            "stage": stage,
        },
        latest_wins=True,
    )


def hand_over(schedule: str, at: datetime) -> Effect:
    """A turn ends: tell the schedule's channel and whoever begins what is open, and set the Slack user group."""
    return Effect(
        kind="hand_over",
        key=f"hand_over:{schedule}:{int(at.timestamp())}",
        lane=f"hand_over:{schedule}",
        priority=Priority.CARD,
        due=at,
        payload={"schedule": schedule, "at": at.isoformat()},
    )


def user_group(schedule: str, due: datetime) -> Effect:
    """Make the Slack user group of a schedule equal to who is on call."""
    return Effect(
        kind="user_group",
        key=f"user_group:{schedule}",
        lane=f"user_group:{schedule}",
        priority=Priority.CONTEXT,
        due=due,
        payload={"schedule": schedule},
        latest_wins=True,
    )


def coverage(day: str, due: datetime) -> Effect:
    """Look ahead for gaps and overlaps in all schedules, and say so before they hurt. Once a day (`2026-11-21`)."""
    return Effect(
        kind="coverage",
        key=f"coverage:{day}",
        lane="coverage",
        priority=Priority.CONTEXT,
        due=due,
        payload={"day": day},
    )


KINDS = ("page", "fall_back", "bundle", "notify", "stand_down", "still_at_it", "hand_over", "user_group", "coverage")
