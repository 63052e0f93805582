"""`/incident why`: why something did or did not page. Words in, one flow call, words out."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.why import Account, HeldNow, Told, Why
from bot.entry.slack.asked import REF, Ask, Command, Reply, hidden, must_be_seen_here, sections
from bot.entry.slack.ports import Flows
from bot.errors import BadInput
from bot.room import blocks as kit
from bot.room import mrkdwn

MOST_HELD = 20
MOST_DECISIONS = 3
MOST_PAGING = 15
FINGERPRINT = 24


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
        text = ask.text.strip().strip("`").strip()
        if text.lower() == "held":
            return _held(await self._flows.explain.held())
        named = REF.fullmatch(text)
        if named:
            await must_be_seen_here(self._flows, int(named[1]), ask.channel_id)
            return _account(await self._flows.explain.incident(int(named[1])))
        if text:
            found = [one for one in await self._flows.explain.alert(text) if not _hidden(one, ask.channel_id)]
            if not found:
                raise BadInput(
                    "That alert is private: ask in the channel of its incident, or with `tocsin alert why` where Tocsin runs."
                )
            return _reply(_head(found[0]), [line for one in found for line in _told(one)])
        here = await self._flows.incidents.of_channel(ask.channel_id) if ask.channel_id else None
        if here is not None:
            return _account(await self._flows.explain.incident(here.id))
        return _held(await self._flows.explain.held())


def _reply(text: str, lines: Sequence[str]) -> Reply:
    return Reply(text, kit.bounded(sections(lines)))


def _hidden(one: Told, channel_id: str) -> bool:
    """Of a private incident, or on its way to one."""
    return one.private if one.incident is None else hidden(one.incident, channel_id)


def _held(held: Sequence[HeldNow]) -> Reply:
    if not held:
        return Reply(
            "Nothing is held: whatever fires has its incident, or is only logged. "
            "`/incident why FINGERPRINT` tells of one alert."
        )
    seen = [one for one in held if not one.private]
    lines = [_held_line(one) for one in seen[:MOST_HELD]]
    if len(seen) > MOST_HELD:
        lines.append(f"and {len(seen) - MOST_HELD} more")
    if len(seen) < len(held):
        lines.append(f"🔒 {len(held) - len(seen)} on the way to private incidents")
    title = "1 firing alert is held" if len(held) == 1 else f"{len(held)} firing alerts are held"
    return _reply(title, [f"*{title}*", *lines, "`/incident why FINGERPRINT` says how each came about."])


def _held_line(one: HeldNow) -> str:
    held = one.state.held
    again = f", looked at again {mrkdwn.date(held.again_at)}" if held and held.again_at else ""
    return f"• {_name(one.state.alert.summary, one.state.alert.fingerprint)}: {mrkdwn.line(one.by, 200)}{again}"


def _name(summary: str, fingerprint: str) -> str:
    """The fingerprint is cut without a mark, so that it can be asked for as it stands there."""
    return f"{mrkdwn.line(summary, 150)} {mrkdwn.code(fingerprint[:FINGERPRINT])}"


def _account(account: Account) -> Reply:
    incident = account.incident
    title = f"Why {incident.ref}: {mrkdwn.line(incident.title, 150)}"
    lines = [f"*{title}*"]
    if not account.alerts:
        lines.append(f"{mrkdwn.line(incident.opened_by, 80)} opened it by hand: no alert brought it.")
    for one in account.alerts:
        lines += _told(one)
    more = incident.alerts - len(account.alerts)
    if account.alerts and more > 0:
        lines.append(f"and {more} more alerts")
    lines.append("*Paging*")
    lines += [account.nobody] if account.nobody else []
    left_out = len(account.paging) - MOST_PAGING
    lines += [f"{left_out} entries before; `/incident timeline` has the latest of all"] if left_out > 0 else []
    lines += [f"{mrkdwn.date(entry.at)} {mrkdwn.line(entry.text, 300)}" for entry in account.paging[-MOST_PAGING:]]
    return _reply(title, lines)


def _head(one: Told) -> str:
    state, held = one.state, one.state.held
    where = "held" if held else one.incident.ref if one.incident else "no incident"
    fires = "fires" if state.alert.firing else "has resolved"
    return f"{_name(state.alert.summary, state.alert.fingerprint)} {fires}: {where}"


def _told(one: Told) -> list[str]:
    lines = [f"*{_head(one)}*"]
    for decision in one.decisions[:MOST_DECISIONS]:
        lines += _decision(decision)
    if not one.decisions:
        lines.append("The log no longer has the decisions about it: only repeats are left.")
    if len(one.decisions) > MOST_DECISIONS:
        more = len(one.decisions) - MOST_DECISIONS
        decisions = "1 decision" if more == 1 else f"{more} decisions"
        lines.append(f"and {decisions} before; `tocsin alert why` shows them all")
    return lines


def _decision(why: Why) -> list[str]:
    lines = [f"{mrkdwn.date(why.at)} *{mrkdwn.line(why.outcome, 30)}*: {mrkdwn.line(why.reason, 300)}"]
    lines += [
        f"    ✓ {name}: {mrkdwn.line(word, 250)}"
        for name, word in why.stages
        if word not in ("no", "not asked") and name != why.stage
    ]
    if why.stage:
        quiet = [name for name, word in why.stages if word == "no"]
        passed = f"; nothing to say: {', '.join(quiet)}" if quiet else ""
        decided = (
            "nothing held it"
            if why.outcome in ("opened", "joined", "reopened")
            else f"decided by the stage *{why.stage}*"
        )
        lines.append(f"    {decided}{passed}")
    if why.routes:
        severity = f", severity {mrkdwn.line(why.severity, 40)}" if why.severity else ""
        lines.append(f"    route {mrkdwn.line(', then '.join(why.routes), 200)}{severity}")
    return lines
