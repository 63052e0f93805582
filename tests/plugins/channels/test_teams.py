"""Teams: an Adaptive Card by a workflow; the addresses of the retired connectors are refused."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bot.errors import BadInput, GaveUp
from bot.plugins.channels import teams
from tests.plugins.channels.set_up import PAGE, house
from tests.support.media_servers import Teams


async def test_a_page_is_a_card_with_buttons() -> None:
    async with house("teams") as at:
        receipt = await at.send()
    message = at.product.asked[0].json
    card = message["attachments"][0]["content"]
    assert (message["type"], message["attachments"][0]["contentType"]) == (
        "message",
        "application/vnd.microsoft.card.adaptive",
    )
    assert card["body"][0]["style"] == "attention"
    assert card["body"][0]["items"][0]["inlines"][0]["text"] == "INC-7 Checkout fails (critical)"
    assert [one["inlines"][0]["text"] for one in card["body"][1:]] == ["Checkout answers 500 in eu-1.", "Since 03:00."]
    assert [(one["title"], one["url"]) for one in card["actions"]] == [
        ("Acknowledge", "https://tocsin.example/acknowledge/abc.def"),
        ("Open", "https://slack.example/INC-7"),
    ]
    assert (receipt.provider_id, receipt.delivered) == ("run-1", False)


async def test_the_signature_in_the_address_arrives_as_it_is() -> None:
    async with house("teams") as at:
        await at.send()
    assert at.product.asked[0].query["sp"] == "/triggers/manual/run"
    assert at.product.asked[0].query["sig"] == "teams-signature-AAAABBBB"


@pytest.mark.parametrize(
    "url",
    [
        "https://contoso.webhook.office.com/webhookb2/a@b/IncomingWebhook/c/d",
        "https://outlook.office.com/webhook/a/IncomingWebhook/b",
        "https://outlook.office365.com/webhook/a",
    ],
)
def test_a_retired_connector_is_refused_without_showing_its_address(url: str) -> None:
    with pytest.raises(ValidationError, match="which Microsoft has retired; make a workflow") as raised:
        teams.Params.model_validate({"url": url})
    assert "webhookb2" not in str(raised.value)
    assert "/webhook/a" not in str(raised.value)


async def test_a_workflow_that_is_turned_off_or_protected_says_what_to_look_at() -> None:
    async with house("teams") as at:
        wrong = teams.Params.model_validate({"url": f"{at.url}{Teams.PATH}?sig=another"})
        medium = teams.Plugin(at.medium._desk, wrong)  # type: ignore[attr-defined]
        with pytest.raises(GaveUp, match=r"check url of my-teams in tocsin.yaml, and that the workflow is turned on"):
            await medium.send(PAGE, "", False)


async def test_many_lines_are_left_out_and_said_so() -> None:
    async with house("teams") as at:
        await at.send(PAGE.model_copy(update={"body": "\n".join(f"line {n}" for n in range(500))}))
    body = at.product.asked[0].json["attachments"][0]["content"]["body"]
    assert len(body) <= teams.MOST_LINES + 1
    assert body[-1]["inlines"][0]["text"] == "…"


async def test_there_is_no_address_but_its_own() -> None:
    async with house("teams") as at:
        with pytest.raises(BadInput, match="set up one medium for each channel"):
            await at.send(address="general")
