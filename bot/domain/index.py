"""Which of many rules match an alert's labels, found for all of them at once. Used by routes, silences, maintenance windows and inhibition.

Every rule is one bit of a number. Per label name, what a value rules out is one number; what is left after all names are the rules that match. So a
thousand silences cost about as much as ten.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from bot.domain.matching import Matcher

MOST_REMEMBERED = 20_000  # values per label name, whose answers are kept; then it begins anew
FEW = 8  # rules that are left: cheaper to ask than to remember for all


class Index:
    """Rules by number, each a list of matchers that must all hold; a rule without any matches everything."""

    __slots__ = ("_all", "_columns", "_rules")

    def __init__(self, rules: Sequence[Sequence[Matcher]]) -> None:
        self._rules = [tuple(matchers) for matchers in rules]
        self._all = (1 << len(rules)) - 1
        by_name: dict[str, dict[int, list[Matcher]]] = defaultdict(lambda: defaultdict(list))
        for number, matchers in enumerate(self._rules):
            for one in matchers:
                by_name[one.name][number].append(one)
        columns = [_Column(name, conditions, self._all) for name, conditions in by_name.items()]
        self._columns = sorted(columns, key=lambda column: column.asks)  # the cheap ones first

    def __len__(self) -> int:
        return len(self._rules)

    def mask(self, labels: Mapping[str, str]) -> int:
        """The matching rules as bits: rule 0 is the lowest one. A missing label equals the empty text."""
        left = self._all
        for column in self._columns:
            value = labels.get(column.name, "")
            left &= column.equal.get(value, column.unequal)
            if left and column.asks:
                left = column.left(value, left)
            if not left:
                return 0
        return left

    def matching(self, labels: Mapping[str, str]) -> Iterator[int]:
        """The numbers of the matching rules, in order."""
        return bits(self.mask(labels))


def bits(mask: int) -> Iterator[int]:
    """The numbers of the bits that are set, the lowest first."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


class _Column:
    """All conditions on one label name: equalities in a table, the others asked one by one and remembered per value."""

    __slots__ = ("_others", "_remembered", "asks", "equal", "name", "unequal")

    def __init__(self, name: str, conditions: Mapping[int, Sequence[Matcher]], every: int) -> None:
        self.name = name
        self.equal: dict[str, int] = defaultdict(int)  # per value the rules that want just it, and those of `unequal`
        self.unequal = every  # the rules that ask nothing of this name, or not by one equality
        others: dict[tuple[Matcher, ...], int] = defaultdict(int)
        for number, matchers in conditions.items():
            bit = 1 << number
            if len(matchers) == 1 and matchers[0].op == "=":
                self.equal[matchers[0].value] |= bit
                self.unequal &= ~bit
            else:
                others[tuple(matchers)] |= bit
        for value in self.equal:
            self.equal[value] |= self.unequal
        self._others = list(others.items())
        self._remembered: dict[str, int] = {}
        self.asks = len(self._others)

    def left(self, value: str, left: int) -> int:
        """Of the rules that are `left`, those that this value does not rule out by what is not a plain equality."""
        known = self._remembered.get(value)
        if known is not None:
            return left & ~known
        if left.bit_count() <= FEW < len(self._others):
            return left & ~self._ruled_out(value, left)
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        known = self._remembered[value] = self._ruled_out(value, -1)
        return left & ~known

    def _ruled_out(self, value: str, among: int) -> int:
        out = 0
        for matchers, rules in self._others:
            if rules & among and not all(one.fits(value) for one in matchers):
                out |= rules
        return out
