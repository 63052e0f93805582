"""Markdown to HTML that is safe to put on the page: no raw HTML in, and cleaned on the way out."""

from __future__ import annotations

import nh3
from markdown_it import MarkdownIt

_TAGS = {
    *("h1", "h2", "h3", "h4", "h5", "h6", "p", "hr", "br", "blockquote", "pre", "code", "ul", "ol", "li"),
    *("a", "strong", "em", "s", "img", "table", "thead", "tbody", "tr", "th", "td"),
}


def to_html(text: str) -> str:
    """CommonMark with tables and strike-through."""
    rendered = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).render(text)
    attributes = {"a": {"href"}, "img": {"src", "alt"}, "code": {"class"}, "th": {"align"}, "td": {"align"}}
    return nh3.clean(rendered, tags=_TAGS, attributes=attributes, url_schemes={"http", "https", "mailto"})
