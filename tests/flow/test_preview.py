"""What a runbook would do, shown step by step, with nothing changed and nothing written."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bot.clients.expressions import CelExpressions
from bot.domain.allowance import Allowance, Limits
from bot.domain.expand import begun
from bot.domain.policy import Policy as ActionPolicy
from bot.domain.policy import Touch
from bot.domain.runbook import Runbook
from bot.errors import TryLater
from bot.flow.preview import Foreseen, Preview
from bot.flow.seeing import Sight
from bot.store import open_store
from tests.domain.alerts import incident
from tests.support.fakes import PlainTemplates
from tests.support.house import ADA, House, rules

SET = {"action": "fake.set", "with": {"name": "checkout", "to": 5}}


def book(name: str, *steps: dict[str, Any], **more: Any) -> Runbook:
    return Runbook.model_validate({"name": name, "title": name, "start": "manual", "steps": steps, **more})


def preview_of(house: House) -> Preview:
    sight = Sight(house.actions, PlainTemplates(), CelExpressions(), lambda: house.rules)
    return Preview(sight, house.clock, lambda: house.rules)


async def foreseen(
    *steps: dict[str, Any], limits: dict[str, Any] | None = None, touches: tuple[Touch, ...] = (), **others: Runbook
) -> tuple[dict[str, Foreseen], House]:
    numbers = Allowance(actions=("fake.*",), namespaces=("shop",), names=("checkout", "a", "b"), max_share=0.5)
    allow = (numbers, Allowance(actions=("slack.post",), names=("ops",)))
    policy = ActionPolicy(allow=allow, runbooks=Limits.model_validate(limits or {}))
    main = book("main", *steps)
    house = House(await open_store("memory://"), rules(actions=policy))
    preview = preview_of(house)
    run = begun(0, incident(), main, {}, ADA, house.clock(), others)
    shown = await preview(run, incident(), touches)
    assert house.action.writes_done == []
    assert house.world == {"checkout": 1}
    return {one.step_id: one for one in shown}, house


async def test_every_step_has_its_plan_and_those_of_calls_groups_and_lists_are_named() -> None:
    called = book("called", {"id": "inner", **SET})
    found, _ = await foreseen(
        {"id": "one", **SET},
        {"id": "call", "call": "called"},
        {"id": "both", "parallel": [{"id": "left", **SET}, {"id": "right", **SET}]},
        {"id": "each", "action": "fake.set", "foreach": ["a", "b"], "with": {"name": "{{ item }}", "to": 2}},
        called=called,
    )
    assert list(found) == ["one", "call.inner", "left", "right", "each[1]", "each[2]"]
    for one in found.values():
        assert one.plan is not None
        assert not one.refused
    plan = found["each[2]"].plan
    assert plan is not None
    assert plan.lines() == ["  number b", "- value: 0", "+ value: 2"]


async def test_steps_that_ask_wait_tell_or_are_skipped_say_so_and_are_no_failure() -> None:
    found, _ = await foreseen(
        {"id": "ask", "action": "ask", "with": {"question": "Which?", "choices": ["a", "b"]}},
        {"id": "do", "action": "manual", "with": {"do": "Look at it"}},
        {"id": "rest", "action": "wait", "with": {"for": "2m"}},
        {"id": "tell", "action": "slack.post", "with": {"channel": "ops", "text": "hello"}},
        {"id": "never", "if": "1 == 2", **SET},
        {"id": "none", "action": "fake.set", "foreach": "[]", "with": {"name": "a", "to": 1}},
    )
    assert found["ask"].words == "asks: Which?"
    assert found["do"].words == "asks: Look at it"
    assert found["rest"].words == "waits for 0:02:00"
    assert "ops" in found["tell"].words
    assert found["never"].words == "skipped: `1 == 2` does not hold"
    assert not any(one.refused or one.plan for one in found.values())


async def test_what_policy_refuses_is_said_with_the_rule_and_not_even_looked_at() -> None:
    found, _ = await foreseen(
        {"id": "other", "action": "fake.set", "with": {"name": "cart", "to": 5}},
        {"id": "tell", "action": "slack.post", "with": {"channel": "all", "text": "hello"}},
    )
    assert found["other"].plan is None
    assert "no rule under `allow` lets fake.set touch shop/cart" in found["other"].refused
    assert "lets slack.post touch all" in found["tell"].refused


async def test_a_plan_beyond_its_bounds_is_shown_and_refused() -> None:
    house = House(await open_store("memory://"), rules())
    bounded = Allowance(actions=("fake.*",), namespaces=("shop",), max_share=0.5)
    house.rules = rules(actions=ActionPolicy(allow=(bounded,)))
    made = house.action.plan
    house.action.plan = lambda state, params: made(state, params).model_copy(update={"share": 1.0})  # type: ignore[method-assign]
    run = begun(0, incident(), book("main", {"id": "one", **SET}), {}, ADA, house.clock())
    [one] = await preview_of(house)(run, incident())
    assert one.plan is not None
    assert "at most 50% of the targets may be touched at once (max_share), this is 100%" in one.refused


async def test_what_holds_it_for_now_is_a_note_and_no_refusal() -> None:
    found, house = await foreseen({"id": "one", **SET}, limits={"freeze": [{"name": "Sale"}]})
    assert not found["one"].refused
    assert "Sale: nothing is changed" in found["one"].held
    touched = Touch(lock="shop/checkout", action="fake.set", run_id=7, at=house.clock() - timedelta(minutes=1))
    found, _ = await foreseen({"id": "one", **SET}, limits={"cooldown": "PT5M"}, touches=(touched,))
    assert "RUN-7 touched shop/checkout" in found["one"].held
    same = {"id": "same", "action": "fake.set", "with": {"name": "checkout", "to": 1}}
    found, _ = await foreseen(same, limits={"freeze": [{"name": "Sale"}]})
    assert found["same"].held == "", "where nothing has to change, nothing is held"


async def test_one_step_that_cannot_be_planned_does_not_hide_the_others() -> None:
    found, house = await foreseen(
        {"id": "bad", "action": "fake.set", "with": {"name": "a", "to": "many"}},
        {"id": "odd", "if": "steps.nothing.here == 1", **SET},
        {"id": "list", "action": "fake.set", "foreach": "7", "with": {"name": "a", "to": 1}},
        {"id": "gone", "action": "fake.nothing"},
        {"id": "fine", **SET},
    )
    assert "step bad: to:" in found["bad"].refused
    assert found["odd"].refused
    assert "wanted a list" in found["list"].refused
    assert "there is no action called fake.nothing" in found["gone"].refused
    assert found["fine"].plan is not None
    assert house.action.writes_done == []


async def test_a_world_that_does_not_answer_is_said() -> None:
    house = House(await open_store("memory://"))

    async def look(params: Any) -> dict[str, Any]:
        raise TryLater("the cluster does not answer")

    house.action.look = look  # type: ignore[method-assign]
    preview = preview_of(house)
    run = begun(0, incident(), book("main", {"id": "one", **SET}), {}, ADA, house.clock())
    [one] = await preview(run, incident())
    assert one.refused == "the cluster does not answer"
