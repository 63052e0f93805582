"""The packaged post-mortem: its text for a whole incident, for an empty one, and for alerts that try to be Markdown or HTML."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bot.clients.markdown_text import UNSEEN, duration, fenced, md, utc
from bot.clients.render import JinjaTemplates

T0 = datetime(2026, 11, 21, 23, 58, 5, tzinfo=UTC)
TEMPLATES = JinjaTemplates()
SHOWN = MarkdownIt("gfm-like", {"linkify": False, "html": True})


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def facts(**changes: Any) -> dict[str, Any]:
    """A whole incident."""
    plan = ["  Deployment shop/checkout", "- revision: 14", "+ revision: 13   (image checkout:1.4.2 -> checkout:1.4.1)"]
    whole: dict[str, Any] = {
        "incident": {
            "ref": "INC-7", "title": "checkout: High error rate", "severity": "critical", "service": "checkout", "state": "resolved",
            "channel_name": "inc-7-checkout-high-error-rate", "opened_at": T0, "opened_by": "Tocsin", "acknowledged_at": at(65),
            "acknowledged_by": "Ada", "mitigated_at": at(420), "resolved_at": at(600),
        },
        "times": {"acknowledge": 65.0, "mitigate": 420.0, "resolve": 600.0},
        "summary": "The error ratio rose. Ada rolled back.",
        "impact": {"alerts": 2, "names": ["error ratio 93% on shop/checkout"], "labels": {"b": "2", "a": "1"}, "seconds": 420.0},
        "people": [{"name": "Ada", "did": ["acknowledged", "approved RUN-1"]}],
        "runs": [
            {
                "ref": "RUN-1", "title": "Roll back", "state": "succeeded", "requested_by": "Tocsin", "approved_by": ["Ada", "Bob"],
                "steps": [{"title": "Roll it back", "state": "done", "plan": plan, "message": "verified"}],
                "unattended": [], "broken_glass": [], "answers": [], "undoes": "", "undone_by": [], "ended": "",
            }
        ],
        "timeline": [
            {"at": T0, "kind": "opened", "actor": "Tocsin", "text": "INC-7 opened"},
            {"at": at(120), "kind": "said", "actor": "Ada", "text": "looking"},
        ],
        "context": [
            {"title": "Recent rollouts", "lines": ["checkout 1.4.1 -> 1.4.2"], "missing": "", "source": "ReplicaSets", "code": False},
            {"title": "Log", "lines": ["ERROR ``` x", "done"], "missing": "", "source": "", "code": True},
            {"title": "Pods", "lines": [], "missing": "it took longer than 5 s", "source": "", "code": False},
        ],
        "chain": {"entries": 12, "head": "ab12"},
    }  # fmt: skip
    return {**whole, **changes}


def test_the_whole_story_is_in_it() -> None:
    text = TEMPLATES.postmortem(facts())
    for expected in (
        "# INC-7: checkout: High error rate\n",
        "| Opened | 2026-11-21 23:58:05 UTC by Tocsin |",
        "| Acknowledged | 2026-11-21 23:59:10 UTC by Ada |",
        "- 2 alerts, 7 min until it was over\n",
        "- Labels: a = 1, b = 2\n",
        "| Mitigated | 7 min |",
        "| 2026-11-22 00:00:05 UTC | Ada | looking |",
        "- **Ada**: acknowledged; approved RUN-1\n",
        "### RUN-1: Roll back (succeeded)\n",
        "Asked for by Tocsin, approved by Ada, Bob.\n",
        "1. Roll it back: done (verified)\n",
        "- revision: 14\n+ revision: 13   (image checkout:1.4.2 -> checkout:1.4.1)\n```\n",
        "- checkout 1.4.1 -> 1.4.2\n\nSource: ReplicaSets\n",
        "````text\nERROR ``` x\ndone\n````\n",
        "Not gathered: it took longer than 5 s\n",
        "| [ ] | What keeps it from happening again | | |",
        "Drafted by Tocsin from 12 timeline entries; the last one's hash is `ab12`.\n",
    ):
        assert expected in text


UNHAPPY = {
    "ref": "RUN-2", "title": "Fix", "state": "cancelled", "requested_by": "Ada (command line)", "approved_by": ["Bob"],
    "unattended": [{"step": "Scale", "rule": "policy.yaml:12 (allow[0])"}],
    "broken_glass": [{"by": "Bob", "step": "Drain", "reason": "the shop is down"}],
    "answers": [{"step": "Which", "asked": "Which node?", "answer": "node-3", "by": "Ada"},
                {"step": "x", "asked": "Is it dark?", "answer": "", "by": ""}],
    "undoes": "RUN-1", "undone_by": ["RUN-3", "RUN-4"], "ended": "RUN-2 (Fix) ended, cancelled: Ada cancelled it; nothing was done",
    "steps": [{"title": "Scale", "state": "skipped", "plan": [], "message": "not done"}],
}  # fmt: skip


def test_a_run_that_went_otherwise_is_told_plainly_and_broken_glass_loudly() -> None:
    text = TEMPLATES.postmortem(facts(runs=[UNHAPPY]))
    for expected in (
        "### RUN-2: Fix (cancelled)\n\n> **The glass was broken.**\n> **Bob**, for Drain: the shop is down\n\nAsked for by",
        "Asked for by Ada (command line), approved by Bob. It was to take back RUN-1. Taken back by RUN-3, RUN-4.\n\n",
        "Scale needed no approval: policy.yaml:12 (allow\\[0\\]) lets it run unattended.\n\n",
        "RUN-2 (Fix) ended, cancelled: Ada cancelled it; nothing was done\n\n",
        "1. Scale: skipped (not done)\n",
        "- Which node? **Ada**: node-3\n",
        "- Is it dark? Nobody answered.\n",
    ):
        assert expected in text, text
    assert "\n\n\n\n" not in text


def test_the_same_facts_give_the_same_bytes_whatever_the_order_of_labels() -> None:
    other = facts(impact={**facts()["impact"], "labels": {"a": "1", "b": "2"}})
    assert TEMPLATES.postmortem(facts()) == JinjaTemplates().postmortem(other)


def test_times_in_other_zones_are_shown_in_utc() -> None:
    moved = facts()
    moved["timeline"] = [{**entry, "at": entry["at"].astimezone()} for entry in moved["timeline"]]
    assert TEMPLATES.postmortem(moved) == TEMPLATES.postmortem(facts())


def test_an_incident_of_which_little_is_known_reads_well() -> None:
    nothing = {
        "acknowledged_at": None,
        "acknowledged_by": "",
        "mitigated_at": None,
        "resolved_at": None,
        "service": "",
        "channel_name": "",
    }
    text = TEMPLATES.postmortem(
        facts(
            incident={**facts()["incident"], **nothing},
            times={"acknowledge": None, "mitigate": None, "resolve": None},
            impact={"alerts": 1, "names": [], "labels": {}, "seconds": None},
            people=[], runs=[], context=[], timeline=[], chain={"entries": 1, "head": ""},
        )
    )  # fmt: skip
    for expected in (
        "| Acknowledged | – |\n| Mitigated | – |\n| Resolved | – |\n| Channel | – |",
        "- 1 alert, not over yet\n",
        "Nobody but the bot did anything.",
        "No runbook was run.",
        "No context was gathered.",
        "from 1 timeline entry.\n",
    ):
        assert expected in text
    assert "None" not in text
    assert "\n\n\n\n" not in text


EVIL = [
    "<script>alert(1)</script>",
    "**bold** _it_ `code` ~~gone~~",
    "[click](javascript:alert(1)) ![x](http://evil/x.png)",
    "a | b | c",
    "# heading",
    "- item",
    "1. one",
    "> quote",
    "---",
    "```\ncode",
    "line\n\n# two",
    "&lt;b&gt; &amp; &#60;",
    "\\*not bold\\*",
    "$x$ <!-- --> <a href='x'>",
    "| --- |",
]


@pytest.mark.parametrize("text", EVIL)
def test_text_from_outside_stays_text_wherever_it_stands(text: str) -> None:
    evil = facts(
        summary=text,
        incident={**facts()["incident"], "title": text, "service": text, "opened_by": text},
        impact={"alerts": 1, "names": [text], "labels": {text: text}, "seconds": 1},
        people=[{"name": text, "did": [text]}],
        timeline=[{"at": T0, "kind": "x", "actor": text, "text": text}],
        context=[{"title": text, "lines": [text], "missing": "", "source": text, "code": False}],
        runs=[told_run(text)],
    )
    plain = facts(
        summary="W",
        incident={**facts()["incident"], "title": "W", "service": "W", "opened_by": "W"},
        impact={"alerts": 1, "names": ["W"], "labels": {"W": "W"}, "seconds": 1},
        people=[{"name": "W", "did": ["W"]}],
        timeline=[{"at": T0, "kind": "x", "actor": "W", "text": "W"}],
        context=[{"title": "W", "lines": ["W"], "missing": "", "source": "W", "code": False}],
        runs=[told_run("W")],
    )
    assert shape(TEMPLATES.postmortem(evil)) == shape(TEMPLATES.postmortem(plain))


def told_run(text: str) -> dict[str, Any]:
    """A run in which everything that somebody wrote is this text."""
    answer = {"step": text, "asked": text, "answer": text, "by": text}
    return {
        **UNHAPPY, "title": text, "requested_by": text, "approved_by": [text], "ended": text, "answers": [answer],
        "unattended": [{"step": text, "rule": text}], "broken_glass": [{"by": text, "step": text, "reason": text}],
        "steps": [{"title": text, "state": "done", "plan": [text.replace("\n", " ")], "message": text}],
    }  # fmt: skip


def shape(text: str) -> list[str]:
    """The structure that a reader sees: every element, without the words."""
    return [
        kind
        for token in SHOWN.parse(text)
        for kind in (
            [token.type]
            if token.type != "inline"
            else [child.type for child in token.children or () if child.type != "text"]
        )
        if kind not in ("text_special", "softbreak")
    ]


@given(st.text(max_size=60) | st.text("-+=#>*_.)1 \t|`~[]<!\\", max_size=12))
def test_escaped_text_shows_as_itself(text: str) -> None:
    escaped = md(text)
    assert "\n" not in escaped
    for before in ("- x ", "- ", "", "- **", "| "):
        tokens = SHOWN.parse(before + escaped)
        expected = " ".join((before.removeprefix("- ") + " ".join(UNSEEN.sub("", text).split())).split())
        inline = [token for token in tokens if token.type == "inline"]
        shown = "".join(child.content for token in inline for child in token.children or ())
        assert " ".join(shown.split()) == expected
        assert all(child.type in ("text", "text_special") for token in inline for child in token.children or ())
        assert not {token.type for token in tokens} & {
            "heading_open",
            "hr",
            "fence",
            "blockquote_open",
            "code_block",
            "html_block",
        }


@given(st.lists(st.text(max_size=30), max_size=5))
def test_no_line_can_end_a_code_block(lines: list[str]) -> None:
    tokens = SHOWN.parse(fenced(lines))
    assert [token.type for token in tokens] == ["fence"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (45, "45 s"),
        (65, "1 min 5 s"),
        (3600, "1 h"),
        (3725, "1 h 2 min"),
        (90000, "1 d 1 h"),
        (-5, "0 s"),
        (None, "–"),
        (59.6, "1 min"),
    ],
)
def test_a_length_of_time_reads_well(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_times_are_read_from_text_as_well() -> None:
    assert utc("2026-11-21T03:12:05Z") == "2026-11-21 03:12:05 UTC"
    assert utc("2026-11-21T05:12:05+02:00") == "2026-11-21 03:12:05 UTC"
    assert utc(None) == "–"
