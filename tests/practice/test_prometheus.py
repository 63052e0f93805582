"""The practice Prometheus: answers in the real shapes, history, refusals, faults."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bot.practice.alert_rules import AlertRule
from bot.practice.cluster import Cluster
from bot.practice.prometheus import Prometheus
from bot.practice.promql import evaluate
from bot.practice.promql_parser import ParseError, parse
from bot.practice.story import GOOD_IMAGE, demo_world
from tests.support.kubernetes_api import START, Clock, served

RULE = AlertRule(
    "HighErrorRate", "demo_error_ratio > 0.05", 10.0, {"severity": "critical"}, {"summary": "{{ $value }}"}
)


class Site:
    """A Prometheus on a port, over the demo's world."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.cluster = Cluster(self.clock)
        demo_world(self.cluster)
        self.prometheus = Prometheus(self.cluster, self.clock, [RULE])
        self.host = ""

    async def get(self, path: str, **query: Any) -> tuple[int, Any]:
        async with aiohttp.ClientSession() as session, session.get(self.host + path, params=query) as response:
            return response.status, await response.json(content_type=None)

    async def query(self, text: str, **more: Any) -> Any:
        code, body = await self.get("/api/v1/query", query=text, **more)
        assert (code, body["status"]) == (200, "success"), body
        return body["data"]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    one = Site()
    async with served(one.prometheus.app()) as host:
        one.host = host
        yield one


async def test_an_instant_query_is_a_vector_of_strings(site: Site) -> None:
    data = await site.query('demo_error_ratio{service="checkout"}')
    assert data["resultType"] == "vector"
    ((series),) = data["result"]
    assert series["metric"] == {
        "__name__": "demo_error_ratio", "namespace": "shop", "service": "checkout", "deployment": "checkout",
    }  # fmt: skip
    at, value = series["value"]
    assert at == START
    assert isinstance(value, str)
    assert float(value) > 0.5


async def test_matchers_choose_series(site: Site) -> None:
    async def services(matcher: str) -> str:
        found = (await site.query(f"demo_error_ratio{{{matcher}}}"))["result"]
        return " ".join(sorted(one["metric"]["service"] for one in found))

    assert await services('service!="checkout"') == "cart payments search"
    assert await services('service=~"c.*"') == "cart checkout"
    assert await services('service!~"c.*",namespace="shop"') == "payments search"
    assert await services('namespace="elsewhere"') == ""


async def test_a_comparison_filters_and_keeps_the_name(site: Site) -> None:
    (series,) = (await site.query("demo_error_ratio > 0.05"))["result"]
    assert series["metric"]["__name__"] == "demo_error_ratio"
    assert series["metric"]["service"] == "checkout"
    flags = (await site.query("demo_error_ratio > bool 0.05"))["result"]
    assert sorted(one["value"][1] for one in flags) == ["0", "0", "0", "1"]


async def test_aggregations_group(site: Site) -> None:
    (total,) = (await site.query("sum(kube_deployment_status_replicas_available)"))["result"]
    assert (total["metric"], total["value"][1]) == ({}, "7")
    by = (await site.query("sum by (namespace) (kube_deployment_status_replicas_available)"))["result"]
    assert [(one["metric"], one["value"][1]) for one in by] == [({"namespace": "shop"}, "7")]
    after = (await site.query("max(demo_error_ratio) by (deployment) > 0.05"))["result"]
    assert [one["metric"] for one in after] == [{"deployment": "checkout"}]
    without = (await site.query("count without (service, deployment) (demo_error_ratio)"))["result"]
    assert [(one["metric"], one["value"][1]) for one in without] == [({"namespace": "shop"}, "4")]


async def test_rate_and_arithmetic_work_on_the_known_metrics(site: Site) -> None:
    found = (await site.query('100 * rate(demo_error_ratio{service="checkout"}[1m])'))["result"]
    assert 50 < float(found[0]["value"][1]) < 100
    assert "__name__" not in found[0]["metric"]
    assert (await site.query("(1 + 2) * 3"))["result"][1] == "9"
    assert (await site.query("1"))["resultType"] == "scalar"
    matrix = await site.query('demo_error_ratio{service="cart"}[1m]')
    assert matrix["resultType"] == "matrix"
    assert len(matrix["result"][0]["values"]) == 4


async def test_an_hour_of_history_shows_when_it_began(site: Site) -> None:
    code, body = await site.get(
        "/api/v1/query_range",
        query='demo_error_ratio{deployment="checkout"}',
        start=START - 3600,
        end=START,
        step="60s",
    )
    assert code == 200
    assert body["data"]["resultType"] == "matrix"
    (series,) = body["data"]["result"]
    values = [(at, float(value)) for at, value in series["values"]]
    assert [at for at, _ in values] == [START - 3600 + 60 * i for i in range(61)]
    assert all(0.002 <= value <= 0.01 for at, value in values if at < START - 180)
    assert all(value > 0.5 for at, value in values if at > START - 170)
    assert len({value for _, value in values}) > 20


