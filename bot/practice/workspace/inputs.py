"""What a person typed or chose, in the form Slack gives it to the app: action payloads and view state values."""

from __future__ import annotations

from typing import Any

from bot.practice.workspace.calls import Json

_FIELD = {
    "users_select": "selected_user",
    "conversations_select": "selected_conversation",
    "channels_select": "selected_channel",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
    "multi_users_select": "selected_users",
    "multi_conversations_select": "selected_conversations",
    "multi_channels_select": "selected_channels",
}
_INITIAL = {
    "users_select": "initial_user",
    "conversations_select": "initial_conversation",
    "channels_select": "initial_channel",
    "datepicker": "initial_date",
    "timepicker": "initial_time",
    "datetimepicker": "initial_date_time",
    "multi_users_select": "initial_users",
    "multi_conversations_select": "initial_conversations",
    "multi_channels_select": "initial_channels",
}
_MANY = {"checkboxes", "multi_static_select"}
_STATELESS = {"button", "overflow", "image"}


def action_of(element: Json, chosen: Json) -> Json | None:
    """The entry in `actions`; None when this element is not what was meant (another value, no such option)."""
    kind = element["type"]
    about: Json = {"action_id": element["action_id"], "type": kind}
    value = chosen.get("value")
    if kind in {"button", "workflow_button"}:
        if value is not None and value != element.get("value"):
            return None
        kept: Json = {name: element[name] for name in ("text", "value", "style", "url") if name in element}
        return {**about, **kept}
    if kind in _FIELD or kind == "plain_text_input":
        return {**about, _FIELD.get(kind, "value"): value}
    picked = _pick(element, value if isinstance(value, list) else [value])
    if kind in _MANY:
        return {**about, "selected_options": picked}
    return {**about, "selected_option": picked[0]} if picked else None


def values_of(blocks: list[Json], given: Json) -> tuple[Json, list[str]]:
    """`state.values` of a modal, and the block ids of required fields left empty."""
    values: Json = {}
    missing: list[str] = []
    for block in blocks:
        for element in [block.get("element"), block.get("accessory"), *(block.get("elements") or [])]:
            if not isinstance(element, dict) or "action_id" not in element or element["type"] in _STATELESS:
                continue
            block_id, action_id = block["block_id"], element["action_id"]
            typed, is_given = _typed(given, block_id, action_id)
            value = _value(element, typed) if is_given else _initial(element)
            values.setdefault(block_id, {})[action_id] = value
            if block["type"] == "input" and not block.get("optional") and not _has_value(value):
                missing.append(block_id)
    return values, missing


def _typed(given: Json, block_id: str, action_id: str) -> tuple[Any, bool]:
    """Values may come as {block: {action: value}}, {block: value} or {action: value}."""
    inner = given.get(block_id)
    if isinstance(inner, dict) and action_id in inner:
        return inner[action_id], True
    if block_id in given and not isinstance(inner, dict):
        return inner, True
    return given.get(action_id), action_id in given


def _value(element: Json, typed: Any) -> Json:
    kind = element["type"]
    if isinstance(typed, dict) and "type" in typed:
        return typed
    if kind in _FIELD:
        return {"type": kind, _FIELD[kind]: typed}
    if kind in _MANY:
        return {"type": kind, "selected_options": _pick(element, typed if isinstance(typed, list) else [typed])}
    if kind in {"static_select", "radio_buttons", "external_select"}:
        picked = _pick(element, [typed])
        return {"type": kind, "selected_option": picked[0] if picked else None}
    return {"type": kind, "value": None if typed in (None, "") else str(typed)}


def _initial(element: Json) -> Json:
    kind = element["type"]
    if kind in _FIELD:
        empty: Any = [] if kind.startswith("multi_") else None
        return {"type": kind, _FIELD[kind]: element.get(_INITIAL[kind], empty)}
    if kind in _MANY:
        return {"type": kind, "selected_options": element.get("initial_options", [])}
    if kind in {"static_select", "radio_buttons", "external_select"}:
        return {"type": kind, "selected_option": element.get("initial_option")}
    return {"type": kind, "value": element.get("initial_value")}


def _has_value(value: Json) -> bool:
    return any(item not in (None, "", []) for name, item in value.items() if name != "type")


def _pick(element: Json, wanted: list[Any]) -> list[Json]:
    groups = element.get("option_groups") or []
    options = [*(element.get("options") or []), *(option for group in groups for option in group["options"])]
    return [option for option in options if option.get("value") in wanted]
