"""Triage: what becomes of one alert, and why. Pure; called by flow/judging for every alert, in order.

The order of the stages is written once, in `STAGES`. A stage passes the alert on (None) or says why it ends here (a `Verdict`). What a stage asks has
a module of its own (silence, inhibition, flapping, …); what it finds goes into the trail, so that everything can be explained afterwards (P8).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bot.domain.alert import Alert, Held
from bot.domain.flapping import shown
from bot.domain.incident import Incident
from bot.domain.passing import Passing, Verdict, View
from bot.domain.quiet import held_by
from bot.domain.silence import Silence, shown_time
from bot.domain.storm import storm_key

Stage = Callable[[Passing, View, datetime], Verdict | None]
REORDERED = timedelta(minutes=15)  # a copy of a firing that comes so long after its resolve is not a late copy any more
LOOK_AGAIN = timedelta(minutes=5)  # at what has no end of its own


def triage(passing: Passing, view: View, now: datetime) -> Verdict:
    """The verdict on one alert."""
    for name, stage in STAGES.items():
        passing.stage = name
        verdict = stage(passing, view, now)
        if verdict is not None:
            return verdict
    raise AssertionError("the last stage, storm, always decides")


# ------------------------------------------------------------------------------------------------ is there anything new?


def relabel(passing: Passing, view: View, now: datetime) -> Verdict | None:
    """Labels are set and mapped; what a rule drops ends here, unless it fires already: its end must still be heard of, and its incident goes on."""
    found, known = passing.relabelled, passing.known
    if found.alert is None:
        incident = view.incident_at(known)
        goes_on = not passing.given.firing or (incident is not None and (incident.is_open or incident.reopens(now)))
        if known is None or not known.alert.firing or not goes_on:
            return passing.ends("dropped", f"relabel rule {found.dropped_by!r} drops it")
        passing.trail.append(f"relabel: rule {found.dropped_by!r} drops it from its next firing on")
    elif found.by:
        passing.trail.append(f"relabel: changed by {', '.join(found.by)}")
    return None


def repeated(passing: Passing, view: View, now: datetime) -> Verdict | None:
    """What is known already."""
    alert, known = passing.alert, passing.known
    incident = view.incident_at(passing.known)
    if known is None or _calm(passing, view):
        return None
    if not alert.firing:
        where = incident.ref if incident else "no incident"
        return None if known.alert.firing else passing.ends("repeated", f"it is resolved already ({where})", incident)
    if not known.alert.firing:
        return None
    if known.held is not None:
        passing.trail.append(f"repeated: it is held ({known.held.by}), and is looked at again")
        return None
    if incident is None:
        passing.trail.append("repeated: it fires already, but has no incident")
        return None
    if incident.is_open:
        return _goes_on(passing, view, incident, now)
    if incident.reopens(now):
        return passing.ends("repeated", f"still firing; {incident.ref} was resolved a short while ago", incident)
    passing.trail.append(f"repeated: still firing although {incident.ref} is {incident.state}, so it counts as new")
    return None


def _goes_on(passing: Passing, view: View, incident: Incident, now: datetime) -> Verdict:
    """It fires on. What was acknowledged as a warning is no mere repeat when it is critical, unless there is a reason to stay quiet."""
    said = f"it is firing already and belongs to {incident.ref}"
    if not worse(passing, incident):
        return passing.ends("repeated", said, incident)
    for stage in (silenced, in_maintenance, inhibited, quiet_hours):
        if (quiet := stage(passing, view, now)) is not None:
            passing.put_off = True
            passing.trail.append(f"repeated: it is {passing.severity} now, but {quiet.reason}")
            return passing.ends("repeated", said, incident)
    return passing.ends("repeated", f"{said}; it is {passing.severity} now, which is worse", incident, worse=True)


def worse(passing: Passing, incident: Incident) -> bool:
    """Whether an alert that fires on is more severe than it was, and than its incident is. A person may have made that less severe."""
    alert, known, taxonomy = passing.alert, passing.known, passing.signal.taxonomy
    if known is None or not (alert.firing and known.alert.firing) or passing.relabelled.alert is None:
        return False
    changed = alert.labels != known.alert.labels or (
        taxonomy.burn_rate is not None and alert.annotations != known.alert.annotations
    )
    if not changed or alert.starts_at < known.alert.starts_at:
        return False
    before = Passing(known.alert, passing.signal, again=True).severity
    return taxonomy.rank(passing.severity) < min(taxonomy.rank(before), taxonomy.rank(incident.severity))


def stale(passing: Passing, view: View, now: datetime) -> Verdict | None:
    """What comes too late to matter: the order in which deliveries arrive is not the order of what they tell of."""
    alert, known = passing.alert, passing.known
    if not alert.firing:
        if known is None:
            return passing.ends("ignored", "a resolve for an alert that has not fired here: nothing to resolve")
        if known.alert.firing and _of_an_earlier_firing(alert, known.alert):
            reason = "a resolve of an earlier firing: it has fired again since"
            return passing.ends("ignored", reason, view.incident_at(passing.known))
        return None
    if known is None or known.alert.firing:
        return None
    if _over_before_heard_of(passing, now):
        over_at = known.alert.ends_at or known.alert.starts_at
        passing.late = True
        passing.trail.append(f"stale: it was over at {shown_time(over_at)}, which was heard of first")
    elif _older(passing, now):
        reason = "an older firing than the one that has resolved since"
        return passing.ends("ignored", reason, view.incident_at(passing.known))
    return None


def _of_an_earlier_firing(over: Alert, firing: Alert) -> bool:
    """Whether this end is not that of the firing that is known: it may begin again in the moment in which it was over."""
    if over.ends_at is None:
        return False
    return over.ends_at < firing.starts_at or over.starts_at < over.ends_at == firing.starts_at


def over_already(passing: Passing, now: datetime) -> bool:
    """Whether it tells of a firing whose end is known."""
    return _over_before_heard_of(passing, now) or _older(passing, now)


def _over_before_heard_of(passing: Passing, now: datetime) -> bool:
    """Whether the end of this firing came in a short while ago, and the firing itself only comes now."""
    alert, known = passing.alert, passing.known
    if known is None or known.alert.firing or now - known.last_seen > REORDERED:
        return False
    over_at = known.alert.ends_at or known.alert.starts_at
    if known.orphan:
        return alert.starts_at < over_at or alert.starts_at == known.alert.starts_at
    return alert.starts_at == known.alert.starts_at < over_at and alert.starts_at not in known.fired


def _older(passing: Passing, now: datetime) -> bool:
    """Whether it is a late copy of a firing that is over."""
    alert, known = passing.alert, passing.known
    if known is None or known.alert.firing or known.orphan:
        return False
    same = alert.starts_at == known.alert.starts_at < (known.alert.ends_at or known.alert.starts_at)
    return alert.starts_at < known.alert.starts_at or (same and now - known.last_seen <= REORDERED)


# ------------------------------------------------------------------------------------------------ is there a reason to stay quiet?


def silenced(passing: Passing, view: View, now: datetime) -> Verdict | None:
    """Somebody said that it is to be quiet for a while."""
    if not passing.alert.firing or _held_open(passing, view):
        return None
    return _covered(passing, "silenced", view.silences.covering(passing.alert.labels, now), now)


def in_maintenance(passing: Passing, view: View, now: datetime) -> Verdict | None:
    """It is being worked on: a window in the configuration, or one that somebody made."""
    if not passing.alert.firing or _held_open(passing, view):
        return None
    return _covered(passing, "maintenance", view.maintenance.covering(passing.alert.labels, now), now)


def _held_open(passing: Passing, view: View) -> bool:
    """It flaps, and counts as one of its open incident's until it is calm: nobody is paged for it, and nothing else may take it out of there."""
    if passing.known is None or passing.known.calm_at is None:
        return False
    incident = view.incident_at(passing.known)
    return incident is not None and incident.is_open


