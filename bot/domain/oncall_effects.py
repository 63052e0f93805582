"""What on-call asks of the outside world, as data: pages by medium, what follows when one fails, deadlines, hand-overs. Like effects.py."""

from __future__ import annotations

import hashlib
from datetime import datetime

from bot.domain.effects import Effect, Priority
from bot.domain.notice import Notice


def page(
    incident_id: int,
    epoch: int,
    track: int,
    step: int,
    target: str,
    method: str,
    medium: str,
    address: str,
    due: datetime,
) -> Effect:
    """Page one target by one medium. A lane of its own: no page waits for another, and a medium that fails holds up no other.

    `method`: the key of a person's contact method; empty for `channel:…` and `medium:…`. `address` empty: the medium's own.
    """
    key = f"page:{incident_id}:{epoch}:{track}:{step}:{target}" + (f":{method}" if method else "")
    return Effect(
        kind="page",
        key=key,
        lane=key,
        priority=Priority.PAGE,
        due=due,
        payload={
            "incident_id": incident_id,
            "epoch": epoch,
            "track": track,
            "step": step,
            "target": target,
            "method": method,
            "medium": medium,
            "address": address,
        },
    )


def fall_back(page_key: str, incident_id: int, due: datetime) -> Effect:
    """Look whether a page has gone out by then; if not, page the same person by the next method (P3). Asked together with each page of a person."""
    return Effect(
        kind="fall_back",
        key=f"fall_back:{page_key}",
        lane=f"fall_back:{page_key}",
        priority=Priority.PAGE,
        due=due,
        payload={"incident_id": incident_id, "page": page_key},
        latest_wins=True,  # a page that can never be delivered asks for it again, at once
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
        priority=Priority.PAGE,
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
