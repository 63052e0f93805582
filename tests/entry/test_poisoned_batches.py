"""One bad alert costs itself and nothing else; and bodies that were made to hurt cost nearly nothing, whichever source they are for."""

from __future__ import annotations

import json
import zlib
from functools import cache
from time import thread_time
from typing import Any

import pytest

from bot.config.sources import SenderFacts
from bot.entry.arrivals import SourceEntry
from bot.entry.auth import Bearer
from bot.plugins import discover
from bot.plugins.sources import alertmanager, generic, grafana
from tests.entry.webhook_fakes import BEARER, NOW, TOKEN, Intake, serving

HUNDRED, AT = 100, 37
MAPPED = generic.Params.model_validate(
    {"alerts": "items", "name": "check", "status": "state", "fingerprint": "id", "labels": {"service": "service"}}
)
BATCHES: dict[str, tuple[Any, Any, str, dict[str, Any]]] = {
    # source: its format, its settings, where its alerts are, and one of them
    "alertmanager": (alertmanager, alertmanager.Params(), "alerts", {"status": "firing", "labels": {"alertname": "A"}, "fingerprint": "f"}),
    "grafana": (grafana, grafana.Params(), "alerts", {"status": "firing", "labels": {"alertname": "A"}, "fingerprint": "f"}),
    "generic": (generic, MAPPED, "items", {"check": "A", "state": "firing", "id": "f", "service": "shop"}),
}  # fmt: skip
NO_ALERT: list[Any] = [None, 7, "firing", [], [{}], True, "x" * 100_000]
LIKE_AN_ALERT: list[tuple[str, dict[str, Any]]] = [
    ("alertmanager", {"labels": []}),
    ("alertmanager", {"labels": "alertname=A"}),
    ("alertmanager", {"labels": {"alertname": "A"}, "annotations": 7}),
    ("alertmanager", {"labels": {"alertname": "A"}, "status": "alerting"}),
    ("alertmanager", {"labels": {"alertname": "A"}, "status": ["firing"]}),
    ("grafana", {"labels": []}),
    ("grafana", {"labels": {"alertname": "A"}, "annotations": 7}),
    ("grafana", {"labels": {"alertname": "A"}, "status": "odd"}),
    ("generic", {"state": "firing", "id": "f"}),
]
POISON = [(source, bad) for source in BATCHES for bad in NO_ALERT] + LIKE_AN_ALERT


def entry(name: str) -> SourceEntry:
    module, params, _, _ = BATCHES[name]
    return SourceEntry(f"batch-{name}", module.parse, params, Bearer([TOKEN]))


@pytest.mark.parametrize(("source", "bad"), POISON, ids=[f"{source}-{json.dumps(bad)[:40]}" for source, bad in POISON])
async def test_one_poisoned_alert_in_a_batch_of_a_hundred_costs_that_one(source: str, bad: Any) -> None:
    _, _, where, alert = BATCHES[source]
    name = "fingerprint" if "fingerprint" in alert else "id"
    alerts: list[Any] = [{**alert, name: f"f{number}"} for number in range(HUNDRED)]
    alerts[AT] = bad
    intake = Intake()
    async with serving(intake, entry(source)) as client:
        response = await client.post(f"/webhooks/batch-{source}", json={where: alerts}, headers=BEARER)
        told = await response.json()
    assert (response.status, told["accepted"]) == (200, HUNDRED - 1)
    assert [alert.fingerprint for alert in intake.alerts] == [f"f{one}" for one in range(HUNDRED) if one != AT]
    (named,) = told["bad"]
    assert named["index"] == AT
    assert f"{where}[{AT}]" in named["reason"]
    assert len(named["reason"]) < 500


async def test_a_batch_of_nothing_but_poison_is_refused_with_a_reason_for_each() -> None:
    intake = Intake()
    async with serving(intake) as client:
        response = await client.post("/webhooks/alertmanager", json={"alerts": [7] * HUNDRED}, headers=BEARER)
        told = await response.json()
    assert (response.status, intake.calls) == (400, 0)
    assert [one["index"] for one in told["bad"]] == list(range(HUNDRED))


# ------------------------------------------------------------------------------------------------ bodies that were made to hurt

EVERY = {
    name: SourceEntry(f"any-{name}", module.parse, module.Params(), Bearer([TOKEN]), SenderFacts.of(module).methods)
    for name, module in discover("sources").items()
    if "SMTP" not in SenderFacts.of(module).methods
}
ALIASES = f"a: &a [{','.join(['lol'] * 13)}]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefg", "bcdefgh", strict=True)
)  # each list is nine of the one before


@cache
def bomb() -> bytes:
    """200 MiB of nothing, packed."""
    packing = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = [packing.compress(bytes(1 << 20)) for _ in range(200)]
    return b"".join([*packed, packing.flush()])


HURTFUL: dict[str, tuple[bytes, dict[str, str]]] = {
    "YAML aliases": (ALIASES.encode(), {"Content-Type": "application/yaml"}),
    "lists": (b"[" * 20_000, {}),
    "closed lists": (b"[" * 20_000 + b"]" * 20_000, {}),
    "objects": (b'{"alerts":' * 20_000, {}),
    "lists among alerts": (b'{"alerts":[' + b"[" * 20_000 + b"]" * 20_000 + b"]}", {}),
}
SECONDS = 1.0  # of CPU; what is parsed before it is judged costs a hundred times as much


@pytest.mark.parametrize("kind", sorted(EVERY))
async def test_what_was_made_to_hurt_is_refused_quickly_by_every_source(kind: str) -> None:
    intake = Intake(now=NOW)
    async with serving(intake, EVERY[kind]) as client:
        for name, (body, headers) in HURTFUL.items():
            started = thread_time()
            response = await client.post(f"/webhooks/any-{kind}", data=body, headers={**BEARER, **headers})
            told = await response.json()
            assert (response.status, bool(told["error"])) == (400, True), name
            assert thread_time() - started < SECONDS, name
    assert intake.calls == 0


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.slow] if kind != "alertmanager" else []) for kind in sorted(EVERY)]
)
async def test_two_hundred_mebibytes_in_a_small_gzip_are_never_held(kind: str) -> None:
    intake, packed = Intake(now=NOW), bomb()
    async with serving(intake, EVERY[kind], max_body=1 << 20) as client:
        started = thread_time()
        headers = {**BEARER, "Content-Type": "application/json", "Content-Encoding": "gzip"}
        response = await client.post(f"/webhooks/any-{kind}", data=packed, headers=headers)
        told = await response.json()
        assert (response.status, intake.calls) == (413, 0)
        assert "larger than" in told["error"]
        assert thread_time() - started < SECONDS


def test_the_bombs_are_as_small_as_they_are_said_to_be() -> None:
    assert len(ALIASES) == 305
    assert len(bomb()) // 1024 == 199
