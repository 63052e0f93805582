"""What Kubernetes and Prometheus see of Tocsin."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus
from structlog.testing import capture_logs

from bot.domain.ports import Backlog
from bot.entry.metrics import Metrics
from bot.entry.operation import Check, Operation
from bot.errors import TryLater

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
PAGES = Backlog("page", due=2, pending=5, dead=1, oldest_due=NOW - timedelta(seconds=90))


@dataclass
class Outbox:
    kinds: Sequence[Backlog] = (PAGES,)
    fails: Exception | None = None
    metrics: Metrics = field(default_factory=Metrics)

    async def backlog(self) -> Sequence[Backlog]:
        if self.fails:
            raise self.fails
        return self.kinds


@asynccontextmanager
async def operating(
    outbox: Outbox, checks: Mapping[str, Check] | None = None
) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = web.Application()
    operation = Operation(checks or {}, outbox.backlog, outbox.metrics, lambda: NOW, seconds=0.05)
    app.add_routes(operation.routes())
    async with TestClient(TestServer(app)) as client:
        yield client


async def well() -> None:
    return


async def locked() -> None:
    raise TryLater("database is locked")


async def broken() -> None:
    raise RuntimeError("postgres://bot:hunter2@db/tocsin")


async def hanging() -> None:
    await asyncio.Event().wait()


async def test_a_process_that_answers_is_alive_whatever_else_fails() -> None:
    async with operating(Outbox(), {"database": locked}) as client:
        response = await client.get("/healthz")
        assert (response.status, await response.json()) == (200, {"status": "ok"})


async def test_it_is_ready_when_every_check_passes() -> None:
    async with operating(Outbox(), {"database": well, "slack": well}) as client:
        response = await client.get("/readyz")
        assert response.status == 200
        assert await response.json() == {"status": "ok", "checks": {"database": "ok", "slack": "ok"}}


@pytest.mark.parametrize(
    ("check", "said"),
    [(locked, "database is locked"), (broken, "failed (RuntimeError)"), (hanging, "no answer within 0.05 s")],
)
async def test_it_is_not_ready_while_a_check_fails_and_says_which(check: Check, said: str) -> None:
    async with operating(Outbox(), {"database": check, "slack": well}) as client:
        response = await client.get("/readyz")
        assert response.status == 503
        assert await response.json() == {"status": "not ready", "checks": {"database": said, "slack": "ok"}}


async def test_the_outbox_is_read_at_every_scrape() -> None:
    outbox = Outbox()
    async with operating(outbox) as client:
        await client.get("/metrics")
        seen = {
            name: outbox.metrics.registry.get_sample_value(f"tocsin_outbox_{name}", {"kind": "page"}) for name in NAMES
        }
        assert seen == {"pending": 5, "due": 2, "dead": 1, "oldest_seconds": 90}
        outbox.kinds = ()
        await client.get("/metrics")
        assert "tocsin_outbox_pending{" not in await (await client.get("/metrics")).text()


NAMES = ("pending", "due", "dead", "oldest_seconds")


async def test_what_was_counted_is_shown_even_when_the_outbox_cannot_be_read() -> None:
    outbox = Outbox(fails=TryLater("database is locked"))
    outbox.metrics.escalated("checkout")
    async with operating(outbox) as client:
        with capture_logs():
            text = await (await client.get("/metrics")).text()
    assert 'tocsin_escalations_total{policy="checkout"} 1.0' in text
    assert "tocsin_outbox_known 0.0" in text


async def test_everything_that_is_counted_can_be_scraped() -> None:
    outbox = Outbox()
    metrics = outbox.metrics
    metrics.alerts_received("alertmanager", "opened", 2)
    metrics.webhook_answered("alertmanager", 200, 0.004)
    metrics.first_message(1.5)
    metrics.delivered("page", "done")
    metrics.delivered("page", "later")
    metrics.slack_called("chat.postMessage", "ok")
    async with operating(outbox) as client:
        response = await client.get("/metrics")
        assert response.headers["Content-Type"].startswith("text/plain")
        samples = {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in prometheus(await response.text())
            for sample in family.samples
        }
    assert samples["tocsin_alerts_received_total", "alertmanager", "opened"] == 2
    assert samples["tocsin_webhook_seconds_count", "200", "alertmanager"] == 1
    assert samples["tocsin_webhook_to_first_message_seconds_sum",] == 1.5
    assert samples["tocsin_deliveries_total", "later", "page"] == 1
    assert samples["tocsin_delivery_failures_total", "page"] == 1
    assert samples["tocsin_slack_calls_total", "chat.postMessage", "ok"] == 1
    assert any(name == "tocsin_build_info" for name, *_ in samples)
    assert any(name == "process_resident_memory_bytes" for name, *_ in samples)


async def test_silences_and_what_they_hide_are_counted_or_not_known() -> None:
    async def counts() -> tuple[int, int]:
        return 3, 17

    async def broken_counts() -> tuple[int, int]:
        raise TryLater("database is locked")

    for asked, shown in ((counts, "3.0"), (broken_counts, "NaN"), (None, "NaN")):
        outbox, app = Outbox(), web.Application()
        app.add_routes(Operation({}, outbox.backlog, outbox.metrics, lambda: NOW, silences=asked).routes())
        async with TestClient(TestServer(app)) as client:
            with capture_logs():
                text = await (await client.get("/metrics")).text()
        assert f"\ntocsin_silences_active {shown}\n" in text
        assert ("\ntocsin_silences_hidden_alerts 17.0\n" in text) == (shown == "3.0")


async def test_a_scraper_that_prefers_openmetrics_gets_it() -> None:
    async with operating(Outbox()) as client:
        response = await client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        assert response.headers["Content-Type"].startswith("application/openmetrics-text")
        assert list(openmetrics(await response.text()))


def test_two_programs_in_one_process_do_not_count_for_each_other() -> None:
    one, other = Metrics(), Metrics()
    one.escalated("checkout")
    assert other.registry.get_sample_value("tocsin_escalations_total", {"policy": "checkout"}) is None
