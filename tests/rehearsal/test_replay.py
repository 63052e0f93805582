"""A replay runs recorded alerts through the real engine with a clock that jumps, and comes to what the program itself came to."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings

from bot.config import SourceConfig
from bot.domain.alert import Alert
from bot.domain.redaction import Redactor
from bot.domain.replayed import Night, Replayed, group_of
from bot.domain.rules import Rules
from bot.domain.silence import Silence
from bot.errors import BadInput
from bot.plugins.sources import alertmanager
from bot.rehearsal.replay import Acknowledging, Arrival, Replay, Terms
from bot.rehearsal.replay_lines import MOST_SAID, Recording, written
from bot.rehearsal.replay_past import Past
from bot.store.memory import MemoryStore
from tests.flow.test_order_and_repetition import Day, Play, days, in_order
from tests.support.clock import START
from tests.support.house import ADA, House, rules

MINUTE = timedelta(minutes=1)
SOURCES = {"alertmanager": SourceConfig("alertmanager", "alertmanager", None, alertmanager.Params())}
NEVER = Acknowledging(after=None)


def broken(minute: float, firing: bool = True, since: float | None = None, **labels: str) -> tuple[datetime, Alert]:
    at, begun = START + minute * MINUTE, START + (minute if since is None else since) * MINUTE
    every = {"alertname": "Broken", "service": "checkout", "severity": "critical", **labels}
    fingerprint = "-".join(every.values())
    return at, Alert("test", fingerprint, firing, every, {}, begun, None if firing else at)


async def arriving(told: Sequence[tuple[datetime, Alert]]) -> AsyncIterator[Arrival]:
    for at, alert in told:
        yield at, [alert]


async def replayed(*told: tuple[datetime, Alert], given: Rules | None = None, terms: Terms | None = None) -> Replayed:
    return await Replay(given or rules(), terms or Terms()).run(arriving(told))


# ------------------------------------------------------------------------------------------------ pages


async def test_who_acknowledges_when_the_next_level_is_due_is_in_time() -> None:
    result = await replayed(broken(0))
    assert result.pages == {"Ada": 1}
    assert result.unanswered == 0


async def test_paging_goes_on_while_nobody_acknowledges_and_ends_when_nobody_is_left() -> None:
    result = await replayed(broken(0), terms=Terms(acknowledging=NEVER))
    assert result.pages == {"#ops": 1, "Ada": 1, "Bob": 1}
    assert result.unanswered == 1


async def test_an_acknowledgement_after_six_minutes_comes_after_the_second_level() -> None:
    result = await replayed(broken(0), terms=Terms(acknowledging=Acknowledging(6 * MINUTE)))
    assert result.pages == {"#ops": 1, "Ada": 1, "Bob": 1}
    assert result.unanswered == 0


async def test_repeats_page_nobody_and_what_comes_back_pages_again() -> None:
    told = [broken(0), broken(1, since=0), broken(8, False, since=0), broken(20), broken(400, False, since=20)]
    result = await replayed(*told, terms=Terms(Night(zone="UTC")))
    assert (result.deliveries, result.alerts, result.incidents, result.reopened) == (5, 1, 1, 1)
    assert result.pages == result.at_night == {"Ada": 2}  # the clock of tests begins at three at night
    assert result.rules == {"Broken (test)": 2}


async def test_what_was_silenced_then_is_held_and_pages_when_the_silence_is_over() -> None:
    silence = Silence(
        number=1,
        matchers=('alertname="Broken"',),
        starts_at=START - MINUTE,
        ends_at=START + 30 * MINUTE,
        created_at=START - MINUTE,
    )
    short, long = broken(0, instance="1"), broken(1, instance="2")
    told = [short, long, broken(10, False, since=0, instance="1")]
    result = await replayed(*told, terms=Terms(silences=[silence]))
    assert result.held == {"silenced: silence 1": 2}
    assert (result.incidents, result.pages) == (1, {"Ada": 1})


async def test_a_replay_without_any_alert_is_all_zeros() -> None:
    result = await replayed()
    assert (result.deliveries, result.incidents, result.pages) == (0, 0, {})


@pytest.mark.parametrize(
    ("key", "minute", "expected"),
    [
        ("known", 0, 3),  # as it was recorded
        ("known", 4, 9),  # it pages later now: after the recorded one that is over, as people do otherwise
        ("known", 61, 70),  # the second incident that it belonged to
        ("known", -1, 4),  # it pages earlier than it belonged to any
        ("other", 0, 5),
        ("never", 0, 5),
    ],
)
def test_people_acknowledge_as_they_did_else_after_the_time_that_is_said(key: str, minute: int, expected: int) -> None:
    at = {1: [START + 3 * MINUTE], 2: [START + 70 * MINUTE]}
    belonged = {"known": [(START, 1), (START + 60 * MINUTE, 2)], "never": [(START, 3)]}
    assert Acknowledging(5 * MINUTE, belonged, at).of(key, START + minute * MINUTE) == START + expected * MINUTE


# ------------------------------------------------------------------------------------------------ the same as the program


@settings(max_examples=15, deadline=None)
@given(days())
def test_it_comes_to_the_incidents_that_the_program_comes_to(day: Day) -> None:
    async def work() -> None:
        incidents, _ = await Play(MemoryStore(), day).played(in_order(day))
        told = [(START + at, alert) for at, alert in day.told]
        terms = Terms(acknowledging=NEVER, silences=[day.silence()] if day.silenced else [])
        result = await Replay(day.rules(), terms).run(arriving(told))
        assert result.groups == dict(Counter({group_of(key): len(found) for key, found in incidents.items()}))

    asyncio.run(work())


async def moved_to(house: House, at: datetime) -> None:
    while (due := await house.store.next_due(house.clock())) is not None and due <= at:
        house.clock.now = max(house.clock.now, due)
        await house.settle()
    house.clock.now = at


async def test_the_past_of_a_database_is_replayed_to_the_pages_that_left_then() -> None:
    house = House(MemoryStore())
    told = [broken(0), broken(4, False, since=0), broken(12), broken(90, service="cart")]
    for at, alert in told:
        await moved_to(house, at)
        await house.receive(alert)
        if at == START + 12 * MINUTE:
            await moved_to(house, at + 7 * MINUTE)
            await house.incidents.acknowledge(1, ADA)
    await moved_to(house, START + timedelta(days=1))
    past = Past(house.store, START - MINUTE, START + timedelta(days=2))
    terms = Terms(acknowledging=await past.acknowledging(None), silences=await past.silences())
    result = await Replay(house.rules, terms).run(past.arrivals())
    pages = Counter(
        {"person:ada": "Ada", "person:bob": "Bob", "channel:ops": "#ops"}[act[1]] for act in house.room.said("page")
    )
    assert result.pages == dict(pages)
    assert pages == {"Ada": 3, "Bob": 2, "#ops": 2}
    assert result.unanswered == 1  # the first incident was acknowledged before everybody had been paged
    assert result.deliveries == len(told)


# ------------------------------------------------------------------------------------------------ recorded lines


def recording(path: Path, *lines: str) -> Recording:
    path.write_text("\n".join(lines), encoding="utf-8")
    return Recording(path, SOURCES, Redactor())


async def read(given: Recording) -> list[tuple[datetime, Alert]]:
    return [(at, alert) async for at, alerts in given.arrivals() for alert in alerts]


async def test_what_is_written_is_read_back_the_same(tmp_path: Path) -> None:
    told = [broken(0), broken(5, False, since=0, tricky='a"b\n{}')]
    given = recording(tmp_path / "day.jsonl", *(written(at, alert) for at, alert in told), "", "  ")
    assert await read(given) == told
    assert await read(given) == told  # from the beginning each time
    assert given.said() == []


async def test_bodies_of_webhooks_are_read_by_their_source_and_without_secrets(tmp_path: Path) -> None:
    body = {
        "alerts": [{"status": "firing", "labels": {"alertname": "A"}, "annotations": {"password": "hunter2hunter2"}}]
    }
    lines = [
        json.dumps({"at": "2026-03-02T03:00:00Z", "source": "alertmanager", "body": given})
        for given in (body, json.dumps(body))
    ]
    first, second = await read(recording(tmp_path / "day.jsonl", *lines))
    assert first == second
    assert (first[1].name, first[1].source, first[1].starts_at) == ("A", "alertmanager", START)
    assert "hunter2" not in str(first)


async def test_tests_are_left_out(tmp_path: Path) -> None:
    lines = [written(*broken(0, tocsin_test="true")), written(*broken(1))]
    assert await read(recording(tmp_path / "day.jsonl", *lines)) == [broken(1)]


BAD = {
    "{": "expected JSON",
    "[]": 'expected {"at"',
    '{"at": "yesterday", "alert": {}}': "at: found the text",
    '{"at": 1772420400}': "alert: found nothing",
    '{"at": 1772420400, "alert": {"source": "x"}}': "alert.firing: found nothing; expected true or false",
    '{"at": 1772420400, "alert": {"firing": true}}': "alert.source",
    '{"at": 1772420400, "alert": {"firing": true, "source": "x", "labels": []}}': "alert.labels: found a list",
    '{"at": 1772420400, "source": "alertmanger", "body": {}}': 'did you mean "alertmanager"?',
    '{"at": 1772420400, "source": "alertmanager", "body": {"x": 1}}': "expected a list of alerts",
    '{"at": 1772420400, "source": "alertmanager", "body": ' + "[" * 20_000: "nested too deeply",
    "\ufffd" * 3_000_000: "longer than",
}  # fmt: skip


@pytest.mark.parametrize("line", BAD, ids=range(len(BAD)))
async def test_a_bad_line_costs_only_itself_and_is_said_with_its_number(tmp_path: Path, line: str) -> None:
    given = recording(tmp_path / "day.jsonl", written(*broken(0)), line, written(*broken(1)))
    assert await read(given) == [broken(0), broken(1)]
    (said,) = given.said()
    assert said.startswith("line 2: ")
    assert BAD[line] in said
    assert len(said) < 1000


async def test_of_many_bad_lines_the_first_are_shown(tmp_path: Path) -> None:
    given = recording(tmp_path / "day.jsonl", written(*broken(0)), *["{"] * (MOST_SAID + 5))
    await read(given)
    assert len(given.said()) == MOST_SAID + 1
    assert given.said()[-1] == "and 5 more"


async def test_a_file_of_which_nothing_can_be_read_is_refused(tmp_path: Path) -> None:
    for lines in ((), ("{", "no")):
        with pytest.raises(BadInput, match="no line of it could be read"):
            await read(recording(tmp_path / "day.jsonl", *lines))
    with pytest.raises(BadInput, match="cannot be read: No such file"):
        await read(Recording(tmp_path / "none.jsonl", SOURCES, Redactor()))


async def test_what_comes_earlier_than_the_line_before_counts_as_late() -> None:
    result = await replayed(broken(10), replace_time(broken(0, instance="2"), 0))
    assert (result.deliveries, result.incidents) == (2, 1)


def replace_time(told: tuple[datetime, Alert], minute: float) -> tuple[datetime, Alert]:
    return START + minute * MINUTE, replace(told[1], starts_at=START + minute * MINUTE)
