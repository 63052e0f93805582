"""Other people's JSON, read with tolerance and within bounds. Used by plugins/sources; every error says where, what was found and what was expected.

Numbers keep the spelling that they came with (`1.10`, a 19-digit id), NUL and half surrogates become U+FFFD (PostgreSQL and UTF-8 have no place for
them), and a number of digits or a depth that would hang the reader is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

from bot.domain.alert import Alert
from bot.domain.incoming import Incoming, Parsed
from bot.errors import BadInput

MOST_ALERTS = 10_000
MOST_LABELS = 200
LONGEST_NAME = 500
LONGEST_VALUE = 10_000
LONGEST_URL = 2_000
LONGEST_FINGERPRINT = 200
DEEPEST_CLEANED = 64
# Kept when an alert has too many labels: what routing and people look at first.
FIRST_LABELS = frozenset(
    {"alertname", "severity", "service", "app", "deployment", "job", "namespace", "cluster", "team", "env"}
)
_ODD_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_ODD = re.compile("[\x00\ud800-\udfff]")
_COUNT = re.compile(r"\A\s*\[(?:FIRING|RESOLVED)(?::\d{1,9})?(?:,\s?RESOLVED:\d{1,9})?\]")
_EPOCH_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))  # more than this: nano-, micro-, milliseconds
_EARLIEST = datetime(1971, 1, 1, tzinfo=UTC)  # before: Go's zero time, an epoch of 0

# What a body of each product has: to say which `type` would have read it.
_SHAPES: tuple[tuple[str, frozenset[str]], ...] = (
    ("grafana", frozenset({"alerts", "orgId"})),
    ("alertmanager", frozenset({"alerts", "receiver"})),
    ("grafana_legacy", frozenset({"ruleName", "evalMatches"})),
    ("pagerduty_events", frozenset({"event_action"})),
    ("sns", frozenset({"Type", "TopicArn", "MessageId"})),
    ("pagerduty", frozenset({"event", "event_type"})),
    ("opsgenie_webhook", frozenset({"action", "alert", "integrationId"})),
    ("sentry", frozenset({"action", "data", "installation"})),
    ("pingdom", frozenset({"check_id", "current_state"})),
    ("uptimerobot", frozenset({"monitorID", "alertType"})),
    ("newrelic", frozenset({"issueUrl", "alertPolicyNames"})),
    ("zabbix", frozenset({"event_id", "event_value", "trigger_id"})),
    ("google_cloud", frozenset({"incident", "version"})),
    ("argocd", frozenset({"app", "sync_status"})),
    ("healthchecks", frozenset({"code", "status", "now"})),
    ("datadog", frozenset({"alert_id", "alert_transition"})),
    ("datadog", frozenset({"event_type", "last_updated", "title"})),
    ("gitlab", frozenset({"object_kind"})),
    ("github", frozenset({"repository", "sender"})),
)


class Number(str):
    """A JSON number, in the spelling that it came with."""

    __slots__ = ()


_DECODER = json.JSONDecoder(parse_int=Number, parse_float=Number, parse_constant=Number)


# ------------------------------------------------------------------------------------------------ the whole body


def load(body: bytes) -> Any:
    """The JSON value in `body`. Raises BadInput with line and column, or the byte that is not UTF-8."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"body: byte {error.start} is not UTF-8 ({body[error.start]:#04x}); expected JSON in UTF-8"
        ) from error
    if not text.strip():
        raise BadInput("body: it is empty; expected a JSON object")
    try:
        value = _DECODER.decode(text)
        return _cleaned(value) if _ODD_ESCAPE.search(text) else value
    except json.JSONDecodeError as error:
        near = text[max(0, error.pos - 10) : error.pos + 20]
        raise BadInput(
            f"body: line {error.lineno}, column {error.colno}: {error.msg} (near {near!r}); expected JSON"
        ) from error
    except RecursionError as error:
        raise BadInput("body: it is nested too deeply; expected a JSON object with a list of alerts") from error


def members(body: bytes, expected: str) -> dict[str, Any]:
    """The JSON object in `body`. Raises BadInput with what was `expected` for anything else."""
    value = load(body)
    if not isinstance(value, dict):
        raise BadInput(f"body: {found(value)}; expected {expected}")
    return value


def fields(incoming: Incoming, expected: str) -> dict[str, Any]:
    """The parameters of the address, and over them the members of a JSON object or the fields of a form in the body (which may be empty)."""
    given: dict[str, Any] = {_odd(name): _odd(value) for name, value in list(incoming.query.items())[:MOST_LABELS]}
    body = incoming.body.strip()
    if body.startswith((b"{", b"[", b'"', b"\xef\xbb\xbf")):
        return given | members(body, expected)
    try:
        form = parse_qsl(body.decode(), max_num_fields=MOST_LABELS)
    except ValueError as error:
        raise BadInput(f"body: it is neither JSON nor a form of at most {MOST_LABELS} fields in UTF-8") from error
    if not given and not form:
        raise BadInput(f"body: {'it is neither JSON nor a form' if body else 'it is empty'}; expected {expected}")
    return given | {_odd(name): _odd(value) for name, value in form}


def fitting(body: Mapping[str, Any]) -> str:
    """Which source would have read this object: the end of an error message."""
    names = body.keys() | (inner(body, "event").keys() & {"event_type"})
    kind = next((kind for kind, shape in _SHAPES if shape <= names), "")
    return f"it looks like what a source with `type: {kind}` reads" if kind else "use a source with `type: generic`"


def found(value: Any) -> str:
    """What a value is, for an error: `found a list of 3`, `found the text "on"`."""
    match value:
        case None:
            return "found nothing"
        case bool():
            return f"found {str(value).lower()}"
        case Number():
            return f"found the number {shortened(value)}"
        case str():
            return f'found the text "{shortened(value)}"'
        case list():
            return f"found a list of {len(value)}"
        case dict():
            keys = ", ".join(shortened(key) for key in list(value)[:8])
            return f"found an object with {keys}" if value else "found an empty object"
        case _:
            return f"found {type(value).__name__}"


def shortened(value: str, most: int = 60) -> str:
    """On one line and short, for an error message."""
    line = " ".join(value[: most * 2].split())
    return line if len(line) <= most else line[: most - 1] + "…"


def collected(items: list[Any], one: Callable[[Any, str], Alert], at: str, left_out: int = 0) -> Parsed:
    """Every item read by `one(item, path)`; an item that cannot be read costs only itself.

    Only the first MOST_ALERTS are read. `left_out`: how many the sender says that it left out itself.
    """
    alerts: list[Alert] = []
    bad: list[tuple[int, str]] = []
    for index, item in enumerate(items[:MOST_ALERTS]):
        try:
            alerts.append(one(item, f"{at}[{index}]"))
        except BadInput as error:
            bad.append((index, str(error)))
        except RecursionError:
            bad.append((index, f"{at}[{index}]: it is nested too deeply"))
    if len(items) > MOST_ALERTS:
        bad.append(
            (
                MOST_ALERTS,
                f"{at}: {len(items) - MOST_ALERTS} more than the {MOST_ALERTS} that one delivery may hold were not read",
            )
        )
    if left_out > 0:
        bad.append((len(items), f"{at}: the sender left out {left_out} more (truncatedAlerts); raise its max_alerts"))
    return Parsed(tuple(alerts), tuple(bad))


# ------------------------------------------------------------------------------------------------ one value


def text(value: Any, most: int = LONGEST_VALUE) -> str:
    """Any JSON value as text: numbers as they were spelt, empty for null, compact JSON for objects and lists; clipped with a mark."""
    if type(value) is not str:
        value = _as_text(value)
    return value if len(value) <= most else clipped(value, most)


def clipped(value: str, most: int) -> str:
    mark = f"… ({len(value)} characters, clipped)"
    return value[: most - len(mark)] + mark


def texts(value: Any, path: str) -> tuple[dict[str, str], int]:
    """An object as a mapping of texts, nulls left out (null: empty), and how many members were too many to keep."""
    if value is None:
        return {}, 0
    if not isinstance(value, dict):
        raise BadInput(f"{path}: {found(value)}; expected an object of names and values")
    names: Iterable[str] = value
    if len(value) > MOST_LABELS:
        names = sorted(value, key=lambda name: name not in FIRST_LABELS)[
            :MOST_LABELS
        ]  # stable: otherwise in their order
    kept = {text(name, LONGEST_NAME): text(value[name]) for name in names if value[name] is not None}
    return kept, max(0, len(value) - MOST_LABELS)


def word(item: Any, *names: str, most: int = LONGEST_VALUE) -> str:
    """The first of these members of an object that is a text, a number or a truth value and not blank, as text; else empty."""
    if isinstance(item, dict):
        for name in names:
            value = item.get(name)
            if isinstance(value, (str, bool)) and (said := text(value, most).strip()):
                return said
    return ""


def inner(item: Any, name: str) -> dict[str, Any]:
    """The member `name` of an object when it is an object itself, else an empty one."""
    value = item.get(name) if isinstance(item, dict) else None
    return value if isinstance(value, dict) else {}


def first(value: Any) -> str:
    """The first text of a list, or the text itself; empty when there is none."""
    values = value if isinstance(value, list) else [value]
    return next((one for one in (word({"": item}, "") for item in values[:MOST_LABELS]) if one), "")


def folded(item: Mapping[str, Any]) -> dict[str, Any]:
    """The members by their names in lower case and without `_`, `-` and blanks: people who write a template spell names as they like."""
    return {re.sub(r"[^a-z0-9]", "", name.lower()): value for name, value in item.items()}


def tags(value: Any) -> dict[str, str]:
    """Tags as labels: `env:prod,urgent`, a list of such texts, of pairs or of objects (tag, key or name, and value), or an object.

    Of two with one name the first counts; those without a value are joined in the label `tags`.
    """
    if isinstance(value, str):
        value = value.split(",", MOST_LABELS)[:MOST_LABELS]
    pairs = (
        list(islice(value.items(), MOST_LABELS))
        if isinstance(value, dict)
        else [_tag(one) for one in value[:MOST_LABELS]]
        if isinstance(value, list)
        else []
    )
    labels: dict[str, str] = {}
    plain: list[str] = []
    for name, given in pairs:
        key, said = text(name, LONGEST_NAME).strip(), word({"": given}, "")
        if key and said:
            labels.setdefault(key, said)
        elif key and not isinstance(value, dict):
            plain.append(key)
    return labels | ({"tags": text(",".join(plain))} if plain else {})


def name_in(title: str) -> str:
    """The title of a notification of Alertmanager or Grafana without the count in front of it, which changes: `[FIRING:2] Disk full`."""
    return _COUNT.sub("", title, count=1).strip() or title


def kept(labels: Mapping[str, str]) -> dict[str, str]:
    """Without those that say nothing, clipped; at most MOST_LABELS, those that routing looks at first."""
    said = {name: value for name, value in labels.items() if value}
    order = sorted(said, key=lambda name: name not in FIRST_LABELS) if len(said) > MOST_LABELS else list(said)
    return {name: text(said[name]) for name in order[:MOST_LABELS]}


def time(value: Any) -> datetime | None:
    """ISO 8601 (no zone: UTC) or an epoch in s, ms, µs or ns, aware and in UTC. None for anything else and for zero times (`0001-01-01`)."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        at = _epoch(float(value)) if _is_number(value) else datetime.fromisoformat(value.strip())
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return at if at >= _EARLIEST else None


def not_after(at: datetime | None, now: datetime) -> datetime | None:
    """A time from a clock that is ahead of ours counts as now."""
    return min(at, now) if at is not None else None


def span(
    started: datetime | None, ended: datetime | None, now: datetime, *, firing: bool
) -> tuple[datetime, datetime | None]:
    """When it began and when it ended (None while it fires): neither in the future, and the end not before the start.

    What has no start began on arrival, or, when it is over, with its end.
    """
    started = not_after(started, now)
    if firing:
        return started or now, None
    ended = not_after(ended, now) or now
    return started or ended, max(ended, started or ended)


def link(value: Any) -> str:
    """An http(s) address of a length that can be shown, else empty."""
    address = value.strip() if isinstance(value, str) else ""
    usable = len(address) <= LONGEST_URL and address.lower().startswith(("http://", "https://"))
    return address if usable and address.isprintable() and " " not in address else ""


def fingerprint(given: Any, labels: Mapping[str, str]) -> str:
    """The sender's own identity of the alert when it gave one that is text or a number, else one computed from the labels."""
    if isinstance(given, str) and given.strip():
        own = given.strip()
        return own if len(own) <= LONGEST_FINGERPRINT else hashlib.sha256(own.encode()).hexdigest()
    canonical = json.dumps(sorted(labels.items()), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _tag(one: Any) -> tuple[str, Any]:
    match one:
        case str():
            name, _, value = one.partition(":")
            return name, value
        case [str() as name, value, *_]:
            return name, value
        case dict():
            return word(one, "tag", "key", "name"), one.get("value")
        case _:
            return "", ""


def _odd(value: str) -> str:
    return _ODD.sub("\ufffd", value)


def _as_text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return str(value)
        case _:
            try:
                return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            except RecursionError as error:
                raise BadInput(f"body: a value ({found(value)}) is nested too deeply to be read") from error


def _is_number(value: str) -> bool:
    return isinstance(value, Number) or value.strip().replace(".", "", 1).isdigit()


def _epoch(number: float) -> datetime:
    unit = next((unit for most, unit in _EPOCH_UNITS if number >= most), 1.0)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=number / unit)


def _cleaned(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):  # most of what there is, and most of it clean
        return value if _ODD.search(value) is None else _odd(value)
    if not isinstance(value, list | dict):
        return value
    if depth == DEEPEST_CLEANED:
        return "(nested too deeply)"
    if isinstance(value, list):
        return [_cleaned(one, depth + 1) for one in value]
    return {_cleaned(name): _cleaned(one, depth + 1) for name, one in value.items()}
