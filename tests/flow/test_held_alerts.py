"""Alerts that are held for a while, by a silence, in quiet hours: when they page after all, and what never does. Time is moved by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.domain import effects
from bot.domain.incident import State
from bot.domain.inhibition import Inhibition, InhibitRule
from bot.domain.matching import matcher
from bot.domain.people import Directory, Person
from bot.domain.ports import Tx
from bot.domain.quiet import OwnHours, QuietHours
from bot.domain.routing import Route, Routing
from bot.domain.silence import Silence
from bot.flow.judging import SILENCES
from tests.flow.signal_house import (
    NIGHT,
    NODE,
    count,
    house_with,
    log,
    node_down,
    over,
    paged,
    received,
    silence,
    state,
)
from tests.support.house import PEOPLE, rules

# ------------------------------------------------------------------------------------------------ silences


async def test_a_silenced_alert_pages_when_the_silence_ends_and_it_still_fires() -> None:
    house = await house_with()
    await silence(house)
    assert await received(house, house.alert()) == ["silenced"]
    await house.wait(minutes=59, seconds=59)
    assert (await count(house), paged(house)) == (0, [])
    await house.wait(seconds=1)
    assert (await house.incident()).state is State.TRIGGERED
    assert paged(house) == ["person:ada"]
    last = (await log(house))[-1]
    assert (last.outcome, last.again) == ("opened", True)
    assert last.trail[0] == "repeated: it is held (silence:1), and is looked at again"


async def test_a_silenced_alert_that_resolved_meanwhile_never_pages() -> None:
    house = await house_with()
    await silence(house)
    one = house.alert()
    await received(house, one)
    await house.wait(minutes=10)
    assert await received(house, over(house, one)) == ["resolved"]
    await house.wait(hours=3)
    assert (await count(house), paged(house)) == (0, [])
    assert (await log(house))[-1].reason == "it no longer fires (no incident: it was held by silence:1)"


async def test_repeats_of_a_silenced_alert_stay_silent_and_are_counted() -> None:
    house = await house_with()
    await silence(house)
    one = house.alert()
    for _ in range(3):
        assert await received(house, one) == ["silenced"]
        await house.wait(minutes=5)
    assert await house.store.read(lambda tx: tx.hidden_by({"silence:1"})) == {"silence:1": (1, 1)}
    assert (await state(house)).deliveries == 3
    await house.wait(minutes=45)
    assert paged(house) == ["person:ada"]


async def test_a_silence_that_is_ended_early_releases_what_it_holds_at_once() -> None:
    house = await house_with()
    made = await silence(house, minutes=600)
    await received(house, house.alert())
    await house.wait(minutes=5)
    now = house.clock()

    async def end(tx: Tx) -> None:
        await tx.next_id(SILENCES)
        await tx.save_silence(made.model_copy(update={"ends_at": now}))
        await tx.look_again({made.key}, now)
        await tx.ask([effects.recheck(now)])

    await house.store.write(end)
    await house.settle()
    assert paged(house) == ["person:ada"]


async def test_a_second_silence_goes_on_holding_it() -> None:
    house = await house_with()
    await silence(house, minutes=60)
    await received(house, house.alert())
    await house.wait(minutes=30)
    await silence(house, minutes=60)
    await house.wait(minutes=30)
    held = (await state(house)).held
    assert held is not None
    assert held.by == "silence:2"
    assert [line.held_by for line in await log(house)] == ["silence:1", "silence:2"]
    await house.wait(minutes=30)
    assert paged(house) == ["person:ada"]


async def test_a_silence_in_the_future_holds_from_then_on() -> None:
    house = await house_with()
    await silence(house, starts_at=house.clock() + timedelta(minutes=10))
    assert await received(house, house.alert(service="cart", fingerprint="f2")) == ["opened"]
    await house.wait(minutes=10)
    assert await received(house, house.alert()) == ["silenced"]


async def test_a_silence_does_not_take_back_a_page() -> None:
    house = await house_with()
    await received(house, house.alert())
    await silence(house)
    assert await received(house, house.alert()) == ["repeated"]
    assert (await house.incident()).is_open


async def test_a_silence_without_an_end_holds_until_it_is_ended() -> None:
    house = await house_with()
    await silence(house, minutes=None)
    await received(house, house.alert())
    for _ in range(20):
        await house.wait(minutes=5)
    assert (await count(house), len(await log(house))) == (0, 1)


async def test_a_maintenance_window_of_the_configuration_holds_every_night() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    nightly = Silence(
        name="backup",
        kind="maintenance",
        matchers=("service=checkout",),
        windows=(NIGHT,),
        starts_at=start,
        created_at=start,
    )
    house = await house_with(maintenance=(nightly,))
    assert await received(house, house.alert()) == ["maintenance"]
    await house.wait(hours=3, minutes=59)
    assert paged(house) == []
    await house.wait(minutes=1)  # 08:00 in Berlin
    assert paged(house) == ["person:ada"]


async def test_many_silenced_alerts_of_one_group_open_one_incident_and_page_once() -> None:
    house = await house_with()
    await silence(house)
    await received(house, *(house.alert(fingerprint=f"f{number}", pod=str(number)) for number in range(5)))
    await house.wait(minutes=60)
    assert (await count(house), paged(house)) == (1, ["person:ada"])
    assert (await house.incident()).firing == 5


# ------------------------------------------------------------------------------------------------ quiet hours


async def test_what_can_wait_pages_in_the_morning() -> None:
    house = await house_with(quiet=(QuietHours("nights", (NIGHT,), frozenset({"warning"})),))
    assert await received(house, house.alert(severity="warning")) == ["quiet"]
    assert await received(house, house.alert("Worse", fingerprint="f2")) == ["opened"], "what cannot wait pages at once"
    house.room.acts.clear()
    await house.wait(hours=3, minutes=59)
    assert not any("INC-2" in line for act in house.room.acts for line in act)
    await house.wait(minutes=1)
    assert (await house.incident(2)).severity == "warning"
    assert ("card", "INC-2") in house.room.acts


async def test_what_is_over_by_the_morning_pages_nobody() -> None:
    house = await house_with(quiet=(QuietHours("nights", (NIGHT,), frozenset({"warning"})),))
    one = house.alert(severity="warning")
    await received(house, one)
    await house.wait(hours=1)
    await received(house, over(house, one))
    await house.wait(hours=20)
    assert await count(house) == 0


async def test_when_everybody_on_the_first_level_is_off_it_waits_for_them() -> None:
    off = OwnHours(windows=(NIGHT,), severities=frozenset({"warning"}))
    people = {**PEOPLE, "ada": Person(key="ada", name="Ada", slack="U0ADA", quiet=off)}
    house = await house_with(given=rules(directory=Directory(people=people)))
    assert await received(house, house.alert(severity="warning")) == ["quiet"]
    assert (await log(house))[
        0
    ].reason == "Ada cannot be paged for warning until 2026-03-02 08:00 CET, by their own hours"
    assert await received(house, house.alert("Worse", fingerprint="f2")) == ["opened"]
    await house.wait(hours=5)
    assert (await house.incident(2)).severity == "warning"


# ------------------------------------------------------------------------------------------------ the rules change


async def test_after_a_reload_what_no_rule_holds_any_more_pages() -> None:
    house = await house_with(quiet=(QuietHours("nights", (NIGHT,), frozenset({"critical"})),))
    await received(house, house.alert())
    house.rules = replace(house.rules, signal=replace(house.rules.signal, quiet=()))
    await house.intake.look_again_at_everything()
    await house.settle()
    assert paged(house) == ["person:ada"]


async def test_after_a_reload_sources_stand_where_the_new_rules_want_them() -> None:
    house = await house_with()
    await received(house, node_down(house))
    house.rules = replace(house.rules, signal=replace(house.rules.signal, inhibition=Inhibition([NODE])))
    await house.intake.look_again_at_everything()
    await house.settle()
    assert await received(house, house.alert(node="n1")) == ["inhibited"]


async def test_after_a_reload_a_rule_that_is_gone_holds_nothing() -> None:
    house = await house_with(inhibition=Inhibition([NODE]))
    await received(house, node_down(house), house.alert(node="n1"))
    house.rules = replace(house.rules, signal=replace(house.rules.signal, inhibition=Inhibition()))
    await house.intake.look_again_at_everything()
    await house.settle()
    assert (await house.incident(2)).title == "checkout: Broken"


async def test_what_nobody_is_responsible_for_any_more_is_not_looked_at_for_ever() -> None:
    house = await house_with()
    await silence(house)
    await received(house, house.alert())
    nobody = Route(policy="shop", matchers=(matcher("team=search"),))
    house.rules = replace(house.rules, signal=replace(house.rules.signal, routing=Routing(nobody)))
    await house.wait(hours=2)
    assert (await state(house)).again_at is None
    assert [line.outcome for line in await log(house)] == ["silenced", "ignored"]


async def test_a_private_alert_that_holds_another_is_not_named_there() -> None:
    private = Route(path="root/0", key="root/0", matchers=(matcher('alertname="Secret"'),), policy="shop", private=True)
    rule = InhibitRule("why", (matcher('alertname="Secret"'),), (matcher('alertname="Broken"'),))
    house = await house_with(Route(policy="shop", routes=(private,)), inhibition=Inhibition([rule]))
    await house.receive(house.alert("Secret", fingerprint="s"), house.alert())
    (line,) = await house.store.read(lambda tx: tx.alert_log("test/f1"))
    assert (line.outcome, line.reason) == ("inhibited", "inhibition rule 'why': held by an alert that is private")
    await house.receive(house.alert())
    (line, _) = await house.store.read(lambda tx: tx.alert_log("test/f1"))
    assert line.reason == "inhibition rule 'why': held by an alert that is private"
