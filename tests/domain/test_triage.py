"""What becomes of an alert, and the reason that people read: one table per stage, every branch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain import triage as stages
from bot.domain.alert import Alert, AlertState, Held
from bot.domain.flapping import Flapping
from bot.domain.incident import Incident, State
from bot.domain.inhibition import Dependencies, Inhibition, InhibitRule
from bot.domain.matching import matcher
from bot.domain.passing import HELD, OUTCOMES, Passing, Verdict, View
from bot.domain.people import Directory, Person
from bot.domain.quiet import OwnHours, QuietHours
from bot.domain.relabel import Relabel, Relabelling
from bot.domain.routing import Routing
from bot.domain.severity import BurnRate, Taxonomy
from bot.domain.signal import Signal
from bot.domain.silence import Silence, Silences
from bot.domain.storm import Storm, storm_key
from bot.domain.triage import STAGES, triage
from bot.domain.windows import Window
from tests.domain.alerts import NOW, ago, alert, incident, route, state_of

ROOT = route(routes=(route("root/0", "severity=critical", policy="oncall"),))
PLAIN = Signal(Routing(ROOT))


@dataclass(frozen=True)
class Case:
    """An alert, what is known of it, its own incident, that of its group and the storm's, what else there is, and the verdict."""

    name: str
    alert: Alert
    outcome: str
    reason: str
    known: AlertState | None = None
    own: Incident | None = None
    group: Incident | None = None
    storming: Incident | None = None
    signal: Signal = field(default=PLAIN)
    again: bool = False
    incident_id: int | None = None
    held: Held | None = None
    trail: tuple[str, ...] | None = None
    flags: tuple[str, ...] = ()
    view: Mapping[str, Any] = field(default_factory=dict)


def resolve(ends: float | None = 0, starts: float = 10) -> Alert:
    return alert(firing=False, starts_at=ago(starts), ends_at=None if ends is None else ago(ends))


def passed(case: Case) -> tuple[Passing, View]:
    passing = Passing(case.alert, case.signal, case.known, again=case.again)
    view = View(case.signal, **case.view)
    if case.known:
        view.states[case.alert.key] = case.known
    for one in (case.own, case.group, case.storming):
        if one:
            view.by_id[one.id] = one
    if case.group:
        view.incidents[passing.group_key] = case.group
    if case.storming:
        view.incidents[storm_key(passing.routes[0])] = case.storming
    return passing, view


def judged(case: Case) -> Verdict:
    return triage(*passed(case), NOW)


def held(outcome: str, by: str, minutes: float = 5) -> Held:
    """To be looked at again in so many minutes."""
    return Held(outcome, by, ago(-minutes))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


NOTHING_OPEN = "nothing is open for this group (by alertname, service)"
GROUPED = f"grouped: {NOTHING_OPEN}"
ROUTED = "routed: root (everything)"

FIRED = state_of(alert(starts_at=ago(10)))
UNOWNED = state_of(alert(starts_at=ago(10)), None)
RESOLVED = replace(state_of(resolve(ends=5)), last_seen=ago(5), fired=(ago(10),))
LONG_OVER = replace(RESOLVED, last_seen=ago(16))
ORPHAN = replace(state_of(resolve(ends=5), None), last_seen=ago(5))
OPEN = incident()
JUST_RESOLVED = incident(State.RESOLVED, resolved_at=ago(5))
LONG_RESOLVED = incident(State.RESOLVED, resolved_at=ago(31))
CLOSED = incident(State.CLOSED, resolved_at=ago(5))
IN_GROUP = incident(number=2)
HELD_NOW = replace(UNOWNED, held=Held("silenced", "silence:1", NOW))

DROPS = replace(PLAIN, relabelling=Relabelling([Relabel("noise", (matcher("env=dev"),), drop=True)]))
CHANGES = replace(PLAIN, relabelling=Relabelling([Relabel("prio", (), map={"severity": {"P1": "critical"}})]))

