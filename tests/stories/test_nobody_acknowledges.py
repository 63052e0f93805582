"""Nobody answers: the next person is paged, then the channel, once more from the start, and then it is said loudly that nobody is left."""

from __future__ import annotations

from pathlib import Path

from bot.domain.incident import State
from tests.support.program import Program, program, words

MINUTE = {"oncall.policies.shop.levels[0].timeout": "5m", "oncall.policies.shop.levels[1].timeout": "5m"}


def texts(it: Program) -> str:
    return "\n".join(words(one) for one in it.messages("incidents"))


async def test_paging_goes_on_to_the_next_person_the_channel_and_the_alarm(tmp_path: Path) -> None:
    async with program(tmp_path, MINUTE) as it:
        await it.alert()
        await it.settle()
        (first,) = {"U0ADA", "U0CHEN"} & {user for user in ("U0ADA", "U0CHEN") if it.pages(user)}
        assert it.pages("U0BOB") == []

        await it.wait(299, step=299)
        assert it.pages("U0BOB") == []
        await it.wait(2)
        assert len(it.pages("U0BOB")) == 1
        assert "Paging Bob Kahn (policy shop, level 2)" in it.text("inc-1")
        assert "U0BOB" in it.channel("inc-1").members
        assert texts(it) == ""

        await it.wait(300, step=300)
        assert "Please acknowledge" in texts(it)
        await it.wait(600, step=300)
        assert len(it.pages(first)) == 2, "the second round"
        await it.wait(20 * 60, step=300)
        assert len(it.pages("U0BOB")) == 2
        assert texts(it).count("NOBODY ACKNOWLEDGED INC-1") == 1
        assert "<!channel>" in texts(it)
        assert "NOBODY ACKNOWLEDGED INC-1" in it.text("inc-1")

        await it.wait(24 * 3600, step=6 * 3600)
        assert len(it.pages("U0BOB")) == 2
        assert texts(it).count("NOBODY ACKNOWLEDGED INC-1") == 1


async def test_the_button_on_the_page_acknowledges_and_goes(tmp_path: Path) -> None:
    async with program(tmp_path, MINUTE) as it:
        await it.alert()
        await it.settle()
        await it.wait(300, step=300)
        direct = it.direct("U0BOB")
        (page,) = direct.messages.values()
        assert "is yours" in await it.press("U0BOB", direct, page, "tocsin_page_ack")
        incident = await it.incident()
        assert (incident.state, incident.acknowledged_by) == (State.ACKNOWLEDGED, "Bob Kahn")
        await it.soon(lambda: "Acknowledged by Bob Kahn" in words(page))
        assert "tocsin_page_ack" not in words(page)
        await it.wait(3600, step=900)
        assert len(it.pages("U0BOB")) == 1
        assert texts(it) == ""
        assert "NOBODY" not in it.text("inc-1")


async def test_a_person_whom_slack_does_not_know_is_passed_over_at_once(tmp_path: Path) -> None:
    more = {**MINUTE, "oncall.people.ada.slack": "U0GONE01", "oncall.people.chen.slack": "U0GONE02"}
    async with program(tmp_path, more) as it:
        await it.alert()
        await it.wait(5)
        assert len(it.pages("U0BOB")) == 1, "the next level, without waiting five minutes"
        assert "Could not page" in it.text("inc-1")
        assert "check the user id in oncall.yaml" in it.text("inc-1")
