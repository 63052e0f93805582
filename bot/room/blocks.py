"""Block Kit pieces as the dictionaries that Slack takes, and a message made of them. Pure; used by messages.py, runs.py and views.py."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.room import mrkdwn

Block = dict[str, Any]

# What a click says it is (`action_id`) and what a submitted modal says it is (`callback_id`): bot.entry.slack listens for these.
ACK = "tocsin_ack"
PAGE_ACK = "tocsin_page_ack"
RESOLVE = "tocsin_resolve"
ESCALATE = "tocsin_escalate"
RUNBOOKS = "tocsin_runbooks"
SILENCE = "tocsin_silence"
STILL_AT_IT = "tocsin_still_at_it"
APPROVE = "tocsin_approve"
REFUSE = "tocsin_refuse"
GLASS = "tocsin_glass"
ANSWER = "tocsin_answer"  # with the number of the answer behind it: two buttons of one block cannot have the same id
DONE = "tocsin_done"
PAUSE = "tocsin_pause"
RESUME = "tocsin_resume"
CANCEL = "tocsin_cancel"
UNDO = "tocsin_undo"
CHOOSE_RUNBOOK = "tocsin_choose_runbook"
OPEN_VIEW = "tocsin_open"
NOTE_VIEW = "tocsin_note"
RUNBOOK_VIEW = "tocsin_runbook"
GLASS_VIEW = "tocsin_glass_reason"
DONE_VIEW = "tocsin_done_words"
SILENCE_VIEW = "tocsin_silence_form"

SEVERITY_MARKS = {
    "critical": "🔴",
    "page": "🔴",
    "sev1": "🔴",
    "p1": "🔴",
    "high": "🟠",
    "error": "🟠",
    "major": "🟠",
    "sev2": "🟠",
    "p2": "🟠",
    "warning": "🟡",
    "minor": "🟡",
    "sev3": "🟡",
    "p3": "🟡",
    "info": "🔵",
    "low": "🔵",
}


@dataclass(frozen=True, slots=True)
class Message:
    """`text` is what a notification and a screen reader say; `blocks` what the channel shows (empty: the text)."""

    text: str
    blocks: Sequence[Block] = field(default=())


def severity_mark(severity: str) -> str:
    return SEVERITY_MARKS.get(severity.lower(), "⚪")


def plain_text(text: str, limit: int) -> Block:
    return {"type": "plain_text", "text": mrkdwn.plain(text, limit), "emoji": True}


def mrkdwn_text(text: str) -> Block:
    """`verbatim`: Slack makes no mention or channel link of its own out of it."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def header(text: str) -> Block:
    return {"type": "header", "text": plain_text(text, mrkdwn.HEADER)}


def section(text: str) -> Block:
    """`text` is finished mrkdwn; it is clipped, because a message that Slack refuses helps nobody."""
    return {"type": "section", "text": mrkdwn_text(mrkdwn.clip(text, mrkdwn.SECTION) or "–")}


def fields(pairs: Iterable[tuple[str, str]]) -> Block:
    """A two-column table of up to ten (label, finished mrkdwn)."""
    shown = [mrkdwn_text(mrkdwn.clip(f"*{label}*\n{value}", mrkdwn.FIELD)) for label, value in pairs]
    return {"type": "section", "fields": shown[:10]}


def context(*texts: str) -> Block:
    return {
        "type": "context",
        "elements": [mrkdwn_text(mrkdwn.clip(text, mrkdwn.SECTION)) for text in texts if text][:10],
    }


def divider() -> Block:
    return {"type": "divider"}


def actions(*elements: Block) -> Block:
    return {"type": "actions", "elements": list(elements)}


def button(label: str, action_id: str, value: str, *, style: str = "", confirm: Block | None = None) -> Block:
    made: Block = {
        "type": "button",
        "action_id": action_id,
        "text": plain_text(label, mrkdwn.BUTTON),
        "value": value[: mrkdwn.VALUE],
    }
    if style:
        made["style"] = style
    if confirm:
        made["confirm"] = confirm
    return made


def confirm(title: str, text: str, yes: str, no: str = "Cancel", *, style: str = "") -> Block:
    """`text` is finished mrkdwn."""
    made: Block = {
        "title": plain_text(title, 100),
        "text": mrkdwn_text(mrkdwn.clip(text, 300)),
        "confirm": plain_text(yes, 30),
        "deny": plain_text(no, 30),
    }
    if style:
        made["style"] = style
    return made


def bounded(blocks: Sequence[Block], limit: int = mrkdwn.BLOCKS, characters: int = 12_500) -> list[Block]:
    """As many blocks as one message holds; when some had to go, the last one says so."""
    kept: list[Block] = []
    used = 0
    for block in blocks:
        used += characters_in([block])
        if (len(kept) == limit - 1 and len(blocks) > limit) or used > characters:
            return [*kept, context(f"{len(blocks) - len(kept)} more parts do not fit into one message.")]
        kept.append(block)
    return kept


def characters_in(blocks: Sequence[Block]) -> int:
    """How much text there is in them, as Slack counts it against a message's limit."""
    return _characters(list(blocks))


def _characters(value: Any) -> int:
    if isinstance(value, dict):
        return sum(_characters(part) for name, part in value.items() if name in ("text", "fields", "elements"))
    if isinstance(value, list):
        return sum(_characters(part) for part in value)
    return len(value) if isinstance(value, str) else 0