RELABEL = [
    Case("dropped", alert(env="dev"), "dropped", "relabel rule 'noise' drops it", signal=DROPS, trail=()),
    Case("a resolve of what was dropped", replace(resolve(), labels={"env": "dev"}), "dropped", "relabel rule 'noise' drops it", signal=DROPS),
    Case("dropped again after it was resolved", alert(env="dev"), "dropped", "relabel rule 'noise' drops it", RESOLVED, OPEN, signal=DROPS),
    Case("firing already when the rule came", alert(env="dev"), "repeated", "it is firing already and belongs to INC-1", FIRED, OPEN,
         signal=DROPS, incident_id=1, trail=("relabel: rule 'noise' drops it from its next firing on",)),
    Case("the end of what fired when the rule came", replace(resolve(), labels={"env": "dev"}), "resolved", "it no longer fires (INC-1)",
         FIRED, OPEN, signal=DROPS, incident_id=1, trail=("relabel: rule 'noise' drops it from its next firing on",)),
    Case("held when the rule came", alert(env="dev"), "dropped", "relabel rule 'noise' drops it", HELD_NOW, signal=DROPS),
    Case("changed", alert(severity="P1"), "opened", NOTHING_OPEN, signal=CHANGES,
         trail=("relabel: changed by prio", 'routed: root/0 (severity="critical")', GROUPED)),
    Case("not changed", alert(severity="P2"), "opened", NOTHING_OPEN, signal=CHANGES, trail=(ROUTED, GROUPED)),
]  # fmt: skip

REPEATED = [
    Case("a second resolve", resolve(), "repeated", "it is resolved already (INC-1)", RESOLVED, OPEN, incident_id=1),
    Case("a second resolve without incident", resolve(), "repeated", "it is resolved already (no incident)", ORPHAN),
    Case("a second firing", alert(starts_at=ago(10)), "repeated", "it is firing already and belongs to INC-1", FIRED, OPEN, incident_id=1, trail=()),
    Case("of an acknowledged incident", alert(), "repeated", "it is firing already and belongs to INC-1", FIRED,
         incident(State.ACKNOWLEDGED), incident_id=1),
    Case("of a mitigated incident", alert(), "repeated", "it is firing already and belongs to INC-1", FIRED, incident(State.MITIGATED),
         incident_id=1),
    Case("worse than it was", alert(severity="critical", starts_at=ago(10)), "repeated",
         "it is firing already and belongs to INC-1; it is critical now, which is worse", FIRED, OPEN, incident_id=1, flags=("worse",)),
    Case("worse than it was, in an incident that is as bad", alert(severity="critical"), "repeated",
         "it is firing already and belongs to INC-1", FIRED, incident(State.ACKNOWLEDGED, severity="critical"), incident_id=1),
    Case("an older copy that is worse", alert(severity="critical", starts_at=ago(20)), "repeated",
         "it is firing already and belongs to INC-1", FIRED, OPEN, incident_id=1),
    Case("still firing after a person resolved it", alert(starts_at=ago(10)), "repeated",
         "still firing; INC-1 was resolved a short while ago", FIRED, JUST_RESOLVED, incident_id=1),
    Case("still firing long after a person resolved it", alert(starts_at=ago(10)), "opened", NOTHING_OPEN, FIRED, LONG_RESOLVED,
         trail=("repeated: still firing although INC-1 is resolved, so it counts as new", ROUTED, GROUPED)),
    Case("still firing although it was closed", alert(starts_at=ago(10)), "opened", NOTHING_OPEN, FIRED, CLOSED,
         trail=("repeated: still firing although INC-1 is closed, so it counts as new", ROUTED, GROUPED)),
    Case("still firing without an incident", alert(starts_at=ago(10)), "opened", NOTHING_OPEN, UNOWNED,
         trail=("repeated: it fires already, but has no incident", ROUTED, GROUPED)),
    Case("held until now", alert(starts_at=ago(10)), "opened", NOTHING_OPEN, HELD_NOW, again=True,
         trail=("repeated: it is held (silence:1), and is looked at again", ROUTED, GROUPED)),
]  # fmt: skip

