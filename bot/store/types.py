"""Column types that both databases keep alike. Used by tables, by the migrations and by the outbox's SQL."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator

# Only an INTEGER counts by itself in SQLite; it has 64 bits there.
BigId = BigInteger().with_variant(Integer(), "sqlite")


LONGEST_KEY = 600  # characters, of at most four bytes each


class Utc(TypeDecorator[datetime]):
    """A time with its zone: timestamptz in PostgreSQL, text in UTC with microseconds in SQLite (so that it sorts)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone: {value}")
        return value.astimezone(UTC).replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


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


def stored_key(key: str) -> str:
    text = storable(key)
    return (
        text if len(text) <= LONGEST_KEY else f"{text[: LONGEST_KEY - 65]}~{hashlib.sha256(text.encode()).hexdigest()}"
    )


def storable(text: str) -> str:
    if "\x00" in text:
        text = text.replace("\x00", "\ufffd")
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
