"""Trouble on demand, as slack_sdk sees it."""

from __future__ import annotations

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError

from tests.practice.workspace_site import Site


async def texts(site: Site) -> list[str]:
    """What stands in #incidents."""
    return [message["text"] for message in (await site.channel("incidents"))["messages"]]


async def test_a_lost_answer_leaves_the_message_posted(site: Site) -> None:
    site.workspace.faults.add("lost", "chat.postMessage", count=1)
    with pytest.raises(aiohttp.ClientError):
        await site.client().chat_postMessage(channel="incidents", text="once")
    assert await texts(site) == ["once"]
    await site.client().chat_postMessage(channel="incidents", text="twice")
    assert await texts(site) == ["once", "twice"]


@pytest.mark.parametrize("kind", ["down", "timeout"])
async def test_a_dropped_call_leaves_nothing(site: Site, kind: str) -> None:
    site.workspace.faults.add(kind, "chat.*", count=1, seconds=0.05)
    with pytest.raises(aiohttp.ClientError):
        await site.client().chat_postMessage(channel="incidents", text="never")
    assert await texts(site) == []


async def test_a_429_says_how_long_to_wait(site: Site) -> None:
    await site.control("faults", kind="429", method="chat.postMessage", seconds=30, count=1)
    with pytest.raises(SlackApiError) as refused:
        await site.client().chat_postMessage(channel="incidents", text="later")
    assert refused.value.response["error"] == "ratelimited"
    assert refused.value.response.headers["Retry-After"] == "30"


async def test_a_named_error_lasts_until_it_is_cleared(site: Site) -> None:
    fault = (await site.control("faults", kind="error", method="pins.*", error="not_pinnable"))["fault"]
    for _ in range(2):
        with pytest.raises(SlackApiError) as refused:
            await site.client().pins_list(channel="incidents")
        assert refused.value.response["error"] == "not_pinnable"
    cleared = await site.control("faults", clear=fault["id"])
    assert cleared["faults"] == []


async def test_an_outage_answers_with_its_status(site: Site) -> None:
    site.workspace.faults.add("500", "*", status=503)
    with pytest.raises(SlackApiError) as refused:
        await site.client().auth_test()
    assert refused.value.response.status_code == 503


async def test_a_fault_strikes_as_often_as_its_probability_says_and_the_same_in_every_run(site: Site) -> None:
    site.workspace.faults.add("error", "api.test", probability=0.5)
    results = []
    for _ in range(20):
        try:
            await site.client().api_test()
            results.append(True)
        except SlackApiError:
            results.append(False)
    assert 0 < results.count(False) < 20


async def test_an_unknown_fault_is_refused_with_the_list_of_those_there_are(site: Site) -> None:
    answer = await site.control("faults", kind="earthquake")
    assert answer["status"] == 400
    assert "create_twins" in answer["message"]
