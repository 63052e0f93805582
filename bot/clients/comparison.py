"""Comparisons with a number, as people write them: `< 0.05`, `>= 3`. Used by the actions that check one."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Annotated

from pydantic import AfterValidator

_WRITTEN = re.compile(r"\s*(?P<sign><=|>=|==|!=|<|>)\s*(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,3})?)\s*")
_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_MEETING = {"<": -1, ">": 1, "!=": 1}


def _checked(text: str) -> str:
    if not _WRITTEN.fullmatch(text):
        raise ValueError("must be a comparison with a number, like `< 0.05`")
    return text.strip()


Comparison = Annotated[str, AfterValidator(_checked)]


def met(comparison: str, value: float) -> bool:
    """Whether the value meets it. Raises ValueError when it is no comparison."""
    sign, number = _parts(comparison)
    return _SIGNS[sign](value, number)


def number_in(comparison: str) -> float:
    return _parts(comparison)[1]


def meeting(comparison: str) -> float:
    """A number that meets it."""
    sign, number = _parts(comparison)
    return number + _MEETING.get(sign, 0)


def _parts(comparison: str) -> tuple[str, float]:
    found = _WRITTEN.fullmatch(comparison)
    if found is None:
        raise ValueError(f"{comparison!r} is not a comparison with a number")
    return found["sign"], float(found["number"])
