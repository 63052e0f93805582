"""Checks Block Kit as Slack does, with its limits (docs.slack.dev/reference/block-kit), its words and JSON pointers."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from bot.practice.workspace.calls import Json, SlackError
from bot.practice.workspace.checking import Check

MESSAGE_BLOCKS = 50
VIEW_BLOCKS = 100
# Not in Slack's documentation: measured by its users at about this many characters (slackapi/bolt-js #2509).
MESSAGE_CHARACTERS = 13_200
SELECTS = {
    f"{many}{kind}"
    for many in ("", "multi_")
    for kind in ("static_select", "users_select", "conversations_select", "channels_select", "external_select")
}
PICKERS = {"datepicker", "timepicker", "datetimepicker"}
CHOICES = {"checkboxes", "radio_buttons"}
INPUTS = {"plain_text_input", "email_text_input", "url_text_input", "number_input", "rich_text_input", "file_input"}
IN_ACTIONS = SELECTS | PICKERS | CHOICES | {"button", "overflow", "workflow_button"}
IN_SECTION = IN_ACTIONS | {"image"}
IN_INPUT = SELECTS | PICKERS | CHOICES | INPUTS


def _confirm(check: Check, element: Json, at: str) -> None:
    dialog = element.get("confirm")
    if isinstance(dialog, dict):
        where = f"{at}/confirm"
        check.text(dialog, "title", 100, where, plain=True)
        check.text(dialog, "text", 300, where)
        check.text(dialog, "confirm", 30, where, plain=True)
        check.text(dialog, "deny", 30, where, plain=True)


def _image(check: Check, element: Json, at: str) -> None:
    check.string(element, "alt_text", 2000, at, needed=True)
    source = element.get("slack_file")
    if source is None and not element.get("image_url"):
        check.wrong("missing required field: image_url", at)
    if source is not None and not (isinstance(source, dict) and (source.get("id") or source.get("url"))):
        check.wrong("missing required field: id", f"{at}/slack_file")
    check.string(element, "image_url", 3000, at)


def _select(check: Check, element: Json, at: str) -> None:
    check.text(element, "placeholder", 150, at, plain=True, needed=False)
    if not str(element["type"]).endswith("static_select"):
        return
    if "option_groups" in element:
        for group, where in check.items(element, "option_groups", 100, at):
            check.text(group, "label", 75, where, plain=True)
            check.options(group, 100, where)
    else:
        check.options(element, 100, at)
        initial = element.get("initial_option")
        if initial is not None and initial not in (element.get("options") or []):
            check.wrong("initial_option must be one of the options", f"{at}/initial_option")


def _element(check: Check, element: Json, at: str, allowed: set[str]) -> None:
    kind = element.get("type")
    if kind not in allowed:
        check.wrong(f"unsupported type: {kind}", f"{at}/type")
        return
    check.string(element, "action_id", 255, at)
    _confirm(check, element, at)
    if kind == "button":
        check.text(element, "text", 75, at, plain=True)
        check.string(element, "value", 2000, at)
        check.string(element, "url", 3000, at)
        if element.get("style") not in (None, "primary", "danger"):
            check.wrong("must be one of: primary, danger", f"{at}/style")
    elif kind in SELECTS:
        _select(check, element, at)
    elif kind in CHOICES:
        check.options(element, 10, at)
    elif kind == "overflow":
        check.options(element, 5, at)
    elif kind == "image":
        _image(check, element, at)
    elif kind in INPUTS:
        check.text(element, "placeholder", 150, at, plain=True, needed=False)
        check.string(element, "initial_value", 3000, at)
        if kind == "number_input":
            _number_input(check, element, at)


def _number_input(check: Check, element: Json, at: str) -> None:
    """https://docs.slack.dev/reference/block-kit/block-elements/number-input-element: numbers as strings, the first within the bounds."""
    if not isinstance(element.get("is_decimal_allowed"), bool):
        check.wrong("missing required field: is_decimal_allowed", at)
    numbers: dict[str, Decimal] = {}
    for name in ("min_value", "max_value", "initial_value"):
        value = element.get(name)
        if value is None:
            continue
        if not isinstance(value, str) or not re.fullmatch(r"-?\d+(\.\d+)?", value):
            check.wrong("must be a string with a number", f"{at}/{name}")
        elif "." in value and element.get("is_decimal_allowed") is False:
            check.wrong("must be a whole number", f"{at}/{name}")
        else:
            numbers[name] = Decimal(value)
    low, high = numbers.get("min_value"), numbers.get("max_value")
    initial = numbers.get("initial_value")
    if low is not None and high is not None and low > high:
        check.wrong("min_value cannot be greater than max_value", at)
    if initial is not None and ((low is not None and initial < low) or (high is not None and initial > high)):
        check.wrong("initial_value must be between min_value and max_value", f"{at}/initial_value")


