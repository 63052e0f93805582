"""`/incident silence` and `maintenance`, the Silence button and its form: what is understood, what is answered, and what is kept private."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.domain.alert import AlertState
from bot.domain.incident import State
from bot.domain.people import Directory, Person
from bot.domain.quiet import OwnHours
from bot.domain.routing import Route, Routing
from bot.domain.signal import Signal
from bot.domain.silencing import Kind
from bot.domain.windows import Window
from bot.entry.silence_words import all_matchers, matchers, moment, recurring, wish
from bot.entry.slack.asked import Ask, Reply
from bot.entry.slack.commands import Commands
from bot.entry.slack.silence_forms import silence_form, silence_submitted
from bot.errors import BadInput
from bot.practice.workspace.blocks import check_message, check_view
from bot.room import blocks as kit
from bot.room import messages, silences
from bot.store import open_store
from tests.entry.slack_fakes import Desk, FakeFlows, slack
from tests.practice.workspace_site import until
from tests.room.samples import DIRECTORY, HOSTILE, NOW, alert, incident
from tests.support.house import ADA, PEOPLE, House, rules

# ------------------------------------------------------------------------------------------------ words

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)  # a saturday
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "found", "left"),
    [
        ('alertname="Broken" 2h x', ('alertname="Broken"',), "2h x"),
        ('alertname="Broken",service=~"a|b" 2h x', ('alertname="Broken"', 'service=~"a|b"'), "2h x"),
        ('alertname = "Broken" , service !~ "a b, c" 2h', ('alertname = "Broken"', 'service !~ "a b, c"'), "2h"),
        ('{alertname="Broken", x!=y} 2h x', ('alertname="Broken"', "x!=y"), "2h x"),
        ("a=b c=d 2h x=y", ("a=b", "c=d"), "2h x=y"),
        ("a=“two words” 2h", ('a="two words"',), "2h"),
        (r'a="say \"hi\" {" 2h', (r'a="say \"hi\" {"',), "2h"),
        ('"label ü"="x" 2h', ('"label ü"="x"',), "2h"),
        ("2h because a=b", (), "2h because a=b"),
        ('a="" b=c 2h', ('a=""', "b=c"), "2h"),
        ("", (), ""),
    ],
)
def test_matchers_stand_first_and_end_where_the_rest_begins(text: str, found: tuple[str, ...], left: str) -> None:
    assert matchers(text) == (found, left)


@pytest.mark.parametrize("text", ['{a="b" 2h', "{2h", "a=b," * 3000])
def test_a_brace_that_is_not_closed_and_a_novel_are_refused(text: str) -> None:
    with pytest.raises(BadInput):
        matchers(text)


def test_words_that_are_no_matchers_are_named() -> None:
    with pytest.raises(BadInput, match="'and more' is not a matcher"):
        all_matchers("a=b and more")


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}:00+00:00")


@pytest.mark.parametrize(
    ("text", "kind", "reason", "begins", "ends"),
    [
        ("a=b 2h disks", "silence", "disks", None, 2 * HOUR),
        ("a=b for 1d12h the disks", "silence", "the disks", None, 36 * HOUR),
        ("a=b until 15:00 disks", "silence", "disks", None, at("11-21T15:00")),
        ("a=b until 09:00 Europe/Berlin disks", "silence", "disks", None, at("11-22T08:00")),
        ("a=b until tomorrow 09:00 disks", "silence", "disks", None, at("11-22T09:00")),
        ("a=b from 2026-11-22T22:00 for 3h Europe/Berlin rack", "maintenance", "rack", at("11-22T21:00"), 3 * HOUR),
        ("a=b from 2026-11-22 22:00 until 2026-11-23 01:00 rack", "maintenance", "rack", at("11-22T22:00"), at("11-23T01:00")),
        ("a=b from 2026-11-22T22:00+02:00 for 3h rack", "maintenance", "rack", at("11-22T20:00"), 3 * HOUR),
        ("a=b 2h because from now on it is quiet", "silence", "from now on it is quiet", None, 2 * HOUR),
        ('a=b 2h "for the disks"', "silence", "for the disks", None, 2 * HOUR),
        ("a=b 2h for the disks", "silence", "for the disks", None, 2 * HOUR),
    ],
)  # fmt: skip
def test_a_line_says_what_how_long_and_why(
    text: str, kind: Kind, reason: str, begins: datetime | None, ends: datetime | timedelta
) -> None:
    found = wish(text, kind, AT)
    assert (found.matchers, found.reason, found.starts_at) == (("a=b",), reason, begins)
    assert (found.lasts if isinstance(ends, timedelta) else found.ends_at) == ends


def test_every_week_in_a_time_zone() -> None:
    found = wish("service=db every sat,sun 02:00-04:00 Europe/Berlin until 2027-01-01 backups", "maintenance", AT)
    (window,) = found.windows
    assert (window.days, window.zone, found.reason) == (("sat", "sun"), "Europe/Berlin", "backups")
    assert window.between is not None
    assert [f"{one:%H:%M}" for one in window.between] == ["02:00", "04:00"]
    assert found.ends_at == datetime(2026, 12, 31, 23, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon-wed 01:00-02:00", ("mon", "tue", "wed")),
        ("fri-mon 01:00-02:00", ("fri", "sat", "sun", "mon")),
        ("every Saturday", ("sat",)),
        ("weekend", ("sat", "sun")),
        ("weekday 22:00-06:00", ("mon", "tue", "wed", "thu", "fri")),
        ("day 22:00-06:00 UTC", ("mon", "tue", "wed", "thu", "fri", "sat", "sun")),
    ],
)
def test_days_as_people_write_them(text: str, days: tuple[str, ...]) -> None:
    assert recurring(text).days == days


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("caturday 02:00-04:00", "'caturday' is not a day; did you mean \"saturday\"?"),
        ("day", "`every day` needs times of day"),
        ("sat 02:00-02:00", "two different times of day"),
        ("sat 25:00-26:00", "not a time of day"),
        ("sat 02:00-04:00 Europe/Berlim", "No time zone is called 'Europe/Berlim'"),
        ("sat 02:00-04:00 Berlin", "'Berlin' is not a time zone"),
        ("every", "Expected days, like sat,sun or mon-fri after `every`, found nothing"),
    ],
)
def test_wrong_recurring_times_are_said(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        recurring(text)


def test_a_clock_that_is_over_today_is_tomorrows() -> None:
    assert moment("12:00", "UTC", AT) == AT + timedelta(days=1)
    assert moment("13:00", "UTC", AT) == AT + HOUR
    assert moment("today 11:00", "UTC", AT) == AT - HOUR
    for wrong in ("soon", "", "25:00", "2026-13-01", "9999-12-31T23:59:59-14:00", "yesterday 10:00"):
        with pytest.raises(BadInput, match="is not a time"):
            moment(wrong, "UTC", AT)


# ------------------------------------------------------------------------------------------------ commands


class Room:
    """The real flow behind the commands, and one incident (1) with a channel (C1)."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.flows = replace(FakeFlows().flows(), incidents=house.incidents, silences=house.silences)

    async def say(self, text: str, channel: str = "C1", modal: bool = False) -> Reply:
        reply = await Commands(self.flows).run(Ask(text, ADA, channel, can_open_modal=modal))
        if reply.blocks:
            check_message(list(reply.blocks))
        return reply

    async def wrong(self, text: str, channel: str = "C1") -> str:
        with pytest.raises(BadInput) as caught:
            await self.say(text, channel)
        return str(caught.value)


