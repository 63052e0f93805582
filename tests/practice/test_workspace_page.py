"""The page in a real Chromium: what people see and press, and that no message becomes HTML."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.practice.workspace_site import ADA, Site, bolt, button, connected

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason="needs /usr/bin/chromium")]
NASTY = "<img src=x onerror=\"document.title='owned'\"> </script><script>document.title='owned'</script> <javascript:alert(1)|x>"


@pytest.fixture
async def page(site: Site) -> AsyncIterator[Page]:
    """The page, open in a browser; errors in its scripts fail the test."""
    errors: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        opened = await browser.new_page(viewport={"width": 1440, "height": 900})
        opened.on("pageerror", lambda error: errors.append(str(error)))
        await opened.goto(site.url)
        await expect(opened.locator("#link-state")).to_have_text("live")
        yield opened
        await browser.close()
    assert errors == []


def field(text: str) -> dict[str, str]:
    """A mrkdwn text object."""
    return {"type": "mrkdwn", "text": text}


async def test_a_new_incident_channel_opens_by_itself_and_its_card_updates_in_place(site: Site, page: Page) -> None:
    slack = site.client()
    channel = (await slack.conversations_create(name="inc-1"))["channel"]["id"]
    await expect(page.locator("#name")).to_have_text("#inc-1")
    ts = (await slack.chat_postMessage(channel=channel, text="*Checkout* is failing"))["ts"]
    await expect(page.locator(".message strong").last).to_have_text("Checkout")
    await slack.chat_update(channel=channel, ts=ts, text="Recovered")
    await expect(page.locator(".message .mrkdwn")).to_have_text(["Recovered"])
    await expect(page.locator(".edited")).to_be_visible()


async def test_nothing_from_a_message_becomes_html(site: Site, page: Page) -> None:
    slack = site.client()
    nasty: list[dict[str, Any]] = [
        {"type": "section", "text": field(NASTY), "fields": [field(NASTY)]},
        {"type": "header", "text": {"type": "plain_text", "text": NASTY}},
        {"type": "context", "elements": [field(f"```{NASTY}```")]},
        {"type": "markdown", "text": NASTY + "\n\n[x](javascript:alert(1))"},
    ]
    channel = (await slack.conversations_create(name="inc-1"))["channel"]["id"]
    await slack.conversations_setTopic(channel=channel, topic=NASTY)
    await slack.chat_postMessage(channel=channel, text=NASTY, blocks=nasty)
    await slack.files_upload_v2(channel=channel, content=NASTY, filename="a.md", title=NASTY, initial_comment=NASTY)
    await expect(page.locator(".file")).to_be_visible()
    assert await page.title() != "owned"
    assert await page.locator("#list img:not(.avatar), #list script, #head img, a[href^=javascript]").count() == 0


async def test_pressing_a_button_reaches_the_app_and_shows_what_it_made_of_it(site: Site, page: Page) -> None:
    app = bolt(site)

    @app.action("approve")
    async def approve(ack: Any, respond: Any) -> None:
        await ack()
        await respond(text="Approved", replace_original=True)

    async with connected(site, app):
        slack = site.client()
        channel = (await slack.conversations_create(name="inc-1"))["channel"]["id"]
        await slack.chat_postMessage(channel=channel, text="Roll back?", blocks=[button()])
        await page.get_by_role("button", name="Approve").click()
        await expect(page.locator(".message .mrkdwn")).to_have_text(["Approved"])


async def test_an_ephemeral_message_is_shown_to_its_person_only(site: Site, page: Page) -> None:
    slack = site.client()
    channel = (await slack.conversations_create(name="inc-1"))["channel"]["id"]
    await slack.conversations_invite(channel=channel, users=[ADA])
    await slack.chat_postEphemeral(channel=channel, user=ADA, text="You are on call")
    await expect(page.locator(".only-you")).to_contain_text("Only visible to you")
    await page.locator("#me").select_option("U0BOB")
    await expect(page.locator(".only-you")).to_have_count(0)


async def test_a_command_typed_in_the_box_opens_a_modal_that_can_be_filled_in(site: Site, page: Page) -> None:
    app = bolt(site)
    label = {"type": "plain_text", "text": "What is wrong?"}
    text_input = {"type": "plain_text_input", "action_id": "text"}
    view = {
        "type": "modal",
        "callback_id": "open",
        "title": {"type": "plain_text", "text": "New incident"},
        "submit": {"type": "plain_text", "text": "Open"},
        "blocks": [{"type": "input", "block_id": "title", "label": label, "element": text_input}],
    }

    @app.command("/incident")
    async def command(ack: Any, body: dict[str, Any], client: Any) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=view)

    @app.view("open")
    async def submitted(ack: Any, body: dict[str, Any], client: Any) -> None:
        await ack()
        text = body["view"]["state"]["values"]["title"]["text"]["value"]
        await client.chat_postMessage(channel="incidents", text=f"Opened: {text}")

    async with connected(site, app):
        await page.locator("#input").fill("/inc")
        await expect(page.locator("#hints")).to_contain_text("/incident")
        await page.locator("#input").fill("/incident open")
        await page.locator("#input").press("Enter")
        await page.get_by_role("button", name="Open", exact=True).click()
        await expect(page.locator(".field-error")).to_have_text("Please complete this required field.")
        await page.locator(".dialog input").fill("Checkout fails")
        await page.get_by_role("button", name="Open", exact=True).click()
        await expect(page.locator(".message .mrkdwn")).to_have_text(["Opened: Checkout fails"])
        await expect(page.locator("#overlay")).to_be_hidden()
