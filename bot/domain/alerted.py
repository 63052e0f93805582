"""The words of what people are told by media other than Slack: pages, several at once, recoveries, reminders, alarms. Pure; used by flow/pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from bot.domain.incident import Incident, State
from bot.domain.links import Links
from bot.domain.naming import clipped, english_list, in_words
from bot.domain.notice import Notice
from bot.domain.page import Page

SHORT = 300
MOST_LABELS = 5
MOST_NAMED = 5
MOST_LISTED = 200
LONGEST_ALERT = 200
PRIVATE = "a private incident"
# What a template of messages may name: what `facts` gives, and the links.
NAMES = (
    "incident",
    "severity",
    "state",
    "title",
    "service",
    "owner",
    "labels",
    "firing",
    "alerts",
    "since",
    "open_for",
    "acknowledged_by",
    "to",
    "target",
    "url",
    "acknowledge_url",
)


def thread(incident: Incident) -> str:
    """The same for all messages about one incident."""
    return f"tocsin-{incident.ref}-{incident.mark[:8]}"


def facts(incident: Incident, target: str, name: str, now: datetime) -> dict[str, str]:
    """What media with fields and templates of messages are given, all of it text. A private incident's are told to nobody but persons."""
    told = may_be_told(incident, target)
    return {
        "incident": incident.ref,
        "severity": incident.severity,
        "state": str(incident.state),
        "title": incident.title if told else PRIVATE,
        "service": incident.service if told else "",
        "owner": incident.owner if told else "",
        "labels": _labels(incident) if told else "",
        "firing": str(incident.firing),
        "alerts": str(incident.alerts),
        "since": f"{incident.opened_at:%Y-%m-%d %H:%M} UTC",
        "open_for": in_words(now - incident.opened_at),
        "acknowledged_by": incident.acknowledged_by,
        "to": name,
        "target": target,
    }


def may_be_told(incident: Incident, target: str) -> bool:
    return not incident.private or target.startswith("person:")


def paged(
    incident: Incident, page: Page, links: Links, now: datetime, why: str = "", firing: Sequence[str] = ()
) -> Notice:
    """One page. `why`: somebody asks for this person by name, and says so. `firing`: what its alerts say, the first of them."""
    known = facts(incident, page.target, page.name, now)
    title, told = known["title"], may_be_told(incident, page.target)
    asks = f"You are asked for: {why if told else 'look into its channel, if you can see it'}" if why else ""
    fire = [clipped(_line(one), LONGEST_ALERT) for one in firing] if told else []
    lines = [asks, *fire, *_lines(incident, known)]
    test = "a test of " if incident.test else ""
    spoken = (
        f"This is Tocsin. You are paged for {test}{incident.severity} incident {incident.id}: {_sentence(title)} {asks}"
    )
    return Notice(
        key=page.key,
        purpose="summon" if why else "page",
        mark=incident.mark,
        thread=thread(incident),
        incident_id=incident.id,
        subject=_line(f"[{incident.severity}] {incident.ref}: {title}"),
        body="\n".join(line for line in lines if line),
        short=clipped(_line(f"{incident.ref} {incident.severity}: {title}{f'. {asks}' if asks else ''}"), SHORT),
        spoken=_line(spoken),
        severity=incident.severity,
        url=links.of(incident),
        acknowledge_url=links.acknowledge(incident, page.key, page.target, now),
        acknowledgeable=incident.is_open,
        facts=known,
    )


def in_own_words(notice: Notice, text: str) -> Notice:
    """The same message in the words of a template."""
    return notice.model_copy(
        update={"body": text, "short": clipped(_line(text), SHORT), "spoken": _line(text)} if text.strip() else {}
    )


def several(incidents: Sequence[Incident], page: Page) -> Notice:
    """What was held back to one address, in one message: `3 more incidents: INC-8 …`. The worst first."""
    named = [f"{one.ref} {facts(one, page.target, page.name, page.begun_at)['title']}" for one in incidents]
    subject = f"{len(incidents)} more incidents: {_some(named)}"
    return Notice(
        key=page.key,
        purpose="bundle",
        subject=_line(f"[{page.severity}] {subject}"),
        body="\n".join(
            [
                clipped(_line(f"{one.severity}: {name}"), 250)
                for one, name in zip(incidents[:MOST_LISTED], named, strict=False)
            ]
            + ([f"and {len(named) - MOST_LISTED} more"] if len(named) > MOST_LISTED else [])
        ),
        short=clipped(_line(subject), SHORT),
        spoken=_line(f"This is Tocsin. You are paged for {len(incidents)} more incidents. {_some(named)}"),
        severity=page.severity,
        acknowledgeable=True,
        facts={
            "incidents": english_list(one.ref for one in incidents),
            "title": subject,
            "to": page.name,
            "target": page.target,
            "severity": page.severity,
        },
    )