async def test_what_happens_after_the_start_is_remembered(site: Site) -> None:
    site.cluster.set_image("shop", "checkout", GOOD_IMAGE)
    site.cluster.tick()
    site.clock.forward(600)
    site.cluster.tick()
    query = {"query": 'demo_error_ratio{deployment="checkout"}', "start": START - 60, "end": START + 600, "step": 60}
    _, body = await site.get("/api/v1/query_range", **query)
    values = [float(value) for _, value in body["data"]["result"][0]["values"]]
    assert [value > 0.05 for value in values] == [True, True] + [False] * 10
    assert (await site.get("/api/v1/query_range", **query))[1] == body
    assert (await site.query("demo_error_ratio", time=START - 4000))["result"] == []


async def test_times_and_steps_come_in_several_forms_and_by_form_post(site: Site) -> None:
    form = {"query": "1", "start": "2027-01-15T07:59:00Z", "end": "2027-01-15T08:00:00Z", "step": "30s"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{site.host}/api/v1/query_range", data=form) as response,
    ):
        body = await response.json()
    assert body["data"]["result"] == [{"metric": {}, "values": [[START - 60, "1"], [START - 30, "1"], [START, "1"]]}]


@pytest.mark.parametrize(
    ("query", "error"),
    [  # as a real Prometheus 2.42 answered
        ("", "1:1: parse error: no expression found in input"),
        ("up{", "1:4: parse error: unexpected end of input inside braces"),
        ("foo bar", '1:5: parse error: unexpected identifier "bar"'),
        ("sum(", "1:5: parse error: unclosed left parenthesis"),
        ("sum(up", "1:7: parse error: unclosed left parenthesis"),
        ("rate(up)", '1:6: parse error: expected type range vector in call to function "rate", got instant vector'),
        ("nope(up)", '1:1: parse error: unknown function with name "nope"'),
        ("1 > 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"),
        ("up ?", "1:4: parse error: unexpected character: '?'"),
        ("> 1", "1:1: parse error: unexpected <op:>>"),
        ("up[5m", "1:4: parse error: missing unit character in duration"),
        ("{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"),
        ("up)", "1:4: parse error: unexpected right parenthesis ')'"),
    ],
)
async def test_what_does_not_parse_is_bad_data(site: Site, query: str, error: str) -> None:
    code, body = await site.get("/api/v1/query", query=query)
    assert code == 400
    assert body == {"status": "error", "errorType": "bad_data", "error": f'invalid parameter "query": {error}'}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"end": 1}, 'invalid parameter "end": end timestamp must not be before start time'),
        ({"step": 0}, "zero or negative query resolution step widths are not accepted"),
        ({"step": "x"}, 'invalid parameter "step": cannot parse "x" to a valid duration'),
        ({"start": "x"}, 'invalid parameter "start": cannot parse "x" to a valid timestamp'),
        ({"start": 1, "step": 1}, "exceeded maximum resolution of 11,000 points per timeseries"),
        ({"query": "up[5m]"}, 'invalid expression type "range vector" for range query'),
    ],
)
async def test_a_range_that_makes_no_sense_is_bad_data(site: Site, change: dict[str, Any], error: str) -> None:
    asked = {"query": "1", "start": START - 60, "end": START, "step": 15} | change
    code, body = await site.get("/api/v1/query_range", **asked)
    assert (code, body["errorType"]) == (400, "bad_data")
    assert error in body["error"]


async def test_rules_and_alerts_are_listed_with_their_state(site: Site) -> None:
    site.prometheus.evaluate()
    (pending,) = (await site.get("/api/v1/alerts"))[1]["data"]["alerts"]
    assert pending["state"] == "pending"
    site.clock.forward(10)
    site.prometheus.evaluate()
    (firing,) = (await site.get("/api/v1/alerts"))[1]["data"]["alerts"]
    assert firing["state"] == "firing"
    assert firing["labels"]["alertname"] == "HighErrorRate"
    (group,) = (await site.get("/api/v1/rules"))[1]["data"]["groups"]
    (rule,) = group["rules"]
    assert (rule["state"], rule["type"], rule["health"], len(rule["alerts"])) == ("firing", "alerting", "ok", 1)


async def test_it_can_fail_on_demand(site: Site) -> None:
    site.prometheus.fail("error")
    code, body = await site.get("/api/v1/query", query="1")
    assert (code, body["status"], body["errorType"]) == (500, "error", "internal")
    site.prometheus.fail("timeout", seconds=0.05, count=2)  # aiohttp tries a GET twice
    with pytest.raises(aiohttp.ClientError):
        await site.get("/api/v1/query", query="1")
    assert (await site.get("/api/v1/query", query="1"))[0] == 200
    async with aiohttp.ClientSession() as session, session.get(f"{site.host}/-/ready") as response:
        assert response.status == 200


def test_an_expression_cannot_reach_anything_but_its_source() -> None:
    with pytest.raises(ParseError):
        parse("__import__('os').system('true')")
    assert evaluate(parse("a * 2"), 0.0, lambda name, at: [({"__name__": name}, 21.0)]) == [({}, 42.0)]
