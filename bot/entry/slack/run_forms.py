"""The form of a runbook's parameters: filled from the incident's labels, and what is wrong in it said at the field it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.domain.parameters import parameters
from bot.domain.runbook import Runbook
from bot.entry.slack.ports import Flows
from bot.errors import BadInput
from bot.room import views
from bot.room.blocks import Block
from bot.room.forms import MOST_FIELDS, PARAM


async def runbook_form(flows: Flows, about: Mapping[str, Any], chosen: str = "") -> Block:
    """The modal in which a runbook is picked and filled in. `about` says which incident."""
    number = int(about.get("incident", 0))
    available = await flows.runbooks.available(number)
    labels = await _labels(flows, number) if chosen else {}
    return views.runbooks(f"INC-{number}", available, about, chosen, labels)


def given_in(values: Mapping[str, str]) -> dict[str, str]:
    """The parameters that were filled in, by name."""
    return {key.removeprefix(PARAM): value for key, value in values.items() if key.startswith(PARAM)}


async def wrong_fields(flows: Flows, number: int, runbook: Runbook, given: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with each parameter, by the block id of its field; empty when nothing is."""
    labels = await _labels(flows, number)
    wrong: dict[str, str] = {}
    for name, spec in list(runbook.params.items())[:MOST_FIELDS]:  # those that have a field
        alone = runbook.model_copy(update={"params": {name: spec}})
        try:
            parameters(alone, {key: value for key, value in given.items() if key == name}, labels)
        except BadInput as error:
            wrong[f"{PARAM}{name}"[:255]] = str(error)
    return wrong


async def _labels(flows: Flows, number: int) -> Mapping[str, str]:
    return await flows.runbooks.labels((await flows.incidents.show(number)).incident)
