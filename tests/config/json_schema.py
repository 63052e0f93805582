"""As much of JSON Schema 2020-12 as our schemas use, so that the tests need no library for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

KINDS = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
}
CHECKED = {
    *("type", "enum", "const", "pattern", "minimum", "maximum", "exclusiveMinimum", "minLength", "maxLength"),
    *("minItems", "maxItems", "maxProperties"),
    *("items", "properties", "required", "additionalProperties", "patternProperties", "$ref", "anyOf", "allOf", "if", "then"),
    *("$schema", "$defs", "title", "description", "default", "format", "else"),
}  # fmt: skip


def violations(value: Any, schema: Any, root: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """What in `value` does not fit. Raises on a keyword that this does not know."""
    if schema is True or schema == {}:
        return
    if schema is False:
        yield f"{path}: not allowed"
        return
    unknown = set(schema) - CHECKED
    if unknown:
        raise NotImplementedError(f"{path}: {sorted(unknown)}")
    if "$ref" in schema:
        yield from violations(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, path)
    for one in schema.get("allOf", ()):
        yield from violations(value, one, root, path)
    if "anyOf" in schema and all(list(violations(value, one, root, path)) for one in schema["anyOf"]):
        yield f"{path}: fits none of anyOf"
    if "if" in schema and not list(violations(value, schema["if"], root, path)):
        yield from violations(value, schema.get("then", True), root, path)
    yield from _scalar(value, schema, path)
    if isinstance(value, dict):
        yield from _object(value, schema, root, path)
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            yield f"{path}: {len(value)} items"
        for number, item in enumerate(value):
            yield from violations(item, schema.get("items", True), root, f"{path}[{number}]")


def _scalar(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    kinds = [schema["type"]] if isinstance(schema.get("type"), str) else schema.get("type", [])
    fits = [isinstance(value, KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool)) for kind in kinds]
    if kinds and not any(fits):
        yield f"{path}: is not {kinds}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is not in {schema['enum']}"
    if "const" in schema and value != schema["const"]:
        yield f"{path}: is not {schema['const']!r}"
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: {value!r} does not fit {schema['pattern']}"
    if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{path}: {value} is out of bounds"


def _object(value: dict[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], path: str) -> Iterator[str]:
    if len(value) > schema.get("maxProperties", len(value)):
        yield f"{path}: {len(value)} keys"
    known = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{path}: {name} is missing"
    patterns = schema.get("patternProperties", {})
    for name, item in value.items():
        fitting = next((wanted for pattern, wanted in patterns.items() if re.search(pattern, name)), None)
        wanted = known.get(name, fitting if fitting is not None else schema.get("additionalProperties", True))
        yield from violations(item, wanted, root, f"{path}.{name}")
