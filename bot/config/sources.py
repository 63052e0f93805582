"""`sources` and `context` of tocsin.yaml: each entry names a plugin and holds that plugin's own parameters. Read by load; also used by channels."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeVar

from pydantic import BaseModel

from bot.config.auth import LIKE, MODELS, MOST_SECRETS, ONLY_SECRETS, AuthSetting, Hmac, Token
from bot.config.marks import Document, Path
from bot.config.prepare import Preparing
from bot.config.problems import Problem, listed, nearest, quoted, unknown
from bot.config.secrets import SecretRef, Secrets
from bot.config.validate import found, validate
from bot.domain.incoming import WAYS, HmacStyle, KeyPlace

M = TypeVar("M", bound=BaseModel)
SMTP = "SMTP"
OWN_KEYS = ("type", *MODELS)
LONGEST_LOCAL_PART = 64  # RFC 5321, 4.5.3.1.1
_ADDRESSABLE = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\Z")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}\Z")


@dataclass(frozen=True, slots=True)
class SenderFacts:
    """What the file of a source says of its senders (bot/domain/incoming.py): how they can show who they are, and which methods they use."""

    ways: tuple[str, ...] = WAYS
    hmac: HmacStyle | None = None
    key: KeyPlace | None = None
    methods: tuple[str, ...] = ("POST",)

    @classmethod
    def of(cls, module: ModuleType) -> SenderFacts:
        return cls(
            ways=tuple(getattr(module, "AUTH", WAYS)),
            hmac=getattr(module, "HMAC", None),
            key=getattr(module, "KEY", None),
            methods=tuple(getattr(module, "METHODS", ("POST",))),
        )


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """One webhook, served at /webhooks/<name>. `auth` None: it refuses everything. `params` is the model of the plugin `type`."""

    name: str
    type: str
    auth: AuthSetting | None
    params: BaseModel
    senders: SenderFacts = SenderFacts()

    @property
    def by_mail(self) -> bool:
        """It takes e-mail, not requests."""
        return SMTP in self.senders.methods


@dataclass(slots=True)
class Reading:
    """What the sections of tocsin.yaml that plugins own are read with."""

    document: Document
    secrets: Secrets
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def sources(
        self, kinds: Mapping[str, type[BaseModel]], senders: Mapping[str, SenderFacts]
    ) -> dict[str, SourceConfig]:
        """Every source that is right; the problems of the others are kept. `senders` by type; one that is not in it has the usual ways."""
        made = {}
        for name, value in self.entries(("sources",)).items():
            source = self._source(name, value, kinds, senders)
            if source:
                made[name] = source
                self._doubt(source)
        return made

    def _source(
        self, name: str, value: Any, kinds: Mapping[str, type[BaseModel]], senders: Mapping[str, SenderFacts]
    ) -> SourceConfig | None:
        path: Path = ("sources", name)
        before = len(self.problems)
        if not _NAME.match(name):
            self.wrong(
                path, "the name of a source is part of its address: lower-case letters, digits, - and _", key=True
            )
        value = {} if value is None else value
        if not isinstance(value, dict):
            self.wrong(path, f"wanted a mapping (key: value), found {found(value)}")
            return None
        kind = value.get("type", name)
        if not isinstance(kind, str) or kind not in kinds:
            self.wrong((*path, "type"), f"{unknown('source type', 'types', str(kind), sorted(kinds))}")
            return None
        facts = senders.get(kind, SenderFacts())
        auth = self._auth(path, value, kind, facts)
        own = {key: item for key, item in value.items() if key not in OWN_KEYS}
        params = self.params(kinds[kind], own, path, ("type", *facts.ways))
        if params is None or len(self.problems) > before:
            return None
        return SourceConfig(name, kind, auth, params, facts)

    def _auth(self, path: Path, value: Mapping[str, Any], kind: str, facts: SenderFacts) -> AuthSetting | None:
        """The one way that is given. None, and a warning, when there is none; None, and a problem, when it is wrong."""
        given = [way for way in MODELS if way in value]
        for way in given:
            if way not in facts.ways:
                words = (
                    f"senders of the type {kind} cannot show who they are by {way}; they can by {_either(facts.ways)}"
                )
                self.wrong((*path, way), words, key=True)
                return None
        if len(given) > 1:
            both = f"both {given[0]} and {given[1]}" if len(given) == 2 else _either(given, "and")
            self.wrong((*path, given[-1]), f"has {both}; keep one of them", key=True)
            return None
        if not given:
            usual = facts.ways[0]
            lacks = f"has none of {', '.join(facts.ways)}" if len(facts.ways) > 1 else f"has no {usual}"
            words = f"{lacks}, so it refuses everything; add one, like {LIKE[usual]}"
            self.warnings.append(self.document.problem(path, words, key=True))
            return None
        way = given[0]
        auth = self._setting(way, value[way], (*path, way))
        if isinstance(auth, Hmac) and facts.hmac is not None:
            self._own_style(auth, kind, facts.hmac, (*path, way))
        if isinstance(auth, Token) and SMTP in facts.methods:
            self._in_address(auth, path)
        return auth

    def _setting(self, way: str, value: Any, path: Path) -> AuthSetting | None:
        """The model of one way. What is only secrets has no keys in the file, so its path ends at the way."""
        key = ONLY_SECRETS.get(way)
        if key is None:
            setting, problems = validate(MODELS[way], self.document, value, path, self.secrets)
            self.problems += problems
            return setting
        before = len(self.problems)
        references = self._references(value, path)
        return MODELS[way].model_validate({key: references}) if len(self.problems) == before else None

    def _references(self, value: Any, path: Path) -> list[Any]:
        """One reference, or a list of them."""
        preparing = Preparing(self.document, self.secrets)
        prepared = preparing.value(tuple[SecretRef, ...], value, path)
        self.problems += preparing.problems
        several = isinstance(value, list)
        items = prepared if several else [prepared]
        for number, item in enumerate(items):
            here = (*path, number) if several else path
            if not isinstance(item, SecretRef) and here not in preparing.refused:
                self.wrong(here, f"wanted a reference like env:NAME or file:/path, found {found(item)}")
        if not 1 <= len(items) <= MOST_SECRETS:
            self.wrong(path, f"wanted 1 to {MOST_SECRETS} references, found {len(items)}")
        return list(items)

    def _own_style(self, auth: Hmac, kind: str, style: HmacStyle, path: Path) -> None:
        """The product says how it signs, so what describes Tocsin's own way of signing has no meaning."""
        for key in ("header", "timestamp_header", "tolerance"):
            if key not in auth.model_fields_set or (key == "tolerance" and style.timestamp_header):
                continue
            why = "they send no time with it" if key == "tolerance" else f"they sign in the header {style.header}"
            self.wrong((*path, key), f"means nothing to senders of the type {kind}: {why}; leave it out", key=True)
        for secret in auth.secret if style.secret_prefix else ():
            shown = secret.reveal() if secret.resolved else ""
            if shown.startswith(style.secret_prefix) and not _is_base64(shown.removeprefix(style.secret_prefix)):
                words = f"what {secret} leads to begins with {style.secret_prefix}, and then it is not base64: copy it again"
                self.wrong((*path, "secret"), words)

    def _in_address(self, auth: Token, path: Path) -> None:
        """A token of a source that takes e-mail stands before the @ of an address."""
        room = LONGEST_LOCAL_PART - len(f"{path[-1]}+")
        for token in auth.tokens:
            if token.resolved and (len(token.reveal()) > room or not _ADDRESSABLE.match(token.reveal())):
                words = (
                    f"what {token} leads to cannot stand in an address: use at most {room} letters, digits, . _ and -"
                )
                self.wrong((*path, "token"), words)

    def _doubt(self, source: SourceConfig) -> None:
        if source.by_mail and self.entries(("server",)).get("smtp") is None:
            words = (
                "no e-mail can come in: nothing listens for it; set server.smtp, like smtp: {listen: 127.0.0.1:2525}"
            )
            self.warnings.append(self.document.problem(("sources", source.name), words, key=True))

    def gatherers(self, kinds: Mapping[str, type[BaseModel]]) -> dict[str, BaseModel]:
        """The parameters of every gatherer that is on. An entry switches it on; `false` switches it off."""
        made = {}
        for name, value in self.entries(("context", "gatherers")).items():
            path = ("context", "gatherers", name)
            if name not in kinds:
                self.wrong(path, unknown("gatherer", "gatherers", name, sorted(kinds)), key=True)
            elif value is not False:
                params = self.params(kinds[name], {} if value is True else value, path)
                if params is not None:
                    made[name] = params
        return made

    def params(self, model: type[M], value: Any, path: Path, reserved: tuple[str, ...] = ()) -> M | None:
        """The parameters of a plugin; None when they are wrong. `reserved`: keys beside them that are not the plugin's."""
        if isinstance(value, dict) and reserved and model.model_config.get("extra") == "forbid":
            known = {info.alias or name for name, info in model.model_fields.items()} | set(reserved)
            for key in [key for key in value if key not in known]:
                message = f"unknown key {quoted(key)}{nearest(key, known)}{listed('known', sorted(known))}"
                self.wrong((*path, key), message, key=True)
            value = {key: item for key, item in value.items() if key in known}
        params, problems = validate(model, self.document, value, path, self.secrets)
        self.problems += problems
        return params

    def entries(self, path: Path) -> Mapping[str, Any]:
        """The mapping at a path; empty when there is none."""
        value: Any = self.document.data
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        return value if isinstance(value, dict) else {}

    def wrong(self, path: Path, message: str, *, key: bool = False) -> None:
        self.problems.append(self.document.problem(path, message, key=key))


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text.encode("ascii"), validate=True))
    except ValueError:
        return False


def _either(names: Sequence[str], word: str = "or") -> str:
    """`a`, `a or b`, `a, b or c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"
