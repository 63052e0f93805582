"""The demo as a newcomer meets it: `tocsin demo` in a real Chromium, from the failing pods to the post-mortem in the page."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from tests.practice.test_workspace_page import CHROMIUM

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(150)]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
LONG = 60_000


@pytest.fixture
async def demo(tmp_path: Path) -> AsyncIterator[str]:
    """The printed address of a running demo."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot", "demo", "--port", "0", "--state", str(tmp_path / "state"),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    seen = ""
    async for line in process.stdout:
        seen += line.decode()
        found = re.search(r"Open (http://\S+)", seen)
        if found:
            yield found[1]
            break
    else:
        pytest.fail(f"the demo printed no address: {seen}")
    process.terminate()
    await process.communicate()
    assert process.returncode == 0


@pytest.fixture
async def page(demo: str) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        page = await browser.new_page(viewport={"width": 1440, "height": 900})
        await page.goto(demo)
        yield page
        await browser.close()


async def test_a_newcomer_acknowledges_approves_and_reads_the_post_mortem(page: Page) -> None:
    await expect(page.get_by_text("CrashLoopBackOff").first).to_be_visible(timeout=LONG)
    await page.get_by_role("button", name="Approve").last.wait_for(timeout=LONG)
    await expect(page.get_by_text("revision: 13 (image checkout:1.4.2 -> checkout:1.4.1)")).to_be_visible()
    await page.get_by_role("button", name="Acknowledge").first.click()
    await page.get_by_role("button", name="Approve").last.click()
    await page.get_by_role("alertdialog").get_by_role("button", name="Approve").click()
    await expect(page.get_by_text("Post-mortem of INC-1").first).to_be_visible(timeout=LONG)
    await expect(page.get_by_text("3/3 ready").first).to_be_visible()
    await page.get_by_text("Open", exact=True).last.click()
    await expect(page.get_by_text("Who did what").first).to_be_visible()
    assert "hunter2" not in await page.content()
