"""`sources` and `context` of tocsin.yaml: each entry names a plugin and holds that plugin's own parameters. Read by load."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel

from bot.config.marks import Document, Path
from bot.config.prepare import Preparing
from bot.config.problems import Problem, listed, nearest, quoted, unknown
from bot.config.secrets import SecretRef, Secrets
from bot.config.server import Bearer, Hmac
from bot.config.validate import found, validate

M = TypeVar("M", bound=BaseModel)
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}\Z")


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """One webhook, served at /webhooks/<name>. `auth` None: it refuses everything. `params` is the model of the plugin `type`."""

    name: str
    type: str
    auth: Bearer | Hmac | None
    params: BaseModel


@dataclass(slots=True)
class Reading:
    """What the sections of tocsin.yaml that plugins own are read with."""

    document: Document
    secrets: Secrets
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def sources(self, kinds: Mapping[str, type[BaseModel]]) -> dict[str, SourceConfig]:
        """Every source that is right; the problems of the others are kept."""
        made = {}
        for name, value in self._entries(("sources",)).items():
            source = self._source(name, value, kinds)
            if source:
                made[name] = source
        return made

    def _source(self, name: str, value: Any, kinds: Mapping[str, type[BaseModel]]) -> SourceConfig | None:
        path: Path = ("sources", name)
        before = len(self.problems)
        if not _NAME.match(name):
            self._wrong(
                path, "the name of a source is part of its address: lower-case letters, digits, - and _", key=True
            )
        value = {} if value is None else value
        if not isinstance(value, dict):
            self._wrong(path, f"wanted a mapping (key: value), found {found(value)}")
            return None
        kind = value.get("type", name)
        if not isinstance(kind, str) or kind not in kinds:
            self._wrong((*path, "type"), f"{unknown('source type', 'types', str(kind), sorted(kinds))}")
            return None
        auth = self._auth(path, value)
        own = {key: item for key, item in value.items() if key not in ("type", "bearer", "hmac")}
        params = self._params(kinds[kind], own, path, ("type", "bearer", "hmac"))
        if params is None or len(self.problems) > before:
            return None
        return SourceConfig(name, kind, auth, params)

    def _auth(self, path: Path, value: Mapping[str, Any]) -> Bearer | Hmac | None:
        given = [key for key in ("bearer", "hmac") if key in value]
        if len(given) == 2:
            self._wrong((*path, "hmac"), "has both bearer and hmac; keep one of them", key=True)
            return None
        if not given:
            words = "has neither bearer nor hmac, so it refuses everything; add one, like bearer: env:TOKEN"
            self.warnings.append(self.document.problem(path, words, key=True))
            return None
        if given == ["hmac"]:
            hmac, problems = validate(Hmac, self.document, value["hmac"], (*path, "hmac"), self.secrets)
            self.problems += problems
            return hmac
        token = self._token((*path, "bearer"), value["bearer"])
        return Bearer(token=token) if token else None

    def _token(self, path: Path, value: Any) -> SecretRef | None:
        preparing = Preparing(self.document, self.secrets)
        token = preparing.value(SecretRef, value, path)
        self.problems += preparing.problems
        if isinstance(token, SecretRef) or preparing.problems:
            return token if isinstance(token, SecretRef) else None
        self._wrong(path, f"wanted a reference like env:NAME or file:/path, found {found(value)}")
        return None

    def gatherers(self, kinds: Mapping[str, type[BaseModel]]) -> dict[str, BaseModel]:
        """The parameters of every gatherer that is on. An entry switches it on; `false` switches it off."""
        made = {}
        for name, value in self._entries(("context", "gatherers")).items():
            path = ("context", "gatherers", name)
            if name not in kinds:
                self._wrong(path, unknown("gatherer", "gatherers", name, sorted(kinds)), key=True)
            elif value is not False:
                params = self._params(kinds[name], {} if value is True else value, path)
                if params is not None:
                    made[name] = params
        return made

    def _params(self, model: type[M], value: Any, path: Path, reserved: tuple[str, ...] = ()) -> M | None:
        if isinstance(value, dict) and reserved and model.model_config.get("extra") == "forbid":
            known = {info.alias or name for name, info in model.model_fields.items()} | set(reserved)
            for key in [key for key in value if key not in known]:
                message = f"unknown key {quoted(key)}{nearest(key, known)}{listed('known', sorted(known))}"
                self._wrong((*path, key), message, key=True)
            value = {key: item for key, item in value.items() if key in known}
        params, problems = validate(model, self.document, value, path, self.secrets)
        self.problems += problems
        return params

    def _entries(self, path: Path) -> Mapping[str, Any]:
        value: Any = self.document.data
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return value if isinstance(value, dict) else {}

    def _wrong(self, path: Path, message: str, *, key: bool = False) -> None:
        self.problems.append(self.document.problem(path, message, key=key))
