"""The gatherers that look into the cluster, with the bot's own rights: on the practice cluster and on a real API server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from bot.clients.kit import Kit
from bot.domain.alert import Alert, AlertState
from bot.domain.incident import Incident
from bot.plugins.gatherers import events, logs, pods, rollouts
from tests.support.kubernetes_api import Api, settled

SECRET = "postgres://checkout:hunter2@db:5432/shop"


def manifest(image: str) -> dict[str, Any]:
    notes = {"rig/log": f"starting\nDATABASE_URL={SECRET}\nERROR cannot reach payments\n"}
    return {
        "metadata": {"name": "checkout"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "checkout"}},
            "template": {
                "metadata": {"labels": {"app": "checkout"}, "annotations": notes},
                "spec": {"containers": [{"name": "checkout", "image": image}]},
            },
        },
    }


async def test_the_gatherers_tell_of_a_broken_rollout(api: Api, kit: Kit) -> None:
    await api.apps().create_namespaced_deployment(api.namespace, manifest("checkout:1.4.1"))

    async def deployment() -> Any:
        return await api.apps().read_namespaced_deployment("checkout", api.namespace)

    await api.eventually(deployment, settled)
    body = {"spec": {"template": {"spec": {"containers": [{"name": "checkout", "image": "checkout:crashloop"}]}}}}
    await api.apps().patch_namespaced_deployment("checkout", api.namespace, body)

    async def crashing() -> list[Any]:
        found = await kit.cluster.pods(api.namespace, "app=checkout")
        boxes = [box for pod in found for box in (pod.get("status") or {}).get("containerStatuses") or ()]
        return [box for box in boxes if (box["state"].get("waiting") or {}).get("reason") == "CrashLoopBackOff"]

    await api.eventually(crashing, bool)
    sets = (await api.apps().list_namespaced_replica_set(api.namespace)).items
    now = max(one.metadata.creation_timestamp for one in sets).astimezone(UTC) + timedelta(minutes=2)
    incident, alerts = incident_about({"namespace": api.namespace, "app": "checkout"}, now)

    (found,) = await rollouts.Plugin(kit, rollouts.Params()).gather(incident, alerts, now)
    assert found.lines == ("checkout 1.4.1 -> crashloop, 2 min before the alert (revision 1 -> 2)",)
    (found,) = await pods.Plugin(kit, pods.Params()).gather(incident, alerts, now)
    assert found.lines[0] == "1 of 1 pods of checkout are ready"
    assert "CrashLoopBackOff" in found.lines[1]
    (found,) = await events.Plugin(kit, events.Params()).gather(incident, alerts, now)
    assert any(line.startswith("BackOff") for line in found.lines)
    found = (await logs.Plugin(kit, logs.Params()).gather(incident, alerts, now))[0]
    assert found.code
    assert any("cannot reach payments" in line for line in found.lines)
    assert any("postgres://checkout:[redacted: password]@db:5432/shop" in line for line in found.lines)
    assert "hunter2" not in found.model_dump_json()


def incident_about(labels: dict[str, str], now: datetime) -> tuple[Incident, list[AlertState]]:
    alert = Alert("am", "f", True, {"alertname": "HighErrorRate", **labels}, {}, now)
    incident = Incident(id=7, title="t", group_key="g", opened_at=now, channel_name="c")
    return incident, [AlertState(alert, now, now)]