STALE = [
    Case("a resolve of what never fired", resolve(), "ignored", "a resolve for an alert that has not fired here: nothing to resolve"),
    Case("a late resolve of an earlier firing", resolve(ends=11, starts=20), "ignored",
         "a resolve of an earlier firing: it has fired again since", FIRED, OPEN, incident_id=1),
    Case("a resolve at the very start", resolve(ends=10), "resolved", "it no longer fires (INC-1)", FIRED, OPEN, incident_id=1),
    Case("a resolve without an end", resolve(ends=None), "resolved", "it no longer fires (INC-1)", FIRED, OPEN, incident_id=1),
    Case("a firing from before its resolve", alert(starts_at=ago(11)), "ignored",
         "an older firing than the one that has resolved since", RESOLVED, OPEN, incident_id=1),
    Case("a late copy of the firing that has resolved", alert(starts_at=ago(10)), "ignored",
         "an older firing than the one that has resolved since", RESOLVED, OPEN, incident_id=1),
    Case("the same firing long after its resolve: the sender has changed its mind", alert(starts_at=ago(10)), "joined",
         "INC-2 is open for this group (by alertname, service)", LONG_OVER, OPEN, IN_GROUP, incident_id=2),
    Case("a firing from before it, long after its resolve", alert(starts_at=ago(11)), "ignored",
         "an older firing than the one that has resolved since", LONG_OVER, OPEN, incident_id=1),
    Case("a new firing after its resolve", alert(), "joined", "INC-2 is open for this group (by alertname, service)", RESOLVED, OPEN,
         IN_GROUP, incident_id=2),
    Case("the firing whose end came first", alert(starts_at=ago(10)), "opened", NOTHING_OPEN, ORPHAN, flags=("late",),
         trail=("stale: it was over at 2026-11-21 11:55 UTC, which was heard of first", ROUTED, GROUPED)),
    Case("the firing whose end came first, in an open group", alert(starts_at=ago(10)), "late",
         "it fired and was over before it was heard of; INC-2 has its group", ORPHAN, group=IN_GROUP, incident_id=2, flags=("late",)),
    Case("the firing whose end came first, in a resolved group", alert(starts_at=ago(10)), "late",
         "it fired and was over before it was heard of; INC-2 has its group", ORPHAN,
         group=incident(State.RESOLVED, ago(5), number=2), incident_id=2, flags=("late",)),
    Case("a firing after an end that came first", alert(starts_at=ago(4)), "opened", NOTHING_OPEN, ORPHAN),
    Case("a firing long after an end that came first", alert(starts_at=ago(10)), "opened", NOTHING_OPEN, replace(ORPHAN, last_seen=ago(16))),
    Case("the second firing, whose end came first", alert(starts_at=ago(10)), "late",
         "it fired and was over before it was heard of; INC-1 has its group", replace(RESOLVED, fired=(ago(60),)), OPEN, OPEN,
         incident_id=1, flags=("late",)),
]  # fmt: skip


def quiet(number: int = 42, *matchers: str, **more: Any) -> Silence:
    known = {"starts_at": ago(10), "created_at": ago(10), "ends_at": ago(-60), "author": "Ada", "reason": "disks"}
    return Silence(number=number, matchers=matchers or ("service=checkout",), **{**known, **more})


SILENCED = {"silences": Silences([quiet()])}
WORKED_ON = {"maintenance": Silences([quiet(0, name="nightly", kind="maintenance", author="", ends_at=None)])}
FLAPPING_STATE = replace(FIRED, calm_at=NOW)

SILENCES = [
    Case("silenced", alert(), "silenced", "silence 42 of Ada until 2026-11-21 13:00 UTC: disks", view=SILENCED,
         held=held("silenced", "silence:42", 60)),
    Case("the resolve of what is silenced", resolve(), "resolved", "it no longer fires (no incident: it was held by silence:1)", HELD_NOW,
         view=SILENCED),
    Case("silenced after it was paged", alert(), "repeated", "it is firing already and belongs to INC-1", FIRED, OPEN, view=SILENCED, incident_id=1),
    Case("another service is silenced", alert(), "opened", NOTHING_OPEN, view={"silences": Silences([quiet(42, "service=cart")])}),
    Case("held by one silence, then by another", alert(starts_at=ago(10)), "silenced", "silence 42 of Ada until 2026-11-21 13:00 UTC: disks",
         HELD_NOW, view=SILENCED, again=True, held=held("silenced", "silence:42", 60),
         trail=("repeated: it is held (silence:1), and is looked at again",)),
    Case("over before it was heard of, and silenced", alert(starts_at=ago(10)), "silenced",
         "silence 42 of Ada until 2026-11-21 13:00 UTC: disks", ORPHAN, view=SILENCED, flags=("late",)),
    Case("without an end it is looked at again", alert(), "silenced", "silence 42 of Ada, which has no end: disks",
         view={"silences": Silences([quiet(ends_at=None)])}, held=held("silenced", "silence:42")),
    Case("what flaps is not taken out of its incident", alert(starts_at=ago(1)), "flapping",
         "it flaps: INC-1 is held open until it is calm", replace(RESOLVED, calm_at=ago(-10)), OPEN, view=SILENCED, incident_id=1),
    Case("what flapped is calm although it is silenced", alert(starts_at=ago(10)), "repeated",
         "it has been calm for 15m: it fires without a break", FLAPPING_STATE, OPEN, view=SILENCED, again=True, incident_id=1, flags=("calm",)),
]  # fmt: skip

