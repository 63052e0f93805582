"""What is asked of a Kubernetes API, and what its refusals mean in words that say what to do. Used by k8s.py only."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from bot.clients.retry_after import seconds
from bot.errors import BadInput, TryLater

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_WHOLE_OBJECT = re.compile(r'Invalid value: "\{.*', re.S)  # the object itself, with whatever its environment holds
METHODS = {"get": "GET", "list": "GET", "create": "POST", "patch": "PATCH"}
KINDS = {
    "controllerrevisions": "ControllerRevision",
    "daemonsets": "DaemonSet",
    "deployments": "Deployment",
    "events": "Event",
    "nodes": "Node",
    "pods": "Pod",
    "replicasets": "ReplicaSet",
    "statefulsets": "StatefulSet",
}
CLUSTER_WIDE = ("nodes", "selfsubjectaccessreviews")
EVICTION = "eviction"
BUDGET = "DisruptionBudget"  # the cause that the API gives when a PodDisruptionBudget forbids an eviction
LONGEST_MESSAGE = 500


class NotThere(BadInput):
    """The cluster has no such object."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request in the terms of RBAC: verb, resource, namespace and name. Refuses what is no Kubernetes name (it becomes part of a path)."""

    verb: str
    resource: str = ""
    namespace: str = ""
    name: str = ""
    group: str = ""
    subresource: str = ""
    path: str = ""

    def __post_init__(self) -> None:
        for what, value in (("namespace", self.namespace), ("name", self.name)):
            if value and not _NAME.fullmatch(value):
                raise BadInput(
                    f"kubernetes: {value[:100]!r} cannot be a {what}: lower-case letters, digits, `-` and `.` only"
                )

    @property
    def method(self) -> str:
        return METHODS[self.verb]

    @property
    def writes(self) -> bool:
        return self.verb == "patch" or self.subresource == EVICTION

    @property
    def path_(self) -> str:
        if self.path:
            return self.path
        parts = [f"/apis/{self.group}/v1" if self.group else "/api/v1"]
        if self.namespace:
            parts.append(f"namespaces/{self.namespace}")
        parts += [part for part in (self.resource, self.name, self.subresource) if part]
        return "/".join(parts)

    @property
    def full_resource(self) -> str:
        """`deployments.apps`, `pods/log`: as `kubectl auth can-i` and the API's own messages write it."""
        resource = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        return f"{resource}.{self.group}" if self.group else resource

    @property
    def thing(self) -> str:
        """`Deployment shop/checkout`"""
        kind = KINDS.get(self.resource, self.resource)
        where = "/".join(part for part in (self.namespace, self.name) if part)
        return f"{kind} {where}".strip()

    def __str__(self) -> str:
        return f"{self.verb} {self.full_resource or self.path} {self.namespace}/{self.name}".rstrip("/ ")


@dataclass(frozen=True, slots=True)
class Refusal:
    """The error to raise, and whether the API named fields that it dislikes."""

    error: Exception
    causes: bool


def refusal(ask: Ask, status: int, body: bytes, retry_after: str = "") -> Refusal:
    """What an answer other than 2xx means."""
    said = _status(body)
    details = said.get("details") if isinstance(said.get("details"), dict) else {}
    causes = bool(details and details.get("causes"))
    message = str(said.get("message") or body[:LONGEST_MESSAGE].decode("utf-8", "replace"))
    message = _WHOLE_OBJECT.sub("an invalid value", message)[:LONGEST_MESSAGE]
    delay = seconds(retry_after) or _delay(details)
    error = _no_eviction(ask, status, message, details, delay) if ask.subresource == EVICTION else None
    return Refusal(error or _error(ask, status, message, delay), causes)


def _no_eviction(ask: Ask, status: int, message: str, details: Any, delay: float | None) -> Exception | None:
    """What a PodDisruptionBudget that stands against it means; None when none does."""
    causes = (details or {}).get("causes") or ()
    why = "; ".join(str(one.get("message", "")) for one in causes if one.get("reason") == BUDGET)
    if status == 429 and why:
        return TryLater(f"kubernetes: a PodDisruptionBudget keeps {ask.thing} for now: {why[:LONGEST_MESSAGE]}", delay)
    if "more than one PodDisruptionBudget" in message:
        return BadInput(f"kubernetes: {ask.thing} cannot be evicted: {message}")
    return None


def _error(ask: Ask, status: int, message: str, delay: float | None) -> Exception:
    if status == 401:
        return BadInput(
            "kubernetes: the cluster does not know the bot's credentials (401): renew the token or the kubeconfig"
        )
    if status == 403:
        return BadInput(f"{_missing_rule(ask)}. The cluster says: {message}")
    if status == 404:
        where = f" in namespace {ask.namespace}" if ask.namespace else ""
        what = f"{KINDS.get(ask.resource, ask.resource)} {ask.name}" if ask.name else ask.full_resource or ask.path
        return NotThere(f"kubernetes: there is no {what}{where} ({message})")
    if status == 429:
        return TryLater(f"kubernetes: too many requests: {message}", delay)
    if status >= 500:
        return TryLater(f"kubernetes: {status}: {message}", delay, uncertain=ask.writes)
    return BadInput(f"kubernetes: {ask} was refused ({status}): {message}")


def rule(verb: str, resource: str, group: str = "") -> str:
    """The rule that grants it, as it stands in the YAML of a Role: `- {apiGroups: [apps], resources: [deployments], verbs: [patch]}`."""
    shown = group or '""'
    return f"- {{apiGroups: [{shown}], resources: [{resource}], verbs: [{verb}]}}"


def _missing_rule(ask: Ask) -> str:
    resource = f"{ask.resource}/{ask.subresource}" if ask.subresource else ask.resource
    where = f" in namespace {ask.namespace}" if ask.namespace else ""
    kind = "ClusterRole" if ask.resource in CLUSTER_WIDE else "Role"
    missing = rule(ask.verb, resource, ask.group)
    return (
        f"kubernetes: the bot may not {ask.verb} {ask.full_resource}{where}: add to the rules of its {kind}: {missing}"
    )


def _status(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _delay(details: Any) -> float | None:
    wait = details.get("retryAfterSeconds") if isinstance(details, dict) else None
    return float(wait) if isinstance(wait, int) and wait > 0 else None