def _calm(passing: Passing, view: View) -> bool:
    """It flapped, and nothing has changed since. Its end counts although a person has resolved the incident: that was not told of before."""
    if passing.known is None or passing.known.calm_at is None or not passing.again:
        return False
    incident = view.incident_at(passing.known)
    return incident is not None and (incident.is_open or not passing.known.alert.firing)


def _covered(passing: Passing, outcome: str, by: Silence | None, now: datetime) -> Verdict | None:
    if by is None:
        return None
    return _held(passing, outcome, by.key, by.why(now), by.until(now) or now + LOOK_AGAIN)


def inhibited(passing: Passing, view: View, now: datetime) -> Verdict | None:
    """Another alert that fires explains it."""
    if not passing.alert.firing or not view.inhibitors or _held_open(passing, view):
        return None
    for reason in view.signal.inhibition.held_under(passing.alert):
        others = [name for key, name in view.inhibitors.get(reason.key, {}).items() if key != passing.alert.key]
        if others:
            return _held(passing, "inhibited", reason.key, f"{reason.said} {min(others)}", now + LOOK_AGAIN)
    return None


def flapping(passing: Passing, view: View, now: datetime) -> Verdict | None:
    """It comes and goes: its incident is held open, and nobody is paged again, until nothing has changed for a while."""
    alert, known, rule = passing.alert, passing.known, view.signal.flapping
    incident = view.incident_at(passing.known)
    if known is None or incident is None:
        return None
    if _calm(passing, view):
        calm = f"it has been calm for {shown(rule.calm)}"
        if known.alert.firing:
            return passing.ends("repeated", f"{calm}: it fires without a break", incident, calm=True)
        return passing.ends("resolved", f"{calm}: it no longer fires", incident, calm=True)
    if _held_open(passing, view):
        return passing.ends("flapping", f"it flaps: {incident.ref} is held open until it is calm", incident)
    if alert.firing and not known.alert.firing and not passing.late and not alert.test:
        passing.flaps = rule.flaps(rule.begun(known.fired, alert.starts_at))
        if passing.flaps:
            passing.trail.append(f"flapping: {rule.said()}")
    return None