async def begun(private: bool = False) -> Room:
    signal = Signal(Routing(Route(policy="shop", private=private)))
    house = House(await open_store("memory://"), rules(signal=signal))
    await house.receive(house.alert())
    await house.settle()
    return Room(house)


@pytest.fixture
async def room() -> Room:
    return await begun()


def shown(reply: Reply) -> str:
    return reply.text + str(reply.blocks)


async def test_in_an_incidents_channel_it_is_about_that_incident(room: Room) -> None:
    reply = await room.say("silence 2h replacing disks")
    assert reply.text.startswith("silence 1 until 2026-03-02 05:00 UTC: it hides alertname=")
    made = (await room.house.silences.show(1)).listed.silence
    assert (made.incident_id, made.author, made.reason) == (1, "Ada", "replacing disks")
    assert (await room.house.incident()).state is State.ACKNOWLEDGED


async def test_elsewhere_it_is_about_the_incident_that_is_named(room: Room) -> None:
    await room.say("silence INC-1 2h replacing disks", channel="C0OTHER")
    assert (await room.house.silences.show(1)).listed.silence.incident_id == 1


async def test_by_matchers_it_is_about_no_incident_and_says_what_stays_open(room: Room) -> None:
    reply = await room.say("mute alertname=“Broken”,service=~“a|checkout” 2h replacing disks")
    assert "1 alert that fires now matches; INC-1 stays open" in reply.text
    made = (await room.house.silences.show(1)).listed.silence
    assert (made.matchers, made.incident_id) == (('alertname="Broken"', 'service=~"a|checkout"'), None)
    assert (await room.house.incident()).state is State.TRIGGERED


