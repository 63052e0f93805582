"""The timeline's chain: what was written can be told from what was changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.timeline import GENESIS, Entry, chain, digest, first_broken

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def entries(count: int = 5) -> tuple[Entry, ...]:
    return chain(
        0,
        GENESIS,
        [Entry(at=NOW + timedelta(minutes=n), kind="note", text=f"entry {n}", data={"n": n}) for n in range(count)],
    )


def changed(number: int, **update: Any) -> tuple[Entry, ...]:
    whole = list(entries())
    whole[number] = whole[number].model_copy(update=update)
    return tuple(whole)


def test_entries_are_numbered_from_one_and_each_is_hashed_over_the_one_before() -> None:
    first, second = entries(2)
    assert (first.seq, second.seq) == (1, 2)
    assert first.hash == digest(GENESIS, first)
    assert second.hash == digest(first.hash, second)


def test_a_whole_chain_is_not_broken() -> None:
    assert first_broken(entries()) is None
    assert first_broken(()) is None


def test_a_chain_goes_on_where_it_stopped() -> None:
    first = entries(2)
    more = chain(first[-1].seq, first[-1].hash, [Entry(at=NOW, kind="note", text="later")])
    assert first_broken(first + more) is None


TAMPERED: list[tuple[str, tuple[Entry, ...], int]] = [
    ("another text", changed(2, text="nothing happened"), 3),
    ("another time", changed(0, at=NOW - timedelta(seconds=1)), 1),
    ("another kind", changed(4, kind="page"), 5),
    ("another actor", changed(1, actor="Eve"), 2),
    ("other data", changed(1, data={"n": 2}), 2),
    ("more data", changed(1, data={"n": 1, "m": None}), 2),
    ("another number", changed(1, seq=7), 2),
    ("another hash", changed(3, hash="0" * 64), 4),
    (
        "another text with its own hash",
        changed(2, text="x", hash=digest(entries()[1].hash, entries()[2].model_copy(update={"text": "x"}))),
        4,
    ),
    ("the first left out", entries()[1:], 1),
    ("one left out", entries()[:2] + entries()[3:], 3),
    ("two in another order", entries()[:2] + entries()[3:4] + entries()[2:3], 3),
    ("one twice", entries()[:2] + entries()[1:], 3),
]


@pytest.mark.parametrize(("what", "chained", "broken"), TAMPERED, ids=[what for what, _, _ in TAMPERED])
def test_what_was_tampered_with_is_found_at_its_number(what: str, chained: tuple[Entry, ...], broken: int) -> None:
    assert first_broken(chained) == broken


def test_the_same_moment_in_another_zone_has_the_same_hash() -> None:
    here = Entry(at=NOW, kind="note", text="x")
    there = here.model_copy(update={"at": NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))})
    assert digest(GENESIS, here) == digest(GENESIS, there)


def test_the_order_of_data_does_not_matter() -> None:
    one = Entry(at=NOW, kind="note", text="x", data={"a": 1, "b": {"c": 2, "d": 3}})
    other = one.model_copy(update={"data": {"b": {"d": 3, "c": 2}, "a": 1}})
    assert digest(GENESIS, one) == digest(GENESIS, other)


def test_the_hash_is_the_same_on_every_machine() -> None:
    entry = Entry(at=NOW, kind="note", text="Grüße", data={"n": 1.5, "list": [True, None]}, seq=1)
    assert digest(GENESIS, entry) == "0cb2193ea48f4d999fa771ae3f8dd086753f14091333d4f672d9bcf05f25c0ba"


json_data = st.dictionaries(
    st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=5), max_size=3
)
written = st.lists(
    st.builds(Entry, at=st.just(NOW), kind=st.text(max_size=5), text=st.text(max_size=9), data=json_data), max_size=6
)


@given(written)
def test_a_chain_stays_whole_when_it_is_stored_as_json_and_read_again(some: list[Entry]) -> None:
    chained = chain(0, GENESIS, some)
    again = tuple(Entry.model_validate_json(entry.model_dump_json()) for entry in chained)
    assert again == chained
    assert first_broken(again) is None


@given(written, st.data())
def test_any_change_of_a_text_is_found(some: list[Entry], data: st.DataObject) -> None:
    chained = list(chain(0, GENESIS, [*some, Entry(at=NOW, kind="note", text="last")]))
    at = data.draw(st.integers(0, len(chained) - 1))
    chained[at] = chained[at].model_copy(update={"text": chained[at].text + data.draw(st.text(min_size=1, max_size=3))})
    assert first_broken(chained) == at + 1
