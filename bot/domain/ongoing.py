"""What is said of an incident that goes on: its alerts flap or are calm, more have joined, it is still open. Called by judging and delivery."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.domain import effects
from bot.domain.alert import Alert
from bot.domain.flapping import Flapping, shown
from bot.domain.incident import Change, Incident, entered, refreshed
from bot.domain.timeline import Entry

MOST_NAMES = 50


def flapping_begun(incident: Incident, alert: Alert, rule: Flapping, now: datetime) -> Change:
    """An alert comes and goes: from now on the incident is held open, and nobody is paged for it again."""
    text = (
        f"{alert.summary} flaps: {rule.said()}. {incident.ref} is held open, and nobody is paged for it again, "
        f"until it has been calm for {shown(rule.calm)}"
    )
    names = (*incident.flapping, alert.summary)[-MOST_NAMES:]
    return refreshed(entered(incident, "flapping", text, now, flapping=names), now)


def calmed(incident: Incident, alert: Alert, firing: bool, now: datetime) -> Change:
    """It has stopped flapping; it fires without a break, or it is over."""
    text = f"{alert.summary} does not flap any more: {'it fires without a break' if firing else 'it has resolved'}"
    names = tuple(name for name in incident.flapping if name != alert.summary)
    return refreshed(entered(incident, "calm", text, now, flapping=names), now)


def news_told(incident: Incident, joined: Sequence[Entry], now: datetime) -> Change:
    """The channel is told of the alerts of these timeline entries, which joined since it was told last."""
    count = sum(int(entry.data.get("count", 0)) for entry in joined)
    names = dict.fromkeys(str(alert["summary"]) for entry in joined for alert in entry.data.get("alerts", ()))
    shown_names = "; ".join(list(names)[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    text = f"{count} more {'alert has' if count == 1 else 'alerts have'} joined: {shown_names}"
    change = Change(incident.model_copy(update={"news_at": now}))
    return change.ask(effects.post(incident.id, f"news:{incident.id}:{now.isoformat()}", "", text, now))


def reminded(incident: Incident, now: datetime) -> Change:
    """It has been open for so long that people should be told again; and once more after the same time."""
    if not incident.is_open or incident.repeat is None:
        return Change(incident)
    who = f"{incident.acknowledged_by} has it" if incident.acknowledged_by else "nobody has acknowledged it"
    open_for = shown(timedelta(minutes=(now - incident.opened_at) // timedelta(minutes=1)))
    text = f"{incident.ref} has been open for {open_for}: {incident.firing} of its alerts fire, and {who}"
    change = refreshed(entered(incident, "reminder", text, now), now)
    return change.ask(effects.remind(incident.id, incident.epoch, now + incident.repeat))
