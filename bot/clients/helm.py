"""Helm releases: their history, read from the Secrets that Helm keeps, and `helm rollback`. Used by the action helm.rollback.

Format: pkg/storage/driver/{secrets,util}.go and pkg/release of github.com/helm/helm (v3 and v4). Each revision is a Secret
`sh.helm.release.v1.NAME.vN` of the type `helm.sh/release.v1` with the labels owner=helm, name, version and status; `data.release`
is base64 (Kubernetes) of base64 (Helm) of gzipped JSON. Only what is shown is kept of it: manifests and values, which may be secret,
only go into a digest.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
import os
import re
import shutil
import signal
import tempfile
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from bot.clients import rollout
from bot.clients.api import Answer
from bot.clients.earlier import Version
from bot.clients.k8s import Kubernetes
from bot.clients.k8s_errors import Ask
from bot.domain.naming import clipped
from bot.errors import BadInput, TryLater

TYPE = "helm.sh/release.v1"
GZIP = b"\x1f\x8b\x08"
MOST_UNPACKED = 8_000_000
MOST_OUTPUT = 64_000
PAGE, MOST_PAGES = 10, 20  # a Secret has at most 1 MiB, an answer at most 16 MB
LONGEST_TEXT = 200
GOOD = ("deployed", "superseded")
DEPLOYED = "deployed"
_ROLLBACK = re.compile(r"Rollback to (\d{1,9})")
_NANOSECONDS = re.compile(r"(\.\d{6})\d+")


class Revision(Version):
    """One revision of a release; `number` counts from 1. `kind` is the same for revisions with the same manifest and values."""

    status: str
    chart: str
    app_version: str
    description: str

    @property
    def pending(self) -> bool:
        return self.status.startswith("pending") or self.status == "uninstalling"


class _Metadata(Answer):
    name: str = ""
    version: str = ""
    app_version: str = Field(default="", alias="appVersion")


class _Chart(Answer):
    metadata: _Metadata = _Metadata()


class _Info(Answer):
    status: str = "unknown"
    description: str = ""
    last_deployed: str = ""


class _Release(Answer):
    version: int
    info: _Info = _Info()
    chart: _Chart = _Chart()
    config: Mapping[str, Any] | None = None
    manifest: str = ""


async def history(cluster: Kubernetes, namespace: str, release: str) -> list[Revision]:
    """The revisions of a release that are still kept, in their order. BadInput when there is no such release, or no right to read Secrets."""
    found: list[Revision] = []
    for secret in await secrets(cluster, namespace, f"owner=helm,name={release}"):
        if secret.get("type") == TYPE:
            found.append(await asyncio.to_thread(revision, secret))
    if not found:
        raise BadInput(
            f"helm: there is no release {release} in namespace {namespace} (no Secret of the type {TYPE} with the label name={release})"
        )
    return sorted(found, key=lambda one: one.number)


async def secrets(cluster: Kubernetes, namespace: str, label_selector: str) -> list[dict[str, Any]]:
    """The Secrets with these labels, page by page, at most PAGE * MOST_PAGES. They hold secrets: keep nothing of them."""
    found: list[dict[str, Any]] = []
    query = {"labelSelector": label_selector, "limit": str(PAGE)}
    for _ in range(MOST_PAGES):
        answer = await cluster.json(Ask("list", "secrets", namespace), query=query)
        found += answer.get("items") or ()
        more = (answer.get("metadata") or {}).get("continue")
        if not more:
            return found
        query["continue"] = more
    raise BadInput(
        f"helm: {label_selector} has more than {PAGE * MOST_PAGES} revisions in {namespace}: helm upgrade --history-max"
    )


def revision(secret: Mapping[str, Any]) -> Revision:
    """What is kept of one revision's Secret."""
    name = str((secret.get("metadata") or {}).get("name", ""))[:LONGEST_TEXT]
    try:
        inner = base64.b64decode((secret.get("data") or {}).get("release") or "", validate=True)
        packed = base64.b64decode(inner, validate=True)
        told = _Release.model_validate_json(_unpacked(packed, name) if packed.startswith(GZIP) else packed)
        at = datetime.fromisoformat(_NANOSECONDS.sub(r"\1", told.info.last_deployed.replace("Z", "+00:00")))
    except (binascii.Error, zlib.error, ValidationError, ValueError) as error:
        raise BadInput(
            f"helm: the Secret {name} is not a release as Helm 3 or 4 keeps it ({type(error).__name__})"
        ) from error
    chart = told.chart.metadata
    return Revision(
        number=told.version,
        kind=rollout.digest([told.manifest, told.config or {}, chart.name, chart.version]),
        at=at if at.tzinfo else at.replace(tzinfo=UTC),
        good=told.info.status in GOOD,
        status=clipped(told.info.status, LONGEST_TEXT),
        chart=clipped(f"{chart.name}-{chart.version}", LONGEST_TEXT),
        app_version=clipped(chart.app_version, LONGEST_TEXT),
        description=clipped(told.info.description, LONGEST_TEXT),
    )


