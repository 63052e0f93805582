"""What flow needs from outside, as Protocols: the store, the room in Slack, actions, gatherers, templates. `app` connects them; tests fake them.

Rules for every implementation: raise `TryLater` for what may work later (`uncertain=True` when the act may have happened), `GaveUp` or `BadInput`
for what never will; never swallow, never retry (only the worker does), always bound the time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypeVar

from pydantic import BaseModel

from bot.domain.alert import AlertState, Received
from bot.domain.context import Context, Finding
from bot.domain.digest import Digest
from bot.domain.effects import Effect, Priority
from bot.domain.incident import Change, Incident
from bot.domain.incoming import ChangeEvent, Incoming, Parsed
from bot.domain.notice import Notice
from bot.domain.oncall_ports import OnCallTx
from bot.domain.people import Person
from bot.domain.plan import Plan, Question, Target, Undo
from bot.domain.policy import Touch
from bot.domain.run import Run
from bot.domain.silence import Silence
from bot.domain.step import StepRun
from bot.domain.timeline import Entry

T = TypeVar("T")
Clock = Callable[[], datetime]


# ------------------------------------------------------------------------------------------------ the store


@dataclass(frozen=True, slots=True)
class Delivery:
    """An outbox row that this worker holds the lease of.

    `attempts` counts from 1; `again` says that an earlier attempt may have taken effect (crash, lost lease, uncertain failure): look before acting.
    """

    id: int
    effect: Effect
    attempts: int
    again: bool
    asked_at: datetime
    generation: int
    owner: str


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a delivery: `done`; `later` (due again at `due`, with `error`); `dead` (never again; `error` says why).

    `unsure` (with `later`): the attempt may have taken effect.
    """

    outcome: Literal["done", "later", "dead"]
    due: datetime | None = None
    error: str = ""
    unsure: bool = False


@dataclass(frozen=True, slots=True)
class Backlog:
    """Undelivered outbox rows of one kind: due ones, all pending ones, dead ones, and when the oldest due one came due."""

    kind: str
    due: int
    pending: int
    dead: int
    oldest_due: datetime | None