def recovered(incidents: Sequence[Incident], key: str, target: str, name: str, now: datetime, links: Links) -> Notice:
    """What somebody was paged for is over; of several incidents at once when they are told together."""
    first = incidents[0]
    known = facts(first, target, name, now)
    if len(incidents) == 1:
        text = f"{first.ref} is resolved: {known['title']}"
        lasted = in_words((first.resolved_at or now) - first.opened_at)
        body = f"It was open for {lasted}. Nothing has to be done."
    else:
        text = f"{english_list(one.ref for one in incidents)} are resolved"
        body = "\n".join(f"{one.ref}: {facts(one, target, name, now)['title']}" for one in incidents)
    return Notice(
        key=key,
        purpose="recovery",
        mark=first.mark,
        thread=thread(first) if len(incidents) == 1 else "",
        incident_id=first.id if len(incidents) == 1 else None,
        subject=_line(text),
        body=body,
        short=clipped(_line(text), SHORT),
        spoken=_line(f"This is Tocsin. {text}"),
        severity=first.severity,
        url=links.of(first) if len(incidents) == 1 else "",
        facts=known,
    )


def taken(incident: Incident, key: str, target: str, name: str, now: datetime, links: Links) -> Notice:
    """Somebody has it: for pagers, which count by themselves."""
    text = f"{incident.ref} is acknowledged by {incident.acknowledged_by or 'somebody'}"
    return Notice(
        key=key,
        purpose="acknowledged",
        mark=incident.mark,
        thread=thread(incident),
        incident_id=incident.id,
        subject=_line(text),
        short=clipped(_line(text), SHORT),
        spoken=_line(text),
        severity=incident.severity,
        url=links.of(incident),
        facts=facts(incident, target, name, now),
    )


def reminder(incident: Incident, text: str, target: str, now: datetime, links: Links) -> Notice:
    """Whoever has it is asked whether they are still at it."""
    asked_at = (incident.still_at or now).timestamp()
    known = facts(incident, target, incident.acknowledged_by, now)
    return Notice(
        key=f"still-at-it:{incident.id}:{incident.epoch}:{asked_at:.6f}",
        purpose="reminder",
        mark=incident.mark,
        thread=thread(incident),
        incident_id=incident.id,
        subject=_line(text),
        body=f"{known['title']}\nSay that you are still at it: with the button in Slack, or `/incident still {incident.ref}`.",
        short=clipped(_line(text), SHORT),
        spoken=_line(text),
        severity=incident.severity,
        url=links.of(incident),
        facts=known | {"still_at_it": "asked"},
    )


def alarm(key: str, text: str, incident_id: int | None, now: datetime) -> Notice:
    """The last resort hears of it as well as the fallback channel. About the bot, so in no incident's thread."""
    return Notice(
        key=key,
        mark=f"{int(now.timestamp())}",
        purpose="alarm",
        incident_id=incident_id,
        subject=clipped(_line(text), 250),
        body=text if len(text) > 250 else "",
        short=clipped(_line(text), SHORT),
        spoken=_line(f"This is an alarm of Tocsin. {text}"),
        facts={"title": clipped(_line(text), 250)},
    )


def together(count: int) -> str:
    """What stands as the answer of a page that went out with others."""
    return f"in one message about {count} incidents"


def yours(incidents: Sequence[Incident]) -> str:
    """What to tell whoever acknowledged: `INC-7 is yours.`"""
    refs = english_list(one.ref for one in incidents)
    return f"{refs} {'is' if len(incidents) == 1 else 'are'} yours. Nobody else is paged for {'it' if len(incidents) == 1 else 'them'}."


def over_or_taken(incident: Incident) -> str:
    by = f" by {incident.acknowledged_by}" if incident.acknowledged_by and incident.state is State.ACKNOWLEDGED else ""
    return f"{incident.ref} is {incident.state} already{by}: nobody is being paged."


def _lines(incident: Incident, known: Mapping[str, str]) -> list[str]:
    alerts = f"Alerts: {incident.firing} of {incident.alerts} firing" if incident.alerts else ""
    service = f"Service: {known['service']}" if known["service"] else ""
    labels = f"Labels: {known['labels']}" if known["labels"] else ""
    return [service, alerts, labels, f"Since: {known['since']}"]


def _labels(incident: Incident) -> str:
    return ", ".join(clipped(f"{name}={value}", 100) for name, value in list(incident.labels.items())[:MOST_LABELS])


def _some(named: Sequence[str]) -> str:
    left = len(named) - MOST_NAMED
    return ", ".join(clipped(_line(one), 80) for one in named[:MOST_NAMED]) + (f" and {left} more" if left > 0 else "")


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _line(text: str) -> str:
    return " ".join(text.split())
