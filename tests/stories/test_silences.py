"""A deployment silences its service through the API: what fires meanwhile disturbs nobody, and pages when the silence ends early."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bot.cli.demo import TOKEN
from tests.support.program import Program, program

API = {"api.tokens.deploy-bot": "env:TOCSIN_ALERTMANAGER_TOKEN"}


async def asked(it: Program, method: str, path: str, body: Any = None, token: str = TOKEN) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    async with it.http.request(method, f"{it.url}{path}", json=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_what_is_silenced_pages_nobody_until_the_silence_is_over(tmp_path: Path) -> None:
    async with program(tmp_path, API) as it:
        body = {"matchers": ["service=checkout"], "for": "2h", "reason": "deploying 1.4.2", "author": "Ada"}
        status, made = await asked(it, "POST", "/api/v1/silences", body)
        assert (status, made["number"], made["author"]) == (201, 1, "Ada via deploy-bot")
        assert (await asked(it, "POST", "/api/v1/silences", body, token="wrong"))[0] == 401
        assert (await it.alert())["outcome"] == "silenced"
        await it.settle()
        assert it.channels() == []
        assert "hides 1 alert now" in await it.command("U0ADA", "silence list")
        status, metrics = await it.scrape("/metrics")
        assert "\ntocsin_silences_hidden_alerts 1.0\n" in metrics
        status, ended = await asked(it, "DELETE", "/api/v1/silences/1")
        assert (status, ended["state"]) == (200, "expired")
        await it.settle()
        assert len(it.channels("inc-1")) == 1
        assert len(it.pages("U0ADA")) == 1


async def test_a_silence_from_the_incidents_own_channel_keeps_it_from_coming_back(tmp_path: Path) -> None:
    async with program(tmp_path) as it:
        await it.alert()
        await it.settle()
        it.channel("inc-1").members.append("U0BOB")
        answer = await it.command("U0BOB", "silence 2h replacing disks", channel="inc-1")
        assert "silence 1 until" in answer
        assert (await it.incident()).acknowledged_by == "Bob Kahn"
        assert "Bob Kahn made silence 1 for INC-1" in it.text("inc-1")
        it.clock.forward(minutes=10)
        await it.alert(firing=False)
        it.clock.forward(minutes=10)
        assert (await it.alert())["outcome"] == "silenced"
        await it.wait(85 * 60, step=60)
        assert "silence 1 of Bob Kahn ends in 15 min: replacing disks. 1 alert is hidden by it" in it.text("inc-1")
        assert len(it.channels()) == 1
