"""Which Deployment an incident is about, from the labels of its alerts. Used by the gatherers that look into the cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.clients.k8s import Kubernetes, label_selector
from bot.clients.k8s_errors import NotThere
from bot.domain.alert import AlertState
from bot.domain.incident import Incident
from bot.errors import BadInput

NAMES = ("deployment", "app", "service", "container", "job")
SELECTORS = ("app", "app.kubernetes.io/name", "k8s-app")


@dataclass(frozen=True, slots=True)
class Subject:
    """A Deployment, as JSON, and when the alert about it began."""

    namespace: str
    deployment: Mapping[str, Any]
    since: datetime

    @property
    def name(self) -> str:
        return str(self.deployment["metadata"]["name"])

    @property
    def selector(self) -> str:
        return label_selector(self.deployment["spec"]["selector"])

    @property
    def shown(self) -> str:
        return f"Deployment {self.namespace}/{self.name}"


async def subject_of(cluster: Kubernetes, incident: Incident, alerts: Sequence[AlertState]) -> Subject:
    """By the labels `namespace` and `deployment`; else by `pod`; else by a Deployment that is named or labelled like `app` or `service`.

    Raises BadInput that says which label is missing or what was not found.
    """
    since = min((state.alert.starts_at for state in alerts if state.alert.firing), default=incident.opened_at)
    labels = {**incident.labels, **(alerts[0].alert.labels if alerts else {})}
    namespace = labels.get("namespace") or labels.get("exported_namespace")
    if not namespace:
        have = ", ".join(sorted(labels)) or "none"
        raise BadInput(f"the alert has no namespace label (its labels: {have})")
    if not labels.get("deployment") and labels.get("pod"):
        name = await _owner_of_pod(cluster, namespace, labels["pod"])
        if name:
            return Subject(namespace, await cluster.deployment(namespace, name), since)
    tried = [labels[label] for label in NAMES if labels.get(label)]
    if not tried:
        raise BadInput("the alert has no label that names a Deployment (deployment, app, service or pod)")
    return Subject(namespace, await _named(cluster, namespace, tried), since)


async def _named(cluster: Kubernetes, namespace: str, names: Sequence[str]) -> Mapping[str, Any]:
    """The first Deployment with one of these names, else the first one labelled so."""
    for name in names:
        try:
            return await cluster.deployment(namespace, name)
        except NotThere:
            continue
    for name in names:
        for label in SELECTORS:
            if found := await cluster.deployments(namespace, f"{label}={name}"):
                return found[0]
    raise BadInput(f"namespace {namespace} has no Deployment named or labelled {', '.join(dict.fromkeys(names))}")


async def _owner_of_pod(cluster: Kubernetes, namespace: str, pod: str) -> str:
    """The name of the Deployment whose ReplicaSet made the pod; empty when it is another kind's, guessed when the pod is gone."""
    try:
        replica_set = _owner(await cluster.pod(namespace, pod), "ReplicaSet")
        return _owner(await cluster.replica_set(namespace, replica_set), "Deployment") if replica_set else ""
    except NotThere:
        return pod.rsplit("-", 2)[0] if pod.count("-") >= 2 else ""


def _owner(obj: Mapping[str, Any], kind: str) -> str:
    owners = obj["metadata"].get("ownerReferences") or ()
    return next((str(owner["name"]) for owner in owners if owner.get("kind") == kind), "")
