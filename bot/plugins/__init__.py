"""Everything that can be added by adding a file: sources, actions, gatherers, channels. The file name is the name in the configuration."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from types import ModuleType

from bot.errors import BadInput


def discover(kind: str) -> dict[str, ModuleType]:
    """The plugins of one kind (`sources`, `actions`, …) by the name that the configuration uses, in alphabetical order.

    An action's file name has its first underscore read as a dot: `k8s_rollback.py` is `k8s.rollback`. Files that begin with `_` are none.
    """
    package = f"{__name__}.{kind}"
    try:
        path = import_module(package).__path__
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise BadInput(f"there are no plugins of the kind {kind!r}") from error
    names = sorted(found.name for found in pkgutil.iter_modules(path) if not found.name.startswith("_"))
    return {_configured(kind, name): import_module(f"{package}.{name}") for name in names}


def _configured(kind: str, name: str) -> str:
    return name.replace("_", ".", 1) if kind == "actions" else name
