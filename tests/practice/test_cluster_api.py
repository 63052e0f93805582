"""The practice API where it goes beyond the contract: faults, audit, tokens, old watches, logs, budgets, bounds."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from kubernetes.aio import client, watch

from bot.practice.cluster import Cluster, User, bot
from bot.practice.cluster.resources import PODS
from bot.practice.story import demo_world
from tests.support.kubernetes_api import Api, Clock, PracticeServer, api_on, practice_server, served

MERGE = "application/merge-patch+json"


@pytest.fixture
async def server() -> AsyncIterator[PracticeServer]:
    async with practice_server() as one:
        demo_world(one.cluster)
        yield one


@pytest.fixture
async def api(server: PracticeServer) -> AsyncIterator[Api]:
    async with api_on(server) as one:
        yield one


async def scale(api: Api, replicas: int, user: str = "admin") -> Any:
    body = {"spec": {"replicas": replicas}}
    return await api.apps(user).patch_namespaced_deployment_scale("cart", "shop", body, _content_type=MERGE)


def replicas(server: PracticeServer) -> int:
    return next(int(d["replicas"]) for d in server.cluster.snapshot()["deployments"] if d["name"] == "cart")


@pytest.mark.parametrize(
    ("status", "reason"), [(429, "TooManyRequests"), (503, "ServiceUnavailable"), (500, "InternalError")]
)
async def test_a_status_fault_answers_so_and_does_nothing(
    api: Api, server: PracticeServer, status: int, reason: str
) -> None:
    server.cluster.fail("status", verb="patch", resource="deployments/scale", status=status, retry_after=7)
    with pytest.raises(client.ApiException) as caught:
        await scale(api, 5)
    assert caught.value.status == status
    assert json.loads(caught.value.body or "")["reason"] == reason
    assert (caught.value.headers or {}).get("Retry-After") == (None if status == 500 else "7")
    assert replicas(server) == 2
    assert (await scale(api, 5)).spec.replicas == 5


async def test_a_lost_answer_leaves_the_deed_done(api: Api, server: PracticeServer) -> None:
    server.cluster.fail("lost", verb="patch", resource="deployments/scale")
    with pytest.raises((aiohttp.ClientError, client.ApiException)):
        await scale(api, 5)
    assert replicas(server) == 5
    assert server.cluster.audit[-1].code == 0


async def test_a_timeout_never_answers_and_does_nothing(api: Api, server: PracticeServer) -> None:
    server.cluster.fail("timeout", verb="patch", seconds=0.05)
    with pytest.raises((aiohttp.ClientError, client.ApiException)):
        await scale(api, 5)
    assert replicas(server) == 2


async def test_a_slow_answer_comes_late(api: Api, server: PracticeServer) -> None:
    server.cluster.fail("slow", verb="patch", seconds=0.05)
    assert (await scale(api, 5)).spec.replicas == 5


async def test_a_conflict_can_be_had_on_demand(api: Api, server: PracticeServer) -> None:
    server.cluster.fail("conflict", verb="patch", resource="deployments*", count=2)
    for _ in range(2):
        with pytest.raises(client.ApiException) as caught:
            await scale(api, 5)
        assert caught.value.status == 409
    assert (await scale(api, 5)).spec.replicas == 5


async def test_faults_can_be_set_over_http(api: Api, server: PracticeServer) -> None:
    fault = {"kind": "status", "verb": "list", "resource": "pods", "status": 503, "count": None}
    assert (await api.raw("POST", "/practice/faults", fault))[0] == 200
    assert (await api.raw("GET", "/api/v1/pods"))[0] == 503
    assert (await api.raw("GET", "/api/v1/pods"))[0] == 503
    assert (await api.raw("GET", "/api/v1/nodes"))[0] == 200
    assert len((await api.raw("GET", "/practice/faults"))[1]["faults"]) == 1
    assert (await api.raw("DELETE", "/practice/faults")) == (200, {"faults": []})
    assert (await api.raw("GET", "/api/v1/pods"))[0] == 200
    assert (await api.raw("POST", "/practice/faults", {"kind": "flood"}))[0] == 400


async def test_every_request_is_in_the_audit_list(api: Api, server: PracticeServer) -> None:
    server.cluster.audit.clear()
    await scale(api, 3, "bot")
    await api.raw("DELETE", "/apis/apps/v1/namespaces/shop/deployments/cart", user="bot")
    await api.raw("PATCH", "/apis/apps/v1/namespaces/shop/deployments/cart", {}, content_type=MERGE, dryRun="All")
    seen = [(s.verb, s.resource, s.namespace, s.name, s.user, s.code, s.dry_run) for s in server.cluster.audit]
    assert seen == [
        ("patch", "deployments/scale", "shop", "cart", "incident-bot", 200, False),
        ("delete", "deployments", "shop", "cart", "incident-bot", 403, False),
        ("patch", "deployments", "shop", "cart", "admin", 200, True),
    ]


async def test_without_tokens_everyone_may_do_everything() -> None:
    cluster = Cluster(Clock())
    async with (
        served(cluster.app()) as host,
        aiohttp.ClientSession() as session,
        session.get(f"{host}/api/v1/nodes") as response,
    ):
        assert response.status == 200


async def test_with_tokens_a_request_without_one_is_anonymous(api: Api) -> None:
    code, body = await api.raw("GET", "/api/v1/pods", token="")
    assert code == 403
    assert body["message"].startswith('pods is forbidden: User "system:anonymous" cannot list resource "pods"')


async def test_a_user_can_be_kept_to_some_namespaces() -> None:
    users: dict[str, User] = {"t": bot(namespaces=("shop",))}
    cluster = Cluster(Clock(), users)
    demo_world(cluster)
    async with served(cluster.app()) as host, aiohttp.ClientSession(headers={"Authorization": "Bearer t"}) as session:
        answers = []
        for path in ("namespaces/shop/deployments", "namespaces/default/deployments", "deployments"):
            async with session.get(f"{host}/apis/apps/v1/{path}") as response:
                answers.append(response.status)
    assert answers == [200, 403, 403]


async def test_a_watch_from_too_long_ago_is_told_that_it_is_gone(api: Api, server: PracticeServer) -> None:
    server.cluster.store.compact()
    stream = watch.Watch(return_type="V1Pod")
    async with stream:
        with pytest.raises(client.ApiException) as caught:
            async for _ in stream.stream(
                api.core().list_namespaced_pod, "shop", resource_version="1001", timeout_seconds=2
            ):
                pass
    assert caught.value.status == 410
    assert "too old resource version: 1001" in caught.value.reason


async def test_a_watch_that_asks_for_bookmarks_ends_with_one(api: Api, server: PracticeServer) -> None:
    version = str(server.cluster.store.version)
    code, text = await api.raw(
        "GET", "/api/v1/namespaces/shop/pods", watch="true", resourceVersion=version, timeoutSeconds="1",
        allowWatchBookmarks="true",
    )  # fmt: skip
    assert code == 200
    assert (text["type"], text["object"]["kind"]) == ("BOOKMARK", "Pod")


async def test_open_watches_end_when_the_server_stops() -> None:
    cluster = Cluster(Clock())
    session = aiohttp.ClientSession()
    async with served(cluster.app()) as host:
        response = await session.get(f"{host}/api/v1/pods", params={"watch": "true"})
    async with asyncio.timeout(2):
        assert await response.read() == b""
    await session.close()
    assert len(cluster.store.listeners) == 1


async def test_the_log_of_a_bad_image_tells_why_and_spills_secrets(api: Api, server: PracticeServer) -> None:
    pods = [p for p in server.cluster.snapshot()["pods"] if p["deployment"] == "checkout"]
    path = f"/api/v1/namespaces/shop/pods/{pods[0]['name']}/log"
    _, text = await api.raw("GET", path)
    for word in ("postgres://checkout:hunter2@db:5432/shop", "Authorization: Bearer eyJ", "AKIA", "FATAL checkout"):
        assert word in text
    _, tail = await api.raw("GET", path, tailLines="3")
    assert tail == "".join(text.splitlines(keepends=True)[-3:])
    _, previous = await api.raw("GET", path, previous="true")
    assert previous == text
    server.cluster.logs_for_bad_image = "just this\n"
    assert (await api.raw("GET", path, tailLines="1"))[1].endswith("just this\n")


async def test_the_log_of_a_good_pod_can_be_cut_by_time_size_and_marked(api: Api, server: PracticeServer) -> None:
    name = next(p["name"] for p in server.cluster.snapshot()["pods"] if p["deployment"] == "cart")
    path = f"/api/v1/namespaces/shop/pods/{name}/log"
    _, recent = await api.raw("GET", path, sinceSeconds="10")
    assert 4 <= len(recent.splitlines()) <= 6
    _, short = await api.raw("GET", path, limitBytes="40")
    assert len(short) == 40
    _, marked = await api.raw("GET", path, timestamps="true", tailLines="1")
    assert marked.startswith("2027-01-15T")
    code, said = await api.raw("GET", path, previous="true")
    assert (code, said["message"]) == (400, f'previous terminated container "cart" in pod "{name}" not found')
    assert (await api.raw("GET", path, tailLines="-1"))[0] == 422
    assert (await api.raw("GET", path, tailLines="few"))[0] == 400


async def test_a_disruption_budget_refuses_an_eviction(api: Api, server: PracticeServer) -> None:
    server.cluster.fewest_available["cart"] = 2
    name = next(p["name"] for p in server.cluster.snapshot()["pods"] if p["deployment"] == "cart")
    path = f"/api/v1/namespaces/shop/pods/{name}/eviction"
    code, said = await api.raw(
        "POST", path, {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    )
    assert (code, said["reason"]) == (429, "TooManyRequests")
    assert said["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    assert said["details"]["causes"][0]["reason"] == "DisruptionBudget"
    assert server.cluster.store.get(PODS, "shop", name)


async def test_a_body_beyond_the_bound_is_refused(api: Api) -> None:
    code, said = await api.raw(
        "POST", "/apis/apps/v1/namespaces/shop/deployments", io.BytesIO(b"x" * (3 * 1024 * 1024 + 1))
    )
    assert (code, said["reason"]) == (413, "RequestEntityTooLarge")


async def test_the_snapshot_is_served_too(api: Api, server: PracticeServer) -> None:
    assert (await api.raw("GET", "/practice/snapshot"))[1] == server.cluster.snapshot()
