"""One transaction on a database: the port's `Tx`, each method one hop to where the SQL runs. Made by sqlite and postgres, used by the flows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection

from bot.domain.alert import AlertState, Received
from bot.domain.context import Context
from bot.domain.effects import Effect
from bot.domain.incident import Change, Incident
from bot.domain.incoming import ChangeEvent
from bot.domain.page import Page
from bot.domain.policy import Touch
from bot.domain.ports import Delivery, Settled
from bot.domain.roster import Feed, OwnMethod, Preferences, Roster, Swap
from bot.domain.run import Run
from bot.domain.schedule import Override
from bot.domain.silence import Silence
from bot.domain.timeline import Entry
from bot.store import alerts, held, incidents, inhibitors, locks, outbox, roster, runs, silences
from bot.store import events as changes
from bot.store import pages as paged

T = TypeVar("T")
P = ParamSpec("P")


class Hop(Protocol):
    """Runs a plain function over the transaction's connection, in the thread or greenlet where it may wait for the database."""

    async def __call__(
        self, fn: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T: ...


class SqlTx:
    """`woke`: the commit may have given the workers something to do; `asked`: those of other replicas, too.

    `alone`: no other transaction writes at the same time, so that there is nothing to wait for.
    """

    def __init__(self, hop: Hop, *, writable: bool, alone: bool = False) -> None:
        self._hop = hop
        self._writable = writable
        self._alone = alone
        self._over = False
        self._absent: set[str] = set()
        self.woke = False
        self.asked = False

    def over(self) -> None:
        """The work has returned: whatever still holds this transaction must not write into somebody else's."""
        self._over = True

    async def look(self, fn: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        if self._over:
            raise RuntimeError("this transaction is over")
        return await self._hop(fn, *args, **kwargs)

    async def change(self, fn: Callable[Concatenate[Connection, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        if not self._writable:
            raise RuntimeError("nothing can be written in a read")
        return await self.look(fn, *args, **kwargs)

    async def lock(self, name: str) -> None:
        if self._writable and not self._alone:
            await self.look(locks.hold, f"name:{name}")

    async def next_id(self, counter: str) -> int:
        return await self.change(alerts.next_id, counter)

    async def once(self, key: str, until: datetime, now: datetime) -> bool:
        return await self.change(alerts.once, key, until, now)

    async def alert_states(self, keys: Collection[str]) -> dict[str, AlertState]:
        found = await self.look(alerts.alert_states, keys, self._writable)
        self._absent.update(key for key in keys if key not in found)
        return found

    async def save_alerts(self, states: Collection[AlertState], log: Collection[Received]) -> None:
        await self.change(alerts.save_alerts, states, log, frozenset(self._absent))
        self._absent.difference_update(state.alert.key for state in states)

    async def alerts_of(self, incident_id: int, limit: int = 20) -> tuple[AlertState, ...]:
        return await self.look(alerts.alerts_of, incident_id, limit)

    async def alert_log(self, alert_key: str, limit: int = 50, leave_out: Collection[str] = ()) -> tuple[Received, ...]:
        return await self.look(alerts.log_of, alert_key, limit, leave_out)

    async def log_between(
        self, since: datetime, until: datetime, after: int = 0, limit: int = 1000
    ) -> tuple[tuple[int, Received], ...]:
        return await self.look(alerts.log_between, since, until, after, limit)

    async def alerts_called(self, text: str, limit: int = 20) -> tuple[AlertState, ...]:
        return await self.look(alerts.alerts_called, text, limit)

    async def firing_alerts(self, after: str = "", limit: int = 1000) -> tuple[AlertState, ...]:
        return await self.look(alerts.firing_alerts, after, limit)

    async def due_again(self, now: datetime, limit: int = 500) -> tuple[AlertState, ...]:
        return await self.look(held.due_again, now, limit)

    async def look_again(self, held_by: Collection[str] | None, now: datetime) -> int:
        return await self.change(held.look_again, held_by, now)

    async def held_alerts(self, limit: int = 1000) -> tuple[AlertState, ...]:
        return await self.look(held.held_alerts, limit)

    async def hidden_by(self, keys: Collection[str]) -> dict[str, tuple[int, int]]:
        return await self.look(held.hidden_by, keys)

    async def inhibitors(self, keys: Collection[str]) -> dict[str, dict[str, str]]:
        return await self.look(inhibitors.inhibitors, keys)

    async def stand_under(self, standing: Mapping[str, tuple[str, Collection[str]]]) -> None:
        await self.change(inhibitors.stand_under, standing)

    async def counter(self, name: str) -> int:
        return await self.look(alerts.counter, name)

    async def silence(self, number: int) -> Silence | None:
        return await self.look(silences.silence, number)

    async def silences(self, now: datetime, *, over: bool = False, limit: int = 5000) -> tuple[Silence, ...]:
        return await self.look(silences.silences_at, now, over, limit)

    async def save_silence(self, silence: Silence) -> None:
        await self.change(silences.save_silence, silence)

    async def save_events(self, events: Collection[ChangeEvent]) -> int:
        return await self.change(changes.save_events, events)

    async def events(self, since: datetime, until: datetime, limit: int = 200) -> tuple[ChangeEvent, ...]:
        return await self.look(changes.events_between, since, until, limit)

    async def incident(self, incident_id: int) -> Incident | None:
        return (await self.incidents([incident_id])).get(incident_id)

    async def incidents(self, ids: Collection[int]) -> dict[int, Incident]:
        return await self.look(incidents.incidents_by_id, ids, self._writable) if ids else {}

    async def incidents_of_groups(self, group_keys: Collection[str]) -> dict[str, Incident]:
        return await self.look(incidents.incidents_of_groups, group_keys, self._writable)

    async def incident_of_channel(self, channel_id: str) -> Incident | None:
        return await self.look(incidents.incident_of_channel, channel_id)

    async def list_incidents(self, *, only_open: bool, limit: int = 50) -> tuple[Incident, ...]:
        return await self.look(incidents.list_incidents, only_open, limit)

    async def open_incidents(self, after: int = 0, limit: int = 500) -> tuple[Incident, ...]:
        return await self.look(incidents.open_incidents, after, limit)

    async def opened_since(self, since: datetime, limit: int = 1000) -> tuple[tuple[str, datetime], ...]:
        return await self.look(incidents.opened_since, since, limit)

    async def incidents_between(self, since: datetime, until: datetime, limit: int = 5000) -> tuple[Incident, ...]:
        return await self.look(incidents.incidents_between, since, until, limit)

    async def resolved_before(self, at: datetime, limit: int = 100) -> tuple[Incident, ...]:
        return await self.look(incidents.resolved_before, at, limit)

    async def save(self, *changes: Change) -> None:
        if changes:
            asked = tuple(effect for change in changes for effect in change.effects)
            self._woken(await self.change(_save, changes, asked))

    async def ask(self, effects: Iterable[Effect]) -> None:
        if asked := tuple(effects):
            self._woken(await self.change(outbox.ask, asked))

    def _woken(self, asked: bool) -> None:
        self.woke |= asked
        self.asked |= asked

    async def timeline(self, incident_id: int) -> tuple[Entry, ...]:
        return await self.look(incidents.timeline_of, incident_id)

    async def run(self, run_id: int) -> Run | None:
        return await self.look(runs.run, run_id, self._writable)

    async def runs_of(self, incident_id: int) -> tuple[Run, ...]:
        return await self.look(runs.runs_of, incident_id)

    async def recent_runs(self, since: datetime | None = None, runbook: str = "", limit: int = 50) -> tuple[Run, ...]:
        return await self.look(runs.recent_runs, since, runbook, limit)

    async def hold(self, lock: str, run_id: int, now: datetime) -> int:
        return await self.change(runs.hold, lock, run_id, now)

    async def release_holds(self, run_id: int) -> None:
        await self.change(runs.release_holds, run_id)

    async def touch(self, touch: Touch) -> None:
        await self.change(runs.touch, touch)

    async def touches(self, since: datetime, limit: int = 1000) -> tuple[Touch, ...]:
        return await self.look(runs.touches_since, since, limit)

    async def save_run(self, run: Run) -> None:
        await self.change(runs.save_run, run)

    async def context(self, incident_id: int, epoch: int) -> Context | None:
        return await self.look(incidents.context, incident_id, epoch)

    async def save_context(self, context: Context) -> None:
        await self.change(incidents.save_context, context)

    async def postmortem(self, incident_id: int) -> str | None:
        return await self.look(incidents.postmortem, incident_id)

    async def save_postmortem(self, incident_id: int, text: str, at: datetime) -> None:
        await self.change(incidents.save_postmortem, incident_id, text, at)

    async def pages(self, keys: Collection[str]) -> dict[str, Page]:
        return await self.look(paged.pages_by_key, keys, self._writable)

    async def save_pages(self, pages: Collection[Page]) -> None:
        await self.change(paged.save_pages, pages)

    async def pages_of(self, incident_id: int, limit: int = 500) -> tuple[Page, ...]:
        return await self.look(paged.pages_of, incident_id, limit)

    async def pages_to(
        self, medium: str, address: str, since: datetime, limit: int = 100, *, going: bool = False
    ) -> tuple[Page, ...]:
        return await self.look(paged.pages_to, medium, address, since, limit, going=going)

    async def pages_by(self, medium: str, since: datetime) -> int:
        return await self.look(paged.pages_by, medium, since)

    async def page_named(self, medium: str, provider_id: str) -> Page | None:
        return await self.look(paged.page_named, medium, provider_id)

    async def pages_between(self, since: datetime, until: datetime, limit: int = 10_000) -> tuple[Page, ...]:
        return await self.look(paged.pages_between, since, until, limit)

    async def undelivered(self, keys: Collection[str]) -> set[str]:
        return await self.look(paged.undelivered, keys)

    async def roster(self, now: datetime) -> Roster:
        return await self.look(roster.roster, now)

    async def override(self, number: int) -> Override | None:
        return await self.look(roster.override, number, self._writable)

    async def overrides(self, since: datetime, until: datetime, schedule: str = "") -> tuple[Override, ...]:
        return await self.look(roster.overrides_between, since, until, schedule)

    async def save_override(self, override: Override) -> None:
        await self.change(roster.save_override, override)

    async def swap(self, number: int) -> Swap | None:
        return await self.look(roster.swap, number, self._writable)

    async def swaps(self, now: datetime) -> tuple[Swap, ...]:
        return await self.look(roster.swaps_asked, now)

    async def save_swap(self, swap: Swap) -> None:
        await self.change(roster.save_swap, swap)

    async def methods_of(self, person: str) -> tuple[OwnMethod, ...]:
        return await self.look(roster.methods_of, person, self._writable)

    async def save_method(self, method: OwnMethod) -> None:
        await self.change(roster.save_method, method)

    async def save_preferences(self, preferences: Preferences) -> None:
        await self.change(roster.save_preferences, preferences)

    async def save_feed(self, feed: Feed) -> None:
        await self.change(roster.save_feed, feed)

    async def settle(self, delivery: Delivery, settled: Settled, now: datetime) -> bool:
        ours = await self.change(outbox.settle, delivery, settled, now)
        self.woke |= ours
        return ours

    async def dead(self, limit: int = 50) -> tuple[tuple[Effect, str], ...]:
        return await self.look(outbox.dead, limit)


def _save(conn: Connection, changes: Sequence[Change], asked: Collection[Effect]) -> bool:
    incidents.save_changes(conn, changes)
    return outbox.ask(conn, asked)
