"""Any JSON that tells of alerts, by mapping its fields. `{"title": "Disk full", "status": "firing"}` works without configuration.

    sources:
      uptime:
        type: generic
        bearer: env:UPTIME_TOKEN
        name: {template: "{{ body.monitor.name }} on {{ body.host }}"}
        status: alert_type_name         # a path, or several of which the first that finds something counts
        resolved_values: [up]           # every other status fires
        severity_values: {p1: critical} # what the payload calls it, and what it is called here
        labels:
          service: monitor.tags[0]
          region: $.account.region      # from the top of the body rather than from the alert
          hosts: checks[*].host         # of every item, joined with commas
          team: {constant: platform}

A path goes through objects by name and through lists by number: `data.items[0].title`, `["odd.name"].x`, `items[-1]`. A template (Jinja2, bounded)
has `alert`, `body`, `query`, and of the request's headers those that `headers` names; numbers in it are texts as they were written (`| float`
makes one to count with). Forms and parameters of the address are read like an object of texts; plain text with `text: true`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bot.domain.alert import Alert
from bot.domain.incoming import Incoming, Parsed
from bot.domain.naming import nearest
from bot.errors import BadInput
from bot.plugins import payload
from bot.plugins.paths import NOT_THERE, Fields, Made, Path, Paths, Several, Wanted, names_in, steps

METHODS = ("POST", "PUT", "GET")

EXPECTED = "an alert as a JSON object, a form or parameters of the address"
FORM = "application/x-www-form-urlencoded"
LONGEST_HEADER = 1_000
LONGEST_TITLE = 150
RESOLVED = (
    "resolved",
    "resolve",
    "ok",
    "okay",
    "closed",
    "close",
    "recovered",
    "recovery",
    "normal",
    "up",
    "inactive",
    "success",
)
_SECRET = re.compile(r"authorization|cookie|token|secret|signature|password|api-?key", re.I)


class Params(BaseModel):
    """Where the fields are: each a path, `{template: …}`, `{constant: …}`, or a list of them. Paths are relative to the alert; `$` is the whole body.

    `alerts` is the list of alerts (or the one alert; empty: the body itself). All members of the objects at `labels_from` become labels.
    Without a `fingerprint` in the payload it is computed from the labels other than severity. `headers` are those that templates may use.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    alerts: Path = ""
    name: Several = ("title", "name", "alertname", "labels.alertname")
    status: Several = ("status", "state")
    resolved_values: tuple[str, ...] = RESOLVED
    severity: Several = ("severity", "priority", "level")
    severity_values: dict[str, str] = {}
    summary: Several = ("summary", "message")
    description: Several = ("description", "details")
    fingerprint: Several = ("fingerprint", "dedup_key")
    starts_at: Several = ("starts_at", "startsAt", "started_at")
    url: Several = ("url", "link")
    labels_from: Paths = ("labels", "tags")
    labels: dict[str, Wanted] = {"service": "service"}
    text: bool = Field(
        default=False, description="plain text is an alert: its first line the name, all of it the summary"
    )
    headers: tuple[str, ...] = Field(default=(), max_length=20, description="the headers that templates may use")

    @field_validator("headers")
    @classmethod
    def _no_secrets(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if _SECRET.search(name):
                raise ValueError(f"{name[:60]!r} may hold a secret, so templates cannot use it; name another header")
        return tuple(name.lower() for name in names)

    @model_validator(mode="after")
    def _headers_named(self) -> Self:
        """A template uses only the headers that `headers` names."""
        several = (self.name, self.status, self.severity, self.summary, self.description, self.fingerprint,
                   self.starts_at, self.url, tuple(self.labels.values()))  # fmt: skip
        for made in (one for fields in several for one in fields if isinstance(one, Made)):
            for first, *rest in names_in(made.template):
                if first == "headers" and rest and rest[0] not in self.headers:
                    name = str(rest[0])[:60]
                    near = nearest(name, self.headers)
                    raise ValueError(f"a template uses the header {name!r}, which `headers` does not name{near}")
        return self


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """The alerts of one delivery, read as `params` says. Raises BadInput when there is no alert where `alerts` points."""
    root = _root(incoming, params)
    fields = Fields(root, _given(incoming, params))
    items = _items(fields, params.alerts)
    where = params.alerts or "body"
    if items is NOT_THERE:
        raise BadInput(
            f"{where}: found nothing there; expected a list of alerts ({payload.found(root).removeprefix('found ')} came in)"
        )
    if not isinstance(items, (list, dict)):
        raise BadInput(f"{where}: {payload.found(items)}; expected an alert as an object, or a list of them")

    def one(item: Any, path: str) -> Alert:
        fields.about(item, path)
        return _alert(item, fields, path, source, params, now)

    return payload.collected(items if isinstance(items, list) else [items], one, where)


# ------------------------------------------------------------------------------------------------ the body


def _root(incoming: Incoming, params: Params) -> Any:
    """The body as JSON values, whatever it was written as."""
    body = incoming.body.strip()
    kind = incoming.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not body and incoming.query:
        return payload.fields(Incoming(b"", query=incoming.query), EXPECTED)
    json_like = body.startswith((b"{", b"["))
    form = kind == FORM and b"=" in body and not json_like
    if params.text and body and not form and "json" not in kind and not json_like:
        return _plain(body)
    if form:
        fields = payload.fields(Incoming(incoming.body), EXPECTED)
        own = fields.get("payload")  # some products put their JSON into a form
        return payload.load(own.encode(errors="replace")) if len(fields) == 1 and isinstance(own, str) else fields
    return payload.load(incoming.body)


def _plain(body: bytes) -> dict[str, str]:
    whole = payload.text(body.decode(errors="replace").replace("\x00", "\ufffd"))
    return {"title": payload.shortened(whole.splitlines()[0], LONGEST_TITLE), "message": whole}


def _given(incoming: Incoming, params: Params) -> Mapping[str, Mapping[str, str]]:
    """What templates have besides the body, bounded."""
    query = list(incoming.query.items())[: payload.MOST_LABELS]
    headers = {name: incoming.headers[name] for name in params.headers if name in incoming.headers}
    return {
        "headers": {name: payload.text(value, LONGEST_HEADER) for name, value in headers.items()},
        "query": {payload.text(name, payload.LONGEST_NAME): payload.text(value) for name, value in query},
    }


def _items(fields: Fields, path: str) -> Any:
    """What is at `alerts`; with `[*]` in it: all that is there, lists taken apart."""
    if None not in steps(path):
        return fields.at(path)
    found = fields.every(path)
    return [one for value in found for one in (value if isinstance(value, list) else [value])] if found else NOT_THERE


# ------------------------------------------------------------------------------------------------ one alert


def _alert(item: Any, fields: Fields, path: str, source: str, params: Params, now: datetime) -> Alert:
    if not isinstance(item, dict):
        raise BadInput(f"{path}: {payload.found(item)}; expected an object")
    name = fields.text(fields.first(params.name, "name"))
    if not name:
        looked = ", ".join(one if isinstance(one, str) else "a template" for one in params.name)
        raise BadInput(
            f"{path}: no name at {looked}; {payload.found(item)}; set `name` to the path of the alert's name"
        )
    labels, lost = _labels(fields, path, params)
    labels["alertname"] = name
    identity = dict(labels)
    if severity := fields.text(fields.first(params.severity, "severity")).strip().lower():
        known = {name.lower(): value for name, value in params.severity_values.items()}
        labels["severity"] = known.get(severity, severity)
    identity.pop("severity", None)  # what has resolved often says severity: ok
    annotations = {
        "summary": fields.text(fields.first(params.summary, "summary")),
        "description": fields.text(fields.first(params.description, "description")),
    }
    if lost:
        annotations["clipped"] = f"{lost} labels more than {payload.MOST_LABELS} were left out"
    status = fields.text(fields.first(params.status, "status")).strip().lower()
    return Alert(
        source=source,
        fingerprint=payload.fingerprint(fields.first(params.fingerprint, "fingerprint"), identity),
        firing=status not in {value.lower() for value in params.resolved_values},
        labels=labels,
        annotations={key: value for key, value in annotations.items() if value},
        starts_at=payload.not_after(payload.time(fields.first(params.starts_at, "starts_at")), now) or now,
        url=payload.link(fields.first(params.url, "url")),
    )


def _labels(fields: Fields, path: str, params: Params) -> tuple[dict[str, str], int]:
    """All members of the objects at `labels_from`, then those of `labels`; and how many were too many to keep."""
    labels: dict[str, str] = {}
    lost = 0
    for one in params.labels_from:
        value = fields.at(one)
        if isinstance(value, dict):
            more, too_many = fields.texts(value, f"{path}.{one}")
            labels, lost = labels | more, lost + too_many
    for name, wanted in params.labels.items():
        value = fields.made(wanted, f"label {name}")
        if value is not NOT_THERE and value is not None:
            labels[name] = fields.text(value)
    return labels, lost
