"""Why an alert did or did not page: for one that came in, from the log; for one that might, as triage would judge it now. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.alert import Alert, AlertState, Received
from bot.domain.incident import Incident
from bot.domain.ports import Clock, Store, Tx
from bot.domain.rules import CurrentRules
from bot.domain.why import Account, HeldNow, Told, Why, explained, remembered
from bot.errors import BadInput
from bot.flow.holding import goes_private, holders
from bot.flow.incidents import known
from bot.flow.judging import Judging

MOST_ALERTS = 5
MOST_LINES = 300
MOST_HELD = 200
PAGING = (
    "paged", "passed_over", "page_sent", "page_bundled", "page_skipped", "exhausted", "acknowledged", "still_at_it", "escalated", "asked_for",
    "flapping", "warning",
)  # fmt: skip


class Explain:
    """Every function only reads."""

    def __init__(self, store: Store, clock: Clock, rules: CurrentRules) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules

    async def hypothetical(self, alerts: Sequence[Alert]) -> list[Why]:
        """What would become of these alerts if they came in now, as one delivery."""
        rules, now = self._rules(), self._clock()
        found = await self._store.read(lambda tx: Judging().foreseen(tx, alerts, rules, now))
        return [explained(passing, verdict, rules, now, incident) for passing, verdict, incident in found]

    async def incident(self, incident_id: int) -> Account:
        """From its alerts' log lines and its timeline."""

        async def work(tx: Tx) -> Account:
            incident = await known(tx, incident_id)
            states = await tx.alerts_of(incident_id, MOST_ALERTS)
            told = [await self._told(tx, state, incident) for state in states]
            timeline = await tx.timeline(incident_id)
            return Account(incident, tuple(told), tuple(entry for entry in timeline if entry.kind in PAGING))

        return await self._store.read(work)

    async def alert(self, text: str) -> list[Told]:
        """The alerts of this key or fingerprint (or the beginning of one)."""

        async def work(tx: Tx) -> list[Told]:
            found = []
            for state in await tx.alerts_called(text.strip(), MOST_ALERTS):
                incident = await tx.incident(state.incident_id) if state.incident_id else None
                found.append(await self._told(tx, state, incident))
            return found

        found = await self._store.read(work)
        if not found:
            raise BadInput(
                f"No alert is called {text[:80]!r}: wanted INC-7, or an alert's fingerprint (its first letters are enough), as it stands "
                f"in the answer to its webhook. `/incident why held` and `tocsin alert why` list what is held now."
            )
        return found

    async def held(self) -> tuple[HeldNow, ...]:
        """What fires now and is held, and by what; the most recent first."""
        rules, now = self._rules(), self._clock()

        async def work(tx: Tx) -> tuple[HeldNow, ...]:
            states = await tx.held_alerts(MOST_HELD)
            by = await holders(tx, [one.held for one in states if one.held], rules, now)
            return tuple(
                HeldNow(one, by[one.held.outcome, one.held.by], goes_private(one.alert, rules))
                for one in states
                if one.held
            )

        return await self._store.read(work)

    async def _told(self, tx: Tx, state: AlertState, incident: Incident | None) -> Told:
        lines = await tx.alert_log(state.alert.key, MOST_LINES, ("repeated",))
        private = incident.private if incident else goes_private(state.alert, self._rules())
        return Told(state, tuple(remembered(line) for line in _turns(lines)), incident, private)


def _turns(lines: Sequence[Received]) -> list[Received]:
    """The lines at which something changed (newest first): more of the same tells nothing."""
    turns: list[Received] = []
    for line in reversed(lines):
        before = turns[-1] if turns else None
        if before is None or _what(line) != _what(before):
            turns.append(line)
    return turns[::-1]


def _what(line: Received) -> tuple[object, ...]:
    """Two resolves in a row, or the same silence again, are the same; another incident is not."""
    return line.outcome, line.held_by, line.incident_id, line.alert.starts_at if not line.held_by else None
