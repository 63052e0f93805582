"""The two Kubernetes servers, and the kits that actions and gatherers get for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from bot.clients.http import Http
from bot.clients.k8s import Kubernetes
from bot.clients.kit import Kit
from bot.domain.redaction import Redactor
from tests.support.kubernetes_api import Api, RealServer, api_on, practice_server, real_server, why_not_real

REAL = pytest.param("real", marks=[pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(180)])


@pytest.fixture(scope="module")
def rig() -> Iterator[RealServer]:
    reason = why_not_real()
    if reason:
        pytest.skip(reason)
    with real_server() as server:
        yield server


@pytest.fixture(params=["practice", REAL])
async def api(request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    if request.param == "real":
        async with api_on(request.getfixturevalue("rig")) as one:
            yield one
    else:
        async with practice_server() as server, api_on(server) as one:
            yield one


async def kit_of(api: Api, user: str) -> AsyncIterator[Kit]:
    url, token, ca_file = api.server.connection(user)
    cluster = await Kubernetes.connect(url=url, token=token, ca_file=ca_file or "")
    yield Kit(cluster, None, Http(Redactor()), Redactor())
    await cluster.close()


@pytest.fixture
async def kit(api: Api) -> AsyncIterator[Kit]:
    async for one in kit_of(api, "bot"):
        yield one


@pytest.fixture
async def readers_kit(api: Api) -> AsyncIterator[Kit]:
    async for one in kit_of(api, "reader"):
        yield one
