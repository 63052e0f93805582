"""Silences and maintenance windows as Slack shows them: a list, one with what it hides, and the form to make one. Pure; used by bot.entry.slack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.domain.silence_told import Listed, Shown, counted, when
from bot.domain.silencing import REASON_LIMIT
from bot.room import blocks as kit
from bot.room import mrkdwn
from bot.room.blocks import Block
from bot.room.forms import input_block, option, select, text
from bot.room.views import REASON, modal

LASTING, MATCHERS = "lasting", "matchers"
TOMORROW = "tomorrow"
MATCHERS_LIMIT = 3000
SHOWN_ALERTS = 20
MARKS = {"active": "🔇", "pending": "⏳", "expired": "☑️"}
CHOICES = (("30 minutes", "30m"), ("1 hour", "1h"), ("4 hours", "4h"), ("1 day", "1d"))
USUAL = "1h"


def listed(one: Listed, private: bool) -> str:
    """One on one line. Of one that was made for a `private` incident only that there is one."""
    silence = one.silence
    name = f"{MARKS[one.phase]} *{mrkdwn.line(silence.ref, 80)}*"
    if private:
        return f"🔒 {name} of a private incident, {_times(one)}; {_hides(one)}"
    what = mrkdwn.code(",".join(silence.matchers), 300)
    whose = f" ({mrkdwn.line(silence.author, 60)})" if silence.author else ""
    where = f"; INC-{silence.incident_id}" if silence.incident_id is not None else ""
    reason = mrkdwn.line(silence.reason, 150)
    return f"{name} {what} {_times(one)}: {reason}{whose}; {_hides(one)}{where}"


def shown(one: Shown) -> list[str]:
    """One whole, as lines: with the alerts that it hides now, but for those that are private."""
    silence = one.listed.silence
    made_at = f"Made {mrkdwn.date(silence.created_at)}" if silence.number else "From the configuration"
    lines = [
        listed(one.listed, private=False),
        f"{made_at}{' from ' + mrkdwn.code(silence.imported_from, 60) if silence.imported_from else ''}. Its matchers:",
        *(mrkdwn.code(text, 300) for text in silence.matchers),
    ]
    seen = [f"• {mrkdwn.line(each.state.alert.summary, 150)}" for each in one.hidden if not each.private]
    unseen = sum(each.private for each in one.hidden)
    if one.hidden:
        lines.append("*It hides now*")
    lines += seen[:SHOWN_ALERTS]
    more = max(one.listed.hides, len(one.hidden)) - len(seen[:SHOWN_ALERTS]) - unseen
    if more > 0:
        lines.append(f"and {more} more")
    if unseen:
        lines.append(f"🔒 {counted(unseen)} of private incidents")
    return lines


def _times(one: Listed) -> str:
    silence = one.silence
    if one.phase == "expired":
        return f"ended {mrkdwn.date(silence.ends_at)}" if silence.ends_at else "ended"
    begins = f"from {mrkdwn.date(silence.starts_at)}" if one.phase == "pending" else ""
    ends = f"until {mrkdwn.date(silence.ends_at)}" if silence.ends_at else ""
    again = mrkdwn.line(when(silence.windows)) if silence.windows else ""
    return " ".join(part for part in (begins, ends, again) if part) or "without an end"


def _hides(one: Listed) -> str:
    before = f", {counted(one.hid)} in all" if one.hid > one.hides else ""
    return f"hides {counted(one.hides)} now{before}"


def form(ref: str, matchers: Sequence[str], about: Mapping[str, Any], zone: str) -> Block:
    """How long, why, and what; `zone`: where tomorrow's 09:00 is meant."""
    options = [option(label, value) for label, value in (*CHOICES, (f"until tomorrow 09:00 ({zone})", TOMORROW))]
    field = text(MATCHERS, ",".join(matchers), most=MATCHERS_LIMIT, hint='service="checkout"', lines=True)
    told = (
        f"It hides what begins to fire. {ref} stays open and counts as acknowledged by you; "
        "its alerts that fire again meanwhile page nobody and open nothing."
    )
    shown = [
        input_block(LASTING, "For how long?", select(LASTING, "Pick one", options, USUAL)),
        input_block(REASON, "Why?", text(REASON, "", most=REASON_LIMIT, hint="replacing disks")),
        input_block(MATCHERS, "Which alerts?", field),
        kit.context(told),
    ]
    return modal(kit.SILENCE_VIEW, "Silence", "Silence", shown, about)