class Tx(OnCallTx, Protocol):
    """One transaction. Everything written through it is committed together, or nothing is."""

    async def lock(self, name: str) -> None:
        """Wait for whoever else holds this name, on any replica; held until the commit."""

    async def next_id(self, counter: str) -> int:
        """1, 2, 3, … per counter (`incident`, `run`); no number is given twice."""

    async def once(self, key: str, until: datetime, now: datetime) -> bool:
        """True the first time this key is seen, False until `until` has passed (replayed signatures, repeated clicks)."""

    # alerts
    async def alert_states(self, keys: Collection[str]) -> dict[str, AlertState]: ...
    async def save_alerts(self, states: Collection[AlertState], log: Collection[Received]) -> None:
        """Insert or replace the states by alert key, and append to the log."""

    async def alerts_of(self, incident_id: int, limit: int = 20) -> tuple[AlertState, ...]:
        """The alerts of an incident, firing ones first, then the most recent."""

    async def alert_log(self, alert_key: str, limit: int = 50, leave_out: Collection[str] = ()) -> tuple[Received, ...]:
        """The newest log lines of one alert, newest first, but for those with these outcomes."""

    async def log_between(
        self, since: datetime, until: datetime, after: int = 0, limit: int = 1000
    ) -> tuple[tuple[int, Received], ...]:
        """The log lines of a time (`until` not included), oldest first, each with its number; a page begins after the number of the last one."""

    async def alerts_called(self, text: str, limit: int = 20) -> tuple[AlertState, ...]:
        """Alerts whose key or fingerprint is this text, or whose fingerprint begins with it; the most recent first. None for the empty text."""

    async def due_again(self, now: datetime, limit: int = 500) -> tuple[AlertState, ...]:
        """Alerts that are to be looked at again by now (`again_at`), the earliest first."""

    async def look_again(self, held_by: Collection[str] | None, now: datetime) -> int:
        """What is held by one of these (None: by anything) is to be looked at again now; how many alerts."""

    async def held_alerts(self, limit: int = 1000) -> tuple[AlertState, ...]:
        """Alerts that fire and are held, the most recent first."""

    async def hidden_by(self, keys: Collection[str]) -> dict[str, tuple[int, int]]:
        """Per key of what holds alerts: how many alerts it holds now, and how many different ones it ever held (as far as the log goes back)."""

    async def inhibitors(self, keys: Collection[str]) -> dict[str, dict[str, str]]:
        """Per key the firing alerts that stand under it: alert key -> name. At most three a key; a key without any is left out."""

    async def stand_under(self, standing: Mapping[str, tuple[str, Collection[str]]]) -> None:
        """Per alert key its name and all the keys that it stands under from now on, instead of those before (none: it holds nothing any more)."""

    async def firing_alerts(self, after: str = "", limit: int = 1000) -> tuple[AlertState, ...]:
        """A page of all alerts that fire, by alert key, beginning behind `after`."""

    # silences
    async def counter(self, name: str) -> int:
        """How far `next_id` has counted; 0 before the first. A counter is also how replicas see that something has changed."""

    async def silence(self, number: int) -> Silence | None: ...
    async def silences(self, now: datetime, *, over: bool = False, limit: int = 5000) -> tuple[Silence, ...]:
        """Those that are not over (also those in the future), by number; with `over` the newest of all, newest first."""

    async def save_silence(self, silence: Silence) -> None:
        """Insert or replace by number."""

    # what was changed in the world
    async def save_events(self, events: Collection[ChangeEvent]) -> int:
        """Insert, or replace what has the same source and key unless that is newer; how many were new or changed."""

    async def events(self, since: datetime, until: datetime, limit: int = 200) -> tuple[ChangeEvent, ...]:
        """Those of a time (`until` included), the newest first."""

    # incidents and their timelines
    async def incident(self, incident_id: int) -> Incident | None:
        """One incident, locked until the commit."""

    async def incidents(self, ids: Collection[int]) -> dict[int, Incident]:
        """Several incidents by id, locked until the commit."""

    async def incidents_of_groups(self, group_keys: Collection[str]) -> dict[str, Incident]:
        """Per group key its newest incident that is not closed (open, or resolved and perhaps to be reopened), locked."""

    async def incident_of_channel(self, channel_id: str) -> Incident | None: ...
    async def list_incidents(self, *, only_open: bool, limit: int = 50) -> tuple[Incident, ...]:
        """The newest first."""

    async def open_incidents(self, after: int = 0, limit: int = 500) -> tuple[Incident, ...]:
        """A page of all that are open, by number, beginning behind `after`; not locked."""

    async def opened_since(self, since: datetime, limit: int = 1000) -> tuple[tuple[str, datetime], ...]:
        """Group key and time of the incidents that were opened since, newest first."""

    async def incidents_between(self, since: datetime, until: datetime, limit: int = 5000) -> tuple[Incident, ...]:
        """Those that were opened in this time (`until` not included), oldest first."""

    async def resolved_before(self, at: datetime, limit: int = 100) -> tuple[Incident, ...]:
        """Incidents that are resolved since before `at` and not yet closed."""

    async def save(self, *changes: Change) -> None:
        """Incident state, timeline entries and outbox rows. Entries come numbered and hashed; a number that exists already is a conflict."""

    async def ask(self, effects: Iterable[Effect]) -> None:
        """Outbox rows alone."""

    async def timeline(self, incident_id: int) -> tuple[Entry, ...]: ...

    # runs
    async def run(self, run_id: int) -> Run | None:
        """One run, locked until the commit."""

    async def runs_of(self, incident_id: int) -> tuple[Run, ...]: ...
    async def recent_runs(self, since: datetime | None = None, runbook: str = "", limit: int = 50) -> tuple[Run, ...]:
        """The newest runs first: of one runbook or of all, begun at `since` or later."""

    async def save_run(self, run: Run) -> None:
        """Insert or replace; steps and approvals are kept in their own tables as well."""

    async def hold(self, lock: str, run_id: int, now: datetime) -> int:
        """Take a target for this run until it is released. The run that has it: this one, or the other one that is to be waited for."""

    async def release_holds(self, run_id: int) -> None: ...
    async def touch(self, touch: Touch) -> None:
        """Note that a run begins to change a target."""

    async def touches(self, since: datetime, limit: int = 1000) -> tuple[Touch, ...]:
        """The newest first."""

    # context and post-mortems
    async def context(self, incident_id: int, epoch: int) -> Context | None: ...
    async def save_context(self, context: Context) -> None: ...
    async def postmortem(self, incident_id: int) -> str | None: ...
    async def save_postmortem(self, incident_id: int, text: str, at: datetime) -> None: ...

    # outbox
    async def settle(self, delivery: Delivery, settled: Settled, now: datetime) -> bool:
        """Record what became of a delivery. False (and nothing written) when its lease is no longer ours: then roll back what came with it.

        A `latest_wins` row that was asked for again meanwhile becomes pending at once instead of done.
        """

    async def dead(self, limit: int = 50) -> tuple[tuple[Effect, str], ...]:
        """Dead rows with their last error, newest first."""


