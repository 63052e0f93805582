"""Everything that the outside world can be asked to do, as data. A decision returns effects; the worker delivers them.

What on-call asks (pages, deadlines, hand-overs) is in oncall_effects.py.

An effect becomes one outbox row. Its key makes asking twice the same as asking once; its lane is delivered in order, one at a time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Priority(IntEnum):
    """Who goes first when there is a queue. An approval is shown in its incident's channel, so the channel comes before it.

    TIMER: what only decides and records. Its handler acts on nothing outside, so many that are due are taken together, in one transaction.
    """

    TIMER = -1
    PAGE = 0
    CHANNEL = 1
    APPROVAL = 2
    CARD = 3
    CONTEXT = 4
    COSMETICS = 5


class Effect(BaseModel):
    """One thing to do, not before `due`.

    `latest_wins`: asking again replaces a pending row and revives a delivered one (a card); otherwise asking again is nothing.
    """

    model_config = ConfigDict(frozen=True)

    kind: str
    key: str
    lane: str
    priority: Priority
    due: datetime
    payload: dict[str, Any] = Field(default_factory=dict)
    latest_wins: bool = False


def _in_channel(incident_id: int) -> str:
    return f"incident:{incident_id}"


def open_channel(incident_id: int, now: datetime) -> Effect:
    return Effect(
        kind="open_channel",
        key=f"open_channel:{incident_id}",
        lane=_in_channel(incident_id),
        priority=Priority.CHANNEL,
        due=now,
        payload={"incident_id": incident_id},
    )


def invite(incident_id: int, people: tuple[str, ...], now: datetime) -> Effect:
    """Bring people (their names in oncall.yaml, or `slack:U…`) into the channel."""
    return Effect(
        kind="invite",
        key=f"invite:{incident_id}:{','.join(people)}",
        lane=_in_channel(incident_id),
        priority=Priority.CHANNEL,
        due=now,
        payload={"incident_id": incident_id, "people": list(people)},
    )


def card(incident_id: int, now: datetime) -> Effect:
    """Post and pin the summary card, or bring it up to date."""
    return Effect(
        kind="card",
        key=f"card:{incident_id}",
        lane=_in_channel(incident_id),
        priority=Priority.CARD,
        due=now,
        payload={"incident_id": incident_id},
        latest_wins=True,
    )


def topic(incident_id: int, now: datetime) -> Effect:
    return Effect(
        kind="topic",
        key=f"topic:{incident_id}",
        lane=_in_channel(incident_id),
        priority=Priority.COSMETICS,
        due=now,
        payload={"incident_id": incident_id},
        latest_wins=True,
    )


def say(incident_id: int, seq: int, text: str, now: datetime, priority: Priority = Priority.CARD) -> Effect:
    """A line of text in the incident's channel. `seq` is the timeline entry that it tells of; `text` is plain, not mrkdwn."""
    return Effect(
        kind="say",
        key=f"say:{incident_id}:{seq}",
        lane=_in_channel(incident_id),
        priority=priority,
        due=now,
        payload={"incident_id": incident_id, "text": text},
    )


def alarm(key: str, text: str, now: datetime, incident_id: int | None = None, *, wide: bool = True) -> Effect:
    """A loud message in the fallback channel: nobody is left to page, or something of the bot's own is broken. `wide`: the last resort as well."""
    return Effect(
        kind="alarm",
        key=f"alarm:{key}",
        lane=f"alarm:{key}",
        priority=Priority.PAGE,
        due=now,
        payload={"text": text, "incident_id": incident_id, "wide": wide},
    )


def escalate(incident_id: int, epoch: int, track: int, step: int, due: datetime) -> Effect:
    """Look whether somebody has acknowledged; if not, page the level that `step` stands for."""
    key = f"escalate:{incident_id}:{epoch}:{track}:{step}"
    return Effect(
        kind="escalate",
        key=key,
        lane=key,
        priority=Priority.TIMER,
        due=due,
        payload={"incident_id": incident_id, "epoch": epoch, "track": track, "step": step},
        latest_wins=True,  # a failed page asks for it again, earlier; a step that is over does nothing
    )


def recheck(at: datetime) -> Effect:
    """Look again at the alerts whose reason to be held is over by then, and at those that are calm. One row per second, however many alerts."""
    due = at if at.microsecond == 0 else at.replace(microsecond=0) + timedelta(seconds=1)
    return Effect(
        kind="recheck",
        key=f"recheck:{int(due.timestamp())}",
        lane="recheck",
        priority=Priority.PAGE,
        due=due,
        latest_wins=True,
    )


def news(incident_id: int, due: datetime) -> Effect:
    """Tell the channel of the alerts that have joined since it was last told."""
    return Effect(
        kind="news",
        key=f"news:{incident_id}",
        lane=f"news:{incident_id}",
        priority=Priority.CONTEXT,
        due=due,
        payload={"incident_id": incident_id},
        latest_wins=True,
    )


def remind(incident_id: int, epoch: int, due: datetime) -> Effect:
    """Say that the incident is still open."""
    return Effect(
        kind="remind",
        key=f"remind:{incident_id}:{epoch}",
        lane=f"remind:{incident_id}",
        priority=Priority.CONTEXT,
        due=due,
        payload={"incident_id": incident_id, "epoch": epoch},
        latest_wins=True,
    )


