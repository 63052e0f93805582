"""What could keep a page from people: something worse in what somebody has, further routes, sources that never end, rules that come later."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from bot.domain.alert import Alert
from bot.domain.escalation import Level, Policy
from bot.domain.flapping import Flapping
from bot.domain.incident import State
from bot.domain.incoming import Acknowledged
from bot.domain.inhibition import Inhibition
from bot.domain.matching import matcher
from bot.domain.people import Directory, Person
from bot.domain.quiet import OwnHours, QuietHours
from bot.domain.relabel import Relabel, Relabelling
from bot.domain.routing import Route, Routing
from bot.domain.severity import Taxonomy
from bot.domain.signal import Signal
from bot.domain.storm import Storm
from bot.store.memory import MemoryStore
from tests.flow.signal_house import (
    NIGHT,
    NODE,
    count,
    house_with,
    node_down,
    over,
    paged,
    received,
    silence,
    state,
)
from tests.support.house import ADA, PEOPLE, SHOP, House, rules

DROPS = Relabelling([Relabel("dev", (matcher("env=dev"),), drop=True)])
TEAM = Route(policy="shop", group_by=("service",))


def reload(house: House, **signal: Any) -> None:
    house.rules = replace(house.rules, signal=replace(house.rules.signal, **signal))


async def standing(house: House, node: str = "n1") -> bool:
    """Whether an alert on this node would be held by the node's own."""
    known = await house.store.read(lambda tx: tx.firing_alerts())
    target = house.alert(fingerprint=f"probe {len(known)}", node=node)
    (verdict,) = await house.receive(target)
    return verdict.outcome == "inhibited"


# ------------------------------------------------------------------------------------------------ it becomes worse


async def acknowledged_warning(house: House) -> Alert:
    one = house.alert(severity="warning")
    await received(house, one)
    await house.incidents.acknowledge(1, ADA)
    assert paged(house) == ["person:ada"]
    await house.wait(minutes=10)
    return one


async def test_a_worse_alert_that_joins_what_somebody_has_acknowledged_pages_anew() -> None:
    house = await house_with(TEAM)
    await acknowledged_warning(house)
    assert await received(house, house.alert("Worse", fingerprint="f2")) == ["joined"]
    incident = await house.incident()
    assert (incident.state, incident.severity, incident.acknowledged_by) == (State.TRIGGERED, "critical", "")
    assert paged(house) == ["person:ada", "person:ada"]
    assert "INC-1 is critical now, and was warning when Ada acknowledged it: paging begins anew" in await house.texts()
    await house.incidents.acknowledge(1, ADA)
    assert await received(house, house.alert("As bad", fingerprint="f3")) == ["joined"]
    await house.wait(hours=1)
    assert len(paged(house)) == 2


async def test_an_alert_of_the_same_severity_that_joins_pages_nobody() -> None:
    house = await house_with(TEAM)
    await acknowledged_warning(house)
    await received(house, house.alert("Other", fingerprint="f2", severity="warning"))
    await house.wait(hours=1)
    assert paged(house) == ["person:ada"]


async def test_while_it_is_being_paged_for_a_worse_alert_does_not_page_everybody_twice() -> None:
    house = await house_with(TEAM)
    await received(house, house.alert(severity="warning"))
    await received(house, house.alert("Worse", fingerprint="f2"))
    assert paged(house) == ["person:ada"]
    await house.wait(minutes=5)
    assert paged(house) == ["person:ada", "person:bob", "channel:ops"]


async def test_when_nobody_was_left_to_page_something_worse_begins_anew() -> None:
    house = await house_with(TEAM)
    await received(house, house.alert(severity="warning"))
    await house.wait(minutes=5)
    await house.wait(minutes=5)
    assert (await house.incident()).tracks[0].exhausted
    await received(house, house.alert("Worse", fingerprint="f2"))
    assert paged(house)[-1] == "person:ada" and len(paged(house)) == 4


async def test_a_critical_problem_in_a_storm_of_warnings_that_somebody_has_pages_anew() -> None:
    house = await house_with(storm=Storm(more_than=2, within=timedelta(minutes=5)))
    for number in range(4):
        await received(house, house.alert(f"W{number}", fingerprint=f"w{number}", severity="warning"))
    assert (await house.incident(3)).storm_at is not None
    await house.incidents.acknowledge(3, ADA)
    before = len(paged(house))
    assert await received(house, house.alert("Down", fingerprint="down")) == ["joined"]
    assert len(paged(house)) == before + 1
    assert (await house.incident(3)).state is State.TRIGGERED


