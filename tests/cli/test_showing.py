"""Runs as text on a terminal: complete, aligned, without secrets, and unable to steer the terminal."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cli.showing import COLUMNS, Shown
from bot.cli.terminal import plain, plain_lines
from bot.domain.expand import begun
from bot.domain.people import Actor
from bot.domain.plan import Diff, Plan, Question, Target, Undo
from bot.domain.run import Run, RunState
from bot.domain.runbook import Runbook
from bot.domain.step import Approver, StepState
from bot.flow.preview import Foreseen
from tests.domain.alerts import NOW, incident

ADA, BOB = Actor(id="ada", name="Ada (command line)"), Actor(id="bob", name="Bob")
PLAN = Plan(target="Deployment shop/checkout", diffs=(Diff(what="replicas", before="3", after="6"),))
SHOWN = Shown(lambda text: text.replace("hunter2", "[secret]"))


def run(**more: Any) -> Run:
    steps = [{"id": "scale", "title": "Scale", "action": "x.y"}, {"id": "ask", "action": "ask"}, {"id": "later", "action": "x.y"}]  # fmt: skip
    book = Runbook.model_validate({"name": "fix", "title": "Fix it", "steps": steps, "params": {"who": {}}})
    begins = begun(3, incident(number=7), book, {"who": "hunter2"}, BOB, NOW)
    scale, ask, later = begins.steps
    done = scale.to(
        state=StepState.DONE, message="verified", plan=PLAN, target=Target(action="x.y", namespace="shop", name="checkout"), changed=True,
        approvals=(Approver(actor=BOB, digest=PLAN.digest, at=NOW), Approver(actor=ADA, digest=PLAN.digest, at=NOW, broke_glass="no time, hunter2")),
        outputs={"was": 3}, result={"output": "line 1\nhunter2\n"}, undo=Undo(action="x.y", with_={}),
    )  # fmt: skip
    answered = ask.to(state=StepState.DONE, question=Question(words="Which one?"), message="Bob: the left")
    ended = {"state": RunState.CANCELLED, "ended_at": NOW + timedelta(minutes=2), "message": "Bob cancelled it"}
    return begins.model_copy(update={"steps": (done, answered, later), **ended, **more})


def test_a_run_is_shown_whole() -> None:
    assert SHOWN.whole(run(undone_by=4, undoes=2)) == [
        "RUN-3 Fix it (fix): cancelled",
        "INC-7, asked for by Bob 2026-11-21 12:00:00 UTC, ended 2026-11-21 12:02:00 UTC",
        "takes back RUN-2",
        "taken back by RUN-4",
        "why: Bob cancelled it",
        "  who=[secret]",
        "",
        "scale Scale: done (verified)",
        "    Deployment shop/checkout",
        "  - replicas: 3",
        "  + replicas: 6",
        f"  plan {PLAN.digest}",
        "  approved by Bob 2026-11-21 12:00:00 UTC",
        "  approved by Ada (command line) 2026-11-21 12:00:00 UTC, BROKE THE GLASS: no time, [secret]",
        "  gives was=3",
        "  output:",
        "    line 1",
        "    [secret]",
        "  undo: x.y",
        "",
        "ask: done (Bob: the left)",
        "  asked: Which one?",
        "",
        "later: not reached",
    ]


def test_the_history_is_a_table_with_one_line_a_run() -> None:
    head, first, second = SHOWN.table([run(undone_by=4), run(id=12, undoes=3, steps=run().steps[1:])])
    assert [name for name in COLUMNS if name in head] == list(COLUMNS)
    for part in (
        "RUN-3 ",
        " INC-7 ",
        " Bob ",
        "cancelled",
        "shop/checkout replicas: 3 -> 6",
        "Bob, Ada (command line) (BROKE THE GLASS)",
    ):
        assert part in first
    assert first.endswith("  RUN-4")
    assert "fix (undo of RUN-3)" in second
    assert second.endswith("nothing" + second.rpartition("nothing")[2])
    assert first.index("cancelled") == second.index("cancelled") == head.index("STATE")


def test_the_history_for_programs_is_json_without_secrets() -> None:
    found = json.loads(json.dumps(SHOWN.facts(run(undone_by=4))))
    assert found["run"] == "RUN-3"
    assert (found["incident"], found["runbook"], found["state"], found["undone_by"]) == (
        "INC-7",
        "fix",
        "cancelled",
        "RUN-4",
    )
    assert found["changed"] == ["shop/checkout replicas: 3 -> 6"]
    assert found["params"] == {"who": "[secret]"}
    assert [one.get("broke_glass") for one in found["approvals"]] == [None, "no time, [secret]"]
    assert (found["created_at"], found["undoes"]) == ("2026-11-21T12:00:00+00:00", None)


@pytest.mark.parametrize(
    ("one", "lines"),
    [
        (Foreseen("a.b", "t", plan=PLAN), ["a.b:", "    Deployment shop/checkout", "  - replicas: 3", "  + replicas: 6", f"  plan {PLAN.digest}"]),
        (Foreseen("a", "t", plan=Plan(target="x")), ["a:", "  x: nothing to do, it is already so"]),
        (Foreseen("a", "t", words="asks: y"), ["a:", "  asks: y"]),
        (Foreseen("a", "t", refused="no"), ["a:", "  cannot be planned: no"]),
        (Foreseen("a", "t", words="tells", refused="no"), ["a:", "  tells", "  will be refused: no"]),
        (Foreseen("a", "t", plan=Plan(target="x"), held="later"), ["a:", "  x: nothing to do, it is already so", "  not now: later"]),
    ],
)  # fmt: skip
def test_a_step_of_a_plan(one: Foreseen, lines: list[str]) -> None:
    assert list(SHOWN.foreseen(one)) == lines


EVIL = "a\x1b[2Jb\x1b]0;t\x07c\x9b1md\u202ee\u200bf\x00g\rh\u2028i"


def test_nothing_that_is_shown_steers_the_terminal() -> None:
    evil = run(message=EVIL, runbook=run().runbook.model_copy(update={"title": EVIL}), params={"x": EVIL})
    steps = tuple(
        step.to(message=EVIL, outputs={"o": EVIL}, result={"output": EVIL + "\n" + EVIL}) for step in evil.steps
    )
    evil = evil.model_copy(update={"steps": steps, "requested_by": Actor(id="x", name=EVIL)})
    for line in [*SHOWN.whole(evil), *SHOWN.table([evil])]:
        assert line == plain(line), repr(line)
    assert "\x1b" not in json.dumps([SHOWN.facts(evil)])


@given(st.text())
def test_plain_text_is_one_printable_line(text: str) -> None:
    shown = plain(text)
    assert len(shown) == len(text)
    assert shown.isprintable() or all(one.isprintable() or one.isspace() for one in shown)
    assert not set(shown) & {chr(number) for number in (*range(32), *range(127, 160))}
    assert plain(shown) == shown
    assert all(plain(line) == line for line in plain_lines(text))


def test_ordinary_text_stays_as_it_is() -> None:
    assert plain("Größe: 3 → 6 (日本) 🛒 – “ok”") == "Größe: 3 → 6 (日本) 🛒 – “ok”"
    assert plain_lines("a\r\nb\tc\n") == ["a", "b c", ""]
