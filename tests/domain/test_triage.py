"""What becomes of an alert, and the reason that people read: every branch of every stage."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain import routing
from bot.domain.alert import Alert, AlertState
from bot.domain.incident import Incident, State
from bot.domain.routing import Route
from bot.domain.triage import OUTCOMES, STAGES, Verdict, View, triage
from tests.domain.alerts import NOW, ago, alert, incident, route, state_of

ROOT = route(routes=(route("root/0", "severity=critical", policy="oncall"),))


@dataclass(frozen=True)
class Case:
    """An alert, what is known of it, the incident that it belongs to (1) and the one that its group has (2), and the verdict."""

    name: str
    alert: Alert
    outcome: str
    reason: str
    known: AlertState | None = None
    own: Incident | None = None
    group: Incident | None = None
    root: Route = field(default=ROOT)
    incident_id: int | None = None


def resolve(ends: float = 0, starts: float = 10) -> Alert:
    return alert(firing=False, starts_at=ago(starts), ends_at=ago(ends))


FIRED = state_of(alert(starts_at=ago(10)))
RESOLVED = state_of(resolve(ends=5))
OPEN = incident()
JUST_RESOLVED = incident(State.RESOLVED, resolved_at=ago(5))
LONG_RESOLVED = incident(State.RESOLVED, resolved_at=ago(31))
CLOSED = incident(State.CLOSED, resolved_at=ago(5))
IN_GROUP = incident(number=2)

CASES = [
    # a resolve
    Case("a resolve of what never fired", resolve(), "ignored", "a resolve for an alert that has not fired here: nothing to resolve"),
    Case("a second resolve", resolve(), "repeated", "it is resolved already (INC-1)", RESOLVED, OPEN, incident_id=1),
    Case("a second resolve without incident", resolve(), "repeated", "it is resolved already (no incident)", state_of(resolve(), None)),
    Case("a late resolve of an earlier firing", resolve(ends=11, starts=20), "ignored",
         "a resolve of an earlier firing: it has fired again since", FIRED, OPEN, incident_id=1),
    Case("a resolve", resolve(), "resolved", "it no longer fires (INC-1)", FIRED, OPEN, incident_id=1),
    Case("a resolve at the very start", resolve(ends=10), "resolved", "it no longer fires (INC-1)", FIRED, OPEN, incident_id=1),
    Case("a resolve without an end", alert(firing=False, starts_at=ago(10)), "resolved", "it no longer fires (INC-1)", FIRED, OPEN, incident_id=1),
    Case("a resolve of what was ignored", resolve(), "resolved", "it no longer fires (no incident)", state_of(alert(starts_at=ago(10)), None)),
    # a firing that is known
    Case("a repeated firing", alert(starts_at=ago(10)), "repeated", "it is firing already and belongs to INC-1", FIRED, OPEN, incident_id=1),
    Case("a repeated firing of an acknowledged incident", alert(), "repeated", "it is firing already and belongs to INC-1", FIRED,
         incident(State.ACKNOWLEDGED), incident_id=1),
    Case("a repeated firing of a mitigated incident", alert(), "repeated", "it is firing already and belongs to INC-1", FIRED,
         incident(State.MITIGATED), incident_id=1),
    Case("still firing after a person resolved it", alert(starts_at=ago(10)), "repeated",
         "still firing; INC-1 was resolved a short while ago", FIRED, JUST_RESOLVED, incident_id=1),
    Case("still firing long after a person resolved it", alert(starts_at=ago(10)), "opened",
         "nothing is open for this group (by alertname, service)", FIRED, LONG_RESOLVED),
    Case("still firing although it was closed", alert(starts_at=ago(10)), "opened",
         "nothing is open for this group (by alertname, service)", FIRED, CLOSED),
    Case("still firing without an incident", alert(starts_at=ago(10)), "opened",
         "nothing is open for this group (by alertname, service)", state_of(alert(starts_at=ago(10)), None)),
    Case("a late firing from before its resolve", alert(starts_at=ago(11)), "ignored",
         "an older firing than the one that has resolved since", RESOLVED, OPEN, incident_id=1),
    Case("the same firing again after its resolve", alert(starts_at=ago(10)), "joined",
         "INC-2 is open for this group (by alertname, service)", RESOLVED, OPEN, IN_GROUP, incident_id=2),
    # a firing that is new: its group
    Case("the first of its group", alert(), "opened", "nothing is open for this group (by alertname, service)"),
    Case("another of its group", alert(), "joined", "INC-2 is open for this group (by alertname, service)", group=IN_GROUP, incident_id=2),
    Case("back in time", alert(), "reopened", "INC-2 was resolved less than 0:30:00 ago",
         group=incident(State.RESOLVED, ago(30), number=2), incident_id=2),
    Case("back too late", alert(), "opened", "nothing is open for this group (by alertname, service)",
         group=incident(State.RESOLVED, ago(30.01), number=2)),
    Case("back after it was closed", alert(), "opened", "nothing is open for this group (by alertname, service)",
         group=incident(State.CLOSED, ago(1), number=2)),
    Case("grouped by nothing", alert(), "joined", "INC-2 is open for this group (by nothing)", group=IN_GROUP,
         root=route(group_by=()), incident_id=2),
    # nobody is responsible
    Case("no route", alert(), "ignored", "no route matches its labels, not even the root", root=route("root", "team=shop")),
]  # fmt: skip


def judged(case: Case) -> Verdict:
    view = View(case.root)
    if case.known:
        view.states[case.alert.key] = case.known
    if case.own:
        view.by_id[case.own.id] = case.own
    if case.group:
        first = (routing.find(case.root, case.alert.labels) or (case.root,))[0]
        view.incidents[routing.group_key(first, routing.group_labels(first, case.alert))] = case.group
    verdict, _ = triage(case.alert, view, NOW)
    return verdict


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_alert_gets_its_verdict_with_the_reason(case: Case) -> None:
    verdict = judged(case)
    assert (verdict.outcome, verdict.reason, verdict.incident_id) == (case.outcome, case.reason, case.incident_id)


def test_the_table_reaches_every_outcome() -> None:
    assert {case.outcome for case in CASES} == set(OUTCOMES)


TRAILS = [
    ("the first of its group", ("repeated: no, it was not firing before", "routed: root (everything)")),
    ("still firing without an incident", ("repeated: no, it fires but has no incident", "routed: root (everything)")),
    (
        "still firing long after a person resolved it",
        ("repeated: still firing although INC-1 is resolved, so it counts as new", "routed: root (everything)"),
    ),
    ("no route", ("repeated: no, it was not firing before",)),
    ("a repeated firing", ()),
]


@pytest.mark.parametrize(("name", "trail"), TRAILS)
def test_the_trail_says_which_stages_it_passed_and_why(name: str, trail: tuple[str, ...]) -> None:
    (case,) = [case for case in CASES if case.name == name]
    assert judged(case).trail == trail


def test_the_trail_names_every_route_that_it_takes() -> None:
    root = route(routes=(route("root/0", "severity=critical", go_on=True), route("root/1", 'service=~"check.*"')))
    verdict, passing = triage(alert(severity="critical"), View(root), NOW)
    assert verdict.trail[1] == 'routed: root/0 (severity="critical"), then root/1 (service=~"check.*")'
    assert [one.path for one in passing.routes] == ["root/0", "root/1"]


def test_the_group_is_that_of_the_first_route() -> None:
    root = route(routes=(route("root/0", go_on=True, group_by=("service",)), route("root/1", group_by=("alertname",))))
    verdict, passing = triage(alert(), View(root), NOW)
    assert (verdict.group_key, passing.group_labels) == ('root/0{"service":"checkout"}', {"service": "checkout"})


def test_the_order_of_the_stages_is_written_once() -> None:
    assert [stage.__name__ for stage in STAGES] == ["repeated", "routed", "grouped"]


# ------------------------------------------------------------------------------------------------ whatever comes, in whatever order

minutes = st.integers(0, 90).map(ago)
alerts = st.builds(alert, firing=st.booleans(), starts_at=minutes, ends_at=st.none() | minutes)
incidents = st.builds(incident, st.sampled_from(State), st.none() | minutes)


@given(alerts, st.none() | alerts, st.none() | incidents, st.none() | incidents)
def test_every_alert_gets_one_of_the_outcomes_and_a_reason(
    one: Alert, before: Alert | None, own: Incident | None, group: Incident | None
) -> None:
    known = state_of(before, own.id if own else None) if before else None
    verdict = judged(Case("any", one, "", "", known, own, group))
    assert verdict.outcome in OUTCOMES
    assert verdict.reason
    assert not (verdict.outcome == "joined" and not (group and group.is_open))
    assert not (one.firing and verdict.outcome == "resolved")
    assert one.firing or verdict.outcome in ("ignored", "repeated", "resolved")


@given(alerts, st.none() | alerts, st.none() | incidents)
def test_the_same_alert_and_view_always_give_the_same_verdict(
    one: Alert, before: Alert | None, own: Incident | None
) -> None:
    case = Case("any", one, "", "", state_of(before) if before else None, own)
    assert judged(case) == judged(case)


@given(alerts.filter(lambda one: one.firing), st.none() | alerts.filter(lambda one: one.firing), st.none() | incidents)
def test_a_firing_alert_is_never_ignored_unless_it_is_older_than_its_resolve(
    one: Alert, before: Alert | None, own: Incident | None
) -> None:
    assert judged(Case("any", one, "", "", state_of(before) if before else None, own)).outcome != "ignored"