MAINTENANCE = [
    Case("in maintenance", alert(), "maintenance", "maintenance 'nightly', which has no end: disks", view=WORKED_ON,
         held=held("maintenance", "maintenance:nightly")),
    Case("its resolve", resolve(), "resolved", "it no longer fires (INC-1)", FIRED, OPEN, view=WORKED_ON, incident_id=1),
    Case("silenced and in maintenance", alert(), "silenced", "silence 42 of Ada until 2026-11-21 13:00 UTC: disks", view=SILENCED | WORKED_ON,
         held=held("silenced", "silence:42", 60)),
    Case("what flaps", alert(starts_at=ago(1)), "flapping", "it flaps: INC-1 is held open until it is calm",
         replace(RESOLVED, calm_at=ago(-10)), OPEN, view=WORKED_ON, incident_id=1),
]  # fmt: skip

NODE = InhibitRule("node", (matcher("alertname=NodeDown"),), (matcher("alertname=HighErrorRate"),), ("service",))
INHIBITING = replace(PLAIN, inhibition=Inhibition([NODE], Dependencies.of({"checkout": ["db"]}, ["critical"])))
(NODE_KEY, DB_KEY) = [reason.key for reason in INHIBITING.inhibition.held_under(alert())]
NODE_DOWN = {"inhibitors": {NODE_KEY: {"am/n2": "node n2 is down", "am/n1": "node n1 is down"}}}
DB_DOWN = {"inhibitors": {DB_KEY: {"am/db": "the database is down"}}}

INHIBITED = [
    Case("explained by another alert", alert(), "inhibited", "inhibition rule 'node': held by node n1 is down", signal=INHIBITING, view=NODE_DOWN,
         held=held("inhibited", NODE_KEY)),
    Case("its service needs another", alert(), "inhibited", "checkout needs db, which is down: the database is down", signal=INHIBITING,
         view=DB_DOWN, held=held("inhibited", DB_KEY)),
    Case("a rule comes before a service", alert(), "inhibited", "inhibition rule 'node': held by node n1 is down", signal=INHIBITING,
         view={"inhibitors": DB_DOWN["inhibitors"] | NODE_DOWN["inhibitors"]}, held=held("inhibited", NODE_KEY)),
    Case("nothing fires under its keys", alert(), "opened", NOTHING_OPEN, signal=INHIBITING, view={"inhibitors": {"other": {"am/x": "x"}}}),
    Case("only itself", alert(), "opened", NOTHING_OPEN, signal=INHIBITING, view={"inhibitors": {NODE_KEY: {"am/f1": "itself"}}}),
    Case("the source has gone", alert(), "opened", NOTHING_OPEN, signal=INHIBITING, view={"inhibitors": {NODE_KEY: {}}}),
    Case("its resolve", resolve(), "resolved", "it no longer fires (INC-1)", FIRED, OPEN, signal=INHIBITING, view=NODE_DOWN, incident_id=1),
    Case("what flaps", alert(starts_at=ago(1)), "flapping", "it flaps: INC-1 is held open until it is calm",
         replace(RESOLVED, calm_at=ago(-10)), OPEN, signal=INHIBITING, view=NODE_DOWN, incident_id=1),
]  # fmt: skip

FLAPS = replace(PLAIN, flapping=Flapping(fires=3, within=timedelta(minutes=30), calm=timedelta(minutes=15)))
TWICE = replace(RESOLVED, fired=(ago(20), ago(10)))
IT_FLAPS = "flapping: it has begun to fire 3 times within 30m"

FLAPPING = [
    Case("once too often", alert(), "joined", "INC-1 is open for this group (by alertname, service)", TWICE, OPEN, OPEN, signal=FLAPS,
         incident_id=1, flags=("flaps",), trail=(IT_FLAPS, ROUTED)),
    Case("once too often, and back", alert(), "reopened", "INC-1 was resolved less than 30m ago", TWICE, JUST_RESOLVED, JUST_RESOLVED,
         signal=FLAPS, incident_id=1, flags=("flaps",)),
    Case("once too often, in a new incident", alert(), "opened", NOTHING_OPEN, TWICE, CLOSED, signal=FLAPS, flags=("flaps",),
         trail=(IT_FLAPS, ROUTED, GROUPED)),
    Case("not yet", alert(), "joined", "INC-1 is open for this group (by alertname, service)", RESOLVED, OPEN, OPEN, signal=FLAPS, incident_id=1),
    Case("without an incident nothing is held open", alert(), "opened", NOTHING_OPEN, replace(TWICE, incident_id=None), signal=FLAPS),
    Case("it fires again", alert(starts_at=ago(1)), "flapping", "it flaps: INC-1 is held open until it is calm",
         replace(TWICE, calm_at=ago(-10)), OPEN, signal=FLAPS, incident_id=1),
    Case("it resolves again", resolve(), "flapping", "it flaps: INC-1 is held open until it is calm",
         replace(FIRED, calm_at=ago(-10)), OPEN, signal=FLAPS, incident_id=1),
    Case("it goes on firing", alert(starts_at=ago(10)), "repeated", "it is firing already and belongs to INC-1",
         replace(FIRED, calm_at=ago(-10)), OPEN, signal=FLAPS, incident_id=1),
    Case("calm: it fires", alert(starts_at=ago(10)), "repeated", "it has been calm for 15m: it fires without a break",
         replace(FIRED, calm_at=NOW), OPEN, signal=FLAPS, again=True, incident_id=1, flags=("calm",)),
    Case("calm: it is over", resolve(), "resolved", "it has been calm for 15m: it no longer fires",
         replace(RESOLVED, calm_at=NOW), OPEN, signal=FLAPS, again=True, incident_id=1, flags=("calm",)),
    Case("calm and over, but a person has resolved the incident", resolve(), "resolved", "it has been calm for 15m: it no longer fires",
         replace(RESOLVED, calm_at=NOW), JUST_RESOLVED, signal=FLAPS, again=True, incident_id=1, flags=("calm",)),
    Case("calm and firing, but a person has resolved the incident", alert(starts_at=ago(10)), "repeated",
         "still firing; INC-1 was resolved a short while ago", replace(FIRED, calm_at=NOW), JUST_RESOLVED, signal=FLAPS, again=True, incident_id=1),
    Case("its incident was resolved by a person", alert(), "reopened", "INC-1 was resolved less than 30m ago",
         replace(RESOLVED, calm_at=ago(-10)), JUST_RESOLVED, JUST_RESOLVED, signal=FLAPS, incident_id=1),
]  # fmt: skip

