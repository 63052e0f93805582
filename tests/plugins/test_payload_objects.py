"""What sources share to read objects, forms, tags and times: tables of cases."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.domain.incoming import Incoming
from bot.errors import BadInput
from bot.plugins import payload

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
BEFORE, AFTER = NOW - timedelta(hours=1), NOW + timedelta(hours=1)

TAGS: list[tuple[Any, dict[str, str]]] = [
    ("env:prod, team:web", {"env": "prod", "team": "web"}),
    ("url:http://x:80", {"url": "http://x:80"}),
    ("prod,,urgent", {"tags": "prod,urgent"}),
    ("a:1,a:2", {"a": "1"}),
    (["env:prod", 5, None, "x"], {"env": "prod", "tags": "5,x"}),
    ([["level", "info"], ["empty", ""], [1, 2]], {"level": "info", "1": "2", "tags": "empty"}),
    ([{"tag": "a", "value": 1}, {"name": "b", "value": "2"}, {"key": "c"}], {"a": "1", "b": "2", "tags": "c"}),
    ({"a": 1, "b": None, "c": [], "d": True}, {"a": "1", "d": "true"}),
    (None, {}),
    (7, {"tags": "7"}),
    (":x", {}),
]


@pytest.mark.parametrize(("value", "labels"), TAGS)
def test_tags_become_labels_in_whatever_form_they_come(value: Any, labels: dict[str, str]) -> None:
    assert payload.tags(_as_read(value)) == labels


def _as_read(value: Any) -> Any:
    """Numbers as the reader of JSON gives them: texts of their own."""
    match value:
        case bool() | None | str():
            return value
        case int():
            return payload.Number(value)
        case list():
            return [_as_read(one) for one in value]
        case _:
            return {name: _as_read(one) for name, one in value.items()}


def test_only_so_many_tags_are_kept() -> None:
    assert len(payload.tags(",".join(f"t{number}:x" for number in range(5_000)))) == payload.MOST_LABELS


SPANS: list[tuple[datetime | None, datetime | None, bool, tuple[datetime, datetime | None]]] = [
    (BEFORE, None, True, (BEFORE, None)),
    (BEFORE, BEFORE, True, (BEFORE, None)),
    (AFTER, None, True, (NOW, None)),
    (None, None, True, (NOW, None)),
    (BEFORE, NOW, False, (BEFORE, NOW)),
    (BEFORE, AFTER, False, (BEFORE, NOW)),
    (None, BEFORE, False, (BEFORE, BEFORE)),
    (None, None, False, (NOW, NOW)),
    (NOW, BEFORE, False, (NOW, NOW)),
]


@pytest.mark.parametrize(("started", "ended", "firing", "expected"), SPANS)
def test_an_end_follows_its_start_and_neither_is_in_the_future(
    started: datetime | None, ended: datetime | None, firing: bool, expected: tuple[datetime, datetime | None]
) -> None:
    assert payload.span(started, ended, NOW, firing=firing) == expected


WORDS: list[tuple[Any, str]] = [
    ({"a": " x "}, "x"),
    ({"a": "", "b": "y"}, "y"),
    ({"a": {"c": 1}, "b": ["z"]}, ""),
    ({"a": None, "b": False}, "false"),
    ({}, ""),
    ([], ""),
    (None, ""),
]


@pytest.mark.parametrize(("item", "expected"), WORDS)
def test_a_word_is_the_first_member_that_says_something(item: Any, expected: str) -> None:
    assert payload.word(item, "a", "b") == expected


FIELDS: list[tuple[bytes, dict[str, str], dict[str, str]]] = [
    (b"", {"a": "1"}, {"a": "1"}),
    (b"a=2&b=%C3%A4+x", {"a": "1"}, {"a": "2", "b": "ä x"}),
    (b'{"a": "2"}', {"a": "1", "b": "3"}, {"a": "2", "b": "3"}),
    (b'\xef\xbb\xbf {"a": "2"}', {}, {"a": "2"}),
    (b"a=%00", {}, {"a": "\ufffd"}),
    (b"", {"a": "\x00\ud800"}, {"a": "\ufffd\ufffd"}),
]


@pytest.mark.parametrize(("body", "query", "expected"), FIELDS)
def test_fields_come_by_address_form_or_json(body: bytes, query: dict[str, str], expected: dict[str, str]) -> None:
    assert payload.fields(Incoming(body, query=query), "something") == expected


BAD_FIELDS = [b"", b"just text", b"[1]", b'"x"', b"\xff\xfe=1", b"&".join(b"a%d=1" % n for n in range(300))]


@pytest.mark.parametrize("body", BAD_FIELDS)
def test_what_is_neither_a_form_nor_an_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadInput, match=r"^body: "):
        payload.fields(Incoming(body), "something")


FITTING: list[tuple[dict[str, Any], str]] = [
    ({"alerts": [], "receiver": "x"}, "alertmanager"),
    ({"Type": "Notification", "TopicArn": "x", "MessageId": "1"}, "sns"),
    ({"check_id": 1, "current_state": "UP"}, "pingdom"),
    ({"incident": {}, "version": "1.2"}, "google_cloud"),
    ({"event": {"event_type": "incident.triggered"}}, "pagerduty"),
    ({"event": "x"}, "generic"),
    ({}, "generic"),
]


@pytest.mark.parametrize(("body", "kind"), FITTING)
def test_a_body_of_another_product_is_told_which_source_reads_it(body: dict[str, Any], kind: str) -> None:
    assert re.search(rf"`type: {kind}`", payload.fitting(body))


def test_names_are_folded() -> None:
    assert payload.folded({"ALERT_ID": 1, "alert-scope": 2, "alert title": 3}) == {
        "alertid": 1,
        "alertscope": 2,
        "alerttitle": 3,
    }


def test_labels_without_a_value_are_left_out_and_the_rest_is_bounded() -> None:
    labels = {f"l{number:03}": "x" for number in range(300)} | {
        "severity": "critical",
        "empty": "",
        "long": "y" * 20_000,
    }
    kept = payload.kept(labels)
    assert len(kept) == payload.MOST_LABELS
    assert kept["severity"] == "critical" and "empty" not in kept
    assert len(payload.kept({"long": "y" * 20_000})["long"]) == payload.LONGEST_VALUE
