"""Decide and save: what triage says of the alerts of one commit, and what follows for their states and incidents. Called by flow/intake.

Everything is read first (`_view`), then every alert is judged in order against one view, then all is saved (`_judged`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.domain import effects
from bot.domain.alert import TEST_LABEL, Alert, AlertState, Received
from bot.domain.incident import Incident
from bot.domain.passing import Passing, Verdict, View
from bot.domain.ports import Tx
from bot.domain.rules import Rules
from bot.domain.signal import Signal
from bot.domain.silence import Silence, Silences
from bot.domain.storm import storm_key
from bot.domain.triage import over_already, triage, worse
from bot.flow.consequences import Consequences, next_state

TEST_GROUP = f'"{TEST_LABEL}":"true"'  # in the key of a group of tests, which make no storm
SILENCES = "silences"  # the counter that says that they have changed


Foreseen = tuple[Passing, Verdict, Incident | None]
"""An alert, its verdict, and the incident that this names as it would be then."""


@dataclass(slots=True)
class _Known:
    """Silences and maintenance windows, compiled; read anew only when they have changed."""

    version: int = -1
    maintenance_of: tuple[Silence, ...] = ()
    silences: Silences = field(default_factory=Silences)
    maintenance: Silences = field(default_factory=Silences)


class Judging:
    """One per process. What it remembers can be read again at any time."""

    def __init__(self) -> None:
        self._known = _Known()

    async def take(self, tx: Tx, alerts: Sequence[Alert], rules: Rules, now: datetime) -> list[Verdict]:
        """The verdict on each alert that came in, in order. All that follows from them is saved with the transaction."""
        await tx.lock("intake")
        states = await tx.alert_states({alert.key for alert in alerts})
        passings = [Passing(alert, rules.signal, states.get(alert.key)) for alert in alerts]
        view = await self._view(tx, passings, states, rules, now)
        return await _judged(tx, passings, view, rules, now)

    async def look_again(self, tx: Tx, rules: Rules, now: datetime, limit: int) -> int:
        """Judge anew what was held until now, and what flapped and is calm; how many there were."""
        await tx.lock("intake")
        return await self._again(tx, await tx.due_again(now, limit), rules, now)

    async def look_again_at(self, tx: Tx, key: str, rules: Rules, now: datetime) -> int:
        """The same for one alert alone."""
        await tx.lock("intake")
        states = (await tx.alert_states({key})).values()
        return await self._again(tx, [one for one in states if one.again_at and one.again_at <= now], rules, now)

    async def _again(self, tx: Tx, due: Sequence[AlertState], rules: Rules, now: datetime) -> int:
        states = {state.alert.key: state for state in due}
        passings = [Passing(state.alert, rules.signal, state, again=True) for state in due]
        if passings:
            view = await self._view(tx, passings, dict(states), rules, now)
            await _judged(tx, passings, view, rules, now)
        return len(due)

    async def foreseen(self, tx: Tx, alerts: Sequence[Alert], rules: Rules, now: datetime) -> list[Foreseen]:
        """What would become of these alerts if they came in now, as one delivery: as `take`, but nothing is saved."""
        states = await tx.alert_states({alert.key for alert in alerts})
        passings = [Passing(alert, rules.signal, states.get(alert.key)) for alert in alerts]
        view = await self._view(tx, passings, states, rules, now)
        return _foreseen(passings, view, rules, now, await tx.counter("incident"))

    async def _view(
        self, tx: Tx, passings: Sequence[Passing], states: dict[str, AlertState], rules: Rules, now: datetime
    ) -> View:
        """Everything that triage needs to know of these alerts, in a handful of queries; plain repeats need next to nothing."""
        signal = rules.signal
        by_id = await tx.incidents({state.incident_id for state in states.values() if state.incident_id is not None})
        known = await self._quiet(tx, rules, now)
        view = View(signal, states, {}, by_id, known.silences, known.maintenance, directory=rules.directory)
        ended = {one.alert.key for one in passings if not one.alert.firing}  # what fires after that is new
        new = [
            one for one in passings if one.alert.firing and (one.alert.key in ended or not _plainly_repeated(one, view))
        ]
        if not new:
            return view
        groups = {one.group_key for one in new} | {storm_key(one.routes[0]) for one in new if one.routes}
        view.incidents.update(await tx.incidents_of_groups(groups))
        view.by_id.update({incident.id: incident for incident in view.incidents.values()})
        if signal.inhibition.rules or signal.inhibition.dependencies.severities:
            keys = {reason.key for one in new for reason in signal.inhibition.held_under(one.alert)}
            view.inhibitors.update(await tx.inhibitors(keys) if keys else {})
            _stand_together(view, new, now)
        if signal.storm.more_than and any(_opens(one, view, now) for one in new):
            _count_openings(view, new, await tx.opened_since(now - signal.storm.within))
        if any(person.quiet.windows for person in rules.directory.people.values()):
            view.first_paged, view.on_policy = _paged(new, rules, now, 1), _paged(new, rules, now)
        return view

    async def _quiet(self, tx: Tx, rules: Rules, now: datetime) -> _Known:
        version = await tx.counter(SILENCES)
        if version != self._known.version or self._known.maintenance_of is not rules.signal.maintenance:
            made = await tx.silences(now)
            self._known = _Known(
                version,
                rules.signal.maintenance,
                Silences([one for one in made if one.kind == "silence"]),
                Silences([*rules.signal.maintenance, *(one for one in made if one.kind == "maintenance")]),
            )
        return self._known


def _plainly_repeated(passing: Passing, view: View) -> bool:
    known, incident = passing.known, view.incident_at(passing.known)
    if known is None or incident is None:
        return False
    return known.alert.firing and incident.is_open and not worse(passing, incident)


def _opens(passing: Passing, view: View, now: datetime) -> bool:
    """Whether it would open a new incident if nothing held it."""
    incident = view.incidents.get(passing.group_key)
    return incident is None or not (incident.is_open or incident.reopens(now))


def _stand_together(view: View, new: Iterable[Passing], now: datetime) -> None:
    """Sources that come in the same commit as what they explain count, whichever of them comes first."""
    for one in new:
        if one.relabelled.alert is not None and not over_already(one, now):
            for key in view.signal.inhibition.holds(one.alert, one.severity):
                view.inhibitors[key] = {**view.inhibitors.get(key, {}), one.alert.key: view.signal.name_of(one.alert)}


def _count_openings(view: View, new: Iterable[Passing], opened: Sequence[tuple[str, datetime]]) -> None:
    for key in {one.routes[0].key for one in new if one.routes}:
        of_route = (one for one in opened if one[0].startswith(key + '{"') or one[0] == key + "{}")
        view.opened[key] = [at for group, at in of_route if TEST_GROUP not in group]


def _paged(
    new: Iterable[Passing], rules: Rules, now: datetime, levels: int | None = None
) -> Mapping[str, Sequence[str]]:
    """Per policy whom its first so many levels page now (None: all of them)."""
    found: dict[str, Sequence[str]] = {}
    for name in {route.policy for one in new for route in one.routes}:
        policy = rules.escalations.get(name or rules.default_escalation)
        wanted = (target for level in (policy.levels[:levels] if policy else ()) for target in level.targets)
        found[name] = list(dict.fromkeys(one for target in wanted for one in rules.directory.resolve(target, now)))
    return found


async def _judged(tx: Tx, passings: Sequence[Passing], view: View, rules: Rules, now: datetime) -> list[Verdict]:
    """Judge every alert in order against one view; then save states, log and incident changes. Saving comes last."""
    consequences = Consequences(view, rules, now)
    changed: dict[str, AlertState] = {}
    before: dict[str, AlertState | None] = {}
    gone: set[str] = set()  # keys that a source has left
    verdicts: list[Verdict] = []
    log: list[Received] = []
    for passing in passings:
        key = passing.alert.key
        passing.known = view.states.get(key)
        verdict = triage(passing, view, now)
        if verdict.outcome == "opened":
            verdict = replace(verdict, incident_id=await tx.next_id("incident"))
        state, left = _noted(passing, verdict, view, consequences, now)
        if state is not None:
            before.setdefault(key, passing.known)
            gone |= left
            changed[key] = state
        verdicts.append(verdict)
        if not (passing.again and _held_as_before(passing, verdict)):
            log.append(_logged(passing, verdict, now))
    changes = consequences.changes()
    await tx.save_alerts(list(changed.values()), log)
    await _save_standing(tx, rules.signal, before, changed)
    if gone and await tx.look_again(gone, now):
        await tx.ask([effects.recheck(now + timedelta(milliseconds=1))])
    await tx.ask(effects.recheck(at) for at in sorted({one.again_at for one in changed.values() if one.again_at}))
    await tx.save(*changes)
    return verdicts


def _foreseen(passings: Sequence[Passing], view: View, rules: Rules, now: datetime, last: int) -> list[Foreseen]:
    """`last`: the number of the newest incident."""
    consequences = Consequences(view, rules, now)
    found: list[Foreseen] = []
    for passing in passings:
        key = passing.alert.key
        passing.known = view.states.get(key)
        verdict = triage(passing, view, now)
        if verdict.outcome == "opened":
            last += 1
            verdict = replace(verdict, incident_id=last)
        _noted(passing, verdict, view, consequences, now)
        found.append((passing, verdict, view.by_id.get(verdict.incident_id) if verdict.incident_id else None))
    return found


def _noted(
    passing: Passing, verdict: Verdict, view: View, consequences: Consequences, now: datetime
) -> tuple[AlertState | None, set[str]]:
    """What the alerts that come after see of a verdict: the alert's next state, if anything of it is kept, and the keys that it leaves."""
    state = next_state(passing, verdict, view.signal, now)
    consequences.note(passing, verdict)
    if state is None:
        return None, set()
    left = _leave(view, passing.known, state)
    view.states[passing.alert.key] = state
    return state, left


