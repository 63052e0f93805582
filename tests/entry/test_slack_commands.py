"""`/incident …`: every subcommand, with and without INC-n, and what is said when it is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from bot.domain.page import Page, PageState
from bot.domain.step import Approver
from bot.entry.slack.asked import Ask, Reply
from bot.entry.slack.commands import Commands
from bot.errors import BadInput
from bot.practice.workspace.blocks import check_message
from bot.room import blocks as kit
from tests.entry.slack_fakes import FakeFlows
from tests.room.samples import ADA, NOW, changed_run, incident, waiting_run

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
        ("still", ("still_at_it", 7, "ada")),
        ("still INC-12", ("still_at_it", 12, "ada")),
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
        ("run RUN-3 pause", ("pause", 3, "ada")),
        ("run run3 RESUME", ("resume", 3, "ada")),
        ("run cancel RUN-3", ("cancel", 3, "ada")),
        ("run undo", ("undo", 3, "ada")),
    ],
)
async def test_a_command_is_one_call_of_the_flow(text: str, call: tuple[Any, ...]) -> None:
    _, calls = await run(text, FakeFlows(open_incidents=[incident(), incident(id=12)]))
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
        (
            "run RUN-3 puase",
            "'puase' is nothing that can be done with a run; did you mean \"pause\"? There are: pause, resume, cancel, undo. "
            "For example `/incident run RUN-3 pause`.",
        ),
        ("run RUN-3 pause now", "'pause' is nothing that can be done with a run"),
        ("run RUN-99", "There is no RUN-99."),
        ("run scale-out", "`/incident run` is about a run that has begun, like RUN-3. `/incident runbook` plans"),
        ("run INC-7", "`/incident run` is about a run that has begun"),
        ("runbook RUN-3", "RUN-3 is a run, not a runbook: `/incident run RUN-3` shows it."),
        ("runs restrat", "There is no runbook called 'restrat'."),
        ("rnus", 'There is no `/incident rnus`; did you mean "runs"?'),
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


# ------------------------------------------------------------------------------------------------ runs


async def test_a_run_is_shown_with_its_buttons() -> None:
    reply, calls = await run("run RUN-3")
    check_message(list(reply.blocks))
    actions = [
        element["action_id"] for block in reply.blocks if block["type"] == "actions" for element in block["elements"]
    ]
    assert actions == [kit.APPROVE, kit.REFUSE, kit.GLASS, kit.PAUSE, kit.CANCEL]
    assert f"RUN-3 as it is now, for you alone. Its own message in <#{HERE}> is kept up to date." in str(reply.blocks)
    assert "(Ada, Bob)" in str(reply.blocks)
    assert calls == []


async def test_without_a_number_it_is_the_only_run_that_is_under_way_here() -> None:
    several = FakeFlows(runs=[changed_run(id=1), waiting_run()])
    assert "RUN-3" in (await run("run", several))[0].text
    two = FakeFlows(runs=[waiting_run(), waiting_run().model_copy(update={"id": 4})])
    with pytest.raises(BadInput, match=r"Which run.*Under way here: RUN-3, RUN-4"):
        await run("run pause", two)
    assert two.calls == []
    for fakes, channel in ((FakeFlows(runs=[changed_run()]), HERE), (FakeFlows(), "C0OTHER")):
        with pytest.raises(BadInput, match="Which run"):
            await run("run", fakes, channel)


@pytest.mark.parametrize(
    "text", ["run RUN-3", "run RUN-3 cancel", "runs INC-7", "runbook INC-7", "runbook INC-7 restart name=checkout"]
)
async def test_a_run_of_a_private_incident_is_for_its_own_channel(text: str) -> None:
    fakes = FakeFlows(open_incidents=[incident(private=True)])
    with pytest.raises(BadInput, match="private"):
        await run(text, fakes, channel="C0OTHER")
    assert fakes.calls == []
    assert (await run(text, fakes))[0].text


async def test_the_runs_here_are_one_line_each_the_newest_first() -> None:
    broken = changed_run(id=4, undone_by=5)
    glass = broken.steps[0].to(approvals=(Approver(actor=ADA, digest="d", at=NOW, broke_glass="it burns"),))
    reply, _ = await run("runs", FakeFlows(runs=[waiting_run(title="<!here>"), broken.with_steps("scale", [glass])]))
    check_message(list(reply.blocks))
    lines = reply.blocks[0]["text"]["text"].splitlines()
    assert lines == [
        "❌ *RUN-4* Scale out: failed, RUN-5 takes it back, 1 step changed something, 🔨 glass broken; INC-7, by Ada, "
        "<!date^1772334000^{date_short_pretty} {time}|2026-03-01 03:00 UTC>",
        "✋ *RUN-3* &lt;!here&gt;: step 1 of 2 waits for an approval, nothing changed; INC-7, by Ada, "
        "<!date^1772334000^{date_short_pretty} {time}|2026-03-01 03:00 UTC>",
    ]


async def test_outside_a_channel_the_runs_of_all_incidents_are_listed_and_private_ones_only_counted() -> None:
    fakes = FakeFlows(runs=[waiting_run(title="secret"), changed_run(id=4, incident_id=8)])
    fakes.open_incidents = [incident(private=True), incident(id=8)]
    reply, _ = await run("runs", fakes, channel="C0OTHER")
    assert "secret" not in str(reply)
    assert "🔒 *RUN-3* of INC-7: waiting" in str(reply)
    assert "*RUN-4* Scale out: failed" in str(reply)


async def test_the_runs_of_a_runbook_and_of_an_incident_that_has_none() -> None:
    assert "RUN-3" in (await run("runs scale-out"))[0].text
    assert (await run("runs restart"))[0].text == "There has been no run of `restart` yet."
    assert (await run("history", FakeFlows(runs=[])))[0].text == "There has been no run of INC-7 yet."


async def test_a_long_history_says_how_many_there_were_before() -> None:
    many = [changed_run(id=n) for n in range(1, 40)]
    reply, _ = await run("runs", FakeFlows(runs=many))
    check_message(list(reply.blocks))
    assert "*RUN-39*" in str(reply.blocks[0])
    assert "and 19 earlier" in str(reply.blocks[-1])


PRIVATE_PAGE = Page(
    key="p",
    incident_id=7,
    target="person:ada",
    name="Ada",
    medium="slack",
    state=PageState.SENT,
    begun_at=NOW,
    state_at=NOW,
)


@pytest.mark.parametrize(
    ("paged_as", "channel", "taken"),
    [
        ("person:ada", "C0ELSEWHERE", True),
        ("person:bob", "C0ELSEWHERE", False),
        ("channel:ops", "C0ELSEWHERE", False),
        ("person:ada", "", True),
        ("person:bob", HERE, True),
    ],
)
async def test_outside_its_channel_a_private_incident_is_taken_by_whoever_is_paged_only(
    paged_as: str, channel: str, taken: bool
) -> None:
    fakes = FakeFlows(open_incidents=[incident(private=True)])
    fakes.pages = [PRIVATE_PAGE.model_copy(update={"target": paged_as})]
    if taken:
        _, calls = await run("ack INC-7", fakes, channel)
        assert calls[-1] == ("acknowledge", 7, "ada")
        return
    with pytest.raises(BadInput, match="INC-7 is private, and you are not paged for it"):
        await run("ack INC-7", fakes, channel)
    assert ("acknowledge", 7, "ada") not in fakes.calls, "whoever has it is invited to the channel"
