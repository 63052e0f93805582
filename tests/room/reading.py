"""What there is to read and to press in a message."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import Any

from bot.room.blocks import Message


def buttons(message: Message) -> dict[str, dict[str, Any]]:
    """By action id; of several with the same one, the first."""
    found: dict[str, dict[str, Any]] = {}
    for element in every_button(message):
        found.setdefault(element["action_id"], element)
    return found


def every_button(message: Message) -> list[dict[str, Any]]:
    return [element for block in message.blocks if block["type"] == "actions" for element in block["elements"]]


def words(message: Message) -> str:
    """Everything that is shown, as one text."""
    return json.dumps([message.text, list(message.blocks)], ensure_ascii=False)


def lines(message: Message) -> list[str]:
    """The lines of all sections."""
    return [line for text in _sections(message) for line in text.splitlines()]


def plan_text(message: Message) -> str:
    """What stands in code blocks."""
    return "\n".join(
        html.unescape(text.strip("`").strip("\n")) for text in _sections(message) if text.startswith("```")
    )


def mrkdwn_of(value: Any) -> list[str]:
    if isinstance(value, dict):
        if value.get("type") == "mrkdwn":
            assert value["verbatim"] is True
            return [value["text"]]
        return [piece for part in value.values() for piece in mrkdwn_of(part)]
    return [piece for part in value for piece in mrkdwn_of(part)] if isinstance(value, list) else []


def _sections(message: Message) -> Sequence[str]:
    return [block["text"]["text"] for block in message.blocks if block["type"] == "section" and "text" in block]
