"""Who can be paged now: the configuration's directory with what people changed by themselves laid over it, read anew only when that has changed.

Used by whatever pages, inside its own transaction: an override or a new contact method counts for the very next page, on every replica.
"""

from __future__ import annotations

from datetime import datetime

from bot.domain.people import Directory
from bot.domain.ports import Tx
from bot.domain.roster import Roster
from bot.domain.rules import Rules

ROSTER = "roster"  # the counter that says that it has changed


class Rosters:
    """One for the whole program. What is past in a kept roster does no harm: everything in it says when it counts."""

    def __init__(self) -> None:
        self._base = Directory()
        self._version = 0
        self._laid = Directory()
        self._roster = Roster()

    async def directory(self, tx: Tx, rules: Rules, now: datetime) -> Directory:
        """`rules.directory` (as the configuration says it) with the roster over it."""
        version = await tx.counter(ROSTER)
        if version == 0:
            return rules.directory
        if version != self._version:
            self._roster, self._version, self._base = await tx.roster(now), version, Directory()
        if self._base is not rules.directory:
            self._laid, self._base = rules.directory.with_roster(self._roster), rules.directory
        return self._laid
