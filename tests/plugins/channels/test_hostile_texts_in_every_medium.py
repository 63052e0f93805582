"""What alerts say stays words: no mention, no link under other words, no markup, nothing invisible, nothing without end. One table for all media."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.plugins.channels.set_up import MEDIA, PAGE, house
from tests.support.media_servers import Request

HOSTILE = {
    "everybody": "@everyone @here @channel @all <!channel> <!here|here> <@U0ADA> <@&123> <#C1>",
    "a person": "ask @ada or <@123456789012345678>, see ~town-square and #sev1",
    "a link under other words": "[https://good.example](https://evil.example) <https://evil.example|good> ![x](https://evil.example/x.png)",
    "a link by reference": "[good][1]\n\n[1]: https://evil.example",
    "a link in HTML": '<a href="https://evil.example">good</a> <img src=x onerror=alert(1)> <script>alert(1)</script>',
    "entities": "&lt;b&gt; &#64;channel &amp;#64;here &commat;all",
    "Markdown": "**bold** _it_ __u__ ~~gone~~ ||spoiler|| `code` # no heading > no quote $x$",
    "fences": "```\n@everyone\n```\n~~~\nx",
    "blocks": "# heading\n> quote\n- item\n+ item\n1. one\n2) two\n---\n===\n    code\n\n    more code",
    "a table": "| a | b |\n|---|---|\n| 1 | 2 |",
    "escapes": "\\*not\\* \\[x\\](https://evil.example) \\",
    "control characters": "a\x00b\x07c\x1b[31md\x7fe\x85f",
    "marks from right to left": "INC \u202egpj.exe\u202c \u2066x\u2069 \u200f\u200e\ufeff",
    "half characters": "a\ud800b\udfffc",
    "many lines": "line\n" * 5000,
    "breaks of other kinds": "a\r\nb\rc\u2028d\u2029e",
    "a megabyte": "x" * 1_000_000,
    "a megabyte of what is escaped": "*" * 1_000_000,
    "a megabyte of flags": "🏴" * 250_000,
    "emoji and other scripts": "日本語 العربية 👩‍👩‍👧 é",
    "nothing": "",
    "only space": " \n\t ",
    "braces": "{{ 7*7 }} ${x} @{triggerBody()} %s {0}",
}
every = pytest.mark.parametrize("name", sorted(MEDIA))
hostile = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\u2028\u2029\ud800-\udfff]"
)
_MENTION = re.compile(r"[@\uff20]\w")
OURS = {PAGE.url, PAGE.acknowledge_url}
MARKDOWN = MarkdownIt("gfm-like", {"linkify": False})


async def asked(name: str, text: str) -> list[Request]:
    """What a page that says this everywhere becomes."""
    facts = {"service": text, text[:2000]: "value"}
    notice = PAGE.model_copy(update={"subject": text, "body": text, "short": text[:300], "facts": facts})
    async with house(name) as at:
        await at.send(notice)
        assert len(at.product.kept) == 1
    requests: list[Request] = at.product.asked
    return requests


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)


def said(request: Request) -> Any:
    return request.form if request.body[:1] != b"{" else json.loads(request.body)


@every
@hostile
async def test_everything_is_bounded_and_visible(name: str, text: str) -> None:
    [request] = await asked(name, text)
    assert len(request.body) < 60_000
    assert [one for one in texts(said(request)) if _UNSEEN.search(one)] == []


@hostile
@pytest.mark.parametrize("name", ["discord", "mattermost", "mattermost-bot"])
async def test_markdown_shows_the_words_and_nothing_else(name: str, text: str) -> None:
    [request] = await asked(name, text)
    body = said(request)
    message = body if name != "mattermost-bot" else {**body["props"], "text": body["message"]}
    parts = message.get("embeds") or message.get("attachments")
    for part in (
        message.get("content", message.get("text")),
        *(one.get("description", one.get("text")) for one in parts),
    ):
        tokens = list(flat(MARKDOWN.parse(part)))
        kinds = {token.type for token in tokens} - {
            "paragraph_open",
            "paragraph_close",
            "inline",
            "text",
            "softbreak",
            "text_special",
        }
        assert kinds <= {"strong_open", "strong_close", "link_open", "link_close", "hardbreak"}, part[:500]
        assert {str(token.attrs["href"]) for token in tokens if token.type == "link_open"} <= OURS
        shown = "".join(token.content for token in tokens if token.type in ("text", "text_special"))
        assert not _MENTION.search(shown)
    if name == "discord":
        assert message["allowed_mentions"] == {"parse": []}


@hostile
async def test_telegram_shows_the_words_and_nothing_else(text: str) -> None:
    [request] = await asked("telegram", text)
    message = said(request)
    page = Page()
    page.feed(message["text"])
    page.close()
    assert message["parse_mode"] == "HTML"
    assert page.tags <= {("b", ""), *(("a", url) for url in OURS)}
    assert not _MENTION.search(page.text)
    assert len(page.text.encode("utf-16-le")) <= 2 * 4096


@hostile
async def test_teams_shows_foreign_words_only_in_text_runs(text: str) -> None:
    """A text run knows no Markdown; a TextBlock, a Fact and a mention entity would."""
    [request] = await asked("teams", text)
    card = said(request)["attachments"][0]["content"]
    types = {one["type"] for one in objects(card) if "type" in one}
    assert types <= {"AdaptiveCard", "Container", "RichTextBlock", "TextRun", "Action.OpenUrl"}
    assert "entities" not in card["msteams"]
    assert {one["url"] for one in card["actions"]} == OURS
    assert len(request.body) < 28_000


@every
async def test_a_secret_in_an_alert_is_taken_out(name: str) -> None:
    [request] = await asked(
        name, "login failed: password=hunter2hunter2 xoxb-123456789012-123456789012-abcdefghijklmnopqrstuvwx"
    )
    assert b"hunter2" not in request.body
    assert b"xoxb-1" not in request.body


@every
@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "https://user:pass@evil.example/",
        "https://x.example/)](https://evil.example",
        "https://x.example/ y",
        "//x",
        "http://[",
        "https://x/" + "a" * 5000,
    ],
)
async def test_an_address_that_is_no_plain_link_is_left_out(name: str, url: str) -> None:
    async with house(name) as at:
        await at.send(PAGE.model_copy(update={"url": url, "acknowledge_url": url}))
    assert [one for one in texts(said(at.product.asked[0])) if url in one] == []


@every
async def test_the_links_of_a_page_can_be_followed(name: str) -> None:
    async with house(name) as at:
        await at.send()
    sent = " ".join(texts(said(at.product.asked[0])))
    assert PAGE.acknowledge_url in sent and PAGE.url in sent


def flat(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from flat(token.children or [])


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from objects(one)


class Page(HTMLParser):
    """The tags with where they lead, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[tuple[str, str]] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add((tag, dict(attrs).get("href") or ""))

    def handle_data(self, data: str) -> None:
        self.text += data
