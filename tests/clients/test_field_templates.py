"""Templates of single fields: rendered for many alerts, each with a budget of its own and all of them with one."""

from __future__ import annotations

import pytest

from bot.clients.render import FieldTemplates
from bot.errors import BadInput


def test_the_same_template_is_rendered_for_each_alert() -> None:
    templates, texts = FieldTemplates(), []
    for name in ("web-1", "web-2"):
        templates.about({"alert": {"host": name}})
        texts.append(templates.text("down: {{ alert.host | upper }}", "name"))
    assert texts == ["down: WEB-1", "down: WEB-2"]


def test_what_an_earlier_alert_had_is_gone() -> None:
    templates = FieldTemplates()
    templates.about({"alert": {"host": "web-1"}, "query": {}})
    templates.about({"alert": {"hots": "web-2"}})
    with pytest.raises(BadInput, match=r'^name: `alert.host` is not known; did you mean "hots"\?; there are: hots$'):
        templates.text("{{ alert.host }}", "name")
    with pytest.raises(BadInput, match="`query` is not known"):
        templates.text("{{ query.x }}", "name")


def test_an_alert_that_takes_too_many_steps_leaves_the_next_its_own() -> None:
    templates = FieldTemplates()
    for size, fine in ((6_000, False), (10, True)):
        templates.about({"many": ["x"] * size})
        if fine:
            assert templates.text("{{ many | join }}", "name") == "x" * size
        else:
            with pytest.raises(BadInput, match="name: it takes too many steps"):
                templates.text("{{ many | join }}", "name")


def test_all_alerts_together_have_one_budget_of_time() -> None:
    templates = FieldTemplates(seconds=0)
    templates.about({})
    with pytest.raises(BadInput, match="name: it takes longer than 0 s"):
        templates.text("x", "name")


@pytest.mark.parametrize("template", ["{{ many }}", "{{ long ~ long ~ long }}", "{{ long }}{{ long }}{{ long }}"])
def test_a_field_has_a_longest_size(template: str) -> None:
    templates = FieldTemplates()
    templates.about({"many": ["x"] * 10_000, "long": "y" * 9_000})
    with pytest.raises(BadInput, match=r"name: it makes .*20,000 characters"):
        templates.text(template, "name")