def resolved(passing: Passing, view: View, now: datetime) -> Verdict | None:
    """Whatever does not fire ends here."""
    if passing.alert.firing:
        return None
    incident, held = view.incident_at(passing.known), passing.known.held if passing.known else None
    where = incident.ref if incident else f"no incident: it was held by {held.by}" if held else "no incident"
    return passing.ends("resolved", f"it no longer fires ({where})", incident)


def quiet_hours(passing: Passing, view: View, now: datetime) -> Verdict | None:
    """Not bad enough for this time of day: it waits for the end of the hours, and stands in the digest.

    The most severe waits for people's own hours only when nobody on any level of its policies can be paged.
    """
    found = held_by(view.signal.quiet, passing.alert.labels, passing.severity, now) if view.signal.quiet else None
    if found is not None:
        hours, until = found
        reason = f"quiet hours {hours.name!r} for {passing.severity} until {shown_time(until)}"
        return _held(passing, "quiet", f"quiet:{hours.name}", reason, until)
    whom = view.first_paged
    if whom and view.signal.taxonomy.rank(passing.severity) == 0:
        whom = view.on_policy
    paged = (whom.get(route.policy, ()) for route in passing.routes) if whom else ()
    people = list(dict.fromkeys(target for targets in paged for target in targets))
    free = [view.directory.free_at(target, passing.severity, now) for target in people]
    if free and all(at is not None for at in free):
        soonest = min(at for at in free if at is not None)
        names = ", ".join(view.directory.name_of(target) for target in people)
        reason = f"{names} cannot be paged for {passing.severity} until {shown_time(soonest)}, by their own hours"
        return _held(passing, "quiet", "quiet:people", reason, soonest)
    return None


