"""Recorded payloads with something wrong: a member left out or replaced by anything. Used by the tests of plugins/sources."""

from __future__ import annotations

import copy
import json
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from bot.domain.alert import Alert
from bot.domain.incoming import Parsed
from bot.plugins import payload

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
GONE = object()


def anything() -> st.SearchStrategy[bytes]:
    """JSON of any shape."""
    return VALUES.map(lambda value: json.dumps(value).encode())


@st.composite
def damaged(draw: st.DrawFn, recorded: Any) -> bytes:
    """The payload with one to three members dropped or replaced."""
    value = copy.deepcopy(recorded)
    for _ in range(draw(st.integers(1, 3))):
        places = _places(value)
        if not places:
            break
        within, name = draw(st.sampled_from(places))
        new = draw(st.just(GONE) | VALUES)
        if new is GONE:
            del within[name]
        else:
            within[name] = new
    return json.dumps(value).encode()


def _places(value: Any) -> list[tuple[Any, Any]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for name, inner in members for place in ((value, name), *_places(inner))]


def assert_sound(parsed: Parsed, now: datetime) -> None:
    """What every source promises of what it read, whatever came in."""
    for alert in parsed.alerts:
        assert_sound_alert(alert, now)
    for one in parsed.acknowledged:
        assert 0 < len(one.fingerprint) <= payload.LONGEST_FINGERPRINT
        assert type(one.by) is str
    for change in parsed.changes:
        assert change.key
        assert change.title
        assert change.at <= now
    if parsed.reply is not None:
        json.dumps(dict(parsed.reply))


def assert_sound_alert(alert: Alert, now: datetime) -> None:
    assert alert.labels["alertname"]
    assert 0 < len(alert.fingerprint) <= payload.LONGEST_FINGERPRINT
    assert len(alert.labels) <= payload.MOST_LABELS + 3
    for mapping in (alert.labels, alert.annotations):
        assert all(isinstance(name, str) and isinstance(value, str) for name, value in mapping.items())
        assert all(len(value) <= payload.LONGEST_VALUE for value in mapping.values())
    assert alert.starts_at <= now
    assert alert.starts_at.utcoffset() == timedelta(0)
    assert alert.ends_at is None or alert.starts_at <= alert.ends_at <= now
    assert alert.ends_at is None or not alert.firing
    assert alert.url == payload.link(alert.url)
