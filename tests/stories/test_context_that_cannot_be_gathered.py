"""The cluster or Prometheus is slow or broken: the message says what was not gathered and why, and nothing waits for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.program import program

SHORT = {f"context.gatherers.{name}.deadline": "300ms" for name in ("rollouts", "pods", "logs", "events", "metrics")}


async def test_a_cluster_that_fails_is_said_with_the_reason(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        it.world.cluster.fail("status", verb="*", resource="*", status=500, count=None)
        await it.alert()
        await it.wait(2)
        text = it.text("inc-1")
        assert text.count("Not gathered, because") == 4, "rollouts, pods, logs and events"
        assert "500" in text
        assert [file.name for file in it.world.workspace.state.files.values() if file.name.endswith(".png")]


async def test_what_takes_too_long_is_left_out_and_the_channel_does_not_wait_for_it(tmp_path: Path) -> None:
    async with program(tmp_path, SHORT) as it:
        it.world.cluster.fail("timeout", verb="*", resource="*", seconds=20, count=4)
        it.world.prometheus.fail("timeout", seconds=20)
        await it.alert()
        await it.settle()
        text = it.text("inc-1")
        assert text.count("Not gathered, because it took longer than 0.3 s") == 5
        kinds = [
            key.split()[1].partition(":")[0] for key in it.message_keys() if key.startswith(it.channel("inc-1").id)
        ]
        assert kinds.index("card") < kinds.index("context")
        order = [call["method"] for call in it.calls("conversations.create", "chat.postMessage")]
        assert order.index("conversations.create") < 2, "the channel came first, beside the page"


@pytest.mark.parametrize("kind", ["error", "timeout"])
async def test_prometheus_alone_fails(tmp_path: Path, kind: str) -> None:
    async with program(tmp_path, {"context.gatherers.metrics.deadline": "300ms"}) as it:
        it.world.prometheus.fail(kind, seconds=20)  # type: ignore[arg-type]
        await it.alert()
        await it.settle()
        text = it.text("inc-1")
        assert text.count("Not gathered, because") == 1
        assert "1.4.1" in text, "the rollout was found all the same"


async def test_an_alert_about_something_that_does_not_exist_is_no_trouble(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        await it.alert(service="ghost", deployment="ghost", namespace="shop")
        await it.settle()
        text = it.text("inc-1")
        assert "Not gathered, because" in text
        assert "ghost" in text
        assert "Traceback" not in text