def silence_ends(number: int, ends_at: datetime, due: datetime) -> Effect:
    """Say that a silence is about to end. `ends_at` tells an end that was moved meanwhile."""
    return Effect(
        kind="silence_ends",
        key=f"silence_ends:{number}:{int(ends_at.timestamp())}",
        lane=f"silence:{number}",
        priority=Priority.CONTEXT,
        due=due,
        payload={"silence": number, "ends_at": ends_at.isoformat()},
    )


def digest(day: str, due: datetime) -> Effect:
    """Say what was held, and which rules are noise, on the day that ends then (`2026-11-21`)."""
    return Effect(
        kind="digest",
        key=f"digest:{day}",
        lane="digest",
        priority=Priority.COSMETICS,
        due=due,
        payload={"day": day, "due": due.isoformat()},
    )


def gather(incident_id: int, epoch: int, now: datetime) -> Effect:
    """Collect context. Its own lane: it never holds up the channel."""
    key = f"gather:{incident_id}:{epoch}"
    return Effect(
        kind="gather",
        key=key,
        lane=key,
        priority=Priority.CONTEXT,
        due=now,
        payload={"incident_id": incident_id, "epoch": epoch},
    )


def show_context(incident_id: int, epoch: int, now: datetime) -> Effect:
    return Effect(
        kind="show_context",
        key=f"show_context:{incident_id}:{epoch}",
        lane=_in_channel(incident_id),
        priority=Priority.CONTEXT,
        due=now,
        payload={"incident_id": incident_id, "epoch": epoch},
        latest_wins=True,
    )


def offer(incident_id: int, epoch: int, now: datetime) -> Effect:
    """Find the runbooks that match, and start a run (look and plan only) of each."""
    key = f"offer:{incident_id}:{epoch}"
    return Effect(
        kind="offer",
        key=key,
        lane=key,
        priority=Priority.CONTEXT,
        due=now,
        payload={"incident_id": incident_id, "epoch": epoch},
        latest_wins=True,  # once the context is there it is asked for again, earlier
    )


def advance_run(run_id: int, step_id: str, due: datetime) -> Effect:
    """Take one step of a run one move further: look, plan, do, or look again; or let its approval expire. Steps do not wait for each other."""
    return Effect(
        kind="advance_run",
        key=f"advance_run:{run_id}:{step_id}",
        lane=f"run:{run_id}:{step_id}",
        priority=Priority.APPROVAL,
        due=due,
        payload={"run_id": run_id, "step": step_id},
        latest_wins=True,
    )


def show_run(incident_id: int, run_id: int, now: datetime) -> Effect:
    """One message per run, brought up to date in place."""
    return Effect(
        kind="show_run",
        key=f"show_run:{run_id}",
        lane=_in_channel(incident_id),
        priority=Priority.APPROVAL,
        due=now,
        payload={"incident_id": incident_id, "run_id": run_id},
        latest_wins=True,
    )


def share_output(incident_id: int, run_id: int, step_id: str, tries: int, now: datetime) -> Effect:
    """Upload what a step has put out, when it is too long for the run's message; after each of its tries."""
    return Effect(
        kind="share_output",
        key=f"share_output:{run_id}:{step_id}:{tries}",
        lane=_in_channel(incident_id),
        priority=Priority.CONTEXT,
        due=now,
        payload={"incident_id": incident_id, "run_id": run_id, "step": step_id},
    )


def post(incident_id: int, key: str, channel: str, text: str, now: datetime) -> Effect:
    """What a runbook tells a channel (empty: the incident's own); `text` is plain, not mrkdwn."""
    return Effect(
        kind="post",
        key=f"post:{key}",
        lane=f"post:{key}" if channel else _in_channel(incident_id),
        priority=Priority.APPROVAL,
        due=now,
        payload={"incident_id": incident_id, "channel": channel, "text": text},
    )


def summon(incident_id: int, key: str, target: str, why: str, now: datetime) -> Effect:
    """Page somebody by name, beside the escalation policy: a runbook or a person asks for them."""
    return Effect(
        kind="summon",
        key=f"summon:{key}",
        lane=f"summon:{key}",
        priority=Priority.PAGE,
        due=now,
        payload={"incident_id": incident_id, "target": target, "why": why},
    )


def review(incident_id: int, epoch: int, now: datetime) -> Effect:
    """Write the post-mortem to its folder, from the timeline."""
    return Effect(
        kind="review",
        key=f"review:{incident_id}:{epoch}",
        lane=f"review:{incident_id}",
        priority=Priority.COSMETICS,
        due=now,
        payload={"incident_id": incident_id, "epoch": epoch},
        latest_wins=True,
    )


def share_review(incident_id: int, epoch: int, now: datetime) -> Effect:
    """Upload the written post-mortem to the channel."""
    return Effect(
        kind="share_review",
        key=f"share_review:{incident_id}:{epoch}",
        lane=_in_channel(incident_id),
        priority=Priority.COSMETICS,
        due=now,
        payload={"incident_id": incident_id, "epoch": epoch},
    )


KINDS = (
    "escalate",
    "alarm",
    "open_channel",
    "invite",
    "card",
    "topic",
    "say",
    "gather",
    "show_context",
    "offer",
    "advance_run",
    "show_run",
    "share_output",
    "post",
    "summon",
    "recheck",
    "news",
    "remind",
    "silence_ends",
    "digest",
    "review",
    "share_review",
)
