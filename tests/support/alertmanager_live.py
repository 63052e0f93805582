"""What a real Alertmanager says of the scenarios in alertmanager_cases.py, and the recording of it.

    python -m tests.support.alertmanager_live       writes tests/domain/alertmanager_semantics.json.gz anew

Every scenario gets a program of its own, so that nothing of the others is left.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.alertmanager_cases import ID, RECORDING, Answer, Scenario, scenarios
from tests.support.program import free_port
from tests.support.prometheus_stack import QUIET, binaries, running, until

AT_A_TIME = 3


async def answers(given: Sequence[Scenario], folder: Path) -> list[list[Answer]]:
    """Per scenario, for every alert that fires, in the order in which they were sent."""
    program = binaries()["alertmanager"]
    turns = asyncio.Semaphore(AT_A_TIME)

    async def one(number: int, scenario: Scenario) -> list[Answer]:
        async with turns:
            return await _asked(program, scenario, folder / str(number))

    return list(await asyncio.gather(*(one(number, scenario) for number, scenario in enumerate(given))))


async def version() -> str:
    process = await asyncio.create_subprocess_exec(
        binaries()["alertmanager"], "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    found = re.search(rb"version (\d\S*)", said)
    assert found, said
    return found[1].decode()


async def _asked(program: str, scenario: Scenario, folder: Path) -> list[Answer]:
    folder.mkdir(parents=True)
    (folder / "alertmanager.yml").write_text(_yaml(scenario["config"]), encoding="utf-8")
    url = f"http://127.0.0.1:{free_port()}"
    command = [program, "--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address=",
               f"--web.listen-address={url.removeprefix('http://')}"]  # fmt: skip
    async with (
        running(command, folder / "alertmanager.log", QUIET, f"{url}/-/ready"),
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http,
    ):
        silences = [await _silence(http, url, one) for one in scenario["silences"]]
        await _send(http, url, scenario["alerts"])

        async def all_seen() -> bool:
            found = {one["labels"][ID]: one for one in await _get(http, f"{url}/api/v2/alerts")}
            target, source = (found.get(each["labels"][ID]) for each in scenario["alerts"][-2:])
            return bool(target and source and target["status"]["inhibitedBy"] == [source["fingerprint"]])

        async def all_grouped() -> list[dict[str, Any]]:
            groups: list[dict[str, Any]] = await _get(http, f"{url}/api/v2/alerts/groups")
            last = scenario["alerts"][-1]["labels"][ID]
            return groups if any(each["labels"][ID] == last for group in groups for each in group["alerts"]) else []

        await until(all_seen, "all alerts are seen")
        groups = await until(all_grouped, "all alerts are grouped")
        alerts = await _get(
            http, f"{url}/api/v2/alerts"
        )  # it judges each of them when it is asked: those of before may have come too early
        return _answers(alerts, groups, silences)


def _yaml(config: Mapping[str, Any]) -> str:
    """JSON is YAML, but for halves of characters, and for a line separator, which would be a space."""
    return json.dumps(config, ensure_ascii=False).replace("\u2028", "\\u2028")


async def _silence(http: aiohttp.ClientSession, url: str, one: Mapping[str, Any]) -> str:
    """Its id."""
    now, hour = datetime.now(UTC), timedelta(hours=1)
    starts = now + hour if one["when"] == "future" else now
    times = {"startsAt": starts.isoformat(), "endsAt": (starts + hour).isoformat()}
    body = {"matchers": one["matchers"], **times, "createdBy": "test", "comment": "test"}
    async with http.post(f"{url}/api/v2/silences", json=body) as answer:
        assert answer.status == 200, await answer.text()
        number = str((await answer.json())["silenceID"])
    if one["when"] == "ended":
        async with http.delete(f"{url}/api/v2/silence/{number}") as answer:
            assert answer.status == 200, await answer.text()
    return number


async def _send(http: aiohttp.ClientSession, url: str, alerts: Sequence[Mapping[str, Any]]) -> None:
    now = datetime.now(UTC)
    body = [
        {
            "labels": one["labels"],
            "startsAt": (now - timedelta(minutes=2)).isoformat(),
            "endsAt": (now + timedelta(minutes=-1 if one["resolved"] else 60)).isoformat(),
        }
        for one in alerts
    ]
    async with http.post(f"{url}/api/v2/alerts", json=body) as answer:
        assert answer.status == 200, await answer.text()


async def _get(http: aiohttp.ClientSession, url: str) -> Any:
    async with http.get(url) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


def _answers(
    alerts: Sequence[Mapping[str, Any]], groups: Sequence[Mapping[str, Any]], silences: Sequence[str]
) -> list[Answer]:
    grouped: dict[str, dict[str, Any]] = {one["labels"][ID]: {} for one in alerts}
    for group in groups:
        for one in group["alerts"]:
            if one["labels"][ID] in grouped:
                grouped[one["labels"][ID]][group["receiver"]["name"]] = group["labels"]
    found = [
        {
            ID: one["labels"][ID],
            "receivers": [each["name"] for each in one["receivers"]],
            "groups": grouped[one["labels"][ID]],
            "silenced": sorted(silences.index(number) + 1 for number in one["status"]["silencedBy"]),
            "inhibited": bool(one["status"]["inhibitedBy"]),
        }
        for one in alerts
    ]
    return sorted(found, key=lambda answer: int(answer[ID]))


async def _record() -> None:
    given = list(scenarios())
    with tempfile.TemporaryDirectory(prefix="tocsin-alertmanager-") as folder:
        found = await answers(given, Path(folder))
    text = json.dumps({"version": await version(), "scenarios": given, "answers": found}, ensure_ascii=False, separators=(",", ":"))  # fmt: skip
    RECORDING.write_bytes(gzip.compress(text.encode(errors="surrogatepass"), 9, mtime=0))
    print(f"{RECORDING.name}: {sum(map(len, found))} cases, {RECORDING.stat().st_size} bytes")


if __name__ == "__main__":
    asyncio.run(_record())
