"""Whatever is in the files, loading gives a Config or ConfigErrors, never anything else."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.config import ConfigErrors
from tests.config.folder import GOOD, Files, loaded, problems

SETTINGS = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAMES = sorted(GOOD)


def outcome(files: Files | None = None, **options: Any) -> None:
    with TemporaryDirectory() as folder:
        try:
            loaded(Path(folder), files, **options)
        except ConfigErrors as caught:
            errors = caught
        else:
            return
    assert errors.problems
    assert str(errors).count("\n") == len(errors.problems) - 1, "one line each"


words = st.sampled_from(
    [
        *["", "a", "ada", "no", "critical", "=", "<<", "-", '"]', "[", "é🛒", "a\nb", "\x85", "\ud7ff", "x" * 100],
        *["env:BOT", "env:", "file:\0", "file:" + "x" * 300, "~nobody/x", "../x", "Europe"],
        *["5m", "1e999", "9" * 30, "2026-01-05", "0001-01-01T00:00:00+23:00"],
        *[
            "{{",
            "{{ params. }}",
            "a=~(",
            "person:",
            "person:ada",
            "medium:log",
            "k8s.*",
            "+4915112345678",
            "log",
            "smtp",
            "DE",
        ],
        *["http://[", "[::1]:80", "sqlite:///\0", "sqlite:////" + "y" * 5000, "postgresql://u:p@h:x/d"],
    ]
)
scalars = words | st.text(max_size=8) | st.integers() | st.floats() | st.booleans() | st.none()
KNOWN = sorted(
    set(re.findall(r"(\w+):", "".join(GOOD.values())))
    | {"redact", "extra", "context", "gatherers", "approve", "hmac", "database"}
    | {"relabel", "set", "map", "drop", "inhibit", "source", "dependencies", "severities", "severity_values", "media"}
    | {"channels", "type", "per_minute", "bundle", "template", "heartbeat", "secret", "server", "url"}
    | {"groups", "schedules", "layers", "calendars", "calendar", "file", "zone", "until", "hours", "days", "between"}
    | {"holidays", "country", "subdivision", "on_holidays", "alarm", "when", "more_than", "round_robin", "acknowledged"}
    | {"methods", "medium", "address", "notify", "phone", "tell", "remind", "expires"}
    | {"quiet_hours", "maintenance", "windows", "burn_rate", "at_least", "flapping", "storm", "digest", "most_severe"}
)
keys = words | st.sampled_from(KNOWN)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=5), max_leaves=12
)


# As much as these two can say, so that edits find places in all of it.
RICH = {
    "oncall.yaml": {
        "people": {
            "ada": {
                "slack": "U0ADA",
                "phone": "+491511234567",
                "zone": "Europe/Berlin",
                "methods": {"work": {"medium": "sms", "address": "+491511234568"}, "mail": "a@b"},
                "notify": {"critical": ["slack", {"sms": "3m"}], "default": ["mail"]},
                "template": "{{ incident }}",
            },
        },
        "groups": {"all": ["ada"]},
        "rotations": {
            "shop": {"people": ["ada"], "every": "1w", "starts": "2026-01-05T09:00", "zone": "Europe/Berlin"}
        },
        "calendars": {"own": {"url": "https://c.example/a.ics", "zone": "UTC"}},
        "schedules": {
            "nights": {
                "zone": "America/St_Johns",
                "layers": [
                    {
                        "people": ["ada", ["ada"]],
                        "every": "12h",
                        "starts": "2026-01-05T09:00",
                        "until": "2027-01-05T09:00",
                        "hours": [{"days": ["mon"], "between": ["18:00", "08:00"]}],
                        "holidays": {"country": "DE", "subdivision": "BY"},
                        "on_holidays": "only",
                    },
                    {"calendar": "own"},
                ],
            }
        },
        "policies": {
            "ops": {
                "levels": [
                    {
                        "targets": ["schedule:nights", "group:all", "medium:sms"],
                        "round_robin": True,
                        "when": {
                            "severities": ["critical"],
                            "hours": [{"days": ["sun"]}],
                            "more_than": 5,
                            "within": "10m",
                        },
                    }
                ],
                "acknowledged": {"remind": "30m", "expires": "1h"},
            },
            "shop": {"levels": [{"targets": ["rotation:shop"]}]},
        },
        "alarm": ["person:ada"],
    },
    "tocsin.yaml": {
        "slack": {"bot_token": "env:BOT", "app_token": "env:APP"},
        "server": {"public_url": "https://t.example", "secret": "env:SIGN"},
        "channels": {
            "mail": {"type": "smtp", "host": "a", "from": "x@y"},
            "sms": {"type": "texts", "token": "env:SMS", "per_minute": 5, "bundle": "1m", "template": "{{ url }}"},
        },
        "heartbeat": {"url": "env:BEAT", "every": "1m"},
        "media": {"critical": ["slack", "sms"]},
        "route": {"policy": "ops", "routes": [{"match": ["a=b"], "policy": "shop", "media": ["mail"]}]},
    },
}
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def rich(name: str, value: Any) -> Files:
    return {one: yaml.safe_dump(value if one == name else RICH[one], allow_unicode=True) for one in RICH}


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(path for key, item in items for path in paths(item, (*here, key)))]


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(value[path[0]], path[1:], new)
    return copy


@SETTINGS
@given(name=st.sampled_from(NAMES), text=st.text(max_size=200))
def test_any_text(name: str, text: str) -> None:
    outcome({name: text.encode("utf-8", "surrogatepass")})


@SETTINGS
@given(name=st.sampled_from(NAMES), raw=st.binary(max_size=200))
def test_any_bytes(name: str, raw: bytes) -> None:
    outcome({name: raw})


@SETTINGS
@given(name=st.sampled_from(NAMES), value=values)
def test_any_values(name: str, value: Any) -> None:
    outcome({name: yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "surrogatepass")})


@SETTINGS
@given(name=st.sampled_from(NAMES), data=st.data())
def test_any_value_in_any_place_of_a_good_file(name: str, data: st.DataObject) -> None:
    good = yaml.safe_load(GOOD[name].replace("2026-01-05T09:00:00Z", "'2026-01-05T09:00:00Z'"))
    broken = put(good, data.draw(st.sampled_from(paths(good))), data.draw(values))
    outcome({name: yaml.safe_dump(broken, allow_unicode=True).encode("utf-8", "surrogatepass")})


def test_the_rich_files_are_right() -> None:
    with TemporaryDirectory() as folder:
        files = {**rich("", None), "policy.yaml": "roles: {}\n", "runbooks/scale-up.yaml": None}
        assert problems(Path(folder), files, now=NOW) == []


@SETTINGS
@given(name=st.sampled_from(sorted(RICH)), data=st.data())
def test_any_value_in_any_place_of_on_call_and_media(name: str, data: st.DataObject) -> None:
    outcome(rich(name, put(RICH[name], data.draw(st.sampled_from(paths(RICH[name]))), data.draw(values))), now=NOW)


@SETTINGS
@given(name=st.sampled_from(NAMES), data=st.data())
def test_any_key_in_any_place_of_a_good_file(name: str, data: st.DataObject) -> None:
    good = yaml.safe_load(GOOD[name].replace("2026-01-05T09:00:00Z", "'2026-01-05T09:00:00Z'"))
    at = data.draw(st.sampled_from([path for path in paths(good) if path and isinstance(path[-1], str)]))
    parent: Any = good
    for part in at[:-1]:
        parent = parent[part]
    renamed = {(data.draw(keys) if key == at[-1] else key): value for key, value in parent.items()}
    outcome({name: yaml.safe_dump(put(good, at[:-1], renamed), allow_unicode=True)})


@SETTINGS
@given(name=st.sampled_from(NAMES), at=st.integers(0, 400), length=st.integers(0, 40), new=st.text(max_size=6))
def test_any_edit_of_a_good_file(name: str, at: int, length: int, new: str) -> None:
    good = GOOD[name]
    outcome({name: (good[:at] + new + good[at + length :]).encode("utf-8", "surrogatepass")})


@SETTINGS
@given(
    path=words | st.text(max_size=20) | st.sampled_from(["route.policy", "oncall.people.ada", "slack.pace"]),
    value=values,
)
def test_any_override(path: str, value: Any) -> None:
    outcome(overrides={path: value})


@pytest.mark.parametrize("name", NAMES)
def test_no_truncation_of_a_good_file_is_anything_else(name: str) -> None:
    for length in range(0, len(GOOD[name]), 7):
        outcome({name: GOOD[name][:length]})
