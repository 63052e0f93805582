"""`/incident why`: why something did or did not page. Words in, one flow call, words out."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.alert import AlertState
from bot.domain.why import Account, Told, Why
from bot.entry.slack.asked import REF, Ask, Command, Reply, hidden, must_be_seen_here, sections
from bot.entry.slack.ports import Flows
from bot.errors import BadInput
from bot.room import mrkdwn

MOST_HELD = 20
MOST_DECISIONS = 3
MOST_PAGING = 15


def commands(flows: Flows) -> dict[str, Command]:
    return {
        "why": Command(
            "why [INC-7 | FINGERPRINT | held]", "why it did or did not page, stage by stage", Asked(flows).why
        )
    }


class Asked:
    def __init__(self, flows: Flows) -> None:
        self._flows = flows

    async def why(self, ask: Ask) -> Reply:
        text = ask.text.strip()
        if text.lower() == "held":
            return _held(await self._flows.explain.held())
        named = REF.fullmatch(text)
        if named:
            await must_be_seen_here(self._flows, int(named[1]), ask.channel_id)
            return _account(await self._flows.explain.incident(int(named[1])))
        if text:
            found = [one for one in await self._flows.explain.alert(text) if not _hidden(one, ask.channel_id)]
            if not found:
                raise BadInput("That alert belongs to a private incident: ask in its channel.")
            return Reply(_head(found[0]), sections([line for one in found for line in _told(one)]))
        here = await self._flows.incidents.of_channel(ask.channel_id) if ask.channel_id else None
        if here is not None:
            return _account(await self._flows.explain.incident(here.id))
        return _held(await self._flows.explain.held())


def _hidden(one: Told, channel_id: str) -> bool:
    return one.incident is not None and hidden(one.incident, channel_id)


def _held(states: Sequence[AlertState]) -> Reply:
    if not states:
        return Reply("Nothing is held: whatever fires has its incident.")
    lines = [
        f"• {mrkdwn.line(one.alert.summary, 150)} {mrkdwn.code(one.alert.fingerprint[:16])}: {one.held.outcome} by {mrkdwn.line(one.held.by, 100)}"
        + (f", looked at again {mrkdwn.date(one.held.again_at)}" if one.held.again_at else "")
        for one in states[:MOST_HELD]
        if one.held
    ]
    more = [f"and {len(states) - MOST_HELD} more"] if len(states) > MOST_HELD else []
    ask = "`/incident why FINGERPRINT` says how each came about."
    return Reply(
        f"{len(states)} firing alerts are held",
        sections([f"*{len(states)} firing alerts are held*", *lines, *more, ask]),
    )


def _account(account: Account) -> Reply:
    incident = account.incident
    title = f"Why {incident.ref}: {mrkdwn.line(incident.title, 150)}"
    lines = [f"*{title}*"]
    if not account.alerts:
        lines.append(f"{mrkdwn.line(incident.opened_by, 80)} opened it by hand: no alert brought it.")
    for one in account.alerts:
        lines += _told(one)
    paging = [f"{mrkdwn.date(entry.at)} {mrkdwn.line(entry.text, 300)}" for entry in account.paging[-MOST_PAGING:]]
    lines += ["*Paging*", *(paging or ["Nobody was paged."])]
    return Reply(title, sections(lines))


def _head(one: Told) -> str:
    state, held = one.state, one.state.held
    where = f"held by {held.by}" if held else one.incident.ref if one.incident else "no incident"
    fires = "fires" if state.alert.firing else "has resolved"
    return f"{mrkdwn.line(state.alert.summary, 150)} {mrkdwn.code(state.alert.fingerprint[:16])} {fires}: {mrkdwn.line(where, 120)}"


def _told(one: Told) -> list[str]:
    lines = [f"*{_head(one)}*"]
    for decision in one.decisions[:MOST_DECISIONS]:
        lines += _decision(decision)
    if len(one.decisions) > MOST_DECISIONS:
        lines.append(f"and {len(one.decisions) - MOST_DECISIONS} decisions before; `tocsin alert why` shows them all")
    return lines


def _decision(why: Why) -> list[str]:
    lines = [f"{mrkdwn.date(why.at)} *{mrkdwn.line(why.outcome, 30)}*: {mrkdwn.line(why.reason, 300)}"]
    lines += [
        f"    ✓ {name}: {mrkdwn.line(word, 250)}"
        for name, word in why.stages
        if word not in ("no", "not asked") and name != why.stage
    ]
    if why.routes:
        lines.append(
            f"    route {mrkdwn.line(', then '.join(why.routes), 200)}, severity {mrkdwn.line(why.severity, 40)}"
        )
    return lines
