"""Column types that both databases keep alike. Used by tables, by the migrations and by the outbox's SQL."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text
from sqlalchemy.dialects import sqlite
from sqlalchemy.types import TypeDecorator, TypeEngine

# Only an INTEGER counts by itself in SQLite; it has 64 bits there.
BigId = BigInteger().with_variant(Integer(), "sqlite")


SQLITE_TIME = len("2026-03-01 12:00:00.000000")
LONGEST_KEY = 600  # characters, of at most four bytes each
LONGEST_SHORT_KEY = 240  # bytes: an index entry has room for one of these and a Key


class Utc(TypeDecorator[datetime]):
    """A time with its zone: timestamptz in PostgreSQL, text in UTC with microseconds in SQLite (so that it sorts)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(_AS_TEXT if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value}")
        if dialect.name != "sqlite":
            return value
        # Many rows have the time of their commit. Not so in other zones: an hour that is there twice would be taken for one.
        return _utc_text(value) if value.tzinfo is UTC else _text(value.astimezone(UTC))

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if isinstance(value, str):
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        at: datetime | None = value
        return at


def _text(utc: datetime) -> str:
    return utc.isoformat(" ", "microseconds")[:SQLITE_TIME]


_utc_text = lru_cache(maxsize=64)(_text)


class _AsText(sqlite.DATETIME):
    """A DATETIME that is given and taken as it is kept, because SQLAlchemy's own conversion costs more than the rest of a row."""

    def bind_processor(self, dialect: Dialect) -> None:
        return None

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        return None


_AS_TEXT: TypeEngine[Any] = _AsText()  # type: ignore[no-untyped-call]


class Words(TypeDecorator[str]):
    """Text from outside. What a database cannot hold (NUL in PostgreSQL, half a surrogate pair anywhere) becomes U+FFFD, in queries too."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value if value is None else storable(value)


class Key(TypeDecorator[str]):
    """Words that an index is over. PostgreSQL refuses an index entry of more than 2,704 bytes, so a longer text ends in its digest."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value if value is None else stored_key(value)


class SortedKey(Key):
    """A Key that sorts by code point in both databases, whatever the locale of a PostgreSQL: for pages, and for what begins with a text."""

    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return Text(collation="C") if dialect.name == "postgresql" else Text()


class ShortKey(SortedKey):
    """A key that shares an index with another one. A longer text ends in its digest; whoever needs it whole keeps it elsewhere as well."""

    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value if value is None else short_key(value)


def stored_key(key: str) -> str:
    text = storable(key)
    return text if len(text) <= LONGEST_KEY else f"{text[: LONGEST_KEY - 65]}~{_digest(text)}"


def short_key(key: str) -> str:
    text = storable(key)
    size = len(text) if text.isascii() else len(text.encode())
    if size <= LONGEST_SHORT_KEY:
        return text
    return f"{text.encode()[: LONGEST_SHORT_KEY - 65].decode(errors='ignore')}~{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def storable(text: str) -> str:
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