def _leave(view: View, known: AlertState | None, state: AlertState) -> set[str]:
    """What no longer fires holds nothing any more, also for the alerts that come after it in the same commit; the keys that it leaves."""
    left = set(known.inhibits if known else ()) - set(state.inhibits)
    for key in left & view.inhibitors.keys():
        view.inhibitors[key] = {one: name for one, name in view.inhibitors[key].items() if one != state.alert.key}
    return left


async def _save_standing(
    tx: Tx, signal: Signal, before: Mapping[str, AlertState | None], changed: Mapping[str, AlertState]
) -> None:
    """Sources that stand under other keys than before."""
    stood = {key: known.inhibits if known else () for key, known in before.items()}
    standing = {
        key: (signal.name_of(state.alert), state.inhibits)
        for key, state in changed.items()
        if state.inhibits != stood[key]
    }
    if standing:
        await tx.stand_under(standing)


def _held_as_before(passing: Passing, verdict: Verdict) -> bool:
    held = passing.known.held if passing.known else None
    return (
        held is not None
        and verdict.held is not None
        and (held.outcome, held.by) == (verdict.held.outcome, verdict.held.by)
    )


def _logged(passing: Passing, verdict: Verdict, now: datetime) -> Received:
    new = verdict.worse or verdict.outcome not in ("repeated", "resolved", "dropped", "ignored", "flapping")
    return Received(
        now,
        passing.given,
        verdict.outcome,
        verdict.reason,
        verdict.trail,
        verdict.incident_id,
        severity=passing.severity if new else "",
        route=passing.routes[0].path if new and passing.routes else "",
        stage=verdict.stage,
        held_by=verdict.held.by if verdict.held else "",
        again=passing.again,
    )
