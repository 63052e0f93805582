"""Clicks, commands, mentions and modals of people in a practice workspace reach the flow once, over Socket Mode and over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bot.domain.alert import AlertState
from bot.errors import BadInput, TryLater
from bot.room import blocks as kit
from bot.room import messages
from bot.room.runs import run_message
from tests.entry.slack_fakes import Desk, slack
from tests.practice.workspace_site import until
from tests.room.samples import DIRECTORY, NOW, alert, incident, waiting_run


@pytest.fixture(params=["socket", "http"])
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    async with slack(request.param) as running:
        yield running


async def card(desk: Desk) -> str:
    shown = messages.card(incident(channel_id=desk.channel), [AlertState(alert(), NOW, NOW)], [], DIRECTORY)
    return await desk.post(shown.blocks)


# ------------------------------------------------------------------------------------------------ clicks


@pytest.mark.parametrize(
    ("action", "call"),
    [
        (kit.ACK, ("acknowledge", 7, "ada")),
        (kit.RESOLVE, ("resolve", 7, "ada", "")),
        (kit.ESCALATE, ("escalate", 7, "ada")),
    ],
)
async def test_a_click_on_the_card_is_one_call_and_an_answer_to_the_person(
    desk: Desk, action: str, call: tuple[Any, ...]
) -> None:
    ts = await card(desk)
    assert (await desk.click(ts, action))["ok"]
    await until(lambda: desk.told())
    assert desk.flows.calls == [call]
    assert desk.told() == [f"{call[0]}: done &lt;b&gt;"]


async def test_somebody_whom_the_configuration_does_not_know_acts_under_their_slack_name(desk: Desk) -> None:
    ts = await card(desk)
    await desk.click(ts, kit.ACK, user="U0PRIYA")
    await until(lambda: desk.flows.calls)
    assert desk.flows.calls == [("acknowledge", 7, "slack:U0PRIYA")]


async def test_one_click_that_slack_delivers_twice_counts_once(desk: Desk) -> None:
    ts = await card(desk)
    desk.site.workspace.faults.add("duplicate", "interactive", count=1)
    await desk.click(ts, kit.ESCALATE)
    await until(lambda: len(desk.told()) == 2)
    assert desk.flows.calls == [("escalate", 7, "ada")]
    assert "This was taken already; nothing is done twice." in desk.told()


async def test_a_refused_click_says_why_to_the_person_alone(desk: Desk) -> None:
    ts = await desk.post(run_message(waiting_run()).blocks)
    desk.flows.raises = BadInput("The plan of RUN-3 has changed since that message <x>.")
    assert (await desk.click(ts, kit.APPROVE))["ok"]
    await until(lambda: desk.told())
    assert desk.told() == ["The plan of RUN-3 has changed since that message &lt;x&gt;."]
    assert desk.told("U0BOB") == []


async def test_acknowledging_from_the_page_takes_its_button_away(desk: Desk) -> None:
    direct = desk.site.workspace.state.direct("U0ADA").id
    ts = await desk.post(messages.page(incident(), "person:ada", 1).blocks, direct)
    await desk.click(ts, kit.PAGE_ACK, channel=direct)
    page = desk.site.workspace.state.channels[direct].messages[ts]
    await until(lambda: not any(block["type"] == "actions" for block in page.blocks))
    assert desk.flows.calls == [("acknowledge", 7, "ada")]
    assert "Acknowledged by Ada" in str(page.blocks[-1])


async def test_a_page_of_a_private_incident_is_taken_by_people_of_the_configuration_alone(desk: Desk) -> None:
    desk.flows.open_incidents = [incident(private=True, channel_id="C0PRIVATE")]
    ts = await desk.post(messages.page(incident(private=True), "channel:ops", 1).blocks)
    await desk.click(ts, kit.PAGE_ACK, user="U0PRIYA")
    await until(lambda: desk.told("U0PRIYA"))
    assert desk.flows.calls == []
    assert "INC-7 is private, and you are not paged for it" in desk.told("U0PRIYA")[0]
    await desk.click(ts, kit.PAGE_ACK)
    await until(lambda: desk.flows.calls)
    assert desk.flows.calls == [("acknowledge", 7, "ada")]


async def test_a_page_whose_acknowledgement_failed_keeps_its_button(desk: Desk) -> None:
    direct = desk.site.workspace.state.direct("U0ADA").id
    ts = await desk.post(messages.page(incident(), "person:ada", 1).blocks, direct)
    desk.flows.raises = TryLater("the database does not answer")
    await desk.click(ts, kit.PAGE_ACK, channel=direct)
    await until(lambda: desk.told(channel=direct))
    assert desk.told(channel=direct) == [
        "Nothing was done: the database does not answer. Please try again in a moment."
    ]
    assert any(block["type"] == "actions" for block in desk.site.workspace.state.channels[direct].messages[ts].blocks)
    desk.site.workspace.clock.advance(1)
    await desk.click(ts, kit.PAGE_ACK, channel=direct)
    await until(lambda: desk.flows.calls)


@pytest.mark.parametrize("value", ["", "x", "-1", "٣", "7; drop", "9" * 40])
async def test_a_button_that_says_nothing_sensible_does_nothing(desk: Desk, value: str) -> None:
    ts = await desk.post([kit.actions(kit.button("Ack", kit.ACK, value), kit.button("Ok", kit.APPROVE, value))])
    await desk.click(ts, kit.ACK)
    await desk.click(ts, kit.APPROVE)
    await until(lambda: len(desk.told()) == 2)
    assert desk.flows.calls == []


async def test_a_button_of_an_older_version_explains_itself(desk: Desk) -> None:
    ts = await desk.post([kit.actions(kit.button("Old", "tocsin_of_long_ago", "7"))])
    assert (await desk.click(ts, "tocsin_of_long_ago"))["ok"]
    await until(lambda: desk.told())
    assert "older version" in desk.told()[0]


async def test_an_error_inside_is_said_without_a_trace(desk: Desk) -> None:
    ts = await card(desk)
    desk.flows.raises = RuntimeError("secret internals")
    assert (await desk.click(ts, kit.ACK))["ok"]
    await until(lambda: desk.told())
    assert desk.told()[0].startswith("Something went wrong inside Tocsin")


async def test_an_answer_that_cannot_go_by_its_url_goes_by_the_channel(desk: Desk) -> None:
    ts = await card(desk)
    desk.site.workspace.faults.add("down", "response_url", count=1)
    await desk.click(ts, kit.ACK)
    await until(lambda: desk.told())
    assert desk.told() == ["acknowledge: done &lt;b&gt;"]


# ------------------------------------------------------------------------------------------------ commands


async def test_a_command_is_answered_with_the_acknowledgement(desk: Desk) -> None:
    answer = await desk.command("ack")
    assert answer["ok"]
    assert desk.told() == ["acknowledge: done &lt;b&gt;"]
    assert desk.flows.calls == [("acknowledge", 7, "ada")]


async def test_a_command_that_slack_delivers_twice_opens_one_incident(desk: Desk) -> None:
    desk.site.workspace.faults.add("duplicate", "command", count=1)
    await desk.command("open critical checkout is down")
    await until(
        lambda: (
            len(desk.site.workspace.delivery.log) == 2
            and all(one["result"] for one in desk.site.workspace.delivery.log)
        )
    )
    assert desk.flows.calls == [("declare", "checkout is down", "critical", "ada", "")]


async def test_what_people_type_is_not_html(desk: Desk) -> None:
    await desk.command("note a &lt; b &amp;&amp; c")
    assert desk.flows.calls == [("note", 7, "a < b && c", "ada")]


async def test_a_wrong_command_is_explained(desk: Desk) -> None:
    await desk.command("resolv")
    assert desk.told() == [
        'There is no `/incident resolv`; did you mean "resolve"? `/incident help` lists what there is.'
    ]


async def test_a_database_that_does_not_answer_is_said_honestly(desk: Desk) -> None:
    desk.flows.raises = TryLater("the database does not answer")
    assert (await desk.command("open it is down"))["ok"]
    assert desk.told() == ["Nothing was done: the database does not answer. Please try again in a moment."]


async def test_a_mention_is_a_command_too(desk: Desk) -> None:
    desk.site.workspace.faults.add("duplicate", "event:app_mention", count=1)
    desk.site.workspace.acts.say("U0PRIYA", desk.channel, "<@U0TOCSIN> ack")
    await until(lambda: len(desk.told("U0PRIYA")) == 2)
    assert desk.flows.calls == [("acknowledge", 7, "slack:U0PRIYA")]
    assert "acknowledge: done &lt;b&gt;" in desk.told("U0PRIYA")


# ------------------------------------------------------------------------------------------------ modals


async def test_open_without_words_is_a_form_that_opens_an_incident(desk: Desk) -> None:
    await desk.command("open")
    await until(lambda: desk.site.workspace.state.top_view("U0ADA"))
    assert (await desk.submit({"title": "checkout is down", "severity": "critical", "service": "checkout"}))["ok"]
    await until(lambda: desk.told())
    assert desk.flows.calls == [("declare", "checkout is down", "critical", "ada", "checkout")]
    assert desk.told()[0].startswith("🔴 INC-7 is open: *checkout is down*.")
    assert desk.site.workspace.state.top_view("U0ADA") is None


async def test_what_is_wrong_in_a_form_is_said_in_it_and_can_be_put_right(desk: Desk) -> None:
    await desk.command("open")
    await until(lambda: desk.site.workspace.state.top_view("U0ADA"))
    for error in (BadInput("An incident needs a title."), TryLater("the database does not answer")):
        desk.flows.raises = error
        answer = await desk.submit({"title": "x"})
        assert answer["error"] == "view_errors"
        assert str(error) in answer["errors"]["title"]
    assert (await desk.submit({"title": "x"}))["ok"]
    assert desk.flows.calls == [("declare", "x", "", "ada", "")]


async def test_a_note_without_words_is_a_form(desk: Desk) -> None:
    await desk.command("note")
    await until(lambda: desk.site.workspace.state.top_view("U0ADA"))
    assert (await desk.submit({"note": "the database was restarted"}))["ok"]
    assert desk.flows.calls == [("note", 7, "the database was restarted", "ada")]


async def test_runbooks_are_picked_then_filled_in_then_planned(desk: Desk) -> None:
    await desk.click(await card(desk), kit.RUNBOOKS)
    await until(lambda: desk.site.workspace.state.top_view("U0ADA"))
    view = desk.site.workspace.state.top_view("U0ADA")
    assert view is not None
    await desk.site.workspace.acts.click_in_view("U0ADA", view.id, kit.CHOOSE_RUNBOOK, value="scale-out")
    await until(lambda: "param:replicas" in str(desk.view()))
    assert (await desk.submit({"runbook": "scale-out", "param:replicas": "8"}))["ok"]
    await until(lambda: desk.told())
    assert desk.flows.calls == [("start", 7, "scale-out", {"name": "checkout", "replicas": "8"}, "ada")]
    assert desk.told()[0].startswith("RUN-3 is looking and planning.")


async def test_a_form_sent_before_its_parameters_were_shown_shows_them(desk: Desk) -> None:
    await desk.command("runbook")
    await until(lambda: desk.site.workspace.state.top_view("U0ADA"))
    assert (await desk.submit({"runbook": "scale-out"}))["ok"]
    assert "param:replicas" in str(desk.view())
    assert desk.flows.calls == []
    assert (await desk.submit({"runbook": "scale-out"}))["ok"]
    assert desk.flows.calls == [("start", 7, "scale-out", {"name": "checkout", "replicas": "6"}, "ada")]


async def test_a_runbook_without_parameters_starts_at_once(desk: Desk) -> None:
    await desk.command("runbook INC-7")
    await until(lambda: desk.site.workspace.state.top_view("U0ADA"))
    assert (await desk.submit({"runbook": "restart"}))["ok"]
    assert desk.flows.calls == [("start", 7, "restart", {}, "ada")]


# ------------------------------------------------------------------------------------------------ late, refused, reconnected


@pytest.mark.parametrize("mode", ["socket", "http"])
async def test_slow_work_is_acknowledged_in_time_and_answered_afterwards(mode: str) -> None:
    async with slack(mode, patience=0.01) as desk:
        desk.flows.gate = asyncio.Event()
        ts = await card(desk)
        assert (await desk.command("ack"))["ok"]
        assert (await desk.click(ts, kit.RESOLVE))["ok"]
        assert desk.told() == []
        desk.flows.gate.set()
        await until(lambda: len(desk.told()) == 2)
        assert sorted(call[0] for call in desk.flows.calls) == ["acknowledge", "resolve"]


async def test_a_request_without_a_valid_signature_is_refused() -> None:
    async with slack("http") as desk:
        url = desk.site.workspace.delivery.settings.request_url
        desk.site.workspace.delivery.settings.signing_secret = "wrong"
        assert not (await desk.command("ack"))["ok"]
        async with aiohttp.ClientSession() as session, session.post(url, data="command=/incident&text=ack") as answer:
            assert answer.status == 401
        for body, kind in ((b"\xff\xfe\xfd", "text/plain"), (b"a", "text/plain; charset=nonsense")):
            async with aiohttp.ClientSession() as session:
                answer = await session.post(url, data=body, headers={"Content-Type": kind})
                assert answer.status == 400
        assert desk.flows.calls == []


async def test_a_socket_that_slack_is_going_to_close_is_replaced_before() -> None:
    async with slack("socket") as desk, asyncio.TaskGroup() as group:
        sockets = desk.site.workspace.sockets
        (first,) = sockets.connections
        closing = group.create_task(sockets.disconnect("refresh_requested", 600.0))
        await until(lambda: sockets.connections and first not in sockets.connections)
        assert (await desk.command("ack"))["ok"]
        assert desk.flows.calls == [("acknowledge", 7, "ada")]
        closing.cancel()
