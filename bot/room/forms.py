"""The fields for a runbook's parameters: for each the right kind of input, filled from a label or the default. Pure; used by views.py."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal

from bot.domain.parameters import LONGEST, fitted
from bot.domain.runbook import Parameter, Runbook
from bot.errors import BadInput
from bot.room import blocks as kit
from bot.room import mrkdwn
from bot.room.blocks import Block

PARAM = "param:"
MOST_FIELDS = 40
MOST_OPTIONS = 100
OPTION_VALUE = 150
YES_NO = (("yes", "true"), ("no", "false"))


def fields(runbook: Runbook, labels: Mapping[str, str]) -> list[Block]:
    """One input block per parameter, its block id `param:NAME`."""
    return [_field(runbook, name, spec, labels) for name, spec in list(runbook.params.items())[:MOST_FIELDS]]


def _field(runbook: Runbook, name: str, spec: Parameter, labels: Mapping[str, str]) -> Block:
    initial, unfit = _initial(runbook.name, name, spec, labels)
    # Slack keeps what stands in a field of the same ids when another runbook is picked; it must not be this one's.
    action_id = f"{runbook.name}:{name}"[:255]
    needed = spec.default is None and not initial
    shown = input_block(PARAM + name, spec.description or name, _element(action_id, spec, initial), optional=not needed)
    hint = " ".join(part for part in (_where_from(spec, labels, unfit), _bounds(spec)) if part)
    return {**shown, "hint": kit.plain_text(hint, 500)} if hint else shown


def _initial(runbook: str, name: str, spec: Parameter, labels: Mapping[str, str]) -> tuple[str, str]:
    """What to put into the field, and the value of the label when it does not fit."""
    unfit = ""
    for value in (labels.get(spec.label) if spec.label else None, spec.default):
        if value is None or value == "":
            continue
        try:
            typed = fitted(runbook, name, spec, value)
        except BadInput:
            unfit = unfit or str(value)
            continue
        return _written(typed) if spec.type in ("boolean", "integer", "number") else str(value), unfit
    return "", unfit


def _element(action_id: str, spec: Parameter, initial: str) -> Block:
    if spec.type == "boolean":
        return select(action_id, "Yes or no", [option(*one) for one in YES_NO], initial)
    if spec.choices and spec.type != "list" and _selectable(spec.choices):
        return select(action_id, "Pick one", [option(one, one) for one in spec.choices], initial)
    if spec.type in ("integer", "number"):
        return _number(action_id, spec, initial)
    hint = {"duration": "90s, 5m, 1h30m", "list": "one, another"}.get(spec.type, "")
    return text(action_id, initial, most=LONGEST, hint=hint)


def _selectable(choices: tuple[str, ...]) -> bool:
    """Whether Slack can list them: it bounds their number and length, and a select must not have the same value twice."""
    fit = all(one.strip() and len(one) <= OPTION_VALUE for one in choices)
    return fit and len(choices) <= MOST_OPTIONS and len(set(choices)) == len(choices)


def _number(action_id: str, spec: Parameter, initial: str) -> Block:
    whole = spec.type == "integer"
    element: Block = {"type": "number_input", "action_id": action_id, "is_decimal_allowed": not whole}
    if spec.minimum is not None:
        element["min_value"] = _written(math.ceil(spec.minimum) if whole else spec.minimum)
    if spec.maximum is not None:
        element["max_value"] = _written(math.floor(spec.maximum) if whole else spec.maximum)
    if initial:
        element["initial_value"] = initial
    return element


def _written(value: float) -> str:
    """A number as Slack takes it, without an exponent; truth as the option's value."""
    return str(value).lower() if isinstance(value, bool) else format(Decimal(str(value)).normalize(), "f")


def _where_from(spec: Parameter, labels: Mapping[str, str], unfit: str) -> str:
    if unfit:
        return f"The label {spec.label} is {mrkdwn.plain(unfit, 60)!r}, which does not fit here."
    if not spec.label:
        return ""
    return f"From the label {spec.label}." if labels.get(spec.label) else f"The alerts have no label {spec.label}."


def _bounds(spec: Parameter) -> str:
    least, most = spec.minimum, spec.maximum
    if spec.pattern:
        return f"Each must match {spec.pattern}" if spec.type == "list" else f"Must match {spec.pattern}"
    if spec.choices and not _selectable(spec.choices):
        return f"One of: {', '.join(spec.choices)}"
    if least is not None and most is not None:
        return f"From {least:g} to {most:g}."
    if least is not None or most is not None:
        return f"At least {least:g}." if least is not None else f"At most {most:g}."
    return {"duration": "Like 90s, 5m or 1h30m.", "list": "Separated by commas."}.get(spec.type, "")


# ------------------------------------------------------------------------------------------------ inputs of any modal


def input_block(block_id: str, label: str, element: Block, *, optional: bool = False) -> Block:
    return {
        "type": "input",
        "block_id": block_id[:255],
        "label": kit.plain_text(label, 2000),
        "element": element,
        "optional": optional,
    }


def text(action_id: str, initial: str, *, most: int, hint: str = "", lines: bool = False) -> Block:
    element: Block = {"type": "plain_text_input", "action_id": action_id[:255], "max_length": most}
    if initial:
        element["initial_value"] = mrkdwn.clean(initial)[:most]
    if hint:
        element["placeholder"] = kit.plain_text(hint, 150)
    if lines:
        element["multiline"] = True
    return element


def select(action_id: str, placeholder: str, options: list[Block], initial: str = "") -> Block:
    element: Block = {
        "type": "static_select",
        "action_id": action_id,
        "placeholder": kit.plain_text(placeholder, 150),
        "options": options,
    }
    picked = next((one for one in options if one["value"] == initial), None) if initial else None
    return {**element, "initial_option": picked} if picked else element


def option(label: str, value: str) -> Block:
    return {"text": kit.plain_text(label, mrkdwn.OPTION), "value": value[:OPTION_VALUE]}
