"""What holds alerts, as people call it, and which alerts belong to private incidents. Asked by why and by the digest."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from bot.domain.alert import Alert, Held
from bot.domain.digest import words_for
from bot.domain.ports import Tx
from bot.domain.rules import Rules
from bot.domain.silence import Silence

WAITS = "its group waits, so that what explains it can come in"


async def holders(tx: Tx, held: Iterable[Held], rules: Rules, now: datetime) -> dict[tuple[str, str], str]:
    """Per (outcome, by) the words: who made the silence, until when, and why."""
    by: dict[tuple[str, str], str] = {}
    for one in dict.fromkeys((one.outcome, one.by) for one in held):
        silence = await _silence(tx, one[1], rules) if one[0] in ("silenced", "maintenance") else None
        by[one] = silence.why(now) if silence else WAITS if one[0] == "waiting" else words_for(*one)
    return by


async def _silence(tx: Tx, key: str, rules: Rules) -> Silence | None:
    number = key.partition(":")[2]
    if number.isascii() and number.isdigit():
        return await tx.silence(int(number))
    return next((one for one in rules.signal.maintenance if one.key == key), None)


def goes_private(alert: Alert, rules: Rules) -> bool:
    """Whether its incident would be private: then only its being there is told outside."""
    routes = rules.signal.routing.find(alert.labels)
    return bool(routes) and routes[0].private