def _section(check: Check, block: Json, at: str) -> None:
    check.text(block, "text", 3000, at, needed="fields" not in block)
    if "fields" in block:
        for index, (_, where) in enumerate(check.items(block, "fields", 10, at)):
            parent, name = where.rsplit("/", 1)
            check.text({name: block["fields"][index]}, name, 2000, parent)
    if isinstance(block.get("accessory"), dict):
        _element(check, block["accessory"], f"{at}/accessory", IN_SECTION)


def _actions(check: Check, block: Json, at: str) -> None:
    for element, where in check.items(block, "elements", 25, at):
        _element(check, element, where, IN_ACTIONS)


def _context(check: Check, block: Json, at: str) -> None:
    for element, where in check.items(block, "elements", 10, at):
        if element.get("type") == "image":
            _image(check, element, where)
        else:
            parent, name = where.rsplit("/", 1)
            check.text({name: element}, name, 3000, parent)


def _input(check: Check, block: Json, at: str) -> None:
    check.text(block, "label", 2000, at, plain=True)
    check.text(block, "hint", 2000, at, plain=True, needed=False)
    element = block.get("element")
    if isinstance(element, dict):
        _element(check, element, f"{at}/element", IN_INPUT)
    else:
        check.wrong("missing required field: element", at)


def _image_block(check: Check, block: Json, at: str) -> None:
    _image(check, block, at)
    check.text(block, "title", 2000, at, plain=True, needed=False)


def _rich_text(check: Check, block: Json, at: str) -> None:
    for element, where in check.items(block, "elements", 200, at):
        kinds = {f"rich_text_{part}" for part in ("section", "list", "preformatted", "quote")}
        if element.get("type") not in kinds:
            check.wrong(f"unsupported type: {element.get('type')}", f"{where}/type")


BLOCKS: dict[str, Callable[[Check, Json, str], None]] = {
    "section": _section,
    "header": lambda check, block, at: check.text(block, "text", 150, at, plain=True),
    "divider": lambda check, block, at: None,
    "context": _context,
    "actions": _actions,
    "image": _image_block,
    "input": _input,
    "rich_text": _rich_text,
    "markdown": lambda check, block, at: check.string(block, "text", 12_000, at, needed=True),
}


def _check_blocks(blocks: Any, at: str, most: int) -> list[str]:
    check = Check()
    if not isinstance(blocks, list):
        check.wrong("must be an array", at)
        return check.errors
    if len(blocks) > most:
        check.wrong(f"no more than {most} items allowed", at)
    seen: set[str] = set()
    for index, block in enumerate(blocks):
        where = f"{at}/{index}"
        kind = block.get("type") if isinstance(block, dict) else None
        if kind not in BLOCKS:
            check.wrong(f"Unsupported block type: {kind}" if kind else "missing required field: type", where)
            continue
        check.string(block, "block_id", 255, where)
        if block.get("block_id") in seen:
            check.wrong(f"`block_id` must be unique: {block['block_id']} is already used", f"{where}/block_id")
        seen.add(block.get("block_id") or f"(none){index}")
        BLOCKS[kind](check, block, where)
        _unique_actions(check, block, where)
    return check.errors


