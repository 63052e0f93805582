"""The two servers of the Kubernetes contract: the practice cluster under a hand-moved clock, and the rig's real one."""

from __future__ import annotations

import asyncio
import io
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import aiohttp
import yaml
from aiohttp import web
from kubernetes.aio import client

from bot.practice.cluster import ADMIN, Cluster, bot, reader

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
RIG = ROOT.parent / "shared" / "rig" / "k8s"
BINARY = Path(os.environ.get("KBIN", "/var/cache/rig-k8s/kube"))
# The old insecure ports are the same for every rig on a machine; without them several can run at once.
NO_FIXED_PORTS = 'case "$1" in kube-scheduler|kube-controller-manager) set -- "$@" --port=0;; esac\n'
START = 1_800_000_000.0


class Clock:
    """A clock that moves when told to."""

    def __init__(self, at: float = START) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at

    def forward(self, seconds: float) -> None:
        self.at += seconds


class Server(Protocol):
    """Where one API server is, and how time passes there."""

    real: bool

    def connection(self, user: str) -> tuple[str, str, str | None]:
        """Address, bearer token and the CA's file for `admin`, `bot` or `reader`."""
        ...

    async def wait(self) -> None:
        """Let a tenth of a second pass."""
        ...


class Api:
    """What a contract test works with: typed clients, raw requests, a namespace of its own, and patience."""

    def __init__(self, server: Server, namespace: str) -> None:
        self.server = server
        self.real = server.real
        self.namespace = namespace
        self._stack = AsyncExitStack()
        self._clients: dict[str, client.ApiClient] = {}

    async def connect(self) -> None:
        for user in ("admin", "bot", "reader"):
            host, token, ca = self.server.connection(user)
            settings = client.Configuration(host=host)
            settings.api_key["authorization"] = f"Bearer {token}"
            settings.api_key["BearerToken"] = f"Bearer {token}"
            settings.ssl_ca_cert = ca
            self._clients[user] = await self._stack.enter_async_context(client.ApiClient(settings))
        self.session = await self._stack.enter_async_context(aiohttp.ClientSession())

    async def close(self) -> None:
        await self._stack.aclose()

    def apps(self, user: str = "admin") -> client.AppsV1Api:
        return client.AppsV1Api(self._clients[user])

    def core(self, user: str = "admin") -> client.CoreV1Api:
        return client.CoreV1Api(self._clients[user])

    def reviews(self, user: str = "admin") -> client.AuthorizationV1Api:
        return client.AuthorizationV1Api(self._clients[user])

    async def raw(
        self, method: str, path: str, body: Any = None, *, user: str = "admin", token: str | None = None,
        content_type: str = "application/json", **query: str,
    ) -> tuple[int, Any]:  # fmt: skip
        """Status and parsed body (text if it is no JSON) of a request made by hand."""
        host, known, ca = self.server.connection(user)
        data = body if isinstance(body, bytes | io.IOBase | None) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {known if token is None else token}", "Content-Type": content_type}
        secure: Any = ssl.create_default_context(cafile=ca) if ca else True
        async with self.session.request(
            method, host + path, data=data, headers=headers, params=query, ssl=secure
        ) as response:
            text = await response.text()
        try:
            return response.status, json.loads(text)
        except ValueError:
            return response.status, text

    async def eventually(self, look: Callable[[], Awaitable[T]], done: Callable[[T], Any], within: float = 40.0) -> T:
        """Look until it is `done`; a tenth of a second passes between two looks."""
        for _ in range(int(within * 10)):
            seen = await look()
            if done(seen):
                return seen
            await self.server.wait()
        raise AssertionError(f"not within {within} s; last seen: {seen}")


class PracticeServer:
    """The practice cluster behind a real socket; time moves only in `wait`."""

    real = False

    def __init__(self) -> None:
        self.clock = Clock()
        tokens = {"admin": ADMIN, "bot": bot(), "reader": reader()}
        self.cluster = Cluster(self.clock, tokens)
        self.host = ""

    def connection(self, user: str) -> tuple[str, str, str | None]:
        return self.host, user, None

    async def wait(self) -> None:
        self.clock.forward(0.1)
        self.cluster.tick()
        await asyncio.sleep(0)


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    """Serve an app on a free port of this machine; gives its address."""
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def practice_server() -> AsyncIterator[PracticeServer]:
    server = PracticeServer()
    async with served(server.cluster.app()) as host:
        server.host = host
        yield server


