"""The modals: open an incident, write a note, pick a runbook and fill in its parameters, say why or what. Pure; opened by bot.entry.slack.

What a modal is about travels in `private_metadata` as JSON; the values come back under the block ids given here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bot.domain.naming import TITLE_LIMIT
from bot.domain.run import Run
from bot.domain.runbook import Runbook
from bot.domain.step import StepRun
from bot.room import blocks as kit
from bot.room import forms, mrkdwn
from bot.room.blocks import Block
from bot.room.forms import MOST_OPTIONS, input_block, option, select, text

TITLE, SEVERITY, SERVICE, NOTE, RUNBOOK = "title", "severity", "service", "note", "runbook"
REASON, WORDS = "reason", "words"
NOTE_LIMIT = 3000
REASON_LIMIT = 500
LABEL_BESIDE = 150  # a question of more characters stands above the field


def open_incident(severities: Sequence[str], about: Mapping[str, Any], title: str = "") -> Block:
    """Title (required), severity and service."""
    options = [option(f"{kit.severity_mark(name)} {name}", name) for name in severities[:MOST_OPTIONS]]
    shown = [
        input_block(
            TITLE, "What is broken?", text(TITLE, title, most=TITLE_LIMIT, hint="Checkout answers with errors")
        ),
        input_block(SERVICE, "Which service?", text(SERVICE, "", most=100, hint="checkout"), optional=True),
    ]
    if options:
        picking = select(SEVERITY, "The usual one", options)
        shown.insert(1, input_block(SEVERITY, "How bad is it?", picking, optional=True))
    return modal(kit.OPEN_VIEW, "Open an incident", "Open", shown, about)


def note(ref: str, about: Mapping[str, Any]) -> Block:
    element = text(NOTE, "", most=NOTE_LIMIT, lines=True)
    shown = [input_block(NOTE, f"Note for the timeline of {ref}", element)]
    return modal(kit.NOTE_VIEW, "Note", "Write", shown, about)


def runbooks(
    ref: str,
    available: Sequence[Runbook],
    about: Mapping[str, Any],
    chosen: str = "",
    labels: Mapping[str, str] | None = None,
) -> Block:
    """Pick one; when it is picked the modal is shown again with its parameters, filled from the incident's labels."""
    picked = next((runbook for runbook in available if runbook.name == chosen), None)
    if not available:
        told = "There are no runbooks. They are YAML files in the runbook folders of the configuration."
        return modal(kit.RUNBOOK_VIEW, "Runbooks", "", [kit.section(told)], about)
    options = [option(runbook.title, runbook.name) for runbook in available[:MOST_OPTIONS]]
    picking = select(kit.CHOOSE_RUNBOOK, "Pick a runbook", options, picked.name if picked else "")
    shown = [{**input_block(RUNBOOK, f"Runbook for {ref}", picking), "dispatch_action": True}]
    if picked:
        if picked.description:
            shown.append(kit.section(mrkdwn.escape(picked.description, 1500)))
        shown += forms.fields(picked, labels or {})
    looks = "It looks and plans first. Nothing is changed before somebody approves the plan."
    return modal(kit.RUNBOOK_VIEW, "Runbooks", "Plan it" if picked else "Next", [*shown, kit.context(looks)], about)


def break_glass(run: Run, step: StepRun, about: Mapping[str, Any]) -> Block:
    """The reason of somebody who approves outside the rules."""
    lines = step.plan.lines() if step.plan else []
    texts, left_out = mrkdwn.code_blocks(lines, most=2)
    told = (
        "🔨 *This approves the plan alone*, without the other people that it needs, and past a freeze, a cooldown or a rate. "
        "Only who may break the glass can do it. Your name and your reason stand in the channel, in the timeline and in the post-mortem."
    )
    shown = [
        kit.section(f"{run.ref}: {mrkdwn.bold(step.title, 200)}"),
        *(kit.section(part) for part in texts),
        *([kit.context(f"{left_out} more lines of this plan do not fit here.")] if left_out else []),
        kit.section(told),
        input_block(REASON, "Why can it not wait?", text(REASON, "", most=REASON_LIMIT, lines=True)),
    ]
    return modal(kit.GLASS_VIEW, "Break glass", "Break the glass", shown, about)


def done(run: Run, step: StepRun, about: Mapping[str, Any]) -> Block:
    """What somebody who has done a step by hand is asked about it."""
    asked = step.question.text if step.question else ""
    above = [kit.section(mrkdwn.escape(asked, 2000))] if len(asked) > LABEL_BESIDE else []
    label = "Your answer" if above or not asked else asked
    shown = [
        kit.section(f"{run.ref}: {mrkdwn.bold(step.title, 200)}"),
        *above,
        input_block(WORDS, label, text(WORDS, "", most=NOTE_LIMIT, lines=True)),
    ]
    return modal(kit.DONE_VIEW, "Done", "Done", shown, about)


def about(view: Mapping[str, Any]) -> dict[str, Any]:
    """What a submitted modal is about."""
    try:
        found = json.loads(view.get("private_metadata") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def values(view: Mapping[str, Any]) -> dict[str, str]:
    """What was filled in, by block id; fields left empty are left out."""
    found: dict[str, str] = {}
    for block_id, elements in ((view.get("state") or {}).get("values") or {}).items():
        for element in elements.values():
            value = (element.get("selected_option") or {}).get("value") or element.get("value")
            if value:
                found[block_id] = str(value).strip()
    return found


def modal(callback_id: str, title: str, submit: str, shown: Sequence[Block], about: Mapping[str, Any]) -> Block:
    """Any modal; without the word for `submit` it can only be closed."""
    view: Block = {
        "type": "modal",
        "callback_id": callback_id,
        "title": kit.plain_text(title, 24),
        "close": kit.plain_text("Cancel" if submit else "Close", 24),
        "private_metadata": json.dumps(about),
        "blocks": list(shown),
    }
    if submit:
        view["submit"] = kit.plain_text(submit, 24)
    return view
