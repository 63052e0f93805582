"""The practice Alertmanager: genuine webhook bodies, when they are sent, and what happens when they do not arrive."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from bot.practice.alert_rules import AlertRule
from bot.practice.alertmanager import Alertmanager, body_of, fingerprint
from bot.practice.cluster import Cluster
from bot.practice.prometheus import Prometheus
from bot.practice.story import GOOD_IMAGE, break_checkout, demo_world
from tests.support.kubernetes_api import Clock, served

# Sent by a real Alertmanager 0.25 (shared/rig/prometheus), byte for byte.
GENUINE = (
    b'{"receiver":"bot","status":"firing","alerts":[{"status":"firing","labels":{"alertname":"HighErrorRate",'
    b'"cluster":"rig","deployment":"checkout","instance":"127.0.0.1:24700","job":"demo","namespace":"shop",'
    b'"service":"checkout","severity":"critical","team":"shop"},"annotations":{"description":"HTTP 5xx ratio above 5% '
    b'for 2s","runbook_url":"https://runbooks.invalid/HighErrorRate","summary":"error ratio 30% on shop/checkout"},'
    b'"startsAt":"2026-11-21T10:45:58.584Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://127.0.0.1:24790/'
    b'graph?g0.expr=demo_error_ratio+%3E+0.05\\u0026g0.tab=1","fingerprint":"1f1507d113a75b37"}],"groupLabels":'
    b'{"alertname":"HighErrorRate","namespace":"shop"},"commonLabels":{"alertname":"HighErrorRate","cluster":"rig",'
    b'"deployment":"checkout","instance":"127.0.0.1:24700","job":"demo","namespace":"shop","service":"checkout",'
    b'"severity":"critical","team":"shop"},"commonAnnotations":{"description":"HTTP 5xx ratio above 5% for 2s",'
    b'"runbook_url":"https://runbooks.invalid/HighErrorRate","summary":"error ratio 30% on shop/checkout"},'
    b'"externalURL":"http://127.0.0.1:24793","version":"4","groupKey":"{}:{alertname=\\"HighErrorRate\\", '
    b'namespace=\\"shop\\"}","truncatedAlerts":0}\n'
)
RULE = AlertRule(
    "HighErrorRate", "demo_error_ratio > 0.05", 5.0, {"severity": "critical", "team": "shop"},
    {
        "summary": "error ratio {{ $value | humanizePercentage }} on {{ $labels.namespace }}/{{ $labels.service }}",
        "description": "HTTP 5xx ratio above 5% for 5s",
        "runbook_url": "https://runbooks.invalid/HighErrorRate",
    },
)  # fmt: skip


class Receiver:
    """A webhook that answers what it is told to."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        self.answers: list[int] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/hook", self.take)
        return app

    async def take(self, request: web.Request) -> web.Response:
        code = self.answers.pop(0) if self.answers else 200
        self.tokens.append(request.headers.get("Authorization", ""))
        if code == 200:
            self.bodies.append(await request.json())
        return web.Response(status=code)


