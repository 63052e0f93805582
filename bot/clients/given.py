"""The few values that a runbook's test gives for a step, read into a model. Used by the `facts` of actions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bot.domain.naming import nearest
from bot.domain.parameters import with_durations
from bot.errors import BadInput

M = TypeVar("M", bound=BaseModel)


def read(model: type[M], given: Mapping[str, Any]) -> M:
    """BadInput names the key that is wrong and the nearest right one, or the value that does not fit."""
    valid = list(model.model_fields)
    for key in given:
        if key not in valid:
            raise BadInput(f"facts: there is no {key!r}{nearest(str(key), valid) or '.'} There are: {', '.join(valid)}")
    try:
        return model.model_validate(with_durations(model, given))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(f"facts: {where}: {first['msg']} (found {str(first['input'])[:100]!r})") from error
