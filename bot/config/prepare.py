"""Fits what YAML made of a file to what a model wants, before pydantic judges it: the part of validation that needs to know the file.

Durations and secrets become values, numbers become the text that was written where text is wanted, and three things get better words than pydantic's:
unknown keys (with the nearest), bare `no`/`yes`/`on`/`off` where text or a number is wanted, numbers without a unit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr

from bot.config.marks import Document, Path
from bot.config.problems import Problem, listed, nearest, quoted
from bot.config.secrets import SecretRef, Secrets
from bot.config.units import duration

_LISTS = (tuple, list, Sequence, set, frozenset, AbstractSet)
_MAPPINGS = (dict, Mapping)
AS_WRITTEN = "as written"
# Text beside other forms (`TextAsWritten | Model`): a bare number in the file is the text that was written there, as it is where only text can be.
TextAsWritten = Annotated[str, AS_WRITTEN]


@dataclass(slots=True)
class Preparing:
    """One value of one file. `secrets=None` leaves references as they are. `refused` has the problem at each path that has one."""

    document: Document
    secrets: Secrets | None = None
    refused: dict[Path, Problem] = field(default_factory=dict)

    @property
    def problems(self) -> list[Problem]:
        return list(self.refused.values())

    def value(self, wanted: Any, value: Any, path: Path) -> Any:
        """The value, fitted to the annotation `wanted`; what cannot be is reported and left for pydantic."""
        if get_origin(wanted) is Annotated:
            wanted = get_args(wanted)[0]
        origin = get_origin(wanted)
        if origin in (Union, UnionType):
            return self._one_of(get_args(wanted), value, path)
        if isinstance(wanted, type) and issubclass(wanted, BaseModel):
            return self.model(wanted, {} if value is None else value, path)
        if (origin or wanted) in _MAPPINGS:
            return self._mapping(get_args(wanted), {} if value is None else value, path)
        if (origin or wanted) in _LISTS:
            return self._list(origin, get_args(wanted), [] if value is None else value, path)
        return self._scalar(wanted, value, path)

    def model(self, wanted: type[BaseModel], value: Any, path: Path) -> Any:
        if not isinstance(value, dict):
            return value
        fields = {info.alias or name: info for name, info in wanted.model_fields.items()}
        fitted = {}
        for key, item in value.items():
            here = (*path, key)
            if key in fields:
                fitted[key] = self.value(fields[key].annotation, item, here)
            elif wanted.model_config.get("extra") == "forbid":
                known = listed("known", sorted(fields)) if fields else " (there is nothing to set)"
                self.refuse(here, f"unknown key {quoted(key)}{nearest(key, fields)}{known}", key=True)
            else:
                fitted[key] = item
        return fitted

    def _one_of(self, arms: Sequence[Any], value: Any, path: Path) -> Any:
        real = [arm for arm in arms if arm is not NoneType]
        if value is None and len(real) < len(arms):
            return None
        shape = _shape_of(value)
        fitting = [arm for arm in real if (_shape(arm) is shape if shape else AS_WRITTEN in get_args(arm))]
        if shape is dict:
            fitting = [arm for arm in fitting if isinstance(arm, type)] or fitting
        real = fitting or real
        return self.value(real[0], value, path) if len(real) == 1 else value

    def _mapping(self, arguments: Sequence[Any], value: Any, path: Path) -> Any:
        if not isinstance(value, dict) or len(arguments) != 2:
            return value
        return {key: self.value(arguments[1], item, (*path, key)) for key, item in value.items()}

    def _list(self, origin: Any, arguments: Sequence[Any], value: Any, path: Path) -> Any:
        if arguments and arguments[0] is SecretRef and not isinstance(value, list):
            return self.value(SecretRef, value, path)  # one secret stands for a list of it
        if not isinstance(value, list) or not arguments:
            return value
        if origin is tuple and Ellipsis not in arguments:
            wanted = [*arguments, *[Any] * len(value)]
            return [self.value(wanted[number], item, (*path, number)) for number, item in enumerate(value)]
        return [self.value(arguments[0], item, (*path, number)) for number, item in enumerate(value)]

    def _scalar(self, wanted: Any, value: Any, path: Path) -> Any:
        if not isinstance(wanted, type):
            return value
        if isinstance(value, bool):
            return self._boolean(wanted, value, path)
        if wanted is str:
            return self._as_written(value, path)
        if wanted is timedelta:
            return self._read(duration, self._as_written(value, path), path)
        if self.secrets is not None and issubclass(wanted, SecretRef | SecretStr):
            return self._secret(self.secrets, wanted, value, path)
        return value

    def _boolean(self, wanted: type, value: bool, path: Path) -> Any:
        if wanted not in (str, int, float, timedelta) and not issubclass(wanted, SecretRef | SecretStr):
            return value
        what = {int: "a whole number", float: "a number", timedelta: "a duration like 5m"}.get(wanted, "text")
        text = self.document.written(path) or str(value).lower()
        advice = f'; YAML reads a bare {text} as a boolean: write it in quotes, "{text}"' if what == "text" else ""
        self.refuse(path, f"wanted {what}, found the boolean {text}{advice}")
        return value

    def _as_written(self, value: Any, path: Path) -> Any:
        return (self.document.written(path) or str(value)) if isinstance(value, int | float) else value

    def _secret(self, secrets: Secrets, wanted: type, value: Any, path: Path) -> Any:
        kind = wanted if issubclass(wanted, SecretRef) else SecretRef
        secret = self._read(lambda text: kind.read(text, secrets), self._as_written(value, path), path)
        if isinstance(secret, SecretRef) and issubclass(wanted, SecretStr):
            return SecretStr(secret.reveal() if secret.resolved else "")
        return secret

    def _read(self, reader: Any, value: Any, path: Path) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return reader(value)
        except ValueError as error:
            self.refuse(path, str(error))
            return value

    def refuse(self, path: Path, message: str, *, key: bool = False) -> None:
        self.refused[path] = self.document.problem(path, message, key=key)


def _shape(wanted: Any) -> type | None:
    """dict, list or None (a scalar): what a value looks like that an annotation may take."""
    if get_origin(wanted) is Annotated:
        wanted = get_args(wanted)[0]
    plain = get_origin(wanted) or wanted
    if plain in _MAPPINGS or (isinstance(plain, type) and issubclass(plain, BaseModel)):
        return dict
    return list if plain in _LISTS else None


def _shape_of(value: Any) -> type | None:
    return type(value) if isinstance(value, dict | list) else None
