"""Alerts that are held for a while: what holds them, when they page after all, and what never does. Time is moved by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.domain import effects
from bot.domain.alert import Alert, AlertState, Received
from bot.domain.flapping import Flapping
from bot.domain.incident import State
from bot.domain.incoming import Acknowledged
from bot.domain.inhibition import Dependencies, Inhibition, InhibitRule
from bot.domain.matching import matcher
from bot.domain.passing import Verdict
from bot.domain.people import Directory, Person
from bot.domain.ports import Tx
from bot.domain.quiet import OwnHours, QuietHours
from bot.domain.relabel import Relabel, Relabelling
from bot.domain.routing import Route, Routing
from bot.domain.rules import Rules
from bot.domain.signal import Signal
from bot.domain.silence import Silence
from bot.domain.storm import Storm
from bot.domain.windows import Window
from bot.flow.judging import SILENCES
from bot.store import open_store
from tests.support.clock import HandClock
from tests.support.house import ADA, PEOPLE, House, rules

NIGHT = Window.model_validate({"between": ["22:00", "08:00"], "zone": "Europe/Berlin"})
NODE = InhibitRule("node down", (matcher("alertname=NodeDown"),), (matcher("alertname=Broken"),), ("node",))


async def house_with(
    route: Route | None = None, clock: HandClock | None = None, given: Rules | None = None, **signal: Any
) -> House:
    """A house with this route and these rules for signal and noise."""
    made = Signal(Routing(route or Route(policy="shop")), **signal)
    return House(await open_store("memory://"), replace(given or rules(), signal=made), clock=clock)


async def silence(house: House, *matchers: str, minutes: float | None = 60, **more: Any) -> Silence:
    """One that begins now, saved as whoever makes one saves it."""
    now = house.clock()

    async def save(tx: Tx) -> Silence:
        known: dict[str, Any] = {
            "starts_at": now,
            "created_at": now,
            "ends_at": minutes and now + timedelta(minutes=minutes),
        }
        made = Silence(
            number=await tx.next_id("silence"), matchers=matchers or ("service=checkout",), **{**known, **more}
        )
        await tx.next_id(SILENCES)
        await tx.save_silence(made)
        return made

    return await house.store.write(save)


async def received(house: House, *alerts: Alert) -> list[str]:
    """The outcomes of one delivery, and all that is due delivered."""
    verdicts = await house.receive(*alerts)
    await house.settle()
    return outcomes(verdicts)


def outcomes(verdicts: Sequence[Verdict]) -> list[str]:
    return [verdict.outcome for verdict in verdicts]


def paged(house: House) -> list[str]:
    return [act[1] for act in house.room.said("page")]


async def state(house: House, fingerprint: str = "f1") -> AlertState:
    return (await house.store.read(lambda tx: tx.alert_states({f"test/{fingerprint}"})))[f"test/{fingerprint}"]


async def log(house: House, fingerprint: str = "f1") -> list[Received]:
    """Oldest first."""
    return list(reversed(await house.store.read(lambda tx: tx.alert_log(f"test/{fingerprint}"))))


async def count(house: House) -> int:
    return len(await house.store.read(lambda tx: tx.list_incidents(only_open=False)))


def over(house: House, one: Alert) -> Alert:
    """The same firing, resolved now."""
    return replace(one, firing=False, ends_at=house.clock())


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


# ------------------------------------------------------------------------------------------------ inhibition


def node_down(house: House, firing: bool = True) -> Alert:
    return house.alert("NodeDown", firing, "node", node="n1", service="nodes")


async def test_an_inhibited_alert_pages_when_its_source_resolves() -> None:
    house = await house_with(inhibition=Inhibition([NODE]))
    source = node_down(house)
    await received(house, source)
    assert await received(house, house.alert(node="n1")) == ["inhibited"]
    assert (await log(house))[0].reason == "inhibition rule 'node down': held by NodeDown on checkout"
    await house.wait(hours=2)
    assert await count(house) == 1
    house.room.acts.clear()
    await received(house, over(house, source))
    await house.wait(seconds=1)
    assert (await house.incident(2)).title == "checkout: Broken"
    assert paged(house) == ["person:ada"]


async def test_an_inhibited_alert_that_resolves_with_its_source_never_pages() -> None:
    house = await house_with(inhibition=Inhibition([NODE]))
    source, target = node_down(house), house.alert(node="n1")
    await received(house, source)
    await received(house, target)
    await house.wait(minutes=1)
    assert await received(house, over(house, source), over(house, target)) == ["resolved", "resolved"]
    await house.wait(hours=1)
    assert await count(house) == 1


@pytest.mark.parametrize("target_first", [True, False])
async def test_source_and_target_in_one_delivery_count_in_either_order(target_first: bool) -> None:
    house = await house_with(inhibition=Inhibition([NODE]))
    batch = [node_down(house), house.alert(node="n1")]
    if target_first:
        assert await received(house, *reversed(batch)) == ["inhibited", "opened"]
    else:
        assert await received(house, *batch) == ["opened", "inhibited"]
    await house.wait(hours=1)
    assert await count(house) == 1


async def test_a_source_that_is_over_in_the_same_delivery_holds_nothing_for_long() -> None:
    house = await house_with(inhibition=Inhibition([NODE]))
    source, target = node_down(house), house.alert(node="n1")
    assert await received(house, target, source, over(house, source)) == ["inhibited", "opened", "resolved"]
    await house.wait(seconds=1)
    assert (await house.incident(2)).title == "checkout: Broken"


async def test_a_source_that_was_over_before_it_was_heard_of_holds_nothing() -> None:
    house = await house_with(inhibition=Inhibition([NODE]))
    source = node_down(house)
    house.clock.forward(minutes=1)
    assert await received(house, over(house, source)) == ["ignored"]
    assert await received(house, source, house.alert(node="n1")) == ["opened", "opened"]


async def test_another_source_goes_on_holding_it() -> None:
    house = await house_with(inhibition=Inhibition([NODE]))
    one, other = node_down(house), replace(node_down(house), fingerprint="node-2")
    await received(house, one, other)
    await received(house, house.alert(node="n1"))
    await received(house, over(house, one))
    await house.wait(minutes=10)
    assert (await state(house)).held is not None
    await received(house, over(house, other))
    await house.wait(seconds=1)
    assert (await state(house)).held is None


async def test_a_source_that_is_silenced_holds_all_the_same() -> None:
    house = await house_with(inhibition=Inhibition([NODE]))
    await silence(house, "alertname=NodeDown")
    assert await received(house, node_down(house), house.alert(node="n1")) == ["silenced", "inhibited"]


async def test_alerts_of_a_service_wait_while_what_it_needs_is_down() -> None:
    house = await house_with(inhibition=Inhibition((), Dependencies.of({"checkout": ["db"]}, ["critical"])))
    down = house.alert("Down", fingerprint="db", service="db")
    assert await received(house, house.alert(), down) == ["inhibited", "opened"]
    assert (await log(house))[0].reason == "checkout needs db, which is down: Down on checkout"
    await house.wait(minutes=1)
    await received(house, over(house, down))
    await house.wait(seconds=1)
    assert (await house.incident(2)).service == "checkout"


async def test_a_warning_of_what_it_needs_explains_nothing() -> None:
    house = await house_with(inhibition=Inhibition((), Dependencies.of({"checkout": ["db"]}, ["critical"])))
    slow = house.alert("Slow", fingerprint="db", service="db", severity="warning")
    assert await received(house, slow, house.alert()) == ["opened", "opened"]


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


# ------------------------------------------------------------------------------------------------ flapping

FLAPS = Flapping(fires=3, within=timedelta(minutes=30), calm=timedelta(minutes=15))


async def flap(house: House, times: int) -> None:
    """It fires and resolves so many times, a minute each; the last time it goes on firing."""
    for number in range(times):
        one = house.alert()
        await received(house, one)
        if number < times - 1:
            await house.wait(minutes=1)
            await received(house, over(house, one))
            await house.wait(minutes=1)


async def test_an_alert_that_flaps_is_held_open_and_nobody_is_paged_again() -> None:
    house = await house_with(flapping=FLAPS)
    await flap(house, 3)
    await house.incidents.acknowledge(1, ADA)
    pages = len(paged(house))
    assert (await house.incident()).flapping == ("Broken on checkout",)
    assert (
        "Broken on checkout flaps: it has begun to fire 3 times within 30m. INC-1 is held open, and nobody is paged for it again, "
        "until it has been calm for 15m" in await house.texts()
    )
    for _ in range(6):
        await house.wait(minutes=1)
        assert outcomes(await house.receive(house.alert(firing=False))) == ["flapping"]
        await house.wait(minutes=1)
        assert outcomes(await house.receive(house.alert())) == ["flapping"]
    assert (await house.incident()).state is State.ACKNOWLEDGED
    assert (await count(house), len(paged(house))) == (1, pages)


async def test_an_incident_that_was_acknowledged_stays_so_when_its_alert_begins_to_flap() -> None:
    house = await house_with(flapping=FLAPS)
    for number in range(3):
        one = house.alert()
        await received(house, one)
        if number < 2:
            await house.incidents.acknowledge(1, ADA)
            pages = len(paged(house))
            await house.wait(minutes=1)
            await received(house, over(house, one))
            await house.wait(minutes=1)
    incident = await house.incident()
    assert (incident.state, incident.acknowledged_by, incident.epoch) == (State.ACKNOWLEDGED, "Ada", 3)
    await house.wait(hours=2)
    assert len(paged(house)) == pages


async def test_a_flapping_alert_that_is_calm_and_over_resolves_its_incident() -> None:
    house = await house_with(flapping=FLAPS)
    await flap(house, 3)
    await house.wait(minutes=1)
    await house.receive(house.alert(firing=False))
    await house.wait(minutes=14, seconds=59)
    assert (await house.incident()).is_open
    await house.wait(seconds=1)
    assert (await house.incident()).state is State.RESOLVED
    assert (await house.incident()).flapping == ()
    assert "Broken on checkout does not flap any more: it has resolved" in await house.texts()


async def test_a_flapping_alert_that_is_calm_and_fires_keeps_its_incident_open() -> None:
    house = await house_with(flapping=FLAPS)
    await flap(house, 3)
    await house.wait(minutes=15)
    assert (await house.incident()).is_open
    assert "Broken on checkout does not flap any more: it fires without a break" in await house.texts()
    await received(house, replace((await state(house)).alert, firing=False, ends_at=house.clock()))
    assert (await house.incident()).state is State.RESOLVED


async def test_a_silence_does_not_leave_the_incident_of_a_flapping_alert_open_for_ever() -> None:
    house = await house_with(flapping=FLAPS)
    await flap(house, 3)
    await silence(house)
    await house.wait(minutes=1)
    await house.receive(house.alert(firing=False))
    await house.wait(minutes=1)
    assert outcomes(await house.receive(house.alert())) == ["flapping"]
    await house.wait(minutes=1)
    await house.receive(house.alert(firing=False))
    await house.wait(minutes=15)
    assert (await house.incident()).state is State.RESOLVED


# ------------------------------------------------------------------------------------------------ storms

STORM = Storm(more_than=3, within=timedelta(minutes=5))


def problems(house: House, *numbers: int) -> list[Alert]:
    return [house.alert(f"Problem{number}", fingerprint=f"p{number}") for number in numbers]


@pytest.mark.parametrize("together", [True, False])
async def test_more_new_incidents_than_anybody_can_read_become_one_and_people_are_paged_once(together: bool) -> None:
    house = await house_with(storm=STORM)
    if together:
        await received(house, *problems(house, *range(10)))
    else:
        for one in problems(house, *range(10)):
            await received(house, one)
            await house.wait(seconds=1)
    assert await count(house) == 4
    storm = await house.incident(4)
    assert storm.title == "Alert storm on root"
    assert storm.problems == tuple(f"checkout: Problem{number}" for number in range(3, 10))
    assert storm.firing == 7
    assert paged(house) == ["person:ada"] * 4


async def test_after_a_storm_is_calm_new_problems_have_incidents_of_their_own() -> None:
    house = await house_with(storm=STORM)
    await received(house, *problems(house, 0, 1, 2, 3))
    await house.wait(minutes=4)
    await received(house, *problems(house, 4))
    assert await count(house) == 4, "it takes in what comes while it goes on"
    await house.wait(minutes=5)
    await received(house, *problems(house, 5))
    assert (await house.incident(5)).title == "checkout: Problem5"


async def test_a_second_storm_joins_the_incident_of_the_first_while_that_is_open() -> None:
    house = await house_with(storm=STORM)
    await received(house, *problems(house, 0, 1, 2, 3))
    await house.wait(minutes=20)
    await received(house, *problems(house, 4, 5, 6, 7, 8))
    assert await count(house) == 7
    assert (await house.incident(4)).firing == 3


async def test_a_storm_that_is_over_is_resolved() -> None:
    house = await house_with(storm=STORM)
    batch = problems(house, *range(6))
    await received(house, *batch)
    await house.wait(minutes=10)
    await received(house, *(over(house, one) for one in batch))
    assert {(await house.incident(number)).state for number in range(1, 5)} == {State.RESOLVED}


async def test_problems_that_were_resolved_long_ago_and_come_back_together_are_a_storm_too() -> None:
    house = await house_with(storm=STORM)
    for one in problems(house, *range(6)):
        await received(house, one)
        await house.wait(minutes=6)
        await received(house, over(house, one))
    await house.wait(hours=3)
    for one in problems(house, *range(6)):
        await received(house, one)
    assert await count(house) == 6 + 4
    assert (await house.incident(10)).firing == 3


# ------------------------------------------------------------------------------------------------ groups


async def test_a_group_that_waits_opens_nothing_for_what_resolves_in_time() -> None:
    house = await house_with(Route(policy="shop", wait=timedelta(minutes=2)))
    one = house.alert()
    assert await received(house, one) == ["waiting"]
    await house.wait(minutes=1)
    assert await received(house, over(house, one)) == ["resolved"]
    await house.wait(hours=1)
    assert await count(house) == 0


async def test_a_group_that_has_waited_is_one_incident_with_all_its_alerts() -> None:
    house = await house_with(Route(policy="shop", wait=timedelta(minutes=2)))
    await received(house, house.alert(), house.alert(fingerprint="f2", pod="b"))
    await house.wait(minutes=1, seconds=59)
    assert await count(house) == 0
    await house.wait(seconds=1)
    assert (await count(house), (await house.incident()).firing, paged(house)) == (1, 2, ["person:ada"])


async def test_what_explains_an_alert_may_come_while_its_group_waits() -> None:
    house = await house_with(Route(policy="shop", wait=timedelta(minutes=2)), inhibition=Inhibition([NODE]))
    await received(house, house.alert(node="n1"))
    await house.wait(minutes=1)
    await received(house, node_down(house))
    await house.wait(minutes=2)
    assert [one.title for one in await house.store.read(lambda tx: tx.list_incidents(only_open=True))] == [
        "nodes: Node down"
    ]


async def test_the_channel_is_told_of_alerts_that_join_at_most_once_an_interval() -> None:
    house = await house_with(Route(policy="shop", interval=timedelta(minutes=5)))
    await received(house, house.alert())
    for number in range(2, 6):
        await house.wait(minutes=1)
        await received(house, house.alert(fingerprint=f"f{number}", pod=str(number)))
    assert house.room.said("post") == []
    await house.wait(minutes=1)
    assert house.room.said("post") == [("post", "", "4 more alerts have joined: Broken on checkout")]
    await house.wait(hours=1)
    assert len(house.room.said("post")) == 1


async def test_people_are_reminded_of_what_is_still_open() -> None:
    house = await house_with(Route(policy="shop", repeat=timedelta(hours=4)))
    one = house.alert()
    await received(house, one)
    await house.incidents.acknowledge(1, ADA)
    await house.wait(hours=4)
    await house.wait(hours=4)
    reminders = [text for text in await house.texts() if "has been open for" in text]
    assert reminders == [f"INC-1 has been open for {hours}h: 1 of its alerts fire, and Ada has it" for hours in (4, 8)]
    await received(house, over(house, one))
    await house.wait(hours=20)
    assert len([text for text in await house.texts() if "has been open for" in text]) == 2


# ------------------------------------------------------------------------------------------------ what is changed, doubted, logged


async def test_alerts_are_relabelled_before_anything_else_and_what_is_dropped_leaves_only_its_log_line() -> None:
    rules = [
        Relabel("dev", (matcher("env=dev"),), drop=True),
        Relabel("prio", (), map={"severity": {"P1": "critical"}}),
    ]
    house = await house_with(relabelling=Relabelling(rules))
    assert await received(house, house.alert(env="dev")) == ["dropped"]
    assert await received(house, house.alert(fingerprint="f2", severity="P1")) == ["opened"]
    assert (await house.incident()).severity == "critical"
    assert [line.reason for line in await log(house)] == ["relabel rule 'dev' drops it"]
    assert (await log(house, "f2"))[0].alert.labels["severity"] == "P1", "the log has it as the sender said it"
    assert await house.store.read(lambda tx: tx.alert_states({"test/f1"})) == {}


async def test_what_is_held_and_dropped_by_a_new_rule_pages_nobody() -> None:
    house = await house_with()
    await silence(house)
    one = house.alert(env="dev")
    await received(house, one)
    drops = Relabelling([Relabel("dev", (matcher("env=dev"),), drop=True)])
    house.rules = replace(house.rules, signal=replace(house.rules.signal, relabelling=drops))
    assert await received(house, one, over(house, one)) == ["dropped", "dropped"]
    await house.wait(hours=2)
    assert (await count(house), (await state(house)).again_at) == (0, None)


async def test_a_severity_that_does_not_exist_here_is_noted_on_the_incident() -> None:
    house = await house_with()
    await received(house, house.alert(severity="apocalyptic"))
    assert (await house.incident()).severity == "warning"
    assert "The alert says severity=apocalyptic, which is no severity here: it counts as warning" in await house.texts()


async def test_what_is_only_logged_has_no_incident_and_pages_nobody() -> None:
    house = await house_with()
    one = house.alert(severity="info")
    assert await received(house, one, one) == ["logged", "logged"]
    assert await received(house, over(house, one)) == ["resolved"]
    assert (await count(house), house.room.acts) == (0, [])
    assert [line.outcome for line in await log(house)] == ["logged", "logged", "resolved"]


# ------------------------------------------------------------------------------------------------ the sender acknowledges


async def test_an_acknowledgement_at_the_sender_counts_here_too() -> None:
    house = await house_with()
    await received(house, house.alert())
    assert await house.intake.acknowledged("test", [Acknowledged("f1", "Grace"), Acknowledged("f9", "Grace")]) == 1
    await house.settle()
    await house.wait(hours=1)
    assert paged(house) == ["person:ada"]
    assert (await house.incident()).acknowledged_by == "Grace (test)"
    assert house.room.said("invite") == [("invite", "ada")], "somebody whom only the sender knows cannot be invited"
    assert await house.intake.acknowledged("test", [Acknowledged("f1")]) == 0, "it is acknowledged already"


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


# ------------------------------------------------------------------------------------------------ late and stale deliveries


async def test_a_firing_whose_end_came_first_is_an_incident_that_is_over_and_pages_nobody() -> None:
    house = await house_with()
    one = house.alert()
    house.clock.forward(minutes=1)
    assert await received(house, over(house, one)) == ["ignored"]
    assert await received(house, one) == ["opened"]
    assert await received(house, one) == ["ignored"], "a copy of it"
    await house.wait(hours=1)
    assert (await house.incident()).state is State.RESOLVED
    assert (await count(house), paged(house)) == (1, [])


async def test_the_end_of_the_second_firing_may_come_before_it() -> None:
    house = await house_with()
    one = house.alert()
    await received(house, one)
    await house.wait(minutes=1)
    await received(house, over(house, one))
    await house.wait(minutes=1)
    two = house.alert()
    await house.wait(minutes=1)
    assert await received(house, over(house, two)) == ["repeated"]
    assert await received(house, two) == ["late"]
    assert (await count(house), (await house.incident()).state) == (1, State.RESOLVED)
    assert len([kind for kind in await house.kinds() if kind == "alert_firing"]) == 1


async def test_a_resolve_and_a_new_firing_in_one_delivery_leave_one_incident_that_is_open() -> None:
    house = await house_with()
    one = house.alert()
    await received(house, one)
    await house.wait(minutes=1)
    assert await received(house, over(house, one), house.alert()) == ["resolved", "joined"]
    assert (await count(house), (await house.incident()).firing, (await house.incident()).is_open) == (1, 1, True)


async def test_fired_resolved_and_fired_again_in_one_delivery_is_one_alert_of_one_incident() -> None:
    house = await house_with()
    one = house.alert()
    house.clock.forward(minutes=1)
    assert await received(house, one, over(house, one), house.alert()) == ["opened", "resolved", "joined"]
    found = await house.incident()
    assert (await count(house), found.firing, found.alerts, found.is_open) == (1, 1, 1, True)


async def test_a_late_resolve_of_an_earlier_firing_changes_nothing() -> None:
    house = await house_with()
    one = house.alert()
    await received(house, one)
    await house.wait(minutes=1)
    ended = over(house, one)
    await house.wait(minutes=1)
    await received(house, house.alert())
    assert await received(house, ended) == ["ignored"]
    assert (await house.incident()).is_open
