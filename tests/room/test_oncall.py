"""On-call as Slack shows it: hostile texts stay text, everything fits into Slack's limits, buttons and the form are what Slack takes."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from bot.clients.slack import SlackGateway
from bot.domain import contact_told, oncall_notices
from bot.domain.contact_told import Own, OwnWay, Profile
from bot.domain.oncall_told import Preview, Standing, Turn, Who
from bot.domain.people import Directory, Person
from bot.domain.roster import Swap
from bot.domain.schedule import Override
from bot.entry.slack.asked import sections
from bot.errors import GaveUp, TryLater
from bot.practice.workspace.blocks import check_message, check_view
from bot.practice.workspace.site import WorkspaceSettings
from bot.room import blocks as kit
from bot.room import notices, oncall
from bot.room.blocks import Message
from bot.room.user_groups import SlackProfiles, SlackUserGroups
from tests.practice.workspace_site import listening
from tests.room.reading import buttons, mrkdwn_of
from tests.room.samples import HOSTILE, NOW

DAY = timedelta(days=1)


def everything(text: str) -> list[str]:
    """All lines that can be shown, with this text wherever somebody else's text can be."""
    people = Directory(people={text: Person(key=text, name=text)})
    standing = Standing(text, (text,), (text,), NOW + DAY, (text,), ways_missing=(text,))
    turns = tuple(Turn(text, (text,), NOW, NOW + DAY, text, kind) for kind in ("turn", "gap", "overlap"))
    override = Override(
        number=1,
        schedule=text,
        person=text,
        starts=NOW,
        ends=NOW + DAY,
        instead_of=text,
        by=text,
        why=text,
        made_at=NOW,
    )
    swap = Swap(number=1, schedule=text, asker=text, other=text, starts=NOW, ends=NOW + DAY, why=text, asked_at=NOW)
    return [
        *oncall.standings([standing, Standing(text)], "UTC", NOW),
        *oncall.who(Who(text, (standing,), (text,)), "UTC", NOW),
        *oncall.preview(Preview(text, NOW, NOW + DAY, turns, 7), "UTC", NOW),
        *oncall.overrides([override], [swap], people, "UTC", NOW),
        *oncall.own(Own(text, (OwnWay(text, text, text, "self", text),), {text: ()}, (text,))),
        *oncall.tested([contact_told.Tested(text, text, text, False, text)]),
    ]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_can_mention_format_or_break_anything(text: str) -> None:
    lines = everything(text)
    blocks = kit.bounded(sections(lines))
    check_message(blocks)
    for shown in mrkdwn_of(blocks):
        assert "<!" not in shown and "<@" not in shown and "<http" not in shown and "<#" not in shown
    assert all("\n" not in line for line in lines)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_swap_question_holds_its_buttons_and_no_text_of_others_as_markup(text: str) -> None:
    message = notices.notice(oncall_notices.swap("swap:1:asked", f"{text} asks you", text, 3))
    check_message(list(message.blocks))
    found = buttons(message)
    assert {name: one["value"] for name, one in found.items()} == {oncall.ACCEPT: "3", oncall.DECLINE: "3"}
    assert "<!" not in "".join(mrkdwn_of(list(message.blocks)))


def test_what_came_of_a_swap_has_no_buttons() -> None:
    assert (
        buttons(Message("", notices.notice(oncall_notices.swap("swap:1:accepted", "Swap 1 accepted", "…")).blocks))
        == {}
    )


def test_nobody_on_call_is_marked_and_comes_first_and_meant_gaps_do_not() -> None:
    there, empty, meant = Standing("a", ("ada",), ("Ada",)), Standing("b"), Standing("c", gaps_are_meant=True)
    assert oncall.standings([there, empty, meant], "UTC", NOW) == [
        "🔴 *b*: NOBODY is on call",
        "☎️ *a*: Ada",
        "⚪ *c*: NOBODY is on call (meant to be so)",
        "To fill it: `/oncall override b PERSON now for 4h`",
    ]