RESOLVES = [
    Case("a resolve", resolve(), "resolved", "it no longer fires (INC-1)", FIRED, OPEN, incident_id=1, trail=()),
    Case("a resolve of what has no incident", resolve(), "resolved", "it no longer fires (no incident)", UNOWNED),
    Case("a resolve of what was held", resolve(), "resolved", "it no longer fires (no incident: it was held by silence:1)", HELD_NOW),
    Case("a resolve of what a person has resolved", resolve(), "resolved", "it no longer fires (INC-1)", FIRED, JUST_RESOLVED, incident_id=1),
]  # fmt: skip

NOON = Window.model_validate({"between": ["09:00", "17:30"]})
QUIET = replace(PLAIN, quiet=(QuietHours("siesta", (NOON,), frozenset({"warning"})),))


def first(*people: str, **hours: OwnHours) -> dict[str, Any]:
    known = {name: Person(key=name, name=name.title(), quiet=hours.get(name, OwnHours())) for name in ("ada", "bob")}
    return {"first_paged": {"": [f"person:{one}" for one in people]}, "directory": Directory(people=known)}


LATER = Window.model_validate({"between": ["09:00", "18:00"]})
OFF = OwnHours(windows=(NOON,), severities=frozenset({"warning"}))
OFF_FOR_ALL = OwnHours(windows=(NOON,), severities=frozenset({"warning", "critical"}))
OFF_LONGER = OwnHours(windows=(LATER,), severities=frozenset({"warning"}))

TWO_POLICIES = Signal(Routing(route(routes=(route("root/0", go_on=True, policy="a"), route("root/1", policy="b")))))

