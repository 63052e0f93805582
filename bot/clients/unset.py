"""Parameters that a template leaves out by giving nothing. Used by the parameters of actions."""

from __future__ import annotations

from typing import Any

from pydantic import BeforeValidator


def _none_if_empty(value: Any) -> Any:
    return None if value in ("", "0", 0) else value


def _none_if_blank(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


Unset = BeforeValidator(_none_if_empty)  # where 0 means nothing, too
none_if_blank = BeforeValidator(_none_if_blank)  # where 0 is a value
