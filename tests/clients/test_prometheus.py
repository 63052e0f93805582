"""The Prometheus client against the practice Prometheus, and against answers that it never gives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from bot.clients.http import Http
from bot.clients.prometheus import MOST_POINTS, MOST_SERIES, Prometheus
from bot.errors import BadInput, TryLater
from bot.practice.cluster import Cluster
from bot.practice.prometheus import Prometheus as PracticePrometheus
from tests.clients.served import answering, hanging_up
from tests.support.kubernetes_api import START, Clock, served

NOW = datetime.fromtimestamp(START, UTC)
SHOP = 'demo_error_ratio{namespace="shop"}'


@pytest.fixture
async def practice() -> AsyncIterator[tuple[Prometheus, PracticePrometheus]]:
    clock = Clock()
    cluster = Cluster(clock)
    cluster.create_deployment("shop", "checkout", "checkout:1.4.1", 2)
    cluster.create_deployment("shop", "cart", "cart:2.7.0", 2)
    behind = PracticePrometheus(cluster, clock)
    async with served(behind.app()) as url, Http(str) as http:
        yield Prometheus(http, f"{url}/"), behind


async def test_a_query_gives_one_number_per_series(practice: tuple[Prometheus, PracticePrometheus]) -> None:
    found = await practice[0].query(SHOP)
    assert sorted(one.labels["deployment"] for one in found) == ["cart", "checkout"]
    assert all(0 <= one.last < 0.05 for one in found)
    assert found[0].name.startswith('demo_error_ratio{deployment="')


async def test_a_scalar_is_a_series_without_labels(practice: tuple[Prometheus, PracticePrometheus]) -> None:
    (one,) = await practice[0].query("1 + 1")
    assert (one.last, dict(one.labels), one.name) == (2.0, {}, "")


async def test_a_range_has_as_many_points_as_were_asked_for(practice: tuple[Prometheus, PracticePrometheus]) -> None:
    found = await practice[0].query_range(SHOP, NOW - timedelta(hours=1), NOW, points=60)
    assert len(found[0].points) == 61
    assert found[0].points[0][0] == NOW - timedelta(hours=1)
    assert found[0].points[-1][0] == NOW


async def test_a_mistake_is_told_in_prometheus_own_words(practice: tuple[Prometheus, PracticePrometheus]) -> None:
    with pytest.raises(BadInput, match=r"Prometheus: bad_data: .* \(in 'sum\('\)"):
        await practice[0].query("sum(")


async def test_an_outage_is_for_later(practice: tuple[Prometheus, PracticePrometheus]) -> None:
    practice[1].fail("error")
    with pytest.raises(TryLater, match="500"):
        await practice[0].query(SHOP)
    assert await practice[0].query(SHOP)


async def test_a_broken_connection_is_never_uncertain_for_a_query() -> None:
    async with hanging_up() as url, Http(str) as http:
        with pytest.raises(TryLater) as raised:
            await Prometheus(http, url).query("up")
    assert not raised.value.uncertain


@pytest.mark.parametrize("expression", ["", "  ", "x" * 20_001])
async def test_a_query_without_bounds_is_not_sent(expression: str) -> None:
    async with Http(str) as http:
        with pytest.raises(BadInput, match="empty or longer"):
            await Prometheus(http, "http://127.0.0.1:1").query(expression)


async def answer_of(body: Any, status: int = 200) -> list[Any]:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(body, status=status)

    async with answering(answer) as url, Http(str) as http:
        return await Prometheus(http, url).query("up")


async def test_more_series_than_anybody_can_read_are_left_out() -> None:
    result = [{"metric": {"n": str(n)}, "value": [1, "1"]} for n in range(MOST_SERIES + 10)]
    assert (
        len(await answer_of({"status": "success", "data": {"resultType": "vector", "result": result}})) == MOST_SERIES
    )


async def test_nan_is_no_data() -> None:
    result = [{"metric": {}, "value": [1, "NaN"]}, {"metric": {"a": "b"}, "value": [1, "+Inf"]}]
    found = await answer_of({"status": "success", "data": {"resultType": "vector", "result": result}})
    assert [one.last for one in found] == [float("inf")]


@pytest.mark.parametrize(
    ("body", "status", "error", "words"),
    [
        (
            {"status": "error", "errorType": "execution", "error": "too many samples"},
            422,
            BadInput,
            "execution: too many",
        ),
        (
            {"status": "error", "errorType": "timeout", "error": "query timed out"},
            503,
            TryLater,
            "timeout: query timed",
        ),
        ({"nonsense": 1}, 200, BadInput, "has no data"),
        ({"data": {"resultType": "matrix", "result": []}}, 200, BadInput, "gives a matrix"),
        ("no", 404, BadInput, "answered 404"),
    ],
)
async def test_other_answers_are_errors_with_a_reason(
    body: Any, status: int, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        await answer_of(body, status)


@pytest.mark.parametrize(
    "body",
    [
        [],
        None,
        {"data": {"resultType": "vector", "result": [{"metric": {}, "value": ["x", "y"]}]}},
        {"data": {"resultType": "vector", "result": [{"metric": {}, "value": [1e300, "1"]}]}},
        {"data": {"resultType": "vector", "result": [{"metric": [], "value": [1, "1"]}]}},
        {"data": {"resultType": "vector", "result": [{"metric": {}}]}},
        {"data": {"resultType": "vector", "result": [1]}},
        {"data": {"resultType": "vector", "result": {"a": 1}}},
        {"data": {"resultType": "vector", "result": 5}},
        {"data": {"resultType": "scalar"}},
    ],
)
async def test_what_is_no_answer_of_a_prometheus_is_told(body: Any) -> None:
    with pytest.raises(BadInput, match="Prometheus: the answer"):
        await answer_of(body)


async def test_labels_are_texts_whatever_the_server_sends() -> None:
    found = await answer_of({"data": {"resultType": "vector", "result": [{"metric": {"a": [1]}, "value": [1, "1"]}]}})
    assert found[0].labels == {"a": "[1]"}


async def test_an_error_that_is_no_mapping_is_an_error() -> None:
    with pytest.raises(BadInput, match="Prometheus: error"):
        await answer_of(["no"], 400)


async def test_a_range_is_bounded_whatever_was_asked_for() -> None:
    asked = {}

    async def answer(request: web.Request) -> web.Response:
        asked.update(await request.post())
        return web.json_response({"status": "success", "data": {"resultType": "matrix", "result": []}})

    async with answering(answer) as url, Http(str) as http:
        await Prometheus(http, url).query_range("up", NOW - timedelta(days=30), NOW, points=100_000)
    assert timedelta(days=30).total_seconds() / float(str(asked["step"])) <= MOST_POINTS