QUIET_HOURS = [
    Case("quiet hours", alert(), "quiet", "quiet hours 'siesta' for warning until 2026-11-21 17:30 UTC", signal=QUIET,
         held=Held("quiet", "quiet:siesta", utc("2026-11-21T17:30"))),
    Case("too bad to wait", alert(severity="critical"), "opened", NOTHING_OPEN, signal=QUIET),
    Case("its resolve", resolve(), "resolved", "it no longer fires (INC-1)", FIRED, OPEN, signal=QUIET, incident_id=1),
    Case("the only one to page is off", alert(), "quiet", "Ada cannot be paged for warning until 2026-11-21 17:30 UTC, by their own hours",
         view=first("ada", ada=OFF), held=Held("quiet", "quiet:people", utc("2026-11-21T17:30"))),
    Case("both are off: the first who is back", alert(), "quiet",
         "Ada, Bob cannot be paged for warning until 2026-11-21 17:30 UTC, by their own hours",
         view=first("ada", "bob", ada=OFF_LONGER, bob=OFF), held=Held("quiet", "quiet:people", utc("2026-11-21T17:30"))),
    Case("one of two is off", alert(), "opened", NOTHING_OPEN, view=first("ada", "bob", ada=OFF)),
    Case("too bad to wait for the first while the next is there", alert(severity="critical"), "opened", NOTHING_OPEN,
         view={**first(ada=OFF_FOR_ALL), "first_paged": {"oncall": ["person:ada"]}, "on_policy": {"oncall": ["person:ada", "person:bob"]}}),
    Case("too bad to wait, but nobody is there", alert(severity="critical"), "quiet",
         "Ada cannot be paged for critical until 2026-11-21 17:30 UTC, by their own hours",
         view={**first(ada=OFF_FOR_ALL), "first_paged": {"oncall": ["person:ada"]}, "on_policy": {"oncall": ["person:ada"]}},
         held=Held("quiet", "quiet:people", utc("2026-11-21T17:30"))),
    Case("its second route pages somebody who is not off", alert(), "opened", NOTHING_OPEN, signal=TWO_POLICIES,
         view={**first(ada=OFF), "first_paged": {"a": ["person:ada"], "b": ["person:bob"]}}),
    Case("both of its routes page people who are off", alert(), "quiet",
         "Ada, Bob cannot be paged for warning until 2026-11-21 17:30 UTC, by their own hours", signal=TWO_POLICIES,
         view={**first(ada=OFF, bob=OFF_LONGER), "first_paged": {"a": ["person:ada"], "b": ["person:bob", "person:ada"]}},
         held=Held("quiet", "quiet:people", utc("2026-11-21T17:30"))),
    Case("off, but not for this", alert(severity="error"), "opened", NOTHING_OPEN, view=first("ada", ada=OFF)),
    Case("nobody is to be paged first", alert(), "opened", NOTHING_OPEN, view=first()),
    Case("another policy's people are off", alert(severity="critical"), "opened", NOTHING_OPEN,
         view=first("ada", ada=OwnHours(windows=(NOON,), severities=frozenset({"critical"})))),
]  # fmt: skip

TWO_ROUTES = Signal(
    Routing(route(routes=(route("root/0", "service=checkout", go_on=True), route("root/1", 'service=~"check.*"'))))
)
ROUTES = [
    Case("no route", alert(), "ignored", "no route matches its labels, not even the root", signal=Signal(Routing(route("root", "team=shop")))),
    Case("all that it takes", alert(), "opened", NOTHING_OPEN, signal=TWO_ROUTES,
         trail=('routed: root/0 (service="checkout"), then root/1 (service=~"check.*")', GROUPED)),
    Case("only logged", alert(severity="info"), "logged", "info is only logged (severity=info)", trail=(ROUTED,)),
    Case("only logged, says its route", alert(), "logged", "warning is only logged (it has no label severity, so the default)",
         signal=Signal(Routing(route(media=("log",))))),
    Case("not even logged, says its route", alert(), "logged", "warning is only logged (it has no label severity, so the default)",
         signal=Signal(Routing(route(media=())))),
    Case("told although it is only info, says its route", alert(severity="info"), "opened", NOTHING_OPEN,
         signal=Signal(Routing(route(media=("log", "slack"))))),
    Case("its route says how bad it is", alert(severity="info"), "opened", NOTHING_OPEN, signal=Signal(Routing(route(severity="error")))),
    Case("its burn rate says how bad it is", alert(severity="info", burn_rate="8"), "opened", NOTHING_OPEN,
         signal=Signal(Routing(route()), Taxonomy(burn_rate=BurnRate()))),
    Case("the end of what is only logged", resolve(), "resolved", "it no longer fires (no incident)", UNOWNED),
]  # fmt: skip

WAITS = Signal(Routing(route(wait=timedelta(minutes=2))))
WAITING_FOR = 'group:root{"alertname":"HighErrorRate","service":"checkout"}'
WAITING = replace(UNOWNED, held=Held("waiting", WAITING_FOR, ago(-1)))

GROUPS = [
    Case("the first of its group", alert(), "opened", NOTHING_OPEN, trail=(ROUTED, GROUPED)),
    Case("another of its group", alert(), "joined", "INC-2 is open for this group (by alertname, service)", group=IN_GROUP, incident_id=2),
    Case("back in time", alert(), "reopened", "INC-2 was resolved less than 30m ago", group=incident(State.RESOLVED, ago(30), number=2),
         incident_id=2),
    Case("back too late", alert(), "opened", NOTHING_OPEN, group=incident(State.RESOLVED, ago(30.01), number=2)),
    Case("back after it was closed", alert(), "opened", NOTHING_OPEN, group=incident(State.CLOSED, ago(1), number=2)),
    Case("grouped by nothing", alert(), "joined", "INC-2 is open for this group (by nothing)", group=IN_GROUP,
         signal=Signal(Routing(route(group_by=()))), incident_id=2),
    Case("a new group waits", alert(), "waiting", "its group waits 2m", signal=WAITS, held=held("waiting", WAITING_FOR, 2)),
    Case("it is told again while its group waits", alert(starts_at=ago(10)), "waiting", "its group waits 2m", WAITING, signal=WAITS,
         held=held("waiting", WAITING_FOR, 1)),
    Case("its group has waited", alert(starts_at=ago(10)), "opened", NOTHING_OPEN, replace(WAITING, held=Held("waiting", WAITING_FOR, NOW)),
         signal=WAITS, again=True),
    Case("its group has been opened meanwhile", alert(starts_at=ago(10)), "joined", "INC-2 is open for this group (by alertname, service)",
         WAITING, group=IN_GROUP, signal=WAITS, incident_id=2),
    Case("what was held by something else has waited long enough", alert(starts_at=ago(10)), "opened", NOTHING_OPEN, HELD_NOW, signal=WAITS,
         again=True),
    Case("what is over need not wait", alert(starts_at=ago(10)), "opened", NOTHING_OPEN, ORPHAN, signal=WAITS, flags=("late",)),
]  # fmt: skip

