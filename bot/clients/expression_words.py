"""The errors of the CEL library in words for the authors of runbooks. Used by expressions.py."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

from bot.domain.naming import clipped, nearest

_PLACE = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_UNKNOWN = re.compile(r"undeclared reference to '([^']*)'")
_MISFIT = re.compile(
    r"(?:no matching overload for '|No matching overloads found : )(?P<name>[^'\s(]+)(?P<rest>.*)", re.S
)
_TYPES = re.compile(r"\(([^()]*(?:\([^()]*\)[^()]*)*)\)\s*'?\s*$")
_LOST = re.compile(r'Key not found in map : (?:"(.*)"|(.*))', re.S)
_BEYOND = re.compile(r"Index error: index=(-?\d+) size=(\d+)")
_METHOD = re.compile(r"No matching overloads found : \((\w+)\)\.(\w+)")
_CONTAINER = re.compile(r"Invalid container type: '(\w+)'")
_STATUS = re.compile(r"^[A-Z_]+: |\s*\[[A-Z_]+\]$")
_LINES = re.compile(r"\n \|.*", re.S)
_LOGIC = {"and": "&&", "or": "||"}
_PLAIN = {
    "divide by zero": "it divides by zero",
    "integer overflow": "the number becomes too large",
    "Applying SELECT to non-message type": "only a mapping has members, and there is none before a `.` in it",
    "cannot convert string to int": "this text is no whole number",
    "cannot convert string to double": "this text is no number",
    "String to Timestamp conversion failed": "this text is no time in ISO 8601, like 2026-03-02T03:00:00Z",
    "String to Duration conversion failed": "this text is no duration, like 90s or 1h30m",
}
KINDS = {
    "bool": "true or false",
    "int": "a whole number",
    "int64": "a whole number",
    "uint": "a whole number",
    "uint64": "a whole number",
    "double": "a number with decimals",
    "string": "text",
    "bytes": "bytes",
    "null": "null",
    "null_type": "null",
    "list": "a list",
    "map": "a mapping",
    "timestamp": "a time",
    "google.protobuf.timestamp": "a time",
    "duration": "a duration",
    "google.protobuf.duration": "a duration",
    "type": "a type",
    "dyn": "something",
}


def mistake(said: str, expression: str, names: Collection[str], functions: Collection[str]) -> str:
    """An expression that does not compile: where (for one of several lines, which), what, and the nearest name that there is."""
    if "recursion limit" in said or "recursion depth" in said:
        return "the expression is nested too deep"
    found = _PLACE.search(said)
    if found is None:
        return failure(said)
    line, column, what = int(found[1]), int(found[2]), found[3].removesuffix(" [INVALID_ARGUMENT]")
    where = f"at character {column}" + (f" of line {line}" if "\n" in expression.strip() else "")
    if unknown := _UNKNOWN.search(what):
        return f"{where}: {_unknown(unknown[1], expression, names, functions)}"
    if misfit := _MISFIT.search(what):
        return f"{where}: {_misfit(misfit)}"
    what = what.removeprefix("Syntax error: ")
    if "token recognition error" in what or re.search(r"(?<![=!<>])=(?!=)", expression):
        advice = "; to compare, write `==`" if re.search(r"(?<![=!<>])=(?!=)", expression) else ""
        return f"{where}: this cannot be read{advice}"
    if wrong := re.search(r"input '(and|or)'", what):
        return f"{where}: write `{_LOGIC[wrong[1]]}` for `{wrong[1]}`"
    if "mismatched input '<EOF>'" in what:
        return f"{where}: something is missing"
    if re.match(r"\s*not\s", expression):
        return f"{where}: write `!` for `not`"
    what = re.sub(r" expecting \{.*", "", what).replace("'<EOF>'", "the end").replace("<EOF>", "the end")
    return f"{where}: {what}"


def failure(said: str) -> str:
    """An evaluation that failed."""
    if "Iteration budget exceeded" in said:
        return "it loops more than 10,000 times"
    if beyond := _BEYOND.search(said):
        items = "1 item" if beyond[2] == "1" else f"{beyond[2]} items"
        return f"there is no item {beyond[1]}: the list has {items} (the first is item 0)"
    plain = _STATUS.sub("", _STATUS.sub("", _LINES.sub("", said).strip()))
    if method := _METHOD.search(plain):
        return f"`{method[2]}` does not fit {of_kind(method[1])}"
    if misfit := _MISFIT.search(plain):
        return _misfit(misfit)
    if container := _CONTAINER.search(plain):
        return f"{of_kind(container[1])} has no items"
    return _PLAIN.get(plain, plain)


def lost_key(said: str) -> str | None:
    found = _LOST.search(said)
    return None if found is None else (found[1] or found[2] or "").strip()


def quoted(value: Any) -> str:
    """A value as it looks in JSON, clipped."""
    return clipped(json.dumps(value, ensure_ascii=False), 80)


def kind(value: Any) -> str:
    """What a JSON value is."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "a mapping"


def of_kind(name: str) -> str:
    """A type by the library's name for it."""
    plain = name.lower().partition("<")[0].partition("(")[0].strip()
    return KINDS.get(plain, f"a {plain}")


def _unknown(name: str, expression: str, names: Collection[str], functions: Collection[str]) -> str:
    if name.startswith("_"):
        return f"`{name.strip('_')}` is not possible"
    first = name.partition(".")[0]
    if re.search(rf"\b{re.escape(first)}\s*\(", expression):
        return f"there is no function `{first}`{nearest(first, functions)}"
    if re.search(rf"[a-z0-9_]-{re.escape(first)}\b", expression):
        return f'`{first}` is not known; a name with a hyphen in it is written in brackets: ["a-name"]'
    there = f"; there are: {', '.join(sorted(names)[:20])}" if names else "; there are none"
    return f"`{first}` is not known{nearest(first, names)}{there}"


def _misfit(found: re.Match[str]) -> str:
    """`+` does not fit text and a whole number."""
    name, rest = found["name"].removesuffix("_"), found["rest"]
    types = _TYPES.search(rest.strip().removesuffix("[INVALID_ARGUMENT]").strip())
    kinds = [of_kind(one) for one in re.split(r",\s*(?![^<(]*[>)])", types[1])] if types else []
    sign = {"_?_:": "? :", "_[": "[ ]", "_[_]": "[ ]", "@in": "in"}.get(name, name.strip("_"))
    if name in ("<jump_condition>", "_?_:") or sign in ("&&", "||", "!"):
        if name == "_?_:" and kinds and kinds[0] in ("true or false", "something"):
            return f"`? :` wants the same on both sides, found {' and '.join(kinds[1:])}"
        return f"`{'? :' if 'jump' in name or '?' in name else sign}` is for true and false"
    advice = "; make text of it with `string(…)`" if sign == "+" and "text" in kinds else ""
    return f"`{sign}` does not fit {' and '.join(kinds) or 'what it is given'}{advice}"
