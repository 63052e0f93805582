"""README.md and docs/: every link leads to a page that is there, and to a heading that it has; every source has its page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.plugins import discover

ROOT = Path(__file__).parents[1]
PAGES = (
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "deploy").rglob("*.md")),
    ROOT / "runbooks/README.md",
)
LINK = re.compile(r"\]\((?!\w+:)([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```", re.M | re.S)
HEADING = re.compile(r"^#+ +(.+?) *$", re.M)
# Who reads one of these wants the others next.
NEXT = {
    "signal.md": ("silences.md", "why.md", "quality.md", "replay.md", "sources/README.md"),
    "silences.md": ("signal.md", "why.md"),
    "why.md": ("signal.md", "silences.md", "quality.md", "replay.md", "sources/README.md"),
    "quality.md": ("signal.md", "why.md", "replay.md"),
    "replay.md": ("signal.md", "why.md", "quality.md"),
    "sources/README.md": ("signal.md", "why.md"),
}


def links(page: Path) -> list[str]:
    """Relative ones, outside of code."""
    return LINK.findall(CODE.sub("", page.read_text(encoding="utf-8")))


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = HEADING.findall(CODE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


def lost(page: Path) -> list[str]:
    """The links of a page that lead nowhere."""
    found = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert lost(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One `thing`, here?\n[a](page.md#one-thing-here) [b](gone.md) [c](#two) [d](https://x.example)\n```\n[e](no)\n```\n"
    )
    assert lost(page) == ["gone.md", "#two"]


def test_every_source_has_its_page_and_every_page_its_source() -> None:
    pages = {page.stem for page in (ROOT / "docs/sources").glob("*.md")} - {"README"}
    assert pages == set(discover("sources"))


@pytest.mark.parametrize("page", NEXT)
def test_the_pages_about_alerts_lead_to_each_other(page: str) -> None:
    here = ROOT / "docs" / page
    led_to = {(here.parent / link.partition("#")[0]).resolve() for link in links(here) if not link.startswith("#")}
    assert {ROOT / "docs" / one for one in NEXT[page]} <= led_to
