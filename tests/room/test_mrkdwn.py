"""Text from outside is harmless in Slack, stays on its line, and fits."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.room import mrkdwn
from tests.room.samples import HOSTILE

ANY = st.text(alphabet=st.characters(exclude_categories=()), max_size=400)


@pytest.mark.parametrize("text", HOSTILE)
def test_escaped_text_can_make_no_mention_and_no_link(text: str) -> None:
    assert "<" not in mrkdwn.escape(text)
    assert ">" not in mrkdwn.escape(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<!channel>", "&lt;!channel&gt;"),
        ("a & b", "a &amp; b"),
        ("&amp;", "&amp;amp;"),
        ("two\nlines", "two lines"),
        ("tab\tand\x00null\x1b[31m", "tab andnull[31m"),
        ("\u202eesrever", "esrever"),
        ("\ud800", "\ufffd"),
    ],
)
def test_a_line_is_escaped_and_stays_a_line(text: str, shown: str) -> None:
    assert mrkdwn.line(text) == shown


def test_a_code_span_cannot_be_left() -> None:
    assert mrkdwn.code("a`b") == "`aˋb`"  # noqa: RUF001
    assert mrkdwn.code("") == "` `"


@given(ANY, st.integers(min_value=10, max_value=60))
def test_clipping_keeps_to_the_limit_and_never_cuts_an_entity(text: str, limit: int) -> None:
    shown = mrkdwn.escape(text, limit)
    assert len(shown) <= limit
    assert re.fullmatch(r"(?:[^&<>]|&amp;|&lt;|&gt;)*", shown)


@given(ANY)
def test_whatever_comes_out_can_be_sent(text: str) -> None:
    for made in (
        mrkdwn.escape(text),
        mrkdwn.line(text),
        mrkdwn.code(text),
        mrkdwn.verbatim(text),
        mrkdwn.plain(text, 50),
    ):
        made.encode("utf-8")


@given(st.lists(ANY, max_size=20), st.integers(min_value=40, max_value=300))
def test_code_blocks_hold_every_line_or_say_how_many_they_left_out(lines: list[str], limit: int) -> None:
    texts, left_out = mrkdwn.code_blocks(lines, limit, most=3)
    assert len(texts) <= 3
    assert all(len(text) <= limit and text.count("```") == 2 for text in texts)
    if not left_out:
        inside = "".join(text.removeprefix("```\n").removesuffix("\n```") for text in texts).replace("\n", "")
        assert inside == "".join(mrkdwn.verbatim(line) for line in lines)


def test_a_code_block_shows_a_line_break_instead_of_making_one() -> None:
    texts, _ = mrkdwn.code_blocks(["+ replicas: 6\n+ image: evil", "- a\tb"])
    assert texts == ["```\n+ replicas: 6⏎+ image: evil\n- a    b\n```"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://x.example/a?b=1&c=2", "<https://x.example/a?b=1&amp;c=2|text>"),
        ("https://x.example/a|b>c", "<https://x.example/a%7Cb%3Ec|text>"),
        ("javascript:alert(1)", "text"),
        ("https://x.example/a b", "text"),
        ("", "text"),
        ("https://x.example/" + "a" * 5000, "text"),
    ],
)
def test_a_link_is_only_made_of_an_address_that_cannot_end_it(url: str, shown: str) -> None:
    assert mrkdwn.link(url, "text") == shown


def test_a_link_text_cannot_end_its_link() -> None:
    assert mrkdwn.link("https://x.example", "a|b>c") == "<https://x.example|a¦b&gt;c>"


def test_a_date_reads_in_utc_where_slack_cannot_show_it_locally() -> None:
    at = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
    assert mrkdwn.date(at) == "<!date^1772334000^{date_short_pretty} {time}|2026-03-01 03:00 UTC>"


@given(ANY)
def test_split_text_is_whole_until_the_last_piece(text: str) -> None:
    pieces = mrkdwn.split(text, limit=60, most=50)
    assert all(len(piece) <= 60 for piece in pieces)
    joined = html.unescape("".join(pieces)).replace("\n", "").replace(" ", "")
    assert joined == mrkdwn.clean(text).replace("\n", "").strip().replace(" ", "") or len(pieces) == 50
