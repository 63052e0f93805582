"""The parameters of a run: given by a person, else from a label, else the default; each of its type and within its bounds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, get_args

from pydantic import BaseModel

from bot.domain.naming import nearest
from bot.domain.regex import Regex
from bot.domain.runbook import Parameter, Runbook
from bot.errors import BadInput

LONGEST = 1000
MOST_TEXTS = 100
_CASTS: Mapping[str, type] = {"string": str, "integer": int, "number": float}
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
WRITTEN = re.compile(r"(?:\d{1,6}[smhd]\s*)+")


def parameters(runbook: Runbook, given: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    """All parameters of a runbook by name. BadInput names what is wrong or missing, and what would be right."""
    unknown = [name for name in given if name not in runbook.params]
    if unknown:
        valid = ", ".join(runbook.params) or "none"
        raise BadInput(
            f"{runbook.name} has no parameter {unknown[0]!r}{nearest(unknown[0], runbook.params) or '.'} It has: {valid}."
        )
    values: dict[str, Any] = {}
    for name, spec in runbook.params.items():
        value = next(
            (one for one in (given.get(name), _label(spec, labels), spec.default) if one not in (None, "")), None
        )
        if value is None and spec.default == "":
            value = ""
        if value is None:
            where = f", and the alert has no label {spec.label}" if spec.label else ""
            raise BadInput(f"{runbook.name} needs {name} ({spec.description or spec.type}){where}. Give it as {name}=…")
        values[name] = fitted(runbook.name, name, spec, value)
    return values


def _label(spec: Parameter, labels: Mapping[str, str]) -> str | None:
    return labels.get(spec.label) if spec.label else None


def fitted(runbook: str, name: str, spec: Parameter, value: Any) -> Any:
    """One value as its parameter wants it; durations become text in seconds (`90s`), lists lists. BadInput says what is wrong with it."""
    if spec.type == "list":
        return _list(runbook, name, spec, value)
    shown = f"{runbook}: {name}={str(value)[:80]!r}"
    text = str(value)
    if len(text) > LONGEST:
        raise BadInput(f"{shown} is longer than {LONGEST} characters")
    if any(ord(character) < 32 for character in text):
        raise BadInput(f"{shown} has a line break or another control character in it")
    if spec.pattern and not Regex(spec.pattern).fullmatch(text):
        raise BadInput(f"{shown} does not match {spec.pattern}")
    if spec.choices and text not in spec.choices:
        raise BadInput(f"{shown} is not one of {', '.join(spec.choices)}{nearest(text, spec.choices)}")
    typed = _typed(shown, spec.type, value)
    if isinstance(typed, int | float) and not isinstance(typed, bool):
        if spec.minimum is not None and typed < spec.minimum:
            raise BadInput(f"{shown} is less than {spec.minimum:g}, the least that {name} may be")
        if spec.maximum is not None and typed > spec.maximum:
            raise BadInput(f"{shown} is more than {spec.maximum:g}, the most that {name} may be")
    return typed


def _list(runbook: str, name: str, spec: Parameter, value: Any) -> list[str]:
    texts = value if isinstance(value, list | tuple) else str(value).split(",")
    if len(texts) > MOST_TEXTS:
        raise BadInput(f"{runbook}: {name} has {len(texts)} texts; at most {MOST_TEXTS} are possible")
    each = spec.model_copy(update={"type": "string"})
    return [fitted(runbook, name, each, text) for text in (str(one).strip() for one in texts) if text]


def _typed(shown: str, kind: str, value: Any) -> Any:
    if kind == "boolean":
        truth = value if isinstance(value, bool) else _WORDS.get(str(value).lower())
        if truth is None:
            raise BadInput(f"{shown} is neither true nor false")
        return truth
    if kind == "duration":
        return f"{int(seconds(shown, value))}s"
    try:
        typed = _CASTS[kind](value)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{shown} is not of type {kind}") from error
    if isinstance(typed, float) and (typed != typed or typed in (float("inf"), float("-inf"))):
        raise BadInput(f"{shown} is not a finite number")
    return typed


def with_durations(model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """The values for a model, with durations as people write them (`5m`), which pydantic does not know."""
    found = dict(given)
    for name, field in model.model_fields.items():
        key = field.alias or name
        wanted = field.annotation is timedelta or timedelta in get_args(field.annotation)
        if wanted and isinstance(found.get(key), str) and WRITTEN.fullmatch(found[key].strip()):
            found[key] = timedelta(seconds=seconds(key, found[key]))
    return found


def seconds(shown: str, value: Any) -> float:
    """`1h30m`, `90s` or a number of seconds."""
    text = str(value).strip()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if text.isascii() and text.isdigit() and len(text) <= 8:
        return float(text)
    if not WRITTEN.fullmatch(text):
        raise BadInput(f"{shown} is not a duration like 90s, 5m or 1h30m")
    return float(sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([smhd])", text)))
