"""Somebody takes over for a night by a command, and a turn is swapped by two buttons: the next page goes to whoever has it then."""

from __future__ import annotations

import json
from pathlib import Path

from bot.room import oncall
from tests.support.program import Program, program, words

ADA, BOB = "U0ADA", "U0BOB"  # in the demo it is always Ada's turn


async def oncall_said(it: Program, user: str, text: str) -> str:
    """Type `/oncall text`; what is answered."""
    outcome = await it.world.workspace.acts.command(user, it.channel("general").id, "/oncall", text)
    await it.settle()
    return json.dumps(outcome, ensure_ascii=False)


def told(it: Program, user: str) -> str:
    return "\n".join(words(one) for one in it.direct(user).messages.values())


async def test_an_override_takes_the_next_page(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        assert "*shop*: Ada Lovelace" in await oncall_said(it, BOB, "now")
        said = await oncall_said(it, BOB, "override shop me now 4h ada is ill")
        assert "Bob Kahn is on call for shop from Mon 2026-03-02 04:00 CET to Mon 2026-03-02 08:00 CET" in said
        assert "Bob Kahn is on call for shop instead of you (ada is ill)" in told(it, ADA)
        await it.alert()
        await it.settle()
        assert (len(it.pages(BOB)), len(it.pages(ADA))) == (1, 0)


async def test_a_swap_is_asked_accepted_and_counts_when_the_turn_begins(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        assert "Bob Kahn is asked to take your turn" in await oncall_said(
            it, ADA, "swap bob 2026-03-02 10:00 4h dentist"
        )
        direct = it.direct(BOB)
        question = next(one for one in direct.messages.values() if oncall.ACCEPT in words(one))
        assert "Ada Lovelace asks you to be on call for shop" in words(question)
        assert "instead of Ada Lovelace" in await it.press(BOB, direct, question, oncall.ACCEPT)
        assert "Bob Kahn accepted swap 1" in told(it, ADA)
        it.clock.forward(hours=7)
        await it.settle()
        assert "You are on call for shop now" in told(it, BOB)
        await it.alert()
        await it.settle()
        assert (len(it.pages(BOB)), len(it.pages(ADA))) == (1, 0)


async def test_somebody_is_paged_by_command_and_tests_their_own_methods(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        said = await oncall_said(it, BOB, "page ada the tills are down")
        assert "INC-1" in said
        assert len(it.pages(ADA)) == 1
        assert "the tills are down" in told(it, ADA)
        assert "slack" in await oncall_said(it, ADA, "test-me")
        assert "this is only a test" in told(it, ADA)


async def test_whoever_is_unknown_may_look_but_change_nothing(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        assert "Ada Lovelace" in await oncall_said(it, "U0PRIYA", "")
        assert "You are not among the people of oncall.yaml" in await oncall_said(
            it, "U0PRIYA", "override shop bob now 4h"
        )
