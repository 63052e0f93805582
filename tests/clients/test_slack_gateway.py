"""The gateway to Slack: paced, pages first, and every failure says whether to try again and whether to look first."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from slack_sdk.errors import SlackApiError

from bot.clients.slack import SlackError, SlackGateway
from bot.domain.effects import Priority
from bot.errors import GaveUp, TryLater


class Time:
    """A monotonic clock; who sleeps moves it, in the order of waking."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        until = self.now + seconds
        await asyncio.sleep(0)  # let everybody begin to wait
        self.now = max(self.now, until)
        await asyncio.sleep(0)


class Wire:
    """Slack's side: gives the answers set, in order, then `ok`."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[tuple[str, dict[str, Any]]] = []

    async def api_call(self, api_method: str, *, data: dict[str, Any]) -> Any:
        self.calls.append((api_method, data))
        answer = self.answers.pop(0) if self.answers else {"ok": True}
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(data=answer)


def said(error: str = "", status: int = 200, headers: dict[str, str] | None = None, **more: Any) -> SlackApiError:
    body = {"ok": False, "error": error, **more} if error else {}
    return SlackApiError("failed", SimpleNamespace(data=body, status_code=status, headers=headers or {}))


def gateway(wire: Wire, time: Time | None = None, **more: Any) -> SlackGateway:
    clock = time or Time()
    return SlackGateway("xoxb-secret", transport=wire, clock=clock, sleep=clock.sleep, **more)


async def test_arguments_go_out_as_a_form_with_nested_values_as_json() -> None:
    wire = Wire()
    await gateway(wire).call(
        "chat.postMessage", channel="C1", blocks=[{"a": 1}], unfurl_links=False, thread_ts=None, limit=3
    )
    method, data = wire.calls[0]
    assert method == "chat.postMessage"
    assert {**data, "blocks": json.loads(data["blocks"])} == {
        "channel": "C1",
        "blocks": [{"a": 1}],
        "unfurl_links": "false",
        "limit": "3",
    }


@pytest.mark.parametrize(
    ("answer", "delay", "uncertain"),
    [
        (said("ratelimited", 429, {"Retry-After": "17"}), 17.0, False),
        (said("ratelimited", 429), 30.0, False),
        (said("", 500), None, True),
        (said("", 503, {"Retry-After": "5"}), 5.0, True),
        (said("internal_error"), None, True),
        (said("fatal_error"), None, True),
        (said("service_unavailable"), None, True),
        (said("request_timeout"), None, True),
        (said("team_added_to_org"), 60.0, False),
        (said("", 200), None, True),
        (said("", 404), None, False),
        (said("invalid_auth"), 60.0, False),
        (said("token_revoked"), 60.0, False),
        (said("account_inactive"), 60.0, False),
        (TimeoutError(), None, True),
        (aiohttp.ServerDisconnectedError(), None, True),
        (ConnectionResetError(), None, True),
        (aiohttp.ConnectionTimeoutError(), None, False),
        (
            aiohttp.ClientConnectorError(ConnectionKey("h", 1, False, True, None, None, None), OSError("refused")),
            None,
            False,
        ),
        (AttributeError("'str' object has no attribute 'get'"), None, True),
        ("<html>captive portal</html>", None, True),
    ],
)  # fmt: skip
async def test_a_failure_that_passes_says_when_to_come_again_and_whether_to_look_first(
    answer: Any, delay: float | None, uncertain: bool
) -> None:
    with pytest.raises(TryLater) as caught:
        await gateway(Wire(answer)).call("chat.postMessage", channel="C1")
    assert (caught.value.delay, caught.value.uncertain) == (delay, uncertain)
    assert "xoxb-secret" not in str(caught.value)


async def test_an_error_that_stays_carries_slacks_word_for_it() -> None:
    with pytest.raises(SlackError) as caught:
        await gateway(Wire(said("name_taken", detail="x"))).call("conversations.create", name="a")
    assert isinstance(caught.value, GaveUp)
    assert caught.value.error == "name_taken"
    assert caught.value.answer["detail"] == "x"


@pytest.mark.parametrize("error", ["missing_scope", "unknown_method", "not_allowed_token_type", "restricted_action"])
async def test_a_method_that_the_workspace_refuses_is_shown_as_degraded_until_it_works_again(error: str) -> None:
    wire = Wire(said(error, needed="pins:write"), said(error, needed="pins:write"))
    slack = gateway(wire)
    for _ in range(2):
        with pytest.raises(GaveUp):
            await slack.call("pins.add", channel="C1")
    assert slack.degraded == {"pins.add": f"Slack refused pins.add: {error} (it needs the scope pins:write)"}
    await slack.call("pins.add", channel="C1")
    assert slack.degraded == {}


async def test_after_a_429_the_method_is_closed_without_asking_slack_again() -> None:
    time, wire = Time(), Wire(said("ratelimited", 429, {"Retry-After": "9"}))
    slack = gateway(wire, time)
    for expected in (9.0, 9.0):
        with pytest.raises(TryLater) as caught:
            await slack.call("conversations.create", name="a")
        assert caught.value.delay == expected
    assert len(wire.calls) == 1
    time.now += 9
    await slack.call("conversations.create", name="a")
    assert len(wire.calls) == 2


async def test_a_429_in_one_channel_does_not_close_the_others() -> None:
    slack = gateway(Wire(said("ratelimited", 429, {"Retry-After": "9"})))
    with pytest.raises(TryLater):
        await slack.call("chat.postMessage", channel="C1")
    await slack.call("chat.postMessage", channel="D1", priority=Priority.PAGE)


async def test_a_burst_in_a_channel_waits_a_second_and_then_comes_back_later() -> None:
    time, wire = Time(), Wire()
    slack = gateway(wire, time)
    for _ in range(5):
        await slack.call("chat.postMessage", channel="C1")
    assert time.slept == [pytest.approx(1.0)]
    waiting = [slack.call("chat.postMessage", channel="C1") for _ in range(3)]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    late = [result for result in results if isinstance(result, TryLater)]
    assert [later.delay for later in late] == [pytest.approx(2.0), pytest.approx(3.0)], "one after the other"
    assert not any(later.uncertain for later in late)


async def test_a_page_overtakes_what_waits_for_the_same_bucket() -> None:
    time, wire = Time(), Wire()
    slack = gateway(wire, time)
    for _ in range(4):
        await slack.call("chat.postMessage", channel="C1")
    results = await asyncio.gather(
        slack.call("chat.postMessage", channel="C1", priority=Priority.COSMETICS, text="cosmetics"),
        slack.call("chat.postMessage", channel="C1", priority=Priority.PAGE, text="page"),
        return_exceptions=True,
    )
    assert [data["text"] for _, data in wire.calls[4:]] == ["page"]
    assert isinstance(results[0], TryLater)


async def test_cosmetics_cannot_use_up_what_is_kept_for_pages() -> None:
    wire = Wire()
    slack = gateway(wire)

    async def used_up(priority: int) -> int:
        before = len(wire.calls)
        try:
            while True:
                await slack.call("conversations.open", priority=priority, users="U1")
        except TryLater:
            return len(wire.calls) - before

    assert await used_up(Priority.CARD) == 45
    assert await used_up(Priority.PAGE) == 5


async def test_a_tier_is_a_minutes_worth_and_comes_back_over_the_minute() -> None:
    time, wire = Time(), Wire()
    slack = gateway(wire, time)
    for _ in range(20):
        await slack.call("conversations.create", name="a", priority=Priority.PAGE)
    with pytest.raises(TryLater) as caught:
        await slack.call("conversations.create", name="a", priority=Priority.PAGE)
    assert len(wire.calls) == 20
    assert caught.value.delay == pytest.approx(3.0)
    time.now += 60
    for _ in range(20):
        await slack.call("conversations.create", name="a", priority=Priority.PAGE)


async def test_pace_multiplies_the_limits() -> None:
    wire = Wire()
    slack = gateway(wire, pace=100.0)
    for _ in range(300):
        await slack.call("chat.postMessage", channel="C1")
    assert len(wire.calls) == 300


async def test_forgotten_channels_do_not_fill_the_memory() -> None:
    time, wire = Time(), Wire()
    slack = gateway(wire, time, pace=1000.0)
    for number in range(1500):
        await slack.call("chat.postMessage", channel=f"C{number}")
        time.now += 1
    assert len(slack._pace._buckets) < 600


async def test_every_call_is_counted_with_its_outcome_and_its_seconds() -> None:
    seen: list[tuple[str, str, float]] = []
    observe: Callable[[str, str, float], None] = lambda *call: seen.append(call)  # noqa: E731
    slack = gateway(
        Wire({"ok": True}, said("name_taken"), said("", 500), TimeoutError(), said("ratelimited", 429)), observe=observe
    )
    await slack.call("auth.test")
    for error in (SlackError, TryLater, TryLater, TryLater):
        with pytest.raises(error):
            await slack.call("conversations.create", name="a")
    outcomes = [(method, outcome) for method, outcome, _ in seen]
    assert outcomes == [
        ("auth.test", "ok"),
        ("conversations.create", "name_taken"),
        ("conversations.create", "uncertain"),
        ("conversations.create", "uncertain"),
        ("conversations.create", "later"),
    ]


async def test_pages_are_followed_by_cursor_to_the_end() -> None:
    wire = Wire(
        {"ok": True, "channels": [1, 2], "response_metadata": {"next_cursor": "abc"}},
        {"ok": True, "channels": [3], "response_metadata": {"next_cursor": ""}},
    )
    assert [item async for item in gateway(wire).pages("conversations.list", "channels")] == [1, 2, 3]
    assert wire.calls[1][1]["cursor"] == "abc"


async def test_pages_that_never_end_are_bounded() -> None:
    endless = [{"ok": True, "channels": [1], "response_metadata": {"next_cursor": "more"}}] * 100
    found = [item async for item in gateway(Wire(*endless)).pages("conversations.list", "channels")]
    assert len(found) == 18


async def test_who_we_are_is_asked_once() -> None:
    wire = Wire({"ok": True, "user_id": "U0", "bot_id": "B0", "team": "Shop"})
    slack = gateway(wire)
    assert (await slack.identity()).user_id == "U0"
    assert (await slack.identity()).team == "Shop"
    assert len(wire.calls) == 1


async def test_what_the_token_may_do_is_read_from_the_header() -> None:
    class Heading(Wire):
        async def api_call(self, api_method: str, *, data: dict[str, Any]) -> Any:
            answer = {"ok": True, "user_id": "U0", "user": "tocsin"}
            return SimpleNamespace(data=answer, headers={"X-OAuth-Scopes": "chat:write, pins:write"})

    who = await gateway(Heading()).identity()
    assert (who.name, who.scopes) == ("tocsin", ("chat:write", "pins:write"))


async def test_a_page_is_never_larger_than_slack_takes() -> None:
    wire = Wire()
    assert [item async for item in gateway(wire).pages("conversations.list", "channels", limit=1000)] == []
    assert wire.calls[0][1]["limit"] == "999"
