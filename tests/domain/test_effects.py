"""Effects as rows: what each asks for has one key, one lane and one place in the queue."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from bot.domain import effects, oncall_effects
from bot.domain.contact import Method, Step
from bot.domain.effects import Effect, Priority
from bot.domain.notice import Notice
from bot.domain.oncall_effects import Rung
from tests.domain.alerts import NOW

RUNG = Rung(7, 1, 0, 1)
SMS = Step(method=Method(key="sms", medium="texts", address="+4915100000001"))
NOTICE = Notice(key="recovery:7:1", purpose="recovery", incident_id=7, subject="INC-7 is resolved")
PAGE = oncall_effects.page(RUNG, "person:ada", SMS, NOW)
SUMMON = effects.summon(7, "tocsin-run-2-wake", "person:ada", "why", NOW)
MADE: dict[str, Effect] = {
    "open_channel": effects.open_channel(7, NOW),
    "invite": effects.invite(7, ("ada", "slack:U1"), NOW),
    "card": effects.card(7, NOW),
    "topic": effects.topic(7, NOW),
    "say": effects.say(7, 3, "hello", NOW),
    "alarm": effects.alarm("k", "text", NOW, 7),
    "escalate": effects.escalate(7, 1, 0, 0, NOW),
    "page": PAGE,
    "fall_back": oncall_effects.fall_back(PAGE, NOW),
    "bundle": oncall_effects.bundle("texts", "+4915100000001", NOW),
    "notify": oncall_effects.notify(NOTICE, "person:ada", "texts", "+4915100000001", NOW, Priority.CARD),
    "stand_down": oncall_effects.stand_down(7, 1, "recovery", NOW),
    "still_at_it": oncall_effects.still_at_it(7, 1, NOW, "remind", NOW),
    "hand_over": oncall_effects.hand_over("shop", NOW),
    "user_group": oncall_effects.user_group("shop", NOW),
    "coverage": oncall_effects.coverage("2026-11-20", NOW),
    "gather": effects.gather(7, 1, NOW),
    "show_context": effects.show_context(7, 1, NOW),
    "offer": effects.offer(7, 1, NOW),
    "advance_run": effects.advance_run(2, "scale", NOW),
    "show_run": effects.show_run(7, 2, NOW),
    "share_output": effects.share_output(7, 2, "scale", 0, NOW),
    "post": effects.post(7, "tocsin-run-2-tell", "ops", "text", NOW),
    "summon": SUMMON,
    "recheck": effects.recheck(NOW),
    "news": effects.news(7, NOW),
    "remind": effects.remind(7, 1, NOW),
    "silence_ends": effects.silence_ends(42, NOW + timedelta(minutes=15), NOW),
    "digest": effects.digest("2026-11-20", NOW),
    "review": effects.review(7, 1, NOW),
    "share_review": effects.share_review(7, 1, NOW),
}
NO_CONSTRUCTORS = ("rung_of", "belongs", "summon_by")  # the last makes a part of a summon
CONSTRUCTORS: dict[str, Callable[..., Any]] = {
    name: made
    for module in (effects, oncall_effects)
    for name, made in inspect.getmembers(module, inspect.isfunction)
    if made.__module__ == module.__name__ and not name.startswith("_") and name not in NO_CONSTRUCTORS
}
KINDS = (*effects.KINDS, *oncall_effects.KINDS)


def test_every_constructor_makes_its_own_kind_and_every_kind_has_one() -> None:
    assert set(CONSTRUCTORS) == set(MADE) == set(KINDS)
    assert len(KINDS) == len(set(KINDS))
    assert {name: effect.kind for name, effect in MADE.items()} == {name: name for name in MADE}


@pytest.mark.parametrize("effect", MADE.values(), ids=MADE)
def test_it_can_be_a_row_and_come_back(effect: Effect) -> None:
    assert Effect.model_validate_json(effect.model_dump_json()) == effect
    assert json.loads(json.dumps(effect.payload)) == effect.payload
    assert effect.key.startswith(effect.kind)
    assert effect.due == NOW


def test_keys_tell_apart_what_is_different() -> None:
    keys = [effect.key for effect in MADE.values()]
    assert len(keys) == len(set(keys))
    assert effects.say(7, 3, "a", NOW).key != effects.say(7, 4, "a", NOW).key
    by_call = SMS.model_copy(update={"method": SMS.method.model_copy(update={"key": "call"})})
    others = [
        oncall_effects.page(RUNG._replace(epoch=2), "person:ada", SMS, NOW),
        oncall_effects.page(RUNG._replace(track=1), "person:ada", SMS, NOW),
        oncall_effects.page(RUNG, "person:bob", SMS, NOW),
        oncall_effects.page(RUNG, "person:ada", by_call, NOW),
        oncall_effects.summon_by(SUMMON, "person:ada", SMS, NOW),
        oncall_effects.summon_by(SUMMON, "person:bob", SMS, NOW),
    ]
    assert len({PAGE.key, SUMMON.key, *(one.key for one in others)}) == len(others) + 2
    assert effects.silence_ends(42, NOW, NOW).key != effects.silence_ends(42, NOW + timedelta(1), NOW).key
    assert effects.digest("2026-11-20", NOW).key != effects.digest("2026-11-21", NOW).key
    later = NOW + timedelta(hours=1)
    assert effects.card(7, NOW).key == effects.card(7, later).key, "asking twice is asking once"


def test_what_happens_in_a_channel_happens_in_order_and_no_page_waits_for_it() -> None:
    channel = {
        "open_channel",
        "invite",
        "card",
        "topic",
        "say",
        "show_context",
        "show_run",
        "share_output",
        "share_review",
    }
    assert {name for name, effect in MADE.items() if effect.lane == "incident:7"} == channel
    own = {name for name, effect in MADE.items() if effect.lane == effect.key}
    assert {"page", "escalate", "alarm", "gather", "offer", "post", "summon", "fall_back", "bundle", "notify"} <= own
    assert effects.post(7, "k", "", "text", NOW).lane == "incident:7", (
        "into the incident's own channel, after what is before it"
    )


def test_the_steps_of_a_run_do_not_wait_for_each_other() -> None:
    assert effects.advance_run(2, "left", NOW).lane != effects.advance_run(2, "right", NOW).lane


def test_looking_again_is_asked_for_once_a_second_and_never_too_early() -> None:
    moments = [effects.recheck(NOW + timedelta(milliseconds=each)) for each in (0, 1, 999, 1000, 1001)]
    assert [(one.due - NOW).total_seconds() for one in moments] == [0, 1, 1, 1, 2]
    assert len({one.key for one in moments}) == 3


def test_pages_come_first_and_cosmetics_last() -> None:
    order = sorted(MADE, key=lambda name: MADE[name].priority)
    assert {name for name in order if MADE[name].priority is Priority.PAGE} == {
        "page",
        "alarm",
        "summon",
        "recheck",
        "bundle",
    }
    timers = {name for name, effect in MADE.items() if effect.priority is Priority.TIMER}
    assert timers == {"escalate", "fall_back", "still_at_it"}
    assert Priority.TIMER < Priority.PAGE
    last = {"topic", "review", "share_review", "digest"}
    assert {name for name in order if MADE[name].priority is Priority.COSMETICS} == last
    assert MADE["open_channel"].priority < MADE["show_run"].priority < MADE["card"].priority < MADE["gather"].priority


def test_what_shows_a_state_may_be_replaced_and_what_tells_an_event_may_not() -> None:
    latest = {name for name, effect in MADE.items() if effect.latest_wins}
    assert {"card", "topic", "show_run", "show_context", "advance_run"} <= latest
    assert oncall_effects.page(RUNG, "person:ada", SMS, NOW, loud=True).latest_wins, "it is brought forward"
    assert not latest & {"page", "say", "alarm", "open_channel", "share_review", "gather", "silence_ends", "digest"}


@pytest.mark.parametrize("target", ["person:ada", "channel:ops", "medium:teams"])
@pytest.mark.parametrize("method", ["", "sms", "work:phone"])
def test_what_a_page_belongs_to_can_be_read_from_its_key(target: str, method: str) -> None:
    step = Step(method=Method(key=method, medium="texts", address=""))
    made = oncall_effects.page(Rung(12, 3, 1, 40), target, step, NOW)
    assert oncall_effects.rung_of(made.key) == (Rung(12, 3, 1, 40), target)
    assert oncall_effects.belongs(made.key, Rung(12, 3, 1, 40), target)
    assert not oncall_effects.belongs(made.key, Rung(12, 3, 1, 4), target)


@pytest.mark.parametrize(
    "key", ["", "page", "page:1:2", "page:a:1:0:1:person:ada", "summon:x:person:ada", "notify:1:1:0:1:a:b"]
)
def test_what_is_no_page_belongs_to_nothing(key: str) -> None:
    assert oncall_effects.rung_of(key) is None
