"""Events, commands, clicks and modals, delivered to a real Bolt app over Socket Mode and over signed HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.practice.workspace_site import ADA, BOB, Site, bolt, button, connected, posted, until

MODAL = {
    "type": "modal",
    "callback_id": "open",
    "private_metadata": "from command",
    "title": {"type": "plain_text", "text": "New incident"},
    "submit": {"type": "plain_text", "text": "Open"},
    "blocks": [
        {
            "type": "input",
            "block_id": "title",
            "label": {"type": "plain_text", "text": "What is wrong?"},
            "element": {"type": "plain_text_input", "action_id": "text"},
        },
        {
            "type": "input",
            "block_id": "severity",
            "label": {"type": "plain_text", "text": "Severity"},
            "element": {
                "type": "static_select",
                "action_id": "choice",
                "options": [{"text": {"type": "plain_text", "text": name}, "value": name} for name in ("SEV1", "SEV2")],
            },
        },
    ],
}


class Program:
    """A small Bolt app: a command that opens a modal, a button, and an ear for everything said."""

    def __init__(self, site: Site) -> None:
        self.app: AsyncApp = bolt(site)
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.app.event("message")(self.on_event)
        self.app.event("reaction_added")(self.on_event)
        self.app.action("approve")(self.on_approve)
        self.app.command("/incident")(self.on_command)
        self.app.view("open")(self.on_submit)

    async def on_event(self, body: dict[str, Any]) -> None:
        await self.heard.put(body)

    async def on_approve(self, ack: Any, body: dict[str, Any], respond: Any) -> None:
        await ack()
        await self.heard.put(body)
        await respond(text=f"Approved by <@{body['user']['id']}>", replace_original=True)

    async def on_command(self, ack: Any, body: dict[str, Any], client: Any) -> None:
        if body["text"] == "open":
            await client.views_open(trigger_id=body["trigger_id"], view=MODAL)
            await ack()
        elif body["text"] != "nothing":
            await ack(text=f"You said {body['text']}")

    async def on_submit(self, ack: Any, body: dict[str, Any]) -> None:
        values = body["view"]["state"]["values"]
        if values["title"]["text"]["value"] == "bad":
            await ack(response_action="errors", errors={"title": "Say more"})
            return
        await ack()
        await self.heard.put(body)


@pytest.fixture(params=["socket", "http"])
async def running(request: pytest.FixtureRequest, site: Site) -> AsyncIterator[Program]:
    """The program, reached each of the two ways."""
    program = Program(site)
    async with reached(request.param, site, program):
        yield program


@asynccontextmanager
async def reached(way: str, site: Site, program: Program) -> AsyncIterator[None]:
    """Connect the program to the workspace."""
    if way == "http":
        async with posted(site, program.app):
            yield
    else:
        async with connected(site, program.app):
            yield


async def card(site: Site) -> tuple[str, str]:
    """A channel and a message with an Approve button."""
    slack = site.client()
    channel = (await slack.conversations_create(name="inc-1"))["channel"]["id"]
    return channel, (await slack.chat_postMessage(channel=channel, text="Roll back?", blocks=[button()]))["ts"]


async def test_what_people_say_reaches_the_app(site: Site, running: Program) -> None:
    said = await site.control("say", user=ADA, channel=incidents(site), text="It is slow again")
    body = await running.heard.get()
    assert (body["event"]["text"], body["event"]["ts"], body["event"]["user"]) == ("It is slow again", said["ts"], ADA)


async def test_a_reaction_reaches_the_app_with_the_message_it_is_on(site: Site, running: Program) -> None:
    channel, ts = await card(site)
    await site.control("react", user=ADA, channel=channel, ts=ts, name="eyes")
    event = (await running.heard.get())["event"]
    assert (event["reaction"], event["item"]["ts"], event["item"]["channel"]) == ("eyes", ts, channel)


async def test_a_click_reaches_the_app_and_its_answer_replaces_the_message(site: Site, running: Program) -> None:
    channel, ts = await card(site)
    clicked = await site.control("click", user=ADA, channel=channel, ts=ts, action_id="approve")
    assert clicked["ok"]
    body = await running.heard.get()
    assert body["actions"][0]["value"] == "run-1"
    assert body["message"]["ts"] == ts
    await until(lambda: not site.workspace.state.channels[channel].messages[ts].blocks)
    shown = [item for item in (await site.channel(channel))["messages"] if item["ts"] == ts]
    assert shown[0]["text"] == f"Approved by <@{ADA}>"
    again = await site.control("click", user=BOB, channel=channel, ts=ts, action_id="approve")
    assert (again["status"], again["error"]) == (409, "no_such_button")


async def test_a_command_answers_only_the_one_who_gave_it(site: Site, running: Program) -> None:
    channel = incidents(site)
    answer = await site.control("command", user=ADA, channel=channel, command="/incident", text="hello")
    assert answer["response"]["text"] == "You said hello"
    shown = (await site.channel(channel))["ephemerals"]
    assert [(item["text"], item["only_for"]) for item in shown] == [("You said hello", ADA)]


async def test_a_command_opens_a_modal_and_its_values_come_back(site: Site, running: Program) -> None:
    channel = incidents(site)
    opened = await site.control("command", user=ADA, channel=channel, command="/incident", text="open")
    view_id = opened["view_id"]
    empty = await site.control("submit", user=ADA, view_id=view_id, values={})
    assert empty["missing"] == ["title", "severity"]
    wrong = await site.control("submit", user=ADA, view_id=view_id, values={"title": "bad", "choice": "SEV1"})
    assert wrong["errors"] == {"title": "Say more"}
    done = await site.control("submit", user=ADA, view_id=view_id, values={"title": "Checkout", "choice": "SEV1"})
    assert done["ok"]
    view = (await running.heard.get())["view"]
    assert view["private_metadata"] == "from command"
    assert view["state"]["values"]["title"]["text"] == {"type": "plain_text_input", "value": "Checkout"}
    assert view["state"]["values"]["severity"]["choice"]["selected_option"]["value"] == "SEV1"
    assert (await site.control("submit", user=ADA, view_id=view_id, values={}))["error"] == "no_such_view"


async def test_a_command_that_nobody_answers_fails_as_slack_says_it(site: Site, running: Program) -> None:
    site.workspace.delivery.settings.ack_seconds = 0.2
    channel = incidents(site)
    failed = await site.control("command", user=ADA, channel=channel, command="/incident", text="nothing")
    assert failed["error"] == "operation_timeout"
    shown = (await site.channel(channel))["ephemerals"]
    assert shown[-1]["text"] == '/incident failed with the error "operation_timeout"'


async def test_a_command_without_any_app_running_fails_at_once(site: Site) -> None:
    channel = incidents(site)
    failed = await site.control("command", user=ADA, channel=channel, command="/incident")
    assert failed["error"] == "dispatch_failed"


async def test_an_event_is_delivered_again_when_its_socket_dies_before_the_acknowledgement(site: Site) -> None:
    site.workspace.delivery.settings.retry_delays = (0.05, 0.05)
    taken, other = await socket(site), await socket(site)  # they take turns
    await site.control("say", user=ADA, channel=incidents(site), text="hello")
    lost = await taken.receive_json()
    assert lost["retry_attempt"] == 0
    await taken.close()
    again = await other.receive_json()
    assert (again["retry_attempt"], again["retry_reason"]) == (1, "connection_failed")
    assert again["payload"]["event_id"] == lost["payload"]["event_id"]
    await other.send_json({"envelope_id": again["envelope_id"]})


async def test_an_event_not_acknowledged_in_time_is_delivered_again(site: Site) -> None:
    site.workspace.delivery.settings.ack_seconds = 0.1
    site.workspace.delivery.settings.retry_delays = (0.01,)
    only = await socket(site)
    await site.control("say", user=ADA, channel=incidents(site), text="hello")
    await only.receive_json()
    again = await only.receive_json()
    assert (again["retry_attempt"], again["retry_reason"]) == (1, "timeout")


async def test_a_disconnect_tells_the_app_to_come_back_and_it_does(site: Site) -> None:
    program = Program(site)
    async with connected(site, program.app):
        await site.control("disconnect", reason="refresh_requested", grace=0)
        await until(lambda: [one for one in site.workspace.sockets.connections if not one.leaving])
        await site.control("say", user=ADA, channel=incidents(site), text="still there?")
        assert (await program.heard.get())["event"]["text"] == "still there?"


async def test_a_wrongly_signed_delivery_is_refused_and_sent_again(site: Site) -> None:
    program = Program(site)
    async with posted(site, program.app):
        settings = site.workspace.delivery.settings
        settings.retry_delays = (0.01,)
        right, settings.signing_secret = settings.signing_secret, "wrong"
        await site.control("say", user=ADA, channel=incidents(site), text="hello")
        await until(lambda: site.workspace.delivery.log and site.workspace.delivery.log[0]["result"])
        settings.signing_secret = right
        await program.heard.get()
    assert site.workspace.delivery.log[0]["result"] == "http_error"


async def test_one_message_can_arrive_under_two_event_ids(site: Site, running: Program) -> None:
    await site.control("faults", kind="duplicate", method="event:message", count=1)
    await site.control("say", user=ADA, channel=incidents(site), text="hello")
    bodies = [await running.heard.get() for _ in range(2)]
    assert len({body["event_id"] for body in bodies}) == 2
    assert len({body["event"]["ts"] for body in bodies}) == 1


async def test_a_modal_opens_once_and_only_for_three_seconds(site: Site) -> None:
    slack = site.client()
    trigger = site.workspace.state.new_trigger(ADA)
    await slack.views_open(trigger_id=trigger, view=MODAL)
    assert await error_of_open(slack, trigger) == "exchanged_trigger_id"
    late = site.workspace.state.new_trigger(ADA)
    site.workspace.clock.advance(3.5)
    assert await error_of_open(slack, late) == "expired_trigger_id"


async def test_a_response_url_works_five_times_and_half_an_hour(site: Site) -> None:
    channel, ts = await card(site)
    url = site.workspace.responses.new(channel, ADA, ts)
    statuses = []
    for _ in range(6):
        async with site.http.post(url, json={"text": "private"}) as answer:
            statuses.append(answer.status)
    assert statuses == [200] * 5 + [404]
    other = site.workspace.responses.new(channel, ADA, ts)
    site.workspace.clock.advance(1801)
    async with site.http.post(other, json={"text": "late"}) as answer:
        assert answer.status == 404


async def error_of_open(slack: AsyncWebClient, trigger: str) -> str:
    """The error of opening a modal."""
    with pytest.raises(SlackApiError) as refused:
        await slack.views_open(trigger_id=trigger, view=MODAL)
    return str(refused.value.response["error"])


async def socket(site: Site) -> aiohttp.ClientWebSocketResponse:
    """A raw Socket Mode connection, after its hello."""
    url = (await site.client("xapp-practice").apps_connections_open(app_token="xapp-practice"))["url"]
    opened = await site.http.ws_connect(url)
    assert (await opened.receive_json())["type"] == "hello"
    return opened


def incidents(site: Site) -> str:
    """The id of #incidents."""
    return next(channel.id for channel in site.workspace.state.channels.values() if channel.name == "incidents")
