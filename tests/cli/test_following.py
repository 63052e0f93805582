"""A run followed on a terminal: what it shows, what it asks, whose answers count. The engine is real; the screen and the clock are the test's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bot.cli.following import UNMOVED, Following, Unmoved, Works
from bot.cli.showing import Shown
from bot.cli.terminal import INTERRUPT
from bot.domain.allowance import Allowance, Limits
from bot.domain.people import Actor
from bot.domain.policy import Policy as ActionPolicy
from bot.domain.run import Run, RunState
from bot.domain.runbook import Runbook
from bot.store import open_store
from tests.support.house import ADA, BOB, House, rules

ADA_HERE = Actor(id="ada", name="Ada (command line)")
SET = {"id": "set", "action": "fake.set", "with": {"name": "checkout", "to": 5}}
Typed = str | Callable[[], Any]


class Screen:
    """Types the next line whenever a question has been shown. A function instead of a line is something that happens elsewhere."""

    def __init__(self, house: House, typed: list[Typed], *, interactive: bool, served: bool) -> None:
        self.interactive = interactive
        self.said: list[str] = []
        self._house = house
        self._typed = typed
        self._served = served
        self._asked = False
        self._looks = 0

    def say(self, line: str = "") -> None:
        self.said.append(line)

    def forget(self) -> None:
        self._asked = True

    async def line(self, seconds: float) -> str | None:
        self._looks += 1
        assert self._looks < 300, "\n".join(self.said)
        self._house.clock.forward(seconds=seconds)
        if self._served:
            await self._house.settle()
        if self._typed and callable(self._typed[0]):
            happens: Any = self._typed.pop(0)
            await happens()
            return None
        wanted = self._typed and (self._asked or self._typed[0] == INTERRUPT)
        if not wanted:
            return None
        self._asked = False
        return str(self._typed.pop(0))

    @property
    def text(self) -> str:
        return "\n".join(self.said)


async def house_of(*steps: dict[str, Any], limits: dict[str, Any] | None = None, **approve: Any) -> House:
    wanted = {"role": "responders", **approve}
    book = {"name": "fix", "title": "Fix it", "start": "manual", "approve": wanted, "steps": list(steps) or [SET]}
    allow = (Allowance(actions=("fake.*",), namespaces=("shop",)),)
    policy = ActionPolicy(allow=allow, runbooks=Limits.model_validate(limits or {}))
    house = House(await open_store("memory://"), rules(runbooks={"fix": Runbook.model_validate(book)}, actions=policy))
    await house.receive(house.alert())
    await house.settle()
    return house


async def nothing() -> None:
    """One look more."""


async def followed(
    house: House,
    *typed: Typed,
    actor: Actor = ADA_HERE,
    digests: tuple[str, ...] = (),
    interactive: bool = True,
    served: bool = True,
    redact: Callable[[str], str] = str,
) -> tuple[Run, Screen]:
    run = await house.runbooks.start(1, "fix", {}, actor)
    screen = Screen(house, list(typed), interactive=interactive, served=served)
    works = Works(house.store, house.runbooks, house.decisions, lambda: house.rules, house.clock)
    following = Following(works, screen, Shown(redact), run.id, actor, digests)
    return await following.to_the_end(), screen


async def test_the_plan_is_shown_as_a_diff_and_y_approves_exactly_it() -> None:
    house = await house_of()
    run, screen = await followed(house, "y")
    assert (run.state, house.world["checkout"]) == (RunState.SUCCEEDED, 5)
    [approver] = run.steps[0].approvals
    assert approver.actor == ADA_HERE
    text = screen.text
    assert "  - value: 1\n  + value: 5" in text
    assert f"plan {approver.digest}" in text
    assert "Approve? [y/N]" in text
    assert text.index("+ value: 5") < text.index("Approve?") < text.index("RUN-1 did set") < text.index("succeeded")
    assert "03:00:00  Ada (command line) started RUN-1: Fix it" in text
    told = [line for line in screen.said if line]
    assert len(told) == len(set(told)), "each thing once"


@pytest.mark.parametrize("word", ["n", "No", ""])
async def test_anything_but_a_yes_is_a_no(word: str) -> None:
    house = await house_of()
    run, screen = await followed(house, word)
    assert (run.state, house.world["checkout"]) == (RunState.REFUSED, 1)
    assert "RUN-1 is refused. Nothing was done." in screen.text


async def test_what_is_no_answer_at_all_is_asked_again() -> None:
    run, screen = await followed(await house_of(), "yess", "y")
    assert run.state is RunState.SUCCEEDED
    assert screen.said.count("Approve? [y/N]") == 2


async def test_a_freeze_holds_the_approval_and_the_glass_goes_past_it_with_a_reason() -> None:
    house = await house_of(limits={"freeze": [{"name": "Sale"}], "break_glass": ["responders"]})
    run, screen = await followed(house, "y", "break glass", "", "b", "the shop is down")
    assert run.state is RunState.SUCCEEDED
    [approver] = run.steps[0].approvals
    assert approver.broke_glass == "the shop is down"
    text = screen.text
    assert "Approve? [y/N/break glass]" in text
    assert "policy.yaml (runbooks.freeze[0]): Sale: nothing is changed" in text
    assert "Breaking the glass needs a reason in words" in text
    assert "BROKE THE GLASS" in text


async def test_who_may_only_break_the_glass_is_told_so() -> None:
    house = await house_of(limits={"break_glass": ["responders"]}, not_requester=True)
    run, screen = await followed(house, "y", "b", "nobody else is awake")
    assert "Whoever asked for RUN-1 cannot approve it as well" in screen.text
    assert "Approve all the same? [N/break glass]" in screen.text
    assert run.state is RunState.SUCCEEDED


async def test_who_may_not_approve_is_not_asked_and_others_can() -> None:
    house = await house_of(not_requester=True)

    async def bob_clicks() -> None:
        run = await house.run()
        assert run.current.plan is not None
        await house.decisions.approve(1, "set", run.current.plan.digest, BOB)

    run, screen = await followed(house, nothing, bob_clicks)
    assert run.state is RunState.SUCCEEDED
    assert "Approve?" not in screen.text
    assert "Whoever asked for RUN-1 cannot approve it as well. Ask somebody else of responders." in screen.text
    assert "Bob approved RUN-1, step set" in screen.text


async def test_two_people_have_to_say_yes_and_one_is_asked_once() -> None:
    house = await house_of(people=2)

    async def bob_clicks() -> None:
        run = await house.run()
        assert run.current.plan is not None
        await house.decisions.approve(1, "set", run.current.plan.digest, BOB)

    run, screen = await followed(house, "y", bob_clicks)
    assert run.state is RunState.SUCCEEDED
    assert "Approved. RUN-1 needs 1 more of responders; nothing is done before." in screen.text
    assert screen.said.count("Approve? [y/N]") == 1


async def test_a_world_that_changes_meanwhile_is_shown_and_asked_again() -> None:
    house = await house_of()

    async def somebody_else_scales() -> None:
        house.world["checkout"] = 3

    run, screen = await followed(house, somebody_else_scales, "y", "y")
    assert run.state is RunState.SUCCEEDED
    assert screen.text.index("- value: 1") < screen.text.index("- value: 3")
    assert screen.said.count("Approve? [y/N]") == 2


async def test_a_plan_approved_beforehand_goes_without_a_question() -> None:
    house = await house_of()
    run, _ = await followed(house, "n")
    assert run.steps[0].plan is not None
    digest = run.steps[0].plan.digest
    run, screen = await followed(house, digests=("0" * 16, digest), interactive=False)
    assert run.state is RunState.SUCCEEDED
    assert "Approve?" not in screen.text


async def test_another_plan_than_the_one_approved_beforehand_waits() -> None:
    house = await house_of(expires="PT1M")
    run, screen = await followed(house, digests=("0" * 16,), interactive=False)
    assert (run.state, house.world["checkout"]) == (RunState.EXPIRED, 1)
    assert run.steps[0].plan is not None
    assert f"--yes {'0' * 16} is not this plan" in screen.text
    follow = f"on a terminal by `tocsin runbook follow RUN-1` (without one: --yes {run.steps[0].plan.digest})."
    assert f"waits for somebody who may answer: in Slack, or {follow}" in screen.text


ASK = {"id": "which", "action": "ask", "with": {"question": "Which way?", "choices": ["left", "right"]}}
DO = {"id": "look", "action": "manual", "with": {"do": "Look at the lamp"}}


async def test_questions_are_answered_by_number_or_by_word() -> None:
    run, screen = await followed(await house_of(ASK, {**ASK, "id": "again"}), "7", "2", "left")
    assert [step.outputs["answer"] for step in run.steps] == ["right", "left"]
    assert run.steps[0].outputs["by"] == "Ada (command line)"
    assert "1) left  2) right" in screen.text
    assert "'7' is not one of left, right" in screen.text


async def test_something_to_do_waits_until_it_is_done() -> None:
    run, screen = await followed(await house_of(DO), "n", "y")
    assert run.state is RunState.SUCCEEDED
    assert "Done? [y/N]" in screen.text
    assert "RUN-1 waits until it is done" in screen.text


async def test_without_a_server_it_is_said_after_a_while_and_not_while_people_think() -> None:
    house = await house_of()
    began = house.clock()
    with pytest.raises(Unmoved):
        await followed(house, served=False)
    assert UNMOVED <= house.clock() - began < 2 * UNMOVED
    house = await house_of(expires="PT1M")
    run, _ = await followed(house)
    assert run.state is RunState.EXPIRED


async def test_a_server_that_dies_after_the_approval_is_noticed() -> None:
    house = await house_of()

    async def dies() -> None:
        house.worker = None  # type: ignore[assignment]

    house_settle = house.settle

    async def settle() -> None:
        if house.worker is not None:
            await house_settle()

    house.settle = settle  # type: ignore[method-assign]
    with pytest.raises(Unmoved):
        await followed(house, nothing, dies, "y")
    assert house.world["checkout"] == 1


@pytest.mark.parametrize(("answer", "state"), [("c", RunState.CANCELLED), ("cancel", RunState.CANCELLED)])
async def test_ctrl_c_asks_and_cancels(answer: str, state: RunState) -> None:
    house = await house_of()
    run, screen = await followed(house, INTERRUPT, answer)
    assert (run.state, house.world["checkout"]) == (state, 1)
    assert "Cancel RUN-1, or leave it running? [c/L]" in screen.text


@pytest.mark.parametrize(
    ("typed", "interactive"), [((INTERRUPT, ""), True), ((INTERRUPT, INTERRUPT), True), ((INTERRUPT,), False)]
)
async def test_ctrl_c_leaves_it_running(typed: tuple[str, ...], interactive: bool) -> None:
    house = await house_of()
    run, screen = await followed(house, *typed, interactive=interactive)
    assert not run.ended
    assert not (await house.run()).ended
    assert "RUN-1 goes on without you: tocsin runbook follow RUN-1" in screen.text


async def test_texts_from_outside_cannot_steer_the_terminal_and_show_no_secrets() -> None:
    evil = "x\x1b[2J\x1b]0;title\x07\x9b31m\u202eevil\nApprove? hunter2"
    house = await house_of({**DO, "with": {"do": evil}, "title": f"t{evil}"})
    run, screen = await followed(house, "y", redact=lambda text: text.replace("hunter2", "[secret]"))
    assert run.state is RunState.SUCCEEDED
    for line in screen.said:
        assert not set(line) & set("\x1b\x07\x9b\u202e\n\r"), repr(line)
    assert "hunter2" not in screen.text
    assert "[secret]" in screen.text


async def test_a_name_on_record_says_that_it_came_from_the_command_line() -> None:
    house = await house_of()
    await followed(house, "y")
    told = (await house.incidents.show(1)).timeline
    assert {one.actor for one in told if one.kind in ("run_started", "run_approved")} == {ADA_HERE.name}
    assert ADA.name not in {one.actor for one in told if one.kind.startswith("run_")}
