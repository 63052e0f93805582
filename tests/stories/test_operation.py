"""What whoever runs Tocsin sees of a story: /healthz, /readyz and /metrics over real HTTP."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.program import program
from tests.support.scraped import value


async def test_the_metrics_tell_the_story(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        await it.alert()
        await it.alert()
        await it.wait(35, step=5)
        await it.click("U0BOB", "tocsin_ack")
        await it.alert(firing=False)
        await it.post("{")
        await it.post("{}", token="wrong")
        status, text = await it.scrape("/metrics")
        assert status == 200
        for outcome in ("opened", "repeated", "resolved"):
            assert value(text, "tocsin_alerts_received_total", source="alertmanager", outcome=outcome) == 1
        assert value(text, "tocsin_webhook_seconds_count", source="alertmanager", code="200") == 3
        assert value(text, "tocsin_webhook_seconds_count", source="alertmanager", code="400") == 1
        assert value(text, "tocsin_webhook_seconds_count", source="alertmanager", code="401") == 1
        assert value(text, "tocsin_webhook_to_first_message_seconds_count") == 1
        assert value(text, "tocsin_escalations_total", policy="shop") == 2, "two levels were paged"
        assert value(text, "tocsin_deliveries_total", kind="open_channel", outcome="done") == 1
        assert value(text, "tocsin_slack_calls_total", method="conversations.create", outcome="ok") == 1
        assert value(text, "tocsin_outbox_due", kind="review") == 1, "asked for and not yet delivered"
        await it.wait(5)
        _, text = await it.scrape("/metrics")
        assert value(text, "tocsin_outbox_due", kind="review") == 0
        assert "checkout" not in text, "no label of an alert becomes a label here"


async def test_failures_of_slack_show_as_a_growing_backlog(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        it.world.workspace.faults.add("down")
        await it.alert()
        await it.wait(120, step=20)
        _, text = await it.scrape("/metrics")
        assert value(text, "tocsin_delivery_failures_total", kind="open_channel") >= 2
        assert value(text, "tocsin_outbox_pending", kind="open_channel") == 1
        assert value(text, "tocsin_outbox_pending", kind="card") == 1
        assert (await it.scrape("/readyz"))[0] == 200, "it can still take alerts"
        it.world.workspace.faults.clear()
        await it.wait(120, step=60)
        _, text = await it.scrape("/metrics")
        assert value(text, "tocsin_outbox_due", kind="card") == 0


async def test_what_was_given_up_is_counted_as_dead(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        it.world.workspace.faults.add("error", "conversations.create", error="restricted_action")
        await it.alert()
        await it.wait(5)
        _, text = await it.scrape("/metrics")
        assert value(text, "tocsin_outbox_dead", kind="open_channel") == 1
        assert value(text, "tocsin_deliveries_total", kind="open_channel", outcome="dead") == 1


async def test_it_is_alive_and_ready_and_says_when_the_database_is_gone(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        assert await it.scrape("/healthz") == (200, '{"status": "ok"}')
        assert json.loads((await it.scrape("/readyz"))[1]) == {"status": "ok", "checks": {"database": "ok"}}
        await it.tocsin.store.close()
        status, text = await it.scrape("/readyz")
        assert status == 503
        assert json.loads(text)["checks"]["database"] != "ok"
        assert "Traceback" not in text
        assert (await it.scrape("/healthz"))[0] == 200
        status, answer = await it.post({"version": "4", "alerts": []})
        assert status in (200, 503), answer
        status, text = await it.scrape("/metrics")
        assert status == 200
        assert value(text, "tocsin_outbox_known") == 0


async def test_an_unknown_path_is_refused_in_the_usual_shape(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        for path in ("/", "/admin", "/webhooks", "/webhooks/alertmanger", "/metrics/../x", "/%00"):
            status, text = await it.scrape(path)
            assert status in (404, 405), path
            assert set(json.loads(text)) >= {"error", "hint"}
