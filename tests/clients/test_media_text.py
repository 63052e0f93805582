"""The words of a notice as media get them: bounded, clean, without secrets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bot.clients import media_text
from bot.clients.media_text import NOTHING, clip, clip_bytes, clip_utf16, followable, html, markdown, said
from bot.domain.incident import Incident
from bot.domain.links import Links
from bot.domain.notice import Notice
from bot.domain.redaction import Redactor
from bot.domain.signing import Signer
from tests.support.clock import START

NOTICE = Notice(
    key="k", purpose="page", subject="INC-7  Checkout\nfails", body="a\n\n\n\nb", short="short", severity="critical"
)


def test_a_subject_is_one_line_and_never_empty() -> None:
    assert said(NOTICE, str).subject == "INC-7 Checkout fails"
    assert said(NOTICE.model_copy(update={"subject": "\u202e\n"}), str).subject == "Tocsin"


def test_what_is_missing_is_taken_from_the_rest() -> None:
    bare = Notice(key="k", purpose="page", subject="S")
    assert (said(bare, str).body, said(bare, str).short) == ("", "S")
    assert said(NOTICE.model_copy(update={"body": ""}), str).body == "short"


def test_sending_again_is_said() -> None:
    assert said(NOTICE, str, again=True).body == f"a\n\nb\n{media_text.AGAIN}"


@pytest.mark.parametrize(
    ("purpose", "severity", "colour", "urgent"),
    [
        ("page", "critical", media_text.RED, True),
        ("page", "warning", media_text.AMBER, True),
        ("page", "somebody's own", media_text.RED, True),
        ("recovery", "critical", media_text.GREEN, False),
        ("alarm", "", media_text.RED, True),
        ("test", "", media_text.GREY, False),
        ("reminder", "info", media_text.BLUE, False),
    ],
)
def test_the_colour_is_how_bad_it_is(purpose: str, severity: str, colour: int, urgent: bool) -> None:
    words = said(NOTICE.model_copy(update={"purpose": purpose, "severity": severity}), str)
    assert (words.colour, words.urgent) == (colour, urgent)


def test_links_are_acknowledging_first_and_facts_are_bounded() -> None:
    notice = NOTICE.model_copy(
        update={
            "url": "https://a.example/x",
            "acknowledge_url": "https://b.example",
            "facts": {f"f{i}": "v" * 999 for i in range(99)},
        }
    )
    words = said(notice, Redactor())
    assert words.links == (("Acknowledge", "https://b.example"), ("Open", "https://a.example/x"))
    assert words.with_links() == "a\n\nb\nAcknowledge: https://b.example\nOpen: https://a.example/x"
    assert len(words.facts) == media_text.MOST_FACTS
    assert all(len(value) <= media_text.FACT for value in words.facts.values())


@pytest.mark.parametrize("cut", [clip, clip_bytes, clip_utf16])
@pytest.mark.parametrize("text", ["short", "é" * 50, "🏴" * 50, "日本" * 30, "x" * 40, ""])
def test_what_is_cut_fits_and_is_never_half_a_character(cut: object, text: str) -> None:
    assert callable(cut)
    shown = cut(text, 40)
    size = {clip: len(shown), clip_bytes: len(shown.encode()), clip_utf16: len(shown.encode("utf-16-le")) // 2}[cut]
    assert size <= 40
    assert text.startswith(shown.removesuffix("…"))


@pytest.mark.parametrize("url", ["https://x.example/a?b=c&d=%20#e", "http://10.0.0.1:8080/"])
def test_plain_addresses_can_be_followed(url: str) -> None:
    assert followable(url)
    assert markdown(f"see {url} now") == f"see {url} now".replace("#e", "#e")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("INC-7: 5.3% of 1.2k", "INC-7: 5.3% of 1.2k"),
        ("*b* _i_ `c`", r"\*b\* \_i\_ \`c\`"),
        ("- item", r"\- item"),
        ("1. one", r"1\. one"),
        ("@ada", f"@{NOTHING}ada"),
        ("<!channel>", r"\<!channel\>"),
        ("[x](https://e.example)", r"\[x\](https://e.example)"),
    ],
)
def test_markdown_is_escaped_where_it_means_something(text: str, shown: str) -> None:
    assert markdown(text) == shown


@settings(max_examples=150)
@given(st.text(alphabet=st.sampled_from("*_`~[]()<>#|!\\&;@$-+=.1 \nab:/xhttps"), max_size=60))
def test_any_text_is_only_text_in_markdown(text: str) -> None:
    reader = MarkdownIt("gfm-like", {"linkify": False})
    tokens = [child for token in reader.parse(markdown(text)) for child in [token, *(token.children or [])]]
    allowed = {"paragraph_open", "paragraph_close", "inline", "text", "softbreak", "hardbreak", "text_special"}
    assert {token.type for token in tokens} <= allowed


@given(st.text(max_size=60))
def test_any_text_is_only_text_in_html(text: str) -> None:
    assert not set("<>\"'") & set(html(text))


LINKED = NOTICE.model_copy(
    update={
        "acknowledge_url": Links("https://t.example.com", Signer("a secret")).acknowledge(
            Incident(id=7, title="t", severity="critical", group_key="g", channel_name="c", opened_at=START),
            "page:7",
            "person:ada",
            START,
        )
    }
)


def test_a_template_may_put_the_link_to_acknowledge_by_into_its_words() -> None:
    """It looks like a token of somebody's, which it is: of whoever gets the message."""
    own = LINKED.acknowledge_url
    notice = LINKED.model_copy(update={"body": f"password=hunter2hunter2 take it: {own}", "short": own})
    words = said(notice, Redactor())
    assert words.body == f"password=[redacted: password] take it: {own}"
    assert words.short == own
    assert own not in said(notice, Redactor(), linked=False).body, "the log is read by others"
    other = own[:-1] + ("0" if own[-1] != "0" else "1")
    assert "redacted" in said(notice.model_copy(update={"body": other, "acknowledge_url": ""}), Redactor()).body
