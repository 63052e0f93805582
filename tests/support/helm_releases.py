"""A Kubernetes API with nothing but Helm's Secrets, and a `helm` that rolls back in it as the real one does."""

from __future__ import annotations

import base64
import gzip
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

TOKEN = "cluster-token"
# Written to disk and run by the tests: takes the arguments of `helm rollback`, and does what it does through the API of its KUBECONFIG.
HELM = """#!{python}
import json, os, sys, time, urllib.request
assert sorted(set(os.environ) - {{"LC_CTYPE"}}) == ["HOME", "KUBECONFIG", "PATH"], sorted(os.environ)
config = json.load(open(os.environ["KUBECONFIG"]))
assert os.stat(os.environ["KUBECONFIG"]).st_mode & 0o077 == 0
{extra}
server, token = config["clusters"][0]["cluster"]["server"], config["users"][0]["user"]["token"]
asked = urllib.request.Request(server + "/practice/rollback", json.dumps(sys.argv[1:]).encode(), {{"Authorization": "Bearer " + token}})
answer = json.load(urllib.request.urlopen(asked))
print(answer["said"])
sys.exit(answer["code"])
"""


class HelmCluster:
    """`upgrade` adds revisions of the release shop/checkout; `forbidden` refuses to list Secrets."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
        self.releases: list[dict[str, Any]] = []
        self.forbidden = False
        self.calls: list[list[str]] = []
        self.says = (0, "Rollback was a success! Happy Helming!")

    def upgrade(
        self, version: str, status: str = "deployed", description: str = "Upgrade complete", **values: Any
    ) -> None:
        content = {
            "chart": {"metadata": {"name": "shop", "version": version, "appVersion": f"v{version}"}, "templates": []},
            "config": {"password": "hunter2", **values},
            "manifest": f"kind: Secret\nstringData: {{password: hunter2}}\n# {version}",
        }
        self._add(content, status, description)

    def _add(self, content: dict[str, Any], status: str, description: str) -> None:
        self.now += timedelta(hours=1)
        if status == "deployed":
            for one in self.releases:
                one["info"]["status"] = "superseded" if one["info"]["status"] == "deployed" else one["info"]["status"]
        at = self.now.strftime("%Y-%m-%dT%H:%M:%S.123456789Z")
        info = {"first_deployed": at, "last_deployed": at, "deleted": "", "description": description, "status": status}
        self.releases.append(
            {**content, "name": "checkout", "namespace": "shop", "version": len(self.releases) + 1, "info": info}
        )

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        if request.path == "/practice/rollback":
            return web.json_response(self._rollback(await request.json()))
        if request.path != "/api/v1/namespaces/shop/secrets":
            return _status(404, "the server could not find the requested resource")
        if self.forbidden:
            return _status(403, 'secrets is forbidden: User "tocsin" cannot list resource "secrets"')
        found = self.releases if request.query["labelSelector"] == "owner=helm,name=checkout" else []
        start, size = int(request.query.get("continue", 0)), int(request.query["limit"])
        more = {"continue": str(start + size)} if start + size < len(found) else {}
        return web.json_response(
            {"kind": "SecretList", "metadata": more, "items": [secret(one) for one in found[start : start + size]]}
        )

    def _rollback(self, arguments: list[str]) -> dict[str, Any]:
        self.calls.append(arguments)
        code, said = self.says
        if code == 0:
            old = self.releases[int(arguments[2]) - 1]
            content = {key: old[key] for key in ("chart", "config", "manifest")}
            self._add(content, "deployed", f"Rollback to {old['version']}")
        return {"code": code, "said": said}


def secret(release: dict[str, Any]) -> dict[str, Any]:
    """As pkg/storage/driver encodes it, and as the API then shows it."""
    inner = base64.b64encode(gzip.compress(json.dumps(release).encode()))
    labels = {
        "name": release["name"],
        "owner": "helm",
        "status": release["info"]["status"],
        "version": str(release["version"]),
    }
    return {
        "metadata": {
            "name": f"sh.helm.release.v1.{release['name']}.v{release['version']}",
            "namespace": "shop",
            "labels": labels,
        },
        "type": "helm.sh/release.v1",
        "data": {"release": base64.b64encode(inner).decode()},
    }


def program(folder: Path, extra: str = "") -> str:
    """A `helm` to run; `extra` is Python that runs first."""
    path = folder / "helm"
    path.write_text(HELM.format(python=sys.executable, extra=extra))
    path.chmod(0o755)
    return str(path)


def _status(code: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "status": "Failure", "message": message, "code": code}, status=code)
