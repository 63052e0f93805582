"""Slack is down as a whole: the page goes out by another medium within thirty seconds, is acknowledged without Slack, and nobody is paged twice."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bot.domain.incident import State
from bot.domain.page import PageState
from tests.support.program import Program, program
from tests.support.smtp_server import MailServer, mail_server

SECRET = "a secret of sixteen characters or more"


@asynccontextmanager
async def with_mail(state: Path) -> AsyncIterator[tuple[Program, MailServer]]:
    secret = state / "link-secret"
    secret.write_text(SECRET)
    async with mail_server() as mail:
        more = {
            "channels.email": {"type": "email", "host": "127.0.0.1", "port": mail.port, "tls": "none", "from": "tocsin@shop.example"},
            "server.public_url": "https://tocsin.example.com",
            "server.secret": f"file:{secret}",
        }  # fmt: skip
        async with program(state, more) as it:
            yield it, mail


def letters(mail: MailServer) -> list[str]:
    return [f"{one['To']}: {one['Subject']}" for one in mail.messages]


async def test_the_page_goes_out_by_mail_within_thirty_seconds(tmp_path: Path) -> None:
    async with with_mail(tmp_path) as (it, mail):
        it.world.workspace.faults.add("down")
        await it.alert()
        await it.settle()
        await it.wait(30)
        assert [one.partition(":")[0] for one in letters(mail)][:1] == ["ada@shop.example"]
        assert "INC-1" in letters(mail)[0]
        shown = await it.tocsin.incidents.show(1)
        arrived = {page.medium: page.state for page in shown.pages if page.target == "person:ada"}
        assert arrived["email"] is PageState.SENT


async def test_a_link_in_the_mail_acknowledges_and_slack_hears_of_it_when_it_is_back(tmp_path: Path) -> None:
    async with with_mail(tmp_path) as (it, mail):
        it.world.workspace.faults.add("down")
        await it.alert()
        await it.wait(30)
        body = mail.messages[0].get_body(("plain",))
        assert body is not None
        found = re.search(r"https://tocsin\.example\.com(/acknowledge/\S+)", body.get_content())
        assert found, body.get_content()
        async with it.http.get(it.url + found[1]) as looked:
            assert looked.status == 200
        assert (await it.incident()).state is State.TRIGGERED, "a mail scanner that follows links acknowledges nothing"
        async with it.http.post(it.url + found[1]) as pressed:
            assert pressed.status == 200
            assert "INC-1" in await pressed.text()
        taken = await it.incident()
        assert (taken.state, taken.acknowledged_by.startswith("Ada Lovelace")) == (State.ACKNOWLEDGED, True)

        before = len(mail.taken)
        it.world.workspace.faults.clear()
        await it.wait(120, step=10)
        assert it.pages("U0ADA") == [], "whoever has acknowledged is not paged by what comes back"
        assert it.pages("U0BOB") == []
        assert len(mail.taken) == before
        assert "acknowledged INC-1" in it.text("inc-1")


async def test_whoever_was_paged_by_mail_hears_there_that_it_is_over(tmp_path: Path) -> None:
    async with with_mail(tmp_path) as (it, mail):
        it.world.workspace.faults.add("down")
        await it.alert()
        await it.wait(30)
        told = len(mail.taken)
        await it.alert(firing=False)
        await it.wait(5)
        after = letters(mail)[told:]
        assert [one.partition(":")[0] for one in after] == ["ada@shop.example"], "exactly those who were alerted"
        assert mail.messages[told]["In-Reply-To"], "in the same thread"
