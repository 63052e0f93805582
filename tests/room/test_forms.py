"""The modals: within Slack's limits, every parameter an input of its kind, filled with what is known, and nothing in them from outside that acts."""

from __future__ import annotations

from typing import Any

import pytest

from bot.domain.plan import Question
from bot.domain.runbook import Runbook
from bot.practice.workspace.blocks import check_view
from bot.room import blocks as kit
from bot.room import views
from tests.room.samples import HOSTILE, asking_run, runbook, waiting_run


def asked(book: Runbook, labels: dict[str, str] | None = None) -> dict[str, dict[str, Any]]:
    """The input blocks of a picked runbook, by block id."""
    view = views.runbooks("INC-7", [book], {"incident": 7}, chosen=book.name, labels=labels or {})
    check_view(view)
    return {block["block_id"]: block for block in view["blocks"] if block["type"] == "input"}


def field(labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    return asked(runbook(params={"p": spec}), labels)["param:p"]


def test_every_modal_is_within_slacks_limits() -> None:
    long = "x" * 5000
    parameters = {
        f"p{n}": {"description": long, "default": long, "pattern": "a+", "label": "service"} for n in range(45)
    }
    books = [runbook(name=f"b{n}", title=long, description=long, params=parameters) for n in range(120)]
    about = {"incident": 7, "channel": "C1"}
    check_view(views.open_incident(["critical", "warning"], about, title=long))
    check_view(views.open_incident([], about))
    check_view(views.note("INC-7", about))
    check_view(views.runbooks("INC-7", books, about))
    check_view(views.runbooks("INC-7", books, about, chosen="b3"))
    check_view(views.runbooks("INC-7", [], about))


def test_a_picked_runbook_asks_for_its_parameters() -> None:
    view = views.runbooks("INC-7", [runbook()], {"incident": 7}, chosen="scale-out", labels={"service": "checkout"})
    found = {block["block_id"]: block for block in view["blocks"] if block["type"] == "input"}
    assert list(found) == ["runbook", "param:name", "param:replicas"]
    assert found["param:name"]["element"]["initial_value"] == "checkout"
    assert found["param:name"]["optional"] is True
    assert found["param:name"]["hint"]["text"] == "From the label service."
    assert found["param:replicas"]["element"]["initial_value"] == "6"
    assert views.about(view) == {"incident": 7}


@pytest.mark.parametrize(
    ("spec", "element"),
    [
        ({"type": "integer"}, {"type": "number_input", "is_decimal_allowed": False}),
        (
            {"type": "integer", "minimum": 1, "maximum": 20.5, "default": 3},
            {"is_decimal_allowed": False, "min_value": "1", "max_value": "20", "initial_value": "3"},
        ),
        (
            {"type": "number", "minimum": 0.000001, "maximum": 10000000.0, "default": 0.5},
            {"is_decimal_allowed": True, "min_value": "0.000001", "max_value": "10000000", "initial_value": "0.5"},
        ),
        ({"type": "duration", "default": "5m"}, {"type": "plain_text_input", "initial_value": "5m"}),
        ({"type": "string", "default": "a"}, {"type": "plain_text_input", "initial_value": "a", "max_length": 1000}),
    ],
)
def test_each_type_has_an_input_of_its_kind(spec: dict[str, Any], element: dict[str, Any]) -> None:
    assert element.items() <= field(**spec)["element"].items()


def test_choices_are_a_list_and_yes_or_no_is_one() -> None:
    choices = field(choices=["eu", "us"], default="us")["element"]
    assert [one["value"] for one in choices["options"]] == ["eu", "us"]
    assert choices["initial_option"]["value"] == "us"
    boolean = field(type="boolean", default=False)["element"]
    assert [one["value"] for one in boolean["options"]] == ["true", "false"]
    assert boolean["initial_option"]["value"] == "false"
    assert "initial_option" not in field(type="boolean")["element"]
    assert field({"dry": "on"}, type="boolean", label="dry")["element"]["initial_option"]["value"] == "true"


def test_choices_that_slack_cannot_list_are_typed_and_named_below() -> None:
    shown = field(choices=["a" * 200, "b"])
    assert shown["element"]["type"] == "plain_text_input"
    assert shown["hint"]["text"].startswith("One of: aaa")
    assert field(choices=["same", "same"])["element"]["type"] == "plain_text_input"


def test_what_nobody_has_given_must_be_filled_in_and_everything_else_may_stay_empty() -> None:
    assert field()["optional"] is False
    assert field(default="x")["optional"] is True
    assert field(default="")["optional"] is True
    assert field(label="zone")["optional"] is False
    assert field(label="zone")["hint"]["text"] == "The alerts have no label zone."
    assert field({"zone": "eu"}, label="zone")["optional"] is True


def test_a_label_that_does_not_fit_is_not_put_in_but_told() -> None:
    """Slack refuses a modal whose number field begins with something that is no number."""
    shown = field({"count": "many <b>"}, type="integer", label="count", default=2, maximum=9)
    assert shown["element"]["initial_value"] == "2"
    assert shown["hint"]["text"] == "The label count is 'many <b>', which does not fit here. At most 9."
    assert "initial_value" not in field({"count": "50"}, type="integer", label="count", maximum=9)["element"]
    assert field({"count": "1_000"}, type="integer", label="count")["element"]["initial_value"] == "1000"


def test_the_same_parameter_of_another_runbook_is_another_field_for_slack() -> None:
    """Slack keeps what was typed in a field with the same ids."""
    one, other = asked(runbook(name="a"))["param:name"], asked(runbook(name="b"))["param:name"]
    assert one["element"]["action_id"] != other["element"]["action_id"]


def test_breaking_the_glass_shows_the_plan_and_needs_a_reason() -> None:
    run = waiting_run()
    view = views.break_glass(run, run.steps[0], {"about": "3:ab:scale"})
    check_view(view)
    assert view["callback_id"] == kit.GLASS_VIEW
    assert "+ replicas: 6" in str(view)
    reason = view["blocks"][-1]
    assert (reason["block_id"], reason["optional"], reason["element"]["multiline"]) == ("reason", False, True)


def test_what_was_done_by_hand_is_asked_in_the_words_of_the_runbook() -> None:
    run = asking_run(Question(words="Fail over", text="Which node was it?"))
    view = views.done(run, run.steps[0], {})
    check_view(view)
    assert view["blocks"][-1]["label"]["text"] == "Which node was it?"
    long = asking_run(Question(words="Fail over", text="Which node? " * 20))
    assert views.done(long, long.steps[0], {})["blocks"][-1]["label"]["text"] == "Your answer"


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:20]))
def test_no_text_from_outside_breaks_a_modal(text: str) -> None:
    spec = {"description": text, "pattern": ".*", "label": "service", "default": text, "choices": [text, "b"]}
    books = [runbook(title=text or "x", description=text, params={"p": spec, "q": {"label": "service"}})]
    check_view(views.runbooks(text, books, {"incident": 7}, chosen="scale-out", labels={"service": text}))
    run = asking_run(Question(words=text, text=text), title=text or "x")
    check_view(views.done(run, run.steps[0], {}))
    check_view(views.break_glass(waiting_run(title=text or "x"), waiting_run().steps[0], {}))
