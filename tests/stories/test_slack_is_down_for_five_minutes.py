"""Slack is down for five minutes: alerts are still accepted, and afterwards everything is delivered, once, in order, pages first."""

from __future__ import annotations

from pathlib import Path

from bot.domain.incident import State
from tests.support.program import Program, program

COSMETICS = ("conversations.setTopic", "pins.add", "files.completeUploadExternal")


def order(it: Program, *methods: str, channel: str = "") -> list[str]:
    calls = it.calls(*methods)
    return [call["method"] for call in calls if not channel or call["channel"] == channel]


async def test_everything_that_waited_is_delivered_afterwards_in_order_and_once(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        it.world.workspace.api.calls.clear()
        it.world.workspace.faults.add("down")
        assert (await it.alert())["outcome"] == "opened"
        await it.settle()
        for minute in range(5):
            if minute % 2:
                told = await it.alert(service=f"{minute}-search", severity="warning")
                assert told["outcome"] == "opened"
            await it.wait(60, step=15)
        assert it.calls() == [], "something got through"

        it.world.workspace.faults.clear()
        await it.wait(60, step=60)
        await it.wait(120, step=20)

        assert len(it.channels("inc-")) == 3
        for channel in it.channels("inc-"):
            methods = [call["method"] for call in it.calls() if call["channel"] == channel.id]
            first_message = methods.index("chat.postMessage")
            assert methods.index("conversations.invite") < first_message < methods.index("conversations.setTopic")
            keyed = [message for message in channel.messages.values() if message.metadata]
            kinds = [
                message.metadata["event_payload"]["key"].partition(":")[0] for message in keyed if message.metadata
            ]
            assert kinds.index("card") < kinds.index("say"), "first what it is, then what happens"
            assert channel.pins == [keyed[kinds.index("card")].ts]
        assert len(it.message_keys()) == len(set(it.message_keys())), "no message twice"
        backlog = await it.tocsin.store.backlog(it.clock())
        assert sum(one.due + one.dead for one in backlog) == 0


async def test_pages_go_out_before_anything_cosmetic(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        it.world.workspace.faults.add("down")
        await it.alert()
        await it.settle()
        await it.wait(20, step=10)
        it.world.workspace.faults.clear()
        await it.wait(60, step=60)
        methods = order(it)
        first_page = next(n for n, call in enumerate(it.calls()) if call["channel"].startswith("D"))
        assert all(first_page < methods.index(method) for method in COSMETICS if method in methods)
        assert first_page < methods.index("conversations.create")


async def test_whoever_acknowledges_during_the_outage_is_not_paged_when_it_is_over(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        it.world.workspace.faults.add("down")
        await it.alert()
        await it.wait(120, step=10)
        assert "INC-1 is yours" in await it.command("U0BOB", "ack INC-1")
        await it.wait(180, step=10)
        it.world.workspace.faults.clear()
        await it.wait(300, step=10)
        assert (await it.incident()).state is State.ACKNOWLEDGED
        pages = [name for user in ("U0ADA", "U0BOB", "U0CHEN") for name in it.pages(user)]
        assert pages == []
        assert "You are paged" not in it.text("incidents")
        assert "Bob Kahn" in it.channel("inc-1").topic


async def test_a_page_is_not_kept_waiting_by_a_long_pause_when_slack_is_back(tmp_path: Path) -> None:
    async with program(tmp_path, {"oncall.policies.shop.levels[0].timeout": "1h"}) as it:
        it.world.workspace.faults.add("down")
        await it.alert()
        await it.wait(300, step=5)
        it.world.workspace.faults.clear()
        await it.wait(10)
        assert len([page for user in ("U0ADA", "U0CHEN") for page in it.pages(user)]) == 1
