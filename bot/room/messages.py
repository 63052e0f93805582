"""The texts about an incident: card, page, alarm, what was said, what was found. Pure; posted by room.py.

Written for somebody woken at three in the morning: what is broken, since when, who has it, what to do next, at one glance.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from bot.domain.alert import AlertState
from bot.domain.context import Context, Finding
from bot.domain.escalation import Level, Policy
from bot.domain.incident import Incident, State
from bot.domain.naming import english_list
from bot.domain.people import Directory
from bot.domain.run import Run
from bot.room import blocks as kit
from bot.room import mrkdwn
from bot.room.blocks import Block, Message
from bot.room.nature import nature
from bot.room.questions import asked
from bot.room.runs import mark as run_mark
from bot.room.runs import summary

SHOWN_ALERTS = 5
SHOWN_RUNS = 5
SHOWN_LINES = 40

STATE_WORDS = {
    State.TRIGGERED: "🔥 Triggered",
    State.ACKNOWLEDGED: "👀 Acknowledged",
    State.MITIGATED: "🩹 Mitigated",
    State.RESOLVED: "✅ Resolved",
    State.CLOSED: "☑️ Closed",
}


# ------------------------------------------------------------------------------------------------ the card


def card(
    incident: Incident,
    alerts: Sequence[AlertState],
    runs: Sequence[Run],
    directory: Directory,
    buttons: bool = True,
) -> Message:
    """The pinned summary, brought up to date in place."""
    shown: list[Block] = [
        kit.header(f"{_mark(incident)} {incident.ref} {incident.title}"),
        kit.section(_lead(incident, directory)),
        *(kit.section(text) for text in nature(incident)),
        kit.fields(_facts(incident)),
    ]
    if alerts:
        shown.append(kit.section(_alert_lines(incident, alerts)))
    if runs:
        shown.append(kit.section("*Runbooks*\n" + "\n".join(_run_line(run) for run in runs[-SHOWN_RUNS:])))
    if buttons and incident.is_open:
        shown.append(kit.actions(*_buttons(incident)))
    shown.append(kit.context(*_footer(incident)))
    text = f"{_mark(incident)} {incident.ref} {incident.state}: {mrkdwn.line(incident.title)} ({mrkdwn.line(incident.severity)})"
    return Message(text, kit.bounded(shown))


def _mark(incident: Incident) -> str:
    return kit.severity_mark(incident.severity) if incident.is_open else "✅"


def _lead(incident: Incident, directory: Directory) -> str:
    """The sentence to read first."""
    who = mrkdwn.bold(incident.acknowledged_by) if incident.acknowledged_by else ""
    if incident.state is State.TRIGGERED:
        paged = english_list(_name(key, directory) for key in incident.paged) if incident.paged else ""
        asked = f" Paged so far: {mrkdwn.line(paged)}." if paged else ""
        return f"*Nobody has this yet.*{asked} Press *Acknowledge* if you take it."
    if incident.state is State.ACKNOWLEDGED:
        return f"{who or 'Somebody'} has this. Nobody else is paged."
    if incident.state is State.MITIGATED:
        return f"The harm has stopped.{f' {who} has this.' if who else ''} Resolve it when the cause is gone."
    if incident.state is State.RESOLVED:
        return "Resolved. If the problem comes back soon, this incident opens again."
    return "Closed."


def _facts(incident: Incident) -> list[tuple[str, str]]:
    facts = [
        ("State", STATE_WORDS[incident.state]),
        ("Severity", f"{kit.severity_mark(incident.severity)} {mrkdwn.line(incident.severity)}"),
        ("Since", mrkdwn.date(incident.opened_at)),
        ("Who has it", mrkdwn.line(incident.acknowledged_by) or ("nobody yet" if incident.is_open else "nobody")),
    ]
    if incident.resolved_at and not incident.is_open:
        facts.append(("Resolved", mrkdwn.date(incident.resolved_at)))
    if incident.service:
        facts.append(("Service", mrkdwn.line(incident.service)))
    if incident.alerts:
        facts.append(("Alerts", f"{incident.firing} of {incident.alerts} firing"))
    return facts


def _alert_lines(incident: Incident, alerts: Sequence[AlertState]) -> str:
    shown = [_alert_line(state) for state in alerts[:SHOWN_ALERTS]]
    if (
        sum(map(len, shown)) > mrkdwn.SECTION - 100
    ):  # addresses of a thousand characters: better the words than half a link
        shown = [_alert_line(state, linked=False) for state in alerts[:SHOWN_ALERTS]]
    more = max(incident.alerts, len(alerts)) - len(shown)
    return "*Alerts*\n" + "\n".join([*shown, *([f"and {more} more"] if more > 0 else [])])


def _alert_line(state: AlertState, *, linked: bool = True) -> str:
    alert = state.alert
    mark = "🔥" if alert.firing else "✔️"
    since = f"since {mrkdwn.date(alert.starts_at)}" if alert.firing else "resolved"
    return f"{mark} {mrkdwn.link(alert.url if linked else '', alert.summary, 250)} ({since})"


def _run_line(run: Run) -> str:
    where = summary(run)
    return f"{run_mark(run)} {run.ref} {mrkdwn.line(run.runbook.title, 100)}: {f'*{where}*' if asked(run) else where}"


def _buttons(incident: Incident) -> list[Block]:
    number = str(incident.id)
    shown: list[Block] = []
    if incident.state is State.TRIGGERED:
        shown.append(kit.button("Acknowledge", kit.ACK, number, style="primary"))
    still = None
    if incident.firing:
        count = "One alert still fires" if incident.firing == 1 else f"{incident.firing} alerts still fire"
        still = kit.confirm(
            "Resolve while alerts fire?", f"{count}. If they go on, the incident opens again.", "Resolve"
        )
    shown.append(kit.button("Resolve", kit.RESOLVE, number, confirm=still))
    if incident.tracks:
        ask = kit.confirm("Page the next level?", "This pages people now instead of at the next timeout.", "Page them")
        shown.append(kit.button("Escalate", kit.ESCALATE, number, confirm=ask))
    shown.append(kit.button("Runbooks", kit.RUNBOOKS, number))
    shown.append(kit.button("Silence", kit.SILENCE, number))
    return shown


def _footer(incident: Incident) -> list[str]:
    opened = f"Opened by {mrkdwn.line(incident.opened_by)}"
    route = f", route {mrkdwn.code(incident.route)}" if incident.route else ""
    again = f", opened {incident.epoch} times" if incident.epoch > 1 else ""
    owner = f"Owner: {mrkdwn.line(incident.owner)}. " if incident.owner else ""
    links = " · ".join(mrkdwn.link(url, "dashboard") for url in incident.dashboards[:3])
    lines = [f"{opened}{route}{again}. `/incident show` has the timeline."]
    return [f"{owner}{links}", *lines] if owner or links else lines


# ------------------------------------------------------------------------------------------------ a page, an alarm


def page(incident: Incident, target: str, level: int) -> Message:
    """To one person (or a channel) who has to act. A private incident is not told to a channel."""
    person = target.startswith("person:")
    told = person or not incident.private
    title = incident.title if told else "a private incident"
    severity, mark = incident.severity, kit.severity_mark(incident.severity)
    why, next_page = _why(incident, target, level)
    shown = [
        kit.header(f"{mark} {'You are paged' if person else 'Page'}: {title}"),
        kit.section(f"{mrkdwn.bold(severity)}, {incident.ref}, since {mrkdwn.date(incident.opened_at)}"),
    ]
    if told:
        shown.append(kit.fields(_page_facts(incident)))
    shown.append(kit.actions(kit.button("Acknowledge", kit.PAGE_ACK, str(incident.id), style="primary")))
    shown.append(kit.context(f"{why} {next_page}".strip()))
    text = f"{mark} {mrkdwn.line(severity)}: {mrkdwn.line(title)} ({incident.ref}). Please acknowledge. {next_page}"
    return Message(text.strip(), kit.bounded(shown))


def summons(incident: Incident, target: str, why: str, who: str) -> Message:
    """To somebody who is asked for by name, beside the escalation policy. `who` asks: `RUN-3`. A private incident is not told to a channel."""
    person = target.startswith("person:")
    told = person or not incident.private
    title = incident.title if told else "a private incident"
    mark = kit.severity_mark(incident.severity)
    asks = f"{who} asks for {'you' if person else 'somebody here'}"
    because = why if told else "look into its channel, if you can see it"
    shown = [
        kit.header(f"{mark} {asks}: {title}"),
        kit.section(f"{mrkdwn.bold(asks)}: {mrkdwn.escape(because, 2000)}"),
        kit.section(f"{mrkdwn.bold(incident.severity)}, {incident.ref}, since {mrkdwn.date(incident.opened_at)}"),
    ]
    if told:
        shown.append(kit.fields(_page_facts(incident)))
    if incident.is_open:
        shown.append(kit.actions(kit.button("Acknowledge", kit.PAGE_ACK, str(incident.id), style="primary")))
    shown.append(kit.context("This is beside the escalation policy: nobody else is paged because of it."))
    text = f"{mark} {asks}: {mrkdwn.line(because)} ({incident.ref}: {mrkdwn.line(title)})"
    return Message(text, kit.bounded(shown))


def _page_facts(incident: Incident) -> list[tuple[str, str]]:
    where = f"<#{incident.channel_id}>" if incident.channel_id else "its channel is being opened"
    facts = [("Where", where)]
    if incident.service:
        facts.append(("Service", mrkdwn.line(incident.service)))
    if incident.alerts:
        facts.append(("Alerts", f"{incident.firing} of {incident.alerts} firing"))
    labels = " ".join(mrkdwn.code(f"{name}={value}", 100) for name, value in list(incident.labels.items())[:5])
    return [*facts, ("Labels", labels)] if labels else facts


def _why(incident: Incident, target: str, level: int) -> tuple[str, str]:
    """Why this target, and what happens if nobody answers."""
    found = [(policy, at) for policy, at in _levels(incident, level) if target in at.targets or _by_turn(at)]
    found = found or _levels(incident, level)
    if not found:
        return "Somebody asked for you.", ""
    names = " or ".join(dict.fromkeys(policy.key for policy, _ in found))
    timeout = min(at.timeout for _, at in found)
    why = f"Why you: policy {mrkdwn.code(names)}, level {level}."
    return why, f"Without an answer the next page goes out after {_minutes(timeout)}."


def _levels(incident: Incident, level: int) -> list[tuple[Policy, Level]]:
    policies = [track.policy for track in incident.tracks]
    return [(policy, policy.levels[level - 1]) for policy in policies if 0 < level <= len(policy.levels)]


def _by_turn(level: Level) -> bool:
    return any(target.startswith("rotation:") for target in level.targets)


def _minutes(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    if seconds % 60 or seconds < 60:
        return f"{seconds} seconds"
    return "1 minute" if seconds == 60 else f"{seconds // 60} minutes"


def alarm(text: str, everybody: bool) -> Message:
    """Loud: `everybody` wakes the whole channel (nobody is left to page)."""
    mention = "<!channel> " if everybody else ""
    return Message(f"🚨 {mention}{mrkdwn.escape(text, mrkdwn.SECTION - 20)}")


def said(text: str) -> Message:
    pieces = mrkdwn.split(text) or ["–"]
    return Message(pieces[0], [kit.section(piece) for piece in pieces] if len(pieces) > 1 else ())


def topic(incident: Incident) -> str:
    """At most 250 characters, who has it before what it is called."""
    who = f" · {mrkdwn.line(incident.acknowledged_by, 60)}" if incident.acknowledged_by else ""
    start = f"{_mark(incident)} {incident.ref} {incident.state} · {mrkdwn.line(incident.severity, 40)}{who} · "
    return mrkdwn.clip(start + mrkdwn.line(incident.title), mrkdwn.TOPIC)


# ------------------------------------------------------------------------------------------------ what was found


def context(incident: Incident, found: Context) -> Message:
    """Facts with where they come from; what is missing says why."""
    title = f"What is known about {incident.ref}"
    shown: list[Block] = [kit.header(title)]
    for finding in found.findings:
        shown += _finding(finding)
    if not found.findings:
        shown.append(kit.section("Nothing was found."))
    shown.append(kit.context(f"Gathered {mrkdwn.date(found.gathered_at)}"))
    return Message(f"{title}: {mrkdwn.line(english_list(one.title for one in found.findings))}", kit.bounded(shown))


def _finding(finding: Finding) -> list[Block]:
    title = mrkdwn.bold(finding.title)
    source = mrkdwn.line(finding.source, 500)
    origin = " · ".join(part for part in (source, mrkdwn.link(finding.url, "open") if finding.url else "") if part)
    if finding.missing:
        shown = [kit.section(f"{title}\nNot gathered, because {mrkdwn.line(finding.missing, 500)}")]
    elif finding.code:
        texts, left_out = mrkdwn.code_blocks(finding.lines[-SHOWN_LINES:], mrkdwn.SECTION - 400)
        shown = [kit.section(f"{title}\n{''.join(texts) or 'Nothing.'}")]
        if left_out:
            shown.append(kit.context(f"{left_out} more lines do not fit here."))
    else:
        lines = [mrkdwn.line(one, 500) for one in finding.lines[:SHOWN_LINES]]
        more = len(finding.lines) - len(lines)
        body = "\n".join(lines) or ("See the picture." if finding.picture else "Nothing.")
        shown = [kit.section(f"{title}\n{body}" + (f"\nand {more} more" if more > 0 else ""))]
    return [*shown, kit.context(origin)] if origin else shown


def _name(key: str, directory: Directory) -> str:
    person = directory.people.get(key)
    return person.name if person else key
