"""One transaction of the memory store: the port's `Tx` over a draft of the tables. Made by memory, used by the flows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from heapq import nlargest, nsmallest
from itertools import islice

from bot.domain.alert import AlertState, Received
from bot.domain.context import Context
from bot.domain.effects import Effect
from bot.domain.incident import Change, Incident, State
from bot.domain.incoming import ChangeEvent
from bot.domain.policy import Touch
from bot.domain.ports import Delivery, Settled
from bot.domain.run import Run
from bot.domain.silence import Silence
from bot.domain.timeline import Entry
from bot.store import memory_alerts as alerts
from bot.store import memory_outbox as outbox
from bot.store.events import newest_events
from bot.store.failures import Conflict
from bot.store.memory_oncall import MemoryOnCallTx
from bot.store.memory_tables import forget
from bot.store.rows import newest


class MemoryTx(MemoryOnCallTx):
    """One transaction over a draft of the tables."""

    async def once(self, key: str, until: datetime, now: datetime) -> bool:
        seen = self.draft("once")
        if key in seen and now < seen[key]:
            return False
        seen[key] = until
        return True

    async def alert_states(self, keys: Collection[str]) -> dict[str, AlertState]:
        return {key: self._tables.alerts[key] for key in keys if key in self._tables.alerts}

    async def save_alerts(self, states: Collection[AlertState], log: Collection[Received]) -> None:
        self.draft("alerts").update({state.alert.key: state for state in states})
        if log:
            alerts.append(self.draft("log"), self.draft("counters"), log)

    async def alerts_of(self, incident_id: int, limit: int = 20) -> tuple[AlertState, ...]:
        mine = sorted(
            (state for state in self._tables.alerts.values() if state.incident_id == incident_id),
            key=lambda state: state.alert.key,
        )
        mine.sort(key=lambda state: (state.alert.firing, state.last_seen), reverse=True)
        return tuple(mine[:limit])

    async def alert_log(self, alert_key: str, limit: int = 50, leave_out: Collection[str] = ()) -> tuple[Received, ...]:
        newest_first = (line for _, line in reversed(self._tables.log.get(alert_key, ())))
        return tuple(islice((line for line in newest_first if line.outcome not in leave_out), limit))

    async def log_between(
        self, since: datetime, until: datetime, after: int = 0, limit: int = 1000
    ) -> tuple[tuple[int, Received], ...]:
        return alerts.log_between(self._tables.log, since, until, after, limit)

    async def alerts_called(self, text: str, limit: int = 20) -> tuple[AlertState, ...]:
        return alerts.called(self._tables.alerts, text, limit)

    async def firing_alerts(self, after: str = "", limit: int = 1000) -> tuple[AlertState, ...]:
        return alerts.firing_after(self._tables.alerts, after, limit)

    async def due_again(self, now: datetime, limit: int = 500) -> tuple[AlertState, ...]:
        return alerts.due_again(self._tables.alerts, now, limit)

    async def look_again(self, held_by: Collection[str] | None, now: datetime) -> int:
        return alerts.look_again(self.draft("alerts"), held_by, now)

    async def held_alerts(self, limit: int = 1000) -> tuple[AlertState, ...]:
        return alerts.held(self._tables.alerts, limit)

    async def hidden_by(self, keys: Collection[str]) -> dict[str, tuple[int, int]]:
        return alerts.hidden_by(self._tables.alerts, self._tables.log, keys)

    async def inhibitors(self, keys: Collection[str]) -> dict[str, dict[str, str]]:
        return alerts.inhibitors(self._tables.standing, keys)

    async def stand_under(self, standing: Mapping[str, tuple[str, Collection[str]]]) -> None:
        alerts.stand_under(self.draft("standing"), self.draft("stood"), standing)

    async def silence(self, number: int) -> Silence | None:
        return self._tables.silences.get(number)

    async def silences(self, now: datetime, *, over: bool = False, limit: int = 5000) -> tuple[Silence, ...]:
        every = self._tables.silences
        if over:
            return tuple(every[number] for number in nlargest(limit, every))
        return tuple(every[number] for number in sorted(every) if not every[number].over(now))[:limit]

    async def save_silence(self, silence: Silence) -> None:
        self.draft("silences")[silence.number] = silence

    async def save_events(self, events: Collection[ChangeEvent]) -> int:
        kept, count = self.draft("events"), 0
        for event in newest_events(events):
            known = kept.get((event.source, event.key))
            if known is None or (known.at <= event.at and known != event):
                kept[event.source, event.key] = event
                count += 1
        return count

    async def events(self, since: datetime, until: datetime, limit: int = 200) -> tuple[ChangeEvent, ...]:
        in_order = [event for _, event in sorted(self._tables.events.items()) if since <= event.at <= until]
        return tuple(nlargest(limit, in_order, key=lambda event: event.at))

    async def incident(self, incident_id: int) -> Incident | None:
        return self._tables.incidents.get(incident_id)

    async def incidents(self, ids: Collection[int]) -> dict[int, Incident]:
        return {number: self._tables.incidents[number] for number in sorted(ids) if number in self._tables.incidents}

    async def incidents_of_groups(self, group_keys: Collection[str]) -> dict[str, Incident]:
        wanted = set(group_keys)
        newest_last = sorted(self._tables.incidents.values(), key=lambda incident: incident.id)
        return {one.group_key: one for one in newest_last if one.group_key in wanted and one.state is not State.CLOSED}

    async def incident_of_channel(self, channel_id: str) -> Incident | None:
        if not channel_id:
            return None
        mine = [one for one in self._tables.incidents.values() if one.channel_id == channel_id]
        return max(mine, key=lambda incident: incident.id, default=None)

    async def list_incidents(self, *, only_open: bool, limit: int = 50) -> tuple[Incident, ...]:
        newest_first = sorted(self._tables.incidents.values(), key=lambda incident: incident.id, reverse=True)
        return tuple(one for one in newest_first if one.is_open or not only_open)[:limit]

    async def open_incidents(self, after: int = 0, limit: int = 500) -> tuple[Incident, ...]:
        behind = [one for one in self._tables.incidents.values() if one.is_open and one.id > after]
        return tuple(nsmallest(limit, behind, key=lambda one: one.id))

    async def opened_since(self, since: datetime, limit: int = 1000) -> tuple[tuple[str, datetime], ...]:
        opened = [
            (one.opened_at, one.id, one.group_key) for one in self._tables.incidents.values() if one.opened_at >= since
        ]
        return tuple((group_key, at) for at, _, group_key in nlargest(limit, opened))

    async def incidents_between(self, since: datetime, until: datetime, limit: int = 5000) -> tuple[Incident, ...]:
        opened = (one for one in self._tables.incidents.values() if since <= one.opened_at < until)
        return tuple(nsmallest(limit, opened, key=lambda one: (one.opened_at, one.id)))

    async def resolved_before(self, at: datetime, limit: int = 100) -> tuple[Incident, ...]:
        resolved = (one for one in self._tables.incidents.values() if one.state is State.RESOLVED)
        old = [(one.resolved_at, one.id, one) for one in resolved if one.resolved_at and one.resolved_at < at]
        return tuple(one for _, _, one in sorted(old, key=lambda found: found[:2])[:limit])

    async def save(self, *changes: Change) -> None:
        for change in changes:
            self._save_incident(change.incident)
            entries = self._tables.timeline.get(change.incident.id, ())
            taken = {entry.seq for entry in entries}
            for entry in change.entries:
                if entry.seq in taken:
                    raise Conflict(f"the timeline of {change.incident.ref} has an entry {entry.seq} already")
                taken.add(entry.seq)
            if change.entries:
                added = sorted((*entries, *change.entries), key=lambda entry: entry.seq)
                self.draft("timeline")[change.incident.id] = tuple(added)
        await self.ask(effect for change in changes for effect in change.effects)

    def _save_incident(self, incident: Incident) -> None:
        incidents = self.draft("incidents")
        for other in incidents.values():
            if other.id != incident.id and other.group_key == incident.group_key and other.is_open and incident.is_open:
                raise Conflict(f"{other.ref} is open for the group {incident.group_key} already")
        incidents[incident.id] = incident

    async def ask(self, effects: Iterable[Effect]) -> None:
        asked = newest(effects)
        if not asked:
            return
        rows, counters = self.draft("outbox"), self.draft("counters")
        for effect in asked:
            self.woke |= outbox.ask(rows, counters, effect)

    async def timeline(self, incident_id: int) -> tuple[Entry, ...]:
        return self._tables.timeline.get(incident_id, ())

    async def run(self, run_id: int) -> Run | None:
        return self._tables.runs.get(run_id)

    async def runs_of(self, incident_id: int) -> tuple[Run, ...]:
        mine = (run for run in self._tables.runs.values() if run.incident_id == incident_id)
        return tuple(sorted(mine, key=lambda run: run.id))

    async def recent_runs(self, since: datetime | None = None, runbook: str = "", limit: int = 50) -> tuple[Run, ...]:
        newest_first = sorted(self._tables.runs.values(), key=lambda run: run.id, reverse=True)
        fitting = (run for run in newest_first if since is None or run.created_at >= since)
        return tuple(run for run in fitting if not runbook or run.runbook.name == runbook)[:limit]

    async def hold(self, lock: str, run_id: int, now: datetime) -> int:
        return int(self.draft("holds").setdefault(lock, run_id))

    async def release_holds(self, run_id: int) -> None:
        held = self.draft("holds")
        for lock in [lock for lock, holder in held.items() if holder == run_id]:
            del held[lock]

    async def touch(self, touch: Touch) -> None:
        made = self.draft("touches")
        made[max(made, default=0) + 1] = touch

    async def touches(self, since: datetime, limit: int = 1000) -> tuple[Touch, ...]:
        made = self._tables.touches
        return tuple(made[number] for number in sorted(made, reverse=True) if made[number].at >= since)[:limit]

    async def save_run(self, run: Run) -> None:
        self.draft("runs")[run.id] = run

    async def context(self, incident_id: int, epoch: int) -> Context | None:
        return self._tables.contexts.get((incident_id, epoch))

    async def save_context(self, context: Context) -> None:
        self.draft("contexts")[context.incident_id, context.epoch] = context

    async def postmortem(self, incident_id: int) -> str | None:
        return self._tables.postmortems.get(incident_id)

    async def save_postmortem(self, incident_id: int, text: str, at: datetime) -> None:
        self.draft("postmortems")[incident_id] = text

    async def settle(self, delivery: Delivery, settled: Settled, now: datetime) -> bool:
        if not outbox.settle(self.draft("outbox"), self.draft("counters"), delivery, settled, now):
            return False
        self.woke = True
        return True

    async def dead(self, limit: int = 50) -> tuple[tuple[Effect, str], ...]:
        return outbox.dead(self._tables.outbox, limit)

    def prune(self, before: datetime, limit: int) -> int:
        return (
            outbox.forget(self.draft("outbox"), "done", before, limit)
            + forget(
                self.draft("touches"),
                {number: touch.at for number, touch in self._tables.touches.items()},
                before,
                limit,
            )
            + forget(self.draft("once"), self._tables.once, before, limit)
        )

    def prune_log(self, before: datetime, limit: int) -> int:
        ended = {one.number: one.ends_at for one in self._tables.silences.values() if one.ends_at is not None}
        return (
            alerts.forget_log(self.draft("log"), before, limit)
            + forget(self.draft("silences"), ended, before, limit)
            + forget(self.draft("events"), {key: event.at for key, event in self._tables.events.items()}, before, limit)
            + outbox.forget(self.draft("outbox"), "dead", before, limit)
            + self.forget_oncall(before, limit)
        )
