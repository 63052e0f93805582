"""By what somebody is paged, and when: their own rules, what the severity may use, what is set up, and what is left when one fails."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.contact import Method, Notify, fallback, plan

MEDIA = {"slack": "slack", "mail": "email", "texts": "sms", "voice": "call", "teams": "chat"}


def method(key: str, medium: str = "", verified: bool = True, address: str = "somewhere") -> Method:
    return Method(key=key, medium=medium or key, address=address, verified=verified)


SLACK, MAIL, TEXTS, VOICE = method("slack"), method("mail"), method("sms", "texts"), method("call", "voice")
EVERY = (SLACK, MAIL, TEXTS, VOICE)


def own(*rules: tuple[str, float]) -> tuple[Notify, ...]:
    return tuple(Notify(method=key, after=timedelta(minutes=minutes)) for key, minutes in rules)


def planned(
    methods: tuple[Method, ...] = EVERY, rules: tuple[Notify, ...] = (), allowed: tuple[str, ...] = ()
) -> list[tuple[str, float]]:
    steps = plan(methods, rules, allowed, MEDIA).steps
    return [(step.method.key, step.after.total_seconds() / 60) for step in steps]


@pytest.mark.parametrize(
    ("rules", "allowed", "steps"),
    [
        ((), (), [("slack", 0), ("mail", 0), ("sms", 3), ("call", 5)]),
        (own(("slack", 0), ("sms", 3)), (), [("slack", 0), ("sms", 3)]),
        (own(("sms", 3), ("call", 5)), (), [("sms", 0), ("call", 2)]),
        (own(("call", 5), ("sms", 3)), (), [("sms", 0), ("call", 2)]),
        (own(("slack", 0), ("slack", 5)), (), [("slack", 0)]),
        (own(("gone", 0), ("sms", 4)), (), [("sms", 0)]),
        (own(("gone", 0)), (), [("slack", 0), ("mail", 0), ("sms", 3), ("call", 5)]),
        (own(("slack", 0), ("sms", 3), ("call", 5)), ("log", "slack", "chat"), [("slack", 0)]),
        (own(("sms", 3), ("call", 5)), ("log", "slack"), [("slack", 0)]),
        ((), ("sms", "call"), [("sms", 0), ("call", 2)]),
        ((), ("texts",), [("sms", 0)]),
        (own(("mail", 1)), ("pager",), [("slack", 0)]),
    ],
)
def test_own_rules_count_as_far_as_the_severity_uses_them_and_the_first_goes_out_at_once(
    rules: tuple[Notify, ...], allowed: tuple[str, ...], steps: list[tuple[str, float]]
) -> None:
    assert planned(rules=rules, allowed=allowed) == steps


@pytest.mark.parametrize(
    ("methods", "allowed", "nobody"),
    [
        ((), (), "has no contact method"),
        ((method("texts", verified=False),), (), "has no verified contact method"),
        ((method("texts", address=""),), (), "has no verified contact method"),
        ((method("pigeon"),), (), "can be reached by pigeon only, which is not set up"),
        ((TEXTS, VOICE), ("slack",), "can be reached by texts and voice only, which this severity does not use"),
    ],
)
def test_who_cannot_be_reached_is_nobody_with_the_reason(
    methods: tuple[Method, ...], allowed: tuple[str, ...], nobody: str
) -> None:
    made = plan(methods, (), allowed, MEDIA)
    assert (made.steps, made.nobody) == ((), nobody)


@pytest.mark.parametrize(
    ("used", "left"),
    [
        ((), "slack"),
        (("slack",), "mail"),
        (("slack", "mail"), "sms"),
        (("sms",), "slack"),
        (("slack", "mail", "sms", "call"), None),
    ],
)
def test_when_one_fails_the_next_that_can_be_used_is(used: tuple[str, ...], left: str | None) -> None:
    found = fallback(EVERY, used, MEDIA)
    assert (found.key if found else None) == left


def test_what_is_not_verified_or_not_set_up_is_no_way_out() -> None:
    assert fallback((method("texts", verified=False), method("pigeon"), VOICE), (), MEDIA) == VOICE
    assert fallback((method("pigeon"),), (), MEDIA) is None


METHODS = st.lists(
    st.builds(method, st.sampled_from("abcd"), st.sampled_from([*MEDIA, "pigeon"]), st.booleans()), max_size=5
).map(tuple)
RULES = st.lists(st.tuples(st.sampled_from("abcdx"), st.integers(0, 10)), max_size=4).map(lambda some: own(*some))
ALLOWED = st.lists(st.sampled_from(["slack", "sms", "email", "texts"]), max_size=2).map(tuple)


@given(METHODS, RULES, ALLOWED)
def test_a_plan_begins_at_once_uses_each_method_once_and_is_empty_only_with_a_reason(
    methods: tuple[Method, ...], rules: tuple[Notify, ...], allowed: tuple[str, ...]
) -> None:
    made = plan(methods, rules, allowed, MEDIA)
    keys = [step.method.key for step in made.steps]
    assert bool(keys) is not bool(made.nobody)
    assert len(keys) == len(set(keys))
    assert all(step.method in methods and step.method.verified and step.method.medium in MEDIA for step in made.steps)
    assert [step.after for step in made.steps] == sorted(step.after for step in made.steps)
    assert not keys or made.steps[0].after == timedelta(0)
    if not keys and not allowed:
        assert fallback(methods, (), MEDIA) is None
