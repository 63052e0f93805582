"""PagerDuty's Events API, answered by Tocsin: whatever can page PagerDuty can page Tocsin by changing one address.

    sources:
      pagerduty-events:
        type: pagerduty_events
        key: env:TOCSIN_ROUTING_KEY       # what senders call routing_key or integration key; or bearer, or a token in the address

Instead of https://events.pagerduty.com/v2/enqueue senders are given https://tocsin.example.com/webhooks/pagerduty-events/v2/enqueue; change
events go to v2/change/enqueue. The older generic/2010-04-15/create_event.json (service_key, event_type, incident_key) is understood too.

The problem is the `dedup_key`. A trigger without one gets one that is computed from source, component, group, class and summary and is told in
the answer: the same event twice is one problem here (PagerDuty opens two). Nothing is refused for its length: a summary is clipped at
1024 characters, a longer key than 255 is hashed, and the hash that the answer tells finds the same problem. Events count in the order of
their `timestamp`, and of arrival when they have none or one without a time zone.
Labels: alertname (the summary), severity, component, group, class, source, and of `custom_details` those that routing looks at (service, team,
env, cluster, namespace, app, deployment, job). All of `custom_details` is the annotation of that name, a line for each value.
Source: https://developer.pagerduty.com/docs/events-api-v2/trigger-events/ (alerts), .../send-change-events/, https://developer.pagerduty.com/docs/events-api-v1/trigger-events/
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict

from bot.domain.alert import Alert
from bot.domain.incoming import Acknowledged, ChangeEvent, Incoming, KeyPlace, Parsed
from bot.errors import BadInput
from bot.plugins import payload

AUTH = ("key", "token", "bearer")
KEY = KeyPlace(members=("routing_key", "service_key"))

ACTIONS = ("trigger", "acknowledge", "resolve")
LONGEST_SUMMARY = 1024
LONGEST_KEY = 255
MOST_DETAILS = 200
DEEPEST_DETAIL = 4
MOST_LINKS = 20
CLOCKS = timedelta(minutes=5)  # how far a sender's clock may be behind ours
DETAIL_LABELS = sorted(payload.FIRST_LABELS - {"alertname", "severity"})


class Params(BaseModel):
    """Nothing to set: the format says everything."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Event:
    """What both versions of the API say of an alert."""

    version: int
    action: str
    key: str
    about: dict[str, Any]
    body: dict[str, Any]

    def answer(self, key: str) -> Parsed:
        name = "incident_key" if self.version == 1 else "dedup_key"
        reply = {"status": "success", "message": "Event processed", name: key}
        return Parsed(status=200 if self.version == 1 else 202, reply=reply)


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """The alert, acknowledgement or change of one event, with the answer that PagerDuty would give. Raises BadInput with the field."""
    path = incoming.path.strip("/").lower()
    if path and not path.endswith(("enqueue", "create_event.json")):
        raise BadInput(
            f'path: found "{payload.shortened(path)}"; expected v2/enqueue, v2/change/enqueue or '
            "generic/2010-04-15/create_event.json after the source's name"
        )
    body = payload.members(incoming.body, "an event as PagerDuty's Events API takes it")
    if path.endswith("change/enqueue"):
        return _changed(body, source, now)
    event = _event(body)
    if event.action == "trigger":
        return _triggered(event, source, now)
    if not event.key:
        name = "incident_key" if event.version == 1 else "dedup_key"
        raise BadInput(f"{name}: {payload.found(body.get(name))}; expected the key of the trigger that this is about")
    key, fingerprint = _told(event.key), payload.fingerprint(event.key, {})
    parsed = event.answer(key)
    if event.action == "acknowledge":
        return Parsed(
            acknowledged=(Acknowledged(fingerprint, payload.word(body, "client", most=payload.LONGEST_NAME)),),
            status=parsed.status,
            reply=parsed.reply,
        )
    return Parsed((_over(event, source, fingerprint, now),), status=parsed.status, reply=parsed.reply)


# ------------------------------------------------------------------------------------------------ alert events


