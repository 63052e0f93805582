"""Block Kit limits, refused as Slack refuses them."""

from __future__ import annotations

from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from bot.practice.workspace.blocks import check_message, check_view
from bot.practice.workspace.calls import SlackError
from tests.practice.workspace_site import Site, button


def mrkdwn(text: str) -> dict[str, Any]:
    """A mrkdwn text object."""
    return {"type": "mrkdwn", "text": text}


def plain(text: str) -> dict[str, Any]:
    """A plain_text object."""
    return {"type": "plain_text", "text": text}


def modal(**more: Any) -> dict[str, Any]:
    """A modal with one section."""
    return {"type": "modal", "title": plain("Open"), "blocks": [{"type": "section", "text": mrkdwn("x")}], **more}


def number(**more: Any) -> dict[str, Any]:
    """An input for a number."""
    return {"type": "input", "label": plain("How many?"), "element": {"type": "number_input", **more}}


def select(**more: Any) -> dict[str, Any]:
    """A section with a list of one option."""
    options = [{"text": plain("a"), "value": "a"}]
    return {
        "type": "section",
        "text": mrkdwn("x"),
        "accessory": {"type": "static_select", "options": options, **more},
    }


WRONG: list[tuple[dict[str, Any], str]] = [
    (
        {"type": "section", "text": mrkdwn("x" * 3001)},
        "must be less than 3001 characters [json-pointer:/blocks/0/text/text]",
    ),
    ({"type": "section", "text": mrkdwn("")}, "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
    ({"type": "section"}, "missing required field: text [json-pointer:/blocks/0]"),
    (
        {"type": "header", "text": plain("x" * 151)},
        "must be less than 151 characters [json-pointer:/blocks/0/text/text]",
    ),
    ({"type": "header", "text": mrkdwn("x")}, "must be one of: plain_text [json-pointer:/blocks/0/text/type]"),
    (
        {"type": "context", "elements": [mrkdwn("x")] * 11},
        "no more than 10 items allowed [json-pointer:/blocks/0/elements]",
    ),
    (
        {"type": "section", "fields": [mrkdwn("x")] * 11},
        "no more than 10 items allowed [json-pointer:/blocks/0/fields]",
    ),
    (
        {"type": "section", "fields": [mrkdwn("x" * 2001)]},
        "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]",
    ),
    ({"type": "actions", "elements": []}, "must have at least 1 items [json-pointer:/blocks/0/elements]"),
    (button("x" * 256), "must be less than 256 characters [json-pointer:/blocks/0/elements/0/action_id]"),
    (button(value="x" * 2001), "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]"),
    ({"type": "image", "alt_text": "chart"}, "missing required field: image_url [json-pointer:/blocks/0]"),
    (number(), "missing required field: is_decimal_allowed [json-pointer:/blocks/0/element]"),
    (
        number(is_decimal_allowed=False, min_value="1", initial_value="0"),
        "initial_value must be between min_value and max_value [json-pointer:/blocks/0/element/initial_value]",
    ),
    (
        number(is_decimal_allowed=True, min_value="3", max_value="2.5"),
        "min_value cannot be greater than max_value [json-pointer:/blocks/0/element]",
    ),
    (
        number(is_decimal_allowed=False, max_value="2.5"),
        "must be a whole number [json-pointer:/blocks/0/element/max_value]",
    ),
    (
        number(is_decimal_allowed=True, initial_value="1e7"),
        "must be a string with a number [json-pointer:/blocks/0/element/initial_value]",
    ),
    (
        select(initial_option={"text": plain("c"), "value": "c"}),
        "initial_option must be one of the options [json-pointer:/blocks/0/accessory/initial_option]",
    ),
    ({"type": "carousel"}, "Unsupported block type: carousel [json-pointer:/blocks/0]"),
]


@pytest.mark.parametrize(("block", "error"), WRONG)
def test_a_block_over_a_limit_is_refused_with_a_pointer_to_it(block: dict[str, Any], error: str) -> None:
    with pytest.raises(SlackError) as refused:
        check_message([block])
    assert refused.value.error == "invalid_blocks"
    assert error in refused.value.more["errors"]
    assert f"[ERROR] {error}" in refused.value.more["response_metadata"]["messages"]


def test_buttons_of_one_block_need_different_action_ids() -> None:
    twice = {"type": "actions", "elements": button()["elements"] * 2}
    with pytest.raises(SlackError) as refused:
        check_message([twice])
    assert "already exists" in refused.value.more["errors"][0]


def test_many_blocks_and_much_text_are_refused() -> None:
    with pytest.raises(SlackError) as refused:
        check_message([{"type": "divider"}] * 51)
    assert refused.value.more["errors"] == ["no more than 50 items allowed [json-pointer:/blocks]"]
    with pytest.raises(SlackError) as refused:
        check_message([{"type": "section", "text": mrkdwn("x" * 3000)}] * 5)
    assert refused.value.error == "msg_blocks_too_long"


def test_a_block_without_ids_gets_them() -> None:
    block = {"type": "actions", "elements": [{"type": "button", "text": plain("Go")}]}
    filled = check_message([block])[0]
    assert filled["block_id"]
    assert filled["elements"][0]["action_id"]


@pytest.mark.parametrize(
    ("view", "error"),
    [
        (modal(title=plain("x" * 25)), "must be less than 25 characters [json-pointer:/view/title/text]"),
        (modal(private_metadata="x" * 3001), "must be less than 3001 characters [json-pointer:/view/private_metadata]"),
        (
            modal(blocks=[{"type": "input", "label": plain("x"), "element": {"type": "plain_text_input"}}]),
            "missing required field: submit [json-pointer:/view]",
        ),
    ],
)
def test_a_modal_over_a_limit_is_refused_as_invalid_arguments(view: dict[str, Any], error: str) -> None:
    with pytest.raises(SlackError) as refused:
        check_view(view)
    assert refused.value.error == "invalid_arguments"
    assert f"[ERROR] {error}" in refused.value.more["response_metadata"]["messages"]


async def test_slack_sdk_shows_what_is_wrong_with_the_blocks(site: Site) -> None:
    with pytest.raises(SlackApiError) as refused:
        await site.client().chat_postMessage(
            channel="incidents", text="x", blocks=[{"type": "header", "text": plain("")}]
        )
    assert refused.value.response["error"] == "invalid_blocks"
    assert refused.value.response["response_metadata"]["messages"][0].startswith("[ERROR] failed to match all allowed")


async def test_long_text_is_cut_when_posted_and_refused_when_updated(site: Site) -> None:
    slack = site.client()
    posted = await slack.chat_postMessage(channel="incidents", text="x" * 50_000)
    assert len(posted["message"]["text"]) == 40_000
    with pytest.raises(SlackApiError) as refused:
        await slack.chat_update(channel=posted["channel"], ts=posted["ts"], text="x" * 4_001)
    assert refused.value.response["error"] == "msg_too_long"