async def test_maintenance_in_the_future_and_recurring(room: Room) -> None:
    reply = await room.say("maintenance service=db from 2026-03-22T22:00 for 3h Europe/Berlin moving the rack")
    assert reply.text.startswith("maintenance 1 from 2026-03-22 21:00 UTC until 2026-03-23 00:00 UTC: it hides")
    reply = await room.say("maintenance service=db every sat,sun 02:00-04:00 Europe/Berlin backups")
    assert reply.text.startswith("maintenance 2 every sat,sun 02:00-04:00 Europe/Berlin: it hides")
    assert '⏳ *maintenance 1* `service="db"` from <!date^' in shown(await room.say("maintenance list"))
    assert (await room.say("maintenance")).text == (await room.say("maintenance list")).text


async def test_they_are_listed_shown_moved_and_ended(room: Room) -> None:
    assert (await room.say("silence list")).text.startswith("Nothing is silenced. For example `/incident silence ")
    assert (await room.say("maintenance list")).text.startswith("There is no maintenance. For example")
    await room.say("silence service=cart 2h <!channel> disks")
    await room.house.receive(room.house.alert(fingerprint="f2", service="cart"))
    line = shown(await room.say("silence list", channel="C0OTHER"))
    assert '🔇 *silence 1* `service="cart"` until <!date^' in line
    assert ": &lt;!channel&gt; disks (Ada); hides 1 alert now" in line
    whole = shown(await room.say("silence show 1"))
    assert "*It hides now*" in whole
    assert "• Broken on checkout" in whole
    assert (await room.say("silence extend 1 1h")).text == "silence 1 until 2026-03-02 06:00 UTC now."
    assert (await room.say("silence shorten #1 by 30m")).text == "silence 1 until 2026-03-02 05:30 UTC now."
    assert (await room.say("silence end silence-1")).text.startswith("silence 1 is over. 1 alert that it hid")
    assert (await room.say("silence list")).text.startswith("Nothing is silenced.")
    assert "☑️ *silence 1*" in shown(await room.say("silence list all"))


async def test_a_long_list_says_how_many_more_there_are(room: Room) -> None:
    for number in range(35):
        await room.say(f"silence service=s{number} 2h x")
    reply = await room.say("silence list")
    assert reply.text == "35 silences"
    assert "and 5 more" in str(reply.blocks[-1])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("silence 2 moons disks", "Not a duration: '2'; it has no unit; write it like 90s, 5m"),
        ("silence disks", "Expected how long, like 2h, found 'disks'. For example `/incident silence alertname="),
        ("silence", "Expected how long, like 2h, found nothing."),
        ("silence 2h", "Expected a reason at the end, found nothing"),
        ("silence a=b 2h", "Expected a reason at the end, found nothing"),
        ("silence a=b disks", "Expected how long, like 2h after the matchers, found 'disks'"),
        ('silence a=~".*" 2h x', 'a=~".*" would hide everything'),
        ("silence a=~( 2h x", "not a regular expression in"),
        ("silence a=b until soon x", "'soon' is not a time; write it like 2026-11-22T22:00"),
        ("silence a=b for", "Expected how long, like 2h after `for`, found nothing"),
        ("silence a=b 500d x", "at most 400 days"),
        ("silence INC-9 2h x", "There is no INC-9"),
        ("silence end", "Expected the number of a silence after `end`, found nothing: `/incident silence end 42`."),
        ("silence extend forty 2h", "found 'forty': `/incident silence extend 42 2h`"),
        ("silence extend 1", "There is no silence 1"),
        (
            "silence show 99",
            "There is no silence 99. `/incident silence list` and `tocsin silence list` show those that there are.",
        ),
        ("maintenance 2h x", "Which alerts? Expected matchers, found '2h'"),
        ("maintenance lst", "found 'lst'; did you mean \"list\"?"),
        ("maintenance a=b x", "Expected `from … for 3h`, `for 3h` or `every …` after the matchers, found 'x'"),
        ("maintenance a=b from 22:00 x", "Expected `from … for 3h`"),
        ("maintenance a=b every caturday x", "'caturday' is not a day"),
        ("maintenance a=b for 2h Europe/Berlim x", "No time zone is called 'Europe/Berlim'"),
    ],
)
async def test_a_wrong_command_says_what_was_found_and_expected_and_makes_nothing(
    room: Room, text: str, said: str
) -> None:
    assert said in await room.wrong(text)
    assert await room.house.silences.listing() == []