async def test_what_comes_and_goes_in_a_storm_does_not_make_it_swallow_new_problems_for_ever() -> None:
    house = await house_with(storm=Storm(more_than=2, within=timedelta(minutes=5)), flapping=Flapping(fires=0))
    for number in range(4):
        await received(house, house.alert(f"W{number}", fingerprint=f"w{number}"))
    for _ in range(3):
        await house.wait(minutes=1)
        one = house.alert("W3", fingerprint="w3", firing=False)
        await received(house, one)
        await house.wait(minutes=1)
        await received(house, replace(one, firing=True, starts_at=house.clock(), ends_at=None))
    await house.incidents.acknowledge(3, ADA)
    assert await received(house, house.alert("Other", fingerprint="other")) == ["opened"]
    assert (await house.incident(await count(house))).title == "checkout: Other"


async def test_an_alert_that_is_repeated_with_a_worse_severity_is_no_mere_repeat() -> None:
    house = await house_with()
    one = await acknowledged_warning(house)
    worse = replace(one, labels={**one.labels, "severity": "critical"})
    assert await received(house, worse) == ["repeated"]
    incident = await house.incident()
    assert (incident.severity, incident.state, incident.firing, incident.alerts) == ("critical", State.TRIGGERED, 1, 1)
    assert paged(house) == ["person:ada", "person:ada"]
    await house.incidents.acknowledge(1, ADA)
    assert await received(house, worse, one, worse) == ["repeated"] * 3
    assert (await house.incident()).state is State.ACKNOWLEDGED
    assert await received(house, over(house, worse)) == ["resolved"]
    assert (await house.incident()).state is State.RESOLVED


async def test_what_a_person_has_made_of_the_severity_stays_while_the_alert_says_the_same() -> None:
    house = await house_with()
    one = house.alert()
    await received(house, one)
    await house.incidents.set_severity(1, "warning", ADA)
    await received(house, replace(one, annotations={"summary": "still broken"}))
    assert (await house.incident()).severity == "warning"


async def test_a_silence_keeps_also_quiet_what_becomes_worse() -> None:
    house = await house_with()
    one = await acknowledged_warning(house)
    await silence(house)
    await received(house, replace(one, labels={**one.labels, "severity": "critical"}))
    assert paged(house) == ["person:ada"]
    assert (await house.incident()).firing == 1
    await house.wait(minutes=61)
    await received(house, replace(one, labels={**one.labels, "severity": "critical"}))
    assert paged(house) == ["person:ada", "person:ada"]


# ------------------------------------------------------------------------------------------------ whom its further routes page


SECURITY = Policy(key="security", levels=(Level(targets=("person:bob",), timeout=timedelta(minutes=5)),))
BOTH = Route(
    policy="shop",
    group_by=("service",),
    routes=(
        Route(path="root/0", key="root/0", policy="shop", go_on=True, group_by=("service",)),
        Route(path="root/1", key="root/1", policy="security", matchers=(matcher("team=security"),)),
    ),
)


@pytest.mark.parametrize("acknowledged", [False, True])
async def test_an_alert_that_joins_pages_the_policies_that_only_its_own_routes_name(acknowledged: bool) -> None:
    house = await house_with(BOTH, given=rules(escalations={"shop": SHOP, "security": SECURITY}))
    await received(house, house.alert())
    if acknowledged:
        await house.incidents.acknowledge(1, ADA)
    assert await received(house, house.alert("Intruder", fingerprint="f2", team="security")) == ["joined"]
    assert paged(house) == ["person:ada", "person:bob"]
    incident = await house.incident()
    assert [track.policy.key for track in incident.tracks] == ["shop", "security"]
    if acknowledged:
        await house.wait(minutes=5)
        assert paged(house) == ["person:ada", "person:bob"]  # whoever had it is not paged for it again


async def test_alerts_of_one_delivery_page_the_policies_of_all_of_them() -> None:
    house = await house_with(BOTH, given=rules(escalations={"shop": SHOP, "security": SECURITY}))
    await received(house, house.alert(), house.alert("Intruder", fingerprint="f2", team="security"))
    assert paged(house) == ["person:ada", "person:bob"]


# ------------------------------------------------------------------------------------------------ people's own hours


