"""What people are told beside pages (reminders, recoveries, tests, hand-overs), and who was reached by what. Pure; posted by room.py."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.notice import Notice
from bot.domain.page import Page, PageState
from bot.room import blocks as kit
from bot.room import mrkdwn, oncall
from bot.room.blocks import Block, Message

SHOWN_PAGES = 12
MARKS = {
    "recovery": "✅",
    "acknowledged": "👀",
    "reminder": "⏰",
    "alarm": "🚨",
    "test": "🔔",
    "handover": "🤝",
    "swap": "🔁",
    "code": "🔑",
}
STATES = {
    PageState.WAITING: ("⏳", "could not be sent yet, and is tried again,"),
    PageState.SENDING: ("⏳", "being sent"),
    PageState.SENT: ("✅", "sent"),
    PageState.DELIVERED: ("✅", "arrived"),
    PageState.BUNDLED: ("📦", "waits to be sent together with others"),
    PageState.SKIPPED: ("➖", "not needed any more"),  # noqa: RUF001
    PageState.FAILED: ("❌", "failed"),
}
WHY = {"page": "", "summon": ", asked for by name", "bundle": ", together with others"}


def notice(told: Notice) -> Message:
    """One message: its subject, its lines, and a button where an answer is wanted."""
    mark = MARKS.get(told.purpose) or kit.severity_mark(told.severity)
    subject = f"{mark} {mrkdwn.bold(told.subject, 250)}"
    shown: list[Block] = [kit.section(subject)]
    shown += [kit.section(piece) for piece in mrkdwn.split(told.body)] if told.body else []
    if told.incident_id is not None:
        shown += _buttons(told, str(told.incident_id))
    if told.purpose == "swap" and told.facts.get("swap"):
        shown.append(oncall.swap_buttons(told.facts["swap"]))
    if told.url:
        shown.append(kit.context(mrkdwn.link(told.url, "Open its channel")))
    text = f"{mark} {mrkdwn.line(told.subject)}" + (f": {mrkdwn.line(told.body, 500)}" if told.body else "")
    return Message(text, kit.bounded(shown))


def _buttons(told: Notice, number: str) -> list[Block]:
    if told.purpose == "reminder":
        return [kit.actions(kit.button("Still at it", kit.STILL_AT_IT, number, style="primary"))]
    if told.acknowledgeable:
        return [kit.actions(kit.button("Acknowledge", kit.PAGE_ACK, number, style="primary"))]
    return []


def reached(pages: Sequence[Page]) -> list[str]:
    """Who was paged by what and what became of it, a line each, the newest last; bounded."""
    left_out = len(pages) - SHOWN_PAGES
    first = [f"and {left_out} earlier ones"] if left_out > 0 else []
    return first + [_reached(page) for page in pages[-SHOWN_PAGES:]]


def _reached(page: Page) -> str:
    """`✅ *Ada* by sms: arrived today 03:12 (SM123: delivered)`."""
    answer = f" ({mrkdwn.line(page.answer, 150)})" if page.answer else ""
    taken = ", and they acknowledged by it" if page.answered_at else ""
    mark, became = STATES[page.state]
    who = f"{mrkdwn.bold(page.name, 80)} by {mrkdwn.line(page.medium, 40)}"
    why = WHY.get(page.purpose, f", {mrkdwn.line(page.purpose, 20)}")
    return f"{mark} {who}{why}: {became} {mrkdwn.date(page.state_at)}{answer}{taken}"