async def test_outside_a_channel_it_asks_which_alerts(room: Room) -> None:
    said = await room.wrong("silence 2h disks", channel="C0OTHER")
    assert said.startswith("Which alerts? Expected matchers, found '2h'; in an incident's channel, or behind `INC-7`")
    assert 'did you mean "list"' in await room.wrong("silence lsit", channel="C0OTHER")


async def test_how_much_is_asked_when_it_is_not_said(room: Room) -> None:
    await room.say("silence a=b 2h x")
    assert await room.wrong("silence extend 1") == "By how much? For example `/incident silence extend 1 2h`."
    assert "Not a duration: 'much'" in await room.wrong("silence extend 1 much")


# ------------------------------------------------------------------------------------------------ private incidents


async def test_what_is_private_stays_in_its_channel() -> None:
    room = await begun(private=True)
    await room.say("silence 2h the board is being replaced")
    elsewhere = shown(await room.say("silence list", channel="C0OTHER"))
    assert "🔒 🔇 *silence 1* of a private incident, until <!date^" in elsewhere
    for secret in ("board", "Broken", "checkout"):
        assert secret not in elsewhere
    assert "board" in shown(await room.say("silence list"))
    for text in ("silence show 1", "silence end 1", "silence extend 1 2h", "silence shorten 1 1h"):
        assert await room.wrong(text, "C0OTHER") == (
            "silence 1 is of a private incident. Whoever is in its channel can ask there."
        )
    assert "INC-1 is private" in await room.wrong("silence INC-1 2h x", "C0OTHER")
    assert (await room.house.silences.listing())[0].phase == "active"


async def test_hidden_alerts_that_would_be_private_are_only_counted() -> None:
    room = await begun(private=True)
    await room.say("silence alertname=Other 2h x", channel="C0OTHER")
    await room.house.receive(room.house.alert("Other", fingerprint="f2"))
    whole = shown(await room.say("silence show 1", channel="C0OTHER"))
    assert "🔒 1 alert of private incidents" in whole
    assert "on checkout" not in whole


async def test_the_form_of_a_private_incident_opens_in_its_channel_only() -> None:
    room = await begun(private=True)
    with pytest.raises(BadInput, match="INC-1 is private"):
        await silence_form(room.flows, 1, "C0OTHER", ADA)
    about = {"incident": 1, "channel": "C0OTHER"}
    with pytest.raises(BadInput, match="INC-1 is private"):
        await silence_submitted(room.flows, about, {"matchers": "a=b", "reason": "x"}, ADA)


# ------------------------------------------------------------------------------------------------ the form


async def test_the_form_has_the_incidents_matchers_and_usual_lengths(room: Room) -> None:
    reply = await room.say("silence", modal=True)
    assert reply.view is not None
    check_view(reply.view)
    lasting, reason, which = reply.view["blocks"][:3]
    assert [one["value"] for one in lasting["element"]["options"]] == ["30m", "1h", "4h", "1d", "tomorrow"]
    assert which["element"]["initial_value"] == 'alertname="Broken",service="checkout"'
    assert (lasting["optional"], reason["optional"], which["optional"]) == (False, False, False)


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_no_text_from_outside_breaks_the_form(text: str) -> None:
    check_view(silences.form("INC-7", [text, text], {"incident": 7}, "UTC"))


async def test_what_is_sent_becomes_a_silence_for_the_incident(room: Room) -> None:
    values = {"lasting": "4h", "reason": "disks", "matchers": 'alertname="Broken",\nservice=~"checkout|cart"'}
    reply = await silence_submitted(room.flows, {"incident": 1, "channel": "C1"}, values, ADA)
    assert reply.text.startswith("silence 1 until 2026-03-02 07:00 UTC")
    made = (await room.house.silences.show(1)).listed.silence
    assert made.matchers == ('alertname="Broken"', 'service=~"checkout|cart"')
    assert (await room.house.incident()).acknowledged_by == "Ada"


