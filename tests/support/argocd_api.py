"""An Argo CD that answers as the real one does to what Tocsin asks: one application, operations that end when told to."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

START = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
TOKEN = "Bearer argocd-secret"


def commit(name: str) -> str:
    return hashlib.sha1(name.encode()).hexdigest()


class ArgoCd:
    """`history` holds revisions; `finish()` ends the running operation; `lose` drops the next answer to a write after doing it."""

    def __init__(self, *revisions: str, git: str = "", automated: Any = None) -> None:
        self.now = START
        self.git = git or revisions[-1]
        self.automated = automated
        self.source: dict[str, Any] = {
            "repoURL": "https://git.example/shop",
            "path": "checkout",
            "targetRevision": "main",
        }
        self.history: list[dict[str, Any]] = []
        self.operation: dict[str, Any] | None = None
        self.state: dict[str, Any] | None = None
        self.health = "Healthy"
        self.asked: list[tuple[str, Any]] = []
        self.lose = False
        self.token = ""
        self.resources: list[dict[str, Any]] | None = None
        for revision in revisions:
            self.deployed(revision, self.source)

    def deployed(self, revision: str, source: dict[str, Any]) -> None:
        self.now += timedelta(hours=1)
        number = self.history[-1]["id"] + 1 if self.history else 0
        at = self.now.isoformat().replace("+00:00", "Z")
        self.history.append(
            {"id": number, "revision": revision, "source": source, "deployedAt": at, "deployStartedAt": at}
        )

    def finish(self, phase: str = "Succeeded", message: str = "successfully synced") -> None:
        """The controller has done what was asked."""
        assert self.operation is not None
        sync = self.operation["sync"]
        revision, source = sync.get("revision") or self.git, sync.get("source") or self.source
        if phase == "Succeeded":
            self.deployed(revision, source)
            self.resources = None
        else:
            self.now += timedelta(hours=1)
        self.state = {
            "phase": phase,
            "message": message,
            "operation": self.operation,
            "finishedAt": self.now.isoformat().replace("+00:00", "Z"),
            "syncResult": {"revision": revision, "source": source},
        }
        self.operation = None

    def application(self) -> dict[str, Any]:
        synced = self.history and self.history[-1]["revision"] == self.git and not self.resources
        out = (
            []
            if synced
            else self.resources
            or [{"kind": "Deployment", "namespace": "shop", "name": "checkout", "status": "OutOfSync"}]
        )
        policy = {"syncPolicy": {"automated": self.automated}} if self.automated is not None else {}
        return {
            "metadata": {"name": "checkout", "namespace": "argocd"},
            "spec": {"project": "default", "source": self.source, "destination": {"namespace": "shop"}, **policy},
            **({"operation": self.operation} if self.operation else {}),
            "status": {
                "sync": {"status": "Synced" if synced else "OutOfSync", "revision": self.git},
                "health": {"status": self.health},
                "history": self.history,
                "resources": [{"kind": "Service", "namespace": "shop", "name": "checkout", "status": "Synced"}, *out],
                "summary": {"images": ["registry.example/checkout:1.4.2"]},
                **({"operationState": self.state} if self.state else {}),
            },
        }

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if self.token and request.headers.get("Authorization") != self.token:
            return _error(401, 16, "no session information")
        if request.path.removesuffix("/sync").removesuffix("/rollback") != "/api/v1/applications/checkout":
            return _error(404, 5, 'applications.argoproj.io "other" not found')
        if request.method == "GET":
            return web.json_response(self.application())
        body = await request.json()
        what = request.path.rpartition("/")[2]
        refused = self._sync(body) if what == "sync" else self._rollback(body)
        if refused is not None:
            return refused
        self.asked.append((what, body))
        if self.lose:
            self.lose = False
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(self.application())

    def _sync(self, body: dict[str, Any]) -> web.Response | None:
        if self.automated is not None and body.get("revision") not in (None, "", self.source["targetRevision"]):
            return _error(400, 9, f"Cannot sync to {body['revision']}: auto-sync currently set to main")
        return self._operate({"revision": body.get("revision"), "prune": body["prune"], "dryRun": body["dryRun"]})

    def _rollback(self, body: dict[str, Any]) -> web.Response | None:
        if self.automated is not None:
            return _error(400, 9, "rollback cannot be initiated when auto-sync is enabled")
        line = next((one for one in self.history if one["id"] == body["id"]), None)
        if line is None:
            return _error(400, 3, f"application checkout does not have deployment with id {body['id']}")
        return self._operate({"revision": line["revision"], "source": line["source"], "prune": body["prune"]})

    def _operate(self, sync: dict[str, Any]) -> web.Response | None:
        if self.operation is not None:
            return _error(400, 9, "another operation is already in progress")
        self.operation = {"sync": sync}
        return None


def _error(status: int, code: int, message: str) -> web.Response:
    return web.json_response({"error": message, "code": code, "message": message}, status=status)
