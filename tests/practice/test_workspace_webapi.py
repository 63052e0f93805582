"""The practice Web API through slack_sdk: what it does and how it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from tests.practice.workspace_site import ADA, BOB, Site, button


async def error_of(call: Any) -> str:
    """The Slack error of a call that must fail."""
    with pytest.raises(SlackApiError) as caught:
        await call
    return str(caught.value.response["error"])


async def test_a_message_is_posted_updated_and_found_by_its_metadata(site: Site) -> None:
    slack = site.client()
    channel = (await slack.conversations_create(name="inc-1"))["channel"]["id"]
    metadata = {"event_type": "tocsin_card", "event_payload": {"key": "card:1"}}
    ts = (await slack.chat_postMessage(channel=channel, text="Checkout is failing", metadata=metadata))["ts"]
    await slack.chat_update(channel=channel, ts=ts, text="Checkout recovered")
    found = await slack.conversations_history(channel=channel, include_all_metadata=True)
    mine = [item for item in found["messages"] if item.get("metadata", {}).get("event_payload") == {"key": "card:1"}]
    assert [item["text"] for item in mine] == ["Checkout recovered"]
    plain = await slack.conversations_history(channel=channel)
    assert all("metadata" not in item for item in plain["messages"])


async def test_timestamps_in_a_channel_always_grow(site: Site) -> None:
    slack = site.client()
    channel = (await slack.conversations_create(name="inc-1"))["channel"]["id"]
    stamps = [(await slack.chat_postMessage(channel=channel, text=str(number)))["ts"] for number in range(5)]
    assert stamps == sorted(set(stamps))


async def test_a_channel_name_is_taken_even_by_an_archived_channel(site: Site) -> None:
    slack = site.client()
    channel = (await slack.conversations_create(name="inc-1"))["channel"]["id"]
    assert await error_of(slack.conversations_create(name="inc-1")) == "name_taken"
    await slack.conversations_archive(channel=channel)
    assert await error_of(slack.conversations_create(name="inc-1")) == "name_taken"
    site.workspace.faults.add("create_twins", count=1)
    twin = (await slack.conversations_create(name="inc-1"))["channel"]["id"]
    assert twin != channel


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("", "invalid_name_required"),
        ("Incident", "invalid_name_specials"),
        ("a b", "invalid_name_specials"),
        ("---", "invalid_name_punctuation"),
        ("x" * 81, "invalid_name_maxlength"),
    ],
)
async def test_a_bad_channel_name_is_refused_with_its_reason(site: Site, name: str, error: str) -> None:
    assert await error_of(site.client().conversations_create(name=name)) == error


async def test_inviting_is_all_or_nothing_unless_forced(site: Site) -> None:
    slack = site.client()
    channel = (await slack.conversations_create(name="inc-1"))["channel"]["id"]
    assert await error_of(slack.conversations_invite(channel=channel, users=[ADA, "U404"])) == "user_not_found"
    assert ADA not in (await slack.conversations_members(channel=channel))["members"]
    forced = await slack.conversations_invite(channel=channel, users=[ADA, "U404"], force=True)
    assert forced["errors"] == [{"user": "U404", "ok": False, "error": "user_not_found"}]
    assert await error_of(slack.conversations_invite(channel=channel, users=[ADA])) == "already_in_channel"
    assert await error_of(slack.conversations_invite(channel=channel, users=["U0TOCSIN"])) == "cant_invite_self"


async def test_a_private_channel_hides_from_the_app_outside_and_a_public_one_refuses(site: Site) -> None:
    slack = site.client()
    state = site.workspace.state
    private = state.add_channel("secret", ADA, is_private=True)
    public = state.add_channel("open", ADA)
    assert await error_of(slack.chat_postMessage(channel=private.id, text="hi")) == "channel_not_found"
    assert await error_of(slack.chat_postMessage(channel=public.id, text="hi")) == "not_in_channel"
    await slack.conversations_join(channel=public.id)
    await slack.chat_postMessage(channel=public.id, text="hi")
    await slack.conversations_archive(channel=public.id)
    assert await error_of(slack.chat_postMessage(channel=public.id, text="hi")) == "is_archived"


async def test_a_person_as_channel_means_their_direct_messages(site: Site) -> None:
    slack = site.client()
    posted = await slack.chat_postMessage(channel=ADA, text="You are on call")
    opened = await slack.conversations_open(users=ADA)
    assert posted["channel"] == opened["channel"]["id"]
    assert posted["channel"].startswith("D")


async def test_lists_and_history_come_in_pages(site: Site) -> None:
    slack = site.client()
    for number in range(5):
        await slack.conversations_create(name=f"inc-{number}")
    names: list[str] = []
    async for page in await slack.conversations_list(limit=2):
        names += [channel["name"] for channel in page["channels"]]
    assert names == ["general", "incidents", *(f"inc-{number}" for number in range(5))]


async def test_history_respects_its_bounds(site: Site) -> None:
    slack = site.client()
    channel = (await slack.conversations_create(name="inc-1"))["channel"]["id"]
    first, second, third = [(await slack.chat_postMessage(channel=channel, text=t))["ts"] for t in ("a", "b", "c")]

    async def texts(**bounds: Any) -> list[str]:
        found = await slack.conversations_history(channel=channel, **bounds)
        return [item["text"] for item in found["messages"] if "subtype" not in item]

    assert await texts(oldest=first) == ["c", "b"]
    assert await texts(oldest=first, latest=third, inclusive=True) == ["c", "b", "a"]
    assert await texts(oldest=first, latest=third) == ["b"]
    assert await texts(latest=second, inclusive=True, limit=1) == ["b"]


async def test_replies_live_in_their_thread(site: Site) -> None:
    slack = site.client()
    channel = (await slack.conversations_create(name="inc-1"))["channel"]["id"]
    parent = (await slack.chat_postMessage(channel=channel, text="parent"))["ts"]
    reply = (await slack.chat_postMessage(channel=channel, text="reply", thread_ts=parent))["ts"]
    thread = await slack.conversations_replies(channel=channel, ts=parent)
    assert [item["ts"] for item in thread["messages"]] == [parent, reply]
    assert thread["messages"][0]["reply_count"] == 1
    history = await slack.conversations_history(channel=channel)
    assert reply not in [item["ts"] for item in history["messages"]]


async def test_only_its_own_messages_can_be_changed_by_the_app(site: Site) -> None:
    slack = site.client()
    channel = (await slack.conversations_create(name="inc-1"))["channel"]["id"]
    theirs = site.workspace.acts.say(ADA, channel, "I am looking")
    assert await error_of(slack.chat_update(channel=channel, ts=theirs.ts, text="x")) == "cant_update_message"
    assert await error_of(slack.chat_update(channel=channel, ts="1.000000", text="x")) == "message_not_found"
    assert await error_of(slack.chat_delete(channel=channel, ts=theirs.ts)) == "cant_delete_message"


async def test_an_update_with_text_only_takes_the_blocks_away_and_marks_it_edited(site: Site) -> None:
    slack = site.client()
    channel = (await slack.conversations_create(name="inc-1"))["channel"]["id"]
    ts = (await slack.chat_postMessage(channel=channel, text="card", blocks=[button()]))["ts"]
    with_blocks = await slack.chat_update(channel=channel, ts=ts, text="card", blocks=[button("other")])
    assert "edited" not in with_blocks["message"]
    text_only = await slack.chat_update(channel=channel, ts=ts, text="done")
    assert "blocks" not in text_only["message"]
    assert "edited" in text_only["message"]


async def test_an_ephemeral_message_is_seen_by_one_person_and_is_in_no_history(site: Site) -> None:
    slack = site.client()
    channel = (await slack.conversations_create(name="inc-1"))["channel"]["id"]
    assert await error_of(slack.chat_postEphemeral(channel=channel, user=ADA, text="psst")) == "user_not_in_channel"
    await slack.conversations_invite(channel=channel, users=[ADA])
    await slack.chat_postEphemeral(channel=channel, user=ADA, text="psst")
    history = await slack.conversations_history(channel=channel)
    assert "psst" not in [item["text"] for item in history["messages"]]
    assert [item["only_for"] for item in (await site.channel(channel))["ephemerals"]] == [ADA]


async def test_pins_bookmarks_topics_and_reactions_stay(site: Site) -> None:
    slack = site.client()
    channel = (await slack.conversations_create(name="inc-1"))["channel"]["id"]
    ts = (await slack.chat_postMessage(channel=channel, text="card"))["ts"]
    await slack.pins_add(channel=channel, timestamp=ts)
    assert await error_of(slack.pins_add(channel=channel, timestamp=ts)) == "already_pinned"
    await slack.bookmarks_add(channel_id=channel, title="Dashboard", type="link", link="https://grafana.example/d/1")
    await slack.conversations_setTopic(channel=channel, topic="SEV1 · Ada leads")
    await slack.conversations_setPurpose(channel=channel, purpose="key inc:1")
    await slack.reactions_add(channel=channel, timestamp=ts, name="eyes")
    assert await error_of(slack.reactions_add(channel=channel, timestamp=ts, name="eyes")) == "already_reacted"
    shown = await site.channel("inc-1")
    assert (shown["topic"], shown["purpose"], shown["pins"]) == ("SEV1 · Ada leads", "key inc:1", [ts])
    assert [mark["title"] for mark in (await slack.bookmarks_list(channel_id=channel))["bookmarks"]] == ["Dashboard"]
    assert [item["message"]["ts"] for item in (await slack.pins_list(channel=channel))["items"]] == [ts]


async def test_people_are_found_by_id_and_by_email(site: Site) -> None:
    slack = site.client()
    assert (await slack.users_lookupByEmail(email="Ada@practice.example"))["user"]["id"] == ADA
    assert await error_of(slack.users_lookupByEmail(email="nobody@practice.example")) == "users_not_found"
    assert (await slack.users_info(user=BOB))["user"]["real_name"] == "Bob Kahn"
    groups = await slack.usergroups_list(include_users=True)
    assert groups["usergroups"][0]["users"] == [ADA]


async def test_tokens_and_method_names_are_checked(site: Site) -> None:
    assert await error_of(site.client("xoxb-wrong").auth_test()) == "invalid_auth"
    assert await error_of(site.client("").auth_test()) == "not_authed"
    assert await error_of(site.client("xapp-practice").auth_test()) == "not_allowed_token_type"
    assert await error_of(site.client().api_call("canvases.create")) == "unknown_method"
    assert (await site.client().auth_test())["user_id"] == "U0TOCSIN"


async def test_a_method_without_its_scope_says_which_is_needed(site: Site) -> None:
    site.workspace.api.scopes = ["chat:write", "channels:manage"]
    slack = site.client()
    assert (await slack.auth_test()).headers["x-oauth-scopes"] == "chat:write,channels:manage"
    await slack.conversations_create(name="inc-1")
    with pytest.raises(SlackApiError) as refused:
        await slack.conversations_create(name="inc-2", is_private=True)
    assert refused.value.response["error"] == "missing_scope"
    assert refused.value.response["needed"] == "groups:write"
    assert refused.value.response["provided"] == "chat:write,channels:manage"


async def test_a_channel_takes_a_short_burst_and_then_one_message_a_second(site: Site) -> None:
    slack = site.client()
    channel = (await slack.conversations_create(name="inc-1"))["channel"]["id"]
    for number in range(5):
        await slack.chat_postMessage(channel=channel, text=str(number))
    with pytest.raises(SlackApiError) as refused:
        await slack.chat_postMessage(channel=channel, text="too many")
    assert refused.value.response.status_code == 429
    assert refused.value.response.headers["Retry-After"] == "1"
    await slack.chat_postMessage(channel="incidents", text="another channel is not held up")
    site.workspace.clock.advance(1)
    await slack.chat_postMessage(channel=channel, text="later")


async def test_every_call_is_in_the_log(site: Site) -> None:
    slack = site.client()
    await slack.chat_postMessage(channel="incidents", text="hello")
    await error_of(slack.chat_postMessage(channel="C404", text="hello"))
    async with site.http.get(f"{site.url}/control/calls") as answer:
        calls = (await answer.json())["calls"]
    assert [(call["method"], call["ok"], call["error"]) for call in calls] == [
        ("chat.postMessage", True, ""),
        ("chat.postMessage", False, "channel_not_found"),
    ]