def back_to(description: str) -> int | None:
    """The revision that Helm's own description says was gone back to."""
    found = _ROLLBACK.match(description)
    return int(found[1]) if found else None


def _unpacked(packed: bytes, name: str) -> bytes:
    unpacking = zlib.decompressobj(wbits=31)
    unpacked = unpacking.decompress(packed, MOST_UNPACKED)
    if unpacking.unconsumed_tail:
        raise BadInput(f"helm: the release in the Secret {name} is larger than {MOST_UNPACKED:,} bytes")
    return unpacked


# ------------------------------------------------------------------------------------------------ the program


async def roll_back(
    cluster: Kubernetes, namespace: str, release: str, number: int, *, seconds: float, program: str = "helm"
) -> str:
    """`helm rollback` with the bot's own connection to the cluster, in an environment of its own; what it said (not redacted).

    BadInput when there is no such program or it refuses; TryLater (uncertain) when it did not come back in time: it is killed then.
    """
    found = await asyncio.to_thread(shutil.which, program)
    if found is None:
        raise BadInput(
            f"the program `{program}` is not installed where Tocsin runs: put Helm 3 or 4 into a folder of its PATH "
            f"(/usr/local/bin/helm in a container image)"
        )
    folder = await asyncio.to_thread(tempfile.mkdtemp, prefix="tocsin-helm-")
    try:
        config = await _connection(cluster)
        await asyncio.to_thread(_written, Path(folder) / "kubeconfig", json.dumps(config))
        timeout = f"--timeout={max(1, round(seconds))}s"
        command = [found, "rollback", release, str(number), f"--namespace={namespace}", "--wait=false", timeout]
        return await _run(command, folder, seconds)
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))


async def _connection(cluster: Kubernetes) -> dict[str, Any]:
    """A kubeconfig with what the bot itself uses, so that Helm changes the cluster that was looked at, and with no other rights."""
    known = cluster.connection
    token = await known.get_api_key_with_prefix("BearerToken", alias="authorization") or ""
    there: dict[str, Any] = {"server": known.host}
    if known.ssl_ca_cert:
        there["certificate-authority"] = str(known.ssl_ca_cert)
    if not known.verify_ssl:
        there["insecure-skip-tls-verify"] = True
    if known.tls_server_name:
        there["tls-server-name"] = known.tls_server_name
    user: dict[str, Any] = {"token": token.partition(" ")[2] or token} if token else {}
    if known.cert_file and known.key_file:
        user |= {"client-certificate": str(known.cert_file), "client-key": str(known.key_file)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tocsin", "cluster": there}],
        "users": [{"name": "tocsin", "user": user}],
        "contexts": [{"name": "tocsin", "context": {"cluster": "tocsin", "user": "tocsin"}}],
        "current-context": "tocsin",
    }


def _written(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


async def _run(command: list[str], folder: str, seconds: float) -> str:
    environment = {"KUBECONFIG": f"{folder}/kubeconfig", "HOME": folder, "PATH": os.environ.get("PATH", os.defpath)}
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
        cwd=folder,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(seconds):
            said = await _bounded(process)
            code = await process.wait()
    except TimeoutError as error:
        raise TryLater(f"helm rollback did not come back in {seconds:g} s and was stopped", uncertain=True) from error
    finally:
        await _ended(process)
    if code != 0:
        raise Failed(code, said)
    return said


async def _bounded(process: asyncio.subprocess.Process) -> str:
    """All of it is read, so that the program never waits for a reader; the first MOST_OUTPUT bytes are kept."""
    kept = b""
    if process.stdout is not None:
        while part := await process.stdout.read(65536):
            kept += part[: MOST_OUTPUT - len(kept)]
    return kept.decode("utf-8", errors="replace").strip()


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Nothing of it goes on when it is not awaited any more: the whole group gets the signal."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.shield(process.wait())


class Failed(Exception):
    """Helm said no, or failed half-way: `said` is its own words, not redacted."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(f"helm rollback ended with {code}")
        self.code = code
        self.said = said