Decide = Callable[[Tx, Sequence[Delivery]], Awaitable[None]]
CLOCK_SHIFTS = "clock shifts"  # the counter of jumps of the clock that have moved the timers


class LostLease(Exception):
    """Raised inside a transaction to roll it back: another worker has taken the delivery over."""


class Store(Protocol):
    async def write(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `work` in a transaction and commit. `work` may be run again from the start (conflict, deadlock, or a neighbour that failed in
        the same group commit): it must not do anything outside its Tx."""

    async def read(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """Run `work` over a consistent view; nothing is written and nothing is locked."""

    async def claim(
        self,
        owner: str,
        now: datetime,
        lease_until: datetime,
        limit: int,
        priorities: Sequence[Priority] = tuple(Priority),
    ) -> list[Delivery]:
        """Lease due rows of these priorities, the most urgent first, at most one per lane: the first of its lane by (priority, age). A lane whose
        head is leased, due or being retried gives nothing else. A timer that is claimed has the priority of a page from then on."""

    async def settle_timers(self, clock: Clock, limit: int, decide: Decide) -> int:
        """Have due timers (`Priority.TIMER`, the earliest first) decided and settled in one transaction; how many. Without a lease: when it fails or
        its process dies, all of them are still due. On PostgreSQL one replica at a time; 0 when another one is at it."""

    async def renew(self, deliveries: Sequence[Delivery], lease_until: datetime) -> set[int]:
        """Extend the leases that are still ours; the ids of those."""

    async def release(self, owner: str, now: datetime) -> int:
        """Give back all leases of this owner at once (graceful stop)."""

    async def next_due(self, now: datetime, priorities: Sequence[Priority] = tuple(Priority)) -> datetime | None:
        """When the earliest pending row of these priorities comes due that is not leased."""

    # the clock
    async def clock(self) -> datetime | None:
        """The database's clock, which decides when there are several replicas; None when it has none of its own."""

    def follow(self, shifts: int | None) -> None:
        """From now on nothing is claimed or decided unless so many jumps of the clock have moved the timers (None: whatever has): a clock that has
        not followed a jump takes for due what is not."""

    async def shift(self, by: timedelta, keep: Collection[str], before: int, notes: Mapping[str, int]) -> int:
        """The clock has jumped: move what is undelivered, and its leases, but for fresh rows of the kinds in `keep`, and set the counters in
        `notes`; only when jumps have moved the timers `before` times. How often they have by now (`tx.counter(CLOCK_SHIFTS)`)."""

    async def note(self, notes: Mapping[str, int]) -> None:
        """Set counters."""

    async def backlog(self, now: datetime) -> tuple[Backlog, ...]: ...
    async def prune(self, before: datetime, limit: int = 1000) -> int:
        """Delete delivered rows, expired once-keys and the like that are older than `before`, at most `limit` of each; how many there were."""

    async def prune_log(self, before: datetime, limit: int = 1000) -> int:
        """Delete what is only a record any more: lines of the alert log, silences that ended, events and dead rows that are older than `before`,
        the oldest first, at most `limit` of each; how many there were."""

    async def wait_for_work(self, seconds: float) -> None:
        """Return when effects may have come due through a commit here or on another replica, or after that many seconds."""

    async def check(self) -> None:
        """Raise TryLater when the database does not answer (readiness)."""

    async def close(self) -> None: ...


# ------------------------------------------------------------------------------------------------ what people see


class Room(Protocol):
    """What the bot does in Slack. Every act carries a key: with `again` it looks whether that act has happened before it acts.

    An incident whose `channel_id` is empty has no channel (yet): say, card and the like then go to the fallback channel.
    """

    async def open_channel(self, incident: Incident, again: bool) -> tuple[str, str]:
        """(channel id, name); finds its own channel again by name and purpose; a name that somebody else took gets a suffix."""

    async def invite(self, incident: Incident, people: Sequence[str]) -> list[str]:
        """Invite by person key or `slack:U…`; returns the reasons for those who could not be invited."""

    async def topic(self, incident: Incident) -> None: ...
    async def card(self, incident: Incident, alerts: Sequence[AlertState], runs: Sequence[Run], again: bool) -> str:
        """Post and pin the card, or update it (`incident.card_ts`); the message's ts."""

    async def say(self, incident: Incident, text: str, key: str, again: bool) -> str: ...
    async def page(self, incident: Incident, target: str, level: int, key: str, again: bool, address: str = "") -> str:
        """Page `person:ada` by direct message (to `address`, a Slack user id; empty: the one of oncall.yaml) or `channel:ops` by a message there; the
        message's ts."""

    async def notice(self, notice: Notice, target: str, address: str, again: bool) -> str:
        """Something that is no page, to `person:ada` (or to the Slack user id `address`) or to `channel:ops`; with a button to acknowledge or to say
        that one is still at it where that fits; the message's ts."""

    async def alarm(self, text: str, key: str, again: bool) -> str:
        """A message in the fallback channel."""

    async def digest(self, channel: str, digest: Digest, key: str, again: bool) -> str:
        """What was held, in a channel by name (empty: the fallback channel); the message's ts."""

    async def show_context(self, incident: Incident, context: Context, again: bool) -> str:
        """Post or update (`context.message_ts`) what was found; pictures are uploaded beside it once."""

    async def show_run(self, incident: Incident, run: Run, again: bool) -> str:
        """Post or update (`run.message_ts`) the one message of a run: plan as a diff, buttons while it waits, state of every step."""

    async def share_output(self, incident: Incident, run: Run, step: StepRun, text: str, key: str, again: bool) -> None:
        """Upload what a step has put out as a file, in the thread of the run's message."""

    async def post(self, incident: Incident, channel: str, text: str, key: str, again: bool) -> str:
        """What a runbook tells a channel by name (empty: the incident's own); the message's ts."""

    async def summon(self, incident: Incident, target: str, why: str, key: str, again: bool) -> str:
        """Page `person:ada` or `channel:ops` by name, beside the escalation policy; the message's ts."""

    async def share_postmortem(self, incident: Incident, text: str, key: str, again: bool) -> None:
        """Upload the Markdown file to the channel."""


# ------------------------------------------------------------------------------------------------ plugins


class Parse(Protocol):
    """A webhook format: `parse` of a module in plugins/sources. Pure; raises BadInput only, with the path to the bad field."""

    def __call__(self, incoming: Incoming, source: str, params: Any, now: datetime) -> Parsed: ...


class Action(Protocol):
    """Something a runbook step can do: look -> plan -> do -> look again. `Params` is its validated model; the file is its documentation.

    `way` is "acts". `writes`: it may change something. `observable`: after `do`, look and plan must come out empty. `risk`: "none" (only looks),
    "low" (undone easily, or harmless), "high" (people should think twice; lint asks for an undo or a word why there is none).
    `repeatable`: `do` may be called again with the same key and plan when it is unknown whether it took effect.
    """

    way: Literal["acts"]
    Params: type[BaseModel]
    writes: bool
    observable: bool
    risk: Literal["none", "low", "high"]

    def repeatable(self, params: Any) -> bool: ...
    def target(self, params: Any) -> Target: ...
    async def look(self, params: Any) -> dict[str, Any]:
        """The live state as JSON values; no secrets."""

    def plan(self, state: Mapping[str, Any], params: Any) -> Plan:
        """Pure. What must change; an empty plan means that all is as desired."""

    async def do(self, plan: Plan, params: Any, key: str) -> dict[str, Any]:
        """Make the planned changes, only if the world is still as planned upon; the result as JSON values, redacted.

        `output` in it is text for people (at most 64,000 characters); long ones are shown as a file.
        """

    def verify(self, state: Mapping[str, Any], params: Any) -> str | None:
        """Pure. None when what the step wants holds in this state; else what is still missing, in words (`Unclear` when it cannot be told)."""

    def undo(self, plan: Plan, result: Mapping[str, Any], params: Any) -> Undo | None:
        """Pure. The use of an action that takes a done plan back; None when nothing can. `result` is empty after an interruption."""

    def facts(self, given: Mapping[str, Any], params: Any) -> dict[str, Any]:
        """Pure, for the tests of runbooks: the state that `look` would give, from the few values that a test gives. BadInput names a wrong one."""

    def after(self, state: Mapping[str, Any], plan: Plan, params: Any) -> dict[str, Any]:
        """Pure, for the tests of runbooks: the state that `look` would give once the plan is done and has settled."""


class Asking(Protocol):
    """A step that only people can do: they answer, and the answer is kept. `way` is "asks"."""

    way: Literal["asks"]
    Params: type[BaseModel]

    def question(self, params: Any) -> Question: ...


class Waiting(Protocol):
    """A step that lets time pass. `way` is "waits"."""

    way: Literal["waits"]
    Params: type[BaseModel]

    def until(self, params: Any, since: datetime) -> datetime: ...


class Telling(Protocol):
    """A step that tells somebody through the outbox, so once (P3, P4). `way` is "tells"."""

    way: Literal["tells"]
    Params: type[BaseModel]

    def target(self, params: Any) -> Target: ...
    def shown(self, params: Any) -> str:
        """What it does, for the run's message: `tell #ops: …`."""

    def effects(self, params: Any, incident: Incident, key: str, now: datetime) -> tuple[Effect, ...]: ...


Doing = Action | Asking | Waiting | Telling


class Expressions(Protocol):
    """Conditions and values of runbooks (`if`, `foreach`, `until`, `outputs`), in CEL; bounded in time and size."""

    def value(self, expression: str, facts: Mapping[str, Any]) -> Any:
        """The value as JSON. BadInput says what is wrong with the expression or which name is not there."""


class Gatherer(Protocol):
    """Finds facts about an incident. `gather` gets the incident and its alerts; it raises when it cannot, and the caller says so."""

    title: str
    deadline: float

    async def gather(self, incident: Incident, alerts: Sequence[AlertState], now: datetime) -> list[Finding]: ...


class Templates(Protocol):
    def value(self, template: Any, facts: Mapping[str, Any]) -> Any:
        """A step's parameter: text is rendered as a bounded, sandboxed Jinja2 template, other values go through. BadInput names the key."""

    def postmortem(self, facts: Mapping[str, Any]) -> str: ...


class Documents(Protocol):
    async def write(self, name: str, text: str) -> str:
        """Write a file whole or not at all; its path."""


class Redact(Protocol):
    def __call__(self, text: str) -> str:
        """The text with every secret replaced by a mark that names its kind."""


People = Mapping[str, Person]
