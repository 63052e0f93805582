"""Secrets by reference only: `env:NAME` or `file:/path`. The one place of the program that reads the environment, through load."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from bot.config.problems import nearest, quoted

LARGEST_SECRET = 1 << 16
REFERENCE_PATTERN = "^(env|file):.+$"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(slots=True)
class Secrets:
    """Looks references up. `folder` is where relative `file:` paths begin; `resolve=False` only checks how they are written."""

    environ: Mapping[str, str]
    folder: Path
    resolve: bool = True
    found: list[SecretRef] = field(default_factory=list)

    def look_up(self, reference: str) -> str | None:
        """The value; None when not resolving. Raises ValueError in words that never hold a value."""
        kind, _, name = reference.partition(":")
        if kind == "env":
            return self._from_environment(name)
        return self._from_file(name)

    def _from_environment(self, name: str) -> str | None:
        if not _NAME.match(name):
            raise ValueError(f"not the name of an environment variable: {quoted(name)}")
        if not self.resolve:
            return None
        value = self.environ.get(name)
        if value is None:
            raise ValueError(f"the environment variable {name} is not set{nearest(name, self.environ)}")
        if not value.strip():
            raise ValueError(f"the environment variable {name} is empty")
        return value.strip()

    def _from_file(self, name: str) -> str | None:
        if not name.strip():
            raise ValueError("file: needs a path, like file:/run/secrets/slack-token")
        if not self.resolve:
            return None
        path = self.folder / name
        try:
            if not path.is_file():
                raise ValueError(f"there is no file {path}" if not path.exists() else f"{path} is not a file")
            with path.open("rb") as file:
                raw = file.read(LARGEST_SECRET + 1)
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error
        if len(raw) > LARGEST_SECRET:
            raise ValueError(f"{path} is larger than 64 KiB; that is no secret")
        try:
            value = raw.decode().strip()
        except UnicodeDecodeError:
            raise ValueError(f"{path} is not text in UTF-8") from None
        if not value:
            raise ValueError(f"{path} is empty")
        return value


class SecretRef:
    """A secret and where it came from. Shown as the reference, everywhere; only `reveal` gives the value."""

    __slots__ = ("_value", "reference")
    json_schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "pattern": REFERENCE_PATTERN,
        "description": "a secret by reference: env:NAME or file:/path",
    }

    def __init__(self, reference: str, value: str | None) -> None:
        self.reference = reference
        self._value = value

    @classmethod
    def read(cls, text: str, secrets: Secrets) -> Self:
        """From the text in a file. Raises ValueError; a literal is refused without being shown."""
        if not re.match(REFERENCE_PATTERN, text):
            raise ValueError(
                "a secret is given by reference only: write env:NAME or file:/path, not the secret itself (what was found is not shown)"
            )
        secret = cls(text, secrets.look_up(text))
        secrets.found.append(secret)
        return secret

    def reveal(self) -> str:
        """The value. Only where it is used: never into a message, a log or a page."""
        if self._value is None:
            raise RuntimeError(
                f"{self.reference} was not looked up: the configuration was loaded with resolve_secrets=False"
            )
        return self._value

    @property
    def resolved(self) -> bool:
        return self._value is not None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reference!r})"

    def __str__(self) -> str:
        return self.reference

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretRef) and (self.reference, self._value) == (other.reference, other._value)

    def __hash__(self) -> int:
        return hash((self.reference, self._value))

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a secret is not pickled")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.is_instance_schema(cls, serialization=core_schema.to_string_ser_schema())

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(cls.json_schema)


class SecretUrl(SecretRef):
    """A database's address: by reference, or as plain text as long as there is no password in it."""

    json_schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "description": "an address without a password, or a reference to one with: env:NAME or file:/path",
    }

    @classmethod
    def read(cls, text: str, secrets: Secrets) -> Self:
        if re.match(REFERENCE_PATTERN, text):
            return super().read(text, secrets)
        try:
            parts = urlsplit(text)
            password = parts.password or "password=" in parts.query
        except ValueError:
            raise ValueError("not an address (what was found is not shown)") from None
        if password:
            raise ValueError(
                "has a password in it: put the whole address into env:NAME or file:/path (what was found is not shown)"
            )
        return cls(text, text)


class SecretAddress(SecretUrl):
    """A web address that may be a secret as a whole, as that of a private calendar is: by reference, or as plain text without a password."""
