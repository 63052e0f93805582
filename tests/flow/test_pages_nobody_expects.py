"""Pages in situations that come together seldom: a refusal before a bundle, a clock that goes back, a storm, a severity that rises on the way."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from bot.domain.contact import Notify
from bot.domain.escalation import Level, Policy
from bot.domain.fairness import Calendar, fairness
from bot.domain.flapping import Flapping
from bot.domain.media import MediumRules
from bot.domain.page import Page, PageState
from bot.domain.ports import CLOCK_SHIFTS
from bot.domain.quality import handled
from bot.domain.severity import Taxonomy
from bot.errors import GaveUp, TryLater
from bot.flow.admission import held_until, room_at
from bot.flow.auditor import Auditor
from bot.flow.falling_back import waiting_together
from tests.flow.paging_house import (
    ADA_SMS,
    PEOPLE,
    PHONE_ONLY,
    TWO,
    given,
    house,
    opened,
    shop,
    slack_pages,
    states,
)
from tests.support.house import ADA, BOB, House

MINUTE = timedelta(minutes=1)


def texting(rules: MediumRules | None = None) -> House:
    media = {"sms": rules or MediumRules("sms", bundle=MINUTE)}
    return house(given(shop(("person:ada",)), {"ada": PHONE_ONLY}, media))


def waiting(number: int, at: datetime) -> Page:
    """A page of that incident that is held back."""
    return Page(
        key=f"page:{number}:1:0:1:person:ada:sms",
        incident_id=number,
        purpose="bundle",
        target="person:ada",
        name="Ada",
        medium="sms",
        address=ADA_SMS,
        severity="critical",
        state=PageState.BUNDLED,
        begun_at=at,
        state_at=at,
    )


async def over(it: House, service: str = "checkout") -> None:
    """Its alert has stopped, and all that is due is delivered."""
    alert = it.alert(f"Broken {service}", firing=False, fingerprint=service, severity="critical", service=service)
    await it.receive(alert)
    await it.settle()


def named(it: House, medium: str = "sms") -> set[int]:
    """The numbers of all incidents of which that medium has told in pages."""
    told = [one for one, _ in it.media[medium].sent if one.purpose in ("page", "bundle")]
    refs = " ".join([*(one.subject for one in told), *(one.body for one in told)])
    return {int(word.strip(":,").removeprefix("INC-")) for word in refs.split() if word.startswith("INC-")}


# ------------------------------------------------------------------------------------------------ what is held is not forgotten


async def test_a_page_that_was_refused_for_the_moment_and_is_then_held_goes_out_with_the_others() -> None:
    it = texting()
    it.media["sms"].failures = [TryLater("sms: 429", delay=3), TryLater("sms: 429", delay=5)]
    await opened(it, service="one")
    await opened(it, service="two")
    await it.wait(seconds=3)
    await it.wait(seconds=2)
    assert (await states(it, 1), await states(it, 2)) == ([("sms", "sent")], [("sms", "bundled")])
    await it.wait(seconds=60)
    assert named(it) == {1, 2}


async def test_a_page_that_found_no_room_and_is_then_held_goes_out_with_the_others() -> None:
    it = texting(MediumRules("sms", per_minute=1, bundle=timedelta(seconds=10)))
    await opened(it, service="one")
    await it.wait(seconds=15)
    await opened(it, service="two")
    await opened(it, service="three")
    for _ in range(6):
        await it.wait(seconds=15)
    assert named(it) == {1, 2, 3}


async def test_however_many_wait_the_one_that_has_left_is_not_forgotten() -> None:
    it = texting(MediumRules("sms", bundle=MINUTE, per_minute=1))
    now = it.clock()
    moments = [now + timedelta(milliseconds=number) for number in range(150)]
    many = [waiting(number, at) for number, at in enumerate(moments, 1)]
    many[0] = many[0].model_copy(update={"state": PageState.SENT})
    await it.store.write(lambda tx: tx.save_pages(many))
    one = waiting(200, moments[-1]).model_copy(update={"purpose": "page"})
    later = moments[-1]
    assert await it.store.read(lambda tx: held_until(tx, one, it.rules, later)) == now + MINUTE
    room = await it.store.read(lambda tx: room_at(tx, one, it.rules, later))
    assert room is not None
    assert room > now + MINUTE


async def test_more_pages_than_can_be_counted_at_a_glance_wait_together() -> None:
    it = texting()
    now = it.clock()
    many = [waiting(number, now) for number in range(1, 700)]
    await it.store.write(lambda tx: tx.save_pages(many))
    found = await it.store.read(lambda tx: waiting_together(tx, "sms", ADA_SMS, now, sending=False))
    assert len(found) == 699


async def test_what_joins_a_bundle_whose_answer_was_lost_goes_out_in_a_message_of_its_own() -> None:
    made = given(shop(("person:ada",)), {"ada": PHONE_ONLY}, {"sms": MediumRules("sms", bundle=MINUTE)})
    it = house(replace(made, signal=replace(made.signal, taxonomy=Taxonomy(media={}))))
    for service in ("one", "two", "three"):
        await opened(it, "warning", service)
    await it.wait(seconds=50)
    await opened(it, "critical", "four")
    it.media["sms"].lose = 1
    await it.wait(seconds=10)  # INC-2 and INC-3 go out, and the answer is lost
    await opened(it, "warning", "five")
    assert await states(it, 5) == [("sms", "bundled")]
    for _ in range(10):
        await it.wait(seconds=5)
    assert named(it) == {1, 2, 3, 4, 5}


# ------------------------------------------------------------------------------------------------ the clock goes back


async def test_a_clock_that_goes_back_an_hour_holds_no_page_for_an_hour() -> None:
    it = texting()
    await opened(it, service="one")
    it.clock.now -= timedelta(hours=1)
    await opened(it, service="two")
    await it.wait(seconds=60)
    assert named(it) == {1, 2}


async def test_a_clock_that_goes_back_an_hour_fills_no_medium_for_an_hour() -> None:
    it = texting(MediumRules("sms", per_minute=1))
    await opened(it, service="one")
    it.clock.now -= timedelta(hours=1)
    await opened(it, service="two")
    await it.wait(seconds=60)
    assert named(it) == {1, 2}


# ------------------------------------------------------------------------------------------------ who hears that it is over


async def test_who_may_have_been_paged_hears_of_the_end_also_when_it_comes_before_the_next_attempt() -> None:
    it = house(given(people={"ada": PHONE_ONLY}))
    it.media["sms"].lose = 1
    await opened(it)
    await it.incidents.resolve(1, ADA)
    await it.settle()
    for _ in range(10):
        await it.wait(seconds=2)
    assert len(it.media["sms"].told("recovery")) == 1


async def test_a_pager_that_may_have_been_told_hears_of_the_end_also_when_it_comes_before_the_next_attempt() -> None:
    it = house(given(shop(("medium:pd",))))
    it.media["pd"].lose = 1
    await opened(it)
    await it.incidents.resolve(1, ADA)
    await it.settle()
    for _ in range(10):
        await it.wait(seconds=2)
    assert len(it.media["pd"].told("recovery")) == 1


async def test_who_was_paged_in_a_bundle_hears_that_it_is_over() -> None:
    it = texting(MediumRules("sms", bundle=timedelta(seconds=20)))
    for service in ("one", "two", "three"):
        await opened(it, service=service)
    await it.wait(seconds=20)
    assert await states(it, 2) == [("sms", "bundled")]
    await it.wait(minutes=1)
    await it.incidents.resolve(2, ADA)
    await it.settle()
    assert [subject for _, subject in it.media["sms"].told("recovery")] == ["INC-2 is resolved: two: Broken two"]


async def test_an_end_that_was_put_off_and_overtaken_is_told_all_the_same() -> None:
    it = texting(MediumRules("sms", bundle=timedelta(seconds=30)))
    it.rules = replace(it.rules, signal=replace(it.rules.signal, flapping=Flapping(fires=0)))
    await opened(it)
    await over(it)
    assert len(it.media["sms"].told("recovery")) == 1
    await it.wait(minutes=2)
    await opened(it)
    await it.wait(seconds=5)
    await over(it)  # too soon after the last one: it waits
    await it.wait(seconds=5)
    await it.receive(it.alert("Broken checkout", fingerprint="checkout", severity="critical", service="checkout"))
    await it.wait(seconds=1)
    await over(it)  # it begins again, and is over again, before anything has gone out about that
    for _ in range(10):
        await it.wait(minutes=1)
    pages_sent = [one for one, _ in it.media["sms"].sent if one.purpose == "page"]
    last = [one.purpose for one, _ in it.media["sms"].sent][-1]
    assert (len(pages_sent) >= 2, last) == (True, "recovery")


async def test_an_end_that_follows_one_whose_answer_was_lost_is_told_in_a_message_that_arrives() -> None:
    it = texting(MediumRules("sms", bundle=timedelta(seconds=20)))
    await opened(it, service="one")
    await it.wait(minutes=1)
    await opened(it, service="two")
    it.media["sms"].lose = 1
    await it.incidents.resolve(1, ADA)
    await it.settle()
    await it.incidents.resolve(2, ADA)
    await it.settle()
    for _ in range(10):
        await it.wait(seconds=5)
    told = " ".join(subject for _, subject in it.media["sms"].told("recovery"))
    assert ("INC-1" in told, "INC-2" in told) == (True, True)


async def test_an_end_that_failed_once_and_was_overtaken_is_told_all_the_same() -> None:
    it = house(given(shop(("medium:pd",))))
    await opened(it)
    it.media["pd"].failures = [TryLater("pd: 503", delay=30)]
    await it.incidents.resolve(1, ADA)
    await it.settle()
    it.media["pd"].failures = [GaveUp("refused")]
    await over(it)
    await opened(it)  # it begins again, but the pager does not take that
    await it.incidents.resolve(1, ADA)
    await it.settle()
    await it.wait(seconds=40)
    assert len(it.media["pd"].told("recovery")) == 1


# ------------------------------------------------------------------------------------------------ what changes while pages are on their way


async def test_a_severity_that_rises_while_somebody_is_paged_softly_pages_them_by_what_it_may_use_now() -> None:
    it = house(given(Policy(key="shop", levels=(Level(targets=("person:ada",), timeout=timedelta(minutes=30)),))))
    await opened(it, "warning")
    assert slack_pages(it) == ["person:ada"]
    await it.wait(seconds=30)
    await it.incidents.set_severity(1, "critical", BOB)
    await it.settle()
    await it.wait(minutes=3)
    assert it.media["sms"].addresses == [ADA_SMS]


async def test_somebodys_rules_for_a_worse_severity_count_when_it_becomes_worse() -> None:
    rules = {"critical": (Notify(method="call"),), "": (Notify(method="sms"),)}
    ada = PHONE_ONLY.model_copy(update={"notify": rules})
    made = given(shop(("person:ada",)), {"ada": ada})
    it = house(replace(made, signal=replace(made.signal, taxonomy=Taxonomy(media={}))))
    await opened(it, "warning")
    await it.incidents.set_severity(1, "critical", BOB)
    await it.settle()
    assert len(it.media["voice"].sent) == 1


async def test_asking_for_more_people_takes_nothing_from_those_who_are_being_paged() -> None:
    it = house(given(TWO))
    await opened(it)
    assert await it.incidents.escalate(1, BOB) == "The next level of INC-1 is being paged now."
    await it.incidents.escalate(1, BOB)
    await it.settle()
    assert slack_pages(it) == ["person:ada", "person:bob"]
    await it.wait(minutes=3)
    assert ADA_SMS in it.media["sms"].addresses


async def test_asking_for_more_people_while_slack_is_down_keeps_the_way_round_it() -> None:
    it = house(given(TWO))
    it.room.failures["page"] = [TryLater("slack is down", delay=60) for _ in range(50)]
    await opened(it)
    await it.wait(seconds=2)
    await it.incidents.escalate(1, BOB)
    await it.settle()
    await it.wait(seconds=20)
    assert ADA_SMS in it.media["sms"].addresses


async def test_what_is_worse_pages_nobody_anew_whom_it_would_reach_in_the_same_way() -> None:
    it = house(given(TWO, {"ada": PEOPLE["ada"].model_copy(update={"methods": ()})}))
    await opened(it, "warning")
    await it.incidents.set_severity(1, "critical", BOB)
    await it.settle()
    assert slack_pages(it) == ["person:ada"]


# ------------------------------------------------------------------------------------------------ who watches, and what is counted


async def test_the_auditor_looks_also_in_a_minute_that_comes_once_more() -> None:
    it = texting()
    told: list[bool] = []

    async def beat(well: bool) -> None:
        told.append(well)

    auditor = Auditor(it.store, it.clock, beat)
    for back in (timedelta(0), timedelta(minutes=-3), timedelta(minutes=-2)):
        it.clock.now += back
        await it.store.shift(back, (), await it.store.read(lambda tx: tx.counter(CLOCK_SHIFTS)), {})
        for _ in range(3):
            it.clock.forward(minutes=1)
            assert await auditor.audit()
    assert len(told) == 9


async def test_who_gets_three_messages_was_paged_once_and_again_when_it_begins_anew() -> None:
    it = house(given(shop(("person:ada",))))
    await opened(it)
    for _ in range(3):
        await it.wait(minutes=2)
    assert [state for _, state in await states(it)] == ["sent", "sent", "sent"]
    shown = await it.incidents.show(1)
    assert len(handled(shown.incident, shown.timeline).pages) == 1
    await it.incidents.escalate(1, BOB)
    await it.settle()
    shown = await it.incidents.show(1)
    assert len(handled(shown.incident, shown.timeline).pages) == 2


async def test_a_message_about_several_incidents_wakes_somebody_once() -> None:
    it = texting()
    for service in ("one", "two", "three"):
        await opened(it, service=service)
    await it.wait(seconds=60)
    now = it.clock()
    sent = await it.store.read(lambda tx: tx.pages_between(now - timedelta(days=1), now + MINUTE))
    (share,) = fairness((), sent, Calendar())
    assert share.pages == 2
