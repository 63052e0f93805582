"""The story of the demo, over real HTTP: a bad deployment from its alert to its post-mortem."""

from __future__ import annotations

from pathlib import Path

from bot.domain.incident import State
from bot.domain.run import RunState
from tests.support.program import program


async def test_an_alert_becomes_a_channel_a_fix_and_a_post_mortem(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        told = await it.alert()
        assert told["outcome"] == "opened"
        assert told["incident"] == "INC-1"
        await it.settle()

        channel = it.channel("inc-1-checkout-high-error-rate")
        assert {"U0BOB", "U0ADA", "U0CHEN"} & set(channel.members)
        assert "1.4.1" in it.text("inc-1")
        assert "hunter2" not in it.text("inc-1")

        await it.click("U0BOB", "tocsin_ack")
        assert (await it.incident()).state is State.ACKNOWLEDGED
        await it.click("U0BOB", "tocsin_approve")
        await it.wait(30)
        shown = await it.tocsin.incidents.show(1)
        assert [run.state for run in shown.runs] == [RunState.SUCCEEDED]
        assert shown.incident.state is State.MITIGATED
        (deployment,) = [one for one in it.world.cluster.snapshot()["deployments"] if one["name"] == "checkout"]
        assert deployment["image"] == "checkout:1.4.1"
        assert deployment["ready"] == 3

        await it.alert(firing=False)
        await it.wait(5)
        incident = await it.incident()
        assert incident.state is State.RESOLVED
        written = Path(incident.postmortem_path).read_text(encoding="utf-8")
        assert "checkout:1.4.2" in written
        assert "Bob Kahn" in written
        assert "hunter2" not in written
        assert any(file.name.startswith("INC-1-post-mortem") for file in it.world.workspace.state.files.values())