def test_a_preview_counts_what_is_wrong() -> None:
    turns = (
        Turn("shop", ("Ada",), NOW, NOW + DAY, "week"),
        Turn("shop", (), NOW + DAY, NOW + 2 * DAY, kind="gap"),
        Turn("shop", ("Ada", "Bob"), NOW, NOW + DAY, "Ada and Bob at once", "overlap"),
    )
    assert oncall.preview(Preview("shop", NOW, NOW + 2 * DAY, turns), "Europe/Berlin", NOW) == [
        "*shop*, Sun 01 Mar 04:00 to Tue 03 Mar 04:00 CET (Europe/Berlin)",
        "• now until tomorrow 04:00 CET: Ada (week)",
        "🔴 Mon 02 Mar 04:00 to Tue 03 Mar 04:00 CET: NOBODY, 24 h",
        "🟠 Ada and Bob at once",
        "1 gap, 1 overlap",
    ]
    empty = oncall.preview(Preview("shop", NOW, NOW + DAY, ()), "UTC", NOW)
    assert empty[1] == "Nobody is on call in all that time."


@pytest.mark.parametrize("text", HOSTILE)
def test_the_form_is_what_slack_takes(text: str) -> None:
    people = Directory(people={f"p{number}": Person(key=f"p{number}", name=text or "x") for number in range(150)})
    view = oncall.override_form("shop" * 20, people, "Europe/Berlin", {"schedule": "shop"})
    check_view(view)
    assert json.loads(view["private_metadata"]) == {"schedule": "shop", "zone": "Europe/Berlin"}


# ------------------------------------------------------------------------------------------------ user groups, profiles


async def test_a_user_group_is_made_equal_and_left_alone_when_it_is() -> None:
    async with listening(WorkspaceSettings(rate_limits=False)) as site:
        gateway = SlackGateway("xoxb-practice", base_url=f"{site.url}/api/", pace=1000)
        try:
            groups = SlackUserGroups(gateway)
            assert await groups.set_members("S0ONCALL", ["U0BOB", "U0CHEN", "U0BOB"])
            assert site.workspace.state.usergroups[0]["users"] == ["U0BOB", "U0CHEN"]
            assert not await groups.set_members("S0ONCALL", ["U0CHEN", "U0BOB"])
            assert not await groups.set_members("S0ONCALL", [])
            updates = [one for one in site.workspace.api.calls if one["method"] == "usergroups.users.update"]
            assert len(updates) == 1
            with pytest.raises(GaveUp, match="Slack knows no user group S0GONE: look at `slack_group`"):
                await groups.set_members("S0GONE", ["U0BOB"])
            with pytest.raises(GaveUp, match="does not know one of those on call"):
                await groups.set_members("S0ONCALL", ["U0GONE"])
            site.workspace.api.scopes.remove("usergroups:write")
            with pytest.raises(GaveUp, match="lacks the scope usergroups:write: add it under OAuth"):
                await groups.set_members("S0ONCALL", ["U0ADA"])
            site.workspace.faults.add("down", "usergroups.users.list", count=1)
            with pytest.raises(TryLater):
                await groups.set_members("S0ONCALL", ["U0ADA"])
        finally:
            await gateway.close()


async def test_a_profile_is_read_as_slack_has_it() -> None:
    async with listening(WorkspaceSettings(rate_limits=False)) as site:
        gateway = SlackGateway("xoxb-practice", base_url=f"{site.url}/api/", pace=1000)
        try:
            site.workspace.state.users["U0ADA"].phone = "+49 151 1"
            profiles = SlackProfiles(gateway)
            assert await profiles.of("U0ADA") == Profile("ada@practice.example", "+49 151 1", "Europe/Berlin")
            site.workspace.state.users["U0ADA"].tz = "Moon/Base"
            assert (await profiles.of("U0ADA")).zone == ""
            with pytest.raises(GaveUp, match="cannot be read: Slack does not know this user"):
                await profiles.of("U0GONE")
        finally:
            await gateway.close()
