"""The facts of a post-mortem: from the timeline alone, always the same, with the right moments after reopening."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from bot.domain.incident import Incident
from bot.domain.review import facts
from bot.domain.timeline import GENESIS, Entry, chain
from tests.domain.alerts import NOW, incident


def at(minutes: float) -> datetime:
    return NOW + timedelta(minutes=minutes)


def entry(minutes: float, kind: str, actor: str = "Tocsin", **data: Any) -> Entry:
    return Entry(at=at(minutes), kind=kind, text=f"{kind} at {minutes}", actor=actor, data=data)


def told(*entries: Entry) -> dict[str, Any]:
    return facts(incident(), chain(0, GENESIS, entries))


ALERT = {"labels": {"alertname": "HighErrorRate"}, "summary": "error ratio 30%", "name": "HighErrorRate"}
OTHER = {"labels": {"alertname": "Slow"}, "summary": "slow", "name": "Slow"}
OPENED = entry(0, "opened", alerts=[ALERT])


@pytest.mark.parametrize(
    ("entries", "state", "times"),
    [
        ([], "triggered", (None, None, None)),
        ([entry(2, "acknowledged", "Ada")], "acknowledged", (120, None, None)),
        ([entry(2, "acknowledged", "Ada"), entry(3, "acknowledged", "Bob")], "acknowledged", (120, None, None)),
        ([entry(4, "mitigated")], "mitigated", (None, 240, None)),
        ([entry(2, "acknowledged", "Ada"), entry(4, "mitigated"), entry(9, "resolved")], "resolved", (120, 240, 540)),
        ([entry(9, "resolved"), entry(20, "reopened")], "triggered", (None, None, None)),
        ([entry(9, "resolved"), entry(20, "reopened"), entry(30, "resolved")], "resolved", (None, None, 1800)),
        ([entry(9, "resolved"), entry(40, "closed")], "resolved", (None, None, 540)),
    ],
)
def test_the_moments(entries: list[Entry], state: str, times: tuple[float | None, ...]) -> None:
    found = told(OPENED, *entries)
    assert found["incident"]["state"] == state
    assert tuple(found["times"].values()) == times


def test_alerts_count_once_however_often_they_are_told_of() -> None:
    found = told(OPENED, entry(1, "alert_firing", alerts=[ALERT, OTHER]), entry(2, "alert_resolved", alerts=[OTHER]))
    assert found["impact"]["alerts"] == 2
    assert found["impact"]["names"] == ["error ratio 30%", "slow"]


def test_people_are_listed_in_the_order_of_their_first_act() -> None:
    found = told(OPENED, entry(1, "note", "Bob"), entry(2, "acknowledged", "Ada"), entry(3, "note", "Bob"))
    assert [person["name"] for person in found["people"]] == ["Bob", "Ada"]
    assert found["people"][0]["did"] == ["note at 1", "note at 3"]
    assert "Ada acknowledged it." in found["summary"]


def test_a_run_is_put_together_from_its_entries() -> None:
    def of_run(minutes: float, kind: str, actor: str = "Tocsin", **data: Any) -> Entry:
        return entry(minutes, kind, actor, run="RUN-1", title="Roll back", **data)

    found = told(
        OPENED,
        of_run(
            1, "run_started", state="planning", requested_by="Bob", step="look", step_title="Look", step_state="pending"
        ),
        of_run(2, "run_planned", step="do", step_title="Do", step_state="waiting", step_plan=["- a", "+ b"]),
        of_run(3, "run_approved", "Ada"),
        of_run(4, "run_ended", state="succeeded", step="do", step_state="done", step_message="verified"),
    )
    (run,) = found["runs"]
    assert (run["state"], run["requested_by"], run["approved_by"]) == ("succeeded", "Bob", ["Ada"])
    assert [step["title"] for step in run["steps"]] == ["Look", "Do"]
    assert run["steps"][1] == {"title": "Do", "state": "done", "plan": ["- a", "+ b"], "message": "verified"}
    assert "What was run and verified: Roll back." in found["summary"]


def of_run(minutes: float, kind: str, actor: str = "Tocsin", run: str = "RUN-1", **data: Any) -> Entry:
    return entry(minutes, kind, actor, run=run, title="Roll back", **data)


def step(name: str, state: str, **more: Any) -> dict[str, Any]:
    return {
        "step": name,
        "step_title": name.capitalize(),
        "step_state": state,
        **{f"step_{key}": value for key, value in more.items()},
    }


def runs_of(*entries: Entry) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = told(OPENED, *entries)["runs"]
    return found


def test_broken_glass_stands_apart_with_who_what_and_why() -> None:
    (run,) = runs_of(
        of_run(1, "run_started", state="planning", requested_by="Bob", **step("drain", "pending")),
        of_run(2, "run_glass_broken", "Ada", broke_glass="the shop is down", **step("drain", "approved")),
        of_run(3, "run_approved", "Ada", **step("cordon", "approved")),
    )
    assert run["broken_glass"] == [{"by": "Ada", "step": "Drain", "reason": "the shop is down"}]
    assert run["approved_by"] == ["Ada"]
    found = told(OPENED, of_run(1, "run_glass_broken", "Ada", broke_glass="x", **step("drain", "approved")))
    assert "The glass was broken for RUN-1." in found["summary"]


def test_an_undo_is_told_on_both_runs_and_takes_the_success_back() -> None:
    entries = [
        of_run(1, "run_started", state="planning", requested_by="Bob", **step("do", "pending")),
        of_run(2, "run_ended", state="succeeded", **step("do", "done")),
        of_run(3, "run_started", "Ada", run="RUN-2", state="planning", undoes="RUN-1", **step("undo.do", "pending")),
    ]
    found = told(OPENED, *entries)
    assert "What was run and verified: Roll back." in found["summary"]
    assert [(run["undoes"], run["undone_by"]) for run in found["runs"]] == [("", []), ("RUN-1", [])]
    found = told(OPENED, *entries, of_run(4, "run_ended", run="RUN-2", state="succeeded", **step("undo.do", "done")))
    assert [(run["undoes"], run["undone_by"]) for run in found["runs"]] == [("", ["RUN-2"]), ("RUN-1", [])]
    assert "What was taken back: RUN-1." in found["summary"]
    assert "run and verified" not in found["summary"]


@pytest.mark.parametrize("state", ["cancelled", "refused", "expired", "failed", "unsure"])
def test_a_run_that_did_not_succeed_says_so_in_words(state: str) -> None:
    ended = of_run(3, "run_ended", "Ada", state=state, **step("do", "skipped", message="not done"))
    (run,) = runs_of(of_run(1, "run_started", state="planning", requested_by="Bob", **step("do", "pending")), ended)
    assert (run["state"], run["ended"]) == (state, ended.text)
    assert run["steps"] == [{"title": "Do", "state": "skipped", "plan": [], "message": "not done"}]


@pytest.mark.parametrize(
    ("last", "ends", "shown"),
    [
        ("pending", "cancelled", "not done"),
        ("waiting", "expired", "not done"),
        ("asking", "cancelled", "not done"),
        ("approved", "cancelled", "not done"),
        ("resting", "cancelled", "not done"),
        ("doing", "failed", "begun, not known whether it took effect"),
        ("checking", "cancelled", "done, not checked"),
        ("skipped", "cancelled", "skipped"),
        ("failed", "succeeded", "failed"),
        ("resting", "succeeded", "done"),
        ("waiting", "waiting", "waiting"),
    ],
)
def test_a_step_that_the_timeline_left_in_the_middle_ended_with_its_run(last: str, ends: str, shown: str) -> None:
    run, *_ = runs_of(
        of_run(1, "run_started", state="planning", requested_by="Bob", **step("other", "pending")),
        of_run(2, "run_planned", state="waiting", **step("other", last)),
        of_run(3, "run_ended" if ends != "waiting" else "run_planned", state=ends, **step("do", "done")),
    )
    if last == "resting":  # with another step after it, it has had its time
        assert run["steps"][0]["state"] == ("done" if ends == "succeeded" else shown)
    else:
        assert run["steps"][0]["state"] == shown


def test_a_wait_is_over_when_the_run_goes_on() -> None:
    (run,) = runs_of(
        of_run(1, "run_rests", state="running", **step("pause", "resting")),
        of_run(2, "run_planned", state="waiting", **step("do", "waiting")),
        of_run(3, "run_ended", state="refused", **step("do", "skipped")),
    )
    assert [(one["title"], one["state"]) for one in run["steps"]] == [("Pause", "done"), ("Do", "skipped")]


def test_a_list_is_told_item_by_item() -> None:
    (run,) = runs_of(
        of_run(1, "run_started", state="planning", **step("each", "pending")),
        of_run(2, "run_verified", state="running", **step("each[1]", "done")),
        of_run(3, "run_ended", state="succeeded", **step("each[2]", "done")),
    )
    assert [one["title"] for one in run["steps"]] == ["Each[1]", "Each[2]"]


def test_what_needed_no_approval_says_which_rule_let_it() -> None:
    (run,) = runs_of(
        of_run(1, "run_planned", state="running", unattended="policy.yaml:3 (allow[0])", **step("do", "approved"))
    )
    assert run["unattended"] == [{"step": "Do", "rule": "policy.yaml:3 (allow[0])"}]


def test_writing_the_post_mortem_changes_nothing_in_it() -> None:
    before = told(OPENED, entry(9, "resolved"))
    after = told(OPENED, entry(9, "resolved"), entry(10, "postmortem", path="x"))
    assert after == before


def test_what_is_not_in_the_timeline_does_not_show() -> None:
    """The incident's own fields that change later (severity, channel) are the only others, and they are part of its state."""
    changed: Incident = incident().model_copy(
        update={"acknowledged_by": "Mallory", "firing": 99, "seq": 7, "card_ts": "1.2"}
    )
    entries = chain(0, GENESIS, [OPENED])
    assert facts(changed, entries) == facts(incident(), entries)


def test_the_chain_is_named_by_its_end() -> None:
    entries = chain(0, GENESIS, [OPENED, entry(9, "resolved")])
    assert facts(incident(), entries)["chain"] == {"entries": 2, "head": entries[-1].hash}
