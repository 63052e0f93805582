"""`/incident …`: every subcommand, with and without INC-n, and what is said when it is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from bot.entry.slack.commands import Ask, Commands, Reply
from bot.errors import BadInput
from bot.practice.workspace.blocks import check_message
from tests.entry.slack_fakes import FakeFlows
from tests.room.samples import ADA, incident

HERE = incident().channel_id


async def run(
    text: str, fakes: FakeFlows | None = None, channel: str = HERE, modal: bool = False
) -> tuple[Reply, list[Any]]:
    fakes = fakes or FakeFlows()
    reply = await Commands(fakes.flows()).run(Ask(text, ADA, channel, can_open_modal=modal))
    return reply, fakes.calls


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("ack", ("acknowledge", 7, "ada")),
        ("ACK", ("acknowledge", 7, "ada")),
        ("  ack  ", ("acknowledge", 7, "ada")),
        ("acknowledge INC-12", ("acknowledge", 12, "ada")),
        ("ack inc-12", ("acknowledge", 12, "ada")),
        ("ack INC12", ("acknowledge", 12, "ada")),
        ("resolve", ("resolve", 7, "ada", "")),
        ("resolve it was the cache", ("resolve", 7, "ada", "it was the cache")),
        ("resolve INC-12 it was the cache", ("resolve", 12, "ada", "it was the cache")),
        ("mitigate rolled back", ("mitigate", 7, "ada", "rolled back")),
        ("note INC-12 look at the graph", ("note", 12, "look at the graph", "ada")),
        ("note INC-12 is a duplicate", ("note", 12, "is a duplicate", "ada")),
        ("severity warning", ("severity", 7, "warning", "ada")),
        ("severity INC-12 Critical", ("severity", 12, "critical", "ada")),
        ("escalate", ("escalate", 7, "ada")),
        ("open checkout is down", ("declare", "checkout is down", "", "ada", "")),
        ("open critical checkout is down", ("declare", "checkout is down", "critical", "ada", "")),
        ("open CRITICAL checkout is down", ("declare", "checkout is down", "critical", "ada", "")),
        ("runbook restart", ("start", 7, "restart", {}, "ada")),
        (
            "runbook INC-12 scale-out replicas=8 name=a=b",
            ("start", 12, "scale-out", {"replicas": "8", "name": "a=b"}, "ada"),
        ),
        ("runbook scale-out name=“two words”", ("start", 7, "scale-out", {"name": "two words"}, "ada")),
        ("postmortem", ("draft", 7)),
    ],
)
async def test_a_command_is_one_call_of_the_flow(text: str, call: tuple[Any, ...]) -> None:
    _, calls = await run(text)
    assert calls == [call]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("resolv", 'There is no `/incident resolv`; did you mean "resolve"?'),
        ("frobnicate", "There is no `/incident frobnicate`. `/incident help` lists what there is."),
        (
            "severity critcal",
            "'critcal' is not a severity; did you mean \"critical\"? There are: critical, warning, info.",
        ),
        ("severity", "Which severity? There are: critical, warning, info."),
        ("runbook restrat", "There is no runbook 'restrat'; did you mean \"restart\"? There are: scale-out, restart."),
        ("runbook scale-out replicas", "'replicas' is not `key=value`."),
        ("runbook scale-out name='x", "A quotation mark has no partner"),
        ("show INC-99", "There is no INC-99."),
    ],
)
async def test_a_wrong_command_says_what_to_type_instead_and_does_nothing(text: str, words: str) -> None:
    fakes = FakeFlows()
    with pytest.raises(BadInput) as caught:
        await run(text, fakes)
    assert str(caught.value).startswith(words)
    assert fakes.calls == []


@pytest.mark.parametrize(
    "name", ["ack", "show", "resolve", "mitigate x", "note x", "severity info", "escalate", "runbook", "postmortem"]
)
async def test_outside_an_incidents_channel_it_asks_which_incident(name: str) -> None:
    with pytest.raises(BadInput, match="Which incident"):
        await run(name, channel="C0OTHER")


async def test_alone_it_explains_every_subcommand() -> None:
    for text in ("", "help", "?"):
        reply, _ = await run(text)
        for command in Commands(FakeFlows().flows()).table.values():
            assert f"`/incident {command.usage}`" in reply.text


async def test_the_list_is_one_line_per_incident() -> None:
    several = [incident(), incident(id=8, title="<!channel> down", acknowledged_by="Ada", channel_id="")]
    reply, _ = await run("list", FakeFlows(open_incidents=several))
    check_message(list(reply.blocks))
    shown = str(reply.blocks)
    assert (
        f"🔴 *INC-7* checkout: High error rate: triggered, since <!date^1772334000^{{date_short_pretty}} {{time}}|2026-03-01 03:00 UTC> <#{HERE}>"
        in shown
    )
    assert "*INC-8* &lt;!channel&gt; down: triggered, Ada has it" in shown


async def test_a_long_list_says_how_many_more_there_are() -> None:
    reply, _ = await run("list", FakeFlows(open_incidents=[incident(id=n, title="x" * 150) for n in range(50)]))
    check_message(list(reply.blocks))
    assert "and 20 more" in str(reply.blocks[-1])


async def test_an_empty_list_says_so() -> None:
    assert (await run("list", FakeFlows(open_incidents=[])))[0].text == "Nothing is open."


async def test_show_has_the_card_without_buttons_and_the_timeline() -> None:
    reply, _ = await run("show INC-7")
    check_message(list(reply.blocks))
    assert not any(block["type"] == "actions" for block in reply.blocks)
    assert "INC-7 opened &lt;b&gt;" in str(reply.blocks)


async def test_a_private_incident_is_shown_in_its_own_channel_only() -> None:
    fakes = FakeFlows(open_incidents=[incident(private=True)])
    assert "High error rate" not in str(await run("list", fakes, channel="C0OTHER"))
    assert "High error rate" in str(await run("list", fakes))
    assert "High error rate" in str(await run("show INC-7", fakes))
    with pytest.raises(BadInput, match="INC-7 is private"):
        await run("show INC-7", fakes, channel="C0OTHER")


@pytest.mark.parametrize("text", ["open", "note", "runbook"])
async def test_a_command_without_words_opens_a_form_where_one_can_be_opened(text: str) -> None:
    reply, calls = await run(text, modal=True)
    assert reply.view is not None
    assert calls == []


async def test_without_a_form_the_runbooks_are_listed() -> None:
    assert (await run("runbook"))[0].text == "`scale-out` Scale out\n`restart` Restart"
