"""The arguments of one Web API call and the errors it can answer; every method in this package speaks through these."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


class SlackError(Exception):
    """A refusal as Slack words it: `{"ok": false, "error": ...}` and whatever else belongs to it."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.error = error
        self.more = more

    def answer(self) -> Json:
        """The body of the answer."""
        return {"ok": False, "error": self.error, **self.more}


def invalid(*messages: str) -> SlackError:
    """`invalid_arguments` with the messages Slack adds."""
    return SlackError("invalid_arguments", response_metadata={"messages": [f"[ERROR] {text}" for text in messages]})


@dataclass(frozen=True)
class Args:
    """Arguments as sent, form or JSON; in a form a nested value is JSON text and a boolean is 0 or 1."""

    given: Mapping[str, Any]

    def text(self, name: str, default: str = "") -> str:
        """A string; numbers (a `ts` sent as a JSON number) are taken as written."""
        value = self.given.get(name)
        if value is None:
            return default
        return value if isinstance(value, str) else json.dumps(value)

    def need(self, name: str) -> str:
        """A string that must be there."""
        value = self.text(name)
        if not value:
            raise invalid(f"missing required field: {name}")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean: true, 1, "1" or "true"."""
        value = self.given.get(name)
        if value is None:
            return default
        return str(value).lower() in {"1", "true"}

    def number(self, name: str, default: int, low: int = 1, high: int = 1000) -> int:
        """A whole number within bounds, else `invalid_limit` as the paged methods answer."""
        value = self.given.get(name)
        if value in (None, ""):
            return default
        try:
            number = int(str(value))
        except ValueError:
            raise SlackError("invalid_limit") from None
        if number > high or number < 0:
            raise SlackError("invalid_limit")
        return max(low, number) if number else default

    def names(self, name: str) -> list[str]:
        """A comma-separated list, or a JSON list."""
        value = self.given.get(name)
        if isinstance(value, list):
            return [str(item) for item in value]
        return [item.strip() for item in self.text(name).split(",") if item.strip()]

    def nested(self, name: str, error: str) -> Any:
        """A JSON value, sent as JSON or as JSON text; None when not given."""
        value = self.given.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return json.loads(value)
        except ValueError:
            raise SlackError(error) from None

    def has(self, name: str) -> bool:
        """Whether the caller sent this argument at all."""
        return self.given.get(name) is not None
