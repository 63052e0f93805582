"""The modals: open an incident, write a note, pick a runbook and fill in its parameters. Pure; opened by bot.entry.slack.

What a modal is about travels in `private_metadata` as JSON; the values come back under the block ids given here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bot.domain.naming import TITLE_LIMIT
from bot.domain.runbook import Parameter, Runbook
from bot.room import blocks as kit
from bot.room import mrkdwn
from bot.room.blocks import Block

TITLE, SEVERITY, SERVICE, NOTE, RUNBOOK = "title", "severity", "service", "note", "runbook"
PARAM = "param:"
NOTE_LIMIT = 3000
MOST_OPTIONS = 100


def open_incident(severities: Sequence[str], about: Mapping[str, Any], title: str = "") -> Block:
    """Title (required), severity and service."""
    options = [_option(f"{kit.severity_mark(name)} {name}", name) for name in severities[:MOST_OPTIONS]]
    shown = [
        _input(TITLE, "What is broken?", _text(TITLE, title, most=TITLE_LIMIT, hint="Checkout answers with errors")),
        _input(SERVICE, "Which service?", _text(SERVICE, "", most=100, hint="checkout"), optional=True),
    ]
    if options:
        select = _select(SEVERITY, "The usual one", options)
        shown.insert(1, _input(SEVERITY, "How bad is it?", select, optional=True))
    return _modal(kit.OPEN_VIEW, "Open an incident", "Open", shown, about)


def note(ref: str, about: Mapping[str, Any]) -> Block:
    element = {**_text(NOTE, "", most=NOTE_LIMIT), "multiline": True}
    shown = [_input(NOTE, f"Note for the timeline of {ref}", element)]
    return _modal(kit.NOTE_VIEW, "Note", "Write", shown, about)


def runbooks(ref: str, available: Sequence[Runbook], about: Mapping[str, Any], chosen: str = "") -> Block:
    """Pick one; when it is picked the modal is shown again with its parameters."""
    picked = next((runbook for runbook in available if runbook.name == chosen), None)
    if not available:
        told = "There are no runbooks. They are YAML files in the runbook folders of the configuration."
        return _modal(kit.RUNBOOK_VIEW, "Runbooks", "", [kit.section(told)], about)
    options = [_option(runbook.title, runbook.name) for runbook in available[:MOST_OPTIONS]]
    select = _select(kit.CHOOSE_RUNBOOK, "Pick a runbook", options)
    if picked:
        select["initial_option"] = next(option for option in options if option["value"] == picked.name)
    shown = [{**_input(RUNBOOK, f"Runbook for {ref}", select), "dispatch_action": True}]
    if picked:
        shown += _picked(picked)
    looks = "It looks and plans first. Nothing is changed before somebody approves the plan."
    return _modal(kit.RUNBOOK_VIEW, "Runbooks", "Plan it" if picked else "Next", [*shown, kit.context(looks)], about)


def _picked(runbook: Runbook) -> list[Block]:
    shown: list[Block] = []
    if runbook.description:
        shown.append(kit.section(mrkdwn.escape(runbook.description, 1500)))
    shown += [_parameter(name, parameter) for name, parameter in list(runbook.params.items())[:40]]
    return shown


def _parameter(name: str, parameter: Parameter) -> Block:
    default = "" if parameter.default is None else str(parameter.default)
    hints = [
        f"Empty: taken from the label {parameter.label}." if parameter.label else "",
        f"Must match {parameter.pattern}" if parameter.pattern else "",
        "A whole number." if parameter.type == "integer" else "A number." if parameter.type == "number" else "",
        "true or false" if parameter.type == "boolean" else "",
    ]
    optional = bool(parameter.label) or parameter.default is not None
    shown = _input(PARAM + name, parameter.description or name, _text(name, default, most=500), optional=optional)
    hint = " ".join(hint for hint in hints if hint)
    return {**shown, "hint": kit.plain_text(hint, 500)} if hint else shown


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


def _modal(callback_id: str, title: str, submit: str, shown: Sequence[Block], about: Mapping[str, Any]) -> Block:
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


def _input(block_id: str, label: str, element: Block, *, optional: bool = False) -> Block:
    return {
        "type": "input",
        "block_id": block_id[:255],
        "label": kit.plain_text(label, 2000),
        "element": element,
        "optional": optional,
    }


def _text(action_id: str, initial: str, *, most: int, hint: str = "") -> Block:
    element: Block = {"type": "plain_text_input", "action_id": action_id[:255], "max_length": most}
    if initial:
        element["initial_value"] = mrkdwn.clean(initial)[:most]
    if hint:
        element["placeholder"] = kit.plain_text(hint, 150)
    return element


def _select(action_id: str, placeholder: str, options: Sequence[Block]) -> Block:
    return {
        "type": "static_select",
        "action_id": action_id,
        "placeholder": kit.plain_text(placeholder, 150),
        "options": list(options),
    }


def _option(label: str, value: str) -> Block:
    return {"text": kit.plain_text(label, mrkdwn.OPTION), "value": value[:150]}
