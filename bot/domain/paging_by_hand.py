"""What people decide about paging: whom to page by name, how long that goes on, and what another severity means for it. Called by flow/incidents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

from bot.domain import effects, lifecycle, paging
from bot.domain.alert import AlertState
from bot.domain.escalation import Level, Policy
from bot.domain.incident import Change, Incident, entered, refreshed
from bot.domain.naming import clipped, nearest
from bot.domain.people import Actor
from bot.domain.rules import Rules
from bot.errors import BadInput

KINDS = ("person", "schedule", "rotation", "group", "channel", "medium", "policy")
TRIES = 3
PATIENCE = timedelta(minutes=5)


def asked_for(target: str, rules: Rules, now: datetime) -> Policy | str:
    """The policy, or the target as it was given. BadInput when there is no such thing, or nobody behind it now."""
    kind, colon, name = target.strip().partition(":")
    shown = clipped(target, 80)
    if not colon or not name or kind not in KINDS:
        raise BadInput(
            f"{shown!r} cannot be paged: write person:NAME, schedule:NAME, group:NAME, channel:NAME, medium:NAME or policy:NAME."
        )
    if kind == "policy":
        if name not in rules.escalations:
            raise BadInput(
                f"There is no escalation policy {clipped(name, 80)!r}{nearest(name, rules.escalations) or '.'}"
            )
        return rules.escalations[name]
    directory = rules.directory
    every = {
        "person": directory.people,
        "schedule": directory.schedules,
        "rotation": directory.schedules,
        "group": directory.groups,
        "medium": directory.media,
    }
    if kind in every and name not in every[kind]:
        raise BadInput(f"There is no {kind} {clipped(name, 80)!r}{nearest(name, every[kind]) or '.'}")
    if not directory.resolve(f"{kind}:{name}", now):
        raise BadInput(f"Nobody is behind {shown} now: page a person, or another schedule.")
    return f"{kind}:{name}"


def on_the_spot(target: str, rules: Rules) -> Policy:
    """A policy that pages this target again and again, and then whoever is paged for what has no policy of its own."""
    level = Level(targets=(target,), timeout=PATIENCE)
    usual = rules.escalations.get(rules.default_escalation)
    after = usual.levels * (usual.repeat + 1) if usual else ()
    deadlines = (usual.remind_after, usual.expires_after) if usual else (None, None)
    return Policy(
        key=f"by hand: {rules.directory.name_of(target)}",
        levels=(level,) * TRIES + after,
        remind_after=deadlines[0],
        expires_after=deadlines[1],
    )


def severity_changed(
    incident: Incident, severity: str, alerts: Sequence[AlertState], actor: Actor, rules: Rules, now: datetime
) -> Change:
    """A person says how bad it is. `alerts`: its own, for the routes that they take as that severity."""
    taxonomy, before = rules.signal.taxonomy, incident.severity
    allowed = taxonomy.through(severity)
    worse = taxonomy.rank(severity) < taxonomy.rank(before)
    if worse:
        media = tuple(dict.fromkeys((*incident.media, *allowed))) if incident.media else ()
    else:
        media = tuple(one for one in incident.media if one in allowed) or allowed
    change = lifecycle.severity_set(incident, severity, actor, now, media)
    if not worse:
        return change
    routes = [
        route
        for state in alerts
        if state.alert.firing
        for route in rules.signal.routing.find({**state.alert.labels, taxonomy.label: severity})
    ]
    policies = rules.policies_of(routes)
    why = f"a route for {severity} matches"
    change = change.then(
        partial(paging.worse, before=before, now=now)
    )  # first: further policies would seem to page already
    return change.then(partial(paging.paged_as_well, policies=policies, now=now, why=why))


def asked(incident: Incident, wanted: Policy | str, why: str, actor: Actor, rules: Rules, now: datetime) -> Change:
    """Somebody is asked for in an incident that is open: by a policy, which goes on until somebody acknowledges, or by name."""
    if not incident.is_open:
        raise BadInput(f"{incident.ref} is {incident.state}. Page without it, and a new incident is opened.")
    if isinstance(wanted, Policy):
        return paging.paged_as_well(incident, (wanted,), now, f"{actor.name} asks for it: {why}")
    text = f"{actor.name} asks for {rules.directory.name_of(wanted)}: {why}"
    change = refreshed(entered(incident, "asked_for", text, now, actor=actor.name, data={"target": wanted}), now)
    key = f"by-hand-{incident.id}-{change.incident.seq}"
    return change.ask(effects.summon(incident.id, key, wanted, f"{actor.name}: {why}", now))


def named(wanted: Policy | str, rules: Rules) -> str:
    return f"policy {wanted.key}" if isinstance(wanted, Policy) else rules.directory.name_of(wanted)