def _event(body: dict[str, Any]) -> Event:
    if not payload.word(body, "event_action") and payload.word(body, "event_type"):
        about: dict[str, Any] = {
            "summary": body.get("description"),
            "source": body.get("client"),
            "custom_details": body.get("details"),
        }
        return Event(1, _action(body, "event_type"), payload.word(body, "incident_key"), about, body)
    action = _action(body, "event_action")
    if action == "trigger" and not isinstance(body.get("payload"), dict):
        said = payload.found(body.get("payload"))
        raise BadInput(f"payload: {said}; expected an object with summary, source and severity")
    return Event(2, action, payload.word(body, "dedup_key"), payload.inner(body, "payload"), body)


def _action(body: dict[str, Any], name: str) -> str:
    action = payload.word(body, name).lower()
    if action in ACTIONS:
        return action
    wrong = f"{name}: {payload.found(body.get(name))}; expected trigger, acknowledge or resolve"
    if body.get(name) is None and isinstance(body.get("payload"), dict):
        raise BadInput(f"{wrong} (change events have no action: they go to v2/change/enqueue)")
    if "event" in body or "alerts" in body or "alert" in body:
        raise BadInput(f"{wrong}. The body: {payload.found(body)}; {payload.fitting(body)}")
    raise BadInput(wrong)


def _triggered(event: Event, source: str, now: datetime) -> Parsed:
    if not _title(event):
        name = "description" if event.version == 1 else "payload.summary"
        given = event.about.get("summary")
        raise BadInput(f"{name}: {payload.found(given)}; expected a text that says what is wrong")
    key = event.key or _computed(event)
    alert = _alert(event, source, payload.fingerprint(key, {}), _said_at(event.about, now) or now)
    told = event.answer(_told(key))
    return Parsed((alert,), status=told.status, reply=told.reply)


def _over(event: Event, source: str, fingerprint: str, now: datetime) -> Alert:
    """A resolve. Without a time of its own it starts a little earlier, so that the next trigger, timed by a clock behind ours, is no older one."""
    at = _said_at(event.about, now)
    fired = _alert(event, source, fingerprint, at or now - CLOCKS)
    return replace(fired, firing=False, ends_at=at or now)


def _said_at(about: Mapping[str, Any], now: datetime) -> datetime | None:
    """Its `timestamp`, when it says in which zone: somebody's local time would make every event an old one."""
    said = about.get("timestamp")
    return payload.not_after(payload.time(said), now) if isinstance(said, str) and _zoned(said) else None


def _zoned(time: str) -> bool:
    if isinstance(time, payload.Number) or time.strip().replace(".", "", 1).isdigit():
        return True
    try:
        return datetime.fromisoformat(time.strip()).tzinfo is not None
    except ValueError:
        return False


def _title(event: Event) -> str:
    """The summary; PagerDuty insists on one, but a page that lacks it is still a page."""
    names = ("summary", "class", "component", "source")
    return payload.word(event.about, *names, most=LONGEST_SUMMARY) or event.key[:LONGEST_SUMMARY]


