"""Groups that wait, tell and remind; what is changed, doubted or only logged; deliveries that come late or out of order."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot.domain.incident import State
from bot.domain.incoming import Acknowledged
from bot.domain.inhibition import Inhibition
from bot.domain.matching import matcher
from bot.domain.relabel import Relabel, Relabelling
from bot.domain.routing import Route
from tests.flow.signal_house import NODE, count, house_with, log, node_down, over, paged, received, silence, state
from tests.support.house import ADA

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
    assert await received(house, one, over(house, one)) == ["dropped", "resolved"]
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
