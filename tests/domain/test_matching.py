"""Matchers: Alertmanager's syntax and semantics."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.matching import all_match, matcher

LABELS = {
    "service": "checkout",
    "severity": "critical",
    "empty": "",
    "path": "C:\\n",
    "text": 'say "hi"\nbye',
    "ünï code": "ja",
    "n": "42",
}

MATCHES = [
    # equal, and not
    ('service="checkout"', True),
    ("service=checkout", True),
    (' service = "checkout" ', True),
    ("service = checkout ", True),
    ('service="check"', False),
    ('service!="checkout"', False),
    ("service!=cart", True),
    ('service="Checkout"', False),
    # regular expressions are anchored at both ends
    ('service=~"checkout|cart"', True),
    ("service=~checkout|cart", True),
    ('service=~"check"', False),
    ('service=~"check.*"', True),
    ('service=~"heck"', False),
    ('service!~"check"', True),
    ('service!~"check.*"', False),
    ('service=~"cart|check"', False),
    ('service=~"^checkout$"', True),
    ('service=~"(?i)CHECKOUT"', True),
    ('n=~"4{1,2}2"', True),
    ("n=~[0-9]+", True),
    # a missing label equals the empty one
    ('nothing=""', True),
    ("nothing=", True),
    ('nothing!=""', False),
    ('nothing!="x"', True),
    ('nothing=~".*"', True),
    ('nothing=~".+"', False),
    ('nothing!~".+"', True),
    ('nothing=~"x|"', True),
    ('empty=""', True),
    ('service=""', False),
    # quotes and escapes
    ('text="say \\"hi\\"\\nbye"', True),
    ('path="C:\\\\n"', True),
    ('path="C:\\n"', False),
    ("path=C:\\\\n", True),
    # a newline is no character for `.`, as in Go; a negated one holds then
    ('text=~"say \\"hi\\".bye"', False),
    ('text=~"say \\"hi\\"\\nbye"', True),
    ('text=~".*"', False),
    ('text!~".*"', True),
    ('text=~"(?s).*"', True),
    ('text=~"(?s:.*)"', True),
    ('text=~"say.*|.*bye"', False),
    ('text=~"(?m)say.*$"', False),
    ('n=~"\\d+"', True),
    ("n=~\\d+", True),
    ('"service"="checkout"', True),
    ('"ünï code"="ja"', True),
    ("service==checkout", False),
]


@pytest.mark.parametrize(("text", "expected"), MATCHES)
def test_a_matcher_holds_or_not(text: str, expected: bool) -> None:
    assert matcher(text).matches(LABELS) is expected


WRONG = [
    "",
    "service",
    "=x",
    "service>x",
    'service="x',
    'service=x"',
    'service="x"y',
    'service="a"b"',
    '{service="x"}',
    'service="x",',
    'a="1",b="2"',
    "a=1,b=2",
    "service=~(",
    'service=~"*"',
    'service=~"a{2,1}"',
    "a b=c",
    '""="x"',
]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_matcher_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a (matcher|regular expression)") as refused:
        matcher(text)
    assert repr(text) in str(refused.value)


def test_all_matchers_have_to_hold() -> None:
    critical, cart = matcher("severity=critical"), matcher("service=cart")
    assert all_match([], LABELS)
    assert all_match([critical], LABELS)
    assert not all_match([critical, cart], LABELS)


names = st.text(min_size=1, max_size=20)
values = st.text(max_size=30)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


@given(names, values, values)
def test_a_quoted_matcher_takes_any_name_and_value(name: str, value: str, other: str) -> None:
    equal, unequal = matcher(f"{quoted(name)}={quoted(value)}"), matcher(f"{quoted(name)}!={quoted(value)}")
    assert equal.matches({name: value})
    assert equal.matches({name: other}) is (value == other)
    assert unequal.matches({name: other}) is not equal.matches({name: other})
    assert equal.matches({}) is (value == "")


@given(names, st.sampled_from(["=", "!="]), values)
def test_a_matcher_is_written_as_it_is_read(name: str, op: str, value: str) -> None:
    one = matcher(f"{quoted(name)}{op}{quoted(value)}")
    assert matcher(str(one)) == one


@given(st.text(max_size=40))
def test_any_text_is_a_matcher_or_is_refused(text: str) -> None:
    try:
        one = matcher(text)
    except ValueError:
        return
    assert one.op in ("=", "!=", "=~", "!~")
    assert one.name


def test_what_prometheus_reads_is_read_alike() -> None:
    assert matcher('service=~"[[:alpha:]]+"').matches({"service": "cart"})
    assert not matcher('service=~"[[:alpha:]]+"').matches({"service": "cart1"})
    assert matcher('service=~"(?i)CART"').matches({"service": "cart"})
    assert not matcher('service=~"(a+)+$"').matches({"service": "a" * 5000 + "b"}), "in time linear in the text"


@pytest.mark.parametrize("text", ["a=" + " " * 100_000 + '"', "a=" + " b" * 50_000 + ",", "a=b" + " " * 100_000 + ","])
@pytest.mark.timeout(5)  # it took minutes once
def test_a_text_of_many_spaces_is_refused_at_once(text: str) -> None:
    with pytest.raises(ValueError, match="not a matcher"):
        matcher(text)


@pytest.mark.parametrize("text", ['"größe 🙂"="XL 日本"', "größe🙂=XL日本", "größe🙂 = XL日本", '"größe 🙂"=~"XL .+"'])
def test_names_may_be_any_text_as_in_alertmanagers_utf_8_mode(text: str) -> None:
    """https://prometheus.io/docs/alerting/latest/configuration/#label-matchers ; Alertmanager can do this since 0.27."""
    assert matcher(text).matches({"größe 🙂": "XL 日本", "größe🙂": "XL日本"})
    assert not matcher(text).matches({"größe": "XL日本"})
