"""How much work and memory a CEL expression could take at most, told before it is evaluated. Used by expressions.py.

The library counts the rounds of loops (MOST_ROUNDS in one evaluation, not to be set from Python) and nothing else: with
`[text].map(x, x + x).map(x, x + x)…` a line makes gigabytes, and `list.map(x, [list, list]) == …` compares for hours. So the size of every part is
bounded from above, beginning with the real sizes of the facts: a sum for `+`, rounds times the step for a loop. A size is in characters;
every number, text, list or mapping counts ITEM more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.clients.expression_tree import MISSING, Node, fact_at
from bot.errors import BadInput

MOST_ROUNDS = 10_000
LARGEST = 8_000_000
MOST_WORK = 200_000_000  # about half a second
COPIED = 20  # the library copies a list for every item that `map` and `filter` append to it
ITEM = 16
CONDITIONS = frozenset(
    ("_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_&&_", "_||_", "!_", "@in", "@not_strictly_false")
)


@dataclass(frozen=True, slots=True)
class Size:
    """At most: `total` of all, `items` in it (or keys), and `each`, the largest of them (None: nothing is known, so all of it)."""

    total: int
    items: int = 0
    each: Size | None = None

    @property
    def item(self) -> Size:
        return self.each or Size(self.total, self.items)


SMALL = Size(ITEM)


def size_of(fact: Any) -> Size:
    """The size of a fact, as JSON values. `each` is the largest in every respect, so it may be larger than any one item."""
    if isinstance(fact, str):
        return Size(ITEM + len(fact))
    if isinstance(fact, Mapping):
        sizes = [size_of(part) for item in fact.items() for part in item]
        return Size(ITEM + sum(size.total for size in sizes), len(fact), _largest(sizes))
    if isinstance(fact, list):
        sizes = [size_of(part) for part in fact]
        return Size(ITEM + sum(size.total for size in sizes), len(fact), _largest(sizes))
    return SMALL


def _largest(sizes: list[Size]) -> Size:
    if not sizes:
        return SMALL
    inner = [size.each for size in sizes if size.each is not None]
    return Size(
        max(size.total for size in sizes), max(size.items for size in sizes), _largest(inner) if inner else None
    )


@dataclass(slots=True)
class Bounding:
    """One expression over its facts. `check` gives the size of its value at most; BadInput when a part could be too large, or all of it too slow."""

    facts: Mapping[str, Any]
    work: int = 0
    sizes: dict[int, Size] = field(default_factory=dict)

    def check(self, node: Node) -> Size:
        return self._size(node, {}, 1)

    def _size(self, node: Node, scope: Mapping[str, Size], times: int) -> Size:
        """The size of what a node gives; `times`: how often it is evaluated."""
        if node.kind == "loop":
            return self._loop(node, scope, times)
        fact = MISSING if scope and _begins(node) in scope else fact_at(node, self.facts)
        if fact is not MISSING:
            self._pay(times)
            return self._fact(fact)
        if node.kind == "name":
            return scope.get(node.name, SMALL)
        parts = [self._size(part, scope, times) for part in node.parts]
        found = self._made(node, parts, times)
        if found.total > LARGEST:
            raise BadInput(f"it could make something of {found.total:,} characters; at most {LARGEST:,} are possible")
        return found

    def _made(self, node: Node, parts: list[Size], times: int) -> Size:
        if node.kind == "constant":
            return Size(ITEM + (len(node.value) if isinstance(node.value, str | bytes) else 0))
        if node.kind == "has":
            return SMALL
        if node.kind == "select" or node.name == "_[_]":
            self._pay(times)
            return parts[0].item
        whole = ITEM + sum(part.total for part in parts)
        if node.kind == "call" and node.name == "matches":
            # A repetition makes a pattern up to a thousand times as large; the matching itself is linear.
            pattern = node.parts[-1].value
            wide = 1 if isinstance(pattern, str) and "{" not in pattern else 50
            self._pay(times * wide * (1 + parts[0].total * parts[-1].total // 32))
            return SMALL
        self._pay(times * whole)
        if node.kind == "call" and node.name in CONDITIONS:
            return SMALL
        if node.kind in ("list", "map"):
            return Size(whole, len(parts), _largest(parts))
        if node.name == "_?_:_":
            return _largest(parts[1:])
        return Size(whole, sum(part.items for part in parts), _largest([part.item for part in parts]))

    def _loop(self, node: Node, scope: Mapping[str, Size], times: int) -> Size:
        """What a loop gathers is what one step adds, times the rounds. Its items are as large as the largest of the range."""
        gathered, *names = node.loops
        over, start = (self._size(part, scope, times) for part in node.parts[:2])
        rounds = min(over.items, MOST_ROUNDS)
        within = {**scope, **dict.fromkeys(names, over.item), gathered: SMALL}
        often = min(times * rounds, MOST_ROUNDS)
        self._pay(often * rounds * COPIED if node.parts[1].kind == "list" else often)
        self._size(node.parts[2], within, often)
        step = self._size(node.parts[3], within, often)
        total = start.total + rounds * step.total
        found = Size(total, start.items + rounds * max(step.items, 1), step.item)
        if total > LARGEST:
            raise BadInput(f"it could make something of {total:,} characters; at most {LARGEST:,} are possible")
        return self._size(node.parts[4], {**scope, gathered: found}, times)

    def _fact(self, fact: Any) -> Size:
        """Remembered, since the same facts are named again and again."""
        if id(fact) not in self.sizes:
            self.sizes[id(fact)] = size_of(fact)
        return self.sizes[id(fact)]

    def _pay(self, work: int) -> None:
        self.work += work
        if self.work > MOST_WORK:
            raise BadInput("it could take too long: compare less, or loop over less")


def _begins(node: Node) -> str:
    """The name that a path begins with."""
    while node.parts and (node.kind == "select" or node.name == "_[_]"):
        node = node.parts[0]
    return node.name if node.kind == "name" else ""