async def test_tomorrow_at_nine_is_meant_where_the_person_is(room: Room) -> None:
    berlin = Person(key="ada", name="Ada", quiet=OwnHours(windows=(Window(days=("sat",), zone="Europe/Berlin"),)))
    flows = replace(room.flows, directory=lambda: Directory(people={**PEOPLE, "ada": berlin}))
    view = await silence_form(flows, 1, "C1", ADA)
    assert "until tomorrow 09:00 (Europe/Berlin)" in str(view)
    about = {"incident": 1, "channel": "C1", "zone": "Europe/Berlin"}
    await silence_submitted(flows, about, {"lasting": "tomorrow", "reason": "x", "matchers": "a=b"}, ADA)
    made = (await room.house.silences.show(1)).listed.silence
    assert made.ends_at == datetime(2026, 3, 3, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize("given", ["", "nonsense", 'a=~".*"', 'a=~"("', "a=b and more"])
async def test_wrong_matchers_are_said_at_their_field(room: Room, given: str) -> None:
    values = {"lasting": "4h", "reason": "disks", "matchers": given}
    reply = await silence_submitted(room.flows, {"incident": 1, "channel": "C1"}, values, ADA)
    assert list(reply.errors) == ["matchers"]
    assert await room.house.silences.listing() == []


# ------------------------------------------------------------------------------------------------ through Slack


@pytest.fixture(params=["socket", "http"])
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    async with slack(request.param) as running:
        yield running


async def card(desk: Desk) -> str:
    card = messages.card(incident(channel_id=desk.channel), [AlertState(alert(), NOW, NOW)], [], DIRECTORY)
    return await desk.post(card.blocks)


def answered(desk: Desk) -> list[dict[str, Any]]:
    """What was delivered of people's doing, and is answered."""
    log = desk.site.workspace.delivery.log
    return [one for one in log if one["kind"] != "events_api" and one["result"]]


FILLED: dict[str, Any] = {"lasting": "1h", "reason": "disks", "matchers": 'service="checkout"'}
MADE = ("silence", ('service="checkout"',), "disks", NOW + HOUR, 7, "ada")


async def test_the_button_opens_the_form_and_the_form_makes_one(desk: Desk) -> None:
    await desk.click(await card(desk), kit.SILENCE)
    view = await desk.form()
    assert "INC-7 stays open" in str(view)
    answer = await desk.submit({**FILLED, "matchers": "nonsense"})
    assert "is not a matcher" in answer["errors"]["matchers"]
    assert desk.flows.calls == []
    desk.flows.raises = BadInput("A silence needs a reason.")
    assert (await desk.submit(FILLED))["errors"] == {"reason": "A silence needs a reason."}
    assert (await desk.submit(FILLED))["ok"]
    await until(lambda: desk.told())
    assert desk.flows.calls == [MADE]
    assert desk.told() == ["silence: done &lt;b&gt;"]


async def test_a_form_that_slack_delivers_twice_makes_one(desk: Desk) -> None:
    await desk.click(await card(desk), kit.SILENCE)
    await desk.form()
    desk.site.workspace.faults.add("duplicate", "interactive", count=1)
    await desk.submit(FILLED)
    await until(lambda: len([one for one in answered(desk) if one["payload"]["type"] == "view_submission"]) == 2)
    assert desk.flows.calls == [MADE]


@pytest.mark.parametrize("value", ["", "x", "-1", "9" * 40])
async def test_a_forged_button_opens_nothing(desk: Desk, value: str) -> None:
    ts = await desk.post([kit.actions(kit.button("Silence", kit.SILENCE, value))])
    await desk.click(ts, kit.SILENCE)
    await until(lambda: desk.told())
    assert "does not say which incident" in desk.told()[0]
    assert desk.site.workspace.state.top_view("U0ADA") is None


async def test_a_command_that_slack_delivers_twice_makes_one(desk: Desk) -> None:
    desk.site.workspace.faults.add("duplicate", "command", count=1)
    await desk.command('silence service="checkout" 1h disks')
    await until(lambda: len(answered(desk)) == 2)
    assert desk.flows.calls == [(*MADE[:4], None, "ada")]