def _unique_actions(check: Check, block: Json, at: str) -> None:
    seen: set[str] = set()
    for index, element in enumerate(elements(block)):
        action_id = element.get("action_id")
        if action_id and action_id in seen:
            check.wrong(f'`action_id` "{action_id}" already exists for another element', f"{at}/elements/{index}")
        seen.add(str(action_id))


def elements(block: Json) -> list[Json]:
    """The interactive elements of a block."""
    found = [*(block.get("elements") or []), block.get("accessory"), block.get("element")]
    return [item for item in found if isinstance(item, dict) and item.get("type") not in {"plain_text", "mrkdwn"}]


def check_message(blocks: Any) -> list[Json]:
    """The blocks of a message, with block and action ids filled in; raises `invalid_blocks`."""
    if blocks in (None, []):
        return []
    errors = _check_blocks(blocks, "/blocks", MESSAGE_BLOCKS)
    if errors:
        messages = {"messages": [f"[ERROR] {error}" for error in errors]}
        raise SlackError("invalid_blocks", errors=errors, response_metadata=messages)
    if sum(_characters(block) for block in blocks) > MESSAGE_CHARACTERS:
        raise SlackError("msg_blocks_too_long")
    return fill_ids(blocks)


def check_view(view: Any) -> Json:
    """A modal, with ids filled in; raises `invalid_arguments` as views.open does."""
    check = Check()
    if not isinstance(view, dict):
        raise SlackError("invalid_arguments", response_metadata={"messages": ["[ERROR] must be an object"]})
    if view.get("type") not in {"modal", "home"}:
        check.wrong("must be one of: modal, home", "/view/type")
    if view.get("type") == "modal":
        check.text(view, "title", 24, "/view", plain=True)
        check.text(view, "submit", 24, "/view", plain=True, needed=False)
        check.text(view, "close", 24, "/view", plain=True, needed=False)
    check.string(view, "private_metadata", 3000, "/view")
    check.string(view, "callback_id", 255, "/view")
    blocks = view.get("blocks")
    check.errors += _check_blocks(blocks, "/view/blocks", VIEW_BLOCKS)
    has_input = isinstance(blocks, list) and any(isinstance(b, dict) and b.get("type") == "input" for b in blocks)
    if has_input and "submit" not in view:
        check.wrong("missing required field: submit", "/view")
    if check.errors:
        first = "[ERROR] failed to match all allowed schemas [json-pointer:/view]"
        messages = [first, *(f"[ERROR] {error}" for error in check.errors)]
        raise SlackError("invalid_arguments", response_metadata={"messages": messages})
    return {**view, "blocks": fill_ids(view["blocks"])}


def fill_ids(blocks: list[Json]) -> list[Json]:
    """Give every block a block_id and every element an action_id, as Slack does for those that have none."""
    filled = []
    for index, block in enumerate(blocks):
        copy = {**block, "block_id": block.get("block_id") or f"b{index:02d}"}
        for name in ("accessory", "element"):
            if isinstance(copy.get(name), dict) and copy[name].get("type") != "image":
                copy[name] = {"action_id": f"{copy['block_id']}.0", **copy[name]}
        if copy["type"] == "actions":
            copy["elements"] = [
                {"action_id": f"{copy['block_id']}.{number}", **element}
                for number, element in enumerate(copy["elements"])
            ]
        filled.append(copy)
    return filled


def _characters(value: Any) -> int:
    if isinstance(value, dict):
        return sum(_characters(item) for name, item in value.items() if name in {"text", "fields", "elements"})
    if isinstance(value, list):
        return sum(_characters(item) for item in value)
    return len(value) if isinstance(value, str) else 0
