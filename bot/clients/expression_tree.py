"""A compiled CEL expression as a tree, read from the library's own serialized form. Used by expressions.py to bound it and to word its errors.

The form is the public protocol buffer `cel.expr.CheckedExpr` (https://github.com/google/cel-spec, proto/cel/expr/checked.proto and syntax.proto),
whose field numbers are stable; there are so few of them that no protobuf library is needed. Macros are expanded in it: `all`, `exists`, `map` and
`filter` are all one kind of node, a loop.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5
_ANY_VALUE, _CHECKED_EXPR, _SIGN = 2, 4, 1 << 63
Fields = Mapping[int, list[Any]]
MISSING = object()


@dataclass(frozen=True, slots=True)
class Node:
    """`constant` (value); `name`; `select` and `has` (a name of parts[0]); `call`; `list`; `map` (keys and values in turn);
    `loop`: parts are (range, start, condition, step, result), `loops` the names of its item and of what it gathers."""

    kind: Literal["constant", "name", "select", "has", "call", "list", "map", "loop"]
    name: str = ""
    parts: tuple[Node, ...] = ()
    value: Any = None
    loops: tuple[str, ...] = ()

    def walk(self) -> Iterator[Node]:
        """This node and all below it."""
        yield self
        for part in self.parts:
            yield from part.walk()


def tree(serialized: bytes) -> Node:
    """From what `Expression.serialize()` gives. The library bounds how deep it is (32)."""
    checked = _fields(_fields(serialized)[_ANY_VALUE][0])
    return _node(checked[_CHECKED_EXPR][0])


def fact_at(node: Node, facts: Mapping[str, Any]) -> Any:
    """The fact that a plain path (`steps.ratio["value"]`) leads to; MISSING when it leads nowhere or is no such path."""
    if node.kind == "name":
        return facts.get(node.name, MISSING)
    holder, key = _step(node)
    if holder is None:
        return MISSING
    found = fact_at(holder, facts)
    if isinstance(found, Mapping):
        return found.get(key, MISSING)
    if isinstance(found, list) and isinstance(key, int) and -1 < key < len(found):
        return found[key]
    return MISSING


def lost_keys(node: Node, key: str, facts: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each mapping, with its path, that the expression looks into for a key that is not there."""
    for one in node.walk():
        holder, wanted = _step(one)
        found = fact_at(holder, facts) if holder is not None else MISSING
        if holder is not None and wanted == key and isinstance(found, Mapping) and key not in found:
            yield spelled(holder), found


def spelled(node: Node) -> str:
    """A plain path as its author would write it."""
    holder, key = _step(node)
    if holder is None:
        return node.name
    plain = isinstance(key, str) and key.isidentifier()
    return f"{spelled(holder)}.{key}" if plain else f"{spelled(holder)}[{key!r}]"


def _step(node: Node) -> tuple[Node | None, Any]:
    """What a node looks into, and for which key; (None, None) when it is no such node."""
    if node.kind == "select":
        return node.parts[0], node.name
    if node.kind == "call" and node.name == "_[_]" and node.parts[1].kind == "constant":
        return node.parts[0], node.parts[1].value
    return None, None


# ------------------------------------------------------------------------------------------------ protocol buffers


def _node(raw: bytes) -> Node:
    fields = _fields(raw)
    for number, read in _READERS.items():
        if number in fields:
            return read(_fields(fields[number][0]))
    return Node("constant")


def _nodes(raws: list[bytes]) -> tuple[Node, ...]:
    return tuple(_node(raw) for raw in raws)


def _constant(fields: Fields) -> Node:
    if 3 in fields:
        whole = fields[3][0]
        return Node("constant", value=whole - 2 * _SIGN if whole >= _SIGN else whole)
    if 5 in fields:
        return Node("constant", value=struct.unpack("<d", fields[5][0])[0])
    if 6 in fields:
        return Node("constant", value=fields[6][0].decode(errors="replace"))
    return Node("constant", value=fields[7][0] if 7 in fields else None)


def _name(fields: Fields) -> Node:
    return Node("name", _text(fields, 1))


def _select(fields: Fields) -> Node:
    return Node("has" if fields.get(3) else "select", _text(fields, 2), _nodes(fields[1]))


def _call(fields: Fields) -> Node:
    return Node("call", _text(fields, 2), _nodes([*fields.get(1, []), *fields.get(3, [])]))


def _list(fields: Fields) -> Node:
    return Node("list", parts=_nodes(fields.get(1, [])))


def _map(fields: Fields) -> Node:
    entries = [_fields(entry) for entry in fields.get(2, [])]
    return Node("map", _text(fields, 1), _nodes([raw for entry in entries for raw in (*entry.get(3, []), *entry[4])]))


def _loop(fields: Fields) -> Node:
    names = (_text(fields, 3), _text(fields, 1), _text(fields, 8))
    return Node("loop", parts=_nodes([fields[number][0] for number in (2, 4, 5, 6, 7)]), loops=names)


_READERS = {3: _constant, 4: _name, 5: _select, 6: _call, 7: _list, 8: _map, 9: _loop}


def _text(fields: Fields, number: int) -> str:
    return str(fields[number][0].decode()) if number in fields else ""


def _fields(raw: bytes) -> dict[int, list[Any]]:
    """Field numbers and their values: whole numbers, or bytes."""
    fields: dict[int, list[Any]] = {}
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        size = 0
        if tag & 7 == _VARINT:
            value, at = _varint(raw, at)
            fields.setdefault(tag >> 3, []).append(value)
            continue
        if tag & 7 == _BYTES:
            size, at = _varint(raw, at)
        elif tag & 7 in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if tag & 7 == _EIGHT_BYTES else 4
        fields.setdefault(tag >> 3, []).append(raw[at : at + size])
        at += size
    return fields


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