# ------------------------------------------------------------------------------------------------ whose is it, and is it one of many?


def routed(passing: Passing, view: View, now: datetime) -> Verdict | None:
    """The label tree: which policies and which grouping. What may only be logged ends here."""
    routes = passing.routes
    if not routes:
        return passing.ends("ignored", "no route matches its labels, not even the root")
    passing.trail.append(f"routed: {routes[0]}" if len(routes) == 1 else "routed: " + ", then ".join(map(str, routes)))
    if passing.only_logged:
        return passing.ends("logged", f"{passing.severity} is only logged ({passing.judged.because})")
    return None


def grouped(passing: Passing, view: View, now: datetime) -> Verdict | None:
    """The incident it belongs to: an open one of its group, or one to reopen. A new group may have to wait for what explains it."""
    route = passing.routes[0]
    incident = view.incidents.get(passing.group_key)
    if incident is not None and (incident.is_open or incident.reopens(now)):
        return _in_group(passing, incident)
    known = passing.known.held if passing.known else None
    waiting = known if known is not None and known.outcome == "waiting" else None
    if route.wait and not passing.late and (waiting is not None or not passing.again):
        until = waiting.again_at if waiting and waiting.again_at else now + route.wait
        if now < until:
            return _held(
                passing, "waiting", f"group:{passing.group_key}", f"its group waits {shown(route.wait)}", until
            )
    passing.trail.append(f"grouped: nothing is open for this group (by {route.by})")
    return None


def _in_group(passing: Passing, incident: Incident) -> Verdict:
    route = passing.routes[0]
    more = {"group_key": passing.group_key, "flaps": passing.flaps}
    if passing.late:
        return passing.ends(
            "late", f"it fired and was over before it was heard of; {incident.ref} has its group", incident, **more
        )
    if incident.is_open:
        return passing.ends("joined", f"{incident.ref} is open for this group (by {route.by})", incident, **more)
    reason = f"{incident.ref} was resolved less than {shown(route.reopen_within)} ago"
    return passing.ends("reopened", reason, incident, **more)


def storm(passing: Passing, view: View, now: datetime) -> Verdict | None:
    """A new incident, unless there have been too many: then one for all of them."""
    route, rule = passing.routes[0], view.signal.storm
    key = storm_key(route)
    incident = None if passing.alert.test else view.incidents.get(key)
    blows = not passing.alert.test and rule.blows(view.opened.get(route.key, ()), now)
    if incident is not None and (blows or rule.still(incident.storm_at, now)):
        reason = f"{incident.ref} is a storm of alerts on {route.path}"
        if incident.is_open:
            return passing.ends("joined", reason, incident, group_key=key, storm=True)
        if incident.reopens(now):
            reason += ", and was resolved a short while ago"
            return passing.ends("reopened", reason, incident, group_key=key, storm=True)
    if blows:
        many = f"more than {rule.more_than} incidents on {route.path} within {shown(rule.within)}"
        return passing.ends("opened", f"{many}: a storm, which is one incident", group_key=key, storm=True)
    return passing.ends(
        "opened", f"nothing is open for this group (by {route.by})", group_key=passing.group_key, flaps=passing.flaps
    )


def _held(passing: Passing, outcome: str, by: str, reason: str, again_at: datetime) -> Verdict:
    """What was over before it was heard of need not be looked at again."""
    return passing.ends(outcome, reason, held=None if passing.late else Held(outcome, by, again_at.astimezone(UTC)))


STAGES: dict[str, Stage] = {
    "relabel": relabel,
    "repeated": repeated,
    "stale": stale,
    "silenced": silenced,
    "in maintenance": in_maintenance,
    "inhibited": inhibited,
    "flapping": flapping,
    "resolved": resolved,
    "quiet hours": quiet_hours,
    "routed": routed,
    "grouped": grouped,
    "storm": storm,
}
