"""One's own contact methods and preferences: codes that prove them, what is refused, and a test by every method at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bot.domain import codes
from bot.domain.contact import Method, Notify
from bot.domain.contact_told import Own, Profile
from bot.domain.notice import Notice, Receipt
from bot.domain.people import Person
from bot.domain.windows import Window
from bot.errors import BadInput, TryLater
from tests.flow.oncall_house import ADA, BOB, EVE, FakeMedium, OnCallHouse, oncall_house

PHONE = "+49 151 1234-5678"
CLEAN = "+4915112345678"
NIGHT = Window.model_validate({"between": ["22:00", "07:00"], "zone": "Europe/Berlin"})


@pytest.fixture
async def house() -> OnCallHouse:
    return await oncall_house()


async def person(house: OnCallHouse, key: str = "ada") -> Person:
    return (await house.looking.directory()).people[key]


def ways(own: Own) -> dict[str, str]:
    return {one.key: one.state for one in own.ways}


# ------------------------------------------------------------------------------------------------ codes


async def test_a_method_is_used_once_its_code_came_back(house: OnCallHouse) -> None:
    said = await house.contacts.add("sms", PHONE, ADA)
    assert "A code was sent to +49…5678 by sms" in said
    assert CLEAN not in said
    ((notice, address),) = house.media["sms"].sent
    assert (address, notice.purpose) == (CLEAN, "code")
    assert "111111" in notice.subject and "111111" in notice.short and "1, 1, 1" in notice.spoken
    assert not (await person(house)).ways[-1].verified
    assert "awaited" in ways(await house.contacts.mine(ADA))["sms"]
    assert "sms is verified" in await house.contacts.verify("111 111", ADA)
    assert [(one.key, one.address, one.verified) for one in (await person(house)).ways[1:]] == [("sms", CLEAN, True)]


async def test_the_code_is_kept_nowhere_in_the_clear(house: OnCallHouse) -> None:
    await house.contacts.add("sms", PHONE, ADA)
    (kept,) = await house.store.read(lambda tx: tx.methods_of("ada"))
    assert "111111" not in kept.model_dump_json()
    assert kept.code_hash != codes.hashed("111111", "other salt")
    assert codes.right("111111", kept.code_hash)
    assert not codes.right("111112", kept.code_hash)
    assert not codes.right("111111", "")
    assert [one for one in await house.store.backlog(house.clock()) if one.pending] == []


async def test_a_code_is_good_for_ten_minutes_and_five_tries(house: OnCallHouse) -> None:
    await house.contacts.add("sms", PHONE, ADA)
    for left in (4, 3, 2, 1):
        with pytest.raises(BadInput, match=f"That is not the code\\. {left} tries are left"):
            await house.contacts.verify("999999", ADA)
    with pytest.raises(BadInput, match="That was the last try"):
        await house.contacts.verify("999999", ADA)
    with pytest.raises(BadInput, match="No code waits"):
        await house.contacts.verify("111111", ADA)
    await house.contacts.add("sms", PHONE, ADA)
    house.clock.forward(minutes=10)
    with pytest.raises(BadInput, match="No code waits for you, or it is too old"):
        await house.contacts.verify("111112", ADA)
    assert "too old" in ways(await house.contacts.mine(ADA))["sms"]


async def test_the_code_of_somebody_else_is_worth_nothing(house: OnCallHouse) -> None:
    await house.contacts.add("sms", PHONE, ADA)
    with pytest.raises(BadInput, match="No code waits"):
        await house.contacts.verify("111111", BOB)
    assert "sms is verified" in await house.contacts.verify("111111", ADA)


@pytest.mark.parametrize("text", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦"])
async def test_what_is_no_code_costs_no_try(house: OnCallHouse, text: str) -> None:
    await house.contacts.add("sms", PHONE, ADA)
    with pytest.raises(BadInput, match="six digits"):
        await house.contacts.verify(text, ADA)
    (kept,) = await house.store.read(lambda tx: tx.methods_of("ada"))
    assert kept.wrong_codes == 0


async def test_nobody_is_flooded_with_codes(house: OnCallHouse) -> None:
    for _ in range(3):
        await house.contacts.add("sms", PHONE, ADA)
    with pytest.raises(BadInput, match="At most 3 codes to one address in 60 minutes"):
        await house.contacts.add("sms", CLEAN, BOB)
    for number in range(3):
        await house.contacts.add("sms", f"+49151000000{number}", ADA)
    with pytest.raises(BadInput, match="At most 6 codes in 60 minutes"):
        await house.contacts.add("sms", "+491510000009", ADA)
    assert len(house.media["sms"].sent) == 6
    house.clock.forward(minutes=61)
    await house.contacts.add("sms", PHONE, ADA)


async def test_a_code_that_certainly_did_not_leave_adds_nothing(house: OnCallHouse) -> None:
    house.media["sms"].failure = BadInput("twilio: 21211 hunter2 is not a number, code 111111")
    with pytest.raises(BadInput) as caught:
        await house.contacts.add("sms", PHONE, ADA)
    assert "could not be sent by sms: twilio: 21211 [secret]" in str(caught.value)
    assert "111111" not in str(caught.value)
    assert list(ways(await house.contacts.mine(ADA))) == ["slack"]
    house.media["sms"].failure = TryLater("lost the answer", uncertain=True)
    await house.contacts.add("sms", PHONE, ADA)
    assert "sms is verified" in await house.contacts.verify("111112", ADA), "it may have arrived all the same"


# ------------------------------------------------------------------------------------------------ what can be added


@pytest.mark.parametrize(
    ("medium", "address", "words"),
    [
        (
            "sms",
            "0151 1234",
            "'0151 1234' is nothing that sms could reach: expected a phone number with its country's code",
        ),
        ("voice", "call me", "'call me' is nothing that voice could reach"),
        ("email", "ada@x", "'ada@x' is nothing that email could reach: expected an e-mail address"),
        ("email", "ada@x.example, bob@x.example", "'ada@x.example, bob@x.example' is nothing"),
        ("telegram", "http://169.254.169.254/", "'http://169.254.169.254/' is nothing that telegram could reach"),
        ("hook", "https://evil.example", "'hook' cannot be added"),
        ("slack", "U0BOB", "'slack' cannot be added"),
        ("smss", PHONE, "'smss' cannot be added; did you mean \"sms\"? There are: sms, voice, email, telegram."),
        ("", "", "Add what?"),
    ],
)
async def test_what_cannot_be_an_own_method_is_refused(
    house: OnCallHouse, medium: str, address: str, words: str
) -> None:
    with pytest.raises(BadInput) as caught:
        await house.contacts.add(medium, address, ADA)
    assert str(caught.value).startswith(words)
    assert all(not one.sent for one in house.media.values())


async def test_a_second_number_gets_a_name_of_its_own_and_the_same_one_is_not_added_twice(house: OnCallHouse) -> None:
    await house.contacts.add("sms", PHONE, BOB)
    assert "sms-2 is verified" in await house.contacts.verify("111111", BOB)
    with pytest.raises(BadInput, match="among your methods already, as sms-2"):
        await house.contacts.add("sms", CLEAN, BOB)
    with pytest.raises(BadInput, match="among your methods already, as sms"):
        await house.contacts.add("sms", "+4915100000", BOB)


async def test_only_what_one_added_can_be_removed(house: OnCallHouse) -> None:
    await house.contacts.add("sms", PHONE, BOB)
    await house.contacts.verify("111111", BOB)
    assert "You are reached by slack, sms." in await house.contacts.remove("sms-2", BOB)
    with pytest.raises(BadInput, match=r"sms stands in oncall\.yaml"):
        await house.contacts.remove("sms", BOB)
    with pytest.raises(BadInput, match="You have added no method 'fax'"):
        await house.contacts.remove("fax", BOB)


async def test_removing_the_last_way_says_what_that_means(house: OnCallHouse) -> None:
    await house.contacts.add("sms", PHONE, EVE)
    await house.contacts.verify("111111", EVE)
    assert "Nothing is left by which you can be paged" in await house.contacts.remove("sms", EVE)


async def test_a_profile_is_taken_over_but_no_address_counts_without_a_code(house: OnCallHouse) -> None:
    house.profiles.profile = Profile("bob@shop.example", "+49 151 99999", "Europe/Paris")
    said = await house.contacts.take_profile(BOB)
    assert "Times are told to you in Europe/Paris" in said
    assert "A code was sent to b…@shop.example by email" in said
    assert "A code was sent to +49…9999 by sms" in said
    bob = await person(house, "bob")
    assert bob.zone == "Europe/Paris"
    assert [one.verified for one in bob.ways] == [True, True, False, False]
    assert "sms-2 is verified" in await house.contacts.verify("111112", BOB)
    house.profiles.profile = Profile("", "ext. 42", "Europe/Rome")
    said = await house.contacts.take_profile(BOB)
    assert "Your Slack profile shows no e-mail address." in said
    assert "Your phone number was not taken over: 'ext. 42'" in said
    assert (await person(house, "bob")).zone == "Europe/Paris", "a zone that was chosen stays"


# ------------------------------------------------------------------------------------------------ preferences


async def test_rules_are_kept_by_severity_and_reset_to_those_of_the_file(house: OnCallHouse) -> None:
    rules = (Notify(method="sms", after=timedelta(minutes=3)), Notify(method="slack"))
    assert await house.preferences.notify("critical", rules, BOB) == "For critical: slack at once, sms after 3 min."
    await house.preferences.notify("", (Notify(method="slack"),), BOB)
    bob = await person(house, "bob")
    assert {name: [one.method for one in given] for name, given in bob.notify.items()} == {
        "critical": ["slack", "sms"],
        "": ["slack"],
    }
    await house.preferences.reset(BOB)
    assert (await person(house, "bob")).notify == {}


@pytest.mark.parametrize(
    ("severity", "method", "after", "words"),
    [
        ("critcal", "slack", 0, "'critcal' is no severity; did you mean \"critical\"?"),
        ("critical", "smss", 0, "You have no method 'smss'; did you mean \"sms\"? You have: slack, sms."),
        ("critical", "sms", 61, "sms: at most an hour"),
    ],
)
async def test_rules_that_cannot_be_are_refused(
    house: OnCallHouse, severity: str, method: str, after: int, words: str
) -> None:
    with pytest.raises(BadInput) as caught:
        await house.preferences.notify(severity, (Notify(method=method, after=timedelta(minutes=after)),), BOB)
    assert str(caught.value).startswith(words)


async def test_quiet_hours_hold_for_what_was_named(house: OnCallHouse) -> None:
    said = await house.preferences.quiet((NIGHT,), ("warning", "info"), ADA)
    assert said == "Quiet every day 22:00 to 07:00 Europe/Berlin for warning, info."
    ada = await person(house)
    assert ada.quiet.until("warning", house.clock()) is not None
    assert ada.quiet.until("critical", house.clock()) is None
    assert "critical too" in await house.preferences.quiet((NIGHT,), ("critical",), ADA)
    with pytest.raises(BadInput, match="did you mean"):
        await house.preferences.quiet((NIGHT,), ("warnin",), ADA)
    with pytest.raises(BadInput, match="Quiet for what"):
        await house.preferences.quiet((NIGHT,), (), ADA)
    await house.preferences.quiet((), (), ADA)
    assert (await person(house)).quiet.until("warning", house.clock()) is None


async def test_preferences_do_not_wipe_out_each_other(house: OnCallHouse) -> None:
    await house.preferences.zone("Asia/Tokyo", ADA)
    await house.preferences.recovery(False, ADA)
    await house.preferences.quiet((NIGHT,), ("info",), ADA)
    ada = await person(house)
    assert (ada.zone, ada.recovery, len(ada.quiet.windows)) == ("Asia/Tokyo", False, 1)
    own = await house.contacts.mine(ADA)
    assert own.lines == (
        "Time zone: Asia/Tokyo.",
        "Quiet: every day 22:00 to 07:00 Europe/Berlin for info.",
        "Told when it is over: no.",
    )
    assert (await person(house, "bob")).zone == ""


# ------------------------------------------------------------------------------------------------ test-me


async def test_every_verified_method_is_tested_and_each_says_what_became_of_it(house: OnCallHouse) -> None:
    await house.contacts.add("email", "bob@shop.example", BOB)
    await house.contacts.add("voice", PHONE, BOB)
    await house.contacts.verify("111112", BOB)
    house.media["sms"].failure = TryLater("twilio: 503 hunter2")
    found = {one.key: (one.ok, one.answer) for one in await house.contacts.test("", BOB)}
    assert found == {
        "slack": (True, "sent by direct message"),
        "sms": (False, "twilio: 503 [secret]"),
        "voice": (True, "queued as SM1"),
    }
    ((notice, target, address),) = house.room.told
    assert (notice.purpose, target, address) == ("test", "person:bob", "U0BOB")
    assert [one.purpose for one, _ in house.media["email"].sent] == ["code"], "what is not verified is not tested"
    await house.settle()
    assert house.told == [], "not through the outbox"


async def test_a_medium_that_hangs_holds_up_no_other(house: OnCallHouse) -> None:
    class Hanging(FakeMedium):
        async def send(self, notice: Notice, address: str, again: bool) -> Receipt:
            await asyncio.Event().wait()
            raise AssertionError

    house.media["sms"] = Hanging()
    found = {one.key: one for one in await house.contacts.test("", BOB)}
    assert found["slack"].ok
    assert (found["sms"].ok, "it may still arrive" in found["sms"].answer) == (False, True)


async def test_a_bug_in_a_medium_is_said_beside_the_others(house: OnCallHouse) -> None:
    house.media["sms"].failure = KeyError("sid")
    found = {one.key: one for one in await house.contacts.test("", BOB)}
    assert (found["slack"].ok, found["sms"].ok) == (True, False)
    assert "failed inside Tocsin (KeyError)" in found["sms"].answer


async def test_tests_are_three_in_ten_minutes(house: OnCallHouse) -> None:
    for _ in range(3):
        await house.contacts.test("sms", BOB)
    with pytest.raises(BadInput, match="At most 3 tests in 10 minutes"):
        await house.contacts.test("", BOB)
    await house.contacts.test("", ADA)
    house.clock.forward(minutes=11)
    await house.contacts.test("", BOB)
    assert len(house.media["sms"].sent) == 4


async def test_only_ones_own_methods_are_tested(house: OnCallHouse) -> None:
    with pytest.raises(BadInput, match=r"You have no verified method 'sms'\. You have: slack"):
        await house.contacts.test("sms", ADA)
    with pytest.raises(BadInput, match=r"There is nothing to test\. Nothing is left"):
        await house.contacts.test("", EVE)
    people = dict(house.rules.directory.people)
    people["eve"] = people["eve"].model_copy(update={"methods": (Method(key="pager", medium="gone", address="x"),)})
    house.with_directory(people=people)
    (found,) = await house.contacts.test("", EVE)
    assert (found.ok, found.answer) == (False, "not set up in tocsin.yaml")


async def test_the_loop_goes_on_while_a_code_is_compared(house: OnCallHouse) -> None:
    """Comparing is slow on purpose, and there may be six codes to compare with."""
    for number in range(6):
        await house.contacts.add("sms", f"+49151000000{number}", ADA)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    beside = asyncio.create_task(others())
    with pytest.raises(BadInput, match="That is not the code"):
        await house.contacts.verify("999999", ADA)
    beside.cancel()
    assert turns > 5