async def test_the_most_severe_is_not_held_while_somebody_on_its_policy_can_be_paged() -> None:
    off = OwnHours(windows=(NIGHT,), severities=frozenset({"critical"}))
    people = {**PEOPLE, "ada": Person(key="ada", name="Ada", slack="U0ADA", quiet=off)}
    house = await house_with(given=rules(directory=Directory(people=people)))
    assert await received(house, house.alert()) == ["opened"]
    assert paged(house) == ["person:bob", "channel:ops"]


async def test_the_most_severe_waits_when_really_nobody_can_be_paged() -> None:
    off = OwnHours(windows=(NIGHT,), severities=frozenset({"critical"}))
    people = {"ada": Person(key="ada", name="Ada", slack="U0ADA", quiet=off)}
    alone = Policy(key="shop", levels=(Level(targets=("person:ada",)),))
    house = await house_with(given=rules(directory=Directory(people=people), escalations={"shop": alone}))
    assert await received(house, house.alert()) == ["quiet"]


async def test_who_was_passed_over_for_a_warning_is_paged_when_it_is_worse() -> None:
    off = OwnHours(windows=(NIGHT,), severities=frozenset({"warning"}))
    people = {**PEOPLE, "ada": Person(key="ada", name="Ada", slack="U0ADA", quiet=off)}
    both = Policy(key="shop", levels=(Level(targets=("person:ada",)), Level(targets=("person:bob",))))
    second = Policy(key="second", levels=(Level(targets=("person:bob",)),))
    route = Route(
        policy="shop",
        group_by=("service",),
        routes=(
            Route(path="root/0", key="root/0", policy="shop", go_on=True, group_by=("service",)),
            Route(path="root/1", key="root/1", policy="second"),
        ),
    )
    given = rules(directory=Directory(people=people), escalations={"shop": both, "second": second})
    house = await house_with(route, given=given)
    await received(house, house.alert(severity="warning"))
    assert set(paged(house)) == {"person:bob"}
    await received(house, house.alert("Worse", fingerprint="f2"))
    assert "person:ada" in paged(house)


# ------------------------------------------------------------------------------------------------ sources that never end


async def test_a_source_whose_incident_is_closed_holds_nothing_any_more() -> None:
    house = await house_with(inhibition=Inhibition([NODE]))
    await received(house, node_down(house), house.alert(node="n1"))
    await house.incidents.resolve(1, ADA, "the node is back")
    await house.wait(minutes=5)
    assert (await state(house)).held is not None
    await house.wait(minutes=30)
    await house.housekeeping.tidy()
    await house.settle()
    assert (await house.incident(1)).state is State.CLOSED
    assert (await house.incident(2)).title == "checkout: Broken"
    await house.intake.look_again_at_everything()
    assert not await standing(house)


async def test_incidents_that_may_be_reopened_for_days_do_not_keep_others_from_being_closed() -> None:
    house = await house_with(Route(policy="shop", reopen_within=timedelta(days=7)), storm=Storm(more_than=0))
    slow = [house.alert(f"Slow{number}", fingerprint=f"s{number}") for number in range(100)]
    await house.receive(*slow)
    await house.receive(*(over(house, one) for one in slow))
    reload(house, routing=Routing(Route(policy="shop")))
    one = house.alert()
    await house.receive(one)
    await house.receive(over(house, one))
    house.clock.forward(hours=1)
    await house.housekeeping.tidy()
    assert (await house.incident(101)).state is State.CLOSED


async def test_a_source_that_is_closed_and_fires_on_stands_again() -> None:
    house = await house_with(inhibition=Inhibition([NODE]))
    one = node_down(house)
    await received(house, one)
    await house.incidents.resolve(1, ADA, "the node is back")
    await house.wait(minutes=31)
    await house.housekeeping.tidy()
    assert not await standing(house)
    assert await received(house, one) == ["opened"]
    assert await standing(house, "n1")


LOGGED = Taxonomy(media={"info": ("log",)})


@pytest.mark.parametrize("ends", [True, False])
async def test_a_source_that_is_dropped_by_a_new_rule_holds_nothing_any_more(ends: bool) -> None:
    house = await house_with(inhibition=Inhibition([NODE]), taxonomy=LOGGED)
    source = replace(node_down(house), labels={**node_down(house).labels, "severity": "info", "env": "dev"})
    assert await received(house, source, house.alert(node="n1")) == ["logged", "inhibited"]
    reload(house, relabelling=DROPS)
    await house.receive(over(house, source) if ends else source)
    await house.wait(minutes=5)
    assert (await house.incident(1)).title == "checkout: Broken"
    await house.intake.look_again_at_everything()
    assert not await standing(house)


