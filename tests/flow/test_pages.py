"""Pages by every medium: who is reached by what and when, what happens when one fails, and what people are told when it is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bot.domain import alerted, effects, oncall_effects
from bot.domain.contact import Method, Notify, Step
from bot.domain.effects import Effect, Priority
from bot.domain.escalation import Condition, Level, Policy
from bot.domain.incident import State
from bot.domain.matching import matcher
from bot.domain.media import MediumRules
from bot.domain.oncall_effects import Rung
from bot.domain.people import Actor
from bot.domain.ports import Delivery, Tx
from bot.domain.roster import OwnMethod, Preferences
from bot.domain.routing import Route, Routing
from bot.domain.schedule import Layer, Override, Schedule
from bot.domain.severity import Taxonomy
from bot.errors import BadInput, GaveUp, TryLater
from tests.flow.paging_house import (
    ADA_CALL,
    ADA_SMS,
    BOB_SMS,
    PEOPLE,
    PHONE_ONLY,
    TWO,
    given,
    house,
    opened,
    pages,
    shop,
    slack_pages,
    states,
)
from tests.support.house import ADA, BOB, House

LONG_AGO = datetime(2026, 1, 5, 9, 0)  # noqa: DTZ001  as the wall clock of the schedule says
DOWN = TryLater("slack is down", delay=5)


def slack_is_down(it: House) -> None:
    it.room.failures["page"] = [DOWN] * 10_000


# ------------------------------------------------------------------------------------------------ by what, and when


async def test_somebody_is_paged_by_each_method_at_its_time() -> None:
    it = house()
    await opened(it)
    assert (slack_pages(it), it.media["sms"].addresses, it.media["voice"].addresses) == (["person:ada"], [], [])
    await it.wait(minutes=3)
    assert it.media["sms"].addresses == [ADA_SMS]
    await it.wait(minutes=2)
    assert it.media["voice"].addresses == [ADA_CALL]
    assert slack_pages(it) == ["person:ada", "person:bob"], "the next level, at its own time"
    assert "Ada was paged by sms (sms-1)" in await it.texts()


async def test_the_severity_says_which_media_are_used() -> None:
    it = house()
    await opened(it, "warning")
    await it.wait(minutes=4)
    assert (slack_pages(it), it.media["sms"].sent) == (["person:ada"], [])


async def test_own_rules_come_before_the_usual_order() -> None:
    eager = PEOPLE["ada"].model_copy(update={"notify": {"critical": (Notify(method="call"),)}})
    it = house(given(people={"ada": eager}))
    await opened(it)
    assert (slack_pages(it), it.media["voice"].addresses) == ([], [ADA_CALL])


async def test_everybody_of_a_group_a_channel_and_a_medium_are_paged() -> None:
    it = house(given(shop(("group:all", "channel:ops", "medium:pd"))))
    await opened(it)
    assert slack_pages(it) == ["person:ada", "person:bob", "channel:ops"]
    assert it.media["mail"].addresses == ["cleo@example.com"]
    (notice, address) = it.media["pd"].sent[0]
    assert (address, notice.thread, notice.incident_id) == ("", alerted.thread(await it.incident()), 1)


async def test_what_a_medium_is_given_names_the_incident_and_where_to_acknowledge() -> None:
    it = house()
    await opened(it)
    await it.wait(minutes=3)
    (notice, _) = it.media["sms"].sent[0]
    assert notice.subject == "[critical] INC-1: checkout: Broken checkout"
    assert notice.body.splitlines()[0] == "Broken checkout on checkout", "what the alert says comes first"
    assert "Service: checkout" in notice.body and "service=checkout" in notice.body
    assert notice.acknowledge_url.startswith("https://tocsin.test/acknowledge/")
    assert len(notice.short) <= 300 and "INC-1" in notice.short
    assert "critical incident 1" in notice.spoken
    assert (notice.facts["to"], notice.facts["severity"]) == ("Ada", "critical")


@pytest.mark.parametrize(
    ("person", "medium", "words"),
    [
        ("", "", "Service: checkout"),
        ("", "{{ incident }} burns", "INC-1 burns"),
        ("{{ to }}: {{ title }}", "{{ incident }} burns", "Ada: checkout: Broken checkout"),
        ("{{ broken }}", "", "Service: checkout"),
    ],
)
async def test_a_template_gives_the_words_and_a_wrong_one_keeps_no_page_back(
    person: str, medium: str, words: str
) -> None:
    ada = PEOPLE["ada"].model_copy(update={"template": person})
    it = house(given(people={"ada": ada}, media={"sms": MediumRules("sms", template=medium)}))
    await opened(it)
    await it.wait(minutes=3)
    assert words in it.media["sms"].sent[0][0].body


async def test_one_of_them_is_paged_in_turn_over_all_incidents() -> None:
    levels = (Level(targets=("person:ada", "person:bob"), round_robin=True),)
    it = house(given(Policy(key="shop", levels=levels)))
    for service in ("one", "two", "three", "four"):
        await opened(it, service=service)
    assert slack_pages(it) == ["person:ada", "person:bob"] * 2


async def test_a_level_for_many_alerts_counts_those_that_began_in_time() -> None:
    when = Condition(more_than=2, within=timedelta(minutes=10))
    levels = (
        Level(targets=("person:ada",)),
        Level(targets=("person:bob",), when=when),
        Level(targets=("channel:ops",)),
    )
    it = house(given(Policy(key="shop", levels=levels)))
    await opened(it)
    await it.wait(minutes=5)
    assert slack_pages(it) == ["person:ada", "channel:ops"]
    assert (
        "Policy shop: passed over level 2: only for more than 2 alerts within 10m, and there are 1" in await it.texts()
    )
    many = house(given(Policy(key="shop", levels=levels)))
    await many.receive(*(many.alert(f"B{number}", fingerprint=f"f{number}") for number in range(3)))
    await many.settle()
    await many.wait(minutes=5)
    assert slack_pages(many) == ["person:ada", "person:bob"]


async def test_pages_that_an_earlier_version_asked_for_still_go_out() -> None:
    it = house()
    await opened(it)
    key = "page:1:1:0:1:person:bob"
    old = Effect(
        kind="page",
        key=key,
        lane=key,
        priority=Priority.PAGE,
        due=it.clock(),
        payload={"incident_id": 1, "epoch": 1, "track": 0, "step": 1, "target": "person:bob"},
    )
    await it.store.write(lambda tx: tx.ask([old]))
    await it.settle()
    assert slack_pages(it) == ["person:ada", "person:bob"]
    assert (await pages(it))[-1].address == "U0BOB"


# ------------------------------------------------------------------------------------------------ one fails


@pytest.mark.parametrize("severity", ["critical", "warning"])
async def test_slack_is_down_and_the_page_goes_out_by_another_medium_within_30_seconds(severity: str) -> None:
    it = house()
    slack_is_down(it)
    await opened(it, severity)
    for _ in range(30):
        await it.wait(seconds=1)
    assert it.media["sms"].addresses == [ADA_SMS], "also what a warning would not use: too loud is better than lost"
    assert slack_pages(it) == []
    assert any(
        "The page of Ada through Slack has not gone out in time (slack is down). Paging by sms instead" in text
        for text in await it.texts()
    )


async def test_a_late_slack_message_goes_out_when_slack_is_back_unless_somebody_has_acknowledged() -> None:
    for acknowledged in (False, True):
        it = house()
        it.room.failures["page"] = [TryLater("slack is down", delay=60)]
        await opened(it)
        await it.wait(seconds=30)
        if acknowledged:
            await it.incidents.acknowledge(1, ADA)
        await it.wait(seconds=31)
        assert slack_pages(it) == ([] if acknowledged else ["person:ada"])


async def test_when_a_person_can_be_reached_by_nothing_the_next_level_is_paged_at_once() -> None:
    it = house()
    slack_is_down(it)
    it.media["sms"].down = GaveUp("the account is suspended")
    it.media["voice"].down = TryLater("busy", delay=5)
    await opened(it, "warning")
    for _ in range(70):
        await it.wait(seconds=1)
    told = await it.texts()
    assert any("Could not page Ada by sms: the account is suspended. Paging by voice instead" in text for text in told)
    assert any("voice has not gone out in time (busy). Going on to the next level" in text for text in told)
    assert any("Paging Bob (policy shop, level 2)" in text for text in told)


async def test_with_slack_down_and_nothing_else_the_levels_keep_their_time() -> None:
    people = {key: PEOPLE[key].model_copy(update={"methods": ()}) for key in ("ada", "bob")}
    it = house(given(TWO, people=people))
    slack_is_down(it)
    await opened(it)
    for _ in range(120):
        await it.wait(seconds=1)
    told = await it.texts()
    assert any("Nobody on its policy has another way: it goes on trying" in text for text in told)
    assert not [text for text in told if "level 2" in text], "to hurry would wake everybody at once when Slack is back"
    await it.wait(minutes=4)
    assert any("level 2" in text for text in await it.texts()), "at its own time"
    it.room.failures["page"] = []
    await it.wait(seconds=10)
    assert slack_pages(it) == ["person:ada", "person:bob"]


async def test_a_page_that_nobody_has_come_to_yet_is_not_late_but_waits_for_its_turn() -> None:
    it = house()
    await it.receive(it.alert("Broken", severity="critical"))
    await decided(it, effects.escalate(1, 1, 0, 0, it.clock()))
    page = oncall_effects.page(Rung(1, 1, 0, 1), "person:ada", Step(method=PEOPLE["ada"].ways[0]), it.clock())
    for put_off in range(3):
        await decided(it, oncall_effects.fall_back(page, it.clock(), put_off))
        assert not [text for text in await it.texts() if "has not gone out" in text]
    await decided(it, oncall_effects.fall_back(page, it.clock(), 3))
    assert [text for text in await it.texts() if "has not gone out" in text], "but not for ever"


async def decided(it: House, effect: Effect) -> None:
    """What this timer decides, while nothing else is delivered."""
    now = it.clock()
    delivery = Delivery(0, effect, attempts=1, again=False, asked_at=now, generation=1, owner="house")
    record = await it.handlers[effect.kind](delivery)
    assert record is not None
    await it.store.write(record)


async def test_a_method_that_was_meant_for_later_is_brought_forward_and_used_once() -> None:
    it = house()
    slack_is_down(it)
    await opened(it)
    await it.wait(seconds=20)
    assert it.media["sms"].addresses == [ADA_SMS]
    await it.wait(minutes=4)
    assert it.media["sms"].addresses == [ADA_SMS]


async def test_who_was_reached_by_another_method_is_not_paged_once_more() -> None:
    it = house()
    it.media["sms"].failures = [GaveUp("no such number")]
    await opened(it)
    await it.wait(minutes=3)
    assert "Could not page Ada by sms: no such number. They were reached through Slack" in await it.texts()
    assert slack_pages(it) == ["person:ada"]


async def test_a_medium_that_is_not_set_up_any_more_is_replaced_at_once() -> None:
    it = house(given(people={"ada": PHONE_ONLY}))
    del it.media["sms"]
    await opened(it)
    assert it.media["voice"].addresses == [ADA_CALL]
    assert any("no medium is called sms" in text for text in await it.texts())


async def test_a_channel_that_fails_beside_people_sends_nobody_to_the_next_level() -> None:
    it = house(given(shop(("channel:gone", "person:ada"), ("person:bob",))))
    it.room.failures["page"] = [GaveUp("no such channel")]
    await opened(it)
    assert slack_pages(it) == ["person:ada"]
    assert "Could not page #gone: no such channel" in await it.texts()


async def test_a_level_of_a_channel_alone_that_cannot_be_told_goes_on_in_20_seconds() -> None:
    it = house(given(shop(("channel:ops",), ("person:cleo",))))
    slack_is_down(it)
    await opened(it)
    await it.wait(seconds=20)
    assert it.media["mail"].addresses == ["cleo@example.com"]


async def test_an_answer_that_got_lost_is_not_sent_twice_where_the_medium_can_tell() -> None:
    it = house(given(people={"ada": PHONE_ONLY}))
    it.media["sms"].lose = 1
    await opened(it)
    await it.wait(seconds=5)
    assert it.media["sms"].addresses == [ADA_SMS]
    assert await states(it) == [("sms", "sent")]


async def test_a_restart_in_the_middle_loses_nothing() -> None:
    it = house()
    slack_is_down(it)
    await opened(it)
    await it.wait(seconds=10)
    after = house(store=it.store, clock=it.clock)
    slack_is_down(after)
    await after.wait(seconds=10)
    assert after.media["sms"].addresses == [ADA_SMS]
    await after.wait(minutes=5)
    assert after.media["voice"].addresses[:1] == [ADA_CALL]


async def test_a_method_that_a_lower_severity_had_stopped_is_used_when_the_other_fails_after_all() -> None:
    it = house(given(shop(("person:ada",))))
    it.room.failures["page"] = [TryLater("slack is slow", delay=400)]
    away = replace(it.rules.media["sms"])
    it.rules = replace(it.rules, media={**it.rules.media, "sms": away})
    eager = PEOPLE["ada"].model_copy(update={"notify": {"critical": (Notify(method="sms"), Notify(method="slack"))}})
    it.rules = replace(it.rules, directory=it.rules.directory.model_copy(update={"people": {**PEOPLE, "ada": eager}}))
    it.media["sms"].failures = [TryLater("not yet", delay=1)]
    await opened(it)
    await it.incidents.set_severity(1, "warning", BOB)
    await it.wait(seconds=2)
    assert ("sms", "skipped") in await states(it)
    await it.wait(seconds=20)
    assert it.media["sms"].addresses == [ADA_SMS]


async def test_what_somebody_changed_about_themselves_counts_for_the_very_next_page() -> None:
    it = house(given(shop(("schedule:shop",), ("person:ada",))))
    it.rules = replace(
        it.rules,
        directory=it.rules.directory.model_copy(
            update={
                "schedules": {
                    "shop": Schedule(key="shop", layers=(Layer(name="a", turns=(("ada",),), starts=LONG_AGO),))
                }
            }
        ),
    )
    now = it.clock()
    hour = timedelta(hours=1)
    mail = Method(key="own", medium="mail", address="bob@example.com", origin="self")

    async def save(tx: Tx) -> None:
        await tx.save_override(
            Override(number=1, schedule="shop", person="bob", starts=now - hour, ends=now + hour, made_at=now)
        )
        await tx.save_method(OwnMethod(person="bob", method=mail, added_at=now))
        await tx.save_preferences(Preferences(person="bob", notify={"": (Notify(method="own"),)}))

    await it.store.write(save)
    await opened(it)
    assert it.media["mail"].addresses == ["bob@example.com"]


# ------------------------------------------------------------------------------------------------ nobody is paged any more


async def test_complaint_15_nothing_goes_out_after_the_acknowledgement_by_any_medium() -> None:
    it = house()
    await opened(it)
    await it.incidents.acknowledge(1, ADA)
    before = [len(medium.sent) for medium in it.media.values()]
    for _ in range(30):
        await it.wait(minutes=1)
    assert [len(medium.sent) for medium in it.media.values()] == before
    assert slack_pages(it) == ["person:ada"]
    assert await states(it) == [("slack", "sent"), ("sms", "skipped"), ("voice", "skipped")]
    assert not [text for text in await it.texts() if "was not paged" in text], "what was for later is no news"


async def test_a_lower_severity_stops_louder_media_that_have_not_been_used_yet() -> None:
    it = house()
    await opened(it)
    await it.incidents.set_severity(1, "warning", BOB)
    await it.wait(minutes=3)
    assert it.media["sms"].sent == []
    assert ("sms", "skipped") in await states(it)


async def test_a_worse_severity_by_hand_begins_anew_with_louder_media_and_further_routes() -> None:
    made = given()
    bosses = Route(path="root/0", matchers=(matcher("severity=critical"),), policy="bosses", group_by=("service",))
    routing = Routing(Route(policy="shop", group_by=("service",), routes=(bosses,)))
    policies = {**made.escalations, "bosses": Policy(key="bosses", levels=(Level(targets=("person:cleo",)),))}
    it = house(replace(made, signal=replace(made.signal, routing=routing), escalations=policies))
    await opened(it, "warning")
    await it.incidents.acknowledge(1, ADA)
    assert await it.incidents.set_severity(1, "critical", BOB) == "INC-1 is critical now."
    await it.settle()
    assert (await it.incident()).state is State.TRIGGERED
    assert slack_pages(it) == ["person:ada", "person:ada"]
    assert it.media["mail"].addresses == ["cleo@example.com"]
    assert "Paging also by policy bosses: a route for critical matches" in await it.texts()
    await it.wait(minutes=3)
    assert it.media["sms"].addresses == [ADA_SMS]


# ------------------------------------------------------------------------------------------------ not too many


BUNDLED = {"sms": MediumRules("sms", bundle=timedelta(seconds=60))}


def texting(**more: object) -> House:
    return house(given(shop(("person:ada",)), {"ada": PHONE_ONLY}, BUNDLED))


async def test_further_pages_go_out_together_and_the_first_never_waits() -> None:
    it = texting()
    for service in ("one", "two", "three", "four"):
        await opened(it, service=service)
    assert len(it.media["sms"].sent) == 1
    assert await states(it, 2) == [("sms", "bundled")]
    await it.wait(seconds=59)
    assert len(it.media["sms"].sent) == 1
    await it.wait(seconds=1)
    assert len(it.media["sms"].sent) == 2
    notice, address = it.media["sms"].sent[1]
    assert address == ADA_SMS
    assert notice.subject == (
        "[critical] 3 more incidents: INC-2 two: Broken two, INC-3 three: Broken three, INC-4 four: Broken four"
    )
    assert "Ada was paged by sms, in one message with 2 more (sms-2)" in await it.texts(3)
    await it.wait(minutes=4)
    assert len(it.media["sms"].sent) == 2, "none of them falls back: they have gone out"


async def test_what_was_acknowledged_meanwhile_drops_out_of_the_bundle() -> None:
    it = texting()
    for service in ("one", "two", "three"):
        await opened(it, service=service)
    await it.incidents.acknowledge(2, ADA)
    await it.wait(seconds=60)
    notice, _ = it.media["sms"].sent[1]
    assert (notice.purpose, notice.incident_id) == ("page", 3), "one alone is a page like any other"
    assert await states(it, 2) == [("sms", "skipped")]


async def test_a_more_severe_page_waits_for_nothing() -> None:
    made = given(shop(("person:ada",)), {"ada": PHONE_ONLY}, BUNDLED)
    taxonomy = Taxonomy(media={})
    it = house(replace(made, signal=replace(made.signal, taxonomy=taxonomy)))
    await opened(it, "warning", "one")
    await opened(it, "critical", "two")
    await opened(it, "critical", "three")
    assert [notice.incident_id for notice, _ in it.media["sms"].sent] == [1, 2]


async def test_a_bundle_that_cannot_be_delivered_is_replaced_page_by_page() -> None:
    it = texting()
    for service in ("one", "two", "three"):
        await opened(it, service=service)
    it.media["sms"].down = GaveUp("no credit left")
    await it.wait(seconds=60)
    assert it.media["voice"].addresses == [ADA_CALL, ADA_CALL]
    assert any("Could not page Ada by sms: no credit left" in text for text in await it.texts(2))


async def test_a_bundle_that_is_late_is_replaced_within_20_seconds() -> None:
    it = texting()
    for service in ("one", "two", "three"):
        await opened(it, service=service)
    it.media["sms"].down = TryLater("timeout", delay=5)
    await it.wait(seconds=60)
    for _ in range(20):
        await it.wait(seconds=1)
    assert it.media["voice"].addresses == [ADA_CALL, ADA_CALL]


async def test_a_medium_takes_so_many_a_minute_but_everybodys_first_page_at_once() -> None:
    people = {
        "ada": PHONE_ONLY,
        "bob": PHONE_ONLY.model_copy(update={"key": "bob", "name": "Bob", "methods": PEOPLE["bob"].methods}),
    }
    it = house(given(shop(("person:ada", "person:bob")), people, {"sms": MediumRules("sms", per_minute=1)}))
    await opened(it, service="one")
    assert it.media["sms"].addresses == [ADA_SMS, BOB_SMS], "nobody's first page is held back"
    await opened(it, service="two")
    assert len(it.media["sms"].sent) == 2
    assert await states(it, 2) == [("sms", "waiting"), ("sms", "waiting")]
    await it.wait(seconds=20)
    assert it.media["voice"].addresses == [ADA_CALL], "who has another way is reached by that"


# ------------------------------------------------------------------------------------------------ it is over


async def test_exactly_those_who_were_alerted_are_told_that_it_is_over() -> None:
    quiet = PEOPLE["bob"].model_copy(update={"recovery": False})
    it = house(given(TWO, {"bob": quiet}))
    await opened(it)
    await it.wait(minutes=3)
    await it.wait(minutes=2)  # Bob by Slack, Ada by voice
    await it.incidents.acknowledge(1, ADA)
    await it.incidents.resolve(1, ADA)
    await it.settle()
    assert [act[1:3] for act in it.room.said("notice")] == [("recovery", "person:ada")]
    assert it.media["sms"].told("recovery") == [(ADA_SMS, "INC-1 is resolved: checkout: Broken checkout")]
    assert it.media["voice"].told("recovery")[0][0] == ADA_CALL
    assert BOB_SMS not in it.media["sms"].addresses
    await it.wait(hours=1)
    assert len(it.media["sms"].told("recovery")) == 1


async def test_each_address_gets_a_message_of_its_own() -> None:
    bob = PHONE_ONLY.model_copy(update={"key": "bob", "name": "Bob", "methods": PEOPLE["bob"].methods})
    it = house(given(shop(("person:ada", "person:bob", "group:all")), {"ada": PHONE_ONLY, "bob": bob}))
    await opened(it)
    await it.incidents.resolve(1, ADA)
    await it.settle()
    told = [(notice, address) for notice, address in it.media["sms"].sent if notice.purpose == "recovery"]
    assert sorted(address for _, address in told) == [ADA_SMS, BOB_SMS]
    assert len({notice.key for notice, _ in told}) == 2, "or a medium would take one for the other"


async def test_who_was_skipped_or_not_reached_hears_of_no_recovery() -> None:
    it = house(given(people={"ada": PHONE_ONLY}))
    it.media["sms"].failures = [GaveUp("no such number")]
    await opened(it)
    await it.incidents.resolve(1, ADA)
    await it.settle()
    assert it.media["sms"].told("recovery") == []
    assert len(it.media["voice"].told("recovery")) == 1


async def test_who_may_have_been_paged_when_the_answer_was_lost_is_told_that_it_is_over() -> None:
    it = house(given(people={"ada": PHONE_ONLY}))
    it.media["sms"].lose = 1
    await opened(it)
    await it.incidents.acknowledge(1, ADA)
    await it.wait(seconds=5)
    assert await states(it) == [("sms", "skipped")]
    await it.incidents.resolve(1, ADA)
    await it.settle()
    assert len(it.media["sms"].told("recovery")) == 1


async def test_a_problem_that_comes_and_goes_makes_no_storm_of_recoveries() -> None:
    it = texting()
    for _ in range(6):
        await opened(it)
        await it.receive(it.alert("Broken checkout", False, "checkout"))
        await it.wait(seconds=20)
    assert len(it.media["sms"].told("recovery")) == 1
    await it.wait(minutes=6)
    assert len(it.media["sms"].told("recovery")) <= 2


async def test_recoveries_of_several_incidents_come_in_one_message() -> None:
    it = texting()
    for service in ("one", "two", "three"):
        await opened(it, service=service)
        await it.wait(seconds=61)
    for number in (1, 2, 3):
        await it.incidents.resolve(number, ADA)
        await it.settle()
    await it.wait(seconds=61)
    assert [subject for _, subject in it.media["sms"].told("recovery")] == [
        "INC-1 is resolved: one: Broken one",
        "INC-2 and INC-3 are resolved",
    ]


async def test_two_databases_that_count_from_one_are_two_threads_and_two_messages() -> None:
    """A mail server, or PagerDuty, drops what it takes for a copy."""
    sent = []
    for day in (1, 2):
        it = house(given(shop(("medium:pd",))))
        it.clock.forward(days=day)
        await opened(it)
        sent.append(it.media["pd"].sent[0][0])
    first, second = sent
    assert first.key == second.key
    assert first.identity != second.identity
    assert first.thread != second.thread


async def test_pagers_are_told_that_somebody_has_it_and_that_it_is_over() -> None:
    it = house(given(shop(("medium:pd", "person:ada"))))
    await opened(it)
    await it.incidents.acknowledge(1, ADA)
    await it.settle()
    await it.incidents.resolve(1, ADA)
    await it.settle()
    assert [(one.purpose, one.thread) for one, _ in it.media["pd"].sent] == [
        (purpose, alerted.thread(await it.incident())) for purpose in ("page", "acknowledged", "recovery")
    ]
    assert it.media["sms"].told("acknowledged") == []


# ------------------------------------------------------------------------------------------------ alarms


async def test_an_alarm_reaches_the_last_resort_when_slack_is_down() -> None:
    it = house(replace(given(shop(("person:ada",))), last_resort=("person:cleo", "medium:pd", "person:bob")))
    slack_is_down(it)
    it.room.failures["alarm"] = [DOWN] * 1000
    for medium in ("sms", "voice"):
        it.media[medium].down = GaveUp("gone")
    await opened(it)
    for _ in range(30):
        await it.wait(seconds=1)
    (told,) = it.media["mail"].told("alarm")
    assert told[0] == "cleo@example.com" and "NOBODY ACKNOWLEDGED INC-1" in told[1]
    assert len(it.media["pd"].told("alarm")) == 1
    assert ("notice", "alarm", "person:bob") in [act[:3] for act in it.room.said("notice")]


async def test_a_last_resort_that_fails_is_an_alarm_in_slack_alone_and_makes_no_circle() -> None:
    it = house(replace(given(shop(("person:cleo",))), last_resort=("medium:mail",)))
    it.media["mail"].down = GaveUp("no such mailbox")
    await opened(it)
    await it.wait(hours=1)
    said = [act[1] for act in it.room.said("alarm")]
    assert len(said) == 2
    assert any("notify: no such mailbox" in text for text in said)


# ------------------------------------------------------------------------------------------------ by name


async def test_who_is_asked_for_by_name_is_reached_by_their_methods_until_they_answer() -> None:
    it = house(given(shop(("person:ada",))))
    await opened(it)
    await it.incidents.acknowledge(1, ADA)
    said = await it.incidents.page(1, "person:bob", "you know the tills", ADA)
    assert said == "Bob is being paged for INC-1."
    await it.settle()
    assert it.room.said("summon") == [("summon", "person:bob", "Ada: you know the tills")]
    await it.incidents.acknowledge(1, BOB)
    await it.wait(minutes=4)
    assert it.media["sms"].sent == [], "he has answered"


async def test_who_does_not_answer_is_reached_by_the_next_method() -> None:
    it = house(given(shop(("person:ada",))))
    await opened(it)
    await it.incidents.acknowledge(1, ADA)
    await it.incidents.page(1, "group:all", "all of you", ADA)
    await it.settle()
    assert {act[1] for act in it.room.said("summon")} == {"person:ada", "person:bob"}
    (told,) = it.media["mail"].told("summon")
    assert told[0] == "cleo@example.com"
    await it.wait(minutes=3)
    assert BOB_SMS in it.media["sms"].addresses


async def test_slack_is_down_and_who_is_asked_for_by_name_is_reached_all_the_same() -> None:
    it = house(given(shop(("person:ada",))))
    await opened(it)
    it.room.failures["summon"] = [DOWN] * 1000
    await it.incidents.page(1, "person:bob", "help", ADA)
    await it.settle()
    await it.wait(seconds=25)
    assert it.media["sms"].addresses == [BOB_SMS]


async def test_paging_without_an_incident_opens_one_that_goes_on_until_somebody_acknowledges() -> None:
    it = house(given(shop(("channel:ops",))))
    said = await it.incidents.page(None, "person:cleo", "the tills are down", ADA)
    assert said == "INC-1 is open, and Cleo is paged for it until somebody acknowledges."
    await it.settle()
    incident = await it.incident()
    assert (incident.title, incident.severity) == ("the tills are down", "critical")
    for _ in range(3):
        await it.wait(minutes=5)
    assert it.media["mail"].addresses == ["cleo@example.com"] * 3
    assert slack_pages(it) == ["channel:ops"], "then whoever is usually paged"


async def test_a_policy_can_be_asked_for_inside_an_incident() -> None:
    made = given()
    more = Policy(key="bosses", levels=(Level(targets=("person:cleo",)),))
    it = house(replace(made, escalations={**made.escalations, "bosses": more}))
    await opened(it)
    await it.incidents.page(1, "policy:bosses", "we need a decision", ADA)
    await it.settle()
    assert it.media["mail"].addresses == ["cleo@example.com"]
    assert "Paging also by policy bosses: Ada asks for it: we need a decision" in await it.texts()


@pytest.mark.parametrize(
    ("target", "why", "words"),
    [
        ("person:adda", "help", "There is no person 'adda'; did you mean \"ada\"?"),
        ("shop", "help", "'shop' cannot be paged: write person:NAME"),
        ("policy:shpo", "help", 'did you mean "shop"?'),
        ("medium:pigeon", "help", "There is no medium 'pigeon'"),
        ("person:bob", "  ", "Say why"),
    ],
)
async def test_what_cannot_be_paged_is_said_with_the_nearest_name(target: str, why: str, words: str) -> None:
    it = house()
    await opened(it)
    with pytest.raises(BadInput) as raised:
        await it.incidents.page(1, target, why, ADA)
    assert words in str(raised.value)


async def test_a_name_behind_which_is_nobody_is_an_alarm() -> None:
    it = house()
    await opened(it)

    async def ask(tx: Tx) -> None:
        await tx.ask([effects.summon(1, "x", "schedule:gone", "help", it.clock())])

    await it.store.write(ask)
    await it.settle()
    assert any(
        "schedule:gone cannot be paged: nobody is behind that name now" in act[1] for act in it.room.said("alarm")
    )


async def test_a_private_incident_tells_a_medium_of_many_nothing_of_what_it_is() -> None:
    made = given(shop(("medium:pd", "person:cleo")))
    routing = Routing(Route(policy="shop", group_by=("service",), private=True))
    it = house(replace(made, signal=replace(made.signal, routing=routing)))
    await opened(it)
    assert "heckout" not in it.media["pd"].sent[0][0].model_dump_json()
    assert "checkout" in it.media["mail"].sent[0][0].subject


async def test_somebody_of_nowhere_can_acknowledge() -> None:
    it = house()
    await opened(it)
    await it.incidents.acknowledge(1, Actor(id="teams:x", name="Somebody through teams"))
    assert (await it.incident()).acknowledged_by == "Somebody through teams"
