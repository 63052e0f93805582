"""Silences and maintenance windows: made, moved, ended, and what that does to alerts, incidents and people."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.domain.incident import State
from bot.domain.routing import Route, Routing
from bot.domain.signal import Signal
from bot.domain.silence import Silence
from bot.domain.silencing import LONGEST, Wish
from bot.domain.storm import Storm
from bot.domain.windows import Window
from bot.errors import BadInput
from bot.flow.silences import Silences
from bot.store import open_store
from tests.support.house import ADA, BOB, House, rules

HOUR = timedelta(hours=1)
BROKEN = Wish(matchers=('alertname="Broken"',), reason="replacing disks", lasts=2 * HOUR)


@pytest.fixture
async def house() -> House:
    return House(await open_store("memory://"))


def wish(**update: Any) -> Wish:
    return replace(BROKEN, **update)


async def outcome(house: House, name: str = "Broken", fingerprint: str = "f1", **more: Any) -> str:
    (verdict,) = await house.receive(house.alert(name, fingerprint=fingerprint, **more))
    return verdict.outcome


# ------------------------------------------------------------------------------------------------ what it does to alerts


async def test_what_begins_to_fire_is_held_counted_and_pages_when_it_is_over(house: House) -> None:
    made = await house.silences.create(BROKEN, ADA)
    assert made.silence.ref == "silence 1"
    assert await outcome(house) == "silenced"
    assert await outcome(house, "Other", "f2") == "opened"
    shown = await house.silences.show(1)
    assert (shown.listed.phase, shown.listed.hides, shown.listed.hid) == ("active", 1, 1)
    assert [one.state.alert.name for one in shown.hidden] == ["Broken"]
    await house.wait(hours=2, seconds=1)
    assert "Broken" in (await house.incident(2)).title
    assert (await house.silences.show(1)).listed.phase == "expired"


async def test_ended_early_it_lets_go_at_once(house: House) -> None:
    await house.silences.create(BROKEN, ADA)
    assert await outcome(house) == "silenced"
    moved = await house.silences.end(1, BOB)
    assert (moved.released, moved.words) == (
        1,
        "silence 1 is over. 1 alert that it hid is looked at again, and may page now.",
    )
    await house.settle()
    assert (await house.incident(1)).state is State.TRIGGERED
    with pytest.raises(BadInput, match="silence 1 ended at 2026-03-02 03:00 UTC; make a new one"):
        await house.silences.end(1, BOB)


async def test_shortened_it_lets_go_at_its_new_end_and_extended_at_that(house: House) -> None:
    await house.silences.create(BROKEN, ADA)
    await outcome(house)
    moved = await house.silences.extend(1, timedelta(minutes=-90), BOB)
    assert moved.silence.ends_at == house.clock() + timedelta(minutes=30)
    await house.settle()
    assert not await house.incidents.listing()
    await house.silences.extend(1, timedelta(minutes=15), BOB)
    await house.wait(minutes=31)
    assert not await house.incidents.listing()
    await house.wait(minutes=15)
    assert len(await house.incidents.listing()) == 1


async def test_shortened_into_the_past_it_is_over(house: House) -> None:
    await house.silences.create(BROKEN, ADA)
    await outcome(house)
    house.clock.forward(minutes=1)
    moved = await house.silences.extend(1, timedelta(hours=-3), BOB)
    assert moved.silence.over(house.clock())
    assert moved.silence.ends_at == house.clock()


async def test_one_in_the_future_hides_nothing_yet_and_ended_never_begins(house: House) -> None:
    begins = house.clock() + HOUR
    made = await house.silences.create(wish(starts_at=begins), ADA)
    assert "from 2026-03-02 04:00 UTC until 2026-03-02 06:00 UTC" in made.words
    assert (await house.silences.listing())[0].phase == "pending"
    assert await outcome(house) == "opened"
    await house.silences.end(1, ADA)
    house.clock.forward(hours=1, minutes=1)
    assert await outcome(house, fingerprint="f2", service="cart") == "opened"


async def test_a_recurring_maintenance_holds_in_its_hours_only(house: House) -> None:
    window = Window(days=("mon",), between=("03:30", "05:00"), zone="UTC")  # type: ignore[arg-type]
    made = await house.silences.create(wish(kind="maintenance", windows=(window,), lasts=None), ADA)
    assert made.silence.key == "maintenance:1"
    assert "every mon 03:30-05:00 UTC" in made.words
    assert await outcome(house) == "opened"
    house.clock.forward(minutes=40)
    assert await outcome(house, fingerprint="f2", service="cart") == "maintenance"
    house.clock.forward(days=1)
    assert await outcome(house, fingerprint="f3", service="mail") == "opened"
    with pytest.raises(BadInput, match="has no end that could be moved"):
        await house.silences.extend(1, HOUR, ADA)
    assert (await house.silences.set_end(1, house.clock() + HOUR, ADA)).silence.ends_at is not None


# ------------------------------------------------------------------------------------------------ for an incident


async def test_made_for_an_incident_it_takes_its_group_acknowledges_it_and_keeps_it_from_opening_again(
    house: House,
) -> None:
    await outcome(house)
    await house.settle()
    made = await house.silences.create(Wish(reason="replacing disks", lasts=2 * HOUR, incident_id=1), ADA)
    assert made.silence.matchers == ('alertname="Broken"', 'service="checkout"')
    assert made.silence.incident_id == 1
    assert made.words.endswith("INC-1 stays open, because a silence is for what begins to fire."), "it is acknowledged"
    await house.settle()
    incident = await house.incident()
    assert (incident.state, incident.acknowledged_by) == (State.ACKNOWLEDGED, "Ada")
    assert (await house.kinds())[-2:] == ["silenced", "acknowledged"]
    said = [text for _, text in house.room.said("say")]
    assert any("Ada made silence 1 for INC-1 until 2026-03-02 05:00 UTC: replacing disks" in text for text in said)
    pages = len(house.room.said("page"))
    await house.receive(house.alert(firing=False))
    assert (await house.incident()).state is State.RESOLVED
    house.clock.forward(minutes=5)
    assert await outcome(house) == "silenced"
    await house.wait(minutes=30)
    assert (await house.incident()).state is State.RESOLVED
    assert len(house.room.said("page")) == pages


async def test_its_end_is_moved_aloud_in_its_incident(house: House) -> None:
    await outcome(house)
    await house.silences.create(wish(incident_id=1), ADA)
    await house.silences.extend(1, HOUR, BOB)
    await house.silences.end(1, BOB)
    texts = [text for text in await house.texts() if "Bob" in text]
    assert texts == ["Bob moved the end of silence 1: until 2026-03-02 06:00 UTC", "Bob ended silence 1"]


async def test_who_has_an_incident_keeps_it(house: House) -> None:
    await outcome(house)
    await house.incidents.acknowledge(1, BOB)
    await house.silences.create(wish(incident_id=1), ADA)
    assert (await house.incident()).acknowledged_by == "Bob"


async def test_an_incident_without_a_group_says_so(house: House) -> None:
    await house.incidents.declare("the shop is slow", "critical", ADA)
    with pytest.raises(BadInput, match="INC-1 was opened by hand and has no alerts, so say which ones are meant"):
        await house.silences.create(Wish(reason="x", lasts=HOUR, incident_id=1), ADA)
    assert await house.silences.matchers_of(1) == ()
    with pytest.raises(BadInput, match="There is no INC-9"):
        await house.silences.create(wish(incident_id=9), ADA)


async def test_a_storm_and_what_is_grouped_by_nothing_must_be_named() -> None:
    signal = Signal(Routing(Route(policy="shop", group_by=())), storm=Storm(more_than=0))
    house = House(await open_store("memory://"), rules(signal=signal))
    await outcome(house)
    with pytest.raises(BadInput, match="groups its alerts by no label"):
        await house.silences.create(Wish(reason="x", lasts=HOUR, incident_id=1), ADA)
    stormy = House(await open_store("memory://"), rules(signal=replace(rules().signal, storm=Storm(more_than=1))))
    await stormy.receive(*(stormy.alert(f"A{n}", fingerprint=f"f{n}") for n in range(3)))
    storm = next(one for one in await stormy.incidents.listing() if one.storm_at)
    with pytest.raises(BadInput, match="is a storm of many different alerts"):
        await stormy.silences.create(Wish(reason="x", lasts=HOUR, incident_id=storm.id), ADA)


async def test_labels_with_braces_and_quotes_are_found_in_a_group(house: House) -> None:
    await outcome(house, 'Bro{"k": 1}en', service='a"b\\c')
    assert await house.silences.matchers_of(1) == ('alertname="Bro{\\"k\\": 1}en"', 'service="a\\"b\\\\c"')
    await house.silences.create(Wish(reason="x", lasts=HOUR, incident_id=1), ADA)
    house.clock.forward(minutes=1)
    assert await outcome(house, 'Bro{"k": 1}en', "f9", service='a"b\\c') == "silenced"


# ------------------------------------------------------------------------------------------------ what people are told


async def test_what_fires_now_is_named_because_it_stays_open(house: House) -> None:
    assert "Nothing that fires now matches." in (await house.silences.create(BROKEN, ADA)).words
    await house.silences.end(1, ADA)
    await outcome(house)
    await outcome(house, fingerprint="f2", service="cart")
    made = await house.silences.create(BROKEN, ADA)
    assert made.words.endswith(
        "2 alerts that fire now match; INC-1, INC-2 stay open, because a silence is for what begins to fire. "
        "Acknowledge INC-1, INC-2 to stop the paging."
    )
    assert made.matching.incidents == (1, 2)
    assert (await house.incident()).state is State.TRIGGERED, "paging goes on"
    preview = await house.silences.preview(['service="cart"'])
    assert (preview.count, preview.incidents, preview.names) == (1, (2,), ("Broken on checkout",))


async def test_alerts_of_private_incidents_are_counted_and_not_named() -> None:
    private = Signal(Routing(Route(policy="shop", private=True)))
    house = House(await open_store("memory://"), rules(signal=private))
    await house.silences.create(BROKEN, ADA)
    await outcome(house)
    await outcome(house, "Other", "f2")
    assert [one.private for one in (await house.silences.show(1)).hidden] == [True]
    preview = await house.silences.preview(['alertname="Other"'])
    assert (preview.count, preview.names) == (1, ())


async def test_that_it_ends_soon_is_said_where_it_was_made(house: House) -> None:
    await outcome(house)
    await house.silences.create(wish(incident_id=1), ADA)
    await house.settle()
    await house.wait(minutes=104)
    assert not [text for _, text in house.room.said("say") if "ends in" in text]
    await house.wait(minutes=1)
    assert [text for _, text in house.room.said("say") if "ends in" in text] == [
        "silence 1 of Ada ends in 15 min: replacing disks. It hides nothing now. To extend it: `/incident silence extend 1 2h`"
    ]
    assert (await house.kinds())[-1] == "silenced"


async def test_one_that_hides_something_says_so_in_the_fallback_channel_and_another_one_nothing(house: House) -> None:
    await house.silences.create(BROKEN, ADA)
    await house.silences.create(wish(matchers=("alertname=Other",)), BOB)
    await outcome(house)
    await house.wait(minutes=105)
    assert house.room.said("alarm") == [
        (
            "alarm",
            "silence 1 of Ada ends in 15 min: replacing disks. 1 alert is hidden by it and will page if still firing then. "
            "To extend it: `/incident silence extend 1 2h`",
        )
    ]


async def test_an_end_that_was_moved_is_told_of_at_its_new_time_only(house: House) -> None:
    await house.silences.create(BROKEN, ADA)
    await outcome(house)
    await house.silences.extend(1, HOUR, ADA)
    await house.wait(minutes=105)
    assert not house.room.said("alarm")
    await house.wait(minutes=60)
    assert len(house.room.said("alarm")) == 1


async def test_one_that_was_ended_is_not_told_of(house: House) -> None:
    await house.silences.create(BROKEN, ADA)
    await outcome(house)
    await house.silences.end(1, ADA)
    await house.wait(hours=3)
    assert not [text for _, text in house.room.said("alarm") if "ends in" in text]


@pytest.mark.parametrize(
    ("minutes", "before"), [(19, None), (20, 10), (25, 12.5), (30, 15), (60, 15), (60 * 24 * 30, 15)]
)
async def test_how_long_before_the_end_it_is_said(house: House, minutes: int, before: float | None) -> None:
    await house.silences.create(wish(lasts=timedelta(minutes=minutes)), ADA)
    due = await house.store.next_due(house.clock())
    ends = house.clock() + timedelta(minutes=minutes)
    assert due == (None if before is None else ends - timedelta(minutes=before))


# ------------------------------------------------------------------------------------------------ what may not be


LATE = datetime(2030, 1, 1, tzinfo=UTC)
PAST = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("update", "said"),
    [
        ({"reason": "  "}, "needs a reason"),
        ({"lasts": None}, "A silence needs an end"),
        ({"ends_at": LATE}, "not both"),
        ({"lasts": None, "ends_at": LATE}, "at most 400 days"),
        ({"lasts": LONGEST + HOUR}, "at most 400 days"),
        ({"lasts": timedelta(0)}, "longer than nothing"),
        ({"lasts": -HOUR}, "longer than nothing"),
        ({"lasts": None, "ends_at": PAST}, "would have ended already, at 2026-03-01 00:00 UTC"),
        ({"starts_at": LATE}, "at most 400 days ahead"),
        (
            {"starts_at": PAST + timedelta(days=9), "lasts": None, "ends_at": PAST + timedelta(days=8)},
            "before it begins",
        ),
        ({"matchers": ()}, "Which alerts"),
        ({"matchers": ("nonsense",)}, "not a matcher: 'nonsense'"),
        ({"matchers": ('a=~"("',)}, "not a regular expression"),
        ({"matchers": ('a=~".*"',)}, "would hide everything"),
        ({"matchers": ('a!="x"', 'b=""')}, "would hide everything"),
        ({"matchers": tuple(f"a{n}=b" for n in range(51))}, "too many; at most 50"),
        ({"matchers": ("a=" + "x" * 3000,)}, "too long"),
        ({"matchers": ("a=ghp_" + "a1B2" * 9,)}, "looks like a secret"),
        ({"windows": (Window(days=("sat",)),)}, "does not recur"),
        ({"kind": "maintenance", "lasts": None}, "needs an end"),
        ({"kind": "maintenance", "windows": (Window(),)}, "needs days or times of day"),
        ({"kind": "maintenance", "windows": (Window(days=("sat",)),) * 21}, "too many; at most 20"),
    ],
)
async def test_what_cannot_be_is_refused_in_words_and_leaves_nothing(
    house: House, update: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadInput, match=said):
        await house.silences.create(wish(**update), ADA)
    assert await house.silences.listing() == []
    assert (await house.silences.create(BROKEN, ADA)).silence.number == 1, "no number is lost"


async def test_a_start_that_is_over_is_now_and_times_are_kept_in_utc(house: House) -> None:
    made = await house.silences.create(wish(starts_at=PAST), ADA)
    assert (made.silence.starts_at, made.silence.starts_at.tzinfo) == (house.clock(), UTC)


async def test_what_people_write_is_clipped_and_without_secrets(house: House) -> None:
    silences = Silences(house.store, house.clock, lambda: house.rules, lambda text: text.replace("hunter2", "[secret]"))
    long = ADA.model_copy(update={"name": "A" * 300})
    made = await silences.create(wish(reason="it is hunter2\n" + "x" * 900), long)
    assert made.silence.reason.startswith("it is [secret] xxx")
    assert (len(made.silence.reason), len(made.silence.author)) == (500, 100)


async def test_there_are_only_so_many_at_a_time(house: House) -> None:
    def one(number: int) -> Silence:
        return Silence(number=number, matchers=("a=b",), starts_at=PAST, ends_at=LATE, created_at=PAST)

    async def fill(tx: Any) -> None:
        for number in range(1, 5001):
            await tx.save_silence(one(number))

    await house.store.write(fill)
    with pytest.raises(BadInput, match="There are 5000 silences already"):
        await house.silences.create(BROKEN, ADA)


async def test_one_that_is_not_there_is_said(house: House) -> None:
    for act in (house.silences.end(7, ADA), house.silences.extend(7, HOUR, ADA), house.silences.show(7)):
        with pytest.raises(BadInput, match="There is no silence 7"):
            await act
    await house.silences.create(BROKEN, ADA)
    with pytest.raises(BadInput, match="at most 400 days"):
        await house.silences.extend(1, LONGEST, ADA)


# ------------------------------------------------------------------------------------------------ looking at them, taking them over


async def test_the_list_has_what_lasts_what_is_configured_and_what_is_over_since_lately() -> None:
    nightly = Silence(name="nightly", kind="maintenance", matchers=("a=b",), starts_at=PAST, created_at=PAST)
    house = House(await open_store("memory://"), rules(signal=replace(rules().signal, maintenance=(nightly,))))
    await house.silences.create(BROKEN, ADA)
    await house.silences.create(wish(starts_at=house.clock() + HOUR), ADA)
    await house.silences.create(wish(kind="maintenance"), ADA)
    await house.silences.end(1, ADA)
    keys = [one.silence.key for one in await house.silences.listing()]
    assert keys == ["silence:2", "maintenance:3", "maintenance:nightly", "silence:1"]
    assert [one.silence.number for one in await house.silences.listing("expired")] == [1]
    assert [one.silence.number for one in await house.silences.listing("pending")] == [2]
    assert [one.silence.number for one in await house.silences.listing("active", "maintenance")] == [3, 0]
    house.clock.forward(days=6)
    assert [one.silence.key for one in await house.silences.listing()] == ["maintenance:nightly"]


async def test_those_of_another_system_are_made_once_and_follow_its_ends(house: House) -> None:
    theirs = wish(lasts=None, ends_at=house.clock() + HOUR, imported_from="abc")
    bad = wish(matchers=('a=~".*"',), imported_from="bad")
    found = await house.silences.take_over([(theirs, ADA), (bad, BOB), (theirs, ADA)])
    assert [(one.ref, one.outcome) for one in found] == [("abc", "new"), ("bad", "refused"), ("abc", "same")]
    assert "would hide everything" in found[1].why
    assert [one.outcome for one in await house.silences.take_over([(theirs, ADA)])] == ["same"]
    later = replace(theirs, ends_at=house.clock() + 2 * HOUR)
    assert [one.outcome for one in await house.silences.take_over([(later, ADA)])] == ["moved"]
    await house.silences.end(1, ADA)
    assert [one.outcome for one in await house.silences.take_over([(later, ADA)])] == ["same"], "who ended it meant it"
    assert len(await house.silences.listing("expired")) == 1


async def test_counts_for_metrics(house: House) -> None:
    await house.silences.create(BROKEN, ADA)
    await outcome(house)
    assert await house.silences.counts() == (1, 1)