def _computed(event: Event) -> str:
    """The key of a trigger that has none: the same for the same problem, however severe it is by now."""
    names = ("source", "component", "group", "class", "summary")
    canonical = json.dumps([payload.word(event.about, name) for name in names], ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def _told(key: str) -> str:
    """The key for the answer: sent back to us, it is the same problem."""
    return key if len(key) <= LONGEST_KEY else payload.fingerprint(key, {})


def _alert(event: Event, source: str, fingerprint: str, at: datetime) -> Alert:
    links = list(_links(event.body))
    return Alert(
        source=source,
        fingerprint=fingerprint,
        firing=True,
        labels=_labels(event),
        annotations=_annotations(event, links),
        starts_at=at,
        url=payload.link(payload.word(event.body, "client_url")) or next((href for href, _ in links), ""),
    )


def _labels(event: Event) -> dict[str, str]:
    about, details = event.about, event.about.get("custom_details")
    labels = {name: payload.word(details, name, most=payload.LONGEST_NAME) for name in DETAIL_LABELS}
    labels |= {name: payload.word(about, name, most=payload.LONGEST_NAME) for name in ("component", "group", "class")}
    labels["source"] = payload.word(about, "source", most=payload.LONGEST_NAME)
    labels["severity"] = (payload.word(about, "severity") or payload.word(details, "severity")).lower()
    labels["alertname"] = payload.name_in(_title(event))
    return payload.kept(labels)


def _annotations(event: Event, links: list[tuple[str, str]]) -> dict[str, str]:
    about, details = event.about, event.about.get("custom_details")
    annotations = {
        "summary": payload.word(about, "summary", most=LONGEST_SUMMARY),
        "description": payload.word(details, "description"),
        "custom_details": _lines(details),
        "client": payload.word(event.body, "client", most=payload.LONGEST_NAME),
        "links": payload.text("\n".join(f"{text}: {href}" if text else href for href, text in links)),
        "image": next(_images(event.body), ""),
    }
    return {name: said for name, said in annotations.items() if said}


def _links(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(address, text) of `links`, which version 1 calls `contexts` of the type link."""
    for one in _listed(body.get("links")) + _listed(body.get("contexts")):
        href = payload.link(payload.word(one, "href"))
        if href and payload.word(one, "type") != "image":
            yield href, payload.word(one, "text", most=payload.LONGEST_NAME)


def _images(body: Mapping[str, Any]) -> Iterator[str]:
    for one in _listed(body.get("images")) + _listed(body.get("contexts")):
        if src := payload.link(payload.word(one, "src")):
            yield src


def _listed(value: Any) -> list[Any]:
    return value[:MOST_LINKS] if isinstance(value, list) else []


def _lines(details: Any) -> str:
    """`custom_details` as text, `name: value` on a line each; objects within as `name.inner: value`, and what is deeper as JSON."""
    if not isinstance(details, dict):
        return payload.text(details).strip() if details else ""
    lines: list[str] = []
    waiting: list[tuple[str, Any, int]] = [(name, value, 1) for name, value in reversed(details.items())]
    while waiting and len(lines) < MOST_DETAILS:
        name, value, depth = waiting.pop()
        if isinstance(value, dict) and value and depth < DEEPEST_DETAIL:
            waiting += [(f"{name}.{inner}", one, depth + 1) for inner, one in reversed(value.items())]
        elif said := payload.text(value).strip():
            lines.append(f"{payload.text(name, payload.LONGEST_NAME)}: {said}")
    return payload.text("\n".join(lines))


# ------------------------------------------------------------------------------------------------ change events


def _changed(body: dict[str, Any], source: str, now: datetime) -> Parsed:
    about = body.get("payload")
    title = payload.word(about, "summary", most=LONGEST_SUMMARY)
    if not title:
        wrong = payload.found(about) if not isinstance(about, dict) else payload.found(about.get("summary"))
        raise BadInput(f"payload.summary: {wrong}; expected a text that says what was changed")
    about = payload.inner(body, "payload")
    details = about.get("custom_details")
    change = ChangeEvent(
        source=source,
        key=_change_key(body, about, now),
        kind="change",
        title=title,
        at=_said_at(about, now) or now,
        state=payload.word(details, "state", "status", "build_state", most=payload.LONGEST_NAME),
        service=payload.word(details, "service", "app", most=payload.LONGEST_NAME),
        environment=payload.word(details, "environment", "env", most=payload.LONGEST_NAME),
        author=payload.word(details, "author", "user", most=payload.LONGEST_NAME),
        url=next((href for href, _ in _links(body)), ""),
        labels=_change_labels(about, details),
    )
    return Parsed(changes=(change,), status=202, reply={"status": "success", "message": "Change event processed"})


def _change_key(body: Mapping[str, Any], about: Mapping[str, Any], now: datetime) -> str:
    """The same for the same event sent again. Without a time of its own, only within the hour: the next release may have the same words."""
    at = payload.word(about, "timestamp") or f"{now:%Y-%m-%dT%H}"
    said = [at, *(payload.text(value) for value in (about.get("summary"), about.get("source"), body.get("links")))]
    canonical = json.dumps([*said, payload.text(about.get("custom_details"))], ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def _change_labels(about: Mapping[str, Any], details: Any) -> dict[str, str]:
    labels = {"source": payload.word(about, "source", most=payload.LONGEST_NAME)}
    for name, value in list(details.items())[:MOST_DETAILS] if isinstance(details, dict) else ():
        labels.setdefault(payload.text(name, payload.LONGEST_NAME), payload.word({"": value}, ""))
    return payload.kept(labels)
