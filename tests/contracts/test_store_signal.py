"""The store's contract, fifth part: what holds alerts, when they are looked at again, what stands under which key, and the pages of the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.domain.alert import Alert, AlertState, Held, Received
from bot.domain.ports import Store, Tx
from bot.store.types import LONGEST_KEY, LONGEST_SHORT_KEY, short_key
from tests.support.stores import KINDS, opened

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
SILENCE = "silence:42"
LONG = "é" * LONGEST_KEY  # longer than what an index has room for, in bytes
AWKWARD = "nul \x00 and \ud800"


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(request.param, tmp_path) as fresh:
        yield fresh


def alert(name: str, source: str = "prometheus", *, firing: bool = True) -> Alert:
    return Alert(source, name, firing, {"alertname": name}, {}, NOW - HOUR, None if firing else NOW)


def state(name: str, seen: datetime = NOW, source: str = "prometheus", *, firing: bool = True) -> AlertState:
    return AlertState(alert(name, source, firing=firing), NOW - HOUR, seen)


def held(name: str, by: str = SILENCE, again_at: datetime | None = NOW + HOUR, seen: datetime = NOW) -> AlertState:
    return replace(state(name, seen), held=Held("silenced", by, again_at))


async def save(store: Store, *states: AlertState, log: tuple[Received, ...] = ()) -> None:
    await store.write(lambda tx: tx.save_alerts(states, log))


def names(found: tuple[AlertState, ...]) -> list[str]:
    return [one.alert.fingerprint for one in found]


# ------------------------------------------------------------------------------------------------ what is kept of an alert


KEPT = (
    state("plain"),
    replace(state("fired"), fired=(NOW - HOUR, NOW)),
    replace(state("flaps"), fired=(NOW,), calm_at=NOW + HOUR, incident_id=7),
    replace(state("holds"), inhibits=("rule", LONG, AWKWARD)),
    held("silenced"),
    held("without an end", again_at=None),
    replace(held("held while it flaps"), calm_at=NOW + MINUTE, fired=(NOW,), inhibits=("rule",)),
    held("held by what has a long name", LONG),
    held("held by what has an awkward name", AWKWARD),
)


async def test_what_is_known_of_an_alert_comes_back_as_it_was(store: Store) -> None:
    keys = [one.alert.key for one in KEPT]
    await save(store, *KEPT)
    assert await store.read(lambda tx: tx.alert_states(keys)) == dict(zip(keys, KEPT, strict=True))
    freed = [replace(one, held=None, fired=(), calm_at=None, inhibits=()) for one in KEPT]
    await save(store, *freed)
    assert await store.read(lambda tx: tx.alert_states(keys)) == dict(zip(keys, freed, strict=True))


async def test_a_line_of_the_log_comes_back_as_it_was(store: Store) -> None:
    disk = alert("disk")
    lines = tuple(
        Received(NOW, disk, "silenced", "why", ("a", "b"), 7, "critical", "root/team", "silenced", by, again=again)
        for by in ("", SILENCE, LONG, AWKWARD)
        for again in (True, False)
    )
    await save(store, log=lines)
    assert await store.read(lambda tx: tx.alert_log(disk.key)) == lines[::-1]


# ------------------------------------------------------------------------------------------------ looked at again


async def test_what_is_due_again_comes_the_earliest_first(store: Store) -> None:
    flaps = replace(state("flaps"), calm_at=NOW - 2 * SECOND)
    held_longer = replace(held("held longer than it flaps"), calm_at=NOW - HOUR)
    await save(store, held("b", again_at=NOW), held("a", again_at=NOW), flaps, held_longer, state("plain"))
    await save(store, held("no end", again_at=None), held("early", again_at=NOW - HOUR))
    assert names(await store.read(lambda tx: tx.due_again(NOW))) == ["early", "flaps", "a", "b"]
    assert names(await store.read(lambda tx: tx.due_again(NOW, limit=2))) == ["early", "flaps"]
    assert names(await store.read(lambda tx: tx.due_again(NOW - SECOND))) == ["early", "flaps"]
    assert (await store.read(lambda tx: tx.due_again(NOW, limit=2)))[1] == flaps


async def test_what_is_held_by_one_that_is_over_is_looked_at_again(store: Store) -> None:
    flaps = replace(state("flaps"), calm_at=NOW + HOUR)
    no_end = held("no end", again_at=None)
    await save(store, held("a"), held("long", LONG), held("other", "silence:7"), no_end, flaps, state("plain"))
    assert await store.write(lambda tx: tx.look_again([], NOW)) == 0
    assert await store.write(lambda tx: tx.look_again(["silence:4", "silence:421"], NOW)) == 0
    assert await store.write(lambda tx: tx.look_again([SILENCE, LONG, SILENCE], NOW)) == 3
    due = await store.read(lambda tx: tx.due_again(NOW))
    assert names(due) == ["a", "long", "no end"]
    assert due[1] == held("long", LONG, again_at=NOW)


async def test_whatever_is_held_can_be_looked_at_again(store: Store) -> None:
    flaps = replace(state("flaps"), calm_at=NOW + HOUR)
    await save(store, held("a"), held("b", "silence:7"), flaps, state("plain"))
    assert await store.write(lambda tx: tx.look_again(None, NOW)) == 2
    assert names(await store.read(lambda tx: tx.due_again(NOW))) == ["a", "b"]


async def test_looking_again_at_everything_does_not_cost_anybody_their_turn(store: Store) -> None:
    await save(store, held("a"), held("z", again_at=NOW - MINUTE))
    assert await store.write(lambda tx: tx.look_again(None, NOW)) == 2
    assert names(await store.read(lambda tx: tx.due_again(NOW))) == ["z", "a"]


async def test_more_than_fit_into_one_statement_are_looked_at_again(store: Store) -> None:
    holders = [f"silence:{number}" for number in range(1100)]
    await save(store, *(held(f"alert-{by}", by) for by in holders))
    assert await store.write(lambda tx: tx.look_again(holders, NOW)) == 1100


async def test_what_fires_and_is_held_comes_the_most_recent_first(store: Store) -> None:
    over = replace(held("over", seen=NOW + HOUR), alert=alert("over", firing=False))
    await save(store, held("old", seen=NOW - HOUR), held("b"), held("a"), held("new", seen=NOW + MINUTE), over)
    await save(store, state("plain"))
    assert names(await store.read(lambda tx: tx.held_alerts())) == ["new", "a", "b", "old"]
    assert names(await store.read(lambda tx: tx.held_alerts(limit=2))) == ["new", "a"]


async def test_it_can_be_counted_what_a_silence_hides_and_has_ever_hidden(store: Store) -> None:
    def line(name: str, by: str) -> Received:
        return Received(NOW, alert(name), "silenced", "why", held_by=by)

    over = replace(held("over"), alert=alert("over", firing=False))
    log = (line("a", SILENCE), line("a", SILENCE), line("gone", SILENCE), line("b", LONG), line("c", ""))
    await save(store, held("a"), held("b", LONG), over, state("c"), log=log)
    asked = [SILENCE, LONG, "silence:7", AWKWARD]
    counted = await store.read(lambda tx: tx.hidden_by(asked))
    assert counted == {SILENCE: (1, 2), LONG: (1, 1), "silence:7": (0, 0), AWKWARD: (0, 0)}
    assert await store.read(lambda tx: tx.hidden_by([])) == {}


# ------------------------------------------------------------------------------------------------ inhibition


async def stand(store: Store, **standing: tuple[str, ...]) -> None:
    """Each alert is called by its key in capitals."""
    under = {key: (key.upper(), keys) for key, keys in standing.items()}
    await store.write(lambda tx: tx.stand_under(under))


async def under(store: Store, *keys: str) -> dict[str, dict[str, str]]:
    return await store.read(lambda tx: tx.inhibitors(keys))


async def test_alerts_stand_under_their_keys_until_they_stand_under_others(store: Store) -> None:
    await stand(store, a=("node down", "zone down"), b=("node down",))
    assert await under(store, "node down", "zone down", "else") == {
        "node down": {"a": "A", "b": "B"},
        "zone down": {"a": "A"},
    }
    await stand(store, a=("zone down", "rack down"))
    assert await under(store, "node down", "zone down", "rack down") == {
        "node down": {"b": "B"},
        "zone down": {"a": "A"},
        "rack down": {"a": "A"},
    }
    await stand(store, a=(), b=(), never=())
    assert await under(store, "node down", "zone down", "rack down") == {}
    assert await under(store) == {}


async def test_the_name_of_one_that_stands_is_its_newest(store: Store) -> None:
    await stand(store, a=("node down", "node down"))
    await store.write(lambda tx: tx.stand_under({"a": ("Node 7 is away", ("node down",))}))
    assert await under(store, "node down") == {"node down": {"a": "Node 7 is away"}}


async def test_of_many_that_stand_under_a_key_three_are_told(store: Store) -> None:
    many = {f"alert {number:04}": (f"name {number}", ("node down", f"own {number}")) for number in range(1100)}
    await store.write(lambda tx: tx.stand_under(many))
    found = await under(store, "node down", *(f"own {number}" for number in range(1100)))
    assert found.pop("node down") == {f"alert 000{number}": f"name {number}" for number in range(3)}
    assert found == {f"own {number}": {f"alert {number:04}": f"name {number}"} for number in range(1100)}
    await store.write(lambda tx: tx.stand_under(dict.fromkeys(many, ("", ()))))
    assert await under(store, "node down", "own 7") == {}


async def test_keys_of_any_length_and_with_any_character_tell_who_stands_under_them(store: Store) -> None:
    standing = {
        LONG + "1": ("one", (LONG + "1", LONG + "2")),
        LONG + "2": (AWKWARD, (LONG + "2", AWKWARD)),
    }
    await store.write(lambda tx: tx.stand_under(standing))
    assert await under(store, LONG + "1", LONG + "2", LONG, AWKWARD) == {
        LONG + "1": {LONG + "1": "one"},
        LONG + "2": {LONG + "1": "one", LONG + "2": AWKWARD},
        AWKWARD: {LONG + "2": AWKWARD},
    }
    await store.write(lambda tx: tx.stand_under({LONG + "1": ("one", ())}))
    assert await under(store, LONG + "1", LONG + "2") == {LONG + "2": {LONG + "2": AWKWARD}}


# ------------------------------------------------------------------------------------------------ found


async def test_what_fires_is_paged_by_its_key(store: Store) -> None:
    keys = ["a", "b", "B", "c-d", "c.d", "ä"]
    await save(store, *(state(key) for key in keys), state("over", firing=False))
    found: list[str] = []
    after = ""
    while page := await store.read(lambda tx, after=after: tx.firing_alerts(after, limit=2)):
        assert len(page) <= 2
        found += names(page)
        after = page[-1].alert.key
    assert found == sorted(keys), "by code point, whatever the locale of the database"
    assert names(await store.read(lambda tx: tx.firing_alerts())) == sorted(keys)


async def test_pages_go_on_behind_a_long_key(store: Store) -> None:
    await save(store, *(state(LONG + str(number)) for number in range(5)))
    found: list[str] = []
    after = ""
    while page := await store.read(lambda tx, after=after: tx.firing_alerts(after, limit=2)):
        found += names(page)
        after = page[-1].alert.key
    assert sorted(found) == [LONG + str(number) for number in range(5)]


CALLED = {
    "prometheus/a1": ["a1"],
    "a1": ["a1x", "a1", "a1"],
    "a1x": ["a1x"],
    "a": ["a1x", "a1", "a1", "a2"],
    "A1": [],
    "1": [],
    "prometheus": [],
    "prometheus/": [],
    "%": [],
    "_1": [],
    "": [],
    LONG + "1": [LONG + "1"],
    "nul \x00": [AWKWARD],
}


async def test_an_alert_is_found_by_its_key_or_by_the_beginning_of_its_fingerprint(store: Store) -> None:
    await save(
        store,
        state("a1", NOW),
        state("a1x", NOW + MINUTE, "pingdom"),
        state("a1", NOW - MINUTE, "grafana", firing=False),
        state("a2", NOW - HOUR, "a"),
        state(LONG + "1"),
        state(LONG + "2"),
        state(AWKWARD),
    )
    for text, found in CALLED.items():
        assert names(await store.read(lambda tx, text=text: tx.alerts_called(text))) == found, text
    assert names(await store.read(lambda tx: tx.alerts_called("a", limit=2))) == ["a1x", "a1"]


# ------------------------------------------------------------------------------------------------ pages of the log


def said(reason: str, at: datetime, name: str = "disk") -> Received:
    return Received(at, alert(name), "opened", reason)


async def paged(store: Store, since: datetime, until: datetime, limit: int) -> list[str]:
    found: list[str] = []
    after = 0
    while page := await store.read(lambda tx, after=after: tx.log_between(since, until, after, limit)):
        assert len(page) <= limit
        found += [line.reason for _, line in page]
        after = page[-1][0]
    return found


async def test_the_log_is_paged_from_the_oldest_line_to_the_newest(store: Store) -> None:
    await save(store, log=(said("first", NOW), said("second", NOW, "cpu"), said("third", NOW)))
    await save(store, log=(said("late", NOW + MINUTE), said("before", NOW - SECOND), said("slow clock", NOW + SECOND)))
    every = ["before", "first", "second", "third", "slow clock", "late"]
    for limit in (1, 2, 3, 100):
        assert await paged(store, NOW, NOW + MINUTE, limit) == every[1:-1]
        assert await paged(store, NOW - HOUR, NOW + HOUR, limit) == every
        assert await paged(store, NOW + HOUR, NOW + 2 * HOUR, limit) == []


async def test_a_page_of_the_log_goes_on_where_it_was_although_lines_are_pruned(store: Store) -> None:
    lines = tuple(said(str(number), NOW + number * SECOND) for number in range(6))
    await save(store, log=lines)
    first = await store.read(lambda tx: tx.log_between(NOW, NOW + HOUR, limit=2))
    assert await store.prune_log(NOW + 3 * SECOND) == 3
    rest = await store.read(lambda tx: tx.log_between(NOW, NOW + HOUR, first[-1][0]))
    assert [line for _, line in rest] == list(lines[3:])


# ------------------------------------------------------------------------------------------------ transactions


async def test_counters_tell_how_far_they_have_counted(store: Store) -> None:
    assert await store.read(lambda tx: tx.counter("silences")) == 0

    async def count(tx: Tx) -> tuple[int, int]:
        await tx.next_id("silences")
        return await tx.next_id("silences"), await tx.counter("silences")

    assert await store.write(count) == (2, 2)
    assert await store.read(lambda tx: tx.counter("silences")) == 2
    assert await store.read(lambda tx: tx.counter("silence")) == 0


async def test_a_work_sees_what_it_has_done_to_what_is_held(store: Store) -> None:
    async def work(tx: Tx) -> None:
        await tx.save_alerts([held("a")], [said("why", NOW)])
        await tx.stand_under({"a": ("A", ("node down",))})
        assert await tx.look_again([SILENCE], NOW) == 1
        assert names(await tx.due_again(NOW)) == names(await tx.held_alerts()) == ["a"]
        assert await tx.inhibitors(["node down"]) == {"node down": {"a": "A"}}
        assert await tx.hidden_by([SILENCE]) == {SILENCE: (1, 0)}
        assert len(await tx.log_between(NOW, NOW + SECOND)) == 1

    await store.write(work)


async def test_nothing_is_kept_of_a_work_that_fails_after_it_has_held_alerts(store: Store) -> None:
    await save(store, held("a"))
    await stand(store, a=("node down",))

    async def fails(tx: Tx) -> None:
        await tx.save_alerts([held("b")], [said("why", NOW)])
        await tx.look_again(None, NOW)
        await tx.stand_under({"a": ("A", ()), "b": ("B", ("node down",))})
        raise ValueError("at the very end")

    with pytest.raises(ValueError, match="at the very end"):
        await store.write(fails)
    assert await store.read(lambda tx: tx.held_alerts()) == (held("a"),)
    assert await store.read(lambda tx: tx.due_again(NOW)) == ()
    assert await store.read(lambda tx: tx.log_between(NOW - HOUR, NOW + HOUR)) == ()
    assert await under(store, "node down") == {"node down": {"a": "A"}}


@pytest.mark.parametrize(
    "act",
    [
        lambda tx: tx.look_again(None, NOW),
        lambda tx: tx.look_again([SILENCE], NOW),
        lambda tx: tx.stand_under({"a": ("A", ("node down",))}),
    ],
)
async def test_nothing_is_held_or_freed_in_a_read(store: Store, act: Callable[[Tx], Awaitable[Any]]) -> None:
    with pytest.raises(RuntimeError, match="nothing can be written"):
        await store.read(act)


def test_a_short_key_keeps_its_beginning_and_stays_itself() -> None:
    for long in ("x" * (LONGEST_SHORT_KEY + 1), "é" * LONGEST_SHORT_KEY, "🐌" * LONGEST_KEY):
        short = short_key(long)
        assert LONGEST_SHORT_KEY - 4 < len(short.encode()) <= LONGEST_SHORT_KEY
        assert long.startswith(short.partition("~")[0])
        assert short_key(short) == short
        assert short_key(long + "x") != short
    assert short_key("x" * LONGEST_SHORT_KEY) == "x" * LONGEST_SHORT_KEY
