"""`/oncall`: every subcommand over the real flows, what is said when it is wrong, and the swap's buttons and the override form through Slack."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from bot.domain.overriding import Wish
from bot.domain.people import Actor, Person
from bot.entry.slack.asked import Ask, Reply
from bot.entry.slack.oncall_commands import ALIASES, OnCallCommands
from bot.entry.slack.ports import OnCallFlows
from bot.errors import BadInput
from bot.practice.workspace.blocks import check_message, check_view
from bot.room import notices, oncall
from tests.entry.slack_fakes import Desk, FakeFlows, slack
from tests.flow.oncall_house import ADA, BOB, CHEN, MALLORY, OnCallHouse, at, oncall_house
from tests.practice.workspace_site import until
from tests.room.samples import incident

HERE = incident().channel_id


@pytest.fixture
async def house() -> OnCallHouse:
    return await oncall_house()


def flows_of(house: OnCallHouse) -> OnCallFlows:
    return OnCallFlows(house.looking, house.overrides, house.contacts, house.preferences)


async def run(
    house: OnCallHouse,
    text: str,
    actor: Actor = ADA,
    fakes: FakeFlows | None = None,
    modal: bool = False,
    channel: str = "",
) -> str:
    """Everything that is answered, as one text."""
    reply = await asked(house, text, actor, fakes, modal, channel)
    return reply.text + "\n" + "\n".join(block["text"]["text"] for block in reply.blocks if "text" in block)


async def asked(
    house: OnCallHouse, text: str, actor: Actor, fakes: FakeFlows | None, modal: bool, channel: str = ""
) -> Reply:
    flows = replace((fakes or FakeFlows()).flows(), oncall=flows_of(house))
    reply = await OnCallCommands(flows).run(Ask(text, actor, channel, can_open_modal=modal))
    if reply.blocks:
        check_message(list(reply.blocks))
    return reply


@pytest.mark.parametrize("text", ["", "now", "NOW", "status"])
async def test_alone_it_says_who_has_it_in_the_askers_time(house: OnCallHouse, text: str) -> None:
    said = await run(house, text)
    assert "☎️ *shop*: Chen Ning until today 09:00 CET, then Ada Lovelace" in said
    assert "☎️ *trial*: Bob Kahn until Fri 06 Mar 10:00 CET, then nobody" in said
    assert "until tomorrow 03:00 EST" in await run(house, text, CHEN)


async def test_a_schedule_without_anybody_comes_first_and_says_how_to_fill_it(house: OnCallHouse) -> None:
    house.clock.now = at("03-07T12:00")
    said = await run(house, "now")
    assert said.splitlines()[0] == "NOBODY is on call for trial"
    assert said.splitlines()[1] == "🔴 *trial*: NOBODY is on call"
    assert "`/oncall override trial PERSON now for 4h`" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("who shop", "level 2: Bob Kahn, #ops"),
        ("who me", "Ada Lovelace is not on call now."),
        ("who bob", "Reached by slack, sms."),
        ("next", "Mon 16 Mar 09:00 to Mon 23 Mar 09:00 CET: shop (week)"),
        ("next @bob", "trial (one)"),
        ("next eve", "Eve has no turn in the next two months."),
        ("schedule trial 2026-03-05 2026-03-08", "🔴 Fri 06 Mar 10:00 to Sun 08 Mar 00:00 CET: NOBODY, 38 h"),
        ("schedule shop 4w", "• Mon 02 Mar 09:00 to Mon 09 Mar 09:00 CET: Ada Lovelace (week)"),
        ("gaps", "🔴 Fri 06 Mar 10:00 CET to Mon 30 Mar 05:00 CEST: trial: NOBODY"),
        ("gaps shop", "No gaps in shop"),
        ("fairness", "Chen Ning:"),
        ("fairness shop 2w", "• Ada Lovelace: "),
        ("overrides", "There are no overrides, and no swap waits for an answer."),
        ("calendar", "the turns of Ada Lovelace at `https://tocsin.example.com/calendars/person/ada.ics?mark="),
        ("calendar shop", "schedule/shop.ics"),
        ("contact", "• slack direct message: from oncall.yaml"),
        ("notify critical slack", "For critical: slack at once."),
        ("notify reset", "Your rules are those of oncall.yaml again."),
        ("quiet 22:00-07:00 warning,info", "Quiet every day 22:00 to 07:00 Europe/Berlin for warning, info."),
        ("quiet 10pm - 7am info", "Quiet every day 22:00 to 07:00 Europe/Berlin for info."),
        ("quiet off", "You have no quiet hours"),
        ("schedule shop 4 weeks", "• Mon 02 Mar 09:00 to Mon 09 Mar 09:00 CET: Ada Lovelace (week)"),
        ("who Shop", "Escalation policy shop:"),
        ("contact", "To change it: `/oncall contact add`"),
        ("help", "*How you are reached*"),
        ("zone asia/tokyo", "Times are told to you in Asia/Tokyo."),
        ("recovery off", "You are not told when it is over."),
        ("test-me", "✅ *slack* direct message: sent by direct message"),
        ("contact import", "Your Slack profile shows no e-mail address."),
    ],
)
async def test_a_command_is_answered_in_words(house: OnCallHouse, text: str, words: str) -> None:
    assert words in await run(house, text)


async def test_help_explains_every_subcommand(house: OnCallHouse) -> None:
    said = await run(house, "help")
    commands = OnCallCommands(FakeFlows(oncall=flows_of(house)).flows())
    for command in commands.table.values():
        assert f"`/oncall {command.usage}`" in said
    assert set(ALIASES.values()) <= set(commands.table)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "overide shop bob now 4h",
            'There is no `/oncall overide`; did you mean "override"? `/oncall help` lists what there is.',
        ),
        ("frobnicate", "There is no `/oncall frobnicate`. `/oncall help`"),
        ("schedule shpo", "There is no schedule 'shpo'; did you mean \"shop\"? There are: shop, trial."),
        ("schedule", "Which schedule? There are: shop, trial."),
        ("schedule shop 2026-13-01", "'2026-13-01' is not a time."),
        ("schedule shop fri", "At what time on fri? Write it like `fri 18:00`."),
        ("override", "Which schedule?"),
        ("override shop", "Who, and when? `/oncall override shop PERSON` and times like `now 4h`"),
        ("override shop bbo now 4h", "'bbo' is nobody in oncall.yaml; did you mean \"bob\"?"),
        ("override shop bob", "Expected when it begins, found nothing."),
        ("override shop bob fri", "At what time on fri?"),
        ("override shop bob now", "Expected when it ends, or how long it lasts, found nothing."),
        ("override shop bob now soon", "'soon' is not a time."),
        ("override shop bob 25:00 26:00", "'25:00' is no time of day: they go from 00:00 to 23:59."),
        (
            "override shop bob 24.12.2026 18:00 27.12.2026 09:00",
            "Dates are written with the year first: `2026-12-24 18:00`, not",
        ),
        (
            "override shop bob 01.02. 18:00 4h",
            "Dates are written with the year first: `2027-02-01 18:00`, not '01.02.'",
        ),
        (
            "override shop bob 12/11/2026 18:00 4h",
            "Dates are written with the year first: `2026-12-11 18:00` or `2026-11-12 18:00`",
        ),
        (
            "override shop bob 12/24/2026 18:00 4h",
            "Dates are written with the year first: `2026-12-24 18:00`, not '12/24/2026'.",
        ),
        ("override shop bob 99.99.2026 18:00 4h", "'99.99.2026' is not a time."),
        ("override shop bob now 4", "Is '4' an hour or a length? Write `4h`, `4m` or `4d`"),
        ("override shop bob now for 4", "Is '4' an hour or a length?"),
        ("override shop bob now -4h", "'-4h' goes back in time"),
        ("override shop bob now 0h", "It would end when it begins"),
        ("override shop bob next fri 18:00 4h", "'next fri' can mean two days. Write `fri 18:00` for the coming one"),
        ("override shop bob tomorrow 4h", "At what time tomorrow?"),
        ("override shop bob now 4h CET", "CET names no place whose clocks are meant."),
        ("override shop bob now 4h Europe/Berln", "No time zone is called 'Europe/Berln'"),
        ("override shop <@U0EVIL> now 4h", "That member of Slack (U0EVIL) is not among the people of oncall.yaml"),
        ("schedule shop 3", "Is '3' an hour or a length?"),
        ("override shop bob 2026-02-01 2026-02-02", "It would be over already"),
        ("override end", "Expected a number, found nothing: `/oncall override end 3`"),
        ("override end x", "Expected a number, found 'x'"),
        ("override end 3", "There is no override 3."),
        ("swap", "Swap with whom, and when?"),
        ("swap withdraw 3", "There is no swap 3."),
        ("swap bob", "Expected when it begins, found nothing."),
        ("page", "Page whom? There are: shop, trial, pay, ada"),
        ("page shop", "Why? Whoever is woken must know: `/oncall page shop checkout is down`."),
        ("page shop INC-7", "Why?"),
        ("page shpo x", "'shpo' is no person, schedule or group; did you mean \"shop\"?"),
        ("contact ad sms 1", 'There is no `/oncall contact ad`; did you mean "add"?'),
        ("contact verify", "A code has six digits"),
        ("notify", "For which severity, and by what?"),
        ("notify critical", "Say by what"),
        ("notify critical slack sms 3m", "'slack sms 3m' is not `method` or `method 3m`"),
        ("quiet", "When, and for what?"),
        ("quiet 22:00-07:00", "Quiet for what?"),
        ("quiet 22:00-7 warning", "'22:00-7' is not two times of day; write them like 22:00-07:00."),
        ("quiet 25:00-07:00 info", "'25:00' is no time of day"),
        ("notify critical slack email", "'slack email' is not `method` or `method 3m`. Separate methods by commas"),
        ("zone Europe/Berln", "No time zone is called 'Europe/Berln'; did you mean \"Europe/Berlin\"?"),
        ("recovery maybe", "Expected `on` or `off`, found 'maybe'."),
        ("x" * 3000, "This is 3000 characters long"),
    ],
)
async def test_a_wrong_command_says_what_to_type_instead(house: OnCallHouse, text: str, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        await run(house, text)
    assert str(caught.value).startswith(words)
    assert (await house.overrides.listing())[0] == ()


@pytest.mark.parametrize(
    ("text", "starts", "ends", "person", "why"),
    [
        ("override shop bob now 4h wedding", "03-02T03:00", "03-02T07:00", "bob", "wedding"),
        ("override shop Bob Kahn for 4h", "03-02T03:00", "03-02T07:00", "bob", ""),
        ("override shop <@U0BOB> 18:00 22:00", "03-02T17:00", "03-02T21:00", "bob", ""),
        ("override shop me tomorrow 09:00 to fri 18:00 because of it", "03-03T08:00", "03-06T17:00", "ada", "of it"),
        ("override shop bob from 22:00 until 06:00", "03-02T21:00", "03-03T05:00", "bob", ""),
        ("override shop bob 2026-03-28 18:00 2026-03-29 09:00 “off”", "03-28T17:00", "03-29T07:00", "bob", "off"),
        ("override shop bob 18:00 20:00 UTC late", "03-02T18:00", "03-02T20:00", "bob", "late"),
        ("cover shop bob sat 02:30 1h", "03-07T01:30", "03-07T02:30", "bob", ""),
        ("override shop bob 6pm 10:30pm", "03-02T17:00", "03-02T21:30", "bob", ""),
        ("override shop bob 12 am 12 pm", "03-02T23:00", "03-03T11:00", "bob", ""),
        ("override shop bob 18:00-22:00 cinema", "03-02T17:00", "03-02T21:00", "bob", "cinema"),
        ("override shop bob 6pm-10pm", "03-02T17:00", "03-02T21:00", "bob", ""),
        ("override shop bob tonight 22:00 06:00", "03-02T21:00", "03-03T05:00", "bob", ""),
        ("override shop bob on fri at 6 pm until sun 8pm", "03-06T17:00", "03-08T19:00", "bob", ""),
        ("override shop bob 2026-03-06 6pm for 3 days", "03-06T17:00", "03-09T17:00", "bob", ""),
        (
            "override shop bob now 4 hours because 4 hours are enough",
            "03-02T03:00",
            "03-02T07:00",
            "bob",
            "4 hours are enough",
        ),
        ("override shop bob 18:00 20:00 europe/london", "03-02T18:00", "03-02T20:00", "bob", ""),
        ("override shop bob now 90min", "03-02T03:00", "03-02T04:30", "bob", ""),
    ],
)
async def test_times_are_understood_as_people_write_them(
    house: OnCallHouse, text: str, starts: str, ends: str, person: str, why: str
) -> None:
    await run(house, text)
    ((override,), _, _) = await house.overrides.listing()
    assert (override.starts, override.ends, override.person, override.why) == (at(starts), at(ends), person, why)


async def test_somebody_called_like_a_day_is_no_time(house: OnCallHouse) -> None:
    house.with_directory(
        people={**house.rules.directory.people, "sun": Person(key="sun", name="Sun Li", slack="U0SUN")}
    )
    await run(house, "override shop sun sun 18:00 4h")
    ((override,), _, _) = await house.overrides.listing()
    assert (override.person, override.starts) == ("sun", at("03-08T17:00"))


async def test_a_time_that_occurs_twice_begins_at_the_first_and_ends_at_the_second(house: OnCallHouse) -> None:
    house.clock.now = at("10-24T12:00")
    await run(house, "override shop bob 2026-10-25 02:30 2026-10-25 12:00")
    await run(house, "override shop bob 2026-10-25 00:00 2026-10-25 02:30")
    first, second = sorted((await house.overrides.listing())[0], key=lambda one: one.number)
    assert first.starts == at("10-25T00:30")
    assert second.ends == at("10-25T01:30")


async def test_an_override_is_said_back_in_full_and_can_be_ended(house: OnCallHouse) -> None:
    said = await run(house, "override shop bob now 4h")
    assert (
        "Bob Kahn is on call for shop from Mon 2026-03-02 04:00 CET to Mon 2026-03-02 08:00 CET (Europe/Berlin), 4 h."
        in said
    )
    assert "Instead of Chen Ning." in said
    assert "• 1 shop: Bob Kahn, now, Mon 02 Mar 04:00 to 08:00 CET, by Ada Lovelace" in await run(
        house, "overrides shop"
    )
    assert "On call for shop now: Chen Ning." in await run(house, "override end #1")


async def test_a_swap_by_words(house: OnCallHouse) -> None:
    said = await run(house, "swap bob shop tue 18:00 wed 08:00 wedding")
    assert "Swap 1: Bob Kahn is asked to take your turn in shop from Tue 2026-03-03 18:00 CET" in said
    assert "🔁 swap 1 shop: Ada Lovelace asks Bob Kahn" in await run(house, "overrides")
    assert "you are on call for shop instead of Ada Lovelace" in await run(house, "swap accept 1", BOB)
    assert "Swap 2: Chen Ning" in await run(house, "swap chen thu 18:00 4h")
    assert "Swap 2 is withdrawn." in await run(house, "swap withdraw 2")


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("page shop the tills are down", ("page", None, "schedule:shop", "the tills are down", "ada")),
        ("page me just to see", ("page", None, "person:ada", "just to see", "ada")),
        ("page Bob Kahn the tills are down", ("page", None, "person:bob", "the tills are down", "ada")),
        ("page <@U0BOB> INC-7 come and help", ("page", 7, "person:bob", "come and help", "ada")),
    ],
)
async def test_paging_is_one_call_of_the_flow(house: OnCallHouse, text: str, call: tuple[Any, ...]) -> None:
    fakes = FakeFlows()
    assert "page: done &lt;b&gt;" in await run(house, text, fakes=fakes)
    assert fakes.calls == [call]


async def test_in_an_incidents_channel_the_page_is_for_it_and_a_private_one_is_paged_for_there_only(
    house: OnCallHouse,
) -> None:
    fakes = FakeFlows(open_incidents=[incident(private=True)])
    await run(house, "page bob help", fakes=fakes, channel=HERE)
    assert fakes.calls == [("page", 7, "person:bob", "help", "ada")]
    with pytest.raises(BadInput, match="INC-7 is private"):
        await run(house, "page bob INC-7 help", fakes=fakes, channel="C0OTHER")


@pytest.mark.parametrize(
    "text",
    [
        "override shop bob now 4h",
        "swap bob now 4h",
        "page shop x",
        "contact",
        "calendar shop",
        "test-me",
        "quiet 22:00-07:00 info",
        "next",
    ],
)
async def test_strangers_may_look_and_nothing_else(house: OnCallHouse, text: str) -> None:
    fakes = FakeFlows()
    with pytest.raises(BadInput, match=r"You are not among the people of oncall\.yaml.*`slack: U0MAL`"):
        await run(house, text, MALLORY, fakes)
    assert fakes.calls == []
    assert "Chen Ning" in await run(house, "now", MALLORY)
    assert "Ada Lovelace" in await run(house, "schedule shop", MALLORY)


@pytest.mark.parametrize("text", ["<!channel> <@U0ADA> `x` *y*", "&lt;!here&gt;", "a\u202eb"])
async def test_what_people_write_cannot_mention_or_format_anything(house: OnCallHouse, text: str) -> None:
    await house.overrides.create(Wish("shop", "bob", house.clock(), at("03-02T05:00"), text), ADA)
    said = await run(house, "overrides")
    assert "<!" not in said and "<@" not in said and "\u202e" not in said


async def test_addresses_as_slack_pastes_them_are_understood(house: OnCallHouse) -> None:
    assert "a…@x.example by email" in await run(house, "contact add email <mailto:ada@x.example|ada@x.example>")
    assert "+49…5678 by sms" in await run(house, "contact add sms <tel:+4915112345678|+49 151 12345678>")
    assert "sms is verified" in await run(house, "contact verify 111112")
    assert "sms is removed" in await run(house, "contact remove sms")


TYPED = """now who next schedule gaps fairness override overrides swap page contact notify quiet zone recovery calendar test-me help
    shop trial bob ada me @ada <@U0BOB> <@U0X> 18:00 25:00 fri tomorrow yesterday from to until for 4h 0s 99999999999d 2026-12-24 2026-02-30
    0000-00-00 9999-12-31 0001-01-01 2026-12-24T18:00+01:00 Europe/Berlin Europe/X UTC end list withdraw accept 3 #1 -1 add verify remove import
    sms email 123456 critical default slack, 22:00-07:00 12:00-12:00 warning,info off on reset INC-7 INC-99999999999 pay policy:shop person: :
    , - “x” <!here> 4w 400d 1e9 ٣h weekend"""


@pytest.mark.parametrize("seed", range(8))
async def test_whatever_is_typed_is_answered_or_refused_in_words(house: OnCallHouse, seed: int) -> None:
    drawn, words, refused = random.Random(seed), TYPED.split(), list[str]()
    for _ in range(40):
        text = " ".join(drawn.choices(words, k=drawn.randint(1, 7)))
        try:
            await run(house, text, drawn.choice([ADA, BOB, MALLORY]), modal=drawn.random() < 0.3)
        except BadInput as error:
            refused.append(str(error).strip())
    assert refused and all(refused)


# ------------------------------------------------------------------------------------------------ through Slack


@pytest.fixture(params=["socket", "http"])
async def desk(request: pytest.FixtureRequest, house: OnCallHouse) -> AsyncIterator[Desk]:
    async with slack(request.param, oncall=flows_of(house)) as running:
        yield running


async def test_the_command_reaches_its_flow(desk: Desk) -> None:
    answer = await desk.command("now", command="/oncall")
    assert "Chen Ning" in str(answer)


async def test_the_form_makes_an_override_or_says_what_is_wrong_in_it(desk: Desk, house: OnCallHouse) -> None:
    await desk.command("override shop", command="/oncall")
    view = await desk.form()
    check_view(view)
    assert "From when to when? (Europe/Berlin)" in str(view)
    answer = await desk.submit({"person": "bob", "times": "soon"})
    assert "'soon' is not a time" in answer["errors"]["times"]
    assert (await desk.submit({"person": "bob", "times": "now for 4h", "reason": "wedding"}))["ok"]
    await until(lambda: desk.told())
    assert "Override 1: Bob Kahn is on call for shop" in desk.told()[0]
    assert (await house.on_call()) == ("bob",)


async def question(desk: Desk, house: OnCallHouse) -> tuple[str, str]:
    """The direct message that asks Bob: (its channel, its ts)."""
    await house.overrides.ask(Wish("shop", "bob", at("03-03T17:00"), at("03-04T07:00")), ADA)
    await house.settle()
    (_, _, address, notice) = house.told[0]
    opened = await desk.gateway.call("conversations.open", users=address)
    message = notices.notice(notice)
    check_message(list(message.blocks))
    return opened["channel"]["id"], await desk.post(message.blocks, opened["channel"]["id"])


async def test_a_swap_is_accepted_by_its_button_once(desk: Desk, house: OnCallHouse) -> None:
    channel, ts = await question(desk, house)
    assert (await desk.click(ts, oncall.ACCEPT, user="U0BOB", channel=channel))["ok"]
    await until(lambda: desk.told("U0BOB", channel))
    assert "Thank you: you are on call for shop instead of Ada Lovelace" in desk.told("U0BOB", channel)[0]
    message = desk.site.workspace.state.channels[channel].messages[ts]
    await until(lambda: all(block["type"] != "actions" for block in message.blocks))
    (override,) = (await house.overrides.listing())[0]
    assert (override.person, override.instead_of) == ("bob", "ada")


async def test_declined_by_its_button_nothing_changes(desk: Desk, house: OnCallHouse) -> None:
    channel, ts = await question(desk, house)
    await desk.click(ts, oncall.DECLINE, user="U0BOB", channel=channel)
    await until(lambda: desk.told("U0BOB", channel))
    assert (await house.overrides.listing())[0] == ()


@pytest.mark.parametrize("value", ["", "x", "99"])
async def test_a_forged_button_answers_nothing(desk: Desk, house: OnCallHouse, value: str) -> None:
    ts = await desk.post([oncall.swap_buttons(value)])
    await desk.click(ts, oncall.ACCEPT)
    await until(lambda: desk.told())
    assert "swap" in desk.told()[0]
    assert (await house.overrides.listing())[0] == ()


async def test_somebody_else_cannot_press_the_button(desk: Desk, house: OnCallHouse) -> None:
    await question(desk, house)
    ts = await desk.post([oncall.swap_buttons("1")])
    await desk.click(ts, oncall.ACCEPT, user="U0ADA")
    await until(lambda: desk.told())
    assert desk.told() == ["Only Bob Kahn can answer swap 1."]