class RealServer:
    """The rig's API server; its kubeconfigs lie in one folder."""

    real = True

    def __init__(self, admin: Path) -> None:
        self._files = {
            "admin": admin,
            "bot": admin.with_name("bot.kubeconfig"),
            "reader": admin.with_name("reader.kubeconfig"),
        }

    def connection(self, user: str) -> tuple[str, str, str | None]:
        content = yaml.safe_load(self._files[user].read_text())
        host = content["clusters"][0]["cluster"]["server"]
        return host, content["users"][0]["user"]["token"], str(self._files["admin"].with_name("ca.crt"))

    async def wait(self) -> None:
        await asyncio.sleep(0.1)


def why_not_real() -> str:
    """Why the real server cannot be started here; empty when it can."""
    if os.environ.get("KUBECONFIG"):
        folder = Path(os.environ["KUBECONFIG"]).parent
        missing = [n for n in ("bot.kubeconfig", "reader.kubeconfig", "ca.crt") if not (folder / n).exists()]
        return f"KUBECONFIG is not the rig's: no {', '.join(missing)} beside it" if missing else ""
    if not (RIG / "start.sh").exists():
        return f"no Kubernetes rig: {RIG}/start.sh does not exist"
    missing = [tool for tool in ("etcd", "kubectl", "openssl", "ss", "curl") if not shutil.which(tool)]
    if missing:
        return f"the Kubernetes rig needs {', '.join(missing)}"
    return "" if BINARY.exists() else f"the Kubernetes rig is not built: {BINARY} does not exist (build.sh makes it)"


@contextmanager
def real_server() -> Iterator[RealServer]:
    """Start the rig (or take the one KUBECONFIG names) and stop what was started."""
    if os.environ.get("KUBECONFIG"):
        yield RealServer(Path(os.environ["KUBECONFIG"]))
        return
    with tempfile.TemporaryDirectory(prefix="rig-k8s-", ignore_cleanup_errors=True) as folder:
        run, ports, kube = Path(folder) / "run", _free_ports(), Path(folder) / "kube"
        kube.write_text(f'#!/bin/sh\n{NO_FIXED_PORTS}exec "{BINARY}" "$@"\n')
        kube.chmod(0o755)
        env = {
            **os.environ, "RUN": str(run), "API_PORT": str(ports), "ETCD_PORT": str(ports + 10), "KBIN": str(kube),
            "PY": sys.executable,
        }  # fmt: skip
        try:
            with (Path(folder) / "start.log").open("w+") as output:
                code = subprocess.run([RIG / "start.sh"], env=env, stdout=output, stderr=output, timeout=120).returncode
                output.seek(0)
                if code:
                    raise RuntimeError(f"the Kubernetes rig did not start: {output.read()[-500:]}")
            yield RealServer(run / "admin.kubeconfig")
        finally:
            subprocess.run([RIG / "stop.sh"], env=env, stdout=subprocess.DEVNULL, timeout=60, check=False)


def _free_ports() -> int:
    """The first of twenty neighbouring ports that are free."""
    for base in range(25000 + secrets.randbelow(200) * 20, 31000, 20):
        with ExitStack() as held:
            try:
                for port in range(base, base + 20):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return base
    raise RuntimeError("no free ports")


@asynccontextmanager
async def api_on(server: Server) -> AsyncIterator[Api]:
    """Clients and a fresh namespace on a server."""
    api = Api(server, f"contract-{secrets.token_hex(4)}")
    await api.connect()
    try:
        await api.core().create_namespace({"metadata": {"name": api.namespace}})
        if api.real:  # a pod can be made once the controllers have given the namespace its service account
            pods, pod = f"/api/v1/namespaces/{api.namespace}/pods", {"containers": [{"name": "a", "image": "a"}]}
            trial = {"metadata": {"name": "trial"}, "spec": pod}
            await api.eventually(
                lambda: api.raw("POST", pods, trial, dryRun="All"), lambda said: said[0] == 201, within=90
            )
        yield api
        await api.core().delete_namespace(api.namespace)
    finally:
        await api.close()


def settled(deployment: Any) -> bool:
    """Has a rollout finished?"""
    status, wanted = deployment.status, deployment.spec.replicas
    counts = (status.replicas, status.updated_replicas, status.available_replicas)
    seen = (status.observed_generation or 0) >= deployment.metadata.generation
    return seen and all((count or 0) == wanted for count in counts)
