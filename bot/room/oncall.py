"""On-call as Slack shows it: schedules, overrides, swaps with their buttons, one's own methods, the override form. Pure; used by bot.entry.slack.

Every line comes from the words of bot.domain, escaped; what nobody may overlook is marked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from bot.domain import contact_told, oncall_told
from bot.domain.contact_told import Own, Tested
from bot.domain.oncall_told import Preview, Shares, Standing, Turn, Who
from bot.domain.overriding import WHY_LIMIT
from bot.domain.people import Directory
from bot.domain.roster import Swap
from bot.domain.schedule import Override
from bot.domain.silence_told import counted
from bot.room import blocks as kit
from bot.room import mrkdwn
from bot.room.blocks import Block
from bot.room.forms import MOST_OPTIONS, input_block, option, select, text
from bot.room.views import REASON, modal

ACCEPT = "tocsin_swap_accept"
DECLINE = "tocsin_swap_decline"
OVERRIDE_VIEW = "tocsin_override"
PERSON, TIMES = "person", "times"
LINE = 500
ALARM, QUIET = "🔴", "⚪"


def standing(one: Standing, zone: str, now: datetime) -> str:
    """One schedule on one line; nobody on call stands out."""
    said = oncall_told.said_standing(one, zone, now)
    name, _, rest = said.partition(": ")
    if one.names:
        return f"{'⚠️' if one.ways_missing else '☎️'} {mrkdwn.bold(name, 100)}: {mrkdwn.line(rest, LINE)}"
    mark = QUIET if one.gaps_are_meant else ALARM
    return f"{mark} {mrkdwn.bold(name, 100)}: {mrkdwn.line(rest, LINE)}"


def standings(found: Sequence[Standing], zone: str, now: datetime) -> list[str]:
    """Those without anybody first, and how to fill them."""
    empty = [one for one in found if not one.names and not one.gaps_are_meant]
    rest = [one for one in found if one not in empty]
    lines = [standing(one, zone, now) for one in (*empty, *rest)]
    if empty:
        lines.append(f"To fill it: {mrkdwn.code(f'/oncall override {empty[0].schedule} PERSON now for 4h')}")
    return lines


def who(found: Who, zone: str, now: datetime) -> list[str]:
    return [*(standing(one, zone, now) for one in found.standings), *(mrkdwn.line(one, LINE) for one in found.lines)]


def turn(one: Turn, zone: str, now: datetime, *, schedule: bool = False) -> str:
    """A turn on one line, gaps and overlaps marked."""
    mark = {"gap": f"{ALARM} ", "overlap": "🟠 "}.get(one.kind, "• ")
    return f"{mark}{mrkdwn.line(oncall_told.said_turn(one, zone, now, schedule=schedule), LINE)}"


def preview(found: Preview, zone: str, now: datetime) -> list[str]:
    span = oncall_told.between(found.since, found.until, zone, now)
    lines = [f"*{mrkdwn.line(found.schedule, 100)}*, {mrkdwn.line(span)} ({mrkdwn.line(zone, 60)})"]
    lines += [turn(one, zone, now) for one in found.turns] or ["Nobody is on call in all that time."]
    if found.more:
        lines.append(f"and {found.more} more: ask for a shorter time")
    gaps = sum(one.kind == "gap" for one in found.turns)
    overlaps = sum(one.kind == "overlap" for one in found.turns)
    if gaps or overlaps:
        lines.append(f"{counted(gaps, 'gap')}, {counted(overlaps, 'overlap')}")
    return lines


def shares(found: Shares, zone: str, now: datetime) -> list[str]:
    where = found.schedule or "all schedules"
    span = oncall_told.between(found.since, found.until, zone, now)
    lines = [f"*Fairness*, {mrkdwn.line(where, 100)}, {mrkdwn.line(span)}"]
    return lines + [f"• {mrkdwn.line(one.words, LINE)}" for one in found.shares]


def overrides(
    found: Sequence[Override], swaps: Sequence[Swap], directory: Directory, zone: str, now: datetime
) -> list[str]:
    lines = [f"• {mrkdwn.line(oncall_told.said_override(one, directory, zone, now), LINE)}" for one in found]
    lines += [f"🔁 {mrkdwn.line(oncall_told.said_swap(one, directory, zone, now), LINE)}" for one in swaps]
    return lines


def own(found: Own) -> list[str]:
    """One's own methods, rules and the rest."""
    lines = [f"*{mrkdwn.line(found.name, 100)}, reached by*"]
    lines += [f"• {mrkdwn.line(contact_told.said_way(one), LINE)}" for one in found.ways] or [
        f"{ALARM} nothing: nobody can page you. {mrkdwn.code('/oncall contact add …')}"
    ]
    lines.append("*Rules*")
    if not found.rules:
        lines.append("None of your own: SMS after 3 min, calls after 5, everything else at once.")
    for severity, rules in found.rules.items():
        lines.append(
            f"• {mrkdwn.line(severity or 'all others', 60)}: {mrkdwn.line(contact_told.said_rules(rules), LINE)}"
        )
    change = "To change it: `/oncall contact add`, `/oncall notify`, `/oncall quiet`, `/oncall zone`. To try it: `/oncall test-me`"
    return [*lines, *(mrkdwn.line(one, LINE) for one in found.lines), change]


def tested(found: Sequence[Tested]) -> list[str]:
    lines = [
        f"{'✅' if one.ok else '❌'} {mrkdwn.bold(one.key, 80)} {mrkdwn.line(one.shown, 80)}: {mrkdwn.line(one.answer, LINE)}"
        for one in found
    ]
    return [*lines, mrkdwn.line(contact_told.said_tested(found), LINE)]


def swap_buttons(number: str) -> Block:
    """Under the question; the value is the swap's number."""
    return kit.actions(kit.button("Accept", ACCEPT, number, style="primary"), kit.button("Decline", DECLINE, number))


def override_form(schedule: str, directory: Directory, zone: str, about: Mapping[str, Any]) -> Block:
    """Who, when, and why."""
    people = [option(person.name, key) for key, person in sorted(directory.people.items())][:MOST_OPTIONS]
    times = text(TIMES, "", most=200, hint="now for 4h, or: fri 18:00 mon 09:00")
    shown = [
        input_block(PERSON, "Who takes over?", select(PERSON, "Pick one", people)),
        input_block(TIMES, f"From when to when? ({zone})", times),
        input_block(REASON, "Why?", text(REASON, "", most=WHY_LIMIT, hint="wedding"), optional=True),
        kit.context("Whoever is replaced, and whoever replaces them, is told."),
    ]
    return modal(OVERRIDE_VIEW, mrkdwn.plain(f"Override {schedule}", 24), "Override", shown, {**about, "zone": zone})