STORMY = replace(PLAIN, storm=Storm(more_than=2, within=timedelta(minutes=5)))
MANY = {"opened": {"root": [ago(1), ago(2)]}}
BLOWN = "more than 2 incidents on root within 5m: a storm, which is one incident"
IN_STORM = "INC-3 is a storm of alerts on root"

STORMS = [
    Case("too many", alert(), "opened", BLOWN, signal=STORMY, view=MANY, flags=("storm",), trail=(ROUTED, GROUPED)),
    Case("not too many", alert(), "opened", NOTHING_OPEN, signal=STORMY, view={"opened": {"root": [ago(1)]}}),
    Case("too many, on another route", alert(), "opened", NOTHING_OPEN, signal=STORMY, view={"opened": {"root/0": [ago(1), ago(2)]}}),
    Case("its group is open, storm or not", alert(), "joined", "INC-2 is open for this group (by alertname, service)", group=IN_GROUP,
         signal=STORMY, view=MANY, incident_id=2),
    Case("there is a storm", alert(), "joined", IN_STORM, storming=incident(number=3, storm_at=ago(4)), signal=STORMY, incident_id=3,
         flags=("storm",)),
    Case("the storm is calm", alert(), "opened", NOTHING_OPEN, storming=incident(number=3, storm_at=ago(5)), signal=STORMY),
    Case("a storm again, and the one of before is still open", alert(), "joined", IN_STORM, storming=incident(number=3, storm_at=ago(50)),
         signal=STORMY, view=MANY, incident_id=3, flags=("storm",)),
    Case("the storm was resolved a moment ago", alert(), "reopened", f"{IN_STORM}, and was resolved a short while ago",
         storming=incident(State.RESOLVED, ago(1), number=3, storm_at=ago(4)), signal=STORMY, incident_id=3, flags=("storm",)),
    Case("the storm was resolved long ago", alert(), "opened", BLOWN, storming=incident(State.RESOLVED, ago(31), number=3, storm_at=ago(40)),
         signal=STORMY, view=MANY, flags=("storm",)),
    Case("the storm of before was resolved, and it is calm", alert(), "opened", NOTHING_OPEN,
         storming=incident(State.RESOLVED, ago(20), number=3, storm_at=ago(25)), signal=STORMY),
]  # fmt: skip

TABLES: dict[str, list[Case]] = {
    "relabel": RELABEL,
    "repeated": REPEATED,
    "stale": STALE,
    "silenced": SILENCES,
    "in maintenance": MAINTENANCE,
    "inhibited": INHIBITED,
    "flapping": FLAPPING,
    "resolved": RESOLVES,
    "quiet hours": QUIET_HOURS,
    "routed": ROUTES,
    "grouped": GROUPS,
    "storm": STORMS,
}
CASES = [case for table in TABLES.values() for case in table]


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{stage}: {case.name}") for stage, table in TABLES.items() for case in table])  # fmt: skip
def test_an_alert_gets_its_verdict_with_the_reason(case: Case) -> None:
    passing, view = passed(case)
    verdict = triage(passing, view, NOW)
    assert (verdict.outcome, verdict.reason, verdict.incident_id) == (case.outcome, case.reason, case.incident_id)
    assert verdict.held == case.held
    assert {name for name in ("flaps", "calm", "storm", "worse") if getattr(verdict, name)} | (
        {"late"} if passing.late else set()
    ) == set(case.flags)
    if case.trail is not None:
        assert verdict.trail == case.trail


def test_there_is_a_table_for_every_stage_in_which_it_decides() -> None:
    assert list(TABLES) == list(STAGES)
    assert [stage for stage, table in TABLES.items() if stage not in {judged(case).stage for case in table}] == []


