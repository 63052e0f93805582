"""`/incident why`, over the real flow and a memory store: words in, words out, and nothing private where it does not belong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.domain.matching import matcher
from bot.domain.routing import Route, Routing
from bot.domain.signal import Signal
from bot.domain.silencing import Wish
from bot.entry.slack.asked import Ask, Reply
from bot.entry.slack.ports import Flows
from bot.entry.slack.why_commands import commands
from bot.errors import BadInput
from bot.flow.why import Explain
from bot.room import mrkdwn
from bot.room.blocks import characters_in
from bot.store import open_store
from tests.entry.slack_fakes import FakeFlows
from tests.room.samples import HOSTILE
from tests.support.house import ADA, House

SECRET = Route(path="root/0", key="root/secret", matchers=(matcher('team="secret"'),), policy="shop", private=True)
DISKS = Wish(matchers=('alertname=~"Held.*"',), reason="replacing disks", lasts=timedelta(hours=2))


@pytest.fixture
async def house() -> House:
    made = House(await open_store("memory://"))
    made.rules = replace(made.rules, signal=Signal(Routing(Route(policy="shop", routes=(SECRET,)))))
    return made


async def why(house: House, text: str = "", channel: str = "C-general") -> Reply:
    explain = Explain(house.store, house.clock, lambda: house.rules)

    async def once(key: str) -> bool:
        return True

    flows = Flows(
        house.incidents,
        explain,
        house.runbooks,
        house.decisions,
        house.review,
        lambda: house.rules.directory,
        once,
        house.silences,
        FakeFlows().flows().oncall,
    )
    return await commands(flows)["why"].run(Ask(text, ADA, channel))


def read(reply: Reply) -> str:
    return reply.text + "\n" + "\n".join(_texts(reply.blocks))


def _texts(blocks: Any) -> list[str]:
    if isinstance(blocks, Mapping):
        own = [blocks["text"]] if isinstance(blocks.get("text"), str) else []
        return own + [text for value in blocks.values() for text in _texts(value)]
    return [text for one in blocks for text in _texts(one)] if isinstance(blocks, list | tuple) else []


async def test_a_silenced_alert_is_told_with_author_reason_and_the_stage(house: House) -> None:
    await house.silences.create(DISKS, ADA)
    await house.receive(house.alert("HeldBack", fingerprint="abc123def"))
    told = read(await why(house, "abc123"))
    assert "silence 1 of Ada until" in told
    assert "replacing disks" in told
    assert "decided by the stage *silenced*" in told
    assert read(await why(house, "`abc123def`")) == told, "copied with its marks"


async def test_an_incident_tells_its_decisions_and_its_paging_by_name_and_in_its_channel(house: House) -> None:
    await house.receive(house.alert())
    await house.settle()
    named, there = read(await why(house, "inc-1")), read(await why(house, "", "C1"))
    assert named == there
    assert "Why INC-1" in named
    assert "*opened*: nothing is open for this group" in named
    assert "Ada was paged through Slack" in named
    assert "Nobody was paged" not in named


async def test_before_a_page_has_left_that_is_said(house: House) -> None:
    await house.receive(house.alert())
    assert "No page has left yet." in read(await why(house, "INC-1"))


async def test_outside_of_incidents_it_tells_what_is_held(house: House) -> None:
    assert "Nothing is held" in read(await why(house))
    await house.silences.create(DISKS, ADA)
    await house.receive(house.alert("HeldBack"))
    held = read(await why(house, "HELD"))
    assert "1 firing alert is held" in held
    assert "HeldBack on checkout" in held
    assert "silence 1 of Ada until" in held
    assert read(await why(house)) == held


async def test_many_that_are_held_are_counted(house: House) -> None:
    await house.silences.create(DISKS, ADA)
    await house.receive(*(house.alert("HeldBack", fingerprint=f"f{n}") for n in range(50)))
    reply = await why(house, "held")
    assert "50 firing alerts are held" in read(reply)
    assert "and 30 more" in read(reply)


@pytest.mark.parametrize("text", ["", "held"])
async def test_of_what_is_on_the_way_to_a_private_incident_only_the_number_is_told(house: House, text: str) -> None:
    await house.silences.create(DISKS, ADA)
    await house.receive(house.alert("HeldLayoffs", team="secret"), house.alert("HeldBack", fingerprint="f2"))
    told = read(await why(house, text))
    assert "Layoffs" not in told
    assert "1 on the way to private incidents" in told
    assert "HeldBack" in told


@pytest.mark.parametrize("text", ["INC-1", "#1", "f1", "test/f1"])
async def test_a_private_incident_is_told_in_its_own_channel_only(house: House, text: str) -> None:
    await house.receive(house.alert("Layoffs", team="secret"))
    await house.settle()
    for channel in ("C-general", ""):
        with pytest.raises(BadInput, match="private") as refused:
            await why(house, text, channel)
        assert "Layoffs" not in str(refused.value)
    assert "Layoffs" in read(await why(house, text, "C1"))


async def test_a_held_private_alert_is_not_told_by_its_fingerprint(house: House) -> None:
    await house.silences.create(DISKS, ADA)
    await house.receive(house.alert("HeldLayoffs", fingerprint="f1", team="secret"))
    with pytest.raises(BadInput, match="That alert is private"):
        await why(house, "f1")


async def test_of_several_that_begin_so_only_those_that_may_be_seen_are_told(house: House) -> None:
    await house.receive(
        house.alert("Layoffs", fingerprint="f1", team="secret"), house.alert("Broken", fingerprint="f2")
    )
    told = read(await why(house, "f"))
    assert "Broken" in told
    assert "Layoffs" not in told


async def test_what_nothing_is_called_is_said(house: House) -> None:
    with pytest.raises(BadInput, match="No alert is called 'nothing'"):
        await why(house, "nothing")
    with pytest.raises(BadInput, match="There is no INC-9"):
        await why(house, "INC-9")


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:12]))
async def test_whatever_an_alert_says_stays_within_slacks_limits_and_marks_nobody(house: House, text: str) -> None:
    text = text.encode(errors="replace").decode()  # no source lets half a character through
    texts = {"summary": text, "description": text}
    await house.receive(
        *(
            replace(house.alert("Held" + text, fingerprint=f"f{n}{text}", team=text), annotations=texts)
            for n in range(5)
        ),
        replace(house.alert(text or "x", fingerprint=f"g{text}", service=text), annotations=texts),
    )
    await house.settle()
    for asked in ("INC-1", "f", "held"):
        reply = await why(house, asked)
        assert len(reply.blocks) <= mrkdwn.BLOCKS
        assert characters_in(list(reply.blocks)) <= 13_000
        shown = read(reply)
        assert "<!channel" not in shown
        assert "<@U0ADA" not in shown
        assert "<https://evil" not in shown
        assert "\x1b" not in shown
        json.dumps(list(reply.blocks)).encode()
