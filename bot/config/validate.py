"""A value of a file to a model, with every problem in the words and at the place of the file. Used by load for each section."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bot.config.marks import Document, Path
from bot.config.patterns import IN_WORDS
from bot.config.prepare import Preparing
from bot.config.problems import Problem, nearest, quoted
from bot.config.secrets import Secrets
from bot.config.units import shortest

M = TypeVar("M", bound=BaseModel)

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "time_delta_type": "a duration like 5m or 1h30m",
    "time_delta_parsing": "a duration like 5m or 1h30m",
    "datetime_type": "a time like 2026-01-05T09:00:00+01:00",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "dict_type": "a mapping (key: value)",
    "mapping_type": "a mapping (key: value)",
    "tuple_type": "a list (- item)",
    "list_type": "a list (- item)",
    "sequence_str": "a list (- item)",
    "is_instance_of": "a reference like env:NAME or file:/path",
}

LONGEST_SHOWN = 24  # characters; what is longer may be a secret in the wrong place

_BOUNDS = {
    "greater_than": "more than",
    "greater_than_equal": "at least",
    "less_than": "less than",
    "less_than_equal": "at most",
}


def validate(
    model: type[M], document: Document, value: Any, path: Path = (), secrets: Secrets | None = None
) -> tuple[M | None, list[Problem]]:
    """The model of the value at `path`; None when there are problems."""
    preparing = Preparing(document, secrets)
    prepared = preparing.value(model, value, path)
    try:
        made = model.model_validate(prepared)
    except ValidationError as error:
        return None, preparing.problems + in_words(error, document, prepared, path, preparing.refused)
    return (None if preparing.refused else made), preparing.problems


def validate_sections(
    model: type[M], document: Document, secrets: Secrets | None = None
) -> tuple[M, list[Problem], frozenset[str]]:
    """The model of a whole file, made of the sections that are right; the others have their defaults and are named.

    So one bad section does not hide the problems that only show when sections are compared. Every field needs a default.
    """
    if document.data is not None and not isinstance(document.data, dict):
        message = f"wanted a mapping (key: value), found {found(document.data)}"
        return model(), [document.problem((), message)], frozenset(model.model_fields)
    preparing = Preparing(document, secrets)
    prepared = preparing.model(model, document.data or {}, ())
    problems = preparing.problems
    bad = {str(path[0]) for path in preparing.refused}
    try:
        model.model_validate(prepared)
    except ValidationError as error:
        problems += in_words(error, document, prepared, (), preparing.refused)
        bad |= {str(one["loc"][0]) for one in error.errors(include_url=False, include_input=False)}
    good = {key: value for key, value in prepared.items() if key not in bad}
    return model.model_validate(good), problems, frozenset(bad)


def in_words(
    error: ValidationError,
    document: Document,
    value: Any,
    path: Path,
    refused: Collection[Path] = (),
    pending: Collection[Path] = (),
) -> list[Problem]:
    """Pydantic's complaints about `value`, which stands at `path`.

    Left out: those at or below a `refused` path (told already), and those about a value that is `pending` (a template) or holds one.
    """
    problems = []
    for one in error.errors(include_url=False):
        here = (*path, *located(value, one["loc"]))
        missing = one["type"] == "missing"
        if one["type"] == "too_short" and len(one["input"]) >= (one.get("ctx") or {}).get("min_length", 0):
            continue  # it is not: the items that are wrong were not counted
        if any(here[: len(known)] == known for known in (*refused, *pending)):
            continue
        if not missing and any(known[: len(here)] == here for known in pending):
            continue
        if one["type"] in (*_WANTED, "literal_error") and _said_below(value, error, one["loc"], here, path):
            continue  # of the forms that there are it is another one, and what is wrong with that is said
        if missing:
            problems.append(document.problem(here, f"{quoted(one['loc'][-1])} is missing", key=True))
        else:
            problems.append(
                document.problem(here, _message(one["type"], one["msg"], one.get("ctx") or {}, one["input"]))
            )
    return _merged(problems)


def _said_below(value: Any, error: ValidationError, loc: Sequence[int | str], here: Path, path: Path) -> bool:
    """Whether another form of a union fits so far that something inside of it, or about it as a whole, is wrong."""
    for one in error.errors(include_url=False):
        place = (*path, *located(value, one["loc"]))
        inside = len(place) > len(here) or one["type"] not in (*_WANTED, "literal_error")
        if one["loc"] != loc and inside and place[: len(here)] == here:
            return True
    return False


def _merged(problems: Sequence[Problem]) -> list[Problem]:
    """What no form of a union takes is one problem: `wanted a mapping (key: value) or a list (- item), found …`."""
    merged: dict[tuple[Any, ...], Problem] = {}
    for one in problems:
        wanted, comma, rest = one.message.partition(", found ")
        key = (one.file, one.line, one.column, one.path, rest) if comma and wanted.startswith("wanted ") else (one,)
        first = merged.get(key)
        if first is None or first == one:
            merged[key] = one
        else:
            message = f"{first.message.partition(', found ')[0]} or {wanted.removeprefix('wanted ')}, found {rest}"
            merged[key] = replace(first, message=message)
    return list(merged.values())


def located(value: Any, loc: Sequence[int | str]) -> Path:
    """Pydantic's location as a path through the value: parts that name a union's arm, a validator or a missing key are left out."""
    path: list[int | str] = []
    for part in loc:
        inside = isinstance(value, Mapping) and part in value
        if inside or (isinstance(value, list | tuple) and isinstance(part, int) and 0 <= part < len(value)):
            value = value[part]
            path.append(part)
    return tuple(path)


def _message(kind: str, said: str, context: Mapping[str, Any], value: Any) -> str:
    if kind in ("value_error", "assertion_error"):
        return said.partition(", ")[2] or said
    if kind in ("literal_error", "enum"):
        expected = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
        if expected == "False":
            return f"wanted false, found {found(value)}"
        near = nearest(str(value), expected.split(", ")) if isinstance(value, str) else ""
        return f"wanted one of {expected}, found {found(value)}{near}"
    if kind in _BOUNDS and len(context) == 1:
        bound = next(iter(context.values()))
        shown = f"{bound:g}" if isinstance(bound, float) else bound
        return f"wanted {_BOUNDS[kind]} {shown}, found {found(value)}"
    if kind == "too_short":
        return f"wanted at least {context.get('min_length')}, found {context.get('actual_length')}"
    if kind in ("too_long", "string_too_long"):
        what = "items" if kind == "too_long" else "characters"
        return f"wanted at most {context.get('max_length')} {what}, found {context.get('actual_length') or len(value)}"
    if kind == "string_pattern_mismatch":
        pattern = str(context.get("pattern"))
        return (
            f"wanted {IN_WORDS[pattern]}, found {found(value)}"
            if pattern in IN_WORDS
            else f"{found(value)} does not fit the pattern {pattern}"
        )
    if kind == "sequence_str":  # what the list was to hold may be secrets
        return f"wanted {_WANTED[kind]}, found text"
    wanted = _WANTED.get(kind) or said.removeprefix("Input should be ").removeprefix("a valid ")
    return f"wanted {wanted}, found {found(value)}{_mistaken(kind, value)}"


def _mistaken(kind: str, value: Any) -> str:
    """Text that YAML does not take for text: `rotation: shop` where `rotation:shop` was meant, `#incidents` without quotes."""
    if kind == "string_type" and value is None:
        return "; a bare # begins a comment, so text that begins with one needs quotes"
    if kind not in ("string_type", "is_instance_of") or not isinstance(value, dict) or len(value) != 1:
        return ""
    key, item = next(iter(value.items()))
    meant = f"{key}:{item}"
    example = f": {quoted(meant)}" if len(meant) <= LONGEST_SHOWN else ""  # as below
    how = f"; for text, leave out the space after the colon or put it in quotes{example}"
    return how if isinstance(item, str) else ""


def found(value: Any) -> str:
    """A value in words. Text where something else is wanted may be a secret in the wrong place: only short, plain words are shown."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, timedelta):
        return shortest(value)
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return quoted(value) if isinstance(value, str) and len(value) <= LONGEST_SHOWN else "text"