class Site:
    """The demo's world, with an Alertmanager that posts to a receiver."""

    def __init__(self, host: str, receiver: Receiver) -> None:
        self.clock = Clock()
        self.cluster = Cluster(self.clock)
        demo_world(self.cluster)
        self.receiver = receiver
        self.prometheus = Prometheus(self.cluster, self.clock)
        self.manager = Alertmanager(
            self.prometheus, f"{host}/hook", "secret", self.clock, [RULE], group_wait=1, group_interval=5
        )

    async def forward(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.forward(1)
            self.cluster.tick()
            await self.manager.tick()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    receiver = Receiver()
    async with served(receiver.app()) as host:
        yield Site(host, receiver)


def test_the_fingerprint_and_the_bytes_are_those_of_a_real_alertmanager() -> None:
    payload = json.loads(GENUINE)
    (alert,) = payload["alerts"]
    assert fingerprint(alert["labels"]) == alert["fingerprint"]
    assert body_of(payload) == GENUINE


async def test_an_alert_fires_after_its_time_and_the_group_s_wait(site: Site) -> None:
    await site.manager.tick()
    await site.forward(5)
    assert site.receiver.bodies == []
    await site.forward(1)
    (body,) = site.receiver.bodies

    assert list(body) == list(json.loads(GENUINE))
    assert list(body["alerts"][0]) == list(json.loads(GENUINE)["alerts"][0])
    (alert,) = body["alerts"]
    assert alert["labels"] == {
        "alertname": "HighErrorRate", "cluster": "practice", "deployment": "checkout", "namespace": "shop",
        "service": "checkout", "severity": "critical", "team": "shop",
    }  # fmt: skip
    assert body["status"] == alert["status"] == "firing"
    assert alert["startsAt"] == "2027-01-15T08:00:05Z"
    assert alert["endsAt"] == "0001-01-01T00:00:00Z"
    assert alert["generatorURL"].endswith("/graph?g0.expr=demo_error_ratio+%3E+0.05&g0.tab=1")
    assert alert["annotations"]["summary"].startswith("error ratio 93")
    assert alert["annotations"]["summary"].endswith("% on shop/checkout")
    assert body["groupKey"] == '{}:{alertname="HighErrorRate", namespace="shop"}'
    assert body["commonLabels"] == alert["labels"]
    assert site.receiver.tokens == ["Bearer secret"]


async def test_nothing_new_is_not_sent_again_until_the_repeat_interval(site: Site) -> None:
    site.manager.repeat_interval = 60
    await site.forward(50)
    assert len(site.receiver.bodies) == 1
    await site.forward(30)
    assert len(site.receiver.bodies) == 2


async def test_it_says_when_it_is_over_and_when_it_begins_again(site: Site) -> None:
    await site.forward(10)
    site.cluster.set_image("shop", "checkout", GOOD_IMAGE)
    await site.forward(15)
    assert [b["status"] for b in site.receiver.bodies] == ["firing", "resolved"]
    (alert,) = site.receiver.bodies[1]["alerts"]
    assert alert["status"] == "resolved"
    assert alert["endsAt"] > alert["startsAt"] == site.receiver.bodies[0]["alerts"][0]["startsAt"]
    assert site.manager.groups == {}

    break_checkout(site.cluster)
    await site.forward(20)
    assert [b["status"] for b in site.receiver.bodies] == ["firing", "resolved", "firing"]
    assert site.receiver.bodies[2]["alerts"][0]["startsAt"] > alert["endsAt"]
    assert site.receiver.bodies[2]["alerts"][0]["fingerprint"] == alert["fingerprint"]


async def test_one_service_more_joins_the_group(site: Site) -> None:
    await site.forward(10)
    site.cluster.bad_images.add("cart:9")
    site.cluster.set_image("shop", "cart", "cart:9")
    await site.forward(25)
    assert [len(b["alerts"]) for b in site.receiver.bodies] == [1, 2]
    assert site.receiver.bodies[1]["commonLabels"].keys() == {"alertname", "cluster", "namespace", "severity", "team"}
    site.cluster.set_image("shop", "cart", "cart:2.7.0")
    await site.forward(15)
    mixed = site.receiver.bodies[-1]
    assert mixed["status"] == "firing"
    assert [a["status"] for a in mixed["alerts"]] == ["resolved", "firing"]


async def test_a_server_error_is_tried_again_ever_more_slowly(site: Site) -> None:
    site.receiver.answers = [503, 500, 502]
    await site.forward(20)
    times = [at - site.manager.sent[0][0] for at, _, _ in site.manager.sent]
    assert [code for _, code, _ in site.manager.sent] == [503, 500, 502, 200]
    assert times == [0, 1, 3, 7]


async def test_a_refusal_is_not_retried_but_the_group_comes_again_at_its_next_interval(site: Site) -> None:
    site.receiver.answers = [429]
    await site.forward(20)
    assert [code for _, code, _ in site.manager.sent] == [429, 200]
    assert site.manager.sent[1][0] - site.manager.sent[0][0] == site.manager.group_interval


async def test_a_receiver_that_is_not_there_is_tried_again(site: Site) -> None:
    url, site.manager.url = site.manager.url, "http://127.0.0.1:9/hook"
    await site.forward(8)
    assert {code for _, code, _ in site.manager.sent} == {0}
    site.manager.url = url
    await site.forward(10)
    assert len(site.receiver.bodies) == 1