def test_the_tables_reach_every_outcome() -> None:
    assert {case.outcome for case in CASES} == set(OUTCOMES)


def test_whatever_is_held_says_by_what_and_nothing_else_does() -> None:
    for case in CASES:
        verdict = judged(case)
        assert (verdict.held is not None) is (verdict.outcome in HELD and "late" not in case.flags), case.name
        if verdict.held is not None:
            assert verdict.held.outcome == verdict.outcome
            assert verdict.held.again_at is not None
            assert verdict.held.again_at > NOW, "or it would be looked at without end"


def test_the_order_of_the_stages_is_written_once() -> None:
    assert list(STAGES) == [
        "relabel", "repeated", "stale", "silenced", "in maintenance", "inhibited", "flapping", "resolved", "quiet hours", "routed",
         "grouped", "storm",
    ]  # fmt: skip


def test_the_group_is_that_of_the_first_route() -> None:
    root = route(routes=(route("root/0", go_on=True, group_by=("service",)), route("root/1", group_by=("alertname",))))
    passing, view = passed(Case("", alert(), "", "", signal=Signal(Routing(root))))
    assert triage(passing, view, NOW).group_key == 'root/0{"service":"checkout"}'
    assert passing.group_labels == {"service": "checkout"}


def test_a_test_alert_has_a_group_of_its_own() -> None:
    real, test = (passed(Case("", alert(**more), "", ""))[0] for more in ({}, {"tocsin_test": "true"}))
    assert real.group_key != test.group_key


# ------------------------------------------------------------------------------------------------ whatever comes, in whatever order

minutes = st.integers(0, 90).map(ago)
alerts = st.builds(
    alert,
    firing=st.booleans(),
    starts_at=minutes,
    ends_at=st.none() | minutes,
    severity=st.sampled_from(["", "info", "critical"]),
)
incidents = st.builds(incident, st.sampled_from(State), st.none() | minutes, storm_at=st.none() | minutes)
helds = st.none() | st.builds(Held, st.sampled_from(HELD), st.just("x"), minutes)
knowns = st.none() | st.builds(
    lambda one, number, held, calm_at, fired, seen: AlertState(
        one, seen, seen, incident_id=number, held=held, calm_at=calm_at, fired=tuple(sorted(fired))
    ),
    alerts, st.none() | st.just(1), helds, st.none() | minutes, st.lists(minutes, max_size=4), minutes,
)  # fmt: skip
EVERYTHING = Signal(
    WAITS.routing,
    relabelling=DROPS.relabelling,
    inhibition=INHIBITING.inhibition,
    flapping=FLAPS.flapping,
    quiet=QUIET.quiet,
    storm=STORMY.storm,
)
signals = st.sampled_from([PLAIN, DROPS, WAITS, INHIBITING, FLAPS, QUIET, STORMY, EVERYTHING])
views = st.sampled_from([{}, SILENCED, WORKED_ON, NODE_DOWN, DB_DOWN, MANY])
cases = st.builds(
    Case, st.just("any"), alerts, st.just(""), st.just(""), knowns, st.none() | incidents, st.none() | incidents, st.none() | incidents, signals,
    view=views,
)  # fmt: skip


@given(cases, st.booleans())
def test_every_alert_gets_one_of_the_outcomes_and_a_reason(case: Case, again: bool) -> None:
    if again and case.known:
        case = replace(case, alert=case.known.alert, again=True)
    verdict = judged(case)
    assert verdict.outcome in OUTCOMES
    assert verdict.reason
    assert verdict.stage in STAGES
    if not case.alert.firing:
        assert verdict.outcome in ("ignored", "repeated", "resolved", "flapping", "dropped")
        assert verdict.held is None
    if case.alert.firing:
        assert verdict.outcome != "resolved"
    if verdict.outcome == "joined":
        assert any(one and one.is_open and one.id == verdict.incident_id for one in (case.group, case.storming))
    assert judged(case) == verdict, "the same alert and view always give the same"


@given(
    alerts.filter(lambda one: one.firing),
    knowns.filter(lambda one: one is None or one.alert.firing),
    st.none() | incidents,
    signals,
)
def test_a_firing_alert_is_never_ignored_unless_it_is_older_than_its_resolve(
    one: Alert, known: AlertState | None, own: Incident | None, signal: Signal
) -> None:
    assert judged(Case("any", one, "", "", known, own, signal=signal)).outcome != "ignored"


def test_what_is_looked_at_again_without_reason_to_hold_it_opens() -> None:
    assert {judged(replace(case, again=True)).outcome for case in GROUPS if case.name == "the first of its group"} == {
        "opened"
    }
    assert timedelta(minutes=10) > stages.LOOK_AGAIN
