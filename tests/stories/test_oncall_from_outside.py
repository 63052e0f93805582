"""Without Slack: an override made by a tool through the JSON API shows in the subscribed calendar and takes the next page; a tool pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import icalendar

from tests.support.program import TOKEN, Program, program

ADA, BOB = "U0ADA", "U0BOB"  # in the demo it is always Ada's turn
API = {"api.tokens.deploy-bot": "env:TOCSIN_ALERTMANAGER_TOKEN", "server.public_url": "https://tocsin.example.com"}


async def asked(it: Program, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with it.http.request(method, f"{it.url}/api/v1/oncall{path}", json=body, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_an_override_by_a_tool_shows_in_the_calendar_and_takes_the_next_page(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a secret of sixteen characters or more")
    async with program(tmp_path, {**API, "server.secret": f"file:{secret}"}) as it:
        address = it.tocsin.links.calendar("schedule/shop").removeprefix("https://tocsin.example.com")
        _, before = await it.scrape(address)
        body = {"schedule": "shop", "person": "bob", "for": "4h", "why": "ada is ill", "author": "chen"}
        status, made = await asked(it, "POST", "/overrides", body)
        assert (status, made["replaced"]) == (201, ["ada"]), made
        status, after = await it.scrape(address)
        assert (status, "Bob Kahn" in before) == (200, False)
        bobs = [one for one in icalendar.Calendar.from_ical(after).events if str(one["SUMMARY"]) == "Bob Kahn"]
        assert [one["DTSTART"].dt.isoformat() for one in bobs] == [made["starts"]]
        _, now = await asked(it, "GET", "")
        assert now["schedules"][0]["on_call"] == [{"person": "bob", "name": "Bob Kahn"}]
        await it.alert()
        await it.settle()
        assert (len(it.pages(BOB)), len(it.pages(ADA))) == (1, 0)


async def test_a_tool_pages_somebody_with_a_reason(tmp_path: Path) -> None:
    async with program(tmp_path, API) as it:
        status, said = await asked(it, "POST", "/page", {"target": "bob", "why": "the tills are down", "author": "Eve"})
        assert (status, said["message"].partition(" ")[0]) == (202, "INC-1"), said
        await it.settle()
        assert len(it.pages(BOB)) == 1
        incident = await it.incident()
        assert (incident.title, incident.opened_by) == ("the tills are down", "Eve via deploy-bot")