async def test_a_source_that_moves_to_another_node_holds_what_is_there() -> None:
    house = await house_with(inhibition=Inhibition([NODE]))
    one = node_down(house)
    await received(house, one)
    await received(house, replace(one, labels={**one.labels, "node": "n2"}))
    assert not await standing(house, "n1")
    assert await standing(house, "n2")


# ------------------------------------------------------------------------------------------------ rules that come later


async def test_what_is_dropped_opens_nothing_when_its_incident_was_closed_by_hand() -> None:
    house = await house_with()
    one = house.alert(env="dev")
    await received(house, one)
    await house.incidents.resolve(1, ADA, "not ours")
    reload(house, relabelling=DROPS)
    await house.wait(minutes=31)
    await house.housekeeping.tidy()
    assert await received(house, one) == ["dropped"]
    assert await count(house) == 1


async def test_a_flapping_alert_that_is_dropped_does_not_hold_its_incident_open_for_ever() -> None:
    house = await house_with(flapping=Flapping(fires=3, within=timedelta(minutes=30), calm=timedelta(minutes=15)))
    for _ in range(3):
        one = house.alert(env="dev")
        await received(house, one)
        await house.wait(minutes=1)
        await received(house, over(house, one))
        await house.wait(minutes=1)
    reload(house, relabelling=DROPS)
    assert await received(house, house.alert(env="dev")) == ["dropped"]
    await house.wait(minutes=15)
    assert (await house.incident()).state is State.RESOLVED


class Broken(Inhibition):
    """It cannot judge one alert."""

    def holds(self, alert: Alert, severity: str) -> tuple[str, ...]:
        if alert.fingerprint == "bad":
            raise RuntimeError("a rule that fails")
        return super().holds(alert, severity)


async def test_an_alert_that_cannot_be_judged_anew_keeps_no_other_from_being_released_at_a_reload() -> None:
    house = await house_with(quiet=(QuietHours("nights", (NIGHT,), frozenset({"warning"})),))
    assert await received(house, house.alert(fingerprint="bad", service="search")) == ["opened"]
    assert await received(house, house.alert(severity="warning")) == ["quiet"]
    reload(house, quiet=(), inhibition=Broken())
    await house.intake.look_again_at_everything()
    await house.settle()
    assert (await house.incident(2)).severity == "warning"


class Stubborn(MemoryStore):
    """It cannot forget what is old."""

    async def prune(self, before: datetime, limit: int = 1000) -> int:
        raise RuntimeError("pruning fails")


async def test_a_lost_timer_is_asked_for_anew_even_when_the_rest_of_housekeeping_fails() -> None:
    made = rules(signal=Signal(Routing(Route(policy="shop"))))
    house = House(Stubborn(), made)
    await silence(house, minutes=5)
    await received(house, house.alert())
    house.clock.forward(minutes=7)
    with pytest.raises(RuntimeError):
        await house.housekeeping.tidy()
    backlog = await house.store.backlog(house.clock())
    assert [one.due for one in backlog if one.kind == "recheck"] == [2], "the timer, and the one that is asked for anew"


# ------------------------------------------------------------------------------------------------ people


async def test_reminders_go_on_after_somebody_has_asked_for_more_people() -> None:
    house = await house_with(Route(policy="shop", repeat=timedelta(hours=4)))
    await received(house, house.alert())
    await house.incidents.escalate(1, ADA)
    await house.wait(hours=4)
    await house.wait(hours=4)
    assert (await house.kinds()).count("reminder") == 2


async def test_one_problem_that_is_acknowledged_at_its_sender_is_not_the_whole_storm() -> None:
    house = await house_with(storm=Storm(more_than=1, within=timedelta(minutes=5)))
    for number in range(3):
        await received(house, house.alert(f"W{number}", fingerprint=f"w{number}"))
    storm = await house.incident(2)
    assert storm.storm_at is not None
    assert await house.intake.acknowledged("test", [Acknowledged("w2", "Eve")]) == 1
    assert (await house.incident(2)).state is State.TRIGGERED
    assert (await house.texts(2))[-1].startswith("Eve (test) acknowledged")
