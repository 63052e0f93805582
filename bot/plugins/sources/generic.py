"""Any JSON that tells of alerts, by mapping its fields. `{"title": "Disk full", "status": "firing"}` works without configuration.

    sources:
      uptime:
        type: generic
        bearer: env:UPTIME_TOKEN
        name: monitor.name              # a path, or several of which the first that finds something counts
        status: alert_type_name
        resolved_values: [up]           # every other status fires
        severity_values: {p1: critical} # what the payload calls it, and what it is called here
        labels:
          service: monitor.tags[0]
          region: $.account.region      # from the top of the body rather than from the alert
          team: {constant: platform}

A path goes through objects by name and through lists by number: `data.items[0].title`, `["odd.name"].x`, `items[-1]`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from bot.domain.alert import Alert
from bot.domain.incoming import Incoming, Parsed
from bot.errors import BadInput
from bot.plugins import payload

_STEP = re.compile(r"""\.?(?P<name>[^.\[\]"\s]+)|\[(?P<index>-?\d{1,6})\]|\.?\["(?P<quoted>[^"]*)"\]""")
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
NOT_THERE = object()


@lru_cache(maxsize=1024)
def steps(path: str) -> tuple[str | int, ...]:
    """The names and numbers of a path, `$` first when it starts at the top. Raises ValueError."""
    found: list[str | int] = []
    at = 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise ValueError(f"not a path: {path!r} at {path[at : at + 20]!r}; write it like data.items[0].title")
        if step["index"] is not None:
            found.append(int(step["index"]))
        else:
            found.append(step["name"] if step["name"] is not None else step["quoted"])
        at = step.end()
    return tuple(found)


def _checked(path: str) -> str:
    steps(path)
    return path


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Path = Annotated[str, AfterValidator(_checked)]
Paths = Annotated[tuple[Path, ...], BeforeValidator(_several)]


class Constant(BaseModel):
    """A text that every alert gets."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    constant: str


class Params(BaseModel):
    """Where the fields are. Each is a path or a list of paths, relative to the alert; one that starts with `$` is from the top of the body.

    `alerts` is the list of alerts (or the one alert; empty: the body itself). All members of the objects at `labels_from` become labels.
    Without a `fingerprint` in the payload it is computed from the labels other than severity.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    alerts: Path = ""
    name: Paths = ("title", "name", "alertname", "labels.alertname")
    status: Paths = ("status", "state")
    resolved_values: tuple[str, ...] = RESOLVED
    severity: Paths = ("severity", "priority", "level")
    severity_values: dict[str, str] = {}
    summary: Paths = ("summary", "message")
    description: Paths = ("description", "details")
    fingerprint: Paths = ("fingerprint", "dedup_key")
    starts_at: Paths = ("starts_at", "startsAt", "started_at")
    url: Paths = ("url", "link")
    labels_from: Paths = ("labels", "tags")
    labels: dict[str, Path | Constant] = {"service": "service"}


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """The alerts of one delivery, read as `params` says. Raises BadInput when there is no alert where `alerts` points."""
    root = payload.load(incoming.body)
    items = _at(root, root, params.alerts)
    where = params.alerts or "body"
    if items is NOT_THERE:
        raise BadInput(
            f"{where}: found nothing there; expected a list of alerts ({payload.found(root).removeprefix('found ')} came in)"
        )
    if not isinstance(items, (list, dict)):
        raise BadInput(f"{where}: {payload.found(items)}; expected an alert as an object, or a list of them")

    def one(item: Any, path: str) -> Alert:
        return _alert(item, root, path, source, params, now)

    return payload.collected(items if isinstance(items, list) else [items], one, where)


def _alert(item: Any, root: Any, path: str, source: str, params: Params, now: datetime) -> Alert:
    if not isinstance(item, dict):
        raise BadInput(f"{path}: {payload.found(item)}; expected an object")

    def first(paths: Sequence[str]) -> Any:
        values = (_at(item, root, one) for one in paths)
        return next((value for value in values if value is not NOT_THERE and value not in (None, "")), None)

    name = payload.text(first(params.name))
    if not name:
        raise BadInput(
            f"{path}: no name at {', '.join(params.name)}; {payload.found(item)}; set `name` to the path of the alert's name"
        )
    labels, lost = _labels(item, root, path, params)
    labels["alertname"] = name
    identity = dict(labels)
    if severity := payload.text(first(params.severity)).strip().lower():
        known = {name.lower(): value for name, value in params.severity_values.items()}
        labels["severity"] = known.get(severity, severity)
    identity.pop("severity", None)  # what has resolved often says severity: ok
    annotations = {
        "summary": payload.text(first(params.summary)),
        "description": payload.text(first(params.description)),
    }
    if lost:
        annotations["clipped"] = f"{lost} labels more than {payload.MOST_LABELS} were left out"
    status = payload.text(first(params.status)).strip().lower()
    return Alert(
        source=source,
        fingerprint=payload.fingerprint(first(params.fingerprint), identity),
        firing=status not in {value.lower() for value in params.resolved_values},
        labels=labels,
        annotations={key: value for key, value in annotations.items() if value},
        starts_at=payload.not_after(payload.time(first(params.starts_at)), now) or now,
        url=payload.link(first(params.url)),
    )


def _labels(item: Any, root: Any, path: str, params: Params) -> tuple[dict[str, str], int]:
    """All members of the objects at `labels_from`, then those of `labels`; and how many were too many to keep."""
    labels: dict[str, str] = {}
    lost = 0
    for one in params.labels_from:
        value = _at(item, root, one)
        if isinstance(value, dict):
            more, too_many = payload.texts(value, f"{path}.{one}")
            labels, lost = labels | more, lost + too_many
    for name, wanted in params.labels.items():
        value = wanted.constant if isinstance(wanted, Constant) else _at(item, root, wanted)
        if value is not NOT_THERE and value is not None:
            labels[name] = payload.text(value)
    return labels, lost


def _at(item: Any, root: Any, path: str) -> Any:
    """What is at a path, or NOT_THERE."""
    way = steps(path)
    value = item
    if way and way[0] == "$":
        value, way = root, way[1:]
    for step in way:
        if isinstance(step, str):
            value = value.get(step, NOT_THERE) if isinstance(value, dict) else NOT_THERE
        else:
            inside = isinstance(value, list) and -len(value) <= step < len(value)
            value = value[step] if inside else NOT_THERE
    return value
