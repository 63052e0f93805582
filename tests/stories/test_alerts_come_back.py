"""A problem that comes back within half an hour is the same incident; mixed, orphaned and recorded deliveries are taken as they are."""

from __future__ import annotations

import json
from pathlib import Path

from bot.domain.incident import State
from tests.support.program import PAYLOADS, program, webhook

RECORDED = sorted(PAYLOADS.parent.glob("*/*.json"))


async def test_within_half_an_hour_it_is_the_same_incident_and_channel(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        await it.alert()
        await it.settle()
        await it.click("U0BOB", "tocsin_ack")
        await it.alert(firing=False)
        await it.wait(29 * 60, step=290)
        assert (await it.incident()).state is State.RESOLVED
        pages = sum(len(it.pages(user)) for user in ("U0ADA", "U0CHEN"))

        told = await it.alert()
        assert (told["outcome"], told["incident"]) == ("reopened", "INC-1")
        await it.settle()
        assert len(it.channels("inc-")) == 1
        assert (await it.incident()).state is State.TRIGGERED
        assert sum(len(it.pages(user)) for user in ("U0ADA", "U0CHEN")) == pages + 1
        assert "reopened" in it.text("inc-1")
        assert len(it.channel("inc-1").pins) == 1, "the same card"

        await it.alert(firing=False)
        await it.wait(120, step=60)
        names = [file.name for file in it.world.workspace.state.files.values() if "post-mortem" in file.name]
        assert len(names) == len(set(names)) == 2, "each end has its post-mortem"


async def test_after_half_an_hour_it_is_a_new_one(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        await it.alert()
        await it.alert(firing=False)
        await it.wait(31 * 60, step=300)
        await it.tocsin.housekeeping.tidy()
        told = await it.alert()
        assert (told["outcome"], told["incident"]) == ("opened", "INC-2")
        await it.settle()
        assert [channel.name for channel in it.channels("inc-")][1].startswith("inc-2-")
        assert (await it.incident(1)).state is State.CLOSED


async def test_a_delivery_with_firing_and_resolved_alerts_does_both(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        await it.alert(service="cart")
        body = webhook(it.clock, firing=False, service="cart")
        body["alerts"] += webhook(it.clock, service="search")["alerts"]
        status, answer = await it.post({**body, "status": "firing"})
        assert status == 200
        assert [one["outcome"] for one in answer["alerts"]] == ["resolved", "opened"]
        await it.settle()
        assert (await it.incident(1)).state is State.RESOLVED
        assert (await it.incident(2)).state is State.TRIGGERED


async def test_a_resolve_of_an_alert_that_never_fired_is_told_so_and_opens_nothing(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        status, answer = await it.post((PAYLOADS / "resolved-orphan.json").read_text())
        assert status == 200
        assert {one["outcome"] for one in answer["alerts"]} == {"ignored"}
        assert "nothing to resolve" in answer["alerts"][0]["reason"]
        await it.settle()
        assert it.channels("inc-") == []


async def test_the_recorded_story_of_a_real_alertmanager(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        for name in ("firing-1", "firing-3", "firing-4", "mixed-4", "resolved-2"):
            status, _ = await it.post((PAYLOADS / f"{name}.json").read_text())
            assert status == 200
            await it.settle()
        fired = {
            (alert["labels"]["alertname"], alert["labels"]["service"])
            for path in PAYLOADS.glob("*-?.json")
            for alert in json.loads(path.read_text())["alerts"]
        }
        incidents = await it.tocsin.incidents.listing(only_open=False)
        assert len(incidents) == len({incident.group_key for incident in incidents}) <= len(fired)
        assert len(it.channels("inc-")) == len(incidents)


async def test_every_recorded_delivery_of_any_format_is_accepted_as_it_is(tmp_path: Path) -> None:
    generic = {"sources.plain.type": "generic", "sources.plain.bearer": "env:TOCSIN_ALERTMANAGER_TOKEN"}
    async with program(tmp_path, generic) as it:
        for path in RECORDED:
            source = "alertmanager" if path.parent.name == "alertmanager" else "plain"
            for _ in range(2):
                status, answer = await it.post(path.read_bytes(), source)
                assert status == 200 or source == "plain", path.name
                assert status in (200, 400), answer
                assert "Traceback" not in json.dumps(answer)
        await it.settle()
        assert len(it.channels("inc-")) == len(await it.tocsin.incidents.listing(only_open=False)) >= 3
        assert [call for call in it.calls() if not call["ok"]] == []
